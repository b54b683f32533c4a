// Sequencers that begin with what was replayed before they led, or with snapshots of that: nobody can tell, but by the time.
#include "roles/sequencer_shadow.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "roles/role_world.h"
#include "wire/command_codec.h"

namespace verbex::roles::test {
namespace {

uint64_t shadowSeeds(uint64_t usual) {
    const char* wanted = std::getenv("VERBEX_ROLE_SEEDS");
    return wanted == nullptr ? usual : std::strtoull(wanted, nullptr, 10);
}

WorldOptions pairOf(uint64_t seed) {
    WorldOptions options;
    options.seed = seed;
    options.commands = 2000;
    options.sequencers = 2;
    options.killSequencer = true;
    options.killEvery = 400;
    return options;
}

// ---- in a world

TEST(SequencerShadow, ATakeoverReplaysTheEndOfTheLog) {
    World::Seen all;
    for (uint64_t seed = 1; seed <= shadowSeeds(8); seed++) {
        World world(pairOf(seed));
        ASSERT_EQ(world.run(), "") << "seed " << seed;
        all.takeovers += world.seen().takeovers;
        all.warm += world.seen().warm;
        all.tail += world.seen().tail;
        all.whole += world.seen().whole;
    }
    GTEST_LOG_(INFO) << all.takeovers << " took over, " << all.warm << " of them warm; replayed "
                     << all.tail << " commands of " << all.whole;
    EXPECT_GT(all.warm, shadowSeeds(8));
    EXPECT_LT(all.tail, all.whole / 2);
}

TEST(SequencerShadow, AStartBeginsWithASnapshot) {
    World::Seen all;
    for (uint64_t seed = 1; seed <= shadowSeeds(8); seed++) {
        WorldOptions options = pairOf(seed);
        options.sequencers = 1;
        options.stateEvery = 60;
        World world(options);
        ASSERT_EQ(world.run(), "") << "seed " << seed;
        all.restarts += world.seen().restarts;
        all.states += world.seen().states;
        all.statesAside += world.seen().statesAside;
        all.warm += world.seen().warm;
        all.tail += world.seen().tail;
        all.whole += world.seen().whole;
    }
    GTEST_LOG_(INFO) << all.states << " taken, " << all.restarts << " restarts, " << all.warm
                     << " with one; replayed " << all.tail << " commands of " << all.whole;
    EXPECT_GT(all.warm, shadowSeeds(8));
    EXPECT_LT(all.tail, all.whole / 4);
    EXPECT_EQ(all.statesAside, 0u);
}

TEST(SequencerShadow, DamagedAndTornSnapshotsCostTimeOnly) {
    World::Seen all;
    for (uint64_t seed = 1; seed <= shadowSeeds(9); seed++) {
        WorldOptions options = pairOf(seed);
        options.sequencers = 1 + seed % 3;
        options.killRisk = options.killMatching = options.cutSequencer = true;
        options.snapshotEvery = options.stateEvery = 30 + seed % 100;
        options.damageStates = options.damageSnapshots = true;
        World world(options);
        ASSERT_EQ(world.run(), "") << "seed " << seed;
        all.states += world.seen().states;
        all.statesAside += world.seen().statesAside;
        all.statesTorn += world.seen().statesTorn;
        all.warm += world.seen().warm;
    }
    GTEST_LOG_(INFO) << all.states << " taken, " << all.statesAside << " put aside, "
                     << all.statesTorn << " disks stopped, " << all.warm << " began with one";
    EXPECT_GT(all.statesAside, 5u);
    EXPECT_GT(all.statesTorn, 3u);
    EXPECT_GT(all.warm, 10u);
}

// Of the same name and layout: longer than this log, and shorter.
TEST(SequencerShadow, SnapshotsOfAnotherLogArePutAside) {
    WorldOptions options;
    options.seed = 3;
    options.stateEvery = 50;
    World other(options);
    ASSERT_EQ(other.run(), "");
    ASSERT_GT(other.seen().states, 3u);
    for (const uint32_t sequencers : {1u, 2u}) {
        for (const uint32_t commands : {400u, 3000u}) {
            WorldOptions mine = options;
            mine.seed = 9;
            mine.sequencers = sequencers;
            mine.commands = commands;
            mine.killSequencer = true;
            mine.states = other.states();
            mine.states.resize(sequencers, other.states()[0]);
            World world(mine);
            ASSERT_EQ(world.run(), "") << sequencers << ", " << commands;
            EXPECT_GE(world.seen().statesAside, 2u);
        }
    }
    // Another layout: that they say themselves.
    WorldOptions turned = options;
    turned.riskShards = 3;
    turned.states = other.states();
    World world(turned);
    ASSERT_EQ(world.run(), "");
    EXPECT_GE(world.seen().statesAside, 2u);
}

TEST(SequencerShadow, BrokenRulesAreNoticed) {
    WorldOptions foreign;
    foreign.seed = 3;
    foreign.stateEvery = 50;
    World other(foreign);
    ASSERT_EQ(other.run(), "");
    for (uint8_t number = kSnapshotMutantMax + 1; number <= kStateMutantMax; number++) {
        bool noticed = false;
        std::string how;
        for (uint64_t seed = 1; seed <= 40 && !noticed; seed++) {
            WorldOptions options = pairOf(seed);
            options.stateEvery = 40;
            options.mutant = RoleMutant(number);
            options.cutSequencer = true;
            options.killEvery = 300;
            if (options.mutant == RoleMutant::StateUnverified) {
                options.states = {other.states()[0], other.states()[0]};
            }
            how = whatIsWrong(options);
            noticed = !how.empty();
        }
        EXPECT_TRUE(noticed) << "rule " << int{number};
        if (noticed) { GTEST_LOG_(INFO) << "rule " << int{number} << ": " << how; }
    }
}

}  // namespace
}  // namespace verbex::roles::test
