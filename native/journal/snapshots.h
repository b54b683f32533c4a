// The snapshots of a node: two deep, each verified before an older one goes.
//
// Purpose: a container for state that the journal room never looks into; docs/snapshot-container.md
// states the bytes.
// Owner: the snapshot thread of a node, or recovery at start.
// Thread safety: one thread at a time per store.
// Invariants:
//   1. A file under a snapshot's name was complete and synced before it got that name.
//   2. A new snapshot is read back and checked whole before older ones are removed; two stay.
//   3. A damaged snapshot is never used and never passed over in silence: load reports each one.
// Requires: for open (which removes temporary files) and begin the lock of the data directory.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "journal/snapshot_file.h"
#include "journal/storage.h"

namespace verbex::journal {

inline constexpr size_t kSnapshotsKept = 2;

struct SnapshotListing {
    uint64_t position = 0;
    std::string name;
    uint64_t bytes = 0;
};

[[nodiscard]] std::string snapshotFileName(uint64_t position);

struct LoadedSnapshot {
    std::unique_ptr<SnapshotReader> reader;  // verified whole, placed at the first content byte
    SnapshotFacts facts;
    std::string name;
    std::vector<Status> refused;  // one for each newer snapshot that was damaged; report loudly
};

class SnapshotStore {
public:
    static Result<std::unique_ptr<SnapshotStore>> open(Storage& storage, const DirectoryLock& lock,
                                                       const std::string& directory);

    // A new snapshot; write() content to it, then hand it to publish().
    Result<std::unique_ptr<SnapshotWriter>> begin(const SnapshotFacts& facts);
    // Completes, syncs, names, verifies by reading back, and removes all but the newest two.
    Status publish(std::unique_ptr<SnapshotWriter> writer, const Digest128& stateHash);
    // Drops an unfinished snapshot.
    Status discard(std::unique_ptr<SnapshotWriter> writer);

    // Newest first, unverified.
    Result<std::vector<SnapshotListing>> list();
    // The newest one that verifies. NotFound: none there. SnapshotDamaged: some there, none good;
    // the message names each.
    Result<LoadedSnapshot> loadNewest();
    // A snapshot's reader; its content is checked as it is read.
    Result<std::unique_ptr<SnapshotReader>> read(const std::string& name);
    // Removes every snapshot but that of `keep` (0: all of them), durably.
    Status removeOthers(uint64_t keep);
    // Reads one whole snapshot and checks all of it.
    Result<SnapshotFacts> verify(const std::string& name);

private:
    SnapshotStore(Storage& storage, std::string directory);
    Status removeOlder();

    Storage& storage_;
    const std::string directory_;
};

// Without a lock and without touching anything: for `verbex journal verify` beside a running node.
Result<std::vector<SnapshotListing>> listSnapshots(Storage& storage, const std::string& directory);
Result<SnapshotFacts> verifySnapshot(Storage& storage, const std::string& directory,
                                     const std::string& name);

}  // namespace verbex::journal
