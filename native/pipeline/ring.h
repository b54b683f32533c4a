// Ring: fixed cells that go round between producers, stages and back.
//
//                   freed           stages' cursors      published   claimed
//                     ▼                ▼        ▼            ▼          ▼
//      … │ free again │ last stage │ second │ first stage │ claimed │ free │ …      cell = sequence
//                     └──────────────── cells in use ───────────────┘               & mask
//
// Purpose: hands cells over between threads without copying and without locks: a producer claims
// cells, fills them in place and releases them; stages read them in place; the last one frees them.
//   SingleProducerRing  one thread claims. Releasing is one store.
//   MultiProducerRing   any thread claims, by compare-and-swap; each cell is released on its own,
//                       by noting the lap in which it was.
// Owner: whoever builds the pipeline; it outlives its threads.
// Thread safety: claim() and release() from one thread (SingleProducerRing) or any
// (MultiProducerRing); available() from any; free() from one thread; at() for cells that are yours
// just then; size() and highWater() from any.
// Invariants:
//   1. freed ≤ every stage ≤ published ≤ claimed ≤ freed + cells. Sequences count up for ever.
//   2. A cell belongs to its producer from claim() to release(), then to the stages, in their
//      order, then after free() to whoever claims it next. Each step happens before the next one.
//   3. claim() never waits: it answers how many cells it gave. 0: full, the producer's business.
//   4. What available() shows has no gap, however many producers are at work in it.
// Requires: a power of two of cells, each of whole cache lines. Somebody frees: a ring that nobody
// frees is full after one lap.
//
// Cursors that chase each other in a ring and one availability mark per cell are the idea of
// M. Thompson et al., "Disruptor: High performance alternative to bounded queues for exchanging
// data between concurrent threads", LMAX, 2011.
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/zeroed_array.h"
#include "pipeline/cursor.h"

namespace verbex::pipeline {

// Cells in a row that a producer was given: [first, end()).
struct Claim {
    uint64_t first = 0;
    uint32_t count = 0;

    [[nodiscard]] uint64_t end() const { return first + count; }
};

template <typename Cell>
class Ring {
    static_assert(sizeof(Cell) % 64 == 0, "a cell is a whole number of cache lines: pad it");
    static_assert(std::is_trivially_copyable_v<Cell> && std::is_trivially_destructible_v<Cell>,
                  "cells are overwritten, never constructed or destroyed");
    static_assert(alignof(Cell) <= kApartBytes);

public:
    Ring(const Ring&) = delete;
    Ring& operator=(const Ring&) = delete;

    [[nodiscard]] Cell& at(uint64_t sequence) { return cells_[sequence & mask_]; }
    [[nodiscard]] const Cell& at(uint64_t sequence) const { return cells_[sequence & mask_]; }

    // The last stage is done with all cells before `upTo`.
    void free(uint64_t upTo) {
        CHECK(last_.size() == 1 && last_[0] == &freed_ &&
              "cells are freed by the cursors named in freedBy(): move those");
        CHECK(upTo >= freed_.getRelaxed() && "free() takes the end of what is done, never less");
        freed_.set(upTo);
    }
    // Where there are several last stages, a cell is free when all of these have passed it. Before
    // the first claim.
    void freedBy(std::vector<const Cursor*> last) {
        CHECK(!last.empty() && "somebody must free the cells: name a cursor");
        last_ = std::move(last);
    }
    [[nodiscard]] uint64_t freed() const {
        uint64_t least = UINT64_MAX;
        for (const Cursor* cursor : last_) least = std::min(least, cursor->get());
        return least;
    }

    [[nodiscard]] uint32_t cells() const { return static_cast<uint32_t>(mask_ + 1); }
    [[nodiscard]] Cell* data() { return cells_; }

    // Cells claimed and not freed, just now or a moment ago.
    [[nodiscard]] uint64_t size() const {
        // In this order: a claim is never behind what has been freed.
        const uint64_t freed = this->freed();
        return std::min<uint64_t>(claimed_.load(std::memory_order_acquire) - freed, cells());
    }
    // The most cells in use that a producer has met. It looks when the ring may be full, and at
    // least once an eighth of a lap: cells() is exact, and else the truth is at most an eighth of
    // the ring above.
    [[nodiscard]] uint64_t highWater() const { return highWater_.load(std::memory_order_relaxed); }

    // Has every page provided now, so that the first lap takes no page fault.
    void touchAll() { touchPages(lines_); }

protected:
    explicit Ring(uint32_t cells)
        : mask_(cells - 1),
          slice_(std::max<uint64_t>(cells / 8, 1)),
          lines_(zeroedArray<Line>(size_t{cells} * (sizeof(Cell) / sizeof(Line)) + 1)),
          cells_(aligned(lines_.get())),
          last_{&freed_} {
        CHECK(std::has_single_bit(cells) && "a ring has a power of two of cells");
    }
    ~Ring() = default;

    const uint64_t mask_;
    const uint64_t slice_;  // see highWater()

private:
    struct alignas(64) Line {
        std::byte bytes[64];
    };
    // Cells of 128 bytes begin with a pair of lines, so that they are fetched together.
    static Cell* aligned(Line* lines) {
        const auto address = reinterpret_cast<uintptr_t>(lines);
        return reinterpret_cast<Cell*>((address + kApartBytes - 1) / kApartBytes * kApartBytes);
    }

    ZeroedArray<Line> lines_;
    Cell* const cells_;
    std::vector<const Cursor*> last_;
    Cursor freed_;

protected:
    // The producers' side.
    alignas(kApartBytes) std::atomic<uint64_t> claimed_{0};
    // Up to here may be claimed without looking at what is freed: a look costs a miss, and takes
    // the line from the last stage.
    std::atomic<uint64_t> limit_{0};
    std::atomic<uint64_t> highWater_{0};
};

template <typename Cell>
class SingleProducerRing final : public Ring<Cell> {
public:
    explicit SingleProducerRing(uint32_t cells) : Ring<Cell>(cells) {}

    // Gives up to `count` cells in a row.
    [[nodiscard]] Claim claim(uint32_t count) {
        const uint64_t first = this->claimed_.load(std::memory_order_relaxed);
        if (first + count > this->limit_.load(std::memory_order_relaxed)) {
            count = look(first, count);
        }
        // Release for size() alone, which must see freed ≤ claimed; no cost on x86.
        this->claimed_.store(first + count, std::memory_order_release);
        return {first, count};
    }

    // Shows the stages all cells before `upTo`.
    void release(uint64_t upTo) {
        CHECK(upTo <= this->claimed_.load(std::memory_order_relaxed) &&
              upTo >= published_.getRelaxed() && "release what was claimed, in that order");
        published_.set(upTo);
    }
    void release(const Claim& claim) {
        CHECK(claim.first == published_.getRelaxed() && "release claims in the order of claiming");
        release(claim.end());
    }

    // The end of the released cells from `from` on, but no more than `most` of them.
    [[nodiscard]] uint64_t available(uint64_t from, uint64_t most = UINT64_MAX) const {
        const uint64_t end = published_.get();
        CHECK(from <= end && "look from the end of what you have taken");
        return end - from <= most ? end : from + most;
    }
    // For a stage's barrier.
    [[nodiscard]] const Cursor& published() const { return published_; }

private:
    [[gnu::noinline]] uint32_t look(uint64_t first, uint32_t count) {
        const uint64_t freed = this->freed();
        const uint64_t bound = freed + this->cells();
        const uint64_t end = std::min(first + count, bound);
        this->limit_.store(std::min(end + this->slice_, bound), std::memory_order_relaxed);
        if (end - freed > this->highWater_.load(std::memory_order_relaxed)) {
            this->highWater_.store(end - freed, std::memory_order_relaxed);
        }
        return static_cast<uint32_t>(end - first);
    }

    Cursor published_;
};

template <typename Cell>
class MultiProducerRing final : public Ring<Cell> {
public:
    explicit MultiProducerRing(uint32_t cells)
        : Ring<Cell>(cells),
          lapShift_(static_cast<uint32_t>(std::countr_zero(cells))),
          laps_(zeroedArray<uint32_t>(cells)) {}

    // Gives up to `count` cells in a row.
    [[nodiscard]] Claim claim(uint32_t count) {
        return claim(count, [](uint64_t, uint32_t most) { return most; });
    }

    // The same, where how many are wanted, or what goes into them, depends on the place in the
    // order of claims. prepare(first, most) is asked between reading the claim cursor and moving
    // it: `first` is the cell that this claim would begin with, `most` what it would be given; it
    // answers how many to take, 0 for none. It is asked again whenever another producer was
    // quicker, and only its last answer counts.
    //
    // So whatever the last call has read, the call of the claim before had been finished: a clock
    // that is read in prepare() never shows a later claim an earlier time. The clock must not be
    // read ahead of its place: clock_gettime() is not, a bare rdtsc may be.
    template <typename Prepare>
    [[nodiscard]] Claim claim(uint32_t count, Prepare&& prepare) {
        uint64_t first = this->claimed_.load(std::memory_order_acquire);
        for (;;) {
            uint64_t freed = UINT64_MAX;
            uint32_t most = count;
            if (first + count > this->limit_.load(std::memory_order_acquire)) {
                freed = this->freed();
                // Where others have claimed since, this may be too much; then the exchange below
                // fails. It is never too little: full means that `first` still holds.
                most =
                    static_cast<uint32_t>(std::min<uint64_t>(count, freed + this->cells() - first));
            }
            const uint32_t taken = most == 0 ? 0 : prepare(first, most);
            CHECK(taken <= most && "prepare() may take up to `most` cells");
            // Acquire and release: a producer's look at what is freed is never older than the one
            // that let the claims before it in.
            if (taken != 0 &&
                !this->claimed_.compare_exchange_weak(
                    first, first + taken, std::memory_order_acq_rel, std::memory_order_acquire)) {
                continue;
            }
            if (freed != UINT64_MAX) looked(first + taken, freed);
            return {first, taken};
        }
    }

    // Shows the stages the cells of one claim; they see them once all claims before are released.
    void release(const Claim& claim) {
        for (uint64_t sequence = claim.first; sequence != claim.end(); sequence++) {
            CHECK(lapOf(sequence) + 1 == lapWanted(sequence) && "release a claim once");
            std::atomic_ref(laps_[sequence & this->mask_])
                .store(lapWanted(sequence), std::memory_order_release);
        }
    }

    // The end of the cells from `from` on that are released without a gap, but no more than `most`
    // of them.
    [[nodiscard]] uint64_t available(uint64_t from, uint64_t most = UINT64_MAX) const {
        const uint64_t last = from + std::min<uint64_t>(most, this->cells());
        uint64_t end = from;
        while (end != last && lapOf(end) == lapWanted(end)) end++;
        return end;
    }

private:
    // 1 in the first lap: 0 is the mark of a cell that was never released.
    [[nodiscard]] uint32_t lapWanted(uint64_t sequence) const {
        return static_cast<uint32_t>(sequence >> lapShift_) + 1;
    }
    [[nodiscard]] uint32_t lapOf(uint64_t sequence) const {
        return std::atomic_ref(laps_[sequence & this->mask_]).load(std::memory_order_acquire);
    }

    [[gnu::noinline]] void looked(uint64_t end, uint64_t freed) {
        // Two may store in the wrong order: a limit that is too low costs a look, no more. Release:
        // who goes by it writes into cells that this producer, not he, has seen freed.
        this->limit_.store(std::min(end + this->slice_, freed + this->cells()),
                           std::memory_order_release);
        const uint64_t inUse = end - freed;
        uint64_t before = this->highWater_.load(std::memory_order_relaxed);
        while (before < inUse &&
               !this->highWater_.compare_exchange_weak(before, inUse, std::memory_order_relaxed)) {
        }
    }

    const uint32_t lapShift_;
    const ZeroedArray<uint32_t> laps_;
};

}  // namespace verbex::pipeline
