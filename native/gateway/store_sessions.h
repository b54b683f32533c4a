// StoredSession: one session's messages of the day, as a chain through the log.
//
// Purpose: what a connection sends from, and how a sequence number is found.
// Owner: the store.
// Thread safety: the owner's.
// Invariants:
//   1. append() allocates nothing: index blocks come from a pool that is filled ahead.
//   2. A cursor that stands behind the last message goes on with the next one, whenever it comes.
// Requires: the log outlives it.
#pragma once

#include <array>
#include <deque>
#include <memory>
#include <vector>

#include "gateway/store_segment.h"
#include "session/session_server.h"

namespace verbex::gateway::store {

inline constexpr uint32_t kIndexEvery = 64;  // messages

// The mapped segments, by number.
struct MappedLog {
    std::deque<Segment> segments;
    uint32_t first = 1;  // number of the first one

    // nullptr: its segment is gone.
    [[nodiscard]] RecordHeader* at(RecordId record) const {
        const uint32_t number = segmentOf(record);
        return number < first ? nullptr : segments[number - first].record(offsetOf(record));
    }
};

// Places of a session's 65th, 129th … message.
struct IndexBlock {
    static constexpr uint32_t kPlaces = 31;
    std::array<RecordId, kPlaces> places;
    IndexBlock* next;
};

class IndexPool {
public:
    // At least so many blocks can be taken.
    void fill(size_t blocks);
    [[nodiscard]] IndexBlock* take();
    // A whole chain.
    void giveBack(IndexBlock* first);

private:
    static constexpr size_t kGrowth = 256;
    std::vector<std::unique_ptr<IndexBlock[]>> memory_;
    IndexBlock* free_ = nullptr;
    size_t count_ = 0;
};

class StoredSession final : public session::Outbound {
public:
    StoredSession(const MappedLog& log, IndexPool& pool) : log_(log), pool_(pool) {}

    size_t gather(const session::OutboundCursor& cursor, std::span<iovec> into) override;
    void advance(session::OutboundCursor& cursor, size_t bytes) override;
    // UINT64_MAX: what lies behind the cursor is gone; who lags so much is cut off.
    [[nodiscard]] uint64_t lag(const session::OutboundCursor& cursor) const override;
    [[nodiscard]] bool seek(uint32_t sequence, session::OutboundCursor& cursor) const;

    [[nodiscard]] uint32_t count() const { return count_; }
    [[nodiscard]] uint64_t bytes() const { return bytes_; }  // framed
    void append(RecordHeader* record, RecordId place);
    // Its segment is about to go: in the order of appending.
    void forget(const RecordHeader* record, RecordId place);
    void beginDay();

private:
    // Where there is something to send at or behind the cursor; 0: nowhere.
    RecordId resume(const session::OutboundCursor& cursor, uint32_t& offset) const;
    [[nodiscard]] bool isGone(const session::OutboundCursor& cursor) const;

    const MappedLog& log_;
    IndexPool& pool_;
    RecordId first_ = 0;  // the first that is still there
    RecordId last_ = 0;
    RecordId forgotten_ = 0;  // the last that is gone
    uint64_t bytes_ = 0;
    uint32_t firstSequence_ = 1;
    uint32_t count_ = 0;
    uint32_t lastFrame_ = 0;  // bytes
    uint32_t forgottenFrame_ = 0;
    IndexBlock* index_ = nullptr;
    IndexBlock* indexTail_ = nullptr;
    uint32_t indexed_ = 0;
    RecordId dayFirst_ = 0;  // cursors before it are of another day
};

}  // namespace verbex::gateway::store
