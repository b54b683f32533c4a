#include "gateway/message_store.h"

#include <dirent.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <deque>
#include <filesystem>
#include <optional>

#include "gateway/store_recovery.h"
#include "gateway/store_sessions.h"
#include "gateway/store_state.h"

namespace verbex::gateway::store {

namespace {

struct StoredFile {
    uint32_t number;
    uint64_t bytes;
};

uint64_t drawSalt() {
    uint64_t salt = 0;
    while (salt == 0) {
        if (::getrandom(&salt, sizeof(salt), 0) != sizeof(salt)) salt = 0;
    }
    return salt;
}

Result<std::deque<StoredFile>> listFiles(const std::string& directory) {
    std::deque<StoredFile> files;
    DIR* entries = ::opendir(directory.c_str());
    if (entries == nullptr) return systemFailure(errno, "opendir", directory);
    while (const dirent* entry = ::readdir(entries)) {
        const uint32_t number = segmentNumber(entry->d_name);
        if (number == 0) continue;
        struct stat facts = {};
        if (::stat((directory + "/" + entry->d_name).c_str(), &facts) != 0) continue;
        files.push_back({number, static_cast<uint64_t>(facts.st_size)});
    }
    ::closedir(entries);
    std::sort(files.begin(), files.end(),
              [](const StoredFile& a, const StoredFile& b) { return a.number < b.number; });
    return files;
}

class SegmentedStore final : public MessageStore {
public:
    explicit SegmentedStore(const MessageStoreOptions& options) : options_(options) {
        for (uint32_t i = 0; i <= options.sessionsMax; ++i) sessions_.emplace_back(log_, pool_);
    }

    Status open(const std::function<void(const StoredRecord&)>& visit) {
        if (!options_.directory.empty()) VERBEX_RETURN_IF_FAILED(recover(visit));
        if (log_.segments.empty()) return beginLog();
        return {};
    }

    std::byte* claimOut(uint16_t session, size_t payloadBytes, const EventPlace& place,
                        uint64_t timeNs) override {
        CHECK(session != 0 && session <= options_.sessionsMax);
        RecordHeader* record = claim(payloadBytes);
        if (record == nullptr) return nullptr;
        record->session = session;
        record->kind = static_cast<uint8_t>(RecordKind::Out);
        record->sequence = sessions_[session].count() + 1;
        record->position = place.position;
        record->index = place.index;
        record->timeNs = timeNs;
        record->before = sessions_[session].bytes();
        const auto length = static_cast<uint16_t>(payloadBytes + 1);
        record->frame[0] = static_cast<uint8_t>(length >> 8);
        record->frame[1] = static_cast<uint8_t>(length);
        record->frame[2] = static_cast<uint8_t>(session::Packet::Sequenced);
        return payloadOf(record);
    }

    void commit(bool last) override {
        RecordHeader* record = claimed_;
        CHECK(record != nullptr);
        record->flags = last ? kRecordLast : 0;
        open_ = !last;
        const RecordId place = release();
        sessions_[record->session].append(record, place);
        if (last && record->index != kOwnIndex) delivered_ = {record->position, record->index};
    }

    Status appendIn(uint16_t session, uint32_t reference, uint64_t timeNs,
                    std::span<const std::byte> message) override {
        if (message.size() > kPayloadBytesMax) {
            return Status(StatusCode::RecordTooLarge,
                          "a message of " + std::to_string(message.size()) + " bytes");
        }
        RecordHeader* record = claim(message.size());
        if (record == nullptr) return status_;
        record->session = session;
        record->kind = static_cast<uint8_t>(RecordKind::In);
        record->sequence = reference;
        record->position = delivered_.position;
        record->index = delivered_.index;
        record->timeNs = timeNs;
        if (!message.empty()) std::memcpy(payloadOf(record), message.data(), message.size());
        release();
        return {};
    }

    Status beginDay(Position position) override {
        VERBEX_RETURN_IF_FAILED(appendDay(position));
        for (StoredSession& session : sessions_) session.beginDay();
        VERBEX_RETURN_IF_FAILED(fail(log_.segments.back().sync()));
        return trim();
    }

    void visitDay(const std::function<void(const StoredRecord&)>& visit) const override {
        // In memory the day's beginning may be gone.
        uint64_t offset = segmentOf(dayRecord_) < log_.first ? sizeof(SegmentHeader)
                                                             : offsetOf(dayRecord_);
        for (uint32_t number = std::max(segmentOf(dayRecord_), log_.first); number <= lastNumber();
             ++number) {
            const Segment& segment = log_.segments[number - log_.first];
            const uint64_t end = number == lastNumber()
                                     ? end_
                                     : log_.segments[number + 1 - log_.first].header().previousEnd;
            while (offset < end) {
                const RecordHeader* record = segment.record(offset);
                visit(storedRecord(*record));
                offset += paddedBytes(record->length);
            }
            offset = sizeof(SegmentHeader);
        }
    }

    session::Outbound& outbound(uint16_t session) override {
        CHECK(session <= options_.sessionsMax);
        return sessions_[session];
    }

    bool seek(uint16_t session, uint32_t sequence, session::OutboundCursor& cursor) override {
        return session <= options_.sessionsMax && sessions_[session].seek(sequence, cursor);
    }

    uint32_t nextSequence(uint16_t session) const override {
        CHECK(session <= options_.sessionsMax);
        return sessions_[session].count() + 1;
    }

    Position dayStart() const override { return dayStart_; }

    session::SessionName sessionName() const override {
        char text[16];
        std::snprintf(text, sizeof(text), "%09llX%c",
                      static_cast<unsigned long long>(dayStart_ & 0xf'ffff'ffffULL),
                      static_cast<char>('A' + generation_ % 26));
        session::SessionName name;
        std::copy_n(text, name.size(), name.begin());
        return name;
    }

    EventPlace delivered() const override { return delivered_; }
    void noteDelivered(const EventPlace& place) override {
        if (delivered_ < place) delivered_ = place;
    }

    Status sync() override {
        VERBEX_RETURN_IF_FAILED(status_);
        for (const Segment& segment : log_.segments) {
            if (segment.header().number < unsynced_) continue;
            VERBEX_RETURN_IF_FAILED(fail(segment.sync()));
        }
        unsynced_ = lastNumber();
        return {};
    }

    Status close() override {
        if (options_.directory.empty() || closed_) return {};
        VERBEX_RETURN_IF_FAILED(sync());
        StoreState state{boot_, generation_, true, completeEnd_};
        VERBEX_RETURN_IF_FAILED(writeState(options_.directory, state));
        closed_ = true;
        // Nothing is written from here on: another may open the directory, though this one is still read.
        lock_ = StoreLock();
        status_ = Status(StatusCode::Closed, "the message store is closed");
        return {};
    }

    Status status() const override { return status_; }
    uint64_t bytes() const override { return bytes_; }

private:
    Status recover(const std::function<void(const StoredRecord&)>& visit) {
        std::error_code error;
        std::filesystem::create_directories(options_.directory, error);
        if (error) return systemFailure(error.value(), "mkdir", options_.directory);
        Result<StoreLock> lock = StoreLock::take(options_.directory);
        if (!lock.isOk()) return lock.status();
        lock_ = lock.take();
        Result<std::optional<StoreState>> state = readState(options_.directory);
        if (!state.isOk()) return state.status();
        Result<std::deque<StoredFile>> files = listFiles(options_.directory);
        if (!files.isOk()) return files.status();
        files_ = files.take();
        if (!state.value().has_value() && !files_.empty()) {
            return Status(StatusCode::JournalDamaged,
                          options_.directory + "/state is missing: the generation is not known");
        }
        const StoreState before = state.value().value_or(StoreState{});
        boot_ = options_.bootId.empty() ? currentBoot() : options_.bootId;
        const bool stopped = state.value().has_value() && !before.clean &&
                             (before.boot != boot_ || boot_.empty());
        generation_ = before.generation + (stopped ? 1 : 0);
        VERBEX_RETURN_IF_FAILED(recoverSegments(before, stopped, visit));
        return writeState(options_.directory, StoreState{boot_, generation_, false, 0});
    }

    Status recoverSegments(const StoreState& before, bool stopped,
                           const std::function<void(const StoredRecord&)>& visit) {
        std::deque<uint32_t> numbers;
        for (const StoredFile& file : files_) numbers.push_back(file.number);
        const RecoveryOptions options{options_.directory, stopped,
                                      before.clean ? before.end : 0, options_.eventsShared};
        Result<RecoveredLog> recovered = recoverLog(options, numbers);
        if (!recovered.isOk()) return recovered.status();
        RecoveredLog log = recovered.take();
        if (log.segments.empty()) {
            // Numbers are not used again: a record of the old files can't be taken for a new one.
            nextNumber_ = numbers.empty() ? 1 : numbers.back() + 1;
            files_.clear();
            return {};
        }
        log_.first = log.segments.front().header().number;
        log_.segments = std::move(log.segments);
        while (files_.back().number > lastNumber()) files_.pop_back();
        nextNumber_ = lastNumber() + 1;
        unsynced_ = log_.first;
        end_ = log.end;
        completeEnd_ = recordId(lastNumber(), end_);
        VERBEX_RETURN_IF_FAILED(rebuild(log.dayRecord, visit));
        fillPool();  // for the part of the last segment that is reserved already
        return trim();
    }

    // The day's records once more: counts, chains, index; and whoever wants to see them.
    Status rebuild(RecordId from, const std::function<void(const StoredRecord&)>& visit) {
        uint64_t offset = offsetOf(from);
        for (uint32_t number = segmentOf(from); number <= lastNumber(); ++number) {
            const Segment& segment = log_.segments[number - log_.first];
            const uint64_t end = number == lastNumber()
                                     ? end_
                                     : log_.segments[number + 1 - log_.first].header().previousEnd;
            while (offset < end) {
                RecordHeader* record = segment.record(offset);
                VERBEX_RETURN_IF_FAILED(take(record, recordId(number, offset), segment));
                visit(storedRecord(*record));
                offset += paddedBytes(record->length);
            }
            offset = sizeof(SegmentHeader);
        }
        return {};
    }

    static StoredRecord storedRecord(const RecordHeader& record) {
        return {static_cast<RecordKind>(record.kind), record.session, record.sequence,
                {record.position, record.index}, record.timeNs, payloadOf(&record)};
    }

    Status take(RecordHeader* record, RecordId place, const Segment& segment) {
        switch (static_cast<RecordKind>(record->kind)) {
            case RecordKind::Day: {
                DayPayload day;
                std::memcpy(&day, record + 1, sizeof(day));
                dayRecord_ = place;
                dayStart_ = record->position;
                delivered_ = {day.position, day.index};
                return {};
            }
            case RecordKind::In: delivered_ = {record->position, record->index}; return {};
            case RecordKind::Out: break;
        }
        if (record->session > options_.sessionsMax) {
            return Status(StatusCode::InvalidArgument,
                          "the message store has session " + std::to_string(record->session) +
                              ", sessionsMax is " + std::to_string(options_.sessionsMax));
        }
        StoredSession& session = sessions_[record->session];
        if (record->sequence != session.count() + 1) {
            return Status(StatusCode::JournalDamaged,
                          segment.path() + ", offset " + std::to_string(offsetOf(place)) +
                              ": sequence " + std::to_string(record->sequence) + " of session " +
                              std::to_string(record->session) + " is not the next one");
        }
        if (record->next != 0) record->next = 0;
        pool_.fill(1);
        session.append(record, place);
        if ((record->flags & kRecordLast) != 0 && record->index != kOwnIndex) {
            delivered_ = {record->position, record->index};
        }
        return {};
    }

    Status beginLog() {
        if (!options_.directory.empty()) {
            // The state first: a segment without one is refused.
            VERBEX_RETURN_IF_FAILED(
                writeState(options_.directory, StoreState{boot_, generation_, false, 0}));
        }
        log_.first = nextNumber_;
        unsynced_ = nextNumber_;
        dayRecord_ = recordId(nextNumber_, sizeof(SegmentHeader));
        delivered_ = {options_.startPosition, kOwnIndex};
        VERBEX_RETURN_IF_FAILED(fail(addSegment()));
        return appendDay(options_.startPosition);
    }

    Status appendDay(Position position) {
        RecordHeader* record = claim(sizeof(DayPayload));
        if (record == nullptr) return status_;
        record->kind = static_cast<uint8_t>(RecordKind::Day);
        record->position = position;
        const DayPayload day{delivered_.position, delivered_.index, generation_};
        std::memcpy(record + 1, &day, sizeof(day));
        dayRecord_ = release();
        dayStart_ = position;
        return {};
    }

    // Room for a record, zeroed; nullptr: status_ says why.
    RecordHeader* claim(size_t payloadBytes) {
        CHECK(payloadBytes <= kPayloadBytesMax);
        if (!status_.isOk()) return nullptr;
        const uint64_t length = sizeof(RecordHeader) + payloadBytes;
        // The length word behind it is cleared with it.
        const uint64_t needed = paddedBytes(length) + sizeof(uint64_t);
        if (end_ + needed > log_.segments.back().bytes()) {
            if (!fail(addSegment()).isOk() || !fail(trim()).isOk()) return nullptr;
        }
        Segment& segment = log_.segments.back();
        if (end_ + needed > segment.reserved()) {
            if (!fail(segment.reserve(end_ + needed)).isOk()) return nullptr;
            fillPool();
        }
        claimed_ = segment.record(end_);
        claimedLength_ = static_cast<uint32_t>(length);
        // An abandoned claim may lie here; `length` is zero all the while.
        std::memset(reinterpret_cast<std::byte*>(claimed_) + sizeof(uint32_t), 0,
                    needed - sizeof(uint32_t));
        return claimed_;
    }

    // The claimed record becomes one.
    RecordId release() {
        const RecordId place = recordId(lastNumber(), end_);
        const uint64_t salt = log_.segments.back().header().salt;
        claimed_->crc = recordCrc(claimed_, claimedLength_, place, salt);
        std::atomic_ref<uint32_t> length(claimed_->length);
        length.store(claimedLength_, std::memory_order_release);
        end_ += paddedBytes(claimedLength_);
        bytes_ += paddedBytes(claimedLength_);
        claimed_ = nullptr;
        if (!open_) completeEnd_ = recordId(lastNumber(), end_);
        return place;
    }

    Status addSegment() {
        SegmentHeader header = {};
        header.number = nextNumber_;
        header.salt = options_.salt != 0 ? options_.salt : drawSalt();
        header.dayRecord = dayRecord_;
        header.previousEnd = log_.segments.empty() ? 0 : static_cast<uint32_t>(end_);
        header.generation = generation_;
        header.bytes = options_.segmentBytes;
        Result<Segment> segment = Segment::create(options_.directory, header);
        if (!segment.isOk()) return segment.status();
        if (!log_.segments.empty()) log_.segments.back().finish();
        log_.segments.push_back(segment.take());
        files_.push_back({nextNumber_, header.bytes});
        ++nextNumber_;
        end_ = sizeof(SegmentHeader);
        fillPool();
        return {};
    }

    // As many blocks as one part of a segment can need: every record in it may be an index's.
    void fillPool() {
        pool_.fill(std::min<size_t>(kPrefaultBytes / sizeof(RecordHeader),
                                    options_.sessionsMax + kPrefaultBytes / sizeof(RecordHeader) /
                                                               kIndexEvery) + 1);
    }

    // Removes the oldest segments: on disk those of past days; in memory whatever is too much.
    Status trim() {
        if (options_.keepBytes == 0) return {};
        uint64_t total = 0;
        for (const StoredFile& file : files_) total += file.bytes;
        const bool memory = options_.directory.empty();
        while (total > options_.keepBytes && files_.size() > 1) {
            const uint32_t number = files_.front().number;
            if (!memory && number >= segmentOf(dayRecord_)) break;
            if (!memory) {
                const std::string path = options_.directory + "/" + segmentName(number);
                if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
                    return systemFailure(errno, "unlink", path);
                }
            } else {
                forgetRecords(log_.segments.front(), log_.segments[1].header().previousEnd);
            }
            if (number == log_.first) {
                log_.segments.pop_front();
                ++log_.first;
            }
            total -= files_.front().bytes;
            files_.pop_front();
        }
        return {};
    }

    void forgetRecords(const Segment& segment, uint64_t end) {
        for (uint64_t offset = sizeof(SegmentHeader); offset < end;) {
            const RecordHeader* record = segment.record(offset);
            if (static_cast<RecordKind>(record->kind) == RecordKind::Out) {
                sessions_[record->session].forget(record, recordId(log_.first, offset));
            }
            offset += paddedBytes(record->length);
        }
    }

    [[nodiscard]] uint32_t lastNumber() const {
        return log_.first + static_cast<uint32_t>(log_.segments.size()) - 1;
    }
    // The first failure stays: nothing is taken after it.
    const Status& fail(Status status) {
        if (status_.isOk() && !status.isOk()) status_ = std::move(status);
        return status_;
    }

    const MessageStoreOptions options_;
    StoreLock lock_;
    std::string boot_;
    MappedLog log_;
    IndexPool pool_;
    std::deque<StoredSession> sessions_;  // by number
    std::deque<StoredFile> files_;        // that count against keepBytes
    Status status_;
    EventPlace delivered_;
    Position dayStart_ = 0;
    RecordId dayRecord_ = 0;
    RecordId completeEnd_ = 0;  // behind the last record whose event is complete
    RecordHeader* claimed_ = nullptr;
    uint64_t end_ = 0;  // in the last segment
    uint64_t bytes_ = 0;
    uint32_t claimedLength_ = 0;
    uint32_t generation_ = 0;
    uint32_t nextNumber_ = 1;
    uint32_t unsynced_ = 1;  // the first segment that was not synced whole
    bool open_ = false;  // messages of the event that came last are still missing
    bool closed_ = false;
};

}  // namespace

}  // namespace verbex::gateway::store

namespace verbex::gateway {

Result<std::unique_ptr<MessageStore>> MessageStore::open(
    const MessageStoreOptions& options, const std::function<void(const StoredRecord&)>& visit) {
    if (options.segmentBytes < store::kSegmentBytesLeast ||
        options.segmentBytes > store::kSegmentBytesMost ||
        options.segmentBytes % store::kPageBytes != 0) {
        return Status(StatusCode::InvalidArgument,
                      "segmentBytes is a multiple of 4096 from 128 KiB to 2 GiB");
    }
    auto made = std::make_unique<store::SegmentedStore>(options);
    VERBEX_RETURN_IF_FAILED(made->open(visit));
    return std::unique_ptr<MessageStore>(std::move(made));
}

}  // namespace verbex::gateway
