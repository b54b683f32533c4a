#include "node/node.h"

#include <sys/resource.h>

#include <algorithm>

#include "journal/posix_storage.h"
#include "node_fixture.h"
#include "wire/log_facts.h"

namespace verbex::node {

namespace {

Node::Opened openNode(const NodeOptions& options, journal::Storage* storage,
                      Clock* clock = nullptr, std::function<void()> onEvents = {}) {
    NodeSurroundings with;
    with.storage = storage;
    with.clock = clock;
    with.onEvents = std::move(onEvents);
    return Node::open(options, with);
}

// Feeds everything, closes, and compares with the serial run: events, hash, position.
void expectLikeSerial(const NodeOptions& options, journal::Storage* storage, size_t count) {
    Flow flow(count);
    const std::vector<Command> commands = flow.take(count);
    SerialRun serial(smallLimits());
    for (const Command& command : commands) serial.apply(command);
    const auto trades =
        std::count_if(serial.events.begin(), serial.events.end(), [](const Event& event) {
            return event.type == static_cast<uint8_t>(EventType::Trade);
        });
    EXPECT_GT(static_cast<size_t>(trades), count / 10) << "the flow must do something";

    Node::Opened opened = openNode(options, storage);
    ASSERT_TRUE(opened.failure.isOk()) << opened.failure.message;
    Client client(*opened.node);
    ASSERT_TRUE(client.feed(commands, 0, count));
    const CloseResult closed = client.close();
    ASSERT_TRUE(closed.failure.isOk()) << closed.failure.code << " " << closed.failure.message;
    EXPECT_EQ(closed.position, count);
    EXPECT_EQ(closed.stateHash, serial.core().hash());
    ASSERT_EQ(client.received.size(), serial.events.size());
    EXPECT_TRUE(sameEvents(client.received, serial.events, serial.events.size()));
    const NodeStats stats = opened.node->stats();
    EXPECT_EQ(stats.state, EngineState::Closed);
    EXPECT_EQ(stats.commands, count);
    EXPECT_EQ(stats.events, serial.events.size());
    EXPECT_EQ(stats.publishedPosition, count);
    if (options.data.empty()) return;
    EXPECT_EQ(stats.durablePosition, count);
    EXPECT_EQ(stats.snapshotPosition, count);
    opened.node.reset();

    // Twice: once from the snapshot, once more to see that opening changes nothing.
    for (int round = 0; round < 2; round++) {
        Node::Opened again = openNode(options, storage);
        ASSERT_TRUE(again.failure.isOk()) << again.failure.message;
        EXPECT_EQ(again.node->stats().stateHash, serial.core().hash().hex());
        EXPECT_EQ(again.node->stats().recoveredFrom, count);
        EXPECT_EQ(again.node->stats().replayed, 0u);
        EXPECT_EQ(again.node->available(), 0u);
        Client second(*again.node);
        const CloseResult end = second.close();
        EXPECT_TRUE(end.failure.isOk()) << end.failure.message;
        EXPECT_EQ(end.stateHash, serial.core().hash());
    }
    const RecoveredState genesis = recoverState(*storage, nullptr, options.data, smallLimits(),
                                                UINT64_MAX, StateSource::Genesis);
    ASSERT_TRUE(genesis.failure.isOk()) << genesis.failure.message;
    EXPECT_EQ(genesis.replayed, count);
    EXPECT_EQ(genesis.core->hash(), serial.core().hash());
}

uint64_t cpuNs() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    const auto ns = [](const timeval& time) {
        return static_cast<uint64_t>(time.tv_sec) * 1'000'000'000 +
               static_cast<uint64_t>(time.tv_usec) * 1000;
    };
    return ns(usage.ru_utime) + ns(usage.ru_stime);
}

class HandClock final : public Clock {
public:
    uint64_t now() override { return now_.load(); }
    std::atomic<uint64_t> now_{1'000'000'000'000};
};

}  // namespace

TEST(Node, InMemoryEqualsTheSerialCore) { expectLikeSerial(smallOptions(""), nullptr, 20'000); }

TEST(Node, DurableOnASimulatedDiskEqualsTheSerialCore) {
    sim::SimulatedDisk disk;
    expectLikeSerial(smallOptions("data"), &disk, 5'000);
}

TEST(Node, AsyncOnASimulatedDiskEqualsTheSerialCore) {
    sim::SimulatedDisk disk;
    NodeOptions options = smallOptions("data");
    options.durable = false;
    options.snapshotEvery = 700;
    expectLikeSerial(options, &disk, 5'000);
}

TEST(Node, OnARealDiskEqualsTheSerialCore) {
    for (const bool durable : {true, false}) {
        TemporaryDirectory directory;
        journal::PosixStorage storage;
        NodeOptions options = smallOptions(directory.file("deep/data"));
        options.durable = durable;
        options.snapshotEvery = 3'000;
        options.segmentBytes = 256u << 10;
        expectLikeSerial(options, &storage, 10'000);
    }
}

// A journal that came from a deployment in roles, which stopped while two of three risk processes were away.
TEST(Node, HasTheAccountsOfRiskProcessesThatItsJournalSaysAreAway) {
    const auto deposit = [](uint64_t number) {
        Command command{};
        command.type = static_cast<uint8_t>(CommandType::Deposit);
        command.account = 1;
        command.instrument = 1;
        command.id = ClientId{number, 0};
        command.amount = 5;
        return command;
    };
    const auto add = [](CommandType type) {
        Command command{};
        command.type = static_cast<uint8_t>(type);
        command.id = ClientId{1, 0};
        return command;
    };
    const std::vector<Command> before = {
        add(CommandType::AddAsset),      add(CommandType::AddAccount), deposit(1),
        availabilityOf(3, 1, true, 4), availabilityOf(3, 2, true, 5), deposit(2)};
    const std::vector<Command> after = {deposit(3)};
    const auto typesOf = [](const Client& client) {
        std::vector<EventType> types;
        for (const Event& event : client.received) types.push_back(EventType(event.type));
        return types;
    };
    sim::SimulatedDisk disk;
    for (const std::vector<Command>& commands : {before, after}) {
        Node::Opened opened = openNode(smallOptions("data"), &disk);
        ASSERT_TRUE(opened.failure.isOk()) << opened.failure.message;
        Client client(*opened.node);
        ASSERT_TRUE(client.feed(commands, 0, commands.size()));
        ASSERT_TRUE(client.close().failure.isOk());
        if (commands.size() == before.size()) {
            EXPECT_EQ(typesOf(client).back(), EventType::Rejected);
        } else {
            EXPECT_EQ(typesOf(client),
                      (std::vector{EventType::AvailabilitySet, EventType::AvailabilitySet,
                                   EventType::BalanceChanged}));
        }
    }
}

TEST(Node, SmallestSegmentsTakeSmallerBatches) {
    sim::SimulatedDisk disk;
    NodeOptions options = smallOptions("data");
    options.segmentBytes = journal::kSegmentBytesMin;
    expectLikeSerial(options, &disk, 300);
}

TEST(Node, AStuckConsumerFillsTheRingsAndLosesNothing) {
    sim::SimulatedDisk disk;
    Flow flow(5);
    const std::vector<Command> commands = flow.take(20'000);
    NodeOptions options = smallOptions("data");
    Node::Opened opened = openNode(options, &disk);
    ASSERT_TRUE(opened.node != nullptr);
    Node& node = *opened.node;
    size_t offered = 0;
    for (int quiet = 0; quiet < 200;) {
        const uint32_t taken = node.offer(&commands[offered], 64).taken;
        offered += taken;
        quiet = taken == 0 ? quiet + 1 : 0;
        if (taken == 0) std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
    EXPECT_LE(offered, 256u + 1024u);
    EXPECT_LE(node.available(), 1024u);
    EXPECT_GE(node.stats().backPressureWaits, 1u);
    // A query is answered all the same, and shows nothing that is not stored.
    const std::string position =
        ask(node, [](const Core& core) { return std::to_string(core.position()); });
    EXPECT_LE(std::stoull(position), node.stats().durablePosition);
    Client client(node);
    ASSERT_TRUE(client.feed(commands, offered, commands.size()));
    ASSERT_TRUE(client.drainUpTo(commands.size()));
    SerialRun serial(smallLimits());
    for (const Command& command : commands) serial.apply(command);
    ASSERT_EQ(client.received.size(), serial.events.size());
    EXPECT_TRUE(sameEvents(client.received, serial.events, serial.events.size()));
    EXPECT_TRUE(client.close().failure.isOk());
}

TEST(Node, ACommandWithMoreEventsThanTheRingHasCells) {
    sim::SimulatedDisk disk;
    NodeOptions options = smallOptions("data");
    options.eventCells = 64;
    Flow flow(2);
    std::vector<Command> commands = flow.take(4 + 3 * Flow::kAccounts);
    for (uint64_t i = 0; i < 500; i++) {
        Command order{};
        order.type = static_cast<uint8_t>(CommandType::NewOrder);
        order.account = 1;
        order.instrument = 1;
        order.id = text("m" + std::to_string(i));
        order.side = 1;
        order.orderType = 1;
        order.timeInForce = 1;
        order.price = static_cast<int64_t>(100 + i % 50);
        order.quantity = 1;
        commands.push_back(order);
    }
    Command cancel{};
    cancel.type = static_cast<uint8_t>(CommandType::MassCancel);
    commands.push_back(cancel);
    SerialRun serial(smallLimits());
    for (const Command& command : commands) serial.apply(command);
    ASSERT_GE(serial.events.size(), 1000u);

    Node::Opened opened = openNode(options, &disk);
    ASSERT_TRUE(opened.node != nullptr);
    Client client(*opened.node);
    ASSERT_TRUE(client.feed(commands, 0, commands.size()));
    ASSERT_TRUE(client.drainUpTo(commands.size()));
    ASSERT_EQ(client.received.size(), serial.events.size());
    EXPECT_TRUE(sameEvents(client.received, serial.events, serial.events.size()));

    // And stopped in the middle of such a one, with nobody to take the events.
    Flow more(3);
    (void)more.take(4 + 3 * Flow::kAccounts);
    for (int i = 0; i < 3000; i++) {
        const Command command = more.next();
        if (opened.node->offer(&command, 1).taken == 0) break;
    }
    opened.node->stop();
    EXPECT_EQ(opened.node->state(), EngineState::Stopped);
    Client late(*opened.node);
    EXPECT_EQ(late.close().failure.code, "CLOSED");
}

TEST(Node, TellsTheConsumerOnceWhenThereIsSomethingAgain) {
    std::atomic<int> told{0};
    Node::Opened opened = openNode(smallOptions(""), nullptr, nullptr, [&told] { told++; });
    ASSERT_TRUE(opened.node != nullptr);
    Client client(*opened.node);
    Flow flow(4);
    for (int round = 1; round <= 200; round++) {
        const Command command = flow.next();
        ASSERT_EQ(opened.node->offer(&command, 1).taken, 1u);
        while (told.load() < round) std::this_thread::yield();
        EXPECT_EQ(told.load(), round);
        while (client.drain() != 0) {
        }
    }
    EXPECT_TRUE(client.close().failure.isOk());
}

TEST(Node, ClosedItFreesItsDirectoryEvenWhileTheObjectStays) {
    sim::SimulatedDisk disk;
    Node::Opened first = openNode(smallOptions("data"), &disk);
    Client client(*first.node);
    ASSERT_TRUE(client.close().failure.isOk());
    first.node->stop();
    const Node::Opened second = openNode(smallOptions("data"), &disk);
    EXPECT_TRUE(second.node != nullptr) << second.failure.message;
    EXPECT_EQ(first.node->stats().state, EngineState::Closed);
}

TEST(Node, CloseTwiceAndOfferAfter) {
    Node::Opened opened = openNode(smallOptions(""), nullptr);
    Client client(*opened.node);
    const CloseResult first = client.close();
    const CloseResult second = client.close();
    EXPECT_TRUE(first.failure.isOk());
    EXPECT_TRUE(second.failure.isOk());
    EXPECT_EQ(first.stateHash, second.stateHash);
    const Command command{};
    EXPECT_EQ(opened.node->offer(&command, 1).failure.code, "CLOSED");
    EXPECT_EQ(ask(*opened.node, [](const Core&) { return std::string("?"); }), "CLOSED");
    EXPECT_EQ(snapshotNow(*opened.node).failure.code, "NO_DATA_DIRECTORY");
}

TEST(Node, GarbageCommandsReplayAsTheyWereExecuted) {
    sim::SimulatedDisk disk;
    NodeOptions options = smallOptions("data");
    std::mt19937_64 random(11);
    std::vector<Command> commands(3000);
    for (Command& command : commands) {
        uint64_t words[16];
        for (uint64_t& word : words) word = random() & random();
        std::memcpy(reinterpret_cast<char*>(&command), words, sizeof(command));
        command.type = static_cast<uint8_t>(random() % 24);
    }
    std::string hash;
    {
        Node::Opened opened = openNode(options, &disk);
        Client client(*opened.node);
        ASSERT_TRUE(client.feed(commands, 0, commands.size()));
        ASSERT_TRUE(client.drainUpTo(commands.size()));
        hash = ask(*opened.node, [](const Core& core) { return core.hash().hex(); });
    }
    const Node::Opened again = openNode(options, &disk);
    ASSERT_TRUE(again.node != nullptr) << again.failure.message;
    EXPECT_EQ(again.node->stats().stateHash, hash);
    EXPECT_EQ(again.node->stats().replayed, commands.size());
}

TEST(Node, OtherLimitsThanTheDirectoryWasCreatedWithAreRefused) {
    sim::SimulatedDisk disk;
    NodeOptions options = smallOptions("data");
    { const Node::Opened opened = openNode(options, &disk); }
    options.limits.maxOrders *= 2;
    const Node::Opened other = openNode(options, &disk);
    EXPECT_EQ(other.failure.code, "LIMITS_DIFFER");
    EXPECT_NE(other.failure.message.find("maxOrders 8192 instead of 4096"), std::string::npos);
    options.limits = {0, 0, 0, 0};
    const Node::Opened stored = openNode(options, &disk);
    EXPECT_TRUE(stored.node != nullptr) << stored.failure.message;
    const Node::Opened second = openNode(options, &disk);
    EXPECT_EQ(second.failure.code, "DATA_DIRECTORY_IN_USE");
}

TEST(Node, BadOptionsAreRefused) {
    NodeOptions options = smallOptions("");
    options.ringCells = 100;
    EXPECT_EQ(openNode(options, nullptr).failure.code, "INVALID_ARGUMENT");
    options = smallOptions("data");
    EXPECT_EQ(openNode(options, nullptr).failure.code, "INVALID_ARGUMENT");
    sim::SimulatedDisk disk;
    options.segmentBytes = 1;
    EXPECT_EQ(openNode(options, &disk).failure.code, "INVALID_ARGUMENT");
}

TEST(Node, TimeComesFromTheClockAndIsReplayedFromTheJournal) {
    sim::SimulatedDisk disk;
    HandClock clock;
    NodeOptions options = smallOptions("data");
    std::string hash;
    {
        Node::Opened opened = openNode(options, &disk, &clock);
        Client client(*opened.node);
        Flow flow(9);
        for (int i = 0; i < 100; i++) {
            const Command command = flow.next();
            ASSERT_EQ(opened.node->offer(&command, 1).taken, 1u);
            clock.now_ += 300'000;
            // Backwards and forwards again: nothing of it is passed on.
            if (i == 50) clock.now_ -= 5'000'000'000;
            if (i == 60) clock.now_ += 5'000'000'000;
            while (opened.node->stats().commands - opened.node->stats().ticks <
                   static_cast<uint64_t>(i + 1)) {
                client.drain();
            }
        }
        const uint64_t ticks = opened.node->stats().ticks;
        EXPECT_GE(ticks, 20u);
        EXPECT_LE(ticks, 32u);
        ASSERT_TRUE(client.drainUpTo(100 + ticks));
        uint64_t last = 0;
        for (const Event& event : client.received) {
            if (event.type != static_cast<uint8_t>(EventType::TimeAdvanced)) continue;
            EXPECT_EQ(event.token, 0u);
            last++;
        }
        EXPECT_EQ(last, ticks);
        const std::string beyondMs = ask(*opened.node, [](const Core& core) {
            return std::to_string(core.time() % ClockTicker::kResolutionNs);
        });
        EXPECT_EQ(beyondMs, "0");
        hash = ask(*opened.node, [](const Core& core) { return core.hash().hex(); });
    }
    const Node::Opened again = openNode(options, &disk);
    EXPECT_EQ(again.node->stats().stateHash, hash);
}

TEST(Node, AnExpiryWakesAnIdleNode) {
    NodeSurroundings with;
    SystemClock clock;
    with.clock = &clock;
    Node::Opened opened = Node::open(smallOptions(""), with);
    Client client(*opened.node);
    ASSERT_TRUE(client.drainUpTo(1));
    Command order{};
    order.type = static_cast<uint8_t>(CommandType::NewOrder);
    order.timeInForce = static_cast<uint8_t>(TimeInForce::Gtd);
    order.expiry = clock.now() + 100'000'000;
    ASSERT_EQ(opened.node->offer(&order, 1).taken, 1u);
    while (clock.now() < order.expiry + 50'000'000) {
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    const std::string time =
        ask(*opened.node, [](const Core& core) { return std::to_string(core.time()); });
    EXPECT_GE(std::stoull(time), order.expiry);
}

TEST(Node, AnIdleNodeUsesNextToNothing) {
    journal::PosixStorage storage;
    TemporaryDirectory directory;
    SystemClock clock;
    NodeOptions options = smallOptions(directory.file("data"));
    Node::Opened opened = openNode(options, &storage, &clock);
    // The same with a thread for each stage.
    options.data = directory.file("pipelined");
    options.plan.kind = pipeline::PlanKind::Pipelined;
    Node::Opened pipelined = openNode(options, &storage, &clock);
    ASSERT_TRUE(opened.node != nullptr && pipelined.node != nullptr);
    ASSERT_TRUE(Client(*opened.node).drainUpTo(1));
    ASSERT_TRUE(Client(*pipelined.node).drainUpTo(1));
    // Longer than the engine looks for work before it sleeps.
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    const uint64_t before = cpuNs();
    const auto started = std::chrono::steady_clock::now();
    std::this_thread::sleep_for(std::chrono::milliseconds(1500));
    const auto took = std::chrono::duration_cast<std::chrono::nanoseconds>(
        std::chrono::steady_clock::now() - started);
    EXPECT_LT(cpuNs() - before, static_cast<uint64_t>(took.count()) / 50);
}

}  // namespace verbex::node
