#include "journal/reader.h"

#include "base/check.h"
#include "base/crc32c.h"
#include "journal/segment.h"

namespace verbex::journal {

JournalReader::JournalReader(Storage& storage, std::string directory)
    : storage_(storage), directory_(std::move(directory)) {}

Result<std::unique_ptr<JournalReader>> JournalReader::open(Storage& storage,
                                                           const std::string& directory,
                                                           uint64_t fromPosition) {
    CHECK(fromPosition > 0);
    Result<std::vector<SegmentName>> listed = listSegments(storage, directory);
    if (!listed.isOk()) return listed.status();
    const SegmentName* start = nullptr;
    for (const SegmentName& segment : listed.value()) {
        if (segment.firstPosition <= fromPosition) start = &segment;
    }
    if (start == nullptr) {
        return Status(StatusCode::NotFound, "the journal in " + directory +
                                                " does not reach back to position " +
                                                std::to_string(fromPosition));
    }
    std::unique_ptr<JournalReader> reader(new JournalReader(storage, directory));
    reader->fromPosition_ = fromPosition;
    reader->nextPosition_ = start->firstPosition;
    if (Status status = reader->openSegment(start->firstPosition); !status.isOk()) return status;
    return reader;
}

Status JournalReader::damaged(const std::string& what) const {
    return Status(StatusCode::JournalDamaged,
                  what + " at " + joinPath(directory_, fileName_) + "+" + std::to_string(offset_) +
                      ", where position " + std::to_string(nextPosition_) + " was expected");
}

Status JournalReader::openSegment(uint64_t firstPosition) {
    fileName_ = segmentFileName(firstPosition);
    offset_ = 0;
    Result<std::unique_ptr<File>> file =
        storage_.open(joinPath(directory_, fileName_), FileMode::Read);
    if (!file.isOk()) return file.status();
    Result<uint64_t> size = file.value()->size();
    if (!size.isOk()) return size.status();
    stream_.emplace(file.take(), size.value());
    Result<std::span<std::byte>> block = stream_->window(0, kSegmentHeaderBytes);
    if (!block.isOk()) return block.status();
    if (block.value().size() < kSegmentHeaderBytes) {
        return damaged("segment shorter than its header");
    }
    Result<SegmentHeader> header = decodeSegmentHeader(
        std::span<const std::byte, kSegmentHeaderBytes>(block.value().data(), kSegmentHeaderBytes));
    if (!header.isOk()) {
        return Status(header.status().code(), damaged(header.status().message()).message());
    }
    const SegmentHeader& found = header.value();
    if (found.firstPosition != firstPosition) return damaged("segment under another one's name");
    if (chained_) {
        if (!(found.journalId == journalId_)) return damaged("segment of another journal");
        if (!(found.previousDigest == digest_)) return damaged("broken chain between segments");
    }
    journalId_ = found.journalId;
    digest_ = found.previousDigest;
    chained_ = true;
    offset_ = kSegmentHeaderBytes;
    stream_->forget(offset_);
    return {};
}

Status JournalReader::readUpTo(uint64_t position, const RecordSink& sink) {
    VERBEX_RETURN_IF_FAILED(failure_);
    // What was read ahead of the last place may have been written since.
    stream_->forget(offset_);
    bool going = true;
    while (going && nextPosition_ <= position) {
        if (Status status = readRecord(position, sink, going); !status.isOk()) {
            failure_ = status;
            return status;
        }
    }
    return {};
}

Status JournalReader::readRecord(uint64_t position, const RecordSink& sink, bool& passed) {
    Result<std::span<std::byte>> window = stream_->window(offset_, sizeof(RecordHeader));
    if (!window.isOk()) return window.status();
    if (!isRecordHeader(window.value())) return damaged("no record");
    const RecordHeader header = loadRecordHeader(window.value());
    if (header.version != kRecordVersion) {
        return Status(StatusCode::UnsupportedFormat,
                      damaged("record format version " + std::to_string(header.version)).message());
    }
    if (const char* fault = headerFault(header)) return damaged(fault);
    if (header.position != nextPosition_) {
        return damaged("record of position " + std::to_string(header.position));
    }
    if (header.epoch < epoch_) return damaged("falling epoch");
    if (!(header.previousDigest == digest_)) return damaged("broken chain");
    const uint64_t nextPosition = header.position + header.count;
    if (nextPosition - 1 > position) {
        passed = false;  // its end was not asked for yet
        return {};
    }
    const uint64_t size = recordBytes(header.payloadBytes);
    window = stream_->window(offset_, size);
    if (!window.isOk()) return window.status();
    const std::span<std::byte> record = window.value();
    if (record.size() < size) return damaged("record runs past the end of its segment");
    const std::span<std::byte> payload = record.subspan(sizeof(RecordHeader), header.payloadBytes);
    if (crc32c(payload.data(), payload.size()) != header.payloadCrc) {
        return damaged("record payload checksum");
    }
    const uint64_t contentBytes = sizeof(RecordHeader) + header.payloadBytes;
    if (!isAllZero(record.subspan(contentBytes))) return damaged("record padding");

    digest_ = recordDigest(record.first(contentBytes));
    epoch_ = header.epoch;
    nextPosition_ = nextPosition;
    offset_ += size;
    if ((header.flags & kFlagKindMask) == kFlagSealed) return openSegment(nextPosition_);
    if (header.count == 0) return {};
    commandDigest_ = digest_;
    if (!sink || nextPosition_ - 1 < fromPosition_) return {};
    restorePayload(header, payload);
    return sink(RecordView{header.epoch, header.position, header.count, header.durableMark, payload,
                           digest_});
}

}  // namespace verbex::journal
