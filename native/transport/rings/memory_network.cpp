#include "transport/rings/memory_network.h"

#include <algorithm>

namespace verbex::transport {

MemoryNetwork::MemoryNetwork(MemoryHub& hub, NetworkOptions options)
    : hub_(hub), options_(std::move(options)) {}

MemoryNetwork::~MemoryNetwork() {
    std::erase_if(hub_.listeners_,
                  [this](const auto& entry) { return entry.second.network == this; });
}

Result<ListenId> MemoryNetwork::listen(const Address& address, uint32_t epoch) {
    Address bound = address;
    if (bound.port == 0) bound.port = hub_.nextPort_++;
    const ListenId id = nextId_++;
    if (!hub_.listeners_.try_emplace(bound.toString(), MemoryHub::Listener{this, id}).second) {
        return Status(StatusCode::AlreadyExists, bound.toString() + " is listened on already");
    }
    listening_[id] = {bound, epoch};
    return id;
}

Address MemoryNetwork::boundAddress(ListenId id) const {
    return listening_.at(id).address;
}

void MemoryNetwork::stopListening(ListenId id) {
    const auto found = listening_.find(id);
    if (found == listening_.end()) return;
    hub_.listeners_.erase(found->second.address.toString());
    listening_.erase(found);
}

ConnectId MemoryNetwork::connect(const Address& address, const std::string& service,
                                 uint32_t epoch, Nanoseconds) {
    attempts_.push_back({nextId_, address, service, epoch});
    return nextId_++;
}

Status MemoryNetwork::admit(uint32_t epoch) const {
    if (epoch < epochFloor_) return Status(StatusCode::StaleEpoch, "a later epoch has begun");
    if (links_.size() >= options_.linksMax)
        return Status(StatusCode::Refused, "TOO_MANY_CONNECTIONS");
    return {};
}

void MemoryNetwork::dial(const Attempt& attempt, NetworkEvents& events) {
    const auto refuse = [&](Status why) {
        ++counters_.refused;
        if (why.code() == StatusCode::StaleEpoch) ++counters_.staleEpoch;
        events.onRefused(attempt.id, why);
    };
    const auto found = hub_.listeners_.find(attempt.address.toString());
    if (found == hub_.listeners_.end()) {
        return refuse(Status(StatusCode::Refused,
                             "nobody listens on " + attempt.address.toString()));
    }
    MemoryNetwork& peer = *found->second.network;
    const uint32_t epoch =
        std::max(attempt.epoch, peer.listening_.at(found->second.id).epoch);
    if (attempt.epoch < peer.epochFloor_) ++peer.counters_.staleEpoch;
    if (Status why = peer.admit(attempt.epoch); !why.isOk()) return refuse(std::move(why));
    if (Status why = admit(epoch); !why.isOk()) return refuse(std::move(why));
    if (peer.options_.key != options_.key) {
        ++peer.counters_.wrongKey;
        return refuse(Status(StatusCode::AuthenticationFailed, "WRONG_KEY"));
    }
    LinkInfo info;
    info.epoch = epoch;
    info.ringBytes = std::min(options_.ringBytes, peer.options_.ringBytes);
    info.payloadMax = std::min(options_.payloadMax, peer.options_.payloadMax);
    info.authenticated = !options_.key.empty();
    info.service = attempt.service;
    info.reason = "memory: both ends are in one process";
    const FrameSeal there{.epoch = epoch, .salt = hub_.nextSalt_++, .mac = {}};
    const FrameSeal back{.epoch = epoch, .salt = hub_.nextSalt_++, .mac = {}};
    auto pair = std::make_shared<MemoryPair>(info.ringBytes);
    info.peer = peer.options_.node;
    arrivals_.push_back({attempt.id, false,
                         std::make_unique<MemoryLink>(pair, 0, info, there, back)});
    info.peer = options_.node;
    peer.arrivals_.push_back({found->second.id, true,
                              std::make_unique<MemoryLink>(pair, 1, info, back, there)});
}

void MemoryNetwork::announce(NetworkEvents& events) {
    while (!arrivals_.empty()) {
        Arrival arrival = std::move(arrivals_.front());
        arrivals_.pop_front();
        MemoryLink& link = *arrival.link;
        ++counters_.established;
        links_.push_back(std::move(arrival.link));
        counters_.links = links_.size();
        if (arrival.accepted) {
            ++counters_.accepted;
            events.onAccepted(arrival.id, link);
        } else {
            events.onConnected(arrival.id, link);
        }
    }
}

void MemoryNetwork::poll(Nanoseconds, NetworkEvents& events) {
    std::deque<Attempt> attempts;
    attempts.swap(attempts_);
    for (const Attempt& attempt : attempts) dial(attempt, events);
    announce(events);
    // Events may drop links and make new ones.
    std::vector<MemoryLink*> now;
    for (const auto& link : links_) now.push_back(link.get());
    for (MemoryLink* link : now) {
        const auto isThere = [&] {
            return std::ranges::any_of(links_, [&](const auto& held) { return held.get() == link; });
        };
        if (!isThere()) continue;
        link->lookAtPeer();
        link->progress();
        if (!link->isOver() || std::ranges::find(reported_, link) != reported_.end()) continue;
        reported_.push_back(link);
        events.onOver(*link);
    }
}

void MemoryNetwork::fence(uint32_t epoch, const std::function<Receiver&(Link&)>& receiver) {
    epochFloor_ = std::max(epochFloor_, epoch + 1);
    std::erase_if(arrivals_, [&](const Arrival& arrival) {
        return arrival.accepted && arrival.link->info().epoch <= epoch;
    });
    for (size_t at = 0; at < links_.size(); ++at) {
        MemoryLink& link = *links_[at];
        if (link.info().epoch <= epoch && !link.isOver()) link.fence(receiver(link));
    }
}

void MemoryNetwork::drop(Link& link) {
    std::erase(reported_, &link);
    std::erase_if(links_, [&](const auto& held) { return held.get() == &link; });
    counters_.links = links_.size();
}

}  // namespace verbex::transport
