// A connected socket, with TLS on it or without, as bytes in and out.
//
// Purpose: set-ups, set-up connections and tcp links do not care whether TLS lies between.
// Owner: whoever holds the connection.
// Thread safety: none.
// Invariants: no call waits, and none raises SIGPIPE.
// Requires: a non-blocking socket; after a write that could not go on, the next one begins with the
// same bytes.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "transport/sockets/descriptor.h"
#include "transport/security/tls_session.h"

namespace verbex::transport {

enum class Moved : uint8_t {
    Some,
    NotNow,  // again once the socket is ready
    Ended,   // the peer has closed its side
    Failed,  // failure() says why
};

class ByteStream {
public:
    struct Transfer {
        Moved moved = Moved::Failed;
        size_t bytes = 0;
    };

    ByteStream(Descriptor socket, std::unique_ptr<TlsSession> tls)
        : socket_(std::move(socket)), tls_(std::move(tls)), isSecured_(tls_ == nullptr) {}

    // Before anything else, until Some: the handshake of TLS.
    Moved secure();
    Transfer read(std::span<std::byte> into);
    Transfer write(std::span<const std::byte> from);

    // No more will be written.
    void finishWriting();
    // Nothing more comes in and nothing goes out; what has come in can still be read.
    void cut();
    void close();

    [[nodiscard]] bool isOpen() const { return socket_.isOpen(); }
    [[nodiscard]] bool isEncrypted() const { return tls_ != nullptr; }
    [[nodiscard]] int socket() const { return socket_.number(); }
    [[nodiscard]] const std::string& failure() const { return failure_; }

private:
    Moved movedOf(TlsResult result);
    Transfer failed(int error);

    Descriptor socket_;
    std::unique_ptr<TlsSession> tls_;
    bool isSecured_;
    std::string failure_;
};

}  // namespace verbex::transport
