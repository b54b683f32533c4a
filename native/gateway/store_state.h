// StoreState: the little that a message store knows beside its log: did it end well, and which generation.
//
// Purpose: tells a killed process (nothing is lost) from a stopped machine (anything may be).
// Owner: the store.
// Thread safety: the owner's.
// Invariants:
//   1. The file is replaced as a whole and durably; half of it is never seen.
// Requires: the lock is held.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/status.h"
#include "gateway/store_record.h"

namespace verbex::gateway::store {

struct StoreState {
    std::string boot;         // the machine's run in which the store was opened
    uint32_t generation = 0;
    bool clean = false;       // close() was called
    RecordId end = 0;         // clean: behind the last record
};

// The kernel's id of this run of the machine; "" where it can't be read: every run is another one then.
[[nodiscard]] std::string currentBoot();

// None where there is no such file. JournalDamaged where it is not what was written.
Result<std::optional<StoreState>> readState(const std::string& directory);
Status writeState(const std::string& directory, const StoreState& state);

// Makes the directory's entries durable.
Status syncDirectory(const std::string& directory);

// One store per directory, as long as this lives.
class StoreLock {
public:
    // DataDirectoryInUse.
    static Result<StoreLock> take(const std::string& directory);
    StoreLock() = default;
    ~StoreLock();
    StoreLock(StoreLock&& other) noexcept : file_(other.file_) { other.file_ = -1; }
    StoreLock& operator=(StoreLock&& other) noexcept;

private:
    int file_ = -1;
};

}  // namespace verbex::gateway::store
