// Sessions: who gets in, what reaches the handler, when a connection ends.
#include <gtest/gtest.h>

#include <random>

#include "session_fixture.h"

namespace verbex::session::session_server_test {
namespace {

using namespace session_fixture;

TEST(SessionServer, LogsInAndSaysFromWhichSequenceItGoesOn) {
    World world;
    for (int i = 1; i <= 5; ++i) world.handler.sessions["A"].append("m" + std::to_string(i));
    const auto peer = world.loggedIn("A", 3);
    world.rounds();
    const auto frames = peer->frames();
    ASSERT_EQ(frames.size(), 4u);
    EXPECT_EQ(frames[0], "A0000000042                   3");
    EXPECT_EQ(frames[1], "Sm3");
    EXPECT_EQ(frames[3], "Sm5");
    world.handler.sessions["A"].append("m6");
    world.server->touch(world.handler.last);
    world.rounds();
    EXPECT_EQ(peer->frames(), std::vector<std::string>{"Sm6"});
}

TEST(SessionServer, AWrongPasswordIsToldAndEnds) {
    World world;
    Peer peer(world.port());
    peer.send(loginOf("A", 1, "wrong"));
    ASSERT_TRUE(world.until([&] { return peer.over(); }));
    EXPECT_EQ(peer.frames(), std::vector<std::string>{"JA"});
    EXPECT_EQ(world.server->counters().loginsRejected, 1u);
    EXPECT_TRUE(world.handler.seen.empty());
}

TEST(SessionServer, NothingButALoginComesFirstAndNoSecondOne) {
    World world;
    for (const Packet type : {Packet::Debug, Packet::Unsequenced, Packet::ClientHeartbeat,
                              Packet::LogoutRequest}) {
        Peer peer(world.port());
        Bytes bytes = frameOf(type, "x");
        const Bytes login = loginOf("A");
        bytes.insert(bytes.end(), login.begin(), login.end());
        peer.send(bytes);
        ASSERT_TRUE(world.until([&] { return peer.over(); }));
    }
    EXPECT_TRUE(world.handler.seen.empty());
    EXPECT_EQ(world.closedBy(CloseReason::Malformed), 4u);

    const auto peer = world.loggedIn("A");
    Bytes bytes = loginOf("B");
    const Bytes message = frameOf(Packet::Unsequenced, "late");
    bytes.insert(bytes.end(), message.begin(), message.end());
    peer->send(bytes);
    ASSERT_TRUE(world.until([&] { return peer->over(); }));
    EXPECT_EQ(world.handler.messages(), 0u);
    EXPECT_EQ(world.handler.of("A").closed, 1);
    EXPECT_EQ(world.handler.of("A").reason, CloseReason::Malformed);
}

TEST(SessionServer, AnySplitOfAStreamGivesTheSameMessages) {
    World world;
    std::mt19937_64 random(1);
    const auto peer = world.loggedIn("A");
    std::vector<std::string> sent;
    Bytes stream;
    for (int i = 0; i < 3'000; ++i) {
        sent.push_back(std::to_string(i) + std::string(random() % 500, 'x'));
        const Bytes frame = frameOf(Packet::Unsequenced, sent.back());
        stream.insert(stream.end(), frame.begin(), frame.end());
    }
    for (size_t at = 0; at < stream.size();) {
        const size_t most = random() % 8 == 0 ? 60'000 : 1 + random() % 900;
        at += peer->send(std::span(stream).subspan(at, std::min(most, stream.size() - at)));
        if (random() % 3 != 0) world.round();
    }
    ASSERT_TRUE(world.until([&] { return world.handler.messages() == sent.size(); }));
    EXPECT_EQ(world.handler.of("A").messages, sent);
}

TEST(SessionServer, AHandlerWithoutRoomLosesAndDoublesNothing) {
    World world;
    std::mt19937_64 random(2);
    constexpr size_t kPeers = 20;
    std::vector<std::unique_ptr<Peer>> peers;
    std::vector<Bytes> streams(kPeers);
    std::vector<size_t> at(kPeers);
    std::vector<std::vector<std::string>> sent(kPeers);
    for (size_t p = 0; p < kPeers; ++p) {
        peers.push_back(world.loggedIn("U" + std::to_string(p)));
        for (int i = 0; i < 1'000; ++i) {
            sent[p].push_back(std::to_string(i) + std::string(random() % 200, 'y'));
            const Bytes frame = frameOf(Packet::Unsequenced, sent[p].back());
            streams[p].insert(streams[p].end(), frame.begin(), frame.end());
        }
    }
    world.handler.room = 0;
    bool blocked = false;
    for (int i = 0; i < 100'000 && world.handler.messages() < kPeers * 1'000; ++i) {
        for (size_t p = 0; p < kPeers; ++p) {
            if (at[p] == streams[p].size()) continue;
            const size_t some = std::min<size_t>(streams[p].size() - at[p], 50'000);
            const size_t taken = peers[p]->send(std::span(streams[p]).subspan(at[p], some));
            blocked = blocked || taken < some;
            at[p] += taken;
        }
        world.round();
        world.handler.room = random() % 3 == 0 ? random() % 100 : 0;
    }
    world.handler.room = UINT64_MAX;
    ASSERT_TRUE(world.until([&] { return world.handler.messages() == kPeers * 1'000; }));
    for (size_t p = 0; p < kPeers; ++p) {
        ASSERT_EQ(world.handler.of("U" + std::to_string(p)).messages, sent[p]);
    }
    EXPECT_GT(world.server->counters().paused, 0u);
    EXPECT_EQ(world.server->counters().messagesIn, kPeers * 1'000);
}

TEST(SessionServer, WithoutRoomNoMoreIsReadThanIsHeld) {
    World world;
    const auto peer = world.loggedIn("A");
    world.handler.room = 0;
    const uint64_t before = world.server->counters().bytesIn;
    const Bytes frame = frameOf(Packet::Unsequenced, std::string(500, 'z'));
    for (int i = 0; i < 2'000; ++i) {
        peer->send(frame);
        world.round();
    }
    EXPECT_LE(world.server->counters().bytesIn - before, 16u * 1024);
}

TEST(SessionServer, TimesOutWhoIsSilentAndBeatsWhereNothingElseIsSent) {
    World world;
    Peer mute(world.port());
    ASSERT_TRUE(world.until([&] { return world.server->counters().accepted == 1; }));
    world.pass(4'900);
    EXPECT_FALSE(mute.over());
    world.pass(200);
    EXPECT_EQ(world.closedBy(CloseReason::LoginTimeout), 1u);

    const auto peer = world.loggedIn("A");
    world.rounds();
    peer->frames();
    world.pass(900);
    world.handler.sessions["A"].append("m");
    world.server->touch(world.handler.last);
    world.rounds();
    world.pass(900);
    world.rounds();
    EXPECT_EQ(peer->frames(), std::vector<std::string>{"Sm"});
    world.pass(200);
    world.rounds();
    EXPECT_EQ(peer->frames(), std::vector<std::string>{"H"});
    world.pass(10'000);
    peer->send(frameOf(Packet::ClientHeartbeat));
    ASSERT_TRUE(world.until([&, bytes = world.server->counters().bytesIn] {
        return world.server->counters().bytesIn != bytes;
    }));
    world.pass(14'900);
    EXPECT_EQ(world.handler.of("A").closed, 0);
    world.pass(200);
    EXPECT_EQ(world.handler.of("A").reason, CloseReason::Silent);
    EXPECT_EQ(world.handler.of("A").closed, 1);
}

TEST(SessionServer, OneTooManyIsClosedAtOnceAndAPlaceIsUsedAgainUnderAnotherNumber) {
    World world({.address = {}, .connectionsMax = 2});
    const auto first = world.loggedIn("A");
    const ConnectionId of = world.handler.last;
    const auto second = world.loggedIn("B");
    Peer third(world.port());
    ASSERT_TRUE(world.until([&] { return third.over(); }));
    EXPECT_EQ(world.server->counters().refused, 1u);
    first->reset();
    ASSERT_TRUE(world.until([&] { return world.handler.of("A").closed == 1; }));
    EXPECT_EQ(world.handler.of("A").reason, CloseReason::PeerClosed);
    const auto fourth = world.loggedIn("C");
    EXPECT_EQ(world.handler.last.slot, of.slot);
    EXPECT_NE(world.handler.last.generation, of.generation);
    world.server->touch(of);
    world.server->close(of, CloseReason::Handler);
    world.rounds();
    EXPECT_EQ(world.handler.of("C").closed, 0);
}

TEST(SessionServer, AHandlerMayCloseInsideOfItsCalls) {
    struct Closing final : Handler {
        SessionServer* server = nullptr;
        std::vector<ConnectionId> others;
        Taken received(ConnectionId id, std::span<const std::byte> message) override {
            const Taken taken = Handler::received(id, message);
            if (message.size() == 3) server->close(id, CloseReason::Replaced);
            return taken;
        }
        void closed(ConnectionId id, CloseReason reason) override {
            Handler::closed(id, reason);
            // Everybody else falls with the first one.
            for (const ConnectionId other : std::exchange(others, {})) {
                server->close(other, CloseReason::Handler);
            }
        }
    } handler;
    World world({}, &handler);
    handler.server = world.server.get();
    const auto peer = world.loggedIn("A");
    Bytes bytes;
    for (const char* text : {"one.", "end", "two."}) {
        const Bytes frame = frameOf(Packet::Unsequenced, text);
        bytes.insert(bytes.end(), frame.begin(), frame.end());
    }
    peer->send(bytes);
    ASSERT_TRUE(world.until([&] { return peer->over(); }));
    EXPECT_EQ(handler.of("A").messages, (std::vector<std::string>{"one.", "end"}));
    EXPECT_EQ(handler.of("A").closed, 1);

    std::vector<std::unique_ptr<Peer>> peers;
    for (int i = 0; i < 30; ++i) {
        peers.push_back(world.loggedIn("B" + std::to_string(i)));
        handler.others.push_back(handler.last);
    }
    world.pass(16'000);
    for (int i = 0; i < 30; ++i) EXPECT_EQ(handler.of("B" + std::to_string(i)).closed, 1);
    EXPECT_EQ(world.server->counters().connections, 0u);
}

TEST(SessionServer, EndOfSessionIsTheLastFrame) {
    World world;
    const auto peer = world.loggedIn("A");
    world.handler.sessions["A"].append("last");
    world.server->endSession();
    ASSERT_TRUE(world.until([&] { return peer->over(); }));
    const auto frames = peer->frames();
    ASSERT_EQ(frames.size(), 3u);
    EXPECT_EQ(frames[1], "Slast");
    EXPECT_EQ(frames[2], "Z");
}

}  // namespace
}  // namespace verbex::session::session_server_test
