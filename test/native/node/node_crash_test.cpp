// A node that dies, and what the next one finds.
#include "node_fixture.h"

namespace verbex::node {

namespace {

constexpr size_t kCommands = 3000;

struct Ending {
    Position complete = 0;       // the last command all of whose events the client has
    std::vector<Event> received;
    std::string code;            // of the node's failure
    uint64_t calls = 0;          // that the disk had seen
};

pipeline::ThreadPlan plan;  // of the test that runs

NodeOptions crashOptions(bool durable) {
    NodeOptions options = smallOptions("data");
    options.plan = plan;
    options.durable = durable;
    options.segmentBytes = 16u << 10;
    options.snapshotEvery = 400;
    return options;
}

// One life of a node on a disk that may stop or fail at any moment.
Ending live(sim::SimulatedDisk& disk, const std::vector<Command>& commands,
            const NodeOptions& options, size_t from, size_t to, bool closeIt) {
    Ending ending;
    NodeSurroundings with;
    with.storage = &disk;
    Node::Opened opened = Node::open(options, with);
    if (opened.node == nullptr) {
        ending.code = opened.failure.code;
        ending.calls = disk.calls();
        return ending;
    }
    Client client(*opened.node);
    if (client.feed(commands, from, to) && client.drainUpTo(to) && closeIt) {
        ending.code = client.close().failure.code;
    }
    if (opened.node->state() == EngineState::Failed) {
        ending.code = opened.node->failure().code;
        // Nothing comes any more, however long one waits, and every answer names the failure.
        const Position last = opened.node->stats().publishedPosition;
        EXPECT_EQ(opened.node->offer(commands.data(), 1).failure.code, ending.code);
        EXPECT_EQ(ask(*opened.node, [](const Core&) { return std::string("?"); }), ending.code);
        EXPECT_EQ(client.close().failure.code, ending.code);
        EXPECT_EQ(opened.node->stats().publishedPosition, last);
        client.drain();
        EXPECT_LE(client.complete(), last);
    }
    ending.complete = std::max<Position>(client.complete(), from);
    ending.received = std::move(client.received);
    opened.node.reset();
    ending.calls = disk.calls();
    return ending;
}

// Opens what is left: nothing acknowledged is lost, and the state is that of a serial core.
Position expectIntact(sim::SimulatedDisk& disk, const std::vector<Command>& commands,
                      const NodeOptions& options, Position acknowledged, const std::string& what) {
    NodeSurroundings with;
    with.storage = &disk;
    Node::Opened opened = Node::open(options, with);
    EXPECT_TRUE(opened.node != nullptr) << what << ": " << opened.failure.code << " "
                                        << opened.failure.message;
    if (opened.node == nullptr) return 0;
    const NodeStats stats = opened.node->stats();
    EXPECT_GE(stats.position, acknowledged) << what;
    EXPECT_LE(stats.position, commands.size()) << what;
    EXPECT_EQ(stats.stateHash, serialHash(commands, stats.position)) << what;
    EXPECT_TRUE(stats.refusedSnapshots.empty()) << what;
    EXPECT_EQ(stats.snapshotStatus, "") << what;
    return stats.position;
}

}  // namespace

class NodeCrash : public ::testing::TestWithParam<const char*> {
protected:
    void SetUp() override {
        ASSERT_TRUE(pipeline::parsePlan(GetParam(), pipeline::usableCores(), &plan));
        Flow flow(77);
        commands_ = flow.take(kCommands);
        SerialRun serial(smallLimits());
        for (const Command& command : commands_) serial.apply(command);
        events_ = std::move(serial.events);
    }
    std::vector<Command> commands_;
    std::vector<Event> events_;
};

TEST_P(NodeCrash, DroppedWithoutCloseItKeepsEveryPublishedCommand) {
    for (const bool durable : {true, false}) {
        std::mt19937_64 random(durable);
        sim::SimulatedDisk disk;
        Position at = 0;
        for (int life = 0; life < 8 && at < kCommands; life++) {
            const size_t to = std::min<size_t>(kCommands, at + 1 + random() % 800);
            const Ending ending = live(disk, commands_, crashOptions(durable), at, to, false);
            ASSERT_EQ(ending.code, "");
            at = expectIntact(disk, commands_, crashOptions(durable), ending.complete,
                              "life " + std::to_string(life));
            ASSERT_EQ(at, to);
        }
    }
}

TEST_P(NodeCrash, StoppedAtAnyCallOfTheDisk) {
    for (const bool durable : {true, false}) {
        std::mt19937_64 random(9 + durable);
        // How many calls a whole life makes; the snapshot thread makes it vary a little.
        sim::SimulatedDisk whole;
        const uint64_t calls =
            live(whole, commands_, crashOptions(durable), 0, kCommands, true).calls;
        for (int round = 0; round < 60; round++) {
            const auto moment = static_cast<sim::CrashMoment>(random() % 4);
            const uint64_t call = 1 + random() % calls;
            const bool powerCut = durable && random() % 2 == 0;
            const std::string what = std::string(durable ? "durable" : "async") + ", call " +
                                     std::to_string(call) + ", moment " +
                                     std::to_string(static_cast<int>(moment)) +
                                     (powerCut ? ", power cut" : ", process crash");
            sim::SimulatedDisk disk;
            disk.crashAt(call, moment, random() % 8);
            const Ending ending =
                live(disk, commands_, crashOptions(durable), 0, kCommands, true);
            EXPECT_TRUE(sameEvents(ending.received, events_, ending.received.size())) << what;
            disk.restart(powerCut ? sim::RestartMode::PowerCut : sim::RestartMode::ProcessCrash,
                         random());
            const Position at = expectIntact(disk, commands_, crashOptions(durable),
                                             ending.complete, what);
            // And life goes on from there.
            const Ending rest =
                live(disk, commands_, crashOptions(durable), at, kCommands, true);
            EXPECT_EQ(rest.code, "") << what;
            EXPECT_EQ(expectIntact(disk, commands_, crashOptions(durable), kCommands, what),
                      kCommands);
            if (HasFailure()) return;
        }
    }
}

TEST_P(NodeCrash, APowerCutInAsyncModeLeavesAPrefix) {
    std::mt19937_64 random(31);
    for (int round = 0; round < 40; round++) {
        sim::SimulatedDisk disk;
        disk.crashAt(20 + random() % 300, sim::CrashMoment::After);
        (void)live(disk, commands_, crashOptions(false), 0, kCommands, true);
        disk.restart(sim::RestartMode::PowerCut, random());
        // No more is promised than what the last snapshot covers, and that it opens.
        expectIntact(disk, commands_, crashOptions(false), 0, "round " + std::to_string(round));
        if (HasFailure()) return;
    }
}

TEST_P(NodeCrash, AFailingDiskStopsTheNodeAndNothingIsPublishedAfterIt) {
    for (const bool durable : {true, false}) {
        std::mt19937_64 random(3 + durable);
        int failed = 0;
        for (int round = 0; round < 60; round++) {
            sim::SimulatedDisk disk;
            const auto fault =
                random() % 2 == 0 ? sim::DiskFault::IoError : sim::DiskFault::NoSpace;
            const uint64_t call = 1 + random() % 300;
            disk.failAt(call, fault);
            const Ending ending =
                live(disk, commands_, crashOptions(durable), 0, kCommands, true);
            const std::string what = "call " + std::to_string(call) +
                                     (fault == sim::DiskFault::IoError ? " EIO" : " ENOSPC");
            EXPECT_TRUE(sameEvents(ending.received, events_, ending.received.size())) << what;
            if (!ending.code.empty()) {
                failed++;
                // Or what a segment that could not be prepared has left behind is in the next one's way.
                EXPECT_TRUE(ending.code == "IO_ERROR" || ending.code == "NO_SPACE" ||
                            ending.code == "ALREADY_EXISTS")
                    << ending.code;
            }
            disk.restart(sim::RestartMode::ProcessCrash, random());
            expectIntact(disk, commands_, crashOptions(durable), ending.complete, what);
            if (HasFailure()) return;
        }
        EXPECT_GE(failed, 20);
    }
}

TEST_P(NodeCrash, ADamagedJournalIsRefusedWithItsPlace) {
    sim::SimulatedDisk disk;
    NodeOptions options = crashOptions(true);
    options.snapshotEvery = 0;
    (void)live(disk, commands_, options, 0, 1000, true);
    // The first segment, somewhere in its first record.
    std::string first;
    for (const auto& [path, contents] : disk.image()) {
        if (path.find(".journal") != std::string::npos && first.empty()) first = path;
    }
    ASSERT_NE(first, "");
    disk.flipBit(first, (4096 + 64 + 200) * 8 + 3);
    NodeSurroundings with;
    with.storage = &disk;
    const Node::Opened opened = Node::open(options, with);
    ASSERT_TRUE(opened.node == nullptr);
    EXPECT_EQ(opened.failure.code, "JOURNAL_DAMAGED");
    ASSERT_TRUE(opened.failure.place.has_value());
    EXPECT_NE(first.find(opened.failure.place->file), std::string::npos);
    EXPECT_GE(opened.failure.place->offset, 4096u);
}

INSTANTIATE_TEST_SUITE_P(Plans, NodeCrash, ::testing::Values("serial", "pipelined", "sharded:2x2"),
                         [](const ::testing::TestParamInfo<const char*>& info) {
                             const std::string name = info.param;
                             return name.substr(0, name.find(':'));
                         });

}  // namespace verbex::node
