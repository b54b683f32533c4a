// SoupClient: the client's side of a SoupBinTCP session, on an EventLoop.
//
// Purpose: for tests, benches and the load generator: logs in, batches what is sent into one write, hands
// sequenced messages over where they lie, with their numbers.
// Owner: the thread of the loop.
// Thread safety: none.
// Invariants:
//   1. Sequence numbers handed over rise by one from what LoginAccepted said.
//   2. After closed() nothing more is called until connect().
//   3. send() never blocks: false, and nothing taken, where `sendBytesMax` wait already.
// Requires: flush() after sends; tick() now and then.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "session/event_loop.h"
#include "session/soup.h"
#include "transport/network.h"

namespace verbex::session {

class SoupClientEvents {
public:
    virtual void loggedIn(uint64_t client, const SessionName& session, uint64_t nextSequence) = 0;
    virtual void message(uint64_t client, uint64_t sequence,
                         std::span<const std::byte> message) = 0;
    virtual void endOfSession(uint64_t client) = 0;
    // `rejected`: by the server at login. Otherwise the connection ended.
    virtual void closed(uint64_t client, LoginReject rejected) = 0;

protected:
    ~SoupClientEvents() = default;
};

class SoupClient final : public EventLoop::Source {
public:
    static constexpr size_t kSendBytesMax = 256 * 1024;

    // `number` comes back in every event.
    SoupClient(EventLoop& loop, SoupClientEvents& events, uint64_t number);
    ~SoupClient();
    SoupClient(const SoupClient&) = delete;
    SoupClient& operator=(const SoupClient&) = delete;

    // Logs in as soon as the connection stands. `session`: the one of before, or blank.
    Status connect(const transport::Address& server, const std::string& user,
                   const std::string& password, const SessionName* session = nullptr,
                   uint64_t nextSequence = 1);
    [[nodiscard]] bool send(std::span<const std::byte> message);
    void flush();
    void tick(uint64_t nowNs);
    void logout();
    // At once; closed() is not called.
    void drop();
    // Not reading: what comes waits in the socket. For tests of slow readers.
    void stall(bool stalled);

    [[nodiscard]] bool isLoggedIn() const { return loggedIn_; }
    [[nodiscard]] bool isConnected() const { return socket_.isOpen(); }
    [[nodiscard]] uint64_t nextSequence() const { return next_; }
    [[nodiscard]] const SessionName& session() const { return session_; }
    [[nodiscard]] int descriptor() const { return socket_.number(); }

private:
    static constexpr size_t kReceiveBytes = 64 * 1024;

    void ready(uint32_t epollEvents) override;
    void read();
    // False: the connection is gone.
    bool take(const Frame& frame);
    void lost(LoginReject rejected);

    EventLoop& loop_;
    SoupClientEvents& events_;
    const uint64_t number_;
    transport::Descriptor socket_;
    SessionName session_{};
    uint64_t next_ = 1;
    bool loggedIn_ = false;
    bool stalled_ = false;
    bool blocked_ = false;
    uint64_t sentNs_ = 0;
    LoginReject rejected_ = LoginReject::None;
    std::vector<std::byte> out_;
    size_t outSent_ = 0;
    std::vector<std::byte> in_;  // a frame's beginning
};

}  // namespace verbex::session
