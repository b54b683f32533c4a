#include "journal/writer.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"

namespace verbex::journal {

namespace {

constexpr uint64_t blockCeiling(uint64_t offset) { return blockFloor(offset + kBlockBytes - 1); }

// Room for one largest record beside the tail block and the padding of the last one.
constexpr uint64_t kStagingBytesMin =
    blockCeiling(recordBytes(kPayloadBytesMax)) + 2 * kBlockBytes;

uint64_t usableSegmentBytes(uint64_t asked) {
    return std::clamp(blockFloor(asked), kSegmentBytesMin, kSegmentBytesMax);
}

uint64_t usableStagingBytes(uint64_t asked, uint64_t segmentBytes) {
    return std::max(asked, std::min(kStagingBytesMin, segmentBytes + 2 * kBlockBytes));
}

}  // namespace

JournalWriter::JournalWriter(Storage& storage, std::string directory, const WriterOptions& options)
    : storage_(storage), directory_(std::move(directory)), options_(options),
      segmentBytes_(usableSegmentBytes(options.segmentBytes)) {}

Result<std::unique_ptr<JournalWriter>> JournalWriter::open(Storage& storage, const DirectoryLock&,
                                                           const std::string& directory,
                                                           const JournalEnd& end,
                                                           const WriterOptions& options) {
    std::unique_ptr<JournalWriter> writer(new JournalWriter(storage, directory, options));
    if (Status status = writer->start(end); !status.isOk()) {
        return status.within("opening the journal in " + directory + " for writing");
    }
    return writer;
}

Status JournalWriter::start(const JournalEnd& end) {
    CHECK(end.nextPosition > 0);
    nextPosition_ = end.nextPosition;
    epoch_ = end.epoch;
    writtenPosition_.store(nextPosition_ - 1, std::memory_order_release);
    durablePosition_.store(nextPosition_ - 1, std::memory_order_release);
    const uint64_t largestSegment = std::max(segmentBytes_, end.segmentBytes);
    staging_ = AlignedBuffer(usableStagingBytes(options_.stagingBytes, largestSegment));
    if (end.file.empty()) {
        VERBEX_RETURN_IF_FAILED(storage_.createDirectory(directory_));
        journalId_ = options_.journalId;
        digest_ = end.digest == Digest128{} ? chainStart(journalId_) : end.digest;
        std::unique_ptr<File> first;
        VERBEX_RETURN_IF_FAILED(makeSegment(nextPosition_, digest_, first));
        enter(std::move(first));
    } else {
        VERBEX_RETURN_IF_FAILED(continueSegment(end));
    }
    return stageAlone(kFlagOpened);
}

Status JournalWriter::continueSegment(const JournalEnd& end) {
    journalId_ = end.journalId;
    digest_ = end.digest;
    currentSegmentBytes_ = end.segmentBytes;
    const FileMode mode =
        options_.durability == Durability::Durable ? FileMode::Durable : FileMode::Buffered;
    Result<std::unique_ptr<File>> file = storage_.open(joinPath(directory_, end.file), mode);
    if (!file.isOk()) return file.status();
    file_ = file.take();
    AlignedBuffer block(kSegmentHeaderBytes);
    Result<size_t> head = file_->pread(0, block.bytes());
    if (!head.isOk()) return head.status();
    Result<SegmentHeader> header = decodeSegmentHeader(block.bytes().first<kSegmentHeaderBytes>());
    if (head.value() != kSegmentHeaderBytes || !header.isOk()) {
        return Status(StatusCode::JournalDamaged, end.file + " changed after it was recovered");
    }
    segmentFirst_ = header.value().firstPosition;
    segmentDigest_ = header.value().previousDigest;
    writtenEnd_ = stagedEnd_ = end.offset;
    stagingBase_ = blockFloor(end.offset);
    if (stagingBase_ == end.offset) return {};
    // The block that the next record shares with the last one.
    const std::span<std::byte> tail = staging_.bytes().first(kBlockBytes);
    Result<size_t> read = file_->pread(stagingBase_, tail);
    if (!read.isOk()) return read.status();
    const uint64_t used = end.offset - stagingBase_;
    if (read.value() != kBlockBytes || !isAllZero(tail.subspan(used))) {
        return Status(StatusCode::JournalDamaged,
                      end.file + " changed after it was recovered, at offset " +
                          std::to_string(end.offset));
    }
    return {};
}

Status JournalWriter::append(uint64_t epoch, uint64_t firstPosition, uint32_t count,
                             std::span<const std::byte> payload) {
    VERBEX_RETURN_IF_FAILED(standing());
    if (firstPosition != nextPosition_) {
        return Status(StatusCode::InvalidArgument,
                      "position " + std::to_string(firstPosition) + " offered where " +
                          std::to_string(nextPosition_) + " is next");
    }
    if (epoch < epoch_) {
        return Status(StatusCode::InvalidArgument, "epoch " + std::to_string(epoch) +
                                                       " offered after epoch " +
                                                       std::to_string(epoch_));
    }
    if (count == 0 || payload.empty()) {
        return Status(StatusCode::InvalidArgument, "a record needs commands and a payload");
    }
    const uint64_t bytesMax = payloadBytesMax(std::min(segmentBytes_, currentSegmentBytes_));
    if (payload.size() > bytesMax) {
        return Status(StatusCode::RecordTooLarge, "payload of " + std::to_string(payload.size()) +
                                                      " bytes; at most " +
                                                      std::to_string(bytesMax) + " fit");
    }
    return stage(0, epoch, count, payload);
}

Status JournalWriter::stage(uint16_t kind, uint64_t epoch, uint32_t count,
                            std::span<const std::byte> payload) {
    const uint64_t size = recordBytes(payload.size());
    // Each segment keeps room for its seal.
    if (kind != kFlagSealed && stagedEnd_ + size + sizeof(RecordHeader) > currentSegmentBytes_) {
        VERBEX_RETURN_IF_FAILED(roll());
    }
    if (stagedEnd_ + size - stagingBase_ > staging_.size()) VERBEX_RETURN_IF_FAILED(flush());
    CHECK(stagedEnd_ + size <= currentSegmentBytes_);
    CHECK(stagedEnd_ + size - stagingBase_ <= staging_.size());

    RecordHeader header;
    header.flags = kind;
    header.epoch = epoch;
    header.position = nextPosition_;
    header.count = count;
    header.durableMark = durablePosition_.load(std::memory_order_relaxed);
    header.previousDigest = digest_;
    digest_ = encodeRecord(header, payload, stagedEnd_,
                           staging_.bytes().subspan(stagedEnd_ - stagingBase_, size));
    stagedEnd_ += size;
    nextPosition_ += count;
    epoch_ = epoch;
    return {};
}

// A control record in a write of its own, durable on return: it lies in one sector, so a crash
// leaves it whole or leaves nothing of it.
Status JournalWriter::stageAlone(uint16_t kind) {
    VERBEX_RETURN_IF_FAILED(flush());
    VERBEX_RETURN_IF_FAILED(stage(kind, epoch_, 0, {}));
    VERBEX_RETURN_IF_FAILED(flush());
    return syncFile();
}

Status JournalWriter::flush() {
    VERBEX_RETURN_IF_FAILED(standing());
    if (stagedEnd_ == writtenEnd_) return {};
    // Direct transfers take whole blocks: the first is rewritten with the records it already held
    // (the same bytes, so that whichever of its sectors reach the disk, none of them changes), the
    // last is filled with the zeros that are there already.
    const uint64_t from = file_->direct() ? stagingBase_ : writtenEnd_;
    const uint64_t to = file_->direct() ? blockCeiling(stagedEnd_) : stagedEnd_;
    if (to > stagedEnd_) {
        std::memset(staging_.data() + (stagedEnd_ - stagingBase_), 0, to - stagedEnd_);
    }
    if (Status status =
            file_->pwrite(from, staging_.bytes().subspan(from - stagingBase_, to - from));
        !status.isOk()) {
        return poison(std::move(status));
    }
    writtenEnd_ = stagedEnd_;
    noteUse();
    writtenPosition_.store(nextPosition_ - 1, std::memory_order_release);
    const uint64_t base = blockFloor(stagedEnd_);
    if (base != stagingBase_) {
        std::memmove(staging_.data(), staging_.data() + (base - stagingBase_), stagedEnd_ - base);
        stagingBase_ = base;
    }
    if (options_.durability == Durability::Durable) {
        if (file_->durableWrites()) {
            raiseDurable(nextPosition_ - 1);
        } else {
            VERBEX_RETURN_IF_FAILED(syncFile());
        }
    }
    return {};
}

Status JournalWriter::syncFile() {
    const std::lock_guard syncing(syncMutex_);
    VERBEX_RETURN_IF_FAILED(standing());
    if (!file_->durableWrites()) {
        if (Status status = file_->sync(); !status.isOk()) return poison(std::move(status));
    }
    CHECK(writtenEnd_ == stagedEnd_);
    raiseDurable(nextPosition_ - 1);
    return {};
}

Status JournalWriter::syncWritten() {
    const std::lock_guard syncing(syncMutex_);
    VERBEX_RETURN_IF_FAILED(standing());
    std::shared_ptr<File> file;
    uint64_t written = 0;
    {
        // Together: all up to `written` lies in this file, or in segments that were left durable.
        const std::lock_guard guard(fileMutex_);
        file = file_;
        written = writtenPosition();
    }
    if (written == durablePosition()) return {};
    if (!file->durableWrites()) {
        if (Status status = file->sync(); !status.isOk()) return poison(std::move(status));
    }
    raiseDurable(written);
    return {};
}

// By whichever thread: a sync that began earlier must not take back what a later one has said.
void JournalWriter::raiseDurable(uint64_t position) {
    uint64_t known = durablePosition_.load(std::memory_order_relaxed);
    while (known < position &&
           !durablePosition_.compare_exchange_weak(known, position, std::memory_order_release,
                                                   std::memory_order_relaxed)) {
    }
}

Status JournalWriter::commit() { return flush(); }

Status JournalWriter::sync() {
    VERBEX_RETURN_IF_FAILED(flush());
    return syncFile();
}

// Leaves the segment: the successor exists durably before the seal says so, and the seal (with
// everything before it) is durable before the successor gets its first record. One that has nothing
// but marks in it, of starts without a command between them, would have a successor of its own name:
// it is begun again instead, from the same digest.
Status JournalWriter::roll() {
    if (segmentFirst_ == nextPosition_) {
        std::unique_ptr<File> again;
        VERBEX_RETURN_IF_FAILED(makeSegment(nextPosition_, segmentDigest_, again));
        digest_ = segmentDigest_;
        enter(std::move(again));
        return {};
    }
    VERBEX_RETURN_IF_FAILED(flush());
    VERBEX_RETURN_IF_FAILED(stage(kFlagSealed, epoch_, 0, {}));
    std::unique_ptr<File> next;
    VERBEX_RETURN_IF_FAILED(makeSegment(nextPosition_, digest_, next));
    VERBEX_RETURN_IF_FAILED(flush());
    VERBEX_RETURN_IF_FAILED(syncFile());
    enter(std::move(next));
    return {};
}

// A segment that has just been made, behind digest_.
void JournalWriter::enter(std::unique_ptr<File> segment) {
    {
        const std::lock_guard guard(fileMutex_);
        file_ = std::move(segment);
    }
    currentSegmentBytes_ = segmentBytes_;
    segmentFirst_ = nextPosition_;
    segmentDigest_ = digest_;
    stagingBase_ = writtenEnd_ = stagedEnd_ = kSegmentHeaderBytes;
    noteUse();
}

void JournalWriter::noteUse() {
    constexpr uint64_t kDueFraction = 8;
    const bool due = writtenEnd_ - kSegmentHeaderBytes >= currentSegmentBytes_ / kDueFraction;
    if (due != nextIsDue()) nextDue_.store(due, std::memory_order_release);
}

Status JournalWriter::makeSegment(uint64_t firstPosition, const Digest128& previousDigest,
                                  std::unique_ptr<File>& file) {
    const std::lock_guard guard(prepareMutex_);
    VERBEX_RETURN_IF_FAILED(standing());
    if (prepared_ == nullptr) {
        if (Status status = prepareLocked(); !status.isOk()) return poison(std::move(status));
    }
    SegmentHeader header;
    header.journalId = journalId_;
    header.firstPosition = firstPosition;
    header.segmentBytes = segmentBytes_;
    header.previousDigest = previousDigest;
    AlignedBuffer block(kSegmentHeaderBytes);
    encodeSegmentHeader(header, block.bytes().first<kSegmentHeaderBytes>());
    Status status = prepared_->pwrite(0, block.bytes());
    if (status.isOk() && !prepared_->durableWrites()) status = prepared_->sync();
    if (status.isOk()) {
        status = storage_.rename(joinPath(directory_, std::string(kPreparedSegmentName)),
                                 joinPath(directory_, segmentFileName(firstPosition)));
    }
    if (status.isOk()) status = storage_.syncDirectory(directory_);
    if (!status.isOk()) return poison(std::move(status));
    file = std::move(prepared_);
    return {};
}

Status JournalWriter::prepareLocked() {
    const std::string path = joinPath(directory_, std::string(kPreparedSegmentName));
    const FileMode mode =
        options_.durability == Durability::Durable ? FileMode::Durable : FileMode::Buffered;
    Status status;
    {
        // Zeroed through the page cache: one pass of large writes and one sync.
        Result<std::unique_ptr<File>> file = storage_.create(path, FileMode::Buffered);
        if (!file.isOk()) return file.status();
        status = file.value()->preallocate(segmentBytes_);
    }
    if (!status.isOk()) {
        // Half a file must not stand in the way of the next attempt.
        if (Status removed = storage_.remove(path); !removed.isOk()) return removed;
        return status;
    }
    Result<std::unique_ptr<File>> file = storage_.open(path, mode);
    if (!file.isOk()) return file.status();
    prepared_ = file.take();
    return {};
}

Status JournalWriter::prepareNext() {
    const std::lock_guard guard(prepareMutex_);
    VERBEX_RETURN_IF_FAILED(standing());
    if (prepared_ != nullptr) return {};
    Status status = prepareLocked();
    if (status.isOk() || status.code() == StatusCode::NoSpace) return status;
    return poison(std::move(status));
}

bool JournalWriter::nextIsPrepared() const {
    const std::lock_guard guard(prepareMutex_);
    return prepared_ != nullptr;
}

Status JournalWriter::removeSegmentsBefore(uint64_t position) {
    VERBEX_RETURN_IF_FAILED(standing());
    Status status = journal::removeSegmentsBefore(storage_, directory_, position);
    return status.isOk() ? status : poison(std::move(status));
}

Status JournalWriter::close() {
    VERBEX_RETURN_IF_FAILED(sync());
    VERBEX_RETURN_IF_FAILED(stageAlone(kFlagClosed));
    // A sync of another thread ends before the disk is left alone.
    const std::lock_guard syncing(syncMutex_);
    const std::lock_guard guard(prepareMutex_);
    if (prepared_ != nullptr) {
        prepared_.reset();
        Status status =
            storage_.remove(joinPath(directory_, std::string(kPreparedSegmentName)));
        if (!status.isOk()) return poison(std::move(status));
    }
    {
        const std::lock_guard leaving(fileMutex_);
        file_.reset();
    }
    (void)poison(Status(StatusCode::Closed, "the journal writer is closed"));
    return {};
}

Status JournalWriter::standing() const {
    if (!failed_.load(std::memory_order_acquire)) [[likely]] return {};
    const std::lock_guard guard(failureMutex_);
    return failure_;
}

Status JournalWriter::poison(Status failure) {
    const std::lock_guard guard(failureMutex_);
    if (failure_.isOk()) failure_ = std::move(failure);
    failed_.store(true, std::memory_order_release);
    return failure_;
}

}  // namespace verbex::journal
