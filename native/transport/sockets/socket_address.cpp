#include "transport/sockets/socket_address.h"

#include <arpa/inet.h>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

namespace verbex::transport {
namespace {

constexpr int kBacklog = 512;

Status badAddress(std::string_view text, const char* why) {
    return Status(StatusCode::InvalidArgument,
                  "\"" + std::string(text) + "\" is no address: " + why +
                      "; write host:port, or [address]:port for IPv6");
}

Status systemFailure(const std::string& doing, int error) {
    const StatusCode code = error == EADDRINUSE ? StatusCode::AlreadyExists : StatusCode::IoError;
    std::string advice;
    if (error == EADDRINUSE) advice = "; choose another port or stop who has it";
    if (error == EADDRNOTAVAIL) advice = "; the address must be one of this host's";
    if (error == EACCES) advice = "; ports below 1024 need a privilege";
    if (error == EMFILE) advice = "; raise the limit of open files (ulimit -n)";
    return Status(code, doing + ": " + std::strerror(error) + advice);
}

Status connectStatus(int error, const Address& address) {
    std::string text = "connecting to " + address.toString() + ": " + std::strerror(error);
    if (error == ECONNREFUSED) text += "; nobody listens there: check address, port and the peer";
    if (error == EHOSTUNREACH || error == ENETUNREACH) text += "; check routes and firewalls";
    return Status(error == ETIMEDOUT ? StatusCode::TimedOut : StatusCode::Refused, text);
}

bool resolveNumeric(const Address& address, SocketAddress& into) {
    sockaddr_in v4{};
    if (::inet_pton(AF_INET, address.host.c_str(), &v4.sin_addr) == 1) {
        v4.sin_family = AF_INET;
        v4.sin_port = htons(address.port);
        std::memcpy(&into.storage, &v4, sizeof v4);
        into.bytes = sizeof v4;
        return true;
    }
    sockaddr_in6 v6{};
    if (::inet_pton(AF_INET6, address.host.c_str(), &v6.sin6_addr) == 1) {
        v6.sin6_family = AF_INET6;
        v6.sin6_port = htons(address.port);
        std::memcpy(&into.storage, &v6, sizeof v6);
        into.bytes = sizeof v6;
        return true;
    }
    return false;
}

Result<Descriptor> makeSocket(const SocketAddress& address) {
    Descriptor socket(
        ::socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!socket.isOpen()) return systemFailure("making a socket", errno);
    return socket;
}

}  // namespace

std::string Address::toString() const {
    const bool isV6 = host.find(':') != std::string::npos;
    return (isV6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

Result<Address> Address::parse(std::string_view text) {
    const size_t colon = text.rfind(':');
    if (colon == std::string_view::npos) return badAddress(text, "there is no port");
    std::string_view host = text.substr(0, colon);
    const std::string_view number = text.substr(colon + 1);
    if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
        host = host.substr(1, host.size() - 2);
        in6_addr ignored{};
        if (::inet_pton(AF_INET6, std::string(host).c_str(), &ignored) != 1) {
            return badAddress(text, "between the brackets stands no IPv6 address");
        }
    } else if (host.find_first_of(":[]") != std::string_view::npos) {
        return badAddress(text, "an IPv6 address stands in brackets");
    }
    if (host.empty()) return badAddress(text, "there is no host");
    uint16_t port = 0;
    const auto [end, error] =
        std::from_chars(number.data(), number.data() + number.size(), port);
    if (number.empty() || error != std::errc() || end != number.data() + number.size()) {
        return badAddress(text, "a port is a number from 0 to 65535");
    }
    return Address{.host = std::string(host), .port = port};
}

Result<SocketAddress> resolve(const Address& address) {
    SocketAddress found;
    if (resolveNumeric(address, found)) return found;
    addrinfo hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* list = nullptr;
    const std::string port = std::to_string(address.port);
    const int failed = ::getaddrinfo(address.host.c_str(), port.c_str(), &hints, &list);
    if (failed != 0) {
        return Status(StatusCode::NotFound, "looking up " + address.host + ": " +
                                                ::gai_strerror(failed) +
                                                "; check the name, or use an address");
    }
    std::memcpy(&found.storage, list->ai_addr, list->ai_addrlen);
    found.bytes = list->ai_addrlen;
    ::freeaddrinfo(list);
    return found;
}

Result<Address> boundAddressOf(int socket) {
    SocketAddress bound;
    bound.bytes = sizeof bound.storage;
    if (::getsockname(socket, reinterpret_cast<sockaddr*>(&bound.storage), &bound.bytes) != 0) {
        return systemFailure("asking for a socket's address", errno);
    }
    char text[INET6_ADDRSTRLEN] = {};
    if (bound.storage.ss_family == AF_INET6) {
        const auto& v6 = reinterpret_cast<const sockaddr_in6&>(bound.storage);
        ::inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
        return Address{.host = text, .port = ntohs(v6.sin6_port)};
    }
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(bound.storage);
    ::inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text);
    return Address{.host = text, .port = ntohs(v4.sin_port)};
}

Result<Descriptor> listenOn(const Address& address) {
    const std::string doing = "listening on " + address.toString();
    auto target = resolve(address);
    if (!target.isOk()) return target.status().within(doing);
    auto made = makeSocket(target.value());
    if (!made.isOk()) return made.status().within(doing);
    Descriptor socket = made.take();
    // A node that starts again takes its port back from connections that are still dying.
    const int yes = 1;
    ::setsockopt(socket.number(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (::bind(socket.number(), target.value().get(), target.value().bytes) != 0 ||
        ::listen(socket.number(), kBacklog) != 0) {
        return systemFailure(doing, errno);
    }
    return socket;
}

Result<Descriptor> connectTo(const Address& address) {
    auto target = resolve(address);
    if (!target.isOk()) return target.status();
    auto made = makeSocket(target.value());
    if (!made.isOk()) return made.status();
    Descriptor socket = made.take();
    sendWithoutDelay(socket.number());
    if (::connect(socket.number(), target.value().get(), target.value().bytes) != 0 &&
        errno != EINPROGRESS && errno != EINTR) {
        return connectStatus(errno, address);
    }
    return socket;
}

Status connectFailure(int socket, const Address& address) {
    int error = 0;
    socklen_t bytes = sizeof error;
    if (::getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &bytes) != 0) error = errno;
    return error == 0 ? Status() : connectStatus(error, address);
}

void sendWithoutDelay(int socket) {
    const int yes = 1;
    // Where it fails the link is slower and still right.
    ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
}

}  // namespace verbex::transport
