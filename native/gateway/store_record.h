// StoreRecord: one message in the message store's log, as it lies in a segment.
//
//      0       4       8                        56              56 + 3 + payload
//      ┌───────┬───────┬────────────────────────┬─────┬─────────┬─────────┐
//      │ bytes │ crc32c│ what, whose, when, next│frame│ payload │ padding │   frame: of Out records only
//      └───────┴───────┴────────────────────────┴─────┴─────────┴─────────┘
//
// Purpose: the layout, and what makes a record whole. docs/gateway-store.md describes it for other readers.
// Thread safety: plain bytes.
// Invariants:
//   1. `bytes` is stored last, with release: where it is 0 the log ends.
//   2. The checksum covers everything from `kind` to the end of the payload but `next`.
// Requires: little-endian.
#pragma once

#include <cstddef>
#include <cstdint>

namespace verbex::gateway {

struct StoreRecord {
    static constexpr uint8_t kLast = 1;  // the last message of its event
    static constexpr uint8_t kOwn = 2;   // no event caused it

    uint32_t bytes;  // of the whole record, a multiple of 8; 0: none
    uint32_t crc;
    uint8_t kind;
    uint8_t flags;
    uint16_t session;
    uint32_t payloadBytes;
    uint32_t sequence;
    uint32_t index;
    uint64_t position;
    uint64_t timeNs;
    uint64_t before;  // bytes of the session's frames ahead of this one, this day
    uint64_t next;    // where the session's next Out record lies; 0: not yet

    [[nodiscard]] std::byte* content() { return reinterpret_cast<std::byte*>(this + 1); }
    [[nodiscard]] const std::byte* content() const {
        return reinterpret_cast<const std::byte*>(this + 1);
    }
};
static_assert(sizeof(StoreRecord) == 56);
static_assert(offsetof(StoreRecord, kind) == 8 && offsetof(StoreRecord, next) == 48);

// The first 64 bytes of a segment.
struct SegmentHeader {
    static constexpr uint64_t kMagic = 0x3130'4557'5445'4756;  // "VGETWE01"
    uint64_t magic;
    uint64_t number;        // 1, 2, 3 …
    uint64_t segmentBytes;
    uint64_t dayFirst;      // number of the segment in which its day begins
    uint64_t dayStart;      // position at which its day began
    uint64_t reserved[2];
    uint32_t reserved1;
    uint32_t crc;           // of the bytes before it
};
static_assert(sizeof(SegmentHeader) == 64);

}  // namespace verbex::gateway
