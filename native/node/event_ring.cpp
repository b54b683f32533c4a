#include "node/event_ring.h"

#include <algorithm>
#include <bit>

namespace verbex::node {

EventRing::EventRing(uint32_t cells) : cells_(cells), memory_(new Event[cells]()) {
    CHECK(std::has_single_bit(cells));
}

uint64_t EventRing::available() {
    const uint64_t consumed = consumed_.load(std::memory_order_relaxed);
    uint64_t ready = published_.load(std::memory_order_acquire) - consumed;
    if (ready != 0) return ready;
    // The argument of pipeline/doorbell.h: an exchange on both sides, and a second look behind this one.
    consumerWaits_.exchange(true, std::memory_order_acq_rel);
    ready = published_.load(std::memory_order_acquire) - consumed;
    if (ready != 0) consumerWaits_.exchange(false, std::memory_order_acq_rel);
    return ready;
}

bool EventRing::release(uint64_t count) {
    const uint64_t consumed = consumed_.load(std::memory_order_relaxed);
    if (count > published_.load(std::memory_order_acquire) - consumed) return false;
    consumed_.store(consumed + count, std::memory_order_release);
    return true;
}

bool EventRing::publish(uint64_t written) {
    DCHECK(written >= published_.load(std::memory_order_relaxed));
    if (written == published_.load(std::memory_order_relaxed)) return false;
    published_.store(written, std::memory_order_release);
    return consumerWaits_.exchange(false, std::memory_order_acq_rel);
}

EventRingWriter::EventRingWriter(EventRing& ring, RoomMaker& roomMaker)
    : ring_(ring), roomMaker_(roomMaker), scratch_(std::make_unique<Event[]>(kScratchCells)) {
    nextRegion();
}

void EventRingWriter::drain() {
    absorb();
    if (!discarding_) {
        written_ = written();
        regionCounted_ = true;
        if (ring_.freeCells(written_) == 0) roomMaker_.makeRoom();
    }
    nextRegion();
}

void EventRingWriter::discard() {
    if (discarding_) return;
    written_ = written();
    discarding_ = true;
    nextRegion();
}

void EventRingWriter::nextRegion() {
    absorbed_ = 0;
    regionCounted_ = discarding_;
    if (discarding_) {
        setRegion(scratch_.get(), scratch_.get() + kScratchCells);
        regionEnd_ = scratch_.get() + kScratchCells;
        return;
    }
    const uint64_t at = written_ % ring_.cells();
    const uint64_t room = std::min<uint64_t>(ring_.freeCells(written_), ring_.cells() - at);
    Event* const first = ring_.memory().get() + at;
    setRegion(first, first + room);
    regionEnd_ = first + room;
}

}  // namespace verbex::node
