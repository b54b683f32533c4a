#include "node/source_comparison.h"

#include <algorithm>
#include <cstring>

#include "base/hash128.h"
#include "wire/command_codec.h"

namespace verbex::node {

Failure undecoded(const LogSource& source, const LogRecord& record) {
    return Status(StatusCode::JournalDamaged,
                  "the record at position " + std::to_string(record.first) + " of " +
                      source.name() + " does not hold the " + std::to_string(record.count) +
                      " commands that it names");
}

Failure SourceComparison::take(const LogRecord& record) {
    bool decoded = false;
    for (Position at = record.first; other_ != nullptr && at <= record.last();) {
        // All of it was compared, or lies before where the one begins.
        if (index_ == pending_.count || pending_.last() < at) {
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

Failure SourceComparison::fetch() {
    pendingDecoded_ = false;
    bool got = false;
    Failure failed = other_->next(pending_, got);
    if (!failed.isOk()) return failed;
    index_ = 0;
    if (!got) other_ = nullptr;
    return {};
}

bool SourceComparison::isSame(const LogRecord& record) const {
    return record.first == pending_.first && record.count == pending_.count &&
           record.epoch == pending_.epoch && record.payload.size() == pending_.payload.size() &&
           std::memcmp(record.payload.data(), pending_.payload.data(), record.payload.size()) == 0;
}

Failure SourceComparison::differ(Position at, uint64_t epoch, const Command& one,
                                 const Command& other) const {
    const auto said = [](const LogSource& source, uint64_t itsEpoch, const Command& command) {
        return source.name() + " has epoch " + std::to_string(itsEpoch) +
               " and a command of hash " + hash128(&command, command.size()).hex();
    };
    return Failure(kCodeRecoverySourcesDiffer,
                   "the sources differ at position " + std::to_string(at) + ": " +
                       said(one_, epoch, one) + ", " + said(*other_, pending_.epoch, other));
}

}  // namespace verbex::node
