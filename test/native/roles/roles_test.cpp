// Roles against one core: whatever the shards, the delays and the losses, the same events, byte for byte, the
// same result hash, the same state.
#include <gtest/gtest.h>

#include <algorithm>
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
    bool damageSnapshots = false;
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
        options.stateEvery = seed % 2 == 0 ? 0 : 20 + 7 * static_cast<uint32_t>(seed);
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

// The same with processes that come back with snapshots: nobody can tell.
class RolesWithSnapshots : public testing::TestWithParam<Losses> {};

TEST_P(RolesWithSnapshots, WhoComesBackIsWhatItWouldHaveBeen) {
    const Losses& losses = GetParam();
    World::Seen all;
    for (uint64_t seed = 1; seed <= seeds(12); seed++) {
        WorldOptions options;
        options.seed = seed;
        options.commands = 2500;
        options.riskShards = 1 + seed % 3;
        options.matchingShards = 1 + seed / 3 % 3;
        options.killRisk = losses.killRisk;
        options.stallRisk = losses.stallRisk;
        options.killMatching = losses.killMatching;
        options.killSequencer = losses.killSequencer;
        options.cutSequencer = losses.cutSequencer;
        options.sequencers = losses.sequencers;
        options.killEvery = 400;
        options.snapshotEvery = 20 + seed % 200;
        options.damageSnapshots = losses.damageSnapshots;
        options.stateEvery = options.snapshotEvery;
        World world(options);
        const std::string wrong = world.run();
        ASSERT_EQ(wrong, "") << "seed " << seed;
        all.taken += world.seen().taken;
        all.begun += world.seen().begun;
        all.putAside += world.seen().putAside;
        all.unconfirmed += world.seen().unconfirmed;
        all.torn += world.seen().torn;
    }
    GTEST_LOG_(INFO) << all.taken << " taken, " << all.begun << " links began with one, "
                     << all.putAside << " put aside, " << all.torn << " disks stopped, "
                     << all.unconfirmed << " not confirmed";
    EXPECT_GT(all.taken, 50u);
    EXPECT_GT(all.begun, 20u);
    EXPECT_EQ(all.unconfirmed, 0u);  // whoever leads knows the results at all marks
    if (losses.damageSnapshots) {
        EXPECT_GT(all.putAside, 10u);
        EXPECT_GT(all.torn, 3u);
    } else {
        EXPECT_EQ(all.putAside, 0u);
    }
}

INSTANTIATE_TEST_SUITE_P(
    Roles, RolesWithSnapshots,
    testing::Values(Losses{"Risk", true, false, false, false},
                    Losses{"Matching", false, false, true, false},
                    Losses{"Sequencer", false, false, false, true},
                    Losses{"Everything", true, true, true, true},
                    Losses{"OneOfAPair", false, false, false, true, 2},
                    Losses{"EverythingOfAPair", true, true, true, true, 2, true},
                    Losses{"Damaged", true, true, true, true, 1, false, true},
                    Losses{"DamagedOfThree", true, true, true, true, 3, true, true}),
    [](const testing::TestParamInfo<Losses>& info) { return std::string(info.param.name); });

// Snapshots of another log under the same name and layout: every one is refused, and the log taken.
TEST(Roles, SnapshotsOfAnotherLogAreNotConfirmed) {
    WorldOptions options;
    options.seed = 3;
    options.snapshotEvery = 50;
    World other(options);
    ASSERT_EQ(other.run(), "");
    ASSERT_GT(other.seen().taken, 8u);
    // One longer than this log, and one shorter.
    for (const uint32_t commands : {400u, 3000u}) {
        WorldOptions mine = options;
        mine.seed = 9;
        mine.commands = commands;
        mine.killRisk = mine.killMatching = true;
        mine.disks = other.disks();
        World world(mine);
        ASSERT_EQ(world.run(), "");
        EXPECT_GE(world.seen().unconfirmed, 4u);
        EXPECT_GE(world.seen().putAside, 8u);  // two of each of four processes
        if (commands > 1000) { EXPECT_GT(world.seen().taken, 8u); }
    }
    // Of another process: it says so itself, and nobody is asked.
    WorldOptions turned = options;
    turned.disks = other.disks();
    std::rotate(turned.disks.begin(), turned.disks.begin() + 1, turned.disks.end());
    World world(turned);
    ASSERT_EQ(world.run(), "");
    EXPECT_GE(world.seen().putAside, 8u);
    EXPECT_EQ(world.seen().unconfirmed, 0u);
}

TEST(Roles, BrokenRulesOfSnapshotsAreNoticed) {
    WorldOptions foreign;
    foreign.seed = 3;
    foreign.snapshotEvery = 50;
    World other(foreign);
    ASSERT_EQ(other.run(), "");
    for (uint8_t number = kPairMutantMax + 1; number <= kSnapshotMutantMax; number++) {
        bool noticed = false;
        std::string how;
        for (uint64_t seed = 1; seed <= 40 && !noticed; seed++) {
            WorldOptions options;
            options.seed = seed;
            options.sequencers = 2;
            options.snapshotEvery = 40;
            options.mutant = RoleMutant(number);
            options.killRisk = options.killMatching = options.killSequencer = true;
            options.killEvery = 300;
            if (options.mutant == RoleMutant::SnapshotUnverified) options.disks = other.disks();
            how = whatIsWrong(options);
            noticed = !how.empty();
        }
        EXPECT_TRUE(noticed) << "rule " << int{number};
        if (noticed) { GTEST_LOG_(INFO) << "rule " << int{number} << ": " << how; }
    }
}

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
