// SnapshotDesk: gives a member's snapshot to clients that need a state to begin with: the newest one to edges, the
// oldest that the log follows on to recoveries.
//
// Purpose: a log that is pruned has nothing for somebody who begins at its first entry. What a member gives another
// one is given to a client too, slowly: the member's thread reads it, and trading goes first.
// Owner: ClientPort.
// Thread safety: the member's thread.
// Invariants:
//   1. At most `takersMax` clients are given one at a time, and together `bytesPerSecond`; a part at a time is read.
//   2. What was offered stays open for who takes it, whatever is newer meanwhile.
// Requires: MemberSnapshots outlives it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>

#include "replication/frames.h"
#include "replication/member_snapshots.h"
#include "replication/wires.h"

namespace verbex::replication {

struct SnapshotDeskOptions {
    uint32_t takersMax = 2;
    uint64_t bytesPerSecond = 64u << 20;
    uint64_t idleNs = 3'000'000'000;  // who has asked for nothing for so long may lose its place
};

class SnapshotDesk {
public:
    SnapshotDesk(const SnapshotDeskOptions& options, MemberSnapshots& snapshots, Wires& wires)
        : options_(options), snapshots_(snapshots), wires_(wires) {}

    // Position 0: what is there? (kWantOldest: how far back?) Answered by Offer, of position 0 where the entry at `offset` is in the log, which
    // begins at `first`. False: there is no place for one more, or nothing to give.
    bool want(NodeId client, const WantFrame& frame, Position first, const FrameHeader& header);
    void onClosed(NodeId client) { takers_.erase(client); }
    // Sends parts that were asked for; false: nothing was to send, or it was not the time.
    bool step(uint64_t nowNs, const FrameHeader& header);

private:
    struct Taker {
        std::unique_ptr<journal::SnapshotReader> reader;
        uint64_t offset = 0;
        uint32_t parts = 0;  // that were asked for and are not sent
        uint64_t askedAt = 0;
    };
    bool offer(NodeId client, const WantFrame& frame, Position first, const FrameHeader& header);
    bool sendPart(NodeId client, Taker& taker, const FrameHeader& header);

    const SnapshotDeskOptions options_;
    MemberSnapshots& snapshots_;
    Wires& wires_;
    FrameBuffer buffer_;
    std::map<NodeId, Taker> takers_;
    uint64_t now_ = 0;
    uint64_t allowance_ = 0;  // bytes
};

}  // namespace verbex::replication
