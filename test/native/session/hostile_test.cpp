// Clients that are slow or hostile: others notice nothing, and what is held for them has a bound.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <random>

#include "session_fixture.h"

namespace verbex::session::hostile_test {
namespace {

using namespace session_fixture;

// Numbers of the sequenced messages; the payloads say them.
void expectNumbers(Peer& peer, uint64_t& next) {
    for (const std::string& frame : peer.frames()) {
        if (frame[0] != 'S') continue;
        ASSERT_EQ(std::stoull(frame.substr(1)), next);
        ++next;
    }
}

std::string numbered(uint64_t number, size_t bytes) {
    std::string text = std::to_string(number) + " ";
    text.resize(std::max(text.size(), bytes), '.');
    return text;
}

TEST(Hostile, RandomAndDamagedFramesReachNobodyAndDisturbNobody) {
    World world;
    std::mt19937_64 random(1);
    const auto sound = world.loggedIn("sound");
    uint64_t sent = 0;
    uint64_t next = 1;
    for (int i = 0; i < 1'500; ++i) {
        // Frames by the hundred, of which the first is already wrong: none of them may count.
        Peer bad(world.port());
        Bytes bytes;
        for (int f = 0; f < 70; ++f) {
            Bytes frame = loginOf("evil", 1, "guess");
            const size_t where = f == 0 ? random() % 3 : random() % frame.size();
            frame[where] ^= static_cast<std::byte>(1 + random() % 255);
            if (random() % 4 == 0) {
                for (std::byte& b : frame) b = static_cast<std::byte>(random());
            }
            bytes.insert(bytes.end(), frame.begin(), frame.end());
        }
        bad.send(bytes);
        if (random() % 2 == 0) bad.reset();
        sound->send(frameOf(Packet::Unsequenced, std::to_string(sent++)));
        world.handler.sessions["sound"].append(numbered(static_cast<uint64_t>(i) + 1, 40));
        world.server->touch(world.handler.last);
        world.round();
    }
    ASSERT_TRUE(world.until([&] { return world.handler.messages() == sent; }));
    for (uint64_t i = 0; i < sent; ++i) {
        ASSERT_EQ(world.handler.of("sound").messages[i], std::to_string(i));
    }
    expectNumbers(*sound, next);
    EXPECT_EQ(next, 1'501u);
    EXPECT_EQ(world.handler.seen.size(), 1u);
    world.pass(6'000);
    EXPECT_EQ(world.server->counters().connections, 1u);
}

TEST(Hostile, ASlowReaderIsCutOffAndGoesOnFromItsSequence) {
    World world({.address = {}, .lagBytesMax = 1 << 20});
    const auto slow = world.loggedIn("slow", 1, 4096);
    const ConnectionId slowId = world.handler.last;
    const auto quick = world.loggedIn("quick");
    const ConnectionId quickId = world.handler.last;
    uint64_t quickNext = 1;
    for (uint64_t number = 1; number <= 6'000; ++number) {
        for (const char* user : {"slow", "quick"}) {
            world.handler.sessions[user].append(numbered(number, 400));
        }
        world.server->touch(slowId);
        world.server->touch(quickId);
        world.round();
        if (number % 50 == 0) {
            expectNumbers(*quick, quickNext);
            world.pass(60);
        }
    }
    ASSERT_TRUE(world.until([&] {
        expectNumbers(*quick, quickNext);
        return quickNext == 6'001;
    }));
    EXPECT_EQ(world.handler.of("slow").reason, CloseReason::SlowReader);
    EXPECT_EQ(world.handler.of("quick").closed, 0);
    uint64_t next = 1;
    expectNumbers(*slow, next);
    ASSERT_LT(next, 6'001u);
    const auto again = world.loggedIn("slow", next);
    ASSERT_TRUE(world.until([&] {
        expectNumbers(*again, next);
        return next == 6'001;
    }));
}

TEST(Hostile, WhoTakesNothingIsCutOffAfterStalledMs) {
    World world({.address = {}, .silenceMs = 1'000'000});
    const auto peer = world.loggedIn("A", 1, 4096);
    for (uint64_t n = 1; n <= 2'000; ++n) world.handler.sessions["A"].append(numbered(n, 400));
    world.server->touch(world.handler.last);
    world.rounds();
    world.pass(29'000);
    EXPECT_EQ(world.handler.of("A").closed, 0);
    world.pass(2'000);
    EXPECT_EQ(world.handler.of("A").reason, CloseReason::SlowReader);
}

TEST(Hostile, HeartbeatsNeverCutAFrame) {
    World world({.address = {}, .silenceMs = 10'000'000, .stalledMs = 10'000'000});
    const auto peer = world.loggedIn("A", 1, 4096);
    uint64_t next = 1;
    for (uint64_t n = 1; n <= 3'000; ++n) {
        world.handler.sessions["A"].append(numbered(n, 400));
        world.server->touch(world.handler.last);
        world.pass(1'100);
        if (n % 200 == 0) expectNumbers(*peer, next);
    }
    ASSERT_TRUE(world.until([&] {
        expectNumbers(*peer, next);
        return next == 3'001;
    }));
}

TEST(Hostile, FiveHundredOfAThousandStopReadingAndTheOthersGetEverything) {
    rlimit files{};
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = std::min<rlim_t>(files.rlim_max, 8'192);
    setrlimit(RLIMIT_NOFILE, &files);
    if (files.rlim_cur < 2'200) GTEST_SKIP() << "needs 2,200 descriptors";
    constexpr uint64_t kLagMax = 64 * 1024;
    constexpr uint64_t kMessages = 300;
    World world({.address = {}, .connectionsMax = 1'000, .lagBytesMax = kLagMax});
    std::vector<std::unique_ptr<Peer>> peers;
    std::vector<ConnectionId> ids;
    std::vector<uint64_t> next(1'000, 1);
    for (size_t i = 0; i < 1'000; ++i) {
        peers.push_back(world.loggedIn("U" + std::to_string(i), 1, i % 2 == 0 ? 4096 : 0));
        ids.push_back(world.handler.last);
    }
    for (uint64_t n = 1; n <= kMessages; ++n) {
        for (size_t i = 0; i < 1'000; ++i) {
            world.handler.sessions["U" + std::to_string(i)].append(numbered(n, 1'000));
            world.server->touch(ids[i]);
        }
        world.round();
        if (n % 20 != 0) continue;
        world.pass(60);
        for (size_t i = 1; i < 1'000; i += 2) expectNumbers(*peers[i], next[i]);
    }
    for (size_t i = 1; i < 1'000; i += 2) {
        ASSERT_TRUE(world.until([&] {
            expectNumbers(*peers[i], next[i]);
            return next[i] == kMessages + 1;
        })) << i;
    }
    EXPECT_EQ(world.closedBy(CloseReason::SlowReader), 500u);
    EXPECT_EQ(world.server->counters().connections, 500u);
    // What the kernel took for the stalled ones: both sides' buffers, far less than they lag.
    const uint64_t others = 500 * kMessages * 1'003;
    EXPECT_LE(world.server->counters().bytesOut - others, 500u * 256 * 1024);
}

}  // namespace
}  // namespace verbex::session::hostile_test
