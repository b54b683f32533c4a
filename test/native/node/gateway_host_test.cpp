// A whole node with its gateways, and real clients over TCP: what they are told, once, whatever happens.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <filesystem>
#include <map>
#include <thread>

#include "gateway/ouch/ouch.h"
#include "journal/posix_storage.h"
#include "load/load_generator.h"
#include "node/data_directory.h"
#include "node/event_replay.h"
#include "node/node.h"
#include "node_fixture.h"
#include "patience.h"
#include "session/soup_client.h"
#include "sim/small_market.h"
#include "wire/session_order_id.h"

namespace verbex::node::gateway_host_test {
namespace {

namespace ouch = gateway::ouch;
using namespace std::chrono_literals;

constexpr const char* kSymbol = "BTC-USD";
constexpr uint32_t kUsers = 16;
constexpr CoreLimits kLimits{1u << 16, 1u << 10, 64, 1u << 18};

class Folder {
public:
    Folder() {
        std::string pattern =
            (std::filesystem::temp_directory_path() / "verbex-host-XXXXXX").string();
        EXPECT_NE(mkdtemp(pattern.data()), nullptr);
        path_ = pattern;
    }
    ~Folder() { std::filesystem::remove_all(path_); }
    [[nodiscard]] std::string data() const { return path_ + "/data"; }

private:
    std::string path_;
};

std::string userName(uint32_t number) { return "U" + std::to_string(number); }

Command make(CommandType type) {
    Command command{};
    command.type = static_cast<uint8_t>(type);
    return command;
}

std::vector<Command> market() {
    sim::SmallMarket market;
    market.accounts = kUsers;
    market.symbol = kSymbol;
    market.accountName = userName;
    return sim::smallMarket(market);
}

class Server {
public:
    explicit Server(const std::string& data, bool shared = false, bool cancelOnDisconnect = false) {
        NodeOptions options;
        options.data = data;
        options.durable = false;
        options.limits = kLimits;
        options.consumer = false;
        options.segmentBytes = 1u << 20;
        options.plan.spinNs = 10'000;
        GatewayHostOptions gateways;
        gateways.orders.emplace();
        gateways.clearing.emplace();
        gateways.sharesEngine = shared;
        gateways.storeSegmentBytes = 1u << 20;
        for (uint32_t i = 1; i <= kUsers; i++) {
            gateway::User user;
            user.name = user.account = userName(i);
            user.password = "pass";
            user.session = static_cast<uint16_t>(i);
            user.mayClear = true;
            user.cancelOnDisconnect = cancelOnDisconnect;
            gateways.users.push_back(user);
        }
        options.gateways = gateways;
        NodeSurroundings with;
        with.storage = &storage_;
        with.clock = &clock_;
        Node::Opened opened = Node::open(options, with);
        EXPECT_TRUE(opened.failure.isOk()) << opened.failure.message;
        node_ = std::move(opened.node);
        if (node_ == nullptr) return;
        // The clock has moved the position already.
        const NodeStats stats = node_->stats();
        if (stats.recoveredFrom == 0 && stats.replayed == 0) enter(market());
    }
    ~Server() { stop(); }
    void enter(const std::vector<Command>& commands) {
        const Position before = node_->stats().publishedPosition;
        for (size_t at = 0; at < commands.size();) {
            at += node_->offer(&commands[at], static_cast<uint32_t>(commands.size() - at)).taken;
        }
        while (node_->stats().publishedPosition < before + commands.size()) {
            std::this_thread::sleep_for(1ms);
        }
    }
    // Ends as a process does that is asked to.
    void stop() {
        if (node_ == nullptr) return;
        std::promise<void> closed;
        node_->close([&closed](const CloseResult&) { closed.set_value(); });
        closed.get_future().wait();
        node_->stop();
        node_.reset();
    }
    [[nodiscard]] transport::Address address() const { return *node_->gateways()->addresses().orders; }
    [[nodiscard]] Node& node() { return *node_; }

private:
    journal::PosixStorage storage_;
    SystemClock clock_;
    std::unique_ptr<Node> node_;
};

// A client that keeps every message it was told.
class Client final : public session::SoupClientEvents {
public:
    explicit Client(uint32_t user) : user_(user) {
        loop_ = session::EventLoop::create().take();
        soup_ = std::make_unique<session::SoupClient>(*loop_, *this, user);
    }
    // From the first message that it does not have yet. The gateways may not have heard of the account yet.
    bool login(const transport::Address& server, bool anySession = false) {
        for (int tries = 0; tries < 100; tries++) {
            if (tryLogin(server, anySession)) return true;
            if (rejected_ != session::LoginReject::NotAuthorized) return false;
            std::this_thread::sleep_for(10ms);
        }
        return false;
    }
    bool tryLogin(const transport::Address& server, bool anySession) {
        const session::SessionName* const name = session_[0] == 0 || anySession ? nullptr : &session_;
        rejected_ = session::LoginReject::None;
        closed_ = ended_ = false;
        EXPECT_TRUE(soup_->connect(server, userName(user_), "pass", name, messages.size() + 1).isOk());
        return until([this] { return soup_->isLoggedIn() || closed_; }) && soup_->isLoggedIn();
    }
    void drop() { soup_->drop(); }
    uint32_t enter(char side, uint32_t quantity, uint64_t price, char timeInForce = ouch::kDay) {
        std::byte bytes[ouch::kBytes<ouch::EnterOrder>];
        auto& order = ouch::begin<ouch::EnterOrder>(bytes);
        order.userRefNum = ++reference_;
        order.side = side;
        order.quantity = quantity;
        Symbol symbol = symbolOf(text(kSymbol), 1);
        order.symbol = symbol;
        order.price = price;
        order.timeInForce = timeInForce;
        order.display = ouch::kVisible;
        order.capacity = 'A';
        order.sweep = order.crossType = 'N';
        order.clOrdId.fill('c');
        EXPECT_TRUE(soup_->send(bytes));
        soup_->flush();
        return reference_;
    }
    template <typename Layout, typename Fill>
    void send(Fill&& fill) {
        std::byte bytes[ouch::kBytes<Layout>];
        fill(ouch::begin<Layout>(bytes));
        EXPECT_TRUE(soup_->send(bytes));
        soup_->flush();
    }
    template <typename Ready>
    bool until(Ready&& ready) {
        const auto deadline = std::chrono::steady_clock::now() + kPatience;
        while (!ready()) {
            if (std::chrono::steady_clock::now() > deadline) return false;
            (void)loop_->sleep(1'000'000, [] { return false; });
            soup_->tick(loop_->nowNs());
        }
        return true;
    }
    bool untilMessages(size_t count) {
        return until([&] { return messages.size() >= count; });
    }
    // What comes within a while of nothing.
    void settle() {
        for (size_t before = SIZE_MAX; before != messages.size();) {
            before = messages.size();
            (void)loop_->sleep(30'000'000, [] { return false; });
            (void)loop_->sleep(30'000'000, [] { return false; });
        }
    }
    [[nodiscard]] std::string types() const {
        std::string all;
        for (const std::vector<std::byte>& message : messages) {
            all += static_cast<char>(message[0]);
        }
        return all;
    }
    template <typename Layout>
    [[nodiscard]] const Layout& at(size_t index) const {
        return *reinterpret_cast<const Layout*>(messages[index].data());
    }
    void restartReferences() { reference_ = 0; }
    [[nodiscard]] bool ended() const { return ended_; }
    [[nodiscard]] session::LoginReject rejected() const { return rejected_; }
    [[nodiscard]] std::string session() const { return {session_.data(), session_.size()}; }

    std::vector<std::vector<std::byte>> messages;

private:
    void loggedIn(uint64_t, const session::SessionName& session, uint64_t next) override {
        if (session_ != session && session_[0] != 0) messages.clear();
        session_ = session;
        EXPECT_EQ(next, messages.size() + 1);
    }
    void message(uint64_t, uint64_t sequence, std::span<const std::byte> message) override {
        EXPECT_EQ(sequence, messages.size() + 1);
        messages.emplace_back(message.begin(), message.end());
    }
    void endOfSession(uint64_t) override { ended_ = true; }
    void closed(uint64_t, session::LoginReject rejected) override {
        closed_ = true;
        rejected_ = rejected;
    }

    const uint32_t user_;
    std::unique_ptr<session::EventLoop> loop_;
    std::unique_ptr<session::SoupClient> soup_;
    session::SessionName session_{};
    uint32_t reference_ = 0;
    bool ended_ = false;
    bool closed_ = false;
    session::LoginReject rejected_ = session::LoginReject::None;
};

class GatewayHostTest : public testing::TestWithParam<bool> {};

TEST_P(GatewayHostTest, OrdersGoInAndExecutionsComeOut) {
    Folder folder;
    Server server(folder.data(), GetParam());
    Client buyer(1);
    Client seller(2);
    ASSERT_TRUE(buyer.login(server.address()));
    ASSERT_TRUE(seller.login(server.address()));
    const uint32_t bid = buyer.enter(ouch::kBuy, 10, 500);
    ASSERT_TRUE(buyer.untilMessages(2));
    EXPECT_EQ(buyer.types(), "SA");
    EXPECT_EQ(buyer.at<ouch::Accepted>(1).userRefNum, bid);
    EXPECT_EQ(buyer.at<ouch::Accepted>(1).price, 500u);
    EXPECT_EQ(buyer.at<ouch::Accepted>(1).clOrdId[0], 'c');
    seller.enter(ouch::kSell, 4, 499);
    ASSERT_TRUE(seller.untilMessages(3));
    ASSERT_TRUE(buyer.untilMessages(3));
    EXPECT_EQ(seller.types(), "SAE");
    EXPECT_EQ(buyer.types(), "SAE");
    EXPECT_EQ(buyer.at<ouch::Executed>(2).quantity, 4u);
    EXPECT_EQ(buyer.at<ouch::Executed>(2).price, 500u);
    EXPECT_EQ(buyer.at<ouch::Executed>(2).liquidity, ouch::kAdded);
    EXPECT_EQ(seller.at<ouch::Executed>(2).liquidity, ouch::kRemoved);
    EXPECT_EQ(seller.at<ouch::Executed>(2).matchNumber, buyer.at<ouch::Executed>(2).matchNumber);
    // To five in all: four are gone, so one more may trade.
    buyer.send<ouch::CancelOrder>([&](ouch::CancelOrder& cancel) {
        cancel.userRefNum = bid;
        cancel.quantity = 5;
    });
    ASSERT_TRUE(buyer.untilMessages(4));
    EXPECT_EQ(buyer.at<ouch::Canceled>(3).quantity, 5u);
    seller.enter(ouch::kSell, 4, 499, ouch::kImmediate);
    ASSERT_TRUE(seller.untilMessages(6));
    EXPECT_EQ(seller.types(), "SAEAEC");
    EXPECT_EQ(seller.at<ouch::Executed>(4).quantity, 1u);
    EXPECT_EQ(seller.at<ouch::Canceled>(5).quantity, 3u);
    // Used already: ignored, and nothing is answered.
    buyer.restartReferences();
    buyer.enter(ouch::kBuy, 10, 500);
    buyer.send<ouch::AccountQuery>([](ouch::AccountQuery&) {});
    ASSERT_TRUE(buyer.untilMessages(6));
    EXPECT_EQ(buyer.types(), "SAECEQ");
    EXPECT_EQ(buyer.at<ouch::AccountQueryResponse>(5).nextUserRefNum, 2u);
}

TEST_P(GatewayHostTest, ARestartGivesExactlyWhatWasMissed) {
    Folder folder;
    Client away(1);
    Client other(2);
    {
        Server server(folder.data(), GetParam());
        ASSERT_TRUE(away.login(server.address()));
        ASSERT_TRUE(other.login(server.address()));
        away.enter(ouch::kBuy, 30, 500);
        ASSERT_TRUE(away.untilMessages(2));
        away.drop();
        for (int i = 0; i < 3; i++) other.enter(ouch::kSell, 2, 500);
        ASSERT_TRUE(other.untilMessages(7));
    }
    EXPECT_EQ(other.types(), "SAEAEAE");
    Server server(folder.data(), GetParam());
    ASSERT_TRUE(away.login(server.address()));
    ASSERT_TRUE(away.untilMessages(5));
    away.settle();
    EXPECT_EQ(away.types(), "SAEEE");
    // And the order lives on.
    ASSERT_TRUE(other.login(server.address()));
    other.enter(ouch::kSell, 24, 500);
    ASSERT_TRUE(away.untilMessages(6));
    EXPECT_EQ(away.at<ouch::Executed>(5).quantity, 24u);
    // Everything once more, from the first: the same bytes.
    const std::vector<std::vector<std::byte>> told = away.messages;
    away.drop();
    away.messages.clear();
    ASSERT_TRUE(away.login(server.address()));
    ASSERT_TRUE(away.untilMessages(told.size()));
    EXPECT_TRUE(away.messages == told);
}

TEST_P(GatewayHostTest, ADayEndsEverySession) {
    Folder folder;
    Server server(folder.data(), GetParam());
    Client client(1);
    ASSERT_TRUE(client.login(server.address()));
    const std::string before = client.session();
    client.enter(ouch::kBuy, 10, 500);
    ASSERT_TRUE(client.untilMessages(2));
    server.enter({make(CommandType::DayEnd)});
    ASSERT_TRUE(client.until([&] { return client.ended(); }));
    EXPECT_EQ(client.types(), "SACS");
    EXPECT_EQ(client.at<ouch::SystemEvent>(3).event, ouch::kEndOfDay);
    // The day that is over is not there any more.
    EXPECT_FALSE(client.login(server.address()));
    EXPECT_EQ(client.rejected(), session::LoginReject::SessionNotAvailable);
    client.messages.clear();
    client.restartReferences();
    ASSERT_TRUE(client.login(server.address(), true));
    EXPECT_NE(client.session(), before);
    client.enter(ouch::kBuy, 10, 500);
    ASSERT_TRUE(client.untilMessages(2));
    EXPECT_EQ(client.types(), "SA");
    EXPECT_EQ(client.at<ouch::Accepted>(1).userRefNum, 1u);
}

TEST_P(GatewayHostTest, ADisconnectCancelsWhereTheUserWantsIt) {
    Folder folder;
    Server server(folder.data(), GetParam(), true);
    Client client(1);
    ASSERT_TRUE(client.login(server.address()));
    for (int i = 0; i < 40; i++) client.enter(ouch::kBuy, 10, 100 + i);
    ASSERT_TRUE(client.untilMessages(41));
    client.drop();
    const auto& stats = [&] { return server.node().gateways()->stats().orders; };
    for (int i = 0; i < 2000 && stats().openOrders != 0; i++) std::this_thread::sleep_for(5ms);
    ASSERT_TRUE(client.login(server.address()));
    ASSERT_TRUE(client.untilMessages(81));
    EXPECT_EQ(client.types(), "S" + std::string(40, 'A') + std::string(40, 'C'));
}

INSTANTIATE_TEST_SUITE_P(Threads, GatewayHostTest, testing::Values(false, true),
                         [](const auto& info) { return info.param ? "Shared" : "Own"; });

// ---- kill -9

struct Fill {
    uint32_t reference;
    uint32_t quantity;
    uint64_t price;
    uint64_t match;
    char liquidity;
    friend auto operator<=>(const Fill&, const Fill&) = default;
};
using Fills = std::map<uint16_t, std::vector<Fill>>;

// What the journal holds, by session.
Fills fillsOfJournal(const std::string& data, Position to) {
    journal::PosixStorage storage;
    Fills fills;
    const Status read = replayEvents(
        storage, data, kLimits, 0, to, [&fills](const Event& event, uint32_t, uint64_t) {
            if (event.type != static_cast<uint8_t>(EventType::Trade)) return;
            const SessionOrderId taker = readSessionOrderId(event.id);
            const SessionOrderId maker = readSessionOrderId(event.id2);
            const auto quantity = static_cast<uint32_t>(event.quantity);
            const auto price = static_cast<uint64_t>(event.price);
            const uint64_t match = uint64_t{event.instrument} << 32 | event.tradeId;
            fills[taker.session].push_back({taker.reference, quantity, price, match, ouch::kRemoved});
            fills[maker.session].push_back({maker.reference, quantity, price, match, ouch::kAdded});
        });
    EXPECT_TRUE(read.isOk()) << read.toString();
    return fills;
}

std::vector<Fill> fillsOf(const Client& client) {
    std::vector<Fill> fills;
    for (const std::vector<std::byte>& bytes : client.messages) {
        const ouch::Message message = ouch::readOutbound(bytes);
        if (message.type != ouch::Executed::kType) continue;
        const auto& executed = message.as<ouch::Executed>();
        fills.push_back({executed.userRefNum, executed.quantity, executed.price,
                         executed.matchNumber, executed.liquidity});
    }
    return fills;
}

class Killed {
public:
    Killed(const std::string& data, bool shared) {
        int ends[2];
        EXPECT_EQ(::pipe(ends), 0);
        process_ = ::fork();
        if (process_ == 0) {
            Server server(data, shared);
            const uint16_t port = server.address().port;
            (void)!::write(ends[1], &port, sizeof(port));
            for (;;) ::pause();
        }
        ::close(ends[1]);
        EXPECT_EQ(::read(ends[0], &address_.port, sizeof(address_.port)),
                  static_cast<ssize_t>(sizeof(address_.port)));
        ::close(ends[0]);
    }
    void kill() {
        ::kill(process_, SIGKILL);
        int status = 0;
        ::waitpid(process_, &status, 0);
    }
    [[nodiscard]] const transport::Address& address() const { return address_; }

private:
    pid_t process_ = 0;
    transport::Address address_;
};

TEST(GatewayKill, EveryClientEndsWithTheExecutionsThatTheJournalHolds) {
    std::mt19937_64 random(20261126);
    uint64_t executions = 0;
    for (int round = 0; round < 2; round++) {
        Folder folder;
        load::LedgerRow last[kUsers];
        for (int life = 0; life < 3; life++) {
            Killed server(folder.data(), round % 2 == 1);
            load::LoadOptions options;
            options.server = server.address();
            for (uint32_t i = 1; i <= kUsers; i++) options.users.push_back({userName(i), "pass"});
            options.symbols = {symbolOf(text(kSymbol), 1)};
            options.warmUpNs = 0;
            options.durationNs = 30'000'000'000;
            options.settleNs = 0;
            options.spin = false;
            options.seed = random();
            load::LoadGenerator generator(options);
            const auto drawn = std::chrono::milliseconds(random() % 60);
            std::atomic<bool> over{false};
            std::thread killer([&] {
                // Only when everybody is in: a login that the kill meets is a load that could not
                // begin, and a second life hears the executions of the first before that.
                const auto wait = [&](auto until) {
                    while (!over && !until()) std::this_thread::sleep_for(1ms);
                };
                wait([&] { return generator.progress().loggedIn == kUsers; });
                const uint64_t again = generator.progress().executions;
                wait([&] { return generator.progress().executions >= again + 200; });
                std::this_thread::sleep_for(drawn);
                server.kill();
                generator.stop();
            });
            Result<load::LoadResult> result = generator.run();
            over = true;
            killer.join();
            ASSERT_TRUE(result.isOk()) << result.status().toString();
            // A load that does not know which references are used is not answered at all.
            EXPECT_GT(result.value().answered, 0u) << "round " << round << " life " << life;
            for (uint32_t i = 0; i < kUsers; i++) last[i] = result.value().ledger[i];
        }
        Server server(folder.data(), round % 2 == 0);
        const Fills held = fillsOfJournal(folder.data(), server.node().stats().publishedPosition);
        for (uint32_t i = 1; i <= kUsers; i++) {
            Client client(i);
            ASSERT_TRUE(client.login(server.address()));
            client.settle();
            // Nothing that it was told before is missing now.
            EXPECT_GE(client.messages.size(), last[i - 1].sequence);
            const std::vector<Fill> fills = fillsOf(client);
            const auto held1 = held.find(static_cast<uint16_t>(i));
            ASSERT_EQ(fills, held1 == held.end() ? std::vector<Fill>() : held1->second)
                << "user " << i << " round " << round;
            executions += fills.size();
        }
    }
    EXPECT_GT(executions, 1'000u);
}

}  // namespace
}  // namespace verbex::node::gateway_host_test
