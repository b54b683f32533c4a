// SimulatedMember: a Member on a simulated machine: disk, clock, process, and what happens to them.
//
// Purpose: does what node/member_host.h does in a server (frames in, step, sync in its own time), and dies,
// stalls and comes back as servers do.
// Owner: the run.
// Thread safety: none.
// Invariants:
//   1. A process that has ended sends nothing and hears nothing; a new one knows what its disk holds.
//   2. Nobody calls into the member from within a call of it.
// Requires: kill() only between calls.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "replication/member.h"
#include "sim/cluster/control_service.h"
#include "sim/cluster/network.h"
#include "sim/disk.h"

namespace verbex::sim {

using replication::Moment;

struct WallClock {
    int64_t offsetNs = 0;
    bool frozen = false;
    uint64_t frozenAt = 0;
};

class SimulatedMember final : public replication::Wires {
public:
    // After every call into the member.
    using OnCalled = std::function<void(SimulatedMember&)>;
    using OnProblem = std::function<void(const std::string&)>;

    SimulatedMember(Timeline& timeline, Random random, const ClusterPlan& plan, Network& network,
                    ControlService& control, const replication::MemberOptions& options);
    ~SimulatedMember();
    void watch(OnCalled onCalled, OnProblem onProblem) {
        onCalled_ = std::move(onCalled);
        onProblem_ = std::move(onProblem);
    }

    // ---- the process
    void start();
    void kill(RestartMode mode);
    // Stopped in order, so that the next start vouches for everything.
    void close();
    // Another machine, with an empty disk.
    void replace();
    void pause();
    void resume();
    [[nodiscard]] bool isUp() const { return member_ != nullptr; }
    [[nodiscard]] bool isPaused() const { return paused_; }
    // It takes no part because of its disk: whoever looks after it starts it again.
    [[nodiscard]] bool wantsRestart() const { return member_ != nullptr && member_->failed(); }
    [[nodiscard]] uint64_t life() const { return life_; }

    void onFrame(NodeId from, const Network::Frame& frame);
    void onClosed(NodeId client);
    void wake();
    // Between calls: an operator, a memory cell.
    void call(const std::function<void(replication::Member&)>& act);

    [[nodiscard]] MemberId id() const { return options_.id; }
    [[nodiscard]] replication::Member& member() { return *member_; }
    [[nodiscard]] SimulatedDisk& disk() { return disk_; }
    [[nodiscard]] Moment moment() const;
    WallClock wall;
    uint64_t slowUntil = 0;  // the disk
    bool machineStops = false;  // when the disk stops: the machine, not the process alone
    // Its disk is about to do something after which it can't vouch for its log.
    bool doomed = false;
    // A bit has been flipped in what this process holds.
    bool flipped = false;
    uint64_t flips = 0;  // ever
    uint64_t crashes = 0;
    uint64_t damages = 0;  // of snapshots

    // ---- what it is known to hold, up or not: for the oracle
    struct Held {
        replication::Incarnation incarnation = 0;
        std::vector<replication::EpochEnd> ends;
        Position stored = 0;  // written, or durable where that is what counts
        Position durable = 0;
        bool vouches = false;  // also after the machine has stopped: it acknowledges durable only
        bool lost = false;     // a machine has stopped since, and it did not
    };
    [[nodiscard]] const Held& held() const { return held_; }

private:
    bool send(NodeId to, std::span<const std::byte> frame) override;
    void fence(uint64_t epoch) override;
    void close(NodeId client) override;

    void scheduleStep(uint64_t time);
    void step();
    void called();
    void scheduleSync();
    void scheduleSnapshot();
    void damageSnapshot();
    void noteHeld();

    Timeline& timeline_;
    Random random_;
    const ClusterPlan& plan_;
    Network& network_;
    ControlService& control_;
    replication::MemberOptions options_;
    OnCalled onCalled_;
    OnProblem onProblem_;
    SimulatedDisk disk_;
    std::unique_ptr<replication::Member> member_;
    uint64_t life_ = 0;
    uint64_t boot_ = 1;
    uint64_t steadyOrigin_ = 0;
    bool paused_ = false;
    std::vector<std::pair<NodeId, Network::Frame>> piled_;
    std::vector<NodeId> closedMeanwhile_;
    uint64_t stepAt_ = 0;
    uint64_t stepToken_ = 0;
    bool syncing_ = false;
    bool preparing_ = false;
    bool snapshotting_ = false;
    Held held_;
};

}  // namespace verbex::sim
