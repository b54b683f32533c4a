// Recovery from other places than the data directory: from the store, from any member, from a journal.
//
// Purpose: a data directory that is lost is made again from one source alone, or from two that are
// compared with each other, position by position, as far as both reach.
// Owner: `verbex journal recover --from`.
// Thread safety: one call at a time per data directory.
// Invariants:
//   1. The journal in the data directory is there complete, durable and agreed upon, or not at all.
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
    uint64_t bytes = 0;     // payload written
    uint64_t elapsedNs = 0;
};

// From one source or two. Fails with RECOVERY_SOURCES_DIFFER, and says where; with LIMITS_DIFFER; with
// ALREADY_EXISTS where the data directory holds a journal; with NOT_FOUND where no source begins at
// position 1, or none reaches upTo.
SourceRecovery recoverFromSources(journal::Storage& storage,
                                  const std::vector<LogSource*>& sources,
                                  const SourceRecoveryOptions& options);

}  // namespace verbex::node
