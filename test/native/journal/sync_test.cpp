// syncWritten(): another thread makes durable what the writer has written, while it goes on.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "workload.h"

namespace verbex::journal::test {
namespace {

using sim::DiskFault;
using sim::RestartMode;

struct Writing {
    SimulatedDisk disk;
    std::unique_ptr<DirectoryLock> lock;
    std::unique_ptr<JournalWriter> writer;
    Ledger ledger;

    explicit Writing(uint64_t segmentBytes = 4 * kBlockBytes) {
        lock = disk.lockDirectory(kData).take();
        writer = JournalWriter::open(disk, *lock, kJournal, {},
                                     {.durability = Durability::Async,
                                      .segmentBytes = segmentBytes,
                                      .stagingBytes = 4 * kBlockBytes,
                                      .journalId = kId})
                     .take();
    }

    Status write(Random& random) {
        Batch batch = makeBatch(random, 900);
        batch.epoch = 1;
        const uint64_t first = ledger.lastOffered + 1;
        ledger.offered[first] = batch;
        ledger.lastOffered = first + batch.count - 1;
        VERBEX_RETURN_IF_FAILED(writer->append(1, first, batch.count, batch.payload));
        return writer->commit();
    }
};

}  // namespace

TEST(Sync, APowerCutTakesAtMostWhatCameAfterTheLastSync) {
    int lost = 0;
    for (uint64_t seed = 1; seed <= 60; ++seed) {
        Random random(seed);
        Writing writing;
        uint64_t synced = 0;
        const uint64_t writes = 5 + random.below(80);
        for (uint64_t i = 0; i < writes; ++i) {
            ASSERT_TRUE(writing.write(random).isOk());
            if (random.below(6) != 0) continue;
            ASSERT_TRUE(writing.writer->syncWritten().isOk());
            synced = writing.ledger.lastOffered;
            ASSERT_EQ(writing.writer->durablePosition(), synced);
        }
        ASSERT_GE(writing.writer->durablePosition(), synced);  // or further, by a new segment
        const uint64_t durable = writing.writer->durablePosition();
        writing.writer.reset();
        writing.disk.restart(RestartMode::PowerCut, seed);
        RecoveryReport report;
        ASSERT_EQ(judge(writing.disk, writing.ledger, durable, &report), "") << "seed " << seed;
        if (report.end.nextPosition - 1 < writing.ledger.lastOffered) ++lost;
    }
    EXPECT_GT(lost, 10) << "the power cuts must have taken something";
}

TEST(Sync, RecordsCarryTheMarkThatTheSyncHasMoved) {
    Random random(4);
    Writing writing(64 * kBlockBytes);
    ASSERT_TRUE(writing.write(random).isOk());
    ASSERT_TRUE(writing.writer->syncWritten().isOk());
    const uint64_t durable = writing.ledger.lastOffered;
    ASSERT_TRUE(writing.write(random).isOk());
    ASSERT_TRUE(writing.writer->syncWritten().isOk());
    writing.writer.reset();
    // A flipped bit in the first record is damage now, not a torn tail: the second one says that it
    // had been durable.
    std::string path;
    for (const auto& [name, contents] : writing.disk.image()) path = name;
    writing.disk.flipBit(path, (kSegmentHeaderBytes + 2 * sizeof(RecordHeader) + 8) * 8);
    const RecoveryReport report = verifyJournal(writing.disk, kJournal, {});
    EXPECT_EQ(report.status.code(), StatusCode::JournalDamaged) << durable;
}

TEST(Sync, NothingNewNeedsNoDisk) {
    Random random(1);
    Writing writing;
    ASSERT_TRUE(writing.write(random).isOk());
    ASSERT_TRUE(writing.writer->syncWritten().isOk());
    const uint64_t calls = writing.disk.calls();
    for (int i = 0; i < 10; ++i) ASSERT_TRUE(writing.writer->syncWritten().isOk());
    EXPECT_EQ(writing.disk.calls(), calls);
    ASSERT_TRUE(writing.writer->close().isOk());
    EXPECT_EQ(writing.writer->syncWritten().code(), StatusCode::Closed);
}

TEST(Sync, AFailedOnePoisonsTheWriterAndIsNotRetried) {
    for (const DiskFault fault : {DiskFault::IoError, DiskFault::NoSpace}) {
        Random random(2);
        Writing writing;
        ASSERT_TRUE(writing.write(random).isOk());
        ASSERT_TRUE(writing.writer->syncWritten().isOk());
        const uint64_t durable = writing.writer->durablePosition();
        ASSERT_TRUE(writing.write(random).isOk());
        writing.disk.failAt(writing.disk.calls() + 1, fault);
        const Status first = writing.writer->syncWritten();
        ASSERT_FALSE(first.isOk());
        EXPECT_TRUE(writing.writer->failed());
        EXPECT_EQ(writing.writer->durablePosition(), durable);
        // The disk would work again. Nobody asks it.
        const uint64_t calls = writing.disk.calls();
        EXPECT_EQ(writing.writer->syncWritten().toString(), first.toString());
        EXPECT_EQ(writing.writer->sync().toString(), first.toString());
        EXPECT_EQ(writing.write(random).toString(), first.toString());
        EXPECT_EQ(writing.writer->close().toString(), first.toString());
        EXPECT_EQ(writing.disk.calls(), calls);
        EXPECT_EQ(writing.writer->durablePosition(), durable);
        writing.writer.reset();
        writing.disk.restart(RestartMode::PowerCut, 3);
        EXPECT_EQ(judge(writing.disk, writing.ledger, durable), "");
    }
}

TEST(Sync, BesideAWriterThatRollsThroughSegments) {
    for (uint64_t seed = 1; seed <= 5; ++seed) {
        Random random(seed);
        Writing writing(2 * kBlockBytes);
        std::atomic<bool> done{false};
        std::atomic<uint64_t> syncs{0};
        std::thread other([&] {
            uint64_t before = 0;
            while (!done.load()) {
                ASSERT_TRUE(writing.writer->syncWritten().isOk());
                const uint64_t durable = writing.writer->durablePosition();
                ASSERT_GE(durable, before) << "it never moves back";
                ASSERT_LE(durable, writing.writer->writtenPosition());
                before = durable;
                ++syncs;
            }
        });
        // On a busy machine the writer could be done before the other thread has begun.
        while (syncs.load() == 0) std::this_thread::yield();
        for (int i = 0; i < 400; ++i) {
            ASSERT_TRUE(writing.write(random).isOk());
            if (i % 16 == 0) std::this_thread::yield();
        }
        done = true;
        other.join();
        const uint64_t durable = writing.writer->durablePosition();
        writing.writer.reset();
        writing.disk.restart(RestartMode::PowerCut, seed);
        ASSERT_EQ(judge(writing.disk, writing.ledger, durable), "") << "seed " << seed;
    }
}

TEST(Sync, OneThatFailsBesideARollingWriterEndsBoth) {
    for (uint64_t call = 40; call < 140; ++call) {
        Random random(call);
        Writing writing(2 * kBlockBytes);
        writing.disk.failAt(call, DiskFault::IoError);
        std::atomic<bool> done{false};
        std::thread other([&] {
            while (!done.load() && writing.writer->syncWritten().isOk()) {
            }
        });
        Status status;
        for (int i = 0; i < 400 && status.isOk(); ++i) status = writing.write(random);
        done = true;
        other.join();
        ASSERT_EQ(status.code(), StatusCode::IoError) << "call " << call;
        const uint64_t durable = writing.writer->durablePosition();
        writing.writer.reset();
        writing.disk.restart(RestartMode::PowerCut, call);
        ASSERT_EQ(judge(writing.disk, writing.ledger, durable), "") << "call " << call;
    }
}

}  // namespace verbex::journal::test
