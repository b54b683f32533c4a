// AgentNetwork: a simulated network as the production code that dials members sees it.
//
//      Bridge ─▶ ClusterClient ─▶ transport::Network = AgentNetwork ─▶ connections of sim::Network ─▶ members
//
// Purpose: runs a bridge's own code in the simulator. Port N of any host is member N of the site.
// Owner: the run.
// Thread safety: none.
// Invariants:
//   1. Frames of a connection arrive in order, and those that had arrived before its end are delivered.
// Requires: the run hands on frames and ends of connections of its client number.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "sim/cluster/network.h"
#include "sim/cluster/random.h"
#include "transport/network.h"

namespace verbex::sim {

class AgentNetwork final : public transport::Network {
public:
    // `accepts(member)`: its process is there.
    AgentNetwork(sim::Network& network, uint32_t client, Random random, const ClusterPlan& plan,
                 std::function<bool(NodeId)> accepts);
    ~AgentNetwork() override;

    void onFrame(NodeId connection, const sim::Network::Frame& frame);
    void onClosed(NodeId connection);
    // No way through: what is open breaks, and nothing is set up until it is mended.
    void cut();
    void mend() { cut_ = false; }

    Result<transport::ListenId> listen(const transport::Address& address, uint32_t epoch) override;
    [[nodiscard]] transport::Address boundAddress(transport::ListenId) const override { return {}; }
    void stopListening(transport::ListenId) override {}
    transport::ConnectId connect(const transport::Address& address, const std::string& service,
                                 uint32_t epoch, transport::Nanoseconds now) override;
    void poll(transport::Nanoseconds now, transport::NetworkEvents& events) override;
    void wait(transport::Nanoseconds) override {}
    void wake() override {}
    void fence(uint32_t, const std::function<transport::Receiver&(transport::Link&)>&) override {}
    void drop(transport::Link& link) override;
    [[nodiscard]] const transport::NetworkCounters& counters() const override { return counters_; }

private:
    class AgentLink;
    struct Wanted {
        transport::ConnectId id = 0;
        NodeId member = 0;
        uint64_t at = 0;
    };

    sim::Network& network_;
    const uint32_t client_;
    Random random_;
    const ClusterPlan& plan_;
    const std::function<bool(NodeId)> accepts_;
    std::map<NodeId, std::unique_ptr<AgentLink>> links_;
    std::vector<Wanted> wanted_;
    transport::ConnectId nextId_ = 1;
    transport::NetworkCounters counters_;
    bool cut_ = false;
};

}  // namespace verbex::sim
