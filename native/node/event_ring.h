// EventRing: events on their way out, written in place by the core.
//
//      core --claim--> [ cell | cell | cell | … ] --available/release--> reader 0: the consumer (JS thread)
//                      ^ freed      ^ published   ^ written          ──▶ reader 1: the gateways' router
//                                                                      ──▶ reader 2: an edge's audit
//
// Purpose: the output ring and the writer that lets the core fill its free cells. Written cells
// stay invisible until the engine's publish barrier moves the published cursor past them. An event
// is written once, however many look at it; each reader has a cursor of its own, and a cell is free
// again once all of them have passed it.
// Owner: the engine owns ring and writer; the memory is shared with whoever looks at it (a JS
// ArrayBuffer), and lives as long as the longest of them.
// Thread safety: EventRingWriter and publish() from the engine thread; available() and release() of
// a reader from one other thread each.
// Invariants:
//   1. freed ≤ consumed ≤ published ≤ written ≤ freed + cells, freed being the least that a reader
//      has consumed; cursors count up for ever, the cell is index % cells.
//   2. The engine never reads a cell again that it has published. Readers do not write into cells
//      where there is more than one of them.
//   3. A reader that was told 0 by available() is told once when that has changed.
//   4. Every event passes the digest exactly once, in order, before it can be published.
// Requires: cells is a power of two.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/check.h"
#include "wire/event_digest.h"
#include "wire/event_writer.h"

namespace verbex::node {

class EventRing {
public:
    static constexpr uint32_t kReadersMax = 3;

    // `readers`: a bit for each that there is, 1 << reader. None: events are let go as they are published.
    explicit EventRing(uint32_t cells, uint32_t readers = 1);

    // ---- a reader
    // Cells that are ready from the reader's place on. 0: the next publish() answers that it waits.
    [[nodiscard]] uint64_t available(uint32_t reader = 0);
    // Gives the oldest cells back. False, and nothing done, where fewer than `count` are ready.
    [[nodiscard]] bool release(uint64_t count, uint32_t reader = 0);
    // Nobody waits for this reader any more; it takes nothing after it.
    void leave(uint32_t reader) {
        cursors_[reader].consumed.store(UINT64_MAX, std::memory_order_release);
    }

    // ---- engine
    // The readers that wait and must be told, as bits.
    [[nodiscard]] uint32_t publish(uint64_t written);
    [[nodiscard]] uint64_t freeCells(uint64_t written) const { return cells_ - (written - freed()); }
    // Up to where every reader is done.
    [[nodiscard]] uint64_t freed() const {
        uint64_t least = UINT64_MAX;
        for (uint32_t reader = 0; reader < kReadersMax; reader++) {
            if ((readers_ & 1u << reader) == 0) continue;
            const uint64_t consumed = cursors_[reader].consumed.load(std::memory_order_acquire);
            if (consumed < least) least = consumed;
        }
        return least == UINT64_MAX ? published() : least;
    }

    [[nodiscard]] uint64_t published() const { return published_.load(std::memory_order_acquire); }
    [[nodiscard]] uint64_t consumed(uint32_t reader = 0) const {
        return cursors_[reader].consumed.load(std::memory_order_acquire);
    }
    [[nodiscard]] uint32_t readers() const { return readers_; }
    [[nodiscard]] uint32_t cells() const { return cells_; }
    [[nodiscard]] const std::shared_ptr<Event[]>& memory() const { return memory_; }

private:
    struct Cursor {
        alignas(64) std::atomic<uint64_t> consumed{0};  // moved by the reader
        alignas(64) std::atomic<bool> waits{true};
    };

    const uint32_t cells_;
    const uint32_t readers_;
    const std::shared_ptr<Event[]> memory_;
    alignas(64) std::atomic<uint64_t> published_{0};  // moved by the engine
    std::array<Cursor, kReadersMax> cursors_;
};

// Makes room in the ring; the engine implements it.
class RoomMaker {
public:
    // Called in the middle of a command, with the ring full. Must return with at least one free
    // cell, or after EventRingWriter::discard().
    virtual void makeRoom() = 0;

protected:
    ~RoomMaker() = default;
};

class EventRingWriter final : public EventWriter {
public:
    EventRingWriter(EventRing& ring, RoomMaker& roomMaker);
    ~EventRingWriter() = default;

    // Takes the events since the last call into the digest. Called after every command, while they
    // are in the nearest cache.
    void absorb() {
        digest_.add(begin() + absorbed_, static_cast<size_t>(cursor() - begin()) - absorbed_);
        absorbed_ = static_cast<size_t>(cursor() - begin());
    }

    // From now on events go nowhere: the node has failed or stops. The ring keeps what it has.
    void discard();

    // Index behind the last cell written.
    [[nodiscard]] uint64_t written() const {
        return regionCounted_ ? written_ : written_ + static_cast<uint64_t>(cursor() - begin());
    }
    [[nodiscard]] uint64_t freeCells() const { return ring_.freeCells(written()); }
    // Free cells as far as known without looking at the consumer's cursor: a lower bound.
    [[nodiscard]] uint64_t regionRoom() const {
        return static_cast<uint64_t>(regionEnd_ - cursor());
    }
    [[nodiscard]] Digest128 digest() const { return digest_.value(); }

private:
    static constexpr size_t kScratchCells = 64;

    void drain() override;
    void nextRegion();

    EventRing& ring_;
    RoomMaker& roomMaker_;
    EventDigest digest_;
    uint64_t written_ = 0;        // index of begin(), or of cursor() where regionCounted_
    bool regionCounted_ = false;  // while room is made, and while events go nowhere
    size_t absorbed_ = 0;         // events of this region that the digest holds
    const Event* regionEnd_ = nullptr;
    bool discarding_ = false;
    std::unique_ptr<Event[]> scratch_;
};

}  // namespace verbex::node
