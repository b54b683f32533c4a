#include "transport/verbs/verbs_endpoint.h"

#include <cstring>
#include <gtest/gtest.h>
#include <random>
#include <vector>

namespace verbex::transport {
namespace {

VerbsEndpoint ethernet() {
    VerbsEndpoint endpoint;
    endpoint.address = 0x7f0011220000;
    endpoint.size = 1 << 20;
    endpoint.rkey = 0xdeadbeef;
    endpoint.queuePair = 0x123456;
    endpoint.firstPacket = 0xfedcba;
    endpoint.mtu = 1024;
    endpoint.gid = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 99, 0, 1};
    endpoint.linkLayer = VerbsLinkLayer::Ethernet;
    return endpoint;
}

VerbsEndpoint infiniband() {
    VerbsEndpoint endpoint = ethernet();
    endpoint.linkLayer = VerbsLinkLayer::Infiniband;
    endpoint.lid = 0x1234;
    endpoint.gid = {};
    return endpoint;
}

TEST(VerbsEndpoint, GoesThereAndBack) {
    for (const VerbsEndpoint& endpoint : {ethernet(), infiniband()}) {
        const auto bytes = encodeVerbsEndpoint(endpoint);
        const Result<VerbsEndpoint> decoded = decodeVerbsEndpoint(bytes);
        ASSERT_TRUE(decoded.isOk()) << decoded.status().toString();
        EXPECT_EQ(decoded.value(), endpoint);
    }
}

TEST(VerbsEndpoint, TheBytesAreWhereTheyWereAgreedToBe) {
    const auto bytes = encodeVerbsEndpoint(infiniband());
    const auto at = [&bytes](size_t offset) { return std::to_integer<int>(bytes[offset]); };
    EXPECT_EQ(at(2), 0x22) << "address, least byte first";
    EXPECT_EQ(at(3), 0x11);
    EXPECT_EQ(at(10), 0x10) << "size";
    EXPECT_EQ(at(16), 0xef) << "key";
    EXPECT_EQ(at(20), 0x56) << "queue pair";
    EXPECT_EQ(at(24), 0xba) << "first packet";
    EXPECT_EQ(at(29), 0x04) << "MTU";
    EXPECT_EQ(at(48), 0x34) << "LID";
    EXPECT_EQ(at(49), 0x12);
    EXPECT_EQ(at(50), 1) << "link layer";
}

TEST(VerbsEndpoint, RefusesWhatCannotBeUsed) {
    const auto refuses = [](VerbsEndpoint endpoint, auto change) {
        change(endpoint);
        const Result<VerbsEndpoint> decoded = decodeVerbsEndpoint(encodeVerbsEndpoint(endpoint));
        return !decoded.isOk() && decoded.status().code() == StatusCode::InvalidArgument;
    };
    EXPECT_TRUE(refuses(ethernet(), [](auto& e) { e.mtu = 1500; }));
    EXPECT_TRUE(refuses(ethernet(), [](auto& e) { e.mtu = 0; }));
    EXPECT_TRUE(refuses(ethernet(), [](auto& e) { e.mtu = 8192; }));
    EXPECT_TRUE(refuses(ethernet(), [](auto& e) { e.queuePair = 1; }));
    EXPECT_TRUE(refuses(ethernet(), [](auto& e) { e.queuePair = 1 << 24; }));
    EXPECT_TRUE(refuses(ethernet(), [](auto& e) { e.firstPacket = 1 << 24; }));
    EXPECT_TRUE(refuses(ethernet(), [](auto& e) { e.address = 0; }));
    EXPECT_TRUE(refuses(ethernet(), [](auto& e) { e.address += 8; }));
    EXPECT_TRUE(refuses(ethernet(), [](auto& e) { e.size = 0; }));
    EXPECT_TRUE(refuses(ethernet(), [](auto& e) { e.size += 1; }));
    EXPECT_TRUE(refuses(ethernet(), [](auto& e) { e.size = UINT64_MAX - 63; }));
    EXPECT_TRUE(refuses(ethernet(), [](auto& e) { e.gid = {}; }));
    EXPECT_TRUE(refuses(ethernet(), [](auto& e) { e.linkLayer = static_cast<VerbsLinkLayer>(3); }));
    EXPECT_TRUE(refuses(ethernet(), [](auto& e) { e.linkLayer = static_cast<VerbsLinkLayer>(0); }));
    EXPECT_TRUE(refuses(ethernet(), [](auto& e) { e.reserved[4] = 1; }));
    EXPECT_TRUE(refuses(infiniband(), [](auto& e) { e.lid = 0; }));
}

TEST(VerbsEndpoint, RefusesAnyOtherLength) {
    std::vector<std::byte> bytes(128);
    const auto good = encodeVerbsEndpoint(ethernet());
    std::memcpy(bytes.data(), good.data(), good.size());
    for (size_t length = 0; length <= bytes.size(); ++length)
        EXPECT_EQ(decodeVerbsEndpoint(std::span(bytes).first(length)).isOk(),
                  length == kVerbsEndpointBytes);
}

TEST(VerbsEndpoint, WhatIsAcceptedOfGarbageIsSound) {
    std::mt19937_64 random(7);
    const auto good = encodeVerbsEndpoint(ethernet());
    int accepted = 0;
    for (int round = 0; round < 20000; ++round) {
        auto bytes = good;
        for (uint64_t changes = 1 + random() % 4; changes > 0; --changes)
            bytes[random() % bytes.size()] = static_cast<std::byte>(random());
        const Result<VerbsEndpoint> decoded = decodeVerbsEndpoint(bytes);
        if (!decoded.isOk()) continue;
        ++accepted;
        EXPECT_TRUE(checkVerbsEndpoint(decoded.value()).isOk());
        EXPECT_EQ(encodeVerbsEndpoint(decoded.value()), bytes);
    }
    EXPECT_GT(accepted, 0);
    EXPECT_LT(accepted, 20000);
}

}  // namespace
}  // namespace verbex::transport
