// Small files of a member that are there or not there: notes of what must be finished after a crash.
//
// Purpose: a note is written whole and durable before what it speaks of begins, and goes when that is done.
// Owner: pure functions.
// Thread safety: one thread per directory.
// Invariants:
//   1. A note that is read is one that was written whole: its checksum is looked at.
// Requires: the lock of the data directory.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/hash128.h"
#include "base/status.h"
#include "journal/storage.h"

namespace verbex::replication {

// A snapshot of another member takes the place of this one's log.
inline constexpr const char* kInstallingNote = "installing";
// This member has computed something else than the others: its snapshots count for nothing any more.
inline constexpr const char* kDistrustedNote = "distrusted";
// The log here is in no record: it was made from a copy, or the record is gone.
inline constexpr const char* kOrphanedNote = "orphaned";

struct DurableNote {
    uint64_t position = 0;
    Digest128 digest;
};

// None where there is no such note, or only the beginning of one.
Result<std::optional<DurableNote>> readNote(journal::Storage& storage, const std::string& data,
                                            const char* name);
Status writeNote(journal::Storage& storage, const std::string& data, const char* name,
                 const DurableNote& note);
// Nothing to do where there is none.
Status removeNote(journal::Storage& storage, const std::string& data, const char* name);

}  // namespace verbex::replication
