// Where a cluster begins: the first record, written by members that have nothing yet, or at an operator's word by one
// that has a log; who a member is that has just begun; and a log that is in no record.
//
//      no record ──▶ empty: writes the first one
//                ──▶ has a log: orphaned, stands aside ──found──▶ first record: {itself}, an epoch above its log's
//                                                    └─▶ another record comes: it stays aside, unless its leader shows that
//                                                        the log is its own's beginning; force, or an empty folder
#include <algorithm>

#include "replication/replica.h"

namespace verbex::replication {

namespace {

// A leader gives entries to whoever has none at once, or never.
constexpr uint64_t kOverlookedNs = 1'000'000'000;
// Epochs that the cluster which is lost may have gone through after the copy was made: a member of it whose folder turns
// up is not taken for one that has the new cluster's entries.
constexpr Epoch kFoundingRoom = 1u << 20;
// A leader is asked so often whether this log is its own's beginning.
constexpr uint64_t kAskLeaderNs = 50'000'000;

}  // namespace

void Replica::onNoRecord(bool hadLog) {
    // Who has known a record goes on: somebody has taken it away, and may put it back.
    if (revision_ != 0 && with_.log.last() != 0) return;
    if (with_.log.last() == 0) {
        bootstrap();
    } else if (hadLog) {
        absent_ = true;
        if (!orphaned_) standAside();
    } else {
        readWanted_ = true;  // what it has it has got since: a leader's, under a record that has come since
    }
}

// The first record of a cluster: the first hot members, none of whom has a log.
void Replica::bootstrap() {
    if (facts_.incarnation > 1) return;
    Configuration first;
    for (const MemberPlace& place : options_.members) {
        if (!place.warm && first.sync.size() < options_.hotWanted) first.sync.push_back({place.id, 1});
    }
    std::sort(first.sync.begin(), first.sync.end(),
              [](const SyncMember& a, const SyncMember& b) { return a.id < b.id; });
    if (first.member(facts_.id) == nullptr) return;
    first.site = options_.standby ? Site::Standby : Site::Active;
    first.writer = facts_.id;
    first.writerNonce = ++nonce_;
    revision_ = 0;
    askSwap(first);
}

// ---- who a member is

// The record's revision, with room for restarts below it, is a number that no incarnation of this member in a sync set
// has had: it got in there by a change of the record. A directory may be replaced twice without one: then what the
// surroundings have drawn tells the two from each other, for what a leader remembers.
Incarnation Replica::fresh() const {
    return (revision_ + 1) << kBirthRevisionShift | (options_.birth & kBirthMask) << kBirthShift;
}

// A fresh directory vouches for nothing. Before the first leader there is nothing to vouch for, and nobody who has a log
// already was meant.
void Replica::beBorn() {
    MemberFacts born = facts_;
    const bool isFirst =
        known_.epoch == 0 && known_.holds(facts_.id, 1) && with_.log.last() == 0;
    born.incarnation = isFirst ? 1 : fresh();
    if (!with_.store(born)) return;
    facts_ = born;
}

// Where a directory was replaced before the first leader, that leader may have heard of a later incarnation than
// the first, which the new directory has: it passes this member over. One that has nothing may always be another.
void Replica::beBornAgain() {
    if (role_ != Role::Follower || facts_.incarnation != 1 || with_.log.last() != 0) return;
    if (ledSince_ == 0 || now_.steadyNs - ledSince_ < kOverlookedNs) return;
    beBorn();
    if (heardLeader_ != 0) sendState(heardLeader_, 0);
}

// ---- a log that is in no record

// Durably: whoever writes a record meanwhile may know nothing of this log, and would cut it.
void Replica::standAside() {
    if (options_.mutant == Mutant::FollowOrphaned) {
        orphaned_ = false;
        return;
    }
    if (!orphaned_ && !with_.orphan(true)) {
        fail(Status(StatusCode::IoError, "that the log is in no record could not be noted"));
        return;
    }
    orphaned_ = true;
    role_ = Role::Halted;
    halted_ = "its log, up to position " + std::to_string(with_.log.last()) +
              ", is in no record: found a cluster with it, put the record back, or move the folder away";
}

// Whether the record names this very log: this member has founded or forced it, and does not know yet; or the record was
// there when it started, with it in the sync set. One that other members have begun while this one looked on names it
// by the number of a first incarnation only.
bool Replica::isNamed() const {
    if (!known_.holds(facts_.id, facts_.incarnation)) return false;
    const Epoch last = with_.log.lastEpoch();
    const bool reserved = known_.candidate == facts_.id && known_.reservedEpoch > last;
    if (known_.epoch == 0) return reserved && facts_.incarnation != 1;
    const bool activated = known_.leader == facts_.id && known_.epoch > last;
    return reserved || activated || (!absent_ && known_.epoch >= last);
}

bool Replica::claim() {
    if (!with_.orphan(false)) {
        fail(Status(StatusCode::IoError, "that the log is in a record could not be noted"));
        return false;
    }
    orphaned_ = false;
    return true;
}

void Replica::comeBack() {
    if (!claim()) return;
    halted_.clear();
    role_ = Role::Follower;
    heardAt_ = now_.steadyNs;
    ackSent_ = 0;
}

// A cluster that goes on has this log if its leader has released the position where it ends in an entry of the same epoch
// and with the same result, which is a chain over all events up to there. Until that is known nothing is promised, and
// the leader is not told of epochs that may be another cluster's.
void Replica::prove(MemberId from, const AppendFrame& frame) {
    if (role_ != Role::Halted || !failure_.isOk() || frame.entry.count != 0) return;
    const Position end = with_.log.last();
    Digest128 own;
    if (end == 0 || !hashAt(end, own)) return;
    if (frame.released == end && frame.entry.first == end + 1 && frame.releasedHash == own &&
        frame.previousEpoch == with_.log.lastEpoch()) {
        comeBack();
        if (!orphaned_) onAppend(from, frame, {});
        return;
    }
    if (now_.steadyNs - stateSentAt_ < kAskLeaderNs) return;
    stateSentAt_ = now_.steadyNs;
    StateFrame state;
    state.header.flags = kStateOrphaned;
    state.header.from = facts_.id;
    state.header.epoch = frame.header.epoch;
    state.incarnation = facts_.incarnation;
    state.acknowledged = end;
    state.hash = own;
    (void)with_.wires.send(from, buffer_.make(state));
}

void Replica::answerOrphan(MemberId from, const StateFrame& frame) {
    const Position end = frame.acknowledged;
    AppendFrame answer;
    if (role_ != Role::Leader || isMute() || end == 0 || end > with_.outputs.released()) return;
    if (!hashAt(end, answer.releasedHash)) return;  // too long ago: it has to begin with nothing
    answer.revision = revision_;
    answer.previousEpoch = with_.log.epochAt(end);
    answer.entry.first = end + 1;
    answer.commit = commit_;
    answer.released = end;
    (void)sendTo(from, answer);
}

// What is in the log counts as what the new cluster has from its beginning on: whoever it was that took it. It is
// committed by the entry that starts the epoch, durable here, as in a takeover of one that is alone.
Status Replica::found() {
    if (!failure_.isOk()) return failure_;
    const bool isBroken = options_.mutant == Mutant::FoundOverRecord;
    if (revision_ != 0 && !isBroken) {
        return Status(StatusCode::ClusterExists,
                      "found: there is a record, of epoch " + std::to_string(known_.epoch) +
                          " and leader " + (known_.leader == 0 ? "none" : std::to_string(known_.leader)) +
                          "; nothing was changed");
    }
    if (asked_.request != 0 && asked_.swap) {
        return Status(StatusCode::Refused, "found: the control store has been asked, and has not answered");
    }
    if (with_.log.last() == 0) {
        return Status(StatusCode::Refused, "found: its log is empty; there is nothing to begin with");
    }
    if (with_.snapshots.isDistrusted()) {
        return Status(StatusCode::Refused, "found: it has computed something else than the others");
    }
    if (!isBroken && (!absent_ || !orphaned_ || role_ != Role::Halted)) {
        return Status(StatusCode::Refused, "found: the control store has not said yet that there is no record");
    }
    // The number that a member has in the first record of those who begin with nothing must not vouch for this log, and
    // a copy's own must not either.
    MemberFacts born = facts_;
    born.incarnation = fresh();
    if (!with_.store(born)) {
        fail(Status(StatusCode::IoError, "the founder's incarnation could not be stored"));
        return failure_;
    }
    facts_ = born;
    if (options_.mutant == Mutant::FoundByCommit &&
        !cut(std::max(commit_, with_.outputs.released()))) {
        return failure_;
    }
    Configuration first;
    first.sync = {{facts_.id, facts_.incarnation}};
    first.reservedEpoch = std::max(with_.log.lastEpoch(), facts_.promised) + kFoundingRoom;
    if (options_.mutant == Mutant::FoundAtLogEpoch) first.reservedEpoch = with_.log.lastEpoch();
    first.candidate = facts_.id;
    first.site = options_.standby ? Site::Standby : Site::Active;
    // What was acknowledged after the copy was made is lost. A standby site gets it from the other one.
    first.dataLossEpochs = options_.standby ? 0 : 1;
    first.writer = facts_.id;
    first.writerNonce = ++nonce_;
    halted_.clear();
    role_ = Role::Reserving;
    askSwap(first);
    return {};
}

}  // namespace verbex::replication
