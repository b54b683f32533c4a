// SequencerShadow: what a sequencer would know that began now, kept ready beside whoever leads, and snapshots of it.
//
//   released entries ─▶ feed() ─▶ [ queue ] ─▶ workNow(): LogReplay ─▶ at a mark: a file
//                                                 ▲     │
//                                    newest file ─┘     └─▶ take(): what a sequencer begins with
//
// Purpose: a takeover, and a start, cost what has come since, and not the whole log: a sequencer that follows replays
// what is released, so that it lacks some milliseconds when it is to lead; one that leads does the same for its
// snapshots. Why it is a shadow, native/roles/README.md says.
// Owner: SequencerMember.
// Thread safety: isWanted(), workNow() and status() from one other thread, the worker's; stop() and status() from any;
// everything else is the member's thread's, and waits for nothing that the worker does with a disk or a core.
// Invariants:
//   1. The replay holds what feed() was given, which is released, and the snapshot it began with, which the member has
//      held against its log before it fed anything.
//   2. A failure of the disk costs a snapshot, or a replay, and nothing else.
// Requires: the storage outlives it.
#pragma once

#include <atomic>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "roles/log_replay.h"
#include "roles/snapshot_folder.h"

namespace verbex::roles {

struct SequencerShadowOptions {
    LogReplayOptions replay;
    std::string deployment;
    std::string directory;           // of its snapshots, its alone
    uint64_t everyCommands = 1u << 20;  // one is taken at the first mark so many commands behind the last; 0: none ever
};

struct SequencerShadowStatus {
    bool here = false;       // there is one, as far as `position`
    Position position = 0;
    Position newest = 0;     // of the snapshots, as far as is known; 0: there is none
    uint64_t taken = 0;      // by this process
    uint64_t refused = 0;    // put aside by this process
    std::string trouble;     // what was wrong last with one that was to be read or written; empty: nothing
};

// Entries that follow on one another.
struct FedEntries {
    std::vector<replication::EntryHeader> headers;
    std::vector<std::byte> payloads;   // one behind the other
    std::optional<Digest128> mark;     // the last one ends at a mark: the result of keeping account of the log there
    [[nodiscard]] Position first() const { return headers.front().first; }
    [[nodiscard]] Position last() const { return headers.back().last(); }
};

class SequencerShadow {
public:
    // Errors: those of the snapshots' folder, where some are taken.
    static Result<std::unique_ptr<SequencerShadow>> open(journal::Storage& storage,
                                                         const SequencerShadowOptions& options);

    // ---- the member's thread
    // Where it began, until the member has said that this is so: position 0, or a snapshot's, and of which log that is.
    // False: nothing to say.
    [[nodiscard]] bool began(Position& at, Digest128& log) const;
    void confirm();
    // The member's log says another thing, or ends before: that snapshot is put aside, and the next one looked for.
    void refuse(const std::string& why);
    // It is confirmed and wants what comes behind fedTo(), and does not lag too far.
    [[nodiscard]] bool hungry() const;
    [[nodiscard]] Position fedTo() const;
    void feed(FedEntries entries);
    // Whether take() would give it; if not, it will be soon: ask again. What was fed and not replayed is dropped, and a
    // snapshot that is being written is given up.
    [[nodiscard]] bool ready();
    // Requires: ready().
    [[nodiscard]] std::unique_ptr<LogReplay> take();
    // What was taken is used up: another one is wanted, from the newest snapshot on.
    void want();

    // ---- the worker
    [[nodiscard]] bool isWanted() const;
    // One piece of work: begins, or replays what was fed last, and takes a snapshot where one is due.
    void workNow();

    // ---- any thread
    // For good: a snapshot that is being written is given up.
    void stop() { stopped_.store(true, std::memory_order_release); }
    [[nodiscard]] SequencerShadowStatus status() const;

private:
    enum class State : uint8_t {
        Taken,
        Wanted,     // to begin
        Began,      // to be confirmed
        Confirmed,
    };
    explicit SequencerShadow(const SequencerShadowOptions& options) : options_(options) {}
    void begin();
    Status replay(const FedEntries& entries);
    void snapshot(const Digest128& log);

    const SequencerShadowOptions options_;
    std::unique_ptr<SnapshotFolder> folder_;  // null: none are taken

    mutable std::mutex mutex_;  // over all below, but what the worker has while it is busy
    bool busy_ = false;
    std::unique_ptr<LogReplay> replay_;  // the worker's while it is busy
    State state_ = State::Wanted;
    Digest128 log_;              // of the snapshot with which it began
    std::deque<FedEntries> queue_;
    Position at_ = 0;            // replayed
    Position fedTo_ = 0;
    Position inHand_ = 0;        // where that ends what the worker has in hand
    bool stuck_ = false;         // what came next could not be replayed
    Position aside_ = 0;         // to be put aside before another one is looked for
    SequencerShadowStatus status_;
    std::atomic<bool> giveUp_{false};
    std::atomic<bool> stopped_{false};
};

}  // namespace verbex::roles
