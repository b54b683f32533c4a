// The messages of a connection's set-up, as they lie on the wire.
//
// Purpose: names, numbers and offsets, in one place. docs/bus-protocol.md, "Set-up", states the
// same for readers who write another implementation.
// Owner: nobody; layouts and constants.
// Thread safety: none needed.
// Invariants:
//   1. Numbers and spellings never change once released; new ones are added at the end.
//   2. Integers are little-endian, and hosts that are not are refused at compile time (hash128.h).
//   3. No message is longer than kMessageBytesMax, and each kind has a bound of its own below it,
//      which is checked on the header alone.
// Requires: nothing.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/hash128.h"
#include "transport/security/crypto_library.h"
#include "transport/transport_kind.h"

namespace verbex::transport {

// Why a transport that the listener would rather have taken was not.
enum class WhyNot : uint8_t {
    NotAsked = 0,  // it was chosen, or something preferred to it was
    NotOfferedByConnector = 1,
    NotOfferedByListener = 2,
    NotSameHost = 3,
};

// The stable code of a refusal. Numbers without a name may come from a newer peer.
enum class RefusalCode : uint16_t {
    None = 0,
    Malformed = 1,
    Version = 2,
    KeyRequired = 3,
    WrongKey = 4,
    NotAuthentic = 5,
    StaleEpoch = 6,
    NoCommonTransport = 7,
    NotSameHost = 8,
    RingSize = 9,
    UnknownService = 10,
    TooManyConnections = 11,
    TransportFailed = 12,
    TimedOut = 13,
    ConnectionClosed = 14,
    ShuttingDown = 15,
};

[[nodiscard]] std::string_view refusalName(RefusalCode code);
// What an operator can do about it.
[[nodiscard]] std::string_view refusalAdvice(RefusalCode code);

enum class MessageType : uint8_t {
    Hello = 1,
    Challenge = 2,
    Proof = 3,
    Accept = 4,
    Ready = 5,
    Refuse = 6,
};

using Nonce = std::array<std::byte, 16>;
// Equal on two processes only where they can share memory: a hash over the boot's id and the ids of
// the IPC and mount namespaces. All zero: unknown, and equal to nothing.
using HostId = std::array<std::byte, 16>;

inline constexpr std::array<char, 4> kMessageMagic = {'V', 'X', 'B', 'S'};
inline constexpr uint8_t kProtocolVersion = 1;
inline constexpr size_t kMessageBytesMax = 1024;
inline constexpr size_t kNameBytesMax = 64;
inline constexpr size_t kOfferBytesMax = 256;
inline constexpr size_t kRefusalTextBytesMax = 200;

inline constexpr uint8_t kFlagKeyed = 1;  // the sender has a key configured
inline constexpr uint8_t kFlagMac = 2;    // HELLO: frames shall carry a MAC; CHALLENGE: they do

inline constexpr uint32_t kRingBytesMin = 4096;
inline constexpr uint32_t kRingBytesMax = 1u << 30;

struct MessageHeader {
    std::array<char, 4> magic = kMessageMagic;
    uint8_t version = kProtocolVersion;
    uint8_t type = 0;
    uint16_t bodyBytes = 0;  // of what follows this header
};
static_assert(sizeof(MessageHeader) == 8);
static_assert(offsetof(MessageHeader, magic) == 0 && offsetof(MessageHeader, version) == 4);
static_assert(offsetof(MessageHeader, type) == 5 && offsetof(MessageHeader, bodyBytes) == 6);

// Followed by the node's name and the service's.
struct HelloFixed {
    MessageHeader header = {};
    uint8_t transports = 0;
    uint8_t flags = 0;
    uint16_t reserved = 0;
    uint32_t epoch = 0;
    uint32_t ringBytes = 0;
    uint32_t payloadMax = 0;
    Nonce nonce{};
    HostId host{};
    uint8_t nodeNameBytes = 0;
    uint8_t serviceBytes = 0;
    uint16_t reservedToo = 0;
};
static_assert(sizeof(HelloFixed) == 60);
static_assert(offsetof(HelloFixed, transports) == 8 && offsetof(HelloFixed, flags) == 9);
static_assert(offsetof(HelloFixed, reserved) == 10 && offsetof(HelloFixed, epoch) == 12);
static_assert(offsetof(HelloFixed, ringBytes) == 16 && offsetof(HelloFixed, payloadMax) == 20);
static_assert(offsetof(HelloFixed, nonce) == 24 && offsetof(HelloFixed, host) == 40);
static_assert(offsetof(HelloFixed, nodeNameBytes) == 56 &&
              offsetof(HelloFixed, serviceBytes) == 57);
static_assert(offsetof(HelloFixed, reservedToo) == 58);

// Followed by the node's name and the proof.
struct ChallengeFixed {
    MessageHeader header = {};
    uint8_t transport = 0;
    uint8_t flags = 0;
    uint8_t whyNotTcp = 0;
    uint8_t whyNotShm = 0;
    uint8_t whyNotVerbs = 0;
    uint8_t nodeNameBytes = 0;
    uint16_t reserved = 0;
    uint32_t epoch = 0;
    uint32_t ringBytes = 0;
    uint32_t payloadMax = 0;
    Nonce nonce{};
};
static_assert(sizeof(ChallengeFixed) == 44);
static_assert(offsetof(ChallengeFixed, transport) == 8 && offsetof(ChallengeFixed, flags) == 9);
static_assert(offsetof(ChallengeFixed, whyNotTcp) == 10 &&
              offsetof(ChallengeFixed, whyNotShm) == 11);
static_assert(offsetof(ChallengeFixed, whyNotVerbs) == 12);
static_assert(offsetof(ChallengeFixed, nodeNameBytes) == 13);
static_assert(offsetof(ChallengeFixed, reserved) == 14 && offsetof(ChallengeFixed, epoch) == 16);
static_assert(offsetof(ChallengeFixed, ringBytes) == 20);
static_assert(offsetof(ChallengeFixed, payloadMax) == 24 && offsetof(ChallengeFixed, nonce) == 28);

// Followed by the offer and its MAC.
struct ProofFixed {
    MessageHeader header = {};
    Hmac proof{};
    uint16_t offerBytes = 0;
    uint16_t reserved = 0;
};
static_assert(sizeof(ProofFixed) == 44);
static_assert(offsetof(ProofFixed, proof) == 8 && offsetof(ProofFixed, offerBytes) == 40);
static_assert(offsetof(ProofFixed, reserved) == 42);

// Followed by the offer and its MAC.
struct AcceptFixed {
    MessageHeader header = {};
    uint16_t offerBytes = 0;
    uint16_t reserved = 0;
};
static_assert(sizeof(AcceptFixed) == 12);
static_assert(offsetof(AcceptFixed, offerBytes) == 8 && offsetof(AcceptFixed, reserved) == 10);

struct ReadyFixed {
    MessageHeader header = {};
    Hmac mac{};
};
static_assert(sizeof(ReadyFixed) == 40 && offsetof(ReadyFixed, mac) == 8);

// Followed by the text.
struct RefuseFixed {
    MessageHeader header = {};
    uint16_t code = 0;
    uint8_t textBytes = 0;
    uint8_t reserved = 0;
};
static_assert(sizeof(RefuseFixed) == 12);
static_assert(offsetof(RefuseFixed, code) == 8 && offsetof(RefuseFixed, textBytes) == 10);
static_assert(offsetof(RefuseFixed, reserved) == 11);

inline constexpr size_t kHelloBytesMax = sizeof(HelloFixed) + 2 * kNameBytesMax;
inline constexpr size_t kChallengeBytesMax = sizeof(ChallengeFixed) + kNameBytesMax + kHmacBytes;
inline constexpr size_t kProofBytesMax = sizeof(ProofFixed) + kOfferBytesMax + kHmacBytes;
inline constexpr size_t kAcceptBytesMax = sizeof(AcceptFixed) + kOfferBytesMax + kHmacBytes;
inline constexpr size_t kReadyBytes = sizeof(ReadyFixed);
inline constexpr size_t kRefuseBytesMax = sizeof(RefuseFixed) + kRefusalTextBytesMax;
inline constexpr size_t kLongestMessageBytes = kProofBytesMax;
static_assert(kLongestMessageBytes <= kMessageBytesMax && kAcceptBytesMax <= kProofBytesMax);
static_assert(kHelloBytesMax <= kProofBytesMax && kChallengeBytesMax <= kProofBytesMax);
static_assert(kRefuseBytesMax <= kProofBytesMax);

}  // namespace verbex::transport
