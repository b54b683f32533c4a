// Writer, recovery and reader together, on the simulated disk.
#include "journal/writer.h"

#include <gtest/gtest.h>

#include "workload.h"

namespace verbex::journal::test {
namespace {

class WriterTest : public testing::TestWithParam<Durability> {
protected:
    void SetUp() override { lock_ = disk_.lockDirectory(kData).take(); }

    RecoveryReport recover(RecoveryOptions options = {}) {
        records_.clear();
        digests_.clear();
        return recoverJournal(disk_, *lock_, kJournal, options, [this](const RecordView& record) {
            records_[record.position] = {record.epoch,
                                         record.count,
                                         {record.payload.begin(), record.payload.end()}};
            digests_[record.lastPosition()] = record.digest;
            return Status();
        });
    }

    std::unique_ptr<JournalWriter> open(uint64_t segmentBytes = 16384) {
        const RecoveryReport report = recover();
        EXPECT_TRUE(report.status.isOk()) << report.toString();
        auto writer = JournalWriter::open(disk_, *lock_, kJournal, report.end,
                                          {.durability = GetParam(),
                                           .segmentBytes = segmentBytes,
                                           .stagingBytes = 8192,
                                           .journalId = kId});
        EXPECT_TRUE(writer.isOk()) << writer.status().toString();
        return writer.isOk() ? writer.take() : nullptr;
    }

    void offer(JournalWriter& writer, Random& random, uint64_t epoch = 1) {
        Batch batch = makeBatch(random, 1200);
        batch.epoch = epoch;
        const uint64_t first = writer.nextPosition();
        ASSERT_TRUE(writer.append(epoch, first, batch.count, batch.payload).isOk());
        offered_[first] = std::move(batch);
    }

    SimulatedDisk disk_;
    std::unique_ptr<DirectoryLock> lock_;
    std::map<uint64_t, Batch> offered_;
    std::map<uint64_t, Batch> records_;
    std::map<uint64_t, Digest128> digests_;
};

INSTANTIATE_TEST_SUITE_P(Durabilities, WriterTest,
                         testing::Values(Durability::Durable, Durability::Async),
                         [](const auto& tested) {
                             return tested.param == Durability::Durable ? "Durable" : "Async";
                         });

TEST_P(WriterTest, WhatIsWrittenIsReadAcrossSegmentsAndSessions) {
    Random random(1);
    for (int session = 0; session < 5; ++session) {
        const std::unique_ptr<JournalWriter> writer = open();
        for (int i = 0; i < 30; ++i) {
            offer(*writer, random, 1 + static_cast<uint64_t>(session));
            if (i % 4 == 0) {
                ASSERT_TRUE(writer->commit().isOk());
            }
        }
        ASSERT_TRUE(writer->close().isOk());
        EXPECT_EQ(writer->commit().code(), StatusCode::Closed);
    }
    const RecoveryReport report = recover();
    ASSERT_TRUE(report.status.isOk()) << report.toString();
    EXPECT_EQ(records_, offered_);
    EXPECT_TRUE(report.cleanlyClosed);
    EXPECT_FALSE(report.torn.has_value());
    EXPECT_EQ(report.records, offered_.size());
    EXPECT_EQ(report.firstPosition, 1u);
    EXPECT_EQ(report.lastPosition + 1, report.end.nextPosition);
    EXPECT_EQ(report.commands, report.lastPosition);
    EXPECT_EQ(report.firstEpoch, 1u);
    EXPECT_EQ(report.lastEpoch, 5u);
    EXPECT_EQ(report.durableMark, report.lastPosition);
    EXPECT_GE(report.segments, 3u);
}

// Each start leaves a mark. A segment full of them had a successor of its own name, which took its place.
TEST_P(WriterTest, AnyNumberOfStartsWithoutACommandLeaveAJournalThatOpens) {
    Random random(2);
    for (const int records : {0, 1, 60}) {
        {
            const std::unique_ptr<JournalWriter> writer = open(kSegmentBytesMin);
            for (int i = 0; i < records; ++i) offer(*writer, random);
            ASSERT_TRUE(writer->sync().isOk());
        }
        for (int start = 0; start < 200; ++start) {
            const std::unique_ptr<JournalWriter> writer = open(kSegmentBytesMin);
            ASSERT_NE(writer, nullptr) << "start " << start << " behind " << records << " records";
            if (start % 3 == 0) {
                ASSERT_TRUE(writer->close().isOk());
            }
        }
        const RecoveryReport report = recover();
        ASSERT_TRUE(report.status.isOk()) << report.toString();
        EXPECT_EQ(records_.size(), offered_.size());
    }
}

TEST_P(WriterTest, AGroupIsOneWrite) {
    const std::unique_ptr<JournalWriter> writer = open();
    const uint64_t before = disk_.calls();
    for (uint64_t i = 1; i <= 20; ++i) {
        ASSERT_TRUE(writer->append(1, i, 1, randomBytes(i, 64)).isOk());
    }
    EXPECT_EQ(disk_.calls(), before);
    EXPECT_EQ(writer->writtenPosition(), 0u);
    ASSERT_TRUE(writer->commit().isOk());
    EXPECT_EQ(disk_.calls(), before + 1);
    EXPECT_EQ(writer->writtenPosition(), 20u);
    EXPECT_EQ(writer->durablePosition(), GetParam() == Durability::Durable ? 20u : 0u);
    ASSERT_TRUE(writer->sync().isOk());
    EXPECT_EQ(writer->durablePosition(), 20u);
    ASSERT_TRUE(writer->commit().isOk()) << "nothing staged is fine";
}

// Small commits share a block: ten of them take as much room as their records do.
TEST_P(WriterTest, SmallCommitsDoNotTakeABlockEach) {
    const std::unique_ptr<JournalWriter> writer = open();
    const uint64_t start = writer->segmentOffset();
    for (uint64_t i = 1; i <= 10; ++i) {
        ASSERT_TRUE(writer->append(1, i, 1, randomBytes(i, 60)).isOk());
        ASSERT_TRUE(writer->commit().isOk());
    }
    EXPECT_EQ(writer->segmentOffset() - start, 10 * recordBytes(60));
}

TEST_P(WriterTest, WrongCallsAreRefusedAndChangeNothing) {
    const std::unique_ptr<JournalWriter> writer = open();
    const std::vector<std::byte> payload = randomBytes(1, 100);
    ASSERT_TRUE(writer->append(4, 1, 3, payload).isOk());
    const Digest128 digest = writer->digest();
    EXPECT_EQ(writer->append(4, 3, 1, payload).code(), StatusCode::InvalidArgument);
    EXPECT_EQ(writer->append(4, 5, 1, payload).code(), StatusCode::InvalidArgument);
    EXPECT_EQ(writer->append(3, 4, 1, payload).code(), StatusCode::InvalidArgument);
    EXPECT_EQ(writer->append(4, 4, 0, payload).code(), StatusCode::InvalidArgument);
    EXPECT_EQ(writer->append(4, 4, 1, {}).code(), StatusCode::InvalidArgument);
    const std::vector<std::byte> large(payloadBytesMax(16384) + 1);
    EXPECT_EQ(writer->append(4, 4, 1, large).code(), StatusCode::RecordTooLarge);
    EXPECT_FALSE(writer->failed());
    EXPECT_EQ(writer->digest(), digest);
    ASSERT_TRUE(writer->append(4, 4, 1, payload).isOk());
    ASSERT_TRUE(writer->close().isOk());
    EXPECT_EQ(recover().lastPosition, 4u);
}

TEST_P(WriterTest, TheLargestPayloadFitsAndOneByteMoreDoesNot) {
    const std::unique_ptr<JournalWriter> writer = open(4u << 20);
    const std::vector<std::byte> largest = randomBytes(2, kPayloadBytesMax);
    std::vector<std::byte> larger = largest;
    larger.push_back(std::byte{1});
    EXPECT_EQ(writer->append(1, 1, 1, larger).code(), StatusCode::RecordTooLarge);
    for (uint64_t i = 1; i <= 9; ++i) {
        ASSERT_TRUE(writer->append(1, i, 1, largest).isOk());
        offered_[i] = {1, 1, largest};
    }
    ASSERT_TRUE(writer->close().isOk());
    ASSERT_TRUE(recover().status.isOk());
    EXPECT_EQ(records_, offered_);
}

TEST_P(WriterTest, RecordsFromAPositionOn) {
    Random random(6);
    const std::unique_ptr<JournalWriter> writer = open();
    for (int i = 0; i < 40; ++i) offer(*writer, random);
    const uint64_t last = writer->nextPosition() - 1;
    ASSERT_TRUE(writer->close().isOk());
    for (uint64_t from = 1; from <= last + 1; ++from) {
        ASSERT_TRUE(recover({.fromPosition = from}).status.isOk());
        for (const auto& [position, batch] : offered_) {
            const bool wanted = position + batch.count - 1 >= from;
            ASSERT_EQ(records_.contains(position), wanted) << "from " << from;
        }
    }
}

TEST_P(WriterTest, PrunedSegmentsAreGoneAndTheRestOpens) {
    Random random(7);
    const std::unique_ptr<JournalWriter> writer = open();
    for (int i = 0; i < 200; ++i) offer(*writer, random);
    ASSERT_TRUE(writer->sync().isOk());
    const auto before = listSegments(disk_, kJournal).take();
    ASSERT_GE(before.size(), 3u);
    const uint64_t keep = before[2].firstPosition;
    ASSERT_TRUE(writer->removeSegmentsBefore(keep - 1).isOk());
    EXPECT_EQ(listSegments(disk_, kJournal).take().size(), before.size() - 1);
    ASSERT_TRUE(writer->removeSegmentsBefore(keep).isOk());
    EXPECT_EQ(listSegments(disk_, kJournal).take()[0].firstPosition, keep);
    ASSERT_TRUE(writer->removeSegmentsBefore(~uint64_t{0}).isOk());
    EXPECT_EQ(listSegments(disk_, kJournal).take().size(), 1u);
    offer(*writer, random);
    ASSERT_TRUE(writer->close().isOk());
    EXPECT_EQ(recover({.fromPosition = 1}).status.code(), StatusCode::JournalDamaged);
    const uint64_t first = listSegments(disk_, kJournal).take()[0].firstPosition;
    EXPECT_TRUE(recover({.fromPosition = first}).status.isOk());
    EXPECT_TRUE(verifyJournal(disk_, kJournal).status.isOk());
}

TEST_P(WriterTest, APreparedSegmentIsTakenAndALeftoverOneIsRemoved) {
    Random random(8);
    {
        const std::unique_ptr<JournalWriter> writer = open(8192);
        ASSERT_TRUE(writer->prepareNext().isOk());
        ASSERT_TRUE(writer->nextIsPrepared());
        uint64_t preallocated = 0;
        while (writer->nextIsPrepared()) offer(*writer, random);
        for (const sim::DiskCall& call : disk_.trace()) {
            preallocated += call.kind == sim::DiskCallKind::Preallocate ? 1 : 0;
        }
        EXPECT_EQ(preallocated, 2u) << "the prepared one was used";
        ASSERT_TRUE(writer->commit().isOk());
        ASSERT_TRUE(writer->prepareNext().isOk());
    }
    ASSERT_TRUE(disk_.image().contains(joinPath(kJournal, std::string(kPreparedSegmentName))));
    ASSERT_TRUE(recover().status.isOk());
    EXPECT_FALSE(disk_.image().contains(joinPath(kJournal, std::string(kPreparedSegmentName))));
    EXPECT_EQ(records_, offered_);
}

TEST_P(WriterTest, TheNextSegmentIsDueOnceAnEighthOfThisOneIsUsed) {
    Random random(12);
    const std::unique_ptr<JournalWriter> writer = open(256u << 10);
    EXPECT_FALSE(writer->nextIsDue());
    uint64_t last = writer->segmentOffset();
    for (uint32_t rolls = 0; rolls < 2;) {
        offer(*writer, random);
        ASSERT_TRUE(writer->commit().isOk());
        const uint64_t used = writer->segmentOffset() - kSegmentHeaderBytes;
        ASSERT_EQ(writer->nextIsDue(), used >= writer->segmentBytes() / 8) << used;
        rolls += writer->segmentOffset() < last ? 1 : 0;
        last = writer->segmentOffset();
    }
}

TEST_P(WriterTest, AReaderFollowsTheLiveWriterExactlyToTheWrittenPosition) {
    Random random(9);
    const std::unique_ptr<JournalWriter> writer = open(8192);
    auto opened = JournalReader::open(disk_, kJournal, 1);
    ASSERT_TRUE(opened.isOk()) << opened.status().toString();
    JournalReader& reader = *opened.value();
    std::map<uint64_t, Batch> followed;
    const RecordSink sink = [&](const RecordView& record) {
        followed[record.position] = {record.epoch,
                                     record.count,
                                     {record.payload.begin(), record.payload.end()}};
        return Status();
    };
    for (int i = 0; i < 80; ++i) {
        const uint64_t committed = writer->writtenPosition();
        offer(*writer, random);
        Status status = reader.readUpTo(committed, sink);
        ASSERT_TRUE(status.isOk()) << status.toString();
        ASSERT_EQ(reader.nextPosition(), committed + 1);
        const uint64_t last =
            followed.empty() ? 0 : followed.rbegin()->first + followed.rbegin()->second.count - 1;
        ASSERT_EQ(last, committed);
        if (i % 3 == 2) {
            ASSERT_TRUE(writer->commit().isOk());
        }
    }
    ASSERT_TRUE(writer->commit().isOk());
    ASSERT_TRUE(reader.readUpTo(writer->writtenPosition(), sink).isOk());
    EXPECT_EQ(followed, offered_);
    EXPECT_EQ(reader.epoch(), 1u);
    EXPECT_EQ(reader.journalId(), kId);

    // One that starts late gets the tail, and both agree on the digest a snapshot would record.
    const uint64_t from = writer->writtenPosition() / 2;
    auto late = JournalReader::open(disk_, kJournal, from);
    ASSERT_TRUE(late.isOk());
    std::vector<uint64_t> lasts;
    ASSERT_TRUE(late.value()
                    ->readUpTo(writer->writtenPosition(),
                               [&](const RecordView& record) {
                                   lasts.push_back(record.lastPosition());
                                   return Status();
                               })
                    .isOk());
    ASSERT_FALSE(lasts.empty());
    EXPECT_GE(lasts.front(), from);
    EXPECT_LE(lasts.front() - from, 4u);
    EXPECT_EQ(late.value()->digest(), reader.digest());
    ASSERT_TRUE(recover().status.isOk());
    EXPECT_EQ(digests_.rbegin()->second, reader.digest());
}

TEST_P(WriterTest, AReaderStopsBeforeARecordThatEndsLater) {
    const std::unique_ptr<JournalWriter> writer = open();
    ASSERT_TRUE(writer->append(1, 1, 2, randomBytes(1, 30)).isOk());
    ASSERT_TRUE(writer->append(1, 3, 4, randomBytes(2, 30)).isOk());
    ASSERT_TRUE(writer->commit().isOk());
    auto reader = JournalReader::open(disk_, kJournal, 1);
    ASSERT_TRUE(reader.isOk());
    ASSERT_TRUE(reader.value()->readUpTo(4, {}).isOk());
    EXPECT_EQ(reader.value()->nextPosition(), 3u);
    ASSERT_TRUE(reader.value()->readUpTo(6, {}).isOk());
    EXPECT_EQ(reader.value()->nextPosition(), 7u);
}

TEST_P(WriterTest, AJournalMayBeginWhereASnapshotFromElsewhereEnds) {
    JournalEnd end;
    end.nextPosition = 1000;
    end.digest = {7, 8};
    end.epoch = 5;
    auto writer = JournalWriter::open(disk_, *lock_, kJournal, end,
                                      {.durability = GetParam(),
                                       .segmentBytes = 8192,
                                       .journalId = kId});
    ASSERT_TRUE(writer.isOk());
    EXPECT_EQ(writer.value()->append(4, 1000, 1, randomBytes(1, 10)).code(),
              StatusCode::InvalidArgument);
    ASSERT_TRUE(writer.value()->append(5, 1000, 1, randomBytes(1, 10)).isOk());
    ASSERT_TRUE(writer.value()->close().isOk());
    const RecoveryReport report = recover({.fromPosition = 1000, .minimumPosition = 999});
    ASSERT_TRUE(report.status.isOk()) << report.toString();
    EXPECT_EQ(report.firstPosition, 1000u);
}

TEST_P(WriterTest, ASecondWriterIsRefusedByTheLock) {
    Result<std::unique_ptr<DirectoryLock>> second = disk_.lockDirectory(kData);
    ASSERT_FALSE(second.isOk());
    EXPECT_EQ(second.status().code(), StatusCode::DataDirectoryInUse);
    EXPECT_NE(second.status().message().find(kData), std::string::npos);
    lock_.reset();
    EXPECT_TRUE(disk_.lockDirectory(kData).isOk());
}

TEST_P(WriterTest, WhatTheSinkAnswersStopsTheRecovery) {
    {
        const std::unique_ptr<JournalWriter> writer = open();
        ASSERT_TRUE(writer->append(1, 1, 1, randomBytes(1, 30)).isOk());
        ASSERT_TRUE(writer->close().isOk());
    }
    const RecoveryReport report =
        verifyJournal(disk_, kJournal, {}, [](const RecordView&) {
            return Status(StatusCode::InvalidArgument, "not applicable");
        });
    EXPECT_EQ(report.status.code(), StatusCode::InvalidArgument);
    EXPECT_FALSE(report.damage.has_value());
}

}  // namespace
}  // namespace verbex::journal::test
