// DisruptionWatch: whether who reserves an epoch could have been told by enough members that they would follow.
//
// Purpose: a reservation deposes the leader. One that can't come to a good end costs service and gains
// nothing ("disruptive servers": Ongaro, "Consensus: Bridging Theory and Practice", 2014, 4.2.3), and no
// rule of safety speaks of it. This one does, from what the run knows and the members don't: who could hear
// whom, who was running, and whether a leader was well.
// Owner: the site.
// Thread safety: none.
// Invariants:
//   1. Says nothing of a member that may have heard enough answers, however old they are allowed to be.
// Requires: look() after every call into a member.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "sim/cluster/simulated_member.h"

namespace verbex::sim {

class DisruptionWatch {
public:
    using OnProblem = std::function<void(const std::string&)>;

    DisruptionWatch(const Timeline& timeline, const ClusterPlan& plan, const Network& network,
                    OnProblem onProblem);

    void look(SimulatedMember& member);
    // An operator has told the leader to hand over: its word is enough.
    void onPromote(MemberId to) { promotedAt_[to] = timeline_.now(); }

private:
    struct Seen {
        uint64_t life = 0;
        uint64_t at = 0;        // of the last call; 0: none
        uint64_t since = 0;     // it has been running without a gap
        uint64_t leadsSince = 0;  // … led, and heard a quorum; 0: does not
        replication::Role role = replication::Role::Follower;
    };
    // Where it asks at all.
    void onReserves(SimulatedMember& member);
    // Both ways have been open, and it has been running, at some time that is not long ago.
    [[nodiscard]] bool mayHaveAnswered(MemberId asker, MemberId other) const;
    // It has heard a leader that is well all the time.
    [[nodiscard]] bool isLoyal(MemberId other) const;
    [[nodiscard]] MemberId leaderThatIsWell() const;

    const Timeline& timeline_;
    const ClusterPlan& plan_;
    const Network& network_;
    const OnProblem onProblem_;
    const uint64_t longAgoNs_;
    const uint64_t loyalNs_;
    std::map<MemberId, Seen> seen_;
    std::map<MemberId, uint64_t> promotedAt_;
};

}  // namespace verbex::sim
