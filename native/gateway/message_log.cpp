// Appending to the log, and reading a session's messages from it. Recovery: message_log_recovery.cpp.
#include "gateway/message_log.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "base/check.h"
#include "base/crc32c.h"

namespace verbex::gateway {

namespace {

constexpr uint64_t padded(uint64_t bytes) { return (bytes + 7) & ~uint64_t{7}; }

uint32_t frameBytes(const StoreRecord& record) {
    return static_cast<uint32_t>(session::kFrameHeaderBytes) + record.payloadBytes;
}

}  // namespace

MessageLog::MessageLog(const MessageStoreOptions& options)
    : options_(options), segments_(options.directory, options.segmentBytes),
      streams_(size_t{UINT16_MAX} + 1) {}

MessageLog::~MessageLog() = default;

MessageLog::Stream& MessageLog::stream(uint16_t session) {
    std::unique_ptr<Stream>& slot = streams_[session];
    if (slot == nullptr) slot = std::make_unique<Stream>(*this);
    return *slot;
}

// ---- appending

uint64_t MessageLog::room(uint64_t bytes) {
    if (!status_.isOk()) return 0;
    const uint64_t segment = segments_.last();
    // The word behind a record stays 0: there the log ends.
    if (end_ + bytes + sizeof(uint64_t) > (segment + 1) * segments_.segmentBytes()) {
        if (options_.directory.empty() &&
            segments_.mappedBytes() + segments_.segmentBytes() >
                std::max(options_.keepBytes, 2 * segments_.segmentBytes())) {
            forgetFirst();
        }
        status_ = segments_.add(false, 0);
        if (!status_.isOk()) return 0;
        end_ = segments_.begin(segments_.last());
    }
    status_ = segments_.reserve(end_ + bytes + sizeof(uint64_t));
    return status_.isOk() ? end_ : 0;
}

// Of a store in memory that has grown too large.
void MessageLog::forgetFirst() {
    const uint64_t gone = (segments_.first() + 1) * segments_.segmentBytes();
    for (const std::unique_ptr<Stream>& stream : streams_) {
        if (stream == nullptr) continue;
        while (stream->first != 0 && stream->first < gone) {
            stream->first = record(stream->first).next;
        }
    }
    segments_.dropFirst();
}

void MessageLog::finish(StoreRecord& record) {
    const size_t content = record.kind == static_cast<uint8_t>(RecordKind::Out)
                               ? frameBytes(record)
                               : record.payloadBytes;
    record.crc = crc32c(&record.kind, offsetof(StoreRecord, next) - offsetof(StoreRecord, kind));
    record.crc = crc32c(record.content(), content, record.crc);
    const auto bytes = static_cast<uint32_t>(sizeof(StoreRecord) + padded(content));
    __atomic_store_n(&record.bytes, bytes, __ATOMIC_RELEASE);
    end_ += bytes;
    bytes_ += bytes;
}

void MessageLog::chain(Stream& to, StoreRecord& record, uint64_t place) {
    if (to.last != 0 && segments_.holds(to.last)) this->record(to.last).next = place;
    if (to.first == 0) to.first = place;
    if ((to.next - 1) % kIndexEvery == 0) to.index.push_back(place);
    to.last = place;
    to.next++;
    to.bytes += frameBytes(record);
}

std::byte* MessageLog::claimOut(uint16_t session, size_t payloadBytes, const EventPlace& place,
                                uint64_t timeNs) {
    CHECK(claimed_ == 0 && payloadBytes < UINT16_MAX);
    const uint64_t bytes =
        sizeof(StoreRecord) + padded(session::kFrameHeaderBytes + payloadBytes);
    const uint64_t at = room(bytes);
    if (at == 0) return nullptr;
    Stream& to = stream(session);
    StoreRecord& record = this->record(at);
    std::memset(static_cast<void*>(&record), 0, bytes);
    const bool own = place.index == kOwnIndex;
    record.kind = static_cast<uint8_t>(RecordKind::Out);
    record.flags = own ? StoreRecord::kOwn : 0;
    record.session = session;
    record.payloadBytes = static_cast<uint32_t>(payloadBytes);
    record.sequence = to.next;
    record.index = own ? delivered_.index : place.index;
    record.position = own ? delivered_.position : place.position;
    record.timeNs = timeNs;
    record.before = to.bytes;
    session::writeFrameHeader(record.content(), session::Packet::Sequenced, payloadBytes);
    claimed_ = at;
    return record.content() + session::kFrameHeaderBytes;
}

void MessageLog::commit(bool last) {
    CHECK(claimed_ != 0);
    StoreRecord& record = this->record(claimed_);
    if (last) record.flags |= StoreRecord::kLast;
    finish(record);
    chain(stream(record.session), record, claimed_);
    if (last) noteDelivered({record.position, record.index});
    claimed_ = 0;
}

Status MessageLog::appendIn(uint16_t session, uint32_t reference, uint64_t timeNs,
                            std::span<const std::byte> message) {
    CHECK(claimed_ == 0);
    const uint64_t bytes = sizeof(StoreRecord) + padded(message.size());
    const uint64_t at = room(bytes);
    if (at == 0) return status_;
    StoreRecord& record = this->record(at);
    std::memset(static_cast<void*>(&record), 0, bytes);
    record.kind = static_cast<uint8_t>(RecordKind::In);
    record.flags = StoreRecord::kLast | StoreRecord::kOwn;
    record.session = session;
    record.payloadBytes = static_cast<uint32_t>(message.size());
    record.sequence = reference;
    record.index = delivered_.index;
    record.position = delivered_.position;
    record.timeNs = timeNs;
    std::memcpy(record.content(), message.data(), message.size());
    finish(record);
    return {};
}

Status MessageLog::beginDay(Position position) {
    CHECK(claimed_ == 0);
    if (!status_.isOk()) return status_;
    status_ = segments_.add(true, position);
    if (!status_.isOk()) return status_;
    dayStart_ = position;
    end_ = segments_.begin(segments_.last());
    // Connections of the day that is over hold cursors into nothing: they are closed by now, and resolve()
    // refuses what is left.
    for (std::unique_ptr<Stream>& stream : streams_) {
        if (stream == nullptr) continue;
        stream->next = 1;
        stream->first = stream->last = stream->bytes = 0;
        stream->index.clear();
    }
    const uint64_t at = room(sizeof(StoreRecord));
    if (at == 0) return status_;
    StoreRecord& record = this->record(at);
    std::memset(static_cast<void*>(&record), 0, sizeof(StoreRecord));
    record.kind = static_cast<uint8_t>(RecordKind::Day);
    record.flags = StoreRecord::kLast | StoreRecord::kOwn;
    record.index = delivered_.index;
    record.position = delivered_.position;
    finish(record);
    return segments_.prune(options_.keepBytes);
}

// ---- a session's messages

session::OutboundCursor MessageLog::Stream::resolve(const session::OutboundCursor& cursor) const {
    // Nothing was there when it was made, or what it points to is gone.
    if (cursor.record == 0) return {first, 0};
    if (!log.segments_.holds(cursor.record)) return {0, 0};
    return cursor;
}

size_t MessageLog::Stream::gather(const session::OutboundCursor& cursor, std::span<iovec> into) {
    session::OutboundCursor at = resolve(cursor);
    size_t count = 0;
    while (at.record != 0 && count != into.size()) {
        StoreRecord& record = log.record(at.record);
        const uint32_t bytes = frameBytes(record);
        if (at.offset < bytes) {
            into[count++] = {record.content() + at.offset, bytes - at.offset};
        }
        at = {record.next, 0};
    }
    return count;
}

void MessageLog::Stream::advance(session::OutboundCursor& cursor, size_t bytes) {
    cursor = resolve(cursor);
    while (bytes != 0) {
        CHECK(cursor.record != 0 && "no more is sent than was shown");
        const StoreRecord& record = log.record(cursor.record);
        const size_t left = frameBytes(record) - cursor.offset;
        const size_t step = std::min(left, bytes);
        cursor.offset += static_cast<uint32_t>(step);
        bytes -= step;
        // It stays at the end of the last one: what is appended later is found through it.
        if (bytes != 0) cursor = {record.next, 0};
    }
}

uint64_t MessageLog::Stream::lag(const session::OutboundCursor& cursor) const {
    if (cursor.record != 0 && !log.segments_.holds(cursor.record)) return UINT64_MAX;
    const session::OutboundCursor at = resolve(cursor);
    if (at.record == 0) return 0;
    return bytes - (log.record(at.record).before + at.offset);
}

uint32_t MessageLog::nextSequence(uint16_t session) const {
    const std::unique_ptr<Stream>& stream = streams_[session];
    return stream == nullptr ? 1 : stream->next;
}

bool MessageLog::seek(uint16_t session, uint32_t sequence, session::OutboundCursor& cursor) {
    const Stream& from = stream(session);
    if (sequence == 0 || sequence > from.next) return false;
    if (sequence == from.next) {
        // Behind the last one.
        if (from.last == 0) {
            cursor = {};
            return true;
        }
        if (!segments_.holds(from.last)) return false;
        cursor = {from.last, frameBytes(record(from.last))};
        return true;
    }
    uint64_t place = from.index[(sequence - 1) / kIndexEvery];
    if (!segments_.holds(place)) {
        // In memory the beginning of an index stretch may be gone, and its end not.
        place = from.first;
        if (place == 0 || record(place).sequence > sequence) return false;
    }
    while (record(place).sequence != sequence) place = record(place).next;
    cursor = {place, 0};
    return true;
}

session::SessionName MessageLog::sessionName() const {
    char text[32];
    std::snprintf(text, sizeof(text), "%09llX%c",
                  static_cast<unsigned long long>(dayStart_ & 0xf'ffff'ffff),
                  static_cast<char>('A' + generation_ % 26));
    session::SessionName name;
    std::memcpy(name.data(), text, name.size());
    return name;
}

}  // namespace verbex::gateway
