// libFuzzer entry: whatever a logged-in client sends, the order gateway neither crashes nor grows, what reaches
// the engine is a command about an order of the client's own session, and what a client is told can be read.
//
// The input is a conversation: a byte that chooses session and engine, a length, a message, again and again. The
// engine accepts, trades, cancels or refuses, as the byte says, or lets the command wait. Bit 7 kills the gateway.
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <span>
#include <vector>

#include "base/check.h"
#include "gateway/ouch/order_gateway.h"
#include "gateway/ouch/ouch.h"
#include "wire/session_order_id.h"

namespace {

using namespace verbex;
using namespace verbex::gateway;

constexpr uint32_t kOrdersMax = 8;

struct Port final : CommandPort {
    Command cell{};
    std::deque<Command> entered;
    bool claimed = false;
    Command* claim() override {
        CHECK(!claimed);
        if (entered.size() == 6) return nullptr;
        claimed = true;
        cell = Command{};
        return &cell;
    }
    void enter() override {
        CHECK(claimed);
        claimed = false;
        entered.push_back(cell);
    }
    void flush() override {}
    [[nodiscard]] bool isClosed() const override { return false; }
};

// Keeps the day's records, as a process leaves them that is killed.
struct Store final : MessageStore, private session::Outbound {
    struct Kept {
        RecordKind kind;
        uint16_t session;
        uint32_t sequence;
        EventPlace place;
        std::vector<std::byte> message;
    };
    std::vector<Kept> kept;
    uint32_t next[3] = {1, 1, 1};
    bool claimed = false;
    EventPlace place_;
    Position day_ = 0;

    void visitDay(const std::function<void(const StoredRecord&)>& visit) const override {
        for (const Kept& record : kept) {
            visit({record.kind, record.session, record.sequence, record.place, 0, record.message});
        }
    }
    std::byte* claimOut(uint16_t session, size_t bytes, const EventPlace& place, uint64_t) override {
        CHECK(!claimed && session >= 1 && session <= 2);
        claimed = true;
        kept.push_back({RecordKind::Out, session, next[session]++, place, std::vector<std::byte>(bytes)});
        return kept.back().message.data();
    }
    void commit(bool) override {
        CHECK(claimed && !ouch::readOutbound(kept.back().message).malformed());
        claimed = false;
    }
    Status appendIn(uint16_t session, uint32_t reference, uint64_t,
                    std::span<const std::byte> message) override {
        CHECK(!claimed && session >= 1 && session <= 2);
        kept.push_back({RecordKind::In, session, reference, place_, {message.begin(), message.end()}});
        return {};
    }
    Status beginDay(Position position) override {
        kept.clear();
        next[1] = next[2] = 1;
        day_ = position;
        return {};
    }
    session::Outbound& outbound(uint16_t) override { return *this; }
    bool seek(uint16_t, uint32_t, session::OutboundCursor&) override { return true; }
    uint32_t nextSequence(uint16_t session) const override { return next[session]; }
    Position dayStart() const override { return day_; }
    session::SessionName sessionName() const override { return {}; }
    EventPlace delivered() const override { return place_; }
    void noteDelivered(const EventPlace& place) override { place_ = place; }
    Status sync() override { return {}; }
    Status close() override { return {}; }
    Status status() const override { return {}; }
    uint64_t bytes() const override { return 0; }
    size_t gather(const session::OutboundCursor&, std::span<iovec>) override { return 0; }
    void advance(session::OutboundCursor&, size_t) override {}
    uint64_t lag(const session::OutboundCursor&) const override { return 0; }
};

User user(const char* name, uint16_t session) {
    User made;
    made.name = name;
    made.password = "p";
    made.session = session;
    made.account = "a";
    made.cancelOnDisconnect = session == 2;
    return made;
}

struct World {
    World() : users(Users::from({user("x", 1), user("y", 2)}).take()) { start(); }

    void start() {
        MarketState state;
        state.time = 1'700'000'000'000'000'000;
        state.instruments = {{1, nameOf("I"), TradingState::Open}};
        state.accounts = {{1, 0, nameOf("a"), false}};
        directory.begin(state);
        OrderGatewayOptions options;
        options.ordersMax = kOrdersMax;
        gateway = OrderGateway::create(options, port, store, directory, users);
        store.visitDay([this](const StoredRecord& record) { gateway->restore(record); });
        gateway->begin();
        gateway->settle(state);
        for (uint32_t which = 0; which < 2; ++which) login(which);
    }
    void login(uint32_t which) {
        connections[which] = {which, ++generation};
        session::LoginRequest request;
        request.user = which == 0 ? "x" : "y";
        request.password = "p";
        CHECK(gateway->login(connections[which], request).rejected == session::LoginReject::None);
    }
    // A command is about the session that its token names, and no id is used for two orders.
    void check(const Command& command) {
        CHECK(GatewayToken::is(command.token) && command.account == 1);
        const GatewayToken token = GatewayToken::of(command.token);
        CHECK(token.outlet == 0 && token.session >= 1 && token.session <= 2);
        if (command.type == static_cast<uint8_t>(CommandType::MassCancel)) return;
        const SessionOrderId id = readSessionOrderId(command.id);
        CHECK(id.session == token.session);
        if (command.type == static_cast<uint8_t>(CommandType::NewOrder)) {
            CHECK(command.quantity > 0 && used.insert({id.session, id.day, id.reference}).second);
        }
        if (command.type == static_cast<uint8_t>(CommandType::ReduceOrder)) CHECK(command.quantity > 0);
        if (command.type == static_cast<uint8_t>(CommandType::ReplaceOrder)) {
            const SessionOrderId now = readSessionOrderId(command.newId);
            CHECK(command.quantity > 0 && now.session == id.session);
            CHECK(used.insert({now.session, now.day, now.reference}).second);
        }
    }
    void deliver(Event& event) {
        event.flags = kEventLast;
        event.position = ++position;
        directory.take(event);
        gateway->deliver(event, {position, 0});
        store.noteDelivered({position, 0});
    }
    // One of the events that such a command can have, not always a sensible one.
    void answer(uint8_t how) {
        if (port.entered.empty()) return;
        const Command command = port.entered.front();
        port.entered.pop_front();
        check(command);
        static constexpr EventType kAnswers[] = {EventType::Accepted, EventType::Rejected,
                                                 EventType::Trade,    EventType::Cancelled,
                                                 EventType::Reduced,  EventType::Replaced,
                                                 EventType::MassCancelled, EventType::Accepted};
        Event event{};
        event.type = static_cast<uint8_t>(kAnswers[how & 7]);
        event.kind = command.type;
        event.side = command.side;
        event.code = static_cast<uint16_t>(1 + how % 9);
        event.token = command.token;
        event.account = 1;
        event.instrument = 1;
        event.id = command.id;
        event.id2 = command.type == static_cast<uint8_t>(CommandType::ReplaceOrder) ? command.newId : command.id;
        event.orderId = position + 1;
        event.quantity = event.leaves = command.quantity;
        deliver(event);
    }
    void endDay() {
        Event event{};
        event.type = static_cast<uint8_t>(EventType::DayEnded);
        deliver(event);
        for (uint32_t which = 0; which < 2; ++which) drop(which);
        (void)store.beginDay(position);
        gateway->begin();
        for (uint32_t which = 0; which < 2; ++which) login(which);
    }
    void drop(uint32_t which) { gateway->closed(connections[which], session::CloseReason::PeerClosed); }

    Port port;
    Store store;
    Directory directory;
    const Users users;
    std::unique_ptr<OrderGateway> gateway;
    session::ConnectionId connections[2];
    uint32_t generation = 0;
    Position position = 0;
    std::set<std::array<uint32_t, 3>> used;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size > 4096) return 0;
    const auto all = std::as_bytes(std::span(data, size));
    for (const auto read : {ouch::readInbound, ouch::readOutbound}) {
        const ouch::Message message = read(all);
        ouch::Options options;
        if (message.malformed() || ouch::readOptions(message.appendage, options) != ouch::OptionFault::None) {
            continue;
        }
        CHECK(ouch::optionBytes(options) == message.appendage.size());
    }
    World world;
    for (auto rest = all; rest.size() > 2;) {
        const auto how = static_cast<uint8_t>(rest[0]);
        const size_t length = std::min<size_t>(static_cast<uint8_t>(rest[1]), rest.size() - 2);
        const auto message = rest.subspan(2, length);
        rest = rest.subspan(2 + length);
        const uint32_t which = how & 1;
        if (world.gateway->received(world.connections[which], message) == session::Taken::Close) {
            world.drop(which);
            world.login(which);
        }
        (void)world.gateway->work(0);
        if ((how & 64) != 0) world.answer(how >> 1 & 31);
        CHECK(world.gateway->counters().openOrders <= kOrdersMax);
        if (how == 0xfe) world.endDay();
        if (how == 0xff) {
            world.port.entered.clear();
            world.start();
        }
    }
    return 0;
}
