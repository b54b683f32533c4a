// Log-ins, images and their ends: see snapshot_port.h.
#include "feed/snapshot_port.h"

#include <algorithm>

namespace verbex::feed {

using session::LoginReject;

Result<std::unique_ptr<SnapshotPort>> SnapshotPort::open(
    session::EventLoop& loop, const session::Authenticator& users,
    const session::SessionServerOptions& options, FeedBuilder& builder, const FeedHistory& history,
    const session::SessionName& session) {
    std::unique_ptr<SnapshotPort> port(
        new SnapshotPort(loop, users, builder, history, session));
    port->connections_.resize(options.connectionsMax);
    port->open_.reserve(options.connectionsMax);
    Result<std::unique_ptr<session::SessionServer>> server =
        session::SessionServer::open(loop, *port, options);
    if (!server.isOk()) return server.status().within("the feed's snapshots");
    port->server_ = server.take();
    return port;
}

session::LoginAnswer SnapshotPort::login(session::ConnectionId connection,
                                         const session::LoginRequest& request) {
    session::LoginAnswer answer;
    if (!users_.mayLogIn(request.user, request.password)) return answer;
    answer.rejected = LoginReject::SessionNotAvailable;
    if (!begun_ || !asksFor(request, session_) || request.sequence > 1 ||
        connection.slot >= connections_.size()) {
        return answer;
    }
    SnapshotImage* const image = snapshots_.acquire();
    if (image == nullptr) return answer;
    Connection& to = connections_[connection.slot];
    to.id = connection;
    to.sinceNs = loop_.nowNs();
    to.reader.start(*image);
    open_.push_back(connection.slot);
    answer.rejected = LoginReject::None;
    answer.session = session_;
    answer.sequence = 1;
    answer.outbound = &to.reader;
    answer.cursor = {1, 0};
    return answer;
}

session::Taken SnapshotPort::received(session::ConnectionId, std::span<const std::byte>) {
    return session::Taken::Close;
}

void SnapshotPort::closed(session::ConnectionId connection, session::CloseReason) {
    if (connection.slot >= connections_.size()) return;
    Connection& gone = connections_[connection.slot];
    if (gone.id != connection || gone.reader.image == nullptr) return;
    if (gone.reader.done()) ++given_;
    snapshots_.release(*gone.reader.image);
    gone.reader.image = nullptr;
    std::erase(open_, connection.slot);
}

bool SnapshotPort::work() {
    bool worked = snapshots_.work();
    for (const uint32_t slot : open_) {
        if (worked || connections_[slot].reader.wantsMore()) server_->touch(connections_[slot].id);
    }
    // close() calls closed(), which takes the slot out of the list.
    for (size_t i = open_.size(); i-- > 0;) {
        const Connection& connection = connections_[open_[i]];
        if (!connection.reader.done()) continue;
        worked = true;
        server_->close(connection.id, session::CloseReason::EndOfSession);
    }
    return worked;
}

bool SnapshotPort::busy() const {
    if (snapshots_.making() || server_->busy()) return true;
    return std::any_of(open_.begin(), open_.end(), [this](uint32_t slot) {
        return connections_[slot].reader.wantsMore() || connections_[slot].reader.done();
    });
}

void SnapshotPort::tick(uint64_t nowNs) {
    for (size_t i = open_.size(); i-- > 0;) {
        const Connection& connection = connections_[open_[i]];
        if (nowNs < connection.sinceNs + kTimeMaxNs) continue;
        server_->close(connection.id, session::CloseReason::SlowReader);
    }
}

}  // namespace verbex::feed
