// The storage of a real machine: POSIX files on Linux.
//
// Purpose: durable files bypass the page cache (O_DIRECT | O_DSYNC); where the file system refuses
// O_DIRECT (tmpfs, some overlays) they are O_DSYNC only, which File::direct() reports.
// Owner: the node.
// Thread safety: see journal/storage.h; it holds no state.
// Invariants:
//   1. Nothing is retried but what the kernel cut short: a partial write goes on where it stopped,
//      an interrupted call that did nothing is made again. Every error is answered at once.
//   2. The lock is flock() on `<directory>/lock`: the kernel releases it with the process, whatever
//      ends it, and two openings in one process exclude each other too.
// Requires: a local file system; flock and O_DSYNC over network ones are only as good as those are.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "journal/storage.h"

namespace verbex::journal {

class PosixStorage final : public Storage {
public:
    Result<std::unique_ptr<File>> create(const std::string& path, FileMode mode) override;
    Result<std::unique_ptr<File>> open(const std::string& path, FileMode mode) override;
    Status rename(const std::string& from, const std::string& to) override;
    Status remove(const std::string& path) override;
    Status createDirectory(const std::string& directory) override;
    Status syncDirectory(const std::string& directory) override;
    Result<std::vector<std::string>> list(const std::string& directory) override;
    Result<std::unique_ptr<DirectoryLock>> lockDirectory(const std::string& directory) override;
};

}  // namespace verbex::journal
