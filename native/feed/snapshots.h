// Snapshots: the open book as of one moment, as GLIMPSE gives it, made a bounded part at a time.
//
// Purpose: a late joiner gets the directory, the trading states, every order in queue order, and the sequence
// number from which the stream goes on; all of it one buffer, which everybody who asks at about the same time
// reads, framed as SoupBinTCP sends it.
//
//     begin at n ──▶ R, H ──▶ A … A (as they were at n, whatever happens meanwhile) ──▶ G n ──▶ end of session
//
// Owner: the market feed.
// Thread safety: none.
// Invariants:
//   1. A snapshot is of one moment, however many rounds it takes (ShownOrders::beginWalk).
//   2. At most kImages exist at once, and one is in the making. Whoever comes while there is one in the making, or
//      one that is at most kFreshMessages old, shares it; so does whoever comes when all are being read, as long as
//      the history still has what follows.
//   3. A round's work is bounded: kBytesPerRound, and what one order more may take.
// Requires: work() behind every round.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "base/zeroed_array.h"
#include "feed/feed_builder.h"
#include "feed/feed_history.h"

namespace verbex::feed {

struct SnapshotImage {
    uint64_t continueFrom = 0;  // 0: free
    ZeroedArray<std::byte> memory;
    size_t room = 0;
    size_t bytes = 0;    // written so far
    bool whole = false;
    uint32_t readers = 0;

    [[nodiscard]] bool inUse() const { return readers != 0 || (continueFrom != 0 && !whole); }
};

class Snapshots {
public:
    static constexpr uint32_t kImages = 4;
    static constexpr size_t kBytesPerRound = 64u << 10;
    static constexpr uint64_t kFreshMessages = 1000;

    Snapshots(FeedBuilder& builder, const FeedHistory& history)
        : builder_(builder), history_(history) {}

    // For one more reader; nullptr: not now. release() it.
    SnapshotImage* acquire();
    void release(SnapshotImage& image);
    // Goes on with the one in the making; true: it has grown.
    bool work();
    [[nodiscard]] bool making() const { return making_ != nullptr; }

private:
    void begin(SnapshotImage& image);
    void write(const itch::Message& message);
    void finish();

    FeedBuilder& builder_;
    const FeedHistory& history_;
    std::array<SnapshotImage, kImages> images_;
    SnapshotImage* newest_ = nullptr;
    SnapshotImage* making_ = nullptr;
    uint64_t timeNs_ = 0;  // of the one in the making
};

// One connection's way through an image.
class SnapshotReader final : public session::Outbound {
public:
    static constexpr size_t kGatherMax = 64u << 10;  // shown at a time

    SnapshotImage* image = nullptr;  // nullptr: unused

    [[nodiscard]] bool done() const { return image != nullptr && done_; }
    // There is more, and the socket took all it was shown: the server must be told to go on.
    [[nodiscard]] bool wantsMore() const { return wantsMore_; }
    void start(SnapshotImage& from) {
        image = &from;
        done_ = wantsMore_ = false;
    }

    size_t gather(const session::OutboundCursor& cursor, std::span<iovec> into) override;
    void advance(session::OutboundCursor& cursor, size_t bytes) override;
    [[nodiscard]] uint64_t lag(const session::OutboundCursor& cursor) const override;

private:
    bool done_ = false;  // all of it is sent
    bool wantsMore_ = false;
    size_t shown_ = 0;
};

}  // namespace verbex::feed
