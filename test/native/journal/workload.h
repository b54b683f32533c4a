// A workload over journal and snapshots on a simulated disk, and the ledger that judges recovery.
//
// Purpose: crash, fault and property tests run the same operations; a seed chooses them.
// Owner: the test.
// Thread safety: none.
// Invariants: content follows from position and seed alone, so any record can be judged by itself.
// Requires: a disk without planned damage.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "journal/reader.h"
#include "journal/recovery.h"
#include "journal/snapshots.h"
#include "journal/writer.h"
#include "sim/disk.h"

namespace verbex::journal::test {

using sim::SimulatedDisk;

inline const std::string kData = "data";
inline const std::string kJournal = "data/journal";
inline const std::string kSnapshots = "data/snapshots";
inline constexpr JournalId kId{0x1122334455667788, 0x99aabbccddeeff00};

class Random {  // SplitMix64
public:
    explicit Random(uint64_t seed) : state_(seed) {}
    uint64_t next() {
        state_ += 0x9e3779b97f4a7c15;
        uint64_t z = state_;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
        z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
        return z ^ (z >> 31);
    }
    uint64_t below(uint64_t limit) { return next() % limit; }

private:
    uint64_t state_;
};

inline std::vector<std::byte> randomBytes(uint64_t seed, size_t size) {
    Random random(seed);
    std::vector<std::byte> bytes(size);
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(random.next());
    return bytes;
}

struct Batch {
    uint64_t epoch = 0;
    uint32_t count = 0;
    std::vector<std::byte> payload;
    friend bool operator==(const Batch&, const Batch&) = default;
};

// What was offered, and how much of it somebody was told.
struct Ledger {
    std::map<uint64_t, Batch> offered;  // by first position
    uint64_t lastOffered = 0;
    uint64_t durable = 0;      // acknowledged as durable
    uint64_t written = 0;      // acknowledged as handed to the operating system
    uint64_t snapshot = 0;     // newest position whose publish answered ok
    bool closed = false;

    // A new run begins with what recovery found.
    void resume(uint64_t last) {
        offered.erase(offered.upper_bound(last), offered.end());
        lastOffered = durable = written = last;
        closed = false;
    }
};

struct WorkloadOptions {
    Durability durability = Durability::Durable;
    uint64_t seed = 0;
    unsigned operations = 40;
    uint64_t segmentBytes = 2 * kBlockBytes;
    bool closeAtEnd = true;
    size_t payloadBytesLimit = 1500;
};

inline std::vector<std::byte> snapshotContent(uint64_t position) {
    return randomBytes(position * 77, 100 + position % 4 * 600);
}

inline Batch makeBatch(Random& random, size_t payloadBytesLimit) {
    Batch batch;
    batch.epoch = 1;
    batch.count = static_cast<uint32_t>(1 + random.below(5));
    const size_t size = 1 + random.below(random.below(3) == 0 ? payloadBytesLimit : 150);
    batch.payload = randomBytes(random.next(), size);
    // Long runs of zeros are what whitening is for.
    if (random.below(4) == 0) {
        const size_t from = random.below(size);
        std::fill(batch.payload.begin() + static_cast<std::ptrdiff_t>(from), batch.payload.end(),
                  std::byte{0});
    }
    return batch;
}

// One life of a process: lock, recover, write, perhaps close. Stops at the first failure and
// answers it; `ledger` knows what was acknowledged until then.
inline Status runWorkload(SimulatedDisk& disk, const WorkloadOptions& options, Ledger& ledger) {
    Random random(options.seed);
    Result<std::unique_ptr<DirectoryLock>> lock = disk.lockDirectory(kData);
    if (!lock.isOk()) return lock.status();
    Result<std::unique_ptr<SnapshotStore>> store =
        SnapshotStore::open(disk, *lock.value(), kSnapshots);
    if (!store.isOk()) return store.status();
    SnapshotStore& snapshots = *store.value();
    RecoveryOptions recovery{.fromPosition = ledger.snapshot + 1,
                             .minimumPosition = ledger.snapshot,
                             .journalId = kId};
    const RecoveryReport report = recoverJournal(disk, *lock.value(), kJournal, recovery, {});
    VERBEX_RETURN_IF_FAILED(report.status);
    ledger.resume(report.end.nextPosition - 1);
    const WriterOptions writerOptions{.durability = options.durability,
                                      .segmentBytes = options.segmentBytes,
                                      .stagingBytes = 4 * kBlockBytes,
                                      .journalId = kId};
    Result<std::unique_ptr<JournalWriter>> opened =
        JournalWriter::open(disk, *lock.value(), kJournal, report.end, writerOptions);
    if (!opened.isOk()) return opened.status();
    JournalWriter& writer = *opened.value();
    uint64_t epoch = std::max<uint64_t>(1, report.end.epoch);

    const auto acknowledge = [&](bool synced) {
        ledger.written = ledger.lastOffered;
        if (synced || options.durability == Durability::Durable) ledger.durable = ledger.written;
    };
    for (unsigned i = 0; i < options.operations; ++i) {
        const uint64_t what = random.below(20);
        if (what < 11) {
            Batch batch = makeBatch(random, options.payloadBytesLimit);
            if (random.below(10) == 0) ++epoch;
            batch.epoch = epoch;
            const uint64_t first = ledger.lastOffered + 1;
            // Offered before the call: a failing append may still have reached the disk.
            ledger.offered[first] = batch;
            ledger.lastOffered = first + batch.count - 1;
            VERBEX_RETURN_IF_FAILED(writer.append(epoch, first, batch.count, batch.payload));
        } else if (what < 16) {
            VERBEX_RETURN_IF_FAILED(writer.commit());
            acknowledge(false);
        } else if (what == 16) {
            VERBEX_RETURN_IF_FAILED(writer.sync());
            acknowledge(true);
        } else if (what == 17) {
            Status status = writer.prepareNext();
            if (!status.isOk()) return status;
        } else if (what == 18 && ledger.durable > ledger.snapshot) {
            const uint64_t position = ledger.durable;
            const SnapshotFacts facts{.journalId = kId, .position = position, .epoch = epoch};
            Result<std::unique_ptr<SnapshotWriter>> snapshot = snapshots.begin(facts);
            if (snapshot.isOk()) {
                VERBEX_RETURN_IF_FAILED(snapshot.value()->write(snapshotContent(position)));
                VERBEX_RETURN_IF_FAILED(snapshots.publish(snapshot.take(), {position, 7}));
            } else if (snapshot.status().code() != StatusCode::AlreadyExists) {
                return snapshot.status();
            }
            ledger.snapshot = position;
        } else if (what == 19 && ledger.snapshot > 0) {
            VERBEX_RETURN_IF_FAILED(writer.removeSegmentsBefore(ledger.snapshot + 1));
        }
    }
    if (options.closeAtEnd) {
        VERBEX_RETURN_IF_FAILED(writer.close());
        acknowledge(true);
        ledger.closed = true;
    }
    return {};
}

// Judges what recovery hands out against the ledger. Empty: all is as it must be.
inline std::string judge(SimulatedDisk& disk, const Ledger& ledger, uint64_t mustReach,
                         RecoveryReport* reportOut = nullptr) {
    Result<std::unique_ptr<DirectoryLock>> lock = disk.lockDirectory(kData);
    if (!lock.isOk()) return lock.status().toString();
    Result<std::unique_ptr<SnapshotStore>> store =
        SnapshotStore::open(disk, *lock.value(), kSnapshots);
    if (!store.isOk()) return store.status().toString();

    uint64_t snapshot = 0;
    Result<LoadedSnapshot> loaded = store.value()->loadNewest();
    if (loaded.isOk()) {
        if (!loaded.value().refused.empty()) return "a snapshot was found damaged";
        snapshot = loaded.value().facts.position;
        std::vector<std::byte> content(loaded.value().facts.contentBytes);
        Result<size_t> read = loaded.value().reader->read(content);
        if (!read.isOk()) return read.status().toString();
        if (content != snapshotContent(snapshot)) return "a snapshot has the wrong content";
        if (!(loaded.value().facts.stateHash == Digest128{snapshot, 7})) return "wrong state hash";
    } else if (loaded.status().code() != StatusCode::NotFound) {
        return loaded.status().toString();
    }
    if (snapshot < ledger.snapshot) return "the newest published snapshot is lost";

    uint64_t expected = 0;
    std::string wrong;
    const RecordSink sink = [&](const RecordView& record) -> Status {
        const auto offered = ledger.offered.find(record.position);
        const std::string at = " at position " + std::to_string(record.position);
        if (expected != 0 && record.position != expected) wrong += "gap or repetition" + at + "; ";
        expected = record.lastPosition() + 1;
        if (offered == ledger.offered.end()) {
            wrong += "never offered" + at + "; ";
        } else if (offered->second.count != record.count || offered->second.epoch != record.epoch ||
                   !std::ranges::equal(offered->second.payload, record.payload)) {
            wrong += "different content" + at + "; ";
        }
        return {};
    };
    const RecoveryOptions options{
        .fromPosition = snapshot + 1, .minimumPosition = snapshot, .journalId = kId};
    RecoveryReport report = recoverJournal(disk, *lock.value(), kJournal, options, sink);
    if (reportOut != nullptr) *reportOut = report;
    if (!report.status.isOk()) return report.toString();
    if (!wrong.empty()) return wrong;
    const uint64_t last = report.end.nextPosition - 1;
    if (last < mustReach) {
        return "acknowledged up to " + std::to_string(mustReach) + ", recovered up to " +
               std::to_string(last);
    }
    if (last > ledger.lastOffered) return "more recovered than was offered";
    // Idempotent: the repaired journal is simply good.
    const RecoveryReport again =
        verifyJournal(disk, kJournal, {.fromPosition = snapshot + 1, .minimumPosition = last});
    if (!again.status.isOk()) return "after repair: " + again.toString();
    if (again.torn) return "after repair still torn";
    for (const auto& [path, content] : disk.image()) {
        if (path.ends_with(".tmp")) return "leftover " + path;
    }
    return {};
}

}  // namespace verbex::journal::test
