// ClusterFeed: what makes a node an edge of a cluster: gateways, HTTP, market data in a process of their own.
//
//      gateways, JS ──▶ [ intake ] ──Submit──▶ leader            positions are the cluster's to give
//                                                │ stored, executed, committed, voted
//      gateways, JS ◀── event ring ◀── engine ◀──Entries──┘     and the engine here executes what was released
//
// Purpose: an edge holds the whole state, so it answers questions, feeds and routes by itself; a command
// crosses the wire once each way, in 64 or 128 bytes, however many events it causes.
// Owner: Node.
// Thread safety: claimCell(), enterCell(), flushCells() and offer() from any number of threads; its own
// thread does the rest.
// Invariants:
//   1. The engine gets the cluster's log from the position behind its own, be it within an entry, without gap, and
//      nothing else.
//   2. What the engine makes of it is held against the voted results (EdgeAudit). The first difference is
//      reported and fails the engine: EDGE_DIVERGED. Its readers may have had those events by then.
//   3. What was entered and not seen in the log is submitted again, at whoever leads then; the core knows
//      commands with client ids, so none of them is done twice.
// Requires: the engine outlives the thread; commands of different edges that carry tokens below 2^53 come
// from edges of different numbers.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "node/command_entry.h"
#include "node/edge_audit.h"
#include "node/engine.h"
#include "replication/cluster_client.h"
#include "transport/host/host_network.h"

namespace verbex::node {

struct ClusterFeedOptions {
    replication::ClusterClientOptions cluster;
    transport::NetworkOptions network;
    uint32_t edge = 1;             // 1 … 255; names this edge in tokens
    uint32_t intakeCells = 1u << 13;
    uint32_t window = 1u << 13;    // submitted and not seen, at most
    uint64_t resendNs = 300'000'000;
    // Hears of the first difference, on the feed's thread.
    std::function<void(const EdgeAudit::Difference&)> onDiverged = {};
};

struct ClusterFeedStats {
    replication::MemberId member = 0;  // connected to; 0: nobody
    Position position = 0;             // given to the engine
    uint64_t submitted = 0;
    uint64_t resent = 0;
    uint64_t waiting = 0;              // submitted and not seen
    uint64_t compared = 0;             // entries whose result was held against the voted one
    std::string trouble;               // why it can't go on; empty: it does
};

class ClusterFeed final : public CommandEntry, private replication::ClusterClientEvents {
public:
    static constexpr uint32_t kReader = 2;  // of the engine's events

    // `from`: the engine's position.
    static Result<std::unique_ptr<ClusterFeed>> open(const ClusterFeedOptions& options,
                                                     Engine& engine, Position from);
    ~ClusterFeed() { stop(); }
    ClusterFeed(const ClusterFeed&) = delete;
    ClusterFeed& operator=(const ClusterFeed&) = delete;

    void start();
    // The engine has events for the audit. Any thread.
    void wake() { network_->wake(); }
    // Takes nothing more and ends the thread. What waits may have been done or not.
    void stop();

    [[nodiscard]] CellClaim claimCell() override;
    void enterCell(const CellClaim& cell) override { intake_.release(cell.claim); }
    void flushCells() override { network_->wake(); }
    [[nodiscard]] bool takesCommands() const override {
        return !stop_.load(std::memory_order_acquire) && engine_.takesCommands();
    }
    // As Engine::offer().
    [[nodiscard]] uint32_t offer(const void* cells, uint32_t count);
    [[nodiscard]] ClusterFeedStats stats() const;

private:
    ClusterFeed(const ClusterFeedOptions& options, Engine& engine, Position from);
    void run();
    bool drainIntake();
    void submit(std::span<const Command> commands);
    void resend(uint64_t now);
    void show();
    bool audit();
    void diverge();
    void seen(const Command& command);

    void onEvents(const replication::EventsFrame&, std::span<const Event>) override {}
    void onEntry(const replication::EntriesFrame& entry,
                 std::span<const std::byte> payload) override;
    void onSubmitted(const replication::SubmittedFrame& answer) override;
    void onConnected(replication::MemberId member) override;
    void onDisconnected(const std::string& why) override;
    void onEnded(replication::Answered why, Position oldest) override;

    const ClusterFeedOptions options_;
    Engine& engine_;
    std::unique_ptr<transport::HostNetwork> network_;
    std::unique_ptr<replication::ClusterClient> client_;
    pipeline::MultiProducerRing<Command> intake_;
    uint64_t taken_ = 0;            // of the intake
    std::deque<Command> waiting_;   // submitted and not seen, oldest first
    std::vector<Command> batch_;
    EdgeAudit audit_;
    std::vector<std::byte> payload_;
    uint64_t sequence_ = 0;
    uint64_t resentAt_ = 0;
    uint64_t cameAt_ = 0;
    bool resend_ = false;
    bool isDiverged_ = false;
    std::set<replication::MemberId> refusedBy_;  // have not what comes next
    std::atomic<bool> stop_{false};
    mutable std::mutex mutex_;
    ClusterFeedStats stats_;
    ClusterFeedStats shown_;
    std::thread thread_;
};

}  // namespace verbex::node
