// StreamPort: the history over SoupBinTCP, by sequence number.
//
// Purpose: logs readers in at the message they ask for and lets them read from the history itself.
// Owner: the market feed.
// Thread safety: none.
// Invariants:
//   1. Nobody is let in to a message that is gone or not there yet, or to another session.
//   2. All connections together are shown at most kGatherAllBytes a round, each at least kGatherMinBytes.
// Requires: grown() before the server's flush().
#pragma once

#include <memory>
#include <vector>

#include "feed/feed_history.h"
#include "feed/session_names.h"
#include "session/authenticator.h"
#include "session/session_server.h"

namespace verbex::feed {

class StreamPort final : public session::SessionHandler {
public:
    static Result<std::unique_ptr<StreamPort>> open(session::EventLoop& loop,
                                                    const session::Authenticator& users,
                                                    const session::SessionServerOptions& options,
                                                    FeedHistory& history,
                                                    const session::SessionName& session);

    session::LoginAnswer login(session::ConnectionId connection,
                               const session::LoginRequest& request) override;
    session::Taken received(session::ConnectionId connection,
                            std::span<const std::byte> message) override;
    void closed(session::ConnectionId connection, session::CloseReason reason) override;

    // From here on readers may log in.
    void begin() { begun_ = true; }
    // The server will look at every reader that has something to get.
    void grown();
    [[nodiscard]] session::SessionServer& server() { return *server_; }

private:
    static constexpr size_t kGatherAllBytes = 4u << 20;
    static constexpr size_t kGatherMinBytes = 8u << 10;
    static constexpr size_t kGatherMaxBytes = 256u << 10;

    StreamPort(const session::Authenticator& users, FeedHistory& history,
               const session::SessionName& session)
        : users_(users), history_(history), session_(session) {}
    void share();

    const session::Authenticator& users_;
    FeedHistory& history_;
    session::SessionName session_;
    bool begun_ = false;
    uint64_t touchedUpTo_ = 0;
    std::vector<session::ConnectionId> readers_;
    std::unique_ptr<session::SessionServer> server_;
};

}  // namespace verbex::feed
