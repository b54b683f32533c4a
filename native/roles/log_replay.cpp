#include "roles/log_replay.h"

#include <algorithm>

#include "wire/command_codec.h"

namespace verbex::roles {

LogReplay::LogReplay(const LogReplayOptions& options)
    : options_(options),
      part_(std::make_unique<CorePart>(options.limits, options.riskShards, options.matchingShards)),
      outputs_(std::make_unique<replication::Outputs>(options.outputEvents)) {
    outputs_->recovering(true);
}

LogReplay::LogReplay(const LogReplayOptions& options, std::unique_ptr<CorePart> part,
                     const Digest128& chain, std::vector<ResultMark> marks,
                     std::unique_ptr<replication::Outputs> outputs)
    : options_(options),
      part_(std::move(part)),
      outputs_(std::move(outputs)),
      chain_(chain),
      marks_(std::move(marks)),
      position_(part_->core().position()),
      others_(true) {
    CHECK(outputs_->released() == position_);
    outputs_->recovering(true);
}

Status LogReplay::replay(const replication::LogEntry& entry) {
    CHECK(entry.header.first == position_ + 1);
    if (!decodeBatch(entry.payload, entry.header.count, commands_)) {
        return Status(StatusCode::JournalDamaged, "an entry of the log holds no commands");
    }
    outputs_->beginBatch(entry.header);
    Position at = entry.header.first;
    for (const Command& command : commands_) {
        part_->replay(command, *outputs_);
        explain(command, at++, entry.header.first - 1);
    }
    outputs_->fresh([this](const Event* first, size_t count) { chain_.add(first, count); });
    outputs_->endBatch(chain_.value(), chain_.value());
    position_ = entry.header.last();
    if (isMark(entry.header, options_.markEvery)) marks_.push_back({position_, chain_.value()});
    const bool held =
        !unexplained_.empty() && options_.mutant != RoleMutant::PublishBeforeMarker;
    outputs_->release(held ? unexplained_.front().boundary : position_);
    return {};
}

void LogReplay::explain(const Command& command, Position at, Position boundary) {
    const auto type = CommandType(command.type);
    others_ |= type != CommandType::AdvanceTime;
    if (type == CommandType::SetAvailability && command.side == 1) {
        std::erase_if(unexplained_, [&command](const Unexplained& refused) {
            return (refused.shards >> command.instrument & 1) != 0;
        });
    }
    if ((command.type & kCommandRefused) == 0) return;
    Unexplained refused{at, boundary, 0};
    const auto add = [&](uint64_t account) {
        if (account > UINT32_MAX || !part_->exists(static_cast<AccountId>(account))) return;
        refused.shards |= 1u << part_->shardOf(static_cast<AccountId>(account));
    };
    add(command.account);
    const auto asked = CommandType(command.type & static_cast<uint8_t>(~kCommandRefused));
    if (asked == CommandType::Transfer) add(command.toAccount);
    unexplained_.push_back(refused);
}

}  // namespace verbex::roles
