#include "node/engine.h"

#include <algorithm>
#include <chrono>
#include <future>

#include "wire/command_codec.h"

namespace verbex::node {

namespace {

uint64_t steadyNs() {
    const auto since = std::chrono::steady_clock::now().time_since_epoch();
    return static_cast<uint64_t>(
        std::chrono::duration_cast<std::chrono::nanoseconds>(since).count());
}

void count(std::atomic<uint64_t>& counter, uint64_t by) {
    // One writer: no atomic addition needed.
    counter.store(counter.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
}

}  // namespace

Engine::Engine(const EngineOptions& options, std::unique_ptr<Core> core,
               const EngineSurroundings& surroundings)
    : options_(options), with_(surroundings), core_(std::move(core)), input_(options.ringCells),
      ring_(options.eventCells), writer_(ring_, *this),
      bell_(options.spinNs != pipeline::kSpinForEver), wait_(options.spinNs),
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
    if (with_.journal != nullptr) segmentOffset_ = with_.journal->segmentOffset();
}

// ---- the loop

void Engine::run() {
    const std::function<void(bool)>& onStep = with_.onStep;
    while (!stop_.load(std::memory_order_acquire)) {
        if (onStep) onStep(false);
        if (step()) {
            if (onStep) onStep(true);
            continue;
        }
        if (closing_.load(std::memory_order_acquire) &&
            (failed_.load(std::memory_order_acquire) || input_.size() == 0)) {
            finish();
            break;
        }
        wait_.until(bell_, sleepNs(), [this] { return workWaits(); });
    }
    end();
}

// The stages, in order. Issue 3's pipeline gives them threads; what each one does stays.
bool Engine::step() {
    const bool answered = queries_.waiting();
    if (answered) answerQuery();
    if (!mayGoOn()) return answered;

    // 1 receive: what has arrived, and the time if it has moved.
    if (receive() == 0) return answered;
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
    const uint64_t arrived = input_.size();
    if (ticker_ != nullptr) {
        if (const uint64_t time = ticker_->due(core_->time(), arrived != 0); time != 0) {
            tick_ = Command{};
            tick_.type = static_cast<uint8_t>(CommandType::AdvanceTime);
            tick_.expiry = time;
            batch_[batchSize_++] = &tick_;
            count(counters_.ticks, 1);
        }
    }
    batchFromRing_ = std::min<uint64_t>(arrived, options_.batchMax - batchSize_);
    for (uint64_t i = 0; i < batchFromRing_; i++) batch_[batchSize_++] = &input_.at(i);
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
    const uint64_t offset = with_.journal->segmentOffset();
    if (offset < segmentOffset_ && with_.segments != nullptr) with_.segments->rolled();
    segmentOffset_ = offset;
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
    DCHECK(core_->position() == batchLast_);
    input_.release(batchFromRing_);
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
    const bool consumerWaits = ring_.publish(writer_.written());
    counters_.published.store(complete, std::memory_order_release);
    if (consumerWaits && with_.onEvents) with_.onEvents();
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
        wait_.until(bell_, pipeline::Doorbell::kForEver, [&] {
            return enough() || (betweenCommands && queries_.waiting());
        });
    }
    (void)mayGoOn();
}

bool Engine::release(uint64_t cells) {
    if (!ring_.release(cells)) return false;
    bell_.ring();
    return true;
}

// ---- input

Engine::Offered Engine::offer(const void* cells, uint32_t count) {
    switch (state()) {
        case EngineState::Running: break;
        case EngineState::Failed: return {0, failure()};
        default: return {0, Failure(kCodeClosed, "the node is closed")};
    }
    const uint32_t taken = input_.offer(cells, count);
    if (taken != 0) bell_.ring();
    return {taken, {}};
}

// ---- queries

Failure Engine::query(Query query) {
    Failure refused = queries_.push(std::move(query));
    if (refused.isOk()) bell_.ring();
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
    with_.snapshots->request({executing_, writer_.digest()}, std::move(done));
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

void Engine::fail(const Status& why) {
    {
        const std::lock_guard guard(mutex_);
        if (!failure_.isOk()) return;
        failure_ = why;
        failed_.store(true, std::memory_order_release);
    }
    bell_.ring();
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
        if (with_.onEvents) with_.onEvents();
    }
    if (stop_.load(std::memory_order_acquire)) writer_.discard();
    return !failed_.load(std::memory_order_relaxed) && !stop_.load(std::memory_order_relaxed);
}

bool Engine::workWaits() {
    if (stop_.load(std::memory_order_acquire) || queries_.waiting()) return true;
    if (closing_.load(std::memory_order_acquire)) return true;
    if (failed_.load(std::memory_order_acquire)) return state() != EngineState::Failed;
    return input_.size() != 0;
}

uint64_t Engine::sleepNs() {
    if (ticker_ == nullptr || failed_.load(std::memory_order_relaxed)) {
        return pipeline::Doorbell::kForEver;
    }
    return ticker_->sleepNs(core_->time());
}

void Engine::stop() {
    stop_.store(true, std::memory_order_release);
    bell_.ring();
}

void Engine::close(CloseDone done) {
    {
        const std::lock_guard guard(mutex_);
        if (closed_ == nullptr) {
            closers_.push_back(std::move(done));
            EngineState running = EngineState::Running;
            state_.compare_exchange_strong(running, EngineState::Closing);
            closing_.store(true, std::memory_order_release);
            bell_.ring();
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
    core_.reset();  // the rings may be looked at for long; this is the large part
    for (const CloseDone& closer : closers) closer(*closed_);
}

}  // namespace verbex::node
