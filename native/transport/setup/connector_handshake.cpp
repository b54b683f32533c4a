// The connecting side of a set-up.
#include "base/check.h"
#include "transport/setup/handshake.h"

namespace verbex::transport {

ConnectorHandshake::ConnectorHandshake(const ConnectorOptions& options, const Nonce& nonce)
    : Handshake(Role::Connector, options.node) {
    CHECK(check(options).isOk());
    remember(send(Hello{.transports = node_.transports,
                        .keyed = keys_.keyed(),
                        .macWanted = node_.macWanted,
                        .epoch = options.epoch,
                        .ringBytes = node_.ringBytes,
                        .payloadMax = node_.payloadMax,
                        .nonce = nonce,
                        .host = node_.host,
                        .nodeName = node_.name,
                        .service = options.service}));
}

void ConnectorHandshake::take(MessageType type, std::span<const std::byte> message) {
    if (type == MessageType::Challenge && !challenged_) {
        challenged_ = true;
        takeChallenge(message);
        return;
    }
    Accept accept;
    if (type != MessageType::Accept || !offerSent_ || offerTaken_ || !decode(message, accept)) {
        fail(RefusalCode::Malformed);
        return;
    }
    takePeerOffer(accept.offer, accept.offerMac);
    if (state_ != HandshakeState::Failed) state_ = HandshakeState::NeedConnect;
}

void ConnectorHandshake::takeChallenge(std::span<const std::byte> message) {
    Challenge challenge;
    if (!decode(message, challenge)) {
        fail(RefusalCode::Malformed);
        return;
    }
    // Also where somebody between the two took the flag out of HELLO: a configured key is used or
    // there is no connection.
    if (challenge.keyed != keys_.keyed()) {
        fail(RefusalCode::KeyRequired);
        return;
    }
    remember(message);
    if (!equalInConstantTime(challenge.proof,
                             keys_.proof(Role::Listener, transcriptWithoutProof()))) {
        fail(keys_.keyed() ? RefusalCode::WrongKey : RefusalCode::Malformed);
        return;
    }
    const Hello hello = rememberedHello();
    const bool kept = (bitOf(challenge.transport) & hello.transports) != 0 &&
                      challenge.epoch >= hello.epoch && (challenge.mac || !hello.macWanted) &&
                      challenge.ringBytes <= hello.ringBytes &&
                      challenge.payloadMax <= hello.payloadMax &&
                      areSizesSound(challenge.ringBytes, challenge.payloadMax);
    if (!kept) {
        fail(RefusalCode::Malformed);
        return;
    }
    keys_.startSession(transcript());
    agree(challenge, hello, challenge.nodeName);
    state_ = HandshakeState::NeedOffer;
}

void ConnectorHandshake::sendOffer(std::span<const std::byte> offer, const Hmac& mac) {
    send(Proof{
        .proof = keys_.proof(Role::Connector, transcript()), .offer = offer, .offerMac = mac});
}

}  // namespace verbex::transport
