// FoundingOperator: begins a cluster anew from one member's copy, where all of it has burnt, its control store too.
//
//      copy of a member's folder … everything burns ──▶ the copy on one machine ──found──▶ leads ──▶ empty folders join
//                                                           └── an empty member was there first: undone, and once more
//
// Purpose: does what docs/operations.md says of a cluster that is lost, and errs as people do: the word twice, or to a
// cluster that is well; empty members started too early; a crash in the midst of it.
// Owner: the site.
// Thread safety: none.
// Invariants:
//   1. What comes back is what the copy holds, neither less nor more; until it leads nobody changes a byte of its log.
//   2. While it is at work nobody runs but the founder, and who was started too early.
// Requires: act() often.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "sim/cluster/disruption_watch.h"
#include "sim/cluster/nemesis.h"
#include "sim/cluster/oracle.h"

namespace verbex::sim {

class FoundingOperator {
public:
    using OnProblem = std::function<void(const std::string&)>;

    FoundingOperator(Timeline& timeline, Random random, const ClusterPlan& plan,
                     ControlService& control, Oracle::Members& members, Oracle& oracle,
                     DisruptionWatch& disruption, Nemesis& nemesis, OnProblem onProblem)
        : timeline_(timeline), random_(random), plan_(plan), control_(control), members_(members),
          oracle_(oracle), disruption_(disruption), nemesis_(nemesis),
          onProblem_(std::move(onProblem)) {}

    void act();
    // With a folder that a recovery has made from another cluster, by names behind the folder's own: the site has nothing yet.
    void begin(MemberId founder, SimulatedDisk::Image folder);
    // Another than the founder is to stay down.
    [[nodiscard]] bool keepsDown(MemberId member) const { return founder_ != 0 && member != founder_; }
    // Clusters that have begun so.
    [[nodiscard]] uint64_t founded() const { return founded_; }
    // Empty members that were first.
    [[nodiscard]] uint64_t undone() const { return undone_; }

private:
    // A folder: all of it, or what a recovery makes of it.
    struct Copy {
        MemberId of = 0;  // 0: there is none
        bool whole = false;
        SimulatedDisk::Image image;
    };

    void takeCopy();
    void err();
    void burn();
    void putBack();
    void startTooEarly();
    void found();
    void say();
    void lookAtCopy(SimulatedMember& founder);
    void undo();
    void startOthers();
    [[nodiscard]] bool isFounders(const Configuration& record) const;
    void problem(const std::string& text) { onProblem_(text); }

    Timeline& timeline_;
    Random random_;
    const ClusterPlan& plan_;
    ControlService& control_;
    Oracle::Members& members_;
    Oracle& oracle_;
    DisruptionWatch& disruption_;
    Nemesis& nemesis_;
    const OnProblem onProblem_;
    Copy copy_;
    MemberId founder_ = 0;      // 0: not at work
    std::vector<replication::EpochEnd> ends_;  // of the copy's log; empty: not seen yet
    uint64_t saysFrom_ = 0;     // an operator takes a while
    uint64_t saidAt_ = 0;
    uint64_t othersAt_ = 0;     // since when there is a record of others; 0: there is none
    uint64_t bearsNs_ = 0;      // so long both run then
    uint64_t founded_ = 0;
    uint64_t undone_ = 0;
};

}  // namespace verbex::sim
