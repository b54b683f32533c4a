// The clearing protocol's bytes: every message there and back by property, golden bytes, and what is refused.
#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "gateway/clearing/clearing.h"

namespace verbex::gateway::clearing {
namespace {

using Random = std::mt19937_64;

ClientId randomId(Random& random) {
    unsigned char bytes[16] = {};
    switch (random() % 3) {
        case 0:
            for (size_t i = 0, n = 1 + random() % 16; i < n; ++i)
                bytes[i] = static_cast<unsigned char>(0x21 + random() % 94);
            break;
        case 1:
            for (unsigned char& byte : bytes) byte = static_cast<unsigned char>(random());
            bytes[8] = static_cast<unsigned char>(0x80 | (bytes[8] & 0x3f));
            break;
        default: break;  // none
    }
    ClientId id;
    std::memcpy(&id, bytes, 16);
    return id;
}

struct Fill {
    Random& random;
    void operator()(auto& value) { value = static_cast<std::decay_t<decltype(value)>>(random()); }
    void operator()(Amount& value) {
        value = static_cast<Amount>(UnsignedAmount{random()} << 64 | random());
    }
    void operator()(ClientId& value) { value = randomId(random); }
    void operator()(ReasonText& value) {
        for (char& c : value) c = static_cast<char>(random());
    }
};

struct Gather {
    std::string& out;
    void operator()(const auto& value) {
        out.append(reinterpret_cast<const char*>(&value), sizeof(value));
    }
};

template <typename Message>
std::string fieldsOf(Message& message) {
    std::string out;
    message.each(Gather{out});
    return out;
}

template <typename Message>
std::vector<std::byte> bytesOf(const Message& message) {
    std::vector<std::byte> bytes(Message::kBytes + 8, std::byte{0xa5});
    encode(bytes.data(), message);
    for (size_t i = Message::kBytes; i < bytes.size(); ++i)
        EXPECT_EQ(bytes[i], std::byte{0xa5}) << "written behind the message";
    bytes.resize(Message::kBytes);
    return bytes;
}

template <typename Message>
void thereAndBack(uint64_t seed) {
    SCOPED_TRACE(Message::kType);
    Random random(seed);
    for (int i = 0; i < 500; ++i) {
        Message message;
        message.each(Fill{random});
        const std::vector<std::byte> bytes = bytesOf(message);
        ASSERT_EQ(static_cast<char>(bytes[0]), Message::kType);
        Message back;
        ASSERT_EQ(decode(bytes, back), Decoded::Yes);
        ASSERT_EQ(fieldsOf(message), fieldsOf(back));
        ASSERT_EQ(bytesOf(back), bytes);
    }
    // Another length, or another type, is never this message.
    std::vector<std::byte> bytes(Message::kBytes + 1, std::byte{' '});
    bytes[0] = static_cast<std::byte>(Message::kType);
    Message message;
    for (size_t length = 0; length <= bytes.size(); ++length) {
        ASSERT_EQ(decode(std::span(bytes).first(length), message) == Decoded::NotThis,
                  length != Message::kBytes);
    }
    bytes.resize(Message::kBytes);
    for (int type = 0; type < 256; ++type) {
        bytes[0] = static_cast<std::byte>(type);
        ASSERT_EQ(decode(bytes, message) == Decoded::NotThis,
                  type != static_cast<unsigned char>(Message::kType));
    }
}

TEST(ClearingCodec, EveryMessageThereAndBack) {
    uint64_t seed = 1;
#define VERBEX_X(Message) thereAndBack<Message>(seed++);
    VERBEX_CLEARING_REQUESTS(VERBEX_X)
    VERBEX_CLEARING_RESPONSES(VERBEX_X)
    VERBEX_X(ReferenceQuery)
#undef VERBEX_X
}

// Whatever is taken is what it says: the bytes come back as they were.
TEST(ClearingCodec, RandomBytesAreRefusedOrKept) {
    Random random(7);
    int taken = 0, refused = 0;
    for (int i = 0; i < 20'000; ++i) {
        std::vector<std::byte> bytes(MassCancel::kBytes);
        MassCancel message{};
        message.each(Fill{random});
        encode(bytes.data(), message);
        for (int flips = static_cast<int>(random() % 3); flips > 0; --flips)
            bytes[5 + random() % 32] = static_cast<std::byte>(random());
        const Decoded decoded = decode(bytes, message);
        ASSERT_NE(decoded, Decoded::NotThis);
        if (decoded == Decoded::BadField) {
            ++refused;
            continue;
        }
        ++taken;
        ASSERT_TRUE(isTextOrUuid(message.account) && isTextOrUuid(message.instrument));
        std::vector<std::byte> again(MassCancel::kBytes);
        encode(again.data(), message);
        ASSERT_EQ(bytes, again);
    }
    EXPECT_GT(taken, 5000);
    EXPECT_GT(refused, 2000);
}

ClientId id(std::string_view text) {
    ClientId made{};
    std::memcpy(&made, text.data(), text.size());
    return made;
}

std::string hex(const std::vector<std::byte>& bytes) {
    std::string out;
    for (const std::byte byte : bytes) {
        out += "0123456789abcdef"[static_cast<uint8_t>(byte) >> 4];
        out += "0123456789abcdef"[static_cast<uint8_t>(byte) & 15];
    }
    return out;
}

// The bytes are promises to clients; test/clients/clearing-codec.test.ts has the same ones.
TEST(ClearingCodec, GoldenBytes) {
    EXPECT_EQ(hex(bytesOf(Transfer{0x01020304, id("acme"), id("USD"), id("t-1"), -2, id("bolt")})),
              "54" "01020304" "61636d65202020202020202020202020" "55534420202020202020202020202020"
              "742d3120202020202020202020202020" "fffffffffffffffffffffffffffffffe"
              "626f6c74202020202020202020202020");
    ClientId uuid;
    std::memcpy(&uuid, "\x01\x91\x2f\x80\x00\x00\x70\x00\x80\x00\x00\x00\x00\x00\x00\x2a", 16);
    EXPECT_EQ(hex(bytesOf(Deposit{7, id("acme"), id("USD"), uuid, Amount{1} << 64})),
              "44" "00000007" "61636d65202020202020202020202020" "55534420202020202020202020202020"
              "01912f8000007000800000000000002a" "00000000000000010000000000000000");
    EXPECT_EQ(hex(bytesOf(Execution{1, 2, 3, id("BTC-USD"), id("acme"), 1, 'A', 4, id("o-1"), 5, 6,
                                    7, -100, 8, ClientId{}})),
              "45" "0000000000000001" "0000000000000002" "00000003"
              "4254432d555344202020202020202020" "61636d65202020202020202020202020" "01" "41"
              "0000000000000004" "6f2d3120202020202020202020202020" "0000000000000005"
              "0000000000000006" "0000000000000007" "ffffff9c" "00000008"
              "20202020202020202020202020202020");
    EXPECT_EQ(hex(bytesOf(Rejected{1, 2, 'D', 3, 34, reasonText(34)})),
              "4a" "0000000000000001" "00000002" "44" "0000000000000003" "0022"
              "494e53554646494349454e545f46554e4453" "2020202020202020202020202020");
}

TEST(ClearingCodec, EveryReasonHasANameThatFits) {
    for (uint16_t reason = 1; reason <= kRejectMax; ++reason) {
        EXPECT_NE(reasonName(reason), "");
        EXPECT_LE(reasonName(reason).size(), sizeof(ReasonText));
    }
#define VERBEX_X(number, name, sentence)   \
    EXPECT_EQ(reasonName(number), #name);  \
    EXPECT_LE(reasonName(number).size(), sizeof(ReasonText));
    VERBEX_CLEARING_REASONS(VERBEX_X)
#undef VERBEX_X
    EXPECT_EQ(reasonName(999), "");
}

TEST(ClearingCodec, WhatIsNeitherTextNorUuidIsABadField) {
    const auto withAccount = [](std::string account) {
        KillSwitch message{1, id("a"), 1};
        std::vector<std::byte> bytes = bytesOf(message);
        std::memcpy(bytes.data() + 5, account.data(), 16);
        return decode(bytes, message);
    };
    EXPECT_EQ(withAccount("acme            "), Decoded::Yes);
    EXPECT_EQ(withAccount("sixteen-letters!"), Decoded::Yes);
    EXPECT_EQ(withAccount("                "), Decoded::Yes);
    EXPECT_EQ(withAccount(" acme           "), Decoded::BadField);
    EXPECT_EQ(withAccount("ac me           "), Decoded::BadField);
    EXPECT_EQ(withAccount(std::string("acme") + std::string(12, '\0')), Decoded::BadField);
    EXPECT_EQ(withAccount(std::string(16, '\0')), Decoded::BadField);
    EXPECT_EQ(withAccount("acm\x7f            "), Decoded::BadField);
    EXPECT_EQ(withAccount("acmeacme\xc0 acmeac"), Decoded::BadField);
    EXPECT_EQ(withAccount("acmeacme\x80 acmeac"), Decoded::Yes);  // a UUID
}

}  // namespace
}  // namespace verbex::gateway::clearing
