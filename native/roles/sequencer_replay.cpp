// How a sequencer begins: the whole log again, by a whole core, some of it a step; then only the centre is kept.
// The others do the same when they attach.
#include <algorithm>

#include "roles/sequencer.h"
#include "wire/command_codec.h"

namespace verbex::roles {

using replication::LogEntry;

namespace {

// A step: what shares a thread with it must get its turn, or be taken for lost.
constexpr Position kReplayCommands = 2048;

}  // namespace

bool Sequencer::replay() {
    const Position last = log_.entries().last();
    const Position stop = std::min(last, replay_.at + kReplayCommands);
    while (replay_.at < stop && failure_.isOk()) {
        LogEntry entry;
        if (Status status = log_.entries().read(replay_.at + 1, entry); !status.isOk()) {
            fail(status.within("the log that a sequencer begins with"));
            return true;
        }
        replayEntry(entry);
    }
    if (failure_.isOk() && replay_.at == last) begin();
    return true;
}

void Sequencer::replayEntry(const LogEntry& entry) {
    if (!decodeBatch(entry.payload, entry.header.count, commands_)) {
        return fail(Status(StatusCode::JournalDamaged, "an entry of the log holds no commands"));
    }
    outputs_.beginBatch(entry.header);
    Position at = entry.header.first;
    for (const Command& command : commands_) {
        replay_.part->replay(command, outputs_);
        explain(command, at++, entry.header.first - 1);
    }
    outputs_.fresh([this](const Event* first, size_t count) { chain_.add(first, count); });
    outputs_.endBatch(chain_.value(), chain_.value());
    remember(entry.header, chain_.value());
    replay_.at = entry.header.last();
    const bool held =
        !replay_.unexplained.empty() && options_.mutant != RoleMutant::PublishBeforeMarker;
    outputs_.release(held ? replay_.unexplained.front().boundary : replay_.at);
}

void Sequencer::explain(const Command& command, Position at, Position boundary) {
    const CorePart& part = *replay_.part;
    const auto type = CommandType(command.type);
    replay_.others |= type != CommandType::AdvanceTime;
    if (type == CommandType::SetAvailability && command.side == 1) {
        std::erase_if(replay_.unexplained, [&command](const Unexplained& refused) {
            return (refused.shards >> command.instrument & 1) != 0;
        });
    }
    if ((command.type & kCommandRefused) == 0) return;
    Unexplained refused{at, boundary, 0};
    const auto add = [&](uint64_t account) {
        if (account > UINT32_MAX || !part.exists(static_cast<AccountId>(account))) return;
        refused.shards |= 1u << part.shardOf(static_cast<AccountId>(account));
    };
    add(command.account);
    const auto asked = CommandType(command.type & static_cast<uint8_t>(~kCommandRefused));
    if (asked == CommandType::Transfer) add(command.toAccount);
    replay_.unexplained.push_back(refused);
}

void Sequencer::begin() {
    outputs_.recovering(false);
    outputs_.setCompletion(nullptr, nullptr);  // from here on only what is complete is written
    CorePart& part = *replay_.part;
    const uint32_t declared = part.core().riskProcesses();
    if (replay_.others && declared != options_.riskShards) {
        return fail(Status(StatusCode::Refused,
                           "this log was made with " + std::to_string(declared) +
                               " risk processes, not " + std::to_string(options_.riskShards)));
    }
    sequenced_ = decided_ = journaled_ = dispatched_ = settled_ = released_ = replay_.at;
    for (Seat& seat : risk_) seat.ids = part.rememberedIds(seat.shard);
    part.become(PartKind::Centre, 0);
    centre_ = std::move(replay_.part);
    openedAt_ = now_.steadyNs;
    // The log begins by saying how many risk processes there are: rules depend on it.
    if (!replay_.others) mark(0, false, released_ + 1);
    // Whoever led before was lost between a refusal and its marker: this one writes it. Where two processes may have
    // been the lost one, both are called lost: everybody attaches anew anyhow.
    uint32_t lost = 0;
    Position from = 0;
    for (const Unexplained& refused : replay_.unexplained) {
        lost |= refused.shards;
        if (from == 0) from = refused.at;
    }
    if (options_.mutant == RoleMutant::MarkerForgotten) lost = 0;
    for (const Seat& seat : risk_) {
        if ((lost >> seat.shard & 1) != 0) mark(seat.shard, true, from);
    }
    replay_.unexplained.clear();
}

}  // namespace verbex::roles
