// Processors that do not fall asleep while something is measured.
//
// Purpose: whoever waits for a message on an idle processor pays for its waking up, and the less a machine does
// the deeper it sleeps: a cluster with one member less then seems slower. Threads of the idle class, which
// run where nobody else wants to, keep every processor awake and give it up at once.
// Owner: the bench. Ends with it.
// Thread safety: none needed.
// Invariants: a thread that may not join the idle class does not run at all.
// Requires: nothing.
#pragma once

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

namespace verbex::bench {

class AwakeProcessors {
public:
    explicit AwakeProcessors(bool wanted) {
        const unsigned count = wanted ? std::max(1u, std::thread::hardware_concurrency()) : 0;
        for (unsigned i = 0; i < count; ++i) threads_.emplace_back([this] { run(); });
    }
    ~AwakeProcessors() {
        ended_.store(true, std::memory_order_relaxed);
        for (std::thread& thread : threads_) thread.join();
    }
    AwakeProcessors(const AwakeProcessors&) = delete;
    AwakeProcessors& operator=(const AwakeProcessors&) = delete;

private:
    void run() {
        const sched_param none{};
        if (pthread_setschedparam(pthread_self(), SCHED_IDLE, &none) != 0) return;
        while (!ended_.load(std::memory_order_relaxed)) {
        }
    }

    std::atomic<bool> ended_{false};
    std::vector<std::thread> threads_;
};

}  // namespace verbex::bench
