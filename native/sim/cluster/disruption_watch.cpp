#include "sim/cluster/disruption_watch.h"

namespace verbex::sim {

using replication::MemberId;
using replication::Replica;
using replication::ReplicaOptions;
using replication::Role;

namespace {

// A member is called every few milliseconds; one that is not is stopped, or down.
constexpr uint64_t kGapNs = 25 * kMillis;
// What was handed over is taken within so long, or not any more.
constexpr uint64_t kHandedNs = 3 * kSeconds;

// The longest way of a frame, late ones included, and doubled ones behind them.
uint64_t longestWay(const ClusterPlan& plan) {
    const uint64_t usual = plan.delayNs + plan.delaySpreadNs;
    return 21 * usual + 21 * kMillis;
}

}  // namespace

DisruptionWatch::DisruptionWatch(const Timeline& timeline, const ClusterPlan& plan,
                                 const Network& network, OnProblem onProblem)
    : timeline_(timeline), plan_(plan), network_(network), onProblem_(std::move(onProblem)),
      // An answer counts for suspectNs, and was asked for before that.
      longAgoNs_(ReplicaOptions{}.suspectNs + 2 * longestWay(plan) + 2 * kGapNs),
      // Who was deaf before that may just have said yes.
      loyalNs_(ReplicaOptions{}.suspectNs + longestWay(plan) + longAgoNs_) {}

void DisruptionWatch::look(SimulatedMember& member) {
    Seen& seen = seen_[member.id()];
    const uint64_t now = timeline_.now();
    const Replica& replica = member.member().replica();
    if (seen.life != member.life() || now - seen.at > kGapNs) {
        const Role before = seen.life == member.life() ? seen.role : Role::Follower;
        seen = {};
        seen.life = member.life();
        seen.since = now;
        seen.role = before;
    }
    seen.at = now;
    const Role before = std::exchange(seen.role, replica.role());
    const bool isWell = replica.leads() && replica.hearsQuorum(ReplicaOptions{}.silentNs);
    if (!isWell) {
        seen.leadsSince = 0;
    } else if (seen.leadsSince == 0) {
        seen.leadsSince = now;
    }
    if (before != Role::Reserving && seen.role == Role::Reserving) onReserves(member);
}

MemberId DisruptionWatch::leaderThatIsWell() const {
    const uint64_t now = timeline_.now();
    for (const auto& [id, seen] : seen_) {
        const bool isRunning = now - seen.at <= kGapNs;
        if (isRunning && seen.leadsSince != 0 && now - seen.leadsSince > loyalNs_) return id;
    }
    return 0;
}

bool DisruptionWatch::mayHaveAnswered(MemberId asker, MemberId other) const {
    const uint64_t now = timeline_.now();
    const auto found = seen_.find(other);
    const bool wasThere = found != seen_.end() && now - found->second.at <= longAgoNs_;
    return wasThere && network_.cutFor(asker, other) <= longAgoNs_ &&
           network_.cutFor(other, asker) <= longAgoNs_;
}

bool DisruptionWatch::isLoyal(MemberId other) const {
    const uint64_t now = timeline_.now();
    const MemberId leader = leaderThatIsWell();
    if (leader == 0) return false;
    if (leader == other) return true;
    const Seen& seen = seen_.at(other);
    return now - seen.since > loyalNs_ && network_.openFor(leader, other) > loyalNs_;
}

void DisruptionWatch::onReserves(SimulatedMember& member) {
    if (((plan_.earlier >> member.id()) & 1) != 0) return;
    const uint64_t now = timeline_.now();
    const auto handed = promotedAt_.find(member.id());
    if (handed != promotedAt_.end() && now - handed->second < kHandedNs) return;
    const replication::Configuration& record = member.member().replica().configuration();
    uint32_t could = 1;
    std::string others;
    for (const replication::SyncMember& sync : record.sync) {
        if (sync.id == member.id()) continue;
        const bool answered = mayHaveAnswered(member.id(), sync.id);
        const bool loyal = answered && isLoyal(sync.id);
        if (answered && !loyal) could++;
        others += "; " + std::to_string(sync.id);
        if (!answered) {
            others += " was out of reach";
        } else if (loyal) {
            others += " hears leader " + std::to_string(leaderThatIsWell());
        } else {
            others += " may have said yes";
        }
    }
    if (could >= record.fenceCount()) return;
    onProblem_("member " + std::to_string(member.id()) + " deposes the leader of epoch " +
               std::to_string(record.epoch) + " in vain: it has to fence " +
               std::to_string(record.fenceCount()) + others);
}

}  // namespace verbex::sim
