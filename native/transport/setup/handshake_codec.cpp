#include "transport/setup/handshake_codec.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/check.h"

namespace verbex::transport {
namespace {

constexpr uint8_t kAllFlags = kFlagKeyed | kFlagMac;

template <typename Fixed>
Fixed load(std::span<const std::byte> message) {
    Fixed fixed;
    std::memcpy(&fixed, message.data(), sizeof(fixed));
    return fixed;
}

std::string_view textOf(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::span<const std::byte> bytesOf(std::string_view text) {
    return std::as_bytes(std::span(text.data(), text.size()));
}

// Writes one part after the other; the header's length is known when all are there.
class Composer {
public:
    Composer(std::span<std::byte> into, size_t fixedBytes) : into_(into), at_(fixedBytes) {
        CHECK(fixedBytes <= into.size());
    }

    void append(std::span<const std::byte> part) {
        CHECK(part.size() <= into_.size() - at_);
        if (!part.empty()) std::memcpy(into_.data() + at_, part.data(), part.size());
        at_ += part.size();
    }

    template <typename Fixed>
    size_t finish(Fixed fixed, MessageType type) {
        fixed.header.type = static_cast<uint8_t>(type);
        fixed.header.bodyBytes = static_cast<uint16_t>(at_ - sizeof(MessageHeader));
        std::memcpy(into_.data(), &fixed, sizeof(fixed));
        return at_;
    }

private:
    std::span<std::byte> into_;
    size_t at_;
};

Hmac macOf(std::span<const std::byte> bytes) {
    Hmac mac;
    CHECK(bytes.size() == mac.size());
    std::memcpy(mac.data(), bytes.data(), mac.size());
    return mac;
}

struct Bounds {
    size_t least;
    size_t most;
};

// {0, 0}: there is no such type.
Bounds boundsOf(MessageType type) {
    switch (type) {
        case MessageType::Hello: return {sizeof(HelloFixed) + 1, kHelloBytesMax};
        case MessageType::Challenge:
            return {sizeof(ChallengeFixed) + 1 + kHmacBytes, kChallengeBytesMax};
        case MessageType::Proof: return {sizeof(ProofFixed) + kHmacBytes, kProofBytesMax};
        case MessageType::Accept: return {sizeof(AcceptFixed) + kHmacBytes, kAcceptBytesMax};
        case MessageType::Ready: return {kReadyBytes, kReadyBytes};
        case MessageType::Refuse: return {sizeof(RefuseFixed), kRefuseBytesMax};
    }
    return {0, 0};
}

bool isTransport(uint8_t value) {
    return std::has_single_bit(value) && (value & kAllTransports) != 0;
}

bool isReason(uint8_t value) {
    return value <= static_cast<uint8_t>(WhyNot::NotSameHost);
}

// A MAC needs a key.
bool areFlagsSound(uint8_t flags) {
    return (flags & ~kAllFlags) == 0 && ((flags & kFlagMac) == 0 || (flags & kFlagKeyed) != 0);
}

uint8_t flagsOf(bool keyed, bool mac) {
    return static_cast<uint8_t>((keyed ? kFlagKeyed : 0) | (mac ? kFlagMac : 0));
}

}  // namespace

bool isPrintable(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

bool isName(std::string_view text) {
    return !text.empty() && text.size() <= kNameBytesMax && isPrintable(text);
}

bool areSizesSound(uint32_t ringBytes, uint32_t payloadMax) {
    return std::has_single_bit(ringBytes) && ringBytes >= kRingBytesMin &&
           ringBytes <= kRingBytesMax && payloadMax >= 1 && payloadMax <= ringBytes / 4;
}

MessageFront inspectFront(std::span<const std::byte> received) {
    using Verdict = MessageFront::Verdict;
    const auto refused = [](RefusalCode code) {
        return MessageFront{.verdict = Verdict::Refused, .refusal = code};
    };
    const size_t magicBytes = std::min(received.size(), kMessageMagic.size());
    if (magicBytes != 0 && std::memcmp(received.data(), kMessageMagic.data(), magicBytes) != 0) {
        return refused(RefusalCode::Malformed);
    }
    if (received.size() < sizeof(MessageHeader)) return {};
    const auto header = load<MessageHeader>(received);
    const auto type = static_cast<MessageType>(header.type);
    if (header.version != kProtocolVersion && type != MessageType::Refuse) {
        return refused(RefusalCode::Version);
    }
    const size_t bytes = sizeof(MessageHeader) + header.bodyBytes;
    const Bounds bounds = boundsOf(type);
    if (bytes < bounds.least || bytes > bounds.most) return refused(RefusalCode::Malformed);
    return {.verdict = received.size() < bytes ? Verdict::Incomplete : Verdict::Whole,
            .type = type,
            .bytes = bytes};
}

size_t encode(const Hello& hello, std::span<std::byte> into) {
    Composer composer(into, sizeof(HelloFixed));
    composer.append(bytesOf(hello.nodeName));
    composer.append(bytesOf(hello.service));
    return composer.finish(HelloFixed{.transports = hello.transports,
                                      .flags = flagsOf(hello.keyed, hello.macWanted),
                                      .epoch = hello.epoch,
                                      .ringBytes = hello.ringBytes,
                                      .payloadMax = hello.payloadMax,
                                      .nonce = hello.nonce,
                                      .host = hello.host,
                                      .nodeNameBytes = static_cast<uint8_t>(hello.nodeName.size()),
                                      .serviceBytes = static_cast<uint8_t>(hello.service.size())},
                           MessageType::Hello);
}

bool decode(std::span<const std::byte> message, Hello& hello) {
    const auto fixed = load<HelloFixed>(message);
    const auto names = message.subspan(sizeof(fixed));
    const size_t nameBytes = fixed.nodeNameBytes;
    if (names.size() != nameBytes + fixed.serviceBytes) return false;
    hello = {.transports = fixed.transports,
             .keyed = (fixed.flags & kFlagKeyed) != 0,
             .macWanted = (fixed.flags & kFlagMac) != 0,
             .epoch = fixed.epoch,
             .ringBytes = fixed.ringBytes,
             .payloadMax = fixed.payloadMax,
             .nonce = fixed.nonce,
             .host = fixed.host,
             .nodeName = textOf(names.first(nameBytes)),
             .service = textOf(names.subspan(nameBytes))};
    return areFlagsSound(fixed.flags) && (fixed.transports & ~kAllTransports) == 0 &&
           fixed.reserved == 0 && fixed.reservedToo == 0 && isName(hello.nodeName) &&
           (hello.service.empty() || isName(hello.service));
}

size_t encode(const Challenge& challenge, std::span<std::byte> into) {
    Composer composer(into, sizeof(ChallengeFixed));
    composer.append(bytesOf(challenge.nodeName));
    composer.append(challenge.proof);
    return composer.finish(
        ChallengeFixed{.transport = bitOf(challenge.transport),
                       .flags = flagsOf(challenge.keyed, challenge.mac),
                       .whyNotTcp = static_cast<uint8_t>(challenge.whyNot.tcp),
                       .whyNotShm = static_cast<uint8_t>(challenge.whyNot.shm),
                       .whyNotVerbs = static_cast<uint8_t>(challenge.whyNot.verbs),
                       .nodeNameBytes = static_cast<uint8_t>(challenge.nodeName.size()),
                       .epoch = challenge.epoch,
                       .ringBytes = challenge.ringBytes,
                       .payloadMax = challenge.payloadMax,
                       .nonce = challenge.nonce},
        MessageType::Challenge);
}

bool decode(std::span<const std::byte> message, Challenge& challenge) {
    const auto fixed = load<ChallengeFixed>(message);
    const auto rest = message.subspan(sizeof(fixed));
    if (rest.size() != fixed.nodeNameBytes + kHmacBytes) return false;
    if (!isTransport(fixed.transport) || !areFlagsSound(fixed.flags) || fixed.reserved != 0 ||
        !isReason(fixed.whyNotTcp) || !isReason(fixed.whyNotShm) || !isReason(fixed.whyNotVerbs)) {
        return false;
    }
    challenge = {.transport = static_cast<TransportKind>(fixed.transport),
                 .whyNot = {.tcp = static_cast<WhyNot>(fixed.whyNotTcp),
                            .shm = static_cast<WhyNot>(fixed.whyNotShm),
                            .verbs = static_cast<WhyNot>(fixed.whyNotVerbs)},
                 .keyed = (fixed.flags & kFlagKeyed) != 0,
                 .mac = (fixed.flags & kFlagMac) != 0,
                 .epoch = fixed.epoch,
                 .ringBytes = fixed.ringBytes,
                 .payloadMax = fixed.payloadMax,
                 .nonce = fixed.nonce,
                 .nodeName = textOf(rest.first(fixed.nodeNameBytes)),
                 .proof = macOf(rest.last(kHmacBytes))};
    return isName(challenge.nodeName);
}

size_t encode(const Proof& proof, std::span<std::byte> into) {
    Composer composer(into, sizeof(ProofFixed));
    composer.append(proof.offer);
    composer.append(proof.offerMac);
    return composer.finish(
        ProofFixed{.proof = proof.proof, .offerBytes = static_cast<uint16_t>(proof.offer.size())},
        MessageType::Proof);
}

bool decode(std::span<const std::byte> message, Proof& proof) {
    const auto fixed = load<ProofFixed>(message);
    const auto rest = message.subspan(sizeof(fixed));
    if (rest.size() != fixed.offerBytes + kHmacBytes || fixed.reserved != 0) return false;
    proof = {.proof = fixed.proof,
             .offer = rest.first(fixed.offerBytes),
             .offerMac = macOf(rest.last(kHmacBytes))};
    return true;
}

size_t encode(const Accept& accept, std::span<std::byte> into) {
    Composer composer(into, sizeof(AcceptFixed));
    composer.append(accept.offer);
    composer.append(accept.offerMac);
    return composer.finish(AcceptFixed{.offerBytes = static_cast<uint16_t>(accept.offer.size())},
                           MessageType::Accept);
}

bool decode(std::span<const std::byte> message, Accept& accept) {
    const auto fixed = load<AcceptFixed>(message);
    const auto rest = message.subspan(sizeof(fixed));
    if (rest.size() != fixed.offerBytes + kHmacBytes || fixed.reserved != 0) return false;
    accept = {.offer = rest.first(fixed.offerBytes), .offerMac = macOf(rest.last(kHmacBytes))};
    return true;
}

size_t encode(const Ready& ready, std::span<std::byte> into) {
    return Composer(into, sizeof(ReadyFixed))
        .finish(ReadyFixed{.mac = ready.mac}, MessageType::Ready);
}

bool decode(std::span<const std::byte> message, Ready& ready) {
    ready.mac = load<ReadyFixed>(message).mac;
    return true;
}

size_t encode(const Refuse& refuse, std::span<std::byte> into) {
    char text[kRefusalTextBytesMax];
    const std::string_view cut = refuse.text.substr(0, sizeof(text));
    std::replace_copy_if(
        cut.begin(), cut.end(), text, [](char c) { return c < ' ' || c > '~'; }, '?');
    Composer composer(into, sizeof(RefuseFixed));
    composer.append(bytesOf({text, cut.size()}));
    return composer.finish(RefuseFixed{.code = static_cast<uint16_t>(refuse.code),
                                       .textBytes = static_cast<uint8_t>(cut.size())},
                           MessageType::Refuse);
}

bool decode(std::span<const std::byte> message, Refuse& refuse) {
    const auto fixed = load<RefuseFixed>(message);
    const auto rest = message.subspan(sizeof(fixed));
    refuse = {.code = static_cast<RefusalCode>(fixed.code), .text = textOf(rest)};
    return rest.size() == fixed.textBytes && fixed.reserved == 0 &&
           refuse.code != RefusalCode::None && isPrintable(refuse.text);
}

std::string_view refusalName(RefusalCode code) {
    switch (code) {
        case RefusalCode::None: return "NONE";
        case RefusalCode::Malformed: return "MALFORMED";
        case RefusalCode::Version: return "VERSION";
        case RefusalCode::KeyRequired: return "KEY_REQUIRED";
        case RefusalCode::WrongKey: return "WRONG_KEY";
        case RefusalCode::NotAuthentic: return "NOT_AUTHENTIC";
        case RefusalCode::StaleEpoch: return "STALE_EPOCH";
        case RefusalCode::NoCommonTransport: return "NO_COMMON_TRANSPORT";
        case RefusalCode::NotSameHost: return "NOT_SAME_HOST";
        case RefusalCode::RingSize: return "RING_SIZE";
        case RefusalCode::UnknownService: return "UNKNOWN_SERVICE";
        case RefusalCode::TooManyConnections: return "TOO_MANY_CONNECTIONS";
        case RefusalCode::TransportFailed: return "TRANSPORT_FAILED";
        case RefusalCode::TimedOut: return "TIMED_OUT";
        case RefusalCode::ConnectionClosed: return "CONNECTION_CLOSED";
        case RefusalCode::ShuttingDown: return "SHUTTING_DOWN";
    }
    return "UNKNOWN_REFUSAL";
}

std::string_view refusalAdvice(RefusalCode code) {
    switch (code) {
        case RefusalCode::None: return "";
        case RefusalCode::Malformed:
            return "what came is no set-up of this protocol: check the address and the port, and "
                   "whether one side speaks TLS";
        case RefusalCode::Version:
            return "the two sides speak different versions of the protocol: upgrade the older one";
        case RefusalCode::KeyRequired:
            return "one side has a shared key configured and the other has none: give both the "
                   "same";
        case RefusalCode::WrongKey:
            return "the two sides have different shared keys: give both the same";
        case RefusalCode::NotAuthentic:
            return "a message was changed on its way: look for who is between the two";
        case RefusalCode::StaleEpoch:
            return "the connecting side is of an epoch that has ended: it must learn the current "
                   "one first";
        case RefusalCode::NoCommonTransport:
            return "the two sides have no transport in common: allow tcp, or start both with the "
                   "wanted one";
        case RefusalCode::NotSameHost:
            return "shm needs both processes on one host and in the same IPC and mount "
                   "namespaces: use verbs or tcp";
        case RefusalCode::RingSize:
            return "a ring is a power of two from 4 KiB to 1 GiB, and the largest payload at most "
                   "a quarter of it";
        case RefusalCode::UnknownService:
            return "the listener offers no service of this name: check the name";
        case RefusalCode::TooManyConnections:
            return "the listener takes no more connections: raise its limit or close some";
        case RefusalCode::TransportFailed:
            return "the chosen transport could not be connected: see the text beside, or choose "
                   "another one";
        case RefusalCode::TimedOut:
            return "the set-up was not over in time: check the network between the two and their "
                   "load";
        case RefusalCode::ConnectionClosed:
            return "the connection was closed during the set-up: see the other side's log";
        case RefusalCode::ShuttingDown: return "the other side is shutting down: try again later";
    }
    return "a code of a newer version: see the other side's log";
}

}  // namespace verbex::transport
