// SourceComparison: two logs of one market, record by record, however each is cut into records.
//
// Purpose: a recovery from two sources is worth more than from one only as far as they were compared.
// Owner: source_recovery.cpp.
// Thread safety: none.
// Invariants:
//   1. Every position that both have, of those that are taken, is compared: epoch and command.
//   2. The first difference is said, with its position.
// Requires: both sources outlive it, and nobody else reads from the other one.
#pragma once

#include <cstdint>
#include <vector>

#include "node/failure.h"
#include "node/log_source.h"

namespace verbex::node {

class SourceComparison {
public:
    // `other` may be null: then there is nothing to compare with.
    SourceComparison(const LogSource& one, LogSource* other) : one_(one), other_(other) {}

    // The next record of the one.
    Failure take(const LogRecord& record);
    // Hands out the other's records until one reaches to `position`, and compares none of them before it.
    template <typename Sink>
    Failure passUpTo(Position position, const Sink& sink) {
        while (other_ != nullptr && (pending_.count == 0 || pending_.last() < position)) {
            if (Failure failed = fetch(); !failed.isOk()) return failed;
            if (other_ == nullptr) break;
            if (Failure failed = sink(pending_); !failed.isOk()) return failed;
        }
        return {};
    }
    [[nodiscard]] uint64_t compared() const { return compared_; }

private:
    Failure fetch();
    [[nodiscard]] bool isSame(const LogRecord& record) const;
    Failure differ(Position at, uint64_t epoch, const Command& one, const Command& other) const;

    const LogSource& one_;
    LogSource* other_;  // nullptr: none, or at its end
    LogRecord pending_;
    uint32_t index_ = 0;  // of the next command in pending_
    bool pendingDecoded_ = false;
    std::vector<Command> commands_;
    std::vector<Command> others_;
    uint64_t compared_ = 0;
};

// A record that does not hold the commands that it names.
[[nodiscard]] Failure undecoded(const LogSource& source, const LogRecord& record);

}  // namespace verbex::node
