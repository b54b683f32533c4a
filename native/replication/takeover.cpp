// Taking over: reserve, fence, adopt the longest log, bring a quorum to it, activate.
#include <algorithm>

#include "base/crc32c.h"
#include "replication/replica.h"

namespace verbex::replication {

namespace {

// A takeover that does not come forward makes way for another member's.
constexpr uint64_t kTakeoverNs = 1'000'000'000;
// The first leader waits longer for the others, who are just starting: the first record names them as they
// will be if they come before there is a leader.
constexpr uint64_t kFirstGraceNs = 2'000'000'000;

EpochEnd lastEndOf(const std::vector<EpochEnd>& ends) { return ends.empty() ? EpochEnd{} : ends.back(); }

bool isHigher(const EpochEnd& a, const EpochEnd& b) {
    return a.epoch != b.epoch ? a.epoch > b.epoch : a.last > b.last;
}

}  // namespace

// ---- when

void Replica::considerTakeover() {
    if (role_ != Role::Follower || !isSync() || known_.site == Site::Fenced) {
        asking_ = {};
        return;
    }
    if (asking_.since != 0) {
        keepAsking();
        return;
    }
    if (asked_.request != 0) return;
    // The members try one after another, in the order of their ids behind the last leader's.
    uint64_t rank = 0;
    for (const SyncMember& member : known_.sync) {
        if (member.id == facts_.id) break;
        if (member.id != known_.leader) rank++;
    }
    const bool mine = known_.leader == facts_.id || known_.sync.size() == 1;
    const bool handed = heardAt_ == 0;
    uint64_t patience = options_.suspectNs + rank * options_.staggerNs;
    // Its own log leads already, or nobody else may: there is nobody to wait for.
    if ((mine && counters_.takeovers == 0 && heardLeader_ == 0) || handed) patience = 0;
    if (now_.steadyNs - heardAt_ < patience) return;
    heardAt_ = now_.steadyNs;
    beginAsking(handed);
    keepAsking();
}

void Replica::reserve() {
    if (!isSync() || known_.site == Site::Fenced) return;
    Configuration wanted = known_;
    wanted.reservedEpoch = std::max({known_.epoch, known_.reservedEpoch, facts_.promised}) + 1;
    wanted.candidate = facts_.id;
    wanted.writer = facts_.id;
    wanted.writerNonce = ++nonce_;
    role_ = Role::Reserving;
    askSwap(wanted);
}

// ---- fence

std::set<MemberId> Replica::fenced() const {
    std::set<MemberId> members;
    for (const SyncMember& member : known_.sync) {
        if (member.id == facts_.id) {
            if (member.incarnation == facts_.incarnation) members.insert(member.id);
            continue;
        }
        const auto found = progress_.find(member.id);
        if (found == progress_.end() || !found->second.fenced) continue;
        if (found->second.incarnation == member.incarnation) members.insert(member.id);
    }
    return members;
}

void Replica::fence() {
    const bool first = known_.epoch == 0;
    if (now_.steadyNs - termBeganAt_ > kTakeoverNs + (first ? kFirstGraceNs : 0)) {
        stepDown();
        return;
    }
    if (fenceSentAt_ == 0 || now_.steadyNs - fenceSentAt_ >= options_.heartbeatNs) {
        fenceSentAt_ = now_.steadyNs;
        for (const SyncMember& member : known_.sync) {
            // Those who have answered hear of it too while the first leader waits for the others: else they would
            // suspect that nobody is there, and try themselves.
            if (member.id == facts_.id || (progress_[member.id].fenced && !first)) continue;
            FenceFrame frame;
            frame.revision = revision_;
            (void)sendTo(member.id, frame);
        }
    }
    const std::set<MemberId> members = fenced();
    const uint32_t needed =
        known_.fenceCount() - (options_.mutant == Mutant::FenceTooFew ? 1 : 0);
    if (members.size() < needed || !members.contains(facts_.id)) return;
    if (enoughAt_ == 0) enoughAt_ = now_.steadyNs;
    // Who answers now needs not be brought in later. The last leader is not waited for: it is why we are here.
    size_t others = 0;
    for (const SyncMember& member : known_.sync) {
        if (member.id != known_.leader || members.contains(member.id)) others++;
    }
    const uint64_t grace = first ? kFirstGraceNs : options_.graceNs;
    if (members.size() < others && now_.steadyNs - enoughAt_ < grace) return;

    gathered_ = members;
    source_ = facts_.id;
    target_ = lastEndOf(with_.log.ends());
    for (const MemberId id : members) {
        if (id == facts_.id || options_.mutant == Mutant::AdoptShorterLog) continue;
        const EpochEnd theirs = lastEndOf(progress_[id].ends);
        if (!isHigher(theirs, target_)) continue;
        target_ = theirs;
        source_ = id;
    }
    role_ = Role::Adopting;
    fetchedAt_ = 0;
    adoptedAt_ = now_.steadyNs;
    // What differs from the adopted log is cut, by epochs; then the rest is fetched.
    if (source_ != facts_.id && !cut(with_.log.common(progress_[source_].ends))) return;
    adoptedCommit_ = 0;
    for (const MemberId id : members) {
        if (id == facts_.id) continue;
        adoptedCommit_ = std::max(adoptedCommit_, std::min(progress_[id].commit, target_.last));
    }
}

// ---- adopt

void Replica::adopt() {
    if (with_.log.last() < target_.last && now_.steadyNs - adoptedAt_ > kTakeoverNs) {
        // Whoever has the log does not give it: another takeover may find it elsewhere.
        stepDown();
        return;
    }
    if (with_.log.last() >= target_.last) {
        for (const MemberId id : gathered_) {
            if (id == facts_.id) continue;
            Progress& peer = progress_[id];
            if (!peer.answered && now_.steadyNs - peer.probeAt >= options_.heartbeatNs) {
                peer.probeAt = now_.steadyNs;
                align(id, peer);
            }
        }
        if (now_.steadyNs - termBeganAt_ > 4 * kTakeoverNs) stepDown();
        return;
    }
    if (fetchedAt_ != 0 && now_.steadyNs - fetchedAt_ < options_.heartbeatNs) return;
    fetchedAt_ = now_.steadyNs;
    FetchFrame frame;
    frame.from = with_.log.last() + 1;
    (void)sendTo(source_, frame);
}

void Replica::onEntry(MemberId from, const EntryFrame& frame, std::span<const std::byte> payload) {
    if (role_ != Role::Adopting || from != source_ || frame.header.epoch != term_) return;
    const EntryHeader& entry = frame.entry;
    if (entry.first != with_.log.last() + 1 || entry.count == 0 || entry.last() > target_.last) return;
    if (frame.previousEpoch != with_.log.lastEpoch() || entry.epoch < frame.previousEpoch) return;
    if (entry.payloadBytes != payload.size() ||
        entry.payloadCrc != crc32c(payload.data(), payload.size())) {
        return;
    }
    progress_[from].heardAt = now_.steadyNs;
    if (!appendEntry(entry, payload)) return;
    fetchedAt_ = adoptedAt_ = now_.steadyNs;
}

// ---- activate

void Replica::activateWhenSynced() {
    if (role_ != Role::Adopting || with_.log.last() < target_.last || asked_.request != 0) return;
    Configuration wanted = known_;
    if (gathered_.size() < known_.quorum()) {
        // Fewer than a quorum are left: they alone go on.
        std::erase_if(wanted.sync, [this](const SyncMember& member) {
            return !gathered_.contains(member.id);
        });
    }
    if (options_.mutant != Mutant::ActivateBeforeSync &&
        agreed(wanted, &Replica::acknowledgedBy) < target_.last) {
        return;
    }
    wanted.epoch = term_;
    wanted.leader = facts_.id;
    wanted.reservedEpoch = 0;
    wanted.candidate = 0;
    wanted.writer = facts_.id;
    wanted.writerNonce = ++nonce_;
    role_ = Role::Activating;
    activatingAt_ = now_.steadyNs;
    askSwap(wanted);
}

}  // namespace verbex::replication
