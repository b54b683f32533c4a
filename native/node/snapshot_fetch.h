// SnapshotFetch: a member's snapshot, brought into a directory here.
//
// Purpose: whoever begins with nothing when the cluster has pruned its log's beginning starts from a state instead.
// Owner: Node, for an edge with an empty folder; log_source.cpp, for a recovery from a running member.
// Thread safety: one thread, which it keeps until it is done.
// Invariants:
//   1. The snapshot gets its name only when it is here whole, has the digest that was offered, and was read back.
//   2. Another member is asked where one goes away or does not give it; nothing of two is mixed.
// Requires: the lock of the data directory.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/status.h"
#include "journal/storage.h"
#include "replication/cluster_client.h"
#include "transport/network.h"
#include "wire/command.h"

namespace verbex::node {

struct SnapshotFetchOptions {
    transport::NetworkOptions network;
    replication::ClusterClientOptions cluster;
    std::string directory;  // of the snapshots
    Position needed = 1;    // nothing is fetched where a member still has the entry at this position
    bool oldest = false;    // the oldest that the member's log follows on, not the newest
    uint64_t patienceNs = 10'000'000'000;  // without a word of any member
    uint64_t giveUpNs = 5'000'000'000;     // without the parts that were asked for another member is asked
    uint32_t stallsMax = 0;  // so often parts may fail to come from somebody who offers them; 0: however often
    // Before the snapshot gets its name: what it takes the place of goes.
    std::function<Status()> beforePublish;
};

// The snapshot's position; 0: a member has what is needed. TimedOut: nobody answers. SnapshotDamaged: what came is not
// what was offered, or it is offered again and again and does not come.
Result<Position> fetchSnapshot(journal::Storage& storage, const journal::DirectoryLock& lock,
                               const SnapshotFetchOptions& options);

}  // namespace verbex::node
