// One journal record: a 64-byte header, a payload that the journal never looks into, padding.
//
// Purpose: the bytes of a record and the questions that can be asked of bytes that should be one.
// docs/journal-format.md states the same byte by byte.
// Owner: pure functions over the caller's memory.
// Thread safety: pure.
// Invariants:
//   1. Records start at multiples of 64, so a header never straddles two sectors: a header is
//      written whole or not at all.
//   2. Within each 512-byte sector that a record touches, its bytes have at least two bits set. A
//      sector that was never written is all zero, so a lost sector is told from a flipped bit.
//      Payloads that lack the property are whitened (XORed with a keyed pattern) to get it.
//   3. digest = Hash128(seed, header ‖ stored payload); the next record carries it.
// Requires: payload sizes up to kPayloadBytesMax.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/hash128.h"
#include "journal/storage.h"

namespace verbex::journal {

inline constexpr uint32_t kRecordMagic = 0x52584256;  // "VBXR" in file order
inline constexpr uint16_t kRecordVersion = 1;
inline constexpr uint64_t kRecordAlignment = 64;
inline constexpr uint32_t kPayloadBytesMax = 1u << 20;
inline constexpr uint64_t kChainSeed = 0x766572626578'0001;  // "verbex", chain 1

// The low four flag bits say what the record is; the upper twelve hold the whitening key (0: none).
inline constexpr uint16_t kFlagOpened = 1;  // first record of a writer's session
inline constexpr uint16_t kFlagClosed = 2;  // clean close: everything before it is durable
inline constexpr uint16_t kFlagSealed = 4;  // last record of a segment that has a successor
inline constexpr uint16_t kFlagKindMask = 0x000f;
inline constexpr unsigned kWhiteningShift = 4;
inline constexpr uint32_t kWhiteningKeyMax = 0x0fff;

// 128 bits that name a journal; drawn by the node when the journal is created.
struct JournalId {
    uint64_t lo = 0;
    uint64_t hi = 0;
    friend bool operator==(const JournalId&, const JournalId&) = default;
};
static_assert(sizeof(JournalId) == 16);

struct RecordHeader {
    uint32_t magic = kRecordMagic;
    uint16_t version = kRecordVersion;
    uint16_t flags = 0;
    uint64_t epoch = 0;
    uint64_t position = 0;       // of the first command; of the next one where count is 0
    uint32_t count = 0;          // commands; 0 in opened, closed and sealed records
    uint32_t payloadBytes = 0;
    uint64_t durableMark = 0;    // highest position known durable when this record was written
    uint32_t headerCrc = 0;      // over these 64 bytes with this field zero
    uint32_t payloadCrc = 0;     // over the stored payload
    Digest128 previousDigest;    // of the record before this one
};
static_assert(sizeof(RecordHeader) == kRecordAlignment);
static_assert(offsetof(RecordHeader, version) == 4 && offsetof(RecordHeader, flags) == 6);
static_assert(offsetof(RecordHeader, epoch) == 8 && offsetof(RecordHeader, position) == 16);
static_assert(offsetof(RecordHeader, count) == 24 && offsetof(RecordHeader, payloadBytes) == 28);
static_assert(offsetof(RecordHeader, durableMark) == 32 && offsetof(RecordHeader, headerCrc) == 40);
static_assert(offsetof(RecordHeader, payloadCrc) == 44);
static_assert(offsetof(RecordHeader, previousDigest) == 48);
static_assert(kSectorBytes % kRecordAlignment == 0, "invariant 1");

// One record as a reader hands it out. `payload` points into the reader's buffer and is valid
// until the call it was handed to returns.
struct RecordView {
    uint64_t epoch = 0;
    uint64_t position = 0;
    uint32_t count = 0;
    uint64_t durableMark = 0;
    std::span<const std::byte> payload;
    Digest128 digest;

    [[nodiscard]] uint64_t lastPosition() const { return position + count - 1; }
};

[[nodiscard]] constexpr uint64_t recordBytes(uint64_t payloadBytes) {
    return (sizeof(RecordHeader) + payloadBytes + kRecordAlignment - 1) / kRecordAlignment *
           kRecordAlignment;
}

// The digest before the first record of a journal.
[[nodiscard]] Digest128 chainStart(const JournalId& id);

// Writes a whole record (header, payload, zero padding) to `into`, which will lie at `fileOffset`
// of its segment, and returns its digest. `header` carries everything but checksums and whitening.
// Requires: into.size() == recordBytes(payload.size()); fileOffset a multiple of 64.
Digest128 encodeRecord(RecordHeader header, std::span<const std::byte> payload, uint64_t fileOffset,
                       std::span<std::byte> into);

[[nodiscard]] bool isAllZero(std::span<const std::byte> bytes);

// Magic and header checksum are right: these 64 bytes were once written as a header.
[[nodiscard]] bool isRecordHeader(std::span<const std::byte> bytes);

[[nodiscard]] RecordHeader loadRecordHeader(std::span<const std::byte> bytes);

// Names what is wrong with a header whose checksum holds, or nullptr.
[[nodiscard]] const char* headerFault(const RecordHeader& header);

// The digest of a record as stored.
[[nodiscard]] Digest128 recordDigest(std::span<const std::byte> headerAndPayload);

// True where at least one sector of the record (header ‖ stored payload, at `fileOffset`) holds
// only zeros where the record's bytes should be: that sector never reached the disk.
[[nodiscard]] bool hasUnwrittenSector(std::span<const std::byte> headerAndPayload,
                                      uint64_t fileOffset);

// Undoes the whitening that the header names, in place.
void restorePayload(const RecordHeader& header, std::span<std::byte> payload);

}  // namespace verbex::journal
