#include "base/hash128.h"

#include <cstring>

#include "base/check.h"

namespace verbex {

namespace {

constexpr uint64_t kC1 = 0x87c37b91114253d5;
constexpr uint64_t kC2 = 0x4cf5ad432745937f;

uint64_t load64(const unsigned char* bytes) {
    uint64_t value;
    std::memcpy(&value, bytes, sizeof(value));
    return value;
}

uint64_t scrambled1(uint64_t k) { return std::rotl(k * kC1, 31) * kC2; }
uint64_t scrambled2(uint64_t k) { return std::rotl(k * kC2, 33) * kC1; }

void mixBlock(uint64_t& h1, uint64_t& h2, uint64_t k1, uint64_t k2) {
    h1 ^= scrambled1(k1);
    h1 = std::rotl(h1, 27) + h2;
    h1 = h1 * 5 + 0x52dce729;
    h2 ^= scrambled2(k2);
    h2 = std::rotl(h2, 31) + h1;
    h2 = h2 * 5 + 0x38495ab5;
}

uint64_t avalanche(uint64_t k) {
    k ^= k >> 33;
    k *= 0xff51afd7ed558ccd;
    k ^= k >> 33;
    k *= 0xc4ceb9fe1a85ec53;
    return k ^ (k >> 33);
}

}  // namespace

void Hash128::update(const void* data, size_t size) {
    const auto* bytes = static_cast<const unsigned char*>(data);
    length_ += size;
    if (restBytes_ > 0) {
        const size_t room = kBlockBytes - restBytes_;
        const size_t taken = size < room ? size : room;
        if (taken > 0) std::memcpy(rest_ + restBytes_, bytes, taken);
        restBytes_ += taken;
        bytes += taken;
        size -= taken;
        if (restBytes_ < kBlockBytes) return;
        mixBlock(h1_, h2_, load64(rest_), load64(rest_ + 8));
        restBytes_ = 0;
    }
    uint64_t h1 = h1_;
    uint64_t h2 = h2_;
    for (; size >= kBlockBytes; bytes += kBlockBytes, size -= kBlockBytes) {
        mixBlock(h1, h2, load64(bytes), load64(bytes + 8));
    }
    h1_ = h1;
    h2_ = h2;
    if (size > 0) std::memcpy(rest_, bytes, size);
    restBytes_ = size;
    CHECK(restBytes_ < kBlockBytes);
}

Digest128 Hash128::digest() const {
    uint64_t h1 = h1_;
    uint64_t h2 = h2_;
    if (restBytes_ > 0) {
        unsigned char padded[kBlockBytes] = {};
        std::memcpy(padded, rest_, restBytes_);
        // A zero half scrambles to zero, so both may be mixed whatever the length of the rest is.
        h2 ^= scrambled2(load64(padded + 8));
        h1 ^= scrambled1(load64(padded));
    }
    h1 ^= length_;
    h2 ^= length_;
    h1 += h2;
    h2 += h1;
    h1 = avalanche(h1);
    h2 = avalanche(h2);
    h1 += h2;
    h2 += h1;
    return {h1, h2};
}

std::string Digest128::hex() const {
    static constexpr char kDigits[] = "0123456789abcdef";
    std::string text(32, '0');
    for (unsigned i = 0; i < 16; ++i) {
        text[i] = kDigits[(lo >> (60 - 4 * i)) & 15];
        text[16 + i] = kDigits[(hi >> (60 - 4 * i)) & 15];
    }
    return text;
}

Digest128 hash128(const void* data, size_t size, uint64_t seed) {
    Hash128 hash(seed);
    hash.update(data, size);
    return hash.digest();
}

}  // namespace verbex
