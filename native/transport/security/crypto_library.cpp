#include "transport/security/crypto_library.h"

#include <cerrno>
#include <cstring>
#include <string>
#include <string_view>
#include <sys/random.h>

#include "base/check.h"
#include "transport/security/openssl_version.h"
#include "transport/security/shared_symbols.h"

namespace verbex::transport {
namespace {

struct Functions {
    unsigned long (*versionNumber)();
    const char* (*versionText)(int kind);
    const void* (*sha256)();
    unsigned char* (*hmac)(const void* digest, const void* key, int keyBytes,
                           const unsigned char* data, size_t dataBytes, unsigned char* result,
                           unsigned int* resultBytes);
};

Functions crypto;

std::span<const std::byte> textBytes(std::string_view text) {
    return std::as_bytes(std::span(text.data(), text.size()));
}

Status findCrypto() {
    const SymbolSlot slots[] = {
        {"OpenSSL_version_num", &crypto.versionNumber},
        {"OpenSSL_version", &crypto.versionText},
        {"EVP_sha256", &crypto.sha256},
        {"HMAC", &crypto.hmac},
    };
    const std::span<const SymbolSlot> groups[] = {slots};
    return SharedSymbols::resolve(groups, "libcrypto.so.3", [] {
        return acceptOpenSsl(crypto.versionNumber(), crypto.versionText(0));
    });
}

// RFC 4231, test case 2. A library whose configuration allows no HMAC answers nothing, and that
// must show here and not in the middle of a handshake.
bool answersKnownQuestion(const CryptoLibrary& library) {
    constexpr unsigned char kExpected[kHmacBytes] = {
        0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e, 0x6a, 0x04, 0x24,
        0x26, 0x08, 0x95, 0x75, 0xc7, 0x5a, 0x00, 0x3f, 0x08, 0x9d, 0x27,
        0x39, 0x83, 0x9d, 0xec, 0x58, 0xb9, 0x64, 0xec, 0x38, 0x43};
    unsigned char probe[kHmacBytes];
    unsigned int probeBytes = 0;
    const void* digest = crypto.sha256();
    if (digest == nullptr ||
        crypto.hmac(digest, "Jefe", 4, probe, 0, probe, &probeBytes) == nullptr) {
        return false;
    }
    const Hmac answer =
        library.hmacSha256(textBytes("Jefe"), textBytes("what do ya want for nothing?"));
    return std::memcmp(answer.data(), kExpected, sizeof(kExpected)) == 0;
}

}  // namespace

Result<const CryptoLibrary*> CryptoLibrary::load() {
    static CryptoLibrary library;
    static const Status kLoaded = [] {
        const Status found = findCrypto();
        if (!found.isOk()) {
            return Status(found.code(), std::string("no libcrypto that can be used; ") +
                                            kInstallOpenSsl + " (" + found.message() + ")");
        }
        library.sha256_ = crypto.sha256();
        if (answersKnownQuestion(library)) return Status();
        return Status(StatusCode::UnsupportedFormat,
                      std::string(library.version()) +
                          " gives no HMAC-SHA-256: check OPENSSL_CONF and its providers");
    }();
    if (!kLoaded.isOk()) return kLoaded;
    return &library;
}

Hmac CryptoLibrary::hmacSha256(std::span<const std::byte> key,
                               std::span<const std::byte> data) const {
    Hmac result;
    unsigned int resultBytes = 0;
    CHECK(key.size() <= kSharedKeyBytesMax);
    const unsigned char* computed =
        crypto.hmac(sha256_, key.data(), static_cast<int>(key.size()),
                       reinterpret_cast<const unsigned char*>(data.data()), data.size(),
                       reinterpret_cast<unsigned char*>(result.data()), &resultBytes);
    CHECK(computed != nullptr && resultBytes == kHmacBytes);
    return result;
}

const char* CryptoLibrary::version() const {
    return crypto.versionText(0);
}

Result<SharedKey> SharedKey::make(std::span<const std::byte> bytes) {
    if (bytes.size() < kSharedKeyBytesMin || bytes.size() > kSharedKeyBytesMax) {
        return Status(StatusCode::InvalidArgument,
                      "a shared key has " + std::to_string(kSharedKeyBytesMin) + " to " +
                          std::to_string(kSharedKeyBytesMax) + " bytes, this one " +
                          std::to_string(bytes.size()) + "; make one with: openssl rand -hex 32");
    }
    return SharedKey(bytes);
}

SharedKey& SharedKey::operator=(SharedKey&& other) noexcept {
    if (this != &other) {
        wipe();
        bytes_ = std::move(other.bytes_);
    }
    return *this;
}

void SharedKey::wipe() {
    wipeBytes(bytes_);
}

Status randomBytes(std::span<std::byte> into) {
    while (!into.empty()) {
        const ssize_t got = ::getrandom(into.data(), into.size(), 0);
        if (got > 0) {
            into = into.subspan(static_cast<size_t>(got));
        } else if (got == 0 || errno != EINTR) {
            return Status(StatusCode::IoError,
                          std::string("getrandom gives no random bytes: ") +
                              (got == 0 ? "it answers nothing" : std::strerror(errno)) +
                              "; allow the system call (a seccomp filter may forbid it)");
        }
    }
    return {};
}

bool equalInConstantTime(std::span<const std::byte> left, std::span<const std::byte> right) {
    if (left.size() != right.size()) return false;
    // Volatile, so that no compiler finds out that the loop could be left early.
    volatile unsigned char difference = 0;
    for (size_t i = 0; i < left.size(); ++i) {
        difference = static_cast<unsigned char>(difference |
                                                std::to_integer<unsigned char>(left[i] ^ right[i]));
    }
    return difference == 0;
}

void wipeBytes(std::span<std::byte> secret) {
    if (!secret.empty()) ::explicit_bzero(secret.data(), secret.size());
}

}  // namespace verbex::transport
