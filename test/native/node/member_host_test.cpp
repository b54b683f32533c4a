// Members on real threads, links and files: a cluster serves, loses members, and loses nothing.
#include "cluster_world.h"

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
