#include "node/segment_thread.h"

#include <pthread.h>

#include <chrono>

namespace verbex::node {

void SegmentThread::start() {
    thread_ = std::thread([this] { run(); });
    pthread_setname_np(thread_.native_handle(), "vbx-segment");
}

void SegmentThread::look() {
    const bool due = writer_.nextIsDue();
    const uint64_t offset = writer_.segmentOffset();
    const bool begin = due && (!wasDue_ || offset < offset_);
    wasDue_ = due;
    offset_ = offset;
    if (!begin) return;
    const std::lock_guard guard(mutex_);
    wanted_ = true;
    changed_.notify_one();
}

void SegmentThread::stop() {
    {
        const std::lock_guard guard(mutex_);
        stopped_ = true;
        changed_.notify_one();
    }
    if (thread_.joinable()) thread_.join();
}

void SegmentThread::run() {
    constexpr auto kRetryAfter = std::chrono::seconds(1);
    std::unique_lock lock(mutex_);
    while (!stopped_) {
        if (!wanted_) {
            changed_.wait(lock);
            continue;
        }
        wanted_ = false;
        lock.unlock();
        const bool full = writer_.prepareNext().code() == StatusCode::NoSpace;
        lock.lock();
        // The current segment still has its room; by then there may be space again.
        if (full && !stopped_) {
            wanted_ = true;
            changed_.wait_for(lock, kRetryAfter);
        }
    }
}

}  // namespace verbex::node
