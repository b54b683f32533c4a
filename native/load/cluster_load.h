// ClusterLoad: a client of a cluster that keeps a ledger of what it was told.
//
//   orders 1, 2, 3 … ──Submit──▶ leader ──Events──▶ ledger: what became of each, and when
//        ▲ those without an answer, again, at whoever leads now
//
// Purpose: the oracle of drills and the load of benches. Order n is a function of n, so what is sent again
// is the same; every order has a client id of its own, so nothing may be done twice.
// Owner: `verbex drill`, `verbex bench cluster`, tests.
// Thread safety: run() and verify() in one thread; progress(), gap(), pause() and stop() from any.
// Invariants:
//   1. An order counts as acknowledged when the last event of its command has been seen.
//   2. verify() replays the cluster's log from its first position and holds every batch that was seen
//      against it.
// Requires: nobody else trades on the accounts.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "core/core.h"
#include "load/latency_histogram.h"
#include "replication/cluster_client.h"
#include "transport/host/host_network.h"

namespace verbex::load {

struct ClusterLoadOptions {
    replication::ClusterClientOptions cluster;
    transport::NetworkOptions network;
    uint32_t ordersPerSecond = 0;  // 0: as many as the window lets through
    uint32_t window = 4096;        // orders without an answer, at most
    uint32_t batch = 256;          // orders in a submission, at most
    uint32_t accounts = 64;
    uint32_t instruments = 4;
    uint32_t marketPercent = 0;    // of the orders: at the best price, which is a hazard (docs/pipeline.md)
    uint64_t orders = 0;           // then it ends by itself; 0: until stop()
    uint64_t warmUpNs = 0;         // answers before are not in the histogram, nor measured
    uint64_t warmUpOrders = 0;     // nor these, the first ones
    uint64_t resendNs = 250'000'000;
    uint64_t drainNs = 20'000'000'000;  // how long the last answers are waited for
    bool keepsBatches = true;      // for verify(): 32 bytes a batch
    CoreLimits limits;             // the cluster's, for verify()
    // Not 0: another load was here before. Client ids begin behind so many, and of the output only what comes
    // from now on is looked at: no verify().
    uint64_t idsBehind = 0;
};

struct ClusterLoadProgress {
    uint64_t sent = 0;           // orders, each counted once
    uint64_t acknowledged = 0;
    uint64_t accepted = 0;
    uint64_t trades = 0;
    uint64_t acceptedTwice = 0;
    uint64_t tradesTwice = 0;
    uint64_t resent = 0;
    uint64_t connects = 0;
    uint64_t endedSubscriptions = 0;
    uint64_t position = 0;       // complete here
};

struct ClusterLoadResult {
    ClusterLoadProgress counts;
    uint64_t unanswered = 0;
    uint64_t measured = 0;       // answers after the warm-up
    uint64_t measuredNs = 0;
    LatencyHistogram latency;    // ns, from the first sending to the last event
};

struct ClusterVerdict {
    uint64_t batches = 0;          // seen and compared
    uint64_t acknowledgedLost = 0;  // in batches that the log does not have, or has otherwise
    uint64_t appliedTwice = 0;     // client ids that the log's replay accepts twice
    Digest128 stateHash;
    uint64_t position = 0;
};

class ClusterLoad {
public:
    explicit ClusterLoad(const ClusterLoadOptions& options);
    ~ClusterLoad();
    ClusterLoad(const ClusterLoad&) = delete;
    ClusterLoad& operator=(const ClusterLoad&) = delete;

    Result<ClusterLoadResult> run();
    // After run(): reads the log from whoever serves it.
    Result<ClusterVerdict> verify();
    void stop() { stop_.store(true, std::memory_order_release); }
    [[nodiscard]] ClusterLoadProgress progress() const;
    // The longest time between two answers since the last call, the current wait included, ns.
    [[nodiscard]] uint64_t gap();

private:
    struct Parts;
    std::unique_ptr<Parts> parts_;
    std::atomic<bool> stop_{false};
};

}  // namespace verbex::load
