#include "pipeline/wait.h"

#include <chrono>
#include <sched.h>

namespace verbex::pipeline {

uint64_t Wait::nowNs() {
    const auto since = std::chrono::steady_clock::now().time_since_epoch();
    return static_cast<uint64_t>(
        std::chrono::duration_cast<std::chrono::nanoseconds>(since).count());
}

void Wait::yield() {
    sched_yield();
}

}  // namespace verbex::pipeline
