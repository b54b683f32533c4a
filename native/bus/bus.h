// The bus: streams of numbered messages between peers, over any network.
//
// Purpose: a publisher numbers its messages 1, 2, 3 …; every subscriber gets exactly these, in
// order, from the position it asks for, across lost links and changed transports, or is told which
// position it lost. A slow subscriber is cut off with the position to resume from; it never holds
// up the rest.
//
//     Publication ──▶ history ──▶ cursor of subscriber A ──▶ link ──▶ Subscription A
//       offer           │   └───▶ cursor of subscriber B ──▶ link ──▶ Subscription B
//                       └ what has left it comes from a Store, where there is one
//
// Owner: one agent: the thread (or the simulator's step) that owns the network, too.
// Thread safety: none.
// Invariants:
//   1. A subscription delivers positions without gap, repetition or change; where that cannot be it
//      stops and says from which position on.
//   2. The fastest subscriber alone decides whether an offer is back-pressured; who falls behind by
//      more than the history is cut off.
//   3. Memory is fixed by the options: a publication's history, a link's rings, nothing by message.
//   4. A peer that is silent for livenessNs is given up, whatever the transport believes.
// Requires: poll() at least every heartbeatNs; the network outlives the bus.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "transport/network.h"

namespace verbex::bus {

using transport::Address;
using transport::Nanoseconds;
using Position = uint64_t;

// What offer answers below zero, after Aeron's Publication; a position otherwise.
enum OfferCode : int64_t {
    kNotConnected = -1,         // nobody subscribes, and the publication does not retain
    kBackPressured = -2,        // even the fastest subscriber has a full window unread
    kAdminAction = -3,          // a hand-over is under way: offer again at once
    kClosed = -4,
    kMaxPositionExceeded = -5,  // 2^62 messages
    kTooLarge = -6,             // more than payloadMax
};

// Messages that have left the history, by position: the journal, say. Called by the agent; it must
// answer at once with what it has.
class Store {
public:
    virtual ~Store() = default;
    // The oldest position that can be read; 0: nothing is stored.
    [[nodiscard]] virtual Position oldest(const std::string& stream) const = 0;
    // Copies the message at `position` into `into`; returns its bytes, or a span of nullptr where
    // it is not there. `into` has room for payloadMax. Flags are not stored: they arrive as 0.
    virtual std::span<const std::byte> read(const std::string& stream, Position position,
                                            std::span<std::byte> into) = 0;
};

struct BusOptions {
    Nanoseconds heartbeatNs = 20'000'000;
    Nanoseconds livenessNs = 200'000'000;  // at least three heartbeats
    Nanoseconds reconnectNs = 50'000'000;  // between attempts; doubled up to twenty times as long
    uint32_t epoch = 1;
    uint32_t batchMax = 256;  // messages a link or subscriber gets before it is another's turn
};

struct PublicationOptions {
    std::string stream{};          // 1 to 64 characters
    uint32_t historyBytes = 1u << 22;  // a power of two; half of it is the subscribers' window
    uint32_t payloadMax = 1u << 16;    // with 32 more at most an eighth of the history
    Position first = 1;            // the first message's position
    bool retain = false;           // accept offers while nobody subscribes
    Store* store = nullptr;
};

enum class From : uint8_t { Next, Oldest, Position };

struct SubscriptionOptions {
    std::string stream{};  // 1 to 64 characters
    From from = From::Next;
    Position position = 0;  // From::Position
    bool resume = true;     // resubscribe by itself after the link was lost
    // What waits here while the receiver does not take it: half of it is the window that the
    // publisher keeps to. A power of two, at least eight times the publication's payloadMax + 32.
    uint32_t bufferBytes = 1u << 20;
};

using PeerId = uint32_t;

enum class SubscriptionState : uint8_t {
    Connecting,  // the peer or its publication is not there yet
    Live,
    CutOff,      // too slow: resumeFrom() says where to go on
    Refused,     // failure() says why: POSITION_LOST, NOT_FOUND (unknown stream) …
    Ended,       // the publication was closed, everything was delivered
    Closed,
};

struct StreamMessage {
    Position position;
    uint8_t flags;  // the publisher's, 6 bits
    std::span<const std::byte> payload;  // valid during the call
};

class StreamReceiver {
public:
    // False: not taken; it is delivered again at the next poll. That is how a consumer pushes back.
    virtual bool onMessage(const StreamMessage& message) = 0;

protected:
    ~StreamReceiver() = default;
};

class Publication {
public:
    virtual ~Publication() = default;
    // A position, or an OfferCode. Copies the payload.
    virtual int64_t offer(std::span<const std::byte> payload, uint8_t flags = 0) = 0;
    // The last message's; first - 1 before there is one.
    [[nodiscard]] virtual Position position() const = 0;
    // The oldest that history or store still has.
    [[nodiscard]] virtual Position oldest() const = 0;
    [[nodiscard]] virtual uint32_t subscribers() const = 0;
    // Every subscriber has consumed up to here.
    [[nodiscard]] virtual Position consumedByAll() const = 0;
    // Subscribers get the rest, then Ended. Not to be used any more after the next poll.
    virtual void close() = 0;
};

class Subscription {
public:
    virtual ~Subscription() = default;
    // What bus.poll() delivers goes to the receiver; none: messages wait in the link, and push
    // back.
    virtual void setReceiver(StreamReceiver* receiver) = 0;
    [[nodiscard]] virtual SubscriptionState state() const = 0;
    [[nodiscard]] virtual const Status& failure() const = 0;
    // The position that is due next: what a new subscription resumes from.
    [[nodiscard]] virtual Position resumeFrom() const = 0;
    // Refused with POSITION_LOST: the oldest that the publisher still has; 0 otherwise.
    [[nodiscard]] virtual Position oldest() const = 0;
    virtual void close() = 0;
};

// What a peer is, through reconnects. Inbound peers are known by the name they proved or gave.
struct PeerView {
    PeerId id = 0;
    std::string name;
    bool inbound = false;
    bool connected = false;
    transport::TransportKind transport = transport::TransportKind::Memory;
    uint32_t epoch = 0;
    std::string reason;      // why this transport
    Status failure;          // the last attempt's or link's
    Nanoseconds roundTripNs = 0;  // of the last heartbeat, 0 where none was answered
};

class BusEvents {
public:
    virtual void onPeer(const PeerView&) {}  // connected or lost: `connected` says which
    virtual void onSubscriber(const std::string&, PeerId, Position /*from*/) {}
    // A subscriber was cut off from a publication of ours.
    virtual void onCutOff(const std::string&, PeerId, Position /*resumeFrom*/) {}
    virtual void onSubscription(Subscription&) {}  // its state changed

protected:
    ~BusEvents() = default;
};

struct BusCounters {
    uint64_t published = 0;
    uint64_t publishedBytes = 0;
    uint64_t delivered = 0;
    uint64_t deliveredBytes = 0;
    uint64_t backPressured = 0;
    uint64_t notConnected = 0;
    uint64_t cutOff = 0;
    uint64_t gaps = 0;          // messages missing in what a peer sent: asked for again
    uint64_t duplicates = 0;    // messages dropped as already seen
    uint64_t resumed = 0;       // subscriptions taken up again after a lost link
    uint64_t peersLost = 0;
    uint64_t silent = 0;        // of them: given up by liveness
    uint64_t storeReads = 0;
    uint64_t malformed = 0;     // messages of the bus's own that made no sense
};

class Bus {
public:
    static std::unique_ptr<Bus> make(transport::Network& network, const BusOptions& options,
                                     BusEvents* events = nullptr);
    virtual ~Bus() = default;

    virtual Result<Address> listen(const Address& address) = 0;
    // Keeps a link to there, reconnecting until disconnect().
    virtual PeerId connect(const Address& address) = 0;
    virtual void disconnect(PeerId peer) = 0;
    [[nodiscard]] virtual std::vector<PeerView> peers() const = 0;
    // For its counters; none while the peer is not connected. Valid until the next poll.
    [[nodiscard]] virtual const transport::Link* link(PeerId peer) const = 0;

    virtual Result<Publication*> publish(const PublicationOptions& options) = 0;
    // At that peer, now or as soon as it is there. Freed by close() and the next poll.
    virtual Result<Subscription*> subscribe(PeerId peer, const SubscriptionOptions& options) = 0;

    // One round of everything; returns how much was done, 0 meaning that wait() may follow.
    virtual size_t poll(Nanoseconds now) = 0;
    // Sleeps until something arrives or the next deadline of the bus's own.
    virtual void wait(Nanoseconds now, Nanoseconds atMost) = 0;

    // Cuts off every link of epochs up to `epoch`: afterwards nothing of theirs is delivered.
    virtual void fence(uint32_t epoch) = 0;
    // For links from now on; links of earlier epochs stay until fenced.
    virtual void setEpoch(uint32_t epoch) = 0;

    [[nodiscard]] virtual const BusCounters& counters() const = 0;
};

}  // namespace verbex::bus
