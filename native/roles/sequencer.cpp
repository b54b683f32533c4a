#include "roles/sequencer.h"

#include <algorithm>

#include "base/crc32c.h"
#include "wire/command_codec.h"

namespace verbex::roles {

using replication::EntryHeader;
using replication::LogEntry;

namespace {

constexpr uint64_t kEpoch = 1;
constexpr size_t kSpareMax = 8192;

}  // namespace

Sequencer::Sequencer(const SequencerOptions& options, RoleLinks& links)
    : options_(options), links_(links), outputs_(options.outputEvents) {
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

Result<std::unique_ptr<Sequencer>> Sequencer::open(const SequencerOptions& options,
                                                   journal::Storage& storage,
                                                   const journal::DirectoryLock& lock,
                                                   RoleLinks& links, RoleMoment now) {
    std::unique_ptr<Sequencer> sequencer(new Sequencer(options, links));
    sequencer->now_ = now;
    sequencer->openedAt_ = now.steadyNs;
    if (Status status = sequencer->recover(storage, lock); !status.isOk()) return status;
    return sequencer;
}

// The whole log again, by a whole core; then only the centre is kept. The others do the same when they attach.
Status Sequencer::recover(journal::Storage& storage, const journal::DirectoryLock& lock) {
    auto part = std::make_unique<CorePart>(options_.limits, options_.riskShards,
                                           options_.matchingShards);
    Position unmarked = 0;  // the first refusal that no marker explains yet
    Position boundary = 0;  // where the entry ahead of it ends
    auto opened = replication::MemberLog::open(
        storage, lock, options_.log, [&](const LogEntry& entry) -> Status {
            if (!decodeBatch(entry.payload, entry.header.count, commands_)) {
                return Status(StatusCode::JournalDamaged, "an entry of the log holds no commands");
            }
            for (size_t i = 0; i < commands_.size(); i++) {
                const Command& command = commands_[i];
                if ((command.type & kCommandRefused) != 0 && unmarked == 0) {
                    unmarked = entry.header.first + i;
                    boundary = entry.header.first - 1;
                }
                if (CommandType(command.type) == CommandType::SetAvailability &&
                    command.side == 1) {
                    unmarked = 0;
                }
            }
            return {};
        });
    if (!opened.isOk()) return opened.status();
    log_ = opened.take();
    // The end came between a refusal and its marker: nothing from there on has been released.
    if (unmarked != 0) {
        if (Status status = log_->truncate(boundary); !status.isOk()) return status;
    }
    outputs_.recovering(true);
    const Status replayed =
        log_->last() == 0 ? Status() : log_->readRange(1, log_->last(), [&](const LogEntry& entry) -> Status {
            CHECK(decodeBatch(entry.payload, entry.header.count, commands_));
            outputs_.beginBatch(entry.header);
            for (const Command& command : commands_) part->replay(command, outputs_);
            outputs_.fresh([this](const Event* first, size_t count) { chain_.add(first, count); });
            outputs_.endBatch(chain_.value(), chain_.value());
            outputs_.release(entry.header.last());
            return {};
        });
    outputs_.recovering(false);
    outputs_.setCompletion(nullptr, nullptr);  // from here on only what is complete is written
    if (!replayed.isOk()) return replayed;
    sequenced_ = decided_ = journaled_ = dispatched_ = settled_ = released_ = log_->last();
    const uint32_t declared = part->core().riskProcesses();
    if (released_ != 0 && declared != options_.riskShards) {
        return Status(StatusCode::Refused,
                      "this log was made with " + std::to_string(declared) +
                          " risk processes, not " + std::to_string(options_.riskShards));
    }
    for (Seat& seat : risk_) seat.ids = part->rememberedIds(seat.shard);
    part->become(PartKind::Centre, 0);
    centre_ = std::move(part);
    // The log begins by saying how many risk processes there are: rules depend on it.
    if (released_ == 0) mark(0, false, 1);
    return {};
}

// ---- time

bool Sequencer::step(RoleMoment now) {
    now_ = now;
    nextTimer_ = now.steadyNs + options_.pingNs;
    if (!failure_.isOk()) return false;
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
    return pending_.empty() && markers_.empty() && released_ == sequenced_ &&
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
    fresh->done.clear();
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

Position Sequencer::stored() const {
    return options_.durable ? log_->durable() : log_->written();
}

bool Sequencer::journal() {
    if (journaled_ == decided_) return false;
    while (journaled_ != decided_) {
        EntryHeader header;
        header.epoch = kEpoch;
        header.first = journaled_ + 1;
        payload_.clear();
        while (journaled_ != decided_ && header.count < options_.batchMax &&
               payload_.size() + kCommandBytesMax <= replication::kBatchBytesMax) {
            Command command = cell(journaled_ + 1).command;
            if (options_.mutant == RoleMutant::RefusalNotJournaled) {
                command.type &= static_cast<uint8_t>(~kCommandRefused);
            }
            encodeBatch(std::span(&command, 1), payload_);
            header.count++;
            journaled_++;
        }
        header.payloadBytes = static_cast<uint32_t>(payload_.size());
        header.payloadCrc = crc32c(payload_.data(), payload_.size());
        if (Status status = log_->append(header, payload_); !status.isOk()) {
            fail(status);
            return true;
        }
        entries_.push_back(header);
    }
    if (Status status = log_->write(); !status.isOk()) fail(status);
    return true;
}

bool Sequencer::release() {
    bool worked = false;
    const Position upTo = stored();
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
            for (const Event& event : done.done) outputs_.claim() = event;
            chain = done.chain;
            if (spare_.size() < kSpareMax) spare_.push_back(std::move(window_.front()));
            window_.pop_front();
            released_ = at;
        }
        outputs_.endBatch(chain, chain);
        outputs_.release(released_);
        entries_.pop_front();
        worked = true;
    }
    return worked;
}

void Sequencer::fail(const Status& why) {
    if (failure_.isOk()) failure_ = why;
}

Status Sequencer::close() {
    if (!failure_.isOk()) return failure_;
    return log_->close();
}

SequencerStatus Sequencer::status() const {
    SequencerStatus status;
    status.waitsFor = failure_.isOk() ? waitsFor() : failure_.toString();
    status.serving = status.waitsFor.empty();
    status.sequenced = sequenced_;
    status.decided = decided_;
    status.journaled = journaled_;
    status.settled = settled_;
    status.released = released_;
    status.resultHash = chain_.value();
    status.hazards = hazards_;
    status.alone = alones_;
    status.refused = refusals_;
    for (const auto* seats : {&risk_, &matching_}) {
        for (const Seat& seat : *seats) {
            status.seats.push_back({seat.kind, seat.shard, seat.link != 0, seat.live, seat.rebuilt,
                                    seat.losses});
        }
    }
    return status;
}

}  // namespace verbex::roles
