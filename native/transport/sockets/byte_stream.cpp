#include "transport/sockets/byte_stream.h"

#include <cerrno>
#include <cstring>
#include <sys/socket.h>

#include "base/check.h"

namespace verbex::transport {

Moved ByteStream::movedOf(TlsResult result) {
    switch (result) {
        case TlsResult::Done: return Moved::Some;
        case TlsResult::WantRead:
        case TlsResult::WantWrite: return Moved::NotNow;
        case TlsResult::Closed: return Moved::Ended;
        case TlsResult::Failed: break;
    }
    failure_ = tls_->failure().message();
    return Moved::Failed;
}

ByteStream::Transfer ByteStream::failed(int error) {
    if (error == EAGAIN || error == EWOULDBLOCK) return {Moved::NotNow, 0};
    failure_ = std::strerror(error);
    return {Moved::Failed, 0};
}

Moved ByteStream::secure() {
    if (isSecured_) return Moved::Some;
    const Moved moved = movedOf(tls_->handshake());
    isSecured_ = moved == Moved::Some;
    return moved;
}

ByteStream::Transfer ByteStream::read(std::span<std::byte> into) {
    CHECK(isSecured_ && isOpen());
    if (tls_ != nullptr) {
        const auto [result, bytes] = tls_->read(into);
        return {movedOf(result), bytes};
    }
    for (;;) {
        const ssize_t got = ::recv(socket_.number(), into.data(), into.size(), 0);
        if (got > 0) return {Moved::Some, static_cast<size_t>(got)};
        if (got == 0) return {Moved::Ended, 0};
        if (errno != EINTR) return failed(errno);
    }
}

ByteStream::Transfer ByteStream::write(std::span<const std::byte> from) {
    CHECK(isSecured_ && isOpen());
    if (tls_ != nullptr) {
        const auto [result, bytes] = tls_->write(from);
        return {movedOf(result), bytes};
    }
    for (;;) {
        const ssize_t sent = ::send(socket_.number(), from.data(), from.size(), MSG_NOSIGNAL);
        if (sent >= 0) return {Moved::Some, static_cast<size_t>(sent)};
        if (errno != EINTR) return failed(errno);
    }
}

void ByteStream::finishWriting() {
    // What TLS cannot say now is left unsaid: the goodbye went out before.
    if (tls_ != nullptr) (void)tls_->close();
    ::shutdown(socket_.number(), SHUT_WR);
}

void ByteStream::cut() {
    ::shutdown(socket_.number(), SHUT_RDWR);
}

void ByteStream::close() {
    socket_.reset();
}

}  // namespace verbex::transport
