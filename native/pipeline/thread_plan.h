// ThreadPlan: which threads a node's pipeline has, and how they wait.
//
// Purpose: the one place where somebody says how many threads do the work. Plans differ in speed
// only: every plan gives the same events and the same state as `serial` (docs/pipeline.md), so a
// node may be opened under another plan every day.
//
//   serial     one engine thread does everything, a batch at a time
//   pipelined  one thread a stage: engine (receive, publish) · journal · risk · matching
//   sharded    the same with several risk threads (accounts) and several matching threads
//              (instruments)
//   auto       one of these, by the cores that this process may use
//
// Owner: whoever opens a node. A plain value.
// Thread safety: pure.
// Errors: parsePlan() answers false for a text that is no plan; the caller names the code.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace verbex::pipeline {

inline constexpr uint32_t kShardsMax = 16;  // risk shards, and matching shards

enum class PlanKind : uint8_t { Serial = 1, Pipelined = 2, Sharded = 3 };

struct ThreadPlan {
    PlanKind kind = PlanKind::Serial;
    uint32_t riskShards = 1;      // 1 … kShardsMax; 1 unless sharded
    uint32_t matchingShards = 1;  // 1 … kShardsMax; 1 unless sharded
    // How long a thread looks for work before it sleeps, ns; kSpinForEver: never sleeps.
    uint64_t spinNs = 0;
    // Cores to pin to, in the order engine, journal, risk…, matching…; empty: the kernel decides.
    std::vector<uint32_t> cores;

    // Threads of the pipeline itself; snapshots, syncs and the caller's own come on top.
    [[nodiscard]] uint32_t threads() const {
        return kind == PlanKind::Serial ? 1 : 2 + riskShards + matchingShards;
    }
    // "serial", "pipelined", "sharded:2x2".
    [[nodiscard]] std::string name() const;
};

inline constexpr uint64_t kSpinForEver = UINT64_MAX;
inline constexpr uint64_t kSpinServerNs = 100'000'000;  // as the exchange in our source did
inline constexpr uint64_t kSpinLaptopNs = 10'000;       // fewer cores than threads

// Cores that this process may use (its affinity mask), at least 1.
[[nodiscard]] uint32_t usableCores();

// "serial", "pipelined", "sharded" (2x2), "sharded:RxM" (R risk, M matching threads) or "auto".
// spinNs is chosen for `cores`: kSpinServerNs where every thread has a core of its own.
[[nodiscard]] bool parsePlan(std::string_view text, uint32_t cores, ThreadPlan* plan);

// What `auto` means on so many cores: serial below 6, pipelined below 10, sharded:2x2 from there on
// (the pipeline's threads, the caller's and one for the journal's helpers).
[[nodiscard]] ThreadPlan automaticPlan(uint32_t cores);

// The bound that suits this plan on so many cores.
[[nodiscard]] uint64_t automaticSpinNs(const ThreadPlan& plan, uint32_t cores);

}  // namespace verbex::pipeline
