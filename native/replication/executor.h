// Executor: a core that is fed a log, and the chain of result hashes that members compare.
//
// Purpose: executes entries as they are stored, before they are committed: outputs stay in here until then.
// The chain folds every event in order; whenever the log's time passes a multiple of scrubNs, the hash
// of the whole state is folded in too, so that damage which no event has shown is found there (the scrub).
// Where another one executes (native/roles), an executor keeps account of the log only: each entry is an event that
// names it, so that members compare logs as they compare results. It remembers its result at marks then, so that a state
// which says of which log it is can be held against this one.
// Owner: Member.
// Thread safety: none.
// Invariants:
//   1. result() after an entry depends on the log up to it and on scrubNs only, on a sound machine.
// Requires: entries in order, whose payloads decode (poison() says what becomes of others).
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "core/core.h"
#include "replication/member_log.h"
#include "replication/mutants.h"
#include "replication/outputs.h"
#include "wire/event_digest.h"

namespace verbex::replication {

struct ExecutorOptions {
    CoreLimits limits;
    uint64_t scrubNs = 5'000'000'000;  // of the log's time; 0: never
    bool logOnly = false;              // no core: an event for each entry, which names it
    // logOnly: the result is remembered at the end of the first entry that reaches into each next so many positions (24
    // bytes); 0: nowhere.
    uint32_t markEvery = 0;
    Mutant mutant = Mutant::None;
};

// All that an executor knows beside the state of its core.
struct ExecutorMark {
    Position position = 0;
    Digest128 result = EventDigest().value();
    uint64_t scrubbedAt = 0;
    uint64_t scrubs = 0;
};

class Executor {
public:
    Executor(const ExecutorOptions& options, Outputs& outputs);
    // Goes on where another one was: `core` is at mark.position.
    Executor(const ExecutorOptions& options, Outputs& outputs, const ExecutorMark& mark,
             std::unique_ptr<Core> core);
    [[nodiscard]] ExecutorMark mark() const {
        return {position_, chain_.value(), scrubbedAt_, scrubs_};
    }
    // Where events go from now on: nowhere that lasts, while a state is rebuilt.
    void into(Outputs& outputs) { outputs_ = &outputs; }

    // A payload that does not decode is the same everywhere, and executed as nothing.
    void execute(const LogEntry& entry);
    [[nodiscard]] Position position() const { return position_; }
    [[nodiscard]] Digest128 result() const { return chain_.value(); }
    // logOnly: at a mark; null: that is none, or lies ahead.
    [[nodiscard]] const Digest128* resultAt(Position mark) const;
    // Commands that this one has executed and that were answered again: somebody had sent them before.
    [[nodiscard]] uint64_t repeats() const { return repeats_; }
    [[nodiscard]] uint64_t scrubs() const { return scrubs_; }
    // Not where there is none: logOnly.
    [[nodiscard]] const Core& core() const { return *core_; }
    [[nodiscard]] uint64_t time() const { return core_ != nullptr ? core_->time() : time_; }

    // ---- for tests: a memory cell or a rounding bit that flips
    // Something in the state changes that no command has changed; false: there is nothing yet.
    bool damageState(uint64_t seed);
    // The next event that is written comes out wrong.
    void damageResult() { damageResult_ = true; }

private:
    void note(const LogEntry& entry);
    void scrub();
    void fold(uint64_t lo, uint64_t hi);

    const ExecutorOptions options_;
    Outputs* outputs_;
    std::unique_ptr<Core> core_;
    EventDigest chain_;
    Position position_ = 0;
    uint64_t time_ = 0;  // logOnly: what the log has said last
    uint64_t scrubbedAt_ = 0;
    uint64_t scrubs_ = 0;
    uint64_t repeats_ = 0;
    bool damageResult_ = false;
    struct Mark {
        Position at = 0;
        Digest128 result;
    };
    std::vector<Mark> marks_;
    std::vector<Command> commands_;
};

}  // namespace verbex::replication
