#include "replication/member_log.h"

#include <algorithm>

#include "base/crc32c.h"
#include "journal/truncation.h"

namespace verbex::replication {

namespace {

// How far a reader from disk reads ahead: at least one entry of the largest size.
constexpr Position kReadAhead = kBatchBytesMax / 64 * 2;

}  // namespace

LogEntry entryOf(const journal::RecordView& record) {
    LogEntry entry;
    entry.header.epoch = record.epoch;
    entry.header.first = record.position;
    entry.header.count = record.count;
    entry.header.payloadBytes = static_cast<uint32_t>(record.payload.size());
    entry.header.payloadCrc = crc32c(record.payload.data(), record.payload.size());
    entry.payload = record.payload;
    return entry;
}

MemberLog::MemberLog(journal::Storage& storage, const journal::DirectoryLock& lock,
                     const MemberLogOptions& options)
    : storage_(storage), lock_(lock), options_(options) {}

MemberLog::~MemberLog() = default;

namespace {

// There is no writer where a cut has failed half-way.
Status ended() { return Status(StatusCode::Closed, "the log could not be cut, and takes nothing more"); }

}  // namespace

Result<std::unique_ptr<MemberLog>> MemberLog::open(journal::Storage& storage,
                                                   const journal::DirectoryLock& lock,
                                                   const MemberLogOptions& options,
                                                   const EntrySink& sink) {
    std::unique_ptr<MemberLog> log(new MemberLog(storage, lock, options));
    if (Status made = storage.createDirectory(options.directory); !made.isOk()) return made;
    if (Status status = log->recover(sink); !status.isOk()) return status;
    return log;
}

std::shared_ptr<journal::JournalWriter> MemberLog::writer() const {
    const std::lock_guard guard(writerMutex_);
    return writer_;
}

// ---- the end

void MemberLog::note(const EntryHeader& header) {
    if (ends_.empty() || ends_.back().epoch != header.epoch) ends_.push_back({header.epoch, 0});
    ends_.back().last = last_ = header.last();
}

void MemberLog::remember(const EntryHeader& header, std::span<const std::byte> payload) {
    tail_.push_back({header, {payload.begin(), payload.end()}});
    bytesTaken_ += payload.size();
    tailBytes_ += payload.size() + sizeof(TailEntry);
    while (tailBytes_ > options_.tailBytes && tail_.size() > 1) {
        tailBytes_ -= tail_.front().payload.size() + sizeof(TailEntry);
        tail_.pop_front();
    }
}

Epoch MemberLog::epochAt(Position position) const {
    if (position == 0 || position > last_) return 0;
    const auto found =
        std::partition_point(ends_.begin(), ends_.end(),
                             [position](const EpochEnd& end) { return end.last < position; });
    return found->epoch;
}

// An epoch's entries come from one leader, one behind the other, so two logs that have entries of the
// same epoch are equal up to where the shorter one's end. The highest such epoch decides.
Position MemberLog::common(std::span<const EpochEnd> others) const {
    Position most = 0;
    for (const EpochEnd& mine : ends_) {
        for (const EpochEnd& other : others) {
            if (mine.epoch == other.epoch) most = std::max(most, std::min(mine.last, other.last));
        }
    }
    return most;
}

// ---- writing

Status MemberLog::append(const EntryHeader& header, std::span<const std::byte> payload) {
    CHECK(header.first == last_ + 1 && header.payloadBytes == payload.size());
    if (writer_ == nullptr) return ended();
    VERBEX_RETURN_IF_FAILED(
        writer_->append(header.epoch, header.first, header.count, payload));
    note(header);
    remember(header, payload);
    return {};
}

Status MemberLog::write() {
    if (written_.load(std::memory_order_relaxed) == last_) return {};
    if (writer_ == nullptr) return ended();
    VERBEX_RETURN_IF_FAILED(writer_->commit());
    written_.store(writer_->writtenPosition(), std::memory_order_release);
    return {};
}

Position MemberLog::written() const { return written_.load(std::memory_order_acquire); }

Position MemberLog::durable() const { return durable_.load(std::memory_order_acquire); }

bool MemberLog::syncWanted() const { return durable() < written(); }

Status MemberLog::syncNow() {
    const std::lock_guard guard(syncMutex_);
    const std::shared_ptr<journal::JournalWriter> current = writer();
    if (current == nullptr) return {};
    VERBEX_RETURN_IF_FAILED(current->syncWritten());
    durable_.store(current->durablePosition(), std::memory_order_release);
    return {};
}

bool MemberLog::prepareWanted() const {
    const std::shared_ptr<journal::JournalWriter> current = writer();
    return current != nullptr && !current->nextIsPrepared();
}

bool MemberLog::prepareDue() const {
    const std::shared_ptr<journal::JournalWriter> current = writer();
    return current != nullptr && current->nextIsDue() && !current->nextIsPrepared();
}

Status MemberLog::prepareNow() {
    const std::lock_guard guard(syncMutex_);
    const std::shared_ptr<journal::JournalWriter> current = writer();
    return current == nullptr ? Status() : current->prepareNext();
}

Status MemberLog::truncate(Position to) {
    if (to >= last_) return {};
    const std::lock_guard guard(syncMutex_);
    {
        const std::lock_guard pointer(writerMutex_);
        writer_.reset();
    }
    reader_.reset();
    read_.clear();
    VERBEX_RETURN_IF_FAILED(
        journal::truncateJournal(storage_, lock_, options_.directory, to).within("cutting the log"));
    while (!ends_.empty() && ends_.back().last > to) {
        const Position before = ends_.size() > 1 ? ends_[ends_.size() - 2].last : 0;
        if (before < to) {
            ends_.back().last = to;
        } else {
            ends_.pop_back();
        }
    }
    while (!tail_.empty() && tail_.back().header.last() > to) {
        tailBytes_ -= tail_.back().payload.size() + sizeof(TailEntry);
        tail_.pop_back();
    }
    last_ = to;
    return recover(nullptr);
}

Status MemberLog::close() {
    const std::lock_guard guard(syncMutex_);
    if (writer_ == nullptr) return ended();
    VERBEX_RETURN_IF_FAILED(writer_->close());
    durable_.store(last_, std::memory_order_release);
    return {};
}

// ---- reading

Status MemberLog::read(Position first, LogEntry& entry) {
    VERBEX_RETURN_IF_FAILED(readHolding(first, entry));
    if (entry.header.first == first) return {};
    return Status(StatusCode::NotFound, "no entry begins at position " + std::to_string(first));
}

Status MemberLog::readHolding(Position position, LogEntry& entry) {
    const auto findIn = [position, &entry](std::deque<TailEntry>& entries) {
        const auto found = std::partition_point(
            entries.begin(), entries.end(),
            [position](const TailEntry& each) { return each.header.last() < position; });
        if (found == entries.end() || found->header.first > position) return false;
        entry = {found->header, found->payload};
        return true;
    };
    if (findIn(tail_) || findIn(read_)) return {};
    const Status missing(StatusCode::NotFound,
                         "no entry holds position " + std::to_string(position));
    if (position < this->first() || position > written()) return missing;
    read_.clear();
    if (reader_ == nullptr || reader_->nextPosition() != position) {
        Result<std::unique_ptr<journal::JournalReader>> opened =
            journal::JournalReader::open(storage_, options_.directory, position);
        if (!opened.isOk()) return opened.status();
        reader_ = opened.take();
    }
    VERBEX_RETURN_IF_FAILED(reader_->readUpTo(
        std::min(written(), position + kReadAhead), [this](const journal::RecordView& record) {
            const LogEntry each = entryOf(record);
            read_.push_back({each.header, {each.payload.begin(), each.payload.end()}});
            return Status();
        }));
    return findIn(read_) ? Status() : missing;
}

Status MemberLog::readRange(Position from, Position to, const EntrySink& sink) {
    LogEntry entry;
    for (Position at = from; at <= to; at = entry.header.last() + 1) {
        VERBEX_RETURN_IF_FAILED(read(at, entry));
        VERBEX_RETURN_IF_FAILED(sink(entry));
    }
    return {};
}

}  // namespace verbex::replication
