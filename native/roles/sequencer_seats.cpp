// Who takes part: attaching, rebuilding from the log, joining, and being lost.
#include <algorithm>

#include "roles/sequencer.h"
#include "wire/command_codec.h"
#include "wire/log_facts.h"

namespace verbex::roles {

using replication::LogEntry;

namespace {

// Intake stands still for what is left of the log when a process joins: only when that is little.
constexpr Position kNear = 8192;
// So much of the log is on its way to a process that is rebuilt.
constexpr uint64_t kQueuedBytes = 1u << 20;
constexpr Position kAhead = 1u << 16;
constexpr size_t kHelloBytes = sizeof(FrameHeader) + sizeof(MessageHeader) + sizeof(HelloBody);

}  // namespace

bool Sequencer::away(uint32_t shard) const {
    return (centre_->core().riskProcessesAway() >> shard & 1) != 0;
}

std::string Sequencer::waitsFor() const {
    if (!ready()) return "its log, replayed up to " + std::to_string(past_->position());
    for (const Seat& seat : matching_) {
        if (!seat.live) return "matching process " + std::to_string(seat.shard);
    }
    for (const Seat& seat : risk_) {
        if (seat.joinDue || seat.markerQueued || (!seat.live && !away(seat.shard))) {
            return "risk process " + std::to_string(seat.shard);
        }
    }
    return {};
}

Sequencer::Seat* Sequencer::seatOf(LinkId link) {
    for (auto* seats : {&risk_, &matching_}) {
        for (Seat& seat : *seats) {
            if (seat.link == link) return &seat;
        }
    }
    return nullptr;
}

void Sequencer::onAttached(LinkId link) {
    strangers_[link] = Stranger{std::make_unique<Channel>(), now_.steadyNs};
}

void Sequencer::onClosed(LinkId link) {
    strangers_.erase(link);
    if (Seat* seat = seatOf(link)) lose(*seat);
}

void Sequencer::onFrame(LinkId link, std::span<const std::byte> frame) {
    if (const auto stranger = strangers_.find(link); stranger != strangers_.end()) {
        // Nothing is due behind a Hello: what would be there is not looked at, so it may not be there.
        const bool alone = frame.size() == kHelloBytes;
        const auto hello = [&](const RoleMessage& message) {
            onHello(link, message);
            return false;
        };
        if (!alone || !stranger->second.channel->receive(frame, hello).isOk()) {
            strangers_.erase(link);
            links_.close(link);
        }
        return;
    }
    if (options_.mutant == RoleMutant::DeadDecisionUsed) {
        if (const auto dead = givenUp_.find(link); dead != givenUp_.end()) {
            useDead(frame);
            return;
        }
    }
    Seat* seat = seatOf(link);
    if (seat == nullptr) return;  // given up: nothing that it still says counts
    seat->heardAt = now_.steadyNs;
    const Status status = seat->channel->receive(frame, [&](const RoleMessage& message) {
        onMessage(*seat, message);
        return seat->link == link;  // else it has been given up
    });
    if (!status.isOk()) violate(*seat);
}

// RoleMutant::DeadDecisionUsed.
void Sequencer::useDead(std::span<const std::byte> frame) {
    frame = frame.subspan(sizeof(FrameHeader));
    while (!frame.empty()) {
        MessageHeader header;
        std::memcpy(static_cast<void*>(&header), frame.data(), sizeof(header));
        if (header.kind == MessageKind::Decided && underWay(header.position)) {
            DecidedBody body;
            std::memcpy(static_cast<void*>(&body), frame.data() + sizeof(header), sizeof(body));
            Cell& late = cell(header.position);
            if (late.refused && late.phase != Phase::Decided) {
                late.decision = body.decision;
                late.phase = Phase::Decided;
            }
        }
        frame = frame.subspan(sizeof(header) + header.bytes);
    }
}

// It says what can't be: it is no better than one that is gone.
void Sequencer::violate(Seat& seat) {
    if (seat.link != 0) lose(seat);
}

void Sequencer::onHello(LinkId link, const RoleMessage& message) {
    PayloadReader reader(message.payload);
    HelloBody hello;
    const CoreLimits& limits = options_.limits;
    const bool fits =
        message.kind == MessageKind::Hello && reader.get(hello) && reader.done() &&
        hello.riskShards == options_.riskShards &&
        hello.matchingShards == options_.matchingShards && hello.maxOrders == limits.maxOrders &&
        hello.maxAccounts == limits.maxAccounts &&
        hello.maxInstruments == limits.maxInstruments &&
        hello.maxClientIds == limits.maxClientIds;
    Seat* seat = nullptr;
    if (fits && hello.kind == static_cast<uint32_t>(PartKind::Risk) && hello.shard < risk_.size()) {
        seat = &risk_[hello.shard];
    }
    if (fits && hello.kind == static_cast<uint32_t>(PartKind::Matching) &&
        hello.shard < matching_.size()) {
        seat = &matching_[hello.shard];
    }
    // Its next frame finds it nowhere: the channel goes with the seat, or with the link.
    const auto stranger = strangers_.find(link);
    std::unique_ptr<Channel> channel = std::move(stranger->second.channel);
    strangers_.erase(stranger);
    if (seat == nullptr) {
        links_.close(link);
        return;
    }
    // The same process again, before its old link was seen to be over: the newer one counts.
    if (seat->link != 0) lose(*seat);
    seat->link = link;
    seat->channel = std::move(channel);
    seat->heardAt = seat->pingedAt = now_.steadyNs;
    seat->sent = seat->rebuilt = seat->base = agree(*seat, hello);
    seat->channel->put(MessageKind::Begin, seat->sent);
    if (options_.mutant != RoleMutant::DeadDecisionUsed || seat->kind != PartKind::Risk) return;
    // What was not heard of after all.
    for (Position at = decided_ + 1; at <= sequenced_; at++) {
        Cell& late = cell(at);
        if (!late.refused || late.phase == Phase::Decided || late.shard != seat->shard) continue;
        late.decision = Decision{};
        late.decision.step = Step::Reject;
        late.decision.code = static_cast<uint16_t>(Reject::RISK_UNAVAILABLE);
        late.phase = Phase::Decided;
    }
}

void Sequencer::onMessage(Seat& seat, const RoleMessage& message) {
    // A violation on the way has freed the channel: nothing of it is looked at any more.
    switch (message.kind) {
        case MessageKind::Pong: return;
        case MessageKind::Rebuilt:
            seat.rebuilt = message.position;
            return;
        case MessageKind::Joined: return onJoined(seat, message);
        case MessageKind::Followed: return onFollowed(seat, message);
        default: break;
    }
    if (!seat.live) return violate(seat);
    const bool risk = seat.kind == PartKind::Risk;
    switch (message.kind) {
        case MessageKind::Decided:
            if (risk) return onDecided(seat, message);
            break;
        case MessageKind::Hazard:
            if (risk) return onHazard(seat, message);
            break;
        case MessageKind::Wants:
            if (risk) return onWants(seat, message);
            break;
        case MessageKind::Looked:
            if (!risk) return onLooked(message);
            break;
        case MessageKind::Matched:
            if (!risk) return onMatched(seat, message);
            break;
        case MessageKind::Gathered: return onGathered(seat, message);
        case MessageKind::Swept:
            if (!risk) return onSwept(seat, message);
            break;
        case MessageKind::Carried:
            if (risk) return onCarried(seat, message);
            break;
        default: break;
    }
    violate(seat);
}

// ---- coming

bool Sequencer::attend() {
    bool worked = false;
    for (auto at = strangers_.begin(); at != strangers_.end();) {
        const bool silent = now_.steadyNs - at->second.since > options_.silenceNs;
        if (silent) links_.close(at->first);
        at = silent ? strangers_.erase(at) : std::next(at);
    }
    for (auto* seats : {&risk_, &matching_}) {
        for (Seat& seat : *seats) {
            if (seat.link == 0) {
                const bool late = now_.steadyNs - openedAt_ >= options_.attachNs;
                if (seat.kind == PartKind::Risk && late && !away(seat.shard) && markers_.empty() &&
                    alone_.stage == Alone::Stage::None && sequenced_ == settled_) {
                    mark(seat.shard, true, sequenced_ + 1);
                    worked = true;
                }
                continue;
            }
            if (now_.steadyNs - seat.heardAt > options_.silenceNs) {
                lose(seat);
                worked = true;
                continue;
            }
            if (now_.steadyNs - seat.pingedAt >= options_.pingNs) {
                seat.channel->put(MessageKind::Ping, 0);
                seat.pingedAt = now_.steadyNs;
            }
            worked |= seat.live ? feed(seat) : rebuild(seat);
        }
    }
    return worked;
}

// Sends what it lacks of the log; when that is little, everything stands still for the rest.
bool Sequencer::rebuild(Seat& seat) {
    bool worked = false;
    while (seat.sent < settled_ && settled_ - seat.sent > kNear &&
           seat.channel->queuedBytes() < kQueuedBytes && seat.sent - seat.rebuilt < kAhead) {
        if (!sendLog(seat, std::min(settled_, journaled_))) return worked;
        worked = true;
    }
    if (settled_ - seat.sent > kNear || seat.sent - seat.rebuilt >= kAhead) return worked;
    if (seat.kind == PartKind::Matching) return join(seat) || worked;
    // The marker that it is back has been given its position: it joins behind it.
    if (seat.markerQueued && !away(seat.shard)) seat.markerQueued = false;
    if (seat.markerQueued) return worked;
    if (!seat.joinDue) {
        // Whether it is away, the log may be about to say.
        if (!markers_.empty()) return worked;
        seat.joinDue = true;
        if (away(seat.shard)) {
            mark(seat.shard, false, 0);
            seat.markerQueued = true;
        }
        return true;
    }
    // Nothing is under way: a risk process joins between two commands.
    if (settled_ != sequenced_ || alone_.stage != Alone::Stage::None || !markers_.empty()) {
        return worked;
    }
    return join(seat) || worked;
}

// The next commands of the log, up to `to`; an entry of which only a part is wanted, in part.
bool Sequencer::sendLog(Seat& seat, Position to) {
    LogEntry entry;
    const Position first = seat.sent + 1;
    if (first > to) return false;
    if (Status status = log_.entries().read(first, entry); !status.isOk()) {
        fail(status.within("the log for a process that is rebuilt"));
        return false;
    }
    const Position last = std::min(entry.header.last(), to);
    const auto count = static_cast<uint32_t>(last - first + 1);
    writer_.clear().put(count);
    if (count == entry.header.count) {
        writer_.rows(entry.payload);
    } else {
        CHECK(decodeBatch(entry.payload, entry.header.count, commands_));
        payload_.clear();
        encodeBatch(std::span<const Command>(commands_).first(count), payload_);
        writer_.rows(std::span<const std::byte>(payload_));
    }
    seat.channel->put(MessageKind::Rebuild, first, writer_.bytes());
    seat.sent = last;
    return true;
}

// It takes part behind what is settled now: what it is sent from here on follows in order.
bool Sequencer::join(Seat& seat) {
    if (journaled_ < settled_) return false;
    while (seat.sent < settled_) {
        if (!sendLog(seat, settled_)) return false;
    }
    JoinBody body;
    body.hash = chain_.value();
    body.wantsNumbers = seat.numbersOwed ? 1 : 0;
    seat.channel->put(MessageKind::Join, settled_, writer_.clear().put(body).bytes());
    seat.live = true;
    // Nothing may name an order before matching knows its number.
    seat.joinDue = seat.numbersOwed;
    if (seat.kind == PartKind::Risk) return true;
    // What it had been given and nobody knows the events of, it gets again.
    for (Position at = settled_ + 1; at <= dispatched_; at++) {
        const Cell& again = cell(at);
        const bool matched = again.decision.step != Step::Reject &&
                             again.decision.step != Step::AnswerAgain && !again.alone;
        if (matched && again.decision.lane == seat.shard) sendMatch(at);
    }
    aloneAgain(seat);
    if (resolving_.stage == Resolving::Stage::Looking &&
        centre_->laneOf(resolving_.wants.instrument) == seat.shard) {
        sendLook();
    }
    return true;
}

void Sequencer::onJoined(Seat& seat, const RoleMessage& message) {
    PayloadReader reader(message.payload);
    CountsBody body;
    if (!seat.live || !reader.get(body) || !reader.rows(body.numbers, numbers_) ||
        !reader.done()) {
        return violate(seat);
    }
    if (seat.kind == PartKind::Matching) {
        seat.orders = body.orders;
        return;
    }
    seat.ids = body.ids;
    if (seat.numbersOwed) renumber(seat, numbers_);
    seat.numbersOwed = seat.joinDue = false;
}

// ---- going

void Sequencer::lose(Seat& seat) {
    const LinkId link = seat.link;
    const bool wasLive = seat.live;
    seat.link = 0;
    seat.live = false;
    seat.losses++;
    // Its channel may be in the middle of a message: it goes when the seat is taken again.
    links_.close(link);
    if (seat.kind == PartKind::Matching) return;
    if (options_.mutant == RoleMutant::DeadDecisionUsed) givenUp_[link] = seat.shard;
    const bool wasDue = seat.joinDue;
    seat.joinDue = false;
    if (seat.markerQueued) {
        std::erase_if(markers_, [&seat](const Command& marker) {
            return marker.instrument == seat.shard && marker.side == 2;
        });
        seat.markerQueued = false;
    }
    if (wasLive || (wasDue && !away(seat.shard))) loseRisk(seat);
}

// What it had not decided is refused; from there on, until it is back, everything of its accounts is.
void Sequencer::loseRisk(Seat& seat) {
    Position from = 0;
    for (Position at = decided_ + 1; at <= sequenced_; at++) {
        Cell& lost = cell(at);
        if (lost.shard != seat.shard || lost.phase == Phase::Decided) continue;
        if (from == 0) from = at;
        lost.command.type |= kCommandRefused;
        lost.refused = true;
        refusals_++;
        if (resolving_.at == at) resolving_ = {};
        if (options_.mutant == RoleMutant::DeadDecisionUsed) {
            lost.phase = Phase::Sent;
            continue;
        }
        lost.decision = Decision{};
        lost.decision.step = Step::Reject;
        lost.decision.code = static_cast<uint16_t>(Reject::RISK_UNAVAILABLE);
        lost.phase = Phase::Decided;
    }
    if (alone_.stage == Alone::Stage::Gather && from == 0 &&
        (alone_.waitsRisk >> seat.shard & 1) != 0) {
        from = alone_.at;
    }
    if (from == 0) from = sequenced_ + 1;
    mark(seat.shard, true, from);
    aloneWithoutRisk(seat.shard);
}

void Sequencer::mark(uint32_t shard, bool down, Position from) {
    markers_.push_back(availabilityOf(options_.riskShards, shard, down, from));
    if (!down) return;
    if (gateFrom_ == 0 || from < gateFrom_) gateFrom_ = from;
    gateMarker_ = 0;
}

bool Sequencer::flush() {
    bool sent = false;
    for (auto* seats : {&risk_, &matching_}) {
        for (Seat& seat : *seats) {
            if (seat.link == 0) continue;
            sent |= seat.channel->flush([&](std::span<const std::byte> frame) {
                return links_.send(seat.link, frame);
            });
        }
    }
    return sent;
}

}  // namespace verbex::roles
