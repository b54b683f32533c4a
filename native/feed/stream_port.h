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

// One connection's way through the history.
class StreamReader final : public session::Outbound {
public:
    void start(const FeedHistory& history, const size_t& share) {
        history_ = &history;
        share_ = &share;
        lost_ = wantsMore_ = false;
    }
    // There is more, and the socket took all it was shown: the server must be told to go on.
    [[nodiscard]] bool wantsMore() const { return wantsMore_; }
    // What it has to read next is gone.
    [[nodiscard]] bool lost() const { return lost_; }

    size_t gather(const session::OutboundCursor& cursor, std::span<iovec> into) override;
    void advance(session::OutboundCursor& cursor, size_t bytes) override;
    [[nodiscard]] uint64_t lag(const session::OutboundCursor& cursor) const override {
        return history_->lag(cursor);
    }

private:
    const FeedHistory* history_ = nullptr;
    const size_t* share_ = nullptr;  // bytes to show at a time
    size_t shown_ = 0;
    bool wantsMore_ = false;
    bool lost_ = false;
};

class StreamPort final : public session::SessionHandler {
public:
    static Result<std::unique_ptr<StreamPort>> open(session::EventLoop& loop,
                                                    const session::Authenticator& users,
                                                    const session::SessionServerOptions& options,
                                                    const FeedHistory& history,
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
    // The end: everybody is shown all that there is.
    void showAll() { share_ = SIZE_MAX; }
    [[nodiscard]] bool busy() const;
    [[nodiscard]] session::SessionServer& server() { return *server_; }

private:
    static constexpr size_t kGatherAllBytes = 4u << 20;
    static constexpr size_t kGatherMinBytes = 8u << 10;
    static constexpr size_t kGatherMaxBytes = 256u << 10;

    StreamPort(const session::Authenticator& users, const FeedHistory& history,
               const session::SessionName& session)
        : users_(users), history_(history), session_(session) {}
    void share();

    const session::Authenticator& users_;
    const FeedHistory& history_;
    session::SessionName session_;
    bool begun_ = false;
    uint64_t touchedUpTo_ = 0;
    size_t share_ = kGatherMaxBytes;
    struct Connection {
        session::ConnectionId id;
        StreamReader reader;
    };
    std::vector<Connection> connections_;  // by the server's slot
    std::vector<uint32_t> open_;           // slots in use
    std::unique_ptr<session::SessionServer> server_;
};

}  // namespace verbex::feed
