// The agent's peers: who they are, and their links' beginnings and ends.
#include <algorithm>

#include "bus/bus_agent.h"

namespace verbex::bus {

namespace {

constexpr uint32_t kBackOffTimes = 20;

}  // namespace

Peer* BusAgent::known(PeerId peer) const {
    return peer >= 1 && peer <= peers_.size() ? peers_[peer - 1].get() : nullptr;
}

Peer* BusAgent::peerOf(const transport::Link& link) {
    for (const std::unique_ptr<Peer>& peer : peers_) {
        if (peer->channel().link() == &link) return peer.get();
    }
    return nullptr;
}

Peer* BusAgent::peerOf(transport::ConnectId attempt) {
    for (const std::unique_ptr<Peer>& peer : peers_) {
        if (peer->connecting && peer->attempt == attempt) return peer.get();
    }
    return nullptr;
}

StreamPublication* BusAgent::find(std::string_view stream) {
    // A closed one is found as long as it waits for who has not got all of it.
    StreamPublication* closed = nullptr;
    for (const std::unique_ptr<StreamPublication>& publication : publications_) {
        if (publication->stream() != stream) continue;
        if (!publication->isClosed()) return publication.get();
        closed = publication.get();
    }
    return closed;
}

Peer& BusAgent::newPeer() {
    const auto id = static_cast<PeerId>(peers_.size() + 1);
    peers_.push_back(std::make_unique<Peer>(context_, *this, id));
    return *peers_.back();
}

Peer& BusAgent::inboundPeer(const std::string& name) {
    size_t gone = 0;
    Peer* longest = nullptr;
    for (const std::unique_ptr<Peer>& peer : peers_) {
        if (!peer->view.inbound || peer->channel().link() != nullptr) continue;
        if (peer->view.name == name) return *peer;
        if (peer->hasSubscriptions()) continue;
        ++gone;
        if (longest == nullptr || peer->leftAt < longest->leftAt) longest = peer.get();
    }
    if (gone >= kInboundKept) return *longest;
    return newPeer();
}

void BusAgent::up(Peer& peer, transport::Link& link) {
    peer.attach(link);
    peer.channel().beginRound();
    if (context_.events != nullptr) context_.events->onPeer(peer.view);
}

void BusAgent::onAccepted(transport::ListenId, transport::Link& link) {
    Peer& peer = inboundPeer(link.info().peer);
    peer.view.inbound = true;
    up(peer, link);
}

void BusAgent::onConnected(transport::ConnectId id, transport::Link& link) {
    Peer* peer = peerOf(id);
    if (peer == nullptr) {
        network_.drop(link);
        return;
    }
    peer->connecting = false;
    if (!peer->wanted) {
        network_.drop(link);
        return;
    }
    up(*peer, link);
}

void BusAgent::onRefused(transport::ConnectId id, const Status& why) {
    Peer* peer = peerOf(id);
    if (peer == nullptr) return;
    peer->connecting = false;
    peer->view.failure = why;
    const uint64_t times =
        std::min<uint64_t>(uint64_t{1} << std::min(peer->failures, 10u), kBackOffTimes);
    ++peer->failures;
    peer->attemptAt = context_.now + times * context_.options.reconnectNs;
}

void BusAgent::onOver(transport::Link& link) {
    Peer* peer = peerOf(link);
    if (peer != nullptr) {
        lost(*peer, link.failure().isOk()
                        ? Status(StatusCode::Closed, "peer " + peer->view.name + " closed the link")
                        : link.failure());
    }
    std::erase_if(closing_, [&](const ClosingLink& closing) { return closing.link == &link; });
    network_.drop(link);
}

void BusAgent::lost(Peer& peer, const Status& why, bool fenced) {
    peer.detach(why, fenced);
    ++context_.counters.peersLost;
    peer.attemptAt = context_.now + context_.options.reconnectNs;
    if (context_.events != nullptr) context_.events->onPeer(peer.view);
}

}  // namespace verbex::bus
