// A node with gateways, and clients of its order port: what the gateway host's tests share.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "gateway/ouch/ouch.h"
#include "journal/posix_storage.h"
#include "node/event_replay.h"
#include "node_fixture.h"
#include "session/soup_client.h"
#include "sim/small_market.h"
#include "wire/session_order_id.h"

namespace verbex::node::gateway_world {

namespace ouch = gateway::ouch;

inline constexpr const char* kPassword = "secret";
// Longer than anything here takes on a machine that does much else.
inline constexpr auto kPatience = std::chrono::seconds(60);

// Accounts 1 … users with plenty of both assets; behind them one, POOR, without any.
inline std::vector<Command> market(uint32_t users) {
    sim::SmallMarket market;
    market.accounts = users;
    std::vector<Command> commands = sim::smallMarket(market);
    Command& poor = commands.emplace_back(Command{});
    poor.type = static_cast<uint8_t>(CommandType::AddAccount);
    poor.id = text("POOR");
    return commands;
}

inline GatewayHostOptions hostOptions(uint32_t users) {
    GatewayHostOptions options;
    options.orders.emplace();
    options.clearing.emplace();
    options.feed.emplace();
    options.feed->stream.emplace();
    options.feed->snapshot.emplace();
    options.feed->historyBytes = 1u << 20;
    options.ordersMax = 1u << 14;
    options.storeSegmentBytes = 128u << 10;
    for (uint32_t i = 1; i <= users + 1; i++) {
        gateway::User user;
        user.name = i <= users ? "U" + std::to_string(i) : "POOR";
        user.account = user.name;
        user.password = kPassword;
        user.session = static_cast<uint16_t>(i);
        user.mayClear = user.mayAdminister = true;
        options.users.push_back(user);
    }
    return options;
}

inline NodeOptions nodeOptions(const std::string& data, uint32_t users) {
    NodeOptions options = smallOptions(data);
    options.limits = {1u << 14, 64, 16, 1u << 16};
    options.durable = false;
    options.consumer = false;
    options.snapshotEvery = 1000;
    options.gateways = hostOptions(users);
    return options;
}

// The node, and what it stands on.
struct Server {
    journal::PosixStorage storage;
    SystemClock clock;
    std::unique_ptr<Node> node;
    std::string code;
    std::string failure;

    explicit Server(const NodeOptions& options, bool withMarket = false, uint32_t users = 0) {
        NodeSurroundings with;
        with.storage = &storage;
        with.clock = &clock;
        Node::Opened opened = Node::open(options, with);
        code = opened.failure.code;
        failure = opened.failure.message;
        node = std::move(opened.node);
        if (node == nullptr || !withMarket) return;
        const std::vector<Command> commands = market(users);
        for (size_t at = 0; at < commands.size();) {
            at += node->offer(&commands[at], static_cast<uint32_t>(commands.size() - at)).taken;
        }
        // The gateways hear of the accounts before anybody logs in.
        const auto done = [&] {
            const NodeStats stats = node->stats();
            return stats.publishedPosition >= commands.size() + stats.ticks;
        };
        while (!done()) std::this_thread::yield();
        const uint64_t events = node->stats().events;
        while (node->gateways()->stats().events < events) std::this_thread::yield();
    }
    [[nodiscard]] transport::Address orders() const { return *node->gateways()->addresses().orders; }

    CloseResult close() {
        std::promise<CloseResult> promise;
        std::future<CloseResult> future = promise.get_future();
        node->close([&promise](const CloseResult& result) { promise.set_value(result); });
        CloseResult result = future.get();
        node->stop();
        return result;
    }
};

// What one side of a trade is, as the journal and as its client says it.
struct Fill {
    uint32_t reference;
    uint32_t quantity;
    uint64_t price;
    uint64_t match;
    char liquidity;
    friend bool operator==(const Fill&, const Fill&) = default;
};

// One user's session, over as many connections as it takes: its stream, each message once.
class Trader {
public:
    explicit Trader(std::string name) : name_(std::move(name)) {}

    std::vector<std::string> stream;
    uint32_t reference = 0;  // the last one used

    [[nodiscard]] const std::string& name() const { return name_; }
    [[nodiscard]] size_t count(char type) const {
        size_t found = 0;
        for (const std::string& message : stream) found += message[0] == type;
        return found;
    }
    template <typename Message>
    [[nodiscard]] std::vector<Message> all() const {
        std::vector<Message> found;
        for (const std::string& message : stream) {
            if (message[0] != Message::kType) continue;
            Message copy;
            std::memcpy(&copy, message.data(), sizeof(copy));
            found.push_back(copy);
        }
        return found;
    }
    [[nodiscard]] std::vector<Fill> fills() const {
        std::vector<Fill> fills;
        for (const ouch::Executed& each : all<ouch::Executed>()) {
            fills.push_back({each.userRefNum, each.quantity, each.price, each.matchNumber,
                             each.liquidity});
        }
        return fills;
    }

    // ---- the connection
    std::unique_ptr<session::SoupClient> connection;
    session::SessionName session{};
    bool knowsSession = false;
    uint32_t logins = 0;
    uint32_t ends = 0;    // of the session, as told by the server
    uint32_t closes = 0;
    session::LoginReject rejected = session::LoginReject::None;

private:
    std::string name_;
};

// Traders on one event loop, driven by the test's thread.
class Traders final : public session::SoupClientEvents {
public:
    explicit Traders(uint32_t count) {
        Result<std::unique_ptr<session::EventLoop>> loop = session::EventLoop::create();
        EXPECT_TRUE(loop.isOk());
        loop_ = loop.take();
        for (uint32_t i = 1; i <= count; i++) {
            traders_.push_back(std::make_unique<Trader>("U" + std::to_string(i)));
        }
    }
    ~Traders() = default;

    Trader& operator[](size_t i) { return *traders_[i]; }
    [[nodiscard]] size_t size() const { return traders_.size(); }
    Trader& add(const std::string& name) {
        return *traders_.emplace_back(std::make_unique<Trader>(name));
    }

    // Goes on behind what the trader has.
    void connect(size_t i, const transport::Address& server) {
        Trader& trader = *traders_[i];
        if (trader.connection == nullptr) {
            trader.connection = std::make_unique<session::SoupClient>(*loop_, *this, i);
        }
        trader.rejected = session::LoginReject::None;
        const Status status = trader.connection->connect(
            server, trader.name(), kPassword, trader.knowsSession ? &trader.session : nullptr,
            trader.stream.size() + 1);
        EXPECT_TRUE(status.isOk()) << status.toString();
    }
    void connectAll(const transport::Address& server) {
        for (size_t i = 0; i < traders_.size(); i++) connect(i, server);
        EXPECT_TRUE(until([&] {
            for (const auto& trader : traders_) {
                if (!trader->connection->isLoggedIn()) return false;
            }
            return true;
        })) << "not everybody could log in";
    }
    void dropAll() {
        for (const auto& trader : traders_) {
            if (trader->connection != nullptr) trader->connection->drop();
        }
    }

    // A turn of the loop; sleeps a little where there is nothing to do.
    void turn() {
        for (const auto& trader : traders_) {
            if (trader->connection == nullptr) continue;
            trader->connection->flush();
            trader->connection->tick(loop_->nowNs());
        }
        (void)loop_->sleep(1'000'000, [] { return false; });
    }
    template <typename Condition>
    bool until(Condition&& condition) {
        const auto end = std::chrono::steady_clock::now() + kPatience;
        while (!condition()) {
            if (std::chrono::steady_clock::now() > end) return false;
            turn();
        }
        return true;
    }

    // ---- messages; the UserRefNum that it got
    uint32_t order(Trader& trader, char side, uint32_t quantity, uint64_t price,
                   char timeInForce = ouch::kDay) {
        std::byte bytes[ouch::kBytes<ouch::EnterOrder>];
        auto& order = ouch::begin<ouch::EnterOrder>(bytes);
        order.userRefNum = ++trader.reference;
        order.side = side;
        order.quantity = quantity;
        order.symbol = symbolOf(text("STOCK"), 1);
        order.price = price;
        order.timeInForce = timeInForce;
        order.display = ouch::kVisible;
        order.capacity = 'P';
        order.sweep = order.crossType = 'N';
        order.clOrdId.fill(' ');
        (void)trader.connection->send(bytes);
        return trader.reference;
    }
    void cancel(Trader& trader, uint32_t reference) {
        std::byte bytes[ouch::kBytes<ouch::CancelOrder>];
        ouch::begin<ouch::CancelOrder>(bytes).userRefNum = reference;
        (void)trader.connection->send(bytes);
    }
    // Has its answer, and so everything that came before it.
    bool settle(Trader& trader) {
        const size_t before = trader.count(ouch::AccountQueryResponse::kType);
        std::byte bytes[ouch::kBytes<ouch::AccountQuery>];
        (void)ouch::begin<ouch::AccountQuery>(bytes);
        if (!trader.connection->send(bytes)) return false;
        return until(
            [&] { return trader.count(ouch::AccountQueryResponse::kType) == before + 1; });
    }

private:
    void loggedIn(uint64_t client, const session::SessionName& session,
                  uint64_t nextSequence) override {
        Trader& trader = *traders_[client];
        trader.logins++;
        trader.session = session;
        trader.knowsSession = true;
        EXPECT_EQ(nextSequence, trader.stream.size() + 1) << trader.name();
    }
    void message(uint64_t client, uint64_t sequence, std::span<const std::byte> message) override {
        Trader& trader = *traders_[client];
        EXPECT_EQ(sequence, trader.stream.size() + 1) << trader.name();
        trader.stream.emplace_back(reinterpret_cast<const char*>(message.data()), message.size());
    }
    void endOfSession(uint64_t client) override { traders_[client]->ends++; }
    void closed(uint64_t client, session::LoginReject rejected) override {
        traders_[client]->closes++;
        traders_[client]->rejected = rejected;
    }

    std::unique_ptr<session::EventLoop> loop_;
    std::vector<std::unique_ptr<Trader>> traders_;
};

// The executions that the journal holds, by session, from a second core.
inline std::map<uint16_t, std::vector<Fill>> journaledFills(const NodeOptions& options,
                                                            Position to) {
    std::map<uint16_t, std::vector<Fill>> fills;
    journal::PosixStorage storage;
    const Status status = replayEvents(
        storage, options.data, options.limits, 0, to,
        [&](const Event& event, uint32_t, uint64_t) {
            if (event.type != static_cast<uint8_t>(EventType::Trade)) return;
            const auto quantity = static_cast<uint32_t>(event.quantity);
            const auto price = static_cast<uint64_t>(event.price);
            const uint64_t match = uint64_t{event.instrument} << 32 | event.tradeId;
            const SessionOrderId taker = readSessionOrderId(event.id);
            const SessionOrderId maker = readSessionOrderId(event.id2);
            fills[taker.session].push_back({taker.reference, quantity, price, match, ouch::kRemoved});
            fills[maker.session].push_back({maker.reference, quantity, price, match, ouch::kAdded});
        });
    EXPECT_TRUE(status.isOk()) << status.toString();
    return fills;
}

}  // namespace verbex::node::gateway_world
