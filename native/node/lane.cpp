#include "node/lane.h"

#include <bit>

namespace verbex::node {

Lane::Lane(EventRing& ring) : ring_(&ring), mask_(ring.cells() - 1), memory_(ring.memory()) {
    nextRegion();
}

Lane::Lane(uint32_t cells) : ring_(nullptr), mask_(cells - 1), memory_(new Event[cells]()) {
    CHECK(std::has_single_bit(cells));
    nextRegion();
}

bool Lane::hasRoom(uint64_t cells) {
    // The reader's cursor is looked at only when what is known of it does not suffice.
    if (end() + cells <= knownFreed_ + mask_ + 1) return true;
    if (abandoned()) return true;
    knownFreed_ = freedIndex();
    return end() + cells <= knownFreed_ + mask_ + 1;
}

void Lane::drain() {
    base_ = end();
    setRegion(begin(), begin() + 1);  // empty of events: end() stays what it is while we wait
    if (!abandoned() && mask_ + 1 - (base_ - freedIndex()) == 0) wait_();
    nextRegion();
}

void Lane::nextRegion() {
    if (abandoned()) {
        if (scratch_ == nullptr) scratch_ = std::make_unique<Event[]>(kScratchCells);
        setRegion(scratch_.get(), scratch_.get() + kScratchCells);
        return;
    }
    const uint64_t at = base_ & mask_;
    const uint64_t room = std::min(mask_ + 1 - (base_ - freedIndex()), mask_ + 1 - at);
    setRegion(memory_.get() + at, memory_.get() + at + room);
}

}  // namespace verbex::node
