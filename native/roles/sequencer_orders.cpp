// An order's way: decided by its risk process, matched by its instrument's process, settled.
#include "roles/sequencer.h"

namespace verbex::roles {

uint64_t Sequencer::liveOrders() const {
    uint64_t orders = 0;
    for (const Seat& seat : matching_) orders += seat.orders;
    return orders;
}

uint64_t Sequencer::rememberedIds() const {
    uint64_t ids = 0;
    for (const Seat& seat : risk_) ids += seat.ids;
    return ids;
}

// Is one more under way certain not to meet a full table? Each of those under way may add an order and an id.
bool Sequencer::roomForOrder() const {
    const uint64_t underWay = sequenced_ - settled_;
    return liveOrders() + underWay < options_.limits.maxOrders &&
           rememberedIds() + underWay < options_.limits.maxClientIds;
}

// ---- decisions

void Sequencer::onDecided(Seat& seat, const RoleMessage& message) {
    PayloadReader reader(message.payload);
    DecidedBody body;
    if (!reader.get(body) || !reader.done() || !underWay(message.position)) return violate(seat);
    Cell& decided = cell(message.position);
    if (decided.shard != seat.shard || decided.phase == Phase::Decided ||
        body.decision.lane >= matching_.size()) {
        return violate(seat);
    }
    decided.decision = body.decision;
    decided.phase = Phase::Decided;
    seat.ids = body.ids;
    if (resolving_.at == message.position) resolving_ = {};
}

bool Sequencer::decide() {
    const Position before = decided_;
    while (decided_ != sequenced_ && cell(decided_ + 1).phase == Phase::Decided) decided_++;
    return decided_ != before;
}

void Sequencer::onHazard(Seat& seat, const RoleMessage& message) {
    PayloadReader reader(message.payload);
    WantsBody wants;
    if (!reader.get(wants) || !reader.done() || !underWay(message.position)) return violate(seat);
    Cell& stopped = cell(message.position);
    if (stopped.shard != seat.shard || stopped.phase != Phase::Sent) return violate(seat);
    stopped.phase = Phase::Hazard;
    stopped.wants = wants;
    hazards_++;
}

// A command that its risk process could not decide while others were under way. Its look at the book follows
// those ahead of it to matching; its decision follows their settlement.
bool Sequencer::resolve() {
    if (dispatched_ == sequenced_) return false;
    const Position at = dispatched_ + 1;
    Cell& next = cell(at);
    if (next.phase != Phase::Hazard) return false;
    const bool settled = settled_ == dispatched_;
    switch (resolving_.stage) {
        case Resolving::Stage::None:
            if (next.wants.certain == 0) {
                if (!settled) return false;
                resolving_.at = at;
                resolving_.stage = Resolving::Stage::Asked;
                risk_[next.shard].channel->put(MessageKind::Ask, at);
                return true;
            }
            resolving_.at = at;
            resolving_.wants = next.wants;
            look();
            return true;
        case Resolving::Stage::Looked:
            if (!settled) return false;
            sendDecide();
            return true;
        default: return false;
    }
}

void Sequencer::onWants(Seat& seat, const RoleMessage& message) {
    PayloadReader reader(message.payload);
    WantsBody wants;
    if (!reader.get(wants) || !reader.done() || resolving_.stage != Resolving::Stage::Asked ||
        resolving_.at != message.position || cell(resolving_.at).shard != seat.shard) {
        return violate(seat);
    }
    resolving_.wants = wants;
    look();
}

void Sequencer::look() {
    resolving_.look = BookLook{};
    resolving_.stage = Resolving::Stage::Looked;
    if (!centre_->knows(resolving_.wants.instrument)) return;
    resolving_.stage = Resolving::Stage::Looking;
    if (matching_[centre_->laneOf(resolving_.wants.instrument)].live) sendLook();
}

void Sequencer::sendLook() {
    matching_[centre_->laneOf(resolving_.wants.instrument)].channel->put(
        MessageKind::Look, resolving_.at, writer_.clear().put(resolving_.wants).bytes());
}

void Sequencer::onLooked(const RoleMessage& message) {
    PayloadReader reader(message.payload);
    BookLook look;
    // What was asked for a process that is gone is of no use.
    if (resolving_.stage != Resolving::Stage::Looking || resolving_.at != message.position) return;
    if (!reader.get(look) || !reader.done()) return;
    resolving_.look = look;
    resolving_.stage = Resolving::Stage::Looked;
}

void Sequencer::sendDecide() {
    const Cell& asked = cell(resolving_.at);
    DecideBody body;
    body.whole = asked.whole ? 1 : 0;
    body.liveOrders = static_cast<uint32_t>(liveOrders());
    body.rememberedIds = static_cast<uint32_t>(rememberedIds());
    body.look = resolving_.look;
    resolving_.stage = Resolving::Stage::Deciding;
    risk_[asked.shard].channel->put(MessageKind::Decide, resolving_.at,
                                    writer_.clear().put(body).bytes());
}

// ---- matching

bool Sequencer::dispatch() {
    const Position before = dispatched_;
    const bool early = options_.mutant == RoleMutant::MatchOutOfOrder;
    const Position to = early ? sequenced_ : decided_;
    while (dispatched_ != to) {
        const Position at = dispatched_ + 1;
        Cell& next = cell(at);
        if (next.phase != Phase::Decided) break;
        if (next.alone) {
            if (!next.matched) break;
        } else if (next.decision.step == Step::Reject || next.decision.step == Step::AnswerAgain) {
            Command asked = next.command;
            asked.type &= static_cast<uint8_t>(~kCommandRefused);
            centre_->answer(asked, at, next.decision, next.out.events);
            next.out.ids.assign(next.out.events.size(), EventIds{});
            next.matched = true;
        } else {
            if (!matching_[next.decision.lane].live) break;
            sendMatch(at);
        }
        dispatched_ = at;
    }
    if (early) {
        // Whatever is decided further behind goes too.
        for (Position at = dispatched_ + 1; at <= sequenced_; at++) {
            Cell& next = cell(at);
            const bool goes = next.phase == Phase::Decided && !next.alone && !next.matched &&
                              !next.whole && next.decision.step == Step::Enter &&
                              matching_[next.decision.lane].live;
            if (!goes) continue;
            next.whole = true;  // sent
            sendMatch(at);
        }
    }
    return dispatched_ != before;
}

void Sequencer::sendMatch(Position at) {
    const Cell& next = cell(at);
    MatchBody body{};
    body.command = next.command;
    body.decision = next.decision;
    matching_[next.decision.lane].channel->put(MessageKind::Match, at,
                                               writer_.clear().put(body).bytes());
}

void Sequencer::onMatched(Seat& seat, const RoleMessage& message) {
    PayloadReader reader(message.payload);
    MatchedBody body;
    if (!reader.get(body) || !reader.rows(body.count, events_) ||
        !reader.rows(body.count, ids_) || !reader.done() || body.count == 0) {
        return violate(seat);
    }
    seat.orders = body.orders;
    // Matched again after its process came back: the events are the same, and may have left already.
    if (!underWay(message.position)) return;
    Cell& matched = cell(message.position);
    if (matched.matched) return;
    if (matched.phase != Phase::Decided || matched.alone ||
        matched.decision.lane != seat.shard) {
        return violate(seat);
    }
    matched.decision = body.decision;
    matched.out.events.swap(events_);
    matched.out.ids.swap(ids_);
    matched.matched = true;
}

// ---- settlement: what is known of a command now goes to everybody whose accounts it concerns.

bool Sequencer::settle() {
    const Position before = settled_;
    while (settled_ != dispatched_ && cell(settled_ + 1).matched) {
        const Position at = settled_ + 1;
        Cell& next = cell(at);
        std::vector<Event>& events = next.out.events;
        const uint32_t concerned = centre_->concerned(next.command, next.decision, events);
        if (concerned != 0) {
            MatchBody body{};
            body.command = next.command;
            body.decision = next.decision;
            body.count = static_cast<uint32_t>(events.size());
            writer_.clear().put(body).rows(std::span<const Event>(events));
            for (Seat& seat : risk_) {
                // Who is lost settles when it is rebuilt.
                if ((concerned >> seat.shard & 1) == 0 || !seat.live) continue;
                seat.channel->put(MessageKind::Settle, at, writer_.bytes());
            }
        }
        // From here on they are what leaves.
        for (size_t i = 0; i < events.size(); i++) centre_->complete(events[i], next.out.ids[i]);
        chain_.add(events.data(), events.size());
        next.chain = chain_.value();
        settled_ = at;
        if (next.alone) finishAlone();
    }
    return settled_ != before;
}

}  // namespace verbex::roles
