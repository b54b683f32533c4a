// A lost data directory, made again from any source alone, or from two that must agree.
#include "node/source_recovery.h"

#include <algorithm>
#include <map>

#include "cluster_world.h"
#include "journal/recovery.h"
#include "journal/writer.h"
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
            openMemberSource({"127.0.0.1", cluster.host(id)->port()}, MemberSourceOptions());
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
        openMemberSource({"127.0.0.1", cluster.host(1)->port()}, stranger);
    EXPECT_EQ(refused.failure.code, "TIMED_OUT") << refused.failure.message;
}

TEST_F(SourceRecoveryTest, WhereNobodyListensSaysSo) {
    const uint16_t port = cluster_world::freePorts(1)[0];
    const OpenedSource source =
        openMemberSource({"127.0.0.1", port}, {.patienceNs = 200'000'000});
    EXPECT_EQ(source.failure.code, "TIMED_OUT");
    EXPECT_NE(source.failure.message.find("(REFUSED"), std::string::npos)
        << source.failure.message;
}

}  // namespace
}  // namespace verbex::node
