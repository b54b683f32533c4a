#include "node/event_ring.h"

#include <algorithm>
#include <bit>

namespace verbex::node {

EventRing::EventRing(uint32_t cells, uint32_t readers)
    : cells_(cells), readers_(readers), memory_(new Event[cells]()) {
    CHECK(std::has_single_bit(cells) && readers < 1u << kReadersMax);
}

uint64_t EventRing::available(uint32_t reader) {
    Cursor& cursor = cursors_[reader];
    const uint64_t consumed = cursor.consumed.load(std::memory_order_relaxed);
    uint64_t ready = published_.load(std::memory_order_acquire) - consumed;
    if (ready != 0) return ready;
    // The argument of pipeline/doorbell.h: an exchange on both sides, and a second look behind this one.
    cursor.waits.exchange(true, std::memory_order_acq_rel);
    ready = published_.load(std::memory_order_acquire) - consumed;
    if (ready != 0) cursor.waits.exchange(false, std::memory_order_acq_rel);
    return ready;
}

bool EventRing::release(uint64_t count, uint32_t reader) {
    Cursor& cursor = cursors_[reader];
    const uint64_t consumed = cursor.consumed.load(std::memory_order_relaxed);
    if (count > published_.load(std::memory_order_acquire) - consumed) return false;
    cursor.consumed.store(consumed + count, std::memory_order_release);
    return true;
}

uint32_t EventRing::publish(uint64_t written) {
    CHECK(written >= published_.load(std::memory_order_relaxed));
    if (written == published_.load(std::memory_order_relaxed)) return 0;
    published_.store(written, std::memory_order_release);
    uint32_t waiting = 0;
    for (uint32_t reader = 0; reader < kReadersMax; reader++) {
        if ((readers_ & 1u << reader) != 0 &&
            cursors_[reader].waits.exchange(false, std::memory_order_acq_rel)) {
            waiting |= 1u << reader;
        }
    }
    return waiting;
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
