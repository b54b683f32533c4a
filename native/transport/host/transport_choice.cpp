#include "transport/host/transport_choice.h"

#include <unistd.h>

#include "transport/verbs/verbs_library.h"

namespace verbex::transport {
namespace {

Status unavailable(std::string text) {
    return Status(StatusCode::TransportUnavailable, std::move(text));
}

}  // namespace

uint8_t availableTransports(const NetworkOptions& options) {
    uint8_t available = bitOf(TransportKind::Tcp);
    if (access("/dev/shm", R_OK | W_OK | X_OK) == 0) available |= bitOf(TransportKind::Shm);
    const bool verbsAllowed =
        options.transport == TransportWish::Auto || options.transport == TransportWish::Verbs;
    if (verbsAllowed && verbsAvailability().obstacle == VerbsObstacle::None) {
        available |= bitOf(TransportKind::Verbs);
    }
    return available;
}

Result<uint8_t> offeredTransports(const NetworkOptions& options, uint8_t available) {
    switch (options.transport) {
        case TransportWish::Auto: return available;
        case TransportWish::Tcp: return bitOf(TransportKind::Tcp);
        case TransportWish::Shm:
            if ((available & bitOf(TransportKind::Shm)) != 0) return bitOf(TransportKind::Shm);
            return unavailable(
                "shm is wanted and cannot be used here: it needs /proc and /dev/shm in this "
                "container, or choose tcp");
        case TransportWish::Verbs:
            if ((available & bitOf(TransportKind::Verbs)) != 0) return bitOf(TransportKind::Verbs);
            return unavailable("verbs is wanted and cannot be used here: " +
                               verbsAvailability().status.message());
    }
    return unavailable("a wish for a transport that does not exist");
}

Result<ChosenLink> makeLink(const NetworkOptions& options, const Session& session,
                            bool connecting, PeerChannel& channel) {
    ChosenLink chosen;
    switch (session.transport) {
        case TransportKind::Tcp: {
            auto link = std::make_unique<TcpLink>(options, session, channel.stream());
            chosen.tcp = link.get();
            chosen.link = std::move(link);
            return chosen;
        }
        case TransportKind::Shm:
            chosen.link = makeShmLink(options, session, connecting, channel);
            return chosen;
        case TransportKind::Verbs:
            chosen.link = makeVerbsLink(options, session, connecting, channel);
            return chosen;
        case TransportKind::Memory: break;
    }
    return unavailable(std::string(transportName(session.transport)) + " was not offered");
}

StatusCode statusCodeOf(RefusalCode code) {
    switch (code) {
        case RefusalCode::KeyRequired:
        case RefusalCode::WrongKey:
        case RefusalCode::NotAuthentic: return StatusCode::AuthenticationFailed;
        case RefusalCode::StaleEpoch: return StatusCode::StaleEpoch;
        case RefusalCode::TimedOut: return StatusCode::TimedOut;
        case RefusalCode::NoCommonTransport:
        case RefusalCode::NotSameHost: return StatusCode::TransportUnavailable;
        default: return StatusCode::Refused;
    }
}

}  // namespace verbex::transport
