// Oracle: what may never happen in a simulated run, looked at after every call into a member.
//
// Purpose: holds what was released against one serial core, logs against each other, leaders against what
// was released before them, the record against what its members hold; each with a message of its own.
// Owner: the run.
// Thread safety: none.
// Invariants:
//   1. Says nothing about a run in which all goes right.
// Requires: look() after each call, before anything else happens.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/core.h"
#include "sim/cluster/simulated_member.h"

namespace verbex::sim {

// What the cluster has let out, batch by batch, with the events of one core that executed the same.
struct ReleasedBatch {
    replication::EntryHeader entry;
    Digest128 payload;
    Digest128 result;
    std::vector<Event> events;
    std::vector<Command> commands;
};

class Oracle {
public:
    using OnProblem = std::function<void(const std::string&)>;
    using Members = std::vector<std::unique_ptr<SimulatedMember>>;
    // Of what was released nothing behind this position is left.
    using OnLoss = std::function<void(Position kept)>;

    Oracle(const CoreLimits& limits, const Members& members, const ControlService& control,
           OnProblem onProblem);
    ~Oracle();

    void look(SimulatedMember& member);
    // A change of the record has taken effect.
    void onChange(const Configuration& before, const Configuration& after);
    // An operator is about to force this member, or to found a cluster with it: whatever its log holds must stay.
    void onForced(const SimulatedMember& member);
    // Nobody has anything any more, and there is no record: what comes next is a forced epoch, or none.
    void onBurnt() { losing_ = UINT64_MAX; }
    // This site begins with what another one has let out up to there.
    void adopt(const Oracle& other, Position upTo);
    void onLoss(OnLoss onLoss) { onLoss_ = std::move(onLoss); }
    // Positions that were released and lost.
    [[nodiscard]] uint64_t lost() const { return lost_; }
    [[nodiscard]] Position released() const;
    // The batch that holds this position; null: not released.
    [[nodiscard]] const ReleasedBatch* batchAt(Position position) const;
    [[nodiscard]] const std::vector<ReleasedBatch>& batches() const { return batches_; }
    // When all is healed: the member's log is everybody's, its state the serial core's, money conserved.
    void lookAtEnd(SimulatedMember& member);
    [[nodiscard]] const Core& reference() const { return *core_; }

private:
    struct Seen {
        uint64_t life = 0;
        std::vector<replication::EpochEnd> ends;
        Position checked = 0;      // of its log
        Position released = 0;
        Position committed = 0;
        replication::Epoch led = 0;
        bool leads = false;
    };
    // What a leader has called committed.
    struct Committed {
        replication::Epoch epoch = 0;  // of the entry that ends there
        replication::Epoch term = 0;   // of the first who said so
        MemberId by = 0;
    };
    struct LogRecord {
        Position first = 0;
        Digest128 payload;
        replication::Epoch previous = 0;
    };
    // What a member's log held for certain when an operator was about to force it.
    struct Word {
        Position stored = 0;
        replication::Epoch epoch = 0;
    };
    class Writer;

    void lookAtLog(SimulatedMember& member, Seen& seen);
    void lookAtReleases(SimulatedMember& member, Seen& seen);
    void lookAtRole(SimulatedMember& member, Seen& seen);
    void release(SimulatedMember& member, const replication::OutputBatch& batch);
    void lookAtCommit(SimulatedMember& member, Seen& seen);
    void lookAtLeaderOf(SimulatedMember& leader, replication::Epoch term);
    void lookAtHolders(const Configuration& configuration, const std::string& when);
    void lookAtLoss(SimulatedMember& member);
    void lookAtMoney(const Core& core, const std::string& whose);
    void problem(const std::string& text) { onProblem_(text); }

    const CoreLimits limits_;
    const Members& members_;
    const ControlService& control_;
    const OnProblem onProblem_;
    std::unique_ptr<Core> core_;
    std::unique_ptr<Writer> writer_;
    std::vector<ReleasedBatch> batches_;
    std::map<MemberId, Seen> seen_;
    std::map<std::pair<replication::Epoch, Position>, LogRecord> log_;  // by (epoch, last)
    std::map<replication::Epoch, MemberId> leaders_;
    std::map<Position, Committed> committed_;
    std::map<MemberId, Word> words_;
    replication::Epoch losing_ = 0;  // a forced epoch that nobody leads yet; 0: none
    OnLoss onLoss_;
    uint64_t lost_ = 0;
};

}  // namespace verbex::sim
