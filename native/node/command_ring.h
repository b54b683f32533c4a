// CommandRing: commands on their way into the engine.
//
//      producer (JS thread) --offer--> [ cell | cell | cell | … ] --next/release--> engine
//
// Purpose: a ring of 128-byte cells between one producer and one consumer, each with one cursor of
// its own.
// Owner: the engine.
// Thread safety: offer() from one thread, size(), at() and release() from one other.
// Invariants:
//   1. released ≤ offered ≤ released + cells; cursors count up for ever, the cell is index % cells.
//   2. A cell belongs to the producer until offer() has counted it, to the engine until release().
//   3. A full ring is an answer (fewer taken than offered), never a wait.
//   4. Cells are copied in, so that nobody can change a command between its journaling and its
//      execution.
// Requires: cells is a power of two.
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/check.h"
#include "wire/command_codec.h"

namespace verbex::node {

class CommandRing {
public:
    explicit CommandRing(uint32_t cells)
        : mask_(cells - 1), cells_(std::make_unique<Command[]>(cells)) {
        CHECK(std::has_single_bit(cells));
    }

    // Copies in as many of the `count` cells at `from` (any alignment) as there is room for.
    [[nodiscard]] uint32_t offer(const void* from, uint32_t count) {
        const uint64_t offered = offered_.load(std::memory_order_relaxed);
        const uint64_t room = mask_ + 1 - (offered - released_.load(std::memory_order_acquire));
        const auto taken = static_cast<uint32_t>(std::min<uint64_t>(room, count));
        const auto* cell = static_cast<const std::byte*>(from);
        for (uint32_t i = 0; i < taken; i++, cell += sizeof(Command)) {
            loadCommand(cell, cells_[(offered + i) & mask_]);
        }
        offered_.store(offered + taken, std::memory_order_release);
        return taken;
    }

    // Commands that wait, from the engine's place on.
    [[nodiscard]] uint64_t size() const {
        return offered_.load(std::memory_order_acquire) -
               released_.load(std::memory_order_relaxed);
    }
    [[nodiscard]] const Command& at(uint64_t index) const {
        return cells_[(released_.load(std::memory_order_relaxed) + index) & mask_];
    }
    void release(uint64_t count) {
        released_.store(released_.load(std::memory_order_relaxed) + count,
                        std::memory_order_release);
    }

    [[nodiscard]] uint64_t offered() const { return offered_.load(std::memory_order_acquire); }
    [[nodiscard]] uint32_t cells() const { return static_cast<uint32_t>(mask_ + 1); }

private:
    const uint64_t mask_;
    const std::unique_ptr<Command[]> cells_;
    alignas(64) std::atomic<uint64_t> offered_{0};   // moved by the producer
    alignas(64) std::atomic<uint64_t> released_{0};  // moved by the engine
};

}  // namespace verbex::node
