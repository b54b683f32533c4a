// What the journal and the snapshots ask of a disk.
//
// Purpose: every byte that the store keeps passes through this interface, so that the simulator can
// stop it, tear it, lose it and flip it at any call (sim/disk.h), and a server can run it on a real
// file system (journal/posix_storage.h).
// Owner: the node (or a test) owns the Storage; it outlives every File and DirectoryLock from it.
// Thread safety: a Storage may be called from any thread. A File belongs to one thread at a time,
// except that another may sync() it meanwhile: what was written before that call is then durable.
// Invariants:
//   1. pwrite writes everything or fails; after a failure the range's content is unknown.
//   2. A range is durable after a pwrite to a File with durableWrites(), or after a later sync().
//   3. A name (create, rename, remove) is durable only after syncDirectory().
//   4. Nothing is retried here: a failure is handed up exactly once per call.
// Requires: offset, size and memory address multiples of kBlockBytes for every transfer on a File
// with direct().
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"

namespace verbex::journal {

// The unit of direct transfers. Devices with 512-byte sectors accept it too.
inline constexpr uint64_t kBlockBytes = 4096;
// The unit that a device writes whole or not at all. 4 KiB devices only make tears coarser.
inline constexpr uint64_t kSectorBytes = 512;
static_assert(kBlockBytes % kSectorBytes == 0);

// Where the block begins that `offset` lies in.
constexpr uint64_t blockFloor(uint64_t offset) { return offset / kBlockBytes * kBlockBytes; }

enum class FileMode : uint8_t {
    Read,      // existing, read only, through the page cache
    Buffered,  // read and write through the page cache; durable after sync()
    Durable,   // each pwrite is durable on return; bypasses the page cache where that is possible
};

class File {
public:
    virtual ~File() = default;

    virtual Status pwrite(uint64_t offset, std::span<const std::byte> bytes) = 0;
    // Fills `into` from `offset`; fewer bytes than asked for only at the end of the file.
    virtual Result<size_t> pread(uint64_t offset, std::span<std::byte> into) = 0;
    // Makes the file `bytes` long, all of it written as zeros (not merely reserved), and durable.
    virtual Status preallocate(uint64_t bytes) = 0;
    virtual Status sync() = 0;
    virtual Result<uint64_t> size() = 0;

    [[nodiscard]] virtual bool durableWrites() const = 0;
    [[nodiscard]] virtual bool direct() const = 0;
};

// Held while a process may write to a data directory; released by destruction or process end.
class DirectoryLock {
public:
    virtual ~DirectoryLock() = default;
};

class Storage {
public:
    virtual ~Storage() = default;

    // Fails with AlreadyExists where the name is taken.
    virtual Result<std::unique_ptr<File>> create(const std::string& path, FileMode mode) = 0;
    // Fails with NotFound where there is no such file.
    virtual Result<std::unique_ptr<File>> open(const std::string& path, FileMode mode) = 0;
    // Replaces `to` atomically where it exists.
    virtual Status rename(const std::string& from, const std::string& to) = 0;
    virtual Status remove(const std::string& path) = 0;
    // Also creates the directories above it; an existing one is fine.
    virtual Status createDirectory(const std::string& directory) = 0;
    virtual Status syncDirectory(const std::string& directory) = 0;
    // Names of the plain files in it, sorted bytewise; NotFound where there is no such directory.
    virtual Result<std::vector<std::string>> list(const std::string& directory) = 0;
    // One writer per data directory; fails with DataDirectoryInUse, naming the directory.
    virtual Result<std::unique_ptr<DirectoryLock>> lockDirectory(const std::string& directory) = 0;
};

[[nodiscard]] inline std::string joinPath(const std::string& directory, const std::string& name) {
    return directory + "/" + name;
}

}  // namespace verbex::journal
