// OUCH 5.0: the bytes of every message, both ways, where they lie.
//
// Purpose: one place that knows the layouts, for the gateway, load generators, tests and fuzzers. A
// message is a fixed part, read and written in place as a struct of big-endian fields, and for most types
// an appendage of tagged options behind it.
// Source: "OUCH 5.0 Order Entry Specification", Nasdaq (nasdaqtrader.com, Trading Services).
// Owner: nobody; pure functions over spans.
// Thread safety: pure.
// Invariants:
//   1. readInbound() and readOutbound() look at no byte behind the span, allocate nothing, and show a
//      message only if every length in it agrees with every other one.
//   2. Fields have alignment 1: a message may begin at any address.
// Requires: nothing.
//
//     0      1                  fixed          + 2
//     ┌──────┬──────────────────┬──────────────┬───────────────────────────┐
//     │ type │ fields           │ bytes behind │ (length, tag, value) …    │   length: tag, value
//     └──────┴──────────────────┴──────────────┴───────────────────────────┘
//                                └ may be absent in types whose appendage is optional
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "wire/symbol.h"

namespace verbex::gateway::ouch {

// An unsigned big-endian number without alignment.
template <typename T>
class Big {
public:
    Big() = default;
    Big(T value) { *this = value; }
    Big& operator=(T value) {
        value = swap(value);
        std::memcpy(bytes_, &value, sizeof(T));
        return *this;
    }
    operator T() const {
        T value;
        std::memcpy(&value, bytes_, sizeof(T));
        return swap(value);
    }

private:
    static T swap(T value) {
        static_assert(std::endian::native == std::endian::little);
        if constexpr (sizeof(T) == 8) return __builtin_bswap64(value);
        if constexpr (sizeof(T) == 4) return __builtin_bswap32(value);
        if constexpr (sizeof(T) == 2) return __builtin_bswap16(value);
    }
    unsigned char bytes_[sizeof(T)];
};
using Big16 = Big<uint16_t>;
using Big32 = Big<uint32_t>;
using Big64 = Big<uint64_t>;

// Eight characters, as wire/symbol.h makes them.
class SymbolField {
public:
    SymbolField() = default;
    SymbolField(Symbol symbol) { std::memcpy(text_, &symbol, sizeof(text_)); }
    operator Symbol() const {
        Symbol symbol;
        std::memcpy(&symbol, text_, sizeof(text_));
        return symbol;
    }

private:
    char text_[8];
};

using ClOrdId = std::array<char, 14>;  // the client's own text; echoed, nothing else
using FirmCode = std::array<char, 4>;  // left-justified, blanks behind
inline constexpr FirmCode kNoFirm = {' ', ' ', ' ', ' '};
inline constexpr Symbol kNoSymbol = 0x2020202020202020;  // all blank: every symbol

enum class Appendage : uint8_t { None, Optional, Required };

// ---- client to host ---------------------------------------------------------------------------------

struct EnterOrder {
    static constexpr char kType = 'O';
    static constexpr Appendage kAppendage = Appendage::Required;
    char type;
    Big32 userRefNum;
    char side;
    Big32 quantity;
    SymbolField symbol;
    Big64 price;
    char timeInForce;
    char display;
    char capacity;
    char sweep;  // intermarket sweep eligibility
    char crossType;
    ClOrdId clOrdId;
};

struct ReplaceOrder {
    static constexpr char kType = 'U';
    static constexpr Appendage kAppendage = Appendage::Required;
    char type;
    Big32 origUserRefNum;
    Big32 userRefNum;
    Big32 quantity;
    Big64 price;
    char timeInForce;
    char display;
    char sweep;
    ClOrdId clOrdId;
};

struct CancelOrder {
    static constexpr char kType = 'X';
    static constexpr Appendage kAppendage = Appendage::Optional;
    char type;
    Big32 userRefNum;
    Big32 quantity;  // the new intended order size; 0: cancel
};

struct ModifyOrder {
    static constexpr char kType = 'M';
    static constexpr Appendage kAppendage = Appendage::Optional;
    char type;
    Big32 userRefNum;
    char side;
    Big32 quantity;  // the new intended order size
};

struct MassCancel {
    static constexpr char kType = 'C';
    static constexpr Appendage kAppendage = Appendage::Required;
    char type;
    Big32 userRefNum;
    FirmCode firm;
    SymbolField symbol;  // blank: every one
};

struct DisableEntry {
    static constexpr char kType = 'D';
    static constexpr Appendage kAppendage = Appendage::Required;
    char type;
    Big32 userRefNum;
    FirmCode firm;
};

struct EnableEntry {
    static constexpr char kType = 'E';
    static constexpr Appendage kAppendage = Appendage::Required;
    char type;
    Big32 userRefNum;
    FirmCode firm;
};

struct AccountQuery {
    static constexpr char kType = 'Q';
    static constexpr Appendage kAppendage = Appendage::Optional;
    char type;
};

// ---- host to client; timestamps are nanoseconds since midnight --------------------------------------

struct SystemEvent {
    static constexpr char kType = 'S';
    static constexpr Appendage kAppendage = Appendage::None;
    char type;
    Big64 timestamp;
    char event;  // kStartOfDay, kEndOfDay
};

struct Accepted {
    static constexpr char kType = 'A';
    static constexpr Appendage kAppendage = Appendage::Required;
    char type;
    Big64 timestamp;
    Big32 userRefNum;
    char side;
    Big32 quantity;
    SymbolField symbol;
    Big64 price;
    char timeInForce;
    char display;
    Big64 orderReference;
    char capacity;
    char sweep;
    char crossType;
    char state;  // kLive, kDead
    ClOrdId clOrdId;
};

struct Replaced {
    static constexpr char kType = 'U';
    static constexpr Appendage kAppendage = Appendage::Required;
    char type;
    Big64 timestamp;
    Big32 origUserRefNum;
    Big32 userRefNum;
    char side;
    Big32 quantity;
    SymbolField symbol;
    Big64 price;
    char timeInForce;
    char display;
    Big64 orderReference;
    char capacity;
    char sweep;
    char crossType;
    char state;
    ClOrdId clOrdId;
};

struct Canceled {
    static constexpr char kType = 'C';
    static constexpr Appendage kAppendage = Appendage::Optional;
    char type;
    Big64 timestamp;
    Big32 userRefNum;
    Big32 quantity;  // by how much the open quantity fell
    char reason;
};

struct AiqCanceled {
    static constexpr char kType = 'D';
    static constexpr Appendage kAppendage = Appendage::Optional;
    char type;
    Big64 timestamp;
    Big32 userRefNum;
    Big32 quantity;  // by how much the open quantity fell
    char reason;     // always kSelfMatch
    Big32 prevented;  // what did not trade
    Big64 price;      // at which it would have
    char liquidity;
    char strategy;
};

struct Executed {
    static constexpr char kType = 'E';
    static constexpr Appendage kAppendage = Appendage::Required;
    char type;
    Big64 timestamp;
    Big32 userRefNum;
    Big32 quantity;
    Big64 price;
    char liquidity;  // kAdded, kRemoved
    Big64 matchNumber;
};

struct BrokenTrade {
    static constexpr char kType = 'B';
    static constexpr Appendage kAppendage = Appendage::Optional;
    char type;
    Big64 timestamp;
    Big32 userRefNum;
    Big64 matchNumber;
    char reason;
    ClOrdId clOrdId;
};

struct Rejected {
    static constexpr char kType = 'J';
    static constexpr Appendage kAppendage = Appendage::Optional;
    char type;
    Big64 timestamp;
    Big32 userRefNum;
    Big16 reason;
    ClOrdId clOrdId;
};

struct CancelPending {
    static constexpr char kType = 'P';
    static constexpr Appendage kAppendage = Appendage::Optional;
    char type;
    Big64 timestamp;
    Big32 userRefNum;
};

struct CancelReject {
    static constexpr char kType = 'I';
    static constexpr Appendage kAppendage = Appendage::Optional;
    char type;
    Big64 timestamp;
    Big32 userRefNum;
};

struct PriorityUpdate {
    static constexpr char kType = 'T';
    static constexpr Appendage kAppendage = Appendage::Optional;
    char type;
    Big64 timestamp;
    Big32 userRefNum;
    Big64 price;
    char display;
    Big64 orderReference;
};

struct Modified {
    static constexpr char kType = 'M';
    static constexpr Appendage kAppendage = Appendage::Optional;
    char type;
    Big64 timestamp;
    Big32 userRefNum;
    char side;
    Big32 quantity;  // open now
};

struct Restated {
    static constexpr char kType = 'R';
    static constexpr Appendage kAppendage = Appendage::Required;
    char type;
    Big64 timestamp;
    Big32 userRefNum;
    char reason;
};

struct MassCancelResponse {
    static constexpr char kType = 'X';
    static constexpr Appendage kAppendage = Appendage::Required;
    char type;
    Big64 timestamp;
    Big32 userRefNum;
    FirmCode firm;
    SymbolField symbol;
};

struct DisableResponse {
    static constexpr char kType = 'G';
    static constexpr Appendage kAppendage = Appendage::Required;
    char type;
    Big64 timestamp;
    Big32 userRefNum;
    FirmCode firm;
};

struct EnableResponse {
    static constexpr char kType = 'K';
    static constexpr Appendage kAppendage = Appendage::Required;
    char type;
    Big64 timestamp;
    Big32 userRefNum;
    FirmCode firm;
};

struct AccountQueryResponse {
    static constexpr char kType = 'Q';
    static constexpr Appendage kAppendage = Appendage::Optional;
    char type;
    Big64 timestamp;
    Big32 nextUserRefNum;
};

// ---- values -----------------------------------------------------------------------------------------

inline constexpr char kBuy = 'B';
inline constexpr char kSell = 'S';
inline constexpr char kSellShort = 'T';
inline constexpr char kSellShortExempt = 'E';
inline constexpr char kDay = '0';
inline constexpr char kImmediate = '3';
inline constexpr char kExtendedHours = '5';  // GTX
inline constexpr char kGoodTillTime = '6';   // with ExpireTime
inline constexpr char kAfterHours = 'E';
inline constexpr char kVisible = 'Y';
inline constexpr char kHidden = 'N';
inline constexpr char kAttributable = 'A';
inline constexpr char kStartOfDay = 'S';
inline constexpr char kEndOfDay = 'E';
inline constexpr char kLive = 'L';
inline constexpr char kDead = 'D';
inline constexpr char kAdded = 'A';
inline constexpr char kRemoved = 'R';
// Canceled::reason
inline constexpr char kUserRequested = 'U';
inline constexpr char kUnfilledImmediate = 'I';
inline constexpr char kTimeout = 'T';
inline constexpr char kSupervisory = 'S';
inline constexpr char kSelfMatch = 'Q';
inline constexpr char kClosed = 'E';
inline constexpr char kSystemCancel = 'Z';
// The price of a market order.
inline constexpr uint64_t kMarketPrice = 0x7fffffff;

// Rejected::reason
enum class Reason : uint16_t {
    None = 0,  // never on the wire
    QuoteUnavailable = 0x01,
    DestinationClosed = 0x02,
    InvalidDisplay = 0x03,
    InvalidMaxFloor = 0x04,
    InvalidPegType = 0x05,
    FatFinger = 0x06,
    Halted = 0x07,
    SweepNotAllowed = 0x08,
    InvalidSide = 0x09,
    ProcessingError = 0x0a,
    CancelPending = 0x0b,
    FirmNotAuthorized = 0x0c,
    InvalidMinQuantity = 0x0d,
    NoClosingReferencePrice = 0x0e,
    Other = 0x0f,
    CancelNotAllowed = 0x10,
    PeggingNotAllowed = 0x11,
    CrossedMarket = 0x12,
    InvalidQuantity = 0x13,
    InvalidCrossOrder = 0x14,
    ReplaceNotAllowed = 0x15,
    RoutingNotAllowed = 0x16,
    InvalidSymbol = 0x17,
    Test = 0x18,
    LateLocTooAggressive = 0x19,
    RetailNotAllowed = 0x1a,
    InvalidMidpointPostOnlyPrice = 0x1b,
    InvalidDestination = 0x1c,
    InvalidPrice = 0x1d,
    SharesExceedThreshold = 0x1e,
    ExceedsNotionalValue = 0x1f,
    RiskAggregateExposure = 0x20,
    RiskMarketImpact = 0x21,
    RiskRestrictedStock = 0x22,
    RiskShortSellRestricted = 0x23,
    RiskSweepNotAllowed = 0x24,
    RiskExceedsAdvLimit = 0x25,
    RiskFatFinger = 0x26,
    RiskLocateRequired = 0x27,
    RiskSymbolMessageRate = 0x28,
    RiskPortMessageRate = 0x29,
    RiskDuplicateMessageRate = 0x2a,
    RiskShortSellNotAllowed = 0x2b,
    RiskMarketOrderNotAllowed = 0x2c,
    RiskPreMarketNotAllowed = 0x2d,
    RiskPostMarketNotAllowed = 0x2e,
    RiskShortSellExemptNotAllowed = 0x2f,
    RiskOrderNotional = 0x30,
    RiskMaxQuantity = 0x31,
    RegShoUnavailable = 0x32,
    RiskIpoMarketBuyNotAllowed = 0x33,
    InvalidAiq = 0x40,
};

enum class Tag : uint8_t {
    SecondaryOrdRefNum = 1,
    Firm = 2,
    MinQty = 3,
    CustomerType = 4,
    MaxFloor = 5,
    PriceType = 6,
    PegOffset = 7,
    DiscretionPrice = 9,
    DiscretionPriceType = 10,
    DiscretionPegOffset = 11,
    PostOnly = 12,
    RandomReserves = 13,
    Route = 14,
    ExpireTime = 15,
    TradeNow = 16,
    HandleInst = 17,
    BboWeightIndicator = 18,
    DisplayQuantity = 22,
    DisplayPrice = 23,
    GroupId = 24,
    SharesLocated = 25,
    LocateBroker = 26,
    Side = 27,
    UserRefIdx = 28,
    AiqStrategy = 29,
    AiqGroupId = 30,
};
inline constexpr uint8_t kTagMax = 30;

// Bytes of a tag's value; 0: no such tag.
[[nodiscard]] size_t tagBytes(uint8_t tag);

// ---- reading ----------------------------------------------------------------------------------------

struct Message {
    char type = 0;  // 0: malformed
    const std::byte* at = nullptr;
    std::span<const std::byte> appendage;
    size_t length = 0;  // of the whole message

    [[nodiscard]] size_t bytes() const { return length; }
    [[nodiscard]] bool malformed() const { return type == 0; }
    // Only if `type` is the struct's.
    template <typename Layout>
    [[nodiscard]] const Layout& as() const {
        return *reinterpret_cast<const Layout*>(at);
    }
};

// Malformed: an unknown type, a length that disagrees, an option that reaches beyond the end.
[[nodiscard]] Message readInbound(std::span<const std::byte> payload);
[[nodiscard]] Message readOutbound(std::span<const std::byte> payload);

// Options as numbers: text (Firm, Route …) as a big-endian number of its characters.
class Options {
public:
    [[nodiscard]] bool has(Tag tag) const { return (present_ >> static_cast<uint8_t>(tag) & 1) != 0; }
    [[nodiscard]] uint64_t of(Tag tag) const {  // 0 where it is not there
        return has(tag) ? values_[static_cast<uint8_t>(tag)] : 0;
    }
    [[nodiscard]] uint32_t present() const { return present_; }  // bit by tag
    void set(Tag tag, uint64_t value) {
        present_ |= uint32_t{1} << static_cast<uint8_t>(tag);
        values_[static_cast<uint8_t>(tag)] = value;
    }

private:
    uint32_t present_ = 0;
    uint64_t values_[kTagMax + 1];  // only what is present was ever written
};

enum class OptionFault : uint8_t { None, UnknownTag, WrongLength, Repeated };

// The options of a message's appendage, up to the first that is at fault.
[[nodiscard]] OptionFault readOptions(std::span<const std::byte> appendage, Options& options);

// ---- writing ----------------------------------------------------------------------------------------

// Bytes of the fixed part and, where the appendage is required, of its length.
template <typename Layout>
inline constexpr size_t kBytes =
    sizeof(Layout) + (Layout::kAppendage == Appendage::Required ? 2 : 0);

// Begins a message at `to`, kBytes<Layout> long, with an empty appendage; the caller fills the fields.
template <typename Layout>
Layout& begin(std::byte* to) {
    std::memset(to, 0, kBytes<Layout>);
    auto& message = *reinterpret_cast<Layout*>(to);
    message.type = Layout::kType;
    return message;
}

// Bytes that these options take in an appendage.
[[nodiscard]] size_t optionBytes(const Options& options);
// Puts an appendage with these options behind the fixed part of a begun message, by rising tag; answers
// the length of the whole message: sizeof(Layout) + 2 + optionBytes().
size_t writeOptions(std::byte* behindFixed, size_t fixedBytes, const Options& options);
template <typename Layout>
size_t finish(Layout& message, const Options& options) {
    static_assert(Layout::kAppendage != Appendage::None);
    auto* behind = reinterpret_cast<std::byte*>(&message) + sizeof(Layout);
    return writeOptions(behind, sizeof(Layout), options);
}

[[nodiscard]] inline uint64_t nsOfDay(uint64_t nsSince1970) {
    return nsSince1970 % 86'400'000'000'000ULL;
}

// ---- what the specification's tables say ------------------------------------------------------------

static_assert(sizeof(EnterOrder) == 45 && offsetof(EnterOrder, symbol) == 10 &&
              offsetof(EnterOrder, price) == 18 && offsetof(EnterOrder, clOrdId) == 31);
static_assert(sizeof(ReplaceOrder) == 38 && offsetof(ReplaceOrder, price) == 13 &&
              offsetof(ReplaceOrder, clOrdId) == 24);
static_assert(sizeof(CancelOrder) == 9);
static_assert(sizeof(ModifyOrder) == 10);
static_assert(sizeof(MassCancel) == 17 && offsetof(MassCancel, symbol) == 9);
static_assert(sizeof(DisableEntry) == 9 && sizeof(EnableEntry) == 9);
static_assert(sizeof(AccountQuery) == 1);
static_assert(sizeof(SystemEvent) == 10);
static_assert(sizeof(Accepted) == 62 && offsetof(Accepted, symbol) == 18 &&
              offsetof(Accepted, orderReference) == 36 && offsetof(Accepted, clOrdId) == 48);
static_assert(sizeof(Replaced) == 66 && offsetof(Replaced, symbol) == 22 &&
              offsetof(Replaced, orderReference) == 40 && offsetof(Replaced, clOrdId) == 52);
static_assert(sizeof(Canceled) == 18 && offsetof(Canceled, reason) == 17);
static_assert(sizeof(AiqCanceled) == 32 && offsetof(AiqCanceled, price) == 22);
static_assert(sizeof(Executed) == 34 && offsetof(Executed, matchNumber) == 26);
static_assert(sizeof(BrokenTrade) == 36 && offsetof(BrokenTrade, clOrdId) == 22);
static_assert(sizeof(Rejected) == 29 && offsetof(Rejected, clOrdId) == 15);
static_assert(sizeof(CancelPending) == 13 && sizeof(CancelReject) == 13);
static_assert(sizeof(PriorityUpdate) == 30);
static_assert(sizeof(Modified) == 18);
static_assert(sizeof(Restated) == 14);
static_assert(sizeof(MassCancelResponse) == 25);
static_assert(sizeof(DisableResponse) == 17 && sizeof(EnableResponse) == 17);
static_assert(sizeof(AccountQueryResponse) == 13);

}  // namespace verbex::gateway::ouch
