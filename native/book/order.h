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

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/check.h"
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

// The memory of all open orders of a core: two arrays that every slab of it looks into.
class OrderMemory {
public:
    // slabs: how many will share it. Slots that one has freed are not for the others, so each may come
    // to use as many as there can be orders; memory that no order has used costs nothing.
    // warm: memory for `capacity` orders is touched at once, so that trading takes no page fault.
    OrderMemory(uint32_t capacity, uint32_t slabs, bool warm)
        : blockSlots_(slabs == 1 ? capacity + 1 : kBlockSlots),
          slots_(slabs * (size_t{capacity} + kBlockSlots) + 2),
          orders_(zeroedArray<Order>(slots_)),
          extras_(zeroedArray<OrderExtra>(slots_)) {
        CHECK(slots_ <= UINT32_MAX);
        if (warm) touchPages(orders_, size_t{capacity} + 2);
    }
    OrderMemory(const OrderMemory&) = delete;
    OrderMemory& operator=(const OrderMemory&) = delete;

private:
    friend class OrderSlab;
    static constexpr uint32_t kBlockSlots = 256;  // 16 KiB of orders

    // A slab alone takes everything at once; several take a block each time.
    const uint32_t blockSlots_;
    const size_t slots_;
    ZeroedArray<Order> orders_;
    ZeroedArray<OrderExtra> extras_;
    std::atomic<uint32_t> taken_{1};  // slot 0 is none
    std::atomic<uint32_t> takenExtras_{1};
};

// Open orders of the books that one thread matches. A core has one, or one for each matching shard; a slot
// means the same order in all of them.
// Thread safety: claim, release and needExtra by the matching thread that owns the slab; orders of another
// slab may be looked at only while its thread rests.
class OrderSlab {
public:
    explicit OrderSlab(OrderMemory& memory)
        : memory_(memory), orders_(memory.orders_.get()), extras_(memory.extras_.get()) {}
    // With slots of its own, the `lane`-th part of the memory: which slot an order gets depends on this
    // slab's orders only, so that a process which has this slab alone gives the same ones.
    OrderSlab(OrderMemory& memory, uint32_t lane, uint32_t capacity) : OrderSlab(memory) {
        const uint32_t slots = capacity + OrderMemory::kBlockSlots;
        first_ = next_ = nextExtra_ = 1 + lane * slots;
        end_ = endExtra_ = next_ + slots;
    }
    OrderSlab(const OrderSlab&) = delete;
    OrderSlab& operator=(const OrderSlab&) = delete;

    [[nodiscard]] Order& operator[](OrderSlot slot) { return orders_[slot]; }
    [[nodiscard]] const Order& operator[](OrderSlot slot) const { return orders_[slot]; }
    [[nodiscard]] uint32_t live() const { return live_; }
    // Of a slab with slots of its own: every order that lies in it. visit(slot, order)
    template <typename Visit>
    void forEach(Visit visit) const {
        for (OrderSlot slot = first_; slot < next_; ++slot) {
            if (orders_[slot].orderId != 0) visit(slot, orders_[slot]);
        }
    }
    [[nodiscard]] bool owns(OrderSlot slot) const { return slot >= first_ && slot < next_; }
    // An order that another process has, as it is there now.
    void plant(OrderSlot slot, const Order& order, const OrderExtra& extra) {
        orders_[slot] = order;
        if (order.extra == 0) return;
        orders_[slot].extra = slot;
        extras_[slot] = extra;
    }

    // Requires: fewer open orders in the core than it was made for.
    [[nodiscard]] OrderSlot claim() {
        ++live_;
        const OrderSlot slot = free_;
        if (slot != 0) {
            free_ = orders_[slot].next;
            return slot;
        }
        if (next_ == end_) takeBlock(memory_.taken_, &next_, &end_);
        return next_++;
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

    // ---- of a slab with slots of its own, whose slots are to be those of another one (core/numbers.h)
    [[nodiscard]] OrderSlot neverUsed() const { return next_; }
    // In the order in which they will be claimed; visit(slot)
    template <typename Visit>
    void forEachFree(Visit visit) const {
        for (OrderSlot slot = free_; slot != 0; slot = orders_[slot].next) visit(slot);
    }
    // Nothing was claimed yet. False: these cannot be the slots of this slab.
    [[nodiscard]] bool restoreSlots(OrderSlot next, std::span<const OrderSlot> free) {
        if (live_ != 0 || next < first_ || next > end_ || free.size() > next - first_) return false;
        next_ = next;
        for (size_t i = free.size(); i-- > 0;) {
            const OrderSlot slot = free[i];
            // The mark is found by an order that wants this slot, and by another free one.
            if (!owns(slot) || orders_[slot].orderId != 0) return false;
            orders_[slot].orderId = kFreeMark;
            orders_[slot].next = free_;
            free_ = slot;
        }
        return true;
    }
    // All that are in use are claimed. False: some are neither free nor in use, and would be lost for ever.
    [[nodiscard]] bool slotsRestored() {
        uint32_t free = 0;
        for (OrderSlot slot = free_; slot != 0; slot = orders_[slot].next, ++free) {
            orders_[slot].orderId = 0;
        }
        return live_ + free == next_ - first_;
    }
    // Between the two.
    [[nodiscard]] bool claimAt(OrderSlot slot) {
        if (!owns(slot) || orders_[slot].orderId != 0) return false;
        ++live_;
        return true;
    }

    [[nodiscard]] const OrderExtra& extra(const Order& order) const { return extras_[order.extra]; }
    // The order's extra, one that is all zeros if it had none.
    [[nodiscard]] OrderExtra& needExtra(Order& order) {
        if (order.extra == 0) {
            if (freeExtra_ != 0) {
                order.extra = static_cast<uint32_t>(freeExtra_);
                freeExtra_ = extras_[order.extra].nextFree;
            } else {
                if (nextExtra_ == endExtra_) {
                    takeBlock(memory_.takenExtras_, &nextExtra_, &endExtra_);
                }
                order.extra = nextExtra_++;
            }
            extras_[order.extra] = OrderExtra{};
        }
        return extras_[order.extra];
    }

private:
    static constexpr uint64_t kFreeMark = UINT64_MAX;

    [[gnu::noinline, gnu::cold]] void takeBlock(std::atomic<uint32_t>& taken, uint32_t* next,
                                                uint32_t* end) {
        *next = taken.fetch_add(memory_.blockSlots_, std::memory_order_relaxed);
        *end = *next + memory_.blockSlots_;
        CHECK(*end <= memory_.slots_);
    }

    OrderMemory& memory_;
    Order* const orders_;
    OrderExtra* const extras_;
    uint32_t live_ = 0;
    OrderSlot first_ = 0;  // of slots of its own
    OrderSlot free_ = 0;
    OrderSlot next_ = 0, end_ = 0;  // never used so far
    uint64_t freeExtra_ = 0;
    uint32_t nextExtra_ = 0, endExtra_ = 0;
};

// A queue of orders at one price, first come first.
struct Level {
    OrderSlot head;
    OrderSlot tail;
};
static_assert(sizeof(Level) == 8);

}  // namespace verbex
