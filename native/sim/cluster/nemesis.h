// Nemesis: brings the faults of a plan about, and takes them back.
//
// Purpose: crashes, cuts, stalls and flips at times that the seed says; it spares what no protocol can bear
// (README of this folder: which losses a cluster may be asked to survive).
// Owner: the run.
// Thread safety: none.
// Invariants:
//   1. While as many copies as a takeover needs would be left, anything may happen; beyond it nothing is taken.
//   2. One member at most holds a flipped bit.
// Requires: stop() before the run is healed.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "sim/cluster/oracle.h"

namespace verbex::sim {

class Nemesis {
public:
    Nemesis(Timeline& timeline, Random random, const ClusterPlan& plan, Network& network,
            ControlService& control, Oracle::Members& members)
        : timeline_(timeline), random_(random), plan_(plan), network_(network), control_(control),
          members_(members) {}

    void start();
    void stop() { stopped_ = true; }
    // Called when it has told the leader to hand over.
    void onPromote(std::function<void(MemberId)> told) { told_ = std::move(told); }
    // A member has begun to lead.
    void onLeader(SimulatedMember& member);
    // The only copy there is of anything; 0: nobody's.
    void spare(MemberId member) { spared_ = member; }
    [[nodiscard]] uint64_t count(Fault fault) const { return counts_[static_cast<size_t>(fault)]; }
    // Whose bit has been flipped, until it has been put out or has started again; 0: nobody's.
    [[nodiscard]] MemberId flipped() const;

private:
    void schedule(Fault fault);
    void strike(Fault fault);
    void crash(SimulatedMember& member, RestartMode mode);
    void startLater(SimulatedMember& member);
    void cutFor(NodeId from, NodeId to, uint64_t time);
    void isolate(MemberId member, bool fromStore, uint64_t time);
    void lopside(Fault fault);
    void split(bool bridge, uint64_t time);
    void flap(NodeId from, NodeId to, uint32_t times);
    bool flip(Fault fault, SimulatedMember& member);
    void storeAway(uint64_t time);
    bool loseQuorum();
    // Whether its copy may be lost: enough others hold theirs.
    [[nodiscard]] bool mayLose(const SimulatedMember& member) const;
    SimulatedMember& any();
    SimulatedMember* leader();
    [[nodiscard]] uint64_t aWhile() { return random_.between(5 * kMillis, 600 * kMillis); }
    void counted(Fault fault) { counts_[static_cast<size_t>(fault)]++; }

    Timeline& timeline_;
    Random random_;
    const ClusterPlan& plan_;
    Network& network_;
    ControlService& control_;
    Oracle::Members& members_;
    std::function<void(MemberId)> told_;
    bool stopped_ = false;
    MemberId spared_ = 0;
    std::array<uint64_t, kFaults> counts_ = {};
};

}  // namespace verbex::sim
