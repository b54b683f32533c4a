// The bytes: every field at its place, every message read as it was written, everything else refused.
#include "feed/itch.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

namespace verbex::feed::itch_test {
namespace {

using itch::Message;
using itch::Type;

constexpr Type kTypes[] = {Type::SystemEvent, Type::Directory, Type::TradingAction,
                           Type::Add,         Type::Executed,  Type::ExecutedWithPrice,
                           Type::Cancel,      Type::Delete,    Type::Replace,
                           Type::Trade,       Type::EndOfSnapshot};

std::vector<std::byte> bytesOf(const Message& message) {
    std::vector<std::byte> bytes(itch::kMessageBytesMax);
    bytes.resize(itch::write(bytes.data(), message));
    return bytes;
}

std::string hex(const std::vector<std::byte>& bytes) {
    std::string text;
    char two[3];
    for (const std::byte byte : bytes) {
        std::snprintf(two, sizeof(two), "%02x", static_cast<unsigned>(byte));
        text += two;
    }
    return text;
}

Symbol symbol(const char* text) {
    Name name{};
    std::memcpy(static_cast<void*>(&name), text, std::strlen(text));
    return symbolOf(name, 7);
}

// Lengths and offsets of the published tables, by hand.
TEST(Itch, FieldsLieWhereTheStandardSays) {
    Message message;
    message.locate = 0x0102;
    message.tracking = 0x0304;
    message.timeNs = 0x05060708090a;
    message.reference = 0x1112131415161718;
    message.newReference = 0x2122232425262728;
    message.shares = 0x31323334;
    message.price = 0x41424344;
    message.match = 0x5152535455565758;
    message.symbol = symbol("BTC-USD");
    const std::string head = "0102030405060708090a";
    const std::string name = "4254432d55534420";
    const auto written = [&message](Type type, char code) {
        message.type = type;
        message.code = code;
        return hex(bytesOf(message));
    };
    EXPECT_EQ(written(Type::SystemEvent, 'O'), "53" + head + "4f");
    EXPECT_EQ(written(Type::Add, 'B'),
              "41" + head + "1112131415161718" + "42" + "31323334" + name + "41424344");
    EXPECT_EQ(written(Type::Executed, 0), "45" + head + "1112131415161718" + "31323334" + "5152535455565758");
    EXPECT_EQ(written(Type::ExecutedWithPrice, 'Y'), "43" + head + "1112131415161718" + "31323334" +
                                                         "5152535455565758" + "59" + "41424344");
    EXPECT_EQ(written(Type::Cancel, 0), "58" + head + "1112131415161718" + "31323334");
    EXPECT_EQ(written(Type::Delete, 0), "44" + head + "1112131415161718");
    EXPECT_EQ(written(Type::Replace, 0),
              "55" + head + "1112131415161718" + "2122232425262728" + "31323334" + "41424344");
    EXPECT_EQ(written(Type::Trade, 'S'), "50" + head + "1112131415161718" + "53" + "31323334" + name +
                                             "41424344" + "5152535455565758");
    EXPECT_EQ(written(Type::Directory, 0),
              "52" + head + name + "2020" + "00000001" + "4e" + "51" + "5a20" + "50" + "20202020" + "00000000" + "4e");
    std::memcpy(message.reason, "HALT", 4);
    EXPECT_EQ(written(Type::TradingAction, 'H'), "48" + head + name + "48" + "20" + "48414c54");
    message.sequence = 1234;
    EXPECT_EQ(written(Type::EndOfSnapshot, 0), "47" + std::string(32, '0').replace(0, 32, std::string(
                  "20202020202020202020202020202020")) + "31323334");
    const size_t lengths[] = {12, 39, 25, 36, 31, 36, 23, 19, 35, 44, 21};
    for (size_t i = 0; i < std::size(kTypes); ++i) EXPECT_EQ(itch::bytesOf(kTypes[i]), lengths[i]);
}

TEST(Itch, WhatIsWrittenIsRead) {
    std::mt19937_64 random(1);
    for (int i = 0; i < 20'000; ++i) {
        const uint64_t number = i % 3 == 0 ? UINT64_MAX : random() >> (random() % 64);
        Message message;
        message.type = kTypes[random() % std::size(kTypes)];
        const Type type = message.type;
        const bool order = type != Type::SystemEvent && type != Type::Directory &&
                           type != Type::TradingAction && type != Type::EndOfSnapshot;
        if (type == Type::EndOfSnapshot) {
            message.sequence = number;
        } else {
            message.locate = static_cast<uint16_t>(random());
            message.tracking = static_cast<uint16_t>(random());
            message.timeNs = random() >> 16;
        }
        const bool named = type == Type::Directory || type == Type::TradingAction ||
                           type == Type::Add || type == Type::Trade;
        if (named) message.symbol = random();
        if (order) message.reference = number;
        if (type == Type::Replace) message.newReference = random();
        if (order && type != Type::Delete) message.shares = static_cast<uint32_t>(random());
        if (type == Type::Add || type == Type::Trade || type == Type::Replace || type == Type::ExecutedWithPrice)
            message.price = static_cast<uint32_t>(random());
        if (type == Type::Executed || type == Type::ExecutedWithPrice || type == Type::Trade)
            message.match = random();
        if (type == Type::Add || type == Type::Trade) message.code = random() % 2 == 0 ? 'B' : 'S';
        if (type == Type::SystemEvent || type == Type::TradingAction || type == Type::ExecutedWithPrice)
            message.code = static_cast<char>('A' + random() % 26);
        if (type == Type::TradingAction) std::memcpy(message.reason, "ABCD", 4);
        const std::vector<std::byte> bytes = bytesOf(message);
        ASSERT_EQ(bytes.size(), itch::bytesOf(type));
        Message read;
        ASSERT_TRUE(itch::read(bytes, read));
        ASSERT_EQ(read, message);
        // One byte less or more is no message.
        std::vector<std::byte> other = bytes;
        other.push_back(std::byte{0});
        ASSERT_FALSE(itch::read(other, read));
        other.resize(bytes.size() - 1);
        ASSERT_FALSE(itch::read(other, read));
    }
}

TEST(Itch, GarbageIsRefused) {
    std::mt19937_64 random(2);
    Message message;
    EXPECT_FALSE(itch::read({}, message));
    for (int i = 0; i < 100'000; ++i) {
        std::vector<std::byte> bytes(random() % 50);
        for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
        if (!bytes.empty() && i % 2 == 0)
            bytes[0] = static_cast<std::byte>(kTypes[random() % std::size(kTypes)]);
        if (!itch::read(bytes, message)) continue;
        ASSERT_EQ(bytes.size(), itch::bytesOf(message.type));
    }
}

}  // namespace
}  // namespace verbex::feed::itch_test
