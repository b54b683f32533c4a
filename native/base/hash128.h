// A streaming 128-bit hash: MurmurHash3_x64_128 (Austin Appleby's algorithm), written for streams.
//
// Purpose: the chain of the journal and the state hash. It tells accidental differences apart; it
// is not a defence against somebody who forges (what needs one is authenticated).
// Owner: whoever computes the hash.
// Thread safety: none; one instance belongs to one thread. hash128() is pure.
// Invariants:
//   1. The digest depends on the seed and the bytes only, never on how update() calls split them.
//   2. digest() changes nothing: more bytes may follow.
//   3. Equal on every host that we build for; big-endian ones are refused at compile time.
// Requires: data != nullptr where size > 0.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>

namespace verbex {

static_assert(std::endian::native == std::endian::little,
              "files, frames and hashes are defined on little-endian hosts");

struct Digest128 {
    uint64_t lo = 0;
    uint64_t hi = 0;

    friend bool operator==(const Digest128&, const Digest128&) = default;

    // 32 lower-case hexadecimal digits: lo first, each half most significant digit first.
    [[nodiscard]] std::string hex() const;
};
static_assert(sizeof(Digest128) == 16 && offsetof(Digest128, hi) == 8);

class Hash128 {
public:
    explicit Hash128(uint64_t seed = 0) : h1_(seed), h2_(seed) {}

    void update(const void* data, size_t size);
    [[nodiscard]] Digest128 digest() const;

private:
    static constexpr size_t kBlockBytes = 16;

    uint64_t h1_;
    uint64_t h2_;
    uint64_t length_ = 0;
    unsigned char rest_[kBlockBytes] = {};
    size_t restBytes_ = 0;
};

[[nodiscard]] Digest128 hash128(const void* data, size_t size, uint64_t seed = 0);

}  // namespace verbex
