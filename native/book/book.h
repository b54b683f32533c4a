// Book: one instrument's open orders and waiting stops, and matching in strict price-time priority.
//
// Purpose: takes orders that have passed validation, matches them, rests what is left, and writes what
// happened as events, in place. It knows ticks, lots and queues, and nothing of money, accounts' rights
// or client ids.
// Owner: the core's matching; one thread at a time.
// Thread safety: none.
// Invariants:
//   1. Not crossed: best bid < best ask whenever no order is being matched.
//   2. A level's queue is in order of arrival; an iceberg that reloads arrives anew.
//   3. Events carry, for the settlement that follows: the client id table's entry in id.lo (and id2.lo of
//      a maker), fee schedules in `schedules`, and where an order came to rest, its slot in account2.
//      Settlement replaces all of them; they never leave the core.
//
//        stops (by trigger)          ladder (by price)             slab
//     buy  236.60 → o → o         asks 236.51 → o → o → o       ┌────────┐
//     sell 235.90 → o             bids 236.47 → o → o           │ orders │ one cache line each
//                                      236.45 → o               └────────┘
#pragma once

#include <cstdint>
#include <map>

#include "book/ladder.h"
#include "book/order.h"
#include "wire/command.h"
#include "wire/event_writer.h"

namespace verbex {

// Whose command this is: stands in the head of every event.
struct CommandContext {
    EventWriter& events;
    Position position;
    uint64_t token;

    // A new event of this command, all else zero.
    Event& emit(EventType type, InstrumentId instrument) const {
        Event& event = events.claim();
        clearEvent(event);
        event.type = static_cast<uint8_t>(type);
        event.position = position;
        event.instrument = instrument;
        event.token = token;
        return event;
    }
};

class Book {
public:
    Book(InstrumentId instrument, OrderSlab& slab, int64_t priceMin, int64_t priceMax)
        : instrument_(instrument), slab_(slab), ladder_(priceMin, priceMax) {}
    Book(const Book&) = delete;
    Book& operator=(const Book&) = delete;

    // Where its orders lie.
    [[nodiscard]] OrderSlab& slab() { return slab_; }
    [[nodiscard]] int64_t bestBid() const { return bestBid_; }
    [[nodiscard]] int64_t bestAsk() const { return bestAsk_; }
    [[nodiscard]] int64_t bestOpposite(bool sell) const { return sell ? bestBid_ : bestAsk_; }
    [[nodiscard]] int64_t lastPrice() const { return lastPrice_; }
    [[nodiscard]] uint64_t trades() const { return trades_; }
    // Would an order of this side and price meet an order of the other side?
    [[nodiscard]] bool reaches(bool sell, int64_t price) const {
        return sell ? bestBid_ != Ladder::kNone && bestBid_ >= price
                    : bestAsk_ != Ladder::kNone && bestAsk_ <= price;
    }
    // Has the instrument traded at or beyond this stop price?
    [[nodiscard]] bool triggered(bool sell, int64_t stopPrice) const {
        return lastPrice_ != 0 && (sell ? lastPrice_ <= stopPrice : lastPrice_ >= stopPrice);
    }

    // Matches the order in this slot and rests what is left; if nothing rests, the slot is released.
    // `head` is the event that announced it, the last one claimed: flag Booked, leaves2 and account2 are
    // set in it if the order rests without a match. minQuantity: less than that at once, and it is cancelled.
    // Answers whether it rests. Requires: visible is 0; the order is in no queue.
    bool enter(OrderSlot slot, int64_t minQuantity, Event& head, const CommandContext& context);
    // Puts a stop among those that wait. Requires: its extra holds the stop price.
    void wait(OrderSlot slot);
    // Matches every waiting stop that the last price has triggered (docs/rules.md section 7).
    void runStops(const CommandContext& context) {
        if (stops_ != 0) runTriggeredStops(context);
    }

    void cancel(OrderSlot slot, Cause cause, const CommandContext& context);
    // Requires: 0 < by < open.
    void reduce(OrderSlot slot, int64_t by, Cause cause, const CommandContext& context);
    // Lowers the open quantity in place. Requires: 0 < open ≤ the order's.
    void lower(OrderSlot slot, int64_t open);
    // Takes the order out of its queue, without an event, to be entered again or put to wait.
    void withdraw(OrderSlot slot);

    // For queries, snapshots and recovery.
    using StopLevels = std::map<int64_t, Level>;
    [[nodiscard]] const Ladder& ladder() const { return ladder_; }
    [[nodiscard]] const StopLevels& buyStops() const { return buyStops_; }
    [[nodiscard]] const StopLevels& sellStops() const { return sellStops_; }
    // Rests an order as it was saved, at the tail of its level or among the stops.
    // False: it would cross the book.
    [[nodiscard]] bool restore(OrderSlot slot, int64_t visible);
    // What another process that has this book says of it, for a decision that looks at it.
    void plant(int64_t bestBid, int64_t bestAsk) {
        bestBid_ = bestBid;
        bestAsk_ = bestAsk;
    }
    void restoreTrades(int64_t lastPrice, uint64_t trades) {
        lastPrice_ = lastPrice;
        trades_ = trades;
    }

    // Brings close what a command will touch: the level at a price; the neighbours and level of an order.
    void warm(int64_t price) const { ladder_.warm(price); }
    void warmAround(const Order& order) const {
        touch(&slab_[order.prev]);
        touch(&slab_[order.next]);
        ladder_.warm(order.price);
    }

private:
    enum class Step : uint8_t { GoOn, TakerGone };

    [[nodiscard]] int64_t fillable(const Order& taker) const;
    [[nodiscard]] int64_t fillableAt(Level level, const Order& taker, bool* own) const;
    void match(Order& taker, const CommandContext& context);
    Step preventSelfTrade(Order& taker, OrderSlot makerSlot, const CommandContext& context);
    void cancelRest(Order& taker, Cause cause, const CommandContext& context);
    void rest(OrderSlot slot);
    void unlink(OrderSlot slot);
    void unlinkFromLevel(OrderSlot slot);
    void reload(Order& maker, OrderSlot slot, const CommandContext& context);
    void levelVacated(int64_t price, bool sell);
    void runTriggeredStops(const CommandContext& context);
    [[nodiscard]] OrderSlot nextTriggered() const;
    Event& emitOrder(EventType type, const Order& order, const CommandContext& context) const;

    InstrumentId instrument_;
    OrderSlab& slab_;
    int64_t bestBid_ = Ladder::kNone;
    int64_t bestAsk_ = Ladder::kNone;
    int64_t lastPrice_ = 0;
    uint64_t trades_ = 0;
    uint32_t stops_ = 0;
    Ladder ladder_;
    StopLevels buyStops_;
    StopLevels sellStops_;
};

// Self, as the taker's mode sees it.
[[nodiscard]] inline bool isSelf(const Order& taker, const Order& maker) {
    return (taker.flags & kOrderSelfTradeFirm) != 0 ? taker.firm == maker.firm
                                                    : taker.account == maker.account;
}

// Fills the order fields of an event (docs/rules.md section 10), ids left to settlement.
inline void describeOrder(Event& event, const Order& order) {
    event.side = static_cast<uint8_t>(order.side());
    event.kind = static_cast<uint8_t>(order.type());
    event.schedules = order.schedule();
    event.account = order.account;
    event.orderId = order.orderId;
    event.price = order.price;
    event.id.lo = order.entry;
}

}  // namespace verbex
