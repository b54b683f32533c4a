// BusyTime: how much of its time a thread has been at work.
//
// Purpose: the occupancy of a stage, cheap enough to be always on: the thread reads the processor's
// tick counter when it finds work after a pause and when it has run out of it. While there is work
// it reads no clock at all, and still is seen to be at work.
// Owner: the thread that works.
// Thread safety: begin() and end() from one thread; ticks() from any.
// Invariants:
//   1. One word holds it all, so that a reader never sees half of a change: the ticks worked in so
//      far while idle; while at work, what has to be added to the counter to get them.
//   2. It is an estimate: it holds what the kernel takes away from the thread, and relies on tick
//      counters that agree between cores.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace verbex::pipeline {

// The processor's tick counter: some nanoseconds a reading, of a constant rate that nobody tells.
inline uint64_t cpuTicks() {
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
    uint64_t value;
    asm volatile("mrs %0, cntvct_el0" : "=r"(value));
    return value;
#else
    return static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
#endif
}

class BusyTime {
public:
    void begin(uint64_t now) {
        const uint64_t worked = word_.load(std::memory_order_relaxed) >> 1;
        word_.store((worked - now) << 1 | 1, std::memory_order_relaxed);
    }
    void end(uint64_t now) {
        const uint64_t offset = word_.load(std::memory_order_relaxed) >> 1;
        word_.store((offset + now) << 1, std::memory_order_relaxed);
    }
    [[nodiscard]] uint64_t ticks(uint64_t now) const {
        const uint64_t word = word_.load(std::memory_order_relaxed);
        const uint64_t worked = (word >> 1) + ((word & 1) != 0 ? now : 0);
        return worked & (UINT64_MAX >> 1);
    }

private:
    std::atomic<uint64_t> word_{0};
};

}  // namespace verbex::pipeline
