// The gateways' thread: rounds, waiting, the end. Opening: gateway_host.cpp.
#include <pthread.h>

#include <algorithm>

#include "node/gateway_host.h"
#include "pipeline/stage_thread.h"
#include "pipeline/wait.h"

namespace verbex::node {

namespace {

// Taken from the ring before the engine is told that there is room.
constexpr uint64_t kEventsPerRelease = 256;
// Before sockets get their turn.
constexpr uint64_t kEventsPerRound = 8192;
constexpr uint64_t kNsPerMs = 1'000'000;
constexpr uint64_t kTickEveryNs = 10 * kNsPerMs;
// Something waits for room, or for a client: looked at again soon.
constexpr uint64_t kBusySleepNs = kNsPerMs;
constexpr uint64_t kStatsEveryNs = 100 * kNsPerMs;

}  // namespace

void GatewayHost::start() {
    thread_ = std::thread([this] { run(); });
    pthread_setname_np(thread_.native_handle(), "vbx-gateway");
    if (options_.core.has_value()) {
        (void)pipeline::pin(thread_.native_handle(), "vbx-gateway", *options_.core);
    }
}

void GatewayHost::run() {
    while (!stop_.load(std::memory_order_acquire)) {
        if (!round()) wait(pipeline::Doorbell::kForEver, [] { return false; });
    }
}

bool GatewayHost::round() {
    ran_.store(true, std::memory_order_relaxed);
    bool done = takeEvents();
    done |= port_->answer();
    const uint64_t now = loop_->nowNs();
    // Kill switches ahead of everything that waits for room.
    done |= clearing_->work(now);
    done |= orders_->work(now);
    done |= loop_->poll();
    if (clearingServer_ != nullptr) done |= clearingServer_->flush();
    if (orderServer_ != nullptr) done |= orderServer_->flush();
    port_->flush();
    if (feed_ != nullptr) done |= feed_->flush();
    tick();
    if (done) idleSinceNs_ = 0;
    return done;
}

bool GatewayHost::takeEvents() {
    EventRing& ring = engine_.events();
    const uint64_t mask = ring.cells() - 1;
    uint64_t taken = 0;
    while (taken < kEventsPerRound) {
        const uint64_t ready = std::min(ring.available(kReader), kEventsPerRelease);
        if (ready == 0) break;
        const Event* const cells = ring.memory().get();
        for (uint64_t i = 0; i < ready; i++) take(cells[(eventIndex_ + i) & mask]);
        eventIndex_ += ready;
        taken += ready;
        (void)engine_.release(ready, kReader);
    }
    if (taken == 0) return false;
    events_ += taken;
    store_->noteDelivered(place_);
    return true;
}

void GatewayHost::take(const Event& event) {
    place_ = event.position == place_.position && place_.index != gateway::kOwnIndex
                 ? gateway::EventPlace{place_.position, place_.index + 1}
                 : gateway::EventPlace{event.position, 0};
    directory_.take(event);
    router_.route(event);
    if (feed_ != nullptr) feed_->deliver(event);
    if (event.type == static_cast<uint8_t>(EventType::DayEnded)) dayEnded(event.position);
}

// Everybody hears of the end of the day, and logs in anew: streams begin again.
void GatewayHost::dayEnded(Position position) {
    if (orderServer_ != nullptr) orderServer_->endSession();
    if (clearingServer_ != nullptr) clearingServer_->endSession();
    (void)store_->beginDay(position);
    orders_->begin();
    clearing_->begin();
}

void GatewayHost::wait(uint64_t forNs, const std::function<bool()>& othersWait) {
    const uint64_t now = loop_->nowNs();
    if (idleSinceNs_ == 0) idleSinceNs_ = now;
    if (options_.spinNs == pipeline::kSpinForEver || now - idleSinceNs_ < options_.spinNs) {
        pipeline::relax();
        return;
    }
    const auto mayNot = [&] {
        return othersWait() || engine_.events().available(kReader) != 0 || port_->hasAnswers() ||
               stop_.load(std::memory_order_acquire);
    };
    const uint64_t most = isBusy() ? kBusySleepNs : kTickEveryNs * 2;
    if (loop_->sleep(std::min(forNs, most), mayNot)) idleSinceNs_ = 0;
}

bool GatewayHost::isBusy() const {
    return orders_->busy() || clearing_->busy() ||
           (orderServer_ != nullptr && orderServer_->busy()) ||
           (clearingServer_ != nullptr && clearingServer_->busy()) ||
           (feed_ != nullptr && feed_->busy());
}

void GatewayHost::tick() {
    const uint64_t now = loop_->nowNs();
    if (now - tickedNs_ < kTickEveryNs) return;
    const bool show = now / kStatsEveryNs != tickedNs_ / kStatsEveryNs;
    tickedNs_ = now;
    if (orderServer_ != nullptr) orderServer_->tick(now);
    if (clearingServer_ != nullptr) clearingServer_->tick(now);
    if (feed_ != nullptr) feed_->tick(now);
    checkStore();
    if (show) publishStats();
}

// A store that can't keep messages any more may not answer any: its ports close, the node goes on.
void GatewayHost::checkStore() {
    if (store_->status().isOk() || !failure_.empty()) return;
    failure_ = store_->status().toString();
    closePorts();
}

// Everybody is told that the session ends.
void GatewayHost::closePorts() {
    if (orderServer_ != nullptr) orderServer_->endSession();
    if (clearingServer_ != nullptr) clearingServer_->endSession();
    orderServer_.reset();
    clearingServer_.reset();
    orders_->detach();
    clearing_->detach();
}

void GatewayHost::publishStats() {
    GatewayHostStats stats;
    stats.calls = loop_->calls();
    if (orderServer_ != nullptr) stats.orderSessions = orderServer_->counters();
    if (clearingServer_ != nullptr) stats.clearingSessions = clearingServer_->counters();
    stats.orders = orders_->counters();
    stats.clearing = clearing_->counters();
    if (feed_ != nullptr) stats.feed = feed_->counters();
    stats.events = events_;
    stats.storeBytes = store_->bytes();
    stats.failure = failure_;
    const std::lock_guard guard(mutex_);
    shown_ = stats;
}

GatewayHostStats GatewayHost::stats() const {
    const std::lock_guard guard(mutex_);
    return shown_;
}

void GatewayHost::stop() {
    if (stop_.exchange(true)) return;
    if (loop_ != nullptr) loop_->wake();
    if (thread_.joinable()) thread_.join();
    if (ran_.load()) {
        // The engine is done: what it has published is told, then everybody is sent home.
        while (takeEvents()) {}
        (void)port_->answer();
        if (clearingServer_ != nullptr) clearingServer_->endSession();
        if (orderServer_ != nullptr) orderServer_->endSession();
        if (feed_ != nullptr) {
            (void)feed_->flush();
            feed_->end();
        }
        publishStats();
        (void)store_->close();
    }
    clearingServer_.reset();
    orderServer_.reset();
    feed_.reset();
    // And with it the lock of its directory, also where it has failed.
    clearing_.reset();
    orders_.reset();
    store_.reset();
}

}  // namespace verbex::node
