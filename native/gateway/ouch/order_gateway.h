// OrderGateway: OUCH 5.0 order entry over SoupBinTCP sessions.
//
// Purpose: turns messages into commands where they lie, and events into messages of the sessions they
// concern. docs/ouch.md has the tables: what maps to what, what is not offered and with which reason it is
// refused.
// Owner: the gateway's thread.
// Thread safety: none.
// Invariants: those of ../README.md; and
//   1. UserRefNums rise strictly within a session's day; a message with one that was used is ignored, as the
//      protocol says: sent again after a reconnect it does nothing twice.
//   2. A message becomes at most one command; while the port has no room nothing more is taken from that
//      session (Taken::NotNow), and the message is not consumed.
//   3. Every message of a session is in the store before it is sent; every order is in the store before it
//      is entered.
//   4. A session's open orders are found by (session, UserRefNum) in constant time; the table is bounded
//      (ordersMax), and an order that does not fit is rejected.
// Requires: restore() for every record of the store's day, then begin(), then deliver() for every event
// behind the store's place, then settle(), before the server is opened. begin() again when a day has ended
// and the store's new one has begun.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "gateway/command_port.h"
#include "gateway/directory.h"
#include "gateway/event_router.h"
#include "gateway/message_store.h"
#include "gateway/users.h"
#include "session/session_server.h"

namespace verbex::gateway {

struct OrderGatewayOptions {
    uint8_t outlet = 0;
    uint32_t ordersMax = 1u << 20;       // open orders of all sessions
    uint32_t throttleRejectsMax = 100;   // in a row; one more, and the session is logged out
    std::vector<FirmThrottle> firms;
};

struct OrderGatewayCounters {
    uint64_t messages = 0;          // well-formed ones
    uint64_t malformed = 0;         // ended their connection
    uint64_t orders = 0;            // entered: new ones
    uint64_t replaces = 0;
    uint64_t cancels = 0;           // and reductions and mass cancels
    uint64_t duplicates = 0;        // UserRefNums seen before: ignored
    uint64_t rejectedHere = 0;      // by the gateway itself
    uint64_t throttled = 0;
    uint64_t accepted = 0;
    uint64_t executions = 0;        // messages E
    uint64_t cancelsOnDisconnect = 0;
    uint64_t openOrders = 0;        // now
    uint64_t waits = 0;             // messages that had to wait for room in the engine's ring
};

class OrderGateway : public session::SessionHandler, public Outlet {
public:
    static std::unique_ptr<OrderGateway> create(const OrderGatewayOptions& options, CommandPort& port,
                                                MessageStore& store, Directory& directory,
                                                const Users& users);
    virtual ~OrderGateway() = default;

    virtual void restore(const StoredRecord& record) = 0;
    // The state as of which events will be delivered; orders of the store that are not open in it any more
    // are brought to their end by the events behind the store's place.
    virtual void begin() = 0;
    // The state behind the last event that was delivered at start: what was sent and is not in it was lost
    // with the process, and is answered so; orders of a day before, and of sessions that cancel on
    // disconnect, are cancelled. Once, before the server is opened.
    virtual void settle(const MarketState& state) = 0;
    // The server whose connections this gateway touches and closes.
    virtual void attach(session::SessionServer& server) = 0;
    // It is gone, and every connection with it.
    virtual void detach() = 0;
    // Time for throttles; cancels that wait for room. True: something was done.
    virtual bool work(uint64_t nowNs) = 0;
    // Work of its own waits for room: do not sleep long.
    [[nodiscard]] virtual bool busy() const = 0;
    [[nodiscard]] virtual const OrderGatewayCounters& counters() const = 0;
};

}  // namespace verbex::gateway
