#include "node/member_links.h"

#include <algorithm>

namespace verbex::node {

using replication::kClientService;
using replication::kFirstClient;
using replication::kFrameMessage;
using replication::kMemberService;
using replication::MemberId;
using replication::NodeId;
using transport::Link;

namespace {

constexpr size_t kMessagesPerPoll = 256;
// Doubled with each dial that comes to nothing, three times at most: whoever serves meanwhile has
// other things to do. A member that comes back dials by itself.
constexpr uint64_t kRedialNs = 20'000'000;
constexpr uint32_t kDoubled = 3;
// The side that need not dial waits so much longer.
constexpr uint64_t kHigherDialsAfterNs = 60'000'000;

uint64_t redialNs(uint32_t vain) { return kRedialNs << std::min(std::max(vain, 1u) - 1, kDoubled); }

uint32_t linkEpoch(replication::Epoch epoch) {
    return static_cast<uint32_t>(std::min<uint64_t>(epoch, UINT32_MAX - 1));
}

}  // namespace

MemberLinks::MemberLinks(transport::Network& network, const std::string& cluster, MemberId self,
                         std::vector<replication::MemberAddress> peers, Surroundings with)
    : network_(network), cluster_(cluster), self_(self), with_(std::move(with)) {
    for (replication::MemberAddress& place : peers) {
        if (place.id == self) continue;
        Peer peer;
        peer.place = std::move(place);
        peers_.push_back(std::move(peer));
    }
}

MemberLinks::~MemberLinks() = default;

std::string MemberLinks::service(MemberId id) const {
    return std::string(kMemberService) + std::to_string(id) + ":" + cluster_;
}

Status MemberLinks::listen(const transport::Address& address) {
    Result<transport::ListenId> listening = network_.listen(address, 0);
    if (!listening.isOk()) return listening.status();
    listener_ = listening.value();
    return {};
}

// ---- sending

bool MemberLinks::send(NodeId to, std::span<const std::byte> frame) {
    Link* link = nullptr;
    if (to >= kFirstClient) {
        const auto found = clients_.find(to);
        if (found != clients_.end()) link = found->second;
    } else {
        for (Peer& peer : peers_) {
            if (peer.place.id == to) link = peer.tie.link;
        }
    }
    if (link == nullptr) return false;
    transport::Message message;
    message.kind = kFrameMessage;
    message.payload = frame;
    return link->offer(message) == transport::Answer::Accepted;
}

void MemberLinks::flush() {
    for (Peer& peer : peers_) {
        if (peer.tie.link != nullptr) peer.tie.link->flush();
    }
    for (const auto& [id, link] : clients_) link->flush();
}

// What had arrived of an old epoch is not looked at any more: it was not acknowledged.
void MemberLinks::fence(uint64_t epoch) {
    class Nowhere final : public transport::Receiver {
    public:
        void onMessage(const transport::Message&) override {}
    } nowhere;
    network_.fence(linkEpoch(epoch),
                   [&nowhere](Link&) -> transport::Receiver& { return nowhere; });
    for (Peer& peer : peers_) {
        if (peer.tie.link != nullptr && peer.tie.link->isOver()) {
            peer.tie.link = nullptr;
            peer.dialAt = 0;
        }
    }
}

void MemberLinks::close(NodeId client) {
    const auto found = clients_.find(client);
    if (found == clients_.end()) return;
    found->second->close();
    clients_.erase(found);
}

// ---- links come and go

bool MemberLinks::poll(uint64_t nowNs) {
    now_ = nowNs;
    network_.poll(nowNs, *this);
    dial(nowNs);
    size_t received = 0;
    for (Peer& peer : peers_) {
        if (peer.tie.link == nullptr) continue;
        receiving_ = peer.place.id;
        received += peer.tie.link->poll(*this, kMessagesPerPoll);
    }
    // A client may go while its messages are seen to.
    for (auto at = clients_.begin(); at != clients_.end();) {
        const NodeId id = at->first;
        receiving_ = id;
        received += at->second->poll(*this, kMessagesPerPoll);
        at = clients_.upper_bound(id);
    }
    receiving_ = 0;
    return received != 0;
}

void MemberLinks::onMessage(const transport::Message& message) {
    if (message.kind == kFrameMessage && receiving_ != 0) with_.onFrame(receiving_, message.payload);
}

void MemberLinks::dial(uint64_t nowNs) {
    for (Peer& peer : peers_) {
        if (peer.tie.link != nullptr || peer.dialling != 0 || nowNs < peer.dialAt) continue;
        if (peer.dialAt == 0 && peer.place.id < self_) {
            peer.dialAt = nowNs + kHigherDialsAfterNs;
            continue;
        }
        peer.vain++;
        peer.dialAt = nowNs + redialNs(peer.vain);
        peer.dialling = network_.connect(peer.place.address, service(self_),
                                         linkEpoch(with_.epoch()), nowNs);
    }
}

void MemberLinks::tie(Peer& peer, Link& link, bool dialled) {
    Link* const before = peer.tie.link;
    if (before != nullptr && !before->isOver()) {
        // Both have dialled: the link of the later epoch stays, else that of the lower id.
        const bool lowerDialled = dialled == (self_ < peer.place.id);
        const uint32_t had = before->info().epoch;
        if (link.info().epoch < had || (link.info().epoch == had && !lowerDialled)) {
            link.close();
            return;
        }
        before->close();
    }
    peer.tie = {&link, dialled};
    peer.dialAt = 0;
    peer.vain = 0;
}

void MemberLinks::onAccepted(transport::ListenId, Link& link) {
    const std::string& service = link.info().service;
    if (service == std::string(kClientService) + cluster_) {
        clients_[nextClient_++] = &link;
        return;
    }
    if (with_.onOther) {
        const NodeId id = nextClient_++;
        clients_[id] = &link;
        if (with_.onOther(id, service)) return;
        clients_.erase(id);
    }
    for (Peer& peer : peers_) {
        if (service != this->service(peer.place.id)) continue;
        tie(peer, link, false);
        return;
    }
    link.close();  // of another cluster, or of no member
}

void MemberLinks::onConnected(transport::ConnectId id, Link& link) {
    for (Peer& peer : peers_) {
        if (peer.dialling != id) continue;
        peer.dialling = 0;
        tie(peer, link, true);
        return;
    }
    link.close();
}

void MemberLinks::onRefused(transport::ConnectId id, const Status& why) {
    for (Peer& peer : peers_) {
        if (peer.dialling != id) continue;
        peer.dialling = 0;
        // Whoever says so is there, and is asked again as soon as the epoch is known.
        if (why.code() == StatusCode::StaleEpoch) peer.vain = 1;
        peer.dialAt = now_ + redialNs(peer.vain);
        if (why.code() == StatusCode::StaleEpoch) with_.onStale();
    }
}

void MemberLinks::onOver(Link& link) {
    for (Peer& peer : peers_) {
        if (peer.tie.link != &link) continue;
        peer.tie.link = nullptr;
        peer.dialAt = 0;
    }
    for (auto at = clients_.begin(); at != clients_.end(); at++) {
        if (at->second != &link) continue;
        const NodeId id = at->first;
        clients_.erase(at);
        with_.onClosed(id);  // who may close it as well
        break;
    }
    network_.drop(link);
}

}  // namespace verbex::node
