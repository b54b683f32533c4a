// Whole clusters from seeds: a few hundred in which all must go right, and broken rules that must be noticed.
#include "sim/cluster/cluster.h"
#include "sim/cluster/two_sites.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <ostream>
#include <set>

namespace verbex::sim {

namespace {

using replication::Mutant;

// VERBEX_SIM_SEEDS: for long campaigns; VERBEX_SEED: where they begin.
uint64_t fromEnvironment(const char* name, uint64_t otherwise) {
    const char* text = std::getenv(name);
    return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

std::string sentences(const ClusterCampaignReport& report) {
    std::string text;
    for (const auto& failure : report.failures) {
        text += "\nseed " + std::to_string(failure.seed) + ": " + failure.problem + " [" + failure.plan +
                "]\n  again: verbex sim --seed " + std::to_string(failure.seed) + " --seeds 1";
    }
    return text;
}

TEST(SimulatedCluster, KeepsItsWordWhateverHappens) {
    ClusterCampaignOptions options;
    options.firstSeed = fromEnvironment("VERBEX_SEED", 1);
    options.seeds = fromEnvironment("VERBEX_SIM_SEEDS", 200);
    options.threads = static_cast<uint32_t>(fromEnvironment("VERBEX_SIM_THREADS", 1));
    options.stopAfterFailed = 5;
    const ClusterCampaignReport report = runClusters(options);
    EXPECT_TRUE(report.failures.empty()) << sentences(report);
    // Something has happened in these runs, or nothing has been shown.
    const ClusterCounters& counters = report.counters;
    if (options.seeds < 100) return;
    EXPECT_GT(counters.takeovers, 2 * options.seeds);
    EXPECT_GT(counters.crashes, 2 * options.seeds);
    EXPECT_GT(counters.released, 100 * options.seeds);
    EXPECT_GT(counters.resent, 0u);
    EXPECT_GT(counters.truncations, options.seeds / 10);
    EXPECT_GT(counters.evictions, 0u);
    EXPECT_GT(counters.powerCuts, 0u);
    EXPECT_GT(counters.pauses, 0u);
    EXPECT_GT(counters.cuts, 0u);
    EXPECT_GT(counters.diskFaults, 0u);
    EXPECT_GT(counters.snapshots, 5 * options.seeds);
    EXPECT_GT(counters.prunings, options.seeds);
    EXPECT_GT(counters.installs, options.seeds / 4);
    EXPECT_GT(counters.damages, 0u);
    EXPECT_GT(counters.forced, options.seeds / 20);
    EXPECT_GT(counters.lost, options.seeds);
    RecordProperty("forced", std::to_string(counters.forced));
    RecordProperty("lost", std::to_string(counters.lost));
    RecordProperty("damages", std::to_string(counters.damages));
    RecordProperty("snapshots", std::to_string(counters.snapshots));
    RecordProperty("prunings", std::to_string(counters.prunings));
    RecordProperty("installs", std::to_string(counters.installs));
    // Where too many copies are lost a cluster stands still, as it must; that shows nothing, so it is rare.
    EXPECT_LT(counters.blocked, options.seeds / 20);
}

// Runs of seeds that something was found by.
ClusterCounters expectNoProblem(std::initializer_list<uint64_t> seeds) {
    ClusterCounters counters;
    for (const uint64_t seed : seeds) {
        ClusterRunOptions options;
        options.seed = seed;
        const ClusterRunReport report = runCluster(options);
        EXPECT_TRUE(report.ok) << "seed " << seed << ": " << report.problem << " [" << report.plan
                               << "]";
        counters.add(report.counters);
    }
    return counters;
}

// A member found itself odd and said so in the record, the leader was not told, and refused to let it in again.
TEST(SimulatedCluster, AMemberThatHasPutItselfOutIsLetInAgain) {
    expectNoProblem({2008, 3388});
}

// One that takes over knew how far the log that it adopts is committed, had less of it, and took the snapshot that
// stands for the rest for one that lacks what is committed here.
TEST(SimulatedCluster, ACandidateTakesASnapshotOfTheLogThatItAdopts) {
    expectNoProblem({11730, 42067});
}

// It had heard how far the log that it adopts is committed, did not get that log, and was forced to lead with its own:
// whose entries it called committed up to there before anybody had stored them.
TEST(SimulatedCluster, WhatIsCommittedOfAnotherLogIsNoWordAboutOnesOwn) {
    expectNoProblem({18510});
}

// The one that was put out begins with nothing, all others are lost, and it is forced.
TEST(SimulatedCluster, WhatAMemberReleasesAnewIsKnown) {
    expectNoProblem({20667});
}

// There was no room for the note that a snapshot is taken; when there was, what was left of the try was in the way.
TEST(SimulatedCluster, ASnapshotThatThereWasNoRoomForIsTakenLater) {
    expectNoProblem({4734});
}

TEST(SimulatedCluster, SameSeedIsTheSameRun) {
    std::set<uint64_t> hashes;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        ClusterRunOptions options;
        options.seed = seed;
        const ClusterRunReport one = runCluster(options);
        const ClusterRunReport other = runCluster(options);
        EXPECT_EQ(one.traceHash, other.traceHash) << "seed " << seed;
        EXPECT_EQ(one.counters.actions, other.counters.actions) << "seed " << seed;
        hashes.insert(one.traceHash);
    }
    EXPECT_EQ(hashes.size(), 10u) << "seeds are not different runs";
}

// The plans of a campaign have both kinds; here are those where nothing but the log's bytes makes one due.
TEST(SimulatedCluster, SnapshotsAreDueByTheBytesOfTheLogAlone) {
    ClusterCounters counters;
    uint64_t runs = 0;
    uint64_t taking = 0;
    for (uint64_t seed = 1; runs < 24; seed++) {
        ClusterRunOptions options;
        options.seed = seed;
        const ClusterPlan plan = ClusterPlan::draw(seed, options.commands, Mutant::None);
        if (plan.snapshotEvery != 0 || plan.snapshotBytes == 0) continue;
        runs++;
        const ClusterRunReport report = runCluster(options);
        EXPECT_TRUE(report.ok) << "seed " << seed << ": " << report.problem << " [" << report.plan << "]";
        // In each of them: a second site draws a plan of its own, which would hide what is missing here.
        if (report.counters.snapshots != 0) taking++;
        counters.add(report.counters);
    }
    EXPECT_GT(taking, runs * 3 / 4);
    EXPECT_GT(counters.prunings, runs / 2);
}

// An operator forces somebody in a sixth of a campaign's runs. Here are some of those only, so that each of them has
// lost what was acknowledged, and everything else still holds.
TEST(SimulatedCluster, WhatAnOperatorForcesLosesNothingElse) {
    ClusterCounters counters;
    uint64_t runs = 0;
    for (uint64_t seed = 1; runs < 40; seed++) {
        ClusterRunOptions options;
        options.seed = seed;
        const ClusterPlan plan = ClusterPlan::draw(seed, options.commands, Mutant::None);
        if (plan.forceAfterNs == 0 || hasTwoSites(seed)) continue;
        runs++;
        const ClusterRunReport report = runCluster(options);
        EXPECT_TRUE(report.ok) << "seed " << seed << ": " << report.problem << " [" << report.plan << "]";
        counters.add(report.counters);
    }
    EXPECT_GT(counters.forced, runs / 2);
    EXPECT_GT(counters.lost, 5 * runs);
    EXPECT_GT(counters.installs, 0u);
    EXPECT_GT(counters.truncations, 0u);
}

// All of it burns, and one copy is left: what that holds comes back, neither less nor more, whoever was there first.
TEST(SimulatedCluster, WhatIsFoundedWithACopyHoldsTheCopy) {
    ClusterCounters counters;
    uint64_t runs = 0;
    for (uint64_t seed = 1; runs < 60; seed++) {
        ClusterRunOptions options;
        options.seed = seed;
        const ClusterPlan plan = ClusterPlan::draw(seed, options.commands, Mutant::None);
        if (plan.burnAtNs == 0 || hasTwoSites(seed)) continue;
        runs++;
        const ClusterRunReport report = runCluster(options);
        EXPECT_TRUE(report.ok) << "seed " << seed << ": " << report.problem << " [" << report.plan << "]";
        counters.add(report.counters);
    }
    EXPECT_GT(counters.founded, runs * 3 / 4);
    EXPECT_GT(counters.undone, 5u);
    EXPECT_GT(counters.lost, runs);
    EXPECT_GT(counters.installs, runs / 4);
}

// A member with an empty folder was forced before its disk had taken its incarnation: the record named one that it
// never had, and the leader counted itself for nobody.
TEST(SimulatedCluster, NobodyIsForcedBeforeItHasAnIncarnation) {
    EXPECT_GT(expectNoProblem({2180}).forced, 0u);
}

// A campaign has them too, one in eight; these have a seed each that once went wrong, and some more.
TEST(SimulatedCluster, ASecondSiteFollowsWordForWordAndTakesOver) {
    std::vector<uint64_t> seeds = {36, 65, 113, 143, 197, 303, 851, 1006};
    for (uint64_t seed = 1; seed <= 40; seed++) seeds.push_back(seed);
    ClusterCounters counters;
    for (const uint64_t seed : seeds) {
        ClusterRunOptions options;
        options.seed = seed;
        const ClusterRunReport report = runTwoSites(options);
        EXPECT_TRUE(report.ok) << "seed " << seed << ": " << report.problem << " [" << report.plan << "]";
        counters.add(report.counters);
    }
    // Some of the second sites have begun with a copy of the first one.
    EXPECT_GT(counters.founded, seeds.size() / 8);
    EXPECT_GT(counters.cuts, 5 * seeds.size());
    EXPECT_LT(counters.blocked, seeds.size() / 10);
    EXPECT_GT(counters.released, 200 * seeds.size());
}

TEST(SimulatedCluster, ThreadsChangeNothing) {
    ClusterCampaignOptions options;
    options.seeds = 8;
    const uint64_t alone = runClusters(options).traceHash;
    options.threads = 3;
    EXPECT_EQ(runClusters(options).traceHash, alone);
}

// Within how many seeds, from the first on, a broken rule is noticed. Not here: ChangeByCommitOnly, docs/simulator.md
// says why, test/native/model has it; NeverMute, liveness_test.cpp has the cut that it takes.
struct Bound {
    Mutant mutant;
    uint64_t seeds;
};

std::ostream& operator<<(std::ostream& out, const Bound& bound) { return out << mutantName(bound.mutant); }

class BrokenRule : public testing::TestWithParam<Bound> {};

TEST_P(BrokenRule, IsNoticed) {
    ClusterCampaignOptions options;
    options.mutant = GetParam().mutant;
    options.seeds = GetParam().seeds;
    options.stopAfterFailed = 1;
    const ClusterCampaignReport report = runClusters(options);
    ASSERT_FALSE(report.failures.empty()) << mutantName(options.mutant) << " is not noticed in "
                                          << options.seeds << " seeds";
    RecordProperty("noticed", report.failures[0].problem);
}

// That nobody is asked, or that everybody says yes, costs service and nothing else.
TEST(SimulatedCluster, NothingThatIsSafeRestsOnAsking) {
    for (const Mutant mutant : {Mutant::AskNobody, Mutant::FollowAnybody}) {
        ClusterCampaignOptions options;
        options.mutant = mutant;
        options.seeds = 100;
        options.bearsDisruption = true;
        const ClusterCampaignReport report = runClusters(options);
        EXPECT_TRUE(report.failures.empty()) << mutantName(mutant) << sentences(report);
    }
}

INSTANTIATE_TEST_SUITE_P(
    Rules, BrokenRule,
    testing::Values(Bound{Mutant::FenceBeforeDead, 60}, Bound{Mutant::CommitOldEpoch, 200},
                    Bound{Mutant::TruncateByCommit, 60}, Bound{Mutant::AckBeforeStore, 10},
                    Bound{Mutant::VouchAfterRestart, 80}, Bound{Mutant::FenceTooFew, 40},
                    Bound{Mutant::GrowBeforeAck, 40}, Bound{Mutant::VoteSkipped, 20},
                    Bound{Mutant::DuplicateApplied, 2}, Bound{Mutant::AdoptShorterLog, 40},
                    Bound{Mutant::ActivateBeforeSync, 40}, Bound{Mutant::IgnoreChecksum, 10},
                    Bound{Mutant::ShrinkWithoutSwap, 10}, Bound{Mutant::AckUnverified, 60},
                    Bound{Mutant::TruncateStale, 400}, Bound{Mutant::AlignTooEarly, 250},
                    Bound{Mutant::SnapshotUncommitted, 60}, Bound{Mutant::SnapshotForgetsEnds, 20},
                    Bound{Mutant::SnapshotForgetsResult, 20}, Bound{Mutant::PruneEarly, 40},
                    Bound{Mutant::InstallUnasked, 300}, Bound{Mutant::AskNobody, 20},
                    Bound{Mutant::FollowNobody, 3}, Bound{Mutant::FollowAnybody, 20},
                    Bound{Mutant::ForceSameEpoch, 150}, Bound{Mutant::ForceUncounted, 10},
                    Bound{Mutant::ForceByCommit, 10}, Bound{Mutant::FoundOverRecord, 10},
                    Bound{Mutant::FoundAtLogEpoch, 20}, Bound{Mutant::FoundByCommit, 20},
                    Bound{Mutant::FollowOrphaned, 20}),
    [](const auto& each) {
        std::string name = mutantName(each.param.mutant);
        for (char& c : name) c = c == '-' ? '_' : c;
        return name;
    });

TEST(Mutants, HaveNames) {
    std::set<std::string> names;
    for (uint32_t i = 0; i <= replication::kMutantMax; i++) {
        const auto mutant = static_cast<Mutant>(i);
        names.insert(mutantName(mutant));
        Mutant found = Mutant::None;
        EXPECT_TRUE(mutantNamed(mutantName(mutant), found));
        EXPECT_EQ(found, mutant);
    }
    EXPECT_EQ(names.size(), replication::kMutantMax + 1u);
    Mutant found = Mutant::None;
    EXPECT_FALSE(mutantNamed("nonsense", found));
}

}  // namespace

}  // namespace verbex::sim
