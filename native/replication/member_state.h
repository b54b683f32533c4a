// MemberState: what a snapshot of a member holds: all that executing its log from the beginning would give.
//
//      [ head 128 bytes | ends × { epoch, last position } | state of the core (docs/state-format.md) ]
//
// Purpose: the content of a snapshot's container (docs/snapshot-container.md), the same on every member for the
// same position: the result there, what was last scrubbed, where each epoch ends, and the state.
// Owner: pure functions.
// Thread safety: pure.
// Invariants:
//   1. What readMemberState() hands out was checked whole: container, head, ends, the state's hash.
//   2. A state of other capacities, or another time between scrubs, is refused: it would go on otherwise.
// Requires: the executor at the end of an entry.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "journal/snapshot_file.h"
#include "replication/executor.h"
#include "replication/frames.h"

namespace verbex::replication {

struct MemberState {
    std::vector<EpochEnd> ends;
    std::unique_ptr<Executor> executor;
    journal::SnapshotFacts facts;     // of the container; position 0: there is no snapshot
    Digest128 contentDigest;
    [[nodiscard]] Position position() const { return executor->position(); }
};

// Where the epochs of a log end that is cut at `position`.
[[nodiscard]] std::vector<EpochEnd> endsUpTo(std::vector<EpochEnd> ends, Position position);

Status writeMemberState(journal::SnapshotWriter& writer, const Executor& executor,
                        const std::vector<EpochEnd>& ends, const ExecutorOptions& options);

// The capacities where it is a member's: then the reader is placed at the state of the core. Else it has been read
// from, and is of no use any more.
Result<std::optional<CoreLimits>> passMemberHead(journal::SnapshotReader& reader);

// Events from there on go to `outputs`.
Result<MemberState> readMemberState(journal::SnapshotReader& reader, const ExecutorOptions& options,
                                    Outputs& outputs);

}  // namespace verbex::replication
