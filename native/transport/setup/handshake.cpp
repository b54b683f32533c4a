#include "transport/setup/handshake.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/check.h"

namespace verbex::transport {
namespace {

Status invalid(std::string message) {
    return Status(StatusCode::InvalidArgument, std::move(message));
}

Status checkNode(const LocalNode& node) {
    if (!isName(node.name)) {
        return invalid("a node's name has 1 to 64 printable ASCII characters: \"" + node.name +
                       "\" has not");
    }
    if (node.transports == 0 || (node.transports & ~kAllTransports) != 0) {
        return invalid("a node offers at least one of tcp, shm and verbs, and nothing else");
    }
    if (!areSizesSound(node.ringBytes, node.payloadMax)) {
        return invalid(std::string(refusalAdvice(RefusalCode::RingSize)) + ": not a ring of " +
                       std::to_string(node.ringBytes) + " bytes with payloads up to " +
                       std::to_string(node.payloadMax));
    }
    if (node.key != nullptr && node.crypto == nullptr) {
        return invalid("a shared key needs the cryptographic library: CryptoLibrary::load()");
    }
    if (node.macWanted && node.key == nullptr) {
        return invalid("frames can carry a MAC only with a shared key: configure one");
    }
    return {};
}

}  // namespace

Status check(const ConnectorOptions& options) {
    if (!options.service.empty() && !isName(options.service)) {
        return invalid("a service's name has up to 64 printable ASCII characters: \"" +
                       options.service + "\" has not");
    }
    return checkNode(options.node);
}

Status check(const ListenerOptions& options) {
    unsigned seen = 0;
    for (const TransportKind kind : options.preference) {
        if (!std::has_single_bit(bitOf(kind)) || (bitOf(kind) & kAllTransports & ~seen) == 0) {
            return invalid("the preference names tcp, shm and verbs, each once");
        }
        seen |= bitOf(kind);
    }
    return checkNode(options.node);
}

Handshake::Handshake(Role role, const LocalNode& node)
    : node_(node), keys_(node.crypto, node.key), role_(role) {}

Handshake::~Handshake() {
    wipeBytes(session_.sendKey);
    wipeBytes(session_.receiveKey);
}

size_t Handshake::receive(std::span<const std::byte> bytes) {
    size_t taken = 0;
    while (taken < bytes.size()) {
        if (state_ == HandshakeState::Failed) return bytes.size();
        if (state_ == HandshakeState::Done) return taken;
        MessageFront front = inspectFront(std::span(input_).first(inputBytes_));
        const size_t wanted = front.bytes == 0 ? sizeof(MessageHeader) : front.bytes;
        const size_t more = std::min(wanted - inputBytes_, bytes.size() - taken);
        std::memcpy(input_.data() + inputBytes_, bytes.data() + taken, more);
        inputBytes_ = static_cast<uint16_t>(inputBytes_ + more);
        taken += more;
        front = inspectFront(std::span(input_).first(inputBytes_));
        if (front.verdict == MessageFront::Verdict::Refused) {
            fail(front.refusal);
        } else if (front.verdict == MessageFront::Verdict::Whole) {
            const auto message = std::span<const std::byte>(input_).first(front.bytes);
            inputBytes_ = 0;
            switch (front.type) {
                case MessageType::Refuse: takeRefusal(message); break;
                case MessageType::Ready: takeReady(message); break;
                default: take(front.type, message); break;
            }
        }
    }
    return taken;
}

std::span<const std::byte> Handshake::output() const {
    return std::span(output_).first(outputBytes_);
}

void Handshake::consumeOutput(size_t bytes) {
    CHECK(bytes <= outputBytes_);
    std::memmove(output_.data(), output_.data() + bytes, outputBytes_ - bytes);
    outputBytes_ = static_cast<uint16_t>(outputBytes_ - bytes);
}

template <typename Message>
std::span<const std::byte> Handshake::send(const Message& message) {
    const auto room = std::span(output_).subspan(outputBytes_);
    const size_t bytes = encode(message, room);
    outputBytes_ = static_cast<uint16_t>(outputBytes_ + bytes);
    return room.first(bytes);
}
template std::span<const std::byte> Handshake::send(const Hello&);
template std::span<const std::byte> Handshake::send(const Challenge&);
template std::span<const std::byte> Handshake::send(const Proof&);
template std::span<const std::byte> Handshake::send(const Accept&);

void Handshake::remember(std::span<const std::byte> message) {
    CHECK(message.size() <= transcript_.size() - transcriptBytes_);
    std::memcpy(transcript_.data() + transcriptBytes_, message.data(), message.size());
    transcriptBytes_ = static_cast<uint16_t>(transcriptBytes_ + message.size());
}

std::span<const std::byte> Handshake::transcript() const {
    return std::span(transcript_).first(transcriptBytes_);
}

std::span<const std::byte> Handshake::transcriptWithoutProof() const {
    return transcript().first(transcriptBytes_ - kHmacBytes);
}

Hello Handshake::rememberedHello() const {
    const MessageFront front = inspectFront(transcript());
    Hello hello;
    CHECK(front.verdict == MessageFront::Verdict::Whole && front.type == MessageType::Hello);
    CHECK(decode(transcript().first(front.bytes), hello));
    return hello;
}

void Handshake::agree(const Challenge& challenge, const Hello& hello, std::string_view peerName) {
    peerProved_ = true;
    session_ = {.epoch = challenge.epoch,
                .transport = challenge.transport,
                .whyNot = challenge.whyNot,
                .peerName = std::string(peerName),
                .service = std::string(hello.service),
                .ringBytes = challenge.ringBytes,
                .payloadMax = challenge.payloadMax,
                .authenticated = keys_.keyed(),
                .mac = challenge.mac};
    const auto keysOf = [&](Role sender) {
        return keys_.frameKeys(sender, hello.nonce, challenge.nonce, challenge.epoch);
    };
    FrameKeys send = keysOf(role_);
    FrameKeys receive = keysOf(otherRole(role_));
    session_.sendSalt = send.salt;
    session_.receiveSalt = receive.salt;
    if (session_.mac) {
        session_.sendKey = send.mac;
        session_.receiveKey = receive.mac;
    }
    wipeBytes(send.mac);
    wipeBytes(receive.mac);
}

void Handshake::takePeerOffer(std::span<const std::byte> offer, const Hmac& mac) {
    if (!equalInConstantTime(mac, keys_.offerMac(otherRole(role_), offer))) {
        fail(keys_.keyed() ? RefusalCode::NotAuthentic : RefusalCode::Malformed);
        return;
    }
    std::copy(offer.begin(), offer.end(), peerOffer_.begin());
    peerOfferBytes_ = static_cast<uint16_t>(offer.size());
    peerOfferMac_ = mac;
    offerTaken_ = true;
}

std::span<const std::byte> Handshake::peerOffer() const {
    return std::span(peerOffer_).first(peerOfferBytes_);
}

void Handshake::provideOffer(std::span<const std::byte> offer) {
    CHECK(state_ == HandshakeState::NeedOffer && offer.size() <= kOfferBytesMax);
    ownOfferMac_ = keys_.offerMac(role_, offer);
    sendOffer(offer, ownOfferMac_);
    offerSent_ = true;
    state_ = offerTaken_ ? HandshakeState::NeedConnect : HandshakeState::AwaitPeer;
}

void Handshake::connected() {
    CHECK(state_ == HandshakeState::NeedConnect);
    const bool isConnector = role_ == Role::Connector;
    send(Ready{.mac = keys_.readyMac(role_, isConnector ? ownOfferMac_ : peerOfferMac_,
                                     isConnector ? peerOfferMac_ : ownOfferMac_)});
    connected_ = true;
    state_ = HandshakeState::AwaitPeer;
    finishIfBothReady();
}

void Handshake::takeReady(std::span<const std::byte> message) {
    Ready ready;
    if (!offerSent_ || !offerTaken_ || peerReady_ || !decode(message, ready)) {
        fail(RefusalCode::Malformed);
        return;
    }
    const bool isConnector = role_ == Role::Connector;
    const Hmac expected =
        keys_.readyMac(otherRole(role_), isConnector ? ownOfferMac_ : peerOfferMac_,
                       isConnector ? peerOfferMac_ : ownOfferMac_);
    if (!equalInConstantTime(ready.mac, expected)) {
        fail(keys_.keyed() ? RefusalCode::NotAuthentic : RefusalCode::Malformed);
        return;
    }
    peerReady_ = true;
    finishIfBothReady();
}

void Handshake::finishIfBothReady() {
    if (!connected_ || !peerReady_) return;
    // A peer that has not had our READY yet has nothing more to say than that it gives up.
    if (inputBytes_ != 0) {
        fail(RefusalCode::Malformed);
        return;
    }
    state_ = HandshakeState::Done;
}

void Handshake::takeRefusal(std::span<const std::byte> message) {
    Refuse refuse;
    if (!decode(message, refuse)) {
        fail(RefusalCode::Malformed);
        return;
    }
    end(refuse.code, refuse.text, true);
}

void Handshake::fail(RefusalCode code, std::string_view text) {
    CHECK(state_ != HandshakeState::Done && code != RefusalCode::None);
    if (state_ == HandshakeState::Failed) return;
    send(Refuse{.code = code, .text = peerProved_ ? text : std::string_view()});
    end(code, text, false);
}

void Handshake::peerClosed() {
    CHECK(state_ != HandshakeState::Done);
    if (state_ == HandshakeState::Failed) return;
    end(RefusalCode::ConnectionClosed, {}, false);
}

void Handshake::end(RefusalCode code, std::string_view text, bool byPeer) {
    state_ = HandshakeState::Failed;
    refusal_ = code;
    refusedByPeer_ = byPeer;
    // The text may lie in input_ itself.
    inputBytes_ = static_cast<uint16_t>(std::min(text.size(), kRefusalTextBytesMax));
    if (inputBytes_ != 0) std::memmove(input_.data(), text.data(), inputBytes_);
}

std::string Handshake::failureText() const {
    CHECK(state_ == HandshakeState::Failed);
    std::string text = refusedByPeer_ ? "the peer refused: " : "";
    text += refusalName(refusal_);
    if (refusal_ > RefusalCode::ShuttingDown) {
        text += ' ';
        text += std::to_string(static_cast<unsigned>(refusal_));
    }
    if (inputBytes_ != 0) {
        text += ": ";
        text.append(reinterpret_cast<const char*>(input_.data()), inputBytes_);
    }
    text += "; ";
    text += refusalAdvice(refusal_);
    return text;
}

}  // namespace verbex::transport
