// SegmentThread: has the journal's next segment zeroed before the engine needs it.
//
// Purpose: filling a segment with zeros takes tens of milliseconds that the engine must not wait
// for.
// Owner: Node.
// Thread safety: rolled() from the engine; the work runs on its own thread.
// Invariants:
//   1. A failure to prepare is the writer's business: it is poisoned, or (no space yet) tries for
//      itself.
// Requires: the writer outlives stop().
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>

#include "journal/writer.h"

namespace verbex::node {

class SegmentThread {
public:
    explicit SegmentThread(journal::JournalWriter& writer) : writer_(writer) {}
    ~SegmentThread() { stop(); }
    SegmentThread(const SegmentThread&) = delete;
    SegmentThread& operator=(const SegmentThread&) = delete;

    void start();
    // The engine has moved into a new segment.
    void rolled();
    void stop();

private:
    void run();

    journal::JournalWriter& writer_;
    std::mutex mutex_;
    std::condition_variable changed_;
    bool wanted_ = true;
    bool stopped_ = false;
    std::thread thread_;
};

}  // namespace verbex::node
