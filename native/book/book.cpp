#include "book/book.h"

#include <algorithm>

namespace verbex {

namespace {

void append(Level& level, Order& order, OrderSlot slot, OrderSlab& slab) {
    order.next = 0;
    order.prev = level.tail;
    if (level.tail != 0) {
        slab[level.tail].next = slot;
    } else {
        level.head = slot;
    }
    level.tail = slot;
}

void detach(Level& level, const Order& order, OrderSlab& slab) {
    if (order.prev != 0) {
        slab[order.prev].next = order.next;
    } else {
        level.head = order.next;
    }
    if (order.next != 0) {
        slab[order.next].prev = order.prev;
    } else {
        level.tail = order.prev;
    }
}

}  // namespace

Event& Book::emitOrder(EventType type, const Order& order, const CommandContext& context) const {
    Event& event = context.emit(type, instrument_);
    describeOrder(event, order);
    return event;
}

// ---- entering

bool Book::enter(OrderSlot slot, int64_t minQuantity, Event& head, const CommandContext& context) {
    Order& order = slab_[slot];
    const bool meets = reaches(order.sell(), order.price);
    if (!meets && !order.immediate() && minQuantity == 0) {
        rest(slot);
        head.flags |= kEventBooked;
        head.leaves2 = order.visible;
        head.account2 = slot;
        return true;
    }
    const bool fillOrKill = order.timeInForce() == TimeInForce::Fok;
    if (fillOrKill || minQuantity != 0) {
        const int64_t quantity = meets ? fillable(order) : 0;
        if (fillOrKill && quantity < order.open) {
            cancelRest(order, Cause::FillOrKill, context);
        } else if (minQuantity > quantity) {
            cancelRest(order, Cause::MinQuantity, context);
        }
    }
    if (meets && order.open > 0) match(order, context);
    if (order.open > 0 && order.immediate()) cancelRest(order, Cause::Immediate, context);
    if (order.open == 0) {
        slab_.release(slot);
        return false;
    }
    rest(slot);
    Event& event = emitOrder(EventType::Booked, order, context);
    event.quantity = event.leaves2 = order.visible;
    event.leaves = order.open;
    event.account2 = slot;
    return true;
}

void Book::cancelRest(Order& taker, Cause cause, const CommandContext& context) {
    Event& event = emitOrder(EventType::Cancelled, taker, context);
    event.code = static_cast<uint16_t>(cause);
    event.quantity = taker.open;
    taker.open = 0;
}

void Book::rest(OrderSlot slot) {
    Order& order = slab_[slot];
    order.visible = order.open;
    if (order.extra != 0) {
        const int64_t display = slab_.extra(order).display;
        if (display != 0) order.visible = std::min(display, order.open);
    }
    append(ladder_.join(order.price), order, slot, slab_);
    if (order.sell()) {
        if (bestAsk_ == Ladder::kNone || order.price < bestAsk_) bestAsk_ = order.price;
    } else if (order.price > bestBid_) {
        bestBid_ = order.price;
    }
}

// ---- matching

void Book::match(Order& order, const CommandContext& context) {
    const bool sell = order.sell();
    const bool prevent = order.selfTrade() != SelfTrade::None;
    while (order.open > 0 && reaches(sell, order.price)) {
        const int64_t price = bestOpposite(sell);
        Level& level = ladder_.occupied(price);
        const OrderSlot makerSlot = level.head;
        Order& maker = slab_[makerSlot];
        if (prevent && isSelf(order, maker)) {
            if (preventSelfTrade(order, makerSlot, context) == Step::TakerGone) return;
            continue;
        }
        const int64_t quantity = std::min(order.open, maker.visible);
        order.open -= quantity;
        maker.open -= quantity;
        maker.visible -= quantity;
        lastPrice_ = price;
        ++trades_;

        Event& event = context.emit(EventType::Trade, instrument_);
        describeOrder(event, order);
        event.price = price;
        event.quantity = quantity;
        event.leaves = order.open;
        event.schedules = static_cast<uint16_t>(maker.schedule() << 8 | order.schedule());
        event.account2 = maker.account;
        event.orderId2 = maker.orderId;
        event.id2.lo = maker.entry;
        event.leaves2 = maker.open;
        event.tradeId = static_cast<uint32_t>(trades_);

        if (maker.open == 0) {
            const OrderSlot next = maker.next;
            slab_.release(makerSlot);
            level.head = next;
            if (next != 0) {
                slab_[next].prev = 0;
            } else {
                levelVacated(price, !sell);
            }
        } else if (maker.visible == 0) {
            reload(maker, makerSlot, context);
        }
    }
}

void Book::reload(Order& maker, OrderSlot slot, const CommandContext& context) {
    maker.visible = std::min(slab_.extra(maker).display, maker.open);
    Level& level = ladder_.occupied(maker.price);
    detach(level, maker, slab_);
    append(level, maker, slot, slab_);
    Event& event = emitOrder(EventType::Booked, maker, context);
    event.flags |= kEventReload;
    event.quantity = event.leaves2 = maker.visible;
    event.leaves = maker.open;
}

void Book::levelVacated(int64_t price, bool sell) {
    ladder_.vacate(price);
    if (sell) {
        if (price == bestAsk_) bestAsk_ = ladder_.above(price);
    } else if (price == bestBid_) {
        bestBid_ = ladder_.below(price);
    }
}

Book::Step Book::preventSelfTrade(Order& order, OrderSlot makerSlot,
                                  const CommandContext& context) {
    switch (order.selfTrade()) {
        case SelfTrade::None: break;
        case SelfTrade::CancelNewest:
            cancelRest(order, Cause::SelfTrade, context);
            return Step::TakerGone;
        case SelfTrade::CancelOldest:
            cancel(makerSlot, Cause::SelfTrade, context);
            return Step::GoOn;
        case SelfTrade::CancelBoth:
            cancel(makerSlot, Cause::SelfTrade, context);
            cancelRest(order, Cause::SelfTrade, context);
            return Step::TakerGone;
        case SelfTrade::Decrement: {
            const int64_t makerOpen = slab_[makerSlot].open;
            const int64_t quantity = std::min(order.open, makerOpen);
            if (quantity == makerOpen) {
                cancel(makerSlot, Cause::SelfTrade, context);
            } else {
                reduce(makerSlot, quantity, Cause::SelfTrade, context);
            }
            if (quantity == order.open) {
                cancelRest(order, Cause::SelfTrade, context);
                return Step::TakerGone;
            }
            order.open -= quantity;
            Event& event = emitOrder(EventType::Reduced, order, context);
            event.code = static_cast<uint16_t>(Cause::SelfTrade);
            event.quantity = quantity;
            event.leaves = order.open;
            return Step::GoOn;
        }
    }
    CHECK(false);
}

// What the taker could trade at once, at most its open quantity (docs/rules.md section 6).
int64_t Book::fillable(const Order& order) const {
    const bool sell = order.sell();
    int64_t sum = 0;
    int64_t price = bestOpposite(sell);
    while (price != Ladder::kNone && (sell ? price >= order.price : price <= order.price)) {
        const Level level = ladder_.at(price);
        bool own = false;
        const int64_t here = fillableAt(level, order, &own);
        // Both are at most 2^53 × 2^32: stop as soon as there is enough, so nothing overflows.
        sum = here >= order.open - sum ? order.open : sum + here;
        if (own || sum == order.open) return sum;
        price = sell ? ladder_.below(price) : ladder_.above(price);
    }
    return sum;
}

// What one level offers. *own: matching would end at an own order here.
int64_t Book::fillableAt(Level level, const Order& order, bool* own) const {
    const SelfTrade mode = order.selfTrade();
    int64_t whole = 0;
    int64_t shown = 0;
    for (OrderSlot slot = level.head; slot != 0; slot = slab_[slot].next) {
        const Order& maker = slab_[slot];
        const bool self = mode != SelfTrade::None && isSelf(order, maker);
        if (self && mode == SelfTrade::CancelOldest) continue;
        if (self) {
            *own = true;
            return shown;
        }
        // Saturating, as above; the visible part can matter only while it is below what is wanted.
        whole = maker.open >= order.open - whole ? order.open : whole + maker.open;
        shown = maker.visible >= order.open - shown ? order.open : shown + maker.visible;
        if (shown == order.open) return shown;
    }
    return whole;
}

// ---- leaving

void Book::unlinkFromLevel(OrderSlot slot) {
    const Order& order = slab_[slot];
    Level& level = ladder_.occupied(order.price);
    detach(level, order, slab_);
    if (level.head == 0) levelVacated(order.price, order.sell());
}

void Book::unlink(OrderSlot slot) {
    const Order& order = slab_[slot];
    if (!order.waiting()) {
        unlinkFromLevel(slot);
        return;
    }
    StopLevels& stops = order.sell() ? sellStops_ : buyStops_;
    const auto found = stops.find(slab_.extra(order).stopPrice);
    CHECK(found != stops.end());
    detach(found->second, order, slab_);
    if (found->second.head == 0) stops.erase(found);
    --stops_;
}

void Book::cancel(OrderSlot slot, Cause cause, const CommandContext& context) {
    const Order& order = slab_[slot];
    Event& event = emitOrder(EventType::Cancelled, order, context);
    event.code = static_cast<uint16_t>(cause);
    event.quantity = order.open;
    unlink(slot);
    slab_.release(slot);
}

void Book::lower(OrderSlot slot, int64_t open) {
    Order& order = slab_[slot];
    CHECK(0 < open && open <= order.open);
    order.open = open;
    order.visible = std::min(order.visible, open);
}

void Book::reduce(OrderSlot slot, int64_t by, Cause cause, const CommandContext& context) {
    Order& order = slab_[slot];
    lower(slot, order.open - by);
    Event& event = emitOrder(EventType::Reduced, order, context);
    event.code = static_cast<uint16_t>(cause);
    event.quantity = by;
    event.leaves = order.open;
    event.leaves2 = order.visible;
}

void Book::withdraw(OrderSlot slot) {
    unlink(slot);
    slab_[slot].visible = 0;
}

// ---- stops

void Book::wait(OrderSlot slot) {
    Order& order = slab_[slot];
    order.visible = 0;
    order.flags |= kOrderWaiting;
    append((order.sell() ? sellStops_ : buyStops_)[slab_.extra(order).stopPrice], order, slot, slab_);
    ++stops_;
}

OrderSlot Book::nextTriggered() const {
    if (lastPrice_ == 0) return 0;
    if (!buyStops_.empty() && buyStops_.begin()->first <= lastPrice_) {
        return buyStops_.begin()->second.head;
    }
    if (!sellStops_.empty() && sellStops_.rbegin()->first >= lastPrice_) {
        return sellStops_.rbegin()->second.head;
    }
    return 0;
}

void Book::runTriggeredStops(const CommandContext& context) {
    for (OrderSlot slot = nextTriggered(); slot != 0; slot = nextTriggered()) {
        withdraw(slot);
        Order& order = slab_[slot];
        order.flags &= ~kOrderWaiting;
        if (order.type() == OrderType::Stop) order.flags |= kOrderImmediate;
        Event& head = emitOrder(EventType::Triggered, order, context);
        head.quantity = head.leaves = order.open;
        (void)enter(slot, 0, head, context);
    }
}

bool Book::restore(OrderSlot slot, int64_t visible) {
    Order& order = slab_[slot];
    if (order.waiting()) {
        wait(slot);
        return true;
    }
    if (reaches(order.sell(), order.price)) return false;
    rest(slot);
    order.visible = visible;
    return true;
}

}  // namespace verbex
