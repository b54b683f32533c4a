// Many runs on several threads.
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
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
    "snapshot-uncommitted",
    "snapshot-forgets-ends",
    "snapshot-forgets-result",
    "prune-early",
    "install-unasked",
    "ask-nobody",
    "follow-nobody",
    "follow-anybody",
    "never-mute",
    "force-same-epoch",
    "force-uncounted",
    "force-by-commit",
    "found-over-record",
    "found-at-log-epoch",
    "found-by-commit",
    "follow-orphaned",
};

// A broken invariant (CHECK) ends the process: whoever looks at it must know which run it was.
constexpr size_t kRunsMax = 256;
std::atomic<uint64_t> runningSeeds[kRunsMax];  // seed + 1; 0: none
std::atomic<uint32_t> campaigns{0};

void sayLine(const char* text) { (void)!write(STDERR_FILENO, text, std::strlen(text)); }

void onEnd(int signal) {
    sayLine("verbex sim: the process ends in one of these runs:");
    for (const auto& running : runningSeeds) {
        uint64_t seed = running.load(std::memory_order_relaxed);
        if (seed-- == 0) continue;
        char digits[24];
        size_t at = sizeof(digits) - 1;
        digits[at] = '\0';
        do {
            digits[--at] = static_cast<char>('0' + seed % 10);
            seed /= 10;
        } while (seed != 0);
        digits[--at] = ' ';
        sayLine(digits + at);
    }
    sayLine("\n");
    struct sigaction usual = {};
    usual.sa_handler = SIG_DFL;
    (void)sigaction(signal, &usual, nullptr);
    (void)raise(signal);
}

class SayWhichRun {
public:
    SayWhichRun() {
        struct sigaction ours = {};
        ours.sa_handler = onEnd;
        first_ = campaigns.fetch_add(1) == 0;
        if (first_) (void)sigaction(SIGABRT, &ours, &before_);
    }
    ~SayWhichRun() {
        if (first_) (void)sigaction(SIGABRT, &before_, nullptr);
        campaigns.fetch_sub(1);
    }

private:
    bool first_ = false;
    struct sigaction before_ = {};
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
    snapshots += other.snapshots;
    installs += other.installs;
    prunings += other.prunings;
    damages += other.damages;
    crashes += other.crashes;
    powerCuts += other.powerCuts;
    pauses += other.pauses;
    cuts += other.cuts;
    flips += other.flips;
    diskFaults += other.diskFaults;
    swaps += other.swaps;
    blocked += other.blocked;
    forced += other.forced;
    founded += other.founded;
    undone += other.undone;
    lost += other.lost;
    actions += other.actions;
}

ClusterCampaignReport runClusters(const ClusterCampaignOptions& options,
                                  const std::function<bool(uint64_t, uint64_t)>& progress) {
    ClusterCampaignReport all;
    std::mutex mutex;
    std::atomic<uint64_t> next{0};
    std::atomic<bool> enough{false};
    const SayWhichRun sayWhichRun;
    const auto work = [&](uint32_t thread) {
        std::atomic<uint64_t>& running = runningSeeds[thread % kRunsMax];
        while (!enough.load(std::memory_order_relaxed)) {
            const uint64_t at = next.fetch_add(1, std::memory_order_relaxed);
            if (at >= options.seeds) return;
            ClusterRunOptions one;
            one.seed = options.firstSeed + at;
            one.mutant = options.mutant;
            one.commands = options.commands;
            one.bearsDisruption = options.bearsDisruption;
            running.store(one.seed + 1, std::memory_order_relaxed);
            const ClusterRunReport report = runCluster(one);
            running.store(0, std::memory_order_relaxed);
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
    for (uint32_t i = 1; i < options.threads; i++) threads.emplace_back(work, i);
    work(0);
    for (std::thread& thread : threads) thread.join();
    std::sort(all.failures.begin(), all.failures.end(),
              [](const auto& a, const auto& b) { return a.seed < b.seed; });
    return all;
}

}  // namespace verbex::sim
