// ClearingGateway: money, limits, rights, positions, kill switch and drop copy, over SoupBinTCP sessions.
//
// Purpose: the other port of the same client identity. docs/clearing-protocol.md has the messages.
// Owner: the gateway's thread.
// Thread safety: none.
// Invariants: those of ../README.md; and
//   1. A user acts on his own account's subtree only; deposits, withdrawals, limits and rights need the
//      right mayAdminister as well.
//   2. Money moves once per transaction id, however often it is sent: the core remembers them.
//   3. A kill switch is ahead of the queue: its account's sessions are refused from the moment it was read,
//      and its command enters before any order that waits for room.
//   4. Drop copy: every execution, with both fees where both sides are in the subtree, exactly once and in
//      order, by sequence number.
//   5. Whatever a session asked for is answered once, by Acknowledged, Rejected or an answer; what the stop of
//      a gateway swallowed is rejected before the session's next log-in.
//   6. A stream is a function of the events, of what its session sent, and of the answers to its questions.
// Requires: as OrderGateway; whoever reads events gives each to the directory before the router, tells the store
// what was delivered, and at a day's end begins the store's day and calls begin() again. A store that other
// gateways write to as well has to be told so (MessageStoreOptions::eventsShared): otherwise a kill between
// two gateways' messages of one trade would lose the drop copy.
#pragma once

#include <cstdint>
#include <memory>

#include "gateway/command_port.h"
#include "gateway/directory.h"
#include "gateway/event_router.h"
#include "gateway/message_store.h"
#include "gateway/users.h"
#include "session/session_server.h"

namespace verbex::gateway {

// A user's clearing stream in the store has the number of its user's session with this bit: the two ports of one
// user have streams of their own.
inline constexpr uint16_t kClearingStreams = 0x8000;

struct ClearingGatewayOptions {
    uint8_t outlet = 1;
    uint32_t requestsMax = 1024;  // that wait for an answer, of all sessions; of one session an eighth
};

struct ClearingGatewayCounters {
    uint64_t messages = 0;
    uint64_t malformed = 0;    // ended their connection
    uint64_t duplicates = 0;   // references seen before: ignored
    uint64_t commands = 0;
    uint64_t questions = 0;
    uint64_t refusedHere = 0;
    uint64_t executions = 0;  // drop copies
    uint64_t kills = 0;
};

class ClearingGateway : public session::SessionHandler, public Outlet {
public:
    // `router`: to watch the accounts below those of its users, also such as are added later.
    static std::unique_ptr<ClearingGateway> create(const ClearingGatewayOptions& options,
                                                   CommandPort& port, QuestionPort& questions,
                                                   MessageStore& store, Directory& directory,
                                                   EventRouter& router, const Users& users);
    virtual ~ClearingGateway() = default;

    virtual void restore(const StoredRecord& record) = 0;
    virtual void begin() = 0;
    virtual void attach(session::SessionServer& server) = 0;
    // It is gone, and every connection with it.
    virtual void detach() = 0;
    // Before OrderGateway::work() and before servers go on with what waits: kill switches first.
    virtual bool work(uint64_t nowNs) = 0;
    [[nodiscard]] virtual bool busy() const = 0;
    [[nodiscard]] virtual const ClearingGatewayCounters& counters() const = 0;
};

}  // namespace verbex::gateway
