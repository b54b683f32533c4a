// Rules of the protocol, broken on purpose, so that tests can show that the simulator would notice.
#pragma once

#include <cstdint>

namespace verbex::replication {

enum class Mutant : uint8_t {
    None = 0,
    FenceBeforeDead = 1,       // a fence is answered while the old leader's entries are still taken
    CommitOldEpoch = 2,        // entries of older epochs are committed directly
    TruncateByCommit = 3,      // a member that is fenced cuts its log at its commit position, not by epochs
    AckBeforeStore = 4,        // durable mode: acknowledged when executed
    VouchAfterRestart = 5,     // a restarted member keeps its incarnation, whatever it may have lost
    FenceTooFew = 6,           // a takeover is content with one member less
    GrowBeforeAck = 7,         // a joiner is added before it has everything
    VoteSkipped = 8,           // released when committed, whatever the result hashes say
    DuplicateApplied = 9,      // the client's order id is dropped: what is sent twice is done twice
    AdoptShorterLog = 10,      // a takeover takes its own log instead of the highest
    ActivateBeforeSync = 11,   // a takeover activates before a quorum has its log
    IgnoreChecksum = 12,       // an entry is taken whatever its checksum says
    ShrinkWithoutSwap = 13,    // a silent member is no longer waited for before the record says so
    AckUnverified = 14,        // a log that this leader has not compared is acknowledged all the same
    TruncateStale = 15,        // a cut is done whenever its place fits, however late the word comes
    ChangeByCommitOnly = 16,   // a change of the sync set does not look at what was taken over
    AlignTooEarly = 17,        // a candidate has others cut by its own log before it has the adopted one
    SnapshotUncommitted = 18,  // a snapshot is taken of whatever is in the log, committed or not
    SnapshotForgetsEnds = 19,  // a snapshot keeps the last epoch's end only
    SnapshotForgetsResult = 20,  // a snapshot does not keep the result and what was last scrubbed
    PruneEarly = 21,           // the log is pruned before the snapshot that stands for it is durable
    InstallUnasked = 22,       // a snapshot is taken from anybody, and whatever is in the log already
    AskNobody = 23,            // an epoch is reserved without asking who would follow
    FollowNobody = 24,         // whoever is asked says no
    FollowAnybody = 25,        // whoever is asked says yes, though it hears the leader
    NeverMute = 26,            // a leader that hears no quorum goes on sending
    ForceSameEpoch = 27,       // an operator's force that came second is asked for again, with the same number
    ForceUncounted = 28,       // a force is not counted as an epoch of data loss
    ForceByCommit = 29,        // a forced member keeps of its log what it knows to be committed
    FoundOverRecord = 30,      // a cluster is founded whatever record there is
    FoundAtLogEpoch = 31,      // … at the last epoch of its log, not above it
    FoundByCommit = 32,        // … with what the member knows to be committed of its log
    FollowOrphaned = 33,       // a member whose log is in no record follows whoever leads
};
inline constexpr uint8_t kMutantMax = 33;

}  // namespace verbex::replication
