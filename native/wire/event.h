// Event: one output of the core, a fixed cell of two cache lines.
//
// Purpose: the layout that the output ring and the TypeScript side share. Every command gives at least
// one event; the last one of a command carries flag Last.
// Owner: the core writes it into the ring in place; nobody changes it after release.
// Thread safety: a plain value.
// Invariants:
//   1. Every byte that an event type does not name is zero: equal outputs are equal byte for byte.
//   2. Events of a command carry its position and its token, in the order in which things happened.
// The fields of each type are listed in docs/rules.md, section Events.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/amount.h"
#include "wire/client_id.h"
#include "wire/command.h"

namespace verbex {

enum class EventType : uint8_t {
    None = 0,
    Accepted = 1,
    Rejected = 2,
    Trade = 3,
    Booked = 4,
    Triggered = 5,
    Cancelled = 6,
    Reduced = 7,
    Replaced = 8,
    MassCancelled = 9,
    KillSwitchSet = 10,
    BalanceChanged = 11,
    AssetAdded = 12,
    InstrumentAdded = 13,
    InstrumentChanged = 14,
    TradingStateSet = 15,
    AccountAdded = 16,
    RightsSet = 17,
    InstrumentRightSet = 18,
    LimitSet = 19,
    TimeAdvanced = 20,
    DayEnded = 21,
    AvailabilitySet = 22,
};

// Event::flags
inline constexpr uint8_t kEventLast = 1;           // last event of its command
inline constexpr uint8_t kEventDuplicate = 2;      // the first answer again; nothing was done
inline constexpr uint8_t kEventBooked = 4;         // the order rests now, quantity2 visible
inline constexpr uint8_t kEventRepriced = 8;       // post-only moved the price
inline constexpr uint8_t kEventReload = 16;        // an iceberg shows its next clip
inline constexpr uint8_t kEventKeptPriority = 32;  // a replace that kept its place
inline constexpr uint8_t kEventStop = 64;          // waits for its trigger

// Why an order was cancelled or reduced: Event::code of Cancelled and Reduced.
enum class Cause : uint16_t {
    None = 0,
    Requested = 1,
    Immediate = 2,    // what an IOC or market order could not trade
    FillOrKill = 3,   // FOK that could not trade in full
    MinQuantity = 4,  // minimum quantity not there at entry
    SelfTrade = 5,
    MassCancel = 6,
    KillSwitch = 7,
    Expired = 8,  // GTD
    DayEnd = 9,
};

struct alignas(64) Event {
    // ---- first line
    uint8_t type;   // EventType
    uint8_t flags;  // kEvent…
    uint8_t side;   // Side of the order; of the taker in a Trade
    uint8_t kind;   // OrderType of the order; Rejected: the CommandType; TradingState, LimitKind …
    uint16_t code;  // Rejected: Reject; Cancelled, Reduced: Cause
    uint16_t schedules;  // Trade, Accepted …: fee schedule of maker << 8 | of the order
    Position position;
    AccountId account;    // owner of the order; taker in a Trade
    InstrumentId instrument;  // or asset (BalanceChanged, AssetAdded …)
    OrderId orderId;      // taker in a Trade
    int64_t price;        // ticks
    int64_t quantity;     // lots
    int64_t leaves;       // open quantity of the order after this event; the taker's in a Trade
    uint64_t token;
    // ---- second line
    ClientId id;   // the order's client id; the taker's in a Trade
    ClientId id2;  // maker's in a Trade; Replaced: the new id
    union {
        struct {
            OrderId orderId2;  // maker in a Trade
            int64_t leaves2;   // maker's open quantity after a Trade; otherwise what is visible
        };
        Amount amount;  // BalanceChanged: the total after it; LimitSet: the limit
    };
    AccountId account2;  // maker in a Trade; BalanceChanged: the other side of a transfer
    int32_t fee;         // Trade: taker's millionths
    int32_t fee2;        // Trade: maker's millionths
    uint32_t tradeId;    // Trade: 1, 2, 3 … within the instrument, modulo 2^32
};
static_assert(sizeof(Event) == 128 && alignof(Event) == 64);

// Clears a cell with eight plain vector stores: compilers turn `event = Event{}` into a call of memset,
// which costs as much as the rest of writing an event.
inline void clearEvent(Event& event) {
    typedef long long Vector __attribute__((vector_size(16), may_alias));
    auto* at = reinterpret_cast<Vector*>(&event);
    const Vector zero{};
    at[0] = zero;
    at[1] = zero;
    at[2] = zero;
    at[3] = zero;
    at[4] = zero;
    at[5] = zero;
    at[6] = zero;
    at[7] = zero;
}
static_assert(offsetof(Event, position) == 8);
static_assert(offsetof(Event, account) == 16);
static_assert(offsetof(Event, orderId) == 24);
static_assert(offsetof(Event, leaves) == 48);
static_assert(offsetof(Event, id) == 64);
static_assert(offsetof(Event, orderId2) == 96);
static_assert(offsetof(Event, account2) == 112);

}  // namespace verbex
