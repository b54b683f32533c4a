// What the bus is held against: the same exchange without a bus, as bare as it can be written.
//
//   bare ring     cells in memory that two processes share, each with its number, written last
//   bare socket   one TCP connection over loopback, looked at without ever sleeping
//
// Owner: the benchmark; made before the fork, used by one side each.
// Thread safety: one sender and one receiver a direction.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "measuring.h"

namespace verbex::bench {

// One direction of shared memory.
class BareRing {
public:
    BareRing(size_t payloadBytes, size_t cells)
        : payload_(payloadBytes),
          stride_((sizeof(uint64_t) + payloadBytes + 63) / 64 * 64),
          cells_(cells) {
        const size_t bytes = 64 + stride_ * cells;
        void* mapped = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
        if (mapped == MAP_FAILED) stopWith("no memory for the bare ring");
        memory_ = static_cast<std::byte*>(mapped);
    }

    bool send(const std::byte* payload) {
        if (sent_ - seenRead_ == cells_) {
            seenRead_ = read().load(std::memory_order_acquire);
            if (sent_ - seenRead_ == cells_) return false;
        }
        std::byte* cell = cellAt(sent_);
        std::memcpy(cell + sizeof(uint64_t), payload, payload_);
        number(cell).store(++sent_, std::memory_order_release);
        return true;
    }
    void flush() {}
    // Copies one out, if one is there.
    bool receive(std::byte* into) {
        std::byte* cell = cellAt(received_);
        if (number(cell).load(std::memory_order_acquire) != received_ + 1) return false;
        std::memcpy(into, cell + sizeof(uint64_t), payload_);
        read().store(++received_, std::memory_order_release);
        return true;
    }

private:
    std::byte* cellAt(uint64_t index) { return memory_ + 64 + index % cells_ * stride_; }
    static std::atomic_ref<uint64_t> number(std::byte* cell) {
        return std::atomic_ref(*reinterpret_cast<uint64_t*>(cell));
    }
    std::atomic_ref<uint64_t> read() { return number(memory_); }

    size_t payload_;
    size_t stride_;
    size_t cells_;
    std::byte* memory_;
    uint64_t sent_ = 0;
    uint64_t received_ = 0;
    uint64_t seenRead_ = 0;
};

class BareRingPort {
public:
    BareRingPort(BareRing& out, BareRing& in) : out_(out), in_(in) {}
    bool send(const std::byte* payload) { return out_.send(payload); }
    void flush() {}
    bool receive(std::byte* into) { return in_.receive(into); }

private:
    BareRing& out_;
    BareRing& in_;
};

// One end of a connected socket. What is sent is gathered until flush().
class BareSocketPort {
public:
    BareSocketPort(int socket, size_t payloadBytes)
        : socket_(socket), payload_(payloadBytes), in_(1u << 16) {
        out_.reserve(1u << 16);
    }
    bool send(const std::byte* payload) {
        if (out_.size() + payload_ > (1u << 16)) {
            flush();
            if (!out_.empty()) return false;
        }
        out_.insert(out_.end(), payload, payload + payload_);
        return true;
    }
    void flush() {
        size_t at = 0;
        while (at < out_.size()) {
            const ssize_t took =
                ::send(socket_, out_.data() + at, out_.size() - at, MSG_DONTWAIT | MSG_NOSIGNAL);
            if (took <= 0) {
                if (took < 0 && errno != EAGAIN) stopWith("the bare socket broke");
                break;
            }
            at += static_cast<size_t>(took);
        }
        out_.erase(out_.begin(), out_.begin() + static_cast<ptrdiff_t>(at));
    }
    bool receive(std::byte* into) {
        if (end_ - begin_ < payload_) {
            std::memmove(in_.data(), in_.data() + begin_, end_ - begin_);
            end_ -= begin_;
            begin_ = 0;
            const ssize_t got = ::recv(socket_, in_.data() + end_, in_.size() - end_, MSG_DONTWAIT);
            if (got > 0) end_ += static_cast<size_t>(got);
            else if (got == 0) stopWith("the bare socket's other end is gone");
            if (end_ - begin_ < payload_) return false;
        }
        std::memcpy(into, in_.data() + begin_, payload_);
        begin_ += payload_;
        return true;
    }

private:
    int socket_;
    size_t payload_;
    std::vector<std::byte> out_;
    std::vector<std::byte> in_;
    size_t begin_ = 0;
    size_t end_ = 0;
};

// Two connected TCP sockets over loopback.
inline std::pair<int, int> loopbackPair() {
    const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    if (bind(listener, generic, length) != 0 || listen(listener, 1) != 0 ||
        getsockname(listener, generic, &length) != 0) {
        stopWith("cannot listen on loopback");
    }
    const int one = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(one, generic, length) != 0) stopWith("cannot connect over loopback");
    const int other = accept(listener, nullptr, nullptr);
    close(listener);
    const int yes = 1;
    for (const int end : {one, other}) {
        setsockopt(end, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    }
    return {one, other};
}

}  // namespace verbex::bench
