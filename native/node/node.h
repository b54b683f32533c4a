// Node: one exchange node; wires core, journal, snapshots and rings, and gives the engine its
// thread.
//
// Purpose: opens (recovers) a data directory, or starts empty in memory; hands commands in, events
// out.
// Owner: the addon, a test, a benchmark.
// Thread safety: offer() from one thread; available() and release() from one; everything else from
// any.
// Invariants:
//   1. One node per data directory, held by its lock.
//   2. Events of replayed commands are not published: the ring begins behind the recovered
//      position.
//   3. Destruction without close() is a stop: what was acknowledged is on disk, the rest may be,
//      and the next open() says which.
// Requires: the surroundings outlive the node.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "node/clock.h"
#include "node/cluster_feed.h"
#include "node/data_directory.h"
#include "node/engine.h"
#include "node/gateway_host.h"
#include "node/state_recovery.h"
#include "node/sync_thread.h"

namespace verbex::node {

inline constexpr uint32_t kRingCellsMin = 64;
inline constexpr uint32_t kRingCellsMax = 1u << 22;

struct NodeOptions {
    std::string data;  // "": memory only
    bool durable = true;
    // Async: how long after a write the journal's sync begins at the latest; 0: no timer.
    uint64_t syncEveryNs = kSyncEveryNsDefault;
    uint64_t segmentBytes = journal::kSegmentBytesDefault;
    uint64_t snapshotEvery = 0;  // commands; 0: at close and when asked
    uint32_t ringCells = 1u << 14;
    uint32_t eventCells = 1u << 16;
    pipeline::ThreadPlan plan;   // any plan, on any day: what comes out is the same
    CoreLimits limits = {0, 0, 0, 0};  // each 0: as the directory was created, else the default
    // Remove what both kept snapshots cover; ends recovery from the journal alone.
    bool pruneSegments = false;
    // Somebody takes events by available() and release(). Without, they are let go.
    bool consumer = true;
    // Ports for clients of the native protocols, on a thread of their own; `directory` is filled in.
    std::optional<GatewayHostOptions> gateways;
    // The node is an edge: a cluster gives positions, and its log is what the engine here executes.
    std::optional<ClusterFeedOptions> cluster;
};

struct NodeSurroundings {
    journal::Storage* storage = nullptr;  // may be null for memory only
    Clock* clock = nullptr;               // null: no commands of the node's own
    std::function<void()> onEvents;       // see EngineSurroundings
    std::function<void(bool)> onStep;     // see EngineSurroundings
    std::optional<journal::JournalId> journalId;  // of a new journal; drawn at random otherwise
};

struct NodeStats {
    EngineState state = EngineState::Running;
    std::string failure;         // "CODE: message" where the node has failed
    Position position = 0;
    Position durablePosition = 0;
    Position publishedPosition = 0;
    uint64_t commands = 0;
    uint64_t events = 0;
    uint64_t batches = 0;
    uint64_t ticks = 0;
    uint64_t backPressureWaits = 0;
    uint64_t journalBytes = 0;
    std::string plan;            // "serial", "sharded:2x2" …
    uint64_t spinNs = 0;         // how long its threads look for work before they sleep
    std::string pinning;         // why the engine's thread is not pinned as asked; empty: as asked
    uint64_t ringHighWater = 0;  // command cells in use at once, the most so far
    PipelineCounters pipeline;   // empty for the serial plan
    bool directIo = false;
    uint64_t snapshots = 0;
    Position snapshotPosition = 0;
    uint64_t snapshotStallNsMax = 0;
    std::string snapshotStatus;  // "" or why the last snapshot is missing
    Position recoveredFrom = 0;  // position of the snapshot that the recovery started from
    uint64_t replayed = 0;
    uint64_t recoveryNs = 0;
    uint64_t tornBytes = 0;
    std::vector<std::string> refusedSnapshots;
    std::string stateHash;       // after recovery
};

class Node {
public:
    struct Opened {
        std::unique_ptr<Node> node;
        Failure failure;
    };
    static Opened open(const NodeOptions& options, const NodeSurroundings& surroundings);
    ~Node();
    Node(const Node&) = delete;
    Node& operator=(const Node&) = delete;

    [[nodiscard]] Engine::Offered offer(const void* cells, uint32_t count) {
        if (feed_ != nullptr && engine_->takesCommands()) return {feed_->offer(cells, count), {}};
        return engine_->offer(cells, count);
    }
    [[nodiscard]] uint64_t available() { return engine_->events().available(); }
    [[nodiscard]] bool release(uint64_t count) { return engine_->release(count); }
    [[nodiscard]] EventRing& events() { return engine_->events(); }

    Failure query(Query query) { return engine_->query(std::move(query)); }
    Failure snapshot(SnapshotDone done) { return engine_->snapshot(std::move(done)); }
    // Drains: everything offered is applied, stored and published; then snapshot, closing record,
    // answer. The consumer must go on taking events until then. Answers on the engine's thread;
    // twice is fine.
    void close(CloseDone done) {
        if (feed_ != nullptr) feed_->stop();
        engine_->close(std::move(done));
    }
    // Ends all threads where they stand and frees the data directory; idempotent, from one thread
    // at a time.
    void stop();

    [[nodiscard]] EngineState state() const { return engine_->state(); }
    [[nodiscard]] Failure failure() const { return engine_->failure(); }
    [[nodiscard]] NodeStats stats() const;
    // nullptr: the node has none.
    [[nodiscard]] const GatewayHost* gateways() const { return gateways_.get(); }
    [[nodiscard]] const ClusterFeed* cluster() const { return feed_.get(); }

private:
    Node() = default;
    Failure recover(const NodeOptions& options, const NodeSurroundings& surroundings,
                    RecoveredState& recovered);
    Failure beginAtSnapshot(const NodeOptions& options, journal::Storage& storage,
                            const DirectoryFacts& facts);
    Failure start(const NodeOptions& options, const NodeSurroundings& surroundings,
                  std::unique_ptr<Core> core);
    void callBack(uint32_t processes, uint32_t away, Position from);
    Failure openGateways(const NodeOptions& options, const NodeSurroundings& surroundings,
                         GatewayStart begin);
    Status syncJournal();

    // In the order of need; destroyed the other way round.
    std::unique_ptr<journal::DirectoryLock> lock_;
    std::unique_ptr<journal::SnapshotStore> store_;
    std::unique_ptr<journal::JournalWriter> journal_;
    std::unique_ptr<SegmentThread> segments_;
    std::unique_ptr<SyncThread> syncs_;
    std::unique_ptr<SnapshotThread> snapshots_;
    std::unique_ptr<Engine> engine_;
    std::unique_ptr<ClusterFeed> feed_;
    std::unique_ptr<GatewayHost> gateways_;
    std::thread thread_;
    CoreLimits limits_ = {0, 0, 0, 0};
    uint64_t epoch_ = 1;
    uint32_t batchMax_ = 1024;
    bool directIo_ = false;
    std::atomic<Position> synced_{0};  // by syncJournal(); outlives the journal
    pipeline::ThreadPlan plan_;
    Status pinning_;
    NodeStats opened_;  // what recovery found
};

}  // namespace verbex::node
