// Two sites and a bridge: the second one has the first one's log, and takes over without gap or double.
#include "cluster_world.h"
#include "node/bridge_host.h"
#include "node/source_recovery.h"

namespace verbex::node::cluster_world {
namespace {

BridgeHostOptions bridgeBetween(const Cluster& from, const Cluster& to) {
    BridgeHostOptions options;
    options.bridge.source = from.clientOptions();
    options.bridge.source.anyMember = true;
    options.bridge.target = to.clientOptions();
    for (transport::NetworkOptions* network : {&options.source, &options.target}) {
        network->node = "bridge";
        network->transport = transport::TransportWish::Tcp;
        network->setUpTimeoutMs = 300;
    }
    return options;
}

std::unique_ptr<BridgeHost> openBridge(const Cluster& from, const Cluster& to) {
    auto opened = BridgeHost::open(bridgeBetween(from, to));
    EXPECT_TRUE(opened.isOk()) << opened.status().toString();
    return opened.take();
}

// The site's leader has all of it released, with that result.
bool holds(Cluster& site, Position position, const Digest128& result) {
    return eventually([&] {
        const MemberId leads = site.leader();
        if (leads == 0) return false;
        const MemberStatus status = site.host(leads)->status();
        return status.released == position && status.position == position &&
               status.resultHash == result;
    });
}

TEST(Bridge, TheSecondSiteTakesOverUnderLoadWithoutGapOrDouble) {
    Cluster first({.members = 2, .hot = 2});
    Cluster second({.members = 2, .hot = 2, .standby = true});
    std::unique_ptr<BridgeHost> bridge = openBridge(first, second);
    Ledger ledger(first.clientOptions());
    ledger.want(500);
    ASSERT_TRUE(ledger.pollUntil([&] { return ledger.isComplete(); }));

    // Cut in the middle, for a while, with the second site's leader killed meanwhile; then on again.
    ledger.want(500);
    ASSERT_TRUE(ledger.pollUntil([&] { return ledger.done() > 600; }));
    bridge.reset();
    const MemberId leads = second.leader();
    ASSERT_TRUE(ledger.pollUntil([&] { return ledger.isComplete(); }));
    if (leads != 0) {
        second.kill(leads);
        second.start(leads);
    }
    bridge = openBridge(first, second);
    ledger.want(500);
    ASSERT_TRUE(ledger.pollUntil([&] { return ledger.done() > 1100; }));

    // A standby site takes nothing from clients.
    {
        Ledger stray(second.clientOptions());
        stray.want(1);
        const uint64_t end = steadyNs() + 100'000'000;
        (void)stray.pollUntil([&] { return steadyNs() > end; });
        EXPECT_EQ(stray.done(), 0u);
    }

    // The switch: the first site off, all of it over there, the second site on; with orders still coming.
    ASSERT_TRUE(first.askLeader([](Member& member) { return member.fenceSite(); }));
    ASSERT_TRUE(eventually([&] {
        return first.leader() == 0 && first.host(1)->status().configuration.site == Site::Fenced &&
               first.host(2)->status().configuration.site == Site::Fenced;
    }));
    const MemberStatus end = first.host(1)->status();
    ASSERT_TRUE(holds(second, end.position, end.resultHash));
    ASSERT_TRUE(second.askLeader([](Member& member) { return member.activateSite(); }));
    ledger.goTo(second.clientOptions());
    ASSERT_TRUE(ledger.pollUntil([&] { return ledger.isComplete(); }));
    EXPECT_EQ(ledger.doubled(), 0u);
    EXPECT_EQ(ledger.ended(), 0u);
    EXPECT_EQ(differences(second, second.leader(), ledger), 0u);
    EXPECT_GT(ledger.next(), end.position);

    // And back: the first site follows the second one now.
    bridge.reset();
    ASSERT_TRUE(eventually([&] {
        return first.ask(1, [](Member& member) { return member.standbySite(); }).isOk();
    }));
    bridge = openBridge(second, first);
    ASSERT_TRUE(eventually([&] {
        const MemberId other = first.leader();
        return other != 0 && first.host(other)->status().released >= ledger.next() - 1;
    }));
}

// One member that prunes early.
ClusterOptions pruning() {
    ClusterOptions options{.members = 1, .hot = 1, .segmentBytes = 128u << 10};
    options.snapshots.everyCommands = 500;
    options.snapshots.historyBytes = 0;
    return options;
}

// Until it has pruned; what it still has in memory goes with its process.
void tradeUntilPruned(Cluster& site, Ledger& ledger) {
    ASSERT_TRUE(ledger.pollUntil([&] {
        if (ledger.isComplete()) ledger.want(500);
        return site.host(1)->status().first > 1;
    }));
    ASSERT_TRUE(ledger.pollUntil([&] { return ledger.isComplete(); }));
    site.kill(1);
    site.start(1);
    ASSERT_TRUE(eventually([&] { return site.leader() == 1; }));
}

// What a running member has released, as `verbex journal recover --from HOST:PORT` brings it.
Position copyFrom(const Cluster& site, const Cluster& into) {
    journal::PosixStorage storage;
    MemberSourceOptions member;
    member.scratch = into.directory() + "/scratch";
    OpenedSource opened = openMemberSource(storage, site.addresses()[0].address, member);
    EXPECT_TRUE(opened.failure.isOk()) << opened.failure.message;
    if (opened.source == nullptr) return 0;
    SourceRecoveryOptions options;
    options.data = into.directory() + "/1";
    options.limits = {0, 0, 0, 0};  // as the member was created with
    options.segmentBytes = 128u << 10;
    const SourceRecovery made = recoverFromSources(storage, {opened.source.get()}, options);
    EXPECT_TRUE(made.failure.isOk()) << made.failure.message;
    EXPECT_GT(made.snapshotPosition, 0u);
    return made.position;
}

Status foundWithin(Cluster& site) {
    Status said;
    (void)eventually([&] {
        said = site.ask(1, [](Member& member) { return member.found(); });
        return said.isOk() || said.code() == StatusCode::ClusterExists;
    });
    return said;
}

TEST(Bridge, ASiteThatIsFoundedFromACopyFollowsOneThatHasPrunedAndTakesOver) {
    Cluster first(pruning());
    Ledger ledger(first.clientOptions());
    tradeUntilPruned(first, ledger);
    Cluster second({.members = 2, .hot = 2, .standby = true, .idle = true});
    const Position copied = copyFrom(first, second);
    second.start(1);
    ASSERT_TRUE(foundWithin(second).isOk());
    ASSERT_TRUE(eventually([&] { return second.leader() == 1; }));
    EXPECT_EQ(second.host(1)->status().position, copied);
    EXPECT_EQ(second.host(1)->status().configuration.site, Site::Standby);
    second.start(2);
    std::unique_ptr<BridgeHost> bridge = openBridge(first, second);
    ledger.want(300);
    ASSERT_TRUE(ledger.pollUntil([&] { return ledger.isComplete(); }));

    ASSERT_TRUE(first.askLeader([](Member& member) { return member.fenceSite(); }));
    ASSERT_TRUE(eventually([&] { return first.leader() == 0; }));
    const MemberStatus end = first.host(1)->status();
    EXPECT_GT(end.position, copied);
    ASSERT_TRUE(holds(second, end.position, end.resultHash)) << bridge->progress().trouble;
    ASSERT_TRUE(second.askLeader([](Member& member) { return member.activateSite(); }));
    ledger.goTo(second.clientOptions());
    ledger.want(300);
    ASSERT_TRUE(ledger.pollUntil([&] { return ledger.isComplete(); }));
    EXPECT_EQ(ledger.doubled(), 0u);
    EXPECT_EQ(ledger.ended(), 0u);
    EXPECT_GT(ledger.next(), end.position);
    // The other member has come with nothing.
    ASSERT_TRUE(eventually([&] {
        const MemberStatus status = second.host(2)->status();
        return status.position >= ledger.next() - 1 && status.first > 1;
    }));
}

// Of another market, or of one that went on otherwise: it is told so, and not a byte is mixed.
TEST(Bridge, ASiteWhoseLogIsAnotherOneIsRefusedByName) {
    Cluster first(pruning());
    Ledger ledger(first.clientOptions());
    tradeUntilPruned(first, ledger);
    Cluster other(pruning());
    Ledger others(other.clientOptions());
    tradeUntilPruned(other, others);
    ASSERT_TRUE(ledger.pollUntil([&] {
        if (ledger.isComplete()) ledger.want(100);
        return first.host(1)->status().released > other.host(1)->status().released + 100;
    }));
    Cluster second({.members = 1, .hot = 1, .standby = true, .idle = true});
    const Position copied = copyFrom(other, second);
    second.start(1);
    ASSERT_TRUE(foundWithin(second).isOk());
    ASSERT_TRUE(eventually([&] { return second.leader() == 1; }));
    const MemberStatus before = second.host(1)->status();
    const std::unique_ptr<BridgeHost> bridge = openBridge(first, second);
    const auto isNamed = [&](const char* what) {
        return eventually(
            [&] { return bridge->progress().trouble.find(what) != std::string::npos; });
    };
    ASSERT_TRUE(isNamed("SITES_DIFFER")) << bridge->progress().trouble;
    ledger.want(100);
    ASSERT_TRUE(ledger.pollUntil([&] { return ledger.isComplete(); }));
    ASSERT_TRUE(isNamed("SITES_DIFFER")) << bridge->progress().trouble;
    EXPECT_EQ(bridge->progress().entries, 0u);
    EXPECT_EQ(second.host(1)->status().position, copied);
    EXPECT_EQ(second.host(1)->status().resultHash, before.resultHash);
}

// A deployment in roles has results without the state: of it the bytes of the entry are compared alone.
TEST(Bridge, WhereTheResultsAreNotOfOneKindTheBytesAreCompared) {
    Cluster first({.members = 1, .hot = 1, .scrubNs = 0});
    Cluster second({.members = 1, .hot = 1, .scrubNs = 1'000'000, .standby = true});
    BridgeHostOptions options = bridgeBetween(first, second);
    options.bridge.comparesResults = false;
    Ledger ledger(first.clientOptions());
    const auto follows = [&] {
        auto bridge = BridgeHost::open(options);
        EXPECT_TRUE(bridge.isOk()) << bridge.status().toString();
        ledger.want(50);
        EXPECT_TRUE(ledger.pollUntil([&] { return ledger.isComplete(); }));
        return eventually([&] {
            return second.host(1)->status().released >= ledger.next() - 1;
        });
    };
    ASSERT_TRUE(follows());
    // It goes on behind what is there.
    ASSERT_TRUE(follows());
    EXPECT_GT(second.host(1)->status().scrubs, 0u);
    options.bridge.comparesResults = true;
    auto bridge = BridgeHost::open(options);
    ASSERT_TRUE(bridge.isOk()) << bridge.status().toString();
    ASSERT_TRUE(eventually([&] {
        return bridge.value()->progress().trouble.find("SITES_DIFFER") != std::string::npos;
    }));
}

// Nothing is touched; docs/operations.md says what helps.
TEST(Bridge, AnEmptyStandbySiteOfOneThatHasPrunedIsToldSoAndStaysEmpty) {
    Cluster first(pruning());
    Ledger ledger(first.clientOptions());
    tradeUntilPruned(first, ledger);
    Cluster second({.members = 1, .hot = 1, .standby = true});
    ASSERT_TRUE(eventually([&] { return second.leader() == 1; }));
    const std::unique_ptr<BridgeHost> bridge = openBridge(first, second);
    ASSERT_TRUE(eventually([&] {
        return bridge->progress().trouble.find("POSITION_LOST") != std::string::npos;
    })) << bridge->progress().trouble;
    EXPECT_EQ(second.host(1)->status().position, 0u);
    EXPECT_EQ(second.host(1)->status().halted, "");
}

}  // namespace
}  // namespace verbex::node::cluster_world
