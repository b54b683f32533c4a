#include "node/pipeline.h"

#include <algorithm>

namespace verbex::node {

namespace {

constexpr uint64_t kReceiveMax = 256;   // commands let in at once
constexpr uint64_t kPublishMax = 1024;  // commands let out at once

}  // namespace

Pipeline::Pipeline(const pipeline::ThreadPlan& plan, uint32_t cores, CommandRing& ring, Core& core,
                   EventRing& events, Surroundings with)
    : track_(ring, core, events), events_(events), with_(std::move(with)),
      merges_(track_.lanes.size() > 1), wait_(plan, cores),
      settledByAll_(track_.all(track_.settled)), read_(track_.lanes.size()),
      orderRoom_(core.orderRoom()) {
    for (uint32_t i = 0; i < core.riskShards(); i++) {
        risk_.push_back(std::make_unique<RiskStage>(track_, i));
    }
    for (uint32_t i = 0; i < core.matchingShards(); i++) {
        matching_.push_back(std::make_unique<MatchingStage>(track_, i));
    }
    if (with_.journal != nullptr) {
        journal_ = std::make_unique<JournalStage>(ring, track_.base, *with_.journal, with_.segments,
                                                  with_.journaling, with_.onFailure);
    }

    const pipeline::Wait waits(plan, cores);
    size_t next = 1;  // plan.cores[0] is the engine's
    const auto thread = [&](std::string name, pipeline::Stage* stage) -> pipeline::Doorbell& {
        pipeline::StageThreadOptions options;
        options.name = std::move(name);
        options.spinNs = plan.spinNs;
        options.yields = waits.yields();
        if (next < plan.cores.size()) options.core = plan.cores[next];
        next++;
        threads_.push_back(std::make_unique<pipeline::StageThread>(
            std::move(options), std::vector<pipeline::Stage*>{stage}));
        return threads_.back()->bell();
    };
    if (journal_ != nullptr) {
        journalBell_ = &thread("vbx-journal", journal_.get());
    } else {
        next++;  // its core stays free
    }
    for (uint32_t i = 0; i < risk_.size(); i++) {
        riskBells_.push_back(&thread("vbx-risk-" + std::to_string(i + 1), risk_[i].get()));
    }
    for (uint32_t i = 0; i < matching_.size(); i++) {
        matchingBells_.push_back(
            &thread("vbx-match-" + std::to_string(i + 1), matching_[i].get()));
    }
    // Who waits for whom.
    for (const auto& risk : risk_) {
        for (pipeline::Doorbell* bell : matchingBells_) risk->bells.add(*bell);
        if (with_.engineBell != nullptr) risk->bells.add(*with_.engineBell);
    }
    for (const auto& matching : matching_) {
        for (pipeline::Doorbell* bell : riskBells_) matching->bells.add(*bell);
    }
    if (journal_ != nullptr && with_.engineBell != nullptr) journal_->bells.add(*with_.engineBell);

    for (uint32_t i = 0; i < matching_.size(); i++) {
        track_.lanes[i]->onFull([this, i] { waitForRoom(i); });
    }
}

// Of a matching thread, in the middle of a command.
void Pipeline::waitForRoom(uint32_t shard) {
    Lane& lane = *track_.lanes[shard];
    matching_[shard]->showPart();
    pipeline::Wait wait(wait_.sleeps() ? pipeline::kSpinLaptopNs : pipeline::kSpinForEver,
                        wait_.yields());
    const auto room = [&lane] { return lane.abandoned() || lane.freeCells() != 0; };
    while (!room()) {
        if (with_.onFull) {
            with_.onFull();
        } else {
            wait.until(*matchingBells_[shard], pipeline::Doorbell::kForEver, room);
        }
    }
}

Pipeline::~Pipeline() { stop(); }

void Pipeline::start() {
    for (const auto& thread : threads_) thread->start();
}

void Pipeline::stop() {
    abandon();
    for (const auto& thread : threads_) thread->stop();
    for (const auto& thread : threads_) thread->join();
}

void Pipeline::abandon() {
    for (const auto& lane : track_.lanes) lane->abandon();
    for (pipeline::Doorbell* bell : matchingBells_) bell->ring();
}

std::vector<pipeline::Stage*> Pipeline::stages() {
    std::vector<pipeline::Stage*> all;
    for (const auto& stage : risk_) all.push_back(stage.get());
    for (const auto& stage : matching_) all.push_back(stage.get());
    if (journal_ != nullptr) all.push_back(journal_.get());
    return all;
}

// ---- 1 receive

bool Pipeline::quiet() {
    const uint64_t received = track_.received.getRelaxed();
    return settledByAll_.available(received - 1) == received || received == 0;
}

bool Pipeline::mustRunAlone(const Command& command) {
    if (track_.core.runsAlone(command)) return true;
    const bool takesRoom = command.type == static_cast<uint8_t>(CommandType::NewOrder) ||
                           command.type == static_cast<uint8_t>(CommandType::ReplaceOrder);
    if (!takesRoom) return false;
    if (orderRoom_ == 0) return true;
    orderRoom_--;
    return false;
}

bool Pipeline::receive() {
    const uint64_t from = track_.received.getRelaxed();
    const uint64_t to = track_.ring.available(from, kReceiveMax);
    uint64_t next = from;
    for (; next != to; next++) {
        CommandCell& cell = track_.ring.at(next);
        // A command that waits for a drain has been looked at before.
        if (!blocked_) {
            if (with_.onReceive) with_.onReceive(cell.command);
            cell.decision.step = Step::None;
            blocked_ = mustRunAlone(cell.command);
        }
        if (!blocked_) continue;
        if (next != from) break;  // what is before it goes in first
        if (!quiet() || !runAlone(next)) break;
        blocked_ = false;
        next++;
        break;
    }
    if (next == from) return false;
    track_.received.set(next);
    for (pipeline::Doorbell* bell : riskBells_) bell->ring();
    return true;
}

// False: not now.
bool Pipeline::runAlone(uint64_t sequence) {
    CommandCell& cell = track_.ring.at(sequence);
    Core& core = track_.core;
    const Position at = track_.positionOf(sequence);
    core.reached(at - 1);
    orderRoom_ = core.orderRoom();
    if (orderRoom_ != 0 && !core.runsAlone(cell.command)) {
        // There is room after all. It runs with the others.
        orderRoom_--;
        return true;
    }
    Lane& lane = *track_.lanes[0];
    const uint64_t room = std::min<uint64_t>(MatchingStage::kRoomPerCommandMax, lane.cells() / 4);
    if (!lane.hasRoom(room)) return false;
    aloneAt_ = sequence;
    lane.onFull([this] { waitForRoomAlone(); });
    core.apply(cell.command, lane);
    lane.setCompletion(nullptr, nullptr);
    lane.onFull([this] { waitForRoom(0); });
    aloneAt_ = UINT64_MAX;
    cell.decision.step = Step::Alone;
    cell.decision.lane = 0;
    cell.decision.eventsEnd = lane.end();
    orderRoom_ = core.orderRoom();
    drains_.store(drains_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    return true;
}

// Of the engine's thread, in the middle of a command that runs alone.
void Pipeline::waitForRoomAlone() {
    Lane& lane = *track_.lanes[0];
    const auto room = [&lane] { return lane.abandoned() || lane.freeCells() != 0; };
    while (!room()) {
        if (publish()) continue;
        if (with_.onFull) {
            with_.onFull();
        } else {
            wait_.until(*with_.engineBell, pipeline::Doorbell::kForEver,
                        [&] { return room() || ready(); });
        }
    }
}

// ---- 5 publish

uint64_t Pipeline::stored() const {
    return journal_ == nullptr ? UINT64_MAX : journal_->stored().get();
}

// THE PUBLISH BARRIER. No event leaves before its command is matched, settled by every risk shard, and stored.
// What will also be awaited here (replication, the vote) is awaited in this line.
uint64_t Pipeline::complete() {
    return std::min({settledByAll_.available(published_), stored(), published_ + kPublishMax});
}

bool Pipeline::publish(uint64_t upTo) {
    const uint64_t to = std::min(complete(), upTo);
    bool done = false;
    while (published_ < to) {
        CommandCell& cell = track_.ring.at(published_);
        const uint64_t before = eventsOut_;
        const bool whole = letOut(cell.decision.lane, cell.decision.eventsEnd);
        done |= eventsOut_ != before;
        if (!whole) break;
        published_++;
        done = true;
    }
    if (published_ >= to && to < upTo) done |= publishPart();
    if (done) show();
    return done;
}

// Of a command that has more events than its lane has room for: those that are settled.
bool Pipeline::publishPart() {
    uint32_t lane = 0;
    const uint64_t ready = partReady(published_, &lane);
    const uint64_t before = eventsOut_;
    if (ready > read_[lane]) (void)letOut(lane, ready);
    return eventsOut_ != before;
}

uint64_t Pipeline::partReady(uint64_t sequence, uint32_t* lane) {
    *lane = 0;
    if (stored() <= sequence) return 0;
    if (aloneAt_ == sequence) return track_.lanes[0]->end();
    if (track_.received.getRelaxed() <= sequence) return 0;
    uint64_t least = UINT64_MAX;
    for (size_t shard = 0; shard < risk_.size(); shard++) {
        const pipeline::Cursor& settled = *track_.settled[shard];
        if (settled.get() != sequence) return 0;
        const uint64_t part = track_.settledPart[shard]->load(std::memory_order_acquire);
        // It belongs to this command only if the shard still stands at it.
        if (settled.get() != sequence) return 0;
        least = std::min(least, part);
    }
    if (least != 0) *lane = track_.ring.at(sequence).decision.lane;
    return least;
}

bool Pipeline::letOut(uint32_t number, uint64_t to) {
    Lane& lane = *track_.lanes[number];
    // What an abandoned lane says went nowhere. Whoever wrote it there has seen that it is abandoned, and whoever
    // sees it settled sees that too.
    if (lane.abandoned()) return false;
    if (!merges_) {
        lane.stretches(read_[0], to, [this](Event* from, Event* end) {
            for (Event* event = from; event != end; event++) Core::complete(*event);
            digest_.add(from, static_cast<size_t>(end - from));
        });
        eventsOut_ = read_[0] = to;
        return true;
    }
    const uint64_t room = events_.freeCells(eventsOut_);
    const uint64_t end = std::min(to, read_[number] + room);
    lane.stretches(read_[number], end, [this](Event* from, Event* stop) {
        for (Event* event = from; event != stop; event++, eventsOut_++) {
            Core::complete(*event);
            digest_.add(event, 1);
            events_.memory()[eventsOut_ & (events_.cells() - 1)] = *event;
        }
    });
    read_[number] = end;
    lane.free(end);
    return end == to;
}

void Pipeline::show() {
    track_.ring.free(published_);
    if (merges_) {
        for (pipeline::Doorbell* bell : matchingBells_) bell->ring();
    }
    if (shown_ == eventsOut_) return;
    shown_ = eventsOut_;
    const uint32_t waiting = events_.publish(eventsOut_);
    if (waiting != 0 && with_.onEvents) with_.onEvents(waiting);
}

bool Pipeline::ready() {
    if (published_ < complete()) return !merges_ || events_.freeCells(eventsOut_) != 0;
    uint32_t lane = 0;
    if (partReady(published_, &lane) > read_[lane] &&
        (!merges_ || events_.freeCells(eventsOut_) != 0)) {
        return true;
    }
    if (aloneAt_ != UINT64_MAX) return false;
    const uint64_t received = track_.received.getRelaxed();
    if (track_.ring.available(received, 1) == received) return false;
    if (!blocked_) return true;
    const uint64_t room =
        std::min<uint64_t>(MatchingStage::kRoomPerCommandMax, track_.lanes[0]->cells() / 4);
    return quiet() && track_.lanes[0]->freeCells() >= room;
}

// ---- any thread

void Pipeline::offered() {
    if (with_.engineBell != nullptr) with_.engineBell->ring();
    if (journalBell_ != nullptr) journalBell_->ring();
}

void Pipeline::consumed() {
    if (with_.engineBell != nullptr) with_.engineBell->ring();
    if (merges_) return;
    for (pipeline::Doorbell* bell : matchingBells_) bell->ring();
}

PipelineCounters Pipeline::counters() const {
    PipelineCounters counters;
    counters.drains = drains_.load(std::memory_order_relaxed);
    for (const auto& stage : risk_) {
        counters.hazards += stage->hazards();
        counters.stalls += stage->stalls();
    }
    for (const auto& thread : threads_) {
        const pipeline::StageThread::Counters each = thread->counters();
        counters.threads.push_back({thread->name(), each.occupancy(), each.sleeps,
                                    thread->pinning().isOk() ? "" : thread->pinning().message()});
    }
    return counters;
}

uint64_t Pipeline::journalBytes() const { return journal_ == nullptr ? 0 : journal_->bytes(); }

}  // namespace verbex::node
