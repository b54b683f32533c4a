#include "base/hash128.h"

#include <gtest/gtest.h>

#include <cstring>
#include <numeric>
#include <string_view>
#include <vector>

namespace verbex {
namespace {

Digest128 of(std::string_view text, uint64_t seed = 0) {
    return hash128(text.data(), text.size(), seed);
}

TEST(Hash128, GivesThePublishedValues) {
    EXPECT_EQ(of(""), (Digest128{0, 0}));
    EXPECT_EQ(of("hello"), (Digest128{0xcbd8a7b341bd9b02, 0x5b1e906a48ae1d19}));
    EXPECT_EQ(of("hello, world"), (Digest128{0x342fac623a5ebc8e, 0x4cdcbc079642414d}));
    EXPECT_EQ(of("19 Jan 2038 at 3:14:07 AM"),
              (Digest128{0xb89e5988b737affc, 0x664fc2950231b2cb}));
    EXPECT_EQ(of("The quick brown fox jumps over the lazy dog."),
              (Digest128{0xcd99481f9ee902c9, 0x695da1a38987b6e7}));
}

// SMHasher's verification value for MurmurHash3_x64_128: hashes of all keys 0‥i−1 with seed 256−i,
// hashed again; the first four bytes are published as 0x6384BA69.
TEST(Hash128, PassesTheVerificationOfItsAuthor) {
    std::vector<unsigned char> key(256);
    std::vector<unsigned char> digests;
    for (unsigned i = 0; i < 256; ++i) {
        key[i] = static_cast<unsigned char>(i);
        const Digest128 digest = hash128(key.data(), i, 256 - i);
        const auto* bytes = reinterpret_cast<const unsigned char*>(&digest);
        digests.insert(digests.end(), bytes, bytes + sizeof(digest));
    }
    EXPECT_EQ(static_cast<uint32_t>(hash128(digests.data(), digests.size()).lo), 0x6384ba69u);
}

TEST(Hash128, SplitsDoNotMatterAndDigestChangesNothing) {
    std::vector<unsigned char> bytes(113);
    std::iota(bytes.begin(), bytes.end(), static_cast<unsigned char>(3));
    const Digest128 whole = hash128(bytes.data(), bytes.size(), 9);
    for (size_t first = 0; first <= bytes.size(); ++first) {
        for (size_t second = first; second <= bytes.size(); second += 5) {
            Hash128 hash(9);
            hash.update(bytes.data(), first);
            (void)hash.digest();
            hash.update(bytes.data() + first, second - first);
            hash.update(bytes.data() + second, bytes.size() - second);
            ASSERT_EQ(hash.digest(), whole);
            ASSERT_EQ(hash.digest(), whole);
        }
    }
}

TEST(Hash128, DependsOnSeedLengthAndEveryBit) {
    EXPECT_NE(of("a", 1), of("a", 2));
    const unsigned char zeros[40] = {};
    for (size_t size = 1; size < 40; ++size) {
        EXPECT_NE(hash128(zeros, size), hash128(zeros, size - 1));
    }
    std::vector<unsigned char> bytes(37, 0x11);
    const Digest128 whole = hash128(bytes.data(), bytes.size());
    for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
        bytes[bit / 8] ^= static_cast<unsigned char>(1u << (bit % 8));
        EXPECT_NE(hash128(bytes.data(), bytes.size()), whole);
        bytes[bit / 8] ^= static_cast<unsigned char>(1u << (bit % 8));
    }
}

TEST(Hash128, HexIsStable) {
    EXPECT_EQ((Digest128{0x0123456789abcdef, 0xfedcba9876543210}).hex(),
              "0123456789abcdeffedcba9876543210");
}

}  // namespace
}  // namespace verbex
