// GatewayHost: the thread on which the gateways and the feed run, beside the engine.
//
//     event ring ──▶ EventRouter ──▶ OrderGateway, ClearingGateway, MarketFeed ──▶ sockets
//     command ring ◀── CommandPort ◀── OrderGateway, ClearingGateway ◀──────────── sockets
//
// Purpose: one epoll thread for all client connections of a node; brings the gateways' store in step with the
// journal at start, reads the event ring as its second reader, and ends with the node.
// Owner: Node.
// Thread safety: stats() and addresses() from any thread; the rest from the node's owner.
// Invariants:
//   1. Ports open only once the store is in step with the journal: a client that logs in sees everything.
//   2. A client message is entered in the order in which it was read from its connection.
//   3. The thread takes as many events as there are before it reads sockets again, so the engine never waits
//      for a client.
//   4. Nothing here reads the core; the state at start is a copy, questions go through the engine.
// Requires: the node's engine outlives it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "feed/market_feed.h"
#include "gateway/clearing/clearing_gateway.h"
#include "gateway/ouch/order_gateway.h"
#include "gateway/users.h"
#include "session/session_server.h"

namespace verbex::node {

struct GatewayHostOptions {
    std::optional<session::SessionServerOptions> orders;    // OUCH
    std::optional<session::SessionServerOptions> clearing;
    std::optional<feed::MarketFeedOptions> feed;            // sessionName may be empty: drawn
    std::vector<gateway::User> users;
    std::vector<gateway::FirmThrottle> firms;
    uint32_t ordersMax = 1u << 20;
    uint64_t storeSegmentBytes = 64u << 20;
    uint64_t spinNs = 10'000;       // how long the thread looks for work before it sleeps in epoll
    std::optional<uint32_t> core;   // to pin it to
};

struct GatewayHostStats {
    session::CallCounts calls;
    session::SessionServerCounters orderSessions;
    session::SessionServerCounters clearingSessions;
    gateway::OrderGatewayCounters orders;
    gateway::ClearingGatewayCounters clearing;
    feed::MarketFeedCounters feed;
    uint64_t events = 0;     // read from the ring
    uint64_t storeBytes = 0;
    std::string failure;     // "" or why the gateways have stopped (the node goes on)
};

struct GatewayAddresses {
    std::optional<transport::Address> orders;
    std::optional<transport::Address> clearing;
    std::optional<transport::Address> itch;
    std::optional<transport::Address> snapshot;
    std::optional<transport::Address> retransmission;
    std::vector<transport::Address> datagrams;
    std::string feedSession;
};

}  // namespace verbex::node
