// The memory that a peer may write: credits, then a ring.
//
// Purpose: where things lie in it, the same for shm, verbs and memory. Each side has one region. The
// peer writes its frames into the ring, and into the credits how far it has come with OUR frames.
//
//        this side's region                          the peer's region
//        ┌─────────┬───────────────────────┐         ┌─────────┬───────────────────────┐
//        │ credits │ ring: the peer's frames│        │ credits │ ring: our frames      │
//        └─────────┴───────────────────────┘         └─────────┴───────────────────────┘
//          ▲ how far the peer has read our frames       ▲ how far we have read the peer's
//
// Owner: the link that mapped it.
// Thread safety: every word is written by one side and read by the other, with release and acquire.
// Invariants: a ring is a power of two of at least 4 KiB and begins on a cache line; it starts zeroed
// and what was consumed is zeroed again before its credit is given.
// Requires: a page-aligned base.
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "base/check.h"

namespace verbex::transport {

inline constexpr size_t kCreditBytes = 128;

struct CreditBlock {
    uint64_t consumed;  // bytes of the ring that may be written again, since the link began
    uint64_t asleep;    // 1 while the peer waits to be woken
    uint8_t unused[kCreditBytes - 16];
};
static_assert(sizeof(CreditBlock) == kCreditBytes);
static_assert(offsetof(CreditBlock, consumed) == 0 && offsetof(CreditBlock, asleep) == 8);

constexpr size_t regionBytes(size_t ringBytes) {
    return kCreditBytes + ringBytes;
}

// Rounded up so that two regions one behind the other both begin on a page.
constexpr size_t regionStride(size_t ringBytes) {
    constexpr size_t page = 4096;
    return (regionBytes(ringBytes) + page - 1) / page * page;
}

inline uint64_t loadWord(const uint64_t& word) {
    return std::atomic_ref(const_cast<uint64_t&>(word)).load(std::memory_order_acquire);
}

inline void storeWord(uint64_t& word, uint64_t value) {
    std::atomic_ref(word).store(value, std::memory_order_release);
}

}  // namespace verbex::transport
