// Recovery: where a message store's log ends, after whatever happened to it.
//
// Purpose: maps the segments of the current day, checks every record, and cuts what never became whole.
// Owner: the store, at its opening.
// Thread safety: the owner's.
// Invariants:
//   1. What it leaves are whole records from the day's first on, and whole events: nothing is invented.
//   2. After a killed process nothing that was committed is cut: damage with whole records behind it is
//      refused, with file and offset, never skipped.
//   3. After a stop of the machine the log ends at the first hole, wherever it lies: pages reach the disk
//      in any order.
// Requires: the lock is held.
#pragma once

#include <deque>
#include <string>

#include "gateway/store_segment.h"

namespace verbex::gateway::store {

struct RecoveredLog {
    std::deque<Segment> segments;  // from the one in which the day begins; empty: nothing is stored
    RecordId dayRecord = 0;
    uint64_t end = 0;              // offset in the last segment
};

struct RecoveryOptions {
    std::string directory;
    bool machineStopped = false;  // since the store was opened last, without close()
    RecordId cleanEnd = 0;        // where close() left the end; 0: it was not called
    bool eventsShared = false;    // an event is complete only where a record of another one follows
};

// `numbers`: of all segment files, rising. Files behind the end are removed.
Result<RecoveredLog> recoverLog(const RecoveryOptions& options,
                                const std::deque<uint32_t>& numbers);

}  // namespace verbex::gateway::store
