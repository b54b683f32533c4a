#include "journal/truncation.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "base/check.h"
#include "journal/aligned_buffer.h"
#include "journal/reader.h"
#include "journal/recovery.h"
#include "journal/segment.h"

namespace verbex::journal {

namespace {

constexpr uint64_t kCopyBytes = 1u << 20;

// Where the journal shall end.
struct Cut {
    size_t segment = 0;  // index in the list of segments
    uint64_t offset = kSegmentHeaderBytes;
};

class Truncation {
public:
    Truncation(Storage& storage, const std::string& directory, std::vector<SegmentName> segments)
        : storage_(storage), directory_(directory), segments_(std::move(segments)),
          temporary_(joinPath(directory, std::string(kPreparedSegmentName))) {}

    Result<Cut> find(uint64_t to) const;
    Status perform(const Cut& cut);

private:
    [[nodiscard]] std::string path(size_t index) const {
        return joinPath(directory_, segments_[index].name);
    }
    Status removeTemporary();
    Status removeSegment(size_t index);
    Status replace(size_t index, uint64_t prefixBytes, bool keepLength);
    Status writePrefix(File& from, uint64_t prefixBytes, bool keepLength, File& into);

    Storage& storage_;
    const std::string& directory_;
    const std::vector<SegmentName> segments_;
    // The writer's own temporary name, which recovery removes if we do not come to it.
    const std::string temporary_;
};

// `to` ends a record of a verified journal, or lies just before its first one.
Result<Cut> Truncation::find(uint64_t to) const {
    if (to < segments_.front().firstPosition) return Cut{};
    Result<std::unique_ptr<JournalReader>> reader = JournalReader::open(storage_, directory_, to);
    if (!reader.isOk()) return reader.status();
    if (Status status = reader.value()->readUpTo(to, {}); !status.isOk()) return status;
    const auto holds = [&](const SegmentName& segment) {
        return segment.name == reader.value()->fileName();
    };
    const auto found = std::find_if(segments_.begin(), segments_.end(), holds);
    CHECK(found != segments_.end() && reader.value()->nextPosition() == to + 1);
    return Cut{static_cast<size_t>(found - segments_.begin()), reader.value()->offset()};
}

// From the newest segment backwards. Recovery takes a sealed segment only with its successor, and one
// that is not sealed only as the last that has records, before at most one empty successor. So each
// segment is first emptied, as the one behind it was before, and only then the one behind it goes. Each
// step is durable before the next: names that reached the disk in another order would be a hole.
Status Truncation::perform(const Cut& cut) {
    VERBEX_RETURN_IF_FAILED(removeTemporary());
    for (size_t i = segments_.size(); i-- > cut.segment + 1;) {
        VERBEX_RETURN_IF_FAILED(replace(i, kSegmentHeaderBytes, false));
        if (i + 1 < segments_.size()) VERBEX_RETURN_IF_FAILED(removeSegment(i + 1));
    }
    VERBEX_RETURN_IF_FAILED(replace(cut.segment, cut.offset, true));
    if (cut.segment + 1 < segments_.size()) return removeSegment(cut.segment + 1);
    return {};
}

Status Truncation::removeTemporary() {
    Status status = storage_.remove(temporary_);
    return status.code() == StatusCode::NotFound ? Status() : status;
}

Status Truncation::removeSegment(size_t index) {
    VERBEX_RETURN_IF_FAILED(storage_.remove(path(index)));
    return storage_.syncDirectory(directory_);
}

// Puts a file in the segment's place that holds its first `prefixBytes` and zeros. `keepLength`: as long
// as it was, for the writer to go on in it; else as short as a segment may be.
Status Truncation::replace(size_t index, uint64_t prefixBytes, bool keepLength) {
    Status status;
    {
        Result<std::unique_ptr<File>> from = storage_.open(path(index), FileMode::Read);
        if (!from.isOk()) return from.status();
        Result<std::unique_ptr<File>> into = storage_.create(temporary_, FileMode::Buffered);
        if (!into.isOk()) return into.status();
        status = writePrefix(*from.value(), prefixBytes, keepLength, *into.value());
    }
    if (!status.isOk()) {
        // The first failure is the answer; what is left goes at the next recovery.
        (void)storage_.remove(temporary_);
        return status;
    }
    VERBEX_RETURN_IF_FAILED(storage_.rename(temporary_, path(index)));
    return storage_.syncDirectory(directory_);
}

Status Truncation::writePrefix(File& from, uint64_t prefixBytes, bool keepLength, File& into) {
    AlignedBuffer buffer(std::min(kCopyBytes, prefixBytes));
    const auto read = [&](uint64_t at, std::span<std::byte> bytes) -> Status {
        Result<size_t> size = from.pread(at, bytes);
        if (!size.isOk()) return size.status();
        if (size.value() == bytes.size()) return {};
        return Status(StatusCode::IoError, "a segment became shorter while it was cut");
    };
    const auto block = buffer.bytes().first<kSegmentHeaderBytes>();
    VERBEX_RETURN_IF_FAILED(read(0, block));
    Result<SegmentHeader> header = decodeSegmentHeader(block);
    if (!header.isOk()) return header.status();
    SegmentHeader shorter = header.value();
    if (!keepLength) shorter.segmentBytes = kSegmentBytesMin;
    VERBEX_RETURN_IF_FAILED(into.preallocate(shorter.segmentBytes));
    encodeSegmentHeader(shorter, block);
    VERBEX_RETURN_IF_FAILED(into.pwrite(0, block));
    for (uint64_t at = kSegmentHeaderBytes; at < prefixBytes;) {
        const std::span<std::byte> bytes =
            buffer.bytes().first(std::min(buffer.size(), prefixBytes - at));
        VERBEX_RETURN_IF_FAILED(read(at, bytes));
        VERBEX_RETURN_IF_FAILED(into.pwrite(at, bytes));
        at += bytes.size();
    }
    return into.sync();
}

}  // namespace

Status truncateJournal(Storage& storage, const DirectoryLock&, const std::string& directory,
                       uint64_t to, uint64_t* droppedRecords) {
    if (droppedRecords != nullptr) *droppedRecords = 0;
    uint64_t dropped = 0;
    bool endsRecord = false;
    const RecordSink sink = [&](const RecordView& record) -> Status {
        endsRecord = endsRecord || record.lastPosition() == to;
        if (record.lastPosition() > to) ++dropped;
        return {};
    };
    // All of it, though only the end will change: a damaged journal is evidence and stays as it is.
    const RecoveryReport report = verifyJournal(storage, directory, {.fromPosition = 0}, sink);
    VERBEX_RETURN_IF_FAILED(report.status);
    if (to + 1 >= report.end.nextPosition) {
        // An earlier call may have failed just before the last names were durable.
        return report.end.file.empty() ? Status() : storage.syncDirectory(directory);
    }
    Result<std::vector<SegmentName>> segments = listSegments(storage, directory);
    if (!segments.isOk()) return segments.status();
    if (!endsRecord && to + 1 != segments.value().front().firstPosition) {
        return Status(StatusCode::InvalidArgument,
                      "no record of the journal in " + directory + " ends at position " +
                          std::to_string(to));
    }
    Truncation truncation(storage, directory, segments.take());
    Result<Cut> cut = truncation.find(to);
    if (!cut.isOk()) return cut.status();
    VERBEX_RETURN_IF_FAILED(truncation.perform(cut.value())
                                .within("cutting the journal in " + directory + " at position " +
                                        std::to_string(to)));
    if (droppedRecords != nullptr) *droppedRecords = dropped;
    return {};
}

}  // namespace verbex::journal
