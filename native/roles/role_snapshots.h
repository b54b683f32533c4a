// RoleSnapshots: the snapshots of a risk or matching process: the shadow that they are taken from, and which are good.
//
//   sequencer ─▶ feed() ─▶ [ queue ] ─▶ workNow(): shadow ─▶ at a mark: a file
//                                          ▲     │
//                             newest file ─┘     └─▶ take(): the core from which a link begins
//
// Purpose: who returns replays what came after its snapshot, and after a takeover what came after its shadow. Why it
// is so, and not otherwise, native/roles/README.md says.
// Owner: node/role_host.h, or a test.
// Thread safety: isWanted(), workNow() and status() from one other thread, the worker's; stop() and status() from any;
// everything else is the process's thread's, and waits for nothing that the worker does with a disk or a core.
// Invariants:
//   1. The shadow holds what feed() was given, which is released, and the snapshot it began with.
//   2. A file gets its name when it is durable, and is read back then. Two are kept; what is damaged, foreign or
//      refused is put aside as `refused`, and counts as neither.
//   3. A failure of the disk costs a snapshot, or a replay, and nothing else.
// Requires: the storage outlives it.
#pragma once

#include <atomic>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "roles/role_state.h"
#include "roles/snapshot_folder.h"

namespace verbex::roles {

struct RoleSnapshotOptions {
    RoleIdentity whose;
    std::string directory;             // this process's alone
    uint64_t everyCommands = 1u << 20;  // one is taken at the first mark so many commands behind the last; 1 at least
};

struct RoleSnapshotStatus {
    Position newest = 0;    // of the snapshots, as far as this process knows; 0: there is none
    Position shadow = 0;    // executed for the next one
    uint64_t taken = 0;     // by this process
    uint64_t refused = 0;   // put aside by this process
    std::string trouble;    // what was wrong last with one that was to be read or written; empty: nothing
};

class RoleSnapshots {
public:
    // DataDirectoryInUse: another process has this folder.
    static Result<std::unique_ptr<RoleSnapshots>> open(journal::Storage& storage,
                                                       const RoleSnapshotOptions& options);

    // ---- the process's thread
    // Whether it is decided what a link would begin with; if not, it will be soon: ask again. Nothing that was fed for
    // the link before counts any more, and a snapshot that is being written is given up.
    [[nodiscard]] bool ready();
    // The core with which a link begins; null: there is none, or ready() says no.
    [[nodiscard]] std::unique_ptr<Rebuild> take();
    // The process takes part: a shadow is wanted, from the newest snapshot on.
    void joined();
    // The sequencer does not confirm what was offered at this position: it is not offered again.
    void refuse(Position position, const std::string& why);
    // What follows on what was fed before. False: it does not follow.
    [[nodiscard]] bool feed(Position first, uint32_t count, bool mark,
                            std::span<const std::byte> commands);
    // Where the shadow is, if that was not said yet.
    [[nodiscard]] bool report(Position& at, Digest128& hash);

    // ---- the worker
    [[nodiscard]] bool isWanted() const;
    // One piece of work: loads a shadow, or has it execute what was fed last, and takes a snapshot where one is due.
    void workNow();

    // ---- any thread
    // For good: a snapshot that is being written is given up.
    void stop() { stopped_.store(true, std::memory_order_release); }
    [[nodiscard]] RoleSnapshotStatus status() const;

private:
    enum class Shadow : uint8_t {
        Taken,   // a link has begun with it
        Wanted,  // to be loaded
        Here,    // there may be no snapshot: then it begins with the first position
    };
    struct Fed {
        Position first = 0;
        uint32_t count = 0;
        bool mark = false;
        std::vector<std::byte> commands;
    };
    explicit RoleSnapshots(const RoleSnapshotOptions& options) : options_(options) {}
    void load();
    void execute(const Fed& fed);

    const RoleSnapshotOptions options_;
    std::unique_ptr<SnapshotFolder> folder_;

    mutable std::mutex mutex_;  // over all below, but what the worker has while it is busy
    bool busy_ = false;
    bool dropped_ = false;      // what the worker has in hands is not wanted any more
    std::unique_ptr<Rebuild> shadow_;  // the worker's while it is busy
    Shadow state_ = Shadow::Wanted;
    std::deque<Fed> queue_;
    Position fedTo_ = 0;
    std::optional<Position> reported_;
    Position shadowAt_ = 0;
    Digest128 shadowHash_;
    Position aside_ = 0;         // to be put aside before anything is loaded
    RoleSnapshotStatus status_;
    std::vector<Command> commands_;  // the worker's
    std::atomic<bool> giveUp_{false};
    std::atomic<bool> stopped_{false};
};

}  // namespace verbex::roles
