#include "bus/history.h"

#include <deque>
#include <gtest/gtest.h>
#include <random>
#include <vector>

namespace verbex::bus {
namespace {

std::vector<std::byte> bytesFor(Position position, size_t size) {
    std::vector<std::byte> bytes(size);
    for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(position * 7 + i);
    return bytes;
}

TEST(HistoryTest, KeepsTheNewestUnchangedAndFindsThemByPosition) {
    for (uint64_t seed = 1; seed <= 20; ++seed) {
        std::mt19937_64 random(seed);
        const uint32_t capacity = 1024u << (seed % 4);
        History history(capacity, seed * 100);
        const size_t sizeMax = seed % 3 == 0 ? 4 : capacity / 4 - 2 * kMessageCost;
        std::deque<std::pair<Position, std::vector<std::byte>>> model;
        for (int i = 0; i < 3000; ++i) {
            const Position position = history.next();
            auto bytes = bytesFor(position, random() % (sizeMax + 1));
            const uint64_t before = history.end();
            history.append(bytes, static_cast<uint8_t>(position % 64));
            EXPECT_GE(history.end() - before, costOf(bytes.size()));
            model.emplace_back(position, std::move(bytes));
            while (model.front().first < history.oldest()) model.pop_front();
            ASSERT_LE(history.end() - history.offsetOf(history.oldest()), capacity);
            ASSERT_EQ(model.size(), history.next() - history.oldest());
            for (const auto& [at, expected] : model) {
                const History::Entry entry = history.at(at);
                ASSERT_EQ(entry.flags, at % 64);
                ASSERT_TRUE(std::equal(expected.begin(), expected.end(), entry.payload.begin(),
                                       entry.payload.end()));
            }
        }
    }
}

TEST(HistoryTest, AWindowOfHalfTheCapacityIsNeverForgotten) {
    for (uint64_t seed = 1; seed <= 20; ++seed) {
        std::mt19937_64 random(seed);
        History history(4096, 1);
        std::deque<size_t> costs;
        uint64_t held = 0;
        Position first = 1;
        for (int i = 0; i < 5000; ++i) {
            const size_t size = random() % (seed % 2 == 0 ? 2 : 480);
            while (held + costOf(size) > 2048) {
                held -= costs.front();
                costs.pop_front();
                ++first;
            }
            if (costs.empty()) first = history.next();
            history.append(bytesFor(history.next(), size), 0);
            costs.push_back(costOf(size));
            held += costOf(size);
            ASSERT_LE(history.oldest(), first);
        }
    }
}

TEST(HistoryTest, RestartsAnywhere) {
    History history(1024, 5);
    history.append(bytesFor(5, 100), 1);
    history.restart(900);
    EXPECT_FALSE(history.has(5));
    EXPECT_EQ(history.oldest(), 900u);
    for (Position at = 900; at < 950; ++at) history.append(bytesFor(at, 200), 2);
    EXPECT_EQ(history.at(949).payload.size(), 200u);
    EXPECT_EQ(history.at(949).payload[1], bytesFor(949, 2)[1]);
}

}  // namespace
}  // namespace verbex::bus
