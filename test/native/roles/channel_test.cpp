// Messages in frames: as many as fit, the one that fits none in several, and no frame that is not the one that is due.
#include "roles/channel.h"

#include <gtest/gtest.h>

#include <cstring>

namespace verbex::roles::test {
namespace {

using Frame = std::vector<std::byte>;

std::vector<Frame> framesOf(Channel& channel, size_t taken = SIZE_MAX) {
    std::vector<Frame> frames;
    (void)channel.flush([&](std::span<const std::byte> frame) {
        if (frames.size() == taken) return false;
        frames.emplace_back(frame.begin(), frame.end());
        return true;
    });
    return frames;
}

Frame payloadOf(size_t size, uint64_t seed) {
    Frame payload(size);
    for (size_t i = 0; i < size; i++) payload[i] = static_cast<std::byte>(seed * 31 + i * 7 + i / 251);
    return payload;
}

struct Heard {
    MessageKind kind;
    uint64_t position;
    Frame payload;
    friend bool operator==(const Heard&, const Heard&) = default;
};

Status hear(Channel& channel, const Frame& frame, std::vector<Heard>& heard, size_t atMost = SIZE_MAX) {
    return channel.receive(frame, [&](const RoleMessage& message) {
        heard.push_back({message.kind, message.position, {message.payload.begin(), message.payload.end()}});
        return heard.size() < atMost;
    });
}

TEST(Channel, MessagesOfOneFlushShareAFrame) {
    Channel from, to;
    std::vector<Heard> said, heard;
    for (uint64_t i = 1; i <= 100; i++) {
        said.push_back({MessageKind::Validate, i, payloadOf(i % 3 == 0 ? 0 : 2 * i, i)});
        from.put(said.back().kind, i, said.back().payload);
    }
    const std::vector<Frame> frames = framesOf(from);
    ASSERT_EQ(frames.size(), 1u);
    EXPECT_EQ(from.queuedBytes(), 0u);
    ASSERT_TRUE(hear(to, frames[0], heard).isOk());
    EXPECT_EQ(heard, said);
}

// Sizes around where a frame is full, in every order of small and large.
TEST(Channel, WhatFitsNoFrameIsInSeveralAndTheRestInOne) {
    constexpr size_t kRoom = kFrameBytesMax - sizeof(FrameHeader) - sizeof(MessageHeader);
    const size_t sizes[] = {10,        kRoom,     kRoom - 1, kRoom + 1,         3 * kRoom, 0,
                            2 * kRoom, kRoom - 26, 9,        5 * kRoom + 1000, 1};
    Channel from, to;
    std::vector<Heard> said, heard;
    uint64_t position = 0;
    for (const size_t first : sizes) {
        for (const size_t second : sizes) {
            for (const size_t size : {first, second}) {
                said.push_back({MessageKind::Swept, ++position, payloadOf(size, position)});
                from.put(MessageKind::Swept, position, said.back().payload);
            }
            for (const Frame& frame : framesOf(from)) {
                EXPECT_LE(frame.size(), kFrameBytesMax);
                ASSERT_TRUE(hear(to, frame, heard).isOk());
            }
        }
    }
    EXPECT_TRUE(heard == said);
}

// What the link has not taken stays as it is; what is put meanwhile comes behind it.
TEST(Channel, WhatTheLinkDoesNotTakeComesLater) {
    Channel from, to;
    std::vector<Heard> said, heard;
    const auto put = [&](size_t size) {
        const uint64_t position = said.size() + 1;
        said.push_back({MessageKind::Matched, position, payloadOf(size, position)});
        from.put(MessageKind::Matched, position, said.back().payload);
    };
    for (uint64_t round = 0; round < 200; round++) {
        for (uint64_t i = 0; i < round % 7; i++) put(i * 1000 + round * 37 % 9000);
        for (const Frame& frame : framesOf(from, round % 3)) {
            ASSERT_TRUE(hear(to, frame, heard).isOk());
        }
    }
    EXPECT_LT(heard.size(), said.size());
    EXPECT_NE(from.queuedBytes(), 0u);
    for (const Frame& frame : framesOf(from)) ASSERT_TRUE(hear(to, frame, heard).isOk());
    EXPECT_TRUE(heard == said);
    EXPECT_EQ(from.queuedBytes(), 0u);
}

TEST(Channel, WhoeverWantsNoMoreOfAFrameGetsNoMore) {
    Channel from, to;
    for (uint64_t i = 1; i <= 5; i++) from.put(MessageKind::Decided, i);
    std::vector<Heard> heard;
    ASSERT_TRUE(hear(to, framesOf(from).at(0), heard, 3).isOk());
    EXPECT_EQ(heard.size(), 3u);
}

TEST(Channel, AnyByteThatIsAnotherEndsIt) {
    Channel from;
    from.put(MessageKind::Look, 7, payloadOf(16, 1));
    from.put(MessageKind::Ping, 0);
    const Frame frame = framesOf(from).at(0);
    for (size_t at = 0; at < frame.size(); at++) {
        Channel to;
        Frame broken = frame;
        broken[at] ^= std::byte{0x10};
        std::vector<Heard> heard;
        EXPECT_FALSE(hear(to, broken, heard).isOk()) << "byte " << at;
        EXPECT_TRUE(heard.empty()) << "byte " << at;
    }
    for (size_t size = 0; size < frame.size(); size++) {
        Channel to;
        std::vector<Heard> heard;
        EXPECT_FALSE(hear(to, Frame(frame.begin(), frame.begin() + size), heard).isOk()) << size;
        EXPECT_TRUE(heard.empty());
    }
}

TEST(Channel, AFrameThatIsMissingOrComesTwiceEndsIt) {
    Channel from;
    std::vector<Frame> frames;
    for (uint64_t i = 1; i <= 3; i++) {
        from.put(MessageKind::Decided, i);
        frames.push_back(framesOf(from).at(0));
    }
    std::vector<Heard> heard;
    Channel missing, twice;
    EXPECT_TRUE(hear(missing, frames[0], heard).isOk());
    EXPECT_FALSE(hear(missing, frames[2], heard).isOk());
    EXPECT_TRUE(hear(twice, frames[0], heard).isOk());
    EXPECT_FALSE(hear(twice, frames[0], heard).isOk());
    EXPECT_EQ(heard.size(), 2u);
}

}  // namespace
}  // namespace verbex::roles::test
