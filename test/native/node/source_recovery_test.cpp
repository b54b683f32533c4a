// A lost data directory, made again from any source alone, or from two that must agree.
#include "node/source_recovery.h"

#include <algorithm>
#include <map>

#include "cluster_world.h"
#include "journal/recovery.h"
#include "journal/snapshots.h"
#include "journal/writer.h"
#include "node/data_directory.h"
#include "node/event_replay.h"
#include "node/state_recovery.h"
#include "node_fixture.h"

namespace verbex::node {
namespace {

using journal::PosixStorage;

struct Batch {
    uint64_t epoch;
    Position first;
    std::vector<Command> commands;
};

// The same commands in batches of the seed's choice; epochs rise with positions, whatever the bounds.
std::vector<Batch> batchesOf(const std::vector<Command>& commands, uint64_t seed, size_t most) {
    std::mt19937_64 random(seed);
    std::vector<Batch> batches;
    for (size_t at = 0; at < commands.size();) {
        const uint64_t epoch = 1 + at / 300;
        size_t count = 1 + random() % most;
        count = std::min({count, commands.size() - at, (at / 300 + 1) * 300 - at});
        batches.push_back({epoch, at + 1,
                           {commands.begin() + static_cast<std::ptrdiff_t>(at),
                            commands.begin() + static_cast<std::ptrdiff_t>(at + count)}});
        at += count;
    }
    return batches;
}

class SourceRecoveryTest : public testing::Test {
protected:
    void SetUp() override {
        std::string pattern = testing::TempDir() + "verbex-sources-XXXXXX";
        ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
        root_ = pattern;
    }
    void TearDown() override { std::filesystem::remove_all(root_); }

    // A directory of segments.
    std::string writeJournal(const std::string& name, const std::vector<Batch>& batches,
                             uint64_t pruneBefore = 0) {
        const std::string directory = root_ + "/" + name;
        EXPECT_TRUE(storage_.createDirectory(directory).isOk());
        const auto lock = storage_.lockDirectory(root_ + "/locks-" + name).take();
        auto writer = journal::JournalWriter::open(storage_, *lock, directory, {},
                                                   {.durability = journal::Durability::Async,
                                                    .segmentBytes = 16384,
                                                    .journalId = {7, batches.size()}})
                          .take();
        for (const Batch& batch : batches) {
            std::vector<std::byte> payload;
            encodeBatch(batch.commands, payload);
            const auto count = static_cast<uint32_t>(batch.commands.size());
            EXPECT_TRUE(writer->append(batch.epoch, batch.first, count, payload).isOk());
        }
        EXPECT_TRUE(writer->close().isOk());
        if (pruneBefore != 0) {
            EXPECT_TRUE(
                journal::removeSegmentsBefore(storage_, directory, pruneBefore).isOk());
        }
        return directory;
    }

    SourceRecovery recover(const std::vector<std::string>& directories, const std::string& data,
                           Position upTo = UINT64_MAX) {
        std::vector<std::unique_ptr<LogSource>> opened;
        std::vector<LogSource*> sources;
        for (const std::string& directory : directories) {
            OpenedSource source = openDirectorySource(storage_, directory);
            if (!source.failure.isOk()) {
                SourceRecovery result;
                result.failure = source.failure;
                return result;
            }
            opened.push_back(std::move(source.source));
            sources.push_back(opened.back().get());
        }
        return recoverFromSources(storage_, sources,
                                  {.data = root_ + "/" + data,
                                   .limits = smallLimits(),
                                   .upTo = upTo,
                                   .segmentBytes = 32768});
    }

    // The data directory as a node would recover it from its journal alone.
    std::string hashOf(const std::string& data) {
        const auto facts = readFacts(storage_, root_ + "/" + data);
        if (!facts.isOk() || !facts.value().has_value()) return "no facts";
        CoreLimits limits;
        limits.maxOrders = limits.maxAccounts = limits.maxInstruments = limits.maxClientIds = 0;
        if (!settleLimits(facts.value(), limits).isOk()) return "other limits";
        const RecoveredState state =
            recoverState(storage_, nullptr, root_ + "/" + data, limits, UINT64_MAX,
                         StateSource::Genesis, facts.value()->journalId);
        return state.failure.isOk() ? state.core->hash().hex() : state.failure.message;
    }

    std::vector<std::string> recordsOf(const std::string& directory) {
        std::vector<std::string> found;
        const auto report = journal::verifyJournal(
            storage_, directory, {.fromPosition = 0}, [&](const journal::RecordView& record) {
                found.push_back(std::to_string(record.epoch) + ":" +
                                std::to_string(record.position) + "+" +
                                std::to_string(record.count) + " " +
                                hash128(record.payload.data(), record.payload.size()).hex());
                return Status();
            });
        EXPECT_TRUE(report.status.isOk()) << report.toString();
        return found;
    }

    PosixStorage storage_;
    std::string root_;
};

TEST_F(SourceRecoveryTest, FromAJournalDirectoryAlone) {
    const std::vector<Command> commands = Flow(1).take(3000);
    const std::string source = writeJournal("a", batchesOf(commands, 1, 40));
    const SourceRecovery result = recover({source}, "data");
    ASSERT_TRUE(result.failure.isOk()) << result.failure.message;
    EXPECT_EQ(result.position, commands.size());
    EXPECT_EQ(result.stateHash.hex(), serialHash(commands, commands.size()));
    EXPECT_EQ(hashOf("data"), result.stateHash.hex());
    EXPECT_EQ(recordsOf(root_ + "/data/journal"), recordsOf(source));
    EXPECT_FALSE(std::filesystem::exists(root_ + "/data/journal.recovering"));

    const SourceRecovery again = recover({source}, "data");
    EXPECT_EQ(again.failure.code, "ALREADY_EXISTS");
    EXPECT_EQ(hashOf("data"), result.stateHash.hex());
}

TEST_F(SourceRecoveryTest, FromANodesDirectoryThatRecoversAgain) {
    const std::vector<Command> commands = Flow(2).take(2000);
    NodeSurroundings surroundings;
    surroundings.storage = &storage_;
    {
        auto opened = Node::open(smallOptions(root_ + "/node"), surroundings);
        ASSERT_TRUE(opened.failure.isOk()) << opened.failure.message;
        Client client(*opened.node);
        ASSERT_TRUE(client.feed(commands, 0, commands.size()));
        ASSERT_TRUE(client.drainUpTo(commands.size()));
    }
    const SourceRecovery result = recover({root_ + "/node"}, "data");
    ASSERT_TRUE(result.failure.isOk()) << result.failure.message;
    EXPECT_EQ(result.stateHash.hex(), serialHash(commands, commands.size()));
    auto opened = Node::open(smallOptions(root_ + "/data"), surroundings);
    ASSERT_TRUE(opened.failure.isOk()) << opened.failure.message;
    EXPECT_EQ(opened.node->stats().publishedPosition, commands.size());
}

TEST_F(SourceRecoveryTest, TwoThatAgreeHoweverTheyAreCutIntoRecords) {
    const std::vector<Command> commands = Flow(3).take(1500);
    const std::vector<Command> fewer(commands.begin(), commands.begin() + 1111);
    const std::string whole = writeJournal("whole", batchesOf(commands, 1, 30));
    const std::string same = writeJournal("same", batchesOf(commands, 1, 30));
    const std::string other = writeJournal("other", batchesOf(commands, 2, 7));
    const std::string shorter = writeJournal("shorter", batchesOf(fewer, 3, 50));
    const std::string later = writeJournal("later", batchesOf(commands, 4, 20), 700);
    const Position laterFirst = openDirectorySource(storage_, later).source->first();
    ASSERT_GT(laterFirst, 1u);
    const std::string hash = serialHash(commands, commands.size());
    const std::map<std::string, uint64_t> compared = {
        {same, 1500}, {other, 1500}, {shorter, 1111}, {later, 1500 - laterFirst + 1}};
    unsigned number = 0;
    for (const auto& [second, count] : compared) {
        for (const bool turned : {false, true}) {
            const std::string data = "data" + std::to_string(number++);
            const SourceRecovery result =
                turned ? recover({second, whole}, data) : recover({whole, second}, data);
            ASSERT_TRUE(result.failure.isOk()) << result.failure.message;
            EXPECT_EQ(result.compared, count) << second;
            EXPECT_EQ(result.stateHash.hex(), hash);
            EXPECT_EQ(hashOf(data), hash);
        }
    }
    EXPECT_EQ(recover({later}, "none").failure.code, "NOT_FOUND");
    // The one that begins at 1 is the shorter one: what lies behind it nobody can vouch for twice.
    const SourceRecovery result = recover({shorter, later}, "short");
    ASSERT_TRUE(result.failure.isOk()) << result.failure.message;
    EXPECT_EQ(result.position, 1111u);
    EXPECT_EQ(result.compared, 1111 - laterFirst + 1);
}

// One bit of a command, or an epoch, anywhere, in either source.
TEST_F(SourceRecoveryTest, AnyDifferenceIsFoundAndSaidWhere) {
    const std::vector<Command> commands = Flow(4).take(600);
    const std::string good = writeJournal("good", batchesOf(commands, 1, 30));
    std::mt19937_64 random(5);
    for (unsigned round = 0; round < 24; ++round) {
        const Position at = round == 0 ? 1 : round == 1 ? 600 : 1 + random() % 600;
        std::vector<Command> changed = commands;
        Position seen = at;
        std::vector<Batch> batches;
        // Equal bounds and other ones take different ways through the comparison.
        const uint64_t seed = round % 2 == 0 ? 1 : round;
        if (round % 3 != 2) {
            changed[at - 1].token ^= uint64_t{1} << (random() % 64);
            batches = batchesOf(changed, seed, 30);
        } else {
            batches = batchesOf(changed, seed, 30);
            const auto from = std::ranges::find_if(batches, [at](const Batch& batch) {
                return batch.first + batch.commands.size() > at;
            });
            for (auto batch = from; batch != batches.end(); ++batch) batch->epoch += 1;
            seen = from->first;
        }
        const std::string name = "bad" + std::to_string(round);
        const std::string bad = writeJournal(name, batches);
        const SourceRecovery result =
            round % 2 == 0 ? recover({good, bad}, "data") : recover({bad, good}, "data");
        ASSERT_EQ(result.failure.code, "RECOVERY_SOURCES_DIFFER") << round;
        ASSERT_NE(result.failure.message.find("at position " + std::to_string(seen) + ":"),
                  std::string::npos)
            << result.failure.message << " instead of " << seen;
        ASSERT_FALSE(std::filesystem::exists(root_ + "/data/journal"));
        // Before it nothing differs.
        if (seen > 1) {
            const SourceRecovery before = recover({good, bad}, "until" + name, seen - 1);
            ASSERT_TRUE(before.failure.isOk()) << before.failure.message;
            ASSERT_EQ(before.stateHash.hex(), serialHash(commands, seen - 1));
        }
    }
    // What was refused has left nothing in the way, nor does what was killed.
    const std::string part = root_ + "/data/journal.recovering/";
    std::filesystem::copy_file(good + "/" + journal::segmentFileName(1),
                               part + journal::segmentFileName(5000));
    std::filesystem::copy_file(good + "/" + journal::segmentFileName(1),
                               part + std::string(journal::kPreparedSegmentName));
    const SourceRecovery last = recover({good}, "data");
    ASSERT_TRUE(last.failure.isOk()) << last.failure.message;
    ASSERT_EQ(hashOf("data"), last.stateHash.hex());
}

TEST_F(SourceRecoveryTest, UpToAPositionWithinARecord) {
    const std::vector<Command> commands = Flow(6).take(200);
    const std::string source = writeJournal("a", batchesOf(commands, 1, 50));
    for (const Position upTo : {1u, 7u, 60u, 199u, 200u}) {
        const std::string data = "data" + std::to_string(upTo);
        const SourceRecovery result = recover({source}, data, upTo);
        ASSERT_TRUE(result.failure.isOk()) << result.failure.message;
        EXPECT_EQ(result.position, upTo);
        EXPECT_EQ(result.stateHash.hex(), serialHash(commands, upTo));
        EXPECT_EQ(hashOf(data), result.stateHash.hex());
    }
    EXPECT_EQ(recover({source}, "more", 201).failure.code, "NOT_FOUND");
}

TEST_F(SourceRecoveryTest, DamagedSourcesAndOtherLimitsAreRefused) {
    const std::vector<Command> commands = Flow(7).take(500);
    const std::string source = writeJournal("a", batchesOf(commands, 1, 20));
    EXPECT_EQ(recover({root_ + "/nothing"}, "data").failure.code, "NOT_FOUND");
    ASSERT_TRUE(recover({source}, "made").failure.isOk());

    // The limits that a directory was made with count for what is made from it.
    OpenedSource made = openDirectorySource(storage_, root_ + "/made");
    ASSERT_TRUE(made.failure.isOk()) << made.failure.message;
    CoreLimits other = smallLimits();
    other.maxOrders += 1;
    EXPECT_EQ(recoverFromSources(storage_, {made.source.get()},
                                 {.data = root_ + "/other", .limits = other})
                  .failure.code,
              "LIMITS_DIFFER");

    const std::string path = source + "/" + journal::segmentFileName(1);
    auto file = storage_.open(path, journal::FileMode::Buffered).take();
    std::byte one[1];
    ASSERT_TRUE(file->pread(5000, one).isOk());
    one[0] ^= std::byte{4};
    ASSERT_TRUE(file->pwrite(5000, one).isOk());
    const SourceRecovery result = recover({source}, "data");
    EXPECT_EQ(result.failure.code, "JOURNAL_DAMAGED");
    EXPECT_TRUE(result.failure.place.has_value());
    EXPECT_FALSE(std::filesystem::exists(root_ + "/data/journal"));
}

// ---- sources that were pruned

class PrunedSourceTest : public SourceRecoveryTest {
protected:
    static constexpr uint64_t kBatches = 40;

    // A data directory whose journal begins at or before `pruneBefore`, with snapshots of these positions.
    std::string writeData(const std::string& name, const std::vector<Command>& commands,
                          uint64_t seed, Position pruneBefore, const std::vector<Position>& at) {
        writeJournal(name + "/journal", batchesOf(commands, seed, kBatches), pruneBefore);
        for (const Position position : at) writeSnapshot(name, commands, position);
        return root_ + "/" + name;
    }

    // As a member keeps one that it was given: it names no journal.
    void writeSnapshot(const std::string& name, const std::vector<Command>& commands,
                       Position position) {
        SerialRun serial(smallLimits());
        for (Position i = 0; i < position; i++) serial.apply(commands[i]);
        const std::string data = root_ + "/" + name;
        const auto lock = storage_.lockDirectory(data).take();
        auto store =
            journal::SnapshotStore::open(storage_, *lock, snapshotDirectory(data)).take();
        journal::SnapshotFacts facts;
        facts.position = position;
        facts.epoch = 1 + (position - 1) / 300;
        auto writer = store->begin(facts).take();
        class Sink final : public ByteSink {
        public:
            explicit Sink(journal::SnapshotWriter& writer) : writer_(writer) {}
            void write(const void* bytes, size_t size) override {
                EXPECT_TRUE(writer_.write({static_cast<const std::byte*>(bytes), size}).isOk());
            }

        private:
            journal::SnapshotWriter& writer_;
        } sink(*writer);
        serial.core().save(sink);
        ASSERT_TRUE(store->publish(std::move(writer), serial.core().hash()).isOk());
    }

    void flip(const std::string& path, uint64_t offset) {
        auto file = storage_.open(path, journal::FileMode::Buffered).take();
        std::byte one[1];
        ASSERT_TRUE(file->pread(offset, one).isOk());
        one[0] ^= std::byte{4};
        ASSERT_TRUE(file->pwrite(offset, one).isOk());
    }

    [[nodiscard]] std::string snapshotOf(const std::string& data, Position position) const {
        return snapshotDirectory(data) + "/" + journal::snapshotFileName(position);
    }

    [[nodiscard]] bool isNothingMade(const std::string& data) const {
        return !std::filesystem::exists(root_ + "/" + data + "/journal") &&
               !std::filesystem::exists(root_ + "/" + data + "/snapshots");
    }

    const std::vector<Command> commands_ = Flow(11).take(3000);
};

TEST_F(PrunedSourceTest, FromItsOldestSnapshotAndANodeGoesOn) {
    const std::string source = writeData("a", commands_, 1, 1200, {1200, 2400});
    const SourceRecovery result = recover({source}, "data");
    ASSERT_TRUE(result.failure.isOk()) << result.failure.message;
    EXPECT_EQ(result.snapshotPosition, 1200u);
    EXPECT_EQ(result.position, commands_.size());
    EXPECT_EQ(result.stateHash.hex(), serialHash(commands_, commands_.size()));
    EXPECT_FALSE(std::filesystem::exists(root_ + "/data/snapshots.recovering"));
    EXPECT_EQ(recover({source}, "data").failure.code, "ALREADY_EXISTS");

    // It lives: takes commands, and snapshots that begin at the one that it was made with.
    NodeSurroundings surroundings;
    surroundings.storage = &storage_;
    std::vector<Command> more = Flow(11).take(3600);
    {
        auto opened = Node::open(smallOptions(root_ + "/data"), surroundings);
        ASSERT_TRUE(opened.failure.isOk()) << opened.failure.message;
        EXPECT_EQ(opened.node->stats().recoveredFrom, 1200u);
        Client client(*opened.node);
        ASSERT_TRUE(client.feed(more, 3000, 3600));
        ASSERT_TRUE(client.drainUpTo(3600));
        const SnapshotOutcome outcome = snapshotNow(*opened.node);
        ASSERT_TRUE(outcome.failure.isOk()) << outcome.failure.message;
        EXPECT_EQ(outcome.stateHash.hex(), serialHash(more, 3600));
        // What a gateway missed is made again from there too.
        uint64_t told = 0;
        const Status replayed = replayEvents(
            storage_, root_ + "/data", smallLimits(), 1300, 3000,
            [&](const Event& event, uint32_t, uint64_t) { told += event.position > 1300 ? 1 : 0; });
        EXPECT_TRUE(replayed.isOk()) << replayed.toString();
        EXPECT_GT(told, 1700u);
    }
    const RecoveredState oldest = recoverState(storage_, nullptr, root_ + "/data", smallLimits(),
                                               UINT64_MAX, StateSource::Oldest);
    ASSERT_TRUE(oldest.failure.isOk()) << oldest.failure.message;
    EXPECT_EQ(oldest.snapshotPosition, 1200u);
    EXPECT_EQ(oldest.core->hash().hex(), serialHash(more, 3600));
}

TEST_F(PrunedSourceTest, UpToAPositionThatASnapshotReaches) {
    const std::string source = writeData("a", commands_, 1, 1200, {1200, 2400});
    for (const Position upTo : {1200u, 1201u, 2399u, 2400u, 2999u}) {
        const std::string data = "data" + std::to_string(upTo);
        const SourceRecovery result = recover({source}, data, upTo);
        ASSERT_TRUE(result.failure.isOk()) << result.failure.message;
        EXPECT_EQ(result.position, upTo);
        EXPECT_EQ(result.stateHash.hex(), serialHash(commands_, upTo));
        const RecoveredState state = recoverState(storage_, nullptr, root_ + "/" + data,
                                                  smallLimits(), UINT64_MAX, StateSource::Newest);
        ASSERT_TRUE(state.failure.isOk()) << state.failure.message;
        EXPECT_EQ(state.core->hash().hex(), serialHash(commands_, upTo));
    }
    EXPECT_EQ(recover({source}, "before", 1199).failure.code, "NOT_FOUND");
    EXPECT_TRUE(isNothingMade("before"));
}

TEST_F(PrunedSourceTest, TwoAreComparedByRecordsAndByStates) {
    const std::vector<Command> fewer(commands_.begin(), commands_.begin() + 2000);
    const std::string one = writeData("one", commands_, 1, 1500, {1500, 2400});
    const std::string early = writeData("early", fewer, 2, 600, {600, 1900});
    const std::string whole = writeJournal("whole", batchesOf(fewer, 3, kBatches));
    const std::string last = writeData("last", commands_, 4, 2700, {2700});
    const std::string before = writeData("before", {fewer.begin(), fewer.begin() + 900}, 5, 300, {300});
    const std::string hash = serialHash(commands_, 3000);
    unsigned number = 0;
    struct Case {
        std::string other;
        Position first;
        uint64_t states;
    };
    for (const Case& each : {Case{early, 1500, 2}, Case{whole, 1500, 1}, Case{last, 1500, 1}}) {
        for (const bool turned : {false, true}) {
            const std::string data = "both" + std::to_string(number++);
            const SourceRecovery result =
                turned ? recover({each.other, one}, data) : recover({one, each.other}, data);
            ASSERT_TRUE(result.failure.isOk()) << each.other << ": " << result.failure.message;
            EXPECT_EQ(result.stateHash.hex(), hash);
            EXPECT_GT(result.compared, 0u) << each.other;
            if (each.other != last) {
                EXPECT_EQ(result.snapshotPosition, each.first);
                EXPECT_EQ(result.compared, 2000 - each.first);
                EXPECT_EQ(result.comparedStates, each.states);
            }
        }
    }
    // Nothing in common: an operator who named two is not told that they agree.
    const SourceRecovery apart = recover({one, before}, "apart");
    EXPECT_EQ(apart.failure.code, "RECOVERY_SOURCES_APART") << apart.failure.message;
    EXPECT_TRUE(isNothingMade("apart"));
}

// One command that differs, before either log begins, is seen in the states only.
TEST_F(PrunedSourceTest, TwoThatDifferAreRefusedWhereverItLies) {
    const std::string one = writeData("one", commands_, 1, 1500, {1500, 2400});
    unsigned number = 0;
    // Names of accounts are in every state from there on; so are deposits.
    for (const bool turned : {false, true}) {
        for (const Position pruneBefore : {Position{0}, Position{600}, Position{1500}, Position{2000}}) {
            std::vector<Command> changed = commands_;
            changed[6].id = text("another");
            const std::vector<Position> at =
                pruneBefore == 0 ? std::vector<Position>{} : std::vector<Position>{pruneBefore};
            const std::string name = "other" + std::to_string(number);
            const std::string other = writeData(name, changed, 2 + number, pruneBefore, at);
            const std::string data = "data" + std::to_string(number++);
            const SourceRecovery result =
                turned ? recover({other, one}, data) : recover({one, other}, data);
            EXPECT_EQ(result.failure.code, "RECOVERY_SOURCES_DIFFER")
                << pruneBefore << ": " << result.failure.message;
            EXPECT_TRUE(isNothingMade(data));
        }
    }
    // One that has lost its own history: its second snapshot is not what its log gives.
    std::vector<Command> changed = commands_;
    changed[6].id = text("another");
    const std::string torn = writeData("torn", commands_, 1, 1500, {1500});
    writeSnapshot("torn", changed, 2400);
    EXPECT_EQ(recover({torn}, "own").failure.code, "SOURCES_DISAGREE");
    EXPECT_TRUE(isNothingMade("own"));
}

TEST_F(PrunedSourceTest, WhatIsDamagedOrMissingIsNamed) {
    const std::string source = writeData("a", commands_, 1, 1200, {1200, 2400});
    // The older one torn in its middle: the newer one is left, and says less.
    flip(snapshotOf(source, 1200), 4000);
    const SourceRecovery newer = recover({source}, "newer");
    ASSERT_TRUE(newer.failure.isOk()) << newer.failure.message;
    EXPECT_EQ(newer.snapshotPosition, 2400u);
    EXPECT_EQ(newer.stateHash.hex(), serialHash(commands_, 3000));
    ASSERT_EQ(newer.refusedSnapshots.size(), 1u);
    EXPECT_NE(newer.refusedSnapshots[0].find(journal::snapshotFileName(1200)), std::string::npos);
    // Cut off in the middle, as a full disk or a torn copy leaves it.
    std::filesystem::resize_file(snapshotOf(source, 2400), 5000);
    const SourceRecovery none = recover({source}, "none");
    EXPECT_EQ(none.failure.code, "SNAPSHOT_DAMAGED");
    EXPECT_NE(none.failure.message.find(journal::snapshotFileName(2400)), std::string::npos)
        << none.failure.message;
    EXPECT_TRUE(isNothingMade("none"));

    // A sound snapshot, and the log behind it begins too late.
    const std::string hole = writeData("hole", commands_, 1, 1800, {900});
    const SourceRecovery missing = recover({hole}, "missing");
    EXPECT_EQ(missing.failure.code, "JOURNAL_DAMAGED") << missing.failure.message;
    EXPECT_NE(missing.failure.message.find("900"), std::string::npos) << missing.failure.message;
    EXPECT_TRUE(isNothingMade("missing"));

    // Another history's snapshot beside it.
    const std::string epoch = writeData("epoch", commands_, 1, 1200, {1200});
    writeJournal("strange/journal", batchesOf(Flow(12).take(3000), 1, kBatches), 1200);
    std::filesystem::create_directories(root_ + "/strange/snapshots");
    std::filesystem::copy_file(snapshotOf(epoch, 1200), snapshotOf(root_ + "/strange", 1200));
    writeSnapshot("strange", commands_, 2400);
    EXPECT_EQ(recover({root_ + "/strange"}, "strange-data").failure.code, "SOURCES_DISAGREE");

    // Snapshots without a journal may be all that is left of somebody's market.
    const std::string kept = root_ + "/kept";
    writeSnapshot("kept", commands_, 1200);
    EXPECT_EQ(recover({epoch}, "kept").failure.code, "ALREADY_EXISTS");
    EXPECT_TRUE(std::filesystem::exists(snapshotOf(kept, 1200)));
    EXPECT_FALSE(std::filesystem::exists(kept + "/journal"));
}

// Wherever the target's disk is full: a clear word, and no journal.
TEST_F(PrunedSourceTest, AFullDiskLeavesNothingThatLooksMade) {
    const std::string source = writeData("a", commands_, 1, 1200, {1200, 2400});
    const auto onto = [&](sim::SimulatedDisk& disk) {
        OpenedSource opened = openDirectorySource(storage_, source);
        EXPECT_TRUE(opened.failure.isOk()) << opened.failure.message;
        return recoverFromSources(disk, {opened.source.get()},
                                  {.data = "data", .limits = smallLimits(), .segmentBytes = 32768});
    };
    uint64_t calls = 0;
    {
        sim::SimulatedDisk disk;
        (void)onto(disk);
        calls = disk.calls();
    }
    ASSERT_GT(calls, 20u);
    for (uint64_t call = 1; call < calls; call += 1 + calls / 40) {
        sim::SimulatedDisk disk;
        disk.failAt(call, sim::DiskFault::NoSpace);
        const SourceRecovery result = onto(disk);
        if (result.failure.code == "NOT_FOUND") continue;  // that call was one whose failure costs nothing
        ASSERT_EQ(result.failure.code, "NO_SPACE") << call << ": " << result.failure.message;
        for (const auto& [path, bytes] : disk.image()) {
            ASSERT_FALSE(path.starts_with("data/journal/") || path.starts_with("data/snapshots/"))
                << path;
        }
    }
}

// ---- members

TEST_F(SourceRecoveryTest, FromEveryMemberAndFromItsDirectory) {
    cluster_world::Cluster cluster({});
    ASSERT_TRUE(cluster_world::eventually([&] { return cluster.leader() != 0; }));
    cluster_world::Ledger ledger(cluster.clientOptions());
    ledger.want(2000);
    ASSERT_TRUE(ledger.pollUntil([&] { return ledger.isComplete(); }));
    const Position position = ledger.next() - 1;
    const CoreLimits limits = {1u << 14, 1u << 10, 1u << 6, 1u << 16};  // of cluster_world

    std::string hash;
    for (replication::MemberId id = 1; id <= 3; ++id) {
        ASSERT_TRUE(cluster_world::eventually(
            [&] { return cluster.host(id)->status().released >= position; }));
        OpenedSource member =
            openMemberSource(storage_, {"127.0.0.1", cluster.host(id)->port()}, MemberSourceOptions());
        ASSERT_TRUE(member.failure.isOk()) << member.failure.message;
        EXPECT_GE(member.source->last(), position);
        OpenedSource directory =
            openDirectorySource(storage_, cluster.directory() + "/" + std::to_string(id));
        ASSERT_TRUE(directory.failure.isOk()) << directory.failure.message;
        const std::string data = "member" + std::to_string(id);
        const SourceRecovery result =
            recoverFromSources(storage_, {member.source.get(), directory.source.get()},
                               {.data = root_ + "/" + data, .limits = limits, .upTo = position});
        ASSERT_TRUE(result.failure.isOk()) << result.failure.message;
        EXPECT_EQ(result.compared, position);
        EXPECT_EQ(hashOf(data), result.stateHash.hex());
        if (id == 1) hash = result.stateHash.hex();
        EXPECT_EQ(result.stateHash.hex(), hash);
    }
    MemberSourceOptions stranger{.cluster = "another", .patienceNs = 300'000'000};
    const OpenedSource refused =
        openMemberSource(storage_, {"127.0.0.1", cluster.host(1)->port()}, stranger);
    EXPECT_EQ(refused.failure.code, "TIMED_OUT") << refused.failure.message;
}

TEST_F(SourceRecoveryTest, WhereNobodyListensSaysSo) {
    const uint16_t port = cluster_world::freePorts(1)[0];
    const OpenedSource source =
        openMemberSource(storage_, {"127.0.0.1", port}, {.patienceNs = 200'000'000});
    EXPECT_EQ(source.failure.code, "TIMED_OUT");
    EXPECT_NE(source.failure.message.find("(REFUSED"), std::string::npos)
        << source.failure.message;
}

}  // namespace
}  // namespace verbex::node
