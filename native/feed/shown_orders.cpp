// The list, the table and the walk: see shown_orders.h.
#include "feed/shown_orders.h"

namespace verbex::feed {

uint32_t ShownOrders::claim() {
    if (free_ != 0) {
        const uint32_t slot = free_;
        free_ = at(slot).next;
        return slot;
    }
    CHECK(used_ != UINT32_MAX);
    if (used_ / kChunk >= chunks_.size()) {
        chunks_.push_back(std::make_unique<ShownOrder[]>(kChunk));
    }
    return used_++;
}

void ShownOrders::add(OrderId order, uint16_t locate, Side side, uint32_t price, int64_t visible,
                      uint64_t reference) {
    CHECK(last_ == 0 || reference > at(last_).reference);
    const uint32_t slot = claim();
    at(slot) = ShownOrder{order, reference, visible, -1, price, 0, last_, locate, side, false};
    if (last_ != 0) {
        at(last_).next = slot;
    } else {
        first_ = slot;
    }
    last_ = slot;
    uint32_t& known = slots_.findOrAdd(order);
    CHECK(known == 0);
    known = slot;
    parts_ += ShownOrder::partsOf(visible);
}

void ShownOrders::setVisible(ShownOrder& order, int64_t visible) {
    CHECK(visible > 0);
    freeze(order);
    parts_ = parts_ + ShownOrder::partsOf(visible) - ShownOrder::partsOf(order.visible);
    order.visible = visible;
}

void ShownOrders::remove(ShownOrder& order) {
    freeze(order);
    parts_ -= ShownOrder::partsOf(order.visible);
    const uint32_t slot = *slots_.find(order.orderId);
    slots_.erase(order.orderId);
    if (order.frozen >= 0) {
        order.gone = true;
    } else {
        unlink(slot);
    }
}

void ShownOrders::unlink(uint32_t slot) {
    ShownOrder& order = at(slot);
    (order.previous != 0 ? at(order.previous).next : first_) = order.next;
    (order.next != 0 ? at(order.next).previous : last_) = order.previous;
    order.next = free_;
    free_ = slot;
}

void ShownOrders::beginWalk() {
    CHECK(walkAt_ == 0);
    walkAt_ = first_;
    if (first_ == 0) return;
    walkFrom_ = at(first_).reference;
    walkTo_ = at(last_).reference;
}

void ShownOrders::step(ShownOrder& order) {
    const uint32_t slot = walkAt_;
    const bool over = order.reference == walkTo_;
    walkAt_ = over ? 0 : order.next;
    if (walkAt_ != 0) walkFrom_ = at(walkAt_).reference;
    order.frozen = -1;
    if (order.gone) unlink(slot);
}

}  // namespace verbex::feed
