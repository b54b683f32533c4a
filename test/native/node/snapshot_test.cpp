#include "node/snapshot_thread.h"

#include "node/data_directory.h"
#include "node_fixture.h"

namespace verbex::node {

namespace {

std::vector<std::string> snapshotFiles(const sim::SimulatedDisk& disk) {
    std::vector<std::string> files;
    for (const auto& [path, contents] : disk.image()) {
        if (path.find("data/snapshots/") != std::string::npos) files.push_back(path);
    }
    return files;
}

NodeOptions snapshotOptions() {
    NodeOptions options = smallOptions("data");
    options.snapshotEvery = 500;
    return options;
}

Node::Opened openOn(sim::SimulatedDisk& disk, const NodeOptions& options) {
    NodeSurroundings with;
    with.storage = &disk;
    return Node::open(options, with);
}

}  // namespace

TEST(Snapshots, TakenWhileCommandsRunAndEachOneVerified) {
    for (const bool durable : {true, false}) {
        sim::SimulatedDisk disk;
        Flow flow(21);
        const std::vector<Command> commands = flow.take(20'000);
        NodeOptions options = snapshotOptions();
        options.durable = durable;
        Node::Opened opened = openOn(disk, options);
        ASSERT_TRUE(opened.node != nullptr);
        Client client(*opened.node);
        ASSERT_TRUE(client.feed(commands, 0, 10'000));
        ASSERT_TRUE(client.drainUpTo(10'000));
        const SnapshotOutcome asked = snapshotNow(*opened.node);
        EXPECT_TRUE(asked.failure.isOk()) << asked.failure.code << " " << asked.failure.message;
        EXPECT_EQ(asked.position, 10'000u);
        EXPECT_EQ(asked.stateHash.hex(), serialHash(commands, 10'000));
        // The same position again: nothing to do, the same answer.
        const SnapshotOutcome twice = snapshotNow(*opened.node);
        EXPECT_EQ(twice.stateHash, asked.stateHash);
        ASSERT_TRUE(client.feed(commands, 10'000, 20'000));
        ASSERT_TRUE(client.drainUpTo(20'000));
        while (opened.node->stats().snapshotPosition <= 10'000) std::this_thread::yield();
        const NodeStats stats = opened.node->stats();
        EXPECT_GE(stats.snapshots, 2u);
        EXPECT_EQ(stats.snapshotStatus, "");
        EXPECT_GT(stats.snapshotStallNsMax, 0u);
        EXPECT_LE(snapshotFiles(disk).size(), 3u);
        // Dies here; the next one starts from the newest snapshot.
        const Position newest = stats.snapshotPosition;
        opened.node.reset();
        const Node::Opened again = openOn(disk, options);
        ASSERT_TRUE(again.node != nullptr) << again.failure.message;
        EXPECT_GE(again.node->stats().recoveredFrom, newest);
        EXPECT_EQ(again.node->stats().stateHash, serialHash(commands, 20'000));
    }
}

TEST(Snapshots, ADamagedNewestOneFallsBackToTheOneBefore) {
    sim::SimulatedDisk disk;
    Flow flow(22);
    const std::vector<Command> commands = flow.take(3000);
    NodeOptions options = snapshotOptions();
    options.snapshotEvery = 0;
    {
        Node::Opened opened = openOn(disk, options);
        Client client(*opened.node);
        for (const Position at : {1000u, 2000u}) {
            ASSERT_TRUE(client.feed(commands, at - 1000, at));
            ASSERT_TRUE(client.drainUpTo(at));
            ASSERT_TRUE(snapshotNow(*opened.node).failure.isOk());
        }
        ASSERT_TRUE(client.feed(commands, 2000, 3000));
        ASSERT_TRUE(client.drainUpTo(3000));
    }
    const std::vector<std::string> files = snapshotFiles(disk);
    ASSERT_EQ(files.size(), 2u);
    disk.flipBit(files[1], 8 * 150);
    {
        const Node::Opened opened = openOn(disk, options);
        ASSERT_TRUE(opened.node != nullptr) << opened.failure.message;
        const NodeStats stats = opened.node->stats();
        EXPECT_EQ(stats.recoveredFrom, 1000u);
        EXPECT_EQ(stats.replayed, 2000u);
        ASSERT_EQ(stats.refusedSnapshots.size(), 1u);
        EXPECT_NE(stats.refusedSnapshots[0].find("SNAPSHOT_DAMAGED"), std::string::npos);
        EXPECT_EQ(stats.stateHash, serialHash(commands, 3000));
    }
    // Both damaged: from genesis.
    disk.flipBit(files[0], 8 * 150);
    const Node::Opened opened = openOn(disk, options);
    ASSERT_TRUE(opened.node != nullptr) << opened.failure.message;
    EXPECT_EQ(opened.node->stats().recoveredFrom, 0u);
    EXPECT_EQ(opened.node->stats().refusedSnapshots.size(), 2u);
    EXPECT_EQ(opened.node->stats().stateHash, serialHash(commands, 3000));
}

TEST(Snapshots, OldSegmentsGoOnlyWhenAskedAndTheNodeStillOpens) {
    for (const bool prune : {false, true}) {
        sim::SimulatedDisk disk;
        Flow flow(23);
        const std::vector<Command> commands = flow.take(6000);
        NodeOptions options = snapshotOptions();
        options.segmentBytes = 16u << 10;
        options.pruneSegments = prune;
        {
            Node::Opened opened = openOn(disk, options);
            Client client(*opened.node);
            for (Position at = 1000; at <= 6000; at += 1000) {
                ASSERT_TRUE(client.feed(commands, at - 1000, at));
                ASSERT_TRUE(client.drainUpTo(at));
                ASSERT_TRUE(snapshotNow(*opened.node).failure.isOk());
            }
            ASSERT_TRUE(client.close().failure.isOk());
        }
        const RecoveredState genesis = recoverState(disk, nullptr, "data", smallLimits(),
                                                    UINT64_MAX, StateSource::Genesis);
        EXPECT_EQ(genesis.failure.isOk(), !prune) << genesis.failure.message;
        const Node::Opened opened = openOn(disk, options);
        ASSERT_TRUE(opened.node != nullptr) << opened.failure.message;
        EXPECT_EQ(opened.node->stats().stateHash, serialHash(commands, 6000));
    }
}

// However many attempts fail: the next one still knows what the engine had said at its base.
TEST(Snapshots, FailedAttemptsAreNoDivergence) {
    constexpr Position kAttempts = 40;
    sim::SimulatedDisk disk;
    Flow flow(26);
    const std::vector<Command> commands = flow.take(1000 + 10 * (kAttempts + 1));
    NodeOptions options = snapshotOptions();
    options.snapshotEvery = 0;
    Node::Opened opened = openOn(disk, options);
    ASSERT_TRUE(opened.node != nullptr) << opened.failure.message;
    Client client(*opened.node);
    ASSERT_TRUE(client.feed(commands, 0, 1000));
    ASSERT_TRUE(client.drainUpTo(1000));
    ASSERT_TRUE(snapshotNow(*opened.node).failure.isOk());
    // What stands in the way of each attempt but the last.
    for (Position i = 1; i <= kAttempts; i++) {
        const std::string digits = std::to_string(1000 + 10 * i);
        disk.place("data/snapshots/" + std::string(20 - digits.size(), '0') + digits +
                       ".snapshot.tmp",
                   {});
    }
    for (Position at = 1010; at <= 1000 + 10 * (kAttempts + 1); at += 10) {
        ASSERT_TRUE(client.feed(commands, at - 10, at));
        ASSERT_TRUE(client.drainUpTo(at));
        const SnapshotOutcome outcome = snapshotNow(*opened.node);
        EXPECT_EQ(outcome.failure.isOk(), at > 1000 + 10 * kAttempts)
            << outcome.failure.code << " " << outcome.failure.message;
        EXPECT_NE(outcome.failure.code, "SNAPSHOT_DIVERGED");
    }
}

TEST(Snapshots, PruningWaitsForTheSecondSnapshot) {
    sim::SimulatedDisk disk;
    Flow flow(27);
    const std::vector<Command> commands = flow.take(3000);
    NodeOptions options = snapshotOptions();
    options.snapshotEvery = 0;
    options.segmentBytes = 16u << 10;
    options.pruneSegments = true;
    {
        Node::Opened opened = openOn(disk, options);
        Client client(*opened.node);
        ASSERT_TRUE(client.feed(commands, 0, 3000));
        ASSERT_TRUE(client.drainUpTo(3000));
        ASSERT_TRUE(snapshotNow(*opened.node).failure.isOk());
    }
    const std::vector<std::string> files = snapshotFiles(disk);
    ASSERT_EQ(files.size(), 1u);
    disk.flipBit(files[0], 8 * 150);
    const Node::Opened opened = openOn(disk, options);
    ASSERT_TRUE(opened.node != nullptr) << opened.failure.message;
    EXPECT_EQ(opened.node->stats().recoveredFrom, 0u);
    EXPECT_EQ(opened.node->stats().stateHash, serialHash(commands, 3000));
}

TEST(Snapshots, AShadowThatSaysOtherwiseIsADivergence) {
    sim::SimulatedDisk disk;
    Flow flow(24);
    const std::vector<Command> commands = flow.take(2000);
    NodeOptions options = snapshotOptions();
    options.snapshotEvery = 0;
    {
        Node::Opened opened = openOn(disk, options);
        Client client(*opened.node);
        ASSERT_TRUE(client.feed(commands, 0, 2000));
        ASSERT_TRUE(client.drainUpTo(2000));
    }
    auto lock = disk.lockDirectory("data");
    ASSERT_TRUE(lock.isOk());
    auto store = journal::SnapshotStore::open(disk, *lock.value(), snapshotDirectory("data"));
    ASSERT_TRUE(store.isOk());
    SnapshotSettings settings;
    settings.data = "data";
    settings.limits = smallLimits();
    SnapshotThread thread(disk, *store.value(), settings, {0, EventDigest().value()}, 0);
    thread.start();
    const auto take = [&thread](SnapshotMark mark) {
        std::promise<SnapshotOutcome> promise;
        thread.request(mark, [&promise](const SnapshotOutcome& outcome) {
            promise.set_value(outcome);
        });
        return promise.get_future().get();
    };
    // What an engine would have noted.
    SerialRun serial(smallLimits());
    EventDigest digest;
    for (const Command& command : commands) serial.apply(command);
    digest.add(serial.events.data(), serial.events.size());
    SnapshotMark wrong{2000, digest.value()};
    wrong.events.hi ^= 1;
    EXPECT_EQ(take(wrong).failure.code, "SNAPSHOT_DIVERGED");
    EXPECT_TRUE(thread.diverged());
    EXPECT_TRUE(snapshotFiles(disk).empty());
    // It stays refused, for nobody knows which of the two was right.
    EXPECT_EQ(take({2000, digest.value()}).failure.code, "SNAPSHOT_DIVERGED");
    thread.stop();
    store.value().reset();
    lock.value().reset();

    const Node::Opened opened = openOn(disk, options);
    ASSERT_TRUE(opened.node != nullptr);
    EXPECT_NE(opened.node->stats().snapshotStatus.find("SNAPSHOT_DIVERGED"), std::string::npos);
}

TEST(Snapshots, StoppingAnswersWhatWaits) {
    sim::SimulatedDisk disk;
    Flow flow(25);
    const std::vector<Command> commands = flow.take(5000);
    NodeOptions options = snapshotOptions();
    options.snapshotEvery = 0;
    Node::Opened opened = openOn(disk, options);
    Client client(*opened.node);
    ASSERT_TRUE(client.feed(commands, 0, 5000));
    ASSERT_TRUE(client.drainUpTo(5000));
    std::atomic<int> answered{0};
    for (int i = 0; i < 20; i++) {
        EXPECT_TRUE(
            opened.node->snapshot([&answered](const SnapshotOutcome&) { answered++; }).isOk());
    }
    opened.node->stop();
    EXPECT_EQ(answered.load(), 20);
}

}  // namespace verbex::node
