// A link: messages both ways between two peers, from set-up until it is closed, fenced or lost.
//
// Purpose: the one interface over shm, verbs, tcp and memory. What differs between them is how bytes
// travel; order, bounds, answers and the end are the same, and test/native/transport/conformance
// holds every kind to them.
// Owner: the Network that made it; a link is valid until Network::drop.
// Thread safety: none; everything is called by the thread that owns the network.
// Invariants:
//   1. Messages accepted here arrive at the peer in order, each at most once, unchanged; all of them
//      unless the link is lost, and then a prefix of them.
//   2. offer answers at once. It never waits and never queues beyond the ring's size.
//   3. After fence() has returned nothing more is delivered, whatever the peer still writes.
//   4. A link that has failed stays failed; its failure() says why.
// Requires: offer only payloads of at most info().payloadMax bytes (more answers TooLarge).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/status.h"
#include "transport/transport_kind.h"

namespace verbex::transport {

// What travels. The transport carries stream, kind, flags and position without looking at them.
struct Message {
    uint16_t stream = 0;
    uint8_t kind = 0;
    uint8_t flags = 0;  // kFrameFlagMask of them; the others are the frame's own
    uint64_t position = 0;
    std::span<const std::byte> payload;
};

// The answer to an offer. Accepted means copied: the payload may be reused at once.
enum class Answer : uint8_t {
    Accepted,
    BackPressured,  // no room until the peer has consumed: offer again later
    Closed,         // closed here, fenced or lost: never again on this link
    TooLarge,       // more than payloadMax
};

// Takes what poll delivers. The payload is valid during the call.
class Receiver {
public:
    virtual void onMessage(const Message& message) = 0;

protected:
    ~Receiver() = default;
};

enum class LinkState : uint8_t {
    Open,
    Closing,  // closed here; what was accepted is on its way
    Closed,   // over: closed by either side, nothing left to deliver
    Fenced,   // over: cut off here, by fence()
    Failed,   // over: lost, or the peer broke the protocol; failure() says which
};

// Written by the owning thread, copied out by whoever shows them.
struct LinkCounters {
    uint64_t framesSent = 0;
    uint64_t bytesSent = 0;  // payload bytes
    uint64_t framesReceived = 0;
    uint64_t bytesReceived = 0;
    uint64_t backPressured = 0;
    uint64_t writes = 0;  // system calls, RDMA writes or, for shm and memory, frames
    uint64_t credits = 0;
    uint64_t wakesSent = 0;
    uint64_t tornReads = 0;  // looks at a frame that was not complete yet
    uint64_t badChecksum = 0;
    uint64_t badMac = 0;
    uint64_t staleEpoch = 0;
    uint64_t replayed = 0;   // a sequence that was passed or not yet due
    uint64_t oversized = 0;  // a size that no frame of this link may have
};

struct LinkInfo {
    TransportKind transport = TransportKind::Memory;
    uint32_t epoch = 0;
    uint32_t payloadMax = 0;
    uint32_t ringBytes = 0;
    bool authenticated = false;  // both sides proved that they know the key
    bool mac = false;            // every frame carries a MAC
    bool encrypted = false;      // TLS
    std::string peer;            // the peer's name, as it gave it
    std::string service;         // what the connecting side asked for
    std::string reason;          // why this transport and no better one
};

class Link {
public:
    virtual ~Link() = default;
    Link() = default;
    Link(const Link&) = delete;
    Link& operator=(const Link&) = delete;

    // Copies the message. The peer sees it at the latest after flush().
    virtual Answer offer(const Message& message) noexcept = 0;

    // Sends what was accepted, as far as the transport takes it now; call it once a batch. What it
    // does not take follows in later calls of flush or poll.
    virtual void flush() noexcept = 0;

    // Delivers at most `limit` messages; returns how many.
    virtual size_t poll(Receiver& receiver, size_t limit) noexcept = 0;

    // Cuts the peer off: its connection is destroyed first, then what has already arrived complete
    // is delivered, then the call returns and nothing is delivered any more.
    virtual void fence(Receiver& receiver) noexcept = 0;

    // Ends the link from this side. What was accepted still goes out while the network polls.
    virtual void close() noexcept = 0;

    // Bytes that were accepted and that the peer has not consumed yet, as far as known here.
    [[nodiscard]] virtual uint64_t unconsumed() const noexcept = 0;

    [[nodiscard]] LinkState state() const noexcept { return state_; }
    [[nodiscard]] bool isOver() const noexcept { return state_ >= LinkState::Closed; }
    [[nodiscard]] const Status& failure() const noexcept { return failure_; }
    [[nodiscard]] const LinkInfo& info() const noexcept { return info_; }
    [[nodiscard]] const LinkCounters& counters() const noexcept { return counters_; }

protected:
    void fail(Status why) {
        if (isOver()) return;
        failure_ = std::move(why);
        state_ = LinkState::Failed;
    }

    LinkState state_ = LinkState::Open;
    Status failure_;
    LinkInfo info_;
    LinkCounters counters_;
};

}  // namespace verbex::transport
