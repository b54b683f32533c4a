// SequencerState: what a snapshot of a sequencer holds: all that replaying its log would give.
//
//   [ head 160 bytes | results at marks × 24 | entries kept × 72, each with its events × 128 | numbers | state of the core ]
//
// Purpose: the content of a snapshot's container (docs/snapshot-container.md): of which log, up to where, and what a
// sequencer knows there (log_replay.h). Which log it is the result of keeping account of that log says: the chain over
// its entries that sequencers vote on, at the same position.
// Owner: pure functions.
// Thread safety: pure.
// Invariants:
//   1. What readSequencerState() hands out was checked whole: container, head, the state's hash.
//   2. What another deployment, one of another layout, or with other marks has written is refused, by name.
//   3. A state behind a refusal that no marker explains has no snapshot.
// Requires: the replay at the end of an entry.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "journal/snapshot_file.h"
#include "roles/log_replay.h"
#include "roles/role_state.h"

namespace verbex::roles {

struct SequencerSnapshot {
    std::unique_ptr<LogReplay> replay;
    Digest128 log;  // the result of keeping account of the log there
};

// Whether it may have one: nothing waits for a marker, and the log says how many risk processes there are.
[[nodiscard]] bool mayBeSaved(const LogReplay& replay);

// Closed: `giveUp` has answered true meanwhile. Requires: mayBeSaved().
Status writeSequencerState(journal::SnapshotWriter& writer, const LogReplay& replay,
                           const Digest128& log, const std::string& deployment,
                           const LogReplayOptions& options, const std::function<bool()>& giveUp);
// SnapshotDamaged, UnsupportedFormat: it is of no use here, and why. Others are the disk's.
Result<SequencerSnapshot> readSequencerState(journal::SnapshotReader& reader,
                                             const std::string& deployment,
                                             const LogReplayOptions& options);

}  // namespace verbex::roles
