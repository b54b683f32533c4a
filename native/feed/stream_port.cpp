// Who may read what: see stream_port.h.
#include "feed/stream_port.h"

#include <algorithm>

namespace verbex::feed {

using session::LoginReject;

Result<std::unique_ptr<StreamPort>> StreamPort::open(session::EventLoop& loop,
                                                     const session::Authenticator& users,
                                                     const session::SessionServerOptions& options,
                                                     FeedHistory& history,
                                                     const session::SessionName& session) {
    std::unique_ptr<StreamPort> port(new StreamPort(users, history, session));
    port->readers_.reserve(options.connectionsMax);
    Result<std::unique_ptr<session::SessionServer>> server =
        session::SessionServer::open(loop, *port, options);
    if (!server.isOk()) return server.status().within("the feed's stream");
    port->server_ = server.take();
    return port;
}

session::LoginAnswer StreamPort::login(session::ConnectionId connection,
                                       const session::LoginRequest& request) {
    session::LoginAnswer answer;
    if (!users_.mayLogIn(request.user, request.password)) return answer;
    answer.rejected = LoginReject::SessionNotAvailable;
    answer.sequence = request.sequence == 0 ? history_.next() : request.sequence;
    if (!begun_ || !asksFor(request, session_) ||
        !history_.seek(answer.sequence, answer.cursor)) {
        return answer;
    }
    answer.rejected = LoginReject::None;
    answer.session = session_;
    answer.outbound = &history_;
    readers_.push_back(connection);
    share();
    return answer;
}

// A reader has nothing to say.
session::Taken StreamPort::received(session::ConnectionId, std::span<const std::byte>) {
    return session::Taken::Close;
}

void StreamPort::closed(session::ConnectionId connection, session::CloseReason) {
    const auto at = std::find(readers_.begin(), readers_.end(), connection);
    if (at == readers_.end()) return;
    *at = readers_.back();
    readers_.pop_back();
    share();
}

void StreamPort::share() {
    const size_t each = kGatherAllBytes / std::max<size_t>(readers_.size(), 1);
    history_.limitGather(std::clamp(each, kGatherMinBytes, kGatherMaxBytes));
}

void StreamPort::grown() {
    if (touchedUpTo_ == history_.next()) return;
    touchedUpTo_ = history_.next();
    for (const session::ConnectionId reader : readers_) server_->touch(reader);
}

}  // namespace verbex::feed
