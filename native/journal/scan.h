// The verifying walk over a journal, shared by recovery and `verify`.
//
// Purpose: applies the rules of docs/journal-format.md, "Opening", and says what a repair would
// have to do. Changes nothing.
// Owner: recovery.cpp.
// Thread safety: none; one scan per call.
// Invariants:
//   1. Every byte of every segment is looked at: header, records, padding, unused space.
//   2. "Torn" is answered only for the end of the journal, only with an unwritten sector as
//      evidence, and only where no durable mark reaches it. All else that is wrong is damage.
// Requires: no writer at work.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "journal/recovery.h"
#include "journal/segment.h"
#include "journal/segment_stream.h"
#include "journal/storage.h"

namespace verbex::journal {

struct ScanOutcome {
    RecoveryReport report;
    // A segment that was prepared while its predecessor was not sealed: nothing was ever written
    // to it, so the journal ends in the predecessor and this file goes.
    std::string emptySuccessor;
    uint64_t tornEnd = 0;  // in report.torn->file; behind the last byte that is not zero
    // From here on the last segment may lie in the page cache only (see docs, "After a crash").
    std::string unsettledFile;
    uint64_t unsettledOffset = 0;
    uint64_t unsettledEnd = 0;
};

class JournalScan {
public:
    JournalScan(Storage& storage, std::string directory, const RecoveryOptions& options,
                const RecordSink& sink)
        : storage_(storage), directory_(std::move(directory)), options_(options), sink_(sink) {}

    ScanOutcome run();

private:
    struct Segment {
        std::string name;
        SegmentHeader header;
        std::unique_ptr<SegmentStream> stream;
    };
    struct Unsettled {
        uint64_t offset;
        uint64_t lastPosition;
    };
    // What the walk found at an offset.
    enum class Step : uint8_t { Record, Sealed, End };

    Status walk();
    static Result<bool> isEmpty(const Segment& segment);
    Status openSegment(const SegmentName& listed, Segment& segment);
    Status checkJoin(const Segment& segment, bool first, bool previousSealed);
    Status walkSegment(Segment& segment, bool last, bool& sealed);
    Result<Step> readRecord(Segment& segment, bool last);
    Result<Step> endOrTear(Segment& segment, bool last, uint64_t searchFrom, const char* what);
    Status checkHeader(const Segment& segment, const RecordHeader& header);
    Status accept(Segment& segment, const RecordHeader& header, std::span<std::byte> record,
                  bool last);
    void finish(const Segment& segment);
    Status damagedAt(const std::string& file, uint64_t offset, const std::string& what);
    Status damaged(const Segment& segment, const std::string& what) {
        return damagedAt(segment.name, offset_, what);
    }

    Storage& storage_;
    const std::string directory_;
    const RecoveryOptions& options_;
    const RecordSink& sink_;
    ScanOutcome outcome_;
    RecoveryReport& report_ = outcome_.report;

    std::deque<Unsettled> unsettled_;
    uint64_t lastRecordOffset_ = 0;
    uint64_t offset_ = 0;
    uint64_t expected_ = 1;
    uint64_t epoch_ = 0;
    Digest128 digest_;
    bool afterClosed_ = false;
};

}  // namespace verbex::journal
