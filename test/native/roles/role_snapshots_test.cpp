// The snapshots of one process, with the sequencer played by hand: which are kept, which are offered, what a failure costs.
#include "roles/role_snapshots.h"

#include <gtest/gtest.h>

#include "core/random_commands.h"
#include "roles/risk_process.h"
#include "sim/disk.h"
#include "wire/command_codec.h"

namespace verbex::roles::test {
namespace {

constexpr CoreLimits kLimits{
    .maxOrders = 512, .maxAccounts = 64, .maxInstruments = 16, .maxClientIds = 4096};

RoleSnapshotOptions snapshotOptions() {
    RoleSnapshotOptions options;
    options.whose = {"test", PartKind::Risk, 0, 2, 2, kLimits, RoleMutant::None};
    options.directory = "/snapshots";
    options.everyCommands = 100;
    return options;
}

class OfOneProcess : public testing::Test {
protected:
    void SetUp() override { begin(); }
    // As after kill -9.
    void begin() {
        process_.reset();
        snapshots_.reset();
        disk_.restart(sim::RestartMode::ProcessCrash, 1);
        auto opened = RoleSnapshots::open(disk_, snapshotOptions());
        ASSERT_TRUE(opened.isOk()) << opened.status().toString();
        snapshots_ = opened.take();
        RoleProcessOptions options;
        options.limits = kLimits;
        options.riskShards = options.matchingShards = 2;
        process_ = std::make_unique<RiskProcess>(options);
        process_->keep(*snapshots_);
    }
    void work() {
        while (snapshots_->isWanted()) snapshots_->workNow();
    }
    // What a process says of where it would begin, at a new link.
    HelloBody hello() {
        (void)process_->ready();  // what was fed counts no more
        work();
        EXPECT_TRUE(process_->ready());
        process_->attach();
        sequencer_ = Channel();
        HelloBody found;
        receive([&found](const RoleMessage& message) {
            PayloadReader reader(message.payload);
            EXPECT_TRUE(message.kind == MessageKind::Hello && reader.get(found));
        });
        return found;
    }
    template <typename Visit>
    void receive(Visit visit) {
        process_->report();
        process_->channel().flush([&](std::span<const std::byte> frame) {
            const Status status = sequencer_.receive(frame, [&](const RoleMessage& message) {
                visit(message);
                return true;
            });
            EXPECT_TRUE(status.isOk()) << status.toString();
            return true;
        });
    }
    Status send(MessageKind kind, Position position, std::span<const std::byte> payload = {}) {
        Status status;
        sequencer_.put(kind, position, payload);
        sequencer_.flush([&](std::span<const std::byte> frame) {
            status = process_->onFrame(frame);
            return true;
        });
        return status;
    }
    Status join(Position at, const Digest128& hash) {
        JoinBody body;
        body.hash = hash;
        return send(MessageKind::Join, at, PayloadWriter().put(body).bytes());
    }
    // The next `count` commands, to the part if there is none yet, and to the shadow behind it.
    std::vector<std::byte> next(uint32_t count) {
        std::vector<std::byte> payload;
        for (uint32_t i = 0; i < count; i++) {
            const Command command = random_.next();
            log_.replay(command);
            encodeBatch(std::span(&command, 1), payload);
        }
        return payload;
    }
    Status follow(uint32_t count) {
        FollowBody body;
        body.count = count;
        body.mark = 1;
        const Position first = log_.position() + 1;
        const std::vector<std::byte> payload = next(count);
        PayloadWriter writer;
        writer.put(body).rows(std::span<const std::byte>(payload));
        return send(MessageKind::Follow, first, writer.bytes());
    }
    // A process that takes part, with snapshots of 100, 200, 300.
    void takeThree() {
        EXPECT_EQ(hello().position, 0u);
        ASSERT_TRUE(send(MessageKind::Begin, 0).isOk());
        const std::vector<std::byte> payload = next(50);
        PayloadWriter writer;
        writer.put(uint32_t{50}).rows(std::span<const std::byte>(payload));
        ASSERT_TRUE(send(MessageKind::Rebuild, 1, writer.bytes()).isOk());
        ASSERT_TRUE(join(50, log_.chain()).isOk());
        work();
        Position shadow = 1;
        receive([&shadow](const RoleMessage& message) {
            if (message.kind == MessageKind::Followed) shadow = message.position;
        });
        ASSERT_EQ(shadow, 0u);
        FollowBody body;
        body.count = 50;
        PayloadWriter again;
        again.put(body).rows(std::span<const std::byte>(payload));
        ASSERT_TRUE(send(MessageKind::Follow, 1, again.bytes()).isOk());
        for (const uint32_t count : {50u, 100u, 100u}) ASSERT_TRUE(follow(count).isOk());
        work();
        ASSERT_EQ(snapshots_->status().taken, 3u) << snapshots_->status().trouble;
        chain_ = log_.chain();
    }

    sim::SimulatedDisk disk_;
    std::unique_ptr<RoleSnapshots> snapshots_;
    std::unique_ptr<RiskProcess> process_;
    Channel sequencer_;
    verbex::test::RandomCommands random_{7};
    Rebuild log_{kLimits, 2, 2};  // one core that is fed the log
    Digest128 chain_;             // at 300
};

TEST_F(OfOneProcess, TwoAreKeptAndTheNewestIsOffered) {
    takeThree();
    size_t files = 0;
    for (const auto& [name, contents] : disk_.image()) files += name.ends_with(".snapshot") ? 1 : 0;
    EXPECT_EQ(files, 2u);
    begin();
    const HelloBody offered = hello();
    EXPECT_EQ(offered.position, 300u);
    EXPECT_EQ(offered.hash, chain_);
    ASSERT_TRUE(send(MessageKind::Begin, 300).isOk());
    ASSERT_TRUE(join(300, chain_).isOk());
    EXPECT_TRUE(process_->joined());
    EXPECT_EQ(process_->base(), 300u);
    EXPECT_EQ(process_->part()->share(PartKind::Risk, 0), log_.part().share(PartKind::Risk, 0));
}

// The shadow itself is what the next link begins with, ahead of the newest file.
TEST_F(OfOneProcess, ALinkThatBreaksBeginsWithTheShadow) {
    takeThree();
    ASSERT_TRUE(follow(30).isOk());
    work();
    EXPECT_EQ(hello().position, 330u);
    // Links that end before anything is sent cost nothing: it is still there.
    EXPECT_EQ(hello().position, 330u);
    EXPECT_EQ(snapshots_->status().refused, 0u);
}

TEST_F(OfOneProcess, WhatTheSequencerDoesNotConfirmIsNotOfferedAgain) {
    takeThree();
    begin();
    EXPECT_EQ(hello().position, 300u);
    const Status refused = send(MessageKind::Begin, 0);
    EXPECT_EQ(refused.code(), StatusCode::PositionLost) << refused.toString();
    EXPECT_EQ(hello().position, 200u);
    EXPECT_EQ(send(MessageKind::Begin, 0).code(), StatusCode::PositionLost);
    EXPECT_EQ(hello().position, 0u);
    EXPECT_TRUE(send(MessageKind::Begin, 0).isOk());
    EXPECT_EQ(snapshots_->status().refused, 2u);
    // And not after a restart.
    begin();
    EXPECT_EQ(hello().position, 0u);
}

// The chain was right and the state was not: the hash behind the log that came after it says so.
TEST_F(OfOneProcess, ASnapshotWithWhichTheLogGivesAnotherResultIsPutAside) {
    takeThree();
    begin();
    EXPECT_EQ(hello().position, 300u);
    ASSERT_TRUE(send(MessageKind::Begin, 300).isOk());
    EXPECT_EQ(join(300, Digest128{1, 2}).code(), StatusCode::Refused);
    EXPECT_EQ(hello().position, 200u);
}

TEST_F(OfOneProcess, AShadowThatIsNotConfirmedBeginsAgainWithTheNewestFile) {
    takeThree();
    ASSERT_TRUE(follow(30).isOk());
    work();
    receive([](const RoleMessage&) {});
    ASSERT_TRUE(send(MessageKind::Disagree, 330).isOk());
    work();
    Position shadow = 0;
    receive([&shadow](const RoleMessage& message) {
        if (message.kind == MessageKind::Followed) shadow = message.position;
    });
    EXPECT_EQ(shadow, 300u);
    EXPECT_TRUE(process_->joined());  // it trades all the same
}

TEST_F(OfOneProcess, AFullDiskCostsOneSnapshotAndSaysSo) {
    takeThree();
    disk_.failAt(disk_.calls() + 2, sim::DiskFault::NoSpace);
    ASSERT_TRUE(follow(100).isOk());
    work();
    EXPECT_EQ(snapshots_->status().taken, 3u);
    EXPECT_NE(snapshots_->status().trouble, "");
    ASSERT_TRUE(follow(10).isOk());  // at the next mark
    work();
    EXPECT_EQ(snapshots_->status().taken, 4u);
    EXPECT_EQ(snapshots_->status().trouble, "");
    EXPECT_EQ(snapshots_->status().newest, 410u);
}

TEST_F(OfOneProcess, ASecondProcessOfTheSameFolderIsRefused) {
    const auto second = RoleSnapshots::open(disk_, snapshotOptions());
    EXPECT_EQ(second.status().code(), StatusCode::DataDirectoryInUse);
}

}  // namespace
}  // namespace verbex::roles::test
