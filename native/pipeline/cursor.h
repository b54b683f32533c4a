// Cursor: how far one thread has come in a ring.
//
// Purpose: the only thing that threads of a pipeline tell each other. A sequence counts cells from
// 0 up for ever; a cursor at n says "the cells 0 … n-1 are released", the cell of a sequence is
// sequence & mask. 64 bits last for five hundred years at a billion cells a second.
// Owner: the one thread that moves it; whoever follows it holds a reference.
// Thread safety: set() from one thread, the rest from any.
// Invariants:
//   1. It never goes back.
//   2. What its owner wrote before set(n) is seen by whoever get() has answered n.
//   3. It has two cache lines to itself: processors fetch lines in pairs, and a neighbour's line
//      would be taken from its owner together with this one.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/check.h"

namespace verbex::pipeline {

// What two threads write must lie this far apart.
inline constexpr size_t kApartBytes = 128;

class alignas(kApartBytes) Cursor {
public:
    Cursor() = default;
    Cursor(const Cursor&) = delete;
    Cursor& operator=(const Cursor&) = delete;

    [[nodiscard]] uint64_t get() const { return value_.load(std::memory_order_acquire); }
    // For the owner, who knows what it has written, and for gauges.
    [[nodiscard]] uint64_t getRelaxed() const { return value_.load(std::memory_order_relaxed); }
    void set(uint64_t sequence) {
        CHECK(sequence >= getRelaxed() && "a cursor never goes back: give the cells' end");
        value_.store(sequence, std::memory_order_release);
    }

private:
    std::atomic<uint64_t> value_{0};
    static_assert(std::atomic<uint64_t>::is_always_lock_free);
};
static_assert(sizeof(Cursor) == kApartBytes && alignof(Cursor) == kApartBytes);

}  // namespace verbex::pipeline
