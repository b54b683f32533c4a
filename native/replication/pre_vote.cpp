// Asking before an epoch is reserved: who may try to take over. Nothing here is promised or kept, and
// nothing that is safe rests on it: a reservation deposes the leader, so it has to be worth that.
#include <algorithm>

#include "replication/replica.h"

namespace verbex::replication {

namespace {

// Who has been told to take over tries for so long; then the leader goes on.
constexpr uint64_t kHandedNs = 1'000'000'000;
// A candidate whose last swap is not answered for so long holds nobody back any more.
constexpr uint64_t kActivatingNs = 1'000'000'000;

}  // namespace

// ---- who asks

void Replica::beginAsking(bool handed) {
    asking_ = Asking{};
    asking_.since = now_.steadyNs;
    asking_.handed = handed;
    asking_.first = nonce_ + 1;
    recordAt_ = 0;
    readWanted_ = true;
}

// Asks until enough would follow, the record is known as it is now, and no other request is under way.
void Replica::keepAsking() {
    if (asking_.handed && now_.steadyNs - asking_.since > kHandedNs) {
        asking_ = {};
        return;
    }
    const bool alone = known_.fenceCount() <= 1 || asking_.handed || !options_.preVotes;
    const bool isTime = asking_.askedAt == 0 || asking_.revision != revision_ ||
                        now_.steadyNs - asking_.askedAt >= options_.heartbeatNs;
    if (!alone && isTime) {
        asking_.askedAt = now_.steadyNs;
        asking_.revision = revision_;
        sendPreVotes();
    }
    if (!enoughWouldFollow() || asked_.request != 0) return;
    if (recordAt_ == 0 || now_.steadyNs - recordAt_ > options_.suspectNs) {
        if (now_.steadyNs - readAt_ > options_.suspectNs) readWanted_ = true;
        return;
    }
    asking_ = {};
    heardAt_ = now_.steadyNs;
    reserve();
}

void Replica::sendPreVotes() {
    PreVoteFrame frame;
    frame.question = ++nonce_;
    frame.revision = revision_;
    for (const SyncMember& member : known_.sync) {
        if (member.id != facts_.id) (void)sendTo(member.id, frame);
    }
}

bool Replica::enoughWouldFollow() const {
    const bool asks = options_.preVotes && options_.mutant != Mutant::AskNobody;
    if (asking_.handed || !asks) return true;
    size_t would = 0;
    for (const SyncMember& member : known_.sync) {
        if (member.id == facts_.id) {
            would++;
            continue;
        }
        const auto found = asking_.answers.find(member.id);
        if (found == asking_.answers.end() || !found->second.yes) continue;
        if (found->second.incarnation != member.incarnation) continue;
        would += now_.steadyNs - found->second.at <= options_.suspectNs;
    }
    return would >= known_.fenceCount();
}

void Replica::onPreVoted(MemberId from, const PreVotedFrame& frame) {
    if (role_ == Role::Leader) {
        progress_[from].reachedAt = now_.steadyNs;
        if (frame.revision > revision_) readWanted_ = true;
    }
    if (asking_.since == 0 || frame.question < asking_.first || frame.question > nonce_) return;
    if (frame.revision > revision_) readWanted_ = true;
    Asking::Answer& answer = asking_.answers[from];
    if (frame.question < answer.question) return;
    answer.question = frame.question;
    answer.at = now_.steadyNs;
    answer.incarnation = frame.incarnation;
    answer.yes = (frame.header.flags & kPreVotedYes) != 0;
}

// ---- who is asked

void Replica::onPreVote(MemberId from, const PreVoteFrame& frame) {
    if (!options_.preVotes) return;
    // Whoever asks is there, though it may not hear this member: see isMute().
    if (role_ == Role::Leader) progress_[from].reachedAt = now_.steadyNs;
    if (frame.revision > revision_) readWanted_ = true;
    PreVotedFrame answer;
    answer.question = frame.question;
    answer.revision = revision_;
    answer.incarnation = facts_.incarnation;
    const bool yes = (frame.revision >= revision_ && wouldFollow(from)) ||
                     options_.mutant == Mutant::FollowAnybody;
    if (yes && options_.mutant != Mutant::FollowNobody) answer.header.flags = kPreVotedYes;
    (void)sendTo(from, answer);
}

bool Replica::wouldFollow(MemberId who) const {
    if (sends()) return isMute() || (role_ == Role::Leader && yieldTo_ == who);
    if (role_ == Role::Fencing) return false;  // for as long as it holds others back by its frames
    if (revision_ != 0 && known_.epoch == 0 && heardLeader_ == 0) return true;
    // The leader that was heard last leads no more if it asks, or if it is this member.
    const MemberId last = heardLeader_ != 0 ? heardLeader_ : known_.leader;
    if (last == who || last == facts_.id) return true;
    // Heartbeats do not reach all members at one moment: who asks is often the first who has noticed.
    const uint64_t sooner = 2 * options_.heartbeatNs;
    const uint64_t patience = options_.suspectNs > 2 * sooner ? options_.suspectNs - sooner
                                                              : options_.suspectNs;
    return now_.steadyNs - leaderAt_ >= patience;
}

void Replica::hear(MemberId leader) {
    heardLeader_ = leader;
    heardAt_ = leaderAt_ = now_.steadyNs;
    if (!asking_.handed) asking_ = {};
}

// ---- who leads, and had better be silent

// Time that this member itself has not lived through is nobody else's silence.
void Replica::lookForQuorum() {
    const bool slept = now_.steadyNs - steppedAt_ > options_.silentNs;
    if (role_ != Role::Leader || slept || reachesQuorum()) quorumAt_ = now_.steadyNs;
    if (role_ != Role::Leader || !isMute()) return;
    // Whoever has come back may not know yet that there is anybody to ask: an answer says that it is there.
    if (now_.steadyNs - calledAt_ < options_.heartbeatNs) return;
    calledAt_ = now_.steadyNs;
    sendPreVotes();
}

bool Replica::reachesQuorum() const {
    size_t heard = 0;
    for (const SyncMember& member : known_.sync) {
        if (member.id == facts_.id) {
            heard++;
            continue;
        }
        const auto found = progress_.find(member.id);
        if (found == progress_.end()) continue;
        const uint64_t at = std::max(found->second.heardAt, found->second.reachedAt);
        heard += at != 0 && at + options_.silentNs >= now_.steadyNs;
    }
    return heard >= known_.quorum();
}

bool Replica::isMute() const {
    if (!options_.preVotes || options_.mutant == Mutant::NeverMute) return false;
    if (role_ == Role::Activating) return now_.steadyNs - activatingAt_ > kActivatingNs;
    return role_ == Role::Leader && now_.steadyNs - quorumAt_ > options_.silentNs;
}

}  // namespace verbex::replication
