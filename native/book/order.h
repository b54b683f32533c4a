// Order: an open order, one cache line in a slab of slots that are named by 32-bit numbers.
//
// Purpose: everything that matching touches of a resting order lies in one line. What only few orders have
// (display quantity, stop price, expiry) lies in a second slab that only those few use.
// Owner: the slab belongs to the core; the books link its orders.
// Thread safety: none.
// Invariants:
//   1. Slot 0 is no order: link 0 ends a list.
//   2. 0 < visible ≤ open while the order rests in a level; visible is 0 while it waits as a stop or is
//      being matched.
//   3. Slots are an address, no fact: nothing that leaves the core depends on which slot an order got.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/zeroed_array.h"
#include "wire/command.h"

namespace verbex {

// Order::flags. Fields of bits, since an order is exactly one line.
inline constexpr uint32_t kOrderSell = 1u << 0;
inline constexpr uint32_t kOrderTypeShift = 1;         // OrderType, 3 bits
inline constexpr uint32_t kOrderTimeInForceShift = 4;  // TimeInForce, 3 bits
inline constexpr uint32_t kOrderSelfTradeShift = 7;    // SelfTrade, 3 bits
inline constexpr uint32_t kOrderSelfTradeFirm = 1u << 10;
inline constexpr uint32_t kOrderPostOnlyReject = 1u << 11;
inline constexpr uint32_t kOrderPostOnlyReprice = 1u << 12;
inline constexpr uint32_t kOrderWaiting = 1u << 13;    // a stop that was not triggered
inline constexpr uint32_t kOrderImmediate = 1u << 14;  // what can't trade at once is cancelled
inline constexpr uint32_t kOrderScheduleShift = 16;      // fee schedule, 4 bits

struct Order {
    int64_t price;    // ticks: the worst price
    int64_t open;     // lots, hidden ones too
    int64_t visible;  // lots
    OrderSlot next;   // towards the tail of its queue
    OrderSlot prev;
    OrderId orderId;
    AccountId account;
    AccountId firm;
    InstrumentId instrument;
    uint32_t entry;  // of the client id table
    uint32_t flags;
    uint32_t extra;  // slot of OrderExtra, 0: none

    [[nodiscard]] bool sell() const { return (flags & kOrderSell) != 0; }
    [[nodiscard]] Side side() const { return sell() ? Side::Sell : Side::Buy; }
    [[nodiscard]] OrderType type() const { return OrderType((flags >> kOrderTypeShift) & 7); }
    [[nodiscard]] TimeInForce timeInForce() const {
        return TimeInForce((flags >> kOrderTimeInForceShift) & 7);
    }
    [[nodiscard]] SelfTrade selfTrade() const {
        return SelfTrade((flags >> kOrderSelfTradeShift) & 7);
    }
    [[nodiscard]] uint8_t schedule() const { return (flags >> kOrderScheduleShift) & 15; }
    [[nodiscard]] bool waiting() const { return (flags & kOrderWaiting) != 0; }
    [[nodiscard]] bool immediate() const { return (flags & kOrderImmediate) != 0; }
};
static_assert(sizeof(Order) == 64);

struct OrderExtra {
    int64_t display;    // lots; 0: no iceberg
    int64_t stopPrice;  // ticks; 0: no stop
    uint64_t expiry;    // nanoseconds since 1970; 0: none
    uint64_t nextFree;
};
static_assert(sizeof(OrderExtra) == 32);

// All open orders of a core.
class OrderSlab {
public:
    // warm: all memory is touched at once, so that trading takes no page fault.
    explicit OrderSlab(uint32_t capacity, bool warm = false)
        : orders_(zeroedArray<Order>(size_t{capacity} + 2)),
          extras_(zeroedArray<OrderExtra>(size_t{capacity} + 2)),
          capacity_(capacity) {
        if (warm) touchPages(orders_);
    }

    [[nodiscard]] Order& operator[](OrderSlot slot) { return orders_[slot]; }
    [[nodiscard]] const Order& operator[](OrderSlot slot) const { return orders_[slot]; }
    [[nodiscard]] uint32_t live() const { return live_; }
    [[nodiscard]] bool full() const { return live_ >= capacity_; }

    // Requires: !full().
    [[nodiscard]] OrderSlot claim() {
        DCHECK(!full());
        ++live_;
        const OrderSlot slot = free_;
        if (slot != 0) {
            free_ = orders_[slot].next;
            return slot;
        }
        return ++used_;
    }
    void release(OrderSlot slot) {
        Order& order = orders_[slot];
        if (order.extra != 0) {
            extras_[order.extra].nextFree = freeExtra_;
            freeExtra_ = order.extra;
            order.extra = 0;
        }
        order.orderId = 0;
        order.next = free_;
        free_ = slot;
        --live_;
    }

    [[nodiscard]] const OrderExtra& extra(const Order& order) const { return extras_[order.extra]; }
    // The order's extra, one that is all zeros if it had none.
    [[nodiscard]] OrderExtra& needExtra(Order& order) {
        if (order.extra == 0) {
            if (freeExtra_ != 0) {
                order.extra = static_cast<uint32_t>(freeExtra_);
                freeExtra_ = extras_[order.extra].nextFree;
            } else {
                order.extra = ++usedExtra_;
            }
            extras_[order.extra] = OrderExtra{};
        }
        return extras_[order.extra];
    }

private:
    ZeroedArray<Order> orders_;
    ZeroedArray<OrderExtra> extras_;
    uint32_t capacity_;
    uint32_t live_ = 0;
    uint32_t used_ = 0;
    uint32_t usedExtra_ = 0;
    OrderSlot free_ = 0;
    uint64_t freeExtra_ = 0;
};

// A queue of orders at one price, first come first.
struct Level {
    OrderSlot head;
    OrderSlot tail;
};
static_assert(sizeof(Level) == 8);

}  // namespace verbex
