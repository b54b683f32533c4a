#include "transport/security/tls_session.h"

#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <sys/socket.h>

#include "base/check.h"
#include "transport/security/tls_functions.h"

namespace verbex::transport {
namespace {

// Set by the first load(), before there is anything that uses it.
const TlsFunctions* ssl = nullptr;

// All that OpenSSL has to say of what just went wrong.
std::string opensslErrors() {
    std::string text;
    while (const unsigned long code = ssl->ERR_get_error()) {
        char line[256];
        ssl->ERR_error_string_n(code, line, sizeof(line));
        if (!text.empty()) text += "; ";
        text += line;
    }
    return text.empty() ? "OpenSSL gives no reason" : text;
}

Status badFile(const char* what, const std::string& file) {
    return Status(StatusCode::InvalidArgument,
                  std::string(what) + " cannot be used from " + file + ": " + opensslErrors());
}

// OpenSSL would ask at the terminal.
int refusePassphrase(char*, int, int, void*) {
    return 0;
}

bool isAddress(const std::string& name) {
    unsigned char address[sizeof(in6_addr)];
    return ::inet_pton(AF_INET, name.c_str(), address) == 1 ||
           ::inet_pton(AF_INET6, name.c_str(), address) == 1;
}

}  // namespace

// OpenSSL's own socket BIO writes with write(2) and so may raise SIGPIPE; this one sends without.
struct SocketBio {
    static TlsSession& sessionOf(void* bio) {
        return *static_cast<TlsSession*>(ssl->BIO_get_data(bio));
    }

    static int finish(void* bio, ssize_t moved, int retryFlags) {
        if (moved >= 0) return static_cast<int>(moved);
        if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) {
            ssl->BIO_set_flags(bio, retryFlags | kBioRetry);
        } else {
            sessionOf(bio).socketError_ = errno;
        }
        return -1;
    }

    static int write(void* bio, const char* from, int bytes) {
        ssl->BIO_clear_flags(bio, kBioRead | kBioWrite | kBioRetry);
        return finish(
            bio, ::send(sessionOf(bio).socket_, from, static_cast<size_t>(bytes), MSG_NOSIGNAL),
            kBioWrite);
    }

    static int read(void* bio, char* into, int bytes) {
        ssl->BIO_clear_flags(bio, kBioRead | kBioWrite | kBioRetry);
        const ssize_t got = ::recv(sessionOf(bio).socket_, into, static_cast<size_t>(bytes), 0);
        if (got == 0) sessionOf(bio).atEnd_ = true;
        return finish(bio, got, kBioRead);
    }

    static long control(void* bio, int command, long, void*) {
        if (command == kBioFlush) return 1;
        if (command == kBioIsAtEnd) return sessionOf(bio).atEnd_ ? 1 : 0;
        return 0;
    }

    // The process's one method; null where OpenSSL has no memory.
    static void* method() {
        static void* const kMethod = []() -> void* {
            void* made = ssl->BIO_meth_new(ssl->BIO_get_new_index() | kBioTypeSource, "verbex");
            if (made == nullptr) return nullptr;
            CHECK(ssl->BIO_meth_set_write(made, write) == 1);
            CHECK(ssl->BIO_meth_set_read(made, read) == 1);
            CHECK(ssl->BIO_meth_set_ctrl(made, control) == 1);
            return made;
        }();
        return kMethod;
    }
};

Result<std::unique_ptr<TlsContext>> TlsContext::load(const TlsOptions& options) {
    static const Status kLoaded = [] {
        const auto functions = TlsFunctions::load();
        if (functions.isOk()) ssl = functions.value();
        return functions.status();
    }();
    VERBEX_RETURN_IF_FAILED(kLoaded);
    ssl->ERR_clear_error();
    auto context = std::unique_ptr<TlsContext>(new TlsContext(options.serverName));
    const Status configured = context->configure(options);
    if (!configured.isOk()) return configured.within("preparing TLS");
    return context;
}

TlsContext::~TlsContext() {
    if (context_ != nullptr) ssl->SSL_CTX_free(context_);
}

Status TlsContext::configure(const TlsOptions& options) {
    context_ = ssl->SSL_CTX_new(ssl->TLS_method());
    if (context_ == nullptr) return Status(StatusCode::IoError, opensslErrors());
    if (ssl->SSL_CTX_ctrl(context_, kSetLeastVersion, kTls13, nullptr) != 1 ||
        ssl->SSL_CTX_ctrl(context_, kSetGreatestVersion, kTls13, nullptr) != 1) {
        return Status(StatusCode::UnsupportedFormat,
                      "this OpenSSL speaks no TLS 1.3: " + opensslErrors());
    }
    ssl->SSL_CTX_ctrl(context_, kSetMode, kWriteParts | kWriteFromAnywhere, nullptr);
    ssl->SSL_CTX_ctrl(context_, kSetSessionCacheMode, 0, nullptr);
    ssl->SSL_CTX_set_num_tickets(context_, 0);
    ssl->SSL_CTX_set_default_passwd_cb(context_, refusePassphrase);
    ssl->SSL_CTX_set_verify(context_, kVerifyPeer | kFailWithoutCertificate, nullptr);
    if (ssl->SSL_CTX_use_certificate_chain_file(context_, options.certificateFile.c_str()) != 1) {
        return badFile("the certificate", options.certificateFile);
    }
    if (ssl->SSL_CTX_use_PrivateKey_file(context_, options.keyFile.c_str(), kPemFile) != 1) {
        return badFile("the private key (PEM, without a passphrase, the certificate's own)",
                       options.keyFile);
    }
    if (ssl->SSL_CTX_check_private_key(context_) != 1) {
        return badFile("a private key that is the certificate's", options.keyFile);
    }
    if (ssl->SSL_CTX_load_verify_locations(context_, options.authorityFile.c_str(), nullptr) != 1) {
        return badFile("the authority's certificate", options.authorityFile);
    }
    return {};
}

Result<std::unique_ptr<TlsSession>> TlsContext::connect(int socket) const {
    return start(socket, true);
}

Result<std::unique_ptr<TlsSession>> TlsContext::accept(int socket) const {
    return start(socket, false);
}

Result<std::unique_ptr<TlsSession>> TlsContext::start(int socket, bool connecting) const {
    ssl->ERR_clear_error();
    auto session = std::unique_ptr<TlsSession>(new TlsSession());
    session->socket_ = socket;
    session->session_ = ssl->SSL_new(context_);
    void* method = SocketBio::method();
    void* bio = session->session_ == nullptr || method == nullptr ? nullptr : ssl->BIO_new(method);
    if (bio == nullptr) return Status(StatusCode::IoError, "starting TLS: " + opensslErrors());
    ssl->BIO_set_data(bio, session.get());
    ssl->BIO_set_init(bio, 1);
    ssl->SSL_set_bio(session->session_, bio, bio);
    if (!connecting) {
        ssl->SSL_set_accept_state(session->session_);
        return session;
    }
    ssl->SSL_set_connect_state(session->session_);
    if (serverName_.empty()) return session;
    // The name is also told to the listener, unless it is an address, which the field may not hold.
    const bool named =
        ssl->SSL_set1_host(session->session_, serverName_.c_str()) == 1 &&
        (isAddress(serverName_) || ssl->SSL_ctrl(session->session_, kSetServerName, 0,
                                                 const_cast<char*>(serverName_.c_str())) == 1);
    if (!named) {
        return Status(StatusCode::InvalidArgument,
                      serverName_ + " cannot be a server's name: " + opensslErrors());
    }
    return session;
}

TlsSession::~TlsSession() {
    if (session_ != nullptr) ssl->SSL_free(session_);
}

TlsResult TlsSession::resultOf(int returned, const char* doing) {
    const int error = ssl->SSL_get_error(session_, returned);
    if (error == kErrorWantRead) return TlsResult::WantRead;
    if (error == kErrorWantWrite) return TlsResult::WantWrite;
    if (error == kErrorClosed) return TlsResult::Closed;
    std::string reason = opensslErrors();
    const long verified = ssl->SSL_get_verify_result(session_);
    if (verified != kVerified) {
        reason = std::string("the peer's certificate is refused: ") +
                 ssl->X509_verify_cert_error_string(verified) +
                 "; check the authority, the name and the dates (" + reason + ")";
    } else if (atEnd_) {
        reason = "the stream stopped without the peer's word that it is complete: see its log";
    } else if (socketError_ != 0) {
        reason = std::strerror(socketError_);
    }
    failure_ = Status(StatusCode::IoError, std::string(doing) + ": " + reason);
    return TlsResult::Failed;
}

TlsResult TlsSession::handshake() {
    if (!failure_.isOk()) return TlsResult::Failed;
    ssl->ERR_clear_error();
    const int returned = ssl->SSL_do_handshake(session_);
    return returned == 1 ? TlsResult::Done : resultOf(returned, "TLS handshake");
}

TlsSession::Transfer TlsSession::read(std::span<std::byte> into) {
    if (!failure_.isOk()) return {TlsResult::Failed, 0};
    CHECK(!into.empty());
    ssl->ERR_clear_error();
    size_t bytes = 0;
    const int returned = ssl->SSL_read_ex(session_, into.data(), into.size(), &bytes);
    if (returned == 1) return {TlsResult::Done, bytes};
    return {resultOf(returned, "reading over TLS"), 0};
}

TlsSession::Transfer TlsSession::write(std::span<const std::byte> from) {
    if (!failure_.isOk()) return {TlsResult::Failed, 0};
    CHECK(!from.empty());
    ssl->ERR_clear_error();
    size_t bytes = 0;
    const int returned = ssl->SSL_write_ex(session_, from.data(), from.size(), &bytes);
    if (returned == 1) return {TlsResult::Done, bytes};
    return {resultOf(returned, "writing over TLS"), 0};
}

TlsResult TlsSession::close() {
    if (!failure_.isOk()) return TlsResult::Failed;
    if (closed_) return TlsResult::Done;
    ssl->ERR_clear_error();
    // 0: our word is out and the peer's is not there yet; 1: both are. Asked again it would read.
    const int returned = ssl->SSL_shutdown(session_);
    if (returned < 0) return resultOf(returned, "closing TLS");
    closed_ = true;
    return TlsResult::Done;
}

bool TlsSession::hasPending() const {
    return ssl->SSL_pending(session_) > 0;
}

}  // namespace verbex::transport
