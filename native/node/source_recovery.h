// Recovery from other places than the data directory: from the store, from any member, from a journal.
//
// Purpose: a data directory that is lost is made again from one source alone, or from two that are
// compared with each other, position by position, as far as both reach. A source whose log was pruned gives its oldest
// snapshot that the log follows on, and the log behind it; every other snapshot is held against the state that comes by.
// Owner: `verbex journal recover --from`.
// Thread safety: one call at a time per data directory.
// Invariants:
//   1. The journal in the data directory, and the snapshot that it begins behind, are there complete, durable and
//      agreed upon, or not at all; what was there is never overwritten.
//   2. Sources are read only.
//   3. Records keep their epochs and bounds, but for one that `upTo` cuts.
// Requires: no sources within the data directory.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/hash128.h"
#include "core/core.h"
#include "journal/segment.h"
#include "journal/storage.h"
#include "node/failure.h"
#include "node/log_source.h"

namespace verbex::node {

struct SourceRecoveryOptions {
    std::string data;  // must not hold a journal yet
    CoreLimits limits;  // 0: as the sources' directories say, else the default
    Position upTo = UINT64_MAX;
    uint64_t segmentBytes = journal::kSegmentBytesDefault;
};

struct SourceRecovery {
    Failure failure;
    Position position = 0;
    Digest128 stateHash;
    uint64_t compared = 0;  // positions that two sources have alike
    uint64_t comparedStates = 0;    // states that both have alike, by the hash in a snapshot
    Position snapshotPosition = 0;  // behind which the new journal begins; 0: with the first command
    std::vector<std::string> refusedSnapshots;  // one line for each that is damaged
    uint64_t bytes = 0;     // payload written
    uint64_t elapsedNs = 0;
};

// From one source or two. Fails with RECOVERY_SOURCES_DIFFER, and says where; with RECOVERY_SOURCES_APART where nothing
// of the two can be compared; with SOURCES_DISAGREE where a source's snapshot is not what its log gives; with
// LIMITS_DIFFER; with ALREADY_EXISTS where the data directory holds a journal or a snapshot. Where no source gives
// everything: NOT_FOUND without a snapshot, or where none reaches upTo, SNAPSHOT_DAMAGED where none is sound,
// JOURNAL_DAMAGED where the log behind it is missing.
SourceRecovery recoverFromSources(journal::Storage& storage,
                                  const std::vector<LogSource*>& sources,
                                  const SourceRecoveryOptions& options);

}  // namespace verbex::node
