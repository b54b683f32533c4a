// Command: one sequenced input of the core. Nothing else changes state.
//
// Purpose: the layout that the ring, the journal and the TypeScript side share. A command is one cache
// line; only those that carry a second line (flag Extended) use it, in memory as on disk.
// Owner: whoever fills the cell; the core only reads it.
// Thread safety: a plain value. Trivial: write Command{} for an empty one.
// Invariants:
//   1. Every byte that a command type does not name is zero; the core does not look at it.
//   2. Without flag Extended the second line is zero and is neither journaled nor hashed.
// The meaning of every field, and of every check, is in docs/rules.md.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/amount.h"
#include "wire/client_id.h"

namespace verbex {

using Position = uint64_t;
using AccountId = uint32_t;     // 0 is the venue itself, the root of the tree
using InstrumentId = uint32_t;  // 1, 2, 3 …; 0 means none or any
using AssetId = uint32_t;       // 1, 2, 3 …
using OrderId = uint64_t;       // the position of the command that created the order
using OrderSlot = uint32_t;     // where an open order lies in memory; never leaves the core

enum class CommandType : uint8_t {
    None = 0,
    NewOrder = 1,
    CancelOrder = 2,
    ReduceOrder = 3,
    ReplaceOrder = 4,
    MassCancel = 5,
    KillSwitch = 6,
    Deposit = 7,
    Withdraw = 8,
    Transfer = 9,
    AddAsset = 10,
    AddInstrument = 11,
    ChangeInstrument = 12,
    SetTradingState = 13,
    AddAccount = 14,
    SetRights = 15,
    SetInstrumentRight = 16,
    SetLimit = 17,
    AdvanceTime = 18,
    DayEnd = 19,
    SetAvailability = 20,  // written by the sequencer of a deployment in roles
};
inline constexpr uint8_t kCommandTypeMax = 20;
// On top of a type: the risk process that would have decided about this command was lost before it had.
// Written by the sequencer; such a command is answered RISK_UNAVAILABLE and does nothing.
inline constexpr uint8_t kCommandRefused = 0x80;

enum class Side : uint8_t { None = 0, Buy = 1, Sell = 2 };
enum class OrderType : uint8_t { None = 0, Limit = 1, Market = 2, Stop = 3, StopLimit = 4 };
enum class TimeInForce : uint8_t { None = 0, Gtc = 1, Day = 2, Gtd = 3, Ioc = 4, Fok = 5 };
enum class SelfTrade : uint8_t {
    None = 0,
    CancelNewest = 1,
    CancelOldest = 2,
    CancelBoth = 3,
    Decrement = 4,
};
enum class TradingState : uint8_t { None = 0, Open = 1, CancelOnly = 2, Halted = 3, Closed = 4 };
enum class LimitKind : uint8_t {
    None = 0,
    OrderSize = 1,   // subject: instrument; lots
    OrderValue = 2,  // subject: quote asset; its smallest units
    OpenOrders = 3,  // subject: 0; orders
    OpenValue = 4,   // subject: quote asset; its smallest units
    Position = 5,    // subject: instrument; lots
};
inline constexpr uint8_t kLimitKindMax = 5;

// Command::flags
inline constexpr uint16_t kCommandExtended = 1;         // the second line counts
inline constexpr uint16_t kCommandPostOnlyReject = 2;   // NewOrder: reject what would trade at entry
inline constexpr uint16_t kCommandPostOnlyReprice = 4;  // NewOrder: move it one tick off instead
inline constexpr uint16_t kCommandSelfTradeFirm = 8;    // NewOrder: self is the firm, not the account
inline constexpr uint16_t kCommandFlagsMax = 15;

// Bits of SetRights::orderTypes: 1 << OrderType, and iceberg on top.
inline constexpr uint32_t kRightIceberg = 1u << 5;
inline constexpr uint32_t kRightsAll = 0b111110;

struct alignas(64) Command {
    // ---- first line
    uint8_t type;       // CommandType
    uint8_t side;       // Side; MassCancel: None is both. KillSwitch, SetInstrumentRight: 1 on, 2 off;
                            // SetAvailability: 1 down, 2 up
    uint8_t orderType;  // OrderType; SetTradingState: TradingState; SetLimit: LimitKind;
                            // AddAsset: decimals; AddInstrument: TradingState;
                            // SetAvailability: how many risk processes there are
    uint8_t timeInForce;
    uint8_t selfTrade;
    uint8_t reserved0;
    uint16_t flags;
    AccountId account;        // AddAccount: the parent
    InstrumentId instrument;  // Deposit, Withdraw, Transfer, SetLimit on an asset: the asset;
                              // SetAvailability: the risk process
    ClientId id;                  // order, or transaction (Deposit …), or name (Add…)
    union {
        struct {
            int64_t price;     // ticks
            int64_t quantity;  // lots; SetAvailability: the position from which it holds
        };
        Amount amount;  // Deposit, Withdraw, Transfer, SetLimit (−1: no limit)
    };
    union {
        uint64_t expiry;  // NewOrder GTD, AdvanceTime: nanoseconds since 1970
        uint64_t toAccount;   // Transfer
        uint64_t rights;      // SetRights: order types | (instrument default: 1 allow, 2 deny) << 32
    };
    uint64_t token;  // echoed in every event of this command; no meaning inside
    // ---- second line
    union {
        struct {
            ClientId newId;           // ReplaceOrder
            int64_t stopPrice;        // ticks
            int64_t displayQuantity;  // lots
            int64_t minQuantity;      // lots; ReplaceOrder with newId: open quantity reckoned from
            int64_t reserved1[3];
        };
        struct {              // AddInstrument, ChangeInstrument (price, quantity: see below)
            int64_t priceMin;         // ticks
            int64_t priceMax;         // ticks
            int64_t quantityMin;      // lots
            int64_t quantityMax;      // lots
            int32_t makerFee;         // millionths
            int32_t takerFee;         // millionths
            int32_t collar;           // millionths
            AssetId base;
            AssetId quote;
            uint32_t reserved2[3];
        };
    };
    // AddInstrument: price is the base asset's units a lot, quantity the quote asset's units that one
    // lot costs at one tick.

    [[nodiscard]] bool extended() const { return (flags & kCommandExtended) != 0; }
    // Bytes that are journaled: one line or two.
    [[nodiscard]] size_t size() const { return extended() ? 128 : 64; }
};
static_assert(sizeof(Command) == 128 && alignof(Command) == 64);

[[nodiscard]] inline bool isRefused(const Command& command) {
    const int type = command.type & ~kCommandRefused;
    return (command.type & kCommandRefused) != 0 && type >= 1 && type <= kCommandTypeMax;
}
static_assert(offsetof(Command, account) == 8);
static_assert(offsetof(Command, id) == 16);
static_assert(offsetof(Command, price) == 32);
static_assert(offsetof(Command, expiry) == 48);
static_assert(offsetof(Command, newId) == 64);
static_assert(offsetof(Command, stopPrice) == 80);
static_assert(offsetof(Command, makerFee) == 96);
static_assert(offsetof(Command, quote) == 112);

}  // namespace verbex
