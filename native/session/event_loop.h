// EventLoop: one epoll for every descriptor of the thread, edge-triggered.
//
// Purpose: tells whoever registered that there is something to read or room to write, and lets the
// thread sleep until there is, until it is woken, or until a time.
// Owner: the thread that polls.
// Thread safety: wake() from any thread; everything else from the owner's.
// Invariants:
//   1. ready() of a source is never called after remove(), not even for an event of the same poll, nor for
//      a descriptor that was closed and whose number another source has now.
//   2. wake() costs an atomic exchange while the thread is awake, a write where it sleeps; no wake-up is
//      lost (the argument of pipeline/doorbell.h).
//   3. Every system call of the loop and of those who count with calls() is counted.
// Requires: nothing.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/status.h"
#include "transport/sockets/descriptor.h"

namespace verbex::session {

// System calls since the start, by what they were for.
struct CallCounts {
    uint64_t waits = 0;   // epoll_wait
    uint64_t reads = 0;   // read, recv, recvmmsg
    uint64_t writes = 0;  // writev, send, sendmmsg
    uint64_t others = 0;  // accept, close, epoll_ctl, setsockopt, eventfd

    [[nodiscard]] uint64_t total() const { return waits + reads + writes + others; }
};

class EventLoop {
public:
    class Source {
    public:
        // Edge-triggered: read and write until there is no more, or remember that there is.
        virtual void ready(uint32_t epollEvents) = 0;

    protected:
        ~Source() = default;
    };

    static Result<std::unique_ptr<EventLoop>> create();
    ~EventLoop();
    EventLoop(const EventLoop&) = delete;
    EventLoop& operator=(const EventLoop&) = delete;

    // `events`: EPOLLIN, EPOLLOUT, EPOLLRDHUP; EPOLLET is added.
    Status add(int descriptor, uint32_t events, Source& source);
    // Before the descriptor is closed.
    void remove(int descriptor);

    // Calls ready() for what is ready now; false where nothing was. Never sleeps.
    bool poll();
    // Sleeps until something is ready, wake(), or `forNs` is over; then as poll(). `mayNot` is asked once
    // more behind the mark that makes wake() write: true, and it does not sleep.
    template <typename MayNot>
    bool sleep(uint64_t forNs, MayNot&& mayNot) {
        sleeping_.exchange(true, std::memory_order_acq_rel);
        const bool found = mayNot() ? false : pollFor(forNs);
        sleeping_.exchange(false, std::memory_order_acq_rel);
        return found;
    }
    void wake();

    [[nodiscard]] CallCounts& calls() { return calls_; }
    // Nanoseconds of the monotonic clock, read once a poll and by refreshTime().
    [[nodiscard]] uint64_t nowNs() const { return nowNs_; }
    uint64_t refreshTime();

private:
    // Who is behind a descriptor's number, and the how-manieth.
    struct Entry {
        Source* source = nullptr;
        uint32_t generation = 0;
    };

    EventLoop(transport::Descriptor epoll, transport::Descriptor bell);
    bool pollFor(uint64_t forNs);
    bool take(int timeoutMs);

    transport::Descriptor epoll_;
    transport::Descriptor bell_;
    std::atomic<bool> sleeping_{false};
    std::vector<Entry> entries_;  // by descriptor
    CallCounts calls_;
    uint64_t nowNs_ = 0;
};

}  // namespace verbex::session
