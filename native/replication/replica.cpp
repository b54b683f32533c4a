// What every member does, whatever its role: frames in, the control store, promises, the end.
#include "replication/replica.h"

#include <algorithm>

#include "wire/command_codec.h"

namespace verbex::replication {

namespace {

// A member that takes no part looks now and then whether it may again.
constexpr uint64_t kHaltedReadNs = 300'000'000;

}  // namespace

Replica::Replica(const ReplicaOptions& options, const MemberFacts& facts, Surroundings with,
                 Moment now)
    : options_(options), facts_(facts), with_(std::move(with)), now_(now) {
    CHECK(options.batchBytes >= kCommandBytesMax && options.batchBytes <= kBatchBytesMax);
    heardAt_ = leaderAt_ = quorumAt_ = now.steadyNs;
    nonce_ = now.wallNs;
    term_ = 0;
    // A snapshot is of what was released.
    commit_ = with_.outputs.released();
    wasEvicted_ = with_.snapshots.isDistrusted();
    orphaned_ = with_.isOrphaned;
    if (orphaned_) standAside();
}

// ---- driven from outside

void Replica::onFrame(MemberId from, std::span<const std::byte> frame, Moment now) {
    now_ = now;
    std::span<const std::byte> payload;
    if (orphaned_) {
        if (AppendFrame head; readHead(frame, head, payload)) prove(from, head);
        return;
    }
    if (role_ == Role::Halted) return;
    switch (kindOf(frame)) {
        case FrameKind::Append:
            if (AppendFrame head; readHead(frame, head, payload)) onAppend(from, head, payload);
            break;
        case FrameKind::Ack:
            if (AckFrame head; readFrame(frame, head)) onAck(from, head);
            break;
        case FrameKind::State:
            if (StateFrame head; readHead(frame, head, payload)) onState(from, head, payload);
            break;
        case FrameKind::Fence:
            if (FenceFrame head; readFrame(frame, head)) onFence(from, head);
            break;
        case FrameKind::Truncate:
            if (TruncateFrame head; readFrame(frame, head)) onTruncate(from, head);
            break;
        case FrameKind::Fetch:
            if (FetchFrame head; readFrame(frame, head)) onFetch(from, head);
            break;
        case FrameKind::Entry:
            if (EntryFrame head; readHead(frame, head, payload)) onEntry(from, head, payload);
            break;
        case FrameKind::Offer:
            if (OfferFrame head; readHead(frame, head, payload)) onOffer(from, head, payload);
            break;
        case FrameKind::Want:
            if (WantFrame head; readFrame(frame, head)) onWant(from, head);
            break;
        case FrameKind::Part:
            if (PartFrame head; readHead(frame, head, payload)) onPart(from, head, payload);
            break;
        case FrameKind::PreVote:
            if (PreVoteFrame head; readFrame(frame, head)) onPreVote(from, head);
            break;
        case FrameKind::PreVoted:
            if (PreVotedFrame head; readFrame(frame, head)) onPreVoted(from, head);
            break;
        default:
            break;  // not a member's: whoever sent it is not one of this release
    }
}

bool Replica::step(Moment now) {
    now_ = now;
    bool done = false;
    for (ControlAnswer answer; with_.control.poll(answer); done = true) onControl(answer);
    if (!failure_.isOk() || !keepWord()) return done;
    lookForQuorum();
    steppedAt_ = now.steadyNs;
    if (asked_.request != 0 && now.steadyNs - asked_.at > options_.controlNs) {
        ControlAnswer late;
        late.request = asked_.request;
        onControl(late);
    }
    if (role_ == Role::Halted) {
        if (now.steadyNs - readAt_ > kHaltedReadNs) readWanted_ = true;
        confess();
    } else {
        // Who hears no leader may have been made a sync member by the last one, and not been told.
        if (role_ == Role::Follower && now.steadyNs - heardAt_ > options_.suspectNs &&
            now.steadyNs - readAt_ > kHaltedReadNs) {
            readWanted_ = true;
        }
        considerTakeover();
        if (role_ == Role::Fencing) fence();
        if (role_ == Role::Adopting) adopt();
        if (role_ == Role::Halted) return true;
        if (role_ == Role::Leader) done |= makeEntries();
        if (Status status = with_.log.write(); !status.isOk()) {
            fail(status);
            return true;
        }
        askForParts();
        beBornAgain();
        if (role_ == Role::Follower || role_ == Role::Fencing) acknowledge();
        if (sends()) done |= serve();
    }
    if (readWanted_ && asked_.request == 0) askRead();
    return done;
}

uint64_t Replica::nextTimer() const { return steppedAt_ + options_.heartbeatNs / 2; }

MemberId Replica::leader() const {
    if (role_ == Role::Leader) return facts_.id;
    return heardLeader_ != 0 ? heardLeader_ : known_.leader;
}

Epoch Replica::linkEpoch() const {
    return std::max({facts_.promised, known_.epoch, known_.reservedEpoch});
}

// ---- the control store

void Replica::askRead() {
    readWanted_ = false;
    readAt_ = now_.steadyNs;
    asked_ = {};
    asked_.request = nextRequest_++;
    asked_.at = now_.steadyNs;
    asked_.hadLog = with_.log.last() != 0;
    with_.control.read(asked_.request);
}

void Replica::askSwap(const Configuration& wanted) {
    // Of a swap that was asked for and is not answered nothing is known: it is asked for again, word for
    // word, until it is.
    asked_ = {};
    asked_.request = nextRequest_++;
    asked_.swap = true;
    asked_.expected = revision_;
    asked_.wanted = wanted;
    asked_.at = now_.steadyNs;
    asked_.hadLog = with_.log.last() != 0;
    with_.control.compareAndSwap(asked_.request, asked_.expected, wanted.text());
}

void Replica::onControl(const ControlAnswer& answer) {
    if (answer.request == 0) {
        // Somebody has changed the record: what it says now is read in turn.
        readWanted_ = true;
        return;
    }
    if (answer.request != asked_.request) return;
    const Asked asked = std::move(asked_);
    asked_ = {};
    if (!asked.swap) {
        if (answer.kind == ControlAnswer::Kind::Read) {
            onRecord(answer.record, asked.hadLog);
        } else {
            readWanted_ = true;
        }
        return;
    }
    switch (answer.kind) {
        case ControlAnswer::Kind::Swapped:
            revision_ = answer.record.revision;
            onSwapped(asked.wanted);
            break;
        case ControlAnswer::Kind::Conflict:
            if (answer.record.revision != 0 && answer.record.text == asked.wanted.text()) {
                // An earlier asking of the same swap has taken effect.
                revision_ = answer.record.revision;
                onSwapped(asked.wanted);
            } else if (options_.mutant == Mutant::ForceSameEpoch && answer.record.revision != 0 &&
                       asked.wanted.dataLossEpochs > known_.dataLossEpochs) {
                revision_ = answer.record.revision;
                askSwap(asked.wanted);
            } else {
                onLost(answer.record, asked.hadLog);
            }
            break;
        default: {
            asked_ = asked;
            asked_.request = nextRequest_++;
            asked_.at = now_.steadyNs;
            with_.control.compareAndSwap(asked_.request, asked_.expected, asked_.wanted.text());
            break;
        }
    }
}

void Replica::onRecord(const ControlRecord& record, bool hadLog) {
    if (record.revision == 0) {
        onNoRecord(hadLog);
        return;
    }
    if (record.revision >= revision_) {
        Result<Configuration> parsed = Configuration::parse(record.text);
        if (!parsed.isOk()) {
            // Nobody's record: an operator has to look at it. What is known goes on.
            return;
        }
        learn(parsed.value(), record.revision);
        recordAt_ = now_.steadyNs;
        // Nobody has led under it yet, so the log is of another one.
        const bool isFirst = known_.epoch == 0 && role_ == Role::Follower;
        if (isFirst && hadLog && !orphaned_ && !isNamed()) standAside();
    }
}

void Replica::learn(const Configuration& configuration, uint64_t revision) {
    for (const Evicted& each : known_.evicted) {
        // Readmitted: what it said before it was evicted is forgotten.
        if (configuration.evictedMember(each.id) == nullptr) progress_.erase(each.id);
    }
    if (configuration.reservedEpoch > known_.reservedEpoch &&
        configuration.candidate != facts_.id) {
        // Another member has begun to take over: it is given its time before this one tries.
        heardAt_ = now_.steadyNs;
        asking_ = {};
    }
    const bool wasStandby = known_.site == Site::Standby;
    known_ = configuration;
    revision_ = revision;
    changing_.reset();
    if (facts_.incarnation == 0) beBorn();
    if (orphaned_ && role_ == Role::Halted && isNamed()) comeBack();
    if (role_ == Role::Halted) {
        // Evicted, and readmitted by an operator's word: the state is made anew from what others say.
        if (failure_.isOk() && wasEvicted_ && known_.evictedMember(facts_.id) == nullptr) {
            wasEvicted_ = false;
            diverged_.reset();
            if (!startOver()) return;
            halted_.clear();
            role_ = Role::Follower;
            heardAt_ = now_.steadyNs;
            ackSent_ = 0;
        } else if (known_.evictedMember(facts_.id) != nullptr) {
            wasEvicted_ = true;
            (void)with_.distrust();
        }
        return;
    }
    if (known_.evictedMember(facts_.id) != nullptr) {
        wasEvicted_ = true;
        if (!with_.distrust()) {
            fail(Status(StatusCode::IoError, "that its results are wrong could not be noted"));
            return;
        }
        halt("evicted: see the record of the control store");
        return;
    }
    if (wasEvicted_) {
        // Readmitted while it was away.
        wasEvicted_ = false;
        if (role_ != Role::Follower) stepDown();
        if (!startOver()) return;
    }
    if (known_.site == Site::Fenced && known_.reservedEpoch > facts_.promised) (void)promise(known_.reservedEpoch);
    if (role_ == Role::Follower) return;
    const bool mine = known_.epoch == term_ && known_.leader == facts_.id;
    const bool reserved = known_.reservedEpoch == term_ && known_.candidate == facts_.id;
    const bool over = role_ == Role::Leader
                          ? !mine || known_.reservedEpoch != 0 || known_.site == Site::Fenced
                          : !mine && !reserved;
    if (over && role_ != Role::Reserving) stepDown();
    // A standby site that becomes the active one has an epoch to begin.
    if (role_ == Role::Leader && wasStandby && known_.site == Site::Active) (void)makeEntry(true);
}

void Replica::onSwapped(const Configuration& now) {
    const bool reserved = now.reservedEpoch != 0 && now.candidate == facts_.id;
    changing_.reset();
    // Also where the old leader has been heard since it was asked for: the record has deposed it all the same.
    const bool isLate = role_ == Role::Follower && now.reservedEpoch > facts_.promised;
    if ((role_ == Role::Reserving || isLate) && reserved) {
        known_ = now;
        term_ = now.reservedEpoch;
        if (!promise(term_)) return;
        progress_.clear();
        gathered_.clear();
        enoughAt_ = 0;
        fenceSentAt_ = 0;
        termBeganAt_ = now_.steadyNs;
        role_ = Role::Fencing;
        return;
    }
    if (role_ == Role::Activating && now.epoch == term_ && now.leader == facts_.id) {
        known_ = now;
        lead();
        return;
    }
    learn(now, revision_);
}

// Somebody else's change came first: the one that was asked for can't take effect any more.
// But an earlier asking may have, before that: so both hold until the record is read.
void Replica::onLost(const ControlRecord& record, bool hadLog) {
    if (role_ == Role::Reserving || role_ == Role::Activating) stepDown();
    readWanted_ = true;
    if (record.revision != 0) onRecord(record, hadLog);
}

// ---- promises

bool Replica::isComplete() const {
    if (role_ == Role::Leader || role_ == Role::Activating) return true;
    if (options_.mutant == Mutant::AlignTooEarly) return role_ == Role::Adopting;
    return role_ == Role::Adopting && with_.log.last() >= target_.last;
}

// In memory mode a member that leads alone acknowledges durable entries only, so that it can vouch for its
// log after a power cut; noted once all that it has acknowledged is durable, and taken back before it
// acknowledges anything that is not.
bool Replica::keepWord() {
    if (options_.durable) return true;
    const bool alone = degraded();
    if (!alone) degradedFrom_ = 0;
    if (alone && degradedFrom_ == 0) degradedFrom_ = with_.log.last();
    if (facts_.durable == alone || (alone && with_.log.durable() < degradedFrom_)) return true;
    MemberFacts noted = facts_;
    noted.durable = alone;
    if (!with_.store(noted)) {
        fail(Status(StatusCode::IoError, "what the member vouches for could not be stored"));
        return false;
    }
    facts_ = noted;
    return true;
}

bool Replica::promise(Epoch epoch) {
    if (epoch <= facts_.promised) return true;
    MemberFacts promised = facts_;
    promised.promised = epoch;
    // First the old leader's way in here is destroyed, then the word is given.
    with_.wires.fence(epoch - 1);
    if (!with_.store(promised)) {
        fail(Status(StatusCode::IoError, "a promise could not be stored"));
        return false;
    }
    facts_ = promised;
    ackSent_ = 0;
    return true;
}

bool Replica::accepts(Epoch epoch) const {
    if (options_.mutant == Mutant::FenceBeforeDead && now_.steadyNs < laxUntil_) {
        return epoch >= laxEpoch_;
    }
    return epoch >= facts_.promised;
}

void Replica::stepDown() {
    role_ = Role::Follower;
    term_ = 0;
    changing_.reset();
    progress_.clear();
    pending_.clear();
    pendingFrom_ = 0;
    pendingCount_ = 0;
    yieldTo_ = 0;
    with_.snapshots.endGiving();
    with_.snapshots.keepFrom(0);
    with_.snapshots.drop();
    heardAt_ = now_.steadyNs;
    heardLeader_ = 0;
    asking_ = {};
    ackSent_ = 0;
    target_ = {};
    adoptedCommit_ = 0;
    readWanted_ = true;
    if (orphaned_) standAside();
}

void Replica::halt(const std::string& why) {
    if (role_ != Role::Halted) stepDown();
    role_ = Role::Halted;
    halted_ = why;
}

void Replica::fail(const Status& why) {
    if (failure_.isOk()) {
        failure_ = why;
        // What a failed disk has kept nobody knows, in this start of the machine neither: the next start
        // must not vouch for it. If this can't be stored, the disk will hardly answer then.
        MemberFacts doubted = facts_;
        doubted.boot = 0;
        doubted.closed = doubted.durable = false;
        if (with_.store(doubted)) facts_ = doubted;
    }
    halt(why.toString());
}

// ---- the log

bool Replica::isSync() const { return known_.holds(facts_.id, facts_.incarnation); }

bool Replica::degraded() const {
    return role_ == Role::Leader && known_.sync.size() == 1 && options_.hotWanted > 1;
}

Position Replica::acknowledgedPosition() const {
    const Position executed = with_.executor->position();
    if (options_.mutant == Mutant::AckBeforeStore) return executed;
    const bool durable = options_.durable || degraded();
    return std::min(executed, durable ? with_.log.durable() : with_.log.written());
}

bool Replica::hashAt(Position position, Digest128& hash) const {
    if (position == with_.executor->position()) {
        hash = with_.executor->result();
        return true;
    }
    const Digest128* kept = with_.outputs.hashAt(position);
    if (kept != nullptr) hash = *kept;
    return kept != nullptr;
}

bool Replica::appendEntry(const EntryHeader& header, std::span<const std::byte> payload) {
    if (Status status = with_.log.append(header, payload); !status.isOk()) {
        fail(status);
        return false;
    }
    with_.executor->execute({header, payload});
    return true;
}

bool Replica::cut(Position to) {
    if (to >= with_.log.last()) return true;
    if (to < commit_ || to < with_.outputs.released()) {
        halt("told to cut the log at position " + std::to_string(to) + ", below the commit position " +
             std::to_string(commit_));
        return false;
    }
    counters_.truncations++;
    if (Status status = with_.log.truncate(to); !status.isOk()) {
        fail(status);
        return false;
    }
    with_.outputs.truncate(to);
    if (!with_.rebuild()) return false;
    alignedTo_ = std::min(alignedTo_, to);
    ackSent_ = 0;
    return true;
}

void Replica::sendState(MemberId to, uint8_t flags) {
    StateFrame state;
    state.header.flags = flags;
    state.incarnation = facts_.incarnation;
    state.commit = commit_;
    const Position acknowledged = acknowledgedPosition();
    if (Digest128 hash; hashAt(acknowledged, hash)) {
        state.acknowledged = acknowledged;
        state.hash = hash;
    }
    const std::vector<EpochEnd>& ends = with_.log.ends();
    const size_t from = ends.size() > kEpochEndsMax ? ends.size() - kEpochEndsMax : 0;
    state.ends = static_cast<uint32_t>(ends.size() - from);
    stateSentAt_ = now_.steadyNs;
    const std::span<const EpochEnd> told(ends.data() + from, state.ends);
    (void)sendTo(to, state, std::as_bytes(told));
}

}  // namespace verbex::replication
