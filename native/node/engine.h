// Engine: the loop that takes commands in, journals and executes them, and lets their events out.
//
//   offer ─► ring ─► 1 receive ─► 2 append ─► 3 execute ─► 4 store ─► 5 publish ─► ring ─► consumer
//                                  │            │           │          │
//                               journal       core       journal  publishBarrier()
//                              (staging)                (one write)
//
// Purpose: everything that changes state passes here. Under the serial plan one batch at a time, as
// drawn; a batch is what has arrived. Under the others this thread keeps the two ends of a pipeline
// (pipeline.h), and the control of the node: queries, marks for snapshots, failure, the end.
// Owner: Node, which gives it a thread (run()); a simulation calls step() itself.
// Thread safety: offer(), claimCell(), enterCell() and flushCells() from any number of threads;
// available() and release() of a reader of the event ring from one; query(), close(), stop(), fail()
// and the counters from any; step() and run() from the engine's thread.
// Invariants:
//   1. No event is released before its command is executed and, where there is a journal, written
//      (async) or durable (durable mode): publishBarrier(), or Pipeline::publish(), is the only place
//      that moves the published cursor.
//   2. After the first failure of the journal nothing more is published, and no further command is
//      taken.
//   3. A full event ring loses no event: the batch is stored, what is complete is published, and
//      the engine waits, between commands wherever it can, so that queries are answered all the
//      same (a pipeline answers them when nothing is in flight); then the command ring fills, and
//      offer() answers 0.
//   4. Commands are journaled in the order of their positions, each exactly once, the clock's
//      included.
// Requires: the command ring's producer and the event ring's consumer do not wait for each other in
// the same thread without looking at both.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/core.h"
#include "journal/writer.h"
#include "node/clock_ticker.h"
#include "node/command_entry.h"
#include "node/command_cell.h"
#include "node/event_ring.h"
#include "node/failure.h"
#include "node/pipeline.h"
#include "node/query_queue.h"
#include "node/segment_thread.h"
#include "node/snapshot_thread.h"
#include "pipeline/doorbell.h"
#include "pipeline/wait.h"

namespace verbex::node {

struct EngineOptions {
    uint32_t ringCells = 1u << 14;
    uint32_t eventCells = 1u << 16;
    uint32_t eventReaders = 1;     // see EventRing
    bool durable = true;
    uint32_t batchMax = 1024;      // commands, the clock's included
    uint64_t snapshotEvery = 0;    // commands; 0: only when asked
    uint64_t epoch = 1;
    pipeline::ThreadPlan plan = pipeline::ThreadPlan{};  // what the core was divided for
};

// What the engine works with; null where the node does without. All outlive the engine's thread.
struct EngineSurroundings {
    journal::JournalWriter* journal = nullptr;
    SnapshotThread* snapshots = nullptr;
    SegmentThread* segments = nullptr;
    Clock* clock = nullptr;  // null: time comes by command only
    // Called from the engine's thread with the readers (bits) that wait for the events that there are
    // now, and once with all of them when the node fails.
    std::function<void(uint32_t readers)> onEvents;
    // For measurements: called on the engine's thread before each step (false) and after each that
    // had something to do (true).
    std::function<void(bool done)> onStep;
};

// Work that shares the engine's thread: the gateways of a machine without a core for them. It brings its own
// way to sleep, which whoever would ring the engine's bell ends by wake().
class Companion {
public:
    // A round; false where there was nothing to do.
    virtual bool round() = 0;
    // Sleeps until wake(), work of its own, or `forNs` is over; not at all where mayNot() says so.
    virtual void wait(uint64_t forNs, const std::function<bool()>& mayNot) = 0;
    // Takes events, so that there is room: the engine waits for it in the middle of its work.
    virtual void makeRoom() = 0;
    virtual void wake() = 0;  // from any thread

protected:
    ~Companion() = default;
};

struct CloseResult {
    Failure failure;  // CLOSED where the node was stopped without being closed
    Position position = 0;
    Digest128 stateHash;
};
using CloseDone = std::function<void(const CloseResult&)>;

enum class EngineState : uint8_t { Running = 0, Closing = 1, Closed = 2, Failed = 3, Stopped = 4 };

struct EngineCounters {
    std::atomic<uint64_t> commands{0};
    std::atomic<uint64_t> events{0};
    std::atomic<uint64_t> batches{0};
    std::atomic<uint64_t> ticks{0};             // commands that the clock put in; two threads add
    std::atomic<uint64_t> backPressureWaits{0};  // times that the event ring was full
    std::atomic<uint64_t> journalBytes{0};
    std::atomic<uint64_t> snapshotStallNsMax{0};  // longest that noting a mark has kept the engine
    std::atomic<Position> position{0};            // executed
    std::atomic<Position> stored{0};              // written or durable, by mode
    std::atomic<Position> durable{0};
    std::atomic<Position> published{0};           // all events of it are out
};

class Engine final : public CommandEntry, private RoomMaker {
public:
    Engine(const EngineOptions& options, std::unique_ptr<Core> core,
           const EngineSurroundings& surroundings);
    Engine(const Engine&) = delete;
    Engine& operator=(const Engine&) = delete;

    // ---- producer
    // Copies in as many of the `count` command cells as fit and answers how many, or why never
    // again. Where the clock has moved on, its tick goes in before them.
    struct Offered {
        uint32_t taken = 0;
        Failure failure;
    };
    [[nodiscard]] Offered offer(const void* cells, uint32_t count);

    // The same for one command, written in place: the cell is zeroed; fill it and enter it at once, since
    // the engine waits at it. Not extended commands leave the second line as it is. The engine may sleep
    // on until flushCells().
    [[nodiscard]] CellClaim claimCell() override;
    void enterCell(const CellClaim& cell) override;
    void flushCells() override;
    [[nodiscard]] bool takesCommands() const override { return state() == EngineState::Running; }

    // ---- consumer
    [[nodiscard]] EventRing& events() { return ring_; }
    // Gives cells back; false where fewer are ready.
    [[nodiscard]] bool release(uint64_t count, uint32_t reader = 0);
    // The reader takes no more, and the engine no longer waits for it.
    void leave(uint32_t reader);

    // ---- any thread
    Failure query(Query query);
    // A mark for a snapshot, taken between batches.
    Failure snapshot(SnapshotDone done);
    // Takes no further command, finishes everything offered, and then answers.
    void close(CloseDone done);
    // Ends the loop where it stands. The journal keeps what it has.
    void stop();
    void fail(const Failure& why);
    [[nodiscard]] EngineState state() const { return state_.load(std::memory_order_acquire); }
    [[nodiscard]] Failure failure() const;
    [[nodiscard]] const EngineCounters& counters() const { return counters_; }
    // Empty for the serial plan.
    [[nodiscard]] PipelineCounters pipelineCounters() const {
        return pipeline_ == nullptr ? PipelineCounters{} : pipeline_->counters();
    }
    [[nodiscard]] uint64_t ringHighWater() const { return input_.highWater(); }

    // ---- engine's thread
    void run();
    // The same with somebody beside it. Before run(), and only under the serial plan.
    void shareWith(Companion* companion) {
        CHECK(pipeline_ == nullptr);
        companion_ = companion;
    }
    // One batch, or one answer; false where there was nothing to do.
    bool step();
    // Answers everything that still waits and drops the core. After it only the counters and rings
    // are of use.
    void end();

private:
    // Cells that are kept free before a command is begun, so that a slow consumer stops the engine
    // between commands, where it can still answer queries; only a command with more events stops in
    // its middle.
    static constexpr uint64_t kRoomPerCommandMax = 1024;

    // The serial plan: one thread does it all.
    bool stepSerial();
    size_t receive();
    bool append();
    void execute();
    bool store();
    void publishBarrier(Position complete);
    void noteMark();
    void requestSnapshot(SnapshotDone done);
    // The other plans: this thread keeps the two ends of the pipeline.
    bool stepPipeline(bool asked);
    bool noteMarkPipeline();
    void countPipeline();

    void tickWhenIdle();
    uint32_t fill(const pipeline::Claim& claim, uint64_t tick, const void* cells);
    void fillTick(uint64_t at, uint64_t tick);
    void ticked(uint64_t time);
    [[nodiscard]] uint64_t waiting() const;
    void ring();

    void makeRoom() override;
    void waitForRoom(bool betweenCommands);
    void roomMade();
    void answerQuery();
    bool workWaits();
    uint64_t sleepNs();
    void finish();
    SnapshotOutcome lastSnapshot();
    bool mayGoOn();

    const EngineOptions options_;
    const EngineSurroundings with_;
    std::unique_ptr<Core> core_;  // gone after end()
    CommandRing input_;
    EventRing ring_;
    EventRingWriter writer_;
    pipeline::Doorbell bell_;
    Companion* companion_ = nullptr;
    pipeline::Wait wait_;
    QueryQueue queries_;
    std::unique_ptr<ClockTicker> ticker_;
    const uint64_t room_;

    std::unique_ptr<Pipeline> pipeline_;    // null: the serial plan
    std::atomic<uint64_t> tickedTo_{0};     // the latest time in the ring or the core
    std::vector<SnapshotDone> markWanted_;  // the pipeline's: marks that are to be taken
    uint64_t markAt_ = UINT64_MAX;          // sequence at which the next one is taken

    // The batch under way.
    std::vector<const Command*> batch_;
    size_t batchSize_ = 0;
    uint64_t taken_ = 0;  // sequence behind the last command that has been executed
    std::vector<std::byte> payload_;
    Position batchLast_ = 0;   // position of the batch's last command
    Position executing_ = 0;   // position of the command in the core
    Position stored_ = 0;      // see invariant 1
    Position lastMark_ = 0;

    EngineCounters counters_;
    std::atomic<EngineState> state_{EngineState::Running};
    std::atomic<bool> stop_{false};
    std::atomic<bool> closing_{false};
    std::atomic<bool> failed_{false};
    mutable std::mutex mutex_;
    Failure failure_;               // the first one
    std::vector<CloseDone> closers_;
    std::unique_ptr<CloseResult> closed_;
};

}  // namespace verbex::node
