// Opens a journal: verifies all of it, hands out its records, says where the writer continues.
//
// Purpose: the one place that decides between "ends here", "torn tail" and "damaged".
// docs/journal-format.md, "Opening", states the rules; they are not repeated here.
// Owner: the node at start; `verbex journal verify` through verifyJournal.
// Thread safety: one call at a time per directory; no writer may run meanwhile.
// Invariants:
//   1. A record reaches the sink only after its checksums, its position, its epoch and the chain
//      up to it were found right.
//   2. Nothing on disk changes unless the whole journal was accepted and a lock is held.
//   3. After recoverJournal returned ok, every record that it handed out is durable.
// Requires: for recoverJournal the lock of the data directory.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "base/hash128.h"
#include "base/status.h"
#include "journal/record.h"
#include "journal/storage.h"

namespace verbex::journal {

// The process exit code of a node that refuses its journal (EX_DATAERR of sysexits).
inline constexpr int kExitJournalDamaged = 65;

// A not-ok answer stops the recovery with that answer.
using RecordSink = std::function<Status(const RecordView&)>;

struct RecoveryOptions {
    // Records whose last position is at or after this one are handed to the sink. The journal must
    // reach back to it. A record that begins before it is handed out whole. 0: from wherever the
    // journal begins.
    uint64_t fromPosition = 1;
    // A journal that ends before this position is refused (a snapshot or an acknowledgement is
    // known to cover it). 0: nothing known.
    uint64_t minimumPosition = 0;
    // A journal of another id is refused.
    std::optional<JournalId> journalId = std::nullopt;
};

// The exact place of a refusal or of a torn tail.
struct JournalPlace {
    std::string file;               // name within the journal's directory
    uint64_t offset = 0;            // bytes from the start of the file
    uint64_t expectedPosition = 0;  // of the command that should begin here
    std::string what;
};

// Where a writer continues. `file` empty: no segment exists yet, the writer creates the first.
struct JournalEnd {
    JournalId journalId;
    std::string file;
    uint64_t offset = 0;
    uint64_t segmentBytes = 0;
    uint64_t nextPosition = 1;
    uint64_t epoch = 0;
    Digest128 digest;  // of the last record, control records included
};

struct RecoveryReport {
    Status status;  // ok, JournalDamaged, UnsupportedFormat, IoError, or what the sink answered
    std::optional<JournalPlace> damage;  // set with JournalDamaged and UnsupportedFormat
    std::optional<JournalPlace> torn;    // a torn tail was (or, when verifying, would be) cut here
    uint64_t tornBytes = 0;              // from there to the last byte that is not zero
    uint64_t droppedRecords = 0;         // whole records in the torn tail, never durable
    bool cleanlyClosed = false;
    uint64_t segments = 0;
    uint64_t records = 0;                // with commands in them
    uint64_t commands = 0;
    uint64_t firstPosition = 0;          // 0: no command in the journal
    uint64_t lastPosition = 0;
    uint64_t firstEpoch = 0;
    uint64_t lastEpoch = 0;
    uint64_t durableMark = 0;            // highest one seen
    uint64_t bytes = 0;                  // records and headers, padding included
    JournalEnd end;

    // "JOURNAL_DAMAGED: <what> at <file>+<offset>, position <n>" or "OK …", one line.
    [[nodiscard]] std::string toString() const;
};

// Verifies, hands out, cuts a torn tail off (durably) and makes the rest durable.
RecoveryReport recoverJournal(Storage& storage, const DirectoryLock& lock,
                              const std::string& directory, const RecoveryOptions& options,
                              const RecordSink& sink);

// The same verification; changes nothing and needs no lock (but no running writer either).
RecoveryReport verifyJournal(Storage& storage, const std::string& directory,
                             const RecoveryOptions& options = {.fromPosition = 0},
                             const RecordSink& sink = {});

}  // namespace verbex::journal
