// Changes of the sync set by its leader, the vote about who computed wrong, and an operator's words.
#include <algorithm>

#include "replication/replica.h"

namespace verbex::replication {

namespace {

// How long a leader that hands over takes nothing; then it goes on.
constexpr uint64_t kYieldNs = 1'000'000'000;

Evicted evictedAt(MemberId id, Position position, const Digest128& expected,
                  const Digest128& found) {
    return {id, position, expected, found};
}

void putOut(Configuration& configuration, const Evicted& member) {
    std::erase_if(configuration.sync,
                  [&](const SyncMember& each) { return each.id == member.id; });
    std::erase_if(configuration.evicted, [&](const Evicted& each) { return each.id == member.id; });
    configuration.evicted.push_back(member);
}

}  // namespace

void Replica::reconfigure() {
    if (asked_.request != 0 || changing_.has_value()) return;
    if (vote() || shrink()) return;
    (void)grow();
}

// Asks for another configuration, if everything committed is committed in it too. Until the answer both
// hold: the record may say the one or the other.
bool Replica::change(Configuration wanted) {
    if (wanted.sync.empty()) return false;
    // A new leader does not know yet what of the log it has taken over was committed: all of it may be.
    const Position committed = options_.mutant == Mutant::ChangeByCommitOnly
                                   ? commit_
                                   : std::max(commit_, target_.last);
    if (options_.mutant != Mutant::GrowBeforeAck &&
        agreed(wanted, &Replica::acknowledgedBy) < committed) {
        return false;
    }
    wanted.writer = facts_.id;
    wanted.writerNonce = ++nonce_;
    changing_ = wanted;
    askSwap(wanted);
    return true;
}

bool Replica::shrink() {
    const auto isLost = [this](const SyncMember& member) {
        if (member.id == facts_.id) return false;
        const Progress& peer = progress_[member.id];
        const uint64_t heardAt = std::max(peer.heardAt, termBeganAt_);
        const bool silent = now_.steadyNs - heardAt > options_.silentNs;
        const bool reborn = peer.incarnation != 0 && peer.incarnation != member.incarnation;
        return silent || reborn;
    };
    // Asked at every step, and nearly always for nothing.
    if (std::none_of(known_.sync.begin(), known_.sync.end(), isLost)) return false;
    Configuration wanted = known_;
    std::erase_if(wanted.sync, isLost);
    return change(std::move(wanted));
}

bool Replica::grow() {
    if (known_.sync.size() >= options_.hotWanted) return false;
    const Position last = with_.log.last();
    for (const bool warm : {false, true}) {
        for (const MemberPlace& place : options_.members) {
            if (place.warm != warm || place.id == facts_.id) continue;
            if (known_.member(place.id) != nullptr || known_.evictedMember(place.id) != nullptr) continue;
            const Progress& peer = progress_[place.id];
            if (!peer.answered || peer.incarnation == 0 || peer.differs != 0) continue;
            if (now_.steadyNs - peer.heardAt > options_.silentNs / 2) continue;
            if (options_.mutant != Mutant::GrowBeforeAck &&
                (peer.matched < std::max(commit_, target_.last) || peer.acknowledged + options_.windowCommands / 4 < last)) {
                continue;
            }
            Configuration wanted = known_;
            wanted.sync.push_back({place.id, peer.incarnation});
            std::sort(wanted.sync.begin(), wanted.sync.end(),
                      [](const SyncMember& a, const SyncMember& b) { return a.id < b.id; });
            if (change(std::move(wanted))) return true;
        }
    }
    return false;
}

// ---- the vote

// The members that differ from the leader say the same as one another at one position.
bool Replica::opponentsAgree() {
    const Progress* first = nullptr;
    for (const SyncMember& member : known_.sync) {
        if (member.id == facts_.id) continue;
        const Progress& peer = progress_[member.id];
        if (peer.differs == 0 || peer.incarnation != member.incarnation) continue;
        if (first == nullptr) first = &peer;
        if (peer.said != first->said || !(peer.saidHash == first->saidHash)) return false;
    }
    return first != nullptr;
}

bool Replica::vote() {
    size_t against = 0;
    const SyncMember* odd = nullptr;
    for (const SyncMember& member : known_.sync) {
        if (member.id == facts_.id) continue;
        const Progress& peer = progress_[member.id];
        if (peer.differs == 0 || peer.incarnation != member.incarnation) continue;
        against++;
        odd = &member;
    }
    const size_t size = known_.sync.size();
    const size_t agreeing = size - against;  // those who have not answered yet count for nobody below
    if (against != 0) {
        size_t matching = 1;
        for (const SyncMember& member : known_.sync) {
            if (member.id == facts_.id) continue;
            const Progress& peer = progress_[member.id];
            if (peer.differs == 0 && peer.matched >= progress_[odd->id].differs) matching++;
        }
        bool oddIsWrong = matching * 2 > size;
        bool leaderIsWrong = against * 2 > size && opponentsAgree();
        if (!oddIsWrong && !leaderIsWrong && agreeing == against) {
            // One against one: whoever else executes this log decides.
            for (const auto& [id, peer] : progress_) {
                if (known_.member(id) != nullptr || known_.evictedMember(id) != nullptr) continue;
                if (peer.differs != 0) leaderIsWrong = true;
                if (peer.differs == 0 && peer.matched >= progress_[odd->id].differs) oddIsWrong = true;
            }
            if (oddIsWrong && leaderIsWrong) return false;  // three results: an operator's matter
        }
        const Progress& peer = progress_[odd->id];
        Digest128 own;
        (void)hashAt(peer.differs, own);
        Configuration wanted = known_;
        if (leaderIsWrong) {
            putOut(wanted, evictedAt(facts_.id, peer.differs, peer.differsFound, own));
        } else if (oddIsWrong) {
            putOut(wanted, evictedAt(odd->id, peer.differs, own, peer.differsFound));
        } else {
            return false;
        }
        if (!change(std::move(wanted))) return false;
        counters_.evictions++;
        return true;
    }
    // A warm one that differs from what was voted is put out too: it must not be counted on later.
    for (const auto& [id, peer] : progress_) {
        if (peer.differs == 0 || peer.differs > with_.outputs.released()) continue;
        if (known_.member(id) != nullptr || known_.evictedMember(id) != nullptr) continue;
        Digest128 own;
        (void)hashAt(peer.differs, own);
        Configuration wanted = known_;
        putOut(wanted, evictedAt(id, peer.differs, own, peer.differsFound));
        if (!change(std::move(wanted))) return false;
        counters_.evictions++;
        return true;
    }
    return false;
}

// A member that has found itself odd, and that nobody counts any more, says so in the record: it must not
// come back unasked after a restart.
void Replica::confess() {
    if (!diverged_.has_value() || asked_.request != 0 || readWanted_ || revision_ == 0) return;
    if (known_.evictedMember(facts_.id) != nullptr || known_.member(facts_.id) != nullptr) return;
    Configuration wanted = known_;
    putOut(wanted, *diverged_);
    wanted.writer = facts_.id;
    wanted.writerNonce = ++nonce_;
    askSwap(wanted);
}

// ---- an operator's words

Status Replica::command(const char* what, Configuration wanted) {
    if (asked_.request != 0 || changing_.has_value()) {
        return Status(StatusCode::Refused, std::string(what) +
                                               ": another change of the record is under way");
    }
    if (revision_ == 0) {
        return Status(StatusCode::Refused, std::string(what) + ": the record is not known yet");
    }
    if (role_ == Role::Leader) {
        if (change(std::move(wanted))) return {};
        return Status(StatusCode::Refused,
                      std::string(what) + ": not everything committed would be held by a quorum");
    }
    wanted.writer = facts_.id;
    wanted.writerNonce = ++nonce_;
    askSwap(wanted);
    return {};
}

Status Replica::evict(MemberId member) {
    if (role_ != Role::Leader) return Status(StatusCode::Refused, "evict: this member does not lead");
    if (known_.evictedMember(member) != nullptr) return {};
    Configuration wanted = known_;
    putOut(wanted, evictedAt(member, 0, {}, {}));
    return command("evict", std::move(wanted));
}

Status Replica::readmit(MemberId member) {
    Configuration wanted = known_;
    if (wanted.evictedMember(member) == nullptr) {
        readWanted_ = true;  // one that has found itself odd may have said so in the record meanwhile
        return Status(StatusCode::NotFound, "readmit: member " + std::to_string(member) +
                                                " has not been evicted");
    }
    std::erase_if(wanted.evicted, [member](const Evicted& each) { return each.id == member; });
    if (role_ == Role::Leader) progress_.erase(member);
    return command("readmit", std::move(wanted));
}

// The one word that may lose what was acknowledged: everybody else's log is given up.
Status Replica::force() {
    if (!failure_.isOk()) return failure_;
    const bool isAside = role_ == Role::Halted && orphaned_;
    if (role_ == Role::Leader || role_ == Role::Activating || (role_ == Role::Halted && !isAside)) {
        return Status(StatusCode::Refused, "force: this member leads, or has halted");
    }
    // A takeover that does not come forward is what an operator wants to end.
    if (role_ != Role::Follower && !isAside) stepDown();
    if (asked_.request != 0 || revision_ == 0) {
        return Status(StatusCode::Refused, "force: the control store has not answered");
    }
    if (facts_.incarnation == 0) {
        // The record would name an incarnation that it never has.
        return Status(StatusCode::Refused, "force: this member could not store its incarnation yet");
    }
    if (heardLeader_ != 0 && now_.steadyNs - heardAt_ < options_.suspectNs) {
        return Status(StatusCode::Refused, "force: member " + std::to_string(heardLeader_) +
                                               " leads; stop all others first");
    }
    if (options_.mutant == Mutant::ForceByCommit &&
        !cut(std::max(commit_, with_.outputs.released()))) {
        return failure_;
    }
    Configuration wanted = known_;
    wanted.sync = {{facts_.id, facts_.incarnation}};
    std::erase_if(wanted.evicted, [this](const Evicted& each) { return each.id == facts_.id; });
    // A copy's log may have seen epochs that it has promised nothing to.
    wanted.reservedEpoch = std::max({known_.epoch, known_.reservedEpoch, facts_.promised,
                                     with_.log.lastEpoch()}) + 1;
    wanted.candidate = facts_.id;
    if (options_.mutant != Mutant::ForceUncounted) wanted.dataLossEpochs++;
    wanted.writer = facts_.id;
    wanted.writerNonce = ++nonce_;
    halted_.clear();
    role_ = Role::Reserving;
    askSwap(wanted);
    return {};
}

Status Replica::become(Site site) {
    Configuration wanted = known_;
    if (wanted.site == site) return {};
    wanted.site = site;
    if (role_ != Role::Leader && heardLeader_ != 0 &&
        now_.steadyNs - heardAt_ < options_.suspectNs) {
        return Status(StatusCode::Refused, "site: member " + std::to_string(heardLeader_) +
                                               " leads; it is the one to ask");
    }
    if (site == Site::Fenced && role_ != Role::Leader) {
        // Whoever leads learns of it from the record, and the members promise.
        wanted.reservedEpoch = std::max({known_.epoch, known_.reservedEpoch, facts_.promised}) + 1;
        wanted.candidate = 0;
    }
    // What a standby site's leader has taken over is at a quorum, and the entry that the active site begins with commits
    // it: no entry of its own epoch may ever come to do that.
    const bool isTakenOver = site == Site::Active && with_.log.lastEpoch() != term_;
    const bool isUnderWay = with_.outputs.released() != with_.log.last() && !isTakenOver;
    if (role_ == Role::Leader && (isUnderWay || pendingCount_ != 0)) {
        return Status(StatusCode::Refused, "site: commands are under way; try again");
    }
    // Whoever follows hears that all is released before nobody leads any more.
    if (role_ == Role::Leader) {
        for (auto& [id, peer] : progress_) heartbeat(id, peer);
    }
    return command("site", std::move(wanted));
}

Status Replica::promote(MemberId member) {
    if (role_ != Role::Leader) return Status(StatusCode::Refused, "promote: this member does not lead");
    if (member == facts_.id) return {};
    if (known_.member(member) == nullptr) {
        return Status(StatusCode::Refused, "promote: member " + std::to_string(member) +
                                               " is not in the sync set");
    }
    yieldTo_ = member;
    yieldUntil_ = now_.steadyNs + kYieldNs;
    return {};
}

}  // namespace verbex::replication
