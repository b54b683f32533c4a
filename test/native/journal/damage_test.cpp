// Damage of every kind: refused with the exact place, or, where it cannot be told from a tear, cut
// and reported, and never at the price of a record that is known to be durable.
#include <gtest/gtest.h>

#include <cstring>

#include "workload.h"

namespace verbex::journal::test {
namespace {

using sim::RestartMode;

struct Written {
    SimulatedDisk disk;
    Ledger ledger;
    std::vector<std::string> segments;
};

void writeJournal(Written& written, unsigned operations, bool close,
                  Durability durability = Durability::Durable, uint64_t segmentBytes = 8192) {
    Result<std::unique_ptr<DirectoryLock>> lock = written.disk.lockDirectory(kData);
    ASSERT_TRUE(lock.isOk());
    const JournalEnd fresh;
    auto writer = JournalWriter::open(written.disk, *lock.value(), kJournal, fresh,
                                      {.durability = durability,
                                       .segmentBytes = segmentBytes,
                                       .stagingBytes = 4 * kBlockBytes,
                                       .journalId = kId});
    ASSERT_TRUE(writer.isOk());
    Random random(3);
    for (unsigned i = 0; i < operations; ++i) {
        const Batch batch = makeBatch(random, 1200);
        const uint64_t first = written.ledger.lastOffered + 1;
        written.ledger.offered[first] = batch;
        written.ledger.lastOffered = first + batch.count - 1;
        ASSERT_TRUE(writer.value()->append(1, first, batch.count, batch.payload).isOk());
        if (i % 3 != 1) {
            ASSERT_TRUE(writer.value()->commit().isOk());
        }
    }
    ASSERT_TRUE(writer.value()->commit().isOk());
    if (close) {
        ASSERT_TRUE(writer.value()->close().isOk());
    }
    auto listed = listSegments(written.disk, kJournal);
    ASSERT_TRUE(listed.isOk());
    for (const SegmentName& segment : listed.value()) written.segments.push_back(segment.name);
}

uint64_t lengthOf(Written& written, const std::string& segment) {
    return written.disk.contents(joinPath(kJournal, segment)).size();
}

// A place on disk and a statement: nothing less is a refusal.
void expectRefusal(const RecoveryReport& report, const std::string& segment) {
    ASSERT_EQ(report.status.code(), StatusCode::JournalDamaged) << report.toString();
    ASSERT_TRUE(report.damage.has_value());
    ASSERT_EQ(report.damage->file, segment) << report.toString();
    ASSERT_FALSE(report.damage->what.empty());
    ASSERT_GT(report.damage->expectedPosition, 0u);
}

TEST(Damage, EveryBitOfACleanlyClosedJournalIsGuarded) {
    Written written;
    writeJournal(written, 60, true);
    ASSERT_GE(written.segments.size(), 3u);
    uint64_t flips = 0;
    for (const std::string& segment : written.segments) {
        const std::string path = joinPath(kJournal, segment);
        const uint64_t bits = lengthOf(written, segment) * 8;
        for (uint64_t bit = 0; bit < bits; ++bit) {
            written.disk.flipBit(path, bit);
            const RecoveryReport report = verifyJournal(written.disk, kJournal);
            written.disk.flipBit(path, bit);
            if (report.status.code() != StatusCode::JournalDamaged || !report.damage) {
                FAIL() << segment << " bit " << bit << ": " << report.toString();
            }
            ++flips;
        }
    }
    EXPECT_TRUE(verifyJournal(written.disk, kJournal).cleanlyClosed);
    std::printf("%llu flips refused\n", static_cast<unsigned long long>(flips));
}

TEST(Damage, EveryLengthOfACleanlyClosedJournalIsGuarded) {
    Written written;
    writeJournal(written, 60, true);
    for (const std::string& segment : written.segments) {
        const std::string path = joinPath(kJournal, segment);
        const SimulatedDisk::Contents whole = written.disk.contents(path);
        for (uint64_t bytes = 0; bytes < whole.size(); ++bytes) {
            written.disk.truncate(path, bytes);
            const RecoveryReport report = verifyJournal(written.disk, kJournal);
            expectRefusal(report, segment);
            if (testing::Test::HasFatalFailure()) return;
            ASSERT_LE(report.damage->offset, bytes);
            written.disk.place(path, whole);
        }
        SimulatedDisk::Contents longer = whole;
        longer.resize(whole.size() + 1);
        written.disk.place(path, longer);
        expectRefusal(verifyJournal(written.disk, kJournal), segment);
        written.disk.place(path, whole);
    }
}

// Without a clean close a flip behind the last record cannot be told from a torn write of a record
// that nobody was told about. It is cut and reported; no record is lost by it.
TEST(Damage, EveryBitOfAJournalThatWasNotClosedIsGuardedAndNoRecordIsLost) {
    Written written;
    writeJournal(written, 25, false);
    const RecoveryReport good = verifyJournal(written.disk, kJournal);
    ASSERT_TRUE(good.status.isOk() && !good.torn && !good.cleanlyClosed) << good.toString();
    ASSERT_EQ(good.lastPosition, written.ledger.lastOffered);
    uint64_t cut = 0;
    for (const std::string& segment : written.segments) {
        const std::string path = joinPath(kJournal, segment);
        for (uint64_t bit = 0; bit < lengthOf(written, segment) * 8; ++bit) {
            written.disk.flipBit(path, bit);
            const RecoveryReport report = verifyJournal(written.disk, kJournal);
            written.disk.flipBit(path, bit);
            if (report.status.code() == StatusCode::JournalDamaged) continue;
            ASSERT_TRUE(report.status.isOk()) << report.toString();
            ASSERT_TRUE(report.torn.has_value()) << segment << " bit " << bit;
            ASSERT_GT(report.tornBytes, 0u);
            ASSERT_EQ(report.lastPosition, good.lastPosition) << segment << " bit " << bit;
            ASSERT_EQ(segment, written.segments.back());
            ASSERT_GE(bit / 8, good.end.offset + sizeof(RecordHeader));
            ++cut;
        }
    }
    EXPECT_GT(cut, 0u);
}

// Async: nothing was ever synced, so no mark protects anything. A flip within a record is still
// refused, because the record has no unwritten sector.
TEST(Damage, EveryBitOfAnUnsyncedJournalIsGuardedAndNoRecordIsLost) {
    Written written;
    writeJournal(written, 14, false, Durability::Async, 16384);
    const RecoveryReport good = verifyJournal(written.disk, kJournal);
    ASSERT_TRUE(good.status.isOk() && !good.torn) << good.toString();
    ASSERT_EQ(good.durableMark, 0u);
    const std::string path = joinPath(kJournal, written.segments.back());
    for (uint64_t bit = 0; bit < lengthOf(written, written.segments.back()) * 8; ++bit) {
        written.disk.flipBit(path, bit);
        const RecoveryReport report = verifyJournal(written.disk, kJournal);
        written.disk.flipBit(path, bit);
        if (bit / 8 < good.end.offset + sizeof(RecordHeader)) {
            ASSERT_EQ(report.status.code(), StatusCode::JournalDamaged) << bit / 8;
        } else {
            ASSERT_TRUE(report.status.isOk() && report.torn) << bit / 8;
            ASSERT_EQ(report.lastPosition, good.lastPosition);
        }
    }
}

TEST(Damage, AHoleInADurableJournalIsRefused) {
    Written written;
    writeJournal(written, 25, false);
    // Every single record but those of the last commit, wiped as if never written.
    std::vector<std::pair<uint64_t, uint64_t>> places;
    const std::string segment = written.segments.back();
    const SimulatedDisk::Contents whole = written.disk.contents(joinPath(kJournal, segment));
    for (uint64_t at = kSegmentHeaderBytes;;) {
        const std::span<const std::byte> bytes(whole.data() + at, sizeof(RecordHeader));
        if (!isRecordHeader(bytes)) break;
        const uint64_t size = recordBytes(loadRecordHeader(bytes).payloadBytes);
        places.emplace_back(at, size);
        at += size;
    }
    ASSERT_GE(places.size(), 3u);
    places.pop_back();
    for (const auto& [at, size] : places) {
        SimulatedDisk::Contents holed = whole;
        std::memset(holed.data() + at, 0, size);
        written.disk.place(joinPath(kJournal, segment), holed);
        const RecoveryReport report = verifyJournal(written.disk, kJournal);
        expectRefusal(report, segment);
        if (testing::Test::HasFatalFailure()) return;
        EXPECT_EQ(report.damage->offset, at);
    }
}

TEST(Damage, AMissingSegmentIsRefusedWhicheverItIs) {
    Written written;
    writeJournal(written, 60, true);
    const SimulatedDisk::Image image = written.disk.image();
    for (const std::string& segment : written.segments) {
        SimulatedDisk::Image without = image;
        without.erase(joinPath(kJournal, segment));
        SimulatedDisk disk;
        disk.load(without);
        const RecoveryReport report =
            verifyJournal(disk, kJournal, {.fromPosition = 1, .minimumPosition = 0});
        EXPECT_EQ(report.status.code(), StatusCode::JournalDamaged) << segment;
    }
}

TEST(Damage, AForeignSegmentIsRefused) {
    Written written;
    writeJournal(written, 60, true);
    const std::string path = joinPath(kJournal, written.segments[1]);
    SimulatedDisk::Contents contents = written.disk.contents(path);
    auto header = decodeSegmentHeader(std::span<const std::byte, kSegmentHeaderBytes>(
        contents.data(), kSegmentHeaderBytes));
    ASSERT_TRUE(header.isOk());
    SegmentHeader foreign = header.value();
    foreign.journalId.lo ^= 1;
    encodeSegmentHeader(foreign,
                        std::span<std::byte, kSegmentHeaderBytes>(contents.data(),
                                                                  kSegmentHeaderBytes));
    written.disk.place(path, contents);
    expectRefusal(verifyJournal(written.disk, kJournal), written.segments[1]);

    Written other;
    writeJournal(other, 5, true);
    RecoveryOptions options;
    options.journalId = JournalId{1, 2};
    expectRefusal(verifyJournal(other.disk, kJournal, options), other.segments[0]);
}

// A record that is right in itself but belongs to another history: only the chain tells.
TEST(Damage, ARecordOfAnotherHistoryIsRefused) {
    SimulatedDisk disks[2];
    uint64_t offset = 0;
    for (size_t i = 0; i < 2; ++i) {
        auto lock = disks[i].lockDirectory(kData);
        auto writer = JournalWriter::open(
            disks[i], *lock.value(), kJournal, {},
            {.segmentBytes = 8192, .stagingBytes = 16384, .journalId = kId});
        ASSERT_TRUE(writer.isOk());
        offset = writer.value()->segmentOffset();
        for (uint64_t position = 1; position <= 3; ++position) {
            const std::vector<std::byte> payload = randomBytes(position + 10 * i, 100);
            ASSERT_TRUE(writer.value()->append(1, position, 1, payload).isOk());
            ASSERT_TRUE(writer.value()->commit().isOk());
        }
        ASSERT_TRUE(writer.value()->close().isOk());
    }
    const std::string path = joinPath(kJournal, segmentFileName(1));
    SimulatedDisk::Contents spliced = disks[0].contents(path);
    const SimulatedDisk::Contents other = disks[1].contents(path);
    // The first record: its own previous digest (of the opening record) is right, the next one's
    // is not.
    std::memcpy(spliced.data() + offset, other.data() + offset, recordBytes(100));
    disks[0].place(path, spliced);
    const RecoveryReport report = verifyJournal(disks[0], kJournal);
    expectRefusal(report, segmentFileName(1));
    EXPECT_EQ(report.damage->what, "broken chain");
    EXPECT_EQ(report.damage->offset, offset + recordBytes(100));

    // A whole segment of another history breaks the chain at its head or behind it.
    Written first;
    writeJournal(first, 60, true);
    SimulatedDisk::Contents segment = first.disk.contents(joinPath(kJournal, first.segments[1]));
    auto header = decodeSegmentHeader(std::span<const std::byte, kSegmentHeaderBytes>(
        segment.data(), kSegmentHeaderBytes));
    ASSERT_TRUE(header.isOk());
    SegmentHeader changed = header.value();
    changed.previousDigest.hi ^= 1;
    encodeSegmentHeader(changed, std::span<std::byte, kSegmentHeaderBytes>(segment.data(),
                                                                           kSegmentHeaderBytes));
    first.disk.place(joinPath(kJournal, first.segments[1]), segment);
    expectRefusal(verifyJournal(first.disk, kJournal), first.segments[1]);
}

// Built by hand, since no writer would: all checksums and the chain are right, only one rule is not.
TEST(Damage, AFallingEpochAndAGapAreRefusedThoughEveryChecksumHolds) {
    struct Case {
        uint64_t epoch;
        uint64_t position;
        bool good;
    };
    for (const Case& second : {Case{5, 2, true}, Case{4, 2, false}, Case{5, 3, false}}) {
        SimulatedDisk::Contents contents(8192);
        SegmentHeader segment;
        segment.journalId = kId;
        segment.firstPosition = 1;
        segment.segmentBytes = contents.size();
        segment.previousDigest = chainStart(kId);
        encodeSegmentHeader(segment, std::span<std::byte, kSegmentHeaderBytes>(
                                         contents.data(), kSegmentHeaderBytes));
        const std::vector<std::byte> payload = randomBytes(1, 40);
        const uint64_t size = recordBytes(payload.size());
        RecordHeader header;
        header.epoch = 5;
        header.position = 1;
        header.count = 1;
        header.previousDigest = segment.previousDigest;
        const std::span<std::byte> bytes(contents);
        header.previousDigest = encodeRecord(header, payload, kSegmentHeaderBytes,
                                             bytes.subspan(kSegmentHeaderBytes, size));
        header.epoch = second.epoch;
        header.position = second.position;
        encodeRecord(header, payload, kSegmentHeaderBytes + size,
                     bytes.subspan(kSegmentHeaderBytes + size, size));
        SimulatedDisk disk;
        disk.place(joinPath(kJournal, segmentFileName(1)), contents);
        const RecoveryReport report = verifyJournal(disk, kJournal);
        EXPECT_EQ(report.status.isOk(), second.good) << report.toString();
        if (!second.good) {
            expectRefusal(report, segmentFileName(1));
            EXPECT_EQ(report.damage->offset, kSegmentHeaderBytes + size);
            EXPECT_EQ(report.damage->expectedPosition, 2u);
        }
    }
}

TEST(Damage, AnUnknownVersionIsNamedAsSuch) {
    Written written;
    writeJournal(written, 5, true);
    const std::string path = joinPath(kJournal, written.segments[0]);
    SimulatedDisk::Contents contents = written.disk.contents(path);
    SegmentHeader header;
    std::memcpy(&header, contents.data(), sizeof(header));
    header.version = 2;
    encodeSegmentHeader(header, std::span<std::byte, kSegmentHeaderBytes>(contents.data(),
                                                                          kSegmentHeaderBytes));
    written.disk.place(path, contents);
    const RecoveryReport report = verifyJournal(written.disk, kJournal);
    EXPECT_EQ(report.status.code(), StatusCode::UnsupportedFormat);
    EXPECT_NE(report.status.message().find("version 2"), std::string::npos);
}

TEST(Damage, AJournalThatEndsBeforeAKnownPositionIsRefused) {
    Written written;
    writeJournal(written, 10, true);
    const uint64_t last = written.ledger.lastOffered;
    EXPECT_TRUE(verifyJournal(written.disk, kJournal, {.minimumPosition = last}).status.isOk());
    expectRefusal(verifyJournal(written.disk, kJournal, {.minimumPosition = last + 1}),
                  written.segments.back());
    SimulatedDisk empty;
    EXPECT_TRUE(verifyJournal(empty, kJournal).status.isOk());
    EXPECT_EQ(verifyJournal(empty, kJournal, {.minimumPosition = 1}).status.code(),
              StatusCode::JournalDamaged);
}

// The place is exact: a flip in a record's payload names that record's offset and position.
TEST(Damage, ThePlaceIsExact) {
    Written written;
    writeJournal(written, 25, true);
    uint64_t at = kSegmentHeaderBytes + sizeof(RecordHeader);  // behind the opening record
    const std::string path = joinPath(kJournal, written.segments[0]);
    for (const auto& [position, batch] : written.ledger.offered) {
        const uint64_t size = recordBytes(batch.payload.size());
        if (at + size + 2 * sizeof(RecordHeader) > lengthOf(written, written.segments[0])) break;
        written.disk.flipBit(path, (at + sizeof(RecordHeader)) * 8 + 3);
        const RecoveryReport report = verifyJournal(written.disk, kJournal);
        written.disk.flipBit(path, (at + sizeof(RecordHeader)) * 8 + 3);
        expectRefusal(report, written.segments[0]);
        if (testing::Test::HasFatalFailure()) return;
        EXPECT_EQ(report.damage->offset, at);
        EXPECT_EQ(report.damage->expectedPosition, position);
        EXPECT_NE(report.toString().find("+" + std::to_string(at)), std::string::npos);
        at += size;
    }
}

// Sectors of the last commit lost one at a time, in every combination for a three-sector commit.
TEST(Damage, ATornLastCommitIsCutAndReported) {
    Written written;
    writeJournal(written, 0, false);
    Result<std::unique_ptr<DirectoryLock>> lock = written.disk.lockDirectory(kData);
    ASSERT_TRUE(lock.isOk());
    RecoveryReport start = recoverJournal(written.disk, *lock.value(), kJournal, {}, {});
    ASSERT_TRUE(start.status.isOk());
    auto writer = JournalWriter::open(written.disk, *lock.value(), kJournal, start.end,
                                      {.segmentBytes = 8192, .stagingBytes = 16384});
    ASSERT_TRUE(writer.isOk());
    ASSERT_TRUE(writer.value()->append(1, 1, 1, randomBytes(1, 40)).isOk());
    ASSERT_TRUE(writer.value()->commit().isOk());
    const uint64_t from = writer.value()->segmentOffset();
    ASSERT_TRUE(writer.value()->append(1, 2, 1, randomBytes(2, 700)).isOk());
    ASSERT_TRUE(writer.value()->append(1, 3, 1, std::vector<std::byte>(500)).isOk());
    ASSERT_TRUE(writer.value()->commit().isOk());
    const uint64_t to = writer.value()->segmentOffset();

    const std::string path = joinPath(kJournal, written.segments[0]);
    const SimulatedDisk::Contents whole = written.disk.contents(path);
    const uint64_t firstSector = from / kSectorBytes;
    const uint64_t sectors = (to - 1) / kSectorBytes - firstSector + 1;
    ASSERT_GE(sectors, 3u);
    uint64_t tears = 0;
    for (uint64_t lost = 1; lost < (uint64_t{1} << sectors); ++lost) {
        SimulatedDisk::Contents torn = whole;
        for (uint64_t i = 0; i < sectors; ++i) {
            if ((lost >> i & 1) == 0) continue;
            const uint64_t begin = std::max(from, (firstSector + i) * kSectorBytes);
            const uint64_t end = (firstSector + i + 1) * kSectorBytes;
            std::memset(torn.data() + begin, 0, end - begin);
        }
        written.disk.place(path, torn);
        std::vector<uint64_t> seen;
        const RecordSink sink = [&](const RecordView& record) {
            seen.push_back(record.position);
            return Status();
        };
        const RecoveryReport report =
            recoverJournal(written.disk, *lock.value(), kJournal, {}, sink);
        ASSERT_TRUE(report.status.isOk()) << lost << ": " << report.toString();
        ASSERT_GE(seen.size(), 1u) << "the commit before is durable";
        ASSERT_LE(seen.size(), 2u);
        // Whatever of the commit is left behind the last whole record is reported.
        const bool remains = !isAllZero(std::span(torn).subspan(report.end.offset));
        ASSERT_EQ(report.torn.has_value(), remains) << lost;
        tears += remains ? 1 : 0;
        if (remains) {
            ASSERT_GE(report.torn->offset, from);
            ASSERT_GT(report.tornBytes, 0u);
        }
        const SimulatedDisk::Contents repaired = written.disk.contents(path);
        ASSERT_TRUE(isAllZero(std::span(repaired).subspan(report.end.offset)));
    }
    EXPECT_GE(tears, 8u);
}

TEST(Damage, RecoveryChangesNothingOfAJournalThatItRefuses) {
    Written written;
    writeJournal(written, 30, false);
    written.disk.flipBit(joinPath(kJournal, written.segments[0]), (kSegmentHeaderBytes + 70) * 8);
    const SimulatedDisk::Image before = written.disk.image();
    const uint64_t calls = written.disk.calls();
    Result<std::unique_ptr<DirectoryLock>> lock = written.disk.lockDirectory(kData);
    ASSERT_TRUE(lock.isOk());
    const RecoveryReport report = recoverJournal(written.disk, *lock.value(), kJournal, {}, {});
    EXPECT_EQ(report.status.code(), StatusCode::JournalDamaged);
    EXPECT_EQ(kExitJournalDamaged, 65);
    EXPECT_EQ(written.disk.calls(), calls);
    EXPECT_EQ(written.disk.image(), before);
}

}  // namespace
}  // namespace verbex::journal::test
