#include "transport/host/host_network.h"

#include <bit>
#include <cerrno>
#include <cstring>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "base/check.h"
#include "transport/host/host_id.h"
#include "transport/host/host_network_parts.h"
#include "transport/sockets/socket_address.h"

namespace verbex::transport {
namespace {

constexpr size_t kEventsAtOnce = 64;
// While a link is being closed its peer may take memory away from it without a wake.
constexpr Nanoseconds kClosingWait = 10 * kMillisecond;
// What epoll has to say to those who look at their links anyway (a new connection, a peer that died)
// may wait a little: asking costs microseconds. The first is for callers whose clock stands still.
constexpr uint32_t kPollsBetweenCollects = 16'384;
constexpr Nanoseconds kTimeBetweenCollects = kMillisecond;

Status invalidOptions(std::string text) {
    return Status(StatusCode::InvalidArgument, std::move(text));
}

Status failedTo(const char* what) {
    return Status(StatusCode::IoError, std::string(what) + ": " + std::strerror(errno) +
                                           "; see the limit of open files (ulimit -n)");
}

Status checkSizes(const NetworkOptions& options) {
    if (!std::has_single_bit(options.ringBytes) || options.ringBytes < kRingBytesMin ||
        options.ringBytes > kRingBytesMax) {
        return invalidOptions("a ring is a power of two from 4 KiB to 1 GiB, not " +
                       std::to_string(options.ringBytes) + " bytes");
    }
    if (options.payloadMax == 0 || options.payloadMax > options.ringBytes / 4) {
        return invalidOptions("the largest payload is from 1 byte to a quarter of the ring, not " +
                       std::to_string(options.payloadMax) + " of " +
                       std::to_string(options.ringBytes) + " bytes");
    }
    if (options.halfOpenMax == 0 || options.linksMax == 0 || options.setUpTimeoutMs == 0) {
        return invalidOptions("the limits of set-ups in progress, links and set-up time are at least 1");
    }
    return {};
}

}  // namespace

Result<std::unique_ptr<HostNetwork>> HostNetwork::open(NetworkOptions options) {
    auto network = std::unique_ptr<HostNetwork>(new HostNetwork(std::move(options)));
    const Status prepared = network->prepare();
    if (!prepared.isOk()) return prepared.within("opening the network");
    return network;
}

HostNetwork::HostNetwork(NetworkOptions options) : options_(std::move(options)) {}

HostNetwork::~HostNetwork() = default;

Status HostNetwork::prepare() {
    VERBEX_RETURN_IF_FAILED(checkSizes(options_));
    if (!options_.key.empty()) {
        const auto crypto = CryptoLibrary::load();
        VERBEX_RETURN_IF_FAILED(crypto.status());
        crypto_ = crypto.value();
        auto key = SharedKey::make(options_.key);
        VERBEX_RETURN_IF_FAILED(key.status());
        key_ = std::make_unique<SharedKey>(key.take());
    }
    if (!options_.tls.certificateFile.empty()) {
        auto tls = TlsContext::load(options_.tls);
        VERBEX_RETURN_IF_FAILED(tls.status());
        tls_ = tls.take();
    }
    host_ = thisHostId();
    VERBEX_RETURN_IF_FAILED(check(ConnectorOptions{
        .node = localNode(bitOf(TransportKind::Tcp)), .service = {}, .epoch = 0}));
    epoll_ = Descriptor(::epoll_create1(EPOLL_CLOEXEC));
    if (!epoll_.isOpen()) return failedTo("making an epoll");
    wakeEvent_ = Descriptor(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!wakeEvent_.isOpen()) return failedTo("making an eventfd");
    VERBEX_RETURN_IF_FAILED(takeSpare(spare_));
    return watch(wakeEvent_.number(), wakeSource_, EPOLLIN);
}

LocalNode HostNetwork::localNode(uint8_t transports) const {
    // Memory of one host is as safe as the processes on it.
    const bool mac =
        options_.transport == TransportWish::Shm ? options_.macOnShm : options_.mac;
    return {.name = options_.node,
            .host = host_,
            .transports = transports,
            .ringBytes = options_.ringBytes,
            .payloadMax = options_.payloadMax,
            .key = key_.get(),
            .crypto = crypto_,
            .macWanted = key_ != nullptr && mac};
}

Status HostNetwork::watch(int descriptor, EventSource& source, uint32_t events) {
    epoll_event event{.events = events, .data = {.u64 = ready_.keyOf(source)}};
    if (::epoll_ctl(epoll_.number(), EPOLL_CTL_ADD, descriptor, &event) == 0) return {};
    if (errno == EEXIST && ::epoll_ctl(epoll_.number(), EPOLL_CTL_MOD, descriptor, &event) == 0) {
        return {};
    }
    ready_.remove(source);
    return failedTo("watching a descriptor");
}

bool HostNetwork::isCollectDue() {
    // tcp links that do not spin have their reports from epoll only; rings are looked at anyway,
    // and a system call for each look would cost more than the look.
    const bool looksAnyway = !links_.empty() && (options_.spin || tcpLinks_ == 0);
    if (!looksAnyway || !pending_.empty() || now_ < collectedAt_ ||
        now_ - collectedAt_ >= kTimeBetweenCollects) {
        return true;
    }
    return ++pollsSinceCollect_ >= kPollsBetweenCollects;
}

void HostNetwork::collect(Nanoseconds atMost) {
    pollsSinceCollect_ = 0;
    collectedAt_ = now_;
    epoll_event found[kEventsAtOnce];
    const timespec limit{.tv_sec = static_cast<time_t>(atMost / (1000 * kMillisecond)),
                         .tv_nsec = static_cast<long>(atMost % (1000 * kMillisecond))};
    int count = -1;
    if (atMost > 0 && hasWait2_) {
        count = ::epoll_pwait2(epoll_.number(), found, kEventsAtOnce, &limit, nullptr);
        // Kernels before 5.11, and sandboxes that do not know it.
        if (count < 0 && (errno == ENOSYS || errno == EPERM)) hasWait2_ = false;
    }
    if (atMost == 0 || !hasWait2_) {
        const Nanoseconds milliseconds =
            std::min<Nanoseconds>((atMost + kMillisecond - 1) / kMillisecond, 1'000'000);
        count = ::epoll_wait(epoll_.number(), found, kEventsAtOnce, static_cast<int>(milliseconds));
    }
    for (int i = 0; i < count; ++i) {
        EventSource* source = ready_.find(found[i].data.u64);
        if (source == nullptr) continue;
        if (source->kind == SourceKind::Wake) {
            uint64_t ignored;
            if (::read(wakeEvent_.number(), &ignored, sizeof ignored) > 0) isWoken_ = true;
        } else {
            ready_.add(*source, found[i].events);
        }
    }
}

void HostNetwork::wake() {
    const uint64_t one = 1;
    // Fails only where the counter is full: then it is readable already.
    if (::write(wakeEvent_.number(), &one, sizeof one) < 0) CHECK(errno == EAGAIN);
}

void HostNetwork::wait(Nanoseconds atMost) {
    bool mustReturn = isWoken_ || !ready_.isEmpty() || !refusals_.empty();
    for (const auto& pending : pending_) {
        const Nanoseconds left = pending->deadline > now_ ? pending->deadline - now_ : 0;
        atMost = std::min(atMost, left);
    }
    for (const auto& entry : links_) {
        if (entry->link == nullptr) continue;
        HostLink& link = *entry->link;
        if (link.isOver()) mustReturn = mustReturn || !entry->isReported;
        else link.setAsleep(true);
        if (link.state() == LinkState::Closing) atMost = std::min(atMost, kClosingWait);
        if (!link.isOver() && link.hasIncoming()) mustReturn = true;
    }
    collect(mustReturn ? 0 : atMost);
    isWoken_ = false;
    for (const auto& entry : links_) {
        if (entry->link != nullptr && !entry->link->isOver()) entry->link->setAsleep(false);
    }
}

void HostNetwork::poll(Nanoseconds now, NetworkEvents& events) {
    now_ = now;
    if (isCollectDue()) collect(0);
    if (maker_.takeDone()) {
        for (const auto& pending : pending_) {
            if (pending->isMade()) ready_.add(pending->source, 0);
        }
    }
    ready_.drain([&](EventSource& source, uint32_t what) { serve(source, what, events); });
    refuseExpired();
    reportRefusals(events);
    serveLinks(events);
    std::erase_if(links_, [](const auto& entry) { return entry->link == nullptr; });
    counters_.halfOpen = halfOpen();
    counters_.links = links_.size();
}

void HostNetwork::serve(EventSource& source, uint32_t what, NetworkEvents& events) {
    switch (source.kind) {
        case SourceKind::Wake: break;
        case SourceKind::Listener: accept(*static_cast<Listener*>(source.owner)); break;
        case SourceKind::SetUp: advance(*static_cast<PendingLink*>(source.owner), events); break;
        case SourceKind::Link:
            onChannelEvents(*static_cast<Established*>(source.owner), what);
            break;
        case SourceKind::LinkWake: static_cast<Established*>(source.owner)->link->onWoken(); break;
    }
}

void HostNetwork::fence(uint32_t epoch, const std::function<Receiver&(Link&)>& receiver) {
    const uint32_t floor = epoch == UINT32_MAX ? epoch : epoch + 1;
    epochFloor_ = std::max(epochFloor_, floor);
    for (const auto& listener : listeners_) listener->options.epochFloor = epochFloor_;
    for (size_t i = pending_.size(); i-- > 0;) {
        PendingLink& pending = *pending_[i];
        if (!pending.hasAgreed() || pending.epoch() > epoch) continue;
        pending.fail(RefusalCode::StaleEpoch,
                     "epoch " + std::to_string(pending.epoch()) + " has ended here");
        refuse(pending);
    }
    for (size_t i = 0; i < links_.size(); ++i) {
        Established& entry = *links_[i];
        if (entry.link == nullptr || entry.link->isOver()) continue;
        if (entry.link->info().epoch > epoch) continue;
        entry.link->fence(receiver(*entry.link));
        if (entry.tcp == nullptr) endChannel(entry, true);
    }
}

}  // namespace verbex::transport
