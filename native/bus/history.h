// The last messages of a stream, by position, in a fixed piece of memory.
//
// Purpose: a publication keeps here what its subscribers have not been sent yet; a subscription
// keeps here what its receiver does not take yet. Appending makes room by forgetting the oldest.
//
//     offsets   ─ ─ ─┬───────┬──────┬───────────┬─────┬─ ─ ─        grow for ever; the place is
//                    │ p     │ p+1  │ p+2       │ pad │              the offset modulo the capacity
//                    └───────┴──────┴───────────┴─────┴─ ─ ─
//     index          one offset for each position, so that any message is found in one step
//
// Owner: one publication or subscription.
// Thread safety: none.
// Invariants:
//   1. Memory: capacity bytes and eight for every 32 of them, whatever is appended.
//   2. A message is contiguous; what does not fit before the end begins anew at the front.
//   3. Offsets of messages that are one behind the other are at least costOf(payload) apart.
// Requires: a capacity that is a power of two of at least 1024; messages of at most a quarter of
// it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>

#include "base/check.h"
#include "bus/message_kinds.h"

namespace verbex::bus {

class History {
public:
    History(uint32_t capacity, Position first);

    struct Entry {
        uint8_t flags = 0;
        std::span<const std::byte> payload;  // until it is forgotten
    };

    // The message gets position next().
    void append(std::span<const std::byte> payload, uint8_t flags) {
        const uint64_t cost = costOf(payload.size());
        CHECK(cost <= (mask_ + 1) / 4);
        const uint64_t left = mask_ + 1 - (end_ & mask_);
        if (cost > left) [[unlikely]]
            end_ += left;
        if (end_ + cost - begin_ > mask_ + 1 || next_ - oldest_ > indexMask_) forget(cost);
        std::byte* at = bytes_.get() + (end_ & mask_);
        const Record record{static_cast<uint32_t>(payload.size()), flags};
        std::memcpy(at, &record, sizeof record);
        if (!payload.empty()) std::memcpy(at + kMessageCost, payload.data(), payload.size());
        index_[next_ & indexMask_] = end_;
        end_ += cost;
        ++next_;
    }

    [[nodiscard]] bool has(Position position) const {
        return position >= oldest_ && position < next_;
    }

    // Only for a position that it has.
    [[nodiscard]] Entry at(Position position) const {
        CHECK(has(position));
        const std::byte* at = bytes_.get() + (index_[position & indexMask_] & mask_);
        Record record;
        std::memcpy(&record, at, sizeof record);
        return {record.flags, {at + kMessageCost, record.size}};
    }

    // Where the message begins, counted since the beginning of time; end() for next().
    [[nodiscard]] uint64_t offsetOf(Position position) const {
        CHECK(position == next_ || has(position));
        return position == next_ ? end_ : index_[position & indexMask_];
    }

    [[nodiscard]] Position oldest() const { return oldest_; }  // next() where it is empty
    [[nodiscard]] Position next() const { return next_; }
    [[nodiscard]] uint64_t end() const { return end_; }
    [[nodiscard]] uint64_t capacity() const { return mask_ + 1; }

    // Forgets everything; the next message gets this position.
    void restart(Position first);

private:
    struct Record {
        uint32_t size;
        uint8_t flags;
    };
    static_assert(sizeof(Record) <= kMessageCost);

    void forget(uint64_t cost);

    uint64_t mask_;
    uint64_t indexMask_;
    std::unique_ptr<std::byte[]> bytes_;
    std::unique_ptr<uint64_t[]> index_;
    Position oldest_;
    Position next_;
    uint64_t begin_ = 0;  // the oldest message's offset
    uint64_t end_ = 0;
};

}  // namespace verbex::bus
