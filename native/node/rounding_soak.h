// RoundingSoak: does this machine keep a thread's rounding mode over everything that can interrupt it?
//
//   a thread:  set a mode ─▶ compute ─▶ be interrupted ─▶ mode still set? ─▶ compute ─▶ both as IEEE 754 says?
//                                      yield · sleep · system call · signal whose handler changes the mode
//
// Purpose: the soak test that the exchange which this project learned from ran on its servers after one had
// lost a bit of its floating-point environment: for minutes, on more threads than there are cores.
// Owner: `verbex host-check`, a test.
// Thread safety: run() from one thread; one at a time in a process: it takes a signal of its own.
// Invariants:
//   1. Every thread works in all four modes; what is expected is known as bits, not computed here.
// Requires: Linux, x86-64 or ARM64.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

namespace verbex::node {

struct RoundingSoakOptions {
    uint64_t durationNs = 1'000'000'000;
    uint32_t threads = 0;  // 0: twice as many as cores
    bool damage = false;   // for tests: one thread loses its mode once
};

// The first thing that was not as it should be.
struct RoundingFault {
    uint32_t thread = 0;
    int32_t core = -1;
    uint64_t check = 0;      // how many the thread had done
    std::string mode;        // that was set
    std::string after;       // what had happened since
    std::string what;        // the calculation, or "mode"
    uint64_t expected = 0;   // bits
    uint64_t found = 0;
};

struct RoundingSoakResult {
    uint32_t threads = 0;
    uint64_t checks = 0;
    uint64_t signals = 0;
    uint64_t contextSwitches = 0;
    uint64_t wrong = 0;
    RoundingFault first;  // where wrong is not 0
};

class RoundingSoak {
public:
    explicit RoundingSoak(const RoundingSoakOptions& options) : options_(options) {}
    RoundingSoakResult run();
    // run() answers soon.
    void stop() { stop_.store(true, std::memory_order_relaxed); }

private:
    const RoundingSoakOptions options_;
    std::atomic<bool> stop_{false};
};

}  // namespace verbex::node
