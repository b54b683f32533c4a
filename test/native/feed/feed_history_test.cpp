// The history against a list that forgets nothing: what is there is right, what is gone is refused.
#include "feed/feed_history.h"

#include <gtest/gtest.h>

#include <deque>
#include <random>
#include <vector>

namespace verbex::feed::feed_history_test {
namespace {

constexpr itch::Type kTypes[] = {itch::Type::SystemEvent, itch::Type::Add, itch::Type::Delete,
                                 itch::Type::Trade, itch::Type::Directory};

itch::Message messageOf(uint64_t sequence, itch::Type type) {
    itch::Message message;
    message.type = type;
    message.code = 'B';
    message.timeNs = sequence;  // every message has a place for it
    return message;
}

uint64_t sequenceOf(std::span<const std::byte> message) {
    itch::Message read;
    EXPECT_TRUE(itch::read(message, read));
    return read.timeNs;
}

TEST(FeedHistory, EveryMessageThatIsThereIsTheRightOne) {
    std::mt19937_64 random(1);
    FeedHistory history(FeedHistory::kBytesMin);
    ASSERT_EQ(history.bytes(), FeedHistory::kBytesMin);
    FeedHistory::Reader follower;
    uint64_t seen = 0;
    for (uint64_t sequence = 1; sequence <= 100'000; ++sequence) {
        ASSERT_EQ(history.append(messageOf(sequence, kTypes[random() % std::size(kTypes)])), sequence);
        // One reader keeps up, within what is kept.
        if (random() % 400 == 0 || sequence % 500 == 0) {
            for (auto message = history.peek(follower); !message.empty(); message = history.peek(follower)) {
                ASSERT_EQ(sequenceOf(message), ++seen);
                history.skip(follower);
            }
            ASSERT_EQ(seen, sequence);
        }
        if (random() % 50 != 0) continue;
        const uint64_t asked = 1 + random() % (sequence + 3);
        FeedHistory::Reader reader;
        ASSERT_EQ(history.seek(asked, reader), asked >= history.oldest() && asked <= history.next());
        ASSERT_EQ(history.has(asked), asked >= history.oldest() && asked < history.next());
        if (!history.has(asked)) continue;
        ASSERT_EQ(sequenceOf(history.peek(reader)), asked);
    }
    // Bounded, and most of it is used: no message is shorter than 15 bytes with its frame, none longer than 47.
    EXPECT_GE(history.next() - history.oldest(), FeedHistory::kBytesMin / 47 - 130);
    EXPECT_LE(history.next() - history.oldest(), FeedHistory::kBytesMin / 15);
    FeedHistory::Reader gone;
    EXPECT_FALSE(history.seek(0, gone));
    EXPECT_TRUE(history.lost(gone));
    EXPECT_TRUE(history.peek(gone).empty());
}

// Readers that take any number of bytes at a time get the frames, whole and in order, or are told that they fell out.
TEST(FeedHistory, AConnectionReadsFramesWithoutAGap) {
    struct Connection {
        session::OutboundCursor cursor;
        std::vector<std::byte> bytes;
        uint64_t next = 1;
        uint32_t speed = 1;
    };
    std::mt19937_64 random(3);
    FeedHistory history(FeedHistory::kBytesMin);
    std::vector<Connection> connections(6);
    for (size_t i = 0; i < connections.size(); ++i) {
        ASSERT_TRUE(history.seek(1, connections[i].cursor));
        connections[i].speed = 1u << (2 * i);
    }
    uint64_t lost = 0;
    for (uint64_t sequence = 1; sequence <= 60'000; ++sequence) {
        history.append(messageOf(sequence, kTypes[random() % std::size(kTypes)]));
        for (Connection& connection : connections) {
            if (random() % 4 != 0) continue;
            iovec parts[3];
            const size_t most = 1 + random() % 5000;
            const size_t count =
                history.gather(connection.cursor, {parts, 1 + random() % 3}, most);
            const uint64_t lag = history.lag(connection.cursor);
            if (lag == UINT64_MAX) {
                ASSERT_EQ(count, 0u);
                ++lost;
                connection.next = history.oldest() + random() % (history.next() - history.oldest());
                ASSERT_TRUE(history.seek(connection.next, connection.cursor));
                connection.bytes.clear();
                continue;
            }
            ASSERT_EQ(count == 0, lag == 0) << lag;
            size_t room = random() % (100 * connection.speed);
            size_t taken = 0;
            for (size_t i = 0; i < count && room > 0; ++i) {
                const size_t bytes = std::min(room, parts[i].iov_len);
                const auto* from = static_cast<const std::byte*>(parts[i].iov_base);
                connection.bytes.insert(connection.bytes.end(), from, from + bytes);
                taken += bytes;
                room -= bytes;
            }
            history.advance(connection.cursor, taken);
            size_t at = 0;
            for (;;) {
                const session::Frame frame = session::readFrame(
                    std::span(connection.bytes).subspan(at), 64, session::Sender::Server);
                ASSERT_NE(frame.state, session::FrameState::Malformed);
                if (frame.state != session::FrameState::Whole) break;
                ASSERT_EQ(frame.type, session::Packet::Sequenced);
                ASSERT_EQ(sequenceOf(frame.payload), connection.next++);
                at += frame.bytes;
            }
            // In the middle of a frame exactly where the client is.
            ASSERT_EQ(connection.cursor.offset, connection.bytes.size() - at);
            connection.bytes.erase(connection.bytes.begin(), connection.bytes.begin() + static_cast<ptrdiff_t>(at));
        }
    }
    EXPECT_GT(lost, 3u);
    EXPECT_GT(connections.back().next, 59'900u);
}

}  // namespace
}  // namespace verbex::feed::feed_history_test
