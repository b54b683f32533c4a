// SnapshotFolder: the files of a process's snapshots: the newest that is good, and what becomes of the others.
//
// Purpose: what snapshots of roles and of sequencers have in common: a folder of one process's alone, a file under another
// name first, synced, named, read back, two kept.
// Owner: RoleSnapshots, SequencerShadow.
// Thread safety: trouble(), note() and putAsideCount() from any thread; everything else is the worker's thread's.
// Invariants:
//   1. What is damaged, foreign or refused is put aside under the name `refused`, and counts as neither of the two.
//   2. An error of the disk is no statement about a snapshot: it stays where it is, and is passed over this time.
// Requires: the storage outlives it.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "core/core.h"
#include "journal/snapshots.h"

namespace verbex::roles {

class SnapshotFolder {
public:
    // DataDirectoryInUse: another process has this folder.
    static Result<std::unique_ptr<SnapshotFolder>> open(journal::Storage& storage,
                                                        const std::string& directory);

    // Takes the content. SnapshotDamaged, UnsupportedFormat: it is of no use here.
    using Read = std::function<Status(journal::SnapshotReader&)>;
    using Write = std::function<Status(journal::SnapshotWriter&)>;
    // The newest one that `read` takes; 0: none.
    Position load(const Read& read);
    // The file of this position, if there is one.
    void putAside(Position position);
    // `content` holds this core, and what goes with it. Ok where there is one of its position already.
    Status write(const Core& core, const Write& content);

    // ---- any thread
    // What was wrong last; empty: nothing, or it was said that it is over.
    [[nodiscard]] std::string trouble() const;
    void note(const std::string& trouble);
    [[nodiscard]] uint64_t putAsideCount() const { return aside_.load(std::memory_order_relaxed); }

private:
    SnapshotFolder(journal::Storage& storage, std::string directory)
        : storage_(storage), directory_(std::move(directory)) {}
    Status moveAside(Position position);

    journal::Storage& storage_;
    const std::string directory_;
    std::unique_ptr<journal::DirectoryLock> lock_;
    std::unique_ptr<journal::SnapshotStore> store_;
    std::atomic<uint64_t> aside_{0};
    mutable std::mutex mutex_;
    std::string trouble_;
};

}  // namespace verbex::roles
