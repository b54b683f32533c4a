// The ladder against an ordered map: same answers, wherever the window lies and however often it moves.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <map>
#include <random>

#include "book/ladder.h"

namespace verbex {
namespace {

uint64_t seed() {
    const char* text = std::getenv("VERBEX_SEED");
    return text == nullptr ? 1 : std::strtoull(text, nullptr, 10);
}

struct World {
    int64_t priceMin, priceMax;  // band given to the ladder
    int64_t spread;              // how far apart prices lie
    int64_t drift;               // how fast they wander
};

class LadderAgainstMap : public testing::TestWithParam<World> {};

TEST_P(LadderAgainstMap, SameNeighboursAndLevels) {
    const World world = GetParam();
    for (uint64_t s = seed(); s < seed() + 5; ++s) {
        SCOPED_TRACE(s);
        std::mt19937_64 random(s);
        const auto below = [&random](int64_t n) {
            return static_cast<int64_t>(random() % static_cast<uint64_t>(n));
        };
        Ladder ladder(world.priceMin, world.priceMax);
        std::map<int64_t, uint32_t> model;
        int64_t centre = (world.priceMin + world.priceMax) / 2;
        for (int i = 0; i < 60'000; ++i) {
            centre = std::max<int64_t>(world.spread + 1, centre + below(2 * world.drift + 1) - world.drift);
            const int64_t price = centre + below(2 * world.spread) - world.spread;
            if (below(2) == 0) {
                Level& level = ladder.join(price);
                const auto [at, added] = model.try_emplace(price, static_cast<uint32_t>(i + 1));
                ASSERT_EQ(level.head, added ? 0 : at->second);
                level = Level{at->second, at->second};
            } else if (!model.empty()) {
                auto at = model.lower_bound(price);
                if (at == model.end()) --at;
                ASSERT_EQ(ladder.occupied(at->first).head, at->second);
                ladder.vacate(at->first);
                model.erase(at);
            }
            const int64_t probe = centre + below(4 * world.spread) - 2 * world.spread;
            const auto above = model.upper_bound(probe);
            ASSERT_EQ(ladder.above(probe), above == model.end() ? Ladder::kNone : above->first);
            auto under = model.lower_bound(probe);
            ASSERT_EQ(ladder.below(probe), under == model.begin() ? Ladder::kNone : (--under)->first);
            const auto here = model.find(probe);
            ASSERT_EQ(ladder.at(probe).head, here == model.end() ? 0 : here->second);
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Worlds, LadderAgainstMap,
                         testing::Values(World{1, 64, 20, 1}, World{1, 100, 200, 3},
                                         World{1000, 1 << 20, 100, 200},
                                         World{1, int64_t{1} << 53, 1 << 20, 100},
                                         World{1, int64_t{1} << 53, 1 << 19, 1 << 14},
                                         World{1, 1 << 18, 1 << 17, 10}));

// An empty window does not carry all other levels along each time somebody joins far away.
TEST(Ladder, LevelsFarAwayAreNotCarriedForEachJoin) {
    constexpr int64_t kApart = int64_t{1} << 20;
    constexpr int64_t kLevels = 10'000;
    Ladder ladder(1, int64_t{1} << 53);
    for (int64_t i = 0; i <= kLevels; ++i) ladder.join(1 + i * kApart) = Level{1, 1};
    ladder.vacate(1);
    const auto started = std::chrono::steady_clock::now();
    for (int64_t i = 0; i < 50'000; ++i) {
        const int64_t price = (kLevels + 1 + i % 1000) * kApart;
        ladder.join(price) = Level{2, 2};
        ASSERT_EQ(ladder.above(1 + kLevels * kApart), price);
        ladder.vacate(price);
    }
    // Minutes otherwise.
    EXPECT_LT(std::chrono::steady_clock::now() - started, std::chrono::seconds(10));
}

}  // namespace
}  // namespace verbex
