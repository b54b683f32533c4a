// A whole cluster in one thread from one seed: members, control store, network, disks, clients, faults.
//
// Purpose: `verbex sim`, and the tests that hold the protocol to README of native/replication.
// Owner: pure functions.
// Thread safety: runs share nothing; any number at a time.
// Invariants:
//   1. The same options give the same report, trace hash included, on every machine.
// Requires: nothing.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "replication/mutants.h"
#include "sim/cluster/plan.h"

namespace verbex::sim {

struct ClusterRunOptions {
    uint64_t seed = 1;
    replication::Mutant mutant = replication::Mutant::None;
    uint32_t commands = 200;  // of traders; the market is set up besides
    bool bearsDisruption = false;  // a leader may be deposed in vain: what else is wrong then?
};

struct ClusterCounters {
    uint64_t commands = 0;    // that clients sent, each once
    uint64_t resent = 0;      // sent again because nothing was known of them
    uint64_t released = 0;    // positions
    uint64_t takeovers = 0;
    uint64_t truncations = 0;
    uint64_t evictions = 0;
    uint64_t snapshots = 0;   // that members took of themselves
    uint64_t installs = 0;    // that they took of one another
    uint64_t prunings = 0;
    uint64_t damages = 0;     // of snapshots, on disk
    uint64_t crashes = 0;     // processes that ended, of themselves or with their machine
    uint64_t powerCuts = 0;
    uint64_t pauses = 0;
    uint64_t cuts = 0;
    uint64_t flips = 0;
    uint64_t diskFaults = 0;
    uint64_t swaps = 0;       // changes of the record
    uint64_t blocked = 0;     // runs in which too many copies were lost to go on
    uint64_t forced = 0;      // epochs of data loss, by an operator's word
    uint64_t founded = 0;     // clusters that began anew with a copy
    uint64_t undone = 0;      // … and that somebody with nothing had begun before
    uint64_t lost = 0;        // released positions that went with them
    uint64_t actions = 0;

    void add(const ClusterCounters& other);
};

struct ClusterRunReport {
    bool ok = true;
    std::string problem;      // the first one, and when
    std::string plan;
    uint64_t traceHash = 0;
    uint64_t simulatedNs = 0;
    ClusterCounters counters;
};

[[nodiscard]] ClusterRunReport runCluster(const ClusterRunOptions& options);

struct ClusterCampaignOptions {
    uint64_t firstSeed = 1;
    uint64_t seeds = 100;
    uint32_t threads = 1;
    replication::Mutant mutant = replication::Mutant::None;
    uint32_t commands = 200;
    bool bearsDisruption = false;
    uint64_t stopAfterFailed = UINT64_MAX;
};

struct ClusterCampaignReport {
    struct Failure {
        uint64_t seed = 0;
        std::string problem;
        std::string plan;
    };
    uint64_t seeds = 0;  // that were run
    std::vector<Failure> failures;  // by seed
    uint64_t traceHash = 0;         // of all runs, whatever thread ran which
    ClusterCounters counters;
};

// `progress(done, failed)` after each run, from any of the threads, one at a time; false: enough.
[[nodiscard]] ClusterCampaignReport runClusters(
    const ClusterCampaignOptions& options,
    const std::function<bool(uint64_t done, uint64_t failed)>& progress = nullptr);

[[nodiscard]] const char* mutantName(replication::Mutant mutant);
// None and false where there is no such mutant.
[[nodiscard]] bool mutantNamed(const std::string& name, replication::Mutant& mutant);

}  // namespace verbex::sim
