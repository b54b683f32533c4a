// Commands that run alone: money, configuration, time, and those that end many orders.
//
//   drained ─▶ Gather: what it depends on ─▶ applied by the centre ─▶ Sweep: orders that it ends ─▶ settled
//           ─▶ Carry: everybody changes likewise ─▶ (DayEnd) Carried, Renumber ─▶ the next command
#include <algorithm>

#include "roles/sequencer.h"

namespace verbex::roles {

namespace {

bool movesMoney(CommandType type) {
    return type == CommandType::Deposit || type == CommandType::Withdraw ||
           type == CommandType::Transfer;
}

bool sweeps(const Command& command) {
    switch (CommandType(command.type)) {
        case CommandType::MassCancel:
        case CommandType::AdvanceTime:
        case CommandType::DayEnd: return true;
        case CommandType::KillSwitch: return command.side == 1;
        default: return false;
    }
}

}  // namespace

void Sequencer::beginAlone(const Command& command) {
    Cell& next = append(command);
    next.alone = true;
    next.decision.step = Step::Alone;
    alones_++;
    alone_.at = sequenced_;
    alone_.stage = Alone::Stage::Gather;
    alone_.waitsRisk = alone_.waitsMatching = alone_.askedMatching = 0;
    alone_.facts = GatheredBody{};
    alone_.events.clear();
    alone_.swept.clear();
    gather();
    goOnAlone();
}

void Sequencer::gather() {
    const Command& command = cell(alone_.at).command;
    const auto type = CommandType(command.type);
    if (centre_->refuses(command)) return;
    if (type == CommandType::ChangeInstrument && centre_->knows(command.instrument)) {
        alone_.waitsMatching = 1u << centre_->laneOf(command.instrument);
    } else if (type == CommandType::SetLimit && centre_->exists(command.account) &&
               command.orderType == static_cast<uint8_t>(LimitKind::OpenValue)) {
        alone_.waitsMatching = (1u << matching_.size()) - 1;
    } else if (movesMoney(type)) {
        const auto ask = [this](uint64_t account) {
            if (account == 0 || account > UINT32_MAX) return;
            const auto id = static_cast<AccountId>(account);
            if (centre_->exists(id)) alone_.waitsRisk |= 1u << centre_->shardOf(id);
        };
        ask(command.account);
        if (type == CommandType::Transfer) ask(command.toAccount);
    }
    alone_.askedMatching = alone_.waitsMatching;
    writer_.clear().put(command);
    for (Seat& seat : risk_) {
        if ((alone_.waitsRisk >> seat.shard & 1) == 0) continue;
        CHECK(seat.live);
        seat.channel->put(MessageKind::Gather, alone_.at, writer_.bytes());
    }
    for (Seat& seat : matching_) {
        if ((alone_.waitsMatching >> seat.shard & 1) != 0 && seat.live) {
            seat.channel->put(MessageKind::Gather, alone_.at, writer_.bytes());
        }
    }
}

void Sequencer::onGathered(Seat& seat, const RoleMessage& message) {
    PayloadReader reader(message.payload);
    GatheredBody body;
    if (!reader.get(body) || !reader.done()) return violate(seat);
    if (alone_.stage != Alone::Stage::Gather || alone_.at != message.position) return;
    const bool risk = seat.kind == PartKind::Risk;
    uint32_t& waits = risk ? alone_.waitsRisk : alone_.waitsMatching;
    if ((waits >> seat.shard & 1) == 0) return;
    waits &= ~(1u << seat.shard);
    GatheredBody& facts = alone_.facts;
    if (risk) {
        for (size_t i = 0; i < 2; i++) {
            if (body.balances[i].known != 0) facts.balances[i] = body.balances[i];
        }
    } else {
        facts.schedules |= body.schedules;
        facts.overflows |= body.overflows;
        if (!checkedAdd(facts.openValue, body.openValue, &facts.openValue)) facts.overflows = 1;
    }
    goOnAlone();
}

// Everything that it depends on is here: the centre decides.
void Sequencer::goOnAlone() {
    if (alone_.stage == Alone::Stage::Sweep) return sweep();
    if (alone_.stage != Alone::Stage::Gather || (alone_.waitsRisk | alone_.waitsMatching) != 0) {
        return;
    }
    Cell& next = cell(alone_.at);
    PartFacts facts;
    facts.schedules = alone_.facts.schedules;
    facts.openValue = alone_.facts.openValue;
    facts.valueOverflows = alone_.facts.overflows != 0;
    const size_t balances = CommandType(next.command.type) == CommandType::Transfer ? 2
                            : movesMoney(CommandType(next.command.type))            ? 1
                                                                                    : 0;
    centre_->applyAlone(next.command, alone_.at, facts,
                        std::span<const PartBalance>(alone_.facts.balances, balances),
                        alone_.events);
    next.phase = Phase::Decided;
    if (CommandType(next.command.type) == CommandType::SetAvailability && gateFrom_ != 0 &&
        gateMarker_ == 0 && markers_.empty()) {
        gateMarker_ = alone_.at;
    }
    const bool rejected = EventType(alone_.events.back().type) == EventType::Rejected;
    alone_.stage = Alone::Stage::Sweep;
    alone_.waitsMatching = 0;
    if (!rejected && sweeps(next.command)) {
        alone_.waitsMatching = (1u << matching_.size()) - 1;
        writer_.clear().put(next.command);
        for (Seat& seat : matching_) {
            if (seat.live) seat.channel->put(MessageKind::Sweep, alone_.at, writer_.bytes());
        }
    }
    alone_.askedMatching = alone_.waitsMatching;
    sweep();
}

void Sequencer::onSwept(Seat& seat, const RoleMessage& message) {
    PayloadReader reader(message.payload);
    MatchedBody body;
    if (!reader.get(body) || !reader.rows(body.count, events_) ||
        !reader.rows(body.count, ids_) || !reader.rows(body.count, keys_) || !reader.done()) {
        return violate(seat);
    }
    seat.orders = body.orders;
    // Swept again after its process came back: known already.
    if (alone_.stage != Alone::Stage::Sweep || alone_.at != message.position ||
        (alone_.waitsMatching >> seat.shard & 1) == 0) {
        return;
    }
    alone_.waitsMatching &= ~(1u << seat.shard);
    for (size_t i = 0; i < events_.size(); i++) {
        alone_.swept.push_back({keys_[i], events_[i], ids_[i]});
    }
    sweep();
}

// When all have ended what is theirs: in the order in which one core would have ended it.
void Sequencer::sweep() {
    Cell& next = cell(alone_.at);
    if (alone_.waitsMatching != 0 || next.matched) return;
    std::sort(alone_.swept.begin(), alone_.swept.end(),
              [](const Alone::Swept& a, const Alone::Swept& b) { return a.key < b.key; });
    for (const Alone::Swept& each : alone_.swept) {
        next.out.events.push_back(each.event);
        next.out.ids.push_back(each.ids);
    }
    if (sweeps(next.command) && EventType(alone_.events.back().type) != EventType::Rejected) {
        alone_.events.back().quantity = static_cast<int64_t>(alone_.swept.size());
    }
    next.out.events.insert(next.out.events.end(), alone_.events.begin(), alone_.events.end());
    next.out.ids.resize(next.out.events.size());
    next.matched = true;
}

// It is settled: what it has changed of configuration and time, everybody changes.
void Sequencer::finishAlone() {
    const Cell& done = cell(alone_.at);
    alone_.stage = Alone::Stage::None;
    if (EventType(done.out.events.back().type) != EventType::Rejected) carry(done);
}

void Sequencer::carry(const Cell& done) {
    const auto type = CommandType(done.command.type);
    if (movesMoney(type) || type == CommandType::MassCancel ||
        type == CommandType::SetAvailability) {
        return;
    }
    CarryBody body{};
    body.command = done.command;
    body.openValue = alone_.facts.openValue;
    body.schedules = alone_.facts.schedules;
    body.overflows = alone_.facts.overflows;
    writer_.clear().put(body);
    alone_.waitsRisk = 0;
    for (Seat& seat : risk_) {
        const bool owns = type != CommandType::SetLimit ||
                          centre_->shardOf(done.command.account) == seat.shard;
        // Lost since the day's end was decided.
        if (type == CommandType::DayEnd && !seat.live) seat.numbersOwed = true;
        if (!owns || !seat.live) continue;
        seat.channel->put(MessageKind::Carry, alone_.at, writer_.bytes());
        if (type == CommandType::DayEnd) alone_.waitsRisk |= 1u << seat.shard;
    }
    if (type != CommandType::SetLimit) {
        for (Seat& seat : matching_) {
            if (seat.live) seat.channel->put(MessageKind::Carry, alone_.at, writer_.bytes());
        }
    }
    // Nothing may name an entry before matching knows its new number.
    if (alone_.waitsRisk != 0) alone_.stage = Alone::Stage::Numbers;
}

void Sequencer::onCarried(Seat& seat, const RoleMessage& message) {
    PayloadReader reader(message.payload);
    CountsBody body;
    if (!reader.get(body) || !reader.rows(body.numbers, numbers_) || !reader.done() ||
        alone_.stage != Alone::Stage::Numbers || alone_.at != message.position) {
        return violate(seat);
    }
    seat.ids = body.ids;
    renumber(seat, numbers_);
    alone_.waitsRisk &= ~(1u << seat.shard);
    if (alone_.waitsRisk == 0) alone_.stage = Alone::Stage::None;
}

void Sequencer::renumber(Seat& seat, std::span<const NumberedOrder> orders) {
    RenumberBody body;
    body.riskShard = seat.shard;
    body.count = static_cast<uint32_t>(orders.size());
    writer_.clear().put(body).rows(orders);
    for (Seat& matching : matching_) {
        if (matching.live) {
            matching.channel->put(MessageKind::Renumber, settled_, writer_.bytes());
        }
    }
}

// A risk process was lost. What waited for it can't be done; what is done without it goes on.
void Sequencer::aloneWithoutRisk(uint32_t shard) {
    const uint32_t bit = 1u << shard;
    if (alone_.stage == Alone::Stage::Gather && (alone_.waitsRisk & bit) != 0) {
        Cell& next = cell(alone_.at);
        next.command.type |= kCommandRefused;
        next.refused = true;
        refusals_++;
        alone_.waitsRisk = alone_.waitsMatching = 0;
        goOnAlone();
    } else if (alone_.stage == Alone::Stage::Numbers && (alone_.waitsRisk & bit) != 0) {
        risk_[shard].numbersOwed = true;
        alone_.waitsRisk &= ~bit;
        if (alone_.waitsRisk == 0) alone_.stage = Alone::Stage::None;
    }
}

// A matching process is back, as it was before the command: what it had been asked is asked again.
void Sequencer::aloneAgain(Seat& matching) {
    if ((alone_.askedMatching >> matching.shard & 1) == 0) return;
    const bool gathers = alone_.stage == Alone::Stage::Gather;
    if (!gathers && alone_.stage != Alone::Stage::Sweep) return;
    writer_.clear().put(cell(alone_.at).command);
    matching.channel->put(gathers ? MessageKind::Gather : MessageKind::Sweep, alone_.at,
                          writer_.bytes());
}

}  // namespace verbex::roles
