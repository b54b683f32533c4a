// The state of a core as a snapshot's content holds it, alone or behind what a member keeps beside it.
//
// Purpose: one way in and one way out for a node's snapshots and a member's.
// Owner: pure functions.
// Thread safety: pure.
// Invariants:
//   1. What readCoreState() hands out was checked whole: the state, that nothing follows it, the digest over the
//      content, position and hash against the container's header.
// Requires: a reader that is placed at the state.
#pragma once

#include <memory>
#include <string>

#include "core/core.h"
#include "journal/snapshot_file.h"

namespace verbex::replication {

Status writeCoreState(journal::SnapshotWriter& writer, const Core& core);

// `named`: the snapshot, as messages call it.
Result<std::unique_ptr<Core>> readCoreState(journal::SnapshotReader& reader,
                                            const std::string& named, const CoreLimits& limits,
                                            const CoreShards& shards = {});

// Bytes of a snapshot's content; failure() tells a failed disk from a content that is too short.
class SnapshotSource final : public ByteSource {
public:
    explicit SnapshotSource(journal::SnapshotReader& reader) : reader_(reader) {}
    [[nodiscard]] bool read(void* bytes, size_t size) override;
    [[nodiscard]] const Status& failure() const { return failure_; }

private:
    journal::SnapshotReader& reader_;
    Status failure_;
};

}  // namespace verbex::replication
