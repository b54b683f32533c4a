// StoreSegments: the message store's memory: files mapped one behind the other, or anonymous memory.
//
// Purpose: gives the log a flat space of places (a place is segment number × segmentBytes + offset), keeps
// disk space ahead of the writer, and knows what lies in the directory.
// Owner: MessageLog.
// Thread safety: none.
// Invariants:
//   1. Bytes that are handed out for writing have their disk space: a full disk is an error here, never a
//      signal later.
//   2. A place stays mapped where it is until its segment is dropped.
// Requires: the directory's lock is held.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "base/status.h"
#include "gateway/store_record.h"

namespace verbex::gateway {

class StoreSegments {
public:
    // Disk space is asked for in pieces of so many bytes.
    static constexpr uint64_t kPrefaultBytes = 1u << 20;

    StoreSegments(std::string directory, uint64_t segmentBytes);
    ~StoreSegments();
    StoreSegments(const StoreSegments&) = delete;
    StoreSegments& operator=(const StoreSegments&) = delete;

    // Maps the segments of the last day; none where there are none.
    Status openExisting();
    // A new segment behind the last one. `newDay`: a day begins with it, at `dayStart`.
    Status add(bool newDay, uint64_t dayStart);
    // Takes away every segment behind this one: what a power cut left of them.
    Status dropBehind(uint64_t number);
    // The oldest, in memory only.
    void dropFirst();
    // Files of past days go until `keepBytes` are left.
    Status prune(uint64_t keepBytes);
    // Everything before this place in the last segment has its disk space: it was written.
    void written(uint64_t place);
    // Disk space up to this place.
    Status reserve(uint64_t place);
    // Gives the disk space of [from, to) in the last segment back, and with it what lies there.
    Status clear(uint64_t from, uint64_t to);
    Status sync();

    [[nodiscard]] bool isEmpty() const { return segments_.empty(); }
    [[nodiscard]] uint64_t first() const { return segments_.front().number; }
    [[nodiscard]] uint64_t last() const { return segments_.back().number; }
    [[nodiscard]] uint64_t segmentBytes() const { return segmentBytes_; }
    [[nodiscard]] const SegmentHeader& header(uint64_t number) const;
    [[nodiscard]] bool holds(uint64_t place) const {
        return !segments_.empty() && place / segmentBytes_ >= segments_.front().number &&
               place / segmentBytes_ <= segments_.back().number;
    }
    [[nodiscard]] std::byte* at(uint64_t place) const {
        return segments_[place / segmentBytes_ - segments_.front().number].memory +
               place % segmentBytes_;
    }
    [[nodiscard]] uint64_t begin(uint64_t number) const {
        return number * segmentBytes_ + sizeof(SegmentHeader);
    }
    [[nodiscard]] uint64_t mappedBytes() const { return segments_.size() * segmentBytes_; }
    [[nodiscard]] std::string path(uint64_t number) const;

private:
    struct Segment {
        uint64_t number;
        std::byte* memory;
        int file;           // -1: anonymous
        uint64_t reserved;  // bytes that have their disk space
    };
    Result<std::vector<uint64_t>> list() const;
    Status map(uint64_t number, bool create);
    void unmap(Segment& segment);

    const std::string directory_;
    uint64_t segmentBytes_;
    std::deque<Segment> segments_;
};

}  // namespace verbex::gateway
