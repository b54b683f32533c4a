// What a HostNetwork keeps of a listener and of a link that is up.
//
// Purpose: shared by the files of host_network and by nobody else.
// Owner: HostNetwork.
// Thread safety: none; the network's thread.
// Invariants: an entry's link goes before its channel, which it uses; where the maker frees the
// link, it does so without the channel.
// Requires: nothing.
#pragma once

#include "transport/host/host_network.h"

namespace verbex::transport {

struct HostNetwork::Listener {
    ListenId id = 0;
    Descriptor socket;
    Address bound;
    ListenerOptions options;
    EventSource source{.kind = SourceKind::Listener, .owner = this};
};

struct HostNetwork::Established {
    std::unique_ptr<PeerChannel> channel;
    std::unique_ptr<HostLink> link;  // null: dropped, the entry goes at the next poll's end
    TcpLink* tcp = nullptr;
    bool isReported = false;
    int wakeDescriptor = -1;  // the link's, watched
    EventSource source{.kind = SourceKind::Link, .owner = this};
    EventSource wakeSource{.kind = SourceKind::LinkWake, .owner = this};

    // While the link is being closed: since when, and when something last left it.
    Nanoseconds closingSince = 0;
    Nanoseconds progressedAt = 0;
    uint64_t unconsumed = 0;
};

// A descriptor that can be given up to turn away a connection where there are no others.
Status takeSpare(Descriptor& into);

}  // namespace verbex::transport
