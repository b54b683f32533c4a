// Frames into a ring, as far as the reader's credit allows.
//
// Purpose: the sending half of shm and memory (the ring is the peer's) and of verbs (the ring is a
// staging copy of the peer's, and the link writes what was added to the other).
// Owner: a link.
// Thread safety: one writer. On shared memory the reader may run at the same time in another thread
// or process: the size word is stored last, with release.
// Invariants:
//   1. Bytes that the reader has not given back are never written.
//   2. A frame never wraps: a pad frame fills what is left before the ring's end.
//   3. A credit that goes backward or beyond what was written is refused and fails the link.
// Requires: a payload of at most payloadMax, which is at most a quarter of the ring.
#pragma once

#include <algorithm>

#include "transport/frame.h"
#include "transport/rings/ring_region.h"

namespace verbex::transport {

class RingWriter {
public:
    RingWriter(std::byte* ring, size_t ringBytes, const FrameSeal& seal)
        : ring_(ring), mask_(ringBytes - 1), seal_(seal) {
        CHECK(std::has_single_bit(ringBytes) && ringBytes >= 4096);
    }

    // The largest payload that always finds room in an empty ring, pad included.
    static constexpr size_t payloadMaxOf(size_t ringBytes) { return ringBytes / 4; }

    // False: no room. takeCredit() with what the reader has given back since, then try again.
    bool write(const Message& message) {
        const size_t slot = slotOf(seal_.overhead() + message.payload.size());
        size_t at = produced_ & mask_;
        const size_t left = mask_ + 1 - at;
        const size_t needed = slot <= left ? slot : left + slot;
        if (needed > mask_ + 1 - (produced_ - consumed_)) return false;
        if (slot > left) {
            pad(at, left);
            at = 0;
        }
        std::byte* to = ring_ + at;
        publish(to, sealFrame(to, message, ++sequence_, seal_));
        produced_ += slot;
        return true;
    }

    // Whether the reader's word makes sense.
    bool takeCredit(uint64_t consumed) {
        if (consumed < consumed_ || consumed > produced_) return false;
        consumed_ = consumed;
        return true;
    }

    // Bytes written since the link began, pads included; where the next frame goes, modulo the ring.
    [[nodiscard]] uint64_t produced() const { return produced_; }
    [[nodiscard]] uint64_t consumed() const { return consumed_; }
    [[nodiscard]] uint64_t unconsumed() const { return produced_ - consumed_; }

private:
    void pad(size_t at, size_t left) {
        FrameHeader header{
            .size = static_cast<uint32_t>(left),
            .checksum = 0,
            .epoch = seal_.epoch,
            .stream = 0,
            .kind = 0,
            .flags = kFrameFlagPad,
            .sequence = ++sequence_,
            .position = 0,
        };
        header.checksum = padChecksum(header, seal_.salt);
        const uint32_t size = header.size;
        header.size = 0;
        std::memcpy(ring_ + at, &header, sizeof header);
        publish(ring_ + at, size);
        produced_ += left;
    }

    static void publish(std::byte* frame, uint32_t size) {
        std::atomic_ref(*reinterpret_cast<uint32_t*>(frame)).store(size, std::memory_order_release);
    }

    std::byte* ring_;
    size_t mask_;
    FrameSeal seal_;
    uint64_t produced_ = 0;
    uint64_t consumed_ = 0;
    uint64_t sequence_ = 0;
};

}  // namespace verbex::transport
