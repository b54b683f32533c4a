// The timer that makes an async node's journal durable.
#include <atomic>

#include "journal/posix_storage.h"
#include "node_fixture.h"

namespace verbex::node {

namespace {

NodeOptions syncOptions(uint64_t everyNs) {
    NodeOptions options = smallOptions("data");
    options.durable = false;
    options.segmentBytes = 1u << 20;  // no new segment, whose sync would be in the way
    options.syncEveryNs = everyNs;
    return options;
}

Node::Opened openOn(journal::Storage& storage, const NodeOptions& options,
                    std::function<void()> onEvents = {}) {
    NodeSurroundings with;
    with.storage = &storage;
    with.onEvents = std::move(onEvents);
    return Node::open(options, with);
}

template <typename Holds>
bool eventually(Holds holds) {
    for (int i = 0; i < 5000; i++) {
        if (holds()) return true;
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return false;
}

}  // namespace

TEST(NodeSync, TheDurablePositionFollowsWithoutSnapshotOrClose) {
    for (const bool real : {false, true}) {
        TemporaryDirectory directory;
        sim::SimulatedDisk disk;
        journal::PosixStorage posix;
        journal::Storage& storage = real ? static_cast<journal::Storage&>(posix) : disk;
        NodeOptions options = syncOptions(2'000'000);
        if (real) options.data = directory.file("data");
        Flow flow(1);
        const std::vector<Command> commands = flow.take(300);
        Node::Opened opened = openOn(storage, options);
        ASSERT_TRUE(opened.node != nullptr);
        Client client(*opened.node);
        for (const size_t to : {100, 200, 300}) {
            ASSERT_TRUE(client.feed(commands, to - 100, to));
            ASSERT_TRUE(client.drainUpTo(to));
            ASSERT_TRUE(eventually([&] { return opened.node->stats().durablePosition == to; }));
        }
        EXPECT_EQ(opened.node->stats().snapshots, 0u);
        // Then the disk is left alone.
        const uint64_t calls = disk.calls();
        std::this_thread::sleep_for(std::chrono::milliseconds(30));
        EXPECT_EQ(disk.calls(), calls);
        EXPECT_TRUE(client.close().failure.isOk());
        opened.node->stop();
        EXPECT_EQ(opened.node->stats().durablePosition, 300u);
    }
}

TEST(NodeSync, WithoutATimerNothingIsSyncedBeforeTheClose) {
    sim::SimulatedDisk disk;
    Flow flow(1);
    const std::vector<Command> commands = flow.take(100);
    Node::Opened opened = openOn(disk, syncOptions(0));
    Client client(*opened.node);
    ASSERT_TRUE(client.feed(commands, 0, 100));
    ASSERT_TRUE(client.drainUpTo(100));
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    EXPECT_EQ(opened.node->stats().durablePosition, 0u);
    EXPECT_TRUE(client.close().failure.isOk());
    EXPECT_EQ(opened.node->stats().durablePosition, 100u);
}

TEST(NodeSync, APowerCutTakesAtMostWhatCameAfterTheLastSync) {
    Flow flow(12);
    const std::vector<Command> commands = flow.take(2000);
    for (uint64_t round = 0; round < 20; round++) {
        sim::SimulatedDisk disk;
        NodeOptions options = syncOptions(200'000);
        options.segmentBytes = 16u << 10;
        options.snapshotEvery = round % 2 == 0 ? 0 : 300;
        Position durable = 0;
        {
            Node::Opened opened = openOn(disk, options);
            ASSERT_TRUE(opened.node != nullptr);
            Client client(*opened.node);
            const size_t half = 500 + 50 * round;
            ASSERT_TRUE(client.feed(commands, 0, half));
            ASSERT_TRUE(client.drainUpTo(half));
            ASSERT_TRUE(eventually([&] { return opened.node->stats().durablePosition >= half; }));
            ASSERT_TRUE(client.feed(commands, half, commands.size()));
            // At any moment of the rest: what is told now has been true before the cut.
            durable = opened.node->stats().durablePosition;
            ASSERT_GE(durable, half);
            disk.crashAt(disk.calls() + 1 + round % 3, sim::CrashMoment::Before);
            (void)client.drainUpTo(commands.size());
        }
        disk.restart(sim::RestartMode::PowerCut, round);
        Node::Opened again = openOn(disk, options);
        ASSERT_TRUE(again.node != nullptr) << again.failure.code << " " << again.failure.message;
        const NodeStats stats = again.node->stats();
        EXPECT_GE(stats.position, durable) << "round " << round;
        EXPECT_EQ(stats.stateHash, serialHash(commands, stats.position));
        EXPECT_TRUE(stats.refusedSnapshots.empty());
    }
}

TEST(NodeSync, AFailedSyncEndsTheSessionOfAnIdleNodeToo) {
    sim::SimulatedDisk disk;
    std::atomic<int> told{0};
    Flow flow(3);
    const std::vector<Command> commands = flow.take(200);
    Node::Opened opened = openOn(disk, syncOptions(20'000'000), [&told] { told++; });
    ASSERT_TRUE(opened.node != nullptr);
    Node& node = *opened.node;
    Client client(node);
    ASSERT_TRUE(client.feed(commands, 0, 100));
    ASSERT_TRUE(client.drainUpTo(100));
    ASSERT_TRUE(eventually([&] { return node.stats().durablePosition == 100; }));
    // The write of the next batch works, the timer's sync behind it does not.
    disk.failAt(disk.calls() + 2, sim::DiskFault::IoError);
    (void)node.offer(&commands[100], 1);
    ASSERT_TRUE(eventually([&] { return node.state() == EngineState::Failed; }));
    EXPECT_EQ(node.failure().code, "IO_ERROR");
    EXPECT_EQ(node.stats().durablePosition, 100u);
    EXPECT_TRUE(eventually([&] { return told.load() > 0; }));
    EXPECT_EQ(node.offer(&commands[101], 1).failure.code, "IO_ERROR");
    const uint64_t calls = disk.calls();
    EXPECT_EQ(client.close().failure.code, "IO_ERROR");
    EXPECT_EQ(disk.calls(), calls);
    opened.node.reset();
    disk.restart(sim::RestartMode::PowerCut, 4);
    Node::Opened again = openOn(disk, syncOptions(0));
    ASSERT_TRUE(again.node != nullptr) << again.failure.message;
    EXPECT_GE(again.node->stats().position, 100u);
}

}  // namespace verbex::node
