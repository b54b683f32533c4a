// Members on real threads, links and files: a cluster serves, loses members, and loses nothing.
#include "cluster_world.h"
#include "replication/floating_environment.h"
#include "transport/verbs/verbs_library.h"

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

// On an RDMA device; scripts/steps/soft-roce.mjs brings one.
TEST(MemberHostOverVerbs, TakesOverWhenTheLeaderDies) {
    if (const Status missing = transport::verbsAvailability().status; !missing.isOk()) {
        const char* const required = std::getenv("VERBEX_REQUIRE_VERBS");
        if (required != nullptr && std::string(required) == "1") FAIL() << missing.toString();
        GTEST_SKIP() << missing.toString();
    }
    constexpr auto kVerbs = transport::TransportWish::Verbs;
    Cluster cluster({.transport = kVerbs, .pace = kEmulatedPace});
    ASSERT_FALSE(HasFatalFailure());
    Ledger ledger(cluster.clientOptions(), kVerbs, kEmulatedPace);
    ledger.want(300);
    ASSERT_TRUE(ledger.pollUntil([&] { return ledger.isComplete(); }));
    MemberId before = 0;
    ASSERT_TRUE(ledger.pollUntil([&] { return (before = cluster.leader()) != 0; }));
    const Epoch epoch = cluster.host(before)->status().configuration.epoch;
    ledger.want(300);
    ASSERT_TRUE(ledger.pollUntil([&, at = ledger.done()] { return ledger.done() > at + 50; }));
    cluster.kill(before);
    ASSERT_TRUE(ledger.pollUntil([&] { return ledger.isComplete(); }));
    MemberId after = 0;
    ASSERT_TRUE(ledger.pollUntil([&] { return (after = cluster.leader()) != 0; }));
    EXPECT_NE(after, before);
    EXPECT_GT(cluster.host(after)->status().configuration.epoch, epoch);
    EXPECT_EQ(ledger.doubled(), 0u);
    EXPECT_EQ(ledger.ended(), 0u);
    EXPECT_EQ(differences(cluster, after, ledger), 0u);
}

}  // namespace
}  // namespace verbex::node::cluster_world
