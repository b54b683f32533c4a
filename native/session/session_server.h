// SessionServer: SoupBinTCP sessions on one listening port.
//
// Purpose: accepts, logs in, hands whole messages to a handler where they lie, sends what the session's
// store holds, keeps both sides' heartbeats, and cuts off who does not play by the rules.
// Owner: the thread of the EventLoop.
// Thread safety: the owner's thread only.
// Invariants: those of README.md; and
//   1. A connection reads at most kReadBytes before another gets its turn.
//   2. Behind one poll, flush() writes once for every connection that has something to send.
//   3. A connection that lags more than `lagBytesMax` behind its session, or whose peer takes nothing for
//      `stalledMs`, is cut off (what it lagged at its login is granted on top until it caught up); its session goes on growing in the store, and the client resumes from the
//      sequence it has.
// Requires: flush() after every poll; tick() at least every 100 ms.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/status.h"
#include "session/event_loop.h"
#include "session/soup.h"
#include "transport/network.h"

namespace verbex::session {

// A connection's place in the server's table, with a generation: a number is never used for two.
struct ConnectionId {
    uint32_t slot = 0;
    uint32_t generation = 0;  // 0: none
    friend bool operator==(const ConnectionId&, const ConnectionId&) = default;
};

// Where in a session's stream a connection is: what the store makes of it.
struct OutboundCursor {
    uint64_t record = 0;  // the store's; 0: behind the last one there is
    uint32_t offset = 0;  // bytes of that record that are sent
};

// The sequenced messages of one session, framed (length, 'S', payload) as they go onto the wire.
class Outbound {
public:
    // Points `into` at what lies behind the cursor, in order, without gaps; answers how many entries. The
    // memory stays as it is until advance().
    virtual size_t gather(const OutboundCursor& cursor, std::span<iovec> into) = 0;
    // So many bytes of what gather() showed are sent.
    virtual void advance(OutboundCursor& cursor, size_t bytes) = 0;
    // Bytes behind the cursor: what the client lags.
    [[nodiscard]] virtual uint64_t lag(const OutboundCursor& cursor) const = 0;

protected:
    ~Outbound() = default;
};

struct LoginAnswer {
    LoginReject rejected = LoginReject::NotAuthorized;  // None: accepted
    SessionName session{};
    uint64_t sequence = 1;       // of the next message that will be sent
    Outbound* outbound = nullptr;
    OutboundCursor cursor;
};

enum class Taken : uint8_t {
    Yes,
    NotNow,  // no room behind: ask again after the next poll, read no further meanwhile
    Close,   // the client broke the rules; the handler has counted it
};

enum class CloseReason : uint8_t {
    None = 0,
    Logout = 1,        // the client's request
    PeerClosed = 2,    // end of stream or reset
    LoginTimeout = 3,
    LoginRejected = 4,
    Silent = 5,        // no client heartbeat
    Malformed = 6,     // bytes that are no frame, or a frame out of place
    Oversized = 7,
    SlowReader = 8,
    Handler = 9,       // Taken::Close, or close()
    Replaced = 10,     // the same user logged in again
    EndOfSession = 11,
    Shutdown = 12,
};
[[nodiscard]] const char* closeReasonName(CloseReason reason);

class SessionHandler {
public:
    // The views are good during the call.
    virtual LoginAnswer login(ConnectionId connection, const LoginRequest& request) = 0;
    // One unsequenced message, without its frame.
    virtual Taken received(ConnectionId connection, std::span<const std::byte> message) = 0;
    // Once for every accepted login; the connection is gone.
    virtual void closed(ConnectionId connection, CloseReason reason) = 0;

protected:
    ~SessionHandler() = default;
};

struct SessionServerOptions {
    transport::Address address;        // port 0: any free one
    uint32_t connectionsMax = 4096;    // one more is accepted and closed at once, and counted
    uint32_t messageBytesMax = 512;    // of an unsequenced payload
    uint32_t loginTimeoutMs = 5'000;
    uint32_t heartbeatMs = 1'000;      // this side's, where nothing else was sent
    uint32_t silenceMs = 15'000;       // the client's
    uint32_t stalledMs = 30'000;       // bytes to send, and none taken
    uint64_t lagBytesMax = 8u << 20;
};

struct SessionServerCounters {
    uint64_t connections = 0;      // now
    uint64_t accepted = 0;
    uint64_t refused = 0;          // above connectionsMax
    uint64_t logins = 0;
    uint64_t loginsRejected = 0;
    uint64_t messagesIn = 0;
    uint64_t bytesIn = 0;
    uint64_t bytesOut = 0;
    uint64_t paused = 0;           // times that reading stopped for want of room behind
    uint64_t closedBy[16] = {};    // by CloseReason
};

class SessionServer {
public:
    // Listens at once. The loop and the handler outlive the server.
    static Result<std::unique_ptr<SessionServer>> open(EventLoop& loop, SessionHandler& handler,
                                                       const SessionServerOptions& options);
    virtual ~SessionServer() = default;

    [[nodiscard]] virtual transport::Address address() const = 0;
    // The session behind this connection has grown: flush() will look.
    virtual void touch(ConnectionId connection) = 0;
    // Goes on with connections that were told NotNow, and writes for all that were touched; false where
    // there was nothing to do.
    virtual bool flush() = 0;
    // Heartbeats, time-outs. Cheap where nothing is due.
    virtual void tick(uint64_t nowNs) = 0;
    // Sends what fits in one write, then ends the connection; closed() is called.
    virtual void close(ConnectionId connection, CloseReason reason) = 0;
    // End of session to everybody who is logged in, then close.
    virtual void endSession() = 0;
    [[nodiscard]] virtual const SessionServerCounters& counters() const = 0;
    // Connections that wait for room or have something to write: do not sleep long.
    [[nodiscard]] virtual bool busy() const = 0;
};

}  // namespace verbex::session
