#include "node/state_recovery.h"

#include <algorithm>
#include <span>

#include "journal/snapshots.h"
#include "node/data_directory.h"
#include "pipeline/steady_clock.h"
#include "replication/member_state.h"
#include "wire/command_codec.h"

namespace verbex::node {

using pipeline::steadyNs;

namespace {

class SnapshotSource final : public ByteSource {
public:
    explicit SnapshotSource(journal::SnapshotReader& reader) : reader_(reader) {}

    [[nodiscard]] bool read(void* bytes, size_t size) override {
        if (size == 0) return true;
        if (!failure_.isOk()) return false;
        Result<size_t> got = reader_.read({static_cast<std::byte*>(bytes), size});
        if (!got.isOk()) failure_ = got.status();
        return got.isOk() && got.value() == size;
    }
    [[nodiscard]] const Status& failure() const { return failure_; }

private:
    journal::SnapshotReader& reader_;
    Status failure_;
};

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

void Replay::expect(Position position, const Digest128& journalDigest) {
    expectedPosition_ = position;
    expectedDigest_ = journalDigest;
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
    const std::string path = journal::joinPath(snapshotDirectory(data), name);
    const auto open = [&]() -> Result<std::unique_ptr<journal::SnapshotReader>> {
        Result<std::unique_ptr<journal::File>> file = storage.open(path, journal::FileMode::Read);
        if (!file.isOk()) return file.status();
        return journal::SnapshotReader::open(file.take(), name);
    };
    Result<std::unique_ptr<journal::SnapshotReader>> reader = open();
    if (!reader.isOk()) return reader.status();
    // A member of a cluster keeps more than the state of its core, ahead of it.
    Result<bool> isMembers = replication::passMemberHead(*reader.value());
    if (!isMembers.isOk()) return isMembers.status();
    if (!isMembers.value()) reader = open();
    if (!reader.isOk()) return reader.status();
    facts = reader.value()->facts();
    SnapshotSource source(*reader.value());
    auto core = std::make_unique<Core>(limits, shards);
    const bool loaded = core->load(source);
    VERBEX_RETURN_IF_FAILED(source.failure());
    if (!loaded) {
        return Status(StatusCode::SnapshotDamaged,
                      name + " holds no state that this core reads, or one too large for it");
    }
    // At the end of the content the reader checks the digest over all of it.
    std::byte rest[1];
    Result<size_t> behind = reader.value()->read(rest);
    if (!behind.isOk()) return behind.status();
    if (behind.value() != 0) {
        return Status(StatusCode::SnapshotDamaged, name + " holds more than one state");
    }
    if (core->position() != facts.position || !(core->hash() == facts.stateHash)) {
        return Status(StatusCode::SnapshotDamaged,
                      name + " holds another state than its header says (hash " +
                          core->hash().hex() + " instead of " + facts.stateHash.hex() + ")");
    }
    return core;
}

Result<SnapshotState> loadNewestState(journal::Storage& storage, const std::string& data,
                                      const CoreLimits& limits, Position upTo,
                                      const CoreShards& shards) {
    SnapshotState state;
    Result<std::vector<journal::SnapshotListing>> listed =
        journal::listSnapshots(storage, snapshotDirectory(data));
    if (!listed.isOk() && listed.status().code() != StatusCode::NotFound) return listed.status();
    if (listed.isOk()) {
        for (const journal::SnapshotListing& snapshot : listed.value()) {
            state.newestListed = std::max(state.newestListed, snapshot.position);
            if (snapshot.position > upTo) continue;
            Result<std::unique_ptr<Core>> core =
                loadSnapshot(storage, data, snapshot.name, limits, state.facts, shards);
            if (core.isOk()) {
                state.core = core.take();
                return state;
            }
            state.refused.push_back(core.status().toString());
        }
    }
    state.facts = {};
    state.core = std::make_unique<Core>(limits, shards);
    return state;
}

RecoveredState recoverState(journal::Storage& storage, const journal::DirectoryLock* lock,
                            const std::string& data, const CoreLimits& limits, Position upTo,
                            StateSource source, std::optional<journal::JournalId> journalId,
                            const CoreShards& shards) {
    RecoveredState result;
    const uint64_t started = steadyNs();
    SnapshotState snapshot;
    if (source == StateSource::Newest) {
        Result<SnapshotState> loaded = loadNewestState(storage, data, limits, upTo, shards);
        if (!loaded.isOk()) {
            result.failure = loaded.status();
            return result;
        }
        snapshot = loaded.take();
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
        // One position earlier, so that the record under the snapshot comes by and can be compared. A snapshot
        // that a member has of another one names no journal: its own begins behind it, or goes over it later.
        const bool isAnothers = snapshot.facts.journalId == journal::JournalId{};
        options.fromPosition = snapshot.facts.position + (isAnothers ? 1 : 0);
        if (!isAnothers && !options.journalId.has_value()) {
            options.journalId = snapshot.facts.journalId;
        }
        if (!isAnothers && !(snapshot.facts.journalId == *options.journalId)) {
            result.failure = Status(StatusCode::SnapshotDamaged,
                                    "the snapshot at position " +
                                        std::to_string(snapshot.facts.position) +
                                        " belongs to another journal");
            return result;
        }
        if (!isAnothers) replay.expect(snapshot.facts.position, snapshot.facts.journalDigest);
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
