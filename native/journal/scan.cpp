#include "journal/scan.h"

#include <algorithm>

#include "base/check.h"
#include "base/crc32c.h"

namespace verbex::journal {

ScanOutcome JournalScan::run() {
    report_.status = walk();
    return std::move(outcome_);
}

Status JournalScan::damagedAt(const std::string& file, uint64_t offset, const std::string& what) {
    report_.damage = JournalPlace{file, offset, expected_, what};
    return Status(StatusCode::JournalDamaged,
                  what + " at " + (file.empty() ? directory_ : joinPath(directory_, file)) + "+" +
                      std::to_string(offset) + ", where position " + std::to_string(expected_) +
                      " was expected");
}

Status JournalScan::walk() {
    Result<std::vector<SegmentName>> listed = listSegments(storage_, directory_);
    if (!listed.isOk()) return listed.status();
    expected_ = std::max<uint64_t>(1, options_.fromPosition);
    report_.end.nextPosition = expected_;
    if (listed.value().empty()) {
        if (options_.minimumPosition == 0) return {};
        return damagedAt("", 0, "no journal, though position " +
                                    std::to_string(options_.minimumPosition) + " was written");
    }

    std::vector<Segment> segments(listed.value().size());
    for (size_t i = 0; i < segments.size(); ++i) {
        VERBEX_RETURN_IF_FAILED(openSegment(listed.value()[i], segments[i]));
    }
    report_.end.journalId = segments[0].header.journalId;
    report_.segments = segments.size();

    const Segment& newest = segments.back();
    Result<bool> emptiness = isEmpty(newest);
    if (!emptiness.isOk()) return emptiness.status();
    const bool newestIsEmpty = emptiness.value();

    bool sealed = false;
    for (size_t i = 0; i < segments.size(); ++i) {
        const bool first = i == 0;
        const bool newestHere = i + 1 == segments.size();
        if (newestHere && newestIsEmpty && !first && !sealed) {
            outcome_.emptySuccessor = newest.name;
            --report_.segments;
            break;
        }
        VERBEX_RETURN_IF_FAILED(checkJoin(segments[i], first, sealed));
        const bool last = newestHere || (i + 2 == segments.size() && newestIsEmpty);
        VERBEX_RETURN_IF_FAILED(walkSegment(segments[i], last, sealed));
        finish(segments[i]);
        if (newestHere && sealed) {
            return damaged(segments[i], "the segment that should follow is missing");
        }
    }
    const uint64_t last = expected_ - 1;
    if (last < options_.minimumPosition) {
        return damagedAt(report_.end.file, report_.end.offset,
                         "the journal ends at position " + std::to_string(last) +
                             ", though position " + std::to_string(options_.minimumPosition) +
                             " was written;");
    }
    return {};
}

Result<bool> JournalScan::isEmpty(const Segment& segment) {
    Result<std::span<std::byte>> head =
        segment.stream->window(kSegmentHeaderBytes, sizeof(RecordHeader));
    if (!head.isOk()) return head.status();
    if (!isAllZero(head.value())) return false;
    Result<uint64_t> end =
        segment.stream->endOfContent(kSegmentHeaderBytes, segment.header.segmentBytes);
    if (!end.isOk()) return end.status();
    return end.value() == kSegmentHeaderBytes;
}

Status JournalScan::openSegment(const SegmentName& listed, Segment& segment) {
    segment.name = listed.name;
    expected_ = listed.firstPosition;
    Result<std::unique_ptr<File>> file =
        storage_.open(joinPath(directory_, listed.name), FileMode::Read);
    if (!file.isOk()) return file.status();
    Result<uint64_t> size = file.value()->size();
    if (!size.isOk()) return size.status();
    if (size.value() < kSegmentHeaderBytes) {
        return damagedAt(listed.name, size.value(), "segment shorter than its header");
    }
    segment.stream = std::make_unique<SegmentStream>(file.take(), size.value());
    Result<std::span<std::byte>> block = segment.stream->window(0, kSegmentHeaderBytes);
    if (!block.isOk()) return block.status();
    if (block.value().size() < kSegmentHeaderBytes) {
        return damagedAt(listed.name, block.value().size(), "segment shorter than its header");
    }
    Result<SegmentHeader> header = decodeSegmentHeader(
        std::span<const std::byte, kSegmentHeaderBytes>(block.value().data(), kSegmentHeaderBytes));
    if (!header.isOk()) {
        Status refusal = damagedAt(listed.name, 0, header.status().message());
        if (header.status().code() == StatusCode::JournalDamaged) return refusal;
        return Status(header.status().code(), refusal.message());
    }
    segment.header = header.value();
    if (segment.header.segmentBytes != size.value()) {
        return damagedAt(listed.name, std::min(size.value(), segment.header.segmentBytes),
                         "segment of " + std::to_string(size.value()) + " bytes instead of " +
                             std::to_string(segment.header.segmentBytes));
    }
    if (segment.header.firstPosition != listed.firstPosition) {
        return damagedAt(listed.name, offsetof(SegmentHeader, firstPosition),
                         "segment of position " + std::to_string(segment.header.firstPosition) +
                             " under another one's name");
    }
    if (options_.journalId && !(segment.header.journalId == *options_.journalId)) {
        return damagedAt(listed.name, offsetof(SegmentHeader, journalId),
                         "segment of another journal");
    }
    return {};
}

Status JournalScan::checkJoin(const Segment& segment, bool first, bool previousSealed) {
    const SegmentHeader& header = segment.header;
    if (first) expected_ = header.firstPosition;
    if (!(header.journalId == report_.end.journalId)) {
        return damagedAt(segment.name, offsetof(SegmentHeader, journalId),
                         "segment of another journal");
    }
    if (first) {
        if (options_.fromPosition != 0 && header.firstPosition > options_.fromPosition) {
            expected_ = options_.fromPosition;
            return damagedAt(segment.name, 0, "the journal begins at position " +
                                                  std::to_string(header.firstPosition) +
                                                  ", too late");
        }
        if (header.firstPosition == 1 &&
            !(header.previousDigest == chainStart(header.journalId))) {
            return damagedAt(segment.name, offsetof(SegmentHeader, previousDigest),
                             "the chain does not begin with the journal's id");
        }
        digest_ = header.previousDigest;
        return {};
    }
    if (!previousSealed) {
        return damagedAt(report_.end.file, report_.end.offset,
                         "segment without its seal, though " + segment.name + " has records;");
    }
    if (header.firstPosition != expected_) {
        return damagedAt(segment.name, 0, "hole: this segment begins at position " +
                                              std::to_string(header.firstPosition));
    }
    if (!(header.previousDigest == digest_)) {
        return damagedAt(segment.name, offsetof(SegmentHeader, previousDigest),
                         "broken chain between segments");
    }
    return {};
}

Status JournalScan::walkSegment(Segment& segment, bool last, bool& sealed) {
    sealed = false;
    offset_ = kSegmentHeaderBytes;
    lastRecordOffset_ = kSegmentHeaderBytes;
    unsettled_.clear();
    for (;;) {
        Result<Step> step = readRecord(segment, last);
        if (!step.isOk()) return step.status();
        if (step.value() == Step::End) return {};
        if (step.value() == Step::Sealed) break;
    }
    sealed = true;
    Result<uint64_t> end = segment.stream->endOfContent(offset_, segment.header.segmentBytes);
    if (!end.isOk()) return end.status();
    if (end.value() != offset_) {
        offset_ = end.value() - 1;
        return damaged(segment, "bytes behind the seal");
    }
    return {};
}

Result<JournalScan::Step> JournalScan::readRecord(Segment& segment, bool last) {
    const uint64_t segmentEnd = segment.header.segmentBytes;
    if (offset_ + sizeof(RecordHeader) > segmentEnd) return Step::End;
    Result<std::span<std::byte>> window = segment.stream->window(offset_, sizeof(RecordHeader));
    if (!window.isOk()) return window.status();
    std::span<std::byte> bytes = window.value();
    if (bytes.size() < sizeof(RecordHeader)) {
        return damaged(segment, "segment became shorter while it was read");
    }
    if (isAllZero(bytes)) {
        return endOrTear(segment, last, offset_ + sizeof(RecordHeader),
                         "record without its header");
    }
    if (!isRecordHeader(bytes)) return damaged(segment, "record header checksum");
    const RecordHeader header = loadRecordHeader(bytes);
    if (Status status = checkHeader(segment, header); !status.isOk()) return status;

    const uint64_t size = recordBytes(header.payloadBytes);
    const bool seal = (header.flags & kFlagKindMask) == kFlagSealed;
    if (offset_ + size + (seal ? 0 : sizeof(RecordHeader)) > segmentEnd) {
        return damaged(segment, "record runs past the end of its segment");
    }
    window = segment.stream->window(offset_, size);
    if (!window.isOk()) return window.status();
    bytes = window.value();
    if (bytes.size() < size) return damaged(segment, "segment became shorter while it was read");
    const uint64_t contentBytes = sizeof(RecordHeader) + header.payloadBytes;
    if (crc32c(bytes.data() + sizeof(RecordHeader), header.payloadBytes) != header.payloadCrc) {
        if (!hasUnwrittenSector(bytes.first(contentBytes), offset_)) {
            return damaged(segment, "record payload checksum");
        }
        return endOrTear(segment, last, offset_ + size, "record with unwritten sectors");
    }
    if (!isAllZero(bytes.subspan(contentBytes))) return damaged(segment, "record padding");

    const uint64_t at = offset_;
    if (Status status = accept(segment, header, bytes, last); !status.isOk()) return status;
    lastRecordOffset_ = at;
    offset_ = at + size;
    return seal ? Step::Sealed : Step::Record;
}

Status JournalScan::checkHeader(const Segment& segment, const RecordHeader& header) {
    if (header.version != kRecordVersion) {
        Status refusal = damaged(segment, "record format version " +
                                              std::to_string(header.version) +
                                              "; this program reads version " +
                                              std::to_string(kRecordVersion));
        return Status(StatusCode::UnsupportedFormat, refusal.message());
    }
    if (const char* fault = headerFault(header)) return damaged(segment, fault);
    if (header.position != expected_) {
        return damaged(segment, "record of position " + std::to_string(header.position));
    }
    if (header.epoch < epoch_) {
        return damaged(segment, "record of epoch " + std::to_string(header.epoch) +
                                    " after epoch " + std::to_string(epoch_));
    }
    if (!(header.previousDigest == digest_)) return damaged(segment, "broken chain");
    const unsigned kind = header.flags & kFlagKindMask;
    if (afterClosed_ && kind != kFlagOpened && kind != kFlagSealed) {
        return damaged(segment, "record behind a clean close");
    }
    return {};
}

Status JournalScan::accept(Segment& segment, const RecordHeader& header,
                           std::span<std::byte> record, bool last) {
    const uint64_t contentBytes = sizeof(RecordHeader) + header.payloadBytes;
    digest_ = recordDigest(record.first(contentBytes));
    epoch_ = header.epoch;
    expected_ = header.position + header.count;
    report_.durableMark = std::max(report_.durableMark, header.durableMark);
    report_.lastEpoch = header.epoch;
    const unsigned kind = header.flags & kFlagKindMask;
    afterClosed_ = kind == kFlagClosed || (afterClosed_ && kind == kFlagSealed);
    if (last) {
        unsettled_.push_back({offset_, expected_ - 1});
        while (!unsettled_.empty() && unsettled_.front().lastPosition <= report_.durableMark) {
            unsettled_.pop_front();
        }
    }
    if (header.count == 0) return {};

    if (report_.records == 0) {
        report_.firstPosition = header.position;
        report_.firstEpoch = header.epoch;
    }
    ++report_.records;
    report_.commands += header.count;
    report_.lastPosition = expected_ - 1;
    if (!sink_ || expected_ - 1 < options_.fromPosition) return {};
    const std::span<std::byte> payload = record.subspan(sizeof(RecordHeader), header.payloadBytes);
    restorePayload(header, payload);
    Status status = sink_(RecordView{header.epoch, header.position, header.count,
                                     header.durableMark, payload, digest_});
    // The buffer no longer shows what is on disk if the payload was whitened.
    if (header.flags >> kWhiteningShift != 0) segment.stream->forget(offset_);
    return status;
}

// At offset_ stands no whole record. Decides whether the journal simply ends here, was torn here,
// or is damaged. `searchFrom`: behind the record that stands here, as far as it is known.
Result<JournalScan::Step> JournalScan::endOrTear(Segment& segment, bool last, uint64_t searchFrom,
                                                 const char* what) {
    SegmentStream& stream = *segment.stream;
    Result<uint64_t> content = stream.endOfContent(offset_, segment.header.segmentBytes);
    if (!content.isOk()) return content.status();
    const uint64_t end = content.value();
    if (end == offset_) return Step::End;
    if (!last) return damaged(segment, std::string(what) + " before the last segment");
    if (afterClosed_) return damaged(segment, std::string(what) + " behind a clean close");

    // Whoever wrote a record behind this place knew how far the journal was durable.
    uint64_t mark = report_.durableMark;
    uint64_t markOffset = 0;
    uint64_t dropped = 0;
    for (uint64_t at = searchFrom; at + sizeof(RecordHeader) <= segment.header.segmentBytes &&
                                   at < end;) {
        Result<std::span<std::byte>> window = stream.window(at, sizeof(RecordHeader));
        if (!window.isOk()) return window.status();
        if (!isRecordHeader(window.value())) {
            at += kRecordAlignment;
            continue;
        }
        const RecordHeader header = loadRecordHeader(window.value());
        if (headerFault(header) != nullptr || header.position < expected_) {
            at += kRecordAlignment;
            continue;
        }
        if (header.durableMark > mark) {
            mark = header.durableMark;
            markOffset = at;
        }
        const uint64_t size = recordBytes(header.payloadBytes);
        window = stream.window(at, size);
        if (!window.isOk()) return window.status();
        const bool whole =
            window.value().size() == size &&
            crc32c(window.value().data() + sizeof(RecordHeader), header.payloadBytes) ==
                header.payloadCrc;
        if (whole && header.count > 0) ++dropped;
        at += whole ? size : kRecordAlignment;
    }
    if (mark >= expected_) {
        return damaged(segment, std::string(what) + ", though the record at offset " +
                                    std::to_string(markOffset) + " says that position " +
                                    std::to_string(mark) + " was durable,");
    }
    report_.torn = JournalPlace{segment.name, offset_, expected_, what};
    report_.tornBytes = end - offset_;
    report_.droppedRecords = dropped;
    outcome_.tornEnd = end;
    return Step::End;
}

// Notes the segment as the journal's end so far.
void JournalScan::finish(const Segment& segment) {
    report_.bytes += offset_;
    report_.cleanlyClosed = afterClosed_;
    report_.end.file = segment.name;
    report_.end.offset = offset_;
    report_.end.segmentBytes = segment.header.segmentBytes;
    report_.end.nextPosition = expected_;
    report_.end.epoch = epoch_;
    report_.end.digest = digest_;
    if (offset_ > kSegmentHeaderBytes) {
        outcome_.unsettledFile = segment.name;
        outcome_.unsettledEnd = offset_;
        // The last record is rewritten in any case: its own durability nobody recorded.
        outcome_.unsettledOffset =
            unsettled_.empty() ? lastRecordOffset_ : unsettled_.front().offset;
    }
}

}  // namespace verbex::journal
