// Links that are up: their connections, their closing and their end.
#include <algorithm>
#include <sys/epoll.h>

#include "base/check.h"
#include "transport/host/host_network_parts.h"

namespace verbex::transport {
namespace {

constexpr uint32_t kEnd = EPOLLRDHUP | EPOLLHUP | EPOLLERR;
constexpr Nanoseconds kSecond = 1'000'000'000;
constexpr Nanoseconds kClosingWithoutProgress = kSecond;
constexpr Nanoseconds kClosingAtMost = 10 * kSecond;

}  // namespace

void HostNetwork::onChannelEvents(Established& entry, uint32_t events) {
    if (entry.tcp != nullptr) {
        entry.tcp->onEvents((events & EPOLLIN) != 0, (events & EPOLLOUT) != 0,
                            (events & kEnd) != 0);
    } else if (!entry.channel->advance()) {
        endChannel(entry, entry.channel->isClean());
    }
}

void HostNetwork::endChannel(Established& entry, bool clean) {
    if (!entry.channel->stream().isOpen()) return;
    ready_.remove(entry.source);
    entry.channel->stream().close();
    entry.link->onPeerEnded(clean);
}

void HostNetwork::boundClosing(Established& entry) {
    const uint64_t unconsumed = entry.link->unconsumed();
    if (entry.closingSince == 0) {
        entry.closingSince = entry.progressedAt = now_;
        entry.unconsumed = unconsumed;
    }
    if (unconsumed < entry.unconsumed) entry.progressedAt = now_;
    entry.unconsumed = unconsumed;
    if (now_ - entry.progressedAt < kClosingWithoutProgress &&
        now_ - entry.closingSince < kClosingAtMost) {
        return;
    }
    if (entry.tcp != nullptr) {
        entry.link->onPeerEnded(true);
    } else {
        endChannel(entry, true);
    }
}

void HostNetwork::serveLinks(NetworkEvents& events) {
    // The events may add links, which lie behind, and drop any.
    const size_t count = links_.size();
    for (size_t i = 0; i < count; ++i) {
        Established& entry = *links_[i];
        if (entry.link == nullptr || entry.isReported) continue;
        entry.link->progress();
        if (entry.link->state() == LinkState::Closing) boundClosing(entry);
        if (!entry.link->isOver()) continue;
        entry.isReported = true;
        if (entry.tcp == nullptr && entry.channel->stream().isOpen()) {
            ready_.remove(entry.source);
            entry.channel->stream().close();
        }
        events.onOver(*entry.link);
    }
}

void HostNetwork::forget(Established& entry) {
    ready_.remove(entry.source);
    ready_.remove(entry.wakeSource);
    if (entry.tcp != nullptr) --tcpLinks_;
    entry.tcp = nullptr;
    // What the maker frees has its descriptors open for a while yet.
    if (entry.wakeDescriptor >= 0) {
        (void)::epoll_ctl(epoll_.number(), EPOLL_CTL_DEL, entry.wakeDescriptor, nullptr);
    }
    if (maker_.isWantedFor(entry.link->info().transport)) {
        maker_.giveBack(std::move(entry.link));
    }
    entry.link.reset();
    entry.channel.reset();
}

void HostNetwork::drop(Link& link) {
    const auto at = std::find_if(links_.begin(), links_.end(), [&](const auto& entry) {
        return entry->link.get() == &link;
    });
    CHECK(at != links_.end());
    forget(**at);
}

}  // namespace verbex::transport
