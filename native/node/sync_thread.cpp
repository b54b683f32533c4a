#include "node/sync_thread.h"

#include <pthread.h>

#include <chrono>
#include <utility>

namespace verbex::node {

SyncThread::SyncThread(std::function<Status()> sync, uint64_t everyNs,
                       std::function<void(const Status&)> failed)
    : sync_(std::move(sync)), failed_(std::move(failed)), everyNs_(everyNs) {}

void SyncThread::start() {
    thread_ = std::thread([this] { run(); });
    pthread_setname_np(thread_.native_handle(), "vbx-sync");
}

void SyncThread::stop() {
    {
        const std::lock_guard guard(mutex_);
        stopped_ = true;
        changed_.notify_one();
    }
    if (thread_.joinable()) thread_.join();
}

void SyncThread::run() {
    using Clock = std::chrono::steady_clock;
    const auto every = std::chrono::nanoseconds(everyNs_);
    Clock::time_point next = Clock::now() + every;
    std::unique_lock lock(mutex_);
    while (!changed_.wait_until(lock, next, [this] { return stopped_; })) {
        lock.unlock();
        next = Clock::now() + every;
        const Status status = sync_();
        if (!status.isOk()) {
            // A writer that was closed in the meantime has synced everything itself.
            if (status.code() != StatusCode::Closed) failed_(status);
            return;
        }
        lock.lock();
    }
}

}  // namespace verbex::node
