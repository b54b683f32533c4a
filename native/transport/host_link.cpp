#include "transport/host_link.h"

namespace verbex::transport {

LinkInfo linkInfoOf(const Session& session, bool encrypted) {
    LinkInfo info;
    info.transport = session.transport;
    info.epoch = session.epoch;
    info.payloadMax = session.payloadMax;
    info.ringBytes = session.ringBytes;
    info.authenticated = session.authenticated;
    info.mac = session.mac;
    info.encrypted = encrypted;
    info.peer = session.peerName;
    info.service = session.service;
    return info;
}

}  // namespace verbex::transport
