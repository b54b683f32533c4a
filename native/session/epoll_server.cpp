#include "session/epoll_server.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/check.h"
#include "transport/sockets/socket_address.h"

namespace verbex::session {

namespace {

// Accepted in one go before connections get their turn.
constexpr int kAcceptsPerRound = 64;
// What the kernel may hold for one client that does not read, and for one that sends faster than it is read:
// 500 stalled clients cost at most some 64 MiB (the kernel doubles what is asked for).
constexpr int kSendBufferBytes = 64 * 1024;
constexpr int kReceiveBufferBytes = 64 * 1024;

}  // namespace

const char* closeReasonName(CloseReason reason) {
    switch (reason) {
        case CloseReason::None: return "none";
        case CloseReason::Logout: return "logout";
        case CloseReason::PeerClosed: return "peer-closed";
        case CloseReason::LoginTimeout: return "login-timeout";
        case CloseReason::LoginRejected: return "login-rejected";
        case CloseReason::Silent: return "silent";
        case CloseReason::Malformed: return "malformed";
        case CloseReason::Oversized: return "oversized";
        case CloseReason::SlowReader: return "slow-reader";
        case CloseReason::Handler: return "handler";
        case CloseReason::Replaced: return "replaced";
        case CloseReason::EndOfSession: return "end-of-session";
        case CloseReason::Shutdown: return "shutdown";
    }
    return "unknown";
}

Result<std::unique_ptr<SessionServer>> SessionServer::open(EventLoop& loop, SessionHandler& handler,
                                                           const SessionServerOptions& options) {
    if (options.connectionsMax == 0 || options.connectionsMax > 1u << 20) {
        return Status(StatusCode::InvalidArgument, "connectionsMax must be from 1 to 1,048,576");
    }
    if (options.messageBytesMax == 0 ||
        options.messageBytesMax > kReadBytes - kFrameHeaderBytes) {
        return Status(StatusCode::InvalidArgument, "messageBytesMax must be from 1 to " +
                                                       std::to_string(kReadBytes -
                                                                      kFrameHeaderBytes));
    }
    auto server = std::make_unique<EpollServer>(loop, handler, options);
    if (Status status = server->listen(); !status.isOk()) return status;
    return std::unique_ptr<SessionServer>(std::move(server));
}

EpollServer::EpollServer(EventLoop& loop, SessionHandler& handler,
                         const SessionServerOptions& options)
    : loop_(loop), handler_(handler), options_(options),
      connections_(std::make_unique<Connection[]>(options.connectionsMax)), shared_(kReadBytes),
      nowNs_(loop.nowNs()) {
    bufferBytes_ = size_t{options.connectionsMax} * kReadBytes;
    void* memory = mmap(nullptr, bufferBytes_, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(memory != MAP_FAILED && "address space for the connections' buffers");
    buffers_ = static_cast<std::byte*>(memory);
    for (auto* list : {&free_, &ended_, &active_, &reads_, &readsNow_, &writes_, &writesNow_}) {
        list->reserve(options.connectionsMax);
    }
    for (uint32_t slot = options.connectionsMax; slot-- != 0;) {
        Connection& connection = connections_[slot];
        connection.owner = this;
        connection.slot = slot;
        connection.buffer = buffers_ + size_t{slot} * kReadBytes;
        free_.push_back(slot);
    }
}

EpollServer::~EpollServer() {
    while (!active_.empty()) end(connections_[active_.back()], CloseReason::Shutdown);
    if (listener_.isOpen()) loop_.remove(listener_.number());
    munmap(buffers_, bufferBytes_);
}

Status EpollServer::listen() {
    Result<transport::Descriptor> listener = transport::listenOn(options_.address);
    if (!listener.isOk()) return listener.status();
    listener_ = listener.take();
    // Inherited by what is accepted.
    setsockopt(listener_.number(), SOL_SOCKET, SO_SNDBUF, &kSendBufferBytes, sizeof(int));
    setsockopt(listener_.number(), SOL_SOCKET, SO_RCVBUF, &kReceiveBufferBytes, sizeof(int));
    Result<transport::Address> bound = transport::boundAddressOf(listener_.number());
    if (!bound.isOk()) return bound.status();
    address_ = bound.take();
    return loop_.add(listener_.number(), EPOLLIN, *this);
}

// ---- the life of a connection

Connection* EpollServer::find(ConnectionId id) {
    if (id.slot >= options_.connectionsMax) return nullptr;
    Connection& connection = connections_[id.slot];
    return connection.generation == id.generation && connection.open() ? &connection : nullptr;
}

void EpollServer::ready(uint32_t) {
    mayAccept_ = true;
    acceptSome();
}

void EpollServer::acceptSome() {
    for (int i = 0; i < kAcceptsPerRound; i++) {
        transport::Descriptor socket(
            accept4(listener_.number(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
        loop_.calls().others++;
        if (!socket.isOpen()) {
            // Out of descriptors: those that wait are looked at again with the next one that comes, or by tick().
            mayAccept_ = errno != EAGAIN && errno != EWOULDBLOCK;
            return;
        }
        take(std::move(socket));
    }
}

void EpollServer::take(transport::Descriptor socket) {
    if (free_.empty()) {
        counters_.refused++;
        return;
    }
    const uint32_t slot = free_.back();
    free_.pop_back();
    Connection& connection = connections_[slot];
    connection.generation++;
    if (connection.generation == 0) connection.generation = 1;
    connection.state = ConnectionState::WaitsForLogin;
    connection.socket = std::move(socket);
    connection.held = 0;
    connection.mayRead = connection.hungUp = connection.paused = false;
    connection.outbound = nullptr;
    connection.cursor = {};
    connection.ownBytes = connection.ownSent = 0;
    connection.blocked = false;
    connection.acceptedNs = connection.heardNs = connection.sentNs = nowNs_;
    connection.blockedNs = 0;
    transport::sendWithoutDelay(connection.socket.number());
    connection.activeAt = static_cast<uint32_t>(active_.size());
    active_.push_back(slot);
    counters_.accepted++;
    counters_.connections = active_.size();
    loop_.calls().others++;
    if (!loop_.add(connection.socket.number(), EPOLLIN | EPOLLOUT | EPOLLRDHUP, connection).isOk()) {
        end(connection, CloseReason::Shutdown);
    }
}

void EpollServer::end(Connection& connection, CloseReason reason) {
    if (!connection.open()) return;
    const bool loggedIn = connection.state == ConnectionState::LoggedIn;
    connection.state = ConnectionState::Ended;
    counters_.closedBy[static_cast<size_t>(reason)]++;
    loop_.remove(connection.socket.number());
    // What was written last should arrive: bytes that lie unread make the kernel send a reset, which could
    // overtake it.
    if (reason == CloseReason::LoginRejected || reason == CloseReason::EndOfSession) {
        shutdown(connection.socket.number(), SHUT_WR);
        (void)!recv(connection.socket.number(), shared_.data(), shared_.size(), MSG_DONTWAIT);
        loop_.calls().others += 2;
    }
    connection.socket.reset();
    loop_.calls().others++;
    const uint32_t last = active_.back();
    active_[connection.activeAt] = last;
    connections_[last].activeAt = connection.activeAt;
    active_.pop_back();
    counters_.connections = active_.size();
    ended_.push_back(connection.slot);
    if (loggedIn) handler_.closed(connection.id(), reason);
}

void EpollServer::close(ConnectionId id, CloseReason reason) {
    Connection* connection = find(id);
    if (connection == nullptr) return;
    // Only behind the last whole frame: where not everything went out, the client learns it by the end of stream.
    const bool everything = write(*connection);
    if (everything && reason == CloseReason::EndOfSession && connection->open() &&
        connection->state == ConnectionState::LoggedIn && !connection->blocked) {
        std::byte frame[kFrameHeaderBytes];
        writeOwn(*connection, frame, writeBare(frame, Packet::EndOfSession));
        (void)write(*connection);
    }
    end(*connection, reason);
}

void EpollServer::endSession() {
    while (!active_.empty()) {
        close(connections_[active_.back()].id(), CloseReason::EndOfSession);
    }
}

// ---- in

void EpollServer::connectionReady(uint32_t slot, uint32_t epollEvents) {
    Connection& connection = connections_[slot];
    if ((epollEvents & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) connection.hungUp = true;
    if ((epollEvents & EPOLLOUT) != 0 && connection.blocked) {
        connection.blocked = false;
        queueWrite(connection);
    }
    if ((epollEvents & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) == 0) return;
    connection.mayRead = true;
    if (connection.paused || connection.inReadList) return;
    // While others wait for room nobody passes them by.
    if (roomIsShort_) {
        queueRead(connection);
    } else {
        read(connection);
    }
}

void EpollServer::queueRead(Connection& connection) {
    if (connection.inReadList) return;
    connection.inReadList = true;
    reads_.push_back(connection.slot);
}

void EpollServer::read(Connection& connection) {
    if (connection.held != 0 && connection.paused) {
        // First what the handler had no room for.
        connection.paused = false;
        const size_t held = connection.held;
        const size_t left = consume(connection, connection.buffer, held);
        if (!connection.open()) return;
        std::memmove(connection.buffer, connection.buffer + (held - left), left);
        connection.held = left;
        if (connection.paused) {
            queueRead(connection);
            return;
        }
    }
    if (!connection.mayRead) return;
    std::byte* const into = connection.held == 0 ? shared_.data() : connection.buffer;
    const size_t room = kReadBytes - connection.held;
    const ssize_t count =
        recv(connection.socket.number(), into + connection.held, room, MSG_DONTWAIT);
    loop_.calls().reads++;
    if (count <= 0) {
        if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) {
            connection.mayRead = errno == EINTR;
            if (connection.mayRead) queueRead(connection);
            return;
        }
        end(connection, CloseReason::PeerClosed);
        return;
    }
    counters_.bytesIn += static_cast<uint64_t>(count);
    connection.heardNs = nowNs_;
    const size_t bytes = connection.held + static_cast<size_t>(count);
    // Short: there is no more, and what comes is a new edge. But the end of the stream may have come in the
    // same edge as these bytes.
    connection.mayRead = static_cast<size_t>(count) == room || connection.hungUp;
    const size_t left = consume(connection, into, bytes);
    if (!connection.open()) return;
    std::memmove(connection.buffer, into + (bytes - left), left);
    connection.held = left;
    if (connection.paused || connection.mayRead) queueRead(connection);
}

size_t EpollServer::consume(Connection& connection, const std::byte* bytes, size_t count) {
    size_t at = 0;
    const size_t most = std::max<size_t>(options_.messageBytesMax, kLoginRequestBytes);
    while (at != count) {
        const Frame frame = readFrame({bytes + at, count - at}, most, Sender::Client);
        if (frame.state == FrameState::Partial) break;
        if (frame.state == FrameState::Malformed) {
            const bool lengthKnown = count - at >= 2;
            const size_t length = lengthKnown ? std::to_integer<size_t>(bytes[at]) << 8 |
                                                    std::to_integer<size_t>(bytes[at + 1])
                                              : 0;
            end(connection, length > most + 1 ? CloseReason::Oversized : CloseReason::Malformed);
            return 0;
        }
        if (!takeFrame(connection, frame)) break;
        at += frame.bytes;
    }
    return count - at;
}

// False: not taken, or the connection is gone.
bool EpollServer::takeFrame(Connection& connection, const Frame& frame) {
    if (connection.state == ConnectionState::WaitsForLogin) {
        if (frame.type != Packet::LoginRequest) {
            end(connection, CloseReason::Malformed);
            return false;
        }
        login(connection, frame.payload);
        return connection.open();
    }
    switch (frame.type) {
        case Packet::Unsequenced: {
            if (frame.payload.size() > options_.messageBytesMax) {
                end(connection, CloseReason::Oversized);
                return false;
            }
            const Taken taken = handler_.received(connection.id(), frame.payload);
            if (!connection.open()) return false;  // closed by the handler
            if (taken == Taken::NotNow) {
                connection.paused = true;
                roomIsShort_ = true;
                counters_.paused++;
                return false;
            }
            if (taken == Taken::Close) {
                close(connection.id(), CloseReason::Handler);
                return false;
            }
            counters_.messagesIn++;
            return true;
        }
        case Packet::ClientHeartbeat:
        case Packet::Debug: return true;
        case Packet::LogoutRequest: end(connection, CloseReason::Logout); return false;
        default: end(connection, CloseReason::Malformed); return false;
    }
}

void EpollServer::login(Connection& connection, std::span<const std::byte> payload) {
    LoginRequest request;
    if (!readLogin(payload, request)) {
        end(connection, CloseReason::Malformed);
        return;
    }
    const LoginAnswer answer = handler_.login(connection.id(), request);
    if (!connection.open()) return;
    std::byte frame[kFrameHeaderBytes + kLoginAcceptedBytes];
    if (answer.rejected != LoginReject::None) {
        counters_.loginsRejected++;
        writeOwn(connection, frame, writeLoginRejected(frame, answer.rejected));
        (void)write(connection);
        end(connection, CloseReason::LoginRejected);
        return;
    }
    CHECK(answer.outbound != nullptr);
    counters_.logins++;
    connection.state = ConnectionState::LoggedIn;
    connection.outbound = answer.outbound;
    connection.cursor = answer.cursor;
    connection.lagMax = answer.outbound->lag(answer.cursor) + options_.lagBytesMax;
    writeOwn(connection, frame, writeLoginAccepted(frame, answer.session, answer.sequence));
}

}  // namespace verbex::session
