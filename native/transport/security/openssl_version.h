// Which OpenSSL is accepted, and what to say where there is none.
//
// Purpose: crypto_library.cpp and tls_session.cpp declare the few functions that they call
// themselves (opaque pointers, no header of OpenSSL). Those signatures hold for version 3; another
// library of the same names, an older one or BoringSSL, must not be called through them.
// Owner: pure functions.
// Thread safety: pure.
// Invariants: only version 3 is accepted.
// Requires: nothing.
#pragma once

#include <string>

#include "base/status.h"

namespace verbex::transport {

inline constexpr unsigned long kOpenSslMajor = 3;

// OpenSSL_version_num() has the major version in its highest four of 32 bits: 0x30000000 is 3.0.0.
inline Status acceptOpenSsl(unsigned long number, const char* text) {
    if (number >> 28 == kOpenSslMajor) return {};
    return Status(StatusCode::UnsupportedFormat,
                  std::string(text) + " is not OpenSSL " + std::to_string(kOpenSslMajor));
}

inline constexpr const char* kInstallOpenSsl =
    "install OpenSSL 3 (Debian and Ubuntu: apt-get install libssl3) or run within Node 18 or later";

}  // namespace verbex::transport
