#include "replication/member_snapshots.h"

#include <algorithm>

#include "journal/reader.h"

namespace verbex::replication {

namespace {

bool isDamage(StatusCode code) {
    return code == StatusCode::SnapshotDamaged || code == StatusCode::UnsupportedFormat;
}

// Somebody else needs what takeNow() holds.
Status stopped() { return Status(StatusCode::Closed, "the snapshot was given up"); }

}  // namespace

Result<std::unique_ptr<MemberSnapshots>> MemberSnapshots::open(journal::Storage& storage,
                                                               const journal::DirectoryLock& lock,
                                                               const SnapshotSettings& settings) {
    std::unique_ptr<MemberSnapshots> snapshots(new MemberSnapshots(storage, settings));
    Result<std::unique_ptr<journal::SnapshotStore>> store = journal::SnapshotStore::open(
        storage, lock, journal::joinPath(settings.data, "snapshots"));
    if (!store.isOk()) return store.status();
    snapshots->store_ = store.take();
    VERBEX_RETURN_IF_FAILED(snapshots->settle());
    return snapshots;
}

// ---- what a crash has left

// An installation counts from the moment when the snapshot has its name: then the old log goes, else the note.
Status MemberSnapshots::settle() {
    Result<std::optional<DurableNote>> distrust =
        readNote(storage_, settings_.data, kDistrustedNote);
    if (!distrust.isOk()) return distrust.status();
    distrusted_ = distrust.value().has_value();
    Result<std::optional<DurableNote>> note = readNote(storage_, settings_.data, kInstallingNote);
    if (!note.isOk()) return note.status();
    if (!note.value().has_value()) return {};
    Result<bool> sound = isSound(*note.value());
    if (!sound.isOk()) return sound.status();
    if (!sound.value()) return undoInstall(note.value()->position);
    installing_ = true;
    VERBEX_RETURN_IF_FAILED(removeJournal(storage_, journal::joinPath(settings_.data, "journal")));
    return store_->removeOthers(note.value()->position);
}

Status MemberSnapshots::undoInstall(Position position) {
    const std::string directory = journal::joinPath(settings_.data, "snapshots");
    Status removed =
        storage_.remove(journal::joinPath(directory, journal::snapshotFileName(position)));
    if (removed.code() != StatusCode::NotFound) VERBEX_RETURN_IF_FAILED(removed);
    VERBEX_RETURN_IF_FAILED(storage_.syncDirectory(directory));
    return removeNote(storage_, settings_.data, kInstallingNote);
}

Result<bool> MemberSnapshots::isSound(const DurableNote& note) {
    Result<std::vector<journal::SnapshotListing>> listed = store_->list();
    if (!listed.isOk()) return listed.status();
    for (const journal::SnapshotListing& each : listed.value()) {
        if (each.position != note.position) continue;
        Result<std::unique_ptr<journal::SnapshotReader>> reader = store_->read(each.name);
        if (reader.isOk() && reader.value()->contentDigest() != note.digest) return false;
        Outputs nowhere(0);
        Result<MemberState> state = reader.isOk()
                                        ? readMemberState(*reader.value(), settings_.executor, nowhere)
                                        : Result<MemberState>(reader.status());
        if (state.isOk()) return true;
        if (!isDamage(state.status().code())) return state.status();
        return false;
    }
    return false;
}

Status MemberSnapshots::installed() {
    installing_ = false;
    return removeNote(storage_, settings_.data, kInstallingNote);
}

// ---- recovery

Result<Position> MemberSnapshots::newestListed() {
    Result<std::vector<journal::SnapshotListing>> listed = store_->list();
    if (!listed.isOk()) return listed.status();
    return listed.value().empty() ? Position{0} : listed.value().front().position;
}

Result<MemberState> MemberSnapshots::load(Position upTo, Outputs& outputs,
                                          std::vector<std::string>& refused) {
    Result<std::vector<journal::SnapshotListing>> listed = store_->list();
    if (!listed.isOk()) return listed.status();
    for (const journal::SnapshotListing& each : listed.value()) {
        if (each.position > upTo) continue;
        Result<std::unique_ptr<journal::SnapshotReader>> reader = store_->read(each.name);
        Result<MemberState> state = reader.isOk()
                                        ? readMemberState(*reader.value(), settings_.executor, outputs)
                                        : Result<MemberState>(reader.status());
        if (state.isOk()) {
            if (upTo == UINT64_MAX) newest_.store(each.position, std::memory_order_release);
            return state;
        }
        // An error of the disk is no statement about the snapshot: nothing is passed over for it.
        if (!isDamage(state.status().code())) return state.status();
        refused.push_back(state.status().toString());
    }
    MemberState state;
    state.executor = std::make_unique<Executor>(settings_.executor, outputs);
    return state;
}

// ---- taking them

uint64_t MemberSnapshots::turn(uint64_t amount, uint64_t every) const {
    if (every == 0) return 0;
    return (amount + every * settings_.share / settings_.shares) / every;
}

// By commands, or by bytes. The bytes begin anew with each snapshot that has come to be: one that failed is due again.
bool MemberSnapshots::isDue(Position position) {
    const Position newest = this->newest();
    if (notedAt_ != 0 && newest >= notedAt_) {
        newestBytes_ = notedBytes_;
        notedAt_ = 0;
    }
    const SnapshotOptions& options = settings_.options;
    if (turn(position, options.everyCommands) > turn(newest, options.everyCommands)) return true;
    return position > newest && turn(log_->bytesTaken(), options.everyBytes) >
                                    turn(newestBytes_, options.everyBytes);
}

void MemberSnapshots::consider(const Outputs& outputs, const Executor& executor) {
    const SnapshotOptions& options = settings_.options;
    if ((options.everyCommands == 0 && options.everyBytes == 0) || distrusted_) return;
    if (markAt_.load(std::memory_order_acquire) != 0) return;
    const bool any = settings_.executor.mutant == Mutant::SnapshotUncommitted;
    const Position position = any ? executor.position() : outputs.released();
    if (!isDue(position)) return;
    const Hold held(*this, holds_.mark);
    Mark mark;
    mark.position = position;
    if (position == executor.position()) {
        mark.result = executor.result();
    } else if (const Digest128* kept = outputs.hashAt(position)) {
        mark.result = *kept;
    } else {
        return;
    }
    if (position > log_->last()) return;
    mark.ends = endsUpTo(log_->ends(), position);
    notedAt_ = position;
    notedBytes_ = log_->bytesTaken();
    {
        const std::lock_guard guard(mutex_);
        mark_ = std::move(mark);
    }
    markAt_.store(position, std::memory_order_release);
}

bool MemberSnapshots::isWanted() const {
    const Position at = markAt_.load(std::memory_order_acquire);
    return at != 0 && log_->durable() >= at;
}

void MemberSnapshots::takeNow() {
    const std::lock_guard work(work_);
    Mark mark;
    {
        const std::lock_guard guard(mutex_);
        if (!mark_.has_value() || pausing_.load(std::memory_order_acquire)) return;
        mark = *mark_;
    }
    const Status status = take(mark);
    const std::lock_guard guard(mutex_);
    trouble_ = status.isOk() || status.code() == StatusCode::Closed ? "" : status.toString();
    mark_.reset();
    markAt_.store(0, std::memory_order_release);
}

Status MemberSnapshots::take(const Mark& mark) {
    Outputs nowhere(0);
    nowhere.recovering(true);
    std::vector<std::string> refused;
    Result<MemberState> loaded = load(mark.position, nowhere, refused);
    if (!loaded.isOk()) return loaded.status();
    MemberState shadow = loaded.take();
    const Position from = shadow.position();
    journal::SnapshotFacts facts;
    if (from < mark.position) {
        if (from + 1 < log_->first()) {
            return Status(StatusCode::SnapshotDamaged,
                          "no sound snapshot reaches to where the log begins");
        }
        Result<std::unique_ptr<journal::JournalReader>> reader = journal::JournalReader::open(
            storage_, journal::joinPath(settings_.data, "journal"), from + 1);
        if (!reader.isOk()) return reader.status();
        VERBEX_RETURN_IF_FAILED(reader.value()->readUpTo(
            mark.position, [&](const journal::RecordView& record) -> Status {
                if (pausing_.load(std::memory_order_relaxed) ||
                    stopped_.load(std::memory_order_relaxed)) {
                    return stopped();
                }
                if (record.position != shadow.position() + 1) {
                    return Status(StatusCode::SnapshotDamaged, "a snapshot does not end with an entry");
                }
                shadow.executor->execute(entryOf(record));
                return {};
            }));
        facts.journalId = reader.value()->journalId();
        facts.journalDigest = reader.value()->digest();
    }
    if (shadow.position() != mark.position || shadow.executor->result() != mark.result) {
        return Status(StatusCode::SnapshotDamaged,
                      "executing the log from position " + std::to_string(from) + " to " +
                          std::to_string(mark.position) +
                          " gives another result than was released");
    }
    if (settings_.executor.mutant == Mutant::PruneEarly) {
        VERBEX_RETURN_IF_FAILED(log_->prune(mark.position + 1, settings_.options.historyBytes));
    }
    if (from != mark.position) {
        facts.position = mark.position;
        facts.epoch = mark.ends.back().epoch;
        VERBEX_RETURN_IF_FAILED(write(shadow, mark, facts));
        taken_.fetch_add(1, std::memory_order_relaxed);
    }
    newest_.store(mark.position, std::memory_order_release);
    return prune();
}

Status MemberSnapshots::write(const MemberState& shadow, const Mark& mark,
                              journal::SnapshotFacts facts) {
    const Digest128 stateHash = shadow.executor->core().hash();
    Result<std::unique_ptr<journal::SnapshotWriter>> begun = store_->begin(facts);
    if (!begun.isOk()) return begun.status();
    std::unique_ptr<journal::SnapshotWriter> writer = begun.take();
    if (Status written = writeMemberState(*writer, *shadow.executor, mark.ends, settings_.executor);
        !written.isOk()) {
        (void)store_->discard(std::move(writer));  // the first failure is the answer
        return written;
    }
    return store_->publish(std::move(writer), stateHash);
}

// Not on the word of one snapshot alone: were it lost, nothing would be left to begin from. The newest was made
// from the one before it, which is so known to be good.
Status MemberSnapshots::prune() {
    Result<std::vector<journal::SnapshotListing>> kept = store_->list();
    if (!kept.isOk()) return kept.status();
    if (kept.value().size() < journal::kSnapshotsKept) return {};
    const Position keepFrom = keepFrom_.load(std::memory_order_acquire);
    Position first = kept.value().back().position + 1;
    if (keepFrom != 0) first = std::min(first, keepFrom);
    return log_->prune(first, settings_.options.historyBytes)
        .within("pruning the log");
}

std::unique_lock<std::mutex> MemberSnapshots::pause() {
    pausing_.store(true, std::memory_order_release);
    std::unique_lock lock(work_);
    pausing_.store(false, std::memory_order_release);
    return lock;
}

std::string MemberSnapshots::trouble() const {
    const std::lock_guard guard(mutex_);
    return trouble_;
}

// ---- giving and getting

Result<std::unique_ptr<journal::SnapshotReader>> MemberSnapshots::openNewest() {
    const Position position = newest();
    if (position == 0 || distrusted_) return Status(StatusCode::NotFound, "there is no snapshot");
    return store_->read(journal::snapshotFileName(position));
}

Result<std::unique_ptr<journal::SnapshotReader>> MemberSnapshots::openOldest(Position first) {
    const Position newest = this->newest();
    if (newest == 0 || distrusted_) return Status(StatusCode::NotFound, "there is no snapshot");
    Result<std::vector<journal::SnapshotListing>> listed = store_->list();
    if (!listed.isOk()) return listed.status();
    for (auto each = listed.value().rbegin(); each != listed.value().rend(); ++each) {
        if (each->position + 1 < first || each->position > newest) continue;
        Result<std::unique_ptr<journal::SnapshotReader>> reader = store_->read(each->name);
        Status status = reader.isOk() ? reader.value()->block(0).status() : reader.status();
        if (status.isOk()) return reader;
        if (!isDamage(status.code())) return status;
    }
    return Status(StatusCode::NotFound, "there is no snapshot that the log follows on");
}

Result<std::unique_ptr<journal::SnapshotWriter>> MemberSnapshots::beginInstall(
    const journal::SnapshotFacts& facts) {
    const std::unique_lock lock = pause();
    return store_->begin(facts);
}

void MemberSnapshots::dropInstall(std::unique_ptr<journal::SnapshotWriter> writer) {
    (void)store_->discard(std::move(writer));  // what is left goes at the next start
}

Result<MemberState> MemberSnapshots::install(std::unique_ptr<journal::SnapshotWriter> writer,
                                             const Digest128& stateHash,
                                             const Digest128& contentDigest, Outputs& outputs,
                                             bool& undone) {
    const Hold held(*this, holds_.install);
    const std::unique_lock lock = pause();
    undone = true;
    const Position position = writer->facts().position;
    const std::string name = journal::snapshotFileName(position);
    {
        // A mark of the old log, and what was taken for it, end here.
        const std::lock_guard guard(mutex_);
        mark_.reset();
        markAt_.store(0, std::memory_order_release);
    }
    // What is left of a try that failed would be in the next one's way.
    const std::string temporary = journal::joinPath(
        journal::joinPath(settings_.data, "snapshots"), writer->temporaryName());
    const Status noted = writeNote(storage_, settings_.data, kInstallingNote, {position, contentDigest});
    if (!noted.isOk()) {
        (void)storage_.remove(temporary);
        return noted;
    }
    Status published = store_->publish(std::move(writer), stateHash);
    Result<MemberState> state = [&]() -> Result<MemberState> {
        VERBEX_RETURN_IF_FAILED(published);
        Result<std::unique_ptr<journal::SnapshotReader>> reader = store_->read(name);
        if (!reader.isOk()) return reader.status();
        return readMemberState(*reader.value(), settings_.executor, outputs);
    }();
    if (!state.isOk()) {
        (void)storage_.remove(temporary);
        undone = undoInstall(position).isOk();
        return state;
    }
    undone = false;
    VERBEX_RETURN_IF_FAILED(log_->restart(position, state.value().ends));
    VERBEX_RETURN_IF_FAILED(store_->removeOthers(position));
    VERBEX_RETURN_IF_FAILED(installed());
    newest_.store(position, std::memory_order_release);
    notedAt_ = 0;
    newestBytes_ = log_->bytesTaken();
    return state;
}

Status MemberSnapshots::distrust() {
    if (distrusted_) return {};
    distrusted_ = true;
    return writeNote(storage_, settings_.data, kDistrustedNote, {});
}

Status MemberSnapshots::forgetAll() {
    newest_.store(0, std::memory_order_release);
    return store_->removeOthers(0);
}

Status MemberSnapshots::trust() {
    distrusted_ = false;
    return removeNote(storage_, settings_.data, kDistrustedNote);
}

}  // namespace verbex::replication
