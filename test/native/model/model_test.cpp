// The replication protocol in small worlds: nothing wrong in any of their states, and each rule is
// needed.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "model/explorer.h"

namespace verbex::model::model_test {
namespace {

// Far beyond the largest world below; an exploration that reaches it has not shown anything.
constexpr uint64_t kStatesMax = 8'000'000;

std::string wayOf(const Explored& explored) {
    std::string text = explored.wrong + ":\n";
    for (const std::string& step : explored.way) text += "    " + step + "\n";
    return text;
}

WorldOptions worldOf(const char* name, uint8_t members, uint8_t sync, uint8_t epochs,
                     uint8_t positions, uint8_t losses, uint8_t changes, bool durable = false) {
    WorldOptions options;
    options.name = name;
    options.members = members;
    options.sync = sync;
    options.epochs = epochs;
    options.positions = positions;
    options.losses = losses;
    options.changes = changes;
    options.durable = durable;
    return options;
}

// ---- every state

class EveryState : public testing::TestWithParam<WorldOptions> {};

TEST_P(EveryState, IsSound) {
    const Explored explored = explore(GetParam(), kStatesMax);
    EXPECT_EQ(explored.wrong, "") << wayOf(explored);
    EXPECT_TRUE(explored.complete) << "more than " << explored.states << " states";
    // It was not a world in which nothing can happen.
    EXPECT_EQ(explored.committed, GetParam().positions);
    EXPECT_EQ(explored.epochs, GetParam().epochs);
    for (size_t act = 0; act != kActs; ++act) {
        const auto kind = static_cast<Act>(act);
        const bool never = kind == Act::Restart || (kind == Act::Store && !GetParam().durable) ||
                           (kind == Act::Lose && GetParam().losses == 0) ||
                           (GetParam().changes == 0 &&
                            (kind == Act::Ask || kind == Act::Apply || kind == Act::Learn));
        // A cut needs an entry that no quorum has, so a second one in its place.
        if (kind == Act::Cut || kind == Act::SendCut) continue;
        EXPECT_EQ(explored.acts[act] == 0, never) << "act " << act;
    }
    RecordProperty("states", static_cast<int>(explored.states));
    std::printf("             %llu states, %u steps deep\n",
                static_cast<unsigned long long>(explored.states), explored.depth);
}

// VERBEX_MODEL=large: millions of states more, for a run of minutes.
std::vector<WorldOptions> worlds() {
    std::vector<WorldOptions> worlds{
        worldOf("ThreeMembersFourEpochs", 3, 3, 4, 2, 0, 0),
        worldOf("ThreeMembersThreeEntries", 3, 3, 3, 3, 0, 0),
        worldOf("ThreeMembersOneLossOneChange", 3, 3, 3, 2, 1, 1),
        worldOf("APairAndAWarmOneOneLossTwoChanges", 3, 2, 3, 1, 1, 2),
        worldOf("APairAndAWarmOneTwoEntries", 3, 2, 2, 2, 1, 2),
        worldOf("ThreeMembersPowerCutDurable", 3, 3, 3, 2, 1, 0, true),
        worldOf("FourMembers", 4, 4, 3, 1, 0, 0),
        worldOf("FourMembersOneChange", 4, 4, 2, 2, 0, 1),
    };
    const char* given = std::getenv("VERBEX_MODEL");
    if (given == nullptr || std::string(given) != "large") return worlds;
    worlds.push_back(worldOf("LargeThreeMembersOneLossTwoChanges", 3, 3, 3, 2, 1, 2));
    worlds.push_back(worldOf("LargeThreeMembersFourEpochsOneChange", 3, 3, 4, 2, 0, 1));
    worlds.push_back(worldOf("LargeAPairAndAWarmOneOneLossOneChange", 3, 2, 3, 2, 1, 1));
    worlds.push_back(worldOf("LargeAPairPowerCutDurable", 3, 2, 3, 2, 1, 0, true));
    worlds.push_back(worldOf("LargeFourMembersThreeEpochs", 4, 4, 3, 2, 0, 0));
    worlds.push_back(worldOf("LargeThreeOfFourMembersOneChange", 4, 3, 3, 1, 0, 1));
    return worlds;
}

INSTANTIATE_TEST_SUITE_P(Worlds, EveryState, testing::ValuesIn(worlds()),
                         [](const auto& info) { return std::string(info.param.name); });

// ---- every rule

struct Mutation {
    Broken broken;
    WorldOptions world;  // one in which it shows
};

class BrokenRule : public testing::TestWithParam<Mutation> {};

TEST_P(BrokenRule, DoesHarm) {
    WorldOptions options = GetParam().world;
    options.broken = GetParam().broken;
    // In the end a client sees it. Of one rule that could not be shown: without it only the
    // record's promise is broken, that a quorum of its sync set has everything committed.
    options.seenOnly = options.broken != Broken::PromiseOnlyWhenFenced;
    const Explored explored = explore(options, kStatesMax);
    EXPECT_NE(explored.wrong, "") << "nothing wrong in " << explored.states << " states";
    std::printf("             %llu states: %s", static_cast<unsigned long long>(explored.states),
                wayOf(explored).c_str());
}

INSTANTIATE_TEST_SUITE_P(
    Mutants, BrokenRule,
    testing::Values(
        Mutation{Broken::FenceBeforeDead, worldOf("FenceBeforeDead", 3, 3, 2, 2, 0, 0)},
        Mutation{Broken::FenceWithoutPromise, worldOf("FenceWithoutPromise", 3, 3, 2, 2, 0, 0)},
        Mutation{Broken::FenceTooFew, worldOf("FenceTooFew", 3, 3, 2, 2, 0, 0)},
        Mutation{Broken::FenceAnyIncarnation, worldOf("FenceAnyIncarnation", 3, 2, 2, 2, 1, 1)},
        Mutation{Broken::ForgetPromise, worldOf("ForgetPromise", 3, 3, 2, 2, 0, 0)},
        Mutation{Broken::AdoptShorterLog, worldOf("AdoptShorterLog", 3, 3, 2, 2, 0, 0)},
        // With three, whoever is fenced meets every quorum, so a quorum has it already.
        Mutation{Broken::ActivateBeforeSync, worldOf("ActivateBeforeSync", 4, 4, 3, 1, 0, 0)},
        Mutation{Broken::CommitOldEpoch, worldOf("CommitOldEpoch", 3, 3, 4, 2, 0, 0)},
        Mutation{Broken::AckUnverified, worldOf("AckUnverified", 3, 3, 3, 1, 0, 0)},
        Mutation{Broken::AckBeforeStore, worldOf("AckBeforeStore", 3, 2, 3, 1, 1, 0, true)},
        Mutation{Broken::VouchAfterRestart, worldOf("VouchAfterRestart", 3, 2, 2, 2, 1, 1)},
        Mutation{Broken::CountAnyIncarnation, worldOf("CountAnyIncarnation", 3, 2, 2, 2, 1, 1)},
        Mutation{Broken::LeadAgain, worldOf("LeadAgain", 3, 2, 2, 2, 1, 1)},
        Mutation{Broken::TruncateByCommit, worldOf("TruncateByCommit", 3, 3, 3, 2, 0, 0)},
        Mutation{Broken::TruncateWhenFenced, worldOf("TruncateWhenFenced", 3, 3, 2, 2, 0, 0)},
        Mutation{Broken::TruncateStale, worldOf("TruncateStale", 3, 3, 3, 1, 0, 0)},
        Mutation{Broken::GrowBeforeAck, worldOf("GrowBeforeAck", 3, 2, 3, 1, 1, 1)},
        Mutation{Broken::ShrinkWithoutSwap, worldOf("ShrinkWithoutSwap", 3, 2, 2, 2, 1, 1)},
        Mutation{Broken::ChangeCountedOnceOnly, worldOf("ChangeCountedOnceOnly", 3, 2, 3, 1, 1, 1)},
        Mutation{Broken::ChangeByCommitOnly, worldOf("ChangeByCommitOnly", 3, 2, 3, 1, 1, 1)},
        Mutation{Broken::CutWhileAdopting, worldOf("CutWhileAdopting", 3, 3, 3, 1, 0, 0)},
        Mutation{Broken::PromiseOnlyWhenFenced,
                 worldOf("PromiseOnlyWhenFenced", 3, 3, 3, 2, 0, 1)}),
    [](const auto& info) { return std::string(info.param.world.name); });

}  // namespace
}  // namespace verbex::model::model_test
