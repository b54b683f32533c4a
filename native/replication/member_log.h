// MemberLog: a member's log: its journal, the end of it in memory, and where each epoch ends.
//
// Purpose: appends entries, says how far they are written and durable, gives any range to whoever is
// behind (the store: from memory, then from disk), and cuts what another log has not.
// Owner: Member.
// Thread safety: one thread, except syncWanted(), syncNow(), prepareWanted(), prepareDue() and prepareNow(), which
// one other thread may call at any time, also while the owner truncates.
// Invariants:
//   1. Entries follow one another without gaps, epochs never fall; what is refused changes nothing.
//   2. After a failed write or sync everything answers that failure, for ever.
//   3. An entry is one record of the journal on every member, so cuts lie between records.
// Requires: the data directory's lock is taken here, by open().
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "journal/reader.h"
#include "journal/storage.h"
#include "journal/writer.h"
#include "replication/frames.h"

namespace verbex::replication {

struct LogEntry {
    EntryHeader header;
    std::span<const std::byte> payload;
};

// What a snapshot says about the log that it stands for; position 0: there is none, the log begins at 1.
struct LogStart {
    Position position = 0;
    std::vector<EpochEnd> ends;   // of the epochs up to there
    Digest128 recordDigest;       // of the journal's record that ends there; zero: another member's
    Position minimum = 0;         // the journal is known to have reached so far
};

[[nodiscard]] LogEntry entryOf(const journal::RecordView& record);
// All segments go, durably. Requires: no log is open there.
Status removeJournal(journal::Storage& storage, const std::string& directory);

struct MemberLogOptions {
    std::string directory;      // of the journal
    LogStart start;
    uint64_t segmentBytes = journal::kSegmentBytesDefault;
    uint64_t tailBytes = 64u << 20;
    journal::JournalId journalId;  // of a new one
};

class MemberLog {
public:
    using EntrySink = std::function<Status(const LogEntry&)>;

    // Verifies the journal and hands out every entry behind options.start. `lock`: of the data directory.
    static Result<std::unique_ptr<MemberLog>> open(journal::Storage& storage,
                                                   const journal::DirectoryLock& lock,
                                                   const MemberLogOptions& options,
                                                   const EntrySink& sink);
    ~MemberLog();
    MemberLog(const MemberLog&) = delete;
    MemberLog& operator=(const MemberLog&) = delete;

    // ---- the end
    [[nodiscard]] Position last() const { return last_; }
    [[nodiscard]] Epoch lastEpoch() const { return ends_.empty() ? 0 : ends_.back().epoch; }
    // Of every epoch since the cluster began, also where the entries are not kept any more.
    [[nodiscard]] const std::vector<EpochEnd>& ends() const { return ends_; }
    // Payload bytes of the entries taken since this log was opened, and of those behind options.start that
    // it had then. It only grows: what was cut is counted too.
    [[nodiscard]] uint64_t bytesTaken() const { return bytesTaken_; }
    // The first position that is kept. Any thread.
    [[nodiscard]] Position first() const { return first_.load(std::memory_order_acquire); }
    // The epoch of the entry that holds this position; 0 where there is none.
    [[nodiscard]] Epoch epochAt(Position position) const;
    // The last position that this log has in common with one that ends its epochs so.
    [[nodiscard]] Position common(std::span<const EpochEnd> others) const;

    // ---- writing
    // Stages it. `header.first` must be last() + 1.
    Status append(const EntryHeader& header, std::span<const std::byte> payload);
    // Writes what is staged: writtenPosition() follows.
    Status write();
    [[nodiscard]] Position written() const;
    [[nodiscard]] Position durable() const;
    // Something was written and is not durable.
    [[nodiscard]] bool syncWanted() const;
    Status syncNow();
    // No next segment is ready; it is due once an eighth of this one is used.
    [[nodiscard]] bool prepareWanted() const;
    [[nodiscard]] bool prepareDue() const;
    Status prepareNow();
    // Drops everything behind `to`, durably. Requires: `to` ends an entry.
    Status truncate(Position to);
    // Durable, with the closing record.
    Status close();

    // ---- its beginning: member_log_start.cpp
    // Drops everything, durably: the log is empty, and begins behind `position`. A crash in the midst of it leaves
    // some of the old log: whoever calls this has noted that nothing of it counts.
    Status restart(Position position, std::vector<EpochEnd> ends);
    // Removes whole segments of entries before `position`, as long as the others have `historyBytes` together. Any
    // thread, also beside the owner's work.
    Status prune(Position position, uint64_t historyBytes);

    // ---- reading
    // The entry that begins at `first`, from memory or disk; NotFound where there is none such. The payload
    // is valid until the next call of any function here.
    Status read(Position first, LogEntry& entry);
    // The same for the entry that holds `position`, wherever it begins.
    Status readHolding(Position position, LogEntry& entry);
    // All entries from the one that begins at `from` on, up to the one that ends at `to`.
    Status readRange(Position from, Position to, const EntrySink& sink);

private:
    MemberLog(journal::Storage& storage, const journal::DirectoryLock& lock,
              const MemberLogOptions& options);
    Status recover(const EntrySink& sink);
    Status openWriter(const journal::JournalEnd& end);
    void remember(const EntryHeader& header, std::span<const std::byte> payload);
    void note(const EntryHeader& header);
    [[nodiscard]] std::shared_ptr<journal::JournalWriter> writer() const;

    struct TailEntry {
        EntryHeader header;
        std::vector<std::byte> payload;
    };

    journal::Storage& storage_;
    const journal::DirectoryLock& lock_;
    const MemberLogOptions options_;
    Position last_ = 0;
    std::vector<EpochEnd> ends_;
    uint64_t bytesTaken_ = 0;
    std::deque<TailEntry> tail_;  // the last entries, without gaps
    uint64_t tailBytes_ = 0;
    std::unique_ptr<journal::JournalReader> reader_;  // where the last reader from disk is
    std::deque<TailEntry> read_;                      // what it has read ahead

    mutable std::mutex writerMutex_;  // the pointer, not what it points to
    std::shared_ptr<journal::JournalWriter> writer_;
    std::mutex syncMutex_;  // held over a sync: truncate() waits for it
    std::atomic<Position> first_{1};
    std::atomic<Position> written_{0};
    std::atomic<Position> durable_{0};
};

}  // namespace verbex::replication
