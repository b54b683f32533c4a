// The bytes of docs/bus-protocol.md, put together here by hand.
#include "transport/setup/handshake_codec.h"

#include <gtest/gtest.h>
#include <random>

#include "transport/handshake_fixture.h"

namespace verbex::transport {
namespace {

// Writes as the document's tables are read: offset by offset.
class Page {
public:
    explicit Page(size_t bytes) : bytes_(bytes) {}

    Page& number(size_t offset, size_t size, uint64_t value) {
        for (size_t i = 0; i < size; ++i) {
            bytes_.at(offset + i) = static_cast<std::byte>(value >> (8 * i));
        }
        return *this;
    }
    Page& text(size_t offset, std::string_view value) { return copy(offset, bytesOf(value)); }
    Page& copy(size_t offset, std::span<const std::byte> value) {
        for (size_t i = 0; i < value.size(); ++i) bytes_.at(offset + i) = value[i];
        return *this;
    }
    Page& header(uint64_t type) {
        return text(0, "VXBS").number(4, 1, 1).number(5, 1, type).number(6, 2, bytes_.size() - 8);
    }
    [[nodiscard]] const Bytes& bytes() const { return bytes_; }

private:
    Bytes bytes_;
};

Bytes join(std::initializer_list<Bytes> parts) {
    Bytes all;
    for (const Bytes& part : parts) all.insert(all.end(), part.begin(), part.end());
    return all;
}

Hmac hmac(std::span<const std::byte> key, std::initializer_list<Bytes> parts) {
    return crypto().hmacSha256(key, join(parts));
}

Bytes plain(std::span<const std::byte> bytes) {
    return {bytes.begin(), bytes.end()};
}

// A whole set-up with a key, every byte of it, and the keys that come of it.
TEST(HandshakeCodec, ASetUpHasTheBytesOfTheDocument) {
    World world = World::keyed();
    world.listener.node.transports = bitOf(TransportKind::Tcp) | bitOf(TransportKind::Shm);
    world.listener.node.host = hostOf(0x41);
    Exchange exchange(world);
    exchange.run();
    ASSERT_TRUE(exchange.bothDone());
    const auto key = keyOf('k').bytes();

    const Bytes hello = Page(60 + 11 + 6)
                            .header(1)
                            .number(8, 1, 7)
                            .number(9, 1, 3)
                            .number(12, 4, 7)
                            .number(16, 4, 1u << 20)
                            .number(20, 4, 1u << 16)
                            .copy(24, nonceOf(0xc1))
                            .copy(40, hostOf(0x40))
                            .number(56, 1, 11)
                            .number(57, 1, 6)
                            .text(60, "connector-1orders")
                            .bytes();
    Page challengePage(44 + 10 + 32);
    challengePage.header(2)
        .number(8, 1, 1)
        .number(9, 1, 3)
        .number(10, 1, 0)
        .number(11, 1, 3)
        .number(12, 1, 2)
        .number(13, 1, 10)
        .number(16, 4, 7)
        .number(20, 4, 1u << 18)
        .number(24, 4, 1u << 12)
        .copy(28, nonceOf(0x15))
        .text(44, "listener-1");
    const Bytes draft = plain(std::span(challengePage.bytes()).first(54));
    const Bytes challenge =
        challengePage.copy(54, hmac(key, {bytesOf("verbex listener"), hello, draft})).bytes();
    const Hmac sessionKey = hmac(key, {bytesOf("verbex session"), hello, challenge});
    const Hmac offerUp =
        hmac(sessionKey, {bytesOf("verbex connector offer"), world.connectorOffer});
    const Hmac offerDown =
        hmac(sessionKey, {bytesOf("verbex listener offer"), world.listenerOffer});
    const size_t up = world.connectorOffer.size();
    const size_t down = world.listenerOffer.size();
    const Bytes proof = Page(44 + up + 32)
                            .header(3)
                            .copy(8, hmac(key, {bytesOf("verbex connector"), hello, challenge}))
                            .number(40, 2, up)
                            .copy(44, world.connectorOffer)
                            .copy(44 + up, offerUp)
                            .bytes();
    const Bytes accept = Page(12 + down + 32)
                             .header(4)
                             .number(8, 2, down)
                             .copy(12, world.listenerOffer)
                             .copy(12 + down, offerDown)
                             .bytes();
    const auto ready = [&](const char* label) {
        return Page(40)
            .header(5)
            .copy(8, hmac(sessionKey, {bytesOf(label), plain(offerUp), plain(offerDown)}))
            .bytes();
    };
    EXPECT_EQ(exchange.toListener, join({hello, proof, ready("verbex connector ready")}));
    EXPECT_EQ(exchange.toConnector, join({challenge, accept, ready("verbex listener ready")}));

    const Bytes seed =
        join({plain(nonceOf(0xc1)), plain(nonceOf(0x15)), Page(4).number(0, 4, 7).bytes()});
    const Hmac frames = hmac(sessionKey, {bytesOf("verbex frames from connector"), seed});
    const Session& session = exchange.connector.session();
    EXPECT_EQ(plain(session.sendKey), plain(std::span(frames).first(16)));
    EXPECT_EQ(Page(4).number(0, 4, session.sendSalt).bytes(),
              plain(std::span(frames).subspan(16, 4)));
}

TEST(HandshakeCodec, ARefusalHasTheBytesOfTheDocument) {
    EXPECT_EQ(encoded(Refuse{.code = RefusalCode::StaleEpoch, .text = "too old"}),
              Page(19).header(6).number(8, 2, 6).number(10, 1, 7).text(12, "too old").bytes());
    EXPECT_EQ(encoded(Refuse{.code = RefusalCode::WrongKey, .text = std::string(999, 'x')}).size(),
              12u + 200u);
}

// decode() takes only what encode() gives: the bytes it takes are those it would write.
TEST(HandshakeCodec, ThereIsOneWayToWriteAMessage) {
    const std::vector<Bytes> messages = {
        encoded(Hello{.transports = 7,
                      .keyed = true,
                      .macWanted = true,
                      .epoch = 1,
                      .ringBytes = 4096,
                      .payloadMax = 16,
                      .nodeName = "n",
                      .service = "service"}),
        encoded(Challenge{.keyed = true, .mac = true, .nodeName = "listener"}),
        encoded(Proof{.offer = bytesOf("offer")}),
        encoded(Accept{.offer = bytesOf("offer")}),
        encoded(Ready{}),
        encoded(Refuse{.code = RefusalCode::TimedOut, .text = "slow"}),
    };
    const auto reencoded = [](const Bytes& message) -> Bytes {
        const auto again = [&](auto fields) {
            return decode(message, fields) ? encoded(fields) : Bytes();
        };
        switch (inspectFront(message).type) {
            case MessageType::Hello: return again(Hello{});
            case MessageType::Challenge: return again(Challenge{});
            case MessageType::Proof: return again(Proof{});
            case MessageType::Accept: return again(Accept{});
            case MessageType::Ready: return again(Ready{});
            case MessageType::Refuse: return again(Refuse{});
        }
        return {};
    };
    size_t taken = 0;
    for (const Bytes& message : messages) {
        EXPECT_EQ(reencoded(message), message);
        for (size_t offset = 0; offset < message.size(); ++offset) {
            for (unsigned value = 0; value < 256; ++value) {
                Bytes changed = message;
                changed[offset] = static_cast<std::byte>(value);
                const MessageFront front = inspectFront(changed);
                if (front.verdict != MessageFront::Verdict::Whole) continue;
                ASSERT_LE(front.bytes, changed.size());
                changed.resize(front.bytes);
                const Bytes again = reencoded(changed);
                if (again.empty()) continue;
                ++taken;
                // A refusal is understood in any version.
                if (front.type == MessageType::Refuse) changed[4] = std::byte{1};
                ASSERT_EQ(again, changed) << offset << " " << value;
            }
        }
    }
    EXPECT_GT(taken, 1000u);
}

TEST(HandshakeCodec, EveryRefusalHasANameAndAnAdvice) {
    for (uint16_t code = 1; code <= 15; ++code) {
        EXPECT_NE(refusalName(static_cast<RefusalCode>(code)), "UNKNOWN_REFUSAL") << code;
        EXPECT_GT(refusalAdvice(static_cast<RefusalCode>(code)).size(), 20u) << code;
    }
    EXPECT_EQ(refusalName(static_cast<RefusalCode>(16)), "UNKNOWN_REFUSAL");
}

}  // namespace
}  // namespace verbex::transport
