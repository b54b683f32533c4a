// Frames out of a ring that a peer writes, maybe at this very moment, maybe with ill will.
//
// Purpose: the receiving half of shm, verbs and memory: finds the next frame, copies it out, checks
// the copy, delivers it, zeroes its place, and counts the bytes that may be written again.
// Owner: a link.
// Thread safety: one reader; the peer writes at the same time.
// Invariants:
//   1. What is delivered was checked, and is a copy that the peer cannot reach.
//   2. No byte outside of the ring is read or written, whatever the peer writes.
//   3. A frame that does not hold is looked at again for `patience` looks, since a remote adapter may
//      still be writing it; then the reader stops for good with a fault.
// Requires: a ring that was zero when the link began.
#pragma once

#include <cstring>
#include <memory>

#include "transport/frame.h"
#include "transport/rings/ring_region.h"

namespace verbex::transport {

class RingReader {
public:
    // `patience` 0: memory where a size word is only ever seen behind its frame (shm, memory).
    RingReader(std::byte* ring, size_t ringBytes, size_t payloadMax, const FrameSeal& seal,
               uint32_t patience)
        : ring_(ring),
          mask_(ringBytes - 1),
          frameMax_(seal.overhead() + payloadMax),
          seal_(seal),
          patience_(patience),
          copy_(std::make_unique_for_overwrite<std::byte[]>(frameMax_)) {
        CHECK(std::has_single_bit(ringBytes) && ringBytes >= 4096);
    }

    // Delivers at most `limit` frames; returns how many.
    size_t poll(Receiver& receiver, size_t limit, LinkCounters& counters) {
        size_t delivered = 0;
        while (delivered < limit) {
            std::byte* at = ring_ + (consumed_ & mask_);
            const uint32_t size = sizeAt(at);
            if (size == 0 || fault_ != FrameFault::None) break;
            const FrameFault fault = take(at, size);
            if (fault != FrameFault::None) [[unlikely]] {
                refuse(fault, counters);
                break;
            }
            looks_ = 0;
            ++sequence_;
            if (pad_) {
                giveBack(at, size, size);
                continue;
            }
            const Message message = messageOf(copy_.get(), seal_);
            counters.framesReceived += 1;
            counters.bytesReceived += message.payload.size();
            giveBack(at, slotOf(size), size);
            ++delivered;
            receiver.onMessage(message);
        }
        return delivered;
    }

    // Bytes that may be written again.
    [[nodiscard]] uint64_t consumed() const { return consumed_; }
    [[nodiscard]] FrameFault fault() const { return fault_; }
    // Whether something lies at the reader's place, whole or not.
    [[nodiscard]] bool hasMore() const { return sizeAt(ring_ + (consumed_ & mask_)) != 0; }

private:
    static uint32_t sizeAt(const std::byte* at) {
        auto* word = reinterpret_cast<uint32_t*>(const_cast<std::byte*>(at));
        return std::atomic_ref(*word).load(std::memory_order_acquire);
    }

    // Copies the frame out and checks the copy.
    FrameFault take(const std::byte* at, uint32_t size) {
        const size_t left = mask_ + 1 - (consumed_ & mask_);
        if (size < kFrameHeaderBytes || size > left) return FrameFault::Size;
        FrameHeader header;
        std::memcpy(&header, at, sizeof header);
        pad_ = (header.flags & kFrameFlagPad) != 0;
        if (pad_) {
            if (header.size != size || size != left) return FrameFault::Size;
            if (header.checksum != padChecksum(header, seal_.salt)) return FrameFault::Checksum;
            if (header.epoch != seal_.epoch) return FrameFault::Epoch;
            return header.sequence == sequence_ ? FrameFault::None : FrameFault::Sequence;
        }
        if (size < seal_.overhead() || size > frameMax_) return FrameFault::Size;
        std::memcpy(copy_.get(), at, size);
        return checkFrame(copy_.get(), size, sequence_, seal_);
    }

    void refuse(FrameFault fault, LinkCounters& counters) {
        ++counters.tornReads;
        if (looks_++ < patience_) return;
        fault_ = fault;
        count(fault, counters);
    }

    void giveBack(std::byte* at, size_t slot, size_t written) {
        std::memset(at, 0, written);
        consumed_ += slot;
    }

    std::byte* ring_;
    size_t mask_;
    size_t frameMax_;
    FrameSeal seal_;
    uint32_t patience_;
    std::unique_ptr<std::byte[]> copy_;
    uint64_t consumed_ = 0;
    uint64_t sequence_ = 1;
    uint32_t looks_ = 0;
    bool pad_ = false;
    FrameFault fault_ = FrameFault::None;
};

}  // namespace verbex::transport
