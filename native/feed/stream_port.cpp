// Who may read what: see stream_port.h.
#include "feed/stream_port.h"

#include <algorithm>

namespace verbex::feed {

using session::LoginReject;

Result<std::unique_ptr<StreamPort>> StreamPort::open(session::EventLoop& loop,
                                                     const session::Authenticator& users,
                                                     const session::SessionServerOptions& options,
                                                     const FeedHistory& history,
                                                     const session::SessionName& session) {
    std::unique_ptr<StreamPort> port(new StreamPort(users, history, session));
    port->connections_.resize(options.connectionsMax);
    port->open_.reserve(options.connectionsMax);
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
    if (!begun_ || !asksFor(request, session_) || connection.slot >= connections_.size() ||
        !history_.seek(answer.sequence, answer.cursor)) {
        return answer;
    }
    answer.rejected = LoginReject::None;
    answer.session = session_;
    Connection& to = connections_[connection.slot];
    to.id = connection;
    to.reader.start(history_, share_);
    answer.outbound = &to.reader;
    open_.push_back(connection.slot);
    share();
    return answer;
}

// A reader has nothing to say.
session::Taken StreamPort::received(session::ConnectionId, std::span<const std::byte>) {
    return session::Taken::Close;
}

void StreamPort::closed(session::ConnectionId connection, session::CloseReason) {
    std::erase(open_, connection.slot);
    share();
}

void StreamPort::share() {
    if (share_ == SIZE_MAX) return;
    const size_t each = kGatherAllBytes / std::max<size_t>(open_.size(), 1);
    share_ = std::clamp(each, kGatherMinBytes, kGatherMaxBytes);
}

void StreamPort::grown() {
    const bool all = touchedUpTo_ != history_.next();
    touchedUpTo_ = history_.next();
    // close() calls closed(), which takes the slot out of the list.
    for (size_t i = open_.size(); i-- > 0;) {
        const Connection& connection = connections_[open_[i]];
        if (connection.reader.lost()) {
            server_->close(connection.id, session::CloseReason::SlowReader);
        } else if (all || connection.reader.wantsMore()) {
            server_->touch(connection.id);
        }
    }
}

bool StreamPort::busy() const {
    if (server_->busy()) return true;
    return std::any_of(open_.begin(), open_.end(), [this](uint32_t slot) {
        return connections_[slot].reader.wantsMore() || connections_[slot].reader.lost();
    });
}

size_t StreamReader::gather(const session::OutboundCursor& cursor, std::span<iovec> into) {
    wantsMore_ = false;
    const size_t entries = history_->gather(cursor, into, *share_);
    shown_ = 0;
    for (size_t i = 0; i < entries; ++i) shown_ += into[i].iov_len;
    if (entries == 0) lost_ = history_->lag(cursor) == UINT64_MAX;
    return entries;
}

void StreamReader::advance(session::OutboundCursor& cursor, size_t bytes) {
    history_->advance(cursor, bytes);
    wantsMore_ = bytes == shown_ && history_->lag(cursor) != 0;
}

}  // namespace verbex::feed
