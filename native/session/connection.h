// Connection: one client's socket, as the server's table holds it.
//
// Purpose: what is known of a connection between two rounds: what was read and not yet taken, what is to be
// written, when something was heard and sent.
// Owner: SessionServer's table; slots are used again, ids are not.
// Thread safety: the event loop's thread.
// Invariants:
//   1. `held` bytes at `buffer` are the beginning of what comes next; never more than kReadBytes.
//   2. Own bytes go out before sequenced ones, and are only put in while no sequenced frame is half sent.
// Requires: nothing.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "session/event_loop.h"
#include "session/session_server.h"
#include "transport/sockets/descriptor.h"

namespace verbex::session {

// Read at once from one connection before another gets its turn; what a handler has no room for waits in a
// buffer of this size.
inline constexpr size_t kReadBytes = 16 * 1024;

enum class ConnectionState : uint8_t { Free, WaitsForLogin, LoggedIn, Ended };

class ConnectionOwner {
public:
    virtual void connectionReady(uint32_t slot, uint32_t epollEvents) = 0;

protected:
    ~ConnectionOwner() = default;
};

struct Connection final : public EventLoop::Source {
    void ready(uint32_t epollEvents) override { owner->connectionReady(slot, epollEvents); }

    ConnectionOwner* owner = nullptr;
    uint32_t slot = 0;
    uint32_t generation = 0;
    uint32_t activeAt = 0;  // index in the server's list of connections in use
    ConnectionState state = ConnectionState::Free;
    transport::Descriptor socket;

    // ---- in
    std::byte* buffer = nullptr;  // kReadBytes, the server's
    size_t held = 0;
    bool mayRead = false;   // the socket may have more
    bool hungUp = false;    // epoll said so: read to the end
    bool paused = false;    // the handler had no room
    bool inReadList = false;

    // ---- out
    Outbound* outbound = nullptr;
    OutboundCursor cursor;
    uint64_t lagMax = 0;  // what it may lag: more than others while it catches up after a login
    std::array<std::byte, 64> own{};
    uint32_t ownBytes = 0;
    uint32_t ownSent = 0;
    bool blocked = false;  // the socket takes no more just now
    bool inWriteList = false;

    // ---- times, of tick()
    uint64_t acceptedNs = 0;
    uint64_t heardNs = 0;
    uint64_t sentNs = 0;
    uint64_t blockedNs = 0;

    [[nodiscard]] ConnectionId id() const { return {slot, generation}; }
    [[nodiscard]] bool open() const {
        return state == ConnectionState::WaitsForLogin || state == ConnectionState::LoggedIn;
    }
};

}  // namespace verbex::session
