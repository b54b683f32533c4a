#include "pipeline/doorbell.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <ctime>
#include <thread>

namespace verbex::pipeline {

uint64_t Doorbell::ticksNs() {
    const auto since = std::chrono::steady_clock::now().time_since_epoch();
    return static_cast<uint64_t>(
        std::chrono::duration_cast<std::chrono::nanoseconds>(since).count());
}

uint64_t Doorbell::defaultSpinNs() {
    return std::thread::hardware_concurrency() <= 2 ? 10'000 : 100'000;
}

void Doorbell::sleep(uint64_t forNs) {
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
