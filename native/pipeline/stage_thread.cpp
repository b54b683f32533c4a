#include "pipeline/stage_thread.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <pthread.h>
#include <sched.h>
#include <utility>

#include "pipeline/steady_clock.h"

namespace verbex::pipeline {

namespace {

// One thread writes, others read.
void increment(std::atomic<uint64_t>& counter) {
    counter.store(counter.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

}  // namespace

Status pin(pthread_t thread, const std::string& name, uint32_t core) {
    cpu_set_t cores;
    CPU_ZERO(&cores);
    int error = EINVAL;
    if (core < CPU_SETSIZE) {
        CPU_SET(core, &cores);
        error = pthread_setaffinity_np(thread, sizeof(cores), &cores);
    }
    if (error == 0) return {};
    return Status(
        StatusCode::InvalidArgument,
        "pinning " + name + " to core " + std::to_string(core) + ": " + std::strerror(error));
}

StageThread::StageThread(StageThreadOptions options, std::vector<Stage*> stages)
    : options_(std::move(options)),
      stages_(std::move(stages)),
      bell_(options_.spinNs != kSpinForEver),
      wait_(options_.spinNs, options_.yields) {
    CHECK(!stages_.empty() && "a stage thread runs stages: give it one");
    CHECK(options_.name.size() <= kNameBytesMax && "shorten the thread's name");
}

StageThread::~StageThread() {
    stop();
    join();
}

void StageThread::start() {
    CHECK(!started_ && "a stage thread runs once: make another");
    started_ = true;
    const Moment begin = now();
    beginTicks_.store(begin.ticks, std::memory_order_relaxed);
    beginNs_.store(begin.ns, std::memory_order_release);
    thread_ = std::thread([this] { run(); });
    if (!options_.name.empty()) {
        pthread_setname_np(thread_.native_handle(), options_.name.c_str());
    }
    if (options_.core.has_value()) {
        pinning_ = pin(thread_.native_handle(), options_.name, *options_.core);
    }
}

void StageThread::stop() {
    stop_.store(true, std::memory_order_release);
    bell_.ring();
}

void StageThread::join() {
    if (thread_.joinable()) thread_.join();
}

bool StageThread::ready() {
    return stop_.load(std::memory_order_acquire) ||
           std::any_of(stages_.begin(), stages_.end(), [](Stage* stage) { return stage->ready(); });
}

uint64_t StageThread::sleepNs() {
    uint64_t least = Doorbell::kForEver;
    for (Stage* stage : stages_) least = std::min(least, stage->sleepNs());
    return least;
}

void StageThread::run() {
    bool busy = false;
    uint64_t found = cpuTicks();  // when the round under way began, unless busy
    while (!stop_.load(std::memory_order_acquire)) {
        bool did = false;
        for (Stage* stage : stages_) did = stage->step() || did;
        if (did) {
            increment(steps_);
            if (!busy) busy_.begin(found);
            busy = true;
            continue;
        }
        increment(idleSteps_);
        if (busy) busy_.end(cpuTicks());
        busy = false;
        wait_.until(bell_, sleepNs(), [this] { return ready(); });
        found = cpuTicks();
    }
    const Moment end = now();
    if (busy) busy_.end(end.ticks);
    endTicks_.store(end.ticks, std::memory_order_relaxed);
    endNs_.store(end.ns, std::memory_order_release);
}

StageThread::Counters StageThread::counters() const {
    Counters counters;
    counters.steps = steps_.load(std::memory_order_relaxed);
    counters.idleSteps = idleSteps_.load(std::memory_order_relaxed);
    counters.sleeps = bell_.sleeps();
    counters.spins = wait_.spins();
    Moment begin;
    begin.ns = beginNs_.load(std::memory_order_acquire);
    begin.ticks = beginTicks_.load(std::memory_order_relaxed);
    if (begin.ns == 0) return counters;
    Moment at;
    at.ns = endNs_.load(std::memory_order_acquire);
    at.ticks = endTicks_.load(std::memory_order_relaxed);
    if (at.ns == 0) at = now();
    counters.elapsedNs = at.ns - begin.ns;
    // The rate of the ticks comes from the same two moments. It wavers by a trifle from one reading
    // to the next, which nobody shall take for time that runs back.
    const uint64_t ticks = at.ticks - begin.ticks;
    uint64_t busyNs = 0;
    if (ticks != 0) {
        busyNs = static_cast<uint64_t>(static_cast<double>(std::min(busy_.ticks(at.ticks), ticks)) *
                                       static_cast<double>(counters.elapsedNs) /
                                       static_cast<double>(ticks));
    }
    uint64_t shown = shownBusyNs_.load(std::memory_order_relaxed);
    while (shown < busyNs &&
           !shownBusyNs_.compare_exchange_weak(shown, busyNs, std::memory_order_relaxed)) {
    }
    counters.busyNs = std::max(shown, busyNs);
    return counters;
}

// The closest of some readings: the thread may be put aside between the two clocks.
StageThread::Moment StageThread::now() {
    Moment best;
    uint64_t closest = UINT64_MAX;
    for (int i = 0; i < 4; i++) {
        const uint64_t before = cpuTicks();
        const uint64_t ns = steadyNs();
        const uint64_t apart = cpuTicks() - before;
        if (apart < closest) {
            closest = apart;
            best = {before + apart / 2, ns};
        }
    }
    return best;
}

}  // namespace verbex::pipeline
