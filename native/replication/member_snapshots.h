// MemberSnapshots: the snapshots of a member: when, how, which are good, and what of the log may go for them.
//
//      member's thread ── mark (position, result, epochs) ──┐ only of what is released, and durable here
//                                                           ▼
//      newest sound snapshot ──▶ another executor ◀── journal up to the mark     (another thread)
//                                     │ the same result as the mark's? else nothing is kept
//                                     ▼
//                               snapshot, durable, read back ──▶ the log is pruned behind the one before it
//
// Purpose: a restart, a cut and a joiner begin from a snapshot instead of the log's first entry. The member that
// serves never stops for one: it notes a mark, and another thread executes what is on disk, as a restart would.
// Each snapshot so proves the one before it and the journal between them.
// Owner: Member.
// Thread safety: takeNow() and isWanted() from one other thread at any time; the rest is the member's thread's.
// pause() keeps the two apart.
// Invariants:
//   1. A snapshot is of a position that was released: committed, and with the result that was voted.
//   2. It gets its name when it is durable; the log up to it is durable before that.
//   3. The log is pruned only behind the older of the two newest ones, both durable and read back.
//   4. What comes from another member takes the log's place whole or not at all, wherever a crash stops it.
// Requires: the lock of the data directory.
#pragma once

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "journal/snapshots.h"
#include "replication/durable_note.h"
#include "replication/member_log.h"
#include "replication/member_state.h"
#include "replication/outputs.h"

namespace verbex::replication {

struct SnapshotOptions {
    // One is due by whichever comes first. Both 0: none are taken, and nothing is pruned.
    uint64_t everyCommands = 0;             // 0: not by commands
    uint64_t everyBytes = 0;                // of the log's payload; 0: not by bytes
    uint64_t historyBytes = 8ull << 30;     // of the log, that stay whatever snapshots there are
    uint32_t partBytes = journal::kSnapshotBlockBytes;  // at most, of one that another member is given
};

struct SnapshotSettings {
    SnapshotOptions options;
    std::string data;
    ExecutorOptions executor;
    std::function<uint64_t()> clockNs;  // steady; none: nothing is timed
    // Members take theirs one after the other: this one `share` of `shares` of the way.
    uint32_t share = 0;
    uint32_t shares = 1;
};

// For how long at most snapshots have held the member's thread, in nanoseconds.
struct SnapshotHolds {
    uint64_t mark = 0;     // noting one that is due
    uint64_t give = 0;     // reading parts for another member, at its request
    uint64_t install = 0;  // taking another member's: durable, read back, loaded
};

class MemberSnapshots {
public:
    // Measures until it goes.
    class Hold {
    public:
        Hold(const MemberSnapshots& snapshots, uint64_t& longest)
            : clockNs_(snapshots.settings_.clockNs), longest_(longest),
              since_(clockNs_ ? clockNs_() : 0) {}
        ~Hold() {
            if (clockNs_) longest_ = std::max(longest_, clockNs_() - since_);
        }
        Hold(const Hold&) = delete;
        Hold& operator=(const Hold&) = delete;

    private:
        const std::function<uint64_t()>& clockNs_;
        uint64_t& longest_;
        const uint64_t since_;
    };
    // The member's thread's.
    [[nodiscard]] const SnapshotHolds& holds() const { return holds_; }
    [[nodiscard]] SnapshotHolds& holds() { return holds_; }

    // Finishes or undoes what a crash has stopped.
    static Result<std::unique_ptr<MemberSnapshots>> open(journal::Storage& storage,
                                                         const journal::DirectoryLock& lock,
                                                         const SnapshotSettings& settings);

    // ---- recovery
    // The newest sound one up to `upTo`; an executor at 0 where there is none. Errors are the disk's; what is
    // damaged is passed over, and named.
    Result<MemberState> load(Position upTo, Outputs& outputs, std::vector<std::string>& refused);
    // Of the newest one that is listed, sound or not.
    Result<Position> newestListed();
    // Behind which the log has yet to begin: the installation was stopped by a crash. installed(): it has begun.
    [[nodiscard]] bool isInstalling() const { return installing_; }
    Status installed();

    // ---- taking them
    void attach(MemberLog& log) { log_ = &log; }
    // Notes a mark where one is due. Cheap; after each step.
    void consider(const Outputs& outputs, const Executor& executor);
    [[nodiscard]] bool isWanted() const;
    // Takes it. A failure is remembered for status(), and is none of the member's.
    void takeNow();
    // What takeNow() does ends soon, and it does not begin again until the lock is let go.
    [[nodiscard]] std::unique_lock<std::mutex> pause();
    // The log stays from here on, whatever snapshots there are: somebody who was given one has yet to follow on. 0: no
    // need. Any thread.
    void keepFrom(Position from) { keepFrom_.store(from, std::memory_order_release); }
    // For good.
    void stop() { stopped_.store(true, std::memory_order_relaxed); }

    // ---- giving and getting
    // The newest one, to be read by somebody else. NotFound: there is none.
    Result<std::unique_ptr<journal::SnapshotReader>> openNewest();
    // The oldest one that a log which begins at `first` follows on.
    Result<std::unique_ptr<journal::SnapshotReader>> openOldest(Position first);
    Result<std::unique_ptr<journal::SnapshotWriter>> beginInstall(const journal::SnapshotFacts& facts);
    void dropInstall(std::unique_ptr<journal::SnapshotWriter> writer);
    // The whole of it: the log begins anew behind it. Where `undone` is set the old log is as it was.
    Result<MemberState> install(std::unique_ptr<journal::SnapshotWriter> writer,
                                const Digest128& stateHash, const Digest128& contentDigest,
                                Outputs& outputs, bool& undone);
    // What was computed here counts for nothing any more.
    Status distrust();
    [[nodiscard]] bool isDistrusted() const { return distrusted_; }
    // All snapshots go; the note of distrust goes with trust().
    Status forgetAll();
    Status trust();

    [[nodiscard]] uint32_t partBytes() const { return settings_.options.partBytes; }
    [[nodiscard]] Position newest() const { return newest_.load(std::memory_order_acquire); }
    [[nodiscard]] uint64_t taken() const { return taken_.load(std::memory_order_relaxed); }
    // What became of the last attempt; empty: it is well.
    [[nodiscard]] std::string trouble() const;

private:
    MemberSnapshots(journal::Storage& storage, const SnapshotSettings& settings)
        : storage_(storage), settings_(settings) {}
    struct Mark {
        Position position = 0;
        Digest128 result;
        std::vector<EpochEnd> ends;
    };
    Status settle();
    Status take(const Mark& mark);
    Status write(const MemberState& shadow, const Mark& mark, journal::SnapshotFacts facts);
    Status prune();
    Result<bool> isSound(const DurableNote& note);
    Status undoInstall(Position position);
    // Which of its turns an amount belongs to, one beginning every `every`; 0: none ever does.
    [[nodiscard]] uint64_t turn(uint64_t amount, uint64_t every) const;
    [[nodiscard]] bool isDue(Position position);

    journal::Storage& storage_;
    const SnapshotSettings settings_;
    std::unique_ptr<journal::SnapshotStore> store_;
    MemberLog* log_ = nullptr;
    SnapshotHolds holds_;
    bool distrusted_ = false;
    bool installing_ = false;
    // The log's bytes when the newest snapshot was noted, and when one was noted that is not yet the newest. The
    // member's thread's.
    uint64_t newestBytes_ = 0;
    uint64_t notedBytes_ = 0;
    Position notedAt_ = 0;

    std::mutex work_;  // over the store and the files in it
    std::atomic<bool> pausing_{false};
    std::atomic<bool> stopped_{false};
    mutable std::mutex mutex_;  // over mark_ and trouble_
    std::optional<Mark> mark_;
    std::string trouble_;
    std::atomic<Position> markAt_{0};  // 0: none
    std::atomic<Position> newest_{0};
    std::atomic<Position> keepFrom_{0};
    std::atomic<uint64_t> taken_{0};
};

}  // namespace verbex::replication
