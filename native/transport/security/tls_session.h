// TLS 1.3 over a non-blocking socket, both sides with certificates.
//
// Purpose: the byte stream of a set-up and of tcp frames may cross a network that is not trusted.
// Who configures certificates gets encryption and mutual authentication from OpenSSL, which is
// found at run time (crypto_library.h says why).
// Owner: a TlsContext belongs to a node and outlives its sessions; a TlsSession belongs to the
// thread that drives the socket. The socket stays the caller's: it is neither made non-blocking
// nor closed here.
// Thread safety: a loaded TlsContext may make sessions from any thread; a session belongs to one.
// Invariants:
//   1. TLS 1.3 only, no resumption, no early data: each session is authenticated by itself.
//   2. A peer without a certificate that the authority has signed gets no byte of ours and gives
//      us none. A connector also checks the name, where one is configured.
//   3. No call blocks, and none raises SIGPIPE.
//   4. The end of a stream is believed only if the peer said so (close_notify); a stream that just
//      stops has failed.
// Requires: a connected stream socket in non-blocking mode; after WantRead or WantWrite the call is
// made again once the socket is readable or writable, a write with the same bytes (more may
// follow them).
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "base/status.h"

namespace verbex::transport {

struct TlsOptions {
    std::string certificateFile;  // PEM: ours, and what lies between it and the authority
    std::string keyFile;          // PEM, without a passphrase
    std::string authorityFile;    // PEM: whose signature we take for the peer's certificate
    // Connector: the host name or IP address that the listener's certificate must name. Empty:
    // everybody whom the authority has signed is taken, which suits an authority of one's own.
    std::string serverName;
};

enum class TlsResult : uint8_t { Done, WantRead, WantWrite, Closed, Failed };

class TlsSession;

class TlsContext {
public:
    static Result<std::unique_ptr<TlsContext>> load(const TlsOptions& options);
    ~TlsContext();
    TlsContext(const TlsContext&) = delete;
    TlsContext& operator=(const TlsContext&) = delete;

    [[nodiscard]] Result<std::unique_ptr<TlsSession>> connect(int socket) const;
    [[nodiscard]] Result<std::unique_ptr<TlsSession>> accept(int socket) const;

private:
    explicit TlsContext(std::string serverName) : serverName_(std::move(serverName)) {}
    [[nodiscard]] Status configure(const TlsOptions& options);
    [[nodiscard]] Result<std::unique_ptr<TlsSession>> start(int socket, bool connecting) const;

    std::string serverName_;
    void* context_ = nullptr;
};

class TlsSession {
public:
    struct Transfer {
        TlsResult result = TlsResult::Failed;
        size_t bytes = 0;  // with Done at least one
    };

    ~TlsSession();
    TlsSession(const TlsSession&) = delete;
    TlsSession& operator=(const TlsSession&) = delete;

    // A connector is done before the listener has judged its certificate; a refusal comes with the
    // first read.
    TlsResult handshake();
    Transfer read(std::span<std::byte> into);
    // May take a part of the bytes only.
    Transfer write(std::span<const std::byte> from);
    // Says that no more will be written. Reading goes on, until it answers Closed.
    TlsResult close();

    // Bytes that have been decrypted and wait: no readable socket announces them.
    [[nodiscard]] bool hasPending() const;

    // Why a call answered Failed, with what to do.
    [[nodiscard]] const Status& failure() const { return failure_; }

private:
    friend class TlsContext;
    TlsSession() = default;
    TlsResult resultOf(int returned, const char* doing);

    void* session_ = nullptr;
    int socketError_ = 0;  // of the last system call that failed for good
    int socket_ = -1;
    bool atEnd_ = false;
    bool closed_ = false;
    Status failure_;

    // What libssl calls to reach the socket.
    friend struct SocketBio;
};

}  // namespace verbex::transport
