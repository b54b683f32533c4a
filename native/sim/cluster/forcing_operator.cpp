#include "sim/cluster/forcing_operator.h"

namespace verbex::sim {

using replication::Member;
using replication::Role;

namespace {

// A word that was taken and forgotten is said again after so long, as the command line does.
constexpr uint64_t kSayAgainNs = 2 * kSeconds;

}  // namespace

void ForcingOperator::look(SimulatedMember& member) {
    Position& letOut = letOut_[member.id()];
    // An empty folder has let nothing out.
    if (member.member().log().last() == 0) letOut = 0;
    letOut = std::max(letOut, member.member().outputs().released());
    if (told_.size() < 2 || !member.member().replica().leads()) return;
    // Of two that were told this one has won. Not from within a call of it.
    told_ = {member.id()};
    timeline_.after(0, [this] { stopOthers(); });
}

SimulatedMember* ForcingOperator::leader() const {
    for (const auto& member : members_) {
        if (member->isUp() && member->member().replica().leads()) return member.get();
    }
    return nullptr;
}

// Fewer vouch for their logs than a takeover has to fence, and nobody leads.
bool ForcingOperator::isLost() const {
    const Configuration& record = control_.record();
    if (record.sync.empty() || record.epoch == 0 || leader() != nullptr) return false;
    uint32_t vouching = 0;
    for (const replication::SyncMember& sync : record.sync) {
        const SimulatedMember::Held& held = members_[sync.id - 1]->held();
        if (!held.lost && held.incarnation == sync.incarnation) vouching++;
    }
    return vouching < record.fenceCount();
}

void ForcingOperator::act() {
    if (plan_.forceAfterNs == 0) return;
    const uint64_t now = timeline_.now();
    if (told_.empty()) {
        if (!isLost()) {
            lostSince_ = 0;
        } else if (lostSince_ == 0) {
            lostSince_ = now;
        } else if (now - lostSince_ > plan_.forceAfterNs) {
            begin();
        }
        return;
    }
    if (SimulatedMember* leads = leader(); leads != nullptr) {
        startOthers(*leads);
    } else if (saidAt_ == 0 || now - saidAt_ > kSayAgainNs) {
        say(whoToTellAgain());
    }
}

void ForcingOperator::begin() {
    std::vector<SimulatedMember*> left;
    for (const auto& member : members_) {
        if (!member->isUp() || member->isPaused() || member->wantsRestart()) continue;
        const replication::Replica& replica = member->member().replica();
        if (replica.role() == Role::Halted || replica.revision() == 0) continue;
        left.push_back(member.get());
    }
    if (left.empty()) return;
    const auto isShorter = [](SimulatedMember* a, SimulatedMember* b) {
        const replication::MemberLog& one = a->member().log();
        const replication::MemberLog& other = b->member().log();
        return std::pair(one.lastEpoch(), one.last()) < std::pair(other.lastEpoch(), other.last());
    };
    SimulatedMember* chosen = *std::ranges::max_element(left, isShorter);
    // An operator who errs.
    if (random_.below(3) == 0) chosen = left[random_.below(left.size())];
    told_ = {chosen->id()};
    if (random_.below(4) == 0) {
        SimulatedMember* other = left[random_.below(left.size())];
        if (other != chosen) told_.push_back(other->id());
    }
    lossesBefore_ = control_.record().dataLossEpochs;
    saidAt_ = 0;
    stopOthers();
    // To two at the same moment only: one of them wins, and the other is stopped. Who is told while another
    // leads already gives up what that one has acknowledged since: nothing but the rule to stop all others
    // first is there against it.
    for (const MemberId id : told_) say(id);
}

void ForcingOperator::stopOthers() {
    for (const auto& member : members_) {
        if (keepsDown(member->id())) member->kill(RestartMode::ProcessCrash);
    }
}

void ForcingOperator::say(MemberId to) {
    SimulatedMember& member = *members_[to - 1];
    if (!member.isUp()) {
        member.start();
        return;
    }
    member.resume();
    disruption_.onPromote(to);
    oracle_.onForced(member);
    bool isTaken = false;
    member.call([&isTaken](Member& real) { isTaken = real.force().isOk(); });
    if (isTaken) saidAt_ = timeline_.now();
}

// Whoever the record names, where one of two has won.
MemberId ForcingOperator::whoToTellAgain() const {
    const Configuration& record = control_.record();
    const bool isCounted = record.dataLossEpochs != lossesBefore_ && !record.sync.empty();
    if (isCounted && !keepsDown(record.sync[0].id)) return record.sync[0].id;
    return told_[0];
}

void ForcingOperator::startOthers(SimulatedMember& leader) {
    forced_++;
    const replication::MemberLog& log = leader.member().log();
    for (const auto& member : members_) {
        const bool isBeyond = letOut_[member->id()] > log.common(member->held().ends);
        // One that came back by itself meanwhile has to be given an empty folder as well.
        if (member.get() == &leader || (member->isUp() && !isBeyond)) continue;
        if (member->isUp()) member->kill(RestartMode::ProcessCrash);
        if (isBeyond || random_.below(3) == 0) member->replace();
        member->start();
    }
    told_.clear();
    lostSince_ = 0;
}

}  // namespace verbex::sim
