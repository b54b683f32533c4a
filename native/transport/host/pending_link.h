// One set-up in progress: a socket, TLS if wanted, the handshake, and the link that it prepares.
//
// Purpose: carries bytes between a socket and a handshake's state machine, and does for the link
// what the state machine asks for, until the link is open or the set-up has failed.
// Owner: HostNetwork.
// Thread safety: none; the network's thread.
// Invariants:
//   1. No call waits. What a peer can make this object take before its proof is the object itself.
//   2. A link of an epoch below the floor is not made.
//   3. While the maker has the link nothing is read: what the peer says meanwhile waits.
// Requires: the options and the maker outlive it; advance() when the socket is ready, and once at the start.
#pragma once

#include <array>
#include <memory>
#include <optional>

#include "transport/host/link_maker.h"
#include "transport/sockets/event_source.h"
#include "transport/setup/handshake.h"
#include "transport/host/transport_choice.h"

namespace verbex::transport {

class PendingLink {
public:
    enum class Progress : uint8_t { Waiting, Established, Failed };

    // The listening side's, then the connecting side's, whose socket may still be connecting.
    PendingLink(const NetworkOptions& options, LinkMaker& maker,
                std::unique_ptr<PeerChannel> channel, const ListenerOptions& listener,
                const Nonce& nonce);
    PendingLink(const NetworkOptions& options, LinkMaker& maker,
                std::unique_ptr<PeerChannel> channel, ConnectorOptions connector,
                const Nonce& nonce, const Address& connectingTo);
    ~PendingLink();
    PendingLink(const PendingLink&) = delete;
    PendingLink& operator=(const PendingLink&) = delete;

    // Goes as far as the socket lets it.
    Progress advance(uint32_t epochFloor);
    // Gives up, and tells the peer if it can be told.
    void fail(RefusalCode code, std::string_view text = {});

    [[nodiscard]] bool isConnecting() const { return connector_.has_value(); }
    // Why it failed, and the code of the handshake, if it came that far.
    [[nodiscard]] const Status& failure() const { return failure_; }
    [[nodiscard]] RefusalCode refusal() const { return refusal_; }
    // The epoch that the two have agreed on, if they have.
    [[nodiscard]] bool hasAgreed() const { return hasAgreed_; }
    [[nodiscard]] uint32_t epoch() const { return epoch_; }
    // The maker has done what it was asked for: advance() goes on with it.
    [[nodiscard]] bool isMade() const {
        return step_ != nullptr && step_->isDone.load(std::memory_order_acquire);
    }
    [[nodiscard]] int socket() const { return channel_->socket(); }

    // Established: what there is now.
    [[nodiscard]] ChosenLink takeLink() { return std::move(link_); }
    [[nodiscard]] std::unique_ptr<PeerChannel> takeChannel() { return std::move(channel_); }

    EventSource source;
    uint64_t deadline = 0;
    uint64_t id = 0;  // the connection's, or the listener's

private:
    enum class Phase : uint8_t { Connecting, Securing, Shaking, Over };

    bool connectSocket();
    bool secure();
    // What the handshake asks for, without the socket.
    void serve(uint32_t epochFloor);
    void prepare(uint32_t epochFloor);
    void make(LinkStep::Kind kind, std::span<const std::byte> peerOffer);
    void onMade(LinkStep::Kind kind, const Status& status);
    // False: the socket takes no more now, or has failed.
    bool send();
    Progress finish();
    // The connection has ended in the middle.
    Progress lose(Moved moved);
    void giveUp(Status why);

    [[nodiscard]] ByteStream& stream() { return channel_->stream(); }

    // A peer that proves itself sends less than this in all.
    static constexpr size_t kReadBytes = 1024;

    const NetworkOptions& options_;
    LinkMaker& maker_;
    std::unique_ptr<PeerChannel> channel_;
    std::optional<ConnectorOptions> connector_;
    std::optional<Address> address_;
    std::unique_ptr<Handshake> handshake_;
    Phase phase_ = Phase::Securing;
    ChosenLink link_;
    std::shared_ptr<LinkStep> step_;  // the maker has the link
    std::array<std::byte, kReadBytes> bytes_;
    std::span<std::byte> unread_;  // of them
    Status failure_;
    RefusalCode refusal_ = RefusalCode::None;
    uint32_t epoch_ = 0;
    bool hasAgreed_ = false;
    bool hasHeard_ = false;  // a byte of the handshake
};

}  // namespace verbex::transport
