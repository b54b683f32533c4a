// SnapshotPort: snapshots over SoupBinTCP, as GLIMPSE gives them.
//
// Purpose: a log-in is a request; the answer is a snapshot and the end of the session.
// Owner: the market feed.
// Thread safety: none.
// Invariants:
//   1. Every connection reads one image from its beginning to its end, and gives it back when it is closed.
//   2. A connection that has not taken all of it within kTimeMaxNs is cut off: images are few.
// Requires: work() before the server's flush(), tick() now and then.
#pragma once

#include <memory>
#include <vector>

#include "feed/session_names.h"
#include "feed/snapshots.h"
#include "session/authenticator.h"
#include "session/session_server.h"

namespace verbex::feed {

class SnapshotPort final : public session::SessionHandler {
public:
    static constexpr uint64_t kTimeMaxNs = 300'000'000'000;

    static Result<std::unique_ptr<SnapshotPort>> open(session::EventLoop& loop,
                                                      const session::Authenticator& users,
                                                      const session::SessionServerOptions& options,
                                                      FeedBuilder& builder,
                                                      const FeedHistory& history,
                                                      const session::SessionName& session);

    session::LoginAnswer login(session::ConnectionId connection,
                               const session::LoginRequest& request) override;
    session::Taken received(session::ConnectionId connection,
                            std::span<const std::byte> message) override;
    void closed(session::ConnectionId connection, session::CloseReason reason) override;

    void begin() { begun_ = true; }
    bool work();
    void tick(uint64_t nowNs);
    [[nodiscard]] bool busy() const;
    [[nodiscard]] uint64_t given() const { return given_; }
    [[nodiscard]] session::SessionServer& server() { return *server_; }

private:
    struct Connection {
        session::ConnectionId id;
        uint64_t sinceNs = 0;
        SnapshotReader reader;
    };

    SnapshotPort(session::EventLoop& loop, const session::Authenticator& users,
                 FeedBuilder& builder, const FeedHistory& history,
                 const session::SessionName& session)
        : loop_(loop), users_(users), snapshots_(builder, history), session_(session) {}

    session::EventLoop& loop_;
    const session::Authenticator& users_;
    Snapshots snapshots_;
    session::SessionName session_;
    bool begun_ = false;
    uint64_t given_ = 0;
    std::vector<Connection> connections_;  // by the server's slot
    std::vector<uint32_t> open_;           // slots in use
    std::unique_ptr<session::SessionServer> server_;
};

}  // namespace verbex::feed
