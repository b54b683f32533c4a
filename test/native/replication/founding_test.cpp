// A cluster that begins with a log: made from a copy, at an operator's word, where there is no record. And what
// becomes of a log that no record names: nobody cuts it, nobody is served from it.
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>

#include "../core/random_commands.h"
#include "replication/member.h"
#include "sim/disk.h"
#include "wire/command_codec.h"
#include "wire/log_facts.h"

namespace verbex::replication::founding_tests {
namespace {

using sim::RestartMode;
using sim::SimulatedDisk;

// One record, and a member's way to it.
class View final : public ControlStore {
public:
    explicit View(ControlRecord& record) : record_(record) {}
    void read(uint64_t request) override {
        if (!isAway) answers_.push_back({ControlAnswer::Kind::Read, request, record_});
    }
    void compareAndSwap(uint64_t request, uint64_t expected, const std::string& text) override {
        if (isAway) return;
        const bool fits = expected == record_.revision;
        if (fits) record_ = {expected + 1, text};
        if (!isDeaf) {
            answers_.push_back(
                {fits ? ControlAnswer::Kind::Swapped : ControlAnswer::Kind::Conflict, request, record_});
        }
    }
    bool poll(ControlAnswer& answer) override {
        if (answers_.empty()) return false;
        answer = answers_.front();
        answers_.pop_front();
        return true;
    }
    bool isAway = false;
    bool isDeaf = false;  // swaps take effect, and nobody hears of it

private:
    ControlRecord& record_;
    std::deque<ControlAnswer> answers_;
};

class World {
public:
    explicit World(uint32_t members, bool standby = false) : standby_(standby), size_(members) {
        for (MemberId id = 1; id <= members; id++) nodes_.try_emplace(id, *this, id);
    }

    Status start(MemberId id) {
        Node& node = nodes_.at(id);
        node.view = std::make_unique<View>(record);
        node.view->isAway = isAway;
        node.view->isDeaf = isDeaf;
        MemberOptions options;
        options.id = id;
        options.data = "m" + std::to_string(id);
        options.boot = "boot";  // the machines are not restarted: what was written is there
        options.limits = {1u << 10, 64, 8, 1u << 12};
        options.segmentBytes = 8192;
        options.tailBytes = 4096;
        options.snapshots.everyCommands = 60;
        options.snapshots.historyBytes = 0;
        options.journalId = {++drawn_, id};
        for (MemberId each = 1; each <= size_; each++) options.replica.members.push_back({each, false});
        options.replica.hotWanted = size_;
        options.replica.minSync = minSync;
        options.replica.standby = standby_;
        options.replica.batchBytes = 2048;
        options.replica.executor.scrubNs = 50'000'000;
        options.replica.mutant = mutant;
        auto opened = Member::open(options, node.disk, node, *node.view, moment());
        if (!opened.isOk()) return opened.status();
        node.member = opened.take();
        return {};
    }
    void stop(MemberId id) {
        Node& node = nodes_.at(id);
        node.member.reset();
        node.disk.restart(RestartMode::ProcessCrash, id);
    }
    [[nodiscard]] Member& at(MemberId id) { return *nodes_.at(id).member; }
    [[nodiscard]] SimulatedDisk& disk(MemberId id) { return nodes_.at(id).disk; }
    [[nodiscard]] MemberId leader() {
        for (auto& [id, node] : nodes_) {
            if (node.member != nullptr && node.member->replica().leads()) return id;
        }
        return 0;
    }
    [[nodiscard]] Configuration configuration() const {
        return record.revision == 0 ? Configuration{} : Configuration::parse(record.text).take();
    }

    // A frame of this member, made up; what it answers at once.
    template <typename Frame>
    std::vector<std::byte> answerTo(Frame frame, MemberId from, MemberId to) {
        FrameBuffer buffer;
        frame.header.from = from;
        frames_.clear();
        at(to).onFrame(from, buffer.make(frame), moment());
        return frames_.empty() ? std::vector<std::byte>() : frames_.front().bytes;
    }

    void step() {
        now_ += 2'000'000;
        const auto frames = std::exchange(frames_, {});
        for (const auto& [from, to, frame] : frames) {
            if (nodes_.contains(to) && nodes_.at(to).member != nullptr) {
                nodes_.at(to).member->onFrame(from, frame, moment());
            }
        }
        for (auto& [id, node] : nodes_) {
            if (node.member == nullptr) continue;
            (void)node.member->step(moment());
            if (node.member->log().syncWanted()) {
                ASSERT_TRUE(node.member->log().syncNow().isOk());
            }
            if (node.member->snapshots().isWanted()) node.member->snapshots().takeNow();
        }
    }
    void run(uint64_t milliseconds) {
        for (uint64_t i = 0; i < milliseconds / 2; i++) step();
    }
    [[nodiscard]] bool until(const std::function<bool()>& is) {
        for (int i = 0; i < 5000 && !is(); i++) step();
        return is();
    }
    [[nodiscard]] bool serves(size_t hot) {
        return until([&] {
            const MemberId leads = leader();
            return leads != 0 && at(leads).replica().configuration().sync.size() == hot &&
                   at(leads).outputs().released() == at(leads).log().last();
        });
    }
    void trade(uint64_t seed, uint32_t batches) {
        verbex::test::RandomCommands random(seed);
        for (uint32_t i = 0; i < batches; i++) {
            std::vector<Command> commands;
            for (uint32_t each = 0; each < 5; each++) {
                commands.push_back(random.next());
                if (isLogFact(commands.back().type)) commands.back().type = 0;
            }
            std::vector<std::byte> payload;
            encodeBatch(commands, payload);
            uint32_t taken = 0;
            ASSERT_EQ(at(leader()).replica().submit(payload, 5, taken), Answered::Taken);
            step();
            step();
        }
        ASSERT_TRUE(serves(at(leader()).replica().configuration().sync.size()));
    }

    ControlRecord record;
    uint32_t minSync = 1;
    Mutant mutant = Mutant::None;
    bool isAway = false;
    bool isDeaf = false;

private:
    struct Node final : Wires {
        Node(World& theWorld, MemberId theId) : world(theWorld), id(theId) {}
        bool send(NodeId to, std::span<const std::byte> frame) override {
            world.frames_.push_back({id, to, {frame.begin(), frame.end()}});
            return true;
        }
        void fence(uint64_t) override {}
        void close(NodeId) override {}
        World& world;
        const MemberId id;
        SimulatedDisk disk;
        std::unique_ptr<View> view;
        std::unique_ptr<Member> member;
    };
    struct Frame {
        MemberId from;
        NodeId to;
        std::vector<std::byte> bytes;
    };
    [[nodiscard]] Moment moment() const { return {now_, 1'700'000'000'000'000'000 + now_}; }

    const bool standby_;
    const uint32_t size_;
    uint64_t now_ = 1'000'000'000;
    uint64_t drawn_ = 1;
    std::map<MemberId, Node> nodes_;
    std::vector<Frame> frames_;
};

// A folder as it is, of another member of another cluster; without the file `member`, as a recovery makes it.
void copyTo(World& to, MemberId id, const SimulatedDisk::Image& image, bool whole) {
    SimulatedDisk::Image copied;
    for (const auto& [path, contents] : image) {
        const std::string name = path.substr(path.find('/'));
        if (!whole && name == "/member") continue;
        copied["m" + std::to_string(id) + name] = contents;
    }
    to.disk(id).load(copied);
}

struct End {
    Position last = 0;
    Epoch epoch = 0;
    Digest128 result;
    Digest128 state;
    friend bool operator==(const End&, const End&) = default;
};

End endOf(Member& member) {
    return {member.log().last(), member.log().lastEpoch(), member.executor().result(),
            member.executor().core().hash()};
}

// A cluster of three that has traded for a while, through two leaders, and pruned; and what one of them has on disk.
struct Lost {
    SimulatedDisk::Image image;
    End end;
    Position first = 0;
    Incarnation incarnation = 0;
};

const Lost& lost() {
    static const Lost made = [] {
        World world(3);
        Lost copy;
        for (MemberId id = 1; id <= 3; id++) EXPECT_TRUE(world.start(id).isOk());
        EXPECT_TRUE(world.serves(3));
        world.trade(1, 40);
        const MemberId leads = world.leader();
        world.stop(leads);
        EXPECT_TRUE(world.serves(2));
        EXPECT_TRUE(world.start(leads).isOk());
        EXPECT_TRUE(world.serves(3));
        world.trade(2, 40);
        copy.end = endOf(world.at(2));
        copy.first = world.at(2).log().first();
        copy.incarnation = world.at(2).replica().facts().incarnation;
        world.stop(2);
        copy.image = world.disk(2).image();
        return copy;
    }();
    return made;
}

TEST(Founding, ACopyBeginsACluster) {
    const Lost& copy = lost();
    ASSERT_GT(copy.first, 1u) << "nothing was pruned";
    ASSERT_GT(copy.end.epoch, 1u);
    World world(3);
    copyTo(world, 3, copy.image, false);
    ASSERT_TRUE(world.start(3).isOk());
    world.run(1000);
    // Alone with its log it does nothing.
    EXPECT_EQ(world.record.revision, 0u);
    EXPECT_TRUE(world.at(3).status().orphaned);
    EXPECT_NE(world.at(3).status().halted.find("is in no record"), std::string::npos);
    EXPECT_EQ(endOf(world.at(3)), copy.end);

    ASSERT_TRUE(world.at(3).found().isOk());
    ASSERT_TRUE(world.serves(1));
    const Configuration record = world.configuration();
    EXPECT_EQ(world.leader(), 3u);
    ASSERT_EQ(record.sync.size(), 1u);
    EXPECT_EQ(record.sync[0].id, 3u);
    EXPECT_NE(record.sync[0].incarnation, 1u);
    EXPECT_GT(record.epoch, copy.end.epoch);
    EXPECT_EQ(record.site, Site::Active);
    EXPECT_EQ(record.dataLossEpochs, 1u);
    EXPECT_FALSE(world.at(3).status().orphaned);
    // All of the copy, and behind it an entry that starts the epoch.
    EXPECT_EQ(world.at(3).log().epochAt(copy.end.last), copy.end.epoch);
    EXPECT_EQ(world.at(3).log().epochAt(copy.end.last + 1), record.epoch);

    // The others come with nothing, and are taken in.
    for (const MemberId id : {1, 2}) ASSERT_TRUE(world.start(id).isOk());
    ASSERT_TRUE(world.serves(3));
    world.trade(3, 20);
    ASSERT_TRUE(world.until([&] { return endOf(world.at(1)) == endOf(world.at(3)); }));
    ASSERT_TRUE(world.until([&] { return endOf(world.at(2)) == endOf(world.at(3)); }));
    EXPECT_GT(world.at(1).log().first(), 1u);
    // And from then on it is a cluster like any other.
    world.stop(3);
    ASSERT_TRUE(world.serves(2));
    ASSERT_TRUE(world.start(3).isOk());
    ASSERT_TRUE(world.serves(3));
    EXPECT_FALSE(world.at(3).status().orphaned);
}

TEST(Founding, AStandbySiteAddsNothingOfItsOwnUntilItIsActivated) {
    const Lost& copy = lost();
    World world(1, true);
    copyTo(world, 1, copy.image, false);
    ASSERT_TRUE(world.start(1).isOk());
    world.run(20);
    ASSERT_TRUE(world.at(1).found().isOk());
    ASSERT_TRUE(world.until([&] { return world.leader() == 1; }));
    EXPECT_EQ(world.configuration().site, Site::Standby);
    EXPECT_EQ(world.configuration().dataLossEpochs, 0u);
    world.run(1000);
    EXPECT_EQ(endOf(world.at(1)), copy.end);
    // Nothing has committed the end of the copy yet, and the site can go on all the same.
    EXPECT_LT(world.at(1).outputs().released(), copy.end.last);
    ASSERT_TRUE(world.at(1).activateSite().isOk());
    ASSERT_TRUE(world.until([&] { return world.at(1).outputs().released() > copy.end.last; }));
    world.trade(5, 3);
}

TEST(Founding, IsRefusedWhereThereIsARecordOrNothingToBeginWith) {
    World world(3);
    for (MemberId id = 1; id <= 3; id++) ASSERT_TRUE(world.start(id).isOk());
    // Nothing is here yet.
    world.step();
    EXPECT_FALSE(world.at(1).found().isOk());
    ASSERT_TRUE(world.serves(3));
    world.trade(1, 3);
    const std::string before = world.record.text;
    for (MemberId id = 1; id <= 3; id++) {
        const Status status = world.at(id).found();
        EXPECT_EQ(status.code(), StatusCode::ClusterExists) << status.toString();
    }
    world.run(100);
    EXPECT_EQ(world.record.text, before);
    EXPECT_TRUE(world.serves(3));

    World away(1);
    copyTo(away, 1, lost().image, false);
    away.isAway = true;
    ASSERT_TRUE(away.start(1).isOk());
    away.run(100);
    EXPECT_EQ(away.at(1).found().code(), StatusCode::Refused);
    EXPECT_EQ(endOf(away.at(1)), lost().end);
}

// The operator has started an empty member too early: it writes the first record. The copy stays as it is, also over
// restarts, and nobody is served from it.
TEST(Founding, TheOneThatComesSecondKeepsItsLogAndStandsAside) {
    for (const bool whole : {false, true}) {
        World world(3);
        copyTo(world, 2, lost().image, whole);
        // Of a copy of a whole folder nothing tells that it is one, but that there is no record when it starts.
        ASSERT_TRUE(world.start(2).isOk());
        world.run(20);
        for (const MemberId id : {1, 3}) ASSERT_TRUE(world.start(id).isOk());
        ASSERT_TRUE(world.serves(2));
        world.run(600);
        ASSERT_TRUE(world.serves(2));
        EXPECT_EQ(world.at(2).found().code(), StatusCode::ClusterExists);
        world.trade(9, 60);
        EXPECT_TRUE(world.at(2).status().orphaned);
        EXPECT_EQ(endOf(world.at(2)), lost().end) << whole;
        world.stop(2);
        ASSERT_TRUE(world.start(2).isOk());
        world.run(600);
        EXPECT_TRUE(world.at(2).status().orphaned);
        EXPECT_EQ(endOf(world.at(2)), lost().end) << whole;
        uint32_t taken = 0;
        EXPECT_EQ(world.at(2).replica().submit({}, 0, taken), Answered::Halted);

        // The way back: the others stopped, its log made the cluster's, by the word that is there for it.
        world.stop(1);
        world.stop(3);
        ASSERT_TRUE(world.at(2).force().isOk());
        ASSERT_TRUE(world.serves(1));
        EXPECT_GT(world.configuration().epoch, lost().end.epoch);
        EXPECT_EQ(world.at(2).log().epochAt(lost().end.last), lost().end.epoch);
        EXPECT_EQ(world.configuration().dataLossEpochs, 1u);
    }
}

// A folder that was copied whole has the number that members with nothing have in a first record. Such a record is there
// when it starts, and names it: whoever leads under it would adopt the copy, unasked.
TEST(Founding, AWholeCopyIsNotCountedByARecordThatOthersHaveBegun) {
    ASSERT_EQ(lost().incarnation, 1u);
    World world(3);
    ASSERT_TRUE(world.start(1).isOk());
    world.run(20);
    ASSERT_TRUE(world.configuration().holds(2, 1));
    copyTo(world, 2, lost().image, true);
    ASSERT_TRUE(world.start(2).isOk());
    world.run(6000);
    EXPECT_EQ(world.leader(), 0u);
    EXPECT_TRUE(world.at(2).status().orphaned);
    ASSERT_TRUE(world.start(3).isOk());
    ASSERT_TRUE(world.serves(2));
    world.run(600);
    EXPECT_EQ(endOf(world.at(2)), lost().end);
    EXPECT_LT(world.at(1).log().last(), lost().end.last);
}

TEST(Founding, OfTwoThatAreToldAtOnceOneBegins) {
    World world(2);
    for (const MemberId id : {1, 2}) {
        copyTo(world, id, lost().image, false);
        ASSERT_TRUE(world.start(id).isOk());
    }
    world.run(20);
    ASSERT_TRUE(world.at(2).found().isOk());
    ASSERT_TRUE(world.at(1).found().isOk());
    ASSERT_TRUE(world.until([&] { return world.at(1).replica().revision() != 0; }));
    EXPECT_EQ(world.at(1).found().code(), StatusCode::ClusterExists);
    // It has the same log, so it is taken in.
    ASSERT_TRUE(world.serves(2));
    EXPECT_EQ(world.leader(), 2u);
    EXPECT_EQ(world.configuration().dataLossEpochs, 1u);
    EXPECT_EQ(world.at(1).log().epochAt(lost().end.last), lost().end.epoch);
    EXPECT_EQ(world.at(1).status().truncations, 0u);
}

// A folder that was copied whole: who it was in the lost cluster counts for nothing.
TEST(Founding, ACopyOfAWholeFolderIsAnotherIncarnation) {
    World world(2);
    copyTo(world, 2, lost().image, true);
    ASSERT_TRUE(world.start(2).isOk());
    world.run(20);
    EXPECT_TRUE(world.at(2).status().orphaned);
    ASSERT_TRUE(world.at(2).found().isOk());
    ASSERT_TRUE(world.serves(1));
    const Incarnation founder = world.configuration().sync[0].incarnation;
    EXPECT_NE(founder, lost().incarnation);
    EXPECT_NE(founder, 1u);
    EXPECT_GT(world.configuration().epoch, lost().end.epoch);
}

// A recovery of nothing, or a copy of a folder that nothing was written to yet.
TEST(Founding, AFolderWithoutAnEntryIsAnEmptyOne) {
    World away(1);
    away.isAway = true;
    ASSERT_TRUE(away.start(1).isOk());
    away.run(20);
    away.stop(1);
    World world(1);
    copyTo(world, 1, away.disk(1).image(), false);
    ASSERT_FALSE(world.disk(1).image().empty());
    ASSERT_TRUE(world.start(1).isOk());
    EXPECT_FALSE(world.at(1).status().orphaned);
    ASSERT_TRUE(world.serves(1));
    EXPECT_EQ(world.configuration().dataLossEpochs, 0u);
}

TEST(Founding, GoesOnWhereACrashHasStoppedIt) {
    World world(1);
    copyTo(world, 1, lost().image, false);
    world.isDeaf = true;
    ASSERT_TRUE(world.start(1).isOk());
    world.run(20);
    ASSERT_TRUE(world.at(1).found().isOk());
    // The record is written, and nobody has heard of it.
    ASSERT_NE(world.record.revision, 0u);
    ASSERT_EQ(world.leader(), 0u);
    world.isDeaf = false;
    world.stop(1);
    ASSERT_TRUE(world.start(1).isOk());
    ASSERT_TRUE(world.serves(1));
    EXPECT_EQ(world.at(1).log().epochAt(lost().end.last), lost().end.epoch);
    EXPECT_FALSE(world.at(1).status().orphaned);
}

// As docs/operations.md says of a control store that is lost: stop all, put the record back, start them.
TEST(Founding, ARecordThatIsPutBackIsThatOfTheLogsThatItNames) {
    World world(3);
    for (MemberId id = 1; id <= 3; id++) ASSERT_TRUE(world.start(id).isOk());
    ASSERT_TRUE(world.serves(3));
    world.trade(1, 10);
    const ControlRecord kept = std::exchange(world.record, {});
    for (MemberId id = 1; id <= 3; id++) {
        world.stop(id);
        ASSERT_TRUE(world.start(id).isOk());
    }
    world.run(500);
    for (MemberId id = 1; id <= 3; id++) EXPECT_TRUE(world.at(id).status().orphaned);
    EXPECT_EQ(world.record.revision, 0u);
    for (MemberId id = 1; id <= 3; id++) world.stop(id);
    world.record = kept;
    for (MemberId id = 1; id <= 3; id++) ASSERT_TRUE(world.start(id).isOk());
    ASSERT_TRUE(world.serves(3));
    for (MemberId id = 1; id <= 3; id++) EXPECT_FALSE(world.at(id).status().orphaned);
    EXPECT_EQ(world.configuration().dataLossEpochs, 0u);
}

TEST(Founding, TakesNoCommandsBelowMinSync) {
    World world(2);
    world.minSync = 2;
    copyTo(world, 1, lost().image, false);
    ASSERT_TRUE(world.start(1).isOk());
    world.run(20);
    ASSERT_TRUE(world.at(1).found().isOk());
    ASSERT_TRUE(world.serves(1));
    uint32_t taken = 0;
    EXPECT_EQ(world.at(1).replica().submit({}, 0, taken), Answered::Halted);
    ASSERT_TRUE(world.start(2).isOk());
    ASSERT_TRUE(world.serves(2));
    world.trade(4, 2);
}

// A cluster that goes on has the copy's log: its leader says so, and the member joins, as another incarnation.
TEST(Founding, AFolderThatWasRecoveredJoinsTheClusterWhoseLogItIs) {
    World world(3);
    for (MemberId id = 1; id <= 3; id++) ASSERT_TRUE(world.start(id).isOk());
    ASSERT_TRUE(world.serves(3));
    world.trade(1, 40);
    ASSERT_TRUE(world.until([&] {
        return world.at(2).outputs().released() == world.at(2).log().last();
    }));
    const Incarnation before = world.at(2).replica().facts().incarnation;
    world.stop(2);
    const SimulatedDisk::Image image = world.disk(2).image();
    ASSERT_TRUE(world.serves(2));
    world.trade(2, 3);
    copyTo(world, 2, image, false);
    ASSERT_TRUE(world.start(2).isOk());
    EXPECT_TRUE(world.at(2).status().orphaned);
    ASSERT_TRUE(world.serves(3));
    EXPECT_FALSE(world.at(2).status().orphaned);
    EXPECT_EQ(world.at(2).status().installs, 0u);
    EXPECT_NE(world.at(2).replica().facts().incarnation, before);
    ASSERT_TRUE(world.until([&] { return endOf(world.at(2)) == endOf(world.at(1)); }));
    EXPECT_EQ(world.configuration().dataLossEpochs, 0u);
}

// Nothing less than the result proves it: epochs of two clusters have the same numbers.
TEST(Founding, ALeaderOfAnotherClusterProvesNothing) {
    World world(2);
    copyTo(world, 2, lost().image, false);
    ASSERT_TRUE(world.start(2).isOk());
    world.run(20);
    AppendFrame heartbeat;
    heartbeat.header.epoch = lost().end.epoch + 7;
    heartbeat.previousEpoch = lost().end.epoch;
    heartbeat.entry.first = lost().end.last + 1;
    heartbeat.released = lost().end.last;
    heartbeat.releasedHash = {1, 2};
    StateFrame asks;
    std::span<const std::byte> ends;
    const std::vector<std::byte> answer = world.answerTo(heartbeat, 1, 2);
    ASSERT_TRUE(readHead(answer, asks, ends));
    EXPECT_EQ(asks.header.flags, kStateOrphaned);
    EXPECT_EQ(asks.acknowledged, lost().end.last);
    EXPECT_TRUE(world.at(2).status().orphaned);
    EXPECT_LT(world.at(2).status().promised, heartbeat.header.epoch);
    heartbeat.releasedHash = lost().end.result;
    heartbeat.previousEpoch++;
    (void)world.answerTo(heartbeat, 1, 2);
    EXPECT_TRUE(world.at(2).status().orphaned);
    heartbeat.previousEpoch--;
    (void)world.answerTo(heartbeat, 1, 2);
    EXPECT_FALSE(world.at(2).status().orphaned);
    EXPECT_EQ(world.at(2).status().promised, heartbeat.header.epoch);
}

// A candidate of an epoch that the log has seen is of another record, whatever the store says, and if it says nothing.
TEST(Founding, NobodyIsFencedAtAnEpochOfItsLog) {
    World world(2);
    copyTo(world, 2, lost().image, true);
    world.isAway = true;
    ASSERT_TRUE(world.start(2).isOk());
    world.run(20);
    const auto isFenced = [&](Epoch epoch) {
        FenceFrame fence;
        fence.header.epoch = epoch;
        StateFrame state;
        std::span<const std::byte> ends;
        const std::vector<std::byte> answer = world.answerTo(fence, 1, 2);
        return readHead(answer, state, ends) && (state.header.flags & kStateFenced) != 0;
    };
    const Epoch promised = world.at(2).status().promised;
    ASSERT_EQ(promised, lost().end.epoch);
    EXPECT_FALSE(isFenced(promised));
    EXPECT_TRUE(isFenced(promised + 1));
}

// Of another member of the lost cluster, with what it did after the copy was made: whole, and not taken for the new one's.
TEST(Founding, WhoHasEpochsOfTheLostClusterBehindTheCopyIsNotMistakenForTheNewOnes) {
    World old(3);
    for (MemberId id = 1; id <= 3; id++) ASSERT_TRUE(old.start(id).isOk());
    ASSERT_TRUE(old.serves(3));
    old.trade(1, 5);
    const SimulatedDisk::Image copy = old.disk(1).image();
    // So it goes on there, through further epochs.
    for (int i = 0; i < 3; i++) {
        const MemberId leads = old.leader();
        old.stop(leads);
        ASSERT_TRUE(old.serves(2));
        ASSERT_TRUE(old.start(leads).isOk());
        ASSERT_TRUE(old.serves(3));
    }
    old.trade(2, 30);
    const End further = endOf(old.at(3));
    old.stop(3);

    World world(3);
    copyTo(world, 1, copy, true);
    ASSERT_TRUE(world.start(1).isOk());
    world.run(20);
    ASSERT_TRUE(world.at(1).found().isOk());
    ASSERT_TRUE(world.serves(1));
    EXPECT_GT(world.configuration().epoch, further.epoch);
    world.trade(7, 100);
    // It knows of something released that the new cluster has not got.
    copyTo(world, 3, old.disk(3).image(), true);
    ASSERT_TRUE(world.start(3).isOk());
    world.run(600);
    EXPECT_EQ(endOf(world.at(3)), further);
    EXPECT_EQ(world.at(3).replica().role(), Role::Halted);
    EXPECT_TRUE(world.serves(1));
}

}  // namespace
}  // namespace verbex::replication::founding_tests
