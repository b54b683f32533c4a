#include "roles/risk_process.h"

namespace verbex::roles {

void RiskProcess::onAttach() {
    waiting_.clear();
    inHazard_ = false;
    validated_ = settled_ = 0;
}

bool RiskProcess::onMessage(const RoleMessage& message) {
    switch (message.kind) {
        case MessageKind::Validate: return validate(message);
        case MessageKind::Ask: {
            if (!inHazard_ || waiting_.front().at != message.position) return false;
            WantsBody wants;
            wants.certain = 1;
            (void)part_->wants(waiting_.front().command, wants.instrument, wants.slot);
            channel().put(MessageKind::Wants, message.position, writer_.clear().put(wants).bytes());
            return true;
        }
        case MessageKind::Decide: return decide(message);
        case MessageKind::Settle: return settle(message);
        case MessageKind::Gather: return gather(message);
        case MessageKind::Carry: return carry(message);
        default: return false;
    }
}

bool RiskProcess::validate(const RoleMessage& message) {
    PayloadReader reader(message.payload);
    Waiting waiting;
    if (!reader.get(waiting.command) || !reader.get(waiting.mustAsk) || !reader.done() ||
        message.position <= validated_) {
        return false;
    }
    waiting.at = validated_ = message.position;
    waiting_.push_back(waiting);
    work();
    return true;
}

void RiskProcess::work() {
    while (!waiting_.empty() && !inHazard_) {
        const Waiting& next = waiting_.front();
        Decision decision{};
        if (next.mustAsk != 0 || !part_->validate(next.command, next.at, decision)) {
            inHazard_ = true;
            hazards_++;
            WantsBody wants;
            wants.certain = part_->wants(next.command, wants.instrument, wants.slot) ? 1 : 0;
            channel().put(MessageKind::Hazard, next.at, writer_.clear().put(wants).bytes());
            return;
        }
        decided(next.at, decision);
        waiting_.pop_front();
    }
}

void RiskProcess::decided(Position at, const Decision& decision) {
    DecidedBody body{};
    body.decision = decision;
    body.ids = part_->rememberedIds(shard());
    channel().put(MessageKind::Decided, at, writer_.clear().put(body).bytes());
}

bool RiskProcess::decide(const RoleMessage& message) {
    PayloadReader reader(message.payload);
    DecideBody body;
    if (!reader.get(body) || !reader.done() || !inHazard_ ||
        waiting_.front().at != message.position) {
        return false;
    }
    PartFacts facts;
    facts.liveOrders = body.liveOrders;
    facts.rememberedIds = body.rememberedIds;
    Decision decision{};
    part_->decide(waiting_.front().command, message.position, body.look, body.whole != 0, facts,
                  decision);
    inHazard_ = false;
    waiting_.pop_front();
    decided(message.position, decision);
    work();
    return true;
}

bool RiskProcess::settle(const RoleMessage& message) {
    PayloadReader reader(message.payload);
    MatchBody body;
    if (!reader.get(body) || !reader.rows(body.count, events_) || !reader.done() ||
        message.position <= settled_) {
        return false;
    }
    settled_ = message.position;
    part_->settle(body.command, body.decision, events_);
    return true;
}

bool RiskProcess::gather(const RoleMessage& message) {
    PayloadReader reader(message.payload);
    Command command;
    if (!reader.get(command) || !reader.done()) return false;
    GatheredBody body;
    const auto mine = [this](uint64_t account) {
        return account < UINT32_MAX && part_->exists(static_cast<AccountId>(account)) &&
               part_->shardOf(static_cast<AccountId>(account)) == shard();
    };
    if (mine(command.account)) {
        body.balances[0] = part_->balance(command.account, command.instrument);
    }
    if (CommandType(command.type) == CommandType::Transfer && mine(command.toAccount)) {
        body.balances[1] =
            part_->balance(static_cast<AccountId>(command.toAccount), command.instrument);
    }
    channel().put(MessageKind::Gathered, message.position, writer_.clear().put(body).bytes());
    return true;
}

bool RiskProcess::carry(const RoleMessage& message) {
    PayloadReader reader(message.payload);
    CarryBody body;
    if (!reader.get(body) || !reader.done()) return false;
    PartFacts facts;
    facts.schedules = body.schedules;
    facts.openValue = body.openValue;
    facts.valueOverflows = body.overflows != 0;
    part_->carry(body.command, message.position, facts);
    if (CommandType(body.command.type) != CommandType::DayEnd) return true;
    CountsBody counts;
    part_->numbered(numbers_);
    counts.ids = part_->rememberedIds(shard());
    counts.numbers = static_cast<uint32_t>(numbers_.size());
    channel().put(MessageKind::Carried, message.position,
                  writer_.clear().put(counts).rows(std::span<const NumberedOrder>(numbers_)).bytes());
    return true;
}

}  // namespace verbex::roles
