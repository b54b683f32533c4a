#include "transport/host_link.h"

namespace verbex::transport {
namespace {

std::string sentenceOf(TransportKind kind, WhyNot why) {
    const std::string name(transportName(kind));
    switch (why) {
        case WhyNot::NotAsked: break;
        case WhyNot::NotOfferedByConnector: return "the connecting side offers no " + name;
        case WhyNot::NotOfferedByListener: return "the listening side offers no " + name;
        case WhyNot::NotSameHost: return "for " + name + " the two are not on one host";
    }
    return "";
}

}  // namespace

LinkInfo linkInfoOf(const Session& session, bool encrypted) {
    std::string reason;
    TransportReasons reasons = session.whyNot;
    for (const TransportKind kind :
         {TransportKind::Shm, TransportKind::Verbs, TransportKind::Tcp}) {
        if (kind == session.transport) continue;
        const std::string sentence = sentenceOf(kind, reasons.of(kind));
        if (sentence.empty()) continue;
        reason += reason.empty() ? "" : ", ";
        reason += sentence;
    }
    if (reason.empty()) reason = "the best that there is";
    return {
        .transport = session.transport,
        .epoch = session.epoch,
        .payloadMax = session.payloadMax,
        .ringBytes = session.ringBytes,
        .authenticated = session.authenticated,
        .mac = session.mac,
        .encrypted = encrypted,
        .peer = session.peerName,
        .service = session.service,
        .reason = std::string(transportName(session.transport)) + ": " + reason,
    };
}

FrameSeal sealOf(const Session& session, const MacKey& key, uint32_t salt) {
    FrameSeal seal{.epoch = session.epoch, .salt = salt, .mac = {}};
    if (session.mac) seal.mac.emplace(key);
    return seal;
}

}  // namespace verbex::transport
