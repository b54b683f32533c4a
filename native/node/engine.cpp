#include "node/engine.h"

#include <algorithm>
#include <future>

#include "pipeline/steady_clock.h"
#include "wire/command_codec.h"

namespace verbex::node {

using pipeline::steadyNs;

namespace {

// How long a shared thread sleeps for a reader of events before it looks again.
constexpr uint64_t kCompanionWaitNs = 1'000'000;

void count(std::atomic<uint64_t>& counter, uint64_t by) {
    // One writer: no atomic addition needed.
    counter.store(counter.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
}

}  // namespace

Engine::Engine(const EngineOptions& options, std::unique_ptr<Core> core,
               const EngineSurroundings& surroundings)
    : options_(options), with_(surroundings), core_(std::move(core)), input_(options.ringCells),
      ring_(options.eventCells, options.eventReaders), writer_(ring_, *this),
      bell_(options.plan.spinNs != pipeline::kSpinForEver),
      wait_(options.plan, pipeline::usableCores()),
      ticker_(with_.clock == nullptr ? nullptr : std::make_unique<ClockTicker>(*with_.clock)),
      room_(std::min<uint64_t>(kRoomPerCommandMax, options.eventCells / 4)),
      batch_(options.batchMax), payload_(size_t{options.batchMax} * kCommandBytesMax) {
    CHECK(options.batchMax >= 2 && options.eventCells >= 16);
    const Position position = core_->position();
    batchLast_ = executing_ = stored_ = lastMark_ = position;
    if (with_.snapshots != nullptr) lastMark_ = with_.snapshots->position();
    for (std::atomic<Position>* counter : {&counters_.position, &counters_.stored,
                                           &counters_.durable, &counters_.published}) {
        counter->store(position, std::memory_order_relaxed);
    }
    tickedTo_.store(core_->time(), std::memory_order_relaxed);
    if (options.plan.kind == pipeline::PlanKind::Serial) return;
    Pipeline::Surroundings around;
    around.journal = with_.journal;
    around.segments = with_.segments;
    around.journaling = {options.epoch, options.batchMax, options.durable};
    around.onFailure = [this](const Status& why) { fail(why); };
    around.onEvents = with_.onEvents;
    around.engineBell = &bell_;
    if (ticker_ != nullptr) {
        around.onReceive = [this](const Command& command) { ticker_->observe(command); };
    }
    pipeline_ = std::make_unique<Pipeline>(options.plan, pipeline::usableCores(), input_, *core_,
                                           ring_, std::move(around));
}

// ---- the loop

void Engine::run() {
    const std::function<void(bool)>& onStep = with_.onStep;
    if (pipeline_ != nullptr) pipeline_->start();
    while (!stop_.load(std::memory_order_acquire)) {
        if (onStep) onStep(false);
        if (step()) {
            if (onStep) onStep(true);
            // What came of it leaves at once, and what has come meanwhile is the next batch.
            if (companion_ != nullptr) (void)companion_->round();
            continue;
        }
        if (closing_.load(std::memory_order_acquire) &&
            (failed_.load(std::memory_order_acquire) || waiting() == 0)) {
            if (pipeline_ != nullptr) pipeline_->stop();
            finish();
            break;
        }
        if (companion_ != nullptr) {
            if (!companion_->round()) companion_->wait(sleepNs(), [this] { return workWaits(); });
        } else {
            wait_.until(bell_, sleepNs(), [this] { return workWaits(); });
        }
    }
    if (pipeline_ != nullptr) pipeline_->stop();
    end();
}

// Tells the engine's thread that there is something to do.
void Engine::ring() {
    if (companion_ != nullptr) {
        companion_->wake();
    } else {
        bell_.ring();
    }
}

bool Engine::step() {
    const bool asked = queries_.waiting();
    if (pipeline_ != nullptr) return stepPipeline(asked);
    if (asked) answerQuery();
    return mayGoOn() && stepSerial() ? true : asked;
}

// The stages, in order.
bool Engine::stepSerial() {
    // 1 receive: what has arrived, and the time if nothing has.
    if (receive() == 0) return false;
    // 2 append: one record into the journal's staging buffer.
    if (!append()) return true;
    // 3 execute: the core writes the events into the ring, behind the published cursor.
    execute();
    // 4 store: one write for the batch; in durable mode it is on disk when this returns.
    if (!store()) return true;
    // 5 publish.
    publishBarrier(batchLast_);
    count(counters_.batches, 1);
    noteMark();
    return true;
}

size_t Engine::receive() {
    batchSize_ = 0;
    uint64_t to = input_.available(taken_, options_.batchMax);
    if (to == taken_) {
        tickWhenIdle();
        to = input_.available(taken_, options_.batchMax);
    }
    for (uint64_t at = taken_; at != to; at++) batch_[batchSize_++] = &input_.at(at).command;
    batchLast_ = executing_ + batchSize_;
    return batchSize_;
}

bool Engine::append() {
    if (with_.journal == nullptr) return true;
    size_t bytes = 0;
    for (size_t i = 0; i < batchSize_; i++) {
        bytes += encodeCommand(*batch_[i], payload_.data() + bytes);
    }
    if (Status status = with_.journal->append(options_.epoch, executing_ + 1,
                                              static_cast<uint32_t>(batchSize_),
                                              {payload_.data(), bytes});
        !status.isOk()) {
        fail(status);
        return mayGoOn();
    }
    if (with_.segments != nullptr) with_.segments->look();
    count(counters_.journalBytes, journal::recordBytes(bytes));
    return true;
}

void Engine::execute() {
    const uint64_t eventsBefore = writer_.written();
    for (size_t i = 0; i < batchSize_; i++) {
        if (i % Core::kWarmMax == 0) core_->warm(&batch_[i], batchSize_ - i);
        if (writer_.regionRoom() < room_ && writer_.freeCells() < room_) [[unlikely]] {
            waitForRoom(true);
            if (!mayGoOn()) return;
        }
        const Command& command = *batch_[i];
        executing_++;
        core_->apply(command, writer_);
        writer_.absorb();
        if (ticker_ != nullptr) ticker_->observe(command);
    }
    CHECK(core_->position() == batchLast_);
    taken_ += batchSize_;
    input_.free(taken_);
    count(counters_.commands, batchSize_);
    count(counters_.events, writer_.written() - eventsBefore);
    counters_.position.store(executing_, std::memory_order_release);
}

bool Engine::store() {
    if (!mayGoOn()) return false;
    if (stored_ == batchLast_) return true;
    if (with_.journal != nullptr) {
        if (Status status = with_.journal->commit(); !status.isOk()) {
            fail(status);
            (void)mayGoOn();
            return false;
        }
        const Position durable = with_.journal->durablePosition();
        stored_ = options_.durable ? durable : with_.journal->writtenPosition();
        CHECK(stored_ == batchLast_);
        counters_.durable.store(durable, std::memory_order_release);
    }
    stored_ = batchLast_;
    counters_.stored.store(stored_, std::memory_order_release);
    return true;
}

// THE PUBLISH BARRIER. No event leaves before its command is executed and stored; nothing else
// moves the published cursor. What will also be awaited here (replication, the vote) is awaited
// before this line. `complete`: the last position all of whose events are written.
void Engine::publishBarrier(Position complete) {
    CHECK(complete <= executing_ && executing_ <= stored_);
    const uint32_t waiting = ring_.publish(writer_.written());
    counters_.published.store(complete, std::memory_order_release);
    if (waiting != 0 && with_.onEvents) with_.onEvents(waiting);
}

// ---- room for events

void Engine::makeRoom() { waitForRoom(false); }

void Engine::waitForRoom(bool betweenCommands) {
    if (!store()) {
        writer_.discard();
        return;
    }
    publishBarrier(betweenCommands ? executing_ : executing_ - 1);
    count(counters_.backPressureWaits, 1);
    const auto enough = [this] {
        return writer_.freeCells() >= room_ || stop_.load(std::memory_order_acquire) ||
               failed_.load(std::memory_order_acquire);
    };
    while (!enough()) {
        if (betweenCommands && queries_.waiting()) answerQuery();
        if (companion_ != nullptr) {
            companion_->makeRoom();
            if (enough()) break;
            // Another reader is behind.
            companion_->wait(kCompanionWaitNs, enough);
            continue;
        }
        wait_.until(bell_, pipeline::Doorbell::kForEver, [&] {
            return enough() || (betweenCommands && queries_.waiting());
        });
    }
    (void)mayGoOn();
}

bool Engine::release(uint64_t cells, uint32_t reader) {
    if (!ring_.release(cells, reader)) return false;
    roomMade();
    return true;
}

void Engine::leave(uint32_t reader) {
    ring_.leave(reader);
    roomMade();
}

void Engine::roomMade() {
    if (pipeline_ != nullptr) {
        pipeline_->consumed();
    } else {
        ring();
    }
}

// ---- input

Engine::Offered Engine::offer(const void* cells, uint32_t count) {
    switch (state()) {
        case EngineState::Running: break;
        case EngineState::Failed: return {0, failure()};
        default: return {0, Failure(kCodeClosed, "the node is closed")};
    }
    if (count == 0) return {0, {}};
    uint64_t tick = 0;
    // Read between the claims of others: no later claim carries an earlier time.
    const auto prepare = [&](uint64_t, uint32_t most) {
        tick = ticker_ == nullptr ? 0 : ticker_->passed(tickedTo_.load(std::memory_order_acquire));
        return tick == 0 ? std::min(most, count) : most;
    };
    const pipeline::Claim claim = input_.claim(ticker_ == nullptr ? count : count + 1, prepare);
    if (claim.count == 0) return {0, {}};
    const uint32_t taken = fill(claim, tick, cells);
    flushCells();
    return {taken, {}};
}

Engine::CellClaim Engine::claimCell() {
    if (state() != EngineState::Running) return {};
    uint64_t tick = 0;
    const auto prepare = [&](uint64_t, uint32_t most) {
        tick = ticker_ == nullptr ? 0 : ticker_->passed(tickedTo_.load(std::memory_order_acquire));
        return tick == 0 ? std::min(most, 1u) : most;
    };
    const pipeline::Claim claim = input_.claim(ticker_ == nullptr ? 1 : 2, prepare);
    if (claim.count == 0) return {};
    if (tick != 0) fillTick(claim.first, tick);
    if (tick != 0 && claim.count == 1) {
        // Room for the time only.
        input_.release(claim);
        flushCells();
        return {};
    }
    Command& command = input_.at(claim.end() - 1).command;
    command = Command{};
    return {&command, claim};
}

void Engine::enterCell(const CellClaim& cell) { input_.release(cell.claim); }

void Engine::flushCells() {
    if (pipeline_ != nullptr) {
        pipeline_->offered();
    } else {
        ring();
    }
}

// Fills and releases what was claimed: a tick if it is time for one, and commands.
uint32_t Engine::fill(const pipeline::Claim& claim, uint64_t tick, const void* cells) {
    uint64_t at = claim.first;
    if (tick != 0) fillTick(at++, tick);
    const auto taken = static_cast<uint32_t>(claim.end() - at);
    const auto* cell = static_cast<const std::byte*>(cells);
    for (; at != claim.end(); at++, cell += sizeof(Command)) {
        Command& command = input_.at(at).command;
        loadCommand(cell, command);
        if (command.type == static_cast<uint8_t>(CommandType::AdvanceTime)) [[unlikely]] {
            ticked(command.expiry);
        }
    }
    input_.release(claim);
    return taken;
}

void Engine::fillTick(uint64_t at, uint64_t tick) {
    Command& command = input_.at(at).command;
    command = Command{};
    command.type = static_cast<uint8_t>(CommandType::AdvanceTime);
    command.expiry = tick;
    ticked(tick);
    counters_.ticks.fetch_add(1, std::memory_order_relaxed);
}

void Engine::ticked(uint64_t time) {
    uint64_t before = tickedTo_.load(std::memory_order_relaxed);
    while (before < time && !tickedTo_.compare_exchange_weak(before, time)) {
    }
}

// With nothing to do time moves too: a tick of the engine's own, unless somebody offers just now, who brings
// one anyway.
void Engine::tickWhenIdle() {
    if (ticker_ == nullptr || closing_.load(std::memory_order_acquire)) return;
    const uint64_t next = pipeline_ == nullptr ? taken_ : pipeline_->received();
    if (input_.available(next, 1) != next) return;
    const uint64_t time = ticker_->due(tickedTo_.load(std::memory_order_acquire));
    if (time == 0) return;
    const pipeline::Claim claim =
        input_.claim(1, [next](uint64_t first, uint32_t) { return first == next ? 1u : 0u; });
    if (claim.count == 0) return;
    (void)fill(claim, time, nullptr);
    if (pipeline_ != nullptr) pipeline_->offered();
}

// Commands that were offered and are not done.
uint64_t Engine::waiting() const { return input_.size(); }

// ---- the plans of several threads

bool Engine::stepPipeline(bool asked) {
    if (!mayGoOn()) {
        if (asked) answerQuery();
        return asked;
    }
    bool done = pipeline_->publish(markAt_);
    if (asked) {
        // The core is this thread's when nothing is in flight: until then nobody is let in.
        if (pipeline_->idle()) {
            pipeline_->settleCore();
            answerQuery();
            done = true;
        }
    } else {
        tickWhenIdle();
        done |= pipeline_->receive();
    }
    countPipeline();
    done |= noteMarkPipeline();
    return done;
}

void Engine::countPipeline() {
    const Position out = pipeline_->position();
    if (out == counters_.published.load(std::memory_order_relaxed) &&
        pipeline_->eventsOut() == counters_.events.load(std::memory_order_relaxed)) {
        return;
    }
    counters_.events.store(pipeline_->eventsOut(), std::memory_order_relaxed);
    counters_.commands.store(pipeline_->published(), std::memory_order_relaxed);
    counters_.journalBytes.store(pipeline_->journalBytes(), std::memory_order_relaxed);
    count(counters_.batches, 1);
    const uint64_t stored = pipeline_->stored();
    counters_.stored.store(stored == UINT64_MAX ? out : pipeline_->positionOf(stored),
                           std::memory_order_release);
    if (with_.journal != nullptr) {
        counters_.durable.store(with_.journal->durablePosition(), std::memory_order_release);
    }
    counters_.position.store(out, std::memory_order_release);
    counters_.published.store(out, std::memory_order_release);
}

// A mark lies at the end of a record: publishing stops there until it is taken.
bool Engine::noteMarkPipeline() {
    if (with_.snapshots == nullptr) return false;
    const Position out = pipeline_->position();
    const bool due = options_.snapshotEvery != 0 && out - lastMark_ >= options_.snapshotEvery &&
                     !with_.snapshots->busy();
    if (markAt_ == UINT64_MAX) {
        if (!due && markWanted_.empty()) return false;
        markAt_ = pipeline_->stored();
    }
    // A command that waited for room in its middle has let more out than was meant: the mark lies further on.
    if (pipeline_->published() > markAt_) markAt_ = pipeline_->stored();
    if (pipeline_->published() != markAt_) return false;
    markAt_ = UINT64_MAX;
    executing_ = batchLast_ = out;
    std::vector<SnapshotDone> wanted;
    wanted.swap(markWanted_);
    if (wanted.empty()) wanted.push_back(nullptr);
    for (SnapshotDone& done : wanted) requestSnapshot(std::move(done));
    return true;
}

// ---- queries

Failure Engine::query(Query query) {
    Failure refused = queries_.push(std::move(query));
    if (refused.isOk()) ring();
    return refused;
}

void Engine::answerQuery() {
    std::optional<Query> query = queries_.pop();
    if (!query.has_value()) return;
    // A state that ran ahead of the journal is nobody's business.
    if (failed_.load(std::memory_order_acquire)) {
        (*query)(nullptr, failure());
    } else {
        (*query)(core_.get(), {});
    }
}

// ---- snapshots

void Engine::noteMark() {
    if (with_.snapshots == nullptr || options_.snapshotEvery == 0) return;
    if (executing_ - lastMark_ < options_.snapshotEvery || with_.snapshots->busy()) return;
    requestSnapshot(nullptr);
}

void Engine::requestSnapshot(SnapshotDone done) {
    const uint64_t started = steadyNs();
    lastMark_ = executing_;
    const Digest128 digest = pipeline_ == nullptr ? writer_.digest() : pipeline_->digest();
    with_.snapshots->request({executing_, digest}, std::move(done));
    const uint64_t took = steadyNs() - started;
    if (took > counters_.snapshotStallNsMax.load(std::memory_order_relaxed)) {
        counters_.snapshotStallNsMax.store(took, std::memory_order_relaxed);
    }
}

Failure Engine::snapshot(SnapshotDone done) {
    if (with_.snapshots == nullptr) {
        return {kCodeNoDataDirectory, "a node in memory only keeps no snapshots"};
    }
    return query([this, done = std::move(done)](const Core* core, const Failure& failure) {
        if (core == nullptr) {
            done({failure, 0, {}});
        } else if (pipeline_ != nullptr) {
            markWanted_.push_back(done);
        } else if (executing_ != batchLast_) {
            // In the middle of a batch whose events the consumer does not take: no record ends
            // here.
            done({Failure(kCodeBusy, "the consumer does not take its events"), executing_, {}});
        } else {
            requestSnapshot(done);
        }
    });
}

// ---- the end

void Engine::fail(const Failure& why) {
    {
        const std::lock_guard guard(mutex_);
        if (!failure_.isOk()) return;
        failure_ = why;
        failed_.store(true, std::memory_order_release);
    }
    // Whoever waits for the consumer's room need not any more.
    if (pipeline_ != nullptr) pipeline_->abandon();
    ring();
}

Failure Engine::failure() const {
    const std::lock_guard guard(mutex_);
    return failure_;
}

// False once the node has failed or stops; the first time it makes that known.
bool Engine::mayGoOn() {
    const EngineState state = state_.load(std::memory_order_relaxed);
    if (failed_.load(std::memory_order_acquire) && state != EngineState::Failed) {
        writer_.discard();
        state_.store(EngineState::Failed, std::memory_order_release);
        if (with_.onEvents) with_.onEvents(ring_.readers());
    }
    if (stop_.load(std::memory_order_acquire)) writer_.discard();
    return !failed_.load(std::memory_order_relaxed) && !stop_.load(std::memory_order_relaxed);
}

bool Engine::workWaits() {
    if (stop_.load(std::memory_order_acquire)) return true;
    // In a pipeline a question waits until nothing is in flight; of a node that has failed it is refused at once.
    if (queries_.waiting() && (pipeline_ == nullptr || pipeline_->idle() ||
                               failed_.load(std::memory_order_acquire))) {
        return true;
    }
    if (closing_.load(std::memory_order_acquire)) return true;
    if (failed_.load(std::memory_order_acquire)) return state() != EngineState::Failed;
    if (pipeline_ == nullptr) return input_.available(taken_, 1) != taken_;
    return pipeline_->ready() || (markWanted_.size() != 0 && markAt_ == UINT64_MAX);
}

uint64_t Engine::sleepNs() {
    if (ticker_ == nullptr || failed_.load(std::memory_order_relaxed)) {
        return pipeline::Doorbell::kForEver;
    }
    return ticker_->sleepNs(tickedTo_.load(std::memory_order_acquire));
}

void Engine::stop() {
    stop_.store(true, std::memory_order_release);
    if (pipeline_ != nullptr) pipeline_->abandon();
    ring();
}

void Engine::close(CloseDone done) {
    {
        const std::lock_guard guard(mutex_);
        if (closed_ == nullptr) {
            closers_.push_back(std::move(done));
            EngineState running = EngineState::Running;
            state_.compare_exchange_strong(running, EngineState::Closing);
            closing_.store(true, std::memory_order_release);
            ring();
            return;
        }
    }
    done(*closed_);
}

void Engine::finish() {
    CloseResult result;
    if (with_.journal != nullptr && mayGoOn()) {
        if (Status status = with_.journal->sync(); !status.isOk()) fail(status);
        counters_.durable.store(with_.journal->durablePosition(), std::memory_order_release);
    }
    if (mayGoOn()) {
        if (pipeline_ != nullptr) {
            pipeline_->settleCore();
            executing_ = batchLast_ = core_->position();
        }
        result.position = core_->position();
        result.stateHash = core_->hash();
        const SnapshotOutcome snapshot = lastSnapshot();
        // Set with a result that is true all the same: everything is applied, stored and published.
        result.failure = snapshot.failure;
        if (snapshot.failure.isOk() && snapshot.position != 0 &&
            !(snapshot.stateHash == result.stateHash)) {
            result.failure = Failure(kCodeSnapshotDiverged,
                                     "the last snapshot is another state than the engine's");
        }
    }
    if (with_.journal != nullptr && mayGoOn()) {
        if (Status status = with_.journal->close(); !status.isOk()) fail(status);
    }
    if (!mayGoOn()) result.failure = failure();
    if (result.failure.isOk() && stop_.load()) {
        result.failure = Failure(kCodeClosed, "the node was stopped");
    }
    if (state() != EngineState::Failed) {
        state_.store(EngineState::Closed, std::memory_order_release);
    }
    const std::lock_guard guard(mutex_);
    closed_ = std::make_unique<CloseResult>(result);
}

// Waits for the snapshot of the state as it is now.
SnapshotOutcome Engine::lastSnapshot() {
    const Position position = core_->position();
    if (with_.snapshots == nullptr || position == 0) return {};
    if (with_.snapshots->position() == position && !with_.snapshots->diverged()) return {};
    auto answer = std::make_shared<std::promise<SnapshotOutcome>>();
    std::future<SnapshotOutcome> outcome = answer->get_future();
    requestSnapshot([answer](const SnapshotOutcome& result) { answer->set_value(result); });
    return outcome.get();
}

void Engine::end() {
    Failure why = failure();
    if (why.isOk()) why = Failure(kCodeClosed, "the node is closed");
    queries_.close(why);
    std::vector<CloseDone> closers;
    {
        const std::lock_guard guard(mutex_);
        if (closed_ == nullptr) {
            closed_ = std::make_unique<CloseResult>();
            closed_->failure = why;
            if (state() != EngineState::Failed) {
                state_.store(EngineState::Stopped, std::memory_order_release);
            }
        }
        closers.swap(closers_);
    }
    for (const SnapshotDone& done : markWanted_) {
        if (done) done({why, 0, {}});
    }
    markWanted_.clear();
    core_.reset();  // the rings may be looked at for long; this is the large part
    for (const CloseDone& closer : closers) closer(*closed_);
}

}  // namespace verbex::node
