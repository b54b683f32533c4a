// Requests in, datagrams out: see mold_requests.h.
#include "feed/mold_requests.h"

#include <cerrno>
#include <cstring>
#include <netinet/in.h>
#include <sys/epoll.h>

#include "transport/sockets/socket_address.h"

namespace verbex::feed {

namespace {

// An address without its port; never 0.
uint64_t keyOf(const sockaddr_storage& from) {
    if (from.ss_family == AF_INET) {
        return uint64_t{1} << 32 | reinterpret_cast<const sockaddr_in&>(from).sin_addr.s_addr;
    }
    // Of IPv6 the network: a host has as many addresses in it as it likes.
    uint64_t network = 0;
    if (from.ss_family == AF_INET6) {
        std::memcpy(&network, &reinterpret_cast<const sockaddr_in6&>(from).sin6_addr,
                    sizeof(network));
    }
    return network | 1;
}

}  // namespace

MoldRequests::MoldRequests(session::EventLoop& loop, const MarketFeedOptions& options,
                           const FeedHistory& history, const session::SessionName& session,
                           MarketFeedCounters& counters)
    : loop_(loop),
      history_(history),
      session_(session),
      counters_(counters),
      throttle_(options.requestsPerSecond),
      datagramBytes_(options.datagramBytes),
      from_{},
      received_{},
      answers_(new std::byte[size_t{kBatch} * options.datagramBytes]),
      sending_{} {
    for (uint32_t i = 0; i < kBatch; ++i) {
        requestParts_[i] = {requests_[i], sizeof(requests_[i])};
        received_[i].msg_hdr.msg_iov = &requestParts_[i];
        received_[i].msg_hdr.msg_iovlen = 1;
        received_[i].msg_hdr.msg_name = &from_[i];
        answerParts_[i] = {&answers_[i * datagramBytes_], 0};
        sending_[i].msg_hdr.msg_iov = &answerParts_[i];
        sending_[i].msg_hdr.msg_iovlen = 1;
    }
}

MoldRequests::~MoldRequests() {
    if (socket_.isOpen()) loop_.remove(socket_.number());
}

Result<std::unique_ptr<MoldRequests>> MoldRequests::open(session::EventLoop& loop,
                                                         const MarketFeedOptions& options,
                                                         const FeedHistory& history,
                                                         const session::SessionName& session,
                                                         MarketFeedCounters& counters) {
    std::unique_ptr<MoldRequests> server(
        new MoldRequests(loop, options, history, session, counters));
    Result<transport::SocketAddress> address = transport::resolve(*options.retransmission);
    if (!address.isOk()) return address.status();
    transport::Descriptor socket(::socket(address.value().storage.ss_family,
                                          SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_UDP));
    if (!socket.isOpen() ||
        ::bind(socket.number(), address.value().get(), address.value().bytes) != 0) {
        return Status(errno == EADDRINUSE ? StatusCode::AlreadyExists : StatusCode::IoError,
                      "retransmission server at " + options.retransmission->toString() + ": " +
                          std::strerror(errno));
    }
    Result<transport::Address> bound = transport::boundAddressOf(socket.number());
    if (!bound.isOk()) return bound.status();
    VERBEX_RETURN_IF_FAILED(loop.add(socket.number(), EPOLLIN, *server));
    server->address_ = bound.take();
    server->socket_ = std::move(socket);
    return server;
}

void MoldRequests::ready(uint32_t) { waiting_ = true; }

bool MoldRequests::flush() {
    if (!waiting_) return false;
    for (uint32_t batch = 0; batch < kBatchesPerRound && waiting_; ++batch) {
        answer(receive());
    }
    return true;
}

uint32_t MoldRequests::receive() {
    for (uint32_t i = 0; i < kBatch; ++i) received_[i].msg_hdr.msg_namelen = sizeof(from_[i]);
    ++loop_.calls().reads;
    const int count = recvmmsg(socket_.number(), received_, kBatch, MSG_DONTWAIT, nullptr);
    if (count > 0) {
        if (static_cast<uint32_t>(count) < kBatch) waiting_ = false;
        return static_cast<uint32_t>(count);
    }
    // An error that an earlier answer left behind (nobody there) hides what waits behind it: look again.
    waiting_ = errno != EAGAIN;
    return 0;
}

void MoldRequests::answer(uint32_t count) {
    uint32_t answers = 0;
    for (uint32_t i = 0; i < count; ++i) {
        ++counters_.requests;
        size_t bytes = 0;
        iovec& part = answerParts_[answers];
        if (throttle_.take(keyOf(from_[i]), loop_.nowNs())) {
            bytes = answerRequest(history_, session_, {requests_[i], received_[i].msg_len},
                                  {static_cast<std::byte*>(part.iov_base), datagramBytes_});
        }
        if (bytes == 0) {
            ++counters_.requestsRefused;
            continue;
        }
        MoldHeader header;
        (void)readMoldHeader({static_cast<std::byte*>(part.iov_base), bytes}, header);
        counters_.retransmitted += header.count;
        part.iov_len = bytes;
        sending_[answers].msg_hdr.msg_name = &from_[i];
        sending_[answers].msg_hdr.msg_namelen = received_[i].msg_hdr.msg_namelen;
        ++answers;
    }
    send(answers);
}

void MoldRequests::send(uint32_t count) {
    for (uint32_t done = 0; done < count;) {
        ++loop_.calls().writes;
        const int sent = sendmmsg(socket_.number(), &sending_[done], count - done, MSG_DONTWAIT);
        if (sent > 0) {
            done += static_cast<uint32_t>(sent);
        } else if (errno == EAGAIN || errno == ENOBUFS) {
            counters_.datagramsFailed += count - done;
            return;
        } else if (errno != EINTR) {
            ++counters_.datagramsFailed;
            ++done;
        }
    }
}

}  // namespace verbex::feed
