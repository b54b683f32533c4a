// Cuts the end of a journal off that another log does not have.
//
// Purpose: a member of a cluster whose log differs from its leader's drops what the leader has not,
// durably, and goes on from there.
// Owner: replication's MemberLog, between one JournalWriter and the next.
// Thread safety: one call at a time per directory; no writer and no reader may be open meanwhile.
// Invariants:
//   1. At every moment recoverJournal accepts what is on disk, and its last position is at least `to`
//      where `to` was durable before: the old journal or a shorter one, never damage.
//   2. After ok the journal ends at `to`, and that is durable.
//   3. A journal that verifyJournal refuses is refused here too, and nothing is changed.
// Requires: the data directory's lock. Snapshots of positions behind `to` have been removed: recovery
// would miss what they cover.
#pragma once

#include <cstdint>
#include <string>

#include "base/status.h"
#include "journal/storage.h"

namespace verbex::journal {

// Drops every record behind the one that ends at `to`, control records too. The position before the
// journal's first one (0 where it begins at 1) drops all of them. InvalidArgument where no record ends
// at `to`, and nothing has changed; nothing to drop where the journal ends there or before.
// `droppedRecords`: with commands in them.
Status truncateJournal(Storage& storage, const DirectoryLock& lock, const std::string& directory,
                       uint64_t to, uint64_t* droppedRecords = nullptr);

}  // namespace verbex::journal
