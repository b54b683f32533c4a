#include <algorithm>
#include <bit>

#include "bus/bus_agent.h"

namespace verbex::bus {

namespace {

constexpr uint32_t kTicksPerHeartbeat = 4;
// How long a full link may keep a message that could go: no arrival tells that there is room.
constexpr Nanoseconds kBlockedWaitNs = 100'000;

bool isSize(uint32_t bytes) {
    return std::has_single_bit(bytes) && bytes >= 1024;
}

Status wrongArgument(std::string message) {
    return Status(StatusCode::InvalidArgument, std::move(message));
}

}  // namespace

std::unique_ptr<Bus> Bus::make(transport::Network& network, const BusOptions& options,
                               BusEvents* events) {
    return std::make_unique<BusAgent>(network, options, events);
}

BusAgent::BusAgent(transport::Network& network, const BusOptions& options, BusEvents* events)
    : network_(network), context_{options, events, {}, 0} {
    CHECK(options.heartbeatNs > 0 && options.livenessNs >= 3 * options.heartbeatNs);
    CHECK(options.batchMax > 0 && options.reconnectNs > 0);
}

BusAgent::~BusAgent() {
    context_.events = nullptr;
    for (const std::unique_ptr<Peer>& peer : peers_) {
        transport::Link* link = peer->channel().link();
        if (link == nullptr) continue;
        peer->detach(Status(StatusCode::Closed, "the bus was closed"), false);
        network_.drop(*link);
    }
    for (const ClosingLink& closing : closing_) network_.drop(*closing.link);
    for (const Listener& listener : listeners_) {
        if (listener.listening) network_.stopListening(listener.id);
    }
}

Result<Address> BusAgent::listen(const Address& address) {
    auto id = network_.listen(address, context_.options.epoch);
    if (!id.isOk()) return id.status();
    const Address bound = network_.boundAddress(id.value());
    listeners_.push_back({bound, id.value(), true});
    return bound;
}

PeerId BusAgent::connect(const Address& address) {
    Peer& peer = newPeer();
    peer.address = address;
    peer.view.name = address.toString();
    return peer.view.id;
}

void BusAgent::disconnect(PeerId id) {
    Peer* peer = known(id);
    if (peer == nullptr) return;
    peer->wanted = peer->view.inbound;
    if (peer->channel().isUp()) {
        peer->channel().flush();
        peer->giveUp(Status(StatusCode::Closed, "disconnected from this side"));
    }
}

std::vector<PeerView> BusAgent::peers() const {
    std::vector<PeerView> views;
    views.reserve(peers_.size());
    for (const std::unique_ptr<Peer>& peer : peers_) views.push_back(peer->view);
    return views;
}

const transport::Link* BusAgent::link(PeerId id) const {
    Peer* peer = known(id);
    return peer == nullptr ? nullptr : peer->channel().link();
}

Result<Publication*> BusAgent::publish(const PublicationOptions& options) {
    if (!isStreamName(options.stream)) {
        return wrongArgument("a stream's name has 1 to 64 characters from space to tilde");
    }
    if (!isSize(options.historyBytes) || options.historyBytes > (1u << 31)) {
        return wrongArgument("historyBytes is a power of two from 1024 to 2^31, not " +
                             std::to_string(options.historyBytes));
    }
    if (options.payloadMax == 0 || costOf(options.payloadMax) > options.historyBytes / 8) {
        return wrongArgument(
            "payloadMax is at least 1 and with 32 more at most an eighth of "
            "historyBytes (" +
            std::to_string(options.historyBytes) + "), not " + std::to_string(options.payloadMax));
    }
    if (options.first == 0 || options.first > kPositionMax) {
        return wrongArgument("the first position is from 1 to 2^62");
    }
    if (find(options.stream) != nullptr) {
        return Status(StatusCode::AlreadyExists,
                      "stream " + options.stream + " is published here already: close it first");
    }
    publications_.push_back(std::make_unique<StreamPublication>(context_, options));
    return static_cast<Publication*>(publications_.back().get());
}

Result<Subscription*> BusAgent::subscribe(PeerId id, const SubscriptionOptions& options) {
    Peer* peer = known(id);
    if (peer == nullptr) {
        return Status(StatusCode::NotFound, "there is no peer " + std::to_string(id));
    }
    if (!isStreamName(options.stream)) {
        return wrongArgument("a stream's name has 1 to 64 characters from space to tilde");
    }
    if (!isSize(options.bufferBytes) || options.bufferBytes > (1u << 31)) {
        return wrongArgument("bufferBytes is a power of two from 1024 to 2^31, not " +
                             std::to_string(options.bufferBytes));
    }
    if (options.from == From::Position &&
        (options.position == 0 || options.position > kPositionMax)) {
        return wrongArgument("a position to subscribe from is from 1 to 2^62");
    }
    subscriptions_.push_back(std::make_unique<StreamSubscription>(context_, id, options));
    peer->add(*subscriptions_.back());
    return static_cast<Subscription*>(subscriptions_.back().get());
}

size_t BusAgent::poll(Nanoseconds now) {
    CHECK(!busy_ && "a callback of the bus called poll()");
    context_.now = std::max(context_.now, now);
    busy_ = true;
    for (const std::unique_ptr<Peer>& peer : peers_) peer->channel().beginRound();
    network_.poll(context_.now, *this);
    size_t done = pollLinks();
    for (size_t i = 0; i < publications_.size(); ++i) {
        done += publications_[i]->pump(context_.options.batchMax);
    }
    if (context_.now >= tickAt_) tick();
    connectWanted();
    for (const std::unique_ptr<Peer>& peer : peers_) peer->channel().endRound();
    dropGivenUp();
    busy_ = false;
    freeClosed();
    return done;
}

size_t BusAgent::pollLinks() {
    size_t done = 0;
    for (size_t i = 0; i < peers_.size(); ++i) {
        Peer& peer = *peers_[i];
        if (peer.channel().isUp()) {
            const size_t count = peer.channel().link()->poll(peer, context_.options.batchMax);
            if (count > 0) peer.heard();
            done += count;
        }
        if (peer.hasSubscriptions()) done += peer.serve(context_.options.batchMax);
        if (fenceWanted_ > 0) {
            const uint32_t epoch = fenceWanted_;
            fenceWanted_ = 0;
            fenceNow(epoch);
        }
    }
    for (const ClosingLink& closing : closing_) {
        if (!closing.link->isOver()) closing.link->poll(discard_, context_.options.batchMax);
    }
    return done;
}

void BusAgent::tick() {
    tickAt_ = context_.now + context_.options.heartbeatNs / kTicksPerHeartbeat;
    const bool heartbeat = context_.now >= beatAt_;
    if (heartbeat) beatAt_ = context_.now + context_.options.heartbeatNs;
    for (size_t i = 0; i < peers_.size(); ++i) {
        Peer& peer = *peers_[i];
        if (!peer.channel().isUp()) continue;
        if (peer.isSilent()) {
            ++context_.counters.silent;
            peer.giveUp(Status(StatusCode::TimedOut,
                               "peer " + peer.view.name + " was silent for more than " +
                                   std::to_string(context_.options.livenessNs / 1'000'000) +
                                   " ms"));
            continue;
        }
        peer.tick(heartbeat);
    }
    if (!heartbeat) return;
    for (size_t i = 0; i < publications_.size(); ++i) publications_[i]->onHeartbeat();
    relisten();
}

void BusAgent::connectWanted() {
    for (size_t i = 0; i < peers_.size(); ++i) {
        Peer& peer = *peers_[i];
        if (peer.view.inbound || !peer.wanted || peer.connecting) continue;
        if (peer.channel().link() != nullptr || context_.now < peer.attemptAt) continue;
        peer.connecting = true;
        peer.attempt = network_.connect(peer.address, "bus", context_.options.epoch, context_.now);
    }
}

void BusAgent::wait(Nanoseconds now, Nanoseconds atMost) {
    CHECK(!busy_ && "a callback of the bus called wait()");
    Nanoseconds until = tickAt_;
    for (const std::unique_ptr<Peer>& peer : peers_) {
        if (peer->channel().hasUnflushed()) peer->channel().flush();
        if (peer->channel().wasBlocked()) until = std::min(until, now + kBlockedWaitNs);
    }
    if (until > now) network_.wait(std::min(until - now, atMost));
}

void BusAgent::fence(uint32_t epoch) {
    if (!busy_) {
        busy_ = true;
        fenceNow(epoch);
        busy_ = false;
        return;
    }
    // A callback of one of these links may be running: it hears nothing more, and the link is
    // fenced when it has returned.
    fenceWanted_ = std::max(fenceWanted_, epoch);
    for (const std::unique_ptr<Peer>& peer : peers_) {
        if (peer->channel().isUp() && peer->view.epoch <= epoch) {
            peer->giveUp(Status(StatusCode::StaleEpoch, "fenced"));
        }
    }
}

void BusAgent::fenceNow(uint32_t epoch) {
    network_.fence(epoch, [this](transport::Link& link) -> transport::Receiver& {
        Peer* peer = peerOf(link);
        if (peer == nullptr) return discard_;
        return *peer;
    });
    for (size_t i = 0; i < peers_.size(); ++i) {
        Peer& peer = *peers_[i];
        transport::Link* link = peer.channel().link();
        if (link == nullptr || link->info().epoch > epoch) continue;
        if (!peer.channel().isGivenUp()) peer.serve(SIZE_MAX);
        lost(peer,
             Status(StatusCode::StaleEpoch,
                    "epoch " + std::to_string(peer.view.epoch) + " was fenced"),
             true);
        network_.drop(*link);
    }
}

void BusAgent::setEpoch(uint32_t epoch) {
    context_.options.epoch = epoch;
    for (Listener& listener : listeners_) {
        if (listener.listening) network_.stopListening(listener.id);
        listener.listening = false;
    }
    relisten();
}

// Where the port is not free yet, at the next heartbeat again.
void BusAgent::relisten() {
    for (Listener& listener : listeners_) {
        if (listener.listening) continue;
        auto id = network_.listen(listener.address, context_.options.epoch);
        if (!id.isOk()) continue;
        listener.id = id.value();
        listener.listening = true;
    }
}

void BusAgent::dropGivenUp() {
    for (size_t i = 0; i < peers_.size(); ++i) {
        Peer& peer = *peers_[i];
        if (!peer.channel().isGivenUp()) continue;
        transport::Link* link = peer.channel().link();
        const Status why = peer.fault();
        lost(peer, why);
        if (why.code() == StatusCode::Closed && !link->isOver()) {
            link->close();
            closing_.push_back({link, context_.now + context_.options.livenessNs});
        } else {
            network_.drop(*link);
        }
    }
    std::erase_if(closing_, [this](const ClosingLink& closing) {
        if (context_.now < closing.until) return false;
        network_.drop(*closing.link);
        return true;
    });
}

void BusAgent::freeClosed() {
    for (const std::unique_ptr<StreamSubscription>& subscription : subscriptions_) {
        if (subscription->isFreed()) known(subscription->peer())->remove(*subscription);
    }
    std::erase_if(subscriptions_, [](const auto& subscription) { return subscription->isFreed(); });
    std::erase_if(publications_, [](const auto& publication) { return publication->isDone(); });
}

}  // namespace verbex::bus
