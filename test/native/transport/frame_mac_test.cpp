#include "transport/security/frame_mac.h"

#include <cstring>
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <numeric>
#include <random>
#include <string>
#include <vector>

namespace verbex::transport {
namespace {

std::string hex(const MacTag& tag) {
    unsigned char bytes[kMacTagBytes];
    std::memcpy(bytes, &tag, sizeof(bytes));
    std::string text;
    for (const unsigned char byte : bytes) {
        char digits[3];
        std::snprintf(digits, sizeof(digits), "%02x", byte);
        text += digits;
    }
    return text;
}

MacKey risingKey() {
    MacKey key;
    for (size_t i = 0; i < key.size(); ++i) key[i] = static_cast<std::byte>(i);
    return key;
}

// From the table of the authors' reference code (vectors_sip128): key and data are 0, 1, 2 …
TEST(FrameMac, GivesThePublishedValues) {
    std::vector<std::byte> data(64);
    for (size_t i = 0; i < data.size(); ++i) data[i] = static_cast<std::byte>(i);
    const FrameMac mac(risingKey());
    const auto tag = [&](size_t size) { return hex(mac.compute(std::span(data).first(size), {})); };
    EXPECT_EQ(tag(0), "a3817f04ba25a8e66df67214c7550293");
    EXPECT_EQ(tag(1), "da87c1d86b99af44347659119b22fc45");
    EXPECT_EQ(tag(2), "8177228da4a45dc7fca38bdef60affe4");
    EXPECT_EQ(tag(8), "3b62a9ba6258f5610f83e264f31497b4");
    EXPECT_EQ(tag(15), "5493e99933b0a8117e08ec0f97cfc3d9");
    EXPECT_EQ(tag(16), "6ee2a4ca67b054bbfd3315bf85230577");
    EXPECT_EQ(tag(63), "5150d1772f50834a503e069a973fbd7c");
}

// OpenSSL's own SipHash; the functions are those of its manual pages EVP_MAC and EVP_MAC_fetch.
class OpenSslSipHash {
public:
    ~OpenSslSipHash() {
        if (mac_ != nullptr) release_(mac_);
    }

    bool load() {
        void* library = ::dlopen("libcrypto.so.3", RTLD_NOW | RTLD_LOCAL);
        if (library == nullptr) return false;
        const auto find = [&](const char* name, auto& slot) {
            void* address = ::dlsym(library, name);
            std::memcpy(&slot, &address, sizeof(address));
            return address != nullptr;
        };
        if (!find("EVP_MAC_fetch", fetch_) || !find("EVP_MAC_free", release_) ||
            !find("EVP_MAC_CTX_new", create_) || !find("EVP_MAC_CTX_free", free_) ||
            !find("EVP_MAC_init", init_) || !find("EVP_MAC_update", update_) ||
            !find("EVP_MAC_final", final_)) {
            return false;
        }
        mac_ = fetch_(nullptr, "SIPHASH", nullptr);
        return mac_ != nullptr;
    }

    // 16 bytes of output and 2-4 rounds are its defaults.
    MacTag compute(const MacKey& key, std::span<const std::byte> data) const {
        MacTag tag;
        size_t tagBytes = 0;
        void* context = create_(mac_);
        EXPECT_EQ(
            init_(context, reinterpret_cast<const unsigned char*>(key.data()), key.size(), nullptr),
            1);
        EXPECT_EQ(
            update_(context, reinterpret_cast<const unsigned char*>(data.data()), data.size()), 1);
        EXPECT_EQ(final_(context, reinterpret_cast<unsigned char*>(&tag), &tagBytes, sizeof(tag)),
                  1);
        EXPECT_EQ(tagBytes, sizeof(tag));
        free_(context);
        return tag;
    }

private:
    void* (*fetch_)(void*, const char*, const char*) = nullptr;
    void (*release_)(void*) = nullptr;
    void* (*create_)(void*) = nullptr;
    void (*free_)(void*) = nullptr;
    int (*init_)(void*, const unsigned char*, size_t, const void*) = nullptr;
    int (*update_)(void*, const unsigned char*, size_t) = nullptr;
    int (*final_)(void*, unsigned char*, size_t*, size_t) = nullptr;
    void* mac_ = nullptr;
};

TEST(FrameMac, AgreesWithOpenSslForEveryLengthAndSplit) {
    OpenSslSipHash openSsl;
    if (!openSsl.load()) GTEST_SKIP() << "no libcrypto.so.3 to compare with";
    std::mt19937_64 random(1);
    std::vector<std::byte> bytes(308);
    for (size_t size = 0; size <= 300; ++size) {
        for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
        MacKey key;
        for (std::byte& byte : key) byte = static_cast<std::byte>(random());
        const std::span data = std::span<const std::byte>(bytes).subspan(random() % 8, size);
        const MacTag expected = openSsl.compute(key, data);
        const FrameMac mac(key);
        for (size_t split = 0; split <= size; ++split) {
            ASSERT_EQ(mac.compute(data.first(split), data.subspan(split)), expected)
                << "size " << size << " split " << split;
        }
    }
}

TEST(FrameMac, EverySingleBitOfKeyAndDataCounts) {
    std::vector<std::byte> data(40, std::byte{0x5a});
    MacKey key = risingKey();
    const MacTag tag = FrameMac(key).compute(data, {});
    for (size_t bit = 0; bit < data.size() * 8; ++bit) {
        data[bit / 8] ^= std::byte{1} << (bit % 8);
        EXPECT_FALSE(FrameMac(key).compute(data, {}) == tag) << bit;
        data[bit / 8] ^= std::byte{1} << (bit % 8);
    }
    for (size_t bit = 0; bit < key.size() * 8; ++bit) {
        key[bit / 8] ^= std::byte{1} << (bit % 8);
        EXPECT_FALSE(FrameMac(key).compute(data, {}) == tag) << bit;
        key[bit / 8] ^= std::byte{1} << (bit % 8);
    }
    data.push_back(std::byte{0});
    EXPECT_FALSE(FrameMac(key).compute(data, {}) == tag);
}

}  // namespace
}  // namespace verbex::transport
