#include "roles/role_world.h"

#include <cstring>

#include "wire/command_codec.h"

namespace verbex::roles::test {

namespace {

constexpr uint64_t kStepNs = 1'000'000;
constexpr uint64_t kSilenceNs = 4000 * kStepNs;
constexpr size_t kWireFrames = 64;
constexpr uint32_t kFirms = 6;
constexpr uint32_t kInstruments = 3;
constexpr char kDirectory[] = "/data";

}  // namespace

// ---- the market

Market::Market(uint64_t seed) : random_(seed) {
    for (uint32_t i = 0; i < 29; i++) (void)random_.next();  // its own world is not wanted
}

Command Market::setUp(uint32_t step) {
    Command command{};
    if (step < 4) {
        command.type = static_cast<uint8_t>(CommandType::AddAsset);
        command.id = ClientId{step + 1, 0};
    } else if (step < 4 + kInstruments) {
        command.type = static_cast<uint8_t>(CommandType::AddInstrument);
        command.flags = kCommandExtended;
        command.id = ClientId{step, 0};
        command.price = 3;
        command.quantity = 2;
        command.priceMin = 80;
        command.priceMax = 120;
        command.quantityMin = 1;
        command.quantityMax = 1000;
        command.makerFee = -1000;
        command.takerFee = 30000;
        command.collar = 20000;
        command.base = step - 2;
        command.quote = 1;
    } else if (step < 4 + kInstruments + 2 * kFirms) {
        const uint32_t account = step - 4 - kInstruments;
        command.type = static_cast<uint8_t>(CommandType::AddAccount);
        command.account = account < kFirms ? 0 : account - kFirms + 1;
        command.id = ClientId{step, 9};
    } else {
        const uint32_t deposit = step - 4 - kInstruments - 2 * kFirms;
        command.type = static_cast<uint8_t>(CommandType::Deposit);
        command.account = 1 + deposit / 4;
        command.instrument = 1 + deposit % 4;
        command.id = ClientId{step, 7};
        command.amount = 20000;
    }
    return command;
}

Command Market::next() {
    constexpr uint32_t kSetUp = 4 + kInstruments + 2 * kFirms + 2 * kFirms * 4;
    if (step_ < kSetUp) return setUp(step_++);
    Command command = random_.next();
    const auto type = CommandType(command.type);
    // What only the sequencer may say, nobody offers.
    if (type == CommandType::SetAvailability) command.type = 0;
    if (command.account != 0 && command.account < 7) command.account = 1 + random_.below(2 * kFirms);
    if (type == CommandType::NewOrder && command.instrument <= 2) {
        command.instrument = 1 + random_.below(kInstruments);
    }
    // What stops trading for good is seldom enough that there is some.
    if (random_.below(4) != 0) {
        if (type == CommandType::KillSwitch) command.side = 2;
        if (type == CommandType::SetLimit) command.amount = -1;
        if (type == CommandType::SetTradingState) command.orderType = 1;
        if (type == CommandType::SetInstrumentRight) command.side = 0;
        if (type == CommandType::SetRights) command.rights = 62 | uint64_t{1} << 32;
    }
    if (type == CommandType::Transfer) command.toAccount = random_.below(2 * kFirms + 1);
    return command;
}

// ---- the world

World::World(const WorldOptions& options)
    : options_(options), random_(options.seed * 7919 + 17), market_(options.seed) {
    for (uint32_t i = 0; i < options.riskShards + options.matchingShards; i++) {
        places_.emplace_back();
        places_.back().process = make(i);
        places_.back().backAt = now_ + below(50) * kStepNs;
    }
}

World::~World() = default;

std::unique_ptr<RoleProcess> World::make(size_t place) const {
    RoleProcessOptions options;
    options.limits = options_.limits;
    options.riskShards = options_.riskShards;
    options.matchingShards = options_.matchingShards;
    options.mutant = options_.mutant;
    if (place < options_.riskShards) {
        options.shard = static_cast<uint32_t>(place);
        return std::make_unique<RiskProcess>(options);
    }
    options.shard = static_cast<uint32_t>(place) - options_.riskShards;
    return std::make_unique<MatchingProcess>(options);
}

std::string World::openSequencer() {
    SequencerOptions options;
    options.limits = options_.limits;
    options.riskShards = options_.riskShards;
    options.matchingShards = options_.matchingShards;
    options.log.directory = kDirectory;
    options.log.segmentBytes = 256u << 10;
    options.window = 1 + below(300);
    options.batchMax = 1 + below(64);
    options.silenceNs = kSilenceNs;
    options.attachNs = 5000 * kStepNs;
    options.pingNs = 100 * kStepNs;
    options.mutant = options_.mutant;
    auto lock = disk_.lockDirectory(kDirectory);
    if (!lock.isOk()) return lock.status().toString();
    lock_ = lock.take();
    auto opened = Sequencer::open(options, disk_, *lock_, *this, {now_, now_});
    if (!opened.isOk()) return opened.status().toString();
    sequencer_ = opened.take();
    return {};
}

bool World::send(LinkId to, std::span<const std::byte> frame) {
    const auto found = wires_.find(to);
    if (found == wires_.end() || found->second.down.size() >= kWireFrames) return false;
    found->second.down.emplace_back(frame.begin(), frame.end());
    return true;
}

void World::close(LinkId link) {
    const auto found = wires_.find(link);
    if (found != wires_.end()) found->second.closed = true;
}

void World::connect(size_t place) {
    Place& at = places_[place];
    at.backAt = 0;
    at.link = nextLink_++;
    wires_[at.link].place = place;
    at.process->attach();
    sequencer_->onAttached(at.link);
}

// The process is gone with all it knew; another one comes in its place some time later.
void World::kill(size_t place) {
    Place& at = places_[place];
    if (at.link == 0) return;
    Wire& wire = wires_[at.link];
    wire.cut = true;
    wire.down.clear();
    while (!wire.up.empty() && below(3) == 0) wire.up.pop_back();  // a tail is lost
    at.link = 0;
    if (options_.mutant != RoleMutant::SettlementSkipped) at.process = make(place);
    at.backAt = now_ + (1 + below(800)) * kStepNs;
    seen_.losses++;
}

void World::fault() {
    const uint32_t risk = options_.riskShards;
    switch (below(4)) {
        case 0:
            if (options_.killRisk) kill(below(risk));
            break;
        case 1:
            if (options_.killMatching) kill(risk + below(options_.matchingShards));
            break;
        case 2:
            if (options_.stallRisk) {
                Place& at = places_[below(risk)];
                if (at.link == 0) break;
                wires_[at.link].held = true;
                seen_.losses++;
            }
            break;
        default:
            if (!options_.killSequencer) break;
            sequencer_.reset();
            lock_.reset();
            wires_.clear();
            disk_.restart(sim::RestartMode::ProcessCrash, random_());
            markersTo_ = 0;
            markers_.clear();
            for (Place& at : places_) {
                at.link = 0;
                at.backAt = now_ + (1 + below(200)) * kStepNs;
            }
            seen_.restarts++;
            if (std::string failed = openSequencer(); !failed.empty()) wrong_ = failed;
            break;
    }
}

void World::deliverUp(Wire& wire, LinkId link) {
    if (wire.held || wire.up.empty()) return;
    const std::vector<std::byte> frame = std::move(wire.up.front());
    wire.up.pop_front();
    sequencer_->onFrame(link, frame);
}

void World::deliverDown(Wire& wire, LinkId link) {
    if (wire.held || wire.down.empty()) return;
    Place& at = places_[wire.place];
    const std::vector<std::byte> frame = std::move(wire.down.front());
    wire.down.pop_front();
    if (at.link != link) return;
    const Status status = at.process->onFrame(frame);
    if (!status.isOk() && wrong_.empty()) {
        wrong_ = "process " + std::to_string(wire.place) + ": " + status.toString();
    }
}

void World::stepSequencer() {
    while (offered_ < options_.commands && below(3) != 0) {
        if (!next_) next_ = market_.next();
        if (!sequencer_->offer(*next_)) break;
        next_.reset();
        offered_++;
    }
    (void)sequencer_->step({now_, now_});
    if (!sequencer_->failure().isOk()) wrong_ = sequencer_->failure().toString();
    collect();
}

void World::stepOnce() {
    now_ += kStepNs;
    for (size_t i = 0; i < places_.size(); i++) {
        if (places_[i].backAt != 0 && now_ >= places_[i].backAt) connect(i);
    }
    const bool faults = options_.killRisk || options_.killMatching || options_.killSequencer ||
                        options_.stallRisk;
    if (faults && offered_ < options_.commands && below(options_.killEvery) == 0) {
        fault();
        if (!wrong_.empty()) return;
    }
    if (below(3) == 0) stepSequencer();
    if (wires_.empty()) return;
    auto chosen = wires_.begin();
    std::advance(chosen, below(static_cast<uint32_t>(wires_.size())));
    const LinkId link = chosen->first;
    Wire& wire = chosen->second;
    Place& at = places_[wire.place];
    const bool connected = at.link == link;
    if (connected && !wire.closed && !wire.held && below(2) == 0) {
        (void)at.process->channel().flush([&wire](std::span<const std::byte> frame) {
            if (wire.up.size() >= kWireFrames) return false;
            wire.up.emplace_back(frame.begin(), frame.end());
            return true;
        });
    }
    for (uint32_t i = below(8); i != 0; i--) deliverDown(wire, link);
    for (uint32_t i = below(8); i != 0; i--) deliverUp(wire, link);
    // A held link that was given up: what had been said comes after all, then nothing.
    if (wire.closed && wire.held) {
        wire.held = false;
        while (!wire.up.empty()) deliverUp(wire, link);
    }
    if (wire.closed && (wire.up.empty() || below(4) == 0)) {
        if (connected) {
            at.link = 0;
            at.backAt = now_ + (1 + below(400)) * kStepNs;
        }
        wires_.erase(link);
    } else if (wire.cut && wire.up.empty()) {
        wires_.erase(link);
        sequencer_->onClosed(link);
    }
}

// ---- what is released

void World::readMarkers() {
    const Position written = sequencer_->log().written();
    if (markersTo_ == written) return;
    std::vector<Command> commands;
    const Status status = sequencer_->log().readRange(
        markersTo_ + 1, written, [&](const replication::LogEntry& entry) -> Status {
            if (!decodeBatch(entry.payload, entry.header.count, commands)) return {};
            for (const Command& command : commands) {
                if (CommandType(command.type) == CommandType::SetAvailability) {
                    markers_.push_back(command);
                }
            }
            return {};
        });
    if (!status.isOk()) wrong_ = "reading the log: " + status.toString();
    markersTo_ = written;
}

void World::collect() {
    replication::Outputs& outputs = sequencer_->outputs();
    if (outputs.released() < collected_) {
        wrong_ = "released " + std::to_string(collected_) + ", but the log ends at " +
                 std::to_string(outputs.released());
        return;
    }
    while (collected_ < outputs.released() && wrong_.empty()) {
        const replication::OutputBatch* batch = outputs.find(collected_ + 1);
        if (batch == nullptr) {
            wrong_ = "nothing is kept at " + std::to_string(collected_ + 1);
            return;
        }
        if (sequencer_->log().written() < batch->entry.last()) wrong_ = "released before stored";
        for (const auto& piece : batch->pieces) {
            for (uint32_t i = 0; i < piece.count; i++) {
                const Event& event = piece.events[i];
                if (event.position <= collected_) continue;
                released_.push_back(event);
                if (EventType(event.type) != EventType::Rejected ||
                    event.code != static_cast<uint16_t>(Reject::RISK_UNAVAILABLE)) {
                    continue;
                }
                seen_.unavailable++;
                readMarkers();
                bool said = false;
                for (const Command& marker : markers_) {
                    said |= marker.side == 1 &&
                            static_cast<Position>(marker.quantity) <= event.position;
                }
                if (!said && wrong_.empty()) {
                    wrong_ = "position " + std::to_string(event.position) +
                             " is released as unavailable, and no marker is in the log";
                }
            }
        }
        collected_ = batch->entry.last();
    }
}

std::string World::settleDown() {
    for (uint32_t i = 0; i < 2'000'000; i++) {
        if (!wrong_.empty()) return wrong_;
        stepOnce();
        bool all = sequencer_->idle() && offered_ == options_.commands && collected_ == sequencer_->last();
        for (const SeatStatus& seat : sequencer_->status().seats) all = all && seat.live;
        for (const Place& at : places_) all = all && at.link != 0 && at.process->joined();
        if (!all || !sequencer_->serving()) continue;
        // What is on its way to the parts.
        bool quiet = true;
        for (auto& [link, wire] : wires_) quiet = quiet && wire.down.empty() && wire.up.empty();
        if (quiet) {
            (void)sequencer_->step({now_, now_});
            for (auto& [link, wire] : wires_) quiet = quiet && wire.down.empty();
            if (quiet && sequencer_->idle()) return {};
        }
    }
    const SequencerStatus status = sequencer_->status();
    return "no end: waits for '" + status.waitsFor + "', sequenced " +
           std::to_string(status.sequenced) + ", decided " + std::to_string(status.decided) +
           ", settled " + std::to_string(status.settled) + ", released " +
           std::to_string(status.released);
}

std::string World::compare() {
    const SequencerStatus status = sequencer_->status();
    seen_.refused = status.refused;
    seen_.hazards = status.hazards;
    seen_.positions = status.settled;
    replication::Outputs outputs(1u << 30);
    replication::ExecutorOptions executorOptions;
    executorOptions.limits = options_.limits;
    executorOptions.scrubNs = 0;
    replication::Executor executor(executorOptions, outputs);
    CorePart whole(options_.limits, options_.riskShards, options_.matchingShards);
    replication::Outputs nowhere(1);
    nowhere.recovering(true);
    std::vector<Command> commands;
    const Status read = sequencer_->log().readRange(
        1, status.settled, [&](const replication::LogEntry& entry) -> Status {
            executor.execute(entry);
            outputs.release(entry.header.last());
            if (!decodeBatch(entry.payload, entry.header.count, commands)) return {};
            nowhere.beginBatch(entry.header);
            for (const Command& command : commands) whole.replay(command, nowhere);
            nowhere.endBatch({}, {});
            return {};
        });
    if (!read.isOk()) return "reading the log: " + read.toString();
    std::vector<Event> expected;
    for (Position at = 1; at <= status.settled;) {
        const replication::OutputBatch* batch = outputs.find(at);
        if (batch == nullptr) return "one core kept no events";
        for (const auto& piece : batch->pieces) {
            expected.insert(expected.end(), piece.events, piece.events + piece.count);
        }
        at = batch->entry.last() + 1;
    }
    uint32_t away = 0;
    for (size_t i = 0; i < expected.size(); i++) {
        if (i >= released_.size() || std::memcmp(&expected[i], &released_[i], sizeof(Event)) != 0) {
            const Event& a = expected[i];
            std::string text = "event " + std::to_string(i) + " at position " +
                               std::to_string(a.position) + " differs: one core says type " +
                               std::to_string(a.type) + " code " + std::to_string(a.code);
            if (i < released_.size()) {
                const Event& b = released_[i];
                text += ", released was position " + std::to_string(b.position) + " type " +
                        std::to_string(b.type) + " code " + std::to_string(b.code);
            }
            return text;
        }
        const Event& event = expected[i];
        if (EventType(event.type) == EventType::AvailabilitySet) {
            away = event.side == 1 ? away | 1u << event.instrument
                                   : away & ~(1u << event.instrument);
        }
        if (EventType(event.type) == EventType::Trade) {
            seen_.trades++;
            if ((away >> sequencer_->centre().shardOf(event.account2) & 1) != 0) {
                seen_.tradesOfLost++;
            }
        }
    }
    if (released_.size() != expected.size()) return "more was released than one core says";
    if (executor.result() != status.resultHash) return "another result hash";
    if (executor.core().hash() != whole.core().hash()) return "a core in parts has another state";
    if (whole.share(PartKind::Centre, 0) != sequencer_->centre().share(PartKind::Centre, 0)) {
        return "the centre has another state";
    }
    for (const Place& at : places_) {
        const CorePart& part = *at.process->part();
        const PartKind kind = at.process->kind();
        if (part.share(kind, at.process->shard()) != whole.share(kind, at.process->shard())) {
            return std::string(kind == PartKind::Risk ? "risk" : "matching") + " process " +
                   std::to_string(at.process->shard()) + " has another state";
        }
    }
    return {};
}

std::string World::run() {
    if (std::string failed = openSequencer(); !failed.empty()) return failed;
    if (std::string failed = settleDown(); !failed.empty()) return failed;
    return compare();
}

}  // namespace verbex::roles::test
