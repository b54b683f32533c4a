// EdgeAudit: holds what an edge's engine says against what the cluster has voted.
//
//      Entries {entry, voted result} ──▶ expect ─┐
//      engine ─▶ event ring, reader 2 ─▶ take ───┴─▶ equal, or a difference
//
// Purpose: an edge executes what was released, alone: a flipped bit in its memory would show to its clients
// only. The voted result is a chain over all events, so it goes on from any entry's: no second core is needed.
// Owner: ClusterFeed.
// Thread safety: none; the feed's thread.
// Invariants:
//   1. An entry is compared where the cluster still has its result and the one before it; the first one, of
//      which the engine may have had a part, is not, but for the log's own first.
// Requires: expect() before the entry's first event; every event, in order.
#pragma once

#include <cstdint>
#include <deque>

#include "replication/frames.h"
#include "wire/event_digest.h"

namespace verbex::node {

class EdgeAudit {
public:
    // The engine is at `from`; `edgeBits` are what own tokens have in the cluster, and not here.
    EdgeAudit(Position from, uint64_t edgeBits) : edgeBits_(edgeBits), isBased_(from == 0) {}

    void expect(const replication::EntriesFrame& entry);
    // The command at this position is one of this edge's: its token has been cut.
    void cutToken(Position position) { cut_.push_back(position); }

    // False: the events of an entry are not those that were voted.
    [[nodiscard]] bool take(const Event& event);

    struct Difference {
        Position first = 0;
        Position last = 0;
        replication::Epoch epoch = 0;
        Digest128 expected;
        Digest128 found;
    };
    [[nodiscard]] const Difference& difference() const { return difference_; }
    [[nodiscard]] uint64_t compared() const { return compared_; }

private:
    struct Expected {
        replication::EntryHeader entry;
        Digest128 hash;
        Digest128 ofEvents;
    };
    [[nodiscard]] bool settle();

    const uint64_t edgeBits_;
    std::deque<Expected> expected_;  // whose events have not all come
    std::deque<Position> cut_;
    EventDigest chain_;
    bool isBased_;                   // chain_ is the cluster's up to the entry under way
    uint64_t compared_ = 0;
    Difference difference_;
};

}  // namespace verbex::node
