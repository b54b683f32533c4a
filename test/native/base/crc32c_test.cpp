#include "base/crc32c.h"

#include <gtest/gtest.h>

#include <cstring>
#include <numeric>
#include <random>
#include <string_view>
#include <vector>

namespace verbex {
namespace {

// The vectors of RFC 3720, B.4, and the usual check string.
TEST(Crc32c, EveryWayGivesThePublishedValues) {
    std::vector<unsigned char> zeros(32, 0x00);
    std::vector<unsigned char> ones(32, 0xff);
    std::vector<unsigned char> rising(32);
    std::iota(rising.begin(), rising.end(), static_cast<unsigned char>(0));
    constexpr std::string_view kDigits = "123456789";
    for (const Crc32cWay& way : crc32cWays()) {
        SCOPED_TRACE(way.name);
        EXPECT_EQ(way.compute(nullptr, 0, 0), 0u);
        EXPECT_EQ(way.compute(kDigits.data(), kDigits.size(), 0), 0xe3069283u);
        EXPECT_EQ(way.compute(zeros.data(), zeros.size(), 0), 0x8a9136aau);
        EXPECT_EQ(way.compute(ones.data(), ones.size(), 0), 0x62a8ab43u);
        EXPECT_EQ(way.compute(rising.data(), rising.size(), 0), 0x46dd794eu);
    }
}

TEST(Crc32c, EveryWayAgreesForEveryLengthAndAlignment) {
    std::mt19937_64 random(1);
    std::vector<unsigned char> bytes(600);
    for (unsigned char& byte : bytes) byte = static_cast<unsigned char>(random());
    const Crc32cWay& table = crc32cWays().back();
    ASSERT_STREQ(table.name, "table");
    for (size_t start = 0; start < 16; ++start) {
        for (size_t size = 0; size + start <= bytes.size(); ++size) {
            const uint32_t previous = static_cast<uint32_t>(random());
            const uint32_t expected = table.compute(bytes.data() + start, size, previous);
            for (const Crc32cWay& way : crc32cWays()) {
                ASSERT_EQ(way.compute(bytes.data() + start, size, previous), expected)
                    << way.name << " start " << start << " size " << size;
            }
            ASSERT_EQ(crc32c(bytes.data() + start, size, previous), expected);
        }
    }
}

// Long ones are taken in several stretches at once, whose results are put together.
TEST(Crc32c, EveryWayAgreesForLongOnes) {
    std::mt19937_64 random(2);
    std::vector<unsigned char> bytes(40'000);
    for (unsigned char& byte : bytes) byte = static_cast<unsigned char>(random());
    const Crc32cWay& table = crc32cWays().back();
    const auto compare = [&](size_t start, size_t size) {
        const uint32_t previous = static_cast<uint32_t>(random());
        const uint32_t expected = table.compute(bytes.data() + start, size, previous);
        for (const Crc32cWay& way : crc32cWays()) {
            ASSERT_EQ(way.compute(bytes.data() + start, size, previous), expected)
                << way.name << " start " << start << " size " << size;
        }
    };
    for (const size_t stretch : {256u, 512u, 768u, 1024u, 2048u, 6144u, 12'288u, 18'432u}) {
        for (size_t size = stretch - 9; size <= stretch + 9; ++size) compare(size % 8, size);
    }
    for (int i = 0; i < 300; ++i) {
        const size_t start = random() % 64;
        compare(start, random() % (bytes.size() - start));
    }
}

TEST(Crc32c, ContinuesAcrossAnySplit) {
    std::vector<unsigned char> bytes(100);
    std::iota(bytes.begin(), bytes.end(), static_cast<unsigned char>(7));
    const uint32_t whole = crc32c(bytes.data(), bytes.size());
    for (size_t split = 0; split <= bytes.size(); ++split) {
        const uint32_t first = crc32c(bytes.data(), split);
        EXPECT_EQ(crc32c(bytes.data() + split, bytes.size() - split, first), whole);
    }
}

TEST(Crc32c, EverySingleBitFlipChangesIt) {
    std::vector<unsigned char> bytes(64, 0x5a);
    const uint32_t whole = crc32c(bytes.data(), bytes.size());
    for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
        bytes[bit / 8] ^= static_cast<unsigned char>(1u << (bit % 8));
        EXPECT_NE(crc32c(bytes.data(), bytes.size()), whole);
        bytes[bit / 8] ^= static_cast<unsigned char>(1u << (bit % 8));
    }
}

}  // namespace
}  // namespace verbex
