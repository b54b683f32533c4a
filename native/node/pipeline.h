// Pipeline: the stages of a node on one ring, and the two ends that the engine's thread keeps.
//
//   offer ─▶ ┌────────────── ring of command cells ──────────────┐
//            │ 1 receive ─▶ 2 validate ─▶ 3 match ─▶ 4 settle ──────▶ 5 THE PUBLISH BARRIER ─▶ event ring
//            │   engine      risk 1..R     1..M      risk 1..R          engine
//            └──────▶ journal ──────────────────────── stored ──────────▶┘
//
// Purpose: runs a plan of several threads so that nobody can tell it from one: the same events in the same
// order, the same state. docs/pipeline.md has the argument; hazards and drains are its two exceptions.
//   drain  a command over many accounts or books is let in when all before it is settled, runs alone on the
//          engine's thread, and only then what is behind it goes on.
//   hazard a risk shard cannot decide before what is ahead is settled: stages.h.
// Owner: the engine.
// Thread safety: the engine's thread, but for start() and stop() (its owner's, one at a time), offered(),
// consumed(), abandon() and the counters (any).
// Invariants:
//   1. Only publish() shows events, and only of commands that are settled by all shards and stored.
//   2. Cells are given back when their events are out.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "node/stages.h"
#include "pipeline/thread_plan.h"
#include "wire/event_digest.h"

namespace verbex::node {

struct PipelineCounters {
    uint64_t hazards = 0;  // commands that waited for what is ahead on their shard
    uint64_t stalls = 0;   // looks of a risk thread that found its hazard still standing
    uint64_t drains = 0;   // commands that ran alone
    struct Thread {
        std::string name;
        double occupancy = 0;  // 0 … 1, since the start
        uint64_t sleeps = 0;
        std::string pinning;  // why it is not pinned as asked; empty: as asked
    };
    std::vector<Thread> threads;
};

class Pipeline {
public:
    struct Surroundings {
        journal::JournalWriter* journal = nullptr;  // null: nothing is stored
        SegmentThread* segments = nullptr;
        JournalStageOptions journaling;
        std::function<void(const Status&)> onFailure;   // the journal's
        std::function<void(uint32_t)> onEvents;         // these readers wait and there are events
        std::function<void(const Command&)> onReceive;  // each command, before anybody sees it
        pipeline::Doorbell* engineBell = nullptr;
        // Who steps by hand is asked to make room here, where a thread would wait for the consumer.
        std::function<void()> onFull;
    };

    Pipeline(const pipeline::ThreadPlan& plan, uint32_t cores, CommandRing& ring, Core& core,
             EventRing& events, Surroundings with);
    ~Pipeline();

    // One thread for each stage; without it somebody steps stages() in turn.
    void start();
    // Ends the threads where they stand.
    void stop();
    // Nothing more will be kept: whoever waits for room goes on, into nowhere.
    void abandon();

    // ---- engine's thread
    // Lets commands in, as far as they may go. False: nothing to do now.
    bool receive();
    // Lets out what is ready, up to `upTo` at most. False: nothing was.
    bool publish(uint64_t upTo = UINT64_MAX);
    // Would one of them find something?
    [[nodiscard]] bool ready();
    // All that was let in is settled / and published. Then the core is this thread's alone.
    [[nodiscard]] bool quiet();
    [[nodiscard]] bool idle() { return quiet() && published_ == track_.received.getRelaxed(); }
    // To be called when idle(), before the core is asked anything.
    void settleCore() { track_.core.reached(position()); }

    // Sequences: published so far; journaled so far (always the end of a record).
    [[nodiscard]] uint64_t published() const { return published_; }
    [[nodiscard]] uint64_t received() const { return track_.received.getRelaxed(); }
    [[nodiscard]] uint64_t stored() const;
    [[nodiscard]] Position positionOf(uint64_t sequences) const { return track_.base + sequences; }
    // All events of commands up to here are out.
    [[nodiscard]] Position position() const { return positionOf(published_); }
    [[nodiscard]] uint64_t eventsOut() const { return eventsOut_; }
    [[nodiscard]] Digest128 digest() const { return digest_.value(); }  // of the events that are out

    // ---- any thread
    void offered();   // there are commands in the ring
    void consumed();  // the consumer has given cells back
    [[nodiscard]] PipelineCounters counters() const;
    [[nodiscard]] uint64_t journalBytes() const;

    // Every stage but the two ends: for whoever steps by hand.
    [[nodiscard]] std::vector<pipeline::Stage*> stages();

private:
    bool runAlone(uint64_t sequence);
    void waitForRoomAlone();
    void waitForRoom(uint32_t shard);
    [[nodiscard]] bool mustRunAlone(const Command& command);
    [[nodiscard]] uint64_t complete();
    uint64_t publishWhole(uint64_t complete);
    bool publishPart();
    [[nodiscard]] uint64_t partReady(uint64_t sequence, uint32_t* lane);
    // Lets out the lane's events before `to`; false where the ring has no room for all of them.
    bool letOut(uint32_t lane, uint64_t to);
    void show();

    Track track_;
    EventRing& events_;
    const Surroundings with_;
    const bool merges_;  // several lanes
    std::vector<std::unique_ptr<RiskStage>> risk_;
    std::vector<std::unique_ptr<MatchingStage>> matching_;
    std::unique_ptr<JournalStage> journal_;
    std::vector<std::unique_ptr<pipeline::StageThread>> threads_;
    pipeline::Doorbell* journalBell_ = nullptr;
    std::vector<pipeline::Doorbell*> riskBells_;
    std::vector<pipeline::Doorbell*> matchingBells_;
    pipeline::Wait wait_;

    pipeline::Barrier settledByAll_;
    uint64_t published_ = 0;          // sequences
    uint64_t eventsOut_ = 0;          // index behind the last event that is out
    uint64_t shown_ = 0;              // the same, as the consumer knows it
    std::vector<uint64_t> read_;      // by lane: index of the next event to let out
    EventDigest digest_;
    uint64_t orderRoom_ = 0;          // orders that may be let in without a look at the capacities
    bool blocked_ = false;            // the next command waits for a drain
    uint64_t aloneAt_ = UINT64_MAX;   // the command that runs alone
    std::atomic<uint64_t> drains_{0};
};

}  // namespace verbex::node
