// A member's snapshots: what is recovered from one is what the whole log gives, whatever is damaged; what another
// member gives takes the log's place whole or not at all.
#include "replication/member_snapshots.h"

#include <gtest/gtest.h>

#include <deque>

#include "../core/random_commands.h"
#include "replication/member.h"
#include "replication/scrub_watch.h"
#include "replication/snapshot_transfer.h"
#include "sim/disk.h"
#include "wire/command_codec.h"
#include "wire/log_facts.h"

namespace verbex::replication {
namespace {

using sim::CrashMoment;
using sim::DiskFault;
using sim::RestartMode;
using sim::SimulatedDisk;

class Store final : public ControlStore {
public:
    void read(uint64_t request) override {
        answers_.push_back({ControlAnswer::Kind::Read, request, record_});
    }
    void compareAndSwap(uint64_t request, uint64_t expected, const std::string& text) override {
        const bool fits = expected == record_.revision;
        if (fits) record_ = {expected + 1, text};
        answers_.push_back(
            {fits ? ControlAnswer::Kind::Swapped : ControlAnswer::Kind::Conflict, request, record_});
    }
    bool poll(ControlAnswer& answer) override {
        if (answers_.empty()) return false;
        answer = answers_.front();
        answers_.pop_front();
        return true;
    }
    ControlRecord record_;
    std::deque<ControlAnswer> answers_;
};

class NoWires final : public Wires {
public:
    bool send(NodeId to, std::span<const std::byte> frame) override {
        if (to >= kFirstClient) sent_.emplace_back(to, std::vector(frame.begin(), frame.end()));
        return true;
    }
    std::vector<std::pair<NodeId, std::vector<std::byte>>> sent_;  // to clients
    void fence(uint64_t) override {}
    void close(NodeId) override {}
};

// A cluster of one, whose epochs rise with each start.
class One {
public:
    explicit One(uint64_t everyCommands, uint64_t historyBytes = UINT64_MAX / 2) {
        options_.data = "one";
        options_.limits = {1u << 10, 64, 8, 1u << 12};
        options_.segmentBytes = 8192;
        options_.tailBytes = 4096;
        options_.replica.members = {{1, false}};
        options_.replica.hotWanted = 1;
        options_.replica.batchBytes = 2048;
        options_.replica.executor.scrubNs = 50'000'000;
        options_.snapshots.everyCommands = everyCommands;
        options_.snapshots.historyBytes = historyBytes;
        options_.journalId = {1, 2};
    }

    Status start() {
        store_.answers_.clear();
        Result<std::unique_ptr<Member>> opened =
            Member::open(options_, disk_, wires_, store_, moment());
        if (!opened.isOk()) return opened.status();
        member_ = opened.take();
        for (int i = 0; i < 1000 && member_->replica().role() != Role::Leader; i++) step();
        return {};
    }
    void stop(RestartMode mode, uint64_t seed) {
        member_.reset();
        disk_.restart(mode, seed);
    }

    void submit(verbex::test::RandomCommands& random, uint32_t count) {
        std::vector<Command> commands;
        for (uint32_t i = 0; i < count; i++) {
            Command command = random.next();
            if (isLogFact(command.type)) command.type = 0;
            commands.push_back(command);
        }
        std::vector<std::byte> payload;
        encodeBatch(commands, payload);
        uint32_t taken = 0;
        ASSERT_EQ(member_->replica().submit(payload, count, taken), Answered::Taken);
        step();
        step();
    }

    void step() {
        now_ += 3'000'000;
        (void)member_->step(moment());
        if (member_->log().syncWanted()) {
            ASSERT_TRUE(member_->log().syncNow().isOk());
        }
        if (member_->snapshots().isWanted()) member_->snapshots().takeNow();
    }

    [[nodiscard]] Moment moment() const { return {now_, 1'700'000'000'000'000'000 + now_}; }

    MemberOptions options_;
    SimulatedDisk disk_;
    Store store_;
    NoWires wires_;
    std::unique_ptr<Member> member_;
    uint64_t now_ = 1'000'000'000;
};

// What a member is, at the end of its log.
struct Standing {
    Position last = 0;
    Digest128 result;
    Digest128 state;
    ExecutorMark mark;
    std::vector<EpochEnd> ends;
};

Standing standingOf(Member& member) {
    return {member.log().last(), member.executor().result(), member.executor().core().hash(),
            member.executor().mark(), member.log().ends()};
}

void expectEqual(const Standing& one, const Standing& other, const std::string& what) {
    EXPECT_EQ(one.last, other.last) << what;
    EXPECT_EQ(one.result, other.result) << what;
    EXPECT_EQ(one.state, other.state) << what;
    EXPECT_EQ(one.mark.scrubbedAt, other.mark.scrubbedAt) << what;
    EXPECT_EQ(one.mark.scrubs, other.mark.scrubs) << what;
    EXPECT_EQ(one.ends, other.ends) << what;
}

std::vector<std::string> snapshotsIn(SimulatedDisk& disk) {
    std::vector<std::string> paths;
    for (const auto& each : journal::listSnapshots(disk, "one/snapshots").take()) {
        paths.push_back("one/snapshots/" + each.name);
    }
    return paths;  // newest first
}

// The state that a directory recovers to, without its becoming a leader.
Result<Standing> recovered(One& world) {
    Store away;
    Result<std::unique_ptr<Member>> opened =
        Member::open(world.options_, world.disk_, world.wires_, away, world.moment());
    if (!opened.isOk()) return opened.status();
    const Standing standing = standingOf(*opened.value());
    return standing;
}

TEST(MemberSnapshots, WhatIsRecoveredIsWhatTheWholeLogGives) {
    for (uint64_t seed = 1; seed <= 12; seed++) {
        One world(20 + seed * 7);
        verbex::test::RandomCommands random(seed);
        // Several lives, so that there are several epochs.
        for (int life = 0; life < 4; life++) {
            ASSERT_TRUE(world.start().isOk());
            for (int i = 0; i < 25; i++) world.submit(random, 1 + random.below(9));
            world.stop(RestartMode::ProcessCrash, seed);
        }
        const SimulatedDisk::Image image = world.disk_.image();
        ASSERT_EQ(snapshotsIn(world.disk_).size(), 2u);
        Result<Standing> fast = recovered(world);
        ASSERT_TRUE(fast.isOk()) << fast.status().toString();
        world.disk_.load(image);
        for (const std::string& path : snapshotsIn(world.disk_)) {
            ASSERT_TRUE(world.disk_.remove(path).isOk());
        }
        Result<Standing> slow = recovered(world);
        ASSERT_TRUE(slow.isOk()) << slow.status().toString();
        EXPECT_GE(slow.value().ends.size(), 4u);
        expectEqual(fast.value(), slow.value(), "seed " + std::to_string(seed));
    }
}

TEST(MemberSnapshots, BytesOfTheLogMakeOneDueToo) {
    constexpr uint64_t kEveryBytes = 20'000;
    One world(0);
    world.options_.snapshots.everyBytes = kEveryBytes;
    verbex::test::RandomCommands random(3);
    ASSERT_TRUE(world.start().isOk());
    MemberSnapshots* snapshots = &world.member_->snapshots();
    while (world.member_->log().bytesTaken() < kEveryBytes / 2) world.submit(random, 5);
    EXPECT_EQ(snapshots->taken(), 0u);
    while (world.member_->log().bytesTaken() < kEveryBytes * 9 / 2) world.submit(random, 5);
    EXPECT_EQ(snapshots->taken(), 4u);
    // Both kinds: whichever comes first, and those by bytes go on.
    world.stop(RestartMode::ProcessCrash, 3);
    world.options_.snapshots.everyCommands = 1'000'000;
    ASSERT_TRUE(world.start().isOk());
    snapshots = &world.member_->snapshots();
    // What lies behind the newest one is all that is counted after a start.
    const MemberLog& log = world.member_->log();
    EXPECT_LT(log.bytesTaken(), kEveryBytes);
    EXPECT_EQ(snapshots->taken(), 0u);
    while (log.bytesTaken() < kEveryBytes * 3 / 2) world.submit(random, 5);
    EXPECT_EQ(snapshots->taken(), 1u);
}

// With a clock that goes 7 each time that it is asked.
TEST(MemberSnapshots, WhatTheyCostTheMembersThreadIsMeasured) {
    One one(40);
    uint64_t clock = 0;
    one.options_.clockNs = [&clock] { return clock += 7; };
    ASSERT_TRUE(one.start().isOk());
    verbex::test::RandomCommands random(3);
    for (int i = 0; i < 60; i++) one.submit(random, 5);
    const MemberStatus status = one.member_->status();
    EXPECT_GT(status.snapshots, 3u);
    EXPECT_EQ(status.snapshotHolds.mark, 7u);
    EXPECT_EQ(status.snapshotHolds.install, 0u);
    EXPECT_EQ(status.snapshotHolds.give, 0u);
    // Asked for marks only: no step of the hot path reads a clock for it.
    EXPECT_LE(clock, 14 * (status.snapshots + 2));
    // The log's time passes a multiple of 50 ms, in steps of 3 ms.
    EXPECT_GT(status.scrubs, 3u);
    EXPECT_GE(status.scrubLongestNs, 40'000'000u);
    EXPECT_LE(status.scrubLongestNs, 120'000'000u);
}

// An edge that begins with nothing: slowly, one part at a time, and not everybody at once.
TEST(MemberSnapshots, AClientIsGivenOneWholeAndBounded) {
    One one(40, 0);
    one.options_.snapshots.partBytes = 512;
    one.options_.clients.snapshots.bytesPerSecond = 100'000;
    ASSERT_TRUE(one.start().isOk());
    verbex::test::RandomCommands random(5);
    while (one.member_->log().first() == 1) one.submit(random, 5);
    FrameBuffer buffer;
    const auto want = [&](NodeId client, Position position, uint64_t offset) {
        WantFrame frame;
        frame.position = position;
        frame.offset = offset;
        one.member_->onFrame(client, buffer.make(frame), one.moment());
    };
    const auto offered = [&](OfferFrame& into) {
        const bool is = readFrame(one.wires_.sent_.back().second, into);
        one.wires_.sent_.clear();
        return is;
    };
    OfferFrame offer;
    // What is in the log needs no snapshot.
    want(kFirstClient, 0, one.member_->log().first());
    ASSERT_TRUE(offered(offer));
    EXPECT_EQ(offer.position, 0u);
    want(kFirstClient + 1, 0, 1);
    ASSERT_TRUE(offered(offer));
    want(kFirstClient, 0, 1);
    ASSERT_TRUE(offered(offer));
    ASSERT_EQ(offer.position, one.member_->snapshots().newest());
    RefusedFrame refused;
    want(kFirstClient + 2, 0, 1);
    ASSERT_TRUE(readFrame(one.wires_.sent_.back().second, refused));
    EXPECT_EQ(refused.why, Answered::Busy);
    // A place that is free again is given.
    one.member_->onClosed(kFirstClient + 1);
    want(kFirstClient + 2, 0, 1);
    OfferFrame other;
    ASSERT_TRUE(offered(other));

    Hash128 hash{journal::kSnapshotChainSeed};
    uint64_t got = 0;
    uint64_t steps = 0;
    const Position newest = one.member_->snapshots().newest();
    for (; got < offer.contentBytes && steps < 100'000; steps++) {
        one.wires_.sent_.clear();
        want(kFirstClient, offer.position, got);
        // A newer one is no reason to begin again.
        if (one.member_->snapshots().newest() == newest) {
            one.submit(random, 5);
        } else {
            one.step();
        }
        for (const auto& [to, frame] : one.wires_.sent_) {
            PartFrame part;
            std::span<const std::byte> bytes;
            if (to != kFirstClient || !readHead(frame, part, bytes)) continue;
            if (part.offset != got) continue;
            hash.update(bytes.data(), bytes.size());
            got += bytes.size();
        }
        // A step is 3 ms, and two at most each time: 300 bytes a step.
        ASSERT_LE(got, 2 * 300 * (steps + 1) + kPartsPerWant * 512);
    }
    ASSERT_EQ(got, offer.contentBytes);
    EXPECT_EQ(hash.digest(), offer.contentDigest);
    EXPECT_GT(one.member_->snapshots().newest(), offer.position);
}

TEST(ScrubWatch, CountsFromOneScrubToTheReleaseOfTheNext) {
    ScrubWatch watch;
    watch.look(1, 10, 10, 1000);  // the first one: nothing is known of what was before
    EXPECT_EQ(watch.longestNs(), 0u);
    watch.look(1, 20, 20, 3000);
    watch.look(2, 30, 25, 5000);  // executed, not released
    EXPECT_EQ(watch.longestNs(), 0u);
    watch.look(2, 35, 29, 5500);
    EXPECT_EQ(watch.longestNs(), 0u);
    watch.look(2, 35, 30, 6000);
    EXPECT_EQ(watch.longestNs(), 5000u);
    watch.look(3, 50, 50, 7000);  // both at once
    EXPECT_EQ(watch.longestNs(), 5000u);
    watch.look(4, 60, 55, 9000);
    watch.look(5, 70, 55, 11'000);  // the next one, while that waits
    watch.look(5, 70, 60, 20'000);
    EXPECT_EQ(watch.longestNs(), 13'000u);
    watch.restart(9);
    watch.look(9, 90, 90, 90'000);
    watch.look(10, 95, 95, 91'000);  // how long the other one was before is not known
    EXPECT_EQ(watch.longestNs(), 13'000u);
}

TEST(MemberSnapshots, OneThatFailedByBytesIsDueAgain) {
    constexpr uint64_t kEveryBytes = 20'000;
    One world(0);
    world.options_.snapshots.everyBytes = kEveryBytes;
    verbex::test::RandomCommands random(4);
    ASSERT_TRUE(world.start().isOk());
    MemberSnapshots& snapshots = world.member_->snapshots();
    // Given up in the midst, as a stop or a getter would have it: nothing is taken.
    snapshots.stop();
    while (world.member_->log().bytesTaken() < kEveryBytes * 3 / 2) world.submit(random, 5);
    EXPECT_EQ(snapshots.taken(), 0u);
    EXPECT_EQ(snapshots.newest(), 0u);
    world.step();
    (void)world.member_->step(world.moment());
    EXPECT_TRUE(snapshots.isWanted());
}

TEST(MemberSnapshots, ADamagedOneIsPassedOverAndNamed) {
    One world(60);
    verbex::test::RandomCommands random(5);
    ASSERT_TRUE(world.start().isOk());
    for (int i = 0; i < 60; i++) world.submit(random, 5);
    const Standing sound = standingOf(*world.member_);
    world.stop(RestartMode::ProcessCrash, 1);
    const SimulatedDisk::Image image = world.disk_.image();
    const std::vector<std::string> paths = snapshotsIn(world.disk_);
    ASSERT_EQ(paths.size(), 2u);
    const uint64_t bytes = image.at(paths[0]).size();
    ASSERT_GT(bytes, 300u);
    // A bit in every part: header, block header, head of the member, ends, state, footer; then here and there.
    std::vector<uint64_t> places = {0, 9, 40, 70, 123, 128, 140, 150, 200, 275, bytes - 48, bytes - 1};
    for (uint64_t at = 130; at < bytes; at += 997) places.push_back(at);
    for (const uint64_t at : places) {
        world.disk_.load(image);
        world.disk_.flipBit(paths[0], at * 8 + at % 8);
        Store away;
        Result<std::unique_ptr<Member>> opened =
            Member::open(world.options_, world.disk_, world.wires_, away, world.moment());
        ASSERT_TRUE(opened.isOk()) << "byte " << at << ": " << opened.status().toString();
        const MemberStatus status = opened.value()->status();
        ASSERT_EQ(status.refusedSnapshots.size(), 1u) << "byte " << at;
        EXPECT_NE(status.refusedSnapshots[0].find("at "), std::string::npos);
        EXPECT_EQ(status.snapshot, 0u + std::stoull(paths[1].substr(14)));
        expectEqual(standingOf(*opened.value()), sound, "byte " + std::to_string(at));
    }
    // Both: the whole log is there.
    world.disk_.load(image);
    for (const std::string& path : paths) world.disk_.flipBit(path, 1200);
    Result<Standing> whole = recovered(world);
    ASSERT_TRUE(whole.isOk()) << whole.status().toString();
    expectEqual(whole.value(), sound, "both");
    // Shortened ones.
    for (const uint64_t left : {uint64_t{0}, uint64_t{100}, bytes / 2, bytes - 1}) {
        world.disk_.load(image);
        world.disk_.truncate(paths[0], left);
        Result<Standing> standing = recovered(world);
        ASSERT_TRUE(standing.isOk()) << standing.status().toString();
        expectEqual(standing.value(), sound, "shortened");
    }
}

TEST(MemberSnapshots, ThePrunedLogIsRefusedWithoutASoundSnapshot) {
    One world(60, 0);
    verbex::test::RandomCommands random(6);
    ASSERT_TRUE(world.start().isOk());
    for (int i = 0; i < 120; i++) world.submit(random, 5);
    ASSERT_GT(world.member_->log().first(), 1u);
    LogEntry entry;
    EXPECT_EQ(world.member_->log().read(1, entry).code(), StatusCode::NotFound);
    EXPECT_TRUE(world.member_->log().read(world.member_->log().first(), entry).isOk());
    const Standing sound = standingOf(*world.member_);
    world.stop(RestartMode::PowerCut, 3);
    const SimulatedDisk::Image image = world.disk_.image();
    const std::vector<std::string> paths = snapshotsIn(world.disk_);
    ASSERT_EQ(paths.size(), 2u);
    Result<Standing> standing = recovered(world);
    ASSERT_TRUE(standing.isOk()) << standing.status().toString();
    expectEqual(standing.value(), sound, "newest");
    world.disk_.load(image);
    world.disk_.flipBit(paths[0], 1200);
    standing = recovered(world);
    ASSERT_TRUE(standing.isOk()) << standing.status().toString();
    expectEqual(standing.value(), sound, "older");
    world.disk_.load(image);
    for (const std::string& path : paths) world.disk_.flipBit(path, 1200);
    standing = recovered(world);
    ASSERT_FALSE(standing.isOk());
    EXPECT_EQ(standing.status().code(), StatusCode::JournalDamaged);
    for (const std::string& path : paths) {
        EXPECT_NE(standing.status().message().find(path.substr(14)), std::string::npos)
            << standing.status().toString();
    }
}

TEST(MemberSnapshots, ALogThatHasLostWhatASnapshotCoversIsRefused) {
    One world(60);
    verbex::test::RandomCommands random(7);
    ASSERT_TRUE(world.start().isOk());
    for (int i = 0; i < 60; i++) world.submit(random, 5);
    world.stop(RestartMode::ProcessCrash, 1);
    for (const auto& segment : journal::listSegments(world.disk_, "one/journal").take()) {
        ASSERT_TRUE(world.disk_.remove("one/journal/" + segment.name).isOk());
    }
    EXPECT_EQ(recovered(world).status().code(), StatusCode::JournalDamaged);
}

// One member's snapshot, as another gets it.
struct Gift {
    journal::SnapshotFacts facts;
    Digest128 contentDigest;
    std::vector<std::byte> content;
    Standing standing;
};

Gift giftOf(One& giver) {
    Gift gift;
    std::unique_ptr<journal::SnapshotReader> reader = giver.member_->snapshots().openNewest().take();
    gift.facts = reader->facts();
    gift.contentDigest = reader->contentDigest();
    for (uint64_t i = 0; i < reader->blocks(); i++) {
        const std::span<const std::byte> block = reader->block(i).take();
        gift.content.insert(gift.content.end(), block.begin(), block.end());
    }
    Outputs nowhere(0);
    ExecutorOptions options = giver.options_.replica.executor;
    options.limits = giver.options_.limits;
    MemberState state = readMemberState(*reader, options, nowhere).take();
    gift.standing = {state.position(), state.executor->result(), state.executor->core().hash(),
                     state.executor->mark(), state.ends};
    return gift;
}

Status installIn(Member& member, const Gift& gift, bool* wasUndone = nullptr) {
    journal::SnapshotFacts facts;
    facts.position = gift.facts.position;
    facts.epoch = gift.facts.epoch;
    Result<std::unique_ptr<journal::SnapshotWriter>> writer = member.snapshots().beginInstall(facts);
    if (!writer.isOk()) return writer.status();
    VERBEX_RETURN_IF_FAILED(writer.value()->write(gift.content));
    bool undone = false;
    Status status =
        member.snapshots()
            .install(writer.take(), gift.facts.stateHash, gift.contentDigest, member.outputs(), undone)
            .status();
    if (wasUndone != nullptr) *wasUndone = undone;
    return status;
}

// The machine or the process stops at each of the calls to the disk.
TEST(MemberSnapshots, AnInstallationIsWholeOrNothingWhereverItStops) {
    One giver(100);
    verbex::test::RandomCommands random(8);
    ASSERT_TRUE(giver.start().isOk());
    for (int i = 0; i < 80; i++) giver.submit(random, 5);
    const Gift gift = giftOf(giver);

    One getter(30, 0);
    getter.options_.journalId = {3, 4};
    verbex::test::RandomCommands others(9);
    ASSERT_TRUE(getter.start().isOk());
    for (int i = 0; i < 40; i++) getter.submit(others, 5);
    const Standing old = standingOf(*getter.member_);
    ASSERT_LT(old.last, gift.standing.last);
    ASSERT_GT(getter.member_->log().first(), 1u);
    getter.stop(RestartMode::ProcessCrash, 1);
    const SimulatedDisk::Image image = getter.disk_.image();

    uint64_t olds = 0;
    uint64_t news = 0;
    for (const RestartMode mode : {RestartMode::ProcessCrash, RestartMode::PowerCut}) {
        for (uint64_t call = 1;; call++) {
            ASSERT_LT(call, 500u);
            getter.disk_.load(image);
            getter.disk_.restart(RestartMode::ProcessCrash, call);
            Store away;
            std::unique_ptr<Member> member =
                Member::open(getter.options_, getter.disk_, getter.wires_, away, getter.moment()).take();
            getter.disk_.crashAt(getter.disk_.calls() + call,
                                 call % 2 == 0 ? CrashMoment::Before : CrashMoment::After);
            const Status status = installIn(*member, gift);
            const bool crashed = getter.disk_.crashed();
            member.reset();
            getter.disk_.restart(mode, call * 77);
            Result<Standing> standing = recovered(getter);
            ASSERT_TRUE(standing.isOk()) << "call " << call << ": " << standing.status().toString();
            const bool isNew = standing.value().last == gift.standing.last;
            expectEqual(standing.value(), isNew ? gift.standing : old, "call " + std::to_string(call));
            (isNew ? news : olds)++;
            if (crashed) continue;
            EXPECT_TRUE(status.isOk()) << status.toString();
            EXPECT_TRUE(isNew);
            break;
        }
    }
    EXPECT_GT(olds, 5u);
    EXPECT_GT(news, 5u);
}

// A failed call is not a stopped machine: the member goes on with what it had, or fails.
TEST(MemberSnapshots, AnInstallationThatFailsIsUndoneOrEndsTheMember) {
    One giver(100);
    verbex::test::RandomCommands random(8);
    ASSERT_TRUE(giver.start().isOk());
    for (int i = 0; i < 80; i++) giver.submit(random, 5);
    Gift gift = giftOf(giver);
    One getter(1000);
    ASSERT_TRUE(getter.start().isOk());
    verbex::test::RandomCommands others(9);
    for (int i = 0; i < 20; i++) getter.submit(others, 5);
    const Standing old = standingOf(*getter.member_);
    // Content that is not what its header says.
    gift.content[gift.content.size() / 2] ^= std::byte{1};
    EXPECT_FALSE(installIn(*getter.member_, gift).isOk());
    expectEqual(standingOf(*getter.member_), old, "still there");
    getter.submit(others, 5);
    const Standing later = standingOf(*getter.member_);
    EXPECT_GT(later.last, old.last);
    getter.stop(RestartMode::ProcessCrash, 1);
    Result<Standing> standing = recovered(getter);
    ASSERT_TRUE(standing.isOk()) << standing.status().toString();
    expectEqual(standing.value(), later, "after it");
}

// There was no room for one of its files, and now there is: nothing of the first try is in the second one's way.
TEST(MemberSnapshots, AnInstallationThatWasUndoneMayBeTriedAgain) {
    One giver(100);
    verbex::test::RandomCommands random(8);
    ASSERT_TRUE(giver.start().isOk());
    for (int i = 0; i < 80; i++) giver.submit(random, 5);
    const Gift gift = giftOf(giver);
    One getter(1000);
    verbex::test::RandomCommands others(9);
    ASSERT_TRUE(getter.start().isOk());
    for (int i = 0; i < 20; i++) getter.submit(others, 5);
    getter.stop(RestartMode::ProcessCrash, 1);
    const SimulatedDisk::Image image = getter.disk_.image();
    uint64_t again = 0;
    for (uint64_t call = 1;; call++) {
        ASSERT_LT(call, 500u);
        getter.disk_.load(image);
        getter.disk_.restart(RestartMode::ProcessCrash, call);
        Store away;
        std::unique_ptr<Member> member =
            Member::open(getter.options_, getter.disk_, getter.wires_, away, getter.moment()).take();
        getter.disk_.failAt(getter.disk_.calls() + call, DiskFault::NoSpace);
        bool undone = false;
        const Status first = installIn(*member, gift, &undone);
        if (first.isOk()) break;
        if (!undone) continue;
        again++;
        const Status second = installIn(*member, gift);
        EXPECT_TRUE(second.isOk()) << "call " << call << ": " << first.toString() << "; then "
                                   << second.toString();
        member.reset();
        getter.disk_.restart(RestartMode::ProcessCrash, call);
        Result<Standing> standing = recovered(getter);
        ASSERT_TRUE(standing.isOk()) << "call " << call << ": " << standing.status().toString();
        expectEqual(standing.value(), gift.standing, "call " + std::to_string(call));
    }
    EXPECT_GT(again, 3u);
}

TEST(MemberSnapshots, AnotherMachinesCapacitiesAreRefused) {
    One world(60);
    verbex::test::RandomCommands random(5);
    ASSERT_TRUE(world.start().isOk());
    for (int i = 0; i < 30; i++) world.submit(random, 5);
    std::unique_ptr<journal::SnapshotReader> reader = world.member_->snapshots().openNewest().take();
    ExecutorOptions other = world.options_.replica.executor;
    other.limits = world.options_.limits;
    other.limits.maxAccounts++;
    Outputs nowhere(0);
    EXPECT_EQ(readMemberState(*reader, other, nowhere).status().code(), StatusCode::SnapshotDamaged);
}

}  // namespace
}  // namespace verbex::replication
