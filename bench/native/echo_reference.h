// What the gateway is measured against: the same bytes, the same connections, and nothing in between.
//
// Purpose: a bare epoll server that answers every order-sized message with an accept-sized one, and a client
// that asks at planned times, so that a gateway's round trip has something to stand beside.
// Owner: the bench. Thread safety: the server runs on a thread of its own until stop().
#pragma once

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "gateway/ouch/ouch.h"
#include "gateway_load.h"
#include "load/latency_histogram.h"
#include "session/soup.h"

namespace verbex::bench {

inline constexpr size_t kAskBytes =
    session::kFrameHeaderBytes + gateway::ouch::kBytes<gateway::ouch::EnterOrder>;
inline constexpr size_t kReplyBytes =
    session::kFrameHeaderBytes + gateway::ouch::kBytes<gateway::ouch::Accepted>;

inline void withoutDelay(int socket) {
    const int on = 1;
    setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

class EchoServer {
public:
    explicit EchoServer(bool spin) : spin_(spin) {
        listener_ = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t bytes = sizeof(address);
        if (bind(listener_, reinterpret_cast<sockaddr*>(&address), bytes) != 0 ||
            listen(listener_, 1024) != 0 ||
            getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &bytes) != 0) {
            stopWith("the echo server can't listen");
        }
        port_ = ntohs(address.sin_port);
        thread_ = std::thread([this] { run(); });
    }
    ~EchoServer() {
        stop_.store(true);
        thread_.join();
        for (const Client& client : clients_) ::close(client.socket);
        ::close(listener_);
    }
    [[nodiscard]] uint16_t port() const { return port_; }

private:
    struct Client {
        int socket;
        size_t partial = 0;
    };

    void run() {
        const int epoll = epoll_create1(0);
        epoll_event event{};
        event.events = EPOLLIN | EPOLLET;
        event.data.u32 = UINT32_MAX;
        epoll_ctl(epoll, EPOLL_CTL_ADD, listener_, &event);
        std::vector<char> buffer(64 * 1024);
        std::vector<char> replies(64 * 1024 / kAskBytes * kReplyBytes + kReplyBytes);
        epoll_event events[256];
        while (!stop_.load(std::memory_order_relaxed)) {
            const int count = epoll_wait(epoll, events, 256, spin_ ? 0 : 20);
            for (int i = 0; i < count; i++) {
                if (events[i].data.u32 == UINT32_MAX) {
                    accept(epoll);
                    continue;
                }
                Client& client = clients_[events[i].data.u32];
                const ssize_t got = recv(client.socket, buffer.data(), buffer.size(), 0);
                if (got <= 0) continue;
                const size_t bytes = client.partial + static_cast<size_t>(got);
                client.partial = bytes % kAskBytes;
                const size_t answers = bytes / kAskBytes * kReplyBytes;
                if (answers != 0) (void)!send(client.socket, replies.data(), answers, MSG_NOSIGNAL);
            }
        }
        ::close(epoll);
    }
    void accept(int epoll) {
        for (int one; (one = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK)) >= 0;) {
            withoutDelay(one);
            epoll_event event{};
            event.events = EPOLLIN | EPOLLET;
            event.data.u32 = static_cast<uint32_t>(clients_.size());
            clients_.push_back({one});
            epoll_ctl(epoll, EPOLL_CTL_ADD, one, &event);
        }
    }

    const bool spin_;
    int listener_ = -1;
    uint16_t port_ = 0;
    std::vector<Client> clients_;
    std::atomic<bool> stop_{false};
    std::thread thread_;
};

// The child: planned times, one ask a time, connections in turn; never sleeps.
inline int runEchoClient(const std::vector<std::string>& arguments) {
    const auto number = [&](size_t i) { return std::strtoull(arguments.at(i).c_str(), nullptr, 10); };
    const uint64_t rate = number(2);
    const uint64_t durationNs = number(4);
    const int pipe = static_cast<int>(number(6));
    struct Client {
        int socket;
        size_t partial = 0;
        uint64_t asked = 0, answered = 0;
        std::vector<uint64_t> planned = std::vector<uint64_t>(1024);
    };
    std::vector<Client> clients(number(1));
    const int epoll = epoll_create1(0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<uint16_t>(number(0)));
    for (uint32_t i = 0; i < clients.size(); i++) {
        clients[i].socket = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(clients[i].socket, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
            stopWith("the echo client can't connect");
        }
        withoutDelay(clients[i].socket);
        epoll_event event{};
        event.events = EPOLLIN | EPOLLET;
        event.data.u32 = i;
        epoll_ctl(epoll, EPOLL_CTL_ADD, clients[i].socket, &event);
    }
    load::LatencyHistogram trips;
    std::vector<char> ask(kAskBytes), buffer(64 * 1024);
    epoll_event events[256];
    const uint64_t warmNs = 500'000'000;
    const uint64_t began = nowNs();
    const uint64_t counted = began + warmNs;
    uint64_t sent = 0, answered = 0;
    LoadFigures figures;
    for (bool marked = false;;) {
        const uint64_t now = nowNs();
        if (!marked && now >= counted) {
            marked = true;
            (void)!::write(pipe, "c", 1);
        }
        if (now >= counted + durationNs) break;
        for (uint64_t due; (due = began + sent * 1'000'000'000 / rate) <= now; sent++) {
            Client& client = clients[sent % clients.size()];
            client.planned[client.asked++ % client.planned.size()] = due;
            (void)!send(client.socket, ask.data(), ask.size(), MSG_NOSIGNAL);
        }
        const int count = epoll_wait(epoll, events, 256, 0);
        for (int i = 0; i < count; i++) {
            Client& client = clients[events[i].data.u32];
            const ssize_t got = recv(client.socket, buffer.data(), buffer.size(), MSG_DONTWAIT);
            if (got <= 0) continue;
            const size_t bytes = client.partial + static_cast<size_t>(got);
            client.partial = bytes % kReplyBytes;
            const uint64_t at = nowNs();
            for (size_t whole = bytes / kReplyBytes; whole != 0; whole--) {
                const uint64_t planned = client.planned[client.answered++ % client.planned.size()];
                if (planned < counted) continue;
                trips.add(at - planned);
                answered++;
            }
        }
    }
    (void)!::write(pipe, "c", 1);
    figures.answered = figures.answeredInTime = answered;
    figures.elapsedNs = durationNs;
    figures.p50 = trips.at(500'000);
    figures.p99 = trips.at(990'000);
    figures.p999 = trips.at(999'000);
    figures.max = trips.max();
    return ::write(pipe, &figures, sizeof(figures)) == sizeof(figures) ? 0 : 1;
}

}  // namespace verbex::bench
