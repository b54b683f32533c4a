#include "transport/security/tls_functions.h"

#include "transport/security/openssl_version.h"
#include "transport/security/shared_symbols.h"

namespace verbex::transport {
namespace {

TlsFunctions functions;

#define VERBEX_SLOT(name)      \
    SymbolSlot {               \
#name, &functions.name \
    }

Status findTls() {
    const SymbolSlot crypto[] = {
        VERBEX_SLOT(OpenSSL_version_num), VERBEX_SLOT(OpenSSL_version),
        VERBEX_SLOT(ERR_get_error),       VERBEX_SLOT(ERR_clear_error),
        VERBEX_SLOT(ERR_error_string_n),  VERBEX_SLOT(X509_verify_cert_error_string),
        VERBEX_SLOT(BIO_get_new_index),   VERBEX_SLOT(BIO_meth_new),
        VERBEX_SLOT(BIO_meth_set_write),  VERBEX_SLOT(BIO_meth_set_read),
        VERBEX_SLOT(BIO_meth_set_ctrl),   VERBEX_SLOT(BIO_new),
        VERBEX_SLOT(BIO_set_data),        VERBEX_SLOT(BIO_get_data),
        VERBEX_SLOT(BIO_set_init),        VERBEX_SLOT(BIO_set_flags),
        VERBEX_SLOT(BIO_clear_flags),
    };
    const SymbolSlot ssl[] = {
        VERBEX_SLOT(TLS_method),
        VERBEX_SLOT(SSL_CTX_new),
        VERBEX_SLOT(SSL_CTX_free),
        VERBEX_SLOT(SSL_CTX_ctrl),
        VERBEX_SLOT(SSL_CTX_set_num_tickets),
        VERBEX_SLOT(SSL_CTX_use_certificate_chain_file),
        VERBEX_SLOT(SSL_CTX_use_PrivateKey_file),
        VERBEX_SLOT(SSL_CTX_check_private_key),
        VERBEX_SLOT(SSL_CTX_load_verify_locations),
        VERBEX_SLOT(SSL_CTX_set_verify),
        VERBEX_SLOT(SSL_CTX_set_default_passwd_cb),
        VERBEX_SLOT(SSL_new),
        VERBEX_SLOT(SSL_free),
        VERBEX_SLOT(SSL_set_bio),
        VERBEX_SLOT(SSL_set_connect_state),
        VERBEX_SLOT(SSL_set_accept_state),
        VERBEX_SLOT(SSL_set1_host),
        VERBEX_SLOT(SSL_ctrl),
        VERBEX_SLOT(SSL_do_handshake),
        VERBEX_SLOT(SSL_read_ex),
        VERBEX_SLOT(SSL_write_ex),
        VERBEX_SLOT(SSL_shutdown),
        VERBEX_SLOT(SSL_pending),
        VERBEX_SLOT(SSL_get_error),
        VERBEX_SLOT(SSL_get_verify_result),
    };
    const std::span<const SymbolSlot> groups[] = {crypto, ssl};
    // libssl.so.3 brings its libcrypto.so.3, and a look-up in it finds both.
    return SharedSymbols::resolve(groups, "libssl.so.3", [] {
        return acceptOpenSsl(functions.OpenSSL_version_num(), functions.OpenSSL_version(0));
    });
}

#undef VERBEX_SLOT

}  // namespace

Result<const TlsFunctions*> TlsFunctions::load() {
    static const Status kLoaded = [] {
        const Status found = findTls();
        if (found.isOk()) return found;
        return Status(found.code(), std::string("no libssl that can be used; ") + kInstallOpenSsl +
                                        " (" + found.message() + ")");
    }();
    if (!kLoaded.isOk()) return kLoaded;
    return &functions;
}

}  // namespace verbex::transport
