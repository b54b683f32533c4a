// EpollServer: SessionServer over TCP sockets on an EventLoop.
//
// Purpose: the implementation behind session_server.h, in two files: reading and the life of a connection
// (epoll_server.cpp), writing and time (epoll_server_out.cpp).
// Owner, thread safety, invariants: session_server.h.
// Requires: nothing more.
#pragma once

#include <memory>
#include <vector>

#include "session/connection.h"

namespace verbex::session {

class EpollServer final : public SessionServer, private EventLoop::Source, private ConnectionOwner {
public:
    EpollServer(EventLoop& loop, SessionHandler& handler, const SessionServerOptions& options);
    ~EpollServer() override;
    Status listen();

    [[nodiscard]] transport::Address address() const override { return address_; }
    void touch(ConnectionId id) override;
    bool flush() override;
    void tick(uint64_t nowNs) override;
    void close(ConnectionId id, CloseReason reason) override;
    void endSession() override;
    [[nodiscard]] const SessionServerCounters& counters() const override { return counters_; }
    [[nodiscard]] bool busy() const override;

private:
    // ---- the life of a connection
    void ready(uint32_t epollEvents) override;  // of the listening socket
    void connectionReady(uint32_t slot, uint32_t epollEvents) override;
    void acceptSome();
    void take(transport::Descriptor socket);
    void end(Connection& connection, CloseReason reason);
    Connection* find(ConnectionId id);

    // ---- in
    void read(Connection& connection);
    // Takes whole frames from the bytes; answers how many bytes are left over.
    size_t consume(Connection& connection, const std::byte* bytes, size_t count);
    bool takeFrame(Connection& connection, const Frame& frame);
    void login(Connection& connection, std::span<const std::byte> payload);
    void queueRead(Connection& connection);

    // ---- out
    void queueWrite(Connection& connection);
    void writeOwn(Connection& connection, const std::byte* bytes, size_t count);
    // False where there is more to write and the socket would take it.
    bool write(Connection& connection);
    bool lagsTooFar(Connection& connection);
    void heartbeat(Connection& connection);
    void checkTimes(Connection& connection);

    EventLoop& loop_;
    SessionHandler& handler_;
    const SessionServerOptions options_;
    transport::Descriptor listener_;
    transport::Address address_;
    bool mayAccept_ = false;

    std::unique_ptr<Connection[]> connections_;
    std::byte* buffers_ = nullptr;  // mapped: a page costs memory once it was used
    size_t bufferBytes_ = 0;
    std::vector<std::byte> shared_;      // what every read goes into where nothing is held
    std::vector<uint32_t> free_;         // slots
    std::vector<uint32_t> ended_;        // slots that are free after this round
    std::vector<uint32_t> active_;       // slots in use
    std::vector<uint32_t> reads_;        // connections with more to read, or that wait for room
    std::vector<uint32_t> readsNow_;
    std::vector<uint32_t> writes_;
    std::vector<uint32_t> writesNow_;
    bool roomIsShort_ = false;  // a handler had no room in this round
    uint64_t nowNs_ = 0;
    uint64_t checkedNs_ = 0;
    SessionServerCounters counters_;
};

}  // namespace verbex::session
