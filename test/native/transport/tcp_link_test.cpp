#include "transport/tcp_link.h"

#include <gtest/gtest.h>
#include <random>

#include "network_fixture.h"

namespace verbex::transport {
namespace {

std::vector<std::byte> payloadOf(uint64_t number, size_t size) {
    std::vector<std::byte> payload(size);
    std::mt19937_64 random(number);
    for (std::byte& byte : payload) byte = static_cast<std::byte>(random());
    return payload;
}

// Every message says by its position how long it is and what is in it.
size_t sizeOf(uint64_t position, size_t most) {
    return std::mt19937_64(position * 77)() % (most + 1);
}

Answer offerNumbered(Link& link, uint64_t position) {
    const auto payload = payloadOf(position, sizeOf(position, link.info().payloadMax));
    return link.offer({.stream = static_cast<uint16_t>(position % 5),
                       .kind = static_cast<uint8_t>(position % 250),
                       .flags = static_cast<uint8_t>(position % 64),
                       .position = position,
                       .payload = payload});
}

// Counts what comes, and holds each message against what it must be.
struct Numbered final : Receiver {
    uint64_t next = 1;
    size_t most;
    explicit Numbered(size_t most) : most(most) {}
    void onMessage(const Message& m) override {
        ASSERT_EQ(m.position, next);
        ASSERT_EQ(m.stream, next % 5);
        ASSERT_EQ(m.kind, next % 250);
        ASSERT_EQ(m.flags, next % 64);
        const auto expected = payloadOf(next, sizeOf(next, most));
        ASSERT_TRUE(std::equal(m.payload.begin(), m.payload.end(), expected.begin(),
                               expected.end()));
        ++next;
    }
};

void exchangeBothWays(const NetworkOptions& options, uint64_t count) {
    Pair pair(options);
    ASSERT_NE(pair.atConnector, nullptr);
    const size_t most = pair.atConnector->info().payloadMax;
    Numbered atListener(most);
    Numbered atConnector(most);
    uint64_t toListener = 1;
    uint64_t toConnector = 1;
    std::mt19937_64 random(1);
    ASSERT_TRUE(pair.drive([&] {
        for (int i = 0; i < 20 && toListener <= count; ++i) {
            if (offerNumbered(*pair.atConnector, toListener) != Answer::Accepted) break;
            ++toListener;
        }
        for (int i = 0; i < 20 && toConnector <= count; ++i) {
            if (offerNumbered(*pair.atListener, toConnector) != Answer::Accepted) break;
            ++toConnector;
        }
        pair.atConnector->flush();
        pair.atListener->flush();
        pair.atListener->poll(atListener, random() % 30);
        pair.atConnector->poll(atConnector, random() % 30);
        return atListener.next > count && atConnector.next > count;
    }));
    EXPECT_EQ(pair.atListener->counters().framesReceived, count);
    EXPECT_EQ(pair.atConnector->counters().framesSent, count);
    EXPECT_EQ(pair.atListener->state(), LinkState::Open);
}

TEST(TcpLink, CarriesRandomSizesBothWaysThroughTinyRings) {
    exchangeBothWays(optionsOf("one"), 3000);
}

TEST(TcpLink, CarriesThemUnderAMac) {
    NetworkOptions options = optionsOf("one");
    options.key = keyBytes('k');
    exchangeBothWays(options, 1000);
}

TEST(TcpLink, CarriesThemWithoutAskingEpoll) {
    NetworkOptions options = optionsOf("one");
    options.spin = true;
    exchangeBothWays(options, 1000);
}

}  // namespace
}  // namespace verbex::transport
