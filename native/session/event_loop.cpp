#include "session/event_loop.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace verbex::session {

namespace {

constexpr int kEventsPerPoll = 256;
constexpr uint64_t kWaitUnitNs = 1'000'000;  // epoll counts milliseconds

Status systemError(const char* doing) {
    return Status(StatusCode::IoError, std::string(doing) + ": " + std::strerror(errno));
}

uint64_t monotonicNs() {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

}  // namespace

Result<std::unique_ptr<EventLoop>> EventLoop::create() {
    transport::Descriptor epoll(epoll_create1(EPOLL_CLOEXEC));
    if (!epoll.isOpen()) return systemError("epoll_create1");
    transport::Descriptor bell(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!bell.isOpen()) return systemError("eventfd");
    epoll_event event{};
    event.events = EPOLLIN | EPOLLET;
    event.data.u64 = static_cast<uint32_t>(bell.number());
    if (epoll_ctl(epoll.number(), EPOLL_CTL_ADD, bell.number(), &event) != 0) {
        return systemError("epoll_ctl");
    }
    return std::unique_ptr<EventLoop>(new EventLoop(std::move(epoll), std::move(bell)));
}

EventLoop::EventLoop(transport::Descriptor epoll, transport::Descriptor bell)
    : epoll_(std::move(epoll)), bell_(std::move(bell)) {
    refreshTime();
}

EventLoop::~EventLoop() = default;

uint64_t EventLoop::refreshTime() { return nowNs_ = monotonicNs(); }

Status EventLoop::add(int descriptor, uint32_t events, Source& source) {
    const auto at = static_cast<size_t>(descriptor);
    if (entries_.size() <= at) entries_.resize(at + 64);
    Entry& entry = entries_[at];
    entry.source = &source;
    entry.generation++;
    epoll_event event{};
    event.events = events | EPOLLET;
    event.data.u64 = uint64_t{entry.generation} << 32 | static_cast<uint32_t>(descriptor);
    calls_.others++;
    if (epoll_ctl(epoll_.number(), EPOLL_CTL_ADD, descriptor, &event) != 0) {
        entry.source = nullptr;
        return systemError("epoll_ctl");
    }
    return {};
}

void EventLoop::remove(int descriptor) {
    entries_[static_cast<size_t>(descriptor)].source = nullptr;
    epoll_event event{};
    calls_.others++;
    epoll_ctl(epoll_.number(), EPOLL_CTL_DEL, descriptor, &event);
}

bool EventLoop::poll() { return take(0); }

bool EventLoop::pollFor(uint64_t forNs) {
    // Rounded up: a sleep that ends a little early would spin through its last millisecond.
    const uint64_t ms = std::min<uint64_t>(forNs / kWaitUnitNs + (forNs % kWaitUnitNs != 0), 60'000);
    return take(static_cast<int>(ms));
}

bool EventLoop::take(int timeoutMs) {
    std::array<epoll_event, kEventsPerPoll> events;
    calls_.waits++;
    const int count = epoll_wait(epoll_.number(), events.data(), kEventsPerPoll, timeoutMs);
    refreshTime();
    bool found = false;
    for (int i = 0; i < count; i++) {
        const auto descriptor = static_cast<uint32_t>(events[static_cast<size_t>(i)].data.u64);
        const auto generation =
            static_cast<uint32_t>(events[static_cast<size_t>(i)].data.u64 >> 32);
        if (descriptor == static_cast<uint32_t>(bell_.number())) {
            // Edge-triggered: the counter may grow on, each ring is an edge of its own.
            continue;
        }
        const Entry entry = entries_[descriptor];
        if (entry.source == nullptr || entry.generation != generation) continue;
        found = true;
        entry.source->ready(events[static_cast<size_t>(i)].events);
    }
    return found;
}

void EventLoop::wake() {
    if (!sleeping_.exchange(false, std::memory_order_acq_rel)) return;
    const uint64_t one = 1;
    // Full (2^64 − 2 rings) would still be readable, hence awake.
    (void)!::write(bell_.number(), &one, sizeof(one));
}

}  // namespace verbex::session
