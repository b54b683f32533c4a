// LogReplay: what a log has come to up to one of its entries, as a sequencer needs it to go on from there.
//
//      entries ──▶ [ whole core | chain of results | events kept | results at marks | refusals not explained ]
//
// Purpose: all that a sequencer which begins must know of what was before it. It follows from the log alone, so it may
// be had ahead of time: by a shadow (sequencer_shadow.h) that replays what is released, or from a snapshot of one.
// Owner: the shadow, until a sequencer begins; then that sequencer.
// Thread safety: none.
// Invariants:
//   1. Everything here depends on the entries replayed only, and on nothing that is known of them beside.
//   2. No event is released behind a refusal that no marker of the log explains.
// Requires: entries in order, whole.
#pragma once

#include <memory>
#include <vector>

#include "base/status.h"
#include "core/part.h"
#include "replication/member_log.h"
#include "replication/outputs.h"
#include "roles/mutants.h"
#include "wire/event_digest.h"

namespace verbex::roles {

struct LogReplayOptions {
    CoreLimits limits;
    uint32_t riskShards = 1;
    uint32_t matchingShards = 1;
    uint32_t outputEvents = 1u << 18;  // released events that are kept for who resumes
    uint32_t markEvery = 4096;         // see SequencerOptions
    RoleMutant mutant = RoleMutant::None;
};

// The result at the end of an entry.
struct ResultMark {
    Position at = 0;
    Digest128 hash;
};
static_assert(sizeof(ResultMark) == 24);

// It is the first entry that reaches into one of the next `every` positions.
[[nodiscard]] inline bool isMark(const replication::EntryHeader& entry, uint32_t every) {
    return entry.last() / every != (entry.first - 1) / every;
}

class LogReplay {
public:
    // Of nothing yet; to make the core takes its time.
    explicit LogReplay(const LogReplayOptions& options);
    // Goes on where another one was: `part` is at the end of an entry, and all up to there is explained.
    LogReplay(const LogReplayOptions& options, std::unique_ptr<CorePart> part,
              const Digest128& chain, std::vector<ResultMark> marks,
              std::unique_ptr<replication::Outputs> outputs);
    LogReplay(const LogReplay&) = delete;
    LogReplay& operator=(const LogReplay&) = delete;

    // JournalDamaged: it holds no commands.
    Status replay(const replication::LogEntry& entry);

    [[nodiscard]] Position position() const { return position_; }
    [[nodiscard]] const CorePart& part() const { return *part_; }
    // There is more in the log than its time: it says how many risk processes there are.
    [[nodiscard]] bool others() const { return others_; }
    [[nodiscard]] replication::Outputs& outputs() { return *outputs_; }
    [[nodiscard]] const replication::Outputs& outputs() const { return *outputs_; }
    [[nodiscard]] Digest128 chain() const { return chain_.value(); }
    [[nodiscard]] const std::vector<ResultMark>& marks() const { return marks_; }

    // What the log says of a command that was refused, until it says which risk process was lost.
    struct Unexplained {
        Position at = 0;
        Position boundary = 0;  // where the entry ahead of it ends
        uint32_t shards = 0;    // a bit for each that may have been the lost one
    };
    [[nodiscard]] const std::vector<Unexplained>& unexplained() const { return unexplained_; }

    // For who goes on with what was known here. Nothing is replayed then any more.
    [[nodiscard]] std::unique_ptr<CorePart> takePart() { return std::move(part_); }
    [[nodiscard]] std::vector<ResultMark> takeMarks() { return std::move(marks_); }

private:
    void explain(const Command& command, Position at, Position boundary);

    const LogReplayOptions options_;
    std::unique_ptr<CorePart> part_;
    std::unique_ptr<replication::Outputs> outputs_;
    EventDigest chain_;
    std::vector<ResultMark> marks_;  // 24 bytes every options_.markEvery positions of the log
    std::vector<Unexplained> unexplained_;
    Position position_ = 0;
    bool others_ = false;
    std::vector<Command> commands_;
};

}  // namespace verbex::roles
