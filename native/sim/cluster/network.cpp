#include "sim/cluster/network.h"

#include <cstring>

#include "base/hash128.h"
#include "replication/frames.h"

namespace verbex::sim {

namespace {

using replication::FrameHeader;
using replication::FrameKind;

size_t headBytes(FrameKind kind) {
    if (kind == FrameKind::Append) return sizeof(replication::AppendFrame);
    if (kind == FrameKind::Entry) return sizeof(replication::EntryFrame);
    return SIZE_MAX;
}

uint64_t epochOf(std::span<const std::byte> frame) {
    FrameHeader header;
    if (frame.size() < sizeof(header)) return 0;
    std::memcpy(static_cast<void*>(&header), frame.data(), sizeof(header));
    return header.epoch;
}

}  // namespace

uint64_t Network::delay() {
    return plan_.delayNs + random_.below(plan_.delaySpreadNs + 1);
}

bool Network::send(NodeId from, NodeId to, std::span<const std::byte> frame) {
    timeline_.fold(uint64_t{from} << 32 | to);
    timeline_.fold(hash128(frame.data(), frame.size()).lo);
    if (isCut(from, to)) return random_.coin();
    if (!perfect_ && random_.chance(plan_.noRoomRate)) return false;
    if (!perfect_ && random_.chance(plan_.lossRate)) return true;
    auto bytes = std::make_shared<std::vector<std::byte>>(frame.begin(), frame.end());
    const size_t head = headBytes(replication::kindOf(frame));
    if (!perfect_ && frame.size() > head && random_.chance(plan_.flipRate)) {
        const uint64_t bit = random_.below((frame.size() - head) * 8);
        (*bytes)[head + bit / 8] ^= static_cast<std::byte>(1u << (bit % 8));
    }
    uint64_t& last = lastAt_[{from, to}];
    uint64_t time = timeline_.now() + delay();
    if (!perfect_ && random_.chance(plan_.lateRate)) {
        time += random_.below(20 * (plan_.delayNs + plan_.delaySpreadNs) + kMillis);
    } else {
        last = time = std::max(time, last);
    }
    deliverAt(time, from, to, bytes);
    if (!perfect_ && random_.chance(plan_.doubleRate)) {
        deliverAt(time + random_.below(20 * kMillis), from, to, bytes);
    }
    return true;
}

void Network::deliverAt(uint64_t time, NodeId from, NodeId to, Frame frame) {
    const uint64_t sentAt = timeline_.now();
    timeline_.at(time, [this, from, to, sentAt, frame = std::move(frame)] {
        if (const auto lost = lostWith_.find(from);
            lost != lostWith_.end() && sentAt >= lost->second.first && sentAt <= lost->second.second) {
            return;
        }
        if (const auto found = fences_.find(to); found != fences_.end()) {
            const uint64_t epoch = epochOf(*frame);
            for (const auto& [fencedAt, upTo] : found->second) {
                if (sentAt <= fencedAt && epoch <= upTo) return;
            }
        }
        handlers_.toMember(to, from, frame);
    });
}

void Network::fence(NodeId node, uint64_t epoch) {
    if (plan_.wiresFence) fences_[node].push_back({timeline_.now(), epoch});
}

void Network::cut(NodeId from, NodeId to) {
    if (cuts_[{from, to}]++ == 0) turnedAt_[{from, to}] = timeline_.now();
}

void Network::mend(NodeId from, NodeId to) {
    const auto found = cuts_.find({from, to});
    if (found == cuts_.end() || --found->second != 0) return;
    cuts_.erase(found);
    turnedAt_[{from, to}] = timeline_.now();
}

uint64_t Network::cutFor(NodeId from, NodeId to) const {
    return isCut(from, to) ? timeline_.now() - turnedAt_.at({from, to}) : 0;
}

uint64_t Network::openFor(NodeId from, NodeId to) const {
    if (isCut(from, to)) return 0;
    const auto turned = turnedAt_.find({from, to});
    return timeline_.now() - (turned == turnedAt_.end() ? 0 : turned->second);
}

void Network::heal() {
    perfect_ = true;
    for (const auto& [way, times] : cuts_) turnedAt_[way] = timeline_.now();
    cuts_.clear();
}

// ---- clients

NodeId Network::connect(uint32_t client, NodeId member, bool accepts) {
    const NodeId id = nextConnection_++;
    connections_[id] = {client, member, 0, 0, 0};
    if (!accepts) breakConnection(id);
    return id;
}

void Network::sendToMember(NodeId id, std::span<const std::byte> frame) {
    const auto found = connections_.find(id);
    if (found == connections_.end()) return;
    Connection& connection = found->second;
    connection.toMemberAt = std::max(connection.toMemberAt, timeline_.now() + delay());
    auto bytes = std::make_shared<std::vector<std::byte>>(frame.begin(), frame.end());
    timeline_.at(connection.toMemberAt, [this, id, bytes = std::move(bytes)] {
        const auto still = connections_.find(id);
        if (still != connections_.end()) handlers_.toMember(still->second.member, id, bytes);
    });
}

bool Network::sendToClient(NodeId id, std::span<const std::byte> frame) {
    const auto found = connections_.find(id);
    if (found == connections_.end()) return false;
    Connection& connection = found->second;
    if (connection.underWay >= plan_.clientWindow) return false;
    connection.underWay++;
    timeline_.fold(hash128(frame.data(), frame.size(), id).lo);
    connection.toClientAt = std::max(connection.toClientAt, timeline_.now() + delay());
    auto bytes = std::make_shared<std::vector<std::byte>>(frame.begin(), frame.end());
    timeline_.at(connection.toClientAt, [this, id, bytes = std::move(bytes)] {
        const auto still = connections_.find(id);
        if (still == connections_.end()) return;
        still->second.underWay--;
        handlers_.toClient(still->second.client, id, bytes);
    });
    return true;
}

void Network::forget(NodeId id, bool tellMember, bool tellClient) {
    const auto found = connections_.find(id);
    if (found == connections_.end()) return;
    const Connection connection = found->second;
    connections_.erase(found);
    if (tellMember) {
        timeline_.after(delay(), [this, connection, id] {
            handlers_.closedAtMember(connection.member, id);
        });
    }
    if (tellClient) {
        timeline_.after(delay(), [this, connection, id] {
            handlers_.closedAtClient(connection.client, id);
        });
    }
}

void Network::closeByClient(NodeId connection) { forget(connection, true, false); }

void Network::closeByMember(NodeId connection) { forget(connection, false, true); }

void Network::breakConnection(NodeId connection) { forget(connection, true, true); }

void Network::endOf(NodeId member) {
    if (!perfect_ && random_.coin()) {
        const uint64_t now = timeline_.now();
        lostWith_[member] = {now - std::min(now, random_.below(3 * kMillis)), now};
    }
    std::vector<NodeId> ended;
    for (const auto& [id, connection] : connections_) {
        if (connection.member == member) ended.push_back(id);
    }
    // Some clients hear of it at once, others must find out.
    for (const NodeId id : ended) forget(id, false, random_.coin());
}

std::vector<NodeId> Network::connections() const {
    std::vector<NodeId> all;
    for (const auto& [id, connection] : connections_) all.push_back(id);
    return all;
}

}  // namespace verbex::sim
