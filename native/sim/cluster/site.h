// Site: the members of one simulated cluster, its control store and network, and whoever looks after it.
//
// Purpose: one cluster of a run; a run may have two of them with a bridge between. Starts what has died when all
// is healed, lets back in what was put out, and knows when too many copies are lost for anybody to go on.
// Owner: the run.
// Thread safety: none.
// Invariants:
//   1. Nothing in here knows of clients: frames to them go through the handlers that the run sets.
// Requires: the timeline and the random numbers outlive it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "sim/cluster/cluster.h"
#include "sim/cluster/disruption_watch.h"
#include "sim/cluster/forcing_operator.h"
#include "sim/cluster/founding_operator.h"
#include "sim/cluster/nemesis.h"
#include "sim/cluster/oracle.h"

namespace verbex::sim {

// Two assets, one instrument with fees, accounts 1 … traders with plenty of both.
[[nodiscard]] std::vector<Command> market(uint32_t traders);

struct SiteOptions {
    std::string name = "verbex";  // of the cluster
    bool standby = false;
    replication::Mutant mutant = replication::Mutant::None;
    bool bearsDisruption = false;
};

class Site {
public:
    using OnProblem = std::function<void(const std::string&)>;

    // `random`: of the run; what the site draws of it while it is made belongs to the run's order of draws.
    Site(const SiteOptions& options, const ClusterPlan& plan, Timeline& timeline, Random& random,
         OnProblem onProblem);
    Site(const Site&) = delete;
    Site& operator=(const Site&) = delete;

    // Frames and ends of connections for clients of this site.
    void connect(Network::Handlers clients);
    // Processes, each at a time of its own, and the faults of the plan.
    void start();
    // In place of start(): one process, in a folder that was recovered from another site, whose oracle is `other`, up to
    // this position; the others when it leads.
    void startFounded(MemberId founder, SimulatedDisk::Image folder, const Oracle& other, Position upTo);
    // No faults from now on; one member that is not needed may be kept down.
    void heal();
    [[nodiscard]] bool isHealed() const { return healedAt_ != 0; }
    [[nodiscard]] uint64_t healedAt() const { return healedAt_; }
    // To be called often. `served`: the clients have all that they wait for.
    void lookAfter(bool served);

    // Too many members have lost what they vouched for: only an operator's word helps, as it should be.
    [[nodiscard]] bool isBlocked() const { return blocked_; }
    // All members are up, in step, and hold what is released; one of them leads, or the site is switched off.
    [[nodiscard]] bool isInStep() const;
    [[nodiscard]] bool hasLeader() const;
    [[nodiscard]] std::string standing() const;
    void lookAtEnd();
    void count(ClusterCounters& counters) const;

    // An operator's word to whoever leads; false: nobody does.
    bool tellLeader(const std::function<void(replication::Member&)>& word);
    // … to hand over to this member.
    bool promote(MemberId to);

    [[nodiscard]] const ClusterPlan& plan() const { return plan_; }
    [[nodiscard]] Network& network() { return network_; }
    [[nodiscard]] const ControlService& control() const { return control_; }
    [[nodiscard]] const Oracle& oracle() const { return oracle_; }
    void onLoss(Oracle::OnLoss onLoss) { oracle_.onLoss(std::move(onLoss)); }
    [[nodiscard]] SimulatedMember& member(MemberId id) { return *members_[id - 1]; }
    [[nodiscard]] bool isUp(MemberId id) const { return members_[id - 1]->isUp(); }
    [[nodiscard]] size_t size() const { return members_.size(); }

private:
    static CoreLimits limits() { return {1u << 12, 16, 4, 1u << 13}; }
    void makeMembers(const SiteOptions& options);
    void setClock(SimulatedMember& member);
    void onCalled(SimulatedMember& member);
    void bringUp(bool served);
    void readmit();
    [[nodiscard]] bool needed(MemberId id) const;
    void lookWhetherBlocked();
    void problem(const std::string& text) { onProblem_(text); }

    struct Made {
        uint64_t snapshots = 0;
        uint64_t installs = 0;
        Position first = 0;
    };
    struct Seen {
        uint64_t life = 0;
        replication::Replica::Counters counters;
        Made made;
    };

    const ClusterPlan plan_;
    Timeline& timeline_;
    Random& random_;
    const OnProblem onProblem_;
    Network network_;
    ControlService control_;
    Oracle::Members members_;
    Oracle oracle_;
    DisruptionWatch disruption_;
    Nemesis nemesis_;
    ForcingOperator forcing_;
    FoundingOperator founding_;
    std::vector<Seen> seen_;
    ClusterCounters counters_;
    uint64_t healedAt_ = 0;
    MemberId keptDown_ = 0;
    uint64_t blockedSince_ = 0;
    bool blocked_ = false;
};

}  // namespace verbex::sim
