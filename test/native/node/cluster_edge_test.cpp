// Edges: nodes whose commands a cluster sequences, and whose engines execute what it has released.
#include <filesystem>
#include <fstream>
#include <future>

#include "cluster_world.h"
#include "node/node.h"
#include "node_fixture.h"
#include "sim/small_market.h"
#include "wire/command_codec.h"

namespace verbex::node::cluster_world {
namespace {

class Edge {
public:
    Edge(const Cluster& cluster, uint32_t number, const std::string& data = "") {
        NodeOptions options;
        options.data = data;
        options.durable = false;
        options.limits = {1u << 14, 1u << 10, 1u << 6, 1u << 16};
        options.cluster.emplace();
        options.cluster->cluster = cluster.clientOptions();
        options.cluster->edge = number;
        options.cluster->network.node = "edge-" + std::to_string(number);
        options.cluster->network.transport = transport::TransportWish::Tcp;
        options.cluster->network.setUpTimeoutMs = 300;
        NodeSurroundings with;
        with.storage = &storage_;
        Node::Opened opened = Node::open(options, with);
        EXPECT_TRUE(opened.failure.isOk()) << opened.failure.code << opened.failure.message;
        node_ = std::move(opened.node);
    }
    ~Edge() {
        if (node_ != nullptr) node_->stop();
    }

    // Offers, and takes events meanwhile, until there is room for all.
    void offer(const std::vector<Command>& commands) {
        size_t given = 0;
        while (given < commands.size()) {
            const Engine::Offered offered =
                node_->offer(commands.data() + given, static_cast<uint32_t>(commands.size() - given));
            ASSERT_TRUE(offered.failure.isOk()) << offered.failure.code;
            given += offered.taken;
            take();
            if (offered.taken == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
    }
    void take() {
        const uint64_t ready = node_->available();
        EventRing& ring = node_->events();
        for (uint64_t i = 0; i < ready; i++) {
            const Event& event = ring.memory()[(ring.consumed() + i) & (ring.cells() - 1)];
            const bool own = event.token != 0 && event.token < uint64_t{1} << 53;
            if (own && (event.flags & kEventLast) != 0) answered_.insert(event.token);
            if (own && event.type == static_cast<uint8_t>(EventType::Accepted) &&
                (event.flags & kEventDuplicate) == 0) {
                accepted_[event.token]++;
            }
            last_ = event.position;
            // Tokens are each edge's own; all else is the same on all of them.
            Event shared = event;
            shared.token = 0;
            digest_.add(&shared, 1);
            if ((event.flags & kEventLast) != 0) results_[last_] = digest_.value();
        }
        ASSERT_TRUE(node_->release(ready));
    }
    [[nodiscard]] bool answeredAll(size_t count) {
        return eventually([&] {
            take();
            return answered_.size() >= count;
        });
    }
    [[nodiscard]] bool reaches(Position position) {
        return eventually([&] {
            take();
            return last_ >= position;
        });
    }
    [[nodiscard]] Position last() const { return last_; }
    // Of all events up to the end of this position.
    [[nodiscard]] Digest128 resultAt(Position position) const { return results_.at(position); }
    [[nodiscard]] bool acceptedTwice() const {
        return std::any_of(accepted_.begin(), accepted_.end(),
                           [](const auto& each) { return each.second > 1; });
    }
    [[nodiscard]] size_t accepted() const { return accepted_.size(); }
    Node& node() { return *node_; }

private:
    journal::PosixStorage storage_;
    std::unique_ptr<Node> node_;
    std::set<uint64_t> answered_;
    std::map<uint64_t, int> accepted_;
    Position last_ = 0;
    EventDigest digest_;
    std::map<Position, Digest128> results_;
};

std::vector<Command> market() {
    sim::SmallMarket market;
    market.accounts = 2;
    std::vector<Command> commands = sim::smallMarket(market);
    for (size_t i = 0; i < commands.size(); i++) commands[i].token = i + 1;
    return commands;
}

std::vector<Command> orders(AccountId account, uint32_t from, uint32_t count) {
    std::vector<Command> commands;
    for (uint32_t i = from; i < from + count; i++) {
        Command& order = commands.emplace_back(Command{});
        order.type = static_cast<uint8_t>(CommandType::NewOrder);
        order.orderType = static_cast<uint8_t>(OrderType::Limit);
        order.timeInForce = static_cast<uint8_t>(TimeInForce::Gtc);
        order.selfTrade = static_cast<uint8_t>(SelfTrade::CancelOldest);
        order.side = static_cast<uint8_t>(i % 2 == 0 ? Side::Buy : Side::Sell);
        order.account = account;
        order.instrument = 1;
        order.price = 100 + i % 3;
        order.quantity = 1 + i % 5;
        order.id = text("o" + std::to_string(account) + "-" + std::to_string(i));
        order.token = 100 + i;  // both edges count alike: tokens are each one's own
    }
    return commands;
}

TEST(ClusterEdge, EdgesShareOneOrderOfCommandsAndOutliveTheLeader) {
    Cluster cluster({.members = 3, .hot = 3});
    Edge first(cluster, 1);
    Edge second(cluster, 2);
    const std::vector<Command> setUp = market();
    first.offer(setUp);
    ASSERT_TRUE(first.answeredAll(setUp.size()));
    ASSERT_TRUE(second.reaches(first.last()));

    constexpr uint32_t kOrders = 3000;
    for (uint32_t from = 0; from < kOrders; from += 100) {
        first.offer(orders(1, from, 100));
        second.offer(orders(2, from, 100));
        if (from == kOrders / 2) {
            ASSERT_TRUE(eventually([&] { return cluster.leader() != 0; }));
            cluster.kill(cluster.leader());
        }
    }
    ASSERT_TRUE(first.answeredAll(setUp.size() + kOrders));
    ASSERT_TRUE(second.answeredAll(kOrders));
    EXPECT_EQ(first.accepted(), kOrders);
    EXPECT_EQ(second.accepted(), kOrders);
    EXPECT_FALSE(first.acceptedTwice());
    EXPECT_FALSE(second.acceptedTwice());

    // Time goes on in the cluster: each is wherever it is, and both have had the same up to there.
    const Position to = std::max(first.last(), second.last());
    ASSERT_TRUE(first.reaches(to));
    ASSERT_TRUE(second.reaches(to));
    EXPECT_EQ(first.resultAt(to), second.resultAt(to));
}

TEST(ClusterEdge, AnEdgeThatStartsAgainGoesOnFromItsOwnJournal) {
    Cluster cluster({.members = 1, .hot = 1});
    const std::string data = cluster.directory() + "/edge";
    const std::vector<Command> setUp = market();
    Position seen = 0;
    {
        Edge edge(cluster, 1, data);
        edge.offer(setUp);
        edge.offer(orders(1, 0, 500));
        ASSERT_TRUE(edge.answeredAll(setUp.size() + 500));
        seen = edge.last();
    }
    Edge edge(cluster, 1, data);
    EXPECT_GE(edge.node().stats().position, seen);
    edge.offer(orders(1, 500, 500));
    ASSERT_TRUE(edge.answeredAll(500));
    EXPECT_EQ(edge.accepted(), 500u);
    EXPECT_FALSE(edge.acceptedTwice());
}

// Killed in the middle of an entry an edge has a part of it in its journal.
TEST(ClusterEdge, AnEdgeWhoseJournalEndsWithinAnEntryGoesOnThere) {
    Cluster cluster({.members = 1, .hot = 1});
    const std::vector<Command> setUp = market();
    {
        Edge edge(cluster, 1);
        edge.offer(setUp);
        edge.offer(orders(1, 0, 500));
        ASSERT_TRUE(edge.answeredAll(setUp.size() + 500));
    }
    // All up to the middle of the last entry of several.
    std::vector<Command> log;
    size_t middle = 0;
    ASSERT_TRUE(cluster.ask(1, [&](Member& member) {
        return member.log().readRange(1, member.status().released, [&](const LogEntry& entry) {
            std::vector<Command> some;
            EXPECT_TRUE(decodeBatch(entry.payload, entry.header.count, some));
            if (some.size() > 2) middle = log.size() + some.size() / 2;
            log.insert(log.end(), some.begin(), some.end());
            return Status();
        });
    }).isOk());
    ASSERT_GT(middle, 0u);
    const std::string data = cluster.directory() + "/edge";
    {
        journal::PosixStorage storage;
        NodeOptions options;
        options.data = data;
        options.durable = false;
        options.consumer = false;
        options.limits = {1u << 14, 1u << 10, 1u << 6, 1u << 16};
        NodeSurroundings with;
        with.storage = &storage;
        Node::Opened opened = Node::open(options, with);
        ASSERT_TRUE(opened.failure.isOk()) << opened.failure.message;
        for (size_t at = 0; at < middle;) {
            at += opened.node->offer(&log[at], static_cast<uint32_t>(middle - at)).taken;
        }
        ASSERT_TRUE(eventually([&] { return opened.node->stats().publishedPosition == middle; }));
        opened.node->stop();
    }
    Edge edge(cluster, 1, data);
    // It follows already.
    EXPECT_GE(edge.node().stats().position, middle);
    edge.offer(orders(1, 500, 500));
    ASSERT_TRUE(edge.answeredAll(500)) << edge.node().cluster()->stats().trouble;
    EXPECT_FALSE(edge.acceptedTwice());
    EXPECT_TRUE(eventually([&] { return edge.node().cluster()->stats().compared > 0; }));
    EXPECT_TRUE(edge.node().failure().isOk());
}

TEST(ClusterEdge, ComparesWhatItMakesOfTheLogWithWhatWasVoted) {
    // The state's hash is folded in often: behind it the comparison goes on.
    Cluster cluster({.members = 3, .hot = 3, .scrubNs = 50'000'000});
    Edge first(cluster, 1);
    Edge second(cluster, 2);
    const std::vector<Command> setUp = market();
    first.offer(setUp);
    ASSERT_TRUE(first.answeredAll(setUp.size()));
    // Of both, own and foreign tokens.
    uint32_t from = 0;
    ASSERT_TRUE(eventually([&] {
        if (from < 8000) {
            first.offer(orders(1, from, 20));
            second.offer(orders(2, from, 20));
            from += 20;
        }
        first.take();
        second.take();
        return first.node().cluster()->stats().compared >= 50 &&
               second.node().cluster()->stats().compared >= 50;
    }));
    ASSERT_TRUE(first.answeredAll(setUp.size() + from));
    ASSERT_TRUE(second.answeredAll(from));
    for (Edge* edge : {&first, &second}) {
        EXPECT_TRUE(edge->node().failure().isOk());
    }
}

TEST(ClusterEdge, AnEdgeWhoseStateIsDamagedStopsAndSaysSo) {
    Cluster cluster({.members = 3, .hot = 3});
    const std::string data = cluster.directory() + "/edge";
    Edge edge(cluster, 1, data);
    Edge sound(cluster, 2);
    const std::vector<Command> setUp = market();
    edge.offer(setUp);
    ASSERT_TRUE(edge.answeredAll(setUp.size()));

    // A balance changes as if a memory cell had flipped: the next deposit shows it.
    std::promise<bool> damaged;
    ASSERT_TRUE(edge.node()
                    .query([&](const Core* core, const Failure&) {
                        damaged.set_value(core != nullptr && const_cast<Core*>(core)->damage(11));
                    })
                    .isOk());
    ASSERT_TRUE(damaged.get_future().get());
    std::vector<Command> deposits;
    for (uint32_t i = 1; i <= 4; i++) {
        Command& deposit = deposits.emplace_back(Command{});
        deposit.type = static_cast<uint8_t>(CommandType::Deposit);
        deposit.account = 1 + i % 2;
        deposit.instrument = 1 + i / 3;
        deposit.amount = 1;
        deposit.id = text("again" + std::to_string(i));
        deposit.token = 10'000 + i;
    }
    sound.offer(deposits);
    ASSERT_TRUE(sound.answeredAll(deposits.size()));
    ASSERT_TRUE(eventually([&] {
        edge.take();
        return !edge.node().failure().isOk();
    }));
    EXPECT_EQ(edge.node().failure().code, kCodeEdgeDiverged);
    EXPECT_NE(edge.node().cluster()->stats().trouble.find(kCodeEdgeDiverged), std::string::npos);
    EXPECT_TRUE(eventually([&] {
        return edge.node().offer(deposits.data(), 1).failure.code == kCodeEdgeDiverged;
    }));
    size_t reports = 0;
    for (const auto& entry : std::filesystem::directory_iterator(data)) {
        reports += entry.path().filename().string().starts_with("divergence-edge-1-") ? 1 : 0;
    }
    EXPECT_EQ(reports, 1u);
    EXPECT_TRUE(sound.node().failure().isOk());
    // The cluster and other edges go on.
    sound.offer(orders(2, 0, 100));
    EXPECT_TRUE(sound.answeredAll(deposits.size() + 100));
}

// ---- when nobody has the beginning of the log any more

class PrunedCluster : public testing::Test {
protected:
    static ClusterOptions options() {
        ClusterOptions options;
        options.hot = 3;
        options.segmentBytes = 256u << 10;
        options.snapshots.everyCommands = 1000;
        options.snapshots.historyBytes = 0;
        options.snapshots.partBytes = 4096;
        return options;
    }
    [[nodiscard]] std::string folder(const std::string& name) const {
        return cluster_.directory() + "/" + name;
    }

    // What was there first goes from the members' disks, then from their memory.
    void prune(Edge& busy) {
        uint32_t from = 0;
        ASSERT_TRUE(eventually([&] {
            busy.offer(orders(1, from, 200));
            from += 200;
            busy.take();
            for (MemberId id = 1; id <= 3; id++) {
                if (cluster_.host(id)->status().first == 1) return false;
            }
            return true;
        }));
        for (MemberId id = 1; id <= 3; id++) {
            cluster_.kill(id);
            cluster_.start(id);
            ASSERT_TRUE(eventually([&] {
                busy.take();
                const MemberId leader = cluster_.leader();
                if (leader == 0 || leader == id) return leader == id;
                const MemberStatus leaders = cluster_.host(leader)->status();
                return leaders.configuration.member(id) != nullptr &&
                       cluster_.host(id)->status().position >= leaders.released;
            })) << id;
        }
        ordered_ = from;
    }
    [[nodiscard]] static std::string stateOf(Edge& edge) {
        return ask(edge.node(), [](const Core& core) {
            return std::to_string(core.position()) + " " + core.hash().hex();
        });
    }

    Cluster cluster_{options()};
    uint32_t ordered_ = 0;
};

TEST_F(PrunedCluster, AnEdgeWithAnEmptyFolderBeginsAtASnapshotAndFollows) {
    Edge busy(cluster_, 1);
    const std::vector<Command> setUp = market();
    busy.offer(setUp);
    ASSERT_TRUE(busy.answeredAll(setUp.size()));
    prune(busy);
    {
        Edge fresh(cluster_, 2, folder("fresh"));
        EXPECT_GT(fresh.node().stats().recoveredFrom, 0u);
        fresh.offer(orders(2, 0, 300));
        ASSERT_TRUE(fresh.answeredAll(300)) << fresh.node().cluster()->stats().trouble;
        EXPECT_TRUE(eventually([&] { return fresh.node().cluster()->stats().compared > 0; }));
        // What went wrong on the way, a member that pruned meanwhile, says `trouble`, and may.
        EXPECT_TRUE(fresh.node().failure().isOk());
        // The same state, not only the same events since.
        EXPECT_TRUE(eventually([&] {
            busy.take();
            fresh.take();
            return stateOf(busy) == stateOf(fresh);
        })) << stateOf(busy) << ", " << stateOf(fresh);
    }
    // Again from its own folder.
    Edge again(cluster_, 2, folder("fresh"));
    again.offer(orders(2, 300, 100));
    ASSERT_TRUE(again.answeredAll(100)) << again.node().cluster()->stats().trouble;
    EXPECT_TRUE(again.node().failure().isOk());
}

TEST_F(PrunedCluster, AnEdgeThatMissesWhatIsGoneStopsAndSkipsNothing) {
    const std::vector<Command> setUp = market();
    Position stoppedAt = 0;
    {
        Edge old(cluster_, 1, folder("old"));
        old.offer(setUp);
        ASSERT_TRUE(old.answeredAll(setUp.size()));
        stoppedAt = old.last();
    }
    Edge busy(cluster_, 2);
    ASSERT_TRUE(busy.reaches(setUp.size()));
    prune(busy);
    Edge old(cluster_, 1, folder("old"));
    EXPECT_TRUE(eventually([&] { return !old.node().failure().isOk(); }));
    EXPECT_EQ(old.node().failure().code, kCodeEdgeBehind);
    EXPECT_NE(old.node().cluster()->stats().trouble.find(kCodeEdgeBehind), std::string::npos);
    old.take();
    EXPECT_EQ(old.last(), 0u);  // nothing was told
    EXPECT_GE(old.node().stats().position, stoppedAt);
    EXPECT_LT(old.node().stats().position, cluster_.host(1)->status().first);
    // Without a folder there is nothing to begin at a snapshot with.
    Edge nowhere(cluster_, 3);
    EXPECT_TRUE(eventually([&] { return !nowhere.node().failure().isOk(); }));
    EXPECT_EQ(nowhere.node().failure().code, kCodeEdgeBehind);
    EXPECT_TRUE(busy.node().failure().isOk());
}

// Its gateways' messages are of a time that nobody can tell any more.
TEST_F(PrunedCluster, AFolderWithGatewaysMessagesIsNotAnEmptyOne) {
    Edge busy(cluster_, 1);
    const std::vector<Command> setUp = market();
    busy.offer(setUp);
    ASSERT_TRUE(busy.answeredAll(setUp.size()));
    prune(busy);
    std::filesystem::create_directories(folder("kept") + "/gateway");
    std::ofstream(folder("kept") + "/gateway/messages-00000000") << "of clients";
    Edge kept(cluster_, 2, folder("kept"));
    EXPECT_EQ(kept.node().stats().recoveredFrom, 0u);
    EXPECT_TRUE(eventually([&] { return !kept.node().failure().isOk(); }));
    EXPECT_EQ(kept.node().failure().code, kCodeEdgeBehind);
    EXPECT_TRUE(std::filesystem::exists(folder("kept") + "/gateway/messages-00000000"));
}

}  // namespace
}  // namespace verbex::node::cluster_world
