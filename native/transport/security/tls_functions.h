// The functions of libssl and libcrypto that TLS sessions call, found at run time.
//
// Purpose: signatures and constants, declared by us after OpenSSL 3's manual pages; its types are
// opaque pointers here.
// Owner: the process; loaded once.
// Thread safety: immutable once loaded.
// Invariants: all functions are there and come from one place (shared_symbols.h), or load() failed.
// Requires: nothing.
#pragma once

#include <cstddef>

#include "base/status.h"

namespace verbex::transport {

struct TlsFunctions {
    static Result<const TlsFunctions*> load();

    // libcrypto
    unsigned long (*OpenSSL_version_num)();
    const char* (*OpenSSL_version)(int kind);
    unsigned long (*ERR_get_error)();
    void (*ERR_clear_error)();
    void (*ERR_error_string_n)(unsigned long code, char* into, size_t bytes);
    const char* (*X509_verify_cert_error_string)(long code);
    int (*BIO_get_new_index)();
    void* (*BIO_meth_new)(int type, const char* name);
    int (*BIO_meth_set_write)(void* method, int (*write)(void*, const char*, int));
    int (*BIO_meth_set_read)(void* method, int (*read)(void*, char*, int));
    int (*BIO_meth_set_ctrl)(void* method, long (*control)(void*, int, long, void*));
    void* (*BIO_new)(const void* method);
    void (*BIO_set_data)(void* bio, void* data);
    void* (*BIO_get_data)(void* bio);
    void (*BIO_set_init)(void* bio, int initialised);
    void (*BIO_set_flags)(void* bio, int flags);
    void (*BIO_clear_flags)(void* bio, int flags);

    // libssl
    const void* (*TLS_method)();
    void* (*SSL_CTX_new)(const void* method);
    void (*SSL_CTX_free)(void* context);
    long (*SSL_CTX_ctrl)(void* context, int command, long number, void* pointer);
    int (*SSL_CTX_set_num_tickets)(void* context, size_t tickets);
    int (*SSL_CTX_use_certificate_chain_file)(void* context, const char* file);
    int (*SSL_CTX_use_PrivateKey_file)(void* context, const char* file, int type);
    int (*SSL_CTX_check_private_key)(const void* context);
    int (*SSL_CTX_load_verify_locations)(void* context, const char* file, const char* folder);
    void (*SSL_CTX_set_verify)(void* context, int mode, void* callback);
    void (*SSL_CTX_set_default_passwd_cb)(void* context, int (*ask)(char*, int, int, void*));
    void* (*SSL_new)(void* context);
    void (*SSL_free)(void* session);
    void (*SSL_set_bio)(void* session, void* readFrom, void* writeTo);
    void (*SSL_set_connect_state)(void* session);
    void (*SSL_set_accept_state)(void* session);
    int (*SSL_set1_host)(void* session, const char* name);
    long (*SSL_ctrl)(void* session, int command, long number, void* pointer);
    int (*SSL_do_handshake)(void* session);
    int (*SSL_read_ex)(void* session, void* into, size_t bytes, size_t* read);
    int (*SSL_write_ex)(void* session, const void* from, size_t bytes, size_t* written);
    int (*SSL_shutdown)(void* session);
    int (*SSL_pending)(const void* session);
    int (*SSL_get_error)(const void* session, int returned);
    long (*SSL_get_verify_result)(const void* session);
};

// Numbers of OpenSSL's headers.
inline constexpr int kPemFile = 1;                 // SSL_FILETYPE_PEM
inline constexpr int kTls13 = 0x0304;              // TLS1_3_VERSION
inline constexpr int kSetMode = 33;                // SSL_CTRL_MODE
inline constexpr int kSetSessionCacheMode = 44;    // SSL_CTRL_SET_SESS_CACHE_MODE
inline constexpr int kSetServerName = 55;          // SSL_CTRL_SET_TLSEXT_HOSTNAME
inline constexpr int kSetLeastVersion = 123;       // SSL_CTRL_SET_MIN_PROTO_VERSION
inline constexpr int kSetGreatestVersion = 124;    // SSL_CTRL_SET_MAX_PROTO_VERSION
inline constexpr long kWriteParts = 1;             // SSL_MODE_ENABLE_PARTIAL_WRITE
inline constexpr long kWriteFromAnywhere = 2;      // SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER
inline constexpr int kVerifyPeer = 1;              // SSL_VERIFY_PEER
inline constexpr int kFailWithoutCertificate = 2;  // SSL_VERIFY_FAIL_IF_NO_PEER_CERT
inline constexpr int kErrorWantRead = 2;           // SSL_ERROR_WANT_READ
inline constexpr int kErrorWantWrite = 3;          // SSL_ERROR_WANT_WRITE
inline constexpr int kErrorClosed = 6;             // SSL_ERROR_ZERO_RETURN
inline constexpr long kVerified = 0;               // X509_V_OK
inline constexpr int kBioTypeSource = 0x0400;      // BIO_TYPE_SOURCE_SINK
inline constexpr int kBioRead = 1;                 // BIO_FLAGS_READ
inline constexpr int kBioWrite = 2;                // BIO_FLAGS_WRITE
inline constexpr int kBioRetry = 8;                // BIO_FLAGS_SHOULD_RETRY
inline constexpr int kBioIsAtEnd = 2;              // BIO_CTRL_EOF
inline constexpr int kBioFlush = 11;               // BIO_CTRL_FLUSH

}  // namespace verbex::transport
