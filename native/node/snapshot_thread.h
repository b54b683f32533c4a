// SnapshotThread: writes snapshots beside a running engine, each one a rehearsed recovery.
//
//      engine ── mark (position, event digest) ──► mailbox
//                                                     │ this thread, at low priority
//      newest good snapshot ──► shadow core ◄── journal up to the mark
//                                   │ event digest equal to the mark's? else SNAPSHOT_DIVERGED
//                                   ▼
//                            snapshot file ──► read back ──► loaded ──► hash equal? ──► published
//
// Purpose: the engine never serialises its state. A shadow is rebuilt from the disk each time, from
// the snapshot before and the journal behind it, and must have said exactly what the engine said;
// so each snapshot proves the one before it, the journal, and the determinism of the core on this
// machine.
// Owner: Node.
// Thread safety: request(), busy() and the counters from any thread; the rest runs on its own
// thread.
// Invariants:
//   1. No state is kept between two snapshots.
//   2. No snapshot is published before the journal up to it is durable, so that a recovery never
//      finds a snapshot ahead of its journal.
//   3. A divergence publishes nothing, is remembered in status() and on disk, and refuses every
//      later snapshot of this session: which of the two was wrong is for an operator to find out.
//   4. Each request is answered exactly once, on this thread or, after stop(), on the caller's.
// Requires: marks in rising order, each at the end of a written journal record.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "core/core.h"
#include "journal/snapshots.h"
#include "journal/storage.h"
#include "node/failure.h"

namespace verbex::node {

// What the engine notes: where it was, and the digest of all events up to there.
struct SnapshotMark {
    Position position = 0;
    Digest128 events;
};

struct SnapshotOutcome {
    Failure failure;
    Position position = 0;
    Digest128 stateHash;
};

using SnapshotDone = std::function<void(const SnapshotOutcome&)>;

struct SnapshotSettings {
    std::string data;
    CoreLimits limits;
    // Makes the journal durable as far as it is written; null where that is never behind.
    std::function<Status()> syncJournal;
    bool prune = false;        // remove segments that lie before both kept snapshots
    // A failed sync of the journal ends the node's claim to have stored anything.
    std::function<void(const Status&)> journalFailed;
};

class SnapshotThread {
public:
    // `start`: where this session's event digest begins. `newest`: the newest snapshot there is.
    SnapshotThread(journal::Storage& storage, journal::SnapshotStore& store,
                   SnapshotSettings settings, SnapshotMark start, Position newest);
    ~SnapshotThread();
    SnapshotThread(const SnapshotThread&) = delete;
    SnapshotThread& operator=(const SnapshotThread&) = delete;

    void start();
    void request(const SnapshotMark& mark, SnapshotDone done);
    // Abandons what is under way and answers everything that waits with CLOSED.
    void stop();

    [[nodiscard]] bool busy() const { return waiting_.load(std::memory_order_acquire) != 0; }
    [[nodiscard]] uint64_t snapshots() const { return snapshots_.load(std::memory_order_relaxed); }
    [[nodiscard]] Position position() const { return position_.load(std::memory_order_acquire); }
    [[nodiscard]] bool diverged() const { return diverged_.load(std::memory_order_acquire); }
    // The last failure, "" if the last snapshot succeeded; a divergence stays.
    [[nodiscard]] std::string status() const;

private:
    struct Request {
        SnapshotMark mark;
        SnapshotDone done;
    };

    void run();
    SnapshotOutcome take(const SnapshotMark& mark);
    SnapshotOutcome replayAndWrite(const SnapshotMark& mark);
    Failure diverge(const std::string& what);
    Failure write(Core& shadow, const journal::SnapshotFacts& facts, Digest128& stateHash);
    Failure readBack(Position position, const Digest128& stateHash);
    void remember(const Failure& failure);

    journal::Storage& storage_;
    journal::SnapshotStore& store_;
    const SnapshotSettings settings_;
    std::vector<SnapshotMark> marks_;  // of this session, rising: its start and each snapshot taken

    mutable std::mutex mutex_;
    std::condition_variable arrived_;
    std::deque<Request> requests_;
    std::string status_;
    bool stopped_ = false;
    std::atomic<bool> abandon_{false};
    std::atomic<uint32_t> waiting_{0};  // requests not answered yet
    std::atomic<uint64_t> snapshots_{0};
    std::atomic<Position> position_;
    std::atomic<bool> diverged_{false};
    std::thread thread_;
};

}  // namespace verbex::node
