// Members on real threads, links and files: a cluster serves, loses members, and loses nothing.
#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

#include "cluster_world.h"
#include "journal/snapshots.h"
#include "node/log_source.h"
#include "node/source_recovery.h"
#include "node/state_recovery.h"
#include "replication/floating_environment.h"
#include "transport/verbs/verbs_library.h"

namespace verbex::node::cluster_world {
namespace {

TEST(MemberHost, ThreeMembersElectALeaderAndServe) {
    Cluster cluster({});
    ASSERT_TRUE(eventually([&] { return cluster.leader() != 0; }));
    Ledger ledger(cluster.clientOptions());
    ledger.want(2000);
    ASSERT_TRUE(ledger.pollUntil([&] { return ledger.isComplete(); }));
    EXPECT_EQ(ledger.doubled(), 0u);
    EXPECT_EQ(ledger.ended(), 0u);
    const Position position = ledger.next() - 1;
    ASSERT_TRUE(eventually([&] {
        for (MemberId id = 1; id <= 3; id++) {
            if (cluster.host(id)->status().released < position) return false;
        }
        return true;
    }));
}

TEST(MemberHost, ALeaderIsFoundThoughOneOfThreeHasNotCome) {
    Cluster cluster({.late = 3});
    ASSERT_TRUE(eventually([&] { return cluster.leader() != 0; }));
    Ledger ledger(cluster.clientOptions());
    ledger.want(300);
    ASSERT_TRUE(ledger.pollUntil([&] { return ledger.isComplete(); }));
    cluster.start(3);
    const Position position = ledger.next() - 1;
    ASSERT_TRUE(eventually([&] { return cluster.host(3)->status().released >= position; }));
    EXPECT_EQ(ledger.doubled(), 0u);
}

TEST(MemberHost, OneMemberNeedsNobodyElse) {
    Cluster cluster({.members = 1, .hot = 1});
    Ledger ledger(cluster.clientOptions());
    ledger.want(500);
    ASSERT_TRUE(ledger.pollUntil([&] { return ledger.isComplete(); }));
    cluster.kill(1);
    cluster.start(1);
    ledger.want(500);
    ASSERT_TRUE(ledger.pollUntil([&] { return ledger.isComplete(); }));
    EXPECT_EQ(ledger.doubled(), 0u);
}

TEST(MemberHost, WhatOnlyALogMaySayIsNotTakenFromClients) {
    Cluster cluster({.members = 1, .hot = 1});
    ASSERT_TRUE(eventually([&] { return cluster.leader() == 1; }));
    const auto answer = [&](uint8_t type) {
        Answered given = Answered::Taken;
        EXPECT_TRUE(cluster.ask(1, [&](Member& member) {
            Command command{};
            command.type = type;
            std::vector<std::byte> payload;
            encodeBatch(std::span(&command, 1), payload);
            uint32_t taken = 0;
            given = member.replica().submit(payload, 1, taken);
            return Status();
        }).isOk());
        return given;
    };
    EXPECT_EQ(answer(static_cast<uint8_t>(CommandType::AdvanceTime)), Answered::Malformed);
    EXPECT_EQ(answer(static_cast<uint8_t>(CommandType::SetAvailability)), Answered::Malformed);
    const auto order = static_cast<uint8_t>(CommandType::NewOrder);
    EXPECT_EQ(answer(order | kCommandRefused), Answered::Malformed);
    EXPECT_EQ(answer(order), Answered::Taken);
}

// What goes wrong in one member of three while it runs, on its own thread.
struct Damage {
    const char* name;
    Status (*run)(Member&);
};

class Damages : public testing::TestWithParam<std::tuple<Damage, bool>> {};

TEST_P(Damages, AreNamedAndNothingWrongIsPublished) {
    const auto& [damage, atLeader] = GetParam();
    Cluster cluster({});
    Ledger ledger(cluster.clientOptions());
    ledger.want(300);
    ASSERT_TRUE(ledger.pollUntil([&] { return ledger.isComplete(); }));
    MemberId leader = 0;
    ASSERT_TRUE(ledger.pollUntil([&] { return (leader = cluster.leader()) != 0; }));
    const MemberId culprit = atLeader ? leader : leader % 3 + 1;
    const Position before = ledger.next();
    ASSERT_TRUE(cluster.ask(culprit, damage.run).isOk());
    ledger.want(300);
    ASSERT_TRUE(ledger.pollUntil([&] { return ledger.isComplete(); }));
    EXPECT_EQ(ledger.doubled(), 0u);

    // The record names it, and where.
    Evicted named;
    const MemberId witness = culprit % 3 + 1;
    ASSERT_TRUE(ledger.pollUntil([&] {
        const MemberStatus status = cluster.host(witness)->status();
        const Evicted* found = status.configuration.evictedMember(culprit);
        if (found != nullptr) named = *found;
        return found != nullptr;
    }));
    EXPECT_GE(named.position, before - 1);
    EXPECT_NE(named.expected, named.found);
    ASSERT_TRUE(ledger.pollUntil([&] {
        return cluster.host(culprit)->status().role == Role::Halted;
    }));
    EXPECT_TRUE(std::filesystem::exists(cluster.directory() + "/" + std::to_string(witness) +
                                        "/divergence-" + std::to_string(culprit) + "-" +
                                        std::to_string(named.position) + ".json"));

    // Nothing that the client saw differs from what a sound core makes of the log.
    ASSERT_TRUE(ledger.pollUntil([&] { return cluster.leader() != 0; }));
    EXPECT_EQ(differences(cluster, cluster.leader(), ledger), 0u);

    // It comes back on an operator's word only.
    cluster.kill(culprit);
    cluster.start(culprit);
    ASSERT_TRUE(ledger.pollUntil([&] {
        return cluster.host(culprit)->status().role == Role::Halted;
    }));
    ASSERT_TRUE(ledger.pollUntil([&] {
        const MemberId leads = cluster.leader();
        return leads != 0 &&
               cluster.ask(leads, [&](Member& member) { return member.readmit(culprit); }).isOk();
    }));
    ASSERT_TRUE(ledger.pollUntil([&] {
        return cluster.host(culprit)->status().configuration.member(culprit) != nullptr;
    }));
}

Status damageState(Member& member) {
    return member.executor().damageState(11) ? Status() : Status(StatusCode::Refused, "nothing there");
}
Status damageResult(Member& member) {
    member.executor().damageResult();
    return {};
}
Status damageRounding(Member&) {
    damageFloatingEnvironment();
    return {};
}

INSTANTIATE_TEST_SUITE_P(
    Of, Damages,
    testing::Combine(testing::Values(Damage{"state", damageState}, Damage{"result", damageResult},
                                     Damage{"rounding", damageRounding}),
                     testing::Bool()),
    [](const auto& info) {
        return std::string(std::get<0>(info.param).name) + (std::get<1>(info.param) ? "OfTheLeader" : "OfAnother");
    });

class Replaced : public testing::TestWithParam<bool> {};

// Within two seconds, says the design; a slow machine gets more here, and what it took is printed.
TEST_P(Replaced, AHotMemberThatIsLostIsReplacedByTheWarmOne) {
    Cluster cluster({.members = 3, .warm = 1, .hot = 2});
    Ledger ledger(cluster.clientOptions());
    ledger.want(300);
    ASSERT_TRUE(ledger.pollUntil([&] { return ledger.isComplete(); }));
    MemberId leader = 0;
    ASSERT_TRUE(ledger.pollUntil([&] {
        leader = cluster.leader();
        return leader != 0 && cluster.host(leader)->status().configuration.sync.size() == 2;
    }));
    ASSERT_EQ(cluster.host(leader)->status().configuration.member(3), nullptr);
    const MemberId lost = GetParam() ? leader : 3 - leader;
    ledger.want(100'000);
    ASSERT_TRUE(ledger.pollUntil([&, at = ledger.done()] { return ledger.done() > at + 50; }));
    const auto began = std::chrono::steady_clock::now();
    cluster.kill(lost);
    ASSERT_TRUE(ledger.pollUntil([&] {
        const MemberId leads = cluster.leader();
        if (leads == 0) return false;
        const Configuration record = cluster.host(leads)->status().configuration;
        return record.member(3) != nullptr && record.member(lost) == nullptr;
    }));
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - began;
    std::printf("replaced after %.0f ms\n", took.count());
    EXPECT_LT(took.count(), 20'000);
    // It counts: what the pair acknowledges, the warm one has.
    ASSERT_TRUE(ledger.pollUntil([&, at = ledger.done()] { return ledger.done() > at + 500; }));
    EXPECT_EQ(ledger.doubled(), 0u);
    EXPECT_EQ(ledger.ended(), 0u);
}

INSTANTIATE_TEST_SUITE_P(Hot, Replaced, testing::Bool(), [](const auto& info) {
    return info.param ? "TheLeader" : "TheOther";
});
// A member whose disk is gone, when nobody has the beginning of the log any more.
class Pruned : public testing::Test {
protected:
    static ClusterOptions options() {
        ClusterOptions options;
        options.segmentBytes = 256u << 10;
        options.snapshots.everyCommands = 1000;
        options.snapshots.historyBytes = 0;
        options.snapshots.partBytes = 512;
        return options;
    }

    // Commands until every member has pruned.
    void prune() {
        ASSERT_TRUE(ledger_.pollUntil([&] {
            if (ledger_.isComplete()) ledger_.want(500);
            for (MemberId id = 1; id <= 3; id++) {
                if (cluster_.host(id)->status().first == 1) return false;
            }
            return true;
        }));
        ASSERT_TRUE(ledger_.pollUntil([&] { return ledger_.isComplete(); }));
    }

    void wipe(MemberId id) {
        cluster_.kill(id);
        std::filesystem::remove_all(cluster_.directory() + "/" + std::to_string(id));
    }

    [[nodiscard]] MemberId other() { return cluster_.leader() % 3 + 1; }

    // What everybody says of themselves, for a wait that was in vain.
    [[nodiscard]] std::string said() {
        std::string text = "leader " + std::to_string(cluster_.leader());
        for (MemberId id = 1; id <= 3; id++) {
            const MemberStatus its = cluster_.host(id)->status();
            text += "; " + std::to_string(id) + ": position " + std::to_string(its.position) + " of " +
                    std::to_string(its.first) + " on, commit " + std::to_string(its.commit) + ", role " +
                    std::to_string(static_cast<int>(its.role)) + " in epoch " +
                    std::to_string(its.promised) + ", installs " + std::to_string(its.installs) +
                    ", members";
            for (MemberId other = 1; other <= 3; other++) {
                if (its.configuration.member(other) != nullptr) text += " " + std::to_string(other);
            }
            text += its.halted + its.snapshotTrouble;
        }
        return text;
    }

    // It has all, and the same result, and is counted again.
    [[nodiscard]] bool isBack(MemberId id) {
        const MemberId leader = cluster_.leader();
        if (leader == 0 || leader == id) return leader == id;
        const MemberStatus its = cluster_.host(id)->status();
        const MemberStatus leaders = cluster_.host(leader)->status();
        return its.configuration.member(id) != nullptr && its.position == leaders.position &&
               its.resultHash == leaders.resultHash;
    }

    Cluster cluster_{options()};
    Ledger ledger_{cluster_.clientOptions()};
};

TEST_F(Pruned, AMemberThatIsWipedJoinsByASnapshotWhileTradingGoesOn) {
    prune();
    const MemberId wiped = other();
    wipe(wiped);
    ledger_.want(300);
    ASSERT_TRUE(ledger_.pollUntil([&] { return ledger_.isComplete(); }));
    cluster_.start(wiped);
    ASSERT_TRUE(ledger_.pollUntil([&] {
        if (ledger_.isComplete()) ledger_.want(100);
        return cluster_.host(wiped)->status().installs != 0;
    }));
    ASSERT_TRUE(ledger_.pollUntil([&] { return ledger_.isComplete(); }));
    ASSERT_TRUE(ledger_.pollUntil([&] { return isBack(wiped); })) << said();
    EXPECT_EQ(cluster_.host(wiped)->status().installs, 1u);
    EXPECT_GT(cluster_.host(wiped)->status().first, 1u);
    // What it cost each member's thread is said.
    EXPECT_GT(cluster_.host(wiped)->status().snapshotHolds.install, 0u);
    uint64_t given = 0;
    for (MemberId id = 1; id <= 3; id++) {
        const MemberStatus its = cluster_.host(id)->status();
        given += its.snapshotHolds.give;
        RecordProperty("mark-ns-" + std::to_string(id), std::to_string(its.snapshotHolds.mark));
        if (id == wiped) continue;
        EXPECT_GT(its.snapshotHolds.mark, 0u) << id;
        EXPECT_TRUE(eventually([&] { return cluster_.host(id)->status().scrubLongestNs > 0; })) << id;
    }
    EXPECT_GT(given, 0u);
    EXPECT_EQ(ledger_.doubled(), 0u);
    EXPECT_EQ(ledger_.ended(), 0u);
    // And it can lead: what it has is enough.
    ASSERT_TRUE(cluster_.askLeader([&](Member& member) { return member.promote(wiped); }));
    ASSERT_TRUE(ledger_.pollUntil([&] { return cluster_.leader() == wiped; }));
    ledger_.want(300);
    ASSERT_TRUE(ledger_.pollUntil([&] { return ledger_.isComplete(); }));
    EXPECT_EQ(ledger_.doubled(), 0u);
    ASSERT_TRUE(ledger_.pollUntil([&] {
        for (MemberId id = 1; id <= 3; id++) {
            if (cluster_.host(id)->status().position < ledger_.next() - 1) return false;
        }
        return true;
    }));
    // What looks at a folder at rest reads a member's snapshots too, its own and another's.
    for (MemberId id = 1; id <= 3; id++) cluster_.kill(id);
    for (MemberId id = 1; id <= 3; id++) {
        journal::PosixStorage storage;
        const RecoveredState state =
            recoverState(storage, nullptr, cluster_.directory() + "/" + std::to_string(id),
                         {1u << 14, 1u << 10, 1u << 6, 1u << 16}, UINT64_MAX, StateSource::Newest);
        ASSERT_TRUE(state.failure.isOk()) << id << ": " << state.failure.message;
        EXPECT_GT(state.snapshotPosition, 0u) << id;
        EXPECT_GE(state.core->position(), ledger_.next() - 1) << id;
    }
    // So does what makes a folder anew, from one of them, or from two whose snapshots are of different positions.
    const Position position = ledger_.next() - 1;
    std::set<std::string> hashes;
    for (MemberId id = 1; id <= 3; id++) {
        for (const bool two : {false, true}) {
            journal::PosixStorage storage;
            std::vector<std::unique_ptr<LogSource>> opened;
            std::vector<LogSource*> sources;
            for (const MemberId each : two ? std::vector{id, id % 3 + 1} : std::vector{id}) {
                OpenedSource source =
                    openDirectorySource(storage, cluster_.directory() + "/" + std::to_string(each));
                ASSERT_TRUE(source.failure.isOk()) << source.failure.message;
                EXPECT_GT(source.source->first(), 1u);
                ASSERT_TRUE(source.source->facts().has_value());
                EXPECT_EQ(source.source->facts()->limits.maxOrders, 1u << 14);
                EXPECT_EQ(source.source->facts()->limits.maxClientIds, 1u << 16);
                sources.push_back(source.source.get());
                opened.push_back(std::move(source.source));
            }
            // Its capacities are those that the snapshots name.
            SourceRecoveryOptions options{.data = cluster_.directory() + "/made-" + std::to_string(id) +
                                                  (two ? "-of-two" : ""),
                                          .upTo = position};
            options.limits.maxOrders = options.limits.maxAccounts = options.limits.maxInstruments =
                options.limits.maxClientIds = 0;
            const SourceRecovery made = recoverFromSources(storage, sources, options);
            ASSERT_TRUE(made.failure.isOk()) << id << ": " << made.failure.message;
            EXPECT_GT(made.snapshotPosition, 0u);
            if (two) EXPECT_GT(made.compared + made.comparedStates, 0u) << id;
            hashes.insert(made.stateHash.hex());
        }
    }
    EXPECT_EQ(hashes.size(), 1u);
}

// The snapshot that it begins behind keeps all that a member needs; it is another incarnation.
TEST_F(Pruned, AMemberStartsFromAFolderThatWasMadeOfAMembers) {
    prune();
    const MemberId one = other();
    cluster_.kill(one);
    const std::string folder = cluster_.directory() + "/" + std::to_string(one);
    const std::string made = cluster_.directory() + "/made";
    {
        journal::PosixStorage storage;
        const OpenedSource source = openDirectorySource(storage, folder);
        ASSERT_TRUE(source.failure.isOk()) << source.failure.message;
        SourceRecoveryOptions options{.data = made};
        options.limits.maxOrders = options.limits.maxAccounts = options.limits.maxInstruments =
            options.limits.maxClientIds = 0;
        const SourceRecovery result = recoverFromSources(storage, {source.source.get()}, options);
        ASSERT_TRUE(result.failure.isOk()) << result.failure.message;
    }
    std::filesystem::remove_all(folder);
    std::filesystem::rename(made, folder);
    cluster_.start(one);
    EXPECT_GT(cluster_.host(one)->status().first, 1u);
    ASSERT_TRUE(ledger_.pollUntil([&] {
        if (ledger_.isComplete()) ledger_.want(100);
        return isBack(one);
    })) << said();
    EXPECT_EQ(ledger_.doubled(), 0u);
    EXPECT_EQ(cluster_.host(one)->status().halted, "");
}

// A running member that has pruned, for who recovers from it.
class PrunedSource : public Pruned {
protected:
    void SetUp() override {
        prune();
        // As long as it runs it may have in memory what is gone from its disk.
        asked_ = other();
        cluster_.kill(asked_);
        cluster_.start(asked_);
        ASSERT_TRUE(ledger_.pollUntil([&] { return isBack(asked_); })) << said();
        // Far enough from where one is due that none is taken while only the clock's commands come.
        ASSERT_TRUE(ledger_.pollUntil([&] {
            if (!ledger_.isComplete()) return false;
            const Position position = cluster_.host(asked_)->status().position;
            if (turn(position + 400) == turn(position)) return true;
            ledger_.want(50);
            return false;
        })) << said();
        ASSERT_TRUE(ledger_.pollUntil([&] {
            const MemberStatus its = cluster_.host(asked_)->status();
            return turn(its.snapshot) == turn(its.position);
        })) << said();
    }
    // Which of its snapshots a position belongs to.
    [[nodiscard]] Position turn(Position position) const {
        return (position + 1000 * (asked_ - 1) / 3) / 1000;
    }
    OpenedSource open(MemberId id, const std::string& scratch,
                      uint64_t patienceNs = 5'000'000'000) {
        MemberSourceOptions options;
        options.scratch = scratch.empty() ? scratch : cluster_.directory() + "/" + scratch;
        options.patienceNs = patienceNs;
        return openMemberSource(storage_, {"127.0.0.1", cluster_.host(id)->port()}, options);
    }
    SourceRecovery recover(const std::vector<LogSource*>& sources, const std::string& made,
                           Position upTo = UINT64_MAX) {
        SourceRecoveryOptions options{.data = cluster_.directory() + "/" + made, .upTo = upTo};
        options.limits.maxOrders = options.limits.maxAccounts = options.limits.maxInstruments =
            options.limits.maxClientIds = 0;
        return recoverFromSources(storage_, sources, options);
    }
    // Of the member that is asked, the oldest first.
    std::vector<journal::SnapshotListing> snapshots() {
        auto listed = journal::listSnapshots(storage_, folder(asked_) + "/snapshots").take();
        std::ranges::reverse(listed);
        return listed;
    }
    void damage(const journal::SnapshotListing& snapshot) {
        const std::string path = folder(asked_) + "/snapshots/" + snapshot.name;
        std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
        const auto at = static_cast<std::streamoff>(snapshot.bytes / 4 * 3);
        file.seekg(at);
        const auto was = static_cast<char>(file.get());
        file.seekp(at);
        file.put(static_cast<char>(was ^ 1));
        ASSERT_TRUE(file.good());
    }
    [[nodiscard]] std::string folder(MemberId id) const {
        return cluster_.directory() + "/" + std::to_string(id);
    }
    [[nodiscard]] bool exists(const std::string& name) const {
        return std::filesystem::exists(cluster_.directory() + "/" + name);
    }

    journal::PosixStorage storage_;
    MemberId asked_ = 0;
};

TEST_F(PrunedSource, GivesItsOldestSnapshotAndTheLogBehindIt) {
    const std::vector<journal::SnapshotListing> its = snapshots();
    ASSERT_EQ(its.size(), 2u);
    std::string hash;
    Position position = 0;
    {
        const OpenedSource source = open(asked_, "fetched");
        ASSERT_TRUE(source.failure.isOk()) << source.failure.message;
        EXPECT_EQ(source.source->first(), its[0].position + 1);
        // Its capacities are in its snapshot.
        ASSERT_TRUE(source.source->facts().has_value());
        EXPECT_EQ(source.source->facts()->limits.maxOrders, 1u << 14);
        const SourceRecovery made = recover({source.source.get()}, "made");
        ASSERT_TRUE(made.failure.isOk()) << made.failure.message;
        EXPECT_EQ(made.snapshotPosition, its[0].position);
        EXPECT_GE(made.position, ledger_.next() - 1);
        EXPECT_TRUE(made.refusedSnapshots.empty());
        hash = made.stateHash.hex();
        position = made.position;
        EXPECT_TRUE(exists("fetched"));
    }
    EXPECT_FALSE(exists("fetched"));
    // With another member, and with the folder of a third: all of them agree.
    const OpenedSource one = open(asked_, "fetched-1");
    const OpenedSource two = open(asked_ % 3 + 1, "fetched-2");
    ASSERT_TRUE(one.failure.isOk() && two.failure.isOk()) << two.failure.message;
    const SourceRecovery both = recover({one.source.get(), two.source.get()}, "both", position);
    ASSERT_TRUE(both.failure.isOk()) << both.failure.message;
    EXPECT_EQ(both.stateHash.hex(), hash);
    EXPECT_GT(both.compared + both.comparedStates, 0u);
    const MemberId third = (asked_ + 1) % 3 + 1;
    cluster_.kill(third);
    const OpenedSource again = open(asked_, "fetched-1b");
    const OpenedSource folder = openDirectorySource(storage_, this->folder(third));
    ASSERT_TRUE(again.failure.isOk() && folder.failure.isOk()) << folder.failure.message;
    const SourceRecovery mixed =
        recover({again.source.get(), folder.source.get()}, "mixed", position);
    ASSERT_TRUE(mixed.failure.isOk()) << mixed.failure.message;
    EXPECT_EQ(mixed.stateHash.hex(), hash);
    EXPECT_GT(mixed.compared + mixed.comparedStates, 0u);
}

TEST_F(PrunedSource, WithoutAPlaceForASnapshotSaysWhatToDoInstead) {
    const OpenedSource source = open(asked_, "");
    EXPECT_EQ(source.failure.code, "POSITION_LOST");
    EXPECT_NE(source.failure.message.find("verbex backup"), std::string::npos)
        << source.failure.message;
}

TEST_F(PrunedSource, ADamagedSnapshotIsPassedOverAndTwoLeaveNothing) {
    const std::vector<journal::SnapshotListing> its = snapshots();
    ASSERT_EQ(its.size(), 2u);
    damage(its[0]);
    constexpr uint64_t kPatienceNs = 3'000'000'000;
    {
        const OpenedSource source = open(asked_, "fetched", kPatienceNs);
        ASSERT_TRUE(source.failure.isOk()) << source.failure.message;
        EXPECT_EQ(source.source->first(), its[1].position + 1);
        const SourceRecovery made = recover({source.source.get()}, "made");
        ASSERT_TRUE(made.failure.isOk()) << made.failure.message;
        EXPECT_EQ(made.snapshotPosition, its[1].position);
        ASSERT_EQ(made.refusedSnapshots.size(), 1u);
        EXPECT_NE(made.refusedSnapshots[0].find("at position " + std::to_string(its[0].position)),
                  std::string::npos)
            << made.refusedSnapshots[0];
    }
    damage(its[1]);
    const OpenedSource source = open(asked_, "fetched", kPatienceNs);
    EXPECT_EQ(source.failure.code, "SNAPSHOT_DAMAGED")
        << source.failure.code << ": " << source.failure.message;
    EXPECT_FALSE(exists("fetched"));
}

TEST_F(PrunedSource, ATransferThatIsCutLeavesNothing) {
    int midway = 0;
    for (int i = 0; i < 5; i++) {
        OpenedSource source;
        std::atomic<bool> isOver{false};
        std::thread opening([&] {
            source = open(asked_, "fetched", 500'000'000);
            isOver = true;
        });
        const std::string snapshots = cluster_.directory() + "/fetched/snapshots";
        while (!isOver && !std::filesystem::exists(snapshots)) std::this_thread::yield();
        cluster_.kill(asked_);
        opening.join();
        if (!source.failure.isOk()) {
            midway++;
            EXPECT_EQ(source.failure.code, "TIMED_OUT") << source.failure.message;
            EXPECT_EQ(source.source, nullptr);
        }
        source.source.reset();
        EXPECT_FALSE(exists("fetched"));
        cluster_.start(asked_);
        ASSERT_TRUE(ledger_.pollUntil([&] { return isBack(asked_); })) << said();
    }
    RecordProperty("midway", midway);
}

TEST_F(Pruned, AMemberThatDiesWhileItTakesASnapshotTakesItAgain) {
    prune();
    const MemberId wiped = other();
    wipe(wiped);
    const std::string snapshots = cluster_.directory() + "/" + std::to_string(wiped) + "/snapshots";
    const auto isTaking = [&] {
        std::error_code missing;
        for (const auto& each : std::filesystem::directory_iterator(snapshots, missing)) {
            if (each.path().extension() == ".tmp") return true;
        }
        return false;
    };
    int midway = 0;
    for (int i = 0; i < 5; i++) {
        cluster_.start(wiped);
        ASSERT_TRUE(ledger_.pollUntil([&] {
            if (ledger_.isComplete()) ledger_.want(50);
            return isTaking() || cluster_.host(wiped)->status().installs != 0;
        }));
        const bool isMidway = cluster_.host(wiped)->status().installs == 0;
        cluster_.kill(wiped);
        midway += isMidway ? 1 : 0;
        if (!isMidway) wipe(wiped);
    }
    RecordProperty("midway", midway);
    cluster_.start(wiped);
    ASSERT_TRUE(ledger_.pollUntil([&] { return ledger_.isComplete() && isBack(wiped); })) << said();
    EXPECT_EQ(ledger_.doubled(), 0u);
}

TEST_F(Pruned, WhoAsksForWhatIsGoneIsToldSo) {
    prune();
    // Events of the first positions are kept a while longer than the log, until a restart.
    const MemberId one = other();
    cluster_.kill(one);
    cluster_.start(one);
    class Listener final : public ClusterClientEvents {
    public:
        void onEvents(const EventsFrame&, std::span<const Event>) override { came_ = true; }
        void onEntry(const EntriesFrame&, std::span<const std::byte>) override { came_ = true; }
        void onSubmitted(const SubmittedFrame&) override {}
        void onConnected(MemberId) override {}
        void onDisconnected(const std::string&) override {}
        void onEnded(Answered why, Position oldest) override {
            lost_ |= why == Answered::PositionLost && oldest > 1;
        }
        bool came_ = false;
        bool lost_ = false;
    };
    for (const bool entries : {false, true}) {
        Listener listener;
        transport::NetworkOptions options;
        options.node = "listener";
        options.transport = transport::TransportWish::Tcp;
        options.ringBytes = 1u << 22;
        options.payloadMax = kFrameBytesMax;
        Result<std::unique_ptr<transport::HostNetwork>> network =
            transport::HostNetwork::open(options);
        ASSERT_TRUE(network.isOk());
        ClusterClientOptions asks = cluster_.clientOptions();
        asks.anyMember = true;
        std::erase_if(asks.members, [&](const auto& each) { return each.id != one; });
        ClusterClient client(*network.value(), asks, listener);
        if (entries) {
            client.subscribeEntries(1);
        } else {
            client.subscribeEvents(1);
        }
        ASSERT_TRUE(ledger_.pollUntil([&] {
            (void)client.poll(steadyNs());
            client.flush();
            return listener.lost_;
        })) << entries;
        EXPECT_FALSE(listener.came_) << entries;
    }
}

class Transports : public testing::TestWithParam<transport::TransportWish> {};

TEST_P(Transports, KillsOfTheLeaderLoseAndDoubleNothing) {
    Cluster cluster({.members = 4, .warm = 1, .hot = 3, .transport = GetParam()});
    Ledger ledger(cluster.clientOptions(), GetParam());
    for (int round = 0; round < 4; round++) {
        ledger.want(300);
        ASSERT_TRUE(ledger.pollUntil([&] { return ledger.isComplete(); })) << round;
        MemberId leader = 0;
        ASSERT_TRUE(ledger.pollUntil([&] { return (leader = cluster.leader()) != 0; }));
        ledger.want(300);
        ASSERT_TRUE(ledger.pollUntil([&, at = ledger.done()] { return ledger.done() > at + 50; }));
        cluster.kill(leader);
        ASSERT_TRUE(ledger.pollUntil([&] { return ledger.isComplete(); })) << round;
        cluster.start(leader);
    }
    EXPECT_EQ(ledger.doubled(), 0u);
    EXPECT_EQ(ledger.ended(), 0u);
}

INSTANTIATE_TEST_SUITE_P(Over, Transports,
                         testing::Values(transport::TransportWish::Tcp, transport::TransportWish::Shm),
                         [](const auto& info) {
                             return info.param == transport::TransportWish::Tcp ? "tcp" : "shm";
                         });

// On an RDMA device; scripts/steps/soft-roce.mjs brings one.
TEST(MemberHostOverVerbs, TakesOverWhenTheLeaderDies) {
    if (const Status missing = transport::verbsAvailability().status; !missing.isOk()) {
        const char* const required = std::getenv("VERBEX_REQUIRE_VERBS");
        if (required != nullptr && std::string(required) == "1") FAIL() << missing.toString();
        GTEST_SKIP() << missing.toString();
    }
    constexpr auto kVerbs = transport::TransportWish::Verbs;
    Cluster cluster({.transport = kVerbs, .pace = kEmulatedPace});
    ASSERT_FALSE(HasFatalFailure());
    Ledger ledger(cluster.clientOptions(), kVerbs, kEmulatedPace);
    ledger.want(300);
    ASSERT_TRUE(ledger.pollUntil([&] { return ledger.isComplete(); }));
    MemberId before = 0;
    ASSERT_TRUE(ledger.pollUntil([&] { return (before = cluster.leader()) != 0; }));
    const Epoch epoch = cluster.host(before)->status().configuration.epoch;
    ledger.want(300);
    ASSERT_TRUE(ledger.pollUntil([&, at = ledger.done()] { return ledger.done() > at + 50; }));
    cluster.kill(before);
    ASSERT_TRUE(ledger.pollUntil([&] { return ledger.isComplete(); }));
    MemberId after = 0;
    ASSERT_TRUE(ledger.pollUntil([&] { return (after = cluster.leader()) != 0; }));
    EXPECT_NE(after, before);
    EXPECT_GT(cluster.host(after)->status().configuration.epoch, epoch);
    EXPECT_EQ(ledger.doubled(), 0u);
    EXPECT_EQ(ledger.ended(), 0u);
    EXPECT_EQ(differences(cluster, after, ledger), 0u);
}

}  // namespace
}  // namespace verbex::node::cluster_world
