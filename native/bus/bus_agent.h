// The bus itself: peers, publications and subscriptions driven in rounds.
//
// Purpose: connects and reconnects, takes inbound peers, gives up silent ones, and lets every part
// do its share of a round.
// Owner: the agent that owns the network.
// Thread safety: none.
// Invariants:
//   1. Nothing is freed and no link dropped while somebody stands on it: what callbacks end is
//      marked and goes at the end of the round.
//   2. Inbound peers that are gone are forgotten beyond kInboundKept of them, the longest gone
//      first.
// Requires: callbacks do not call poll() or wait().
#pragma once

#include <memory>
#include <vector>

#include "bus/peer.h"

namespace verbex::bus {

class BusAgent final : public Bus, private transport::NetworkEvents, public Publications {
public:
    static constexpr size_t kInboundKept = 256;

    BusAgent(transport::Network& network, const BusOptions& options, BusEvents* events);
    ~BusAgent() override;

    Result<Address> listen(const Address& address) override;
    PeerId connect(const Address& address) override;
    void disconnect(PeerId peer) override;
    [[nodiscard]] std::vector<PeerView> peers() const override;
    Result<Publication*> publish(const PublicationOptions& options) override;
    Result<Subscription*> subscribe(PeerId peer, const SubscriptionOptions& options) override;
    size_t poll(Nanoseconds now) override;
    void wait(Nanoseconds now, Nanoseconds atMost) override;
    void fence(uint32_t epoch) override;
    void setEpoch(uint32_t epoch) override;
    [[nodiscard]] const BusCounters& counters() const override { return context_.counters; }
    [[nodiscard]] const transport::Link* link(PeerId peer) const override;

private:
    // Takes what arrives on links that nobody wants any more.
    struct Discard final : transport::Receiver {
        void onMessage(const transport::Message&) override {}
    };
    struct Listener {
        Address address;  // with the port that was taken
        transport::ListenId id = 0;
        bool listening = false;
    };
    struct ClosingLink {
        transport::Link* link;
        Nanoseconds until;
    };

    void onAccepted(transport::ListenId listener, transport::Link& link) override;
    void onConnected(transport::ConnectId id, transport::Link& link) override;
    void onRefused(transport::ConnectId id, const Status& why) override;
    void onOver(transport::Link& link) override;
    StreamPublication* find(std::string_view stream) override;

    Peer* peerOf(const transport::Link& link);
    Peer* peerOf(transport::ConnectId attempt);
    Peer* known(PeerId peer) const;
    Peer& inboundPeer(const std::string& name);
    Peer& newPeer();
    void up(Peer& peer, transport::Link& link);
    // The link is over, or was given up: detaches the peer and tells.
    void lost(Peer& peer, const Status& why, bool fenced = false);
    size_t pollLinks();
    void tick();
    void connectWanted();
    void relisten();
    void fenceNow(uint32_t epoch);
    void dropGivenUp();
    void freeClosed();

    transport::Network& network_;
    Context context_;
    Discard discard_;
    std::vector<std::unique_ptr<Peer>> peers_;  // by id - 1
    std::vector<std::unique_ptr<StreamPublication>> publications_;
    std::vector<std::unique_ptr<StreamSubscription>> subscriptions_;
    std::vector<Listener> listeners_;
    std::vector<ClosingLink> closing_;
    Nanoseconds tickAt_ = 0;
    Nanoseconds beatAt_ = 0;
    uint32_t fenceWanted_ = 0;  // asked for by a callback
    bool busy_ = false;         // callbacks may be running
};

}  // namespace verbex::bus
