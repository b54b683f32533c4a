// EventRing: events on their way out, written in place by the core.
//
//      core --claim--> [ cell | cell | cell | … ] --available/release--> consumer (JS thread)
//                      ^ consumed   ^ published   ^ written
//
// Purpose: the output ring and the writer that lets the core fill its free cells. Written cells
// stay invisible until the engine's publish barrier moves the published cursor past them.
// Owner: the engine owns ring and writer; the memory is shared with whoever looks at it (a JS
// ArrayBuffer), and lives as long as the longest of them.
// Thread safety: EventRingWriter and publish() from the engine thread; available() and release()
// from one other thread.
// Invariants:
//   1. consumed ≤ published ≤ written ≤ consumed + cells; cursors count up for ever, the cell is
//      index % cells.
//   2. The engine never reads a cell again that it has published: its reader may have scribbled on
//      it.
//   3. A consumer that was told 0 by available() is told once when that has changed.
//   4. Every event passes the digest exactly once, in order, before it can be published.
// Requires: cells is a power of two.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/check.h"
#include "node/event_digest.h"
#include "wire/event_writer.h"

namespace verbex::node {

class EventRing {
public:
    explicit EventRing(uint32_t cells);

    // ---- consumer
    // Cells that are ready from the consumer's place on. 0: the next publish() answers that
    // somebody waits.
    [[nodiscard]] uint64_t available();
    // Gives the oldest cells back. False, and nothing done, where fewer than `count` are ready.
    [[nodiscard]] bool release(uint64_t count);

    // ---- engine
    // True: the consumer waits and must be told.
    [[nodiscard]] bool publish(uint64_t written);
    [[nodiscard]] uint64_t freeCells(uint64_t written) const {
        return cells_ - (written - consumed_.load(std::memory_order_acquire));
    }

    [[nodiscard]] uint64_t published() const { return published_.load(std::memory_order_acquire); }
    [[nodiscard]] uint64_t consumed() const { return consumed_.load(std::memory_order_acquire); }
    [[nodiscard]] uint32_t cells() const { return cells_; }
    [[nodiscard]] const std::shared_ptr<Event[]>& memory() const { return memory_; }

private:
    const uint32_t cells_;
    const std::shared_ptr<Event[]> memory_;
    alignas(64) std::atomic<uint64_t> published_{0};  // moved by the engine
    alignas(64) std::atomic<uint64_t> consumed_{0};   // moved by the consumer
    alignas(64) std::atomic<bool> consumerWaits_{true};
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
