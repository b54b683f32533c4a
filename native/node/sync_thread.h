// SyncThread: makes the journal of an async node durable every now and then.
//
//   engine ── write ──► page cache ── at most `everyNs` later: this thread's sync ──► disk
//
// Purpose: bounds what a machine that dies can lose, without letting the engine wait for a disk.
// Owner: Node.
// Thread safety: start() and stop() from the owner; the work runs on its own thread.
// Invariants:
//   1. A sync begins at most everyNs after a write, or when the sync before it ends if that takes
//      longer. While nothing is written the disk is left alone.
//   2. After the first failure it ends: `failed` has been told, and nothing is retried.
// Requires: what `sync` and `failed` use outlives stop().
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>

#include "base/status.h"

namespace verbex::node {

// Five syncs a second: even a disk that takes 20 ms for each has nine tenths of its time left, and
// what can be lost is less than a person takes to notice anything.
inline constexpr uint64_t kSyncEveryNsDefault = 200'000'000;
inline constexpr uint64_t kSyncEveryNsMax = 60'000'000'000;

class SyncThread {
public:
    SyncThread(std::function<Status()> sync, uint64_t everyNs,
               std::function<void(const Status&)> failed);
    ~SyncThread() { stop(); }
    SyncThread(const SyncThread&) = delete;
    SyncThread& operator=(const SyncThread&) = delete;

    void start();
    void stop();

private:
    void run();

    const std::function<Status()> sync_;
    const std::function<void(const Status&)> failed_;
    const uint64_t everyNs_;
    std::mutex mutex_;
    std::condition_variable changed_;
    bool stopped_ = false;
    std::thread thread_;
};

}  // namespace verbex::node
