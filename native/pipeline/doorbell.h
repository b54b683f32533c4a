// Doorbell: one thread waits, any other wakes it.
//
// Purpose: the engine's only place to wait. It looks for work for a bounded time and then sleeps on
// a futex, so that a busy node answers within nanoseconds and an idle one costs nothing.
// Owner: the engine; producers hold a reference.
// Thread safety: wait() from one thread; ring() from any.
// Invariants:
//   1. No wake-up is lost: what was stored before ring() is seen by ready(), or the sleeper is
//      woken. Both sides change sleeping_ by an atomic exchange, and exchanges on one variable
//      have one order: if ring()'s comes second it finds 1 and wakes; if it comes first the
//      waiter's exchange synchronises with it, and ready(), which is asked once more behind that
//      exchange, sees the store.
//   2. ring() costs one uncontended atomic exchange while the other side is awake.
// Requires: ready() reads with acquire what the ringing thread stored before ring().
#pragma once

#include <atomic>
#include <cstdint>

namespace verbex::pipeline {

class Doorbell {
public:
    static constexpr uint64_t kForEver = UINT64_MAX;

    void ring() {
        if (sleeping_.exchange(0, std::memory_order_acq_rel) != 0) wake();
    }

    // Returns when ready() answers true or the time is over.
    template <typename Ready>
    void wait(uint64_t spinNs, uint64_t sleepNs, Ready&& ready) {
        const uint64_t started = ticksNs();
        do {
            for (int i = 0; i < 64; i++) {
                if (ready()) return;
                relax();
            }
        } while (ticksNs() - started < spinNs);
        sleeping_.exchange(1, std::memory_order_acq_rel);
        // Woken without reason or in time: either way the caller looks again.
        if (!ready()) sleep(sleepNs);
        sleeping_.exchange(0, std::memory_order_acq_rel);
    }

    // A bound for spinning that suits this machine: on two cores a spinning thread takes the time
    // of those that it waits for.
    [[nodiscard]] static uint64_t defaultSpinNs();

private:
    static uint64_t ticksNs();
    static void relax() {
#if defined(__x86_64__)
        __builtin_ia32_pause();
#elif defined(__aarch64__)
        asm volatile("yield");
#endif
    }
    void sleep(uint64_t forNs);
    void wake();

    alignas(64) std::atomic<uint32_t> sleeping_{0};
    static_assert(std::atomic<uint32_t>::is_always_lock_free && sizeof(std::atomic<uint32_t>) == 4,
                  "a futex is a plain 32-bit word");
};

}  // namespace verbex::pipeline
