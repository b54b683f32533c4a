// Sockets, batches and heartbeats: see mold_publisher.h.
#include "feed/mold_publisher.h"

#include <cerrno>
#include <cstring>
#include <netinet/in.h>

#include "transport/sockets/socket_address.h"

namespace verbex::feed {

namespace {

constexpr int kSendBufferBytes = 4 << 20;  // a wish

Status failure(const std::string& doing, const transport::Address& to) {
    return Status(StatusCode::IoError, doing + " " + to.toString() + ": " + std::strerror(errno));
}

bool isGroup(const transport::SocketAddress& address) {
    if (address.storage.ss_family != AF_INET) return false;
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address.storage);
    return (ntohl(v4.sin_addr.s_addr) >> 28) == 0xe;
}

}  // namespace

MoldPublisher::MoldPublisher(const MarketFeedOptions& options, const session::SessionName& session,
                             MarketFeedCounters& counters, uint64_t& calls)
    : session_(session),
      counters_(counters),
      calls_(calls),
      heartbeatNs_(uint64_t{options.heartbeatMs} * 1'000'000),
      datagramBytes_(options.datagramBytes),
      buffers_(new std::byte[size_t{kBatch} * options.datagramBytes]),
      datagrams_{} {
    for (uint32_t i = 0; i < kBatch; ++i) {
        parts_[i] = {&buffers_[i * datagramBytes_], 0};
        datagrams_[i].msg_hdr.msg_iov = &parts_[i];
        datagrams_[i].msg_hdr.msg_iovlen = 1;
    }
}

Result<std::unique_ptr<MoldPublisher>> MoldPublisher::open(const MarketFeedOptions& options,
                                                           const session::SessionName& session,
                                                           MarketFeedCounters& counters,
                                                           uint64_t& calls) {
    std::unique_ptr<MoldPublisher> publisher(
        new MoldPublisher(options, session, counters, calls));
    for (const transport::Address& to : options.datagrams) {
        VERBEX_RETURN_IF_FAILED(publisher->addDestination(to, options));
    }
    return publisher;
}

Status MoldPublisher::addDestination(const transport::Address& to,
                                     const MarketFeedOptions& options) {
    Result<transport::SocketAddress> address = transport::resolve(to);
    if (!address.isOk()) return address.status();
    const int family = address.value().storage.ss_family;
    transport::Descriptor socket(
        ::socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_UDP));
    if (!socket.isOpen()) return failure("a socket for datagrams to", to);
    (void)setsockopt(socket.number(), SOL_SOCKET, SO_SNDBUF, &kSendBufferBytes,
                     sizeof(kSendBufferBytes));
    if (isGroup(address.value())) {
        const uint8_t hops = options.multicastHops;
        const uint8_t loop = 1;  // readers on this host are readers too
        if (setsockopt(socket.number(), IPPROTO_IP, IP_MULTICAST_TTL, &hops, sizeof(hops)) != 0 ||
            setsockopt(socket.number(), IPPROTO_IP, IP_MULTICAST_LOOP, &loop, sizeof(loop)) != 0) {
            return failure("multicast to", to);
        }
        if (!options.multicastInterface.empty()) {
            Result<transport::SocketAddress> by =
                transport::resolve({options.multicastInterface, 0});
            if (!by.isOk()) return by.status();
            if (by.value().storage.ss_family != AF_INET) {
                return Status(StatusCode::InvalidArgument,
                              "multicastInterface must be the IPv4 address of an interface");
            }
            const in_addr interface =
                reinterpret_cast<const sockaddr_in&>(by.value().storage).sin_addr;
            if (setsockopt(socket.number(), IPPROTO_IP, IP_MULTICAST_IF, &interface,
                           sizeof(interface)) != 0) {
                return failure("multicast by " + options.multicastInterface + " to", to);
            }
        }
    }
    if (::connect(socket.number(), address.value().get(), address.value().bytes) != 0) {
        return failure("datagrams to", to);
    }
    sockets_.push_back(std::move(socket));
    return {};
}

bool MoldPublisher::flush(const FeedHistory& history) {
    if (!behind(history)) return false;
    if (history.lost(sent_)) {
        ++counters_.datagramsFailed;
        (void)history.seek(history.oldest(), sent_);
    }
    for (uint32_t batch = 0; batch < kBatchesPerFlush; ++batch) {
        uint32_t count = 0;
        for (; count < kBatch; ++count) {
            iovec& part = parts_[count];
            part.iov_len = fillDatagram(history, sent_, session_, UINT64_MAX,
                                        {static_cast<std::byte*>(part.iov_base), datagramBytes_});
            if (part.iov_len == 0) break;
        }
        if (count == 0) break;
        sendBatch(count);
        if (count < kBatch) break;
    }
    sentSince_ = true;
    return true;
}

void MoldPublisher::sendBatch(uint32_t count) {
    for (const transport::Descriptor& socket : sockets_) {
        for (uint32_t done = 0; done < count;) {
            ++calls_;
            const int sent = sendmmsg(socket.number(), &datagrams_[done], count - done, 0);
            if (sent > 0) {
                for (uint32_t i = 0; i < static_cast<uint32_t>(sent); ++i) {
                    counters_.datagramBytes += parts_[done + i].iov_len;
                }
                counters_.datagrams += static_cast<uint32_t>(sent);
                done += static_cast<uint32_t>(sent);
                continue;
            }
            if (errno == EINTR) continue;
            if (errno == EAGAIN || errno == ENOBUFS) {
                counters_.datagramsFailed += count - done;
                break;
            }
            // Of this one, or of an earlier one that nobody received.
            ++counters_.datagramsFailed;
            ++done;
        }
    }
}

void MoldPublisher::sendBare(uint64_t sequence, uint16_t count) {
    writeMoldHeader(static_cast<std::byte*>(parts_[0].iov_base), {session_, sequence, count});
    parts_[0].iov_len = kMoldHeaderBytes;
    sendBatch(1);
}

void MoldPublisher::tick(const FeedHistory& history, uint64_t nowNs) {
    if (sockets_.empty()) return;
    if (sentSince_) {
        sentSince_ = false;
        sentNs_ = nowNs;
    } else if (nowNs - sentNs_ >= heartbeatNs_ && !behind(history)) {
        sendBare(history.next(), 0);
        sentNs_ = nowNs;
    }
}

void MoldPublisher::end(const FeedHistory& history) {
    while (behind(history)) flush(history);
    if (sockets_.empty()) return;
    for (uint32_t i = 0; i < kEndings; ++i) sendBare(history.next(), kMoldEndOfSession);
}

}  // namespace verbex::feed
