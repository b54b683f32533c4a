// LoadGenerator: many OUCH sessions on one thread, from a seed.
//
// Purpose: see README.md.
// Owner: whoever calls run(), on its thread.
// Thread safety: stop() and progress() from any thread.
// Invariants: those of README.md.
// Requires: a user for every connection; symbols that the server knows.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "load/latency_histogram.h"
#include "transport/network.h"
#include "wire/symbol.h"

namespace verbex::load {

struct LoadUser {
    std::string name;
    std::string password;
};

struct LoadOptions {
    transport::Address server;
    std::vector<LoadUser> users;     // one connection each
    uint64_t ordersPerSecond = 0;    // of all connections; 0: closed loop
    uint32_t window = 32;            // closed loop: orders in flight on a connection, 1 … 1,024
    uint64_t warmUpNs = 500'000'000;  // not counted
    uint64_t durationNs = 5'000'000'000;
    uint64_t settleNs = 5'000'000'000;  // how long to wait for the last answers
    uint64_t seed = 1;
    std::vector<Symbol> symbols;
    uint64_t midPrice = 10'000;      // ticks
    uint32_t halfWidth = 2;          // prices are drawn from mid − halfWidth … mid + halfWidth
    uint32_t quantityMax = 10;       // lots, from 1
    uint32_t cancelsPerMille = 100;  // so many of a thousand messages cancel an own order
    // So many of the users, the last ones, send a window of orders, then nothing, and stop reading.
    uint32_t stalled = 0;
    bool reconnect = false;          // lost connections come back, by session and sequence
    bool spin = true;                // never sleeps; otherwise epoll waits until something is due
    std::string ledgerFile;          // "": none
};

// What a session sent and was told.
struct LedgerRow {
    uint64_t entered = 0;       // orders sent
    uint64_t accepted = 0;
    uint64_t rejected = 0;
    uint64_t canceled = 0;      // messages
    uint64_t executions = 0;    // messages
    uint64_t executedQuantity = 0;
    uint64_t sequence = 0;      // of the last message
};

struct LoadResult {
    uint64_t entered = 0;        // orders sent while it was counted
    uint64_t answered = 0;       // of them, accepted or rejected
    uint64_t accepted = 0;
    uint64_t rejected = 0;
    uint64_t cancels = 0;        // requests
    uint64_t executions = 0;
    uint64_t unanswered = 0;     // at the end
    uint64_t lost = 0;           // connections
    uint64_t elapsedNs = 0;      // of the counted part
    uint64_t answeredInTime = 0;  // before the counted part was over
    uint64_t latestSendNs = 0;   // open loop: the longest that a send was behind its plan
    LatencyHistogram roundTrips;  // of the counted part
    std::vector<LedgerRow> ledger;  // by user
};

struct LoadProgress {
    uint64_t loggedIn = 0;
    uint64_t entered = 0;
    uint64_t answered = 0;
    uint64_t executions = 0;
    bool counting = false;
};

class LoadGenerator {
public:
    explicit LoadGenerator(const LoadOptions& options);
    ~LoadGenerator();
    LoadGenerator(const LoadGenerator&) = delete;
    LoadGenerator& operator=(const LoadGenerator&) = delete;

    // Logs everybody in, runs, waits for the last answers, logs out. TimedOut where not all could log in.
    // `counting` is called when the counted part begins (true) and ends (false).
    Result<LoadResult> run(const std::function<void(bool began)>& counting = {});
    void stop() { stop_.store(true, std::memory_order_release); }
    [[nodiscard]] LoadProgress progress() const;

private:
    class Run;

    const LoadOptions options_;
    std::atomic<bool> stop_{false};
    std::atomic<uint64_t> loggedIn_{0};
    std::atomic<uint64_t> entered_{0};
    std::atomic<uint64_t> answered_{0};
    std::atomic<uint64_t> executions_{0};
    std::atomic<bool> counting_{false};
};

}  // namespace verbex::load
