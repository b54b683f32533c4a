// ShownOrders: what stands on the feed now, by order and in the order of reference numbers.
//
// Purpose: the builder finds an order by its id; a snapshot walks all of them in the order in which their
// references were given, which within a price is the queue, a bounded number at a time, and sees them as
// they were when the walk began.
// Owner: the feed builder.
// Thread safety: none.
// Invariants:
//   1. The list is sorted by reference.
//   2. What a walk has not reached yet keeps, until then, what was visible when the walk began, even where
//      the order has gone since.
//   3. Memory grows with the most orders that were shown at once, in chunks; nothing is moved but the table
//      of ids.
// Requires: references only go up.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/flat_map.h"
#include "wire/command.h"

namespace verbex::feed {

// An order that shows more than a message can say is shown as parts: the first holds the remainder, the others
// as much as there is room for; what trades or goes is taken from the front. So the last part's reference and
// the sum say everything.
inline constexpr int64_t kPartMax = UINT32_MAX;

struct ShownOrder {
    OrderId orderId;
    uint64_t reference;  // of the last part
    int64_t visible;
    int64_t frozen;      // visible when the walk under way began; −1: as it is now
    uint32_t price;
    uint32_t next;       // in the list; 0: none
    uint32_t previous;
    uint16_t locate;
    Side side;
    bool gone;           // only a walk holds it

    [[nodiscard]] static uint64_t partsOf(int64_t visible) {
        return static_cast<uint64_t>((visible - 1) / kPartMax + 1);
    }
    [[nodiscard]] static uint32_t frontOf(int64_t visible) {
        return static_cast<uint32_t>((visible - 1) % kPartMax + 1);
    }
    [[nodiscard]] static uint64_t frontReference(uint64_t last, int64_t visible) {
        return last - (partsOf(visible) - 1);
    }
};

class ShownOrders {
public:
    [[nodiscard]] ShownOrder* find(OrderId order) {
        const uint32_t* slot = slots_.find(order);
        return slot == nullptr ? nullptr : &at(*slot);
    }
    // Behind all others.
    void add(OrderId order, uint16_t locate, Side side, uint32_t price, int64_t visible,
             uint64_t reference);
    void setVisible(ShownOrder& order, int64_t visible);
    void remove(ShownOrder& order);

    [[nodiscard]] uint64_t parts() const { return parts_; }  // references on the feed

    // A walk over what is shown now. One at a time.
    void beginWalk();
    [[nodiscard]] bool walking() const { return walkAt_ != 0; }
    // visit(order, visible) for at most so many; true: the walk is over.
    template <typename Visit>
    bool walk(uint32_t most, Visit&& visit) {
        for (; walkAt_ != 0 && most != 0; --most) {
            ShownOrder& order = at(walkAt_);
            visit(static_cast<const ShownOrder&>(order),
                  order.frozen >= 0 ? order.frozen : order.visible);
            step(order);
        }
        return walkAt_ == 0;
    }

private:
    static constexpr uint32_t kChunk = 1u << 12;

    [[nodiscard]] ShownOrder& at(uint32_t slot) { return chunks_[slot / kChunk][slot % kChunk]; }
    [[nodiscard]] uint32_t claim();
    void unlink(uint32_t slot);
    void step(ShownOrder& order);
    // Must the walk still see it as it is?
    void freeze(ShownOrder& order) {
        if (walkAt_ != 0 && order.frozen < 0 && order.reference >= walkFrom_ &&
            order.reference <= walkTo_) {
            order.frozen = order.visible;
        }
    }

    FlatMap<uint32_t> slots_{1u << 12};
    std::vector<std::unique_ptr<ShownOrder[]>> chunks_;
    uint32_t used_ = 1;  // slots ever used; 0 is none
    uint32_t free_ = 0;
    uint32_t first_ = 0;
    uint32_t last_ = 0;
    uint64_t parts_ = 0;
    uint32_t walkAt_ = 0;
    uint64_t walkFrom_ = 0;
    uint64_t walkTo_ = 0;
};

}  // namespace verbex::feed
