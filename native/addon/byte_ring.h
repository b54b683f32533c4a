// ByteRing: messages of any size from one thread to another, with back-pressure.
//
// Purpose: the hand-over between JavaScript and the bus's agent, one ring a publication and one a
// subscription. The pipeline's rings have cells of one size; messages have not.
// Owner: the stream; the memory outlives the ring where an ArrayBuffer still shows it.
// Thread safety: one thread writes, one reads.
// Invariants:
//   1. A record is a header and its payload in one piece; what is left before the ring's end is
//      passed over by a pad record.
//   2. Every record begins on a multiple of 16, so its position can be read as a 64-bit word.
//   3. What has not been given back is never written.
// Requires: a power of two of at least 4 KiB, and payloads of at most payloadMaxOf().
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>

#include "base/check.h"
#include "pipeline/cursor.h"

namespace verbex::addon {

// As src/bus/inbound.ts reads it.
struct RecordHeader {
    uint32_t size;  // of the payload; kPadRecord: nothing follows before the ring's end
    uint32_t unused;
    uint64_t position;
};
static_assert(sizeof(RecordHeader) == 16);
static_assert(offsetof(RecordHeader, size) == 0 && offsetof(RecordHeader, position) == 8);

inline constexpr uint32_t kPadRecord = UINT32_MAX;

class ByteRing {
public:
    explicit ByteRing(size_t bytes)
        : memory_(new (std::align_val_t(64)) std::byte[bytes](),
                  [](std::byte* memory) { operator delete[](memory, std::align_val_t(64)); }),
          mask_(bytes - 1) {
        CHECK(std::has_single_bit(bytes) && bytes >= 4096);
    }

    static constexpr size_t payloadMaxOf(size_t ringBytes) { return ringBytes / 4; }

    [[nodiscard]] size_t bytes() const { return mask_ + 1; }
    [[nodiscard]] const std::shared_ptr<std::byte[]>& memory() const { return memory_; }

    // The writing thread. False: no room until the reader has given something back.
    bool write(uint64_t position, std::span<const std::byte> payload) {
        const size_t slot = slotOf(payload.size());
        const uint64_t produced = produced_.load(std::memory_order_relaxed);
        size_t at = produced & mask_;
        const size_t left = bytes() - at;
        const size_t needed = slot <= left ? slot : left + slot;
        if (needed > bytes() - (produced - given_)) {
            given_ = consumed_.load(std::memory_order_acquire);
            if (needed > bytes() - (produced - given_)) return false;
        }
        if (slot > left) {
            put(at, {.size = kPadRecord, .unused = 0, .position = 0});
            at = 0;
        }
        put(at, {.size = static_cast<uint32_t>(payload.size()), .unused = 0, .position = position});
        if (!payload.empty()) {
            std::memcpy(memory_.get() + at + sizeof(RecordHeader), payload.data(), payload.size());
        }
        produced_.store(produced + needed, std::memory_order_release);
        return true;
    }

    // Any thread, as of now.
    [[nodiscard]] bool isEmpty() const {
        return produced_.load(std::memory_order_acquire) ==
               consumed_.load(std::memory_order_acquire);
    }

    // The reading thread: the first record, if there is one. Valid until pop().
    struct Record {
        uint64_t position = 0;
        std::span<const std::byte> payload;
    };
    bool front(Record& record) {
        uint64_t consumed = consumed_.load(std::memory_order_relaxed);
        if (produced_.load(std::memory_order_acquire) == consumed) return false;
        RecordHeader header = headerAt(consumed);
        if (header.size == kPadRecord) {
            consumed += bytes() - (consumed & mask_);
            consumed_.store(consumed, std::memory_order_release);
            header = headerAt(consumed);  // a pad is published together with what follows it
        }
        record.position = header.position;
        record.payload = {memory_.get() + (consumed & mask_) + sizeof(RecordHeader), header.size};
        return true;
    }
    void pop(const Record& record) {
        consumed_.store(consumed_.load(std::memory_order_relaxed) + slotOf(record.payload.size()),
                        std::memory_order_release);
    }

    // The reading thread, in runs: bytes that are ready from the read index up to the ring's end.
    [[nodiscard]] size_t run() const {
        const uint64_t consumed = consumed_.load(std::memory_order_relaxed);
        const uint64_t ready = produced_.load(std::memory_order_acquire) - consumed;
        return static_cast<size_t>(std::min<uint64_t>(ready, bytes() - (consumed & mask_)));
    }
    // False: more than the run, or not whole records.
    [[nodiscard]] bool release(size_t count) {
        if (count > run() || count % sizeof(RecordHeader) != 0) return false;
        consumed_.store(consumed_.load(std::memory_order_relaxed) + count,
                        std::memory_order_release);
        return true;
    }

private:
    static constexpr size_t slotOf(size_t payload) {
        return (sizeof(RecordHeader) + payload + 15) / 16 * 16;
    }
    void put(size_t at, const RecordHeader& header) {
        std::memcpy(memory_.get() + at, &header, sizeof header);
    }
    [[nodiscard]] RecordHeader headerAt(uint64_t index) const {
        RecordHeader header;
        std::memcpy(&header, memory_.get() + (index & mask_), sizeof header);
        return header;
    }

    const std::shared_ptr<std::byte[]> memory_;
    const size_t mask_;
    alignas(pipeline::kApartBytes) std::atomic<uint64_t> produced_{0};
    uint64_t given_ = 0;  // what the writer knows of consumed_
    alignas(pipeline::kApartBytes) std::atomic<uint64_t> consumed_{0};
};

}  // namespace verbex::addon
