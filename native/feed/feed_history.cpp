// The block of memory behind the feed: see feed_history.h.
#include "feed/feed_history.h"

#include <algorithm>
#include <bit>

namespace verbex::feed {

namespace {

// The shortest message with its frame: how many there can be in a block.
constexpr uint64_t kFrameMin = session::kFrameHeaderBytes + itch::bytesOf(itch::Type::SystemEvent);

}  // namespace

FeedHistory::FeedHistory(uint64_t bytes)
    : size_(std::bit_ceil(std::max(bytes, kBytesMin))),
      memory_(zeroedArray<std::byte>(size_)),
      indexMask_(std::bit_ceil(size_ / (kFrameMin * kIndexEvery) + 4) - 1),
      index_(zeroedArray<uint64_t>(indexMask_ + 1)) {}

uint64_t FeedHistory::append(const itch::Message& message) {
    const uint64_t place = wrapped(head_);
    if (place != head_) lapEnd_ = head_;
    const uint64_t end = place + kFrameMax;
    // What the new message will lie on is gone, whole blocks at a time.
    while (end > size_ + oldestPlace() && oldestBlock_ < (next_ - 1) / kIndexEvery) ++oldestBlock_;
    if ((next_ - 1) % kIndexEvery == 0) index_[((next_ - 1) / kIndexEvery) & indexMask_] = place;
    std::byte* const to = at(place);
    const size_t bytes = itch::write(to + session::kFrameHeaderBytes, message);
    put16(to, static_cast<uint16_t>(bytes + 1));
    to[2] = static_cast<std::byte>(session::Packet::Sequenced);
    head_ = place + session::kFrameHeaderBytes + bytes;
    return next_++;
}

bool FeedHistory::seek(uint64_t sequence, Reader& reader) const {
    if (sequence < oldest() || sequence > next_) return false;
    reader.sequence_ = sequence;
    if (sequence == next_) {
        reader.place_ = head_;
        return true;
    }
    const uint64_t block = (sequence - 1) / kIndexEvery;
    uint64_t place = index_[block & indexMask_];
    for (uint64_t i = block * kIndexEvery + 1; i < sequence; ++i) {
        place = wrapped(place + frameBytes(place));
    }
    reader.place_ = place;
    return true;
}

bool FeedHistory::seek(uint64_t sequence, session::OutboundCursor& cursor) const {
    Reader reader;
    if (!seek(sequence, reader)) return false;
    cursor = {reader.place_ + 1, 0};
    return true;
}

std::span<const std::byte> FeedHistory::peek(Reader& reader) const {
    if (!has(reader.sequence_)) return {};
    reader.place_ = wrapped(reader.place_);
    const std::byte* const frame = at(reader.place_);
    return {frame + session::kFrameHeaderBytes, get16(frame) - size_t{1}};
}

void FeedHistory::skip(Reader& reader) const {
    reader.place_ += frameBytes(reader.place_);
    ++reader.sequence_;
}

size_t FeedHistory::gather(const session::OutboundCursor& cursor, std::span<iovec> into,
                           size_t most) const {
    uint64_t place = placeOf(cursor);
    if (place < oldestPlace()) return 0;
    uint64_t from = place + cursor.offset;
    size_t entries = 0;
    for (size_t room = most; place != head_ && entries < into.size() && room != 0;) {
        if (const uint64_t next = normal(place); next != place) {
            place = from = next;
            continue;
        }
        const uint64_t end = lapEnd(place);
        uint64_t to = end - place <= room ? end : place;
        while (to < end && to - place < room) to += frameBytes(to);
        into[entries++] = {at(from), to - from};
        room -= std::min<uint64_t>(room, to - place);
        place = from = to;
    }
    return entries;
}

void FeedHistory::advance(session::OutboundCursor& cursor, size_t bytes) const {
    uint64_t place = placeOf(cursor);
    uint64_t left = cursor.offset + bytes;
    while (left != 0) {
        place = normal(place);
        const size_t frame = frameBytes(place);
        if (left < frame) break;
        left -= frame;
        place += frame;
    }
    cursor = {place + 1, static_cast<uint32_t>(left)};
}

uint64_t FeedHistory::lag(const session::OutboundCursor& cursor) const {
    const uint64_t place = placeOf(cursor);
    return place < oldestPlace() ? UINT64_MAX : head_ - place - cursor.offset;
}

}  // namespace verbex::feed
