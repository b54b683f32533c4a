// Order gateway and core together: random clients, random delays between gateway and core, kills at random
// moments. What every client was told is compared with what the core's events say, and with the core's state.
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

#include "core/core.h"
#include "gateway/ouch_fixture.h"

namespace verbex::node::ouch_core_test {
namespace {

using namespace verbex::gateway;
using namespace verbex::gateway::ouch;
using namespace verbex::gateway::ouch_test;
using verbex::gateway::ouch_test::Client;  // not the node's

constexpr uint32_t kSessions = 4;

// Applies commands; every event ends in a list, as a journal would give them again.
class World final : public EventWriter {
public:
    World() : core(CoreLimits{10'000, 100, 16, 100'000, true}) { reset(); }
    void apply(const Command& command) {
        core.apply(command, *this);
        drain();
    }
    Core core;
    Gateway::Events events;

private:
    void reset() { setRegion(cells_.data(), cells_.data() + cells_.size()); }
    void drain() override {
        for (const Event* event = begin(); event != cursor(); ++event) {
            if (event->position != next_.position) next_ = {event->position, 0};
            events.emplace_back(*event, next_);
            ++next_.index;
        }
        reset();
    }
    std::vector<Event> cells_ = std::vector<Event>(256);
    EventPlace next_;
};

// What a client must have been told, as text: of one session, in order.
std::string line(char type, uint32_t reference, uint64_t quantity) {
    return std::string(1, type) + std::to_string(reference) + ":" + std::to_string(quantity);
}

class Expected {
public:
    void take(const Event& event) {
        const SessionOrderId id = readSessionOrderId(event.id);
        const SessionOrderId id2 = readSessionOrderId(event.id2);
        const auto say = [&](const SessionOrderId& to, char type, uint32_t reference, int64_t quantity) {
            if (to.none()) return;
            told[to.session].push_back(line(type, reference, uint64_t(quantity)));
            ++counts[type];
        };
        switch (static_cast<EventType>(event.type)) {
            case EventType::Accepted: return say(id, 'A', id.reference, event.quantity);
            case EventType::Trade:
                say(id, 'E', id.reference, event.quantity);
                return say(id2, 'E', id2.reference, event.quantity);
            case EventType::Cancelled: return say(id, 'C', id.reference, event.quantity);
            case EventType::Reduced:
                if ((event.token >> 56 & 1) != 0 && GatewayToken::is(event.token) &&
                    GatewayToken::of(event.token).reference == id.reference &&
                    GatewayToken::of(event.token).session == id.session) {
                    return say(id, 'M', id.reference, event.leaves);
                }
                return say(id, 'C', id.reference, event.quantity);
            case EventType::Replaced: return say(id, 'U', id2.reference, event.quantity);
            case EventType::DayEnded:
                for (auto& [session, lines] : told) lines.clear();
                return;
            default: return;
        }
    }
    std::map<uint16_t, std::vector<std::string>> told;  // today
    std::map<char, uint64_t> counts;                    // by type, of all days
};

// A client that keeps its own books from its stream alone.
struct Book {
    struct Order {
        uint64_t open = 0;
        uint64_t executed = 0;  // of the whole chain of replacements
        uint64_t wanted = 0;    // in all, as accepted last
        bool decremented = false;  // by self-trade prevention
    };
    std::map<uint32_t, Order> orders;
    std::map<uint32_t, uint64_t> totals;  // what each enter and replace asked for in all
    std::set<uint32_t> answered;
    std::map<uint32_t, std::deque<uint32_t>> sizes;  // cancels and modifies without an answer
    std::vector<std::string> told;

    // The answer to the oldest cancel or modify of this order.
    void reduced(uint32_t reference) {
        Order& order = orders[reference];
        std::deque<uint32_t>& asked = sizes[reference];
        if (order.open == 0) return asked.clear();
        if (asked.empty()) return;
        const uint32_t size = asked.front();
        asked.pop_front();
        EXPECT_LE(order.executed + order.open, size);
        if (!order.decremented) {
            EXPECT_EQ(order.executed + order.open, size);
        }
    }

    void take(const Received& received) {
        switch (received.type()) {
            case Accepted::kType: {
                const auto& m = received.as<Accepted>();
                told.push_back(line('A', m.userRefNum, m.quantity));
                EXPECT_TRUE(answered.insert(m.userRefNum).second) << "answered twice";
                orders[m.userRefNum] = {m.quantity, 0, m.quantity, false};
                return;
            }
            case Replaced::kType: {
                const auto& m = received.as<Replaced>();
                told.push_back(line('U', m.userRefNum, m.quantity));
                EXPECT_TRUE(answered.insert(m.userRefNum).second) << "answered twice";
                Order order = orders[m.origUserRefNum];
                orders.erase(m.origUserRefNum);
                order.open = m.quantity;
                order.wanted = totals.at(m.userRefNum);
                EXPECT_LE(order.executed + order.open, order.wanted) << "more than asked for";
                if (!order.decremented) {
                    EXPECT_EQ(order.executed + order.open, order.wanted);
                }
                orders[m.userRefNum] = order;
                return;
            }
            case Executed::kType: {
                const auto& m = received.as<Executed>();
                told.push_back(line('E', m.userRefNum, m.quantity));
                Order& order = orders[m.userRefNum];
                EXPECT_LE(m.quantity, order.open);
                order.open -= m.quantity;
                order.executed += m.quantity;
                EXPECT_LE(order.executed, order.wanted) << "filled beyond what was asked for";
                return;
            }
            case Canceled::kType: {
                const auto& m = received.as<Canceled>();
                told.push_back(line('C', m.userRefNum, m.quantity));
                orders[m.userRefNum].open -= m.quantity;
                if (m.reason == kSelfMatch) orders[m.userRefNum].decremented = true;
                if (m.reason != kSelfMatch) reduced(m.userRefNum);
                return;
            }
            case Modified::kType: {
                const auto& m = received.as<Modified>();
                told.push_back(line('M', m.userRefNum, m.quantity));
                orders[m.userRefNum].open = m.quantity;
                reduced(m.userRefNum);
                return;
            }
            case CancelReject::kType: {
                std::deque<uint32_t>& asked = sizes[received.as<CancelReject>().userRefNum];
                if (!asked.empty()) asked.pop_front();
                return;
            }
            case Rejected::kType:
                EXPECT_TRUE(answered.insert(received.as<Rejected>().userRefNum).second);
                return;
            default: return;
        }
    }
};

struct Market {
    explicit Market(uint64_t seed)
        : random(seed),
          gateway({userOf("A", 1, "ONE"), userOf("B", 2, "ONE"), userOf("C", 3, "TWO"),
                   userOf("D", 4, "THREE")}) {
        setUp();
        gateway.atDayEnd = [this] {
            if (!alive) return;
            readAll();
            for (Client& client : clients) client.drop();
        };
        for (uint16_t session = 1; session <= kSessions; ++session) {
            clients.emplace_back(gateway, std::string(1, char('A' + session - 1)), session);
            clients.back().login();
        }
    }

    void setUp() {
        Command command{};
        for (const char* name : {"BTC", "USD"}) {
            command = {};
            command.type = uint8_t(CommandType::AddAsset);
            command.id = nameOf(name);
            world.apply(command);
        }
        command = {};
        command.type = uint8_t(CommandType::AddInstrument);
        command.flags = kCommandExtended;
        command.id = nameOf("BTC-USD");
        command.price = command.quantity = command.priceMin = command.quantityMin = 1;
        command.priceMax = command.quantityMax = 2000;
        command.base = 1;
        command.quote = 2;
        world.apply(command);
        for (const char* name : {"ONE", "TWO", "THREE"}) {
            command = {};
            command.type = uint8_t(CommandType::AddAccount);
            command.id = nameOf(name);
            world.apply(command);
            for (uint32_t asset = 1; asset <= 2; ++asset) {
                command = {};
                command.type = uint8_t(CommandType::Deposit);
                command.account = world.events.back().first.account;
                if (asset == 2) command.account = account;
                account = command.account;
                command.instrument = asset;
                command.id = ClientId{asset, 0};
                command.amount = 100'000'000;
                world.apply(command);
            }
        }
        deliverAll();
    }

    uint64_t below(uint64_t most) { return random() % most; }

    void applySome(size_t most) {
        for (; most != 0 && !gateway.port.entered.empty(); --most) {
            world.apply(gateway.port.entered.front());
            gateway.port.entered.pop_front();
        }
    }
    void deliverSome(size_t most) {
        for (; most != 0 && delivered < world.events.size(); --most) {
            const auto& [event, place] = world.events[delivered++];
            expected.take(event);
            gateway.deliver(event, place);
            if (event.type != uint8_t(EventType::DayEnded)) continue;
            dayStart = gateway.store->dayStart();
            (void)gateway.gateway->work(0);
            dayEnded();
        }
    }
    void deliverAll() { deliverSome(SIZE_MAX); }
    void dayEnded() {
        for (uint16_t session = 1; session <= kSessions; ++session) {
            // What is under way is answered on the new day.
            books[session] = {{}, books[session].totals, {}, books[session].sizes, {}};
            sent[session].clear();
            clients[session - 1].login();
            next[session] = firstOfDay[session] = askNext(session);
            if (next[session] == 1) books[session].sizes.clear();
        }
    }
    uint32_t askNext(uint16_t session) {
        Client& client = clients[session - 1];
        for (const Received& received : client.read()) books[session].take(received);
        EXPECT_EQ(client.send(Draft<AccountQuery>().bytes()), session::Taken::Yes);
        return client.read().at(0).as<AccountQueryResponse>().nextUserRefNum;
    }
    void readAll() {
        for (uint16_t session = 1; session <= kSessions; ++session) {
            for (const Received& received : clients[session - 1].read()) books[session].take(received);
        }
    }

    // The process ends; what the core had not taken is lost, what it did is told again.
    void kill() {
        readAll();
        gateway.kill();
        for (; delivered < world.events.size(); ++delivered) expected.take(world.events[delivered].first);
        MarketState state;
        world.core.marketState(state);
        alive = false;
        const Position day = dayStart;
        gateway.start(state, world.events);
        alive = true;
        dayStart = gateway.store->dayStart();
        for (uint16_t session = 1; session <= kSessions; ++session) {
            Book& book = books[session];
            book = {{}, book.totals, {}, {}, {}};
            ASSERT_EQ(clients[session - 1].login(1), session::LoginReject::None);
        }
        readAll();
        (void)gateway.gateway->work(0);  // of a day before
        for (uint16_t session = 1; session <= kSessions && day != dayStart; ++session) {
            next[session] = firstOfDay[session] = askNext(session);
            sent[session].clear();
        }
        // Whatever was sent is sent again: nothing happens twice.
        for (uint16_t session = 1; session <= kSessions; ++session) {
            const size_t before = gateway.port.entered.size();
            for (const Bytes& bytes : sent[session]) clients[session - 1].send(bytes);
            EXPECT_EQ(gateway.port.entered.size(), before);
        }
        for (auto& [session, messages] : sent) messages.clear();
    }

    void endDay() {
        Command command{};
        command.type = uint8_t(CommandType::DayEnd);
        world.apply(command);
    }

    void act() {
        const auto session = static_cast<uint16_t>(1 + below(kSessions));
        Client& client = clients[session - 1];
        Book& book = books[session];
        uint32_t& reference = next[session];
        const uint32_t known =
            reference == 1 ? 1 : static_cast<uint32_t>(reference - 1 - below(std::min(reference - 1, 6u)));
        const char side = below(2) == 0 ? kBuy : kSell;
        const auto quantity = static_cast<uint32_t>(1 + below(40));
        const uint64_t price = side == kBuy ? 90 + below(12) : 98 + below(12);
        Bytes bytes;
        bool counted = false;
        uint32_t reduceTo = UINT32_MAX;
        bool asksMass = false;
        switch (below(10)) {
            case 0:
            case 1:
            case 2:
            case 3: {
                Draft<EnterOrder> order;
                order->userRefNum = reference;
                order->side = side;
                order->quantity = quantity;
                order->price = price;
                if (below(4) == 0) order->timeInForce = kImmediate;
                if (below(6) == 0) order.options.set(Tag::AiqStrategy, "YOWyow"[below(6)]);
                if (below(8) == 0) order.options.set(Tag::MaxFloor, 1 + below(quantity));
                if (below(8) == 0) order->display = kHidden;  // not offered
                bytes = order.bytes();
                counted = true;
                break;
            }
            case 4:
            case 5:
            case 6: bytes = replaceOf(known, reference, quantity, price); counted = true; break;
            case 7:
                reduceTo = static_cast<uint32_t>(below(20));
                bytes = cancelOf(known, reduceTo);
                break;
            case 8:
                reduceTo = static_cast<uint32_t>(1 + below(20));
                bytes = modifyOf(known, side, reduceTo);
                break;
            default:
                if (below(8) != 0) return;
                Draft<MassCancel> mass;
                mass->userRefNum = reference;
                bytes = mass.bytes();
                counted = asksMass = true;
        }
        gateway.port.room = gateway.port.entered.size() + (below(10) == 0 ? 0 : 1);
        const session::Taken taken = client.send(bytes);
        ASSERT_NE(taken, session::Taken::Close);
        gateway.port.room = SIZE_MAX;
        if (taken == session::Taken::Yes && reduceTo != UINT32_MAX) {
            book.sizes[known].push_back(reduceTo);
        }
        if (taken != session::Taken::Yes || !counted) return;
        book.totals[reference] = quantity;
        sent[session].push_back(bytes);
        if (asksMass) masses.insert({session, reference});
        ++reference;
    }

    void check() {
        for (size_t round = 0; round < 50; ++round) {
            (void)gateway.gateway->work(0);
            applySome(SIZE_MAX);
            deliverAll();
        }
        readAll();
        MarketState state;
        world.core.marketState(state);
        std::map<std::pair<uint16_t, uint32_t>, uint64_t> resting;
        for (const MarketState::RestingOrder& order : state.resting) {
            const SessionOrderId id = readSessionOrderId(order.id);
            resting[{id.session, id.reference}] = static_cast<uint64_t>(order.open);
        }
        std::map<std::pair<uint16_t, uint32_t>, uint64_t> clientsSay;
        for (auto& [session, book] : books) {
            EXPECT_EQ(book.told, expected.told[session]) << "session " << session;
            for (const auto& [reference, order] : book.orders) {
                if (order.open != 0) clientsSay[{session, reference}] = order.open;
            }
            for (uint32_t reference = firstOfDay[session]; reference < next[session]; ++reference) {
                if (massCancels(session, reference)) continue;
                EXPECT_TRUE(book.answered.contains(reference)) << "no answer: " << reference;
            }
        }
        EXPECT_EQ(clientsSay, resting);
        EXPECT_EQ(gateway.gateway->counters().openOrders, resting.size());
    }
    bool massCancels(uint16_t session, uint32_t reference) { return masses.contains({session, reference}); }

    std::mt19937_64 random;
    AccountId account = 0;
    World world;
    Gateway gateway;
    std::deque<Client> clients;
    std::map<uint16_t, Book> books;
    std::map<uint16_t, uint32_t> next{{1, 1}, {2, 1}, {3, 1}, {4, 1}};
    std::map<uint16_t, uint32_t> firstOfDay{{1, 1}, {2, 1}, {3, 1}, {4, 1}};
    std::map<uint16_t, std::vector<Bytes>> sent;
    Position dayStart = 0;
    bool alive = true;
    std::set<std::pair<uint16_t, uint32_t>> masses;
    Expected expected;
    size_t delivered = 0;
};

TEST(OuchCore, EveryClientIsToldWhatHappenedAndNothingElse) {
    std::map<char, uint64_t> answers;  // by type of message
    for (uint64_t seed = 1; seed <= 20 && !::testing::Test::HasFailure(); ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        Market market(seed);
        for (int step = 0; step < 2000 && !::testing::Test::HasFailure(); ++step) {
            market.act();
            if (market.below(3) == 0) market.applySome(market.below(6));
            if (market.below(3) == 0) market.deliverSome(market.below(8));
            if (market.below(400) == 0) market.kill();
            if (market.below(700) == 0) market.endDay();
            if (market.below(20) == 0) market.readAll();
        }
        market.check();
        for (const auto& [type, count] : market.expected.counts) answers[type] += count;
    }
    // It was about something.
    for (const char type : std::string_view("AECMU")) {
        EXPECT_GT(answers[type], 200u) << type;
    }
}

}  // namespace
}  // namespace verbex::node::ouch_core_test
