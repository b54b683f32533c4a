// A disk in memory that can be stopped, torn, cut off, filled up and damaged at any call.
//
// Purpose: journal, snapshot and cluster tests run against it; everything follows from seeds.
// Owner: the test or the simulator.
// Thread safety: any thread (one mutex); simulations use one thread anyway.
// Invariants:
//   1. Sectors of 512 bytes are written whole or not at all; a write of many may stop between
//      any two.
//   2. A process crash keeps what was written; a power cut keeps, of each unsynced sector and each
//      unsynced change of a name, what the seed chooses (any subset that is possible in order).
//   3. After a failed sync the sectors it should have kept are never kept by a later one unless
//      written again, as Linux behaves.
//   4. Calls are counted alike in every run; the trace names each.
// Requires: after crashed(), restart() before further use; older File objects stay dead.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "journal/storage.h"

namespace verbex::sim {

enum class DiskCallKind : uint8_t {
    Create,
    Write,
    Preallocate,
    Sync,
    SyncDirectory,
    Rename,
    Remove,
};

struct DiskCall {
    DiskCallKind kind = DiskCallKind::Write;
    std::string path;
    uint64_t sectors = 0;  // that a Write or Preallocate touches
};

enum class CrashMoment : uint8_t {
    Before,    // the call had no effect
    TornHead,  // the first n sectors of the write
    TornTail,  // all but the first n sectors of the write
    After,     // the whole effect, but nobody saw it return
};

enum class DiskFault : uint8_t {
    IoError,  // EIO; half of a write's sectors may have been written
    NoSpace,  // ENOSPC, likewise
};

enum class RestartMode : uint8_t { ProcessCrash, PowerCut };

class SimulatedDisk final : public journal::Storage {
public:
    using Contents = std::vector<std::byte>;
    using Image = std::map<std::string, Contents>;  // by path

    SimulatedDisk();
    ~SimulatedDisk() override;

    Result<std::unique_ptr<journal::File>> create(const std::string& path,
                                                  journal::FileMode mode) override;
    Result<std::unique_ptr<journal::File>> open(const std::string& path,
                                                journal::FileMode mode) override;
    Status rename(const std::string& from, const std::string& to) override;
    Status remove(const std::string& path) override;
    Status createDirectory(const std::string& directory) override;
    Status syncDirectory(const std::string& directory) override;
    Result<std::vector<std::string>> list(const std::string& directory) override;
    Result<std::unique_ptr<journal::DirectoryLock>> lockDirectory(
        const std::string& directory) override;

    // Calls that change something, from 1; reads are counted apart.
    [[nodiscard]] uint64_t calls() const;
    [[nodiscard]] uint64_t reads() const;
    [[nodiscard]] std::vector<DiskCall> trace() const;

    // The machine or process stops at call k (counted from the disk's creation).
    void crashAt(uint64_t call, CrashMoment moment, uint64_t sectors = 0);
    // Call k fails; later ones work again, so that a retry would be seen.
    void failAt(uint64_t call, DiskFault fault);
    void failReadAt(uint64_t read);
    [[nodiscard]] bool crashed() const;
    // Also stops a disk that has not crashed. Clears every planned crash and fault, and all locks.
    void restart(RestartMode mode, uint64_t seed);

    // Damage and inspection, past all rules; content counts as durable afterwards.
    void flipBit(const std::string& path, uint64_t bit);
    void truncate(const std::string& path, uint64_t bytes);
    [[nodiscard]] Contents contents(const std::string& path) const;
    void place(const std::string& path, Contents contents);
    [[nodiscard]] Image image() const;
    void load(const Image& image);

private:
    struct Inode;
    struct NameChange;
    class OpenFile;
    class HeldLock;
    enum class Course : uint8_t { Proceed, Stop, Fail };

    // Counts the call and says what becomes of it; `status` is set unless it proceeds.
    Course enter(DiskCallKind kind, const std::string& path, uint64_t sectors, bool& effect,
                 Status& status);
    Status changeNames(DiskCallKind kind, NameChange change);
    Status writeSectors(Inode& inode, const std::string& path, DiskCallKind kind, uint64_t offset,
                        const std::byte* bytes, uint64_t size, bool durable);
    static void applySectors(Inode& inode, uint64_t offset, const std::byte* bytes, uint64_t size,
                             uint64_t firstSector, uint64_t endSector);
    static void persist(Inode& inode);
    static void applyName(std::map<std::string, std::shared_ptr<Inode>>& names,
                          const NameChange& change);
    [[nodiscard]] Inode& find(const std::string& path) const;

    mutable std::mutex mutex_;
    std::map<std::string, std::shared_ptr<Inode>> names_;
    std::map<std::string, std::shared_ptr<Inode>> durableNames_;
    std::vector<NameChange> pendingNames_;
    std::set<std::string> directories_;
    std::set<std::string> locked_;
    std::vector<DiskCall> trace_;
    uint64_t reads_ = 0;
    uint64_t generation_ = 0;
    bool crashed_ = false;
    uint64_t crashCall_ = 0;
    CrashMoment crashMoment_ = CrashMoment::Before;
    uint64_t crashSectors_ = 0;
    uint64_t faultCall_ = 0;
    DiskFault fault_ = DiskFault::IoError;
    uint64_t faultRead_ = 0;
};

}  // namespace verbex::sim
