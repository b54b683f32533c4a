// What goes out, and what the clock says: see epoll_server.h.
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "session/epoll_server.h"

namespace verbex::session {

namespace {

constexpr size_t kEntriesPerWrite = 256;
// One session may have to wait for reasons of its own; where so many do there is no room.
constexpr int kRefusalsPerRound = 8;
// Written for one connection before another gets its turn.
constexpr size_t kWriteBytesPerRound = 128 * 1024;
constexpr uint64_t kNsPerMs = 1'000'000;
constexpr uint64_t kCheckEveryNs = 50 * kNsPerMs;

}  // namespace

void EpollServer::touch(ConnectionId id) {
    Connection* connection = find(id);
    if (connection != nullptr && !connection->blocked) queueWrite(*connection);
}

void EpollServer::queueWrite(Connection& connection) {
    if (connection.inWriteList) return;
    connection.inWriteList = true;
    writes_.push_back(connection.slot);
}

void EpollServer::writeOwn(Connection& connection, const std::byte* bytes, size_t count) {
    CHECK(connection.ownBytes + count <= connection.own.size());
    std::memcpy(connection.own.data() + connection.ownBytes, bytes, count);
    connection.ownBytes += static_cast<uint32_t>(count);
    queueWrite(connection);
}

bool EpollServer::write(Connection& connection) {
    size_t written = 0;
    while (!connection.blocked) {
        iovec entries[kEntriesPerWrite];
        size_t count = 0;
        size_t own = 0;
        if (connection.ownSent != connection.ownBytes) {
            own = connection.ownBytes - connection.ownSent;
            entries[count++] = {connection.own.data() + connection.ownSent, own};
        }
        if (connection.outbound != nullptr) {
            count += connection.outbound->gather(connection.cursor,
                                                 {entries + count, kEntriesPerWrite - count});
        }
        if (count == 0) return true;
        size_t bytes = 0;
        for (size_t i = 0; i < count; i++) bytes += entries[i].iov_len;
        msghdr message{};
        message.msg_iov = entries;
        message.msg_iovlen = count;
        const ssize_t sent =
            sendmsg(connection.socket.number(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        loop_.calls().writes++;
        if (sent < 0) {
            if (errno == EINTR) continue;
            if (errno != EAGAIN && errno != EWOULDBLOCK && errno != ENOBUFS) {
                end(connection, CloseReason::PeerClosed);
                return true;
            }
            connection.blocked = true;
            if (connection.blockedNs == 0) connection.blockedNs = nowNs_;
            break;
        }
        const auto taken = static_cast<size_t>(sent);
        counters_.bytesOut += taken;
        connection.sentNs = nowNs_;
        if (taken != 0) connection.blockedNs = 0;
        const size_t ofOwn = std::min(own, taken);
        connection.ownSent += static_cast<uint32_t>(ofOwn);
        if (connection.ownSent == connection.ownBytes) connection.ownSent = connection.ownBytes = 0;
        if (taken != ofOwn) connection.outbound->advance(connection.cursor, taken - ofOwn);
        if (taken < bytes) {
            connection.blocked = true;
            connection.blockedNs = nowNs_;
            break;
        }
        written += taken;
        if (count < kEntriesPerWrite) return true;
        if (written >= kWriteBytesPerRound) return false;
    }
    if (connection.outbound != nullptr && lagsTooFar(connection)) {
        end(connection, CloseReason::SlowReader);
    }
    return true;
}

// Who resumes from far behind would be cut off before it could catch up: what it lagged at its login is
// granted to it, until it is used up.
bool EpollServer::lagsTooFar(Connection& connection) {
    const uint64_t lag = connection.outbound->lag(connection.cursor);
    if (lag > connection.lagMax) return true;
    connection.lagMax = std::min(connection.lagMax, lag + options_.lagBytesMax);
    if (lag <= options_.lagBytesMax) connection.lagMax = options_.lagBytesMax;
    return false;
}

bool EpollServer::flush() {
    bool done = false;
    if (mayAccept_) acceptSome();
    // Those that wait for room, or have more to read.
    readsNow_.clear();
    readsNow_.swap(reads_);
    roomIsShort_ = false;
    int refused = 0;
    for (const uint32_t slot : readsNow_) {
        Connection& connection = connections_[slot];
        if (refused == kRefusalsPerRound) {
            // There is no room at all: the others keep their places behind those that were refused.
            reads_.push_back(slot);
            continue;
        }
        connection.inReadList = false;
        if (!connection.open()) continue;
        read(connection);
        if (connection.paused) {
            refused++;
        } else {
            done = true;
        }
    }
    writesNow_.clear();
    writesNow_.swap(writes_);
    for (const uint32_t slot : writesNow_) {
        Connection& connection = connections_[slot];
        connection.inWriteList = false;
        if (!connection.open()) continue;
        done = true;
        if (!write(connection)) queueWrite(connection);
    }
    // Only now nobody of this round can mean the one before.
    for (const uint32_t slot : ended_) {
        Connection& connection = connections_[slot];
        if (connection.inReadList || connection.inWriteList) {
            // It stands in a list of the next round: another slot is used first.
            std::erase(reads_, slot);
            std::erase(writes_, slot);
            connection.inReadList = connection.inWriteList = false;
        }
        connection.state = ConnectionState::Free;
        free_.push_back(slot);
    }
    ended_.clear();
    return done;
}

bool EpollServer::busy() const { return !reads_.empty() || !writes_.empty() || mayAccept_; }

void EpollServer::heartbeat(Connection& connection) {
    // In the middle of a frame the socket is blocked, or the connection has its next turn at once.
    if (connection.blocked || connection.inWriteList || connection.ownBytes != 0) return;
    std::byte frame[kFrameHeaderBytes];
    writeOwn(connection, frame, writeBare(frame, Packet::ServerHeartbeat));
    connection.sentNs = nowNs_;
}

void EpollServer::checkTimes(Connection& connection) {
    const auto over = [this](uint64_t since, uint64_t ms) {
        return nowNs_ - since >= ms * kNsPerMs;
    };
    if (connection.state == ConnectionState::WaitsForLogin) {
        if (over(connection.acceptedNs, options_.loginTimeoutMs)) {
            end(connection, CloseReason::LoginTimeout);
        }
        return;
    }
    // While this side does not read it can't hear.
    if (!connection.paused && over(connection.heardNs, options_.silenceMs)) {
        end(connection, CloseReason::Silent);
        return;
    }
    if (connection.blocked) {
        if (over(connection.blockedNs, options_.stalledMs) ||
            lagsTooFar(connection)) {
            end(connection, CloseReason::SlowReader);
        }
        return;
    }
    if (over(connection.sentNs, options_.heartbeatMs)) heartbeat(connection);
}

void EpollServer::tick(uint64_t nowNs) {
    nowNs_ = nowNs;
    if (nowNs - checkedNs_ < kCheckEveryNs) return;
    checkedNs_ = nowNs;
    // From behind: who ends leaves its place to the last one. closed() may end others as well, so that the
    // list is shorter than it was; who moved is looked at the next time.
    for (size_t i = active_.size(); i-- != 0;) {
        if (i < active_.size()) checkTimes(connections_[active_[i]]);
    }
}

}  // namespace verbex::session
