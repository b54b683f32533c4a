// What stands around a SessionServer in its tests: a store in memory, a handler that remembers,
// and a client of bare bytes.
#pragma once

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "session/session_server.h"

namespace verbex::session::session_fixture {

using Bytes = std::vector<std::byte>;

inline Bytes bytesOf(const std::string& text) {
    const auto* const at = reinterpret_cast<const std::byte*>(text.data());
    return {at, at + text.size()};
}

inline Bytes frameOf(Packet type, const std::string& payload = "") {
    Bytes frame(kFrameHeaderBytes);
    writeFrameHeader(frame.data(), type, payload.size());
    const Bytes behind = bytesOf(payload);
    frame.insert(frame.end(), behind.begin(), behind.end());
    return frame;
}

inline Bytes loginOf(const std::string& user, uint64_t sequence = 1,
                     const std::string& password = "secret") {
    LoginRequest login;
    login.user = user;
    login.password = password;
    login.sequence = sequence;
    Bytes frame(kFrameHeaderBytes + kLoginRequestBytes);
    writeLogin(frame.data(), login);
    return frame;
}

// A session's frames one behind the other; a cursor's record is a place in them.
class MemoryOutbound final : public Outbound {
public:
    void append(const std::string& payload) {
        starts_.push_back(stream_.size());
        const Bytes frame = frameOf(Packet::Sequenced, payload);
        stream_.insert(stream_.end(), frame.begin(), frame.end());
    }
    [[nodiscard]] uint64_t messages() const { return starts_.size(); }
    [[nodiscard]] OutboundCursor at(uint64_t sequence) const {
        return {sequence > starts_.size() ? stream_.size() : starts_[sequence - 1], 0};
    }

    size_t gather(const OutboundCursor& cursor, std::span<iovec> into) override {
        // In small entries, so that one write has many and ends inside of frames.
        size_t count = 0;
        for (uint64_t at = cursor.record; at < stream_.size() && count < into.size();) {
            const size_t bytes = std::min<size_t>(stream_.size() - at, 700);
            into[count++] = {stream_.data() + at, bytes};
            at += bytes;
        }
        return count;
    }
    void advance(OutboundCursor& cursor, size_t bytes) override { cursor.record += bytes; }
    [[nodiscard]] uint64_t lag(const OutboundCursor& cursor) const override {
        return stream_.size() - cursor.record;
    }

private:
    Bytes stream_;
    std::vector<uint64_t> starts_;
};

class Handler : public SessionHandler {
public:
    struct Seen {
        std::string user;
        std::vector<std::string> messages;
        int closed = 0;
        CloseReason reason = CloseReason::None;
    };

    LoginAnswer login(ConnectionId id, const LoginRequest& request) override {
        LoginAnswer answer;
        if (request.password != "secret") return answer;
        const std::string user(request.user);
        MemoryOutbound& outbound = sessions[user];
        answer.rejected = LoginReject::None;
        std::memcpy(answer.session.data(), "0000000042", kSessionBytes);
        answer.sequence = request.sequence == 0 ? outbound.messages() + 1 : request.sequence;
        answer.outbound = &outbound;
        answer.cursor = outbound.at(answer.sequence);
        EXPECT_FALSE(seen.contains(key(id))) << "a number was used for two";
        seen[key(id)].user = user;
        last = id;
        return answer;
    }
    Taken received(ConnectionId id, std::span<const std::byte> message) override {
        EXPECT_TRUE(seen.contains(key(id)));
        Seen& of = seen[key(id)];
        EXPECT_EQ(of.closed, 0) << "a message behind closed()";
        if (room == 0) return Taken::NotNow;
        --room;
        of.messages.emplace_back(reinterpret_cast<const char*>(message.data()), message.size());
        return of.messages.back() == "bad" ? Taken::Close : Taken::Yes;
    }
    void closed(ConnectionId id, CloseReason reason) override {
        EXPECT_TRUE(seen.contains(key(id)));
        seen[key(id)].closed++;
        seen[key(id)].reason = reason;
    }

    static uint64_t key(ConnectionId id) { return uint64_t{id.generation} << 32 | id.slot; }
    [[nodiscard]] size_t messages() const {
        size_t sum = 0;
        for (const auto& [id, of] : seen) sum += of.messages.size();
        return sum;
    }
    [[nodiscard]] const Seen& of(const std::string& user) const {
        for (const auto& [id, seenOf] : seen) {
            if (seenOf.user == user) return seenOf;
        }
        static const Seen none;
        return none;
    }

    std::map<std::string, MemoryOutbound> sessions;
    std::map<uint64_t, Seen> seen;
    ConnectionId last;
    uint64_t room = UINT64_MAX;
};

// A peer that may write anything.
class Peer {
public:
    explicit Peer(uint16_t port, int receiveBytes = 0) {
        socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (receiveBytes != 0) {
            setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &receiveBytes, sizeof receiveBytes);
        }
        sockaddr_in to{};
        to.sin_family = AF_INET;
        to.sin_port = htons(port);
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        EXPECT_EQ(::connect(socket_, reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
    }
    Peer(Peer&& other) noexcept
        : socket_(std::exchange(other.socket_, -1)), in_(std::move(other.in_)),
            over_(other.over_) {}
    ~Peer() { close(); }

    // As much as the socket takes.
    size_t send(std::span<const std::byte> bytes) {
        const ssize_t sent =
            ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        return sent < 0 ? 0 : static_cast<size_t>(sent);
    }
    void close() {
        if (socket_ >= 0) ::close(socket_);
        socket_ = -1;
    }
    void reset() {
        const linger now{1, 0};
        setsockopt(socket_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
        close();
    }
    // All that is there now.
    void read() {
        std::byte bytes[16384];
        while (!over_) {
            const ssize_t count = recv(socket_, bytes, sizeof bytes, MSG_DONTWAIT);
            if (count < 0 && errno == EAGAIN) return;
            if (count <= 0) {
                over_ = true;
            } else {
                in_.insert(in_.end(), bytes, bytes + count);
            }
        }
    }
    [[nodiscard]] bool over() {
        read();
        return over_;
    }
    // What came, as the types and payloads of whole frames; anything else is a failure.
    std::vector<std::string> frames() {
        read();
        std::vector<std::string> frames;
        size_t at = 0;
        for (;;) {
            const Frame frame =
                readFrame(std::span(in_).subspan(at), UINT16_MAX - 1, Sender::Server);
            EXPECT_NE(frame.state, FrameState::Malformed) << "a frame was cut by another";
            if (frame.state != FrameState::Whole) break;
            frames.push_back(std::string(1, static_cast<char>(frame.type)) +
                             std::string(reinterpret_cast<const char*>(frame.payload.data()),
                                         frame.payload.size()));
            at += frame.bytes;
        }
        in_.erase(in_.begin(), in_.begin() + static_cast<ptrdiff_t>(at));
        return frames;
    }

private:
    int socket_ = -1;
    Bytes in_;
    bool over_ = false;
};

class World {
public:
    explicit World(SessionServerOptions options = {}, Handler* with = nullptr)
        : handler(with != nullptr ? *with : own_) {
        loop = EventLoop::create().take();
        now = loop->nowNs();
        auto opened = SessionServer::open(*loop, handler, options);
        EXPECT_TRUE(opened.isOk());
        server = opened.take();
        server->tick(now);
    }
    [[nodiscard]] uint16_t port() const { return server->address().port; }
    void round() {
        loop->poll();
        server->flush();
    }
    void rounds(int count = 20) {
        while (count-- > 0) round();
    }
    template <typename Is>
    [[nodiscard]] bool until(Is&& is) {
        // A generous bound: TCP's own timers take their time with small windows.
        const uint64_t began = loop->refreshTime();
        while (loop->nowNs() - began < 20'000'000'000) {
            if (is()) return true;
            round();
        }
        return false;
    }
    // The server's clock alone.
    void pass(uint64_t ms) {
        now += ms * 1'000'000;
        server->tick(now);
        round();
    }
    std::unique_ptr<Peer> loggedIn(const std::string& user, uint64_t sequence = 1,
                                   int receiveBytes = 0) {
        auto peer = std::make_unique<Peer>(port(), receiveBytes);
        const uint64_t before = server->counters().logins;
        peer->send(loginOf(user, sequence));
        EXPECT_TRUE(until([&] { return server->counters().logins == before + 1; }));
        return peer;
    }
    [[nodiscard]] uint64_t closedBy(CloseReason reason) const {
        return server->counters().closedBy[static_cast<size_t>(reason)];
    }

    std::unique_ptr<EventLoop> loop;
    uint64_t now = 0;

private:
    Handler own_;

public:
    Handler& handler;
    std::unique_ptr<SessionServer> server;
};

}  // namespace verbex::session::session_fixture
