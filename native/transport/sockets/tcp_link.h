// A link over a socket: the frames of frame.h one behind the other, without alignment or pads.
//
// Purpose: works everywhere, and carries TLS. What was accepted lies sealed in one ring and leaves
// with one system call a flush; what arrives is read into another and checked in place, since it
// is private memory already.
// Owner: HostNetwork, which also owns the stream.
// Thread safety: none; the network's thread.
// Invariants:
//   1. Nothing is allocated for a frame; both rings are taken while the set-up runs.
//   2. Without a report of epoll an idle link makes no system call, unless it is told to spin.
//   3. A frame's size is refused on its first four bytes, before room is given to it.
//   4. The goodbye is a frame too, in sequence and under the MAC: who cuts the connection cannot
//      make it look closed.
//   5. Of a connection that has ended everything that had arrived whole is delivered before the
//      link is over.
// Requires: prepare() and establish() before anything else; the stream outlives the link.
#pragma once

#include "transport/sockets/byte_stream.h"
#include "transport/frame.h"
#include "transport/host_link.h"
#include "transport/sockets/mirrored_ring.h"

namespace verbex::transport {

class TcpLink final : public HostLink {
public:
    TcpLink(const NetworkOptions& options, const Session& session, ByteStream& stream);

    Answer offer(const Message& message) noexcept override;
    void flush() noexcept override;
    size_t poll(Receiver& receiver, size_t limit) noexcept override;
    void fence(Receiver& receiver) noexcept override;
    void close() noexcept override;
    [[nodiscard]] uint64_t unconsumed() const noexcept override { return sending_.size(); }

    Status prepare(std::span<const std::byte> peerOffer) override;
    [[nodiscard]] std::span<const std::byte> ownOffer() const override { return {}; }
    Status establish(std::span<const std::byte> peerOffer) override;
    // The network waits no longer for the end of a connection that is being closed.
    void onPeerEnded(bool clean) noexcept override;
    void setAsleep(bool) noexcept override {}
    [[nodiscard]] bool hasIncoming() const noexcept override { return mayRead_ || hasMore_; }
    void progress() noexcept override;

    // Bytes that came behind the peer's last message of the set-up.
    void takeEarly(std::span<const std::byte> bytes);
    // What epoll reported.
    void onEvents(bool readable, bool writable, bool ended) noexcept;

private:
    size_t deliver(Receiver& receiver, size_t limit);
    // The frame at the front of what has arrived and is not in somebody's hands; 0: not whole yet.
    size_t frameAt(std::span<const std::byte> bytes);
    // One read; false: nothing came.
    bool receive();
    void endLost();
    void awaitEnd();
    void end(Status why);
    void refuse(FrameFault fault);
    [[nodiscard]] std::span<const std::byte> arrived() const {
        return receiving_.content().subspan(held_);
    }

    ByteStream& stream_;
    const bool spin_;
    const size_t frameMax_;
    FrameSeal sendSeal_;
    FrameSeal receiveSeal_;
    MirroredRing sending_;
    MirroredRing receiving_;
    uint64_t sendSequence_ = 0;
    uint64_t receiveSequence_ = 1;
    size_t held_ = 0;  // at the front of receiving_: delivered, perhaps still looked at
    bool mayRead_ = true;
    bool mayWrite_ = true;
    bool hasMore_ = false;       // poll left something because of its limit
    bool endReported_ = false;   // by epoll; there may still be bytes before the end
    bool streamEnded_ = false;   // the end itself was read
    bool sendBroken_ = false;
    bool peerSaidGoodbye_ = false;
    bool finished_ = false;  // our goodbye is out
};

}  // namespace verbex::transport
