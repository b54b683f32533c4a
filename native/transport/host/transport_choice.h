// Which transports this process can offer, the links of each, and what a refusal means.
//
// Purpose: the one place where HostNetwork meets the kinds of links; a transport is added here.
// Owner: nobody; functions.
// Thread safety: the network's thread.
// Invariants: what is not available is never offered, so it is never chosen.
// Requires: nothing.
#pragma once

#include <memory>

#include "transport/host_link.h"
#include "transport/sockets/peer_channel.h"
#include "transport/sockets/tcp_link.h"

namespace verbex::transport {

// Bits of what works here: tcp always, the others where their surroundings are there.
uint8_t availableTransports(const NetworkOptions& options);

// Those of the available ones that the wish allows; a wish that cannot be granted says what to do.
Result<uint8_t> offeredTransports(const NetworkOptions& options, uint8_t available);

struct ChosenLink {
    std::unique_ptr<HostLink> link;
    TcpLink* tcp = nullptr;  // the same one, where it is of that kind
};

Result<ChosenLink> makeLink(const NetworkOptions& options, const Session& session,
                            bool connecting, PeerChannel& channel);

StatusCode statusCodeOf(RefusalCode code);

}  // namespace verbex::transport
