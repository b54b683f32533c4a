// MarketFeed: ITCH 5.0 over MoldUDP64 and SoupBinTCP, on an event loop.
//
// Purpose: the public view of the market, in the field's own protocols: ITCH 5.0 messages over MoldUDP64
// (multicast and unicast) with a retransmission server, over SoupBinTCP by sequence number, and a snapshot as
// GLIMPSE 5.0 gives it. docs/itch.md has the tables.
// Sources: "Nasdaq TotalView-ITCH 5.0", "MoldUDP64 1.00", "Nasdaq TotalView-ITCH GLIMPSE 5.0" (nasdaqtrader.com).
// Owner: the event loop's thread.
// Thread safety: none.
// Invariants: those of README.md; and
//   1. deliver() allocates nothing but where the open orders outgrow what is there, and makes no system call.
//   2. A datagram is at most `datagramBytes` long and holds whole messages.
//   3. Order reference numbers are given by the feed, 1, 2, 3 …, in the order in which orders are shown or
//      lose their place: the ranks within a price. An order whose shown quantity exceeds 2^32 − 1 is shown
//      as several, one behind the other.
// Requires: begin() once, then every event behind its position, in order.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "session/authenticator.h"
#include "session/event_loop.h"
#include "session/session_server.h"
#include "wire/event.h"
#include "wire/market_state.h"

namespace verbex::feed {

struct MarketFeedOptions {
    std::string sessionName;  // up to 10 letters and digits; another one for every run
    std::optional<transport::Address> stream;    // SoupBinTCP: messages by sequence number
    std::optional<transport::Address> snapshot;  // SoupBinTCP: GLIMPSE
    // MoldUDP64: where datagrams go, groups (224.0.0.0/4) and single hosts; empty: no datagrams.
    std::vector<transport::Address> datagrams;
    std::string multicastInterface;  // address of the interface; "": the system's choice
    uint8_t multicastHops = 1;
    std::optional<transport::Address> retransmission;  // UDP: MoldUDP64 requests
    uint32_t datagramBytes = 1400;      // 200 … 65,000, the MoldUDP64 header included
    uint32_t heartbeatMs = 1000;
    uint64_t historyBytes = 1ull << 30;  // of messages kept for retransmission and the stream; older ones go
    uint32_t requestsPerSecond = 1000;   // retransmission requests of one address; more are dropped
    uint32_t connectionsMax = 256;       // of each TCP port
};

struct MarketFeedCounters {
    uint64_t messages = 0;         // the sequence number of the last one
    uint64_t datagrams = 0;
    uint64_t datagramBytes = 0;
    uint64_t datagramsFailed = 0;  // the system would not take them; readers ask again
    uint64_t requests = 0;
    uint64_t requestsRefused = 0;  // malformed, another session, throttled, gone from the history
    uint64_t retransmitted = 0;    // messages
    uint64_t snapshots = 0;
    uint64_t shown = 0;            // reference numbers on the feed now
    uint64_t ordersLeftOut = 0;       // price or quantity beyond what a message can say, since the start
    uint64_t instrumentsLeftOut = 0;  // numbers above 65,535
};

class MarketFeed {
public:
    static Result<std::unique_ptr<MarketFeed>> open(session::EventLoop& loop,
                                                    const session::Authenticator& users,
                                                    const MarketFeedOptions& options);
    virtual ~MarketFeed() = default;

    virtual void begin(const MarketState& state) = 0;
    virtual void deliver(const Event& event) = 0;
    // Behind a round: datagrams, connections.
    virtual bool flush() = 0;
    virtual void tick(uint64_t nowNs) = 0;  // monotonic
    // End of session on every way; then nothing more is sent.
    virtual void end() = 0;

    [[nodiscard]] virtual std::optional<transport::Address> streamAddress() const = 0;
    [[nodiscard]] virtual std::optional<transport::Address> snapshotAddress() const = 0;
    [[nodiscard]] virtual std::optional<transport::Address> retransmissionAddress() const = 0;
    [[nodiscard]] virtual const MarketFeedCounters& counters() const = 0;
    [[nodiscard]] virtual bool busy() const = 0;
};

}  // namespace verbex::feed
