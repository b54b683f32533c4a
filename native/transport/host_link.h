// A link between two processes of real hosts, as HostNetwork drives it.
//
// Purpose: what HostNetwork needs beside offer and poll: preparing while the handshake runs, sleeping
// and waking, and the end of the peer, which the set-up connection tells: it stays open for the
// link's life, since the kernel closes it when a process dies.
// Owner: HostNetwork.
// Thread safety: none; the network's thread.
// Invariants:
//   1. prepare() allocates and registers; nothing is shared with a peer that has not proved itself.
//   2. After onPeerEnded() the link delivers what lies complete in its ring, then it is over: Closed
//      where the peer said goodbye, Failed with PEER_LOST where it did not.
// Requires: prepare, then establish, before anything else.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "transport/frame.h"
#include "transport/setup/handshake.h"
#include "transport/link.h"
#include "transport/network.h"

namespace verbex::transport {

// The set-up connection as links see it: one byte wakes the peer's epoll, another says goodbye.
class SetUpConnection {
public:
    virtual void wakePeer() noexcept = 0;
    virtual void sayGoodbye() noexcept = 0;

protected:
    ~SetUpConnection() = default;
};

class HostLink : public Link {
public:
    // Takes memory and adapter. The listening side is given the connector's offer, the connecting
    // side nothing.
    virtual Status prepare(std::span<const std::byte> peerOffer) = 0;
    // What the peer needs to know, after prepare(); at most kOfferBytesMax.
    [[nodiscard]] virtual std::span<const std::byte> ownOffer() const = 0;
    // Connects to what the peer offered; then the link is open.
    virtual Status establish(std::span<const std::byte> peerOffer) = 0;

    // The set-up connection has ended; clean: the peer said goodbye before.
    virtual void onPeerEnded(bool clean) noexcept = 0;
    // The agent is about to sleep (true) or has woken: the peer is told that it must wake us, or
    // need not any more. Look at hasIncoming() after saying so and before sleeping.
    virtual void setAsleep(bool asleep) noexcept = 0;
    [[nodiscard]] virtual bool hasIncoming() const noexcept = 0;
    // A descriptor that becomes readable when the peer wakes us; -1: the set-up connection does.
    [[nodiscard]] virtual int wakeDescriptor() const noexcept { return -1; }
    // The wake descriptor was readable.
    virtual void onWoken() noexcept {}
    // Goes on with closing: what was accepted leaves. Called at every poll of the network.
    virtual void progress() noexcept = 0;
};

// For a link that the session has chosen; `connection` outlives it.
std::unique_ptr<HostLink> makeShmLink(const NetworkOptions& options, const Session& session,
                                      bool connecting, SetUpConnection& connection);
std::unique_ptr<HostLink> makeVerbsLink(const NetworkOptions& options, const Session& session,
                                        bool connecting, SetUpConnection& connection);

// Fills LinkInfo from what the handshake agreed on.
LinkInfo linkInfoOf(const Session& session, bool encrypted);

// What one direction's frames are sealed with.
FrameSeal sealOf(const Session& session, const MacKey& key, uint32_t salt);

}  // namespace verbex::transport
