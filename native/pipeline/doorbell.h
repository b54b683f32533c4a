// Doorbell: one thread sleeps, any other wakes it.
//
// Purpose: the only place where a thread of a pipeline sleeps, on a futex. How long it looks for
// work before that is for Wait (wait.h) to say.
// Owner: the thread that waits; the others hold a reference.
// Thread safety: sleep() from one thread; ring() and the counter from any.
// Invariants:
//   1. No wake-up is lost: what was stored before ring() is seen by ready(), or the sleeper is
//      woken. Both sides change sleeping_ by an atomic exchange, and exchanges on one variable
//      have one order: if ring()'s comes second it finds 1 and wakes; if it comes first the
//      waiter's exchange synchronises with it, and ready(), which is asked once more behind that
//      exchange, sees the store.
//   2. ring() costs one atomic exchange while the other side is awake, on a line that the waiter
//      leaves alone as long as it finds work. It cannot be less: a plain load of sleeping_ may be
//      answered before the store ahead of it has left the processor, and then neither side sees
//      the other. A thread that never sleeps has a bell that says so, and ring() is one load.
// Requires: ready() reads with acquire what the ringing thread stored before ring().
#pragma once

#include <atomic>
#include <cstdint>

#include "base/check.h"
#include "pipeline/cursor.h"

namespace verbex::pipeline {

class alignas(kApartBytes) Doorbell {
public:
    static constexpr uint64_t kForEver = UINT64_MAX;

    // False: the waiting thread never sleeps.
    explicit Doorbell(bool sleeper = true) : sleeper_(sleeper) {}
    Doorbell(const Doorbell&) = delete;
    Doorbell& operator=(const Doorbell&) = delete;

    void ring() {
        if (sleeper_ && sleeping_.exchange(0, std::memory_order_acq_rel) != 0) wake();
    }

    // Returns when it was rung, at once where ready() answers true or somebody rang meanwhile,
    // and when the time is over; now and then without reason. So the caller looks again.
    template <typename Ready>
    void sleep(uint64_t forNs, Ready&& ready) {
        CHECK(sleeper_ && "this bell was made for a thread that never sleeps: Doorbell(true)");
        sleeping_.exchange(1, std::memory_order_acq_rel);
        if (!ready()) sleepUntilRung(forNs);
        sleeping_.exchange(0, std::memory_order_acq_rel);
    }

    // Times that the thread has gone to sleep.
    [[nodiscard]] uint64_t sleeps() const { return sleeps_.load(std::memory_order_relaxed); }

private:
    void sleepUntilRung(uint64_t forNs);
    void wake();

    const bool sleeper_;
    std::atomic<uint64_t> sleeps_{0};
    alignas(kApartBytes) std::atomic<uint32_t> sleeping_{0};
    static_assert(std::atomic<uint32_t>::is_always_lock_free && sizeof(std::atomic<uint32_t>) == 4,
                  "a futex is a plain 32-bit word");
};

}  // namespace verbex::pipeline
