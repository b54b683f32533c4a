#include "sim/cluster/agent_network.h"

namespace verbex::sim {

using transport::Answer;
using transport::LinkState;
using transport::Message;

class AgentNetwork::AgentLink final : public transport::Link {
public:
    AgentLink(AgentNetwork& owner, NodeId connection) : connection(connection), owner_(owner) {}

    Answer offer(const Message& message) noexcept override {
        if (isEnding) return Answer::Closed;
        if (owner_.random_.chance(owner_.plan_.noRoomRate)) return Answer::BackPressured;
        owner_.network_.sendToMember(connection, message.payload);
        return Answer::Accepted;
    }
    void flush() noexcept override {}
    size_t poll(transport::Receiver& receiver, size_t limit) noexcept override {
        size_t count = 0;
        for (; count < limit && !frames.empty(); count++) {
            const sim::Network::Frame frame = std::move(frames.front());
            frames.pop_front();
            Message message;
            message.kind = replication::kFrameMessage;
            message.payload = *frame;
            receiver.onMessage(message);
        }
        return count;
    }
    void fence(transport::Receiver&) noexcept override { close(); }
    void close() noexcept override {
        if (!isEnding) owner_.network_.closeByClient(connection);
        isEnding = true;
        frames.clear();
    }
    [[nodiscard]] uint64_t unconsumed() const noexcept override { return 0; }

    // Over, once what had arrived is delivered; true: only now.
    bool endNow() {
        if (!isEnding || !frames.empty() || isOver()) return false;
        state_ = LinkState::Closed;
        return true;
    }

    const NodeId connection;
    std::deque<sim::Network::Frame> frames;
    bool isEnding = false;

private:
    AgentNetwork& owner_;
};

AgentNetwork::AgentNetwork(sim::Network& network, uint32_t client, Random random,
                           const ClusterPlan& plan, std::function<bool(NodeId)> accepts)
    : network_(network), client_(client), random_(random), plan_(plan),
      accepts_(std::move(accepts)) {}

AgentNetwork::~AgentNetwork() {
    for (const auto& [connection, link] : links_) link->close();
}

void AgentNetwork::onFrame(NodeId connection, const sim::Network::Frame& frame) {
    const auto found = links_.find(connection);
    if (found != links_.end() && !found->second->isEnding) found->second->frames.push_back(frame);
}

void AgentNetwork::onClosed(NodeId connection) {
    const auto found = links_.find(connection);
    if (found != links_.end()) found->second->isEnding = true;
}

void AgentNetwork::cut() {
    cut_ = true;
    for (const auto& [connection, link] : links_) link->close();
}

Result<transport::ListenId> AgentNetwork::listen(const transport::Address&, uint32_t) {
    return Status(StatusCode::Refused, "an agent only dials");
}

transport::ConnectId AgentNetwork::connect(const transport::Address& address, const std::string&,
                                           uint32_t, transport::Nanoseconds now) {
    const transport::ConnectId id = nextId_++;
    wanted_.push_back({id, address.port, now + random_.below(3 * kMillis)});
    return id;
}

void AgentNetwork::poll(transport::Nanoseconds now, transport::NetworkEvents& events) {
    std::vector<Wanted> due;
    std::erase_if(wanted_, [&](const Wanted& wanted) {
        if (wanted.at > now) return false;
        due.push_back(wanted);
        return true;
    });
    for (const Wanted& wanted : due) {
        if (cut_ || !accepts_(wanted.member)) {
            events.onRefused(wanted.id, Status(StatusCode::Refused, "nobody is there"));
            continue;
        }
        const NodeId connection = network_.connect(client_, wanted.member, true);
        auto& link = links_[connection];
        link = std::make_unique<AgentLink>(*this, connection);
        events.onConnected(wanted.id, *link);
    }
    std::vector<AgentLink*> over;
    for (const auto& [connection, link] : links_) {
        if (link->endNow()) over.push_back(link.get());
    }
    for (AgentLink* link : over) events.onOver(*link);
}

void AgentNetwork::drop(transport::Link& link) {
    for (auto at = links_.begin(); at != links_.end(); ++at) {
        if (at->second.get() != &link) continue;
        at->second->close();
        links_.erase(at);
        return;
    }
}

}  // namespace verbex::sim
