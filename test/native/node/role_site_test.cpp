// A deployment in roles as the first site, a bridge, and a cluster as the second: what the one's log says of risk processes is no
// matter any more where one core has all accounts.
#include "cluster_world.h"
#include "node/bridge_host.h"
#include "node/role_host.h"

#include <stdlib.h>

namespace verbex::node::role_site_test {
namespace {

using namespace cluster_world;

constexpr uint32_t kRisk = 2;
constexpr uint32_t kMatching = 1;
// Accounts go by firm: the ledger's is the first one.
constexpr uint32_t kLedgersRisk = 1 % kRisk;
constexpr CoreLimits kLimits{1u << 14, 1u << 10, 1u << 6, 1u << 16};

// All of it in this process, each on its threads.
class RoleSite {
public:
    RoleSite() : port_(freePorts(1).front()) {
        std::string pattern = (std::filesystem::temp_directory_path() / "verbex-roles-XXXXXX").string();
        EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
        directory_ = pattern;
        SequencerHostOptions options;
        options.sequencer.limits = kLimits;
        options.sequencer.riskShards = kRisk;
        options.sequencer.matchingShards = kMatching;
        options.sequencer.silenceNs = 20'000'000'000;  // one that is gone is known by its link
        options.sequencer.attachNs = 60'000'000'000;
        options.member.id = 1;
        options.member.data = directory_ + "/sequencer";
        options.member.boot = "this test";
        options.member.segmentBytes = 4u << 20;
        options.network.node = "sequencer";
        options.network.transport = transport::TransportWish::Tcp;
        options.listen = {"127.0.0.1", port_};
        auto opened = SequencerHost::open(options, storage_, nullptr);
        EXPECT_TRUE(opened.isOk()) << opened.status().toString();
        sequencer_ = opened.take();
        for (uint32_t shard = 0; shard < kRisk; shard++) start(PartKind::Risk, shard);
        for (uint32_t shard = 0; shard < kMatching; shard++) start(PartKind::Matching, shard);
    }
    ~RoleSite() {
        stop();
        std::filesystem::remove_all(directory_);
    }

    void loseRisk(uint32_t shard) { roles_.erase({PartKind::Risk, shard}); }
    void stop() {
        sequencer_.reset();
        roles_.clear();
    }
    [[nodiscard]] roles::SequencerStatus status() const { return sequencer_->status(); }
    [[nodiscard]] ClusterClientOptions clientOptions() const {
        ClusterClientOptions options;
        options.members = {{1, {"127.0.0.1", port_}}};
        options.silentNs = 5'000'000'000;
        return options;
    }

private:
    void start(PartKind kind, uint32_t shard) {
        RoleHostOptions options;
        options.kind = kind;
        options.role.limits = kLimits;
        options.role.riskShards = kRisk;
        options.role.matchingShards = kMatching;
        options.role.shard = shard;
        options.network.node = "role";
        options.network.transport = transport::TransportWish::Tcp;
        options.sequencers = {{"127.0.0.1", port_}};
        auto opened = RoleHost::open(options, storage_);
        EXPECT_TRUE(opened.isOk()) << opened.status().toString();
        roles_[{kind, shard}] = opened.take();
    }

    std::string directory_;
    const uint16_t port_;
    journal::PosixStorage storage_;
    std::unique_ptr<SequencerHost> sequencer_;
    std::map<std::pair<PartKind, uint32_t>, std::unique_ptr<RoleHost>> roles_;
};

TEST(RoleSite, AClusterTakesOverFromItThoughARiskProcessIsAway) {
    RoleSite first;
    Cluster second({.members = 2, .hot = 2, .scrubNs = 0, .standby = true});
    BridgeHostOptions between;
    between.bridge.source = first.clientOptions();
    between.bridge.target = second.clientOptions();
    for (transport::NetworkOptions* network : {&between.source, &between.target}) {
        network->node = "bridge";
        network->transport = transport::TransportWish::Tcp;
    }
    auto bridge = BridgeHost::open(between);
    ASSERT_TRUE(bridge.isOk()) << bridge.status().toString();

    Ledger ledger(first.clientOptions());
    ledger.want(300);
    ASSERT_TRUE(ledger.pollUntil([&] { return ledger.isComplete(); }));
    first.loseRisk(kLedgersRisk);
    ASSERT_TRUE(ledger.pollUntil([&] {
        for (const roles::SeatStatus& seat : first.status().seats) {
            if (seat.kind == PartKind::Risk && seat.losses != 0 && !seat.attached) return true;
        }
        return false;
    }));
    // Refused there, and so not done: they are said again and again.
    ledger.want(100);
    const uint64_t end = steadyNs() + 100'000'000;
    (void)ledger.pollUntil([&] { return steadyNs() > end; });
    EXPECT_EQ(ledger.done(), 300u);

    // Nobody sends any more; the second site has all that was released; the first one is stopped, the second one goes on.
    ledger.goTo(second.clientOptions());
    ASSERT_TRUE(eventually([&] {
        const roles::SequencerStatus is = first.status();
        const MemberId leads = second.leader();
        if (leads == 0 || is.sequenced != is.released) return false;
        const MemberStatus there = second.host(leads)->status();
        return there.released == is.released && there.resultHash == is.resultHash;
    }));
    first.stop();
    ASSERT_TRUE(second.askLeader([](Member& member) { return member.activateSite(); }));
    ASSERT_TRUE(ledger.pollUntil([&] { return ledger.isComplete(); }));
    EXPECT_EQ(ledger.done(), 400u);
    EXPECT_EQ(ledger.doubled(), 0u);
    EXPECT_EQ(ledger.ended(), 0u);
    EXPECT_EQ(differences(second, second.leader(), ledger), 0u);
}

}  // namespace
}  // namespace verbex::node::role_site_test
