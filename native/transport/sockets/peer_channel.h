// The set-up connection for the life of a link over shm or verbs: wakes, a goodbye, and the end.
//
// Purpose: the kernel closes it when a process dies, so it tells what memory cannot. One byte 'W'
// ends the peer's sleep, one byte 'G' says that what follows is no loss.
// Owner: HostNetwork; for tcp it only carries the stream.
// Thread safety: none; the network's thread.
// Invariants:
//   1. At most two bytes wait to be sent, however often the peer is to be woken.
//   2. Any other byte of the peer ends the connection.
// Requires: a stream whose set-up is over, before it is used.
#pragma once

#include "transport/sockets/byte_stream.h"
#include "transport/host_link.h"

namespace verbex::transport {

class PeerChannel final : public SetUpConnection {
public:
    explicit PeerChannel(ByteStream stream) : stream_(std::move(stream)) {}

    void wakePeer() noexcept override;
    void sayGoodbye() noexcept override;

    [[nodiscard]] ByteStream& stream() { return stream_; }
    [[nodiscard]] int socket() const { return stream_.socket(); }

    // Reads what the peer said, and sends what is owed to it. False: the connection has ended.
    bool advance() noexcept;
    // Bytes that were read with the last message of the set-up. False: the connection has ended.
    bool take(std::span<const std::byte> bytes) noexcept;
    // Whether the peer said goodbye.
    [[nodiscard]] bool isClean() const { return peerSaidGoodbye_; }

private:
    void send() noexcept;

    ByteStream stream_;
    bool owesWake_ = false;
    bool owesGoodbye_ = false;
    bool peerSaidGoodbye_ = false;
};

}  // namespace verbex::transport
