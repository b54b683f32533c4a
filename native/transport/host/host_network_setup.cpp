// Listening and set-ups: from a connection to a link.
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/check.h"
#include "transport/host/host_network_parts.h"
#include "transport/sockets/socket_address.h"

namespace verbex::transport {
namespace {

constexpr uint32_t kWatched = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
constexpr int kAcceptsAtOnce = 64;

bool isOutOfDescriptors(int error) {
    return error == EMFILE || error == ENFILE;
}

}  // namespace

Status takeSpare(Descriptor& into) {
    into = Descriptor(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (into.isOpen()) return {};
    return Status(StatusCode::IoError, std::string("opening /dev/null: ") + std::strerror(errno));
}

Result<ListenId> HostNetwork::listen(const Address& address, uint32_t epoch) {
    auto transports = offeredTransports(options_, availableTransports(options_));
    VERBEX_RETURN_IF_FAILED(transports.status());
    auto listener = std::make_unique<Listener>();
    listener->options.node = localNode(transports.value());
    listener->options.epoch = epoch;
    listener->options.epochFloor = epochFloor_;
    VERBEX_RETURN_IF_FAILED(check(listener->options));
    auto socket = listenOn(address);
    VERBEX_RETURN_IF_FAILED(socket.status());
    listener->socket = socket.take();
    auto bound = boundAddressOf(listener->socket.number());
    VERBEX_RETURN_IF_FAILED(bound.status());
    listener->bound = bound.take();
    VERBEX_RETURN_IF_FAILED(watch(listener->socket.number(), listener->source, EPOLLIN));
    listener->id = ++lastId_;
    listeners_.push_back(std::move(listener));
    return lastId_;
}

Address HostNetwork::boundAddress(ListenId id) const {
    for (const auto& listener : listeners_) {
        if (listener->id == id) return listener->bound;
    }
    return {};
}

void HostNetwork::stopListening(ListenId id) {
    const auto at = std::find_if(listeners_.begin(), listeners_.end(),
                                 [&](const auto& listener) { return listener->id == id; });
    if (at == listeners_.end()) return;
    for (size_t i = pending_.size(); i-- > 0;) {
        PendingLink& pending = *pending_[i];
        if (pending.isConnecting() || pending.id != id) continue;
        pending.fail(RefusalCode::ShuttingDown);
        refuse(pending);
    }
    ready_.remove((*at)->source);
    listeners_.erase(at);
}

size_t HostNetwork::halfOpen() const {
    return static_cast<size_t>(std::count_if(pending_.begin(), pending_.end(), [](const auto& p) {
        return !p->isConnecting();
    }));
}

void HostNetwork::accept(Listener& listener) {
    for (int i = 0; i < kAcceptsAtOnce; ++i) {
        const int number = ::accept4(listener.socket.number(), nullptr, nullptr,
                                     SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (number < 0 && isOutOfDescriptors(errno)) {
            // Left where it is the connection would be reported again and again.
            ++counters_.accepted;
            spare_.reset();
            turnAway(Descriptor(::accept4(listener.socket.number(), nullptr, nullptr,
                                          SOCK_NONBLOCK | SOCK_CLOEXEC)));
            if (!takeSpare(spare_).isOk()) return;
            continue;
        }
        if (number < 0 && (errno == EINTR || errno == ECONNABORTED)) continue;
        if (number < 0) return;
        ++counters_.accepted;
        accept(listener, Descriptor(number));
    }
}

void HostNetwork::accept(Listener& listener, Descriptor socket) {
    if (halfOpen() >= options_.halfOpenMax ||
        links_.size() + pending_.size() >= options_.linksMax) {
        turnAway(std::move(socket));
        return;
    }
    sendWithoutDelay(socket.number());
    auto channel = channelOver(std::move(socket), false);
    Nonce nonce;
    if (!channel.isOk() || !randomBytes(nonce).isOk()) {
        ++counters_.refused;
        return;
    }
    auto pending =
        std::make_unique<PendingLink>(options_, maker_, channel.take(), listener.options, nonce);
    pending->id = listener.id;
    if (!start(std::move(pending), now_).isOk()) ++counters_.refused;
}

// Told in one write that a new socket always has room for; under TLS it would be no answer.
void HostNetwork::turnAway(Descriptor socket) {
    ++counters_.refused;
    ++counters_.tooMany;
    if (!socket.isOpen() || tls_ != nullptr) return;
    std::array<std::byte, kRefuseBytesMax> bytes;
    const size_t size = encode(Refuse{.code = RefusalCode::TooManyConnections, .text = {}}, bytes);
    (void)!::send(socket.number(), bytes.data(), size, MSG_NOSIGNAL);
    ::shutdown(socket.number(), SHUT_WR);
}

Result<std::unique_ptr<PeerChannel>> HostNetwork::channelOver(Descriptor socket, bool connecting) {
    std::unique_ptr<TlsSession> session;
    if (tls_ != nullptr) {
        auto made =
            connecting ? tls_->connect(socket.number()) : tls_->accept(socket.number());
        VERBEX_RETURN_IF_FAILED(made.status());
        session = made.take();
    }
    return std::make_unique<PeerChannel>(ByteStream(std::move(socket), std::move(session)));
}

ConnectId HostNetwork::connect(const Address& address, const std::string& service, uint32_t epoch,
                               Nanoseconds now) {
    const ConnectId id = ++lastId_;
    Status started = startConnecting(address, service, epoch, id, now);
    if (!started.isOk()) {
        ++counters_.refused;
        if (started.code() == StatusCode::StaleEpoch) ++counters_.staleEpoch;
        refusals_.push_back({id, std::move(started)});
    }
    return id;
}

Status HostNetwork::startConnecting(const Address& address, const std::string& service,
                                    uint32_t epoch, ConnectId id, Nanoseconds now) {
    if (epoch < epochFloor_) {
        return Status(StatusCode::StaleEpoch,
                      "connecting at epoch " + std::to_string(epoch) +
                          ", which has ended here: learn the current one first");
    }
    if (links_.size() + pending_.size() >= options_.linksMax) {
        return Status(StatusCode::Refused, "there are " + std::to_string(options_.linksMax) +
                                               " links already: raise linksMax or drop some");
    }
    auto transports = offeredTransports(options_, availableTransports(options_));
    VERBEX_RETURN_IF_FAILED(transports.status());
    ConnectorOptions connector{
        .node = localNode(transports.value()), .service = service, .epoch = epoch};
    VERBEX_RETURN_IF_FAILED(check(connector));
    auto socket = connectTo(address);
    VERBEX_RETURN_IF_FAILED(socket.status());
    auto channel = channelOver(socket.take(), true);
    VERBEX_RETURN_IF_FAILED(channel.status());
    Nonce nonce;
    VERBEX_RETURN_IF_FAILED(randomBytes(nonce));
    auto pending = std::make_unique<PendingLink>(options_, maker_, channel.take(),
                                                 std::move(connector), nonce, address);
    pending->id = id;
    return start(std::move(pending), now);
}

Status HostNetwork::start(std::unique_ptr<PendingLink> pending, Nanoseconds now) {
    VERBEX_RETURN_IF_FAILED(watch(pending->socket(), pending->source, kWatched));
    pending->deadline = now + options_.setUpTimeoutMs * kMillisecond;
    // What may have come before it was watched.
    ready_.add(pending->source, 0);
    pending_.push_back(std::move(pending));
    return {};
}

void HostNetwork::advance(PendingLink& pending, NetworkEvents& events) {
    switch (pending.advance(epochFloor_)) {
        case PendingLink::Progress::Waiting: break;
        case PendingLink::Progress::Established: establish(pending, events); break;
        case PendingLink::Progress::Failed: refuse(pending); break;
    }
}

std::unique_ptr<PendingLink> HostNetwork::takeOut(PendingLink& pending) {
    ready_.remove(pending.source);
    const auto at = std::find_if(pending_.begin(), pending_.end(),
                                 [&](const auto& other) { return other.get() == &pending; });
    CHECK(at != pending_.end());
    auto taken = std::move(*at);
    *at = std::move(pending_.back());
    pending_.pop_back();
    return taken;
}

void HostNetwork::establish(PendingLink& finished, NetworkEvents& events) {
    const auto pending = takeOut(finished);
    auto entry = std::make_unique<Established>();
    ChosenLink chosen = pending->takeLink();
    entry->channel = pending->takeChannel();
    entry->link = std::move(chosen.link);
    entry->tcp = chosen.tcp;
    // The descriptor is watched already; its reports now go to the link.
    Status watched = watch(entry->channel->stream().socket(), entry->source, kWatched);
    const int wakeDescriptor = entry->link->wakeDescriptor();
    if (watched.isOk() && wakeDescriptor >= 0) {
        watched = watch(wakeDescriptor, entry->wakeSource, EPOLLIN);
        entry->wakeDescriptor = wakeDescriptor;
    }
    if (!watched.isOk()) {
        ready_.remove(entry->source);
        ++counters_.refused;
        if (pending->isConnecting()) refusals_.push_back({pending->id, std::move(watched)});
        return;
    }
    // What came before the change is looked for.
    ready_.add(entry->source, EPOLLIN | EPOLLOUT);
    if (entry->tcp != nullptr) ++tcpLinks_;
    ++counters_.established;
    Link& link = *entry->link;
    links_.push_back(std::move(entry));
    counters_.links = links_.size();
    counters_.halfOpen = halfOpen();
    if (pending->isConnecting()) {
        events.onConnected(pending->id, link);
    } else {
        events.onAccepted(pending->id, link);
    }
}

void HostNetwork::refuse(PendingLink& failed) {
    const auto pending = takeOut(failed);
    ++counters_.refused;
    switch (pending->refusal()) {
        case RefusalCode::KeyRequired:
        case RefusalCode::WrongKey:
        case RefusalCode::NotAuthentic: ++counters_.wrongKey; break;
        case RefusalCode::StaleEpoch: ++counters_.staleEpoch; break;
        case RefusalCode::Malformed: ++counters_.malformed; break;
        case RefusalCode::TimedOut: ++counters_.timedOut; break;
        case RefusalCode::TooManyConnections: ++counters_.tooMany; break;
        default: break;
    }
    if (pending->isConnecting()) refusals_.push_back({pending->id, pending->failure()});
}

void HostNetwork::refuseExpired() {
    for (size_t i = pending_.size(); i-- > 0;) {
        PendingLink& pending = *pending_[i];
        if (now_ < pending.deadline) continue;
        pending.fail(RefusalCode::TimedOut);
        refuse(pending);
    }
}

void HostNetwork::reportRefusals(NetworkEvents& events) {
    // What the events refuse anew is reported at the next poll.
    for (size_t left = refusals_.size(); left > 0; --left) {
        const Refusal refusal = std::move(refusals_.front());
        refusals_.pop_front();
        events.onRefused(refusal.id, refusal.why);
    }
}

}  // namespace verbex::transport
