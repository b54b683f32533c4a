// Messages of the set-up: fields ↔ bytes.
//
// Purpose: what a message's bytes say, and whether they may be a message at all. What they mean for
// a connection is for handshake.h.
// Owner: pure functions over the caller's memory; what is decoded points into the message.
// Thread safety: pure.
// Invariants:
//   1. Nothing is allocated and nothing beyond the span is read, whatever the bytes are.
//   2. One way to write a message: decode() takes only what encode() of the same fields would give
//      (reserved bytes zero, lengths exact, names printable), so a changed byte is either refused
//      or a changed field.
// Requires: encode() with room for the longest message of its kind and fields within their bounds;
// decode() with a whole message that inspectFront() has let pass.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "transport/setup/handshake_messages.h"

namespace verbex::transport {

struct Hello {
    uint8_t transports = 0;
    bool keyed = false;
    bool macWanted = false;
    uint32_t epoch = 0;
    uint32_t ringBytes = 0;
    uint32_t payloadMax = 0;
    Nonce nonce{};
    HostId host{};
    std::string_view nodeName;
    std::string_view service;
};

struct TransportReasons {
    WhyNot tcp = WhyNot::NotAsked;
    WhyNot shm = WhyNot::NotAsked;
    WhyNot verbs = WhyNot::NotAsked;

    [[nodiscard]] WhyNot& of(TransportKind kind) {
        return kind == TransportKind::Tcp ? tcp : kind == TransportKind::Shm ? shm : verbs;
    }
    friend bool operator==(const TransportReasons&, const TransportReasons&) = default;
};

struct Challenge {
    TransportKind transport = TransportKind::Tcp;
    TransportReasons whyNot = {};
    bool keyed = false;
    bool mac = false;
    uint32_t epoch = 0;
    uint32_t ringBytes = 0;
    uint32_t payloadMax = 0;
    Nonce nonce{};
    std::string_view nodeName;
    Hmac proof{};  // the last bytes of the message; what it proves is all before it
};

struct Proof {
    Hmac proof{};
    std::span<const std::byte> offer;
    Hmac offerMac{};
};

struct Accept {
    std::span<const std::byte> offer;
    Hmac offerMac{};
};

struct Ready {
    Hmac mac{};
};

struct Refuse {
    RefusalCode code = RefusalCode::None;
    std::string_view text;
};

// What the first bytes of a stream tell of the message that begins with them.
struct MessageFront {
    enum class Verdict : uint8_t { Incomplete, Whole, Refused };

    Verdict verdict = Verdict::Incomplete;
    MessageType type{};
    size_t bytes = 0;  // of the message; 0 while its header is incomplete
    RefusalCode refusal = RefusalCode::None;
};

// Refuses as early as the bytes allow: a wrong magic at its first wrong byte, a length at the
// header. A REFUSE is let pass in any version, so that peers of different ones can say so.
[[nodiscard]] MessageFront inspectFront(std::span<const std::byte> received);

// The bytes written.
[[nodiscard]] size_t encode(const Hello& hello, std::span<std::byte> into);
[[nodiscard]] size_t encode(const Challenge& challenge, std::span<std::byte> into);
[[nodiscard]] size_t encode(const Proof& proof, std::span<std::byte> into);
[[nodiscard]] size_t encode(const Accept& accept, std::span<std::byte> into);
[[nodiscard]] size_t encode(const Ready& ready, std::span<std::byte> into);
// A text beyond its bound is cut, and what is not printable becomes '?'.
[[nodiscard]] size_t encode(const Refuse& refuse, std::span<std::byte> into);

// False: malformed.
[[nodiscard]] bool decode(std::span<const std::byte> message, Hello& hello);
[[nodiscard]] bool decode(std::span<const std::byte> message, Challenge& challenge);
[[nodiscard]] bool decode(std::span<const std::byte> message, Proof& proof);
[[nodiscard]] bool decode(std::span<const std::byte> message, Accept& accept);
[[nodiscard]] bool decode(std::span<const std::byte> message, Ready& ready);
[[nodiscard]] bool decode(std::span<const std::byte> message, Refuse& refuse);

// One to 64 characters from space to tilde; the service of a HELLO may also be empty.
[[nodiscard]] bool isName(std::string_view text);
[[nodiscard]] bool isPrintable(std::string_view text);

// Rings are powers of two, and hold at least two frames of the largest payload.
[[nodiscard]] bool areSizesSound(uint32_t ringBytes, uint32_t payloadMax);

}  // namespace verbex::transport
