#include "addon/bus_thread.h"

#include <algorithm>
#include <chrono>
#include <unistd.h>

#include "pipeline/steady_clock.h"
#include "transport/host/host_network.h"

namespace verbex::addon {

namespace {

constexpr size_t kDrainMax = 256;  // messages of one publication before it is another's turn
constexpr Nanoseconds kLookNs = 1'000'000;
constexpr Nanoseconds kSleepNs = 50'000'000;
// Until a stream that the peer does not publish is asked for again.
constexpr Nanoseconds kAskNs = 10'000'000;
// How long goodbyes may take once nothing waits to be sent.
constexpr Nanoseconds kLeaveNs = 100'000'000;

Status busClosed() {
    return {StatusCode::Closed, "the bus is closed"};
}

// What another attempt would not change.
bool isFinal(StatusCode code) {
    switch (code) {
        case StatusCode::InvalidArgument:
        case StatusCode::UnsupportedFormat:
        case StatusCode::TransportUnavailable:
        case StatusCode::AuthenticationFailed:
        case StatusCode::StaleEpoch:
        case StatusCode::ProtocolViolation: return true;
        default: return false;
    }
}

// The process's first bus has the file of its number; each further one has one beside it, in
// whatever environment it is opened.
bus::CounterFileOptions counterFileOf(const std::string& node) {
    static std::atomic<uint32_t> opened{0};
    bus::CounterFileOptions options;
    options.name = node;
    options.startedMs =
        static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(
                                  std::chrono::system_clock::now().time_since_epoch())
                                  .count());
    if (const uint32_t before = opened.fetch_add(1); before != 0) {
        options.path = "/dev/shm/verbex-" + std::to_string(getpid());
        options.path.append("-").append(std::to_string(before)).append(".counters");
    }
    return options;
}

template <typename Shared>
bool forget(std::vector<std::shared_ptr<Shared>>& all, const Shared* one) {
    return std::erase_if(all, [one](const auto& each) { return each.get() == one; }) != 0;
}

}  // namespace

Result<std::unique_ptr<BusThread>> BusThread::open(const BusThreadOptions& options,
                                                   std::function<void()> tell) {
    auto network = transport::HostNetwork::open(options.network);
    if (!network.isOk()) return network.status();
    std::unique_ptr<bus::CounterFile> counterFile;
    if (options.counters) {
        auto opened = bus::CounterFile::open(counterFileOf(options.network.node));
        if (!opened.isOk()) {
            return opened.status().within(
                "counters for other processes (counters: false does "
                "without)");
        }
        counterFile = opened.take();
    }
    std::unique_ptr<BusThread> agent(
        new BusThread(options, network.take(), std::move(counterFile), std::move(tell)));
    agent->thread_ = std::thread([raw = agent.get()] { raw->run(); });
    return agent;
}

BusThread::BusThread(const BusThreadOptions& options, std::unique_ptr<transport::Network> network,
                     std::unique_ptr<bus::CounterFile> counterFile, std::function<void()> tell)
    : options_(options),
      tell_(std::move(tell)),
      network_(std::move(network)),
      counterFile_(std::move(counterFile)),
      bus_(bus::Bus::make(*network_, options.bus, this)) {}

void BusThread::stop() {
    if (!thread_.joinable()) return;
    stopping_.store(true, std::memory_order_release);
    network_->wake();
    thread_.join();
}

// ---- commands -------------------------------------------------------------------------------

void BusThread::post(std::function<void()> command) {
    {
        const std::lock_guard guard(mutex_);
        if (!ended_) {
            commands_.push_back(std::move(command));
            hasCommands_.store(true, std::memory_order_release);
            command = nullptr;
        }
    }
    if (command != nullptr)
        command();
    else
        ring();
}

template <typename Value, typename Body>
void BusThread::ask(Answer<Value> answer, Body body) {
    post([this, answer = std::move(answer), body = std::move(body)] {
        if (bus_ == nullptr || phase_ != Phase::Open)
            answer(busClosed());
        else
            body(answer);
    });
}

template <typename Body>
void BusThread::order(Done done, Body body) {
    post([this, done = std::move(done), body = std::move(body)] {
        if (bus_ == nullptr || phase_ != Phase::Open) return done(busClosed());
        body();
        done({});
    });
}

void BusThread::listen(transport::Address address, Answer<transport::Address> answer) {
    ask<transport::Address>(std::move(answer), [this, address = std::move(address)](
                                                   const Answer<transport::Address>& to) {
        to(bus_->listen(address));
    });
}

void BusThread::connect(transport::Address address, Nanoseconds within,
                        Answer<bus::PeerId> answer) {
    ask<bus::PeerId>(std::move(answer),
                     [this, address = std::move(address), within](const Answer<bus::PeerId>& to) {
                         connects_.push_back(
                             {bus_->connect(address), pipeline::steadyNs() + within, to});
                     });
}

void BusThread::disconnect(bus::PeerId peer, Done done) {
    order(std::move(done), [this, peer] { bus_->disconnect(peer); });
}

void BusThread::publish(bus::PublicationOptions options, size_t ringBytes,
                        Answer<std::shared_ptr<Outbound>> answer) {
    using Made = std::shared_ptr<Outbound>;
    ask<Made>(std::move(answer),
              [this, options = std::move(options), ringBytes](const Answer<Made>& to) {
                  auto outbound = std::make_shared<Outbound>(ringBytes, options);
                  Result<bus::Publication*> made = bus_->publish(options);
                  if (!made.isOk()) return to(made.status());
                  outbound->publication = made.value();
                  show(*outbound, false);
                  outbounds_.push_back(outbound);
                  to(std::move(outbound));
              });
}

void BusThread::subscribe(bus::PeerId peer, bus::SubscriptionOptions options, bool waits,
                          size_t ringBytes, Answer<std::shared_ptr<Inbound>> answer) {
    using Made = std::shared_ptr<Inbound>;
    ask<Made>(std::move(answer),
              [this, peer, options = std::move(options), waits, ringBytes](const Answer<Made>& to) {
                  auto inbound = std::make_shared<Inbound>(ringBytes, peer, options, waits);
                  if (Status asked = ask(*inbound); !asked.isOk()) return to(asked);
                  inbounds_.push_back(inbound);
                  to(std::move(inbound));
              });
}

void BusThread::closePublication(std::shared_ptr<Outbound> outbound, Nanoseconds within,
                                 Done done) {
    // Nothing is taken from here on; what was taken is sent.
    outbound->closed.store(true, std::memory_order_release);
    post([this, outbound = std::move(outbound), within, done = std::move(done)] {
        if (bus_ == nullptr || outbound->publication == nullptr) return done({});
        closes_.push_back({outbound, pipeline::steadyNs() + within, done});
    });
}

void BusThread::closeSubscription(std::shared_ptr<Inbound> inbound, Done done) {
    post([this, inbound = std::move(inbound), done = std::move(done)] {
        if (bus_ != nullptr && forget(inbounds_, inbound.get())) closeStream(*inbound);
        done({});
    });
}

void BusThread::peers(Answer<std::vector<bus::PeerView>> answer) {
    using Views = std::vector<bus::PeerView>;
    ask<Views>(std::move(answer), [this](const Answer<Views>& to) { to(bus_->peers()); });
}

void BusThread::counters(Answer<BusThreadCounters> answer) {
    ask<BusThreadCounters>(std::move(answer), [this](const Answer<BusThreadCounters>& to) {
        BusThreadCounters all;
        all.bus = bus_->counters();
        all.network = network_->counters();
        all.sleeps = sleeps_;
        {
            const std::lock_guard guard(mutex_);
            all.eventsDropped = eventsDropped_;
        }
        to(all);
    });
}

void BusThread::fence(uint32_t epoch, Done done) {
    order(std::move(done), [this, epoch] { bus_->fence(epoch); });
}

void BusThread::setEpoch(uint32_t epoch, Done done) {
    order(std::move(done), [this, epoch] { bus_->setEpoch(epoch); });
}

void BusThread::close(Nanoseconds within, Done done) {
    post([this, within, done = std::move(done)] {
        if (bus_ == nullptr) return done({});
        closed_.push_back(done);
        if (phase_ != Phase::Open) return;
        phase_ = Phase::Draining;
        closeBy_ = pipeline::steadyNs() + within;
        for (const auto& outbound : outbounds_) {
            outbound->closed.store(true, std::memory_order_release);
        }
    });
}

// ---- the thread -----------------------------------------------------------------------------

void BusThread::run() {
    Nanoseconds idleSince = 0;
    while (!stopping_.load(std::memory_order_acquire) && phase_ != Phase::Ended) {
        const Nanoseconds now = pipeline::steadyNs();
        if (round(now) > 0) {
            idleSince = 0;
        } else if (!options_.spin) {
            if (idleSince == 0) idleSince = now;
            if (now - idleSince >= options_.spinNs) sleep(now);
        }
    }
    end();
}

size_t BusThread::round(Nanoseconds now) {
    size_t done = runCommands();
    for (const auto& outbound : outbounds_) {
        const size_t drained = drain(*outbound);
        done += drained;
        show(*outbound, drained > 0);
    }
    done += bus_->poll(now);
    for (const auto& inbound : inbounds_) show(*inbound, now);
    if (now >= nextLook_) {
        nextLook_ = now + kLookNs;
        settleConnects(now);
        askAgain(now);
        if (counterFile_ != nullptr) counterFile_->update(*bus_, network_->counters(), now);
    }
    settleCloses(now);
    if (phase_ != Phase::Open) settleClosing(now);
    if (news_) {
        news_ = false;
        tell_();
    }
    return done;
}

size_t BusThread::runCommands() {
    if (!hasCommands_.load(std::memory_order_acquire)) return 0;
    std::vector<std::function<void()>> commands;
    {
        const std::lock_guard guard(mutex_);
        commands.swap(commands_);
        hasCommands_.store(false, std::memory_order_relaxed);
    }
    for (const auto& command : commands) command();
    return commands.size();
}

size_t BusThread::drain(Outbound& outbound) {
    size_t count = 0;
    ByteRing::Record record;
    while (count < kDrainMax && outbound.ring.front(record)) {
        const int64_t answer = outbound.publication->offer(record.payload);
        if (answer < 0) {
            // It was accepted, so it waits for its turn, also where nobody is there any more.
            outbound.blocked = true;
            return count;
        }
        CHECK(static_cast<Position>(answer) == record.position);
        outbound.ring.pop(record);
        ++count;
    }
    outbound.blocked = false;
    return count;
}

void BusThread::show(Outbound& outbound, bool drained) {
    const bus::Publication& publication = *outbound.publication;
    const uint32_t subscribers = publication.subscribers();
    const Position consumed = publication.consumedByAll();
    const bool changed = drained ||
                         subscribers != outbound.subscribers.load(std::memory_order_relaxed) ||
                         consumed != outbound.consumedByAll.load(std::memory_order_relaxed);
    outbound.sent.store(publication.position(), std::memory_order_relaxed);
    outbound.oldest.store(publication.oldest(), std::memory_order_relaxed);
    outbound.consumedByAll.store(consumed, std::memory_order_relaxed);
    outbound.subscribers.store(subscribers, std::memory_order_release);
    if (changed && outbound.wanted.exchange(false, std::memory_order_acq_rel)) news_ = true;
}

Status BusThread::ask(Inbound& inbound) {
    Result<bus::Subscription*> made = bus_->subscribe(inbound.peer, inbound.options);
    if (!made.isOk()) return made.status();
    inbound.subscription = made.value();
    inbound.subscription->setReceiver(&inbound);
    inbound.askAt = 0;
    return {};
}

void BusThread::askAgain(Nanoseconds now) {
    for (const auto& inbound : inbounds_) {
        if (inbound->askAt == 0 || now < inbound->askAt) continue;
        Status asked = ask(*inbound);
        if (asked.isOk()) continue;
        const std::lock_guard guard(inbound->mutex);
        inbound->askAt = 0;
        inbound->state = bus::SubscriptionState::Refused;
        inbound->failure = std::move(asked);
        if (inbound->wanted.exchange(false, std::memory_order_acq_rel)) news_ = true;
    }
}

void BusThread::show(Inbound& inbound, Nanoseconds now) {
    if (inbound.subscription == nullptr) return;
    bool changed = inbound.arrived;
    if (const auto state = inbound.subscription->state(); state != inbound.state) {
        if (state == bus::SubscriptionState::Refused && inbound.waitsForStream &&
            inbound.subscription->failure().code() == StatusCode::NotFound) {
            inbound.subscription->setReceiver(nullptr);
            inbound.subscription->close();
            inbound.subscription = nullptr;
            inbound.askAt = now + kAskNs;
            return;
        }
        const std::lock_guard guard(inbound.mutex);
        inbound.state = state;
        inbound.resumeFrom = inbound.subscription->resumeFrom();
        inbound.oldest = inbound.subscription->oldest();
        inbound.failure = inbound.subscription->failure();
        changed = true;
    }
    inbound.arrived = false;
    if (changed && inbound.wanted.exchange(false, std::memory_order_acq_rel)) news_ = true;
}

void BusThread::settleConnects(Nanoseconds now) {
    if (connects_.empty()) return;
    const std::vector<bus::PeerView> views = bus_->peers();
    std::erase_if(connects_, [&](const PendingConnect& pending) {
        const bus::PeerView* view = nullptr;
        for (const bus::PeerView& each : views) {
            if (each.id == pending.peer) view = &each;
        }
        if (view == nullptr) {
            pending.answer(Status(StatusCode::Closed, "it was disconnected"));
            return true;
        }
        if (view->connected) {
            pending.answer(pending.peer);
            return true;
        }
        const bool gaveUp = !view->failure.isOk() && isFinal(view->failure.code());
        if (!gaveUp && now < pending.deadline) return false;
        pending.answer(view->failure.isOk()
                           ? Status(StatusCode::TimedOut, "nobody has answered in time")
                           : view->failure);
        bus_->disconnect(pending.peer);
        return true;
    });
}

bool BusThread::isDrained(const Outbound& outbound) {
    const bus::Publication& publication = *outbound.publication;
    if (publication.subscribers() == 0) return !outbound.retain || outbound.ring.isEmpty();
    return outbound.ring.isEmpty() && publication.consumedByAll() >= publication.position();
}

void BusThread::closeStream(Outbound& outbound) {
    outbound.closed.store(true, std::memory_order_release);
    outbound.publication->close();
    outbound.publication = nullptr;
    if (outbound.wanted.exchange(false, std::memory_order_acq_rel)) news_ = true;
}

void BusThread::closeStream(Inbound& inbound) {
    const std::lock_guard guard(inbound.mutex);
    inbound.state = bus::SubscriptionState::Closed;
    inbound.failure = {};
    if (inbound.subscription != nullptr) {
        inbound.resumeFrom = inbound.subscription->resumeFrom();
        inbound.subscription->setReceiver(nullptr);
        inbound.subscription->close();
        inbound.subscription = nullptr;
    }
    if (inbound.wanted.exchange(false, std::memory_order_acq_rel)) news_ = true;
}

void BusThread::settleCloses(Nanoseconds now) {
    std::erase_if(closes_, [&](const PendingClose& pending) {
        Outbound& outbound = *pending.outbound;
        if (outbound.publication != nullptr) {
            if (!isDrained(outbound) && now < pending.deadline) return false;
            closeStream(outbound);
            forget(outbounds_, &outbound);
        }
        pending.done({});
        return true;
    });
}

void BusThread::settleClosing(Nanoseconds now) {
    if (phase_ == Phase::Draining) {
        const bool drained = std::all_of(outbounds_.begin(), outbounds_.end(),
                                         [](const auto& each) { return isDrained(*each); });
        if (!drained && now < closeBy_) return;
        for (const auto& outbound : outbounds_) closeStream(*outbound);
        outbounds_.clear();
        for (const auto& inbound : inbounds_) closeStream(*inbound);
        inbounds_.clear();
        phase_ = Phase::Leaving;
        closeBy_ = now + kLeaveNs;
        (void)bus_->poll(now);  // the ends of streams go out before the links do
        for (const bus::PeerView& peer : bus_->peers()) bus_->disconnect(peer.id);
        return;
    }
    // A link that is closed stays until what it accepted has left.
    if (network_->counters().links == 0 || now >= closeBy_) phase_ = Phase::Ended;
}

bool BusThread::hasWork() const {
    if (hasCommands_.load(std::memory_order_acquire) || stopping_.load(std::memory_order_acquire)) {
        return true;
    }
    return std::any_of(outbounds_.begin(), outbounds_.end(), [](const auto& outbound) {
        return !outbound->blocked && !outbound->ring.isEmpty();
    });
}

void BusThread::sleep(Nanoseconds now) {
    asleep_.exchange(true, std::memory_order_acq_rel);
    if (!hasWork()) {
        ++sleeps_;
        // Whatever a publication or a subscription waits for rings: a peer's word does in the
        // network, JavaScript in ring().
        const bool asking = std::any_of(inbounds_.begin(), inbounds_.end(),
                                        [](const auto& each) { return each->askAt != 0; });
        const bool looking = phase_ != Phase::Open || !connects_.empty() || !closes_.empty();
        bus_->wait(now, looking ? kLookNs : asking ? kAskNs : kSleepNs);
    }
    asleep_.exchange(false, std::memory_order_acq_rel);
}

void BusThread::end() {
    phase_ = Phase::Ended;
    for (const auto& outbound : outbounds_) closeStream(*outbound);
    outbounds_.clear();
    for (const auto& inbound : inbounds_) closeStream(*inbound);
    inbounds_.clear();
    counterFile_.reset();
    bus_.reset();
    std::vector<std::function<void()>> commands;
    {
        const std::lock_guard guard(mutex_);
        ended_ = true;
        commands.swap(commands_);
    }
    for (const auto& command : commands) command();  // each finds no bus and answers so
    for (const PendingConnect& pending : connects_) pending.answer(busClosed());
    for (const PendingClose& pending : closes_) pending.done({});
    tell_();
    for (const Done& done : closed_) done({});
}

// ---- events ---------------------------------------------------------------------------------

std::vector<BusThreadEvent> BusThread::takeEvents() {
    const std::lock_guard guard(mutex_);
    std::vector<BusThreadEvent> taken(std::make_move_iterator(events_.begin()),
                                      std::make_move_iterator(events_.end()));
    events_.clear();
    return taken;
}

void BusThread::keep(BusThreadEvent event) {
    const std::lock_guard guard(mutex_);
    if (events_.size() == kEventsMax) {
        events_.pop_front();
        ++eventsDropped_;
    }
    events_.push_back(std::move(event));
    news_ = true;
}

bus::PeerView BusThread::peerOf(bus::PeerId id) const {
    // Not asked of a bus that is just being made or taken down.
    if (bus_ != nullptr) {
        for (bus::PeerView& view : bus_->peers()) {
            if (view.id == id) return std::move(view);
        }
    }
    bus::PeerView unknown;
    unknown.id = id;
    return unknown;
}

void BusThread::onPeer(const bus::PeerView& peer) {
    keep({BusThreadEvent::Kind::Peer, peer, {}, 0});
}

void BusThread::onSubscriber(const std::string& stream, bus::PeerId peer, Position from) {
    keep({BusThreadEvent::Kind::Subscriber, peerOf(peer), stream, from});
}

void BusThread::onCutOff(const std::string& stream, bus::PeerId peer, Position resumeFrom) {
    keep({BusThreadEvent::Kind::CutOff, peerOf(peer), stream, resumeFrom});
}

}  // namespace verbex::addon
