#include "node/source_recovery.h"

#include <algorithm>
#include <optional>

#include "journal/recovery.h"
#include "journal/snapshots.h"
#include "journal/writer.h"
#include "node/source_comparison.h"
#include "node/state_recovery.h"
#include "pipeline/steady_clock.h"
#include "wire/command_codec.h"

namespace verbex::node {

using pipeline::steadyNs;

namespace {

// The journal's directory until it is complete.
constexpr const char* kPartName = "journal.recovering";
// And that of the snapshot that it begins behind.
constexpr const char* kSnapshotPartName = "snapshots.recovering";

// What a snapshot says of the state at its position.
struct Checkpoint {
    Position position = 0;
    Digest128 stateHash;
    const LogSource* source = nullptr;
};

// Whether a log goes on behind a state of this position, at or before `upTo`.
bool isFollowed(const LogSource& source, Position position, Position upTo) {
    return position + 1 >= source.first() && position <= std::min(source.last(), upTo);
}

// From there on everything can be had: 0, or a snapshot's position. None: from nowhere.
std::optional<Position> reach(const LogSource& source, Position upTo) {
    if (source.first() == 1) return 0;
    for (const SourceSnapshot& snapshot : source.snapshots()) {
        if (isFollowed(source, snapshot.position, upTo)) return snapshot.position;
    }
    return std::nullopt;
}

class Recovery {
public:
    Recovery(journal::Storage& storage, const SourceRecoveryOptions& options)
        : storage_(storage), options_(options), limits_(options.limits),
          part_(journal::joinPath(options.data, kPartName)),
          snapshotPart_(journal::joinPath(options.data, kSnapshotPartName)) {}

    Failure settle(const std::vector<LogSource*>& sources) {
        for (const LogSource* source : sources) {
            if (Failure wrong = settleLimits(source->facts(), limits_); !wrong.isOk()) {
                wrong.message += " (" + source->name() + ")";
                return wrong;
            }
        }
        return {};
    }

    Failure prepare(LogSource& source, SourceRecovery& result) {
        if (Status made = storage_.createDirectory(options_.data); !made.isOk()) return made;
        Result<std::unique_ptr<journal::DirectoryLock>> lock =
            storage_.lockDirectory(options_.data);
        if (!lock.isOk()) return lock.status();
        lock_ = lock.take();
        if (Failure taken = requireNothing(); !taken.isOk()) return taken;
        if (Status cleared = clearParts(); !cleared.isOk()) return cleared;
        if (Failure failed = begin(source, result); !failed.isOk()) return failed;
        result.snapshotPosition = core_->position();
        journal::WriterOptions writing;
        writing.durability = journal::Durability::Async;  // durable as a whole, at its end
        writing.segmentBytes = options_.segmentBytes;
        writing.journalId = facts_.journalId = drawJournalId();
        facts_.limits = limits_;
        journal::JournalEnd end;
        end.nextPosition = core_->position() + 1;
        Result<std::unique_ptr<journal::JournalWriter>> writer =
            journal::JournalWriter::open(storage_, *lock_, part_, end, writing);
        if (!writer.isOk()) return writer.status();
        writer_ = writer.take();
        return {};
    }

    // What the snapshots of the two say of the states that come by.
    void expect(const std::vector<LogSource*>& sources, Position upTo) {
        for (const LogSource* source : sources) {
            for (const SourceSnapshot& snapshot : source->snapshots()) {
                if (snapshot.position < core_->position() || snapshot.position > upTo) continue;
                checkpoints_.push_back({snapshot.position, snapshot.stateHash, source});
            }
        }
        std::ranges::stable_sort(checkpoints_, {}, &Checkpoint::position);
    }

    // The other one reaches further back: what it has up to where this one begins must give the same state.
    Failure compareBeginning(const LogSource& source, LogSource& other,
                             SourceComparison& comparison, SourceRecovery& result) {
        const Position to = core_->position();
        const std::optional<Position> from = reach(other, to);
        if (!from.has_value() || *from >= to || other.last() < to) return {};
        std::unique_ptr<Core> its;
        if (Failure failed = load(other, to, its, result); !failed.isOk()) return failed;
        // Every snapshot of it that could begin it is damaged within: there is less to compare.
        if (its == nullptr) return {};
        Replay replay(*its, to);
        Failure failed = comparison.passUpTo(to, [&](const LogRecord& record) -> Failure {
            return replay.take({record.epoch, record.first, record.count, 0, record.payload, {}});
        });
        if (!failed.isOk()) return failed;
        if (its->position() != to) {
            return Status(StatusCode::JournalDamaged,
                          other.name() + " gives commands up to position " +
                              std::to_string(its->position()) + " only, before " +
                              std::to_string(to));
        }
        if (its->hash() != core_->hash()) {
            return differ(other, its->hash(), to, source, core_->hash());
        }
        result.comparedStates++;
        return {};
    }

    Failure run(LogSource& source, SourceComparison& comparison, SourceRecovery& result) {
        std::vector<std::byte> shorter;
        std::vector<Command> commands;
        if (Failure wrong = check(source, result); !wrong.isOk()) return wrong;
        while (core_->position() < std::min(options_.upTo, source.last())) {
            LogRecord record;
            bool got = false;
            if (Failure failed = source.next(record, got); !failed.isOk()) return failed;
            // What lies before the snapshot is kept there, and is not needed.
            if (got && record.last() <= core_->position()) continue;
            if (!got || record.first != core_->position() + 1) {
                return Status(StatusCode::JournalDamaged,
                              "in " + source.name() + " no record begins at position " +
                                  std::to_string(core_->position() + 1));
            }
            if (record.last() > options_.upTo) {
                if (!decodeBatch(record.payload, record.count, commands)) {
                    return undecoded(source, record);
                }
                record.count = static_cast<uint32_t>(options_.upTo - record.first + 1);
                encodeBatch(std::span(commands).first(record.count), shorter);
                record.payload = shorter;
            }
            if (Failure differ = comparison.take(record); !differ.isOk()) return differ;
            if (Failure failed = execute(source, record, result); !failed.isOk()) return failed;
            Status status =
                writer_->append(record.epoch, record.first, record.count, record.payload);
            if (!status.isOk()) return status;
            result.bytes += record.payload.size();
        }
        return {};
    }

    // First the facts and the snapshot, then the journal's name: whoever finds the journal finds what it was made
    // with, and what it begins behind.
    Status finish(Position begin) {
        VERBEX_RETURN_IF_FAILED(writer_->close());
        writer_.reset();
        VERBEX_RETURN_IF_FAILED(writeFacts(storage_, options_.data, facts_));
        if (begin != 0) {
            VERBEX_RETURN_IF_FAILED(
                storage_.rename(snapshotPart_, snapshotDirectory(options_.data)));
        }
        VERBEX_RETURN_IF_FAILED(storage_.rename(part_, journalDirectory(options_.data)));
        return storage_.syncDirectory(options_.data);
    }

    // What does not come to its end leaves nothing large behind.
    void abandon() {
        writer_.reset();
        if (isOurs_) (void)clearParts();
    }

    [[nodiscard]] const Core& core() const { return *core_; }

private:
    // Nothing is overwritten. A snapshot without a journal may be the last that is left of a market.
    Failure requireNothing() {
        Result<std::vector<journal::SegmentName>> segments =
            journal::listSegments(storage_, journalDirectory(options_.data));
        if (!segments.isOk()) return segments.status();
        Result<std::vector<journal::SnapshotListing>> snapshots =
            journal::listSnapshots(storage_, snapshotDirectory(options_.data));
        if (!snapshots.isOk()) return snapshots.status();
        if (segments.value().empty() && snapshots.value().empty()) {
            isOurs_ = true;
            return {};
        }
        return Status(StatusCode::AlreadyExists,
                      (segments.value().empty() ? "there are snapshots in " : "there is a journal in ") +
                          options_.data + " already; it stays as it is");
    }
    Status clearParts() {
        VERBEX_RETURN_IF_FAILED(clear(part_));
        return clear(snapshotPart_);
    }
    Status clear(const std::string& directory) {
        Result<std::vector<std::string>> names = storage_.list(directory);
        if (!names.isOk()) {
            return names.status().code() == StatusCode::NotFound ? Status() : names.status();
        }
        for (const std::string& name : names.value()) {
            VERBEX_RETURN_IF_FAILED(storage_.remove(journal::joinPath(directory, name)));
        }
        return {};
    }

    // The state that a source begins with, from as far back as it reaches; null: nothing sound is there.
    Failure load(LogSource& source, Position upTo, std::unique_ptr<Core>& core,
                 SourceRecovery& result, SourceSnapshot* taken = nullptr) {
        if (source.first() == 1) {
            core = std::make_unique<Core>(limits_);
            return {};
        }
        for (const SourceSnapshot& snapshot : source.snapshots()) {
            if (!isFollowed(source, snapshot.position, upTo)) continue;
            Result<std::unique_ptr<Core>> loaded = source.load(snapshot, limits_);
            if (loaded.isOk()) {
                core = loaded.take();
                if (taken != nullptr) *taken = snapshot;
                return {};
            }
            if (loaded.status().code() != StatusCode::SnapshotDamaged) return loaded.status();
            result.refusedSnapshots.push_back(source.name() + ": " + loaded.status().toString());
        }
        return {};
    }

    // The state, and the snapshot of it that the new journal begins behind.
    Failure begin(LogSource& source, SourceRecovery& result) {
        SourceSnapshot snapshot;
        if (Failure failed = load(source, options_.upTo, core_, result, &snapshot);
            !failed.isOk()) {
            return failed;
        }
        if (core_ == nullptr) {
            return Status(StatusCode::SnapshotDamaged,
                          "no snapshot in " + source.name() + " that its log follows on is sound");
        }
        if (core_->position() == 0) return {};
        // It names no journal: the new one begins behind it.
        journal::SnapshotFacts facts;
        facts.position = snapshot.position;
        facts.epoch = snapshot.epoch;
        Result<std::unique_ptr<journal::SnapshotStore>> store =
            journal::SnapshotStore::open(storage_, *lock_, snapshotPart_);
        if (!store.isOk()) return store.status();
        Result<std::unique_ptr<journal::SnapshotWriter>> writer = store.value()->begin(facts);
        if (!writer.isOk()) return writer.status();
        Status copied = source.copy(snapshot, *writer.value());
        if (copied.isOk()) copied = store.value()->publish(writer.take(), core_->hash());
        if (!copied.isOk()) return copied.within("copying the snapshot");
        return {};
    }

    // The record's commands, with a stop wherever a snapshot says what the state is to be.
    Failure execute(const LogSource& source, const LogRecord& record, SourceRecovery& result) {
        const journal::RecordView view{record.epoch, record.first, record.count, 0,
                                       record.payload, {}};
        while (next_ < checkpoints_.size() && checkpoints_[next_].position <= record.last()) {
            const Status status = Replay(*core_, checkpoints_[next_].position).take(view);
            if (!status.isOk()) return status;
            if (Failure wrong = check(source, result); !wrong.isOk()) return wrong;
        }
        return Replay(*core_).take(view);
    }
    Failure check(const LogSource& source, SourceRecovery& result) {
        for (; next_ < checkpoints_.size() && checkpoints_[next_].position == core_->position();
             ++next_) {
            const Checkpoint& its = checkpoints_[next_];
            if (its.stateHash == core_->hash()) {
                if (its.source != &source) result.comparedStates++;
                continue;
            }
            if (its.source != &source) {
                return differ(*its.source, its.stateHash, its.position, source, core_->hash());
            }
            return Failure(kCodeSourcesDisagree,
                           "in " + source.name() + " the snapshot at position " +
                               std::to_string(its.position) + " holds the state " +
                               its.stateHash.hex() + ", and its log gives " + core_->hash().hex());
        }
        return {};
    }
    static Failure differ(const LogSource& other, const Digest128& its, Position at,
                          const LogSource& source, const Digest128& hash) {
        return Failure(kCodeRecoverySourcesDiffer,
                       "the sources differ at position " + std::to_string(at) + ": " +
                           source.name() + " has the state " + hash.hex() + ", " + other.name() +
                           " has " + its.hex());
    }

    journal::Storage& storage_;
    const SourceRecoveryOptions& options_;
    CoreLimits limits_;
    DirectoryFacts facts_;
    const std::string part_;
    const std::string snapshotPart_;
    bool isOurs_ = false;  // what is in the parts was put there by a recovery
    std::vector<Checkpoint> checkpoints_;
    size_t next_ = 0;  // of them
    std::unique_ptr<journal::DirectoryLock> lock_;
    std::unique_ptr<journal::JournalWriter> writer_;
    std::unique_ptr<Core> core_;
};

// The one that reaches furthest, of those from which everything can be had.
LogSource* chosen(const std::vector<LogSource*>& sources, Position upTo) {
    LogSource* best = nullptr;
    for (LogSource* source : sources) {
        if (!reach(*source, upTo).has_value()) continue;
        if (best == nullptr || source->last() > best->last()) best = source;
    }
    return best;
}

// Why a source does not give all that is needed.
Failure fallsShort(const LogSource& source, Position upTo) {
    const std::string begins =
        source.name() + " begins at position " + std::to_string(source.first());
    Position before = 0;
    bool isLate = false;
    for (const SourceSnapshot& snapshot : source.snapshots()) {
        if (snapshot.position + 1 < source.first()) before = snapshot.position;
        isLate |= snapshot.position > upTo;
    }
    std::string damaged;
    for (const std::string& line : source.refused()) damaged += "; " + line;
    if (!damaged.empty()) {
        return Status(StatusCode::SnapshotDamaged,
                      begins + ", and no sound snapshot is of what was before" + damaged);
    }
    if (before != 0) {
        return Status(StatusCode::JournalDamaged,
                      begins + ", and its newest snapshot before that is of position " +
                          std::to_string(before) + ": the log between them is missing");
    }
    return Status(StatusCode::NotFound,
                  begins + (isLate ? ", its oldest snapshot is behind position " + std::to_string(upTo)
                                   : ", and has no snapshot of what was before"));
}

// Whether there is anything that the two can be held against each other by.
bool haveCommon(const LogSource& one, const LogSource& other, Position begin, Position upTo) {
    const Position end = std::min(one.last(), upTo);
    if (std::max(other.first(), begin + 1) <= std::min(other.last(), end)) return true;
    for (const SourceSnapshot& snapshot : other.snapshots()) {
        if (snapshot.position >= begin && snapshot.position <= end) return true;
    }
    return reach(other, begin).has_value() && other.last() >= begin && begin != 0;
}

Failure recover(journal::Storage& storage, const std::vector<LogSource*>& sources,
                const SourceRecoveryOptions& options, SourceRecovery& result) {
    CHECK(sources.size() == 1 || sources.size() == 2);
    for (const LogSource* source : sources) {
        for (const std::string& line : source->refused()) {
            result.refusedSnapshots.push_back(source->name() + ": " + line);
        }
    }
    LogSource* one = chosen(sources, options.upTo);
    if (one == nullptr) {
        Failure failure = fallsShort(*sources[0], options.upTo);
        if (sources.size() == 2) failure.message += "; " + fallsShort(*sources[1], options.upTo).message;
        return failure;
    }
    if (options.upTo != UINT64_MAX && one->last() < options.upTo) {
        return Status(StatusCode::NotFound, one->name() + " ends at position " +
                                                std::to_string(one->last()) + ", before " +
                                                std::to_string(options.upTo));
    }
    LogSource* other = nullptr;
    if (sources.size() == 2) other = sources[0] == one ? sources[1] : sources[0];
    Recovery recovery(storage, options);
    SourceComparison comparison(*one, other);
    Failure failure = recovery.settle(sources);
    if (failure.isOk()) failure = recovery.prepare(*one, result);
    if (failure.isOk() && other != nullptr) {
        if (haveCommon(*one, *other, result.snapshotPosition, options.upTo)) {
            recovery.expect(sources, std::min(one->last(), options.upTo));
            failure = recovery.compareBeginning(*one, *other, comparison, result);
        } else {
            failure = Failure(kCodeRecoverySourcesApart,
                              "nothing of " + one->name() + ", from position " +
                                  std::to_string(result.snapshotPosition) + " to " +
                                  std::to_string(one->last()) + ", can be compared with " +
                                  other->name() + ", which ends at position " +
                                  std::to_string(other->last()) + ": name one of them alone");
        }
    } else if (failure.isOk()) {
        recovery.expect(sources, std::min(one->last(), options.upTo));
    }
    if (failure.isOk()) failure = recovery.run(*one, comparison, result);
    if (failure.isOk()) failure = recovery.finish(result.snapshotPosition);
    if (!failure.isOk()) {
        recovery.abandon();
        return failure;
    }
    result.position = recovery.core().position();
    result.stateHash = recovery.core().hash();
    result.compared = comparison.compared();
    return {};
}

}  // namespace

SourceRecovery recoverFromSources(journal::Storage& storage,
                                  const std::vector<LogSource*>& sources,
                                  const SourceRecoveryOptions& options) {
    SourceRecovery result;
    const uint64_t started = steadyNs();
    result.failure = recover(storage, sources, options, result);
    result.elapsedNs = steadyNs() - started;
    return result;
}

}  // namespace verbex::node
