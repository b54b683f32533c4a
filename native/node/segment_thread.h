// SegmentThread: has the journal's next segment zeroed before the engine needs it.
//
// Purpose: filling a segment with zeros takes tens of milliseconds that the engine must not wait
// for.
// Owner: Node.
// Thread safety: look() from the thread that owns the writer; the work runs on one of its own.
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
    // After each batch: the work begins once a segment is due.
    void look();
    void stop();

private:
    void run();

    journal::JournalWriter& writer_;
    // The owner's: of its last look.
    bool wasDue_ = false;
    uint64_t offset_ = 0;
    std::mutex mutex_;
    std::condition_variable changed_;
    bool wanted_ = false;
    bool stopped_ = false;
    std::thread thread_;
};

}  // namespace verbex::node
