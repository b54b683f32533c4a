// A node whose gateways fail: killed processes, full stores, clients that do not read, wrong options.
#include "node/gateway_host.h"

#include <signal.h>
#include <sys/wait.h>

#include "gateway/clearing/clearing.h"
#include "gateway_world.h"

namespace verbex::node::gateway_failures_test {
namespace {

using namespace gateway_world;

// On a thread of its own, under two plans, and on the engine's.
struct Way {
    const char* name;
    const char* plan;
    bool shared;
};

class GatewayFailures : public ::testing::TestWithParam<Way> {
protected:
    NodeOptions options(uint32_t users) const {
        NodeOptions options = nodeOptions(directory_.file("data"), users);
        EXPECT_TRUE(pipeline::parsePlan(GetParam().plan, pipeline::usableCores(), &options.plan));
        options.gateways->sharesEngine = GetParam().shared;
        return options;
    }
    TemporaryDirectory directory_;
};

INSTANTIATE_TEST_SUITE_P(Ways, GatewayFailures,
                         ::testing::Values(Way{"own", "serial", false},
                                           Way{"shared", "serial", true},
                                           Way{"sharded", "sharded:2x2", false}),
                         [](const auto& of) { return std::string(of.param.name); });

// Everybody trades at random; answers when `orders` of them were sent.
void trade(Traders& traders, std::mt19937_64& random, int orders) {
    for (int i = 0; i < orders; i++) {
        Trader& trader = traders[random() % traders.size()];
        if (random() % 5 == 0 && trader.reference != 0) {
            traders.cancel(trader, 1 + static_cast<uint32_t>(random() % trader.reference));
        } else {
            traders.order(trader, random() % 2 == 0 ? ouch::kBuy : ouch::kSell,
                          1 + static_cast<uint32_t>(random() % 50), 990 + random() % 20);
        }
        if (i % 16 == 0) traders.turn();
    }
}

void expectTheJournals(Traders& traders, const NodeOptions& options, Position position) {
    std::map<uint16_t, std::vector<Fill>> fills = journaledFills(options, position);
    size_t all = 0;
    for (size_t i = 0; i < traders.size(); i++) {
        EXPECT_EQ(traders[i].fills(), fills[static_cast<uint16_t>(i + 1)]) << traders[i].name();
        all += traders[i].fills().size();
    }
    EXPECT_GT(all, 0u);
}

TEST_P(GatewayFailures, AfterARestartEverybodyGetsExactlyWhatWasMissed) {
    constexpr uint32_t kUsers = 4;
    const NodeOptions options = this->options(kUsers);
    Traders traders(kUsers);
    std::mt19937_64 random(5);
    Position position = 0;
    for (int life = 0; life < 4; life++) {
        Server server(options, life == 0, kUsers);
        ASSERT_NE(server.node, nullptr) << server.failure;
        traders.connectAll(server.orders());
        trade(traders, random, 200);
        // Some are away when it goes on, and when it ends.
        traders[life].connection->drop();
        for (int i = 0; i < 40; i++) {
            Trader& trader = traders[(life + 1) % kUsers];
            traders.order(trader, i % 2 == 0 ? ouch::kBuy : ouch::kSell, 30, 1000);
        }
        traders.turn();
        if (life % 2 == 0) {
            ASSERT_TRUE(server.close().failure.isOk());
        } else {
            server.node->stop();
        }
        // What was sent on the way out is read.
        ASSERT_TRUE(traders.until([&] {
            for (size_t i = 0; i < kUsers; i++) {
                if (traders[i].connection->isConnected()) return false;
            }
            return true;
        }));
        if (HasFailure()) return;
    }
    {
        Server server(options);
        ASSERT_NE(server.node, nullptr) << server.failure;
        traders.connectAll(server.orders());
        for (size_t i = 0; i < kUsers; i++) ASSERT_TRUE(traders.settle(traders[i]));
        position = server.close().position;
    }
    expectTheJournals(traders, options, position);
    // From the beginning it is the same stream, byte by byte.
    Server server(options);
    ASSERT_NE(server.node, nullptr) << server.failure;
    Traders again(kUsers);
    again.connectAll(server.orders());
    for (size_t i = 0; i < kUsers; i++) {
        const size_t all = traders[i].stream.size();
        ASSERT_TRUE(again.until([&] { return again[i].stream.size() >= all; }));
        EXPECT_EQ(again[i].stream, traders[i].stream);
    }
}

// The node in a process of its own, which is killed.
class KilledServer {
public:
    KilledServer(const NodeOptions& options, bool withMarket, uint32_t users) {
        int ends[2];
        EXPECT_EQ(::pipe(ends), 0);
        process_ = ::fork();
        if (process_ == 0) {
            ::close(ends[0]);
            Server server(options, withMarket, users);
            uint16_t port = 0;
            if (server.node != nullptr) port = server.orders().port;
            if (::write(ends[1], &port, sizeof(port)) != sizeof(port)) ::_exit(1);
            while (port != 0) ::pause();
            ::_exit(1);
        }
        ::close(ends[1]);
        EXPECT_EQ(::read(ends[0], &address_.port, sizeof(address_.port)), 2);
        ::close(ends[0]);
    }
    ~KilledServer() { kill(); }
    void kill() {
        if (process_ == 0) return;
        ::kill(process_, SIGKILL);
        int status = 0;
        EXPECT_EQ(::waitpid(process_, &status, 0), process_);
        process_ = 0;
    }
    [[nodiscard]] const transport::Address& address() const { return address_; }

private:
    pid_t process_ = 0;
    transport::Address address_ = [] {
        transport::Address address;
        address.port = 0;
        return address;
    }();
};

TEST_P(GatewayFailures, KilledUnderLoadEveryClientEndsWithTheJournalsExecutions) {
    constexpr uint32_t kUsers = 4;
    const NodeOptions options = this->options(kUsers);
    Traders traders(kUsers);
    std::mt19937_64 random(11);
    for (int life = 0; life < 6; life++) {
        KilledServer server(options, life == 0, kUsers);
        ASSERT_NE(server.address().port, 0) << "life " << life;
        traders.connectAll(server.address());
        trade(traders, random, 100 + static_cast<int>(random() % 400));
        // Turns, not time: somewhere in the middle of answering.
        for (uint64_t turns = random() % 3; turns != 0; turns--) traders.turn();
        server.kill();
        // What it had written to the sockets is read; the rest is not there.
        ASSERT_TRUE(traders.until([&] {
            for (size_t i = 0; i < kUsers; i++) {
                if (traders[i].connection->isConnected()) return false;
            }
            return true;
        }));
        if (HasFailure()) return;
    }
    Position position = 0;
    {
        Server server(options);
        ASSERT_NE(server.node, nullptr) << server.failure;
        traders.connectAll(server.orders());
        for (size_t i = 0; i < kUsers; i++) ASSERT_TRUE(traders.settle(traders[i]));
        position = server.close().position;
    }
    expectTheJournals(traders, options, position);
    // What clients were told before the kills is what the store says now.
    Server server(options);
    ASSERT_NE(server.node, nullptr) << server.failure;
    Traders again(kUsers);
    again.connectAll(server.orders());
    for (size_t i = 0; i < kUsers; i++) {
        const size_t all = traders[i].stream.size();
        ASSERT_TRUE(again.until([&] { return again[i].stream.size() >= all; }));
        EXPECT_EQ(again[i].stream, traders[i].stream);
    }
}

TEST_P(GatewayFailures, WhoDoesNotReadIsCutOffAndResumes) {
    NodeOptions options = this->options(2);
    options.gateways->orders->lagBytesMax = 16u << 10;
    Server server(options, true, 2);
    ASSERT_NE(server.node, nullptr) << server.failure;
    Traders traders(2);
    traders.connectAll(server.orders());
    Trader& slow = traders[0];
    // All its orders rest, and then trade while it does not read.
    for (int i = 0; i < 3000; i++) {
        traders.order(slow, ouch::kSell, 10, 1000);
        if (i % 64 == 0) traders.turn();
    }
    ASSERT_TRUE(traders.until([&] { return slow.count('A') == 3000; }));
    slow.connection->stall(true);
    const auto cut = [&] {
        return server.node->gateways()
                   ->stats()
                   .orderSessions.closedBy[static_cast<size_t>(session::CloseReason::SlowReader)] != 0;
    };
    uint32_t taken = 0;
    for (; taken < 30'000 && !cut(); taken++) {
        traders.order(traders[1], ouch::kBuy, 1, 1000);
        if (taken % 64 == 0) traders.turn();
    }
    // The kernel's buffers take much; then it is over, and the other one was served all along.
    ASSERT_TRUE(traders.until([&] { return traders[1].count('E') == taken; }));
    ASSERT_TRUE(traders.until(cut));
    slow.connection->stall(false);
    ASSERT_TRUE(traders.until([&] { return !slow.connection->isConnected(); }));
    EXPECT_LT(slow.count('E'), taken);
    traders.connect(0, server.orders());
    ASSERT_TRUE(traders.until([&] { return slow.count('E') == taken; }));
}

TEST_P(GatewayFailures, AStoreThatFailsClosesThePortsAndTheNodeGoesOn) {
    const NodeOptions options = this->options(2);
    Server server(options, true, 2);
    ASSERT_NE(server.node, nullptr) << server.failure;
    Traders traders(2);
    traders.connectAll(server.orders());
    // No further segment can be made.
    std::filesystem::rename(options.data + "/gateway", options.data + "/elsewhere");
    std::mt19937_64 random(1);
    for (int i = 0; i < 20'000 && traders[0].closes == 0; i++) {
        if (!traders[0].connection->isLoggedIn()) break;
        traders.order(traders[0], ouch::kBuy, 1, 1000);
        if (i % 64 == 0) traders.turn();
    }
    ASSERT_TRUE(traders.until([&] { return traders[0].closes + traders[1].closes == 2; }));
    ASSERT_TRUE(traders.until([&] { return !server.node->gateways()->stats().failure.empty(); }));
    // Events are taken, days end, and the node closes as ever.
    std::vector<Command> more;
    for (int i = 0; i < 3000; i++) {
        Command& deposit = more.emplace_back(Command{});
        deposit.type = static_cast<uint8_t>(CommandType::Deposit);
        deposit.account = deposit.instrument = 1;
        deposit.id = text("more" + std::to_string(i));
        deposit.amount = 1;
    }
    more.back().type = static_cast<uint8_t>(CommandType::DayEnd);
    for (size_t at = 0; at < more.size();) {
        const auto count = static_cast<uint32_t>(std::min<size_t>(more.size() - at, 100));
        const Engine::Offered offered = server.node->offer(&more[at], count);
        ASSERT_TRUE(offered.failure.isOk());
        at += offered.taken;
        if (offered.taken == 0) std::this_thread::yield();
    }
    const CloseResult closed = server.close();
    EXPECT_TRUE(closed.failure.isOk()) << closed.failure.message;
    // With its messages back it goes on from where they end.
    std::filesystem::rename(options.data + "/elsewhere", options.data + "/gateway");
    Server again(options);
    ASSERT_NE(again.node, nullptr) << again.failure;
    for (size_t i = 0; i < 2; i++) {
        traders[i].stream.clear();
        traders[i].knowsSession = false;
        traders[i].reference = 0;
    }
    traders.connectAll(again.orders());
    traders.order(traders[0], ouch::kBuy, 1, 1000);
    ASSERT_TRUE(traders.until([&] { return traders[0].count('A') == 1; }));
}

// ---- clearing beside trading: the same user, another port

class ClearingClient final : public session::SoupClientEvents {
public:
    ClearingClient(const transport::Address& server, const char* user) {
        loop_ = session::EventLoop::create().take();
        client_ = std::make_unique<session::SoupClient>(*loop_, *this, 0);
        EXPECT_TRUE(client_->connect(server, user, kPassword).isOk());
        EXPECT_TRUE(until([&] { return client_->isLoggedIn(); }));
    }
    ~ClearingClient() = default;
    template <typename Request>
    void send(const Request& request) {
        std::byte bytes[1 + Request::kBytes];
        gateway::clearing::encode(bytes, request);
        EXPECT_TRUE(client_->send({bytes, Request::kBytes}));
    }
    template <typename Condition>
    bool until(Condition&& condition) {
        const auto end = std::chrono::steady_clock::now() + kPatience;
        while (!condition()) {
            if (std::chrono::steady_clock::now() > end) return false;
            client_->flush();
            (void)loop_->sleep(1'000'000, [] { return false; });
        }
        return true;
    }
    std::vector<std::string> stream;
    [[nodiscard]] size_t count(char type) const {
        size_t found = 0;
        for (const std::string& message : stream) found += message[0] == type;
        return found;
    }

private:
    void loggedIn(uint64_t, const session::SessionName&, uint64_t) override {}
    void message(uint64_t, uint64_t, std::span<const std::byte> message) override {
        stream.emplace_back(reinterpret_cast<const char*>(message.data()), message.size());
    }
    void endOfSession(uint64_t) override {}
    void closed(uint64_t, session::LoginReject) override {}

    std::unique_ptr<session::EventLoop> loop_;
    std::unique_ptr<session::SoupClient> client_;
};

TEST_P(GatewayFailures, TheSameUserClearsAndTradesAndItsKillSwitchHolds) {
    Server server(options(2), true, 2);
    ASSERT_NE(server.node, nullptr) << server.failure;
    Traders traders(2);
    traders.connectAll(server.orders());
    ClearingClient clearing(*server.node->gateways()->addresses().clearing, "U1");
    traders.order(traders[0], ouch::kSell, 10, 1000);
    ASSERT_TRUE(traders.until([&] { return traders[0].count('A') == 1; }));
    traders.order(traders[1], ouch::kBuy, 4, 1000);
    ASSERT_TRUE(traders.until([&] { return traders[0].count('E') == 1; }));
    // Drop copy, on a stream of its own.
    ASSERT_TRUE(clearing.until([&] { return clearing.count('E') == 1; }));
    ASSERT_TRUE(traders.settle(traders[0]));
    EXPECT_EQ(traders[0].count('E'), 1u);
    // A question goes through the engine.
    gateway::clearing::Query query{};
    query.reference = 1;
    query.account = text("U1");
    query.kind = static_cast<uint8_t>(gateway::clearing::QueryKind::Statement);
    clearing.send(query);
    ASSERT_TRUE(clearing.until([&] { return clearing.count('Z') == 1; }));
    gateway::clearing::KillSwitch kill{};
    kill.reference = 2;
    kill.account = text("U1");
    kill.state = 1;
    clearing.send(kill);
    ASSERT_TRUE(clearing.until([&] { return clearing.count('K') == 1; }));
    ASSERT_TRUE(traders.until([&] { return traders[0].count('C') == 1; }));
    traders.order(traders[0], ouch::kSell, 10, 1000);
    ASSERT_TRUE(traders.until([&] { return traders[0].count('J') == 1; }));
}

// ---- opening

TEST(GatewayHostOpening, NamesWhatIsWrong) {
    TemporaryDirectory directory;
    NodeOptions options = nodeOptions(directory.file("data"), 1);
    options.gateways->users[0].name = "MUCHTOOLONG";
    Server wrongUser(options);
    EXPECT_EQ(wrongUser.node, nullptr);
    EXPECT_NE(wrongUser.failure.find("MUCHTOOLONG"), std::string::npos) << wrongUser.failure;
    options.gateways->users[0].name = "U1";
    options.gateways->sharesEngine = true;
    ASSERT_TRUE(pipeline::parsePlan("pipelined", pipeline::usableCores(), &options.plan));
    Server wrongPlan(options);
    EXPECT_EQ(wrongPlan.node, nullptr);
    EXPECT_NE(wrongPlan.failure.find("serial"), std::string::npos) << wrongPlan.failure;
    // A port that is taken, and none of it in the way of the next one.
    options.gateways->sharesEngine = false;
    Server first(options);
    ASSERT_NE(first.node, nullptr) << first.failure;
    NodeOptions second = nodeOptions(directory.file("other"), 1);
    second.gateways->orders->address = first.orders();
    Server taken(second);
    EXPECT_EQ(taken.node, nullptr);
    EXPECT_EQ(taken.code, "EADDRINUSE");
    EXPECT_NE(taken.failure.find("the order port"), std::string::npos) << taken.failure;
    second.gateways->orders->address.port = 0;
    EXPECT_NE(Server(second).node, nullptr);
}

TEST(GatewayHostOpening, MessagesThatAreAheadOfTheJournalAreRefused) {
    TemporaryDirectory directory;
    const NodeOptions options = nodeOptions(directory.file("data"), 1);
    {
        Server server(options, true, 1);
        ASSERT_NE(server.node, nullptr) << server.failure;
        Traders traders(1);
        traders.connectAll(server.orders());
        traders.order(traders[0], ouch::kBuy, 1, 1000);
        ASSERT_TRUE(traders.until([&] { return traders[0].count('A') == 1; }));
        ASSERT_TRUE(server.close().failure.isOk());
    }
    std::filesystem::remove_all(options.data + "/journal");
    std::filesystem::remove_all(options.data + "/snapshots");
    std::filesystem::remove(options.data + "/facts");
    Server server(options);
    EXPECT_EQ(server.node, nullptr);
    EXPECT_NE(server.failure.find("lost what clients were told"), std::string::npos)
        << server.failure;
}

}  // namespace
}  // namespace verbex::node::gateway_failures_test
