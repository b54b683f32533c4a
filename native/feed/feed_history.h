// FeedHistory: the messages of a feed session by sequence number, framed as SoupBinTCP sends them.
//
// Purpose: retransmission, the stream and the datagrams all read from here; a connection's send buffer is this.
// One block of memory, written round and round: what is older than the block is gone.
//
//     place ───────────────────────────────────────────▶ grows for ever; memory at place mod the block's size
//        │ gone │ oldest ……………………………………………… │ head
//               └── kept: at most one block ───┘
//
// Owner: the market feed.
// Thread safety: none.
// Invariants:
//   1. A message lies in one piece; lengths and types stand before it, so a send is a writev from here.
//   2. Whoever asks for what is gone is told so and never gets anything else in its place.
//   3. append() allocates nothing and makes no system call.
// Requires: messages of at most itch::kMessageBytesMax bytes.
#pragma once

#include <cstdint>
#include <span>

#include "base/zeroed_array.h"
#include "feed/itch.h"
#include "session/session_server.h"

namespace verbex::feed {

class FeedHistory {
public:
    static constexpr uint64_t kBytesMin = 64u << 10;

    // Rounded up to a power of two.
    explicit FeedHistory(uint64_t bytes);

    // Answers its sequence number: 1, 2, 3 …
    uint64_t append(const itch::Message& message);

    [[nodiscard]] uint64_t next() const { return next_; }  // the next message will have
    [[nodiscard]] uint64_t oldest() const { return oldestBlock_ * kIndexEvery + 1; }
    [[nodiscard]] bool has(uint64_t sequence) const {
        return sequence >= oldest() && sequence < next_;
    }
    [[nodiscard]] uint64_t bytes() const { return size_; }

    // The cursor before message `sequence`, or behind the last one; false where that is gone or to come.
    [[nodiscard]] bool seek(uint64_t sequence, session::OutboundCursor& cursor) const;

    // Reads messages one after the other; becomes void where the history has gone over it.
    class Reader {
    public:
        [[nodiscard]] uint64_t sequence() const { return sequence_; }  // of what comes next

    private:
        friend class FeedHistory;
        uint64_t sequence_ = 1;
        uint64_t place_ = 0;
    };
    [[nodiscard]] bool seek(uint64_t sequence, Reader& reader) const;
    // The next one, without its frame; empty where there is none, or where it is gone.
    [[nodiscard]] std::span<const std::byte> peek(Reader& reader) const;
    void skip(Reader& reader) const;
    [[nodiscard]] bool lost(const Reader& reader) const { return reader.sequence_ < oldest(); }

    // For a connection (session::Outbound): a cursor's record is the place of a frame's beginning, plus one.
    // Whole frames, as many as begin within `most` bytes; nothing where the cursor is gone.
    size_t gather(const session::OutboundCursor& cursor, std::span<iovec> into, size_t most) const;
    void advance(session::OutboundCursor& cursor, size_t bytes) const;
    // UINT64_MAX: gone.
    [[nodiscard]] uint64_t lag(const session::OutboundCursor& cursor) const;

private:
    static constexpr uint64_t kIndexEvery = 64;
    static constexpr size_t kFrameMax = session::kFrameHeaderBytes + itch::kMessageBytesMax;

    [[nodiscard]] uint64_t lap(uint64_t place) const { return place & ~(size_ - 1); }
    [[nodiscard]] std::byte* at(uint64_t place) const { return &memory_[place & (size_ - 1)]; }
    // Where the messages of a place's lap end, and the same place where that is behind them.
    [[nodiscard]] uint64_t lapEnd(uint64_t place) const {
        return lap(place) == lap(head_) ? head_ : lapEnd_;
    }
    [[nodiscard]] uint64_t normal(uint64_t place) const {
        return place != head_ && place >= lapEnd(place) ? lap(head_) : place;
    }
    // A message never begins so close to the end of a lap that it might reach it: a lap has an end of its own.
    [[nodiscard]] uint64_t wrapped(uint64_t place) const {
        return (place & (size_ - 1)) + kFrameMax >= size_ ? lap(place) + size_ : place;
    }
    [[nodiscard]] uint64_t placeOf(const session::OutboundCursor& cursor) const {
        return cursor.record == 0 ? head_ : cursor.record - 1;
    }
    [[nodiscard]] uint64_t oldestPlace() const { return index_[oldestBlock_ & indexMask_]; }
    [[nodiscard]] size_t frameBytes(uint64_t place) const { return 2u + get16(at(place)); }

    uint64_t size_;
    ZeroedArray<std::byte> memory_;
    uint64_t indexMask_;
    ZeroedArray<uint64_t> index_;  // by block of kIndexEvery messages: the place of its first
    uint64_t head_ = 0;
    uint64_t lapEnd_ = 0;  // where the messages of the lap before the head's end
    uint64_t next_ = 1;
    uint64_t oldestBlock_ = 0;
};

}  // namespace verbex::feed
