#include "journal/recovery.h"

#include <algorithm>

#include "base/check.h"
#include "journal/aligned_buffer.h"
#include "journal/scan.h"

namespace verbex::journal {

namespace {

constexpr uint64_t kTransferBytes = 1u << 20;

Status removeLeftovers(Storage& storage, const std::string& directory) {
    Result<std::vector<std::string>> names = storage.list(directory);
    if (!names.isOk()) {
        if (names.status().code() == StatusCode::NotFound) return {};
        return names.status();
    }
    for (const std::string& name : names.value()) {
        if (name == kPreparedSegmentName) {
            VERBEX_RETURN_IF_FAILED(storage.remove(joinPath(directory, name)));
        }
    }
    return {};
}

Status writeZeros(File& file, uint64_t from, uint64_t to) {
    AlignedBuffer zeros(std::min(kTransferBytes, to - from));
    for (uint64_t at = from; at < to;) {
        const uint64_t size = std::min(zeros.size(), to - at);
        VERBEX_RETURN_IF_FAILED(file.pwrite(at, zeros.bytes().first(size)));
        at += size;
    }
    return {};
}

// Writes what was read. After a failed sync the page cache may hold bytes that the disk does not
// and that count as clean, so another sync alone would prove nothing.
Status rewrite(File& file, uint64_t from, uint64_t to) {
    AlignedBuffer buffer(std::min(kTransferBytes, to - from));
    for (uint64_t at = from; at < to;) {
        const uint64_t size = std::min(buffer.size(), to - at);
        const std::span<std::byte> bytes = buffer.bytes().first(size);
        Result<size_t> read = file.pread(at, bytes);
        if (!read.isOk()) return read.status();
        if (read.value() != size) {
            return Status(StatusCode::IoError, "a segment became shorter during recovery");
        }
        VERBEX_RETURN_IF_FAILED(file.pwrite(at, bytes));
        at += size;
    }
    return {};
}

// Changes a segment durably.
template <typename Change>
Status inSegment(Storage& storage, const std::string& directory, const std::string& name,
                 Change change) {
    Result<std::unique_ptr<File>> file =
        storage.open(joinPath(directory, name), FileMode::Buffered);
    if (!file.isOk()) return file.status();
    VERBEX_RETURN_IF_FAILED(change(*file.value()));
    return file.value()->sync();
}

Status repair(Storage& storage, const std::string& directory, const ScanOutcome& outcome) {
    VERBEX_RETURN_IF_FAILED(removeLeftovers(storage, directory));
    const RecoveryReport& report = outcome.report;
    if (report.end.file.empty()) return {};
    if (!outcome.emptySuccessor.empty()) {
        VERBEX_RETURN_IF_FAILED(storage.remove(joinPath(directory, outcome.emptySuccessor)));
    }
    VERBEX_RETURN_IF_FAILED(storage.syncDirectory(directory));
    if (report.torn) {
        VERBEX_RETURN_IF_FAILED(inSegment(storage, directory, report.torn->file, [&](File& file) {
            return writeZeros(file, report.torn->offset, outcome.tornEnd);
        }));
    }
    if (!outcome.unsettledFile.empty()) {
        VERBEX_RETURN_IF_FAILED(
            inSegment(storage, directory, outcome.unsettledFile, [&](File& file) {
                return rewrite(file, outcome.unsettledOffset, outcome.unsettledEnd);
            }));
    }
    return {};
}

}  // namespace

RecoveryReport recoverJournal(Storage& storage, const DirectoryLock&, const std::string& directory,
                              const RecoveryOptions& options, const RecordSink& sink) {
    ScanOutcome outcome = JournalScan(storage, directory, options, sink).run();
    if (outcome.report.status.isOk()) {
        outcome.report.status =
            repair(storage, directory, outcome).within("repairing the journal's end");
    }
    return std::move(outcome.report);
}

RecoveryReport verifyJournal(Storage& storage, const std::string& directory,
                             const RecoveryOptions& options, const RecordSink& sink) {
    return JournalScan(storage, directory, options, sink).run().report;
}

std::string RecoveryReport::toString() const {
    std::string text = status.toString();
    if (!status.isOk()) return text;
    text += ": " + std::to_string(records) + " records, " + std::to_string(commands) +
            " commands, positions " + std::to_string(firstPosition) + " to " +
            std::to_string(lastPosition) + ", epochs " + std::to_string(firstEpoch) + " to " +
            std::to_string(lastEpoch) + ", " + std::to_string(segments) + " segments, " +
            (cleanlyClosed ? "cleanly closed" : "not closed") + ", digest " + end.digest.hex();
    if (torn) {
        text += "; torn tail of " + std::to_string(tornBytes) + " bytes (" +
                std::to_string(droppedRecords) + " whole records in it) cut at " + torn->file +
                "+" + std::to_string(torn->offset) + ": " + torn->what;
    }
    return text;
}

}  // namespace verbex::journal
