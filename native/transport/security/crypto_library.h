// What the bus needs of cryptography: HMAC-SHA-256 from OpenSSL 3, random bytes from the kernel.
//
// Purpose: authentication must not rest on primitives of our own. OpenSSL is there wherever Node is
// (Node exports it), and as libcrypto.so.3 elsewhere; it is found at run time, so that one binary
// loads everywhere and builds without its headers.
// Owner: CryptoLibrary belongs to the process and is loaded once. SharedKey belongs to whoever
// configures a node.
// Thread safety: everything here may be called from any thread at once.
// Invariants:
//   1. A loaded library has given the published answer to a known question; from then on hmac
//      cannot fail, short of the process being out of memory, which ends it.
//   2. randomBytes() fills all of its span or fails; there is no weaker source behind it.
//   3. A key is wiped from memory when it is dropped.
// Requires: nothing. Where OpenSSL is missing, load() says what to install.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/status.h"

namespace verbex::transport {

inline constexpr size_t kHmacBytes = 32;
inline constexpr size_t kSharedKeyBytesMin = 16;
inline constexpr size_t kSharedKeyBytesMax = 1024;

using Hmac = std::array<std::byte, kHmacBytes>;

class CryptoLibrary {
public:
    // The process's one library. A failure is remembered too: it is not looked for twice.
    static Result<const CryptoLibrary*> load();

    [[nodiscard]] Hmac hmacSha256(std::span<const std::byte> key,
                                  std::span<const std::byte> data) const;

    // As OpenSSL states it, "OpenSSL 3.0.19 27 Jan 2026".
    [[nodiscard]] const char* version() const;

private:
    CryptoLibrary() = default;

    const void* sha256_ = nullptr;
};

// A key that nodes share. It should be random: whoever speaks to a listener can try guesses of a
// weak one at home, against the proof that the listener gives.
class SharedKey {
public:
    static Result<SharedKey> make(std::span<const std::byte> bytes);

    SharedKey(const SharedKey&) = delete;
    SharedKey& operator=(const SharedKey&) = delete;
    SharedKey(SharedKey&& other) noexcept = default;
    SharedKey& operator=(SharedKey&& other) noexcept;
    ~SharedKey() { wipe(); }

    [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }

private:
    explicit SharedKey(std::span<const std::byte> bytes) : bytes_(bytes.begin(), bytes.end()) {}
    void wipe();

    std::vector<std::byte> bytes_;
};

// From getrandom(2).
Status randomBytes(std::span<std::byte> into);

// Takes the same time wherever the two differ. Spans of different length are unequal.
[[nodiscard]] bool equalInConstantTime(std::span<const std::byte> left,
                                       std::span<const std::byte> right);

// Overwrites secrets in a way that the compiler does not remove.
void wipeBytes(std::span<std::byte> secret);

}  // namespace verbex::transport
