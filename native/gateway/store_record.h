// A record of the message store, byte by byte; docs/gateway-store.md says the same in words.
//
//     0        4      8         10     11      12         16         24     32     40       48      52 53
//     ┌────────┬──────┬─────────┬──────┬───────┬──────────┬──────────┬──────┬──────┬────────┬───────┬─┬───────┐
//     │ length │ crc  │ session │ kind │ flags │ sequence │ position │ time │ next │ before │ index │0│ frame │
//     └────────┴──────┴─────────┴──────┴───────┴──────────┴──────────┴──────┴──────┴────────┴───────┴─┴───────┘
//     56 payload, zeros up to a multiple of 8
//
// Purpose: the layout, its checksum, and how records are named.
// Owner: pure functions over the store's memory.
// Thread safety: pure.
// Invariants:
//   1. `length` is written last: 0 means that nothing is there yet.
//   2. The frame lies right before the payload: both go onto the wire from here.
//   3. The checksum covers the place of the record and its segment's salt, so that a message which looks
//      like a record is none.
// Requires: a little-endian machine.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/crc32c.h"
#include "gateway/message_store.h"

namespace verbex::gateway::store {

static_assert(std::endian::native == std::endian::little);

// Where a record lies: the segment's number << 32 | the offset in it. 0: nowhere.
using RecordId = uint64_t;
[[nodiscard]] constexpr RecordId recordId(uint32_t segment, uint64_t offset) {
    return uint64_t{segment} << 32 | offset;
}
[[nodiscard]] constexpr uint32_t segmentOf(RecordId record) {
    return static_cast<uint32_t>(record >> 32);
}
[[nodiscard]] constexpr uint32_t offsetOf(RecordId record) { return static_cast<uint32_t>(record); }

inline constexpr uint8_t kRecordLast = 1;  // the last message that its event causes

struct RecordHeader {
    uint32_t length;    // of header and payload, without the padding
    uint32_t crc;       // over salt, place, length, and all but `next`
    uint16_t session;
    uint8_t kind;       // RecordKind
    uint8_t flags;
    uint32_t sequence;  // Out: from 1. In: the reference
    uint64_t position;  // Out: of the event. In: of the last event delivered before. Day: the day's
    uint64_t timeNs;
    RecordId next;      // Out: the session's next; 0: none yet. Rebuilt at each opening
    uint64_t before;    // Out: bytes of the session's frames of that day before this one
    uint32_t index;     // with `position`
    uint8_t reserved;
    uint8_t frame[session::kFrameHeaderBytes];  // Out: length and 'S', as SoupBinTCP has them
};
static_assert(sizeof(RecordHeader) == 56 && offsetof(RecordHeader, frame) == 53);
static_assert(offsetof(RecordHeader, next) == 32 && offsetof(RecordHeader, before) == 40);

inline constexpr size_t kRecordAlignment = 8;
// A frame's length is 16 bits and counts its type.
inline constexpr size_t kPayloadBytesMax = 0xfffe;

// What a Day record carries: up to where events were delivered when it was written.
struct DayPayload {
    uint64_t position;
    uint32_t index;
    uint32_t generation;
};
static_assert(sizeof(DayPayload) == 16);

[[nodiscard]] constexpr uint64_t paddedBytes(uint64_t length) {
    return (length + kRecordAlignment - 1) & ~uint64_t{kRecordAlignment - 1};
}
[[nodiscard]] inline std::byte* payloadOf(RecordHeader* record) {
    return reinterpret_cast<std::byte*>(record + 1);
}
[[nodiscard]] inline std::span<const std::byte> payloadOf(const RecordHeader* record) {
    return {reinterpret_cast<const std::byte*>(record + 1), record->length - sizeof(RecordHeader)};
}
// Bytes on the wire.
[[nodiscard]] inline uint32_t frameBytes(const RecordHeader* record) {
    return record->length - static_cast<uint32_t>(offsetof(RecordHeader, frame));
}

[[nodiscard]] inline uint32_t recordCrc(const RecordHeader* record, uint32_t length, RecordId place,
                                        uint64_t salt) {
    const uint64_t seed[3] = {salt, place, length};
    const auto* bytes = reinterpret_cast<const std::byte*>(record);
    uint32_t crc = crc32c(seed, sizeof(seed));
    crc = crc32c(bytes + 8, offsetof(RecordHeader, next) - 8, crc);
    return crc32c(bytes + offsetof(RecordHeader, before),
                  length - offsetof(RecordHeader, before), crc);
}

// Whether a whole record lies at `place`, in a segment that has so many bytes left from there on.
[[nodiscard]] inline bool isRecord(const RecordHeader* record, uint64_t bytesLeft, RecordId place,
                                   uint64_t salt) {
    if (bytesLeft < sizeof(RecordHeader) || record->length < sizeof(RecordHeader) ||
        record->length > sizeof(RecordHeader) + kPayloadBytesMax ||
        paddedBytes(record->length) > bytesLeft) {
        return false;
    }
    return record->crc == recordCrc(record, record->length, place, salt);
}

}  // namespace verbex::gateway::store
