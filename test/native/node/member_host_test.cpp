// Members on real threads, links and files: a cluster serves, loses members, and loses nothing.
#include "cluster_world.h"
#include "replication/floating_environment.h"

namespace verbex::node::cluster_world {
namespace {

TEST(MemberHost, ThreeMembersElectALeaderAndServe) {
    Cluster cluster({});
    ASSERT_TRUE(eventually([&] { return cluster.leader() != 0; }));
    Ledger ledger(cluster.clientOptions());
    ledger.want(2000);
    ASSERT_TRUE(ledger.pollUntil([&] { return ledger.isComplete(); }));
    EXPECT_EQ(ledger.doubled(), 0u);
    EXPECT_EQ(ledger.ended(), 0u);
    const Position position = ledger.next() - 1;
    ASSERT_TRUE(eventually([&] {
        for (MemberId id = 1; id <= 3; id++) {
            if (cluster.host(id)->status().released < position) return false;
        }
        return true;
    }));
}

TEST(MemberHost, ALeaderIsFoundThoughOneOfThreeHasNotCome) {
    Cluster cluster({.late = 3});
    ASSERT_TRUE(eventually([&] { return cluster.leader() != 0; }));
    Ledger ledger(cluster.clientOptions());
    ledger.want(300);
    ASSERT_TRUE(ledger.pollUntil([&] { return ledger.isComplete(); }));
    cluster.start(3);
    const Position position = ledger.next() - 1;
    ASSERT_TRUE(eventually([&] { return cluster.host(3)->status().released >= position; }));
    EXPECT_EQ(ledger.doubled(), 0u);
}

TEST(MemberHost, OneMemberNeedsNobodyElse) {
    Cluster cluster({.members = 1, .hot = 1});
    Ledger ledger(cluster.clientOptions());
    ledger.want(500);
    ASSERT_TRUE(ledger.pollUntil([&] { return ledger.isComplete(); }));
    cluster.kill(1);
    cluster.start(1);
    ledger.want(500);
    ASSERT_TRUE(ledger.pollUntil([&] { return ledger.isComplete(); }));
    EXPECT_EQ(ledger.doubled(), 0u);
}

// What goes wrong in one member of three while it runs, on its own thread.
struct Damage {
    const char* name;
    Status (*run)(Member&);
};

class Damages : public testing::TestWithParam<std::tuple<Damage, bool>> {};

TEST_P(Damages, AreNamedAndNothingWrongIsPublished) {
    const auto& [damage, atLeader] = GetParam();
    Cluster cluster({});
    Ledger ledger(cluster.clientOptions());
    ledger.want(300);
    ASSERT_TRUE(ledger.pollUntil([&] { return ledger.isComplete(); }));
    MemberId leader = 0;
    ASSERT_TRUE(ledger.pollUntil([&] { return (leader = cluster.leader()) != 0; }));
    const MemberId culprit = atLeader ? leader : leader % 3 + 1;
    const Position before = ledger.next();
    ASSERT_TRUE(cluster.ask(culprit, damage.run).isOk());
    ledger.want(300);
    ASSERT_TRUE(ledger.pollUntil([&] { return ledger.isComplete(); }));
    EXPECT_EQ(ledger.doubled(), 0u);

    // The record names it, and where.
    Evicted named;
    const MemberId witness = culprit % 3 + 1;
    ASSERT_TRUE(ledger.pollUntil([&] {
        const MemberStatus status = cluster.host(witness)->status();
        const Evicted* found = status.configuration.evictedMember(culprit);
        if (found != nullptr) named = *found;
        return found != nullptr;
    }));
    EXPECT_GE(named.position, before - 1);
    EXPECT_NE(named.expected, named.found);
    ASSERT_TRUE(ledger.pollUntil([&] {
        return cluster.host(culprit)->status().role == Role::Halted;
    }));
    EXPECT_TRUE(std::filesystem::exists(cluster.directory() + "/" + std::to_string(witness) +
                                        "/divergence-" + std::to_string(culprit) + "-" +
                                        std::to_string(named.position) + ".json"));

    // Nothing that the client saw differs from what a sound core makes of the log.
    ASSERT_TRUE(ledger.pollUntil([&] { return cluster.leader() != 0; }));
    EXPECT_EQ(differences(cluster, cluster.leader(), ledger), 0u);

    // It comes back on an operator's word only.
    cluster.kill(culprit);
    cluster.start(culprit);
    ASSERT_TRUE(ledger.pollUntil([&] {
        return cluster.host(culprit)->status().role == Role::Halted;
    }));
    ASSERT_TRUE(ledger.pollUntil([&] {
        const MemberId leads = cluster.leader();
        return leads != 0 &&
               cluster.ask(leads, [&](Member& member) { return member.readmit(culprit); }).isOk();
    }));
    ASSERT_TRUE(ledger.pollUntil([&] {
        return cluster.host(culprit)->status().configuration.member(culprit) != nullptr;
    }));
}

Status damageState(Member& member) {
    return member.executor().damageState(11) ? Status() : Status(StatusCode::Refused, "nothing there");
}
Status damageResult(Member& member) {
    member.executor().damageResult();
    return {};
}
Status damageRounding(Member&) {
    damageFloatingEnvironment();
    return {};
}

INSTANTIATE_TEST_SUITE_P(
    Of, Damages,
    testing::Combine(testing::Values(Damage{"state", damageState}, Damage{"result", damageResult},
                                     Damage{"rounding", damageRounding}),
                     testing::Bool()),
    [](const auto& info) {
        return std::string(std::get<0>(info.param).name) + (std::get<1>(info.param) ? "OfTheLeader" : "OfAnother");
    });

class Replaced : public testing::TestWithParam<bool> {};

// Within two seconds, says the design; a slow machine gets more here, and what it took is printed.
TEST_P(Replaced, AHotMemberThatIsLostIsReplacedByTheWarmOne) {
    Cluster cluster({.members = 3, .warm = 1, .hot = 2});
    Ledger ledger(cluster.clientOptions());
    ledger.want(300);
    ASSERT_TRUE(ledger.pollUntil([&] { return ledger.isComplete(); }));
    MemberId leader = 0;
    ASSERT_TRUE(ledger.pollUntil([&] {
        leader = cluster.leader();
        return leader != 0 && cluster.host(leader)->status().configuration.sync.size() == 2;
    }));
    ASSERT_EQ(cluster.host(leader)->status().configuration.member(3), nullptr);
    const MemberId lost = GetParam() ? leader : 3 - leader;
    ledger.want(100'000);
    ASSERT_TRUE(ledger.pollUntil([&, at = ledger.done()] { return ledger.done() > at + 50; }));
    const auto began = std::chrono::steady_clock::now();
    cluster.kill(lost);
    ASSERT_TRUE(ledger.pollUntil([&] {
        const MemberId leads = cluster.leader();
        if (leads == 0) return false;
        const Configuration record = cluster.host(leads)->status().configuration;
        return record.member(3) != nullptr && record.member(lost) == nullptr;
    }));
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - began;
    std::printf("replaced after %.0f ms\n", took.count());
    EXPECT_LT(took.count(), 20'000);
    // It counts: what the pair acknowledges, the warm one has.
    ASSERT_TRUE(ledger.pollUntil([&, at = ledger.done()] { return ledger.done() > at + 500; }));
    EXPECT_EQ(ledger.doubled(), 0u);
    EXPECT_EQ(ledger.ended(), 0u);
}

INSTANTIATE_TEST_SUITE_P(Hot, Replaced, testing::Bool(), [](const auto& info) {
    return info.param ? "TheLeader" : "TheOther";
});

class Transports : public testing::TestWithParam<transport::TransportWish> {};

TEST_P(Transports, KillsOfTheLeaderLoseAndDoubleNothing) {
    Cluster cluster({.members = 4, .warm = 1, .hot = 3, .transport = GetParam()});
    Ledger ledger(cluster.clientOptions(), GetParam());
    for (int round = 0; round < 4; round++) {
        ledger.want(300);
        ASSERT_TRUE(ledger.pollUntil([&] { return ledger.isComplete(); })) << round;
        MemberId leader = 0;
        ASSERT_TRUE(ledger.pollUntil([&] { return (leader = cluster.leader()) != 0; }));
        ledger.want(300);
        ASSERT_TRUE(ledger.pollUntil([&, at = ledger.done()] { return ledger.done() > at + 50; }));
        cluster.kill(leader);
        ASSERT_TRUE(ledger.pollUntil([&] { return ledger.isComplete(); })) << round;
        cluster.start(leader);
    }
    EXPECT_EQ(ledger.doubled(), 0u);
    EXPECT_EQ(ledger.ended(), 0u);
}

INSTANTIATE_TEST_SUITE_P(Over, Transports,
                         testing::Values(transport::TransportWish::Tcp, transport::TransportWish::Shm),
                         [](const auto& info) {
                             return info.param == transport::TransportWish::Tcp ? "tcp" : "shm";
                         });

}  // namespace
}  // namespace verbex::node::cluster_world
