// What the tests of the order gateway share: an engine's ring as an array, a server that notes what it is
// told, clients that read their streams from the real store, and a gateway that can be killed.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/ouch/order_gateway.h"
#include "gateway/ouch/ouch.h"
#include "gateway/store_fixture.h"
#include "wire/session_order_id.h"

namespace verbex::gateway::ouch_test {

class FakePort final : public CommandPort {
public:
    Command* claim() override {
        if (entered.size() >= room) return nullptr;
        cell_ = Command{};
        return &cell_;
    }
    void enter() override { entered.push_back(cell_); }
    void flush() override {}
    [[nodiscard]] bool isClosed() const override { return false; }

    std::deque<Command> entered;
    size_t room = SIZE_MAX;

private:
    Command cell_{};
};

class FakeServer final : public session::SessionServer {
public:
    explicit FakeServer(session::SessionHandler& handler) : handler_(handler) {}
    [[nodiscard]] transport::Address address() const override { return {}; }
    void touch(session::ConnectionId) override { ++touches; }
    bool flush() override { return false; }
    void tick(uint64_t) override {}
    void close(session::ConnectionId connection, session::CloseReason reason) override {
        closes.push_back(reason);
        handler_.closed(connection, reason);
    }
    void endSession() override {}
    [[nodiscard]] const session::SessionServerCounters& counters() const override { return counters_; }
    [[nodiscard]] bool busy() const override { return false; }

    uint64_t touches = 0;
    std::vector<session::CloseReason> closes;

private:
    session::SessionHandler& handler_;
    session::SessionServerCounters counters_;
};

inline ouch::ClOrdId clOrdIdOf(uint32_t number) {
    ouch::ClOrdId id;
    id.fill(' ');
    const std::string text = "ID" + std::to_string(number);
    std::memcpy(id.data(), text.data(), text.size());
    return id;
}

using Bytes = std::vector<std::byte>;

inline std::string textOf(const Bytes& bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// A message with an appendage.
template <typename Layout>
class Draft {
public:
    Draft() : bytes_(sizeof(Layout) + 2 + 400) {
        ouch::begin<Layout>(bytes_.data());
        if constexpr (std::is_same_v<Layout, ouch::EnterOrder>) {
            fields().side = ouch::kBuy;
            fields().quantity = 10;
            fields().symbol = symbolOf(nameOf("BTC-USD"), 1);
            fields().price = 100;
            fields().timeInForce = ouch::kDay;
            fields().display = ouch::kVisible;
            fields().capacity = 'P';
            fields().sweep = 'N';
            fields().crossType = 'N';
        }
        if constexpr (std::is_same_v<Layout, ouch::ReplaceOrder>) {
            fields().quantity = 10;
            fields().price = 100;
            fields().timeInForce = ouch::kDay;
            fields().display = ouch::kVisible;
            fields().sweep = 'N';
        }
        if constexpr (requires { fields().firm; }) fields().firm = ouch::kNoFirm;
        if constexpr (std::is_same_v<Layout, ouch::MassCancel>) fields().symbol = ouch::kNoSymbol;
        if constexpr (requires { fields().clOrdId; }) fields().clOrdId = clOrdIdOf(7);
    }
    Layout& fields() { return *reinterpret_cast<Layout*>(bytes_.data()); }
    Layout* operator->() { return &fields(); }
    ouch::Options options;
    Bytes bytes() {
        Bytes whole = bytes_;
        auto& layout = *reinterpret_cast<Layout*>(whole.data());
        whole.resize(ouch::finish(layout, options));
        return whole;
    }

private:
    Bytes bytes_;
};

inline Bytes enterOf(uint32_t reference, char side, uint32_t quantity, uint64_t price,
                     char timeInForce = ouch::kDay) {
    Draft<ouch::EnterOrder> order;
    order->userRefNum = reference;
    order->side = side;
    order->quantity = quantity;
    order->price = price;
    order->timeInForce = timeInForce;
    order->clOrdId = clOrdIdOf(reference);
    return order.bytes();
}
inline Bytes replaceOf(uint32_t before, uint32_t reference, uint32_t quantity, uint64_t price) {
    Draft<ouch::ReplaceOrder> order;
    order->origUserRefNum = before;
    order->userRefNum = reference;
    order->quantity = quantity;
    order->price = price;
    order->clOrdId = clOrdIdOf(reference);
    return order.bytes();
}
inline Bytes cancelOf(uint32_t reference, uint32_t quantity) {
    Draft<ouch::CancelOrder> cancel;
    cancel->userRefNum = reference;
    cancel->quantity = quantity;
    return cancel.bytes();
}
inline Bytes modifyOf(uint32_t reference, char side, uint32_t quantity) {
    Draft<ouch::ModifyOrder> modify;
    modify->userRefNum = reference;
    modify->side = side;
    modify->quantity = quantity;
    return modify.bytes();
}

// One that was received.
struct Received {
    Bytes bytes;
    [[nodiscard]] ouch::Message message() const { return ouch::readOutbound(bytes); }
    [[nodiscard]] char type() const { return static_cast<char>(bytes[0]); }
    template <typename Layout>
    [[nodiscard]] const Layout& as() const {
        EXPECT_EQ(type(), Layout::kType);
        return *reinterpret_cast<const Layout*>(bytes.data());
    }
};

// A gateway with its store; kill() leaves what a process leaves that is killed.
class Gateway {
public:
    explicit Gateway(std::vector<User> users, OrderGatewayOptions options = {})
        : users_(Users::from(std::move(users)).take()), options_(std::move(options)) {
        options_.ordersMax = std::min(options_.ordersMax, 4096u);
        start({}, {});
    }
    ~Gateway() { kill(); }

    using Events = std::vector<std::pair<Event, EventPlace>>;
    // `events` behind the store's place are delivered again.
    void start(const MarketState& state, const Events& events) {
        MessageStoreOptions options;
        options.directory = folder_.path();
        options.segmentBytes = 1u << 20;
        auto opened = MessageStore::open(options, [](const StoredRecord&) {});
        ASSERT_TRUE(opened.isOk()) << opened.status().toString();
        store = opened.take();
        directory.begin(state);
        gateway = OrderGateway::create(options_, port, *store, directory, users_);
        server = std::make_unique<FakeServer>(*gateway);
        store->visitDay([&](const StoredRecord& record) { gateway->restore(record); });
        gateway->begin();
        const EventPlace from = store->delivered();
        for (const auto& [event, place] : events) {
            if (from < place) deliver(event, place);
        }
        gateway->settle(state);
        gateway->attach(*server);
    }
    void kill() {
        gateway.reset();
        server.reset();
        store.reset();
        port.entered.clear();
    }
    void deliver(const Event& event, const EventPlace& place) {
        directory.take(event);
        gateway->deliver(event, place);
        store->noteDelivered(place);
        if (event.type == static_cast<uint8_t>(EventType::DayEnded)) {
            if (atDayEnd) atDayEnd();
            (void)store->beginDay(place.position);
            gateway->begin();
        }
    }

    std::function<void()> atDayEnd;  // before streams begin anew
    FakePort port;
    Directory directory;
    std::unique_ptr<MessageStore> store;
    std::unique_ptr<OrderGateway> gateway;
    std::unique_ptr<FakeServer> server;

private:
    store_test::Directory folder_;
    Users users_;
    OrderGatewayOptions options_;
};

// One session's connection, or none.
class Client {
public:
    Client(Gateway& gateway, std::string name, uint16_t session)
        : gateway_(gateway), name_(std::move(name)), session_(session) {}

    session::LoginReject login(uint64_t sequence = 1) {
        session::LoginRequest request;
        request.user = request.password = name_;
        request.sequence = sequence;
        connection = {session_, ++generation_};
        const session::LoginAnswer answer = gateway_.gateway->login(connection, request);
        outbound_ = answer.outbound;
        cursor_ = answer.cursor;
        if (answer.rejected != session::LoginReject::None) connection = {};
        return answer.rejected;
    }
    void drop() {
        if (connection.generation == 0) return;
        gateway_.gateway->closed(connection, session::CloseReason::PeerClosed);
        connection = {};
    }
    session::Taken send(const Bytes& bytes) {
        return gateway_.gateway->received(connection, bytes);
    }
    // What lies behind the cursor.
    std::vector<Received> read() {
        const std::string all = store_test::readAll(*outbound_, cursor_);
        std::vector<Received> messages;
        for (size_t at = 0; at < all.size();) {
            const size_t length = size_t{static_cast<uint8_t>(all[at])} << 8 |
                                  static_cast<uint8_t>(all[at + 1]);
            const auto* from = reinterpret_cast<const std::byte*>(all.data()) + at + 3;
            messages.push_back({Bytes(from, from + length - 1)});
            EXPECT_FALSE(messages.back().message().malformed());
            at += 2 + length;
        }
        return messages;
    }
    // The types of what lies there.
    std::string types() {
        std::string types;
        last = read();
        for (const Received& received : last) types += received.type();
        return types;
    }

    session::ConnectionId connection;
    std::vector<Received> last;

private:
    Gateway& gateway_;
    std::string name_;
    uint16_t session_;
    uint32_t generation_ = 0;
    session::Outbound* outbound_ = nullptr;
    session::OutboundCursor cursor_;
};

inline User userOf(const std::string& name, uint16_t session, const std::string& account) {
    User user;
    user.name = user.password = name;
    user.session = session;
    user.account = account;
    return user;
}

}  // namespace verbex::gateway::ouch_test
