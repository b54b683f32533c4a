// How a sequencer begins: what is known of its log, and the rest of it replayed, some of it a step; then only the centre
// is kept. The others do the same when they attach.
#include <algorithm>

#include "roles/sequencer.h"

namespace verbex::roles {

using replication::LogEntry;

namespace {

// A step: what shares a thread with it must get its turn, or be taken for lost.
constexpr Position kReplayCommands = 2048;

}  // namespace

bool Sequencer::replay() {
    const Position last = log_.entries().last();
    const Position stop = std::min(last, past_->position() + kReplayCommands);
    while (past_->position() < stop) {
        LogEntry entry;
        Status status = log_.entries().read(past_->position() + 1, entry);
        if (status.isOk()) status = past_->replay(entry);
        if (status.isOk()) continue;
        fail(status.within("the log that a sequencer begins with"));
        return true;
    }
    if (past_->position() == last) begin();
    return true;
}

void Sequencer::begin() {
    outputs_.recovering(false);
    outputs_.setCompletion(nullptr, nullptr);  // from here on only what is complete is written
    const uint32_t declared = past_->part().core().riskProcesses();
    if (past_->others() && declared != options_.riskShards) {
        return fail(Status(StatusCode::Refused,
                           "this log was made with " + std::to_string(declared) +
                               " risk processes, not " + std::to_string(options_.riskShards)));
    }
    sequenced_ = decided_ = journaled_ = dispatched_ = settled_ = released_ = past_->position();
    chain_ = EventDigest(past_->chain());
    marks_ = past_->takeMarks();
    for (Seat& seat : risk_) seat.ids = past_->part().rememberedIds(seat.shard);
    centre_ = past_->takePart();
    centre_->become(PartKind::Centre, 0);
    openedAt_ = now_.steadyNs;
    // The log begins by saying how many risk processes there are: rules depend on it.
    if (!past_->others()) mark(0, false, released_ + 1);
    // Whoever led before was lost between a refusal and its marker: this one writes it. Where two processes may have
    // been the lost one, both are called lost: everybody attaches anew anyhow.
    uint32_t lost = 0;
    Position from = 0;
    for (const LogReplay::Unexplained& refused : past_->unexplained()) {
        lost |= refused.shards;
        if (from == 0) from = refused.at;
    }
    if (options_.mutant == RoleMutant::MarkerForgotten) lost = 0;
    for (const Seat& seat : risk_) {
        if ((lost >> seat.shard & 1) != 0) mark(seat.shard, true, from);
    }
}

}  // namespace verbex::roles
