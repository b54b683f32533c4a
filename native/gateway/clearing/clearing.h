// Clearing protocol: the bytes, both ways.
//
// Purpose: one place that knows the clearing protocol's bytes, for the gateway, clients, tests and fuzzers.
// docs/clearing-protocol.md has the same as tables.
// Owner: nobody; pure functions over spans.
// Thread safety: pure.
// Invariants:
//   1. A message is read only where its length is exactly that of its type.
//   2. decode(encode(x)) = x, and encode(decode(bytes)) = bytes for whatever decode() takes, where ids are such
//      as clients may use; the core's may be any 16 bytes, which go out as they are.
//   3. Every name and id that a client sends is text or a UUID, or it is not taken.
// Requires: nothing.
//
// Integers are big-endian. A Name or ClientId is 16 characters, left-aligned, padded with blanks; a UUID is its 16
// bytes; all blanks are none. Sides, kinds, types are the numbers of docs/rules.md (native/wire/command.h).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/amount.h"
#include "wire/client_id.h"
#include "wire/reject.h"

namespace verbex::gateway::clearing {

// Why the gateway itself refused; below 1000: the core's (wire/reject.h).
#define VERBEX_CLEARING_REASONS(X)                                                                    \
    X(1001, NOT_BELOW_YOUR_ACCOUNT, "no such account in the subtree of the user's account")           \
    X(1002, NOT_AUTHORIZED, "the user lacks the right to do this")                                    \
    X(1003, MALFORMED_FIELD, "a name or id is neither text nor a UUID, or a number is not offered")   \
    X(1004, TOO_MANY_REQUESTS, "too many questions or kill switches wait for an answer; ask later")    \
    X(1005, NOT_CARRIED_OUT, "the gateway was stopped before this reached the journal; send it again") \
    X(1006, NO_ANSWER, "the question could not be answered")

enum class Reason : uint16_t {
    NONE = 0,
#define VERBEX_X(number, name, sentence) name = number,
    VERBEX_CLEARING_REASONS(VERBEX_X)
#undef VERBEX_X
};

// The name of a reason of the core or the gateway, "" for a number that is none.
[[nodiscard]] std::string_view reasonName(uint16_t reason);

using ReasonText = std::array<char, 32>;
[[nodiscard]] ReasonText reasonText(uint16_t reason);

// ---- what clients send. each(visit) names the fields behind the type in their order; `reference` is first.

struct Deposit {
    static constexpr char kType = 'D';
    static constexpr size_t kBytes = 69;
    uint32_t reference;
    Name account;
    Name asset;
    ClientId transaction;
    Amount amount;
    void each(auto&& visit) {
        visit(reference), visit(account), visit(asset), visit(transaction), visit(amount);
    }
};

struct Withdraw {
    static constexpr char kType = 'W';
    static constexpr size_t kBytes = 69;
    uint32_t reference;
    Name account;
    Name asset;
    ClientId transaction;
    Amount amount;
    void each(auto&& visit) {
        visit(reference), visit(account), visit(asset), visit(transaction), visit(amount);
    }
};

struct Transfer {
    static constexpr char kType = 'T';
    static constexpr size_t kBytes = 85;
    uint32_t reference;
    Name account;
    Name asset;
    ClientId transaction;
    Amount amount;
    Name receiver;
    void each(auto&& visit) {
        visit(reference), visit(account), visit(asset), visit(transaction), visit(amount);
        visit(receiver);
    }
};

struct SetLimit {
    static constexpr char kType = 'L';
    static constexpr size_t kBytes = 54;
    uint32_t reference;
    Name account;
    uint8_t kind;  // LimitKind
    Name subject;  // instrument or asset, as the kind says; none for OpenOrders
    Amount limit;  // −1: none
    void each(auto&& visit) {
        visit(reference), visit(account), visit(kind), visit(subject), visit(limit);
    }
};

struct SetRights {
    static constexpr char kType = 'R';
    static constexpr size_t kBytes = 26;
    uint32_t reference;
    Name account;
    uint32_t orderTypes;        // a bit a type
    uint8_t instrumentDefault;  // 1 allow, 2 deny
    void each(auto&& visit) {
        visit(reference), visit(account), visit(orderTypes), visit(instrumentDefault);
    }
};

struct SetInstrumentRight {
    static constexpr char kType = 'I';
    static constexpr size_t kBytes = 38;
    uint32_t reference;
    Name account;
    Name instrument;
    uint8_t right;  // 1 allow, 2 deny, 0 as by default
    void each(auto&& visit) {
        visit(reference), visit(account), visit(instrument), visit(right);
    }
};

struct KillSwitch {
    static constexpr char kType = 'K';
    static constexpr size_t kBytes = 22;
    uint32_t reference;
    Name account;
    uint8_t state;  // 1 on, 2 off
    void each(auto&& visit) { visit(reference), visit(account), visit(state); }
};

struct MassCancel {
    static constexpr char kType = 'M';
    static constexpr size_t kBytes = 38;
    uint32_t reference;
    Name account;
    Name instrument;  // none: all
    uint8_t side;     // 0: both
    void each(auto&& visit) {
        visit(reference), visit(account), visit(instrument), visit(side);
    }
};

enum class QueryKind : uint8_t {
    Balances = 1,
    Positions = 2,
    LimitsAndRights = 3,
    OpenOrders = 4,
    Statement = 5,  // balances, positions, and how many orders are open
};
inline constexpr uint8_t kQueryKindMax = 5;

struct Query {
    static constexpr char kType = 'Q';
    static constexpr size_t kBytes = 30;
    uint32_t reference;
    Name account;
    uint8_t kind;    // QueryKind
    uint64_t after;  // AnswerEnd::next of the page before; 0: from the beginning
    void each(auto&& visit) { visit(reference), visit(account), visit(kind), visit(after); }
};

// Which reference was used last? It has none itself, and may be asked at any time.
struct ReferenceQuery {
    static constexpr char kType = 'N';
    static constexpr size_t kBytes = 5;
    uint32_t tag;  // echoed
    void each(auto&& visit) { visit(tag); }
};

inline constexpr size_t kRequestBytesMax = 85;

// ---- what the gateway sends; `time` is first: nanoseconds since midnight UTC

struct Acknowledged {
    static constexpr char kType = 'A';
    static constexpr size_t kBytes = 71;
    uint64_t time;
    uint32_t reference;
    uint8_t request;    // the type of the request
    uint64_t position;  // of its command; of the first one where it is a duplicate
    uint8_t duplicate;  // 1: this transaction had been carried out before
    Name account;
    Name subject;  // asset, instrument, or none
    Amount value;  // money: the total after it (0 in a duplicate); limit: the limit; kill, mass cancel: orders
    void each(auto&& visit) {
        visit(time), visit(reference), visit(request), visit(position), visit(duplicate);
        visit(account), visit(subject), visit(value);
    }
};

struct Rejected {
    static constexpr char kType = 'J';
    static constexpr size_t kBytes = 56;
    uint64_t time;
    uint32_t reference;
    uint8_t request;
    uint64_t position;  // 0: it did not get to the journal
    uint16_t reason;
    ReasonText text;
    void each(auto&& visit) {
        visit(time), visit(reference), visit(request), visit(position), visit(reason), visit(text);
    }
};

struct BalanceChanged {
    static constexpr char kType = 'B';
    static constexpr size_t kBytes = 118;
    uint64_t time;
    uint64_t position;
    uint32_t index;
    Name account;
    Name asset;
    uint8_t cause;  // CommandType: Deposit, Withdraw, Transfer
    Amount change;
    Amount total;
    ClientId transaction;
    Name other;  // the other side of a transfer, where it is in the subtree; or none
    void each(auto&& visit) {
        visit(time), visit(position), visit(index), visit(account), visit(asset), visit(cause);
        visit(change), visit(total), visit(transaction), visit(other);
    }
};

struct LimitSet {
    static constexpr char kType = 'X';
    static constexpr size_t kBytes = 70;
    uint64_t time;
    uint64_t position;
    uint32_t index;
    Name account;
    uint8_t kind;
    Name subject;
    Amount limit;
    void each(auto&& visit) {
        visit(time), visit(position), visit(index), visit(account), visit(kind), visit(subject);
        visit(limit);
    }
};

struct KillSwitchSet {
    static constexpr char kType = 'K';
    static constexpr size_t kBytes = 46;
    uint64_t time;
    uint64_t position;
    uint32_t index;
    Name account;
    uint8_t state;  // 1 on, 2 off
    uint64_t cancelled;
    void each(auto&& visit) {
        visit(time), visit(position), visit(index), visit(account), visit(state), visit(cancelled);
    }
};

// Drop copy: one side of a trade.
struct Execution {
    static constexpr char kType = 'E';
    static constexpr size_t kBytes = 127;
    uint64_t time;
    uint64_t position;  // with index: the trade's place in the journal's output
    uint32_t index;
    Name instrument;
    Name account;
    uint8_t side;       // Side
    uint8_t liquidity;  // 'A' added: the maker; 'R' removed: the taker
    uint64_t orderId;
    ClientId clientId;
    int64_t price;     // ticks
    int64_t quantity;  // lots
    int64_t leaves;    // lots
    int32_t fee;       // millionths of the value traded; negative: a rebate
    uint32_t tradeId;  // within the instrument
    Name counterparty;  // where it is in the subtree too; or none
    void each(auto&& visit) {
        visit(time), visit(position), visit(index), visit(instrument), visit(account), visit(side);
        visit(liquidity), visit(orderId), visit(clientId), visit(price), visit(quantity);
        visit(leaves), visit(fee), visit(tradeId), visit(counterparty);
    }
};

struct ReferenceAnswer {
    static constexpr char kType = 'N';
    static constexpr size_t kBytes = 17;
    uint64_t time;
    uint32_t tag;
    uint32_t lastReference;  // 0: none was used on this day
    void each(auto&& visit) { visit(time), visit(tag), visit(lastReference); }
};

// ---- answers: AnswerBegin, rows, AnswerEnd, one behind the other

struct AnswerBegin {
    static constexpr char kType = 'Q';
    static constexpr size_t kBytes = 42;
    uint64_t time;
    uint32_t reference;
    uint8_t kind;
    Name account;
    uint64_t position;  // all of the answer holds at it
    uint32_t rows;
    void each(auto&& visit) {
        visit(time), visit(reference), visit(kind), visit(account), visit(position), visit(rows);
    }
};

struct BalanceRow {
    static constexpr char kType = 'b';
    static constexpr size_t kBytes = 61;
    uint64_t time;
    uint32_t reference;
    Name asset;
    Amount total;
    Amount held;
    void each(auto&& visit) {
        visit(time), visit(reference), visit(asset), visit(total), visit(held);
    }
};

struct PositionRow {
    static constexpr char kType = 'p';
    static constexpr size_t kBytes = 53;
    uint64_t time;
    uint32_t reference;
    Name instrument;
    int64_t position;  // lots bought − lots sold
    int64_t openBuy;
    int64_t openSell;
    void each(auto&& visit) {
        visit(time), visit(reference), visit(instrument), visit(position), visit(openBuy);
        visit(openSell);
    }
};

struct RightsRow {
    static constexpr char kType = 'r';
    static constexpr size_t kBytes = 19;
    uint64_t time;
    uint32_t reference;
    uint32_t orderTypes;
    uint8_t instrumentDefault;
    uint8_t killed;  // its own switch
    void each(auto&& visit) {
        visit(time), visit(reference), visit(orderTypes), visit(instrumentDefault), visit(killed);
    }
};

struct InstrumentRightRow {
    static constexpr char kType = 'i';
    static constexpr size_t kBytes = 30;
    uint64_t time;
    uint32_t reference;
    Name instrument;
    uint8_t right;
    void each(auto&& visit) { visit(time), visit(reference), visit(instrument), visit(right); }
};

struct LimitRow {
    static constexpr char kType = 'l';
    static constexpr size_t kBytes = 46;
    uint64_t time;
    uint32_t reference;
    uint8_t kind;
    Name subject;
    Amount limit;
    void each(auto&& visit) {
        visit(time), visit(reference), visit(kind), visit(subject), visit(limit);
    }
};

struct OrderRow {
    static constexpr char kType = 'o';
    static constexpr size_t kBytes = 105;
    uint64_t time;
    uint32_t reference;
    uint64_t orderId;
    Name instrument;
    ClientId clientId;
    uint8_t side;
    uint8_t type;
    uint8_t timeInForce;
    uint8_t waiting;  // 1: a stop that is not triggered
    int64_t price;
    int64_t stopPrice;
    int64_t open;
    int64_t visible;
    int64_t display;
    uint64_t expiry;
    void each(auto&& visit) {
        visit(time), visit(reference), visit(orderId), visit(instrument), visit(clientId);
        visit(side), visit(type), visit(timeInForce), visit(waiting), visit(price);
        visit(stopPrice), visit(open), visit(visible), visit(display), visit(expiry);
    }
};

struct AnswerEnd {
    static constexpr char kType = 'Z';
    static constexpr size_t kBytes = 33;
    uint64_t time;
    uint32_t reference;
    uint64_t position;
    uint32_t openOrders;  // of the account, all of them
    uint64_t next;        // 0: that was all; otherwise what to ask with for what comes behind
    void each(auto&& visit) {
        visit(time), visit(reference), visit(position), visit(openOrders), visit(next);
    }
};

// ---- bytes

enum class Decoded : uint8_t {
    Yes,
    NotThis,   // another type or length
    BadField,  // the right length, but a name or id is neither text nor a UUID
};

// Writes exactly Message::kBytes.
template <typename Message>
void encode(std::byte* to, const Message& message);
// With BadField everything but the bad fields is there.
template <typename Message>
[[nodiscard]] Decoded decode(std::span<const std::byte> bytes, Message& message);

#define VERBEX_CLEARING_REQUESTS(X) \
    X(Deposit) X(Withdraw) X(Transfer) X(SetLimit) X(SetRights) X(SetInstrumentRight) X(KillSwitch) \
    X(MassCancel) X(Query)
#define VERBEX_CLEARING_RESPONSES(X) \
    X(Acknowledged) X(Rejected) X(BalanceChanged) X(LimitSet) X(KillSwitchSet) X(Execution) \
    X(AnswerBegin) X(BalanceRow) X(PositionRow) X(RightsRow) X(InstrumentRightRow) X(LimitRow) \
    X(OrderRow) X(AnswerEnd) X(ReferenceAnswer)
#define VERBEX_X(Message)                                      \
    extern template void encode(std::byte*, const Message&);   \
    extern template Decoded decode(std::span<const std::byte>, Message&);
VERBEX_CLEARING_REQUESTS(VERBEX_X)
VERBEX_CLEARING_RESPONSES(VERBEX_X)
VERBEX_X(ReferenceQuery)
#undef VERBEX_X

// Is it text (1 to 16 characters, 0x21 to 0x7e), a UUID, or none: what clients may call something?
[[nodiscard]] bool isTextOrUuid(const ClientId& id);

}  // namespace verbex::gateway::clearing
