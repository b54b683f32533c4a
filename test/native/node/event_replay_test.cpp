// What was published once comes again, from any position on; and what a node hands its gateways to begin with.
#include "node/event_replay.h"

#include <map>
#include <tuple>

#include "core/random_commands.h"
#include "feed/itch_reader.h"
#include "node_fixture.h"

namespace verbex::node::event_replay_test {
namespace {

std::vector<Command> randomStream(uint64_t seed, size_t count) {
    verbex::test::RandomCommands random(seed);
    std::vector<Command> commands;
    for (size_t i = 0; i < count; i++) commands.push_back(random.next());
    return commands;
}

// What a reader of a node has seen over several lives, and where each of them ended.
struct Lived {
    std::vector<Event> events;
    std::vector<Position> ends;
    [[nodiscard]] Position position() const { return ends.back(); }
};

Lived live(sim::SimulatedDisk& disk, const NodeOptions& options,
           const std::vector<Command>& commands, const std::vector<Position>& ends) {
    Lived lived;
    Position from = 0;
    for (const Position end : ends) {
        NodeSurroundings with;
        with.storage = &disk;
        Node::Opened opened = Node::open(options, with);
        EXPECT_TRUE(opened.node != nullptr) << opened.failure.message;
        if (opened.node == nullptr) return lived;
        Client client(*opened.node);
        EXPECT_TRUE(client.feed(commands, from, end));
        EXPECT_TRUE(client.drainUpTo(end));
        // Every other one just ends.
        if (lived.ends.size() % 2 == 0) {
            EXPECT_TRUE(client.close().failure.isOk());
        }
        lived.events.insert(lived.events.end(), client.received.begin(), client.received.end());
        lived.ends.push_back(from = end);
    }
    return lived;
}

// (from, to] of the live events, with what the replay says beside them.
void expectReplayed(sim::SimulatedDisk& disk, const Lived& lived, Position from, Position to) {
    std::vector<Event> expected;
    std::vector<std::tuple<uint32_t, uint64_t>> beside;
    uint64_t timeNs = 0;
    uint32_t index = 0;
    Position before = 0;
    for (const Event& event : lived.events) {
        index = event.position == before ? index + 1 : 0;
        before = event.position;
        if (event.type == static_cast<uint8_t>(EventType::TimeAdvanced)) timeNs = event.orderId;
        if (event.position <= from || event.position > to) continue;
        expected.push_back(event);
        beside.emplace_back(index, timeNs);
    }
    size_t seen = 0;
    bool same = true;
    const Status status = replayEvents(
        disk, "data", smallLimits(), from, to,
        [&](const Event& event, uint32_t at, uint64_t time) {
            same = same && seen < expected.size() &&
                   std::memcmp(&event, &expected[seen], sizeof(Event)) == 0 &&
                   beside[seen] == std::tuple{at, time};
            seen++;
        });
    EXPECT_TRUE(status.isOk()) << status.toString();
    EXPECT_TRUE(same) << "(" << from << ", " << to << "]";
    EXPECT_EQ(seen, expected.size()) << "(" << from << ", " << to << "]";
}

TEST(EventReplay, GivesAgainWhatWasPublishedFromAnyPosition) {
    for (uint64_t seed = 1; seed <= 6; seed++) {
        sim::SimulatedDisk disk;
        NodeOptions options = smallOptions("data");
        options.segmentBytes = 16u << 10;
        options.snapshotEvery = seed % 3 == 0 ? 0 : 150 * seed;
        options.durable = seed % 2 == 0;
        const Lived lived = live(disk, options, randomStream(seed, 1500), {400, 777, 1100, 1500});
        ASSERT_GT(lived.events.size(), 1000u);
        std::mt19937_64 random(seed);
        for (int round = 0; round < 25; round++) {
            const Position to = lived.ends[random() % lived.ends.size()];
            const Position from = random() % (to + 1);
            expectReplayed(disk, lived, from, to);
        }
        expectReplayed(disk, lived, 0, lived.position());
        expectReplayed(disk, lived, lived.position() - 1, lived.position());
        if (HasFailure()) return;
    }
}

TEST(EventReplay, SaysWhereTheJournalDoesNotReach) {
    sim::SimulatedDisk disk;
    const Lived lived = live(disk, smallOptions("data"), randomStream(9, 300), {300});
    const auto none = [](const Event&, uint32_t, uint64_t) {};
    EXPECT_FALSE(replayEvents(disk, "data", smallLimits(), 10, lived.position() + 1, none).isOk());
    EXPECT_TRUE(replayEvents(disk, "data", smallLimits(), 10, 10, none).isOk());
}

// ---- MarketState

// From the events alone: what is called what, and which orders are open.
struct Naive {
    std::map<AccountId, std::tuple<AccountId, Name>> accounts;
    std::map<AccountId, bool> killed;
    std::map<InstrumentId, Name> instruments;
    std::map<InstrumentId, uint8_t> states;
    std::map<OrderId, std::pair<AccountId, ClientId>> owners;

    void take(const Event& event) {
        if ((event.flags & kEventDuplicate) != 0) return;
        switch (static_cast<EventType>(event.type)) {
            case EventType::AccountAdded: accounts[event.account] = {event.account2, event.id}; break;
            case EventType::KillSwitchSet: killed[event.account] = event.side == 1; break;
            case EventType::InstrumentAdded:
                instruments[event.instrument] = event.id;
                states[event.instrument] = event.kind;
                break;
            case EventType::TradingStateSet: states[event.instrument] = event.kind; break;
            case EventType::Accepted: owners[event.orderId] = {event.account, event.id}; break;
            case EventType::Replaced: owners[event.orderId] = {event.account, event.id2}; break;
            default: break;
        }
    }
};

TEST(MarketStateOfACore, HoldsNamesTreeAndOrdersInQueueOrder) {
    uint64_t resting = 0;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        SerialRun run(smallLimits());
        verbex::test::RandomCommands commands(seed);
        Naive naive;
        for (int i = 0; i < 150; i++) run.apply(commands.next());
        for (const Event& event : run.events) naive.take(event);
        MarketState state;
        state.resting.resize(3);  // what was there goes
        run.core().marketState(state);
        EXPECT_EQ(state.position, run.core().position());
        EXPECT_EQ(state.time, run.core().time());
        EXPECT_EQ(state.venueKilled, naive.killed[0]);
        ASSERT_EQ(state.accounts.size(), naive.accounts.size());
        for (const MarketState::Account& account : state.accounts) {
            const std::tuple<AccountId, Name> named{account.parent, account.name};
            EXPECT_EQ(named, naive.accounts[account.id]);
            EXPECT_EQ(account.killed, naive.killed[account.id]);
        }
        ASSERT_EQ(state.instruments.size(), naive.instruments.size());
        for (const MarketState::Instrument& instrument : state.instruments) {
            EXPECT_EQ(instrument.name, naive.instruments[instrument.id]);
            EXPECT_EQ(static_cast<uint8_t>(instrument.state), naive.states[instrument.id]);
        }
        // The books as the core explains them: best level first, each in queue order.
        using Row = std::tuple<OrderId, uint64_t, uint64_t>;
        std::map<std::pair<InstrumentId, Side>, std::vector<Row>> sides;
        for (const MarketState::RestingOrder& order : state.resting) {
            sides[{order.instrument, order.side}].emplace_back(
                order.orderId, static_cast<uint64_t>(order.price),
                static_cast<uint64_t>(order.visible));
            EXPECT_LE(order.visible, order.open);
            const std::pair<AccountId, ClientId> owner{order.account, order.id};
            EXPECT_EQ(owner, naive.owners[order.orderId]);
            resting++;
        }
        for (const MarketState::Instrument& instrument : state.instruments) {
            std::string json;
            run.core().explainOrders(instrument.id, UINT32_MAX, json);
            for (const Side side : {Side::Buy, Side::Sell}) {
                std::vector<Row> expected;
                for (const feed::test::CoreOrder& order :
                     feed::test::ordersOf(json, side == Side::Sell)) {
                    expected.emplace_back(order.orderId, order.price, order.visible);
                }
                EXPECT_EQ((sides[{instrument.id, side}]), expected) << json;
            }
        }
        if (HasFailure()) return;
    }
    EXPECT_GT(resting, 100u);
}

}  // namespace
}  // namespace verbex::node::event_replay_test
