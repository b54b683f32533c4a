// Segment: one mapped piece of the message store's log, a file or anonymous memory.
//
// Purpose: makes, maps, grows, cuts and syncs a segment; knows no record.
// Owner: the store's log.
// Thread safety: the owner's.
// Invariants:
//   1. Bytes below reserved() are backed: writing them never fails, nor does reading any.
//   2. What was never written is zero.
// Requires: nobody else shortens the file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/status.h"
#include "gateway/store_record.h"

namespace verbex::gateway::store {

inline constexpr uint64_t kPrefaultBytes = 1u << 20;  // backed at a time
inline constexpr uint64_t kSegmentBytesLeast = 1u << 17;  // holds the longest record
inline constexpr uint64_t kPageBytes = 4096;
inline constexpr uint64_t kSegmentBytesMost = 1u << 31;

struct SegmentHeader {
    uint64_t magic;        // kSegmentMagic
    uint32_t version;      // kSegmentVersion
    uint32_t number;       // 1, 2, 3 …
    uint64_t salt;         // drawn; seeds the checksums
    RecordId dayRecord;    // of the day in which the segment begins
    uint32_t previousEnd;  // where the records of the segment before it end; 0: there is none
    uint32_t generation;
    uint64_t bytes;        // of the segment
    uint32_t reserved[3];
    uint32_t crc;          // over the bytes before it
};
static_assert(sizeof(SegmentHeader) == 64);
inline constexpr uint64_t kSegmentMagic = 0x313047534d584256;  // "VBXMSG01" in file order
inline constexpr uint32_t kSegmentVersion = 1;

[[nodiscard]] std::string segmentName(uint32_t number);          // "messages-0000002a"
[[nodiscard]] uint32_t segmentNumber(const std::string& name);   // 0: no segment's name
[[nodiscard]] Status systemFailure(int error, const char* call, const std::string& path);

class Segment {
public:
    Segment() = default;
    ~Segment();
    Segment(Segment&& other) noexcept;
    Segment& operator=(Segment&& other) noexcept;

    // A new one; `directory` "": in memory. Nothing is left behind where it fails.
    static Result<Segment> create(const std::string& directory, SegmentHeader header);
    // JournalDamaged, UnsupportedFormat: says why. NotFound: it was never begun, all of it is zero.
    static Result<Segment> map(const std::string& directory, uint32_t number);

    [[nodiscard]] const SegmentHeader& header() const {
        return *reinterpret_cast<const SegmentHeader*>(base_);
    }
    [[nodiscard]] RecordHeader* record(uint64_t offset) const {
        return reinterpret_cast<RecordHeader*>(base_ + offset);
    }
    [[nodiscard]] uint64_t bytes() const { return bytes_; }
    [[nodiscard]] uint64_t reserved() const { return reserved_; }
    // Of a mapped one: behind it there was nothing but a hole when it was mapped.
    [[nodiscard]] uint64_t dataEnd() const { return dataEnd_; }
    [[nodiscard]] const std::string& path() const { return path_; }

    // At least `upTo` bytes are backed. NoSpace where they can't be.
    Status reserve(uint64_t upTo);
    // Everything from `end` on is zero again, and there is room for more behind it.
    Status cut(uint64_t end);
    Status sync() const;
    // No more growing or cutting.
    void finish();

private:
    Status mapFile(uint64_t bytes);

    std::string path_;
    std::byte* base_ = nullptr;
    uint64_t bytes_ = 0;
    uint64_t reserved_ = 0;
    uint64_t dataEnd_ = 0;
    int file_ = -1;
};

}  // namespace verbex::gateway::store
