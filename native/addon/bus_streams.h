// The two ends of a stream between JavaScript and the bus's agent.
//
// Purpose: offers are answered on JavaScript's thread, at once, without a word to the agent: the
// position is given out here, and what the agent knows of subscribers is read from shared words.
// Owner: shared by the JS object and the agent; each member says who writes it.
// Thread safety: as the members say.
// Invariants:
//   1. Positions follow each other without a gap, and are those that the publication gives: only
//      what the ring took gets one.
//   2. Whoever waits has said so (wanted) and looked once more before it waits, so that no news is
//      lost; the agent takes the wish back when it tells.
// Requires: bus/bus.h.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>

#include "addon/byte_ring.h"
#include "bus/bus.h"

namespace verbex::addon {

using bus::Position;

inline constexpr Position kPositionMax = Position{1} << 62;

// JavaScript to publication.
class Outbound {
public:
    Outbound(size_t ringBytes, const bus::PublicationOptions& options)
        : ring(ringBytes),
          payloadMax(options.payloadMax),
          retain(options.retain),
          next(options.first) {}

    // JS thread. A position, or a bus::OfferCode.
    int64_t offer(std::span<const std::byte> payload) {
        if (closed.load(std::memory_order_acquire)) return bus::kClosed;
        if (payload.size() > payloadMax) return bus::kTooLarge;
        if (!retain && subscribers.load(std::memory_order_acquire) == 0) {
            return bus::kNotConnected;
        }
        if (next >= kPositionMax) return bus::kMaxPositionExceeded;
        if (!ring.write(next, payload)) return bus::kBackPressured;
        return static_cast<int64_t>(next++);
    }

    ByteRing ring;
    const uint32_t payloadMax;
    const bool retain;
    Position next;  // JS thread

    // Written by the agent.
    std::atomic<bool> closed{false};
    std::atomic<uint32_t> subscribers{0};
    std::atomic<Position> sent{0};
    std::atomic<Position> oldest{0};
    std::atomic<Position> consumedByAll{0};
    // JavaScript waits: for room, for a subscriber, or for what it sent to be consumed.
    std::atomic<bool> wanted{false};

    bool blocked = false;                     // agent: the publication takes nothing more now
    bus::Publication* publication = nullptr;  // null once it was closed
};

// Subscription to JavaScript.
class Inbound final : public bus::StreamReceiver {
public:
    Inbound(size_t ringBytes, bus::PeerId from, bus::SubscriptionOptions wanted, bool waits)
        : ring(ringBytes), peer(from), options(std::move(wanted)), waitsForStream(waits) {}

    // Agent.
    bool onMessage(const bus::StreamMessage& message) override {
        if (!ring.write(message.position, message.payload)) return false;
        arrived = true;
        return true;
    }

    ByteRing ring;
    std::atomic<bool> wanted{false};  // JavaScript waits for messages or for another state

    const bus::PeerId peer;
    const bus::SubscriptionOptions options;
    const bool waitsForStream;  // ask again while the peer does not publish it

    bus::Subscription* subscription =
        nullptr;                       // agent; null once it was closed, and between asking
    transport::Nanoseconds askAt = 0;  // agent: again; 0: it has been asked
    bool arrived = false;              // agent: since it last told

    // Written by the agent when the state changes, after everything that it delivered before.
    std::mutex mutex;
    bus::SubscriptionState state = bus::SubscriptionState::Connecting;
    Position resumeFrom = 0;
    Position oldest = 0;  // where the asked position is lost
    Status failure;
};

}  // namespace verbex::addon
