#include "node/state_recovery.h"

#include <algorithm>

#include "journal/segment.h"
#include "journal/snapshots.h"
#include "node/data_directory.h"
#include "pipeline/steady_clock.h"
#include "replication/core_state.h"
#include "replication/member_state.h"
#include "wire/command_codec.h"

namespace verbex::node {

using pipeline::steadyNs;

namespace {

bool isDamage(StatusCode code) {
    return code == StatusCode::SnapshotDamaged || code == StatusCode::UnsupportedFormat;
}

Result<std::unique_ptr<journal::SnapshotReader>> openSnapshotOf(journal::Storage& storage,
                                                                const std::string& data,
                                                                const std::string& name) {
    Result<std::unique_ptr<journal::File>> file = storage.open(
        journal::joinPath(snapshotDirectory(data), name), journal::FileMode::Read);
    if (!file.isOk()) return file.status();
    return journal::SnapshotReader::open(file.take(), name);
}

Failure failureOf(const journal::RecoveryReport& report) {
    Failure failure(report.status);
    failure.place = report.damage;
    return failure;
}

}  // namespace

Replay::Events::Events() : cells_(std::make_unique<Event[]>(kCells)) {
    setRegion(cells_.get(), cells_.get() + kCells);
}

void Replay::Events::flush() {
    if (digesting) digest.add(begin(), static_cast<size_t>(cursor() - begin()));
    if (telling) {
        for (const Event* event = begin(); event != cursor(); event++) sink(*event, index++);
    }
    setRegion(cells_.get(), cells_.get() + kCells);
}

Replay::Replay(Core& core, Position upTo, const std::atomic<bool>* abandon)
    : core_(core), upTo_(upTo), abandon_(abandon) {}

Position Replay::follow(const journal::SnapshotFacts& facts) {
    if (isAnothers(facts)) return facts.position + 1;
    expectedPosition_ = facts.position;
    expectedDigest_ = facts.journalDigest;
    return std::max<Position>(facts.position, 1);
}

void Replay::digestAfter(Position position, const Digest128& from) {
    digestAfter_ = position;
    events_.digest = EventDigest(from);
}

void Replay::tellAfter(Position position, EventSink sink) {
    tellAfter_ = position;
    events_.sink = std::move(sink);
}

void Replay::warmFrom(size_t first) {
    const Command* batch[Core::kWarmMax];
    const size_t count = std::min(Core::kWarmMax, commands_.size() - first);
    for (size_t i = 0; i < count; i++) batch[i] = &commands_[first + i];
    core_.warm(batch, count);
}

Status Replay::take(const journal::RecordView& record) {
    if (abandon_ != nullptr && abandon_->load(std::memory_order_relaxed)) {
        return Status(StatusCode::Closed, "the node stops");
    }
    if (record.count == 0) return {};
    if (record.lastPosition() == expectedPosition_ && !(record.digest == expectedDigest_)) {
        return Status(StatusCode::SnapshotDamaged,
                      "the snapshot at position " + std::to_string(expectedPosition_) +
                          " was taken from another history than the journal holds");
    }
    if (record.lastPosition() <= core_.position() || record.position > upTo_) return {};
    if (!decodeBatch(record.payload, record.count, commands_)) {
        return Status(StatusCode::JournalDamaged,
                      "the record at position " + std::to_string(record.position) +
                          " does not hold the " + std::to_string(record.count) +
                          " commands that it names");
    }
    for (size_t i = 0; i < commands_.size(); i++) {
        const Position position = record.position + i;
        if (i % Core::kWarmMax == 0) warmFrom(i);
        if (position <= core_.position() || position > upTo_) continue;
        CHECK(position == core_.position() + 1);
        events_.digesting = position > digestAfter_;
        events_.telling = position > tellAfter_;
        events_.index = 0;
        core_.apply(commands_[i], events_);
        events_.flush();
        applied_++;
    }
    return {};
}

Result<std::unique_ptr<Core>> loadSnapshot(journal::Storage& storage, const std::string& data,
                                           const std::string& name, const CoreLimits& limits,
                                           journal::SnapshotFacts& facts,
                                           const CoreShards& shards) {
    Result<std::unique_ptr<journal::SnapshotReader>> reader = openSnapshotOf(storage, data, name);
    if (!reader.isOk()) return reader.status();
    // A member of a cluster keeps more than the state of its core, ahead of it.
    Result<std::optional<CoreLimits>> members = replication::passMemberHead(*reader.value());
    if (!members.isOk()) return members.status();
    if (!members.value().has_value()) reader = openSnapshotOf(storage, data, name);
    if (!reader.isOk()) return reader.status();
    facts = reader.value()->facts();
    return replication::readCoreState(*reader.value(), name, limits, shards);
}

namespace {

// Of [from, upTo], in the order in which they are listed, newest first, or turned.
Result<SnapshotState> loadState(journal::Storage& storage, const std::string& data,
                                const CoreLimits& limits, Position from, Position upTo,
                                bool oldestFirst, const CoreShards& shards) {
    SnapshotState state;
    Result<std::vector<journal::SnapshotListing>> listed =
        journal::listSnapshots(storage, snapshotDirectory(data));
    if (!listed.isOk()) return listed.status();
    std::vector<journal::SnapshotListing> snapshots = listed.take();
    if (!snapshots.empty()) state.newestListed = snapshots.front().position;
    if (oldestFirst) std::ranges::reverse(snapshots);
    for (const journal::SnapshotListing& snapshot : snapshots) {
        if (snapshot.position < from || snapshot.position > upTo) continue;
        Result<std::unique_ptr<Core>> core =
            loadSnapshot(storage, data, snapshot.name, limits, state.facts, shards);
        if (core.isOk()) {
            state.core = core.take();
            return state;
        }
        state.refused.push_back(core.status().toString());
    }
    state.facts = {};
    state.core = std::make_unique<Core>(limits, shards);
    return state;
}

}  // namespace

Result<SnapshotState> loadNewestState(journal::Storage& storage, const std::string& data,
                                      const CoreLimits& limits, Position upTo,
                                      const CoreShards& shards) {
    return loadState(storage, data, limits, 0, upTo, false, shards);
}

Result<std::optional<CoreLimits>> memberLimits(journal::Storage& storage, const std::string& data) {
    const std::string directory = snapshotDirectory(data);
    Result<std::vector<journal::SnapshotListing>> listed = journal::listSnapshots(storage, directory);
    if (!listed.isOk()) return listed.status();
    for (const journal::SnapshotListing& snapshot : listed.value()) {
        Result<std::unique_ptr<journal::SnapshotReader>> reader =
            openSnapshotOf(storage, data, snapshot.name);
        Result<std::optional<CoreLimits>> limits =
            reader.isOk() ? replication::passMemberHead(*reader.value())
                          : Result<std::optional<CoreLimits>>(reader.status());
        if (limits.isOk()) return limits;
        // Damaged, or gone since it was listed: whoever loads it says so.
        const StatusCode code = limits.status().code();
        if (!isDamage(code) && code != StatusCode::NotFound) return limits.status();
    }
    return std::optional<CoreLimits>();
}

RecoveredState recoverState(journal::Storage& storage, const journal::DirectoryLock* lock,
                            const std::string& data, const CoreLimits& limits, Position upTo,
                            StateSource source, std::optional<journal::JournalId> journalId,
                            const CoreShards& shards) {
    RecoveredState result;
    const uint64_t started = steadyNs();
    SnapshotState snapshot;
    Position first = 1;
    if (source == StateSource::Oldest) {
        Result<std::vector<journal::SegmentName>> segments =
            journal::listSegments(storage, journalDirectory(data));
        if (!segments.isOk()) {
            result.failure = segments.status();
            return result;
        }
        if (!segments.value().empty()) first = segments.value().front().firstPosition;
    }
    if (source == StateSource::Newest || first > 1) {
        const bool oldest = source == StateSource::Oldest;
        Result<SnapshotState> loaded =
            loadState(storage, data, limits, oldest ? first - 1 : 0, upTo, oldest, shards);
        if (!loaded.isOk()) {
            result.failure = loaded.status();
            return result;
        }
        snapshot = loaded.take();
        if (oldest && snapshot.facts.position == 0) {
            std::string damaged;
            for (const std::string& one : snapshot.refused) damaged += "; " + one;
            result.failure =
                Status(damaged.empty() ? StatusCode::NotFound : StatusCode::SnapshotDamaged,
                       "the journal in " + data + " begins at position " + std::to_string(first) +
                           ", and no sound snapshot reaches to it" + damaged);
            result.refusedSnapshots = std::move(snapshot.refused);
            return result;
        }
    } else {
        snapshot.core = std::make_unique<Core>(limits, shards);
    }
    result.refusedSnapshots = std::move(snapshot.refused);
    result.snapshotPosition = snapshot.facts.position;

    Replay replay(*snapshot.core, upTo);
    journal::RecoveryOptions options;
    options.journalId = journalId;
    options.minimumPosition = std::min(snapshot.newestListed, upTo);
    if (snapshot.facts.position != 0) {
        options.fromPosition = replay.follow(snapshot.facts);
        const bool isOwn = !isAnothers(snapshot.facts);
        if (isOwn && !options.journalId.has_value()) options.journalId = snapshot.facts.journalId;
        if (isOwn && !(snapshot.facts.journalId == *options.journalId)) {
            result.failure = Status(StatusCode::SnapshotDamaged,
                                    "the snapshot at position " +
                                        std::to_string(snapshot.facts.position) +
                                        " belongs to another journal");
            return result;
        }
    }
    const journal::RecordSink sink = [&replay](const journal::RecordView& record) {
        return replay.take(record);
    };
    const std::string directory = journalDirectory(data);
    result.journal = lock != nullptr
                         ? journal::recoverJournal(storage, *lock, directory, options, sink)
                         : journal::verifyJournal(storage, directory, options, sink);
    result.failure = failureOf(result.journal);
    result.replayed = replay.applied();
    result.core = std::move(snapshot.core);
    if (result.failure.isOk() && upTo != UINT64_MAX && result.core->position() != upTo) {
        result.failure = Failure(Status(
            StatusCode::NotFound, "the journal ends at position " +
                                      std::to_string(result.core->position()) + ", before " +
                                      std::to_string(upTo)));
    }
    result.elapsedNs = steadyNs() - started;
    return result;
}

}  // namespace verbex::node
