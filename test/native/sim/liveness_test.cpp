// Who tries to take over, and when: one cut each, no other fault. A leader that is well is left alone by those
// that could fence too few, and wherever a takeover could end well there is soon a leader. Times are simulated.
#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "sim/cluster/site.h"

namespace verbex::sim {

namespace {

using replication::Mutant;
using replication::Role;

constexpr uint64_t kSettled = 3 * kSeconds;
// Suspicion, rank and turns together, with room; far less than any of the second-long time-outs.
constexpr uint64_t kTakeover = 500 * kMillis;

ClusterPlan planOf(uint32_t members, uint32_t hot) {
    ClusterPlan plan;
    plan.members = members;
    plan.hot = hot;
    plan.delayNs = 100 * kMicros;
    plan.syncNs = 500 * kMicros;
    plan.storeNs = kMillis;
    plan.batchBytes = 64u << 10;
    plan.windowCommands = 1024;
    plan.sendAheadBytes = 1u << 20;
    plan.segmentBytes = 128u << 10;
    plan.tailBytes = 1u << 20;
    return plan;
}

class World {
public:
    explicit World(uint32_t members, uint32_t hot, Mutant mutant = Mutant::None, uint64_t seed = 1)
        : random_(seed),
          site_(SiteOptions{.mutant = mutant}, planOf(members, hot), timeline_, random_,
                [this](const std::string& text) {
                    if (problem_.empty()) problem_ = text;
                }) {
        site_.connect({});
        site_.start();
    }
    ~World() { EXPECT_EQ(problem_, ""); }
    World(const World&) = delete;
    World& operator=(const World&) = delete;

    // A leader, and everybody in its sync set who is to be.
    bool settle() {
        runFor(kSettled);
        return serves() && record().sync.size() == site_.plan().hot;
    }
    void runFor(uint64_t time) {
        const uint64_t until = timeline_.now() + time;
        while (timeline_.runNext(until)) {
        }
    }
    // How long until it holds; `most` where it does not.
    uint64_t until(const std::function<bool()>& holds, uint64_t most) {
        const uint64_t begin = timeline_.now();
        while (!holds() && timeline_.now() - begin < most && timeline_.runNext(begin + most)) {
        }
        return std::min(timeline_.now() - begin, most);
    }
    // Something is released within a while: the log's time goes on by itself.
    bool serves() { return servesWithin(kSeconds) < kSeconds; }
    uint64_t servesWithin(uint64_t most) {
        const Position before = site_.oracle().released();
        return until([this, before] { return site_.oracle().released() > before + 1; }, most);
    }

    [[nodiscard]] const Configuration& record() const { return site_.control().record(); }
    [[nodiscard]] uint64_t epoch() const { return record().epoch; }
    // The highest that anybody has taken a number for.
    [[nodiscard]] uint64_t reserved() const { return std::max(record().epoch, record().reservedEpoch); }
    [[nodiscard]] MemberId leader() const { return record().leader; }
    // The others of the sync set, one after the other.
    [[nodiscard]] MemberId other(size_t index) const {
        for (const replication::SyncMember& sync : record().sync) {
            if (sync.id != leader() && index-- == 0) return sync.id;
        }
        return 0;
    }
    void cut(MemberId from, MemberId to) { site_.network().cut(from, to); }
    void apart(MemberId one, MemberId two) {
        cut(one, two);
        cut(two, one);
    }
    void mend(MemberId one, MemberId two) {
        site_.network().mend(one, two);
        site_.network().mend(two, one);
    }
    void alone(MemberId id) {
        for (MemberId each = 1; each <= site_.size(); each++) {
            if (each != id) apart(id, each);
        }
    }
    void heal() { site_.network().heal(); }
    void storeAwayFrom(MemberId id) { cut(id, kStoreNode); }
    SimulatedMember& member(MemberId id) { return site_.member(id); }
    void kill(MemberId id) { member(id).kill(RestartMode::ProcessCrash); }
    Site& site() { return site_; }

private:
    std::string problem_;
    Timeline timeline_;
    Random random_;
    Site site_;
};

// ---- an operator's force

TEST(Liveness, NobodyIsForcedWhoLeadsOrHearsALeader) {
    World world(3, 3);
    ASSERT_TRUE(world.settle());
    const std::string before = world.record().text();
    for (MemberId id = 1; id <= 3; id++) {
        world.member(id).call([](replication::Member& member) {
            EXPECT_EQ(member.force().code(), StatusCode::Refused);
        });
    }
    EXPECT_TRUE(world.serves());
    EXPECT_EQ(world.record().text(), before);
}

// ---- a leader that is well is left alone

TEST(Liveness, WhoReachesOnlyTheStoreDeposesNobody) {
    World world(3, 3);
    ASSERT_TRUE(world.settle());
    const uint64_t reserved = world.reserved();
    const MemberId leader = world.leader();
    world.alone(world.other(0));
    for (int i = 0; i < 10; i++) {
        EXPECT_TRUE(world.serves());
        world.runFor(300 * kMillis);
    }
    world.heal();
    ASSERT_TRUE(world.settle());
    EXPECT_EQ(world.reserved(), reserved);
    EXPECT_EQ(world.leader(), leader);
}

TEST(Liveness, WhoReachesOthersThatHearTheLeaderDeposesNobody) {
    for (const bool oneWay : {false, true}) {
        World world(3, 3);
        ASSERT_TRUE(world.settle());
        const uint64_t reserved = world.reserved();
        const MemberId leader = world.leader();
        const MemberId outside = world.other(0);
        world.cut(leader, outside);
        if (!oneWay) world.cut(outside, leader);
        for (int i = 0; i < 10; i++) {
            EXPECT_TRUE(world.serves());
            world.runFor(300 * kMillis);
        }
        world.heal();
        ASSERT_TRUE(world.settle());
        EXPECT_EQ(world.reserved(), reserved) << "one way: " << oneWay;
    }
}

TEST(Liveness, AMemberThatIsLeftOutDeposesNobodyWhenItComesBack) {
    World world(3, 3);
    ASSERT_TRUE(world.settle());
    const uint64_t reserved = world.reserved();
    const MemberId outside = world.other(1);
    world.alone(outside);
    world.storeAwayFrom(outside);
    world.runFor(2 * kSeconds);
    EXPECT_EQ(world.record().member(outside), nullptr);
    // The store first: what it knows of the sync set is old.
    world.site().network().mend(outside, kStoreNode);
    world.runFor(kSeconds);
    world.heal();
    ASSERT_TRUE(world.settle());
    EXPECT_EQ(world.reserved(), reserved);
}

TEST(Liveness, ALeaderThatHearsItsQuorumGoesOnWithoutTheStore) {
    World world(3, 3);
    ASSERT_TRUE(world.settle());
    const uint64_t reserved = world.reserved();
    const MemberId leader = world.leader();
    world.storeAwayFrom(leader);
    world.apart(leader, world.other(0));
    for (int i = 0; i < 10; i++) {
        EXPECT_TRUE(world.serves());
        world.runFor(300 * kMillis);
    }
    EXPECT_EQ(world.reserved(), reserved);
    EXPECT_EQ(world.leader(), leader);
}

TEST(Liveness, AMemberThatRestartsHelpsNobodyAgainstALeaderThatIsWell) {
    World world(3, 3);
    ASSERT_TRUE(world.settle());
    const uint64_t reserved = world.reserved();
    const MemberId leader = world.leader();
    const MemberId outside = world.other(0);
    const MemberId restarts = world.other(1);
    // Who is left out of the sync set could not try at all.
    world.storeAwayFrom(leader);
    world.apart(leader, outside);
    world.runFor(300 * kMillis);
    for (int i = 0; i < 5; i++) {
        world.kill(restarts);
        world.member(restarts).start();
        EXPECT_TRUE(world.serves());
        world.runFor(100 * kMillis);
    }
    EXPECT_EQ(world.reserved(), reserved);
}

TEST(Liveness, ACutPairCostsOneEpochAtMost) {
    World world(3, 2);
    ASSERT_TRUE(world.settle());
    const uint64_t reserved = world.reserved();
    world.apart(world.leader(), world.other(0));
    world.runFor(3 * kSeconds);
    EXPECT_TRUE(world.serves());
    world.heal();
    ASSERT_TRUE(world.settle());
    EXPECT_LE(world.reserved(), reserved + 1);
}

TEST(Liveness, WhoIsLeftAloneWearsOutNoEpochs) {
    World world(3, 3);
    ASSERT_TRUE(world.settle());
    const uint64_t reserved = world.reserved();
    const MemberId killed = world.leader();
    const MemberId other = world.other(0);
    // At once: neither can be left out before.
    world.kill(killed);
    world.kill(other);
    world.runFor(5 * kSeconds);
    EXPECT_EQ(world.reserved(), reserved);
    world.member(other).start();
    EXPECT_LT(world.servesWithin(5 * kSeconds), 2 * kTakeover);
    EXPECT_EQ(world.reserved(), reserved + 1);
}

// ---- wherever a takeover could end well, there is soon a leader

TEST(Liveness, TheFirstLeaderIsThereSoon) {
    World all(3, 3);
    EXPECT_LT(all.until([&] { return all.epoch() == 1; }, kSettled), kTakeover);
    // One has not come: two are enough, after they have waited for it.
    World two(3, 3);
    two.alone(3);
    EXPECT_LT(two.until([&] { return two.epoch() == 1; }, 2 * kSettled), kSettled);
}

TEST(Liveness, ADeadLeaderIsFollowedSoon) {
    for (const uint32_t hot : {2u, 3u, 5u}) {
        World world(5, hot);
        ASSERT_TRUE(world.settle());
        const uint64_t reserved = world.reserved();
        world.kill(world.leader());
        EXPECT_LT(world.servesWithin(5 * kSeconds), kTakeover) << hot << " hot";
        EXPECT_EQ(world.reserved(), reserved + 1) << hot << " hot";
    }
}

TEST(Liveness, ADeadLeaderAndAnotherDeadMemberAreNotMissedByThreeOfFive) {
    World world(5, 5);
    ASSERT_TRUE(world.settle());
    const uint64_t reserved = world.reserved();
    const MemberId leader = world.leader();
    const MemberId next = world.other(0);
    world.kill(leader);
    world.kill(next);
    EXPECT_LT(world.servesWithin(5 * kSeconds), kTakeover);
    EXPECT_EQ(world.reserved(), reserved + 1);
}

TEST(Liveness, AllRestartedAtOnceFindALeader) {
    for (const bool leaderToo : {true, false}) {
        World world(3, 3);
        ASSERT_TRUE(world.settle());
        const MemberId leader = world.leader();
        for (MemberId id = 1; id <= 3; id++) world.kill(id);
        world.runFor(kSeconds);
        for (MemberId id = 1; id <= 3; id++) {
            if (leaderToo || id != leader) world.member(id).start();
        }
        EXPECT_LT(world.servesWithin(5 * kSeconds), kTakeover) << "leader too: " << leaderToo;
    }
}

TEST(Liveness, ALeaderThatRestartsQuicklyLeadsAgain) {
    World world(3, 3);
    ASSERT_TRUE(world.settle());
    const MemberId leader = world.leader();
    const uint64_t epoch = world.epoch();
    world.kill(leader);
    world.runFor(10 * kMillis);
    world.member(leader).start();
    // Before the others have missed it: they need not, since it is the one that asks.
    EXPECT_LT(world.until([&] { return world.epoch() != epoch; }, kSettled), 50 * kMillis);
    EXPECT_EQ(world.leader(), leader);
    EXPECT_TRUE(world.serves());
}

TEST(Liveness, ALeaderHandsOverThoughAllHearIt) {
    for (const uint32_t hot : {2u, 3u, 5u}) {
        World world(5, hot);
        ASSERT_TRUE(world.settle());
        const uint64_t reserved = world.reserved();
        const MemberId to = world.other(0);
        EXPECT_TRUE(world.site().promote(to));
        EXPECT_LT(world.until([&] { return world.leader() == to; }, kSettled), kTakeover);
        EXPECT_TRUE(world.serves());
        EXPECT_EQ(world.reserved(), reserved + 1);
    }
}

TEST(Liveness, ALeaderThatPausesIsFollowedAndStaysSo) {
    World world(3, 3);
    ASSERT_TRUE(world.settle());
    const uint64_t reserved = world.reserved();
    const MemberId leader = world.leader();
    world.member(leader).pause();
    EXPECT_LT(world.servesWithin(5 * kSeconds), kTakeover);
    world.runFor(kSeconds);
    world.member(leader).resume();
    ASSERT_TRUE(world.settle());
    EXPECT_EQ(world.reserved(), reserved + 1);
    EXPECT_NE(world.leader(), leader);
}

TEST(Liveness, ALeaderWhoseDiskFailsIsFollowed) {
    World world(3, 3);
    ASSERT_TRUE(world.settle());
    SimulatedDisk& disk = world.member(world.leader()).disk();
    disk.failAt(disk.calls() + 1, DiskFault::IoError);
    EXPECT_LT(world.servesWithin(5 * kSeconds), kTakeover);
    EXPECT_TRUE(world.serves());
}

// It is heard, so nobody would follow another one, and it can't leave the others out.
void hearNobody(World& world) {
    ASSERT_TRUE(world.settle());
    const MemberId leader = world.leader();
    world.storeAwayFrom(leader);
    for (MemberId id = 1; id <= world.site().size(); id++) {
        if (id != leader) world.cut(id, leader);
    }
}

TEST(Liveness, ALeaderThatIsHeardAndHearsNobodyFallsSilent) {
    for (const uint32_t hot : {2u, 3u, 5u}) {
        World world(5, hot);
        ASSERT_NO_FATAL_FAILURE(hearNobody(world));
        const uint64_t reserved = world.reserved();
        EXPECT_LT(world.servesWithin(5 * kSeconds), 2 * kTakeover) << hot << " hot";
        EXPECT_EQ(world.reserved(), reserved + 1);
    }
    World never(3, 3, Mutant::NeverMute);
    ASSERT_NO_FATAL_FAILURE(hearNobody(never));
    EXPECT_EQ(never.servesWithin(5 * kSeconds), 5 * kSeconds) << "nothing shows that it is needed";
}

TEST(Liveness, ASilentLeaderGoesOnWhenItHearsTheOthersAgain) {
    World world(3, 3);
    ASSERT_TRUE(world.settle());
    const uint64_t reserved = world.reserved();
    const MemberId leader = world.leader();
    // Nobody reaches the store: no other one can take its place.
    for (MemberId id = 1; id <= 3; id++) world.storeAwayFrom(id);
    for (MemberId id = 1; id <= 3; id++) {
        for (MemberId to = 1; to <= 3; to++) {
            if (id != to) world.cut(id, to);
        }
    }
    world.runFor(2 * kSeconds);
    for (MemberId id = 1; id <= 3; id++) {
        for (MemberId to = id + 1; to <= 3; to++) world.mend(id, to);
    }
    EXPECT_LT(world.servesWithin(5 * kSeconds), kTakeover);
    EXPECT_EQ(world.reserved(), reserved);
    EXPECT_EQ(world.leader(), leader);
}

TEST(Liveness, ASilentLeaderGoesOnWhenTheOthersHaveRestartedAndNobodyReachesTheStore) {
    for (const uint32_t hot : {2u, 3u}) {
        World world(3, hot);
        ASSERT_TRUE(world.settle());
        const uint64_t reserved = world.reserved();
        for (MemberId id = 1; id <= 3; id++) world.storeAwayFrom(id);
        for (MemberId id = 1; id <= 3; id++) {
            if (id != world.leader()) world.kill(id);
        }
        world.runFor(2 * kSeconds);
        for (MemberId id = 1; id <= 3; id++) {
            if (id != world.leader()) world.member(id).start();
        }
        EXPECT_LT(world.servesWithin(5 * kSeconds), kTakeover) << hot << " hot";
        EXPECT_EQ(world.reserved(), reserved) << hot << " hot";
    }
}

TEST(Liveness, WhoHasNotReadTheRecordFollowsAllTheSame) {
    World world(3, 3);
    ASSERT_TRUE(world.settle());
    const MemberId restarts = world.other(1);
    world.storeAwayFrom(restarts);
    world.kill(restarts);
    world.kill(world.leader());
    world.member(restarts).start();
    EXPECT_LT(world.servesWithin(5 * kSeconds), kTakeover);
}

TEST(Liveness, ABridgeIsNoBar) {
    // Two on each side and one that hears both; the leader has one side with the bridge, or the bridge alone.
    for (const bool hasQuorum : {true, false}) {
        World world(5, 5);
        ASSERT_TRUE(world.settle());
        const uint64_t reserved = world.reserved();
        const MemberId leader = world.leader();
        const MemberId bridge = world.other(0);
        const MemberId beside = hasQuorum ? world.other(1) : 0;
        world.storeAwayFrom(leader);
        for (MemberId id = 1; id <= 5; id++) {
            if (id == leader || id == bridge || id == beside) continue;
            world.apart(leader, id);
            if (beside != 0) world.apart(beside, id);
        }
        EXPECT_LT(world.servesWithin(5 * kSeconds), 2 * kTakeover);
        world.runFor(2 * kSeconds);
        EXPECT_TRUE(world.serves());
        EXPECT_EQ(world.reserved(), reserved + (hasQuorum ? 0 : 1));
    }
}

TEST(Liveness, ACandidateThatLosesTheStoreMakesWay) {
    World world(3, 3);
    ASSERT_TRUE(world.settle());
    const uint64_t before = world.reserved();
    world.kill(world.leader());
    world.until([&] { return world.record().reservedEpoch > before; }, kSettled);
    const MemberId candidate = world.record().candidate;
    ASSERT_NE(candidate, 0u);
    // It has its epoch; what it asks for next does not arrive.
    world.until([&] { return world.member(candidate).member().replica().role() == Role::Fencing; }, kSettled);
    world.storeAwayFrom(candidate);
    EXPECT_LT(world.servesWithin(10 * kSeconds), 3 * kSeconds);
    EXPECT_NE(world.leader(), candidate);
}

}  // namespace

}  // namespace verbex::sim
