#include "session/soup_client.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "transport/sockets/socket_address.h"

namespace verbex::session {

namespace {
constexpr uint64_t kHeartbeatNs = 1'000'000'000;
constexpr size_t kPayloadMax = UINT16_MAX - 1;
}  // namespace

SoupClient::SoupClient(EventLoop& loop, SoupClientEvents& events, uint64_t number)
    : loop_(loop), events_(events), number_(number) {}

SoupClient::~SoupClient() { drop(); }

Status SoupClient::connect(const transport::Address& server, const std::string& user,
                           const std::string& password, const SessionName* session,
                           uint64_t nextSequence) {
    drop();
    Result<transport::Descriptor> socket = transport::connectTo(server);
    if (!socket.isOk()) return socket.status();
    socket_ = socket.take();
    LoginRequest login;
    login.user = user;
    login.password = password;
    login.anySession = session == nullptr;
    if (session != nullptr) login.session = *session;
    login.sequence = nextSequence;
    std::byte frame[kFrameHeaderBytes + kLoginRequestBytes];
    const size_t bytes = writeLogin(frame, login);
    out_.assign(frame, frame + bytes);
    outSent_ = 0;
    in_.clear();
    loggedIn_ = stalled_ = false;
    blocked_ = true;  // until the connection stands
    rejected_ = LoginReject::None;
    return loop_.add(socket_.number(), EPOLLIN | EPOLLOUT | EPOLLRDHUP, *this);
}

void SoupClient::drop() {
    if (!socket_.isOpen()) return;
    loop_.remove(socket_.number());
    socket_.reset();
    loggedIn_ = false;
}

void SoupClient::lost(LoginReject rejected) {
    drop();
    events_.closed(number_, rejected);
}

bool SoupClient::send(std::span<const std::byte> message) {
    const size_t waiting = out_.size() - outSent_ + kFrameHeaderBytes + message.size();
    if (!loggedIn_ || waiting > kSendBytesMax) return false;
    // A server that takes a little at a time never empties the buffer: what is sent leaves it all the same.
    if (outSent_ >= kSendBytesMax) {
        out_.erase(out_.begin(), out_.begin() + static_cast<ptrdiff_t>(outSent_));
        outSent_ = 0;
    }
    const size_t at = out_.size();
    out_.resize(at + kFrameHeaderBytes + message.size());
    writeFrameHeader(out_.data() + at, Packet::Unsequenced, message.size());
    std::memcpy(out_.data() + at + kFrameHeaderBytes, message.data(), message.size());
    return true;
}

void SoupClient::flush() {
    if (!socket_.isOpen() || blocked_) return;
    while (outSent_ != out_.size()) {
        const ssize_t sent = ::send(socket_.number(), out_.data() + outSent_, out_.size() - outSent_,
                                    MSG_NOSIGNAL | MSG_DONTWAIT);
        loop_.calls().writes++;
        if (sent < 0) {
            if (errno == EINTR) continue;
            if (errno == EAGAIN || errno == EWOULDBLOCK) {
                blocked_ = true;
            } else {
                lost(rejected_);
            }
            return;
        }
        outSent_ += static_cast<size_t>(sent);
        sentNs_ = loop_.nowNs();
    }
    out_.clear();
    outSent_ = 0;
}

void SoupClient::tick(uint64_t nowNs) {
    if (!loggedIn_ || nowNs - sentNs_ < kHeartbeatNs || outSent_ != out_.size()) return;
    std::byte frame[kFrameHeaderBytes];
    const size_t bytes = writeBare(frame, Packet::ClientHeartbeat);
    out_.insert(out_.end(), frame, frame + bytes);
    flush();
}

void SoupClient::logout() {
    if (!socket_.isOpen()) return;
    std::byte frame[kFrameHeaderBytes];
    const size_t bytes = writeBare(frame, Packet::LogoutRequest);
    out_.insert(out_.end(), frame, frame + bytes);
    flush();
}

void SoupClient::stall(bool stalled) {
    stalled_ = stalled;
    if (!stalled_ && socket_.isOpen()) read();
}

void SoupClient::ready(uint32_t epollEvents) {
    if ((epollEvents & EPOLLOUT) != 0 && blocked_) {
        blocked_ = false;
        flush();
        if (!socket_.isOpen()) return;
    }
    if ((epollEvents & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0 && !stalled_) read();
}

void SoupClient::read() {
    // One buffer for all clients of a thread.
    thread_local std::vector<std::byte> buffer(kReceiveBytes + kPayloadMax + kFrameHeaderBytes);
    while (socket_.isOpen() && !stalled_) {
        const size_t before = in_.size();
        if (before != 0) std::memcpy(buffer.data(), in_.data(), before);
        const ssize_t count = recv(socket_.number(), buffer.data() + before,
                                   buffer.size() - before, MSG_DONTWAIT);
        loop_.calls().reads++;
        if (count < 0 && errno == EINTR) continue;
        if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
        if (count <= 0) {
            lost(rejected_);
            return;
        }
        const size_t bytes = before + static_cast<size_t>(count);
        size_t at = 0;
        for (;;) {
            const Frame frame =
                readFrame({buffer.data() + at, bytes - at}, kPayloadMax, Sender::Server);
            if (frame.state == FrameState::Partial) break;
            if (frame.state == FrameState::Malformed) {
                lost(rejected_);
                return;
            }
            at += frame.bytes;
            if (!take(frame)) return;
        }
        in_.assign(buffer.data() + at, buffer.data() + bytes);
        if (bytes < buffer.size()) {
            // Short: what comes next is a new edge, but for the end of the stream.
            continue;
        }
    }
}

bool SoupClient::take(const Frame& frame) {
    switch (frame.type) {
        case Packet::LoginAccepted: {
            if (!readLoginAccepted(frame.payload, session_, next_)) {
                lost(LoginReject::None);
                return false;
            }
            loggedIn_ = true;
            sentNs_ = loop_.nowNs();
            events_.loggedIn(number_, session_, next_);
            return socket_.isOpen();
        }
        case Packet::LoginRejected:
            rejected_ = frame.payload.empty()
                            ? LoginReject::NotAuthorized
                            : static_cast<LoginReject>(std::to_integer<uint8_t>(frame.payload[0]));
            return true;
        case Packet::Sequenced:
            events_.message(number_, next_++, frame.payload);
            return socket_.isOpen();
        case Packet::EndOfSession: events_.endOfSession(number_); return socket_.isOpen();
        default: return true;
    }
}

}  // namespace verbex::session
