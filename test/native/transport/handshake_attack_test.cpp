// Set-ups in which somebody does not play fair: nobody is taken for who they are not.
#include <gtest/gtest.h>
#include <random>

#include "transport/setup/handshake.h"
#include "transport/handshake_fixture.h"

namespace verbex::transport {
namespace {

// Flips bits of one direction's stream.
Exchange::Carry flip(Direction which, size_t offset, std::byte mask) {
    return [=, before = size_t{0}](Direction direction, const Bytes& sent) mutable {
        Bytes changed = sent;
        if (direction == which) {
            if (offset >= before && offset < before + sent.size()) {
                changed[offset - before] ^= mask;
            }
            before += sent.size();
        }
        return std::vector<Bytes>{changed};
    };
}

const Handshake& receiverOf(const Exchange& exchange, Direction direction) {
    if (direction == Direction::ToListener) return exchange.listener;
    return exchange.connector;
}

TEST(HandshakeAttack, WithAKeyEveryFlippedBitIsNoticed) {
    Exchange honest(World::keyed());
    honest.run();
    ASSERT_TRUE(honest.bothDone());
    for (const Direction direction : {Direction::ToListener, Direction::ToConnector}) {
        const size_t bytes =
            (direction == Direction::ToListener ? honest.toListener : honest.toConnector).size();
        for (size_t bit = 0; bit < bytes * 8; ++bit) {
            Exchange exchange(World::keyed());
            exchange.run(flip(direction, bit / 8, std::byte{1} << (bit % 8)));
            // A length that grew leaves it waiting, for the driver's deadline to end.
            ASSERT_NE(receiverOf(exchange, direction).state(), HandshakeState::Done)
                << "byte " << bit / 8 << " bit " << bit % 8;
            ASSERT_FALSE(exchange.bothDone());
        }
    }
}

TEST(HandshakeAttack, WithoutAKeyNothingIsEverCalledAuthenticated) {
    Exchange honest{World()};
    honest.run();
    std::mt19937_64 random(1);
    for (const Direction direction : {Direction::ToListener, Direction::ToConnector}) {
        const size_t bytes =
            (direction == Direction::ToListener ? honest.toListener : honest.toConnector).size();
        for (size_t offset = 0; offset < bytes; ++offset) {
            for (int i = 0; i < 8; ++i) {
                Exchange exchange{World()};
                exchange.run(flip(direction, offset, static_cast<std::byte>(1 + random() % 255)));
                for (const Handshake* side : {static_cast<const Handshake*>(&exchange.connector),
                                              static_cast<const Handshake*>(&exchange.listener)}) {
                    EXPECT_FALSE(side->session().authenticated);
                }
            }
        }
    }
}

TEST(HandshakeAttack, EveryTruncationFails) {
    Exchange honest(World::keyed());
    honest.run();
    for (const Direction direction : {Direction::ToListener, Direction::ToConnector}) {
        const size_t bytes =
            (direction == Direction::ToListener ? honest.toListener : honest.toConnector).size();
        for (size_t keep = 0; keep < bytes; ++keep) {
            Exchange exchange(World::keyed());
            exchange.run([&, before = size_t{0}](Direction way, const Bytes& sent) mutable {
                if (way != direction) return std::vector<Bytes>{sent};
                const size_t rest = keep > before ? std::min(keep - before, sent.size()) : 0;
                before += sent.size();
                return std::vector<Bytes>{
                    Bytes(sent.begin(), sent.begin() + static_cast<ptrdiff_t>(rest))};
            });
            Handshake& receiver = direction == Direction::ToListener
                                      ? static_cast<Handshake&>(exchange.listener)
                                      : static_cast<Handshake&>(exchange.connector);
            ASSERT_EQ(receiver.state(), HandshakeState::AwaitPeer) << keep;
            receiver.peerClosed();
            expectFailed(receiver, RefusalCode::ConnectionClosed, false);
        }
    }
}

TEST(HandshakeAttack, AnotherKeyIsRefusedByTheConnectorFirst) {
    World world = World::keyed();
    world.listener.node.key = &keyOf('w');
    Exchange exchange(world);
    exchange.run();
    expectFailed(exchange.connector, RefusalCode::WrongKey, false);
    expectFailed(exchange.listener, RefusalCode::WrongKey, true);
}

// Somebody who does not care whether the listener has the key.
TEST(HandshakeAttack, AConnectorWithoutTheKeyIsRefused) {
    const World world = World::keyed();
    for (const bool zero : {false, true}) {
        Exchange exchange(world);
        exchange.listener.receive(takeOutput(exchange.connector));
        const Bytes challenge = takeOutput(exchange.listener);
        ASSERT_EQ(inspectFront(challenge).type, MessageType::Challenge);
        HandshakeKeys guess(&crypto(), &keyOf('w'));
        const Hmac proof = zero ? Hmac{} : guess.proof(Role::Connector, challenge);
        exchange.listener.receive(encoded(Proof{.proof = proof, .offer = {}, .offerMac = {}}));
        expectFailed(exchange.listener, RefusalCode::WrongKey, false);
        expectBareRefusal(exchange.listener, RefusalCode::WrongKey);
    }
}

TEST(HandshakeAttack, AKeyOnOneSideOnlyIsRefused) {
    for (const bool connectorHasIt : {false, true}) {
        World world;
        (connectorHasIt ? world.connector.node : world.listener.node).key = &keyOf('k');
        Exchange exchange(world);
        exchange.run();
        expectFailed(exchange.listener, RefusalCode::KeyRequired, false);
        expectFailed(exchange.connector, RefusalCode::KeyRequired, true);
    }
}

// Takes the flag out of HELLO, so that a listener without the key would be taken.
TEST(HandshakeAttack, AConfiguredKeyCannotBeTalkedAway) {
    World world = World::keyed();
    world.connector.node.macWanted = false;
    world.listener.node.key = nullptr;
    Exchange exchange(world);
    exchange.run(flip(Direction::ToListener, offsetof(HelloFixed, flags), std::byte{kFlagKeyed}));
    expectFailed(exchange.connector, RefusalCode::KeyRequired, false);
}

TEST(HandshakeAttack, ARecordedSessionIsWorthNothing) {
    Exchange recorded(World::keyed());
    recorded.run();
    ASSERT_TRUE(recorded.bothDone());
    // With the nonces of the recording both streams are taken: it is the nonces that protect.
    const auto replayToListener = [&](unsigned char nonce) {
        World world = World::keyed();
        world.listenerNonce = nonceOf(nonce);
        auto exchange = std::make_unique<Exchange>(world);
        for (const std::byte& byte : recorded.toListener) {
            exchange->listener.receive({&byte, 1});
            exchange->serve(exchange->listener);
        }
        return exchange;
    };
    EXPECT_EQ(replayToListener(0x15)->listener.state(), HandshakeState::Done);
    expectFailed(replayToListener(0x16)->listener, RefusalCode::WrongKey, false);
    const auto replayToConnector = [&](unsigned char nonce) {
        World world = World::keyed();
        world.connectorNonce = nonceOf(nonce);
        auto exchange = std::make_unique<Exchange>(world);
        for (const std::byte& byte : recorded.toConnector) {
            exchange->connector.receive({&byte, 1});
            exchange->serve(exchange->connector);
        }
        return exchange;
    };
    EXPECT_EQ(replayToConnector(0xc1)->connector.state(), HandshakeState::Done);
    expectFailed(replayToConnector(0xc2)->connector, RefusalCode::WrongKey, false);
}

TEST(HandshakeAttack, AnEchoIsNoListener) {
    Exchange exchange(World::keyed());
    exchange.connector.receive(takeOutput(exchange.connector));
    expectFailed(exchange.connector, RefusalCode::Malformed, false);
}

// Somebody in the middle answers the connector with the connector's own words.
TEST(HandshakeAttack, TheConnectorsOfferIsNotTakenForTheListeners) {
    Exchange exchange(World::keyed());
    exchange.run([&](Direction direction, const Bytes& sent) -> std::vector<Bytes> {
        if (direction == Direction::ToListener && inspectFront(sent).type == MessageType::Proof) {
            const auto proof = decoded<Proof>(sent);
            exchange.connector.receive(
                encoded(Accept{.offer = proof.offer, .offerMac = proof.offerMac}));
            return {};
        }
        return {sent};
    });
    expectFailed(exchange.connector, RefusalCode::NotAuthentic, false);
}

TEST(HandshakeAttack, TheConnectorsReadyIsNotTakenForTheListeners) {
    Exchange exchange(World::keyed());
    exchange.run([&](Direction direction, const Bytes& sent) -> std::vector<Bytes> {
        // The listener's READY may come with its ACCEPT; it is held back.
        if (direction == Direction::ToConnector) {
            const MessageFront front = inspectFront(sent);
            if (front.type == MessageType::Ready) return {};
            return {Bytes(sent.begin(), sent.begin() + static_cast<ptrdiff_t>(front.bytes))};
        }
        if (inspectFront(sent).type == MessageType::Ready) {
            exchange.connector.receive(sent);
            return {};
        }
        return {sent};
    });
    expectFailed(exchange.connector, RefusalCode::NotAuthentic, false);
}

// Both offers were made by holders of the key, but for another session.
TEST(HandshakeAttack, OffersOfAnotherSessionAreRefused) {
    World other = World::keyed();
    other.listenerNonce = nonceOf(0x77);
    other.connectorOffer = bytesOf("a ring of another session");
    Exchange source(other);
    Bytes foreignProof;
    source.run([&](Direction, const Bytes& sent) -> std::vector<Bytes> {
        if (inspectFront(sent).type == MessageType::Proof) foreignProof = sent;
        return {sent};
    });
    ASSERT_FALSE(foreignProof.empty());
    const auto foreign = decoded<Proof>(foreignProof);
    Exchange exchange(World::keyed());
    exchange.run([&](Direction, const Bytes& sent) -> std::vector<Bytes> {
        if (inspectFront(sent).type != MessageType::Proof) return {sent};
        return {encoded(Proof{.proof = decoded<Proof>(sent).proof,
                              .offer = foreign.offer,
                              .offerMac = foreign.offerMac})};
    });
    expectFailed(exchange.listener, RefusalCode::NotAuthentic, false);
    expectFailed(exchange.connector, RefusalCode::NotAuthentic, true);
}

TEST(HandshakeAttack, EveryUseOfTheKeyGivesAnotherValue) {
    HandshakeKeys keys(&crypto(), &keyOf('k'));
    const Bytes data = bytesOf("the same bytes");
    keys.startSession(data);
    const FrameKeys fromConnector = keys.frameKeys(Role::Connector, nonceOf(1), nonceOf(2), 3);
    const std::vector<FrameKeys> frames = {
        keys.frameKeys(Role::Listener, nonceOf(1), nonceOf(2), 3),
        keys.frameKeys(Role::Connector, nonceOf(9), nonceOf(2), 3),
        keys.frameKeys(Role::Connector, nonceOf(1), nonceOf(9), 3),
        keys.frameKeys(Role::Connector, nonceOf(1), nonceOf(2), 9)};
    for (const FrameKeys& other : frames) {
        EXPECT_NE(other.mac, fromConnector.mac);
        EXPECT_NE(other.salt, fromConnector.salt);
    }
    EXPECT_NE(keys.proof(Role::Connector, data), keys.proof(Role::Listener, data));
    EXPECT_NE(keys.offerMac(Role::Connector, data), keys.offerMac(Role::Listener, data));
    const Hmac some = keys.offerMac(Role::Connector, data);
    EXPECT_NE(keys.readyMac(Role::Connector, some, {}), keys.readyMac(Role::Listener, some, {}));
    EXPECT_NE(keys.readyMac(Role::Connector, some, {}), keys.readyMac(Role::Connector, {}, some));
}

TEST(HandshakeAttack, AStrangerIsToldACodeAndNothingElse) {
    struct Case {
        RefusalCode code;
        std::function<void(World&)> prepare;
    };
    const std::vector<Case> cases = {
        {RefusalCode::KeyRequired, [](World& w) { w.connector.node = World().connector.node; }},
        {RefusalCode::NotSameHost,
         [](World& w) {
             w.connector.node.transports = bitOf(TransportKind::Shm);
             w.connector.node.host = hostOf(9);
         }},
        {RefusalCode::NoCommonTransport,
         [](World& w) {
             w.connector.node.transports = bitOf(TransportKind::Verbs);
             w.listener.node.transports = bitOf(TransportKind::Tcp);
         }},
    };
    for (const Case& one : cases) {
        World world = World::keyed();
        one.prepare(world);
        Exchange exchange(world);
        exchange.listener.receive(takeOutput(exchange.connector));
        expectFailed(exchange.listener, one.code, false);
        expectBareRefusal(exchange.listener, one.code);
    }
    // Whatever the driver would like to say.
    Exchange exchange(World::keyed());
    exchange.listener.fail(RefusalCode::TooManyConnections, "12 of 12, of which 3 from 10.0.0.7");
    expectBareRefusal(exchange.listener, RefusalCode::TooManyConnections);
    EXPECT_NE(exchange.listener.failureText().find("12 of 12"), std::string::npos);
    // An epoch that has ended and a service that is not there are spoken of behind the proof only.
    World world = World::keyed();
    world.listener.epochFloor = 100;
    world.listener.admit = [](const PeerRequest&) -> Admission {
        ADD_FAILURE() << "nobody has proved anything";
        return {};
    };
    Exchange stale(world);
    stale.listener.receive(takeOutput(stale.connector));
    EXPECT_EQ(inspectFront(stale.listener.output()).type, MessageType::Challenge);
}

TEST(HandshakeAttack, SizesThatMakeNoRingAreRefused) {
    const auto helloWith = [](uint32_t ringBytes, uint32_t payloadMax) {
        return encoded(Hello{.transports = 1,
                             .ringBytes = ringBytes,
                             .payloadMax = payloadMax,
                             .nodeName = "n",
                             .service = ""});
    };
    for (const auto& [ring, payload] :
         std::vector<std::pair<uint32_t, uint32_t>>{{0, 0},
                                                    {4096, 0},
                                                    {4097, 16},
                                                    {2048, 16},
                                                    {1u << 31, 16},
                                                    {4096, 1025},
                                                    {UINT32_MAX, UINT32_MAX}}) {
        Exchange exchange{World()};
        exchange.listener.receive(helloWith(ring, payload));
        expectFailed(exchange.listener, RefusalCode::RingSize, false);
        expectBareRefusal(exchange.listener, RefusalCode::RingSize);
    }
    Exchange exchange{World()};
    exchange.listener.receive(helloWith(4096, 1024));
    EXPECT_EQ(exchange.listener.state(), HandshakeState::AwaitPeer);
}

// A listener that holds the key and yet breaks the rules.
TEST(HandshakeAttack, AChallengeThatKeepsNotToHelloIsRefused) {
    const auto answerWith = [](const std::function<void(Challenge&)>& change) {
        World world;
        world.connector.node.transports = bitOf(TransportKind::Tcp);
        Exchange exchange(world);
        exchange.listener.receive(takeOutput(exchange.connector));
        const Bytes honest = takeOutput(exchange.listener);
        auto challenge = decoded<Challenge>(honest);
        change(challenge);
        exchange.connector.receive(encoded(challenge));
        return exchange.connector.state();
    };
    EXPECT_EQ(answerWith([](Challenge&) {}), HandshakeState::NeedOffer);
    using Change = std::function<void(Challenge&)>;
    const std::vector<Change> changes = {
        [](Challenge& c) { c.transport = TransportKind::Verbs; },
        [](Challenge& c) { c.epoch = 6; },
        [](Challenge& c) { c.ringBytes = 1u << 21; },
        [](Challenge& c) { c.ringBytes = 4096; },
        [](Challenge& c) { c.payloadMax = (1u << 16) + 1; },
        [](Challenge& c) { c.payloadMax = 0; },
        [](Challenge& c) { c.proof[0] = std::byte{1}; },
    };
    for (const Change& change : changes) {
        EXPECT_EQ(answerWith(change), HandshakeState::Failed) << &change - changes.data();
    }
}

TEST(HandshakeAttack, GarbageIsRefusedAtItsFirstWrongByte) {
    const std::vector<std::string> garbage = {"GET / HTTP/1.1\r\n\r\n",
                                              std::string("\x16\x03\x01\x02\x00\x01", 6),
                                              "V",
                                              "VX",
                                              "VXBT",
                                              "\n",
                                              std::string(1, '\0')};
    for (const std::string& text : garbage) {
        for (const bool toListener : {false, true}) {
            Exchange exchange(World::keyed());
            Handshake& side = toListener ? static_cast<Handshake&>(exchange.listener)
                                         : static_cast<Handshake&>(exchange.connector);
            takeOutput(side);
            side.receive(bytesOf(text));
            if (text == "V" || text == "VX") {
                EXPECT_EQ(side.state(), HandshakeState::AwaitPeer);
                continue;
            }
            expectFailed(side, RefusalCode::Malformed, false);
            expectBareRefusal(side, RefusalCode::Malformed);
        }
    }
}

TEST(HandshakeAttack, ALengthBeyondItsKindIsRefusedAtTheHeader) {
    for (unsigned type = 0; type < 256; ++type) {
        for (const unsigned body : {0u, 1u, 325u, 1017u, 65535u}) {
            Exchange exchange(World::keyed());
            const MessageHeader header{.type = static_cast<uint8_t>(type),
                                       .bodyBytes = static_cast<uint16_t>(body)};
            Bytes bytes(sizeof(header));
            std::memcpy(bytes.data(), &header, sizeof(header));
            exchange.listener.receive(bytes);
            expectFailed(exchange.listener, RefusalCode::Malformed, false);
        }
    }
}

TEST(HandshakeAttack, WhatIsSentForEverIsNotHeld) {
    Exchange exchange(World::keyed());
    const Bytes noise(1 << 20, std::byte{'V'});
    EXPECT_EQ(exchange.listener.receive(noise), noise.size());
    EXPECT_EQ(exchange.listener.receive(noise), noise.size());
    expectBareRefusal(exchange.listener, RefusalCode::Malformed);
}

// Every message at every point where another one is due.
TEST(HandshakeAttack, MessagesOutOfTurnAreRefused) {
    Exchange honest(World::keyed());
    std::vector<std::pair<Direction, Bytes>> script;
    honest.run([&](Direction direction, const Bytes& sent) -> std::vector<Bytes> {
        Bytes rest = sent;
        while (!rest.empty()) {
            const auto bytes = static_cast<ptrdiff_t>(inspectFront(rest).bytes);
            script.emplace_back(direction, Bytes(rest.begin(), rest.begin() + bytes));
            rest.erase(rest.begin(), rest.begin() + bytes);
        }
        return {sent};
    });
    ASSERT_EQ(script.size(), 6u);
    for (size_t point = 0; point < script.size(); ++point) {
        for (size_t wrong = 0; wrong < script.size(); ++wrong) {
            const bool isItsTurn = wrong == point;
            // READY of the one and of the other side may cross, so its turn is a span.
            if (isItsTurn || inspectFront(script[wrong].second).type == MessageType::Ready) {
                continue;
            }
            SCOPED_TRACE(testing::Message() << wrong << " instead of " << point);
            Exchange exchange(World::keyed());
            takeOutput(exchange.connector);
            const auto deliver = [&](Direction direction, const Bytes& bytes) {
                Handshake& to = direction == Direction::ToListener
                                    ? static_cast<Handshake&>(exchange.listener)
                                    : static_cast<Handshake&>(exchange.connector);
                to.receive(bytes);
                exchange.serve(to);
                takeOutput(to);
            };
            for (size_t i = 0; i < point; ++i) deliver(script[i].first, script[i].second);
            const Direction direction = script[point].first;
            deliver(direction, script[wrong].second);
            expectFailed(receiverOf(exchange, direction), RefusalCode::Malformed, false);
        }
    }
}

TEST(HandshakeAttack, ReadyBeforeTheOffersIsRefused) {
    for (const bool toListener : {false, true}) {
        Exchange exchange{World()};
        Handshake& side = toListener ? static_cast<Handshake&>(exchange.listener)
                                     : static_cast<Handshake&>(exchange.connector);
        side.receive(encoded(Ready{}));
        expectFailed(side, RefusalCode::Malformed, false);
    }
}

TEST(HandshakeAttack, AnotherVersionIsAnsweredByItsName) {
    Exchange exchange(World::keyed());
    Bytes hello = takeOutput(exchange.connector);
    hello[offsetof(MessageHeader, version)] = std::byte{2};
    exchange.listener.receive(hello);
    expectFailed(exchange.listener, RefusalCode::Version, false);
    Bytes refusal = takeOutput(exchange.listener);
    refusal[offsetof(MessageHeader, version)] = std::byte{2};
    exchange.connector.receive(refusal);
    expectFailed(exchange.connector, RefusalCode::Version, true);
}

TEST(HandshakeAttack, ARefusalsTextIsNoneOfATerminalsBusiness) {
    Bytes refusal = encoded(Refuse{.code = static_cast<RefusalCode>(999), .text = "a\x1b[2Jb"});
    Exchange known(World::keyed());
    known.connector.receive(refusal);
    expectFailed(known.connector, static_cast<RefusalCode>(999), true);
    EXPECT_EQ(known.connector.failureText(),
              "the peer refused: UNKNOWN_REFUSAL 999: a?[2Jb; a code of a newer version: see the "
              "other side's log");
    refusal[sizeof(RefuseFixed) + 1] = std::byte{0x1b};
    Exchange raw(World::keyed());
    raw.connector.receive(refusal);
    expectFailed(raw.connector, RefusalCode::Malformed, false);
}

TEST(HandshakeAttack, RandomBytesInRandomPiecesAreNeverTaken) {
    Exchange honest(World::keyed());
    honest.run();
    for (uint64_t seed = 0; seed < 3000; ++seed) {
        std::mt19937_64 random(seed);
        Exchange exchange(World::keyed());
        const bool toListener = random() % 2 == 0;
        Handshake& side = toListener ? static_cast<Handshake&>(exchange.listener)
                                     : static_cast<Handshake&>(exchange.connector);
        takeOutput(side);
        Bytes bytes = toListener ? honest.toListener : honest.toConnector;
        const size_t start = random() % bytes.size();
        for (size_t i = start; i < bytes.size(); ++i) {
            if (random() % 4 == 0) bytes[i] = static_cast<std::byte>(random());
        }
        bytes[start] ^= std::byte{1};
        for (size_t at = 0; at < bytes.size();) {
            const size_t piece = std::min<size_t>(1 + random() % 64, bytes.size() - at);
            side.receive(std::span(bytes).subspan(at, piece));
            exchange.serve(side);
            at += piece;
        }
        ASSERT_NE(side.state(), HandshakeState::Done) << seed;
    }
}

}  // namespace
}  // namespace verbex::transport
