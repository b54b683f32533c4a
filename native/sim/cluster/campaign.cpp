// Many runs on several threads.
#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>

#include "base/amount.h"
#include "sim/cluster/cluster.h"

namespace verbex::sim {

using replication::kMutantMax;
using replication::Mutant;

namespace {

constexpr const char* kMutantNames[kMutantMax + 1] = {
    "none",
    "fence-before-dead",
    "commit-old-epoch",
    "truncate-by-commit",
    "ack-before-store",
    "vouch-after-restart",
    "fence-too-few",
    "grow-before-ack",
    "vote-skipped",
    "duplicate-applied",
    "adopt-shorter-log",
    "activate-before-sync",
    "ignore-checksum",
    "shrink-without-swap",
    "ack-unverified",
    "truncate-stale",
    "change-by-commit-only",
    "align-too-early",
};

}  // namespace

const char* mutantName(Mutant mutant) { return kMutantNames[static_cast<size_t>(mutant)]; }

bool mutantNamed(const std::string& name, Mutant& mutant) {
    for (size_t i = 0; i <= kMutantMax; i++) {
        if (name != kMutantNames[i]) continue;
        mutant = static_cast<Mutant>(i);
        return true;
    }
    return false;
}

void ClusterCounters::add(const ClusterCounters& other) {
    commands += other.commands;
    resent += other.resent;
    released += other.released;
    takeovers += other.takeovers;
    truncations += other.truncations;
    evictions += other.evictions;
    crashes += other.crashes;
    powerCuts += other.powerCuts;
    pauses += other.pauses;
    cuts += other.cuts;
    flips += other.flips;
    diskFaults += other.diskFaults;
    swaps += other.swaps;
    blocked += other.blocked;
    actions += other.actions;
}

ClusterCampaignReport runClusters(const ClusterCampaignOptions& options,
                                  const std::function<bool(uint64_t, uint64_t)>& progress) {
    ClusterCampaignReport all;
    std::mutex mutex;
    std::atomic<uint64_t> next{0};
    std::atomic<bool> enough{false};
    const auto work = [&] {
        while (!enough.load(std::memory_order_relaxed)) {
            const uint64_t at = next.fetch_add(1, std::memory_order_relaxed);
            if (at >= options.seeds) return;
            ClusterRunOptions one;
            one.seed = options.firstSeed + at;
            one.mutant = options.mutant;
            one.commands = options.commands;
            const ClusterRunReport report = runCluster(one);
            const std::lock_guard guard(mutex);
            all.seeds++;
            all.counters.add(report.counters);
            // A sum, so that it does not matter which thread came first.
            const UnsignedAmount mixed = UnsignedAmount{report.traceHash | 1} * (2 * one.seed + 1);
            all.traceHash += static_cast<uint64_t>(mixed) ^ static_cast<uint64_t>(mixed >> 64);
            if (!report.ok) all.failures.push_back({one.seed, report.problem, report.plan});
            if (all.failures.size() >= options.stopAfterFailed) enough = true;
            if (progress && !progress(all.seeds, all.failures.size())) enough = true;
        }
    };
    std::vector<std::thread> threads;
    for (uint32_t i = 1; i < options.threads; i++) threads.emplace_back(work);
    work();
    for (std::thread& thread : threads) thread.join();
    std::sort(all.failures.begin(), all.failures.end(),
              [](const auto& a, const auto& b) { return a.seed < b.seed; });
    return all;
}

}  // namespace verbex::sim
