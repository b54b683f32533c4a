#include "roles/sequencer.h"

#include <algorithm>

#include "wire/command_codec.h"

namespace verbex::roles {

using replication::EntryHeader;

namespace {

constexpr size_t kSpareMax = 8192;

}  // namespace

Sequencer::Sequencer(const SequencerOptions& options, std::unique_ptr<LogReplay> past,
                     SequencerLog& log, RoleLinks& links, RoleMoment now)
    : options_(options),
      log_(log),
      links_(links),
      now_(now),
      past_(std::move(past)),
      base_(past_->position()),
      outputs_(past_->outputs()) {
    CHECK(options.riskShards >= 1 && options.riskShards <= CoreShards::kMax);
    CHECK(options.matchingShards >= 1 && options.matchingShards <= CoreShards::kMax);
    risk_.resize(options.riskShards);
    matching_.resize(options.matchingShards);
    for (uint32_t i = 0; i < options.riskShards; i++) risk_[i].shard = i;
    for (uint32_t i = 0; i < options.matchingShards; i++) {
        matching_[i].kind = PartKind::Matching;
        matching_[i].shard = i;
    }
}

Sequencer::~Sequencer() = default;

// ---- time

bool Sequencer::step(RoleMoment now) {
    now_ = now;
    nextTimer_ = now.steadyNs + options_.pingNs;
    if (!failure_.isOk()) return false;
    if (!ready()) return replay();
    bool worked = attend();
    worked |= tick();
    worked |= intake();
    worked |= decide();
    worked |= journal();
    worked |= dispatch();
    worked |= settle();
    worked |= resolve();
    worked |= release();
    worked |= flush();
    return worked;
}

bool Sequencer::tick() {
    if (options_.tickNs == 0 || !pending_.empty() || !serving() || sequenced_ != settled_) {
        return false;
    }
    const uint64_t time = centre_->core().time();
    if (now_.wallNs < time + options_.tickNs) {
        nextTimer_ = std::min(nextTimer_, now_.steadyNs + (time + options_.tickNs - now_.wallNs));
        return false;
    }
    Command command{};
    command.type = static_cast<uint8_t>(CommandType::AdvanceTime);
    command.expiry = now_.wallNs;
    pending_.push_back(command);
    return true;
}

// ---- intake

size_t Sequencer::room() const {
    if (!failure_.isOk() || !serving()) return 0;
    return pending_.size() >= options_.window ? 0 : options_.window - pending_.size();
}

bool Sequencer::offer(const Command& command) {
    if (room() == 0) return false;
    pending_.push_back(command);
    return true;
}

bool Sequencer::serving() const { return waitsFor().empty(); }

bool Sequencer::idle() const {
    return ready() && pending_.empty() && markers_.empty() && outputs_.released() == sequenced_ &&
           alone_.stage == Alone::Stage::None;
}

bool Sequencer::intake() {
    bool worked = false;
    while (alone_.stage == Alone::Stage::None) {
        // A marker goes ahead of everything, also of a window that is full because it is waited for.
        const bool marker = !markers_.empty();
        if (!marker) {
            const bool full = sequenced_ - released_ >= options_.window;
            if (pending_.empty() || full || !serving()) break;
        }
        const Command command = marker ? markers_.front() : pending_.front();
        const bool alone = centre_->core().runsAlone(command);
        const bool short_ = !alone && !roomForOrder();
        if ((alone || short_) && settled_ != sequenced_) break;
        (marker ? markers_ : pending_).pop_front();
        worked = true;
        if (alone) {
            beginAlone(command);
        } else {
            place(command, short_);
        }
    }
    return worked;
}

Sequencer::Cell& Sequencer::append(const Command& command) {
    std::unique_ptr<Cell> fresh;
    if (spare_.empty()) {
        fresh = std::make_unique<Cell>();
    } else {
        fresh = std::move(spare_.back());
        spare_.pop_back();
    }
    fresh->command = command;
    fresh->decision = Decision{};
    fresh->phase = Phase::Sent;
    fresh->alone = fresh->whole = fresh->matched = fresh->refused = false;
    fresh->shard = kNobody;
    fresh->out.clear();
    window_.push_back(std::move(fresh));
    sequenced_++;
    return *window_.back();
}

// An order command gets its position, and goes to whoever decides about it.
void Sequencer::place(const Command& command, bool whole) {
    Cell& next = append(command);
    next.whole = whole;
    const bool known = centre_->exists(command.account);
    const bool refused = centre_->refuses(command);
    if (refused || !known) {
        next.decision.step = Step::Reject;
        next.decision.code = static_cast<uint16_t>(refused ? Reject::RISK_UNAVAILABLE
                                                           : Reject::UNKNOWN_ACCOUNT);
        next.phase = Phase::Decided;
        return;
    }
    next.shard = centre_->shardOf(command.account);
    Seat& seat = risk_[next.shard];
    CHECK(seat.live);
    const uint32_t mustAsk = whole ? 1 : 0;
    seat.channel->put(MessageKind::Validate, sequenced_,
                      writer_.clear().put(command).put(mustAsk).bytes());
}

// ---- the log

bool Sequencer::journal() {
    if (journaled_ == decided_) return false;
    while (journaled_ != decided_) {
        const Position first = journaled_ + 1;
        uint32_t count = 0;
        payload_.clear();
        while (journaled_ != decided_ && count < options_.batchMax &&
               payload_.size() + kCommandBytesMax <= replication::kBatchBytesMax) {
            Command command = cell(journaled_ + 1).command;
            if (options_.mutant == RoleMutant::RefusalNotJournaled) {
                command.type &= static_cast<uint8_t>(~kCommandRefused);
            }
            encodeBatch(std::span(&command, 1), payload_);
            count++;
            journaled_++;
        }
        EntryHeader header;
        if (!log_.append(payload_, count, header)) {
            fail(Status(StatusCode::Closed, "the log is no longer this sequencer's"));
            return true;
        }
        CHECK(header.first == first);
        entries_.push_back(header);
    }
    return true;
}

bool Sequencer::release() {
    bool worked = false;
    const Position upTo = log_.stored();
    if (gateMarker_ != 0 && upTo >= gateMarker_) gateFrom_ = gateMarker_ = 0;
    while (!entries_.empty()) {
        const EntryHeader& entry = entries_.front();
        if (entry.last() > settled_ || entry.last() > upTo) break;
        if (gateFrom_ != 0 && entry.last() >= gateFrom_ &&
            options_.mutant != RoleMutant::PublishBeforeMarker) {
            break;
        }
        outputs_.beginBatch(entry);
        Digest128 chain;
        for (Position at = entry.first; at <= entry.last(); at++) {
            Cell& done = *window_.front();
            for (const Event& event : done.out.events) outputs_.claim() = event;
            chain = done.chain;
            if (spare_.size() < kSpareMax) spare_.push_back(std::move(window_.front()));
            window_.pop_front();
            released_ = at;
        }
        outputs_.endBatch(chain, chain);
        remember(entry, chain);
        entries_.pop_front();
        worked = true;
    }
    // Also what was in the log before, and waited for a marker.
    const bool gated = gateFrom_ != 0 && options_.mutant != RoleMutant::PublishBeforeMarker;
    if (!gated || released_ < gateFrom_) outputs_.release(released_);
    return worked;
}

void Sequencer::fail(const Status& why) {
    if (failure_.isOk()) failure_ = why;
}

SequencerStatus Sequencer::status() const {
    SequencerStatus status;
    status.waitsFor = failure_.isOk() ? waitsFor() : failure_.toString();
    status.serving = status.waitsFor.empty();
    status.sequenced = sequenced_;
    status.decided = decided_;
    status.journaled = journaled_;
    status.settled = settled_;
    status.released = outputs_.released();
    status.resultHash = chain_.value();
    status.hazards = hazards_;
    status.alone = alones_;
    status.refused = refusals_;
    status.base = base_;
    for (const auto* seats : {&risk_, &matching_}) {
        for (const Seat& seat : *seats) {
            status.seats.push_back({seat.kind, seat.shard, seat.link != 0, seat.live, seat.rebuilt,
                                    seat.losses, seat.base, seat.followed, seat.disagreed});
        }
    }
    return status;
}

}  // namespace verbex::roles
