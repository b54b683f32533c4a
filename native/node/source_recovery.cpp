#include "node/source_recovery.h"

#include <algorithm>
#include <cstring>

#include "journal/recovery.h"
#include "journal/writer.h"
#include "node/state_recovery.h"
#include "pipeline/steady_clock.h"
#include "wire/command_codec.h"

namespace verbex::node {

using pipeline::steadyNs;

namespace {

// The journal's directory until it is complete.
constexpr const char* kPartName = "journal.recovering";

// What one source says against the other.
class Comparison {
public:
    Comparison(const LogSource& one, LogSource* other) : one_(one), other_(other) {}

    // The next record of the one.
    Failure take(const LogRecord& record) {
        bool decoded = false;
        for (Position at = record.first; other_ != nullptr && at <= record.last();) {
            if (index_ == pending_.count) {
                if (Failure failed = fetch(); !failed.isOk()) return failed;
                continue;
            }
            const Position next = pending_.first + index_;
            if (next > record.last()) return {};
            at = std::max(at, next);
            index_ = static_cast<uint32_t>(at - pending_.first);
            if (index_ == 0 && isSame(record)) {
                compared_ += record.count;
                index_ = pending_.count;
                return {};
            }
            // Other bounds, or something else in it.
            if (!decoded && !decodeBatch(record.payload, record.count, commands_)) {
                return undecoded(one_, record);
            }
            decoded = true;
            if (!pendingDecoded_ && !decodeBatch(pending_.payload, pending_.count, others_)) {
                return undecoded(*other_, pending_);
            }
            pendingDecoded_ = true;
            for (; at <= record.last() && index_ < pending_.count; ++at, ++index_) {
                const Command& one = commands_[at - record.first];
                const Command& other = others_[index_];
                if (record.epoch != pending_.epoch ||
                    std::memcmp(&one, &other, sizeof(Command)) != 0) {
                    return differ(at, record.epoch, one, other);
                }
                ++compared_;
            }
        }
        return {};
    }
    [[nodiscard]] uint64_t compared() const { return compared_; }

private:
    Failure fetch() {
        pendingDecoded_ = false;
        bool got = false;
        Failure failed = other_->next(pending_, got);
        if (!failed.isOk()) return failed;
        index_ = 0;
        if (!got) other_ = nullptr;
        return {};
    }
    [[nodiscard]] bool isSame(const LogRecord& record) const {
        return record.first == pending_.first && record.count == pending_.count &&
               record.epoch == pending_.epoch && record.payload.size() == pending_.payload.size() &&
               std::memcmp(record.payload.data(), pending_.payload.data(),
                           record.payload.size()) == 0;
    }
    static Failure undecoded(const LogSource& source, const LogRecord& record) {
        return Status(StatusCode::JournalDamaged,
                      "the record at position " + std::to_string(record.first) + " of " +
                          source.name() + " does not hold the " + std::to_string(record.count) +
                          " commands that it names");
    }
    Failure differ(Position at, uint64_t epoch, const Command& one, const Command& other) const {
        const auto said = [](const LogSource& source, uint64_t itsEpoch, const Command& command) {
            return source.name() + " has epoch " + std::to_string(itsEpoch) + " and a command of hash " +
                   hash128(&command, command.size()).hex();
        };
        return Failure(kCodeRecoverySourcesDiffer,
                       "the sources differ at position " + std::to_string(at) + ": " +
                           said(one_, epoch, one) + ", " + said(*other_, pending_.epoch, other));
    }

    const LogSource& one_;
    LogSource* other_;  // nullptr: none, or at its end
    LogRecord pending_;
    uint32_t index_ = 0;  // of the next command in pending_
    bool pendingDecoded_ = false;
    std::vector<Command> commands_;
    std::vector<Command> others_;
    uint64_t compared_ = 0;
};

class Recovery {
public:
    Recovery(journal::Storage& storage, const SourceRecoveryOptions& options)
        : storage_(storage), options_(options), limits_(options.limits),
          part_(journal::joinPath(options.data, kPartName)) {}

    Failure settle(const std::vector<LogSource*>& sources) {
        for (const LogSource* source : sources) {
            if (Failure wrong = settleLimits(source->facts(), limits_); !wrong.isOk()) {
                wrong.message += " (" + source->name() + ")";
                return wrong;
            }
        }
        return {};
    }

    Failure prepare() {
        if (Status made = storage_.createDirectory(options_.data); !made.isOk()) return made;
        Result<std::unique_ptr<journal::DirectoryLock>> lock =
            storage_.lockDirectory(options_.data);
        if (!lock.isOk()) return lock.status();
        lock_ = lock.take();
        Result<std::vector<journal::SegmentName>> segments =
            journal::listSegments(storage_, journalDirectory(options_.data));
        if (!segments.isOk()) return segments.status();
        if (!segments.value().empty()) {
            return Status(StatusCode::AlreadyExists, "there is a journal in " + options_.data +
                                                         " already; it stays as it is");
        }
        if (Status cleared = clearPart(); !cleared.isOk()) return cleared;
        journal::WriterOptions writing;
        writing.durability = journal::Durability::Async;  // durable as a whole, at its end
        writing.segmentBytes = options_.segmentBytes;
        writing.journalId = facts_.journalId = drawJournalId();
        facts_.limits = limits_;
        Result<std::unique_ptr<journal::JournalWriter>> writer =
            journal::JournalWriter::open(storage_, *lock_, part_, {}, writing);
        if (!writer.isOk()) return writer.status();
        writer_ = writer.take();
        core_ = std::make_unique<Core>(limits_);
        return {};
    }

    Failure run(LogSource& source, Comparison& comparison, SourceRecovery& result) {
        Replay replay(*core_);
        std::vector<std::byte> shorter;
        std::vector<Command> commands;
        while (core_->position() < std::min(options_.upTo, source.last())) {
            LogRecord record;
            bool got = false;
            if (Failure failed = source.next(record, got); !failed.isOk()) return failed;
            CHECK(got && record.first == core_->position() + 1);
            if (record.last() > options_.upTo) {
                if (!decodeBatch(record.payload, record.count, commands)) break;
                record.count = static_cast<uint32_t>(options_.upTo - record.first + 1);
                encodeBatch(std::span(commands).first(record.count), shorter);
                record.payload = shorter;
            }
            if (Failure differ = comparison.take(record); !differ.isOk()) return differ;
            Status status = replay.take(
                {record.epoch, record.first, record.count, 0, record.payload, {}});
            if (!status.isOk()) return status;
            status = writer_->append(record.epoch, record.first, record.count, record.payload);
            if (!status.isOk()) return status;
            result.bytes += record.payload.size();
        }
        return {};
    }

    // First the facts, then the journal's name: whoever finds the journal finds what it was made with.
    Status finish() {
        VERBEX_RETURN_IF_FAILED(writer_->close());
        writer_.reset();
        VERBEX_RETURN_IF_FAILED(writeFacts(storage_, options_.data, facts_));
        VERBEX_RETURN_IF_FAILED(storage_.rename(part_, journalDirectory(options_.data)));
        return storage_.syncDirectory(options_.data);
    }

    // What does not come to its end leaves nothing large behind.
    void abandon() {
        writer_.reset();
        if (lock_ != nullptr) (void)clearPart();
    }

    [[nodiscard]] const Core& core() const { return *core_; }

private:
    Status clearPart() {
        Result<std::vector<std::string>> names = storage_.list(part_);
        if (!names.isOk()) {
            return names.status().code() == StatusCode::NotFound ? Status() : names.status();
        }
        for (const std::string& name : names.value()) {
            VERBEX_RETURN_IF_FAILED(storage_.remove(journal::joinPath(part_, name)));
        }
        return {};
    }

    journal::Storage& storage_;
    const SourceRecoveryOptions& options_;
    CoreLimits limits_;
    DirectoryFacts facts_;
    const std::string part_;
    std::unique_ptr<journal::DirectoryLock> lock_;
    std::unique_ptr<journal::JournalWriter> writer_;
    std::unique_ptr<Core> core_;
};

// The one that reaches furthest, of those from which everything can be had.
LogSource* chosen(const std::vector<LogSource*>& sources) {
    LogSource* best = nullptr;
    for (LogSource* source : sources) {
        if (source->first() != 1) continue;
        if (best == nullptr || source->last() > best->last()) best = source;
    }
    return best;
}

Failure recover(journal::Storage& storage, const std::vector<LogSource*>& sources,
                const SourceRecoveryOptions& options, SourceRecovery& result) {
    CHECK(sources.size() == 1 || sources.size() == 2);
    LogSource* one = chosen(sources);
    if (one == nullptr) {
        return Status(StatusCode::NotFound,
                      sources[0]->name() + " begins at position " +
                          std::to_string(sources[0]->first()) +
                          ", and no source reaches back to position 1");
    }
    if (options.upTo != UINT64_MAX && one->last() < options.upTo) {
        return Status(StatusCode::NotFound, one->name() + " ends at position " +
                                                std::to_string(one->last()) + ", before " +
                                                std::to_string(options.upTo));
    }
    LogSource* other = nullptr;
    if (sources.size() == 2) other = sources[0] == one ? sources[1] : sources[0];
    Recovery recovery(storage, options);
    Comparison comparison(*one, other);
    Failure failure = recovery.settle(sources);
    if (failure.isOk()) failure = recovery.prepare();
    if (failure.isOk()) failure = recovery.run(*one, comparison, result);
    if (failure.isOk()) failure = recovery.finish();
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
