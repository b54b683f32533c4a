#include "transport/security/crypto_library.h"

#include <cstring>
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <set>
#include <string>
#include <thread>

#include "transport/security/openssl_version.h"
#include "transport/security/shared_symbols.h"

namespace verbex::transport {
namespace {

std::span<const std::byte> bytesOf(std::string_view text) {
    return std::as_bytes(std::span(text.data(), text.size()));
}

std::string hex(std::span<const std::byte> bytes) {
    constexpr const char* kDigits = "0123456789abcdef";
    std::string text;
    for (const std::byte byte : bytes) {
        text += kDigits[std::to_integer<unsigned>(byte) >> 4];
        text += kDigits[std::to_integer<unsigned>(byte) & 15];
    }
    return text;
}

// RFC 4231, test cases 1, 3 and 6 (a key longer than a block).
TEST(CryptoLibrary, GivesThePublishedHmacValues) {
    const auto library = CryptoLibrary::load();
    ASSERT_TRUE(library.isOk()) << library.status().toString();
    const CryptoLibrary& crypto = *library.value();
    EXPECT_EQ(hex(crypto.hmacSha256(bytesOf(std::string(20, '\x0b')), bytesOf("Hi There"))),
              "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    EXPECT_EQ(
        hex(crypto.hmacSha256(bytesOf(std::string(20, '\xaa')), bytesOf(std::string(50, '\xdd')))),
        "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
    EXPECT_EQ(
        hex(crypto.hmacSha256(bytesOf(std::string(131, '\xaa')),
                              bytesOf("Test Using Larger Than Block-Size Key - Hash Key First"))),
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    EXPECT_NE(std::string(crypto.version()).find("OpenSSL 3"), std::string::npos);
}

TEST(CryptoLibrary, IsOneForAllThreads) {
    const CryptoLibrary* seen[4] = {};
    std::thread threads[4];
    for (int i = 0; i < 4; ++i) {
        threads[i] = std::thread([&seen, i] { seen[i] = CryptoLibrary::load().value(); });
    }
    for (std::thread& thread : threads) thread.join();
    for (const CryptoLibrary* library : seen) EXPECT_EQ(library, seen[0]);
}

TEST(CryptoLibrary, AnotherVersionIsRefused) {
    EXPECT_TRUE(acceptOpenSsl(0x30000000, "OpenSSL 3.0.0").isOk());
    EXPECT_TRUE(acceptOpenSsl(0x30500040, "OpenSSL 3.5.4").isOk());
    const Status older = acceptOpenSsl(0x1010107f, "BoringSSL");
    EXPECT_EQ(older.toString(), "UNSUPPORTED_FORMAT: BoringSSL is not OpenSSL 3");
}

class Symbols : public testing::Test {
protected:
    static Status accept() { return {}; }

    size_t (*length_)(const char*) = nullptr;
    void* other_ = nullptr;
};

TEST_F(Symbols, AreTakenFromTheProcessFirst) {
    const SymbolSlot slots[] = {{"strnlen", &length_}};
    const std::span<const SymbolSlot> groups[] = {slots};
    ASSERT_TRUE(SharedSymbols::resolve(groups, "libnowhere.so.9", accept).isOk());
    EXPECT_NE(length_, nullptr);
}

TEST_F(Symbols, AreAllOrNone) {
    const SymbolSlot slots[] = {{"strnlen", &length_}, {"no_such_function_anywhere", &other_}};
    const std::span<const SymbolSlot> groups[] = {slots};
    const Status status = SharedSymbols::resolve(groups, "libc.so.6", accept);
    EXPECT_EQ(status.code(), StatusCode::NotFound);
    EXPECT_NE(status.message().find("libc.so.6 has no no_such_function_anywhere"),
              std::string::npos)
        << status.message();
    EXPECT_EQ(length_, nullptr);
}

TEST_F(Symbols, OfOneGroupComeFromOneObject) {
    // Of the C library and of the C++ library.
    const SymbolSlot slots[] = {{"strnlen", &length_}, {"__cxa_demangle", &other_}};
    const std::span<const SymbolSlot> groups[] = {slots};
    const Status status = SharedSymbols::resolve(groups, "libnowhere.so.9", accept);
    EXPECT_FALSE(status.isOk());
    EXPECT_NE(status.message().find("from another library"), std::string::npos) << status.message();
    EXPECT_NE(status.message().find("libnowhere.so.9"), std::string::npos) << status.message();
    EXPECT_EQ(other_, nullptr);
}

TEST_F(Symbols, ThatAreNotAcceptedAreLookedForInTheFile) {
    const SymbolSlot slots[] = {{"strnlen", &length_}};
    const std::span<const SymbolSlot> groups[] = {slots};
    int asked = 0;
    const auto second = [&] {
        return ++asked == 1 ? Status(StatusCode::UnsupportedFormat, "too old") : Status();
    };
    EXPECT_TRUE(SharedSymbols::resolve(groups, "libc.so.6", second).isOk());
    EXPECT_EQ(asked, 2);
    EXPECT_NE(length_, nullptr);
}

TEST(SharedKey, HasSixteenTo1024Bytes) {
    const std::vector<std::byte> bytes(2000, std::byte{7});
    const std::span all(bytes);
    for (const size_t size : {size_t{0}, size_t{15}, size_t{1025}}) {
        const auto refused = SharedKey::make(all.first(size));
        ASSERT_FALSE(refused.isOk()) << size;
        EXPECT_NE(refused.status().message().find("openssl rand -hex 32"), std::string::npos);
    }
    for (const size_t size : {size_t{16}, size_t{1024}}) {
        const auto made = SharedKey::make(all.first(size));
        ASSERT_TRUE(made.isOk()) << size;
        EXPECT_EQ(made.value().bytes().size(), size);
    }
}

TEST(SharedKey, MovesWithoutLeavingACopy) {
    const std::vector<std::byte> bytes(32, std::byte{7});
    SharedKey first = SharedKey::make(bytes).take();
    SharedKey second = std::move(first);
    EXPECT_EQ(hex(second.bytes()), hex(bytes));
    EXPECT_TRUE(first.bytes().empty());
    SharedKey third = SharedKey::make(std::vector<std::byte>(16)).take();
    third = std::move(second);
    EXPECT_EQ(hex(third.bytes()), hex(bytes));
    EXPECT_TRUE(second.bytes().empty());
}

TEST(RandomBytes, FillAllOfTheSpan) {
    std::set<std::string> seen;
    for (int i = 0; i < 50; ++i) {
        std::array<std::byte, 64> bytes{};
        ASSERT_TRUE(randomBytes(bytes).isOk());
        seen.insert(hex(std::span(bytes).first(8)));
        seen.insert(hex(std::span(bytes).last(8)));
    }
    EXPECT_EQ(seen.size(), 100u);
    EXPECT_TRUE(randomBytes({}).isOk());
}

TEST(EqualInConstantTime, SeesEveryBit) {
    std::array<std::byte, 32> left{};
    ASSERT_TRUE(randomBytes(left).isOk());
    std::array<std::byte, 32> right = left;
    EXPECT_TRUE(equalInConstantTime(left, right));
    for (size_t bit = 0; bit < 256; ++bit) {
        right[bit / 8] ^= std::byte{1} << (bit % 8);
        EXPECT_FALSE(equalInConstantTime(left, right)) << bit;
        right[bit / 8] = left[bit / 8];
    }
    EXPECT_FALSE(equalInConstantTime(left, std::span(right).first(31)));
    EXPECT_TRUE(equalInConstantTime({}, {}));
}

}  // namespace
}  // namespace verbex::transport
