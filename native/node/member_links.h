// MemberLinks: a member's frames over real links: shm, verbs or tcp to peers, the same to clients.
//
//      member 1 ──dials──▶ member 2 ──dials──▶ member 3      a pair has one link; the lower id dials,
//         ▲                   ▲                                the higher one only after a while
//         └── clients, edges, bridges dial whom they like
//
// Purpose: implements replication::Wires over one network. A link between members is made for an epoch;
// fence(e) destroys all of epochs up to e, before a promise is given.
// Owner: MemberHost.
// Thread safety: the member's thread.
// Invariants:
//   1. A frame is handed on only from a link whose peer has said, at set-up, which member of this cluster
//      it is, or that it is a client, or one of whom the surroundings have said that it may.
//   2. Clients' links belong to no epoch and are not fenced.
// Requires: the network outlives it; poll() often.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "replication/member.h"
#include "replication/member_address.h"
#include "replication/wires.h"
#include "transport/network.h"

namespace verbex::node {

class MemberLinks final : public replication::Wires,
                          private transport::NetworkEvents,
                          private transport::Receiver {
public:
    struct Surroundings {
        std::function<void(replication::NodeId from, std::span<const std::byte> frame)> onFrame;
        std::function<void(replication::NodeId client)> onClosed;
        // A peer knows of a later epoch.
        std::function<void()> onStale;
        std::function<replication::Epoch()> epoch;
        // Others that may attach here, by what they ask for; numbered like clients. Empty: nobody.
        std::function<bool(replication::NodeId from, const std::string& service)> onOther;
    };

    MemberLinks(transport::Network& network, const std::string& cluster, replication::MemberId self,
                std::vector<replication::MemberAddress> peers, Surroundings with);
    ~MemberLinks();

    Status listen(const transport::Address& address);
    [[nodiscard]] transport::Address address() const { return network_.boundAddress(listener_); }

    // Set-ups, ends, and what has arrived; false: nothing had.
    bool poll(uint64_t nowNs);
    void flush();

    bool send(replication::NodeId to, std::span<const std::byte> frame) override;
    void fence(uint64_t epoch) override;
    void close(replication::NodeId client) override;

private:
    struct Tie {
        transport::Link* link = nullptr;
        bool dialled = false;  // by this side
    };
    struct Peer {
        replication::MemberAddress place;
        Tie tie;
        transport::ConnectId dialling = 0;
        uint64_t dialAt = 0;
        uint32_t vain = 0;  // dials in a row that came to nothing
    };

    void onAccepted(transport::ListenId listener, transport::Link& link) override;
    void onConnected(transport::ConnectId id, transport::Link& link) override;
    void onRefused(transport::ConnectId id, const Status& why) override;
    void onOver(transport::Link& link) override;
    void onMessage(const transport::Message& message) override;

    void dial(uint64_t nowNs);
    void tie(Peer& peer, transport::Link& link, bool dialled);
    [[nodiscard]] std::string service(replication::MemberId id) const;

    transport::Network& network_;
    const std::string cluster_;
    const replication::MemberId self_;
    const Surroundings with_;
    std::vector<Peer> peers_;
    std::map<replication::NodeId, transport::Link*> clients_;
    replication::NodeId nextClient_ = replication::kFirstClient;
    transport::ListenId listener_ = 0;
    uint64_t now_ = 0;
    replication::NodeId receiving_ = 0;  // whose messages are being delivered; 0: nobody's
};

}  // namespace verbex::node
