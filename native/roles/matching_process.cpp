#include "roles/matching_process.h"

namespace verbex::roles {

bool MatchingProcess::onMessage(const RoleMessage& message) {
    switch (message.kind) {
        case MessageKind::Match: return match(message);
        case MessageKind::Look: return look(message);
        case MessageKind::Gather: return gather(message);
        case MessageKind::Sweep: return sweep(message);
        case MessageKind::Carry: return carry(message);
        case MessageKind::Renumber: return renumber(message);
        default: return false;
    }
}

bool MatchingProcess::match(const RoleMessage& message) {
    PayloadReader reader(message.payload);
    MatchBody body;
    if (!reader.get(body) || !reader.done() || message.position <= matched_) return false;
    matched_ = message.position;
    part_->match(body.command, message.position, body.decision, out_);
    MatchedBody answer{};
    answer.decision = body.decision;
    answer.count = static_cast<uint32_t>(out_.events.size());
    answer.orders = part_->openOrders();
    channel().put(MessageKind::Matched, message.position,
                  writer_.clear()
                      .put(answer)
                      .rows(std::span<const Event>(out_.events))
                      .rows(std::span<const EventIds>(out_.ids))
                      .bytes());
    return true;
}

bool MatchingProcess::look(const RoleMessage& message) {
    PayloadReader reader(message.payload);
    WantsBody wants;
    if (!reader.get(wants) || !reader.done()) return false;
    BookLook look;
    part_->look(wants.instrument, wants.slot, look);
    channel().put(MessageKind::Looked, message.position, writer_.clear().put(look).bytes());
    return true;
}

bool MatchingProcess::gather(const RoleMessage& message) {
    PayloadReader reader(message.payload);
    Command command;
    if (!reader.get(command) || !reader.done()) return false;
    GatheredBody body;
    if (CommandType(command.type) == CommandType::ChangeInstrument) {
        body.schedules = part_->schedulesInUse(command.instrument);
    } else if (CommandType(command.type) == CommandType::SetLimit) {
        body.overflows =
            part_->openValue(command.account, command.instrument, body.openValue) ? 0 : 1;
    }
    channel().put(MessageKind::Gathered, message.position, writer_.clear().put(body).bytes());
    return true;
}

bool MatchingProcess::sweep(const RoleMessage& message) {
    PayloadReader reader(message.payload);
    Command command;
    if (!reader.get(command) || !reader.done()) return false;
    part_->sweep(command, message.position, out_, keys_);
    MatchedBody answer{};
    answer.count = static_cast<uint32_t>(out_.events.size());
    answer.orders = part_->openOrders();
    channel().put(MessageKind::Swept, message.position,
                  writer_.clear()
                      .put(answer)
                      .rows(std::span<const Event>(out_.events))
                      .rows(std::span<const EventIds>(out_.ids))
                      .rows(std::span<const SweepKey>(keys_))
                      .bytes());
    return true;
}

bool MatchingProcess::carry(const RoleMessage& message) {
    PayloadReader reader(message.payload);
    CarryBody body;
    if (!reader.get(body) || !reader.done()) return false;
    PartFacts facts;
    facts.schedules = body.schedules;
    part_->carry(body.command, message.position, facts);
    return true;
}

bool MatchingProcess::renumber(const RoleMessage& message) {
    PayloadReader reader(message.payload);
    RenumberBody body;
    if (!reader.get(body) || body.riskShard >= options_.riskShards ||
        !reader.rows(body.count, numbers_) || !reader.done()) {
        return false;
    }
    part_->renumber(body.riskShard, numbers_);
    return true;
}

}  // namespace verbex::roles
