#include "pipeline/doorbell.h"

#include <ctime>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace verbex::pipeline {

void Doorbell::sleepUntilRung(uint64_t forNs) {
    sleeps_.store(sleeps_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    timespec timeout{};
    timeout.tv_sec = static_cast<time_t>(forNs / 1'000'000'000);
    timeout.tv_nsec = static_cast<long>(forNs % 1'000'000'000);
    // EAGAIN (the bell was rung meanwhile), EINTR and ETIMEDOUT all mean: look again.
    syscall(SYS_futex, reinterpret_cast<uint32_t*>(&sleeping_), FUTEX_WAIT_PRIVATE, 1,
            forNs == kForEver ? nullptr : &timeout, nullptr, 0);
}

void Doorbell::wake() {
    syscall(SYS_futex, reinterpret_cast<uint32_t*>(&sleeping_), FUTEX_WAKE_PRIVATE, 1, nullptr,
            nullptr, 0);
}

}  // namespace verbex::pipeline
