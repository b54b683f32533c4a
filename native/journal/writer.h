// The journal's only writer.
//
// Purpose: copies encoded batches into an aligned staging buffer and writes everything staged with
// one call (group commit).
// Owner: the journal stage of the pipeline (one thread).
// Thread safety: every method belongs to the owning thread, except prepareNext(), nextIsDue(),
// syncWritten(), writtenPosition(), durablePosition() and failed(), which any thread may call.
// Invariants:
//   1. Acknowledged is what commit() (durable) or sync() (async) answered ok for; nothing else.
//   2. durablePosition() ≤ writtenPosition() < nextPosition(); none of them ever moves back.
//   3. After one failed write, sync, create or rename the writer is poisoned for ever: every later
//      call answers that first failure, and the disk is not touched again.
//   4. Bytes that were durable are only ever rewritten with the same bytes (the shared tail block).
//   5. A segment is left only when all of it, its seal included, is durable, in both modes.
//   6. One sync of the journal at a time, and its failure is remembered before the next may begin:
//      the operating system tells a failed sync once, to whoever asks first.
// Requires: the data directory's lock, held longer than the writer; a JournalEnd that
// recoverJournal returned for this directory in this process.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>

#include "base/status.h"
#include "journal/aligned_buffer.h"
#include "journal/recovery.h"
#include "journal/segment.h"
#include "journal/storage.h"

namespace verbex::journal {

enum class Durability : uint8_t {
    Async,    // commit() hands the bytes to the operating system; sync() makes them durable
    Durable,  // commit() returns when the bytes are durable
};

inline constexpr uint64_t kStagingBytesDefault = 4u << 20;

struct WriterOptions {
    Durability durability = Durability::Durable;
    uint64_t segmentBytes = kSegmentBytesDefault;
    uint64_t stagingBytes = kStagingBytesDefault;  // raised to hold one largest record
    JournalId journalId = {};                      // of a journal that does not exist yet
};

class JournalWriter {
public:
    // For a journal that does not exist yet `end.nextPosition` names the first position (and
    // `end.digest`, if not zero, the digest that a snapshot from elsewhere recorded).
    static Result<std::unique_ptr<JournalWriter>> open(Storage& storage, const DirectoryLock& lock,
                                                       const std::string& directory,
                                                       const JournalEnd& end,
                                                       const WriterOptions& options);
    ~JournalWriter() = default;  // without close(): as a crash, only that staged bytes are dropped
    JournalWriter(const JournalWriter&) = delete;
    JournalWriter& operator=(const JournalWriter&) = delete;

    // Stages one record. InvalidArgument (gap, falling epoch, no commands) and RecordTooLarge
    // refuse the call and change nothing; other failures poison.
    Status append(uint64_t epoch, uint64_t firstPosition, uint32_t count,
                  std::span<const std::byte> payload);
    // Writes everything staged with one write.
    Status commit();
    // Commits and makes everything written durable, in either mode.
    Status sync();
    // Makes durable what had been written when it began, while the owner goes on writing; the
    // durable position follows. Costs nothing where all of it is durable already. Any thread.
    Status syncWritten();
    // Makes everything durable and leaves the closing record. The writer answers Closed afterwards.
    Status close();
    // Prepares the next segment so that the writer need not; a no-op where one is ready. NoSpace is
    // answered without poisoning: the current segment still has its room. Any thread.
    Status prepareNext();
    [[nodiscard]] bool nextIsPrepared() const;
    // Whether an eighth of the segment is used: whoever prepares begins now, with time to spare. Not
    // earlier, since a segment is written once for its zeros, and most that start never fill one.
    [[nodiscard]] bool nextIsDue() const { return nextDue_.load(std::memory_order_acquire); }
    // See segment.h. Any thread.
    Status removeSegmentsBefore(uint64_t position);

    [[nodiscard]] uint64_t nextPosition() const { return nextPosition_; }
    [[nodiscard]] uint64_t epoch() const { return epoch_; }
    [[nodiscard]] Digest128 digest() const { return digest_; }  // of the last staged record
    [[nodiscard]] JournalId journalId() const { return journalId_; }
    [[nodiscard]] uint64_t writtenPosition() const {
        return writtenPosition_.load(std::memory_order_acquire);
    }
    [[nodiscard]] uint64_t durablePosition() const {
        return durablePosition_.load(std::memory_order_acquire);
    }
    [[nodiscard]] bool failed() const { return failed_.load(std::memory_order_acquire); }
    // False in durable mode: the file system refused O_DIRECT, writes are O_DSYNC only.
    [[nodiscard]] bool directIo() const { return file_ != nullptr && file_->direct(); }
    [[nodiscard]] uint64_t segmentOffset() const { return stagedEnd_; }
    [[nodiscard]] uint64_t segmentBytes() const { return currentSegmentBytes_; }

private:
    JournalWriter(Storage& storage, std::string directory, const WriterOptions& options);

    Status start(const JournalEnd& end);
    Status continueSegment(const JournalEnd& end);
    Status makeSegment(uint64_t firstPosition, const Digest128& previousDigest,
                       std::unique_ptr<File>& file);
    Status prepareLocked();
    Status stage(uint16_t kind, uint64_t epoch, uint32_t count, std::span<const std::byte> payload);
    Status stageAlone(uint16_t kind);
    Status roll();
    void enter(std::unique_ptr<File> segment);
    Status flush();
    Status syncFile();
    void raiseDurable(uint64_t position);
    Status standing() const;          // the first failure, or ok
    Status poison(Status failure);    // keeps the first failure
    void noteUse();

    Storage& storage_;
    const std::string directory_;
    const WriterOptions options_;
    const uint64_t segmentBytes_;
    JournalId journalId_;

    // The owner's. It changes it under fileMutex_, so that syncWritten() may read it there, and keeps
    // a file alive that the owner has left meanwhile.
    std::shared_ptr<File> file_;
    std::mutex fileMutex_;
    std::mutex syncMutex_;  // see invariant 6; taken before the others
    uint64_t currentSegmentBytes_ = 0;
    uint64_t segmentFirst_ = 0;   // what the current segment's header says
    Digest128 segmentDigest_;
    AlignedBuffer staging_;
    uint64_t stagingBase_ = 0;  // file offset of staging_[0]; a multiple of kBlockBytes
    uint64_t writtenEnd_ = 0;   // file offset up to which records were written
    uint64_t stagedEnd_ = 0;    // file offset up to which records were staged

    uint64_t nextPosition_ = 1;
    uint64_t epoch_ = 0;
    Digest128 digest_;
    std::atomic<uint64_t> writtenPosition_{0};
    std::atomic<uint64_t> durablePosition_{0};

    std::atomic<bool> nextDue_{false};
    std::atomic<bool> failed_{false};
    mutable std::mutex failureMutex_;
    Status failure_;

    mutable std::mutex prepareMutex_;
    std::unique_ptr<File> prepared_;  // zeroed and durable, under kPreparedSegmentName
};

}  // namespace verbex::journal
