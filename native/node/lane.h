// Lane: the events of one matching shard, in the order in which it wrote them.
//
//      matching ──write──▶ [ event | event | … ] ──settle (every risk shard, in place)──▶ publish
//                          ^ freed               ^ written
//
// Purpose: matching writes events in place, settlement completes them in place. One matching shard writes
// straight into the ring that the consumer reads: nothing is ever copied. Several have a lane each, and the
// publisher merges them by position, which copies each event once: how many a command gives is not known
// before it is matched, so its place in the ring isn't either.
// Owner: the pipeline.
// Thread safety: LaneWriter by the matching thread (by the engine while all stages rest); written() and the
// events before it by those who were shown them (matching_stage.h).
// Invariants:
//   1. A cell is not written again before it is free: published and consumed, or copied out.
//   2. An index counts events up for ever; the cell is index % cells.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>

#include "node/event_ring.h"
#include "pipeline/cursor.h"
#include "wire/event_writer.h"

namespace verbex::node {

class Lane final : public EventWriter {
public:
    // Into the ring itself.
    explicit Lane(EventRing& ring);
    // Into memory of its own.
    explicit Lane(uint32_t cells);
    ~Lane() = default;

    [[nodiscard]] Event* at(uint64_t index) { return memory_.get() + (index & mask_); }
    // Calls visit(from, to) for the stretches that events [from, to) lie in: one, or two at the ring's end.
    template <typename Visit>
    void stretches(uint64_t from, uint64_t to, Visit visit) {
        CHECK(from <= to);
        while (from != to) {
            const uint64_t count = std::min(to - from, mask_ + 1 - (from & mask_));
            visit(at(from), at(from) + count);
            from += count;
        }
    }

    // ---- writer
    // Index behind the last event.
    [[nodiscard]] uint64_t end() const { return base_ + static_cast<uint64_t>(cursor() - begin()); }
    // At least so many cells are free. Between commands only.
    [[nodiscard]] bool hasRoom(uint64_t cells);
    // Called in the middle of a command that finds no free cell, with the events before end() complete but
    // for settlement. Must return when there is room, or after abandon().
    void onFull(std::function<void()> wait) { wait_ = std::move(wait); }
    // The node has failed or stops: what is written from now on goes nowhere. Any thread.
    void abandon() { abandoned_.store(true, std::memory_order_release); }
    [[nodiscard]] bool abandoned() const { return abandoned_.load(std::memory_order_acquire); }
    [[nodiscard]] uint64_t freeCells() const { return mask_ + 1 - (end() - freedIndex()); }

    // ---- publisher, for a lane with memory of its own
    void free(uint64_t upTo) { freed_.set(upTo); }

    [[nodiscard]] uint64_t cells() const { return mask_ + 1; }

private:
    static constexpr size_t kScratchCells = 64;

    void drain() override;
    void nextRegion();
    [[nodiscard]] uint64_t freedIndex() const {
        return ring_ != nullptr ? ring_->freed() : freed_.get();
    }

    EventRing* const ring_;
    const uint64_t mask_;
    const std::shared_ptr<Event[]> memory_;
    uint64_t base_ = 0;        // index of begin()
    uint64_t knownFreed_ = 0;  // as last looked at
    std::function<void()> wait_;
    std::atomic<bool> abandoned_{false};
    std::unique_ptr<Event[]> scratch_;
    pipeline::Cursor freed_;
};

}  // namespace verbex::node
