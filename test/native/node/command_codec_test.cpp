#include "wire/command_codec.h"

#include "node_fixture.h"

namespace verbex::node {

TEST(CommandCodec, GivesBackWhatWasEncoded) {
    Flow flow(7);
    const std::vector<Command> commands = flow.take(2000);
    std::vector<std::byte> payload;
    encodeBatch(commands, payload);
    std::vector<Command> decoded;
    ASSERT_TRUE(decodeBatch(payload, 2000, decoded));
    ASSERT_EQ(decoded.size(), commands.size());
    EXPECT_EQ(std::memcmp(decoded.data(), commands.data(), 2000 * sizeof(Command)), 0);
}

TEST(CommandCodec, RefusesEveryOtherLengthAndCount) {
    Flow flow(8);
    const std::vector<Command> commands = flow.take(40);
    std::vector<std::byte> payload;
    encodeBatch(commands, payload);
    std::vector<Command> decoded;
    for (size_t size = 0; size < payload.size(); size++) {
        EXPECT_FALSE(decodeBatch(std::span(payload).first(size), 40, decoded)) << size;
        EXPECT_TRUE(decoded.empty());
    }
    for (uint32_t count : {0u, 1u, 39u, 41u, 1u << 20, UINT32_MAX}) {
        EXPECT_FALSE(decodeBatch(payload, count, decoded)) << count;
    }
    payload.resize(payload.size() + 64);
    EXPECT_FALSE(decodeBatch(payload, 40, decoded));
    EXPECT_TRUE(decodeBatch({}, 0, decoded));
}

TEST(CommandCodec, DropsASecondLineThatDoesNotCount) {
    std::byte cell[sizeof(Command)];
    std::memset(cell, 0xff, sizeof(cell));
    cell[6] = std::byte{0xfe};  // flags without Extended
    Command command;
    loadCommand(cell, command);
    EXPECT_FALSE(command.extended());
    EXPECT_EQ(command.token, UINT64_MAX);
    EXPECT_EQ(command.stopPrice, 0);
    EXPECT_EQ(command.reserved1[2], 0);
    cell[6] = std::byte{0xff};
    loadCommand(cell, command);
    EXPECT_EQ(command.reserved1[2], -1);
}

TEST(EventDigest, SeesEveryBitAndTheOrderButNotTheSplit) {
    std::mt19937_64 random(3);
    std::vector<Event> events(8);
    for (Event& event : events) {
        uint64_t words[16];
        for (uint64_t& word : words) word = random();
        std::memcpy(reinterpret_cast<char*>(&event), words, sizeof(event));
    }
    EventDigest whole;
    whole.add(events.data(), events.size());
    EventDigest split;
    split.add(events.data(), 3);
    split.add(events.data() + 3, 0);
    split.add(events.data() + 3, 5);
    EXPECT_EQ(whole.value(), split.value());
    for (size_t bit = 0; bit < sizeof(Event) * 8; bit++) {
        std::vector<Event> changed = events;
        reinterpret_cast<unsigned char*>(&changed[4])[bit / 8] ^=
            static_cast<unsigned char>(1u << bit % 8);
        EventDigest other;
        other.add(changed.data(), changed.size());
        EXPECT_NE(other.value().lo, whole.value().lo) << bit;
        EXPECT_NE(other.value().hi, whole.value().hi) << bit;
    }
    std::swap(events[2], events[3]);
    EventDigest swapped;
    swapped.add(events.data(), events.size());
    EXPECT_FALSE(swapped.value() == whole.value());
}

}  // namespace verbex::node
