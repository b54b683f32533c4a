// Follows a journal, live or at rest.
//
// Purpose: the snapshot thread and the store read what the writer has committed, while it goes on.
// Owner: one reader per thread that reads.
// Thread safety: one thread per reader; the writer may run in another. Needs no lock.
// Invariants:
//   1. Never looks at bytes behind the position it was asked to read up to.
//   2. Checks everything that recovery checks for the records it hands out.
//   3. After a failure the reader answers the same failure.
// Requires: readUpTo(position) only with positions that the writer has written
// (JournalWriter::writtenPosition, read by acquire), and segments from the reader's position on not
// removed meanwhile.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/status.h"
#include "journal/recovery.h"
#include "journal/segment_stream.h"
#include "journal/storage.h"

namespace verbex::journal {

class JournalReader {
public:
    // Starts at the record that holds `fromPosition`; that record may lie ahead of the journal's
    // end. NotFound where the journal no longer reaches back that far.
    static Result<std::unique_ptr<JournalReader>> open(Storage& storage,
                                                       const std::string& directory,
                                                       uint64_t fromPosition);

    // Hands out each record that ends at or before `position`, from the reader's place on.
    Status readUpTo(uint64_t position, const RecordSink& sink);

    [[nodiscard]] uint64_t nextPosition() const { return nextPosition_; }
    // Of the last record passed that held commands; what a snapshot at nextPosition()-1 records.
    [[nodiscard]] Digest128 digest() const { return commandDigest_; }
    [[nodiscard]] uint64_t epoch() const { return epoch_; }
    [[nodiscard]] JournalId journalId() const { return journalId_; }
    // Where the last record passed ends: the segment's name and the offset behind its padding.
    [[nodiscard]] const std::string& fileName() const { return fileName_; }
    [[nodiscard]] uint64_t offset() const { return offset_; }

private:
    JournalReader(Storage& storage, std::string directory);

    Status openSegment(uint64_t firstPosition);
    Status readRecord(uint64_t position, const RecordSink& sink, bool& handedOut);
    Status damaged(const std::string& what) const;

    Storage& storage_;
    const std::string directory_;
    JournalId journalId_;
    std::string fileName_;
    std::optional<SegmentStream> stream_;
    uint64_t offset_ = 0;
    uint64_t fromPosition_ = 1;
    uint64_t nextPosition_ = 1;
    uint64_t epoch_ = 0;
    Digest128 digest_;
    Digest128 commandDigest_;
    bool chained_ = false;
    Status failure_;
};

}  // namespace verbex::journal
