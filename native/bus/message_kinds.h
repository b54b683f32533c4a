// What peers say to each other about streams: the kinds of messages and their bodies.
//
// Purpose: the one place that knows how a message of the bus lies in a frame. The frame's stream is
// a handle that the subscribing side chose in its SUBSCRIBE; its position is the stream's.
// Owner: plain values.
// Thread safety: pure.
// Invariants:
//   1. Every body comes from a peer: it is copied out, its length and each field are checked before
//      anything is made of it, and nothing is read beyond it.
//   2. A body without a fixed part is empty; one byte too many is refused like one too few.
// Requires: a little-endian host (asserted in transport/frame.h).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>

#include "base/status.h"
#include "bus/bus.h"

namespace verbex::bus {

enum class MessageKind : uint8_t {
    // Publisher to subscriber.
    Data = 1,        // position: the message's; body: the payload
    Subscribed = 2,  // position: the first that will be sent; SubscribedBody
    Refused = 3,     // position: the oldest that there is; RefusedBody
    Sent = 4,     // position: the last that was sent, said at heartbeats while not all is consumed
    CutOff = 5,   // position: from here on nothing is sent any more
    Ended = 6,    // position: the stream's last one
    Unknown = 7,  // the handle means nothing here: subscribe again
    Unsubscribed = 8,  // the answer to Unsubscribe: nothing follows on this handle
    // Subscriber to publisher.
    Subscribe = 16,    // position: From::Position's; SubscribeBody
    Consumed = 17,     // position: the last that was consumed; ConsumedBody
    Unsubscribe = 18,  // position: 0
    // Both ways, on stream 0.
    Heartbeat = 32,  // HeartbeatBody
    Echo = 33,       // the same body, sent back
};

inline constexpr size_t kStreamNameMax = 64;
inline constexpr size_t kReasonMax = 200;
inline constexpr Position kPositionMax = uint64_t{1} << 62;
// What a message costs in windows and histories beside its payload, which is rounded up to it.
inline constexpr uint32_t kMessageCost = 16;

constexpr uint64_t costOf(size_t payloadBytes) {
    return (payloadBytes + 2 * kMessageCost - 1) / kMessageCost * kMessageCost;
}
static_assert(costOf(0) == 16 && costOf(1) == 32 && costOf(16) == 32 && costOf(17) == 48);

struct SubscribeBody {
    uint8_t from;        // bus::From
    uint8_t nameLength;  // 1 to 64; the stream's name follows this body
    uint16_t reserved;
    uint32_t window;  // cost of all messages under way or waiting at the subscriber, at most
};
static_assert(sizeof(SubscribeBody) == 8 && offsetof(SubscribeBody, window) == 4);

struct SubscribedBody {
    uint32_t window;      // what the publisher keeps to: at most what was asked for
    uint32_t payloadMax;  // of the publication
};
static_assert(sizeof(SubscribedBody) == 8 && offsetof(SubscribedBody, payloadMax) == 4);

struct RefusedBody {
    uint8_t code;        // StatusCode
    uint8_t textLength;  // 0 to 200; the text follows this body
    uint16_t reserved;
};
static_assert(sizeof(RefusedBody) == 4 && offsetof(RefusedBody, textLength) == 1);

struct ConsumedBody {
    uint64_t cost;  // of all messages consumed since Subscribed
};
static_assert(sizeof(ConsumedBody) == 8);

struct HeartbeatBody {
    uint64_t sentAtNs;  // by the clock of who sent the Heartbeat
};
static_assert(sizeof(HeartbeatBody) == 8);

// A fixed body of exactly this size.
template <typename Body>
std::optional<Body> decodeBody(std::span<const std::byte> bytes) {
    if (bytes.size() != sizeof(Body)) return std::nullopt;
    Body body;
    std::memcpy(&body, bytes.data(), sizeof body);
    return body;
}

constexpr bool isPrintable(std::string_view text) {
    for (const char c : text) {
        if (c < ' ' || c > '~') return false;
    }
    return true;
}

constexpr bool isStreamName(std::string_view name) {
    return !name.empty() && name.size() <= kStreamNameMax && isPrintable(name);
}

// Texts point into the bytes that were decoded.
struct SubscribeRequest {
    From from = From::Next;
    Position position = 0;
    uint32_t window = 0;
    std::string_view stream;
};

struct Refusal {
    StatusCode code = StatusCode::Refused;
    Position oldest = 0;
    std::string_view text;
};

std::optional<SubscribeRequest> decodeSubscribe(Position position,
                                                std::span<const std::byte> bytes);
std::optional<SubscribedBody> decodeSubscribed(Position position, std::span<const std::byte> bytes);
std::optional<Refusal> decodeRefused(Position position, std::span<const std::byte> bytes);

// Into `into`, which has room for any of them; what was written.
inline constexpr size_t kControlBodyMax = sizeof(RefusedBody) + kReasonMax;
using ControlBuffer = std::array<std::byte, kControlBodyMax>;

std::span<const std::byte> encodeSubscribe(const SubscribeRequest& request, ControlBuffer& into);
std::span<const std::byte> encodeRefused(const Refusal& refusal, ControlBuffer& into);

template <typename Body>
std::span<const std::byte> bytesOf(const Body& body) {
    return std::as_bytes(std::span(&body, 1));
}

}  // namespace verbex::bus
