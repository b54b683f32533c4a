// The stages of a node's pipeline, each with the cursor that it moves.
//
//                   ┌──────────────▶ journal ───────────────────stored──────┐
//                   │                                                       ▼
//   ring ──▶ receive ──▶ validate ──▶ match ──▶ settle ──settled──▶ THE PUBLISH BARRIER ──▶ consumer
//            (engine)    risk 1..R    1..M      risk 1..R             (engine)
//
// Purpose: what each thread of a plan does, a batch a step, without waiting for anybody: a stage that finds
// nothing says so, and its thread waits (pipeline/stage_thread.h). A test calls the steps itself, in any order.
// Owner: Pipeline, which shares one Track among them.
// Thread safety: each stage by one thread; its cursors by any.
// Invariants:
//   1. validate, match and settle take commands in the order of positions.
//   2. A command is matched when all risk shards have validated everything up to it, so a risk shard that
//      validates a command finds nothing settled that lies behind it.
//   3. A hazard is decided when everything ahead is settled in its shard, and then by the same function.
//   4. A cell's decision belongs to the shard that decides, then to its lane, and is read only after that.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "core/core.h"
#include "journal/writer.h"
#include "node/command_cell.h"
#include "node/lane.h"
#include "node/segment_thread.h"
#include "pipeline/barrier.h"
#include "pipeline/cursor.h"
#include "pipeline/stage_thread.h"

namespace verbex::node {

// Who is told that a cursor has moved. Each stage has one; empty in a test that steps by hand.
class Bells {
public:
    void add(pipeline::Doorbell& bell) { bells_.push_back(&bell); }
    void ring() const {
        for (pipeline::Doorbell* bell : bells_) bell->ring();
    }

private:
    std::vector<pipeline::Doorbell*> bells_;
};

// What the stages share: the ring, the core, the lanes and where everybody is.
struct Track {
    Track(CommandRing& commands, Core& theCore, EventRing& events);

    CommandRing& ring;
    Core& core;
    const Position base;  // position of sequence 0, less one
    std::vector<std::unique_ptr<Lane>> lanes;

    pipeline::Cursor received;                          // by the engine
    std::vector<std::unique_ptr<pipeline::Cursor>> validated;  // by risk shard
    std::vector<std::unique_ptr<pipeline::Cursor>> matched;    // by matching shard
    std::vector<std::unique_ptr<pipeline::Cursor>> settled;    // by risk shard

    // A command that gives more events than its lane has room for is shown in parts: matched stands at it,
    // and so many of the lane's events are written; settled stands at it, and so many are settled.
    std::vector<std::unique_ptr<std::atomic<uint64_t>>> writtenPart;  // by matching shard
    std::vector<std::unique_ptr<std::atomic<uint64_t>>> settledPart;  // by risk shard; 0: none

    [[nodiscard]] Position positionOf(uint64_t sequence) const { return base + sequence + 1; }
    [[nodiscard]] std::vector<const pipeline::Cursor*> all(
        const std::vector<std::unique_ptr<pipeline::Cursor>>& cursors) const;
};

class RiskStage final : public pipeline::Stage {
public:
    // Commands a step: few enough that those behind see them soon.
    static constexpr uint64_t kBatchMax = 64;

    RiskStage(Track& track, uint32_t shard);
    ~RiskStage() = default;
    bool step() override;
    bool ready() override;

    Bells bells;  // rung when validated or settled has moved

    // Read from any thread.
    [[nodiscard]] uint64_t hazards() const { return hazards_.load(std::memory_order_relaxed); }
    // Steps that could do nothing but wait for a hazard to clear.
    [[nodiscard]] uint64_t stalls() const { return stalls_.load(std::memory_order_relaxed); }

private:
    bool settle();
    bool settlePart();
    bool validate();
    void settleEvents(CommandCell& cell, uint64_t to);

    Track& track_;
    const uint32_t shard_;
    pipeline::Cursor& validated_;
    pipeline::Cursor& settled_;
    pipeline::Barrier validatedByAll_;
    pipeline::Barrier matchedByAll_;
    std::vector<uint64_t> read_;  // by lane: index of the next event to settle
    bool begun_ = false;          // part of the command at settled_ is settled
    bool inHazard_ = false;       // the command at validated_ waits
    std::atomic<uint64_t> hazards_{0};
    std::atomic<uint64_t> stalls_{0};
};

class MatchingStage final : public pipeline::Stage {
public:
    static constexpr uint64_t kBatchMax = 64;
    // Cells kept free before a command is begun, so that a slow consumer stops it between commands.
    static constexpr uint64_t kRoomPerCommandMax = 1024;

    MatchingStage(Track& track, uint32_t shard);
    ~MatchingStage() = default;
    bool step() override;
    bool ready() override;

    // Shows what is written of the command under way; for whoever waits for room.
    void showPart();

    Bells bells;  // rung when matched has moved

private:
    [[nodiscard]] bool mine(const CommandCell& cell) const {
        return alone_ || cell.decision.lane == shard_;
    }

    Track& track_;
    const uint32_t shard_;
    const bool alone_;
    Lane& lane_;
    const uint64_t room_;
    pipeline::Cursor& matched_;
    pipeline::Barrier validatedByAll_;
    uint64_t at_ = 0;  // sequence under way
};

struct JournalStageOptions {
    uint64_t epoch = 1;
    uint32_t batchMax = 1024;
    bool durable = true;
};

// Journals what has been offered, as it comes; it needs nobody's decision for that.
class JournalStage final : public pipeline::Stage {
public:
    // onFailure: the journal has failed; nothing further is stored.
    JournalStage(CommandRing& ring, Position base, journal::JournalWriter& journal,
                 SegmentThread* segments, const JournalStageOptions& options,
                 std::function<void(const Status&)> onFailure);
    ~JournalStage() = default;
    bool step() override;
    bool ready() override;

    // Everything before it is written or, where asked, durable: always the end of a record.
    [[nodiscard]] const pipeline::Cursor& stored() const { return stored_; }
    [[nodiscard]] uint64_t bytes() const { return bytes_.load(std::memory_order_relaxed); }

    Bells bells;  // rung when stored has moved

private:
    CommandRing& ring_;
    const Position base_;
    journal::JournalWriter& journal_;
    SegmentThread* const segments_;
    const JournalStageOptions options_;
    const std::function<void(const Status&)> onFailure_;
    std::vector<std::byte> payload_;
    bool failed_ = false;
    pipeline::Cursor stored_;
    std::atomic<uint64_t> bytes_{0};
};

}  // namespace verbex::node
