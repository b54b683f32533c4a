// Where a log begins: recovery behind a snapshot, another beginning, pruning.
#include <algorithm>

#include "journal/recovery.h"
#include "journal/segment.h"
#include "replication/member_log.h"

namespace verbex::replication {

Status removeJournal(journal::Storage& storage, const std::string& directory) {
    Result<std::vector<std::string>> names = storage.list(directory);
    if (names.status().code() == StatusCode::NotFound) return {};
    if (!names.isOk()) return names.status();
    for (const std::string& name : names.value()) {
        if (!journal::parseSegmentFileName(name) && name != journal::kPreparedSegmentName) continue;
        VERBEX_RETURN_IF_FAILED(storage.remove(journal::joinPath(directory, name)));
    }
    return storage.syncDirectory(directory);
}

// Without a sink: again, after a cut; what the log's beginning was is known then.
Status MemberLog::recover(const EntrySink& sink) {
    journal::RecoveryOptions recovery;
    recovery.fromPosition = 0;
    const LogStart& start = options_.start;
    if (sink) {
        Result<std::vector<journal::SegmentName>> segments =
            journal::listSegments(storage_, options_.directory);
        if (!segments.isOk()) return segments.status();
        const Position first =
            segments.value().empty() ? start.position + 1 : segments.value().front().firstPosition;
        if (first > start.position + 1) {
            return Status(StatusCode::JournalDamaged,
                          "the log begins at position " + std::to_string(first) +
                              (start.position == 0
                                   ? ", and there is no sound snapshot of what was before"
                                   : ", and the newest sound snapshot is of position " +
                                         std::to_string(start.position)));
        }
        // One position earlier where that is kept, so that the record under the snapshot can be compared.
        recovery.fromPosition = first == start.position + 1 ? first : start.position;
        recovery.minimumPosition = start.minimum;
        last_ = start.position;
        ends_ = start.ends;
    }
    journal::RecoveryReport report = journal::recoverJournal(
        storage_, lock_, options_.directory, recovery,
        [&](const journal::RecordView& record) -> Status {
            if (!sink) return {};
            const LogEntry entry = entryOf(record);
            if (entry.header.first != last_ + 1) {
                const bool under = entry.header.last() == start.position && last_ == start.position;
                const bool same = record.epoch == epochAt(start.position) &&
                                  (start.recordDigest == Digest128{} ||
                                   start.recordDigest == record.digest);
                if (under && same) return {};
                return Status(StatusCode::SnapshotDamaged,
                              "the snapshot of position " + std::to_string(start.position) +
                                  " is of another log");
            }
            note(entry.header);
            remember(entry.header, entry.payload);
            return sink(entry);
        });
    if (!report.status.isOk()) return Status(report.status.code(), report.toString());
    return openWriter(report.end);
}

Status MemberLog::openWriter(const journal::JournalEnd& end) {
    journal::WriterOptions writer;
    writer.durability = journal::Durability::Async;  // made durable by syncNow()
    writer.segmentBytes = options_.segmentBytes;
    writer.journalId = options_.journalId;
    Result<std::unique_ptr<journal::JournalWriter>> opened =
        journal::JournalWriter::open(storage_, lock_, options_.directory, end, writer);
    if (!opened.isOk()) return opened.status();
    {
        const std::lock_guard guard(writerMutex_);
        writer_ = opened.take();
    }
    CHECK(writer_->nextPosition() == last_ + 1);
    Result<std::vector<journal::SegmentName>> segments =
        journal::listSegments(storage_, options_.directory);
    if (!segments.isOk()) return segments.status();
    first_.store(segments.value().front().firstPosition, std::memory_order_release);
    written_.store(last_, std::memory_order_release);
    durable_.store(last_, std::memory_order_release);
    return {};
}

Status MemberLog::restart(Position position, std::vector<EpochEnd> ends) {
    const std::lock_guard guard(syncMutex_);
    {
        const std::lock_guard pointer(writerMutex_);
        writer_.reset();
    }
    reader_.reset();
    read_.clear();
    tail_.clear();
    tailBytes_ = 0;
    last_ = position;
    ends_ = std::move(ends);
    first_.store(position + 1, std::memory_order_release);
    VERBEX_RETURN_IF_FAILED(removeJournal(storage_, options_.directory).within("giving up the log"));
    journal::JournalEnd end;
    end.nextPosition = position + 1;
    return openWriter(end);
}

Status MemberLog::prune(Position position, uint64_t historyBytes) {
    Result<std::vector<journal::SegmentName>> listed =
        journal::listSegments(storage_, options_.directory);
    if (!listed.isOk()) return listed.status();
    const std::vector<journal::SegmentName>& segments = listed.value();
    // So many stay for whoever wants to read what was.
    size_t keptFrom = segments.size();
    for (uint64_t bytes = 0; keptFrom > 0 && bytes < historyBytes; keptFrom--) {
        Result<std::unique_ptr<journal::File>> file = storage_.open(
            journal::joinPath(options_.directory, segments[keptFrom - 1].name), journal::FileMode::Read);
        if (!file.isOk()) return file.status();
        Result<uint64_t> size = file.value()->size();
        if (!size.isOk()) return size.status();
        bytes += size.value();
    }
    for (size_t i = 0; i + 1 < segments.size() && i < keptFrom; i++) {
        const Position next = segments[i + 1].firstPosition;
        if (next > position) break;
        // Readers are told before it goes. A cut, or another beginning, is waited for.
        const std::lock_guard guard(syncMutex_);
        if (writer() == nullptr || next <= first() || next > durable() + 1) continue;
        first_.store(next, std::memory_order_release);
        VERBEX_RETURN_IF_FAILED(journal::removeSegmentsBefore(storage_, options_.directory, next));
    }
    return {};
}

}  // namespace verbex::replication
