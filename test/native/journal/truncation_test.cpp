// A journal cut at every record, with the process or the machine stopping at every call of it: what is
// left is the old journal or a shorter one that still has what was to stay, and it goes on.
#include "journal/truncation.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "journal/posix_storage.h"
#include "workload.h"

namespace verbex::journal::test {
namespace {

using sim::CrashMoment;
using sim::DiskCall;
using sim::DiskCallKind;
using sim::DiskFault;
using sim::RestartMode;

using Batches = std::map<uint64_t, Batch>;  // by first position

uint64_t lastOf(const Batches& batches) {
    if (batches.empty()) return 0;
    return batches.rbegin()->first + batches.rbegin()->second.count - 1;
}

// What a journal is made of, from its beginning: sessions that close, or end as a crash does.
struct Shape {
    Durability durability = Durability::Durable;
    unsigned sessions = 3;
    unsigned batches = 14;         // in each
    uint64_t firstPosition = 1;
    bool closeLast = false;
    bool prepareLast = false;      // leave a prepared segment behind
    uint64_t segmentBytes = 2 * kBlockBytes;
};

// A journal on a disk, the lock held, no writer open.
struct Journal {
    SimulatedDisk disk;
    std::unique_ptr<DirectoryLock> lock;
    Batches batches;
    uint64_t durable = 0;

    void lockAgain() {
        lock.reset();
        lock = disk.lockDirectory(kData).take();
    }

    // Appends in one session, at a new epoch. `seed` chooses the content.
    Status write(Storage& storage, const DirectoryLock& held, const std::string& directory,
                 const Shape& shape, unsigned count, bool close, bool prepare, uint64_t seed) {
        Random random(seed);
        RecoveryReport report = recoverJournal(storage, held, directory, {.fromPosition = 0}, {});
        VERBEX_RETURN_IF_FAILED(report.status);
        if (report.end.file.empty()) {
            report.end.nextPosition = shape.firstPosition;
            if (shape.firstPosition > 1) report.end.digest = {17, 4};
        }
        durable = report.end.nextPosition - 1;
        Result<std::unique_ptr<JournalWriter>> opened =
            JournalWriter::open(storage, held, directory, report.end,
                                {.durability = shape.durability,
                                 .segmentBytes = shape.segmentBytes,
                                 .stagingBytes = 4 * kBlockBytes,
                                 .journalId = kId});
        if (!opened.isOk()) return opened.status();
        JournalWriter& writer = *opened.value();
        const uint64_t epoch = report.end.epoch + 1;
        for (unsigned i = 0; i < count; ++i) {
            Batch batch = makeBatch(random, 1200);
            batch.epoch = epoch;
            const uint64_t first = writer.nextPosition();
            VERBEX_RETURN_IF_FAILED(writer.append(epoch, first, batch.count, batch.payload));
            batches[first] = std::move(batch);
            if (random.below(3) != 0) VERBEX_RETURN_IF_FAILED(writer.commit());
        }
        VERBEX_RETURN_IF_FAILED(writer.commit());
        if (prepare) VERBEX_RETURN_IF_FAILED(writer.prepareNext());
        if (close) VERBEX_RETURN_IF_FAILED(writer.close());
        durable = writer.durablePosition();
        return {};
    }

    Status build(const Shape& shape) {
        lockAgain();
        for (unsigned session = 0; session < shape.sessions; ++session) {
            const bool last = session + 1 == shape.sessions;
            VERBEX_RETURN_IF_FAILED(write(disk, *lock, kJournal, shape, shape.batches,
                                          last ? shape.closeLast : session % 2 == 0,
                                          last && shape.prepareLast, session * 31 + 7));
        }
        return {};
    }

    // Recovers and compares all of it with `batches`. Empty: it is as it must be.
    std::string judge(uint64_t atLeast, uint64_t atMost, uint64_t& last) {
        Batches found;
        const RecordSink sink = [&](const RecordView& record) -> Status {
            found[record.position] = {record.epoch, record.count,
                                      {record.payload.begin(), record.payload.end()}};
            return {};
        };
        const RecoveryReport report =
            recoverJournal(disk, *lock, kJournal, {.fromPosition = 0, .journalId = kId}, sink);
        if (!report.status.isOk()) return report.toString();
        last = report.end.nextPosition - 1;
        if (last < atLeast || last > atMost) {
            return "ends at " + std::to_string(last) + " instead of " + std::to_string(atLeast) +
                   " to " + std::to_string(atMost);
        }
        batches.erase(batches.upper_bound(last), batches.end());
        if (found != batches) return "another content up to " + std::to_string(last);
        const RecoveryReport again = verifyJournal(disk, kJournal);
        if (!again.status.isOk() || again.torn) return "after repair: " + again.toString();
        for (const auto& [path, content] : disk.image()) {
            if (path.ends_with(".tmp")) return "leftover " + path;
        }
        return {};
    }

    // Lives on after a cut, and looks again after a power cut.
    std::string goOn(const Shape& shape, uint64_t seed) {
        if (Status status = write(disk, *lock, kJournal, shape, 5, true, false, seed);
            !status.isOk()) {
            return "going on: " + status.toString();
        }
        disk.restart(RestartMode::PowerCut, seed);
        lockAgain();
        uint64_t last = 0;
        const std::string wrong = judge(durable, durable, last);
        return wrong.empty() ? "" : "after going on: " + wrong;
    }
};

std::vector<uint64_t> cutsOf(const Journal& journal, uint64_t firstPosition) {
    std::vector<uint64_t> cuts = {firstPosition - 1};
    for (const auto& [first, batch] : journal.batches) cuts.push_back(first + batch.count - 1);
    return cuts;
}

struct CrashPoint {
    uint64_t call;
    CrashMoment moment;
    uint64_t sectors;
    RestartMode mode;
};

std::string crashInTruncation(const Shape& shape, uint64_t to, const CrashPoint& point) {
    Journal journal;
    if (Status status = journal.build(shape); !status.isOk()) return status.toString();
    journal.disk.crashAt(journal.disk.calls() + point.call, point.moment, point.sectors);
    if (truncateJournal(journal.disk, *journal.lock, kJournal, to).isOk()) {
        return "the crash did not happen";
    }
    const uint64_t seed = point.call * 1000 + point.sectors + to;
    journal.disk.restart(point.mode, seed);
    journal.lockAgain();
    const uint64_t before = lastOf(journal.batches);
    const uint64_t kept =
        point.mode == RestartMode::ProcessCrash ? to : std::min(to, journal.durable);
    uint64_t last = 0;
    std::string wrong = journal.judge(kept, std::max(before, to), last);
    if (!wrong.empty()) return "after the crash: " + wrong;
    if (last < to) return journal.goOn(shape, seed);  // never durable, and gone with the power

    // Once more, and the power goes right after the answer.
    if (Status status = truncateJournal(journal.disk, *journal.lock, kJournal, to);
        !status.isOk()) {
        return "once more: " + status.toString();
    }
    journal.disk.restart(RestartMode::PowerCut, seed + 1);
    journal.lockAgain();
    wrong = journal.judge(to, to, last);
    if (!wrong.empty()) return "after the cut: " + wrong;
    return journal.goOn(shape, seed + 2);
}

class TruncationCrashTest : public testing::TestWithParam<Durability> {};

TEST_P(TruncationCrashTest, EveryCutWithACrashAtEveryCall) {
    Shape shape;
    shape.durability = GetParam();
    shape.prepareLast = true;
    uint64_t points = 0;
    size_t cuts = 0;
    size_t segments = 0;
    {
        Journal journal;
        ASSERT_TRUE(journal.build(shape).isOk());
        cuts = cutsOf(journal, 1).size();
        segments = listSegments(journal.disk, kJournal).value().size();
        ASSERT_GE(segments, 4u);
    }
    for (size_t i = 0; i + 1 < cuts; ++i) {
        Journal whole;
        ASSERT_TRUE(whole.build(shape).isOk());
        const uint64_t to = cutsOf(whole, 1)[i];
        const size_t base = whole.disk.calls();
        uint64_t dropped = 0;
        ASSERT_TRUE(truncateJournal(whole.disk, *whole.lock, kJournal, to, &dropped).isOk());
        ASSERT_EQ(dropped, cuts - 1 - i);
        const std::vector<DiskCall> trace = whole.disk.trace();
        for (size_t call = base; call < trace.size(); ++call) {
            std::vector<std::pair<CrashMoment, uint64_t>> moments = {{CrashMoment::Before, 0},
                                                                     {CrashMoment::After, 0}};
            // Every sector for some of the cuts, so that all of it stays a matter of seconds.
            const uint64_t step = i % 9 == 0 ? 1 : 7;
            for (uint64_t n = 1; n < trace[call].sectors; n += step) {
                moments.emplace_back(CrashMoment::TornHead, n);
                moments.emplace_back(CrashMoment::TornTail, n);
            }
            for (const auto& [moment, sectors] : moments) {
                for (const RestartMode mode : {RestartMode::ProcessCrash, RestartMode::PowerCut}) {
                    const std::string wrong =
                        crashInTruncation(shape, to, {call - base + 1, moment, sectors, mode});
                    ASSERT_EQ(wrong, "")
                        << "cut at " << to << ", call " << call - base + 1 << " of "
                        << trace.size() - base << " (" << trace[call].path << "), moment "
                        << static_cast<int>(moment) << ", sectors " << sectors << ", mode "
                        << static_cast<int>(mode);
                    ++points;
                }
            }
        }
    }
    std::printf("%llu crash points over %zu cuts of %zu segments\n",
                static_cast<unsigned long long>(points), cuts, segments);
}

INSTANTIATE_TEST_SUITE_P(Durabilities, TruncationCrashTest,
                         testing::Values(Durability::Durable, Durability::Async),
                         [](const auto& tested) {
                             return tested.param == Durability::Durable ? "Durable" : "Async";
                         });

TEST(Truncation, EveryCallFailingOnceIsAnsweredAndLeavesAGoodJournal) {
    const Shape shape;
    Journal whole;
    ASSERT_TRUE(whole.build(shape).isOk());
    const std::vector<uint64_t> cuts = cutsOf(whole, 1);
    for (const uint64_t to : {cuts[0], cuts[5], cuts[cuts.size() - 2]}) {
        Journal counting;
        ASSERT_TRUE(counting.build(shape).isOk());
        const uint64_t base = counting.disk.calls();
        ASSERT_TRUE(truncateJournal(counting.disk, *counting.lock, kJournal, to).isOk());
        for (uint64_t call = base + 1; call <= counting.disk.calls(); ++call) {
            for (const DiskFault fault : {DiskFault::IoError, DiskFault::NoSpace}) {
                Journal journal;
                ASSERT_TRUE(journal.build(shape).isOk());
                journal.disk.failAt(call, fault);
                const Status status =
                    truncateJournal(journal.disk, *journal.lock, kJournal, to);
                ASSERT_EQ(status.code(), fault == DiskFault::NoSpace ? StatusCode::NoSpace
                                                                     : StatusCode::IoError);
                // In the same process, as an owner would that has made room.
                ASSERT_EQ(truncateJournal(journal.disk, *journal.lock, kJournal, to).code(),
                          StatusCode::Ok)
                    << "call " << call - base;
                journal.disk.restart(RestartMode::PowerCut, call);
                journal.lockAgain();
                uint64_t last = 0;
                ASSERT_EQ(journal.judge(to, to, last), "") << "call " << call - base;
            }
        }
    }
}

TEST(Truncation, RefusesAPositionThatEndsNoRecordAndChangesNothing) {
    Journal journal;
    ASSERT_TRUE(journal.build({}).isOk());
    const std::vector<uint64_t> cuts = cutsOf(journal, 1);
    const SimulatedDisk::Image before = journal.disk.image();
    const uint64_t calls = journal.disk.calls();
    unsigned refused = 0;
    // Those that are refused first: where there is nothing to drop, names are made durable.
    for (uint64_t to = 0; to < lastOf(journal.batches) + 3; ++to) {
        if (to < lastOf(journal.batches) && std::ranges::find(cuts, to) != cuts.end()) continue;
        uint64_t dropped = 99;
        const Status status =
            truncateJournal(journal.disk, *journal.lock, kJournal, to, &dropped);
        const bool behind = to >= lastOf(journal.batches);
        EXPECT_EQ(status.code(), behind ? StatusCode::Ok : StatusCode::InvalidArgument) << to;
        EXPECT_EQ(dropped, 0u);
        if (behind) continue;
        ++refused;
        EXPECT_EQ(journal.disk.calls(), calls);
    }
    EXPECT_GE(refused, 10u);
    EXPECT_TRUE(journal.disk.image() == before);
}

TEST(Truncation, AJournalThatBeginsLater) {
    Shape shape;
    shape.firstPosition = 1000;
    for (const uint64_t to : {uint64_t{999}, uint64_t{998}, uint64_t{0}}) {
        Journal journal;
        ASSERT_TRUE(journal.build(shape).isOk());
        const Status status = truncateJournal(journal.disk, *journal.lock, kJournal, to);
        ASSERT_EQ(status.code(), to == 999 ? StatusCode::Ok : StatusCode::InvalidArgument);
        if (!status.isOk()) continue;
        uint64_t last = 0;
        ASSERT_EQ(journal.judge(999, 999, last), "");
        ASSERT_EQ(journal.goOn(shape, 3), "");
    }
}

TEST(Truncation, NoJournalAtAllHasNothingToDrop) {
    SimulatedDisk disk;
    const std::unique_ptr<DirectoryLock> lock = disk.lockDirectory(kData).take();
    EXPECT_TRUE(truncateJournal(disk, *lock, kJournal, 0).isOk());
    EXPECT_TRUE(truncateJournal(disk, *lock, kJournal, 12).isOk());
    EXPECT_EQ(disk.calls(), 0u);
}

TEST(Truncation, ACleanCloseBehindTheCutGoesToo) {
    Shape shape;
    shape.closeLast = true;
    Journal journal;
    ASSERT_TRUE(journal.build(shape).isOk());
    const std::vector<uint64_t> cuts = cutsOf(journal, 1);
    for (size_t i = cuts.size() - 1; i-- > 0;) {
        // Shorter and shorter, writing nothing between.
        ASSERT_TRUE(truncateJournal(journal.disk, *journal.lock, kJournal, cuts[i]).isOk());
        const RecoveryReport report = verifyJournal(journal.disk, kJournal);
        ASSERT_TRUE(report.status.isOk()) << report.toString();
        ASSERT_EQ(report.end.nextPosition, cuts[i] + 1);
        ASSERT_FALSE(report.cleanlyClosed);
    }
    uint64_t last = 0;
    ASSERT_EQ(journal.judge(0, 0, last), "");
    ASSERT_EQ(journal.goOn(shape, 11), "");
}

TEST(Truncation, ADamagedJournalIsEvidenceAndStays) {
    Journal journal;
    ASSERT_TRUE(journal.build({}).isOk());
    const std::vector<SegmentName> segments = listSegments(journal.disk, kJournal).value();
    // Damage in what would go, and in what would stay.
    for (const SegmentName& segment : {segments.front(), segments.back()}) {
        const std::string path = joinPath(kJournal, segment.name);
        journal.disk.flipBit(path, (kSegmentHeaderBytes + 70) * 8);
        const SimulatedDisk::Image before = journal.disk.image();
        const Status status = truncateJournal(journal.disk, *journal.lock, kJournal,
                                              cutsOf(journal, 1)[9]);
        EXPECT_EQ(status.code(), StatusCode::JournalDamaged);
        EXPECT_TRUE(journal.disk.image() == before);
        journal.disk.flipBit(path, (kSegmentHeaderBytes + 70) * 8);
    }
}

TEST(Truncation, TruncateWriteTruncateAgain) {
    for (uint64_t seed = 1; seed <= 60; ++seed) {
        Random random(seed);
        Shape shape;
        shape.durability = seed % 2 == 0 ? Durability::Durable : Durability::Async;
        shape.segmentBytes = (2 + random.below(3)) * kBlockBytes;
        Journal journal;
        ASSERT_TRUE(journal.build(shape).isOk());
        for (unsigned round = 0; round < 8; ++round) {
            const std::vector<uint64_t> cuts = cutsOf(journal, 1);
            const uint64_t to = cuts[random.below(cuts.size())];
            ASSERT_TRUE(truncateJournal(journal.disk, *journal.lock, kJournal, to).isOk());
            journal.batches.erase(journal.batches.upper_bound(to), journal.batches.end());
            const auto count = static_cast<unsigned>(1 + random.below(12));
            const Status written =
                journal.write(journal.disk, *journal.lock, kJournal, shape, count,
                              random.below(2) == 0, random.below(2) == 0, random.next());
            ASSERT_TRUE(written.isOk()) << written.toString();
            ASSERT_EQ(journal.batches.rbegin()->second.epoch,
                      verifyJournal(journal.disk, kJournal).lastEpoch);
        }
        journal.disk.restart(RestartMode::ProcessCrash, seed);
        journal.lockAgain();
        uint64_t last = 0;
        const uint64_t expected = lastOf(journal.batches);
        ASSERT_EQ(journal.judge(expected, expected, last), "") << "seed " << seed;
    }
}

TEST(Truncation, OnARealFileSystem) {
    std::string pattern = testing::TempDir() + "verbex-truncation-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    const std::string directory = pattern + "/journal";
    {
        PosixStorage storage;
        const std::unique_ptr<DirectoryLock> lock = storage.lockDirectory(pattern).take();
        Journal journal;
        Shape shape;
        for (uint64_t round = 0; round < 3; ++round) {
            ASSERT_TRUE(
                journal.write(storage, *lock, directory, shape, 30, false, true, round).isOk());
            const std::vector<uint64_t> cuts = cutsOf(journal, 1);
            const uint64_t to = cuts[cuts.size() / 2];
            ASSERT_TRUE(truncateJournal(storage, *lock, directory, to).isOk());
            journal.batches.erase(journal.batches.upper_bound(to), journal.batches.end());
            const RecoveryReport report = verifyJournal(storage, directory);
            ASSERT_TRUE(report.status.isOk()) << report.toString();
            ASSERT_EQ(report.end.nextPosition, to + 1);
            ASSERT_EQ(report.records, journal.batches.size());
        }
    }
    std::filesystem::remove_all(pattern);
}

}  // namespace
}  // namespace verbex::journal::test
