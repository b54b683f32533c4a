#include "bus/merge.h"

#include <cstring>
#include <gtest/gtest.h>
#include <random>

namespace verbex::bus {
namespace {

std::vector<std::byte> contentOf(uint32_t source, Position position) {
    std::vector<std::byte> bytes(position % 60);
    for (size_t i = 0; i < bytes.size(); ++i) {
        bytes[i] = static_cast<std::byte>(source * 101 + position * 7 + i);
    }
    return bytes;
}

bool sameBytes(std::span<const std::byte> a, std::span<const std::byte> b) {
    return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size()) == 0);
}

struct Line final : StreamReceiver {
    Position next = 1;
    bool open = true;
    std::vector<Position> seen;
    bool onMessage(const StreamMessage& message) override {
        if (!open) return false;
        EXPECT_TRUE(sameBytes(message.payload, contentOf(0, message.position)));
        EXPECT_EQ(message.flags, message.position % 64);
        seen.push_back(message.position);
        return true;
    }
};

bool pushLine(LineArbiter& arbiter, uint32_t line, Position position, Nanoseconds now) {
    const auto content = contentOf(0, position);
    return arbiter.push(line, {position, static_cast<uint8_t>(position % 64), content}, now);
}

TEST(LineArbiterTest, EachPositionOnceWhateverTheLinesLose) {
    for (uint64_t seed = 1; seed <= 50; ++seed) {
        std::mt19937_64 random(seed);
        Line out;
        LineArbiter arbiter({.ahead = 64, .payloadMax = 64, .waitNs = 100}, out);
        constexpr Position kLast = 2000;
        // Which line loses which position; some both lose.
        std::vector<uint8_t> lost(kLast + 2);
        for (Position at = 1; at < kLast; ++at) {
            const uint64_t draw = random() % 100;
            lost[at] = draw < 10 ? 1 : draw < 20 ? 2 : draw < 22 ? 3 : 0;
        }
        Position at[2] = {1, 1};
        Nanoseconds now = 1;
        uint64_t skipped = 0;
        while (arbiter.next() <= kLast) {
            now += random() % 20;
            out.open = random() % 10 != 0;
            const uint32_t line = random() % 2;
            if (at[line] <= kLast) {
                if ((lost[at[line]] & (1u << line)) != 0)
                    ++at[line];
                else if (pushLine(arbiter, line, at[line], now))
                    ++at[line];
            }
            if (const auto gap = arbiter.poll(now)) {
                // Never for something that only one line has lost, unless the other is late.
                if (at[0] > gap->to && at[1] > gap->to) {
                    for (Position p = gap->from; p <= gap->to; ++p) ASSERT_EQ(lost[p], 3);
                    skipped += gap->to + 1 - gap->from;
                    arbiter.skipTo(gap->to + 1, now);
                }
            }
        }
        std::vector<Position> expected;
        uint64_t lostOnBoth = 0;
        for (Position p = 1; p <= kLast; ++p) {
            if (lost[p] == 3)
                ++lostOnBoth;
            else
                expected.push_back(p);
        }
        ASSERT_EQ(out.seen, expected) << "seed " << seed;
        ASSERT_EQ(skipped, lostOnBoth);
        ASSERT_EQ(arbiter.counters().skipped, lostOnBoth);
        ASSERT_EQ(arbiter.counters().first[0] + arbiter.counters().first[1], expected.size());
        ASSERT_GT(arbiter.counters().duplicates, 100u);
    }
}

TEST(LineArbiterTest, AGapIsReportedAfterTheWaitAndAsLongAsItIsThere) {
    Line out;
    LineArbiter arbiter({.ahead = 16, .payloadMax = 64, .waitNs = 100}, out);
    EXPECT_TRUE(pushLine(arbiter, 0, 1, 10));
    EXPECT_TRUE(pushLine(arbiter, 0, 4, 20));
    EXPECT_FALSE(arbiter.poll(119));
    for (const Nanoseconds now : {120, 130}) {
        const auto gap = arbiter.poll(now);
        ASSERT_TRUE(gap);
        EXPECT_EQ(gap->from, 2u);
        EXPECT_EQ(gap->to, 3u);
    }
    EXPECT_FALSE(pushLine(arbiter, 0, 18, 130));  // no room so far ahead
    EXPECT_TRUE(pushLine(arbiter, 1, 2, 140));
    EXPECT_TRUE(pushLine(arbiter, 1, 3, 150));
    EXPECT_EQ(out.seen, (std::vector<Position>{1, 2, 3, 4}));
    // That there is an 18 is known, though it was not taken.
    EXPECT_FALSE(arbiter.poll(249));
    const auto rest = arbiter.poll(250);
    ASSERT_TRUE(rest);
    EXPECT_EQ(rest->from, 5u);
    EXPECT_EQ(rest->to, 17u);
    // A receiver that takes nothing makes no gap.
    out.open = false;
    EXPECT_FALSE(pushLine(arbiter, 1, 5, 1000));
    EXPECT_FALSE(arbiter.poll(1099));
}

TEST(LineArbiterTest, AGapBeforeWhatHasNoRoomIsReportedToo) {
    Line out;
    LineArbiter arbiter({.ahead = 16, .payloadMax = 8, .waitNs = 100}, out);
    EXPECT_FALSE(pushLine(arbiter, 0, 5000, 10));
    EXPECT_FALSE(arbiter.poll(109));
    auto gap = arbiter.poll(110);
    ASSERT_TRUE(gap);
    EXPECT_EQ(gap->from, 1u);
    EXPECT_EQ(gap->to, 4999u);
    EXPECT_FALSE(pushLine(arbiter, 1, 10, 120));  // ten bytes may not wait here
    EXPECT_EQ(arbiter.counters().oversized, 1u);
    gap = arbiter.poll(130);
    ASSERT_TRUE(gap);
    EXPECT_EQ(gap->to, 9u);
    arbiter.skipTo(10, 130);
    EXPECT_FALSE(arbiter.poll(500));
    EXPECT_TRUE(pushLine(arbiter, 1, 10, 510));  // when it is due it may
    EXPECT_EQ(out.seen, (std::vector<Position>{10}));
}

struct Merged final : MergeReceiver {
    struct Item {
        uint32_t source;
        Position position;
        bool operator==(const Item&) const = default;
    };
    std::vector<Item> items;
    bool open = true;
    bool onMerged(uint32_t source, Position merged, const StreamMessage& message) override {
        if (!open) return false;
        EXPECT_EQ(merged, items.size() + 1);
        EXPECT_TRUE(sameBytes(message.payload, contentOf(source, message.position)));
        items.push_back({source, message.position});
        return true;
    }
};

Pushed pushSource(OrderedMerge& merge, uint32_t source, Position position) {
    const auto content = contentOf(source, position);
    return merge.push(source, {position, 0, content});
}

TEST(OrderedMergeTest, AllReplicasSeeTheOrderThatWasRecorded) {
    for (uint64_t seed = 1; seed <= 40; ++seed) {
        std::mt19937_64 random(seed);
        const uint32_t sources = 2 + seed % 3;
        constexpr Position kEach = 700;
        // The deciding node's arrivals.
        OrderRecorder recorder(1 + seed % 40);
        std::vector<std::vector<std::byte>> order;
        std::vector<Merged::Item> decided;
        std::vector<Position> next(sources, 1);
        const auto publish = [&] {
            const auto batch = recorder.batch();
            if (!batch.empty()) order.emplace_back(batch.begin(), batch.end());
            recorder.clear();
        };
        while (decided.size() < sources * kEach) {
            const uint32_t source = random() % sources;
            for (uint64_t run = random() % 5; run > 0 && next[source] <= kEach; --run) {
                if (!recorder.note(source)) {
                    publish();
                    ASSERT_TRUE(recorder.note(source));
                }
                decided.push_back({source, next[source]++});
            }
            if (random() % 10 == 0) publish();
        }
        publish();
        for (int replica = 0; replica < 3; ++replica) {
            Merged out;
            OrderedMerge merge({.first = std::vector<Position>(sources, 1),
                                .bufferBytes = 1u << 12,
                                .payloadMax = 64,
                                .entriesMax = 64,
                                .waitNs = 1u << 30},
                               out);
            std::vector<Position> pushed(sources, 1);
            size_t ordered = 0;
            Nanoseconds now = 0;
            uint64_t full = 0;
            while (out.items.size() < decided.size()) {
                now += 1;
                out.open = random() % 8 != 0;
                const uint32_t pick = random() % (sources + 1);
                for (uint64_t burst = random() % 40; burst > 0; --burst) {
                    if (pick == sources) {
                        if (ordered == order.size()) break;
                        const Pushed answer = merge.pushOrder(order[ordered]);
                        ASSERT_NE(answer, Pushed::Refused);
                        if (answer == Pushed::Full) break;
                        ++ordered;
                    } else if (pushed[pick] <= kEach) {
                        const Pushed answer = pushSource(merge, pick, pushed[pick]);
                        ASSERT_NE(answer, Pushed::Refused);
                        if (answer == Pushed::Full) {
                            ++full;
                            break;
                        }
                        ++pushed[pick];
                    }
                }
                if (random() % 3 == 0) merge.poll(now, random() % 50);
            }
            ASSERT_TRUE(out.items == decided) << "seed " << seed;
            ASSERT_GT(full, 0u);
        }
    }
}

TEST(OrderedMergeTest, WhatIsMissingIsReportedAndNeverSkipped) {
    Merged out;
    OrderedMerge merge({.first = {10, 20}, .waitNs = 100}, out);
    OrderRecorder recorder;
    recorder.note(0);
    recorder.note(1);
    recorder.note(0);
    ASSERT_EQ(merge.pushOrder(recorder.batch()), Pushed::Taken);
    ASSERT_EQ(pushSource(merge, 0, 10), Pushed::Taken);
    ASSERT_EQ(pushSource(merge, 0, 11), Pushed::Taken);
    ASSERT_EQ(pushSource(merge, 0, 12), Pushed::Taken);
    merge.poll(1000);
    EXPECT_FALSE(merge.stalled());
    merge.poll(1099);
    EXPECT_FALSE(merge.stalled());
    merge.poll(1100);
    ASSERT_TRUE(merge.stalled());
    EXPECT_EQ(merge.stalled()->source, 1u);
    EXPECT_EQ(merge.stalled()->position, 20u);
    merge.poll(1'000'000);
    EXPECT_EQ(out.items.size(), 1u);
    ASSERT_EQ(pushSource(merge, 1, 20), Pushed::Taken);
    merge.poll(1'000'001);
    EXPECT_EQ(out.items.size(), 3u);
    EXPECT_FALSE(merge.stalled());
    merge.poll(1'000'101);  // source 0 has another one, and the order does not name it
    ASSERT_TRUE(merge.stalled());
    EXPECT_EQ(merge.stalled()->source, Stalled::kOrder);
    EXPECT_EQ(merge.stalled()->position, 4u);
}

TEST(OrderedMergeTest, WhatMakesNoSenseIsRefused) {
    Merged out;
    OrderedMerge merge({.first = {1, 1}, .entriesMax = 4}, out);
    const auto order = [&](std::vector<OrderEntry> entries) {
        return merge.pushOrder(std::as_bytes(std::span(entries)));
    };
    EXPECT_EQ(merge.pushOrder({}), Pushed::Refused);
    EXPECT_EQ(merge.pushOrder(std::vector<std::byte>(7)), Pushed::Refused);
    EXPECT_EQ(order({{0, 1}, {2, 1}}), Pushed::Refused);
    EXPECT_EQ(order({{0, 0}}), Pushed::Refused);
    EXPECT_EQ(order({{0, 1}, {1, 1}, {0, 1}, {1, 1}, {0, 1}}), Pushed::Refused);
    EXPECT_EQ(order({{0, 1}, {1, 1}, {0, 1}}), Pushed::Taken);
    EXPECT_EQ(order({{1, 1}, {0, 1}}), Pushed::Full);
    EXPECT_EQ(pushSource(merge, 2, 1), Pushed::Refused);
    EXPECT_EQ(pushSource(merge, 0, 2), Pushed::Refused);
    EXPECT_EQ(merge.push(0, {1, 0, std::vector<std::byte>((1u << 16) + 1)}), Pushed::Refused);
}

}  // namespace
}  // namespace verbex::bus
