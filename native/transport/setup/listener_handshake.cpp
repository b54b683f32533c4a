// The listening side of a set-up, and how it chooses a transport.
#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "transport/setup/handshake.h"

namespace verbex::transport {
namespace {

bool areOnOneHost(const HostId& left, const HostId& right) {
    return left == right && left != HostId{};
}

}  // namespace

TransportChoice chooseTransport(const ListenerOptions& options, const Hello& hello) {
    TransportChoice choice;
    const bool oneHost = areOnOneHost(options.node.host, hello.host);
    for (const TransportKind kind : options.preference) {
        WhyNot& whyNot = choice.whyNot.of(kind);
        if ((options.node.transports & bitOf(kind)) == 0) {
            whyNot = WhyNot::NotOfferedByListener;
        } else if ((hello.transports & bitOf(kind)) == 0) {
            whyNot = WhyNot::NotOfferedByConnector;
        } else if (kind == TransportKind::Shm && !oneHost) {
            whyNot = WhyNot::NotSameHost;
        } else {
            choice.transport = bitOf(kind);
            return choice;
        }
    }
    choice.refusal = choice.whyNot.shm == WhyNot::NotSameHost ? RefusalCode::NotSameHost
                                                              : RefusalCode::NoCommonTransport;
    return choice;
}

ListenerHandshake::ListenerHandshake(const ListenerOptions& options, const Nonce& nonce)
    : Handshake(Role::Listener, options.node), options_(options), nonce_(nonce) {
    CHECK(check(options).isOk());
}

void ListenerHandshake::take(MessageType type, std::span<const std::byte> message) {
    if (type == MessageType::Hello && !greeted_) {
        greeted_ = true;
        takeHello(message);
    } else if (type == MessageType::Proof && greeted_ && !peerProved_) {
        takeProof(message);
    } else {
        fail(RefusalCode::Malformed);
    }
}

void ListenerHandshake::takeHello(std::span<const std::byte> message) {
    Hello hello;
    if (!decode(message, hello)) {
        fail(RefusalCode::Malformed);
        return;
    }
    if (hello.keyed != keys_.keyed()) {
        fail(RefusalCode::KeyRequired);
        return;
    }
    if (!areSizesSound(hello.ringBytes, hello.payloadMax)) {
        fail(RefusalCode::RingSize);
        return;
    }
    const TransportChoice choice = chooseTransport(options_, hello);
    if (choice.transport == 0) {
        fail(choice.refusal);
        return;
    }
    remember(message);
    Challenge challenge{.transport = static_cast<TransportKind>(choice.transport),
                        .whyNot = choice.whyNot,
                        .keyed = keys_.keyed(),
                        .mac = node_.macWanted || hello.macWanted,
                        .epoch = std::max(hello.epoch, options_.epoch),
                        .ringBytes = std::min(hello.ringBytes, node_.ringBytes),
                        .payloadMax = std::min(hello.payloadMax, node_.payloadMax),
                        .nonce = nonce_,
                        .nodeName = node_.name};
    // The proof is over the bytes before it, so they are written first.
    std::array<std::byte, kChallengeBytesMax> bytes;
    const auto draft = std::span(bytes).first(encode(challenge, bytes));
    std::array<std::byte, kHelloBytesMax + kChallengeBytesMax> proved;
    const auto end = std::copy(message.begin(), message.end(), proved.begin());
    std::copy(draft.begin(), draft.end() - kHmacBytes, end);
    challenge.proof = keys_.proof(
        Role::Listener, std::span(proved).first(message.size() + draft.size() - kHmacBytes));
    remember(send(challenge));
}

void ListenerHandshake::takeProof(std::span<const std::byte> message) {
    Proof proof;
    if (!decode(message, proof)) {
        fail(RefusalCode::Malformed);
        return;
    }
    if (!equalInConstantTime(proof.proof, keys_.proof(Role::Connector, transcript()))) {
        fail(keys_.keyed() ? RefusalCode::WrongKey : RefusalCode::Malformed);
        return;
    }
    keys_.startSession(transcript());
    const Hello hello = rememberedHello();
    Challenge challenge;
    CHECK(decode(transcript().subspan(inspectFront(transcript()).bytes), challenge));
    agree(challenge, hello, hello.nodeName);
    takePeerOffer(proof.offer, proof.offerMac);
    if (state_ == HandshakeState::Failed) return;
    if (hello.epoch < options_.epochFloor) {
        fail(RefusalCode::StaleEpoch, "epoch " + std::to_string(hello.epoch) +
                                          " has ended, the earliest that is taken is " +
                                          std::to_string(options_.epochFloor));
        return;
    }
    if (options_.admit) {
        const Admission admission = options_.admit({.nodeName = hello.nodeName,
                                                    .service = hello.service,
                                                    .epoch = hello.epoch,
                                                    .transport = challenge.transport,
                                                    .authenticated = keys_.keyed()});
        if (admission.refusal != RefusalCode::None) {
            fail(admission.refusal, admission.text);
            return;
        }
    }
    state_ = HandshakeState::NeedOffer;
}

void ListenerHandshake::sendOffer(std::span<const std::byte> offer, const Hmac& mac) {
    send(Accept{.offer = offer, .offerMac = mac});
}

}  // namespace verbex::transport
