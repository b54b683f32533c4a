// ForcingOperator: makes one member's log the log, where too many copies are lost for anybody to take over.
//
// Purpose: does what docs/operations.md says of `force`: it stops all others, says the word until a member leads,
// and starts the others; those that have let out what the new leader does not have, with empty folders. Not always
// to the member whose log is the longest, and now and then to two at once.
// Owner: the site.
// Thread safety: none.
// Invariants:
//   1. Nobody is forced while enough members vouch for their logs, or somebody leads.
//   2. While it is at work nobody runs but whom it has told.
// Requires: look() after each call into a member, act() often.
#pragma once

#include <algorithm>
#include <map>
#include <vector>

#include "sim/cluster/disruption_watch.h"
#include "sim/cluster/oracle.h"

namespace verbex::sim {

class ForcingOperator {
public:
    ForcingOperator(Timeline& timeline, Random random, const ClusterPlan& plan,
                    const ControlService& control, Oracle::Members& members, Oracle& oracle,
                    DisruptionWatch& disruption)
        : timeline_(timeline), random_(random), plan_(plan), control_(control), members_(members),
          oracle_(oracle), disruption_(disruption) {}

    void look(SimulatedMember& member);
    void act();
    // Another than those that it has told is to stay down.
    [[nodiscard]] bool keepsDown(MemberId member) const {
        return !told_.empty() && std::ranges::find(told_, member) == told_.end();
    }
    // Epochs of data loss that somebody has begun to lead.
    [[nodiscard]] uint64_t forced() const { return forced_; }

private:
    [[nodiscard]] bool isLost() const;
    void begin();
    void stopOthers();
    void say(MemberId to);
    [[nodiscard]] SimulatedMember* leader() const;
    [[nodiscard]] MemberId whoToTellAgain() const;
    void startOthers(SimulatedMember& leader);

    Timeline& timeline_;
    Random random_;
    const ClusterPlan& plan_;
    const ControlService& control_;
    Oracle::Members& members_;
    Oracle& oracle_;
    DisruptionWatch& disruption_;
    std::map<MemberId, Position> letOut_;  // ever, by what its disk holds
    uint64_t lostSince_ = 0;               // 0: enough vouch, or somebody leads
    std::vector<MemberId> told_;           // empty: not at work
    uint64_t lossesBefore_ = 0;            // that the record counted when it began
    uint64_t saidAt_ = 0;                  // when a word was last taken; 0: none was
    uint64_t forced_ = 0;
};

}  // namespace verbex::sim
