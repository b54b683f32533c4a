// Wait: how a thread waits for work.
//
//      look, pause, look, pause …  ──spinNs over──▶  sleep until the bell rings
//
// Purpose: the wait strategy as a value. A thread that looks answers within nanoseconds and fills
// its core; one that sleeps costs nothing and answers within microseconds. kSpinForEver: look for
// ever (a core for every thread); anything else: look for so long, then sleep.
// Owner: the waiting thread.
// Thread safety: until() from one thread; the counter from any.
// Invariants:
//   1. The clock is not read before the first kLooks looks have failed: under load waiting is free.
//   2. Time that is given for sleeping counts from the call, looks included.
//   3. Looking for long follows work. A thread that woke because its time was over has only
//      followed a clock: the next time it sleeps at once, so that a node that has nothing to do but
//      tick costs nothing however long its spinNs.
// Requires: whoever stores what ready() looks for rings the bell after it.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "pipeline/doorbell.h"
#include "pipeline/steady_clock.h"
#include "pipeline/thread_plan.h"

namespace verbex::pipeline {

// Tells the processor that this thread only looks: it saves power, and a hyper-thread beside it
// gets on.
inline void relax() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

class Wait {
public:
    // Looks between two readings of the clock.
    static constexpr int kLooks = 64;
    // A thread that has looked for so long offers its core to others between its looks: the one it
    // waits for may have been put aside. With a core of its own nobody takes the offer.
    static constexpr uint64_t kYieldAfterNs = 50'000;

    // `yields`: offers its core from the beginning. For plans with more threads than cores, where
    // the one that is waited for is likely to wait for this core.
    explicit Wait(uint64_t spinNs, bool yields = false) : spinNs_(spinNs), yields_(yields) {}
    // What a plan means on so many cores. One more for the thread that offers and takes.
    Wait(const ThreadPlan& plan, uint32_t cores) : Wait(plan.spinNs, plan.threads() + 1 > cores) {}

    // Returns when ready() answers true or `forNs` is over; now and then without reason. So the
    // caller looks again.
    template <typename Ready>
    void until(Doorbell& bell, uint64_t forNs, Ready&& ready) {
        if (look(ready)) return found();
        const uint64_t started = steadyNs();
        const uint64_t boundNs = followsClock_ ? 0 : std::min(spinNs_, forNs);
        uint64_t spunNs = 0;
        while (spunNs < boundNs || spinNs_ == kSpinForEver) {
            if (yields_ || spunNs >= kYieldAfterNs) yield();
            if (look(ready)) return found();
            spunNs = steadyNs() - started;
            if (spunNs >= forNs) break;
        }
        if (spunNs < forNs) {
            bell.sleep(forNs == Doorbell::kForEver ? forNs : forNs - spunNs, ready);
        }
        followsClock_ = !ready();
    }

    [[nodiscard]] bool sleeps() const { return spinNs_ != kSpinForEver; }
    [[nodiscard]] bool yields() const { return yields_; }
    // Rounds of kLooks looks that found nothing.
    [[nodiscard]] uint64_t spins() const { return spins_.load(std::memory_order_relaxed); }

private:
    template <typename Ready>
    bool look(Ready&& ready) {
        for (int i = 0; i < kLooks; i++) {
            if (ready()) return true;
            relax();
        }
        spins_.store(spins_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
        return false;
    }
    void found() { followsClock_ = false; }
    static void yield();

    const uint64_t spinNs_;
    const bool yields_;
    bool followsClock_ = false;
    std::atomic<uint64_t> spins_{0};
};

}  // namespace verbex::pipeline
