// Roles against one core: whatever the shards, the delays and the losses, the same events, byte for byte, the
// same result hash, the same state.
#include <gtest/gtest.h>

#include <cstdlib>

#include "roles/role_world.h"

namespace verbex::roles::test {
namespace {

uint64_t seeds(uint64_t usual) {
    const char* wanted = std::getenv("VERBEX_ROLE_SEEDS");
    return wanted == nullptr ? usual : std::strtoull(wanted, nullptr, 10);
}

TEST(Roles, AnyNumberOfShardsSaysWhatOneCoreSays) {
    World::Seen all;
    for (uint64_t seed = 1; seed <= seeds(4); seed++) {
        for (uint32_t risk = 1; risk <= 3; risk++) {
            for (uint32_t matching = 1; matching <= 3; matching++) {
                WorldOptions options;
                options.seed = seed;
                options.riskShards = risk;
                options.matchingShards = matching;
                World world(options);
                const std::string wrong = world.run();
                ASSERT_EQ(wrong, "") << "seed " << seed << ", " << risk << "x" << matching;
                all.trades += world.seen().trades;
                all.hazards += world.seen().hazards;
            }
        }
    }
    EXPECT_GT(all.trades, 1000u);
    EXPECT_GT(all.hazards, 1000u);
    GTEST_LOG_(INFO) << all.trades << " trades, " << all.hazards << " hazards";
}

struct Losses {
    const char* name;
    bool killRisk, stallRisk, killMatching, killSequencer;
    uint32_t sequencers = 1;
    bool cutSequencer = false;
};

class RolesLost : public testing::TestWithParam<Losses> {};

TEST_P(RolesLost, TheLogStillExplainsEveryEvent) {
    const Losses& losses = GetParam();
    World::Seen all;
    for (uint64_t seed = 1; seed <= seeds(30); seed++) {
        WorldOptions options;
        options.seed = seed;
        options.riskShards = 1 + seed % 3;
        options.matchingShards = 1 + seed / 3 % 3;
        options.killRisk = losses.killRisk;
        options.stallRisk = losses.stallRisk;
        options.killMatching = losses.killMatching;
        options.killSequencer = losses.killSequencer;
        options.cutSequencer = losses.cutSequencer;
        options.sequencers = losses.sequencers;
        if (losses.sequencers > 1) options.killEvery = 500;
        World world(options);
        const std::string wrong = world.run();
        ASSERT_EQ(wrong, "") << "seed " << seed;
        all.losses += world.seen().losses;
        all.restarts += world.seen().restarts;
        all.cuts += world.seen().cuts;
        all.takeovers += world.seen().takeovers;
        all.forsaken += world.seen().forsaken;
        all.unavailable += world.seen().unavailable;
        all.refused += world.seen().refused;
        all.tradesOfLost += world.seen().tradesOfLost;
    }
    if (losses.killRisk || losses.killMatching || losses.stallRisk) { EXPECT_GT(all.losses, 10u); }
    if (losses.killSequencer) { EXPECT_GT(all.restarts, 5u); }
    if (losses.cutSequencer) { EXPECT_GT(all.cuts, 5u); }
    if (losses.sequencers > 1) {
        EXPECT_GT(all.takeovers, seeds(30) + 5);
        GTEST_LOG_(INFO) << all.takeovers << " took over, " << all.forsaken
                         << " of them with a marker to write";
    }
    if (losses.killRisk || losses.stallRisk) {
        EXPECT_GT(all.unavailable, 100u);
        EXPECT_GT(all.refused, 3u);       // under way when its process was lost
        EXPECT_GT(all.tradesOfLost, 10u);  // the books go on
    }
}

INSTANTIATE_TEST_SUITE_P(
    Roles, RolesLost,
    testing::Values(Losses{"Risk", true, false, false, false},
                    Losses{"SilentRisk", false, true, false, false},
                    Losses{"Matching", false, false, true, false},
                    Losses{"Sequencer", false, false, false, true},
                    Losses{"Everything", true, true, true, true},
                    Losses{"OneOfAPair", false, false, false, true, 2},
                    Losses{"CutPair", false, false, false, false, 2, true},
                    Losses{"EverythingOfAPair", true, true, true, true, 2, true},
                    Losses{"EverythingOfThree", true, true, true, true, 3, true}),
    [](const testing::TestParamInfo<Losses>& info) { return std::string(info.param.name); });

TEST(Roles, FullTablesAnswerAsOneCoreDoes) {
    for (uint64_t seed = 1; seed <= seeds(10); seed++) {
        WorldOptions options;
        options.seed = seed;
        options.riskShards = 2 + seed % 2;
        options.limits.maxOrders = 20;
        options.limits.maxClientIds = 150;
        options.killRisk = options.killMatching = seed % 2 == 0;
        World world(options);
        ASSERT_EQ(world.run(), "") << "seed " << seed;
    }
}

// Each rule, broken, must be noticed within so many seeds.
TEST(Roles, BrokenRulesAreNoticed) {
    for (uint8_t number = 1; number <= kRoleMutantMax; number++) {
        bool noticed = false;
        std::string how;
        for (uint64_t seed = 1; seed <= 40 && !noticed; seed++) {
            WorldOptions options;
            options.seed = seed;
            options.riskShards = 2 + seed % 2;
            options.matchingShards = 1 + seed % 3;
            options.mutant = RoleMutant(number);
            options.killRisk = options.mutant != RoleMutant::DeadDecisionUsed;
            options.stallRisk = options.mutant == RoleMutant::DeadDecisionUsed;
            World world(options);
            how = world.run();
            noticed = !how.empty();
        }
        EXPECT_TRUE(noticed) << "rule " << int{number};
        if (noticed) { GTEST_LOG_(INFO) << "rule " << int{number} << ": " << how; }
    }
}

TEST(Roles, BrokenRulesOfAPairAreNoticed) {
    for (uint8_t number = kRoleMutantMax + 1; number <= kPairMutantMax; number++) {
        bool noticed = false;
        std::string how;
        for (uint64_t seed = 1; seed <= 200 && !noticed; seed++) {
            WorldOptions options;
            options.seed = seed;
            options.sequencers = 2;
            options.mutant = RoleMutant(number);
            options.killSequencer = options.cutSequencer = true;
            options.killRisk = options.mutant == RoleMutant::MarkerForgotten;
            options.killEvery = 300;
            World world(options);
            how = world.run();
            noticed = !how.empty();
        }
        EXPECT_TRUE(noticed) << "rule " << int{number};
        if (noticed) { GTEST_LOG_(INFO) << "rule " << int{number} << ": " << how; }
    }
}

}  // namespace
}  // namespace verbex::roles::test
