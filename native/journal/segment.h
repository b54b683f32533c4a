// A segment: one preallocated, zeroed file of the journal, and its header block.
//
// Purpose: names, header and listing of segments.
// Owner: pure functions; files belong to the writer.
// Thread safety: pure; listing goes through Storage.
// Invariants:
//   1. A file under a segment's name always has the full length and a checked header: it was filled
//      and synced under a temporary name first. So any other length is damage, never a crash.
//   2. The name carries the first position, 20 digits, so that bytewise order is position order.
// Requires: segment sizes are multiples of kBlockBytes, at least kSegmentBytesMin.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash128.h"
#include "base/status.h"
#include "journal/record.h"
#include "journal/storage.h"

namespace verbex::journal {

inline constexpr uint64_t kSegmentMagic = 0x3130474553584256;  // "VBXSEG01" in file order
inline constexpr uint32_t kSegmentVersion = 1;
inline constexpr uint64_t kSegmentHeaderBytes = kBlockBytes;
inline constexpr uint64_t kSegmentBytesDefault = 64u << 20;
inline constexpr uint64_t kSegmentBytesMin = 2 * kBlockBytes;
inline constexpr uint64_t kSegmentBytesMax = uint64_t{1} << 40;
inline constexpr std::string_view kSegmentSuffix = ".journal";
inline constexpr std::string_view kPreparedSegmentName = "next.journal.tmp";

struct SegmentHeader {
    uint64_t magic = kSegmentMagic;
    uint32_t version = kSegmentVersion;
    uint32_t headerBytes = kSegmentHeaderBytes;
    JournalId journalId;
    uint64_t firstPosition = 0;
    uint64_t segmentBytes = 0;
    Digest128 previousDigest;  // of the last record before this segment (its predecessor's seal)
    uint8_t reserved[60] = {};
    uint32_t crc = 0;          // over the 124 bytes before it; the rest of the block is zero
};
static_assert(sizeof(SegmentHeader) == 128 && offsetof(SegmentHeader, journalId) == 16);
static_assert(offsetof(SegmentHeader, firstPosition) == 32);
static_assert(offsetof(SegmentHeader, segmentBytes) == 40);
static_assert(offsetof(SegmentHeader, previousDigest) == 48);
static_assert(offsetof(SegmentHeader, crc) == 124);

struct SegmentName {
    uint64_t firstPosition = 0;
    std::string name;
};

[[nodiscard]] std::string segmentFileName(uint64_t firstPosition);
[[nodiscard]] std::optional<uint64_t> parseSegmentFileName(std::string_view name);

// Fills a whole header block.
void encodeSegmentHeader(SegmentHeader header, std::span<std::byte, kSegmentHeaderBytes> block);
// Checks magic, checksum, version, sizes and that the rest is zero; the message says what failed.
Result<SegmentHeader> decodeSegmentHeader(std::span<const std::byte, kSegmentHeaderBytes> block);

// Segments in position order; none where the directory does not exist.
Result<std::vector<SegmentName>> listSegments(Storage& storage, const std::string& directory);

// The largest payload that fits a segment beside its header and its seal.
[[nodiscard]] constexpr uint64_t payloadBytesMax(uint64_t segmentBytes) {
    const uint64_t room = segmentBytes - kSegmentHeaderBytes - 2 * sizeof(RecordHeader);
    return room < kPayloadBytesMax ? room : kPayloadBytesMax;
}

// Removes each segment of which every position lies before `position`, oldest first. The newest
// segment always stays. Callable from any thread beside a running writer.
Status removeSegmentsBefore(Storage& storage, const std::string& directory, uint64_t position);

}  // namespace verbex::journal
