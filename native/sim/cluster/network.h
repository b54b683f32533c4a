// Network: frames between members, and connections of clients, with everything that happens to them.
//
// Purpose: single frames between members are lost, doubled, delayed, reordered, damaged and cut by
// direction; a client's connection keeps order and breaks whole, as TCP does.
// Owner: the run.
// Thread safety: none.
// Invariants:
//   1. What is delivered was sent, but for damaged bits in an entry's payload.
//   2. Nothing is delivered to a process that was not there when it was sent (connections), or is not
//      there now (frames).
// Requires: the handlers are set.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "replication/wires.h"
#include "sim/cluster/plan.h"
#include "sim/cluster/random.h"
#include "sim/cluster/timeline.h"

namespace verbex::sim {

using replication::NodeId;

// Stands for the control store where a cut is named.
inline constexpr NodeId kStoreNode = 999;

class Network {
public:
    using Frame = std::shared_ptr<std::vector<std::byte>>;
    struct Handlers {
        std::function<void(NodeId to, NodeId from, const Frame&)> toMember;
        std::function<void(NodeId member, NodeId connection)> closedAtMember;
        std::function<void(uint32_t client, NodeId connection, const Frame&)> toClient;
        std::function<void(uint32_t client, NodeId connection)> closedAtClient;
    };

    Network(Timeline& timeline, Random random, const ClusterPlan& plan)
        : timeline_(timeline), random_(random), plan_(plan) {}
    void handle(Handlers handlers) { handlers_ = std::move(handlers); }

    // ---- members
    bool send(NodeId from, NodeId to, std::span<const std::byte> frame);
    // What is under way to `node` for epochs up to this one is lost, where the plan's wires do that.
    void fence(NodeId node, uint64_t epoch);
    void cut(NodeId from, NodeId to);
    void mend(NodeId from, NodeId to);
    [[nodiscard]] bool isCut(NodeId from, NodeId to) const { return cuts_.contains({from, to}); }
    // For how long this way has been cut without a break, or open; 0: it is not.
    [[nodiscard]] uint64_t cutFor(NodeId from, NodeId to) const;
    [[nodiscard]] uint64_t openFor(NodeId from, NodeId to) const;
    // No cuts, no losses, from now on.
    void heal();

    // ---- clients
    NodeId connect(uint32_t client, NodeId member, bool accepts);
    void sendToMember(NodeId connection, std::span<const std::byte> frame);
    bool sendToClient(NodeId connection, std::span<const std::byte> frame);
    // One end ends it; the other hears of it later.
    void closeByClient(NodeId connection);
    void closeByMember(NodeId connection);
    void breakConnection(NodeId connection);
    // The member's process has ended: so have its connections, and perhaps what it had just sent.
    void endOf(NodeId member);
    [[nodiscard]] std::vector<NodeId> connections() const;

private:
    struct Connection {
        uint32_t client = 0;
        NodeId member = 0;
        uint64_t toMemberAt = 0;  // when the last frame arrives
        uint64_t toClientAt = 0;
        uint32_t underWay = 0;    // to the client
    };
    uint64_t delay();
    void deliverAt(uint64_t time, NodeId from, NodeId to, Frame frame);
    void forget(NodeId connection, bool tellMember, bool tellClient);

    Timeline& timeline_;
    Random random_;
    const ClusterPlan& plan_;
    Handlers handlers_;
    bool perfect_ = false;
    std::map<std::pair<NodeId, NodeId>, uint32_t> cuts_;
    std::map<std::pair<NodeId, NodeId>, uint64_t> turnedAt_;  // when it was last cut, or mended
    std::map<std::pair<NodeId, NodeId>, uint64_t> lastAt_;
    std::map<NodeId, std::vector<std::pair<uint64_t, uint64_t>>> fences_;  // (time, epoch)
    std::map<NodeId, std::pair<uint64_t, uint64_t>> lostWith_;  // sent by it from … to
    std::map<NodeId, Connection> connections_;
    NodeId nextConnection_ = replication::kFirstClient;
};

}  // namespace verbex::sim
