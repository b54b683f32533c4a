// Set-ups between two honest sides: what they agree on, and that bytes may come as they like.
#include "transport/setup/handshake.h"

#include <bit>
#include <gtest/gtest.h>
#include <malloc.h>
#include <random>

#include "transport/handshake_fixture.h"

namespace verbex::transport {
namespace {

void expectMirrored(const Session& one, const Session& other) {
    EXPECT_EQ(one.epoch, other.epoch);
    EXPECT_EQ(one.transport, other.transport);
    EXPECT_EQ(one.whyNot, other.whyNot);
    EXPECT_EQ(one.service, other.service);
    EXPECT_EQ(one.ringBytes, other.ringBytes);
    EXPECT_EQ(one.payloadMax, other.payloadMax);
    EXPECT_EQ(one.authenticated, other.authenticated);
    EXPECT_EQ(one.mac, other.mac);
    EXPECT_EQ(one.sendKey, other.receiveKey);
    EXPECT_EQ(one.receiveKey, other.sendKey);
    EXPECT_EQ(one.sendSalt, other.receiveSalt);
    EXPECT_EQ(one.receiveSalt, other.sendSalt);
    EXPECT_NE(one.sendSalt, one.receiveSalt);
    EXPECT_EQ(one.mac, one.sendKey != MacKey{});
    EXPECT_EQ(one.mac, one.sendKey != one.receiveKey);
}

TEST(Handshake, AgreesOnWhatBothCan) {
    Exchange exchange(World::keyed());
    exchange.run();
    ASSERT_TRUE(exchange.bothDone());
    const Session& session = exchange.connector.session();
    expectMirrored(session, exchange.listener.session());
    EXPECT_EQ(session.epoch, 7u);
    EXPECT_EQ(session.transport, TransportKind::Shm);
    EXPECT_EQ(session.peerName, "listener-1");
    EXPECT_EQ(exchange.listener.session().peerName, "connector-1");
    EXPECT_EQ(session.service, "orders");
    EXPECT_EQ(session.ringBytes, 1u << 18);
    EXPECT_EQ(session.payloadMax, 1u << 12);
    EXPECT_TRUE(session.authenticated && session.mac);
    EXPECT_EQ(exchange.offerSeenByConnector, bytesOf("the listener's ring is at 815"));
    EXPECT_EQ(exchange.offerSeenByListener, bytesOf("the connector's ring is at 4711"));
}

// The rules once more, in other words than the code's.
struct Expected {
    int transport;  // 0: refused
    RefusalCode refusal;
};

Expected expectedOf(unsigned connector, unsigned listener, bool oneHost) {
    const unsigned both = connector & listener;
    if ((both & 2) != 0 && oneHost) return {2, RefusalCode::None};
    if ((both & 4) != 0) return {4, RefusalCode::None};
    if ((both & 1) != 0) return {1, RefusalCode::None};
    return {0, (both & 2) != 0 ? RefusalCode::NotSameHost : RefusalCode::NoCommonTransport};
}

TEST(Handshake, EveryCombinationGivesWhatTheRulesSay) {
    for (unsigned bits = 0; bits < 7 * 7 * 16; ++bits) {
        const unsigned connectorCan = 1 + bits % 7;
        const unsigned listenerCan = 1 + bits / 7 % 7;
        const unsigned rest = bits / 49;
        const bool oneHost = (rest & 1) != 0;
        const bool keyed = (rest & 2) != 0;
        SCOPED_TRACE(testing::Message() << connectorCan << " " << listenerCan << " " << rest);
        World world = keyed ? World::keyed() : World();
        world.connector.node.macWanted = keyed && (rest & 4) != 0;
        world.listener.node.macWanted = keyed && (rest & 8) != 0;
        world.connector.node.transports = static_cast<uint8_t>(connectorCan);
        world.listener.node.transports = static_cast<uint8_t>(listenerCan);
        if (!oneHost) world.listener.node.host = hostOf(0x41);
        Exchange exchange(world);
        exchange.run();
        const Expected expected = expectedOf(connectorCan, listenerCan, oneHost);
        if (expected.transport == 0) {
            expectFailed(exchange.listener, expected.refusal, false);
            expectFailed(exchange.connector, expected.refusal, true);
            continue;
        }
        ASSERT_TRUE(exchange.bothDone());
        const Session& session = exchange.connector.session();
        expectMirrored(session, exchange.listener.session());
        EXPECT_EQ(bitOf(session.transport), expected.transport);
        EXPECT_EQ(session.authenticated, keyed);
        EXPECT_EQ(session.mac, keyed && (rest & 12) != 0);
        EXPECT_TRUE(exchange.behind.empty());
    }
}

TEST(Handshake, SaysWhyNoBetterTransport) {
    World world;
    world.listener.node.transports = bitOf(TransportKind::Tcp) | bitOf(TransportKind::Shm);
    world.listener.node.host = hostOf(0x41);
    Exchange remote(world);
    remote.run();
    EXPECT_EQ(remote.connector.session().transport, TransportKind::Tcp);
    EXPECT_EQ(
        remote.connector.session().whyNot,
        (TransportReasons{.shm = WhyNot::NotSameHost, .verbs = WhyNot::NotOfferedByListener}));
    world = World();
    world.connector.node.transports = bitOf(TransportKind::Verbs);
    Exchange wish(world);
    wish.run();
    EXPECT_EQ(wish.connector.session().transport, TransportKind::Verbs);
    EXPECT_EQ(wish.connector.session().whyNot,
              (TransportReasons{.shm = WhyNot::NotOfferedByConnector}));
    world = World();
    world.listener.preference = {TransportKind::Tcp, TransportKind::Verbs, TransportKind::Shm};
    Exchange other(world);
    other.run();
    EXPECT_EQ(other.connector.session().transport, TransportKind::Tcp);
}

TEST(Handshake, AnUnknownHostIsNoOnesNeighbour) {
    World world;
    world.connector.node.host = world.listener.node.host = HostId{};
    Exchange exchange(world);
    exchange.run();
    EXPECT_EQ(exchange.connector.session().transport, TransportKind::Verbs);
}

TEST(Handshake, SessionsShareNoKeys) {
    World world = World::keyed();
    Exchange first(world);
    first.run();
    world.connectorNonce = nonceOf(0xc2);
    Exchange second(world);
    second.run();
    world = World::keyed();
    world.listenerNonce = nonceOf(0x16);
    Exchange third(world);
    third.run();
    const Session& a = first.connector.session();
    for (const Exchange* other : {&second, &third}) {
        const Session& b = other->connector.session();
        EXPECT_NE(a.sendKey, b.sendKey);
        EXPECT_NE(a.receiveKey, b.receiveKey);
        EXPECT_NE(a.sendSalt, b.sendSalt);
    }
}

// Cuts the bytes of both directions at every place, and into pieces of every small size.
class Pieces : public testing::TestWithParam<bool> {
protected:
    static World world() { return GetParam() ? World::keyed() : World(); }

    static std::vector<Bytes> cut(const Bytes& sent, size_t size) {
        std::vector<Bytes> pieces;
        for (size_t at = 0; at < sent.size(); at += size) {
            const size_t end = std::min(at + size, sent.size());
            pieces.emplace_back(sent.begin() + static_cast<ptrdiff_t>(at),
                                sent.begin() + static_cast<ptrdiff_t>(end));
        }
        return pieces;
    }

    static void expectSame(const Exchange& whole, const Exchange& cut) {
        ASSERT_TRUE(cut.bothDone());
        EXPECT_EQ(cut.toConnector, whole.toConnector);
        EXPECT_EQ(cut.toListener, whole.toListener);
        EXPECT_EQ(cut.connector.session().sendKey, whole.connector.session().sendKey);
        EXPECT_EQ(cut.listener.session().sendSalt, whole.listener.session().sendSalt);
        expectMirrored(cut.connector.session(), cut.listener.session());
    }
};

TEST_P(Pieces, OfEverySizeGiveTheSame) {
    Exchange whole(world());
    whole.run();
    ASSERT_TRUE(whole.bothDone());
    for (size_t size = 1; size <= kLongestMessageBytes; ++size) {
        SCOPED_TRACE(size);
        Exchange exchange(world());
        exchange.run([&](Direction, const Bytes& sent) { return cut(sent, size); });
        expectSame(whole, exchange);
    }
}

TEST_P(Pieces, CutAtEveryPlaceGiveTheSame) {
    Exchange whole(world());
    whole.run();
    for (const Direction cutOne : {Direction::ToListener, Direction::ToConnector}) {
        const size_t bytes =
            (cutOne == Direction::ToListener ? whole.toListener : whole.toConnector).size();
        for (size_t place = 0; place <= bytes; ++place) {
            SCOPED_TRACE(place);
            size_t before = 0;
            Exchange exchange(world());
            exchange.run([&](Direction direction, const Bytes& sent) -> std::vector<Bytes> {
                if (direction != cutOne) return {sent};
                const size_t start = before;
                before += sent.size();
                if (place <= start || place >= before) return {sent};
                const auto middle = sent.begin() + static_cast<ptrdiff_t>(place - start);
                return {Bytes(sent.begin(), middle), Bytes(middle, sent.end())};
            });
            expectSame(whole, exchange);
        }
    }
}

TEST_P(Pieces, AtRandomWithDriversThatTakeTheirTime) {
    Exchange whole(world());
    whole.run();
    for (uint64_t seed = 0; seed < 500; ++seed) {
        SCOPED_TRACE(seed);
        std::mt19937_64 random(seed);
        Exchange exchange(world());
        Bytes toListener;
        Bytes toConnector;
        const auto move = [&](Handshake& from, Bytes& wire) {
            const size_t bytes = from.output().empty() ? 0 : random() % from.output().size() + 1;
            wire.insert(wire.end(), from.output().begin(),
                        from.output().begin() + static_cast<ptrdiff_t>(bytes));
            from.consumeOutput(bytes);
        };
        const auto deliver = [&](Bytes& wire, Handshake& to) {
            if (wire.empty()) return;
            const size_t bytes = random() % wire.size() + 1;
            const size_t taken = to.receive(std::span(wire).first(bytes));
            ASSERT_EQ(taken, bytes);
            wire.erase(wire.begin(), wire.begin() + static_cast<ptrdiff_t>(taken));
        };
        for (int i = 0; i < 20000 && !exchange.bothDone(); ++i) {
            switch (random() % 6) {
                case 0: move(exchange.connector, toListener); break;
                case 1: move(exchange.listener, toConnector); break;
                case 2: deliver(toListener, exchange.listener); break;
                case 3: deliver(toConnector, exchange.connector); break;
                case 4: exchange.serve(exchange.connector); break;
                case 5: exchange.serve(exchange.listener); break;
            }
        }
        ASSERT_TRUE(exchange.bothDone());
        expectMirrored(exchange.connector.session(), exchange.listener.session());
        EXPECT_EQ(exchange.connector.session().sendKey, whole.connector.session().sendKey);
    }
}

INSTANTIATE_TEST_SUITE_P(Handshake, Pieces, testing::Bool(),
                         [](const auto& one) { return one.param ? "WithAKey" : "WithoutAKey"; });

TEST(Handshake, LeavesWhatComesBehindItToTheCaller) {
    const Bytes frames = bytesOf("the first frames of the session");
    Exchange exchange(World::keyed());
    exchange.run([&](Direction, const Bytes& sent) -> std::vector<Bytes> {
        // The connector has the listener's READY, and writes frames right behind its own.
        if (exchange.connector.state() != HandshakeState::Done) return {sent};
        Bytes more = sent;
        more.insert(more.end(), frames.begin(), frames.end());
        return {more};
    });
    ASSERT_TRUE(exchange.bothDone());
    EXPECT_EQ(exchange.behind, frames);
    EXPECT_EQ(exchange.connector.receive(frames), 0u);
}

TEST(Handshake, EpochsOfTheFloorAndLaterAreTaken) {
    for (uint32_t epoch = 0; epoch < 6; ++epoch) {
        SCOPED_TRACE(epoch);
        World world = World::keyed();
        world.connector.epoch = epoch;
        world.listener.epoch = 4;
        world.listener.epochFloor = 3;
        Exchange exchange(world);
        exchange.run();
        if (epoch >= 3) {
            ASSERT_TRUE(exchange.bothDone());
            EXPECT_EQ(exchange.connector.session().epoch, std::max(epoch, 4u));
            continue;
        }
        expectFailed(exchange.listener, RefusalCode::StaleEpoch, false);
        expectFailed(exchange.connector, RefusalCode::StaleEpoch, true);
        EXPECT_NE(exchange.connector.failureText().find("the earliest that is taken is 3"),
                  std::string::npos)
            << exchange.connector.failureText();
    }
}

TEST(Handshake, TheListenerSeesWhoAsksBeforeItAdmits) {
    World world = World::keyed();
    std::vector<std::string> asked;
    world.listener.admit = [&](const PeerRequest& request) -> Admission {
        asked.push_back(std::string(request.nodeName) + " " + std::string(request.service));
        EXPECT_EQ(request.epoch, 7u);
        EXPECT_EQ(request.transport, TransportKind::Shm);
        EXPECT_TRUE(request.authenticated);
        if (request.service == "orders") return {};
        return {RefusalCode::UnknownService, "there are: orders"};
    };
    Exchange known(world);
    known.run();
    EXPECT_TRUE(known.bothDone());
    world.connector.service = "trades";
    Exchange unknown(world);
    unknown.run();
    expectFailed(unknown.listener, RefusalCode::UnknownService, false);
    expectFailed(unknown.connector, RefusalCode::UnknownService, true);
    EXPECT_EQ(unknown.connector.failureText(),
              "the peer refused: UNKNOWN_SERVICE: there are: orders; the listener offers no "
              "service of this name: check the name");
    EXPECT_EQ(asked, (std::vector<std::string>{"connector-1 orders", "connector-1 trades"}));
}

TEST(Handshake, EitherSideMayGiveUpAtAnyPoint) {
    for (const bool byConnector : {false, true}) {
        for (int after = 0; after < 6; ++after) {
            SCOPED_TRACE(testing::Message() << byConnector << " after " << after);
            Exchange exchange(World::keyed());
            Handshake& who = byConnector ? static_cast<Handshake&>(exchange.connector)
                                         : static_cast<Handshake&>(exchange.listener);
            Handshake& other = byConnector ? static_cast<Handshake&>(exchange.listener)
                                           : static_cast<Handshake&>(exchange.connector);
            int messages = 0;
            exchange.run([&](Direction, const Bytes& sent) -> std::vector<Bytes> {
                if (messages++ == after && who.state() != HandshakeState::Done) {
                    who.fail(RefusalCode::TransportFailed, "no memory to register");
                }
                return {sent};
            });
            if (who.state() == HandshakeState::Done) continue;
            expectFailed(who, RefusalCode::TransportFailed, false);
            EXPECT_NE(who.failureText().find("no memory to register"), std::string::npos);
            if (other.state() == HandshakeState::Failed) {
                EXPECT_EQ(other.refusal(), RefusalCode::TransportFailed);
                EXPECT_TRUE(other.refusedByPeer());
            } else {
                // It was done already: what comes now is for the transport to see.
                EXPECT_EQ(other.state(), HandshakeState::Done);
                EXPECT_FALSE(exchange.behind.empty());
            }
        }
    }
}

TEST(Handshake, AClosedStreamEndsIt) {
    Exchange exchange(World::keyed());
    const Bytes hello = takeOutput(exchange.connector);
    exchange.listener.receive(std::span(hello).first(30));
    exchange.listener.peerClosed();
    expectFailed(exchange.listener, RefusalCode::ConnectionClosed, false);
    EXPECT_TRUE(exchange.listener.output().empty());
}

TEST(Handshake, HoldsNothingForAPeerThatHasProvedNothing) {
    const World world = World::keyed();
    Exchange exchange(world);
    const Bytes hello = takeOutput(exchange.connector);
    const auto greet = [&](ListenerHandshake& listener) { listener.receive(hello); };
    // What OpenSSL and the allocator keep for themselves comes with the first ones.
    for (int i = 0; i < 3; ++i) {
        ListenerHandshake listener(world.listener, nonceOf(1));
        greet(listener);
    }
    std::vector<std::unique_ptr<ListenerHandshake>> listeners;
    for (int i = 0; i < 100; ++i) {
        listeners.push_back(std::make_unique<ListenerHandshake>(world.listener, nonceOf(1)));
    }
    const size_t before = ::mallinfo2().uordblks;
    if (before == 0) GTEST_SKIP() << "the allocator does not count (a sanitizer's)";
    for (const auto& listener : listeners) greet(*listener);
    EXPECT_EQ(::mallinfo2().uordblks, before);
}

TEST(Handshake, OptionsThatCannotWorkAreRefused) {
    const auto connectorSays = [](const std::function<void(ConnectorOptions&)>& change) {
        ConnectorOptions options = World::keyed().connector;
        change(options);
        return check(options).message();
    };
    EXPECT_EQ(connectorSays([](ConnectorOptions&) {}), "");
    EXPECT_NE(connectorSays([](auto& o) { o.node.name = ""; }), "");
    EXPECT_NE(connectorSays([](auto& o) { o.node.name = std::string(65, 'a'); }), "");
    EXPECT_NE(connectorSays([](auto& o) { o.node.name = "caf\xc3\xa9"; }), "");
    EXPECT_NE(connectorSays([](auto& o) { o.service = "a\nb"; }), "");
    EXPECT_NE(connectorSays([](auto& o) { o.node.transports = 0; }), "");
    EXPECT_NE(connectorSays([](auto& o) { o.node.transports = 8; }), "");
    EXPECT_NE(connectorSays([](auto& o) { o.node.ringBytes = 5000; }), "");
    EXPECT_NE(connectorSays([](auto& o) { o.node.payloadMax = 0; }), "");
    EXPECT_NE(connectorSays([](auto& o) { o.node.payloadMax = o.node.ringBytes; }), "");
    EXPECT_NE(connectorSays([](auto& o) { o.node.crypto = nullptr; }), "");
    EXPECT_NE(connectorSays([](auto& o) { o.node.key = nullptr; }), "");  // a MAC is wanted
    ListenerOptions twice = World().listener;
    twice.preference = {TransportKind::Tcp, TransportKind::Tcp, TransportKind::Shm};
    EXPECT_FALSE(check(twice).isOk());
    EXPECT_TRUE(check(World().listener).isOk());
}

TEST(Handshake, NeedsNoLibraryWithoutAKey) {
    World world;
    world.connector.node.crypto = world.listener.node.crypto = nullptr;
    Exchange exchange(world);
    exchange.run();
    EXPECT_TRUE(exchange.bothDone());
    EXPECT_FALSE(exchange.connector.session().authenticated);
}

}  // namespace
}  // namespace verbex::transport
