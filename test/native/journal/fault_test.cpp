// EIO, ENOSPC and failing syncs at every call: no acknowledgement after an error, none before it
// lost.
#include <gtest/gtest.h>

#include "workload.h"

namespace verbex::journal::test {
namespace {

using sim::DiskFault;
using sim::RestartMode;

class FaultTest : public testing::TestWithParam<Durability> {};

TEST_P(FaultTest, EveryCallFailingOnceEndsTheWriterAndLosesNothing) {
    WorkloadOptions options;
    options.durability = GetParam();
    options.seed = 5;
    options.operations = 150;
    options.segmentBytes = 3 * kBlockBytes;  // so that the tail block also moves on
    SimulatedDisk whole;
    Ledger undisturbed;
    ASSERT_TRUE(runWorkload(whole, options, undisturbed).isOk());
    for (uint64_t call = 1; call <= whole.calls(); ++call) {
        for (const DiskFault fault : {DiskFault::IoError, DiskFault::NoSpace}) {
            for (const RestartMode mode : {RestartMode::ProcessCrash, RestartMode::PowerCut}) {
                SimulatedDisk disk;
                disk.failAt(call, fault);
                Ledger ledger;
                const Status status = runWorkload(disk, options, ledger);
                ASSERT_FALSE(status.isOk()) << "call " << call << " failed and nobody noticed";
                ASSERT_EQ(status.code(), fault == DiskFault::NoSpace ? StatusCode::NoSpace
                                                                     : StatusCode::IoError);
                disk.restart(mode, call);
                RecoveryReport report;
                const std::string wrong = judge(disk, ledger, ledger.durable, &report);
                ASSERT_EQ(wrong, "") << "call " << call << " mode " << static_cast<int>(mode);
                // What a failed sync left in the page cache only must not be believed durable.
                disk.restart(RestartMode::PowerCut, call + 1);
                const std::string later = judge(disk, ledger, report.end.nextPosition - 1);
                ASSERT_EQ(later, "") << "call " << call << " after a later power cut";
            }
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Durabilities, FaultTest,
                         testing::Values(Durability::Durable, Durability::Async),
                         [](const auto& tested) {
                             return tested.param == Durability::Durable ? "Durable" : "Async";
                         });

struct Poisoned {
    SimulatedDisk disk;
    std::unique_ptr<DirectoryLock> lock;
    std::unique_ptr<JournalWriter> writer;

    explicit Poisoned(Durability durability) {
        lock = disk.lockDirectory(kData).take();
        writer = JournalWriter::open(disk, *lock, kJournal, {},
                                     {.durability = durability,
                                      .segmentBytes = 16384,
                                      .stagingBytes = 16384,
                                      .journalId = kId})
                     .take();
    }
};

TEST(Fault, APoisonedWriterAnswersItsFirstFailureForEverAndTouchesNothing) {
    for (const Durability durability : {Durability::Durable, Durability::Async}) {
        Poisoned poisoned(durability);
        JournalWriter& writer = *poisoned.writer;
        ASSERT_TRUE(writer.append(1, 1, 1, randomBytes(1, 50)).isOk());
        ASSERT_TRUE(writer.sync().isOk());
        ASSERT_EQ(writer.durablePosition(), 1u);
        ASSERT_TRUE(writer.append(1, 2, 1, randomBytes(2, 50)).isOk());
        poisoned.disk.failAt(poisoned.disk.calls() + 1, DiskFault::IoError);
        const Status first = writer.commit();
        ASSERT_EQ(first.code(), StatusCode::IoError);
        ASSERT_TRUE(writer.failed());
        const uint64_t calls = poisoned.disk.calls();
        for (int i = 0; i < 3; ++i) {
            EXPECT_EQ(writer.commit().message(), first.message());
            EXPECT_EQ(writer.sync().message(), first.message());
            EXPECT_EQ(writer.append(1, 3, 1, randomBytes(3, 50)).message(), first.message());
            EXPECT_EQ(writer.prepareNext().message(), first.message());
            EXPECT_EQ(writer.removeSegmentsBefore(1).message(), first.message());
            EXPECT_EQ(writer.close().message(), first.message());
        }
        EXPECT_EQ(poisoned.disk.calls(), calls) << "the disk was touched after the failure";
        EXPECT_EQ(writer.durablePosition(), 1u);
    }
}

TEST(Fault, AFailedSyncPoisonsToo) {
    Poisoned poisoned(Durability::Async);
    JournalWriter& writer = *poisoned.writer;
    ASSERT_TRUE(writer.append(1, 1, 1, randomBytes(1, 50)).isOk());
    ASSERT_TRUE(writer.commit().isOk());
    poisoned.disk.failAt(poisoned.disk.calls() + 1, DiskFault::IoError);
    EXPECT_EQ(writer.sync().code(), StatusCode::IoError);
    EXPECT_EQ(writer.durablePosition(), 0u);
    EXPECT_EQ(writer.sync().code(), StatusCode::IoError);
    EXPECT_EQ(writer.commit().code(), StatusCode::IoError);
}

TEST(Fault, AFullDiskWhilePreparingIsAnsweredAndTheCurrentSegmentGoesOn) {
    Poisoned poisoned(Durability::Durable);
    JournalWriter& writer = *poisoned.writer;
    // The second call from here: create, then preallocate.
    poisoned.disk.failAt(poisoned.disk.calls() + 2, DiskFault::NoSpace);
    EXPECT_EQ(writer.prepareNext().code(), StatusCode::NoSpace);
    EXPECT_FALSE(writer.nextIsPrepared());
    EXPECT_FALSE(writer.failed());
    ASSERT_TRUE(writer.append(1, 1, 1, randomBytes(1, 50)).isOk());
    EXPECT_TRUE(writer.commit().isOk());
    EXPECT_TRUE(writer.prepareNext().isOk());
    EXPECT_TRUE(writer.nextIsPrepared());
}

TEST(Fault, AReadErrorDuringRecoveryIsNeitherDamageNorAnEnd) {
    SimulatedDisk disk;
    WorkloadOptions options;
    options.seed = 8;
    options.operations = 60;
    Ledger ledger;
    ASSERT_TRUE(runWorkload(disk, options, ledger).isOk());
    const RecoveryOptions recovery{.fromPosition = 0};
    const uint64_t before = disk.reads();
    ASSERT_TRUE(verifyJournal(disk, kJournal, recovery).status.isOk());
    const uint64_t reads = disk.reads() - before;
    ASSERT_GT(reads, 1u);
    for (uint64_t read = 1; read <= reads; ++read) {
        disk.failReadAt(disk.reads() + read);
        const RecoveryReport report = verifyJournal(disk, kJournal, recovery);
        ASSERT_EQ(report.status.code(), StatusCode::IoError) << read;
        ASSERT_FALSE(report.damage.has_value());
    }
}

}  // namespace
}  // namespace verbex::journal::test
