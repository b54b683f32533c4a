// Live members behind wires that are really cut: the shapes of a partition, under load.
//
// Whatever is cut: never do two members let out different things at one position, nothing acknowledged is lost, nothing
// done twice, and what all traders were told has one order that explains it. While it is cut whoever still
// reaches a majority goes on; when it is mended everybody does.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>

#include "linearizability/porcupine.h"
#include "partition_world.h"

namespace verbex::node::cluster_world {
namespace {

using linearizability::BookJudgement;
using linearizability::Porcupine;
using linearizability::Verdict;

// The leader, and the others in order behind it.
using Ranks = std::vector<MemberId>;

struct Shape {
    const char* name;
    uint32_t members;
    void (*cut)(PartitionWorld&, const Ranks&);
    // Desks that still reach a majority, and so go on; the load is where the first one is.
    std::vector<uint32_t> goOn;
};

void apart(PartitionWorld& world, const Ranks& one, const Ranks& other) {
    for (const MemberId a : one) {
        for (const MemberId b : other) world.cutMembers(a, b);
    }
}
void applied(PartitionWorld& world) { ASSERT_TRUE(world.places().apply()); }

const std::vector<Shape>& shapes() {
    static const std::vector<Shape> all = {
        // Two halves that hear nothing of each other: the leader, one more and a desk; the other three, a desk, the
        // load and the control store.
        {"Full", 5,
         [](PartitionWorld& world, const Ranks& ranks) {
             const Ranks few{ranks[0], ranks[1], world.deskPlace(2)};
             const Ranks many{ranks[2], ranks[3], ranks[4], world.deskPlace(1)};
             apart(world, few, many);
             for (const MemberId id : {ranks[0], ranks[1]}) world.cluster().control(id).cut(true);
             applied(world);
         },
         {1}},
        // Nobody hears the leader, and it hears nobody: no member, no client, no store.
        {"IsolatedLeader", 3,
         [](PartitionWorld& world, const Ranks& ranks) {
             apart(world, {ranks[0]},
                   {ranks[1], ranks[2], world.deskPlace(1), world.deskPlace(2)});
             world.cluster().control(ranks[0]).cut(true);
             applied(world);
         },
         {1, 2}},
        // Clients reach it, and so does the store: it would serve if it could.
        {"LeaderWithoutMembers", 3,
         [](PartitionWorld& world, const Ranks& ranks) {
             apart(world, {ranks[0]}, {ranks[1], ranks[2]});
             applied(world);
         },
         {1, 2}},
        {"AsymmetricNobodyHearsTheLeader", 3,
         [](PartitionWorld& world, const Ranks& ranks) {
             for (const MemberId id : {ranks[1], ranks[2]}) world.places().deafen(id, ranks[0]);
             applied(world);
         },
         {1, 2}},
        {"AsymmetricTheLeaderHearsNobody", 3,
         [](PartitionWorld& world, const Ranks& ranks) {
             for (const MemberId id : {ranks[1], ranks[2]}) world.places().deafen(ranks[0], id);
             applied(world);
         },
         {1, 2}},
        // Two pairs that hear only the one between them.
        {"Bridge", 5,
         [](PartitionWorld& world, const Ranks& ranks) {
             apart(world, {ranks[0], ranks[1]}, {ranks[3], ranks[4]});
             applied(world);
         },
         {1, 2}},
        // The same with three: the leader and the last hear the one in the middle, and not each other.
        {"BridgeOfThree", 3,
         [](PartitionWorld& world, const Ranks& ranks) {
             apart(world, {ranks[0]}, {ranks[2]});
             applied(world);
         },
         {1, 2}},
        // The leader's wires are loose: away and back, shorter and longer than it takes to be missed.
        {"Flapping", 3,
         [](PartitionWorld& world, const Ranks& ranks) {
             for (const int ms : {60, 200, 100, 350, 40, 250, 150}) {
                 apart(world, {ranks[0]}, {ranks[1], ranks[2]});
                 applied(world);
                 world.passes(std::chrono::milliseconds(ms));
                 world.places().mend();
                 applied(world);
                 world.passes(std::chrono::milliseconds(ms / 2 + 30));
             }
         },
         {1, 2}},
        // Only the leader is away from the control store: nothing needs it.
        {"LeaderWithoutStore", 3,
         [](PartitionWorld& world, const Ranks& ranks) {
             world.cluster().control(ranks[0]).cut(true);
         },
         {1, 2}},
        // No wire is cut: the leader's process ends, and starts again.
        {"Kill", 3,
         [](PartitionWorld& world, const Ranks& ranks) { world.killAndStart(ranks[0]); },
         {1, 2}},
    };
    return all;
}

constexpr uint32_t kPlaces = 7;

// Empty: nobody leads.
Ranks ranksOf(PartitionWorld& world) {
    MemberId leader = 0;
    Ranks ranks;
    if (!world.until([&] { return (leader = world.cluster().leader()) != 0; })) return ranks;
    for (uint32_t i = 0; i < world.members(); i++) {
        ranks.push_back((leader - 1 + i) % world.members() + 1);
    }
    return ranks;
}

class Partitions : public testing::TestWithParam<size_t> {};

TEST_P(Partitions, LoseNothingAndDoubleNothing) {
    const Shape& shape = shapes()[GetParam()];
    Places places(kPlaces);
    if (!places.why().empty()) GTEST_SKIP() << places.why();
    PartitionWorld world(places, shape.members);
    ASSERT_TRUE(world.begin());
    ASSERT_TRUE(world.answers({1, 2}, 50));

    const Ranks ranks = ranksOf(world);
    ASSERT_FALSE(ranks.empty());
    (void)world.desk(1).longestGap();
    shape.cut(world, ranks);
    ASSERT_TRUE(world.answers(shape.goOn, 50)) << "nobody goes on while it is cut";
    const uint64_t other = world.desk(2).answered();
    world.passes(std::chrono::milliseconds(1000));
    ASSERT_TRUE(world.answers(shape.goOn, 20)) << "it has ceased to go on";
    if (shape.goOn.size() == 1) {
        EXPECT_EQ(world.desk(2).answered(), other) << "a minority has acknowledged something";
    }
    const uint64_t gap = world.desk(1).longestGap();

    places.mend();
    ASSERT_TRUE(places.apply());
    for (const MemberId id : ranks) world.cluster().control(id).cut(false);
    ASSERT_TRUE(world.answers({1, 2}, 50)) << "it does not go on where all is mended";
    ASSERT_TRUE(world.finish());

    for (const std::string& problem : world.findProblems()) ADD_FAILURE() << problem;
    const linearizability::BookHistory history = world.history();
    const BookJudgement judgement = linearizability::judge(history);
    EXPECT_EQ(judgement.worst.verdict, Verdict::Linearizable) << judgement.why;
    const Porcupine porcupine;
    if (porcupine.isThere()) {
        EXPECT_EQ(porcupine.judge(history), "linearizable");
    }
    std::printf("%s: longest silence %.0f ms; %zu questions, %llu without an answer, %llu steps; %s; %s\n",
                shape.name, static_cast<double>(gap) / 1e6, history.size(),
                static_cast<unsigned long long>(world.desk(1).gone() + world.desk(2).gone()),
                static_cast<unsigned long long>(judgement.worst.steps), world.summary().c_str(),
                porcupine.isThere() ? "porcupine agrees" : porcupine.why().c_str());
}

INSTANTIATE_TEST_SUITE_P(All, Partitions, testing::Range<size_t>(0, shapes().size()),
                         [](const auto& info) { return shapes()[info.param].name; });

// ---- and what it looks like when something is wrong

void expectRefused(const linearizability::BookHistory& history) {
    const BookJudgement judgement = linearizability::judge(history);
    EXPECT_EQ(judgement.worst.verdict, Verdict::NotLinearizable);
    std::printf("%s\n", judgement.why.c_str());
    const Porcupine porcupine;
    if (porcupine.isThere()) {
        EXPECT_EQ(porcupine.judge(history), "not linearizable");
    }
}

// An operator's `force` makes one member's log the log, whatever others have: here one that was cut off
// meanwhile. What the others had acknowledged is gone, and neither checker nor ledger may be content.
TEST(PartitionsSeen, AForcedLeaderThatMissedSomethingIsSeenByTheChecker) {
    Places places(kPlaces);
    if (!places.why().empty()) GTEST_SKIP() << places.why();
    PartitionWorld world(places, 3);
    ASSERT_TRUE(world.begin());
    ASSERT_TRUE(world.answers({1, 2}, 50));
    const Ranks ranks = ranksOf(world);
    ASSERT_FALSE(ranks.empty());
    const MemberId leader = ranks[0];
    const MemberId middle = ranks[1];
    const MemberId last = ranks[2];
    apart(world, {last}, {leader, middle, world.deskPlace(1), world.deskPlace(2)});
    ASSERT_TRUE(places.apply());
    ASSERT_TRUE(world.answers({1, 2}, 200));
    world.cluster().kill(leader);
    world.cluster().kill(middle);
    places.mend();
    ASSERT_TRUE(places.apply());
    // Who was killed may have changed the record just before: then the word comes to nothing, and is said again.
    auto said = std::chrono::steady_clock::time_point{};
    ASSERT_TRUE(world.until([&] {
        if (world.cluster().leader() == last) return true;
        if (std::chrono::steady_clock::now() - said < std::chrono::seconds(2)) return false;
        if (world.cluster().ask(last, [](Member& member) { return member.force(); }).isOk()) {
            said = std::chrono::steady_clock::now();
        }
        return false;
    }));
    ASSERT_TRUE(world.answers({1, 2}, 100));
    world.desk(1).stop();
    world.desk(2).stop();
    expectRefused(world.history());
}

// A leader that no longer waits for whom it does not hear, without asking the store: cut off with a minority it
// goes on, and so does the leader of the others.
TEST(PartitionsSeen, TwoAcknowledgingLeadersAreSeenByWatchersAndChecker) {
    Places places(kPlaces);
    if (!places.why().empty()) GTEST_SKIP() << places.why();
    PartitionWorld world(places, 5, Mutant::ShrinkWithoutSwap);
    ASSERT_TRUE(world.begin());
    ASSERT_TRUE(world.answers({1, 2}, 50));
    const Ranks ranks = ranksOf(world);
    ASSERT_FALSE(ranks.empty());
    shapes()[0].cut(world, ranks);
    ASSERT_TRUE(world.answers({1, 2}, 100)) << "both sides go on";
    world.desk(1).stop();
    world.desk(2).stop();
    world.stopWatching();
    EXPECT_FALSE(world.findDifferences().empty());
    expectRefused(world.history());
}

// Members compute wrong results now and then, and the rule that holds them back is broken.
TEST(PartitionsSeen, WrongResultsThatAreLetOutAreSeenByTheChecker) {
    Places places(kPlaces);
    if (!places.why().empty()) GTEST_SKIP() << places.why();
    PartitionWorld world(places, 3, Mutant::VoteSkipped);
    ASSERT_TRUE(world.begin());
    ASSERT_TRUE(world.answers({1, 2}, 50));
    // The next event may be one of the load's, or one whose quantity nobody looks at: often it is a trader's.
    for (int i = 0; i < 300; i++) {
        world.passes(std::chrono::milliseconds(4));
        const MemberId leader = world.cluster().leader();
        if (leader == 0) continue;
        (void)world.cluster().ask(leader, [](Member& member) {
            member.executor().damageResult();
            return Status();
        });
    }
    world.desk(1).stop();
    world.desk(2).stop();
    expectRefused(world.history());
}

}  // namespace
}  // namespace verbex::node::cluster_world
