// Addresses as text and as the system's, and the sockets made from them.
//
// Purpose: what network.h calls an Address becomes a listening or connecting socket; everything
// that can go wrong with an address is said here.
// Owner: the caller, of what is returned.
// Thread safety: pure, apart from the sockets.
// Invariants:
//   1. A numeric address never asks a name server. A name does, and the answer is waited for: who
//      must not wait configures addresses.
//   2. Every socket is non-blocking and closed on exec; a connected one sends without delay.
// Requires: nothing.
#pragma once

#include <sys/socket.h>

#include "base/status.h"
#include "transport/sockets/descriptor.h"
#include "transport/network.h"

namespace verbex::transport {

struct SocketAddress {
    sockaddr_storage storage{};
    socklen_t bytes = 0;

    [[nodiscard]] const sockaddr* get() const {
        return reinterpret_cast<const sockaddr*>(&storage);
    }
};

Result<SocketAddress> resolve(const Address& address);

// What a socket is bound to.
Result<Address> boundAddressOf(int socket);

Result<Descriptor> listenOn(const Address& address);

// The connection may still be under way: the socket becomes writable, then connectFailure() knows.
Result<Descriptor> connectTo(const Address& address);
Status connectFailure(int socket, const Address& address);

// For a connection that was taken or made: small messages leave at once.
void sendWithoutDelay(int socket);

}  // namespace verbex::transport
