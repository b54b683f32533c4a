// What every transport must do alike: order, credits, ends, epochs, fences.
#include "conformance_world.h"

#include <random>
#include <thread>

#include "transport/frame.h"

namespace verbex::transport::conformance {
namespace {

constexpr uint32_t kPayloadMax = 1024;
// So long that no slow day reaches it.
constexpr Nanoseconds kLongWait = 60'000'000'000;

class Conformance : public testing::TestWithParam<Kind> {
protected:
    void SetUp() override { SKIP_WITHOUT(GetParam()); }
    [[nodiscard]] bool isVerbs() const { return GetParam().transport == TransportKind::Verbs; }
    // Under emulation everything takes longer.
    [[nodiscard]] uint64_t scaled(uint64_t count) const { return isVerbs() ? count / 10 : count; }
};

std::string kindName(const testing::TestParamInfo<Kind>& info) {
    return nameOf(info.param);
}

INSTANTIATE_TEST_SUITE_P(Memory, Conformance, testing::Values(Kind{TransportKind::Memory}),
                         kindName);
INSTANTIATE_TEST_SUITE_P(Shm, Conformance,
                         testing::Values(Kind{TransportKind::Shm}, Kind{TransportKind::Shm, true},
                                         Kind{TransportKind::Shm, false, false}),
                         kindName);
INSTANTIATE_TEST_SUITE_P(Tcp, Conformance,
                         testing::Values(Kind{TransportKind::Tcp}, Kind{TransportKind::Tcp, true},
                                         Kind{TransportKind::Tcp, false, false}),
                         kindName);
INSTANTIATE_TEST_SUITE_P(Verbs, Conformance,
                         testing::Values(Kind{TransportKind::Verbs},
                                         Kind{TransportKind::Verbs, true},
                                         Kind{TransportKind::Verbs, false, false}),
                         kindName);

TEST_P(Conformance, BothDirectionsInOrderEachOnceUnchanged) {
    World world(GetParam(), 1u << 14);
    ASSERT_TRUE(world.connect());
    EXPECT_EQ(world.connector.link->info().transport, GetParam().transport);
    EXPECT_EQ(world.connector.link->info().mac && world.listener.link->info().mac, GetParam().mac);
    Sending there(kPayloadMax), back(kPayloadMax);
    Expecting atListener(kPayloadMax), atConnector(kPayloadMax);
    std::mt19937_64 random(1);
    const uint64_t count = scaled(30'000);  // many times around a ring of 16 KiB
    ASSERT_TRUE(world.until([&] {
        there.offer(*world.connector.link, std::min<uint64_t>(random() % 40, count - there.sent));
        back.offer(*world.listener.link, std::min<uint64_t>(random() % 40, count - back.sent));
        world.listener.link->poll(atListener, random() % 60);
        world.connector.link->poll(atConnector, random() % 60);
        return atListener.received == count && atConnector.received == count;
    }));
    EXPECT_EQ(atListener.wrong + atConnector.wrong, 0u);
    EXPECT_EQ(world.listener.link->counters().framesReceived, count);
    EXPECT_EQ(world.connector.link->counters().framesSent, count);
}

TEST_P(Conformance, APushedBackSenderGoesOnWhereItStopped) {
    World world(GetParam(), 4096, 512);
    ASSERT_TRUE(world.connect());
    Sending sending(512);
    Expecting expecting(512);
    for (int round = 0; round < 20; ++round) {
        // Until nothing goes any more: the receiver does not look.
        uint64_t before = 0;
        int quiet = 0;
        ASSERT_TRUE(world.until([&] {
            sending.offer(*world.connector.link, 1'000'000);
            quiet = sending.sent == before ? quiet + 1 : 0;
            before = sending.sent;
            return quiet > 200;
        }));
        EXPECT_EQ(sending.last, Answer::BackPressured);
        // What waits is bounded: by the ring, or, for tcp, by rings at both ends and the kernel's buffers.
        const bool isRing = GetParam().transport != TransportKind::Tcp;
        EXPECT_LE(sending.sent - expecting.received, isRing ? 4096 / kFrameAlignment : 400'000u);
        ASSERT_TRUE(world.until([&] {
            world.listener.link->poll(expecting, 7);
            return expecting.received == sending.sent;
        }));
        EXPECT_EQ(expecting.wrong, 0u);
        if (GetParam().transport == TransportKind::Tcp && round == 2) break;
    }
    EXPECT_GT(world.connector.link->counters().backPressured, 0u);
}

TEST_P(Conformance, TooLargeIsAnAnswer) {
    World world(GetParam());
    ASSERT_TRUE(world.connect());
    const std::vector<std::byte> large(kPayloadMax + 1);
    EXPECT_EQ(world.connector.link->offer({.position = 1, .payload = large}), Answer::TooLarge);
    Sending sending(kPayloadMax);
    Expecting expecting(kPayloadMax);
    sending.offer(*world.connector.link, 10);
    EXPECT_TRUE(world.until([&] {
        world.listener.link->poll(expecting, 10);
        return expecting.received == 10;
    }));
    EXPECT_EQ(expecting.wrong, 0u);
}

TEST_P(Conformance, ACloseDeliversEverythingAndIsClean) {
    for (int round = 0; round < 5; ++round) {
        World world(GetParam());
        ASSERT_TRUE(world.connect());
        Sending sending(kPayloadMax);
        Expecting expecting(kPayloadMax);
        sending.offer(*world.connector.link, 50 * round);
        const uint64_t sent = sending.sent;
        world.connector.link->close();
        EXPECT_EQ(sending.offer(*world.connector.link, 1), 0u);
        EXPECT_EQ(sending.last, Answer::Closed);
        ASSERT_TRUE(world.until([&] {
            if (world.listener.link != nullptr) world.listener.link->poll(expecting, 1000);
            return world.listener.over == 1 && world.connector.over == 1;
        }));
        EXPECT_EQ(expecting.received, sent);
        EXPECT_EQ(expecting.wrong, 0u);
        EXPECT_EQ(world.listener.lastState, LinkState::Closed) << world.listener.lastFailure.toString();
        EXPECT_EQ(world.connector.lastState, LinkState::Closed);
    }
}

// Read one by one, from every place in the ring: also where nothing but a pad lies before the last ones.
TEST_P(Conformance, ACloseIsReadToItsEndOneByOne) {
    for (int before = 0; before < (isVerbs() ? 8 : 24); ++before) {
        World world(GetParam(), 4096, 512);
        ASSERT_TRUE(world.connect());
        Sending sending(512);
        Expecting expecting(512);
        ASSERT_TRUE(world.until([&] {
            sending.offer(*world.connector.link,
                          std::min<uint64_t>(2, 3 * before - sending.sent));
            world.listener.link->poll(expecting, 1);
            return expecting.received == static_cast<uint64_t>(3 * before);
        }));
        sending.offer(*world.connector.link, 40);
        world.connector.link->close();
        ASSERT_TRUE(world.until([&] {
            if (world.listener.link != nullptr) world.listener.link->poll(expecting, 1);
            return world.listener.over == 1;
        }));
        EXPECT_EQ(expecting.received, sending.sent) << "after " << before;
        EXPECT_EQ(world.listener.lastState, LinkState::Closed);
    }
}

TEST_P(Conformance, ALostPeerIsNoticedAndAPrefixDelivered) {
    World world(GetParam());
    ASSERT_TRUE(world.connect());
    Sending sending(kPayloadMax);
    Expecting expecting(kPayloadMax);
    sending.offer(*world.connector.link, 20);
    world.connector.network->drop(*world.connector.link);  // no goodbye
    world.connector.link = nullptr;
    ASSERT_TRUE(world.until([&] {
        if (world.listener.link != nullptr) world.listener.link->poll(expecting, 1000);
        return world.listener.over == 1;
    }));
    EXPECT_EQ(world.listener.lastState, LinkState::Failed);
    EXPECT_EQ(world.listener.lastFailure.code(), StatusCode::PeerLost);
    EXPECT_LE(expecting.received, sending.sent);
    EXPECT_EQ(expecting.wrong, 0u);
}

TEST_P(Conformance, ReconnectsAgainAndAgain) {
    World world(GetParam());
    for (int round = 0; round < 12; ++round) {
        ASSERT_TRUE(world.connect()) << round;
        Sending sending(kPayloadMax);
        Expecting expecting(kPayloadMax);
        ASSERT_TRUE(world.until([&] {
            sending.offer(*world.connector.link, std::min<uint64_t>(10, 100 - sending.sent));
            world.listener.link->poll(expecting, 100);
            return expecting.received == 100;
        }));
        EXPECT_EQ(expecting.wrong, 0u);
        const uint32_t over = world.listener.over;
        if (round % 2 == 0) world.connector.link->close();
        else world.connector.network->drop(*world.connector.link);
        ASSERT_TRUE(world.until([&] {
            if (world.listener.link != nullptr) world.listener.link->poll(expecting, 100);
            return world.listener.over == over + 1;
        }));
        ASSERT_TRUE(world.until([&] { return world.connector.network->counters().links == 0 || round % 2; }));
    }
}

// The old epoch's link is under load when the new one's comes up and the old one is fenced.
TEST_P(Conformance, AnEpochChangeUnderLoadFencesTheOldOne) {
    World world(GetParam());
    ASSERT_TRUE(world.connect(1));
    for (uint32_t epoch = 2; epoch <= 6; ++epoch) {
        Link* old = world.listener.link;
        Link* oldSender = world.connector.link;
        Sending oldSending(kPayloadMax);
        Expecting oldExpecting(kPayloadMax);
        oldSending.offer(*oldSender, 30);
        old->poll(oldExpecting, 10);
        ASSERT_TRUE(world.connect(epoch));
        ASSERT_NE(world.listener.link, old);
        oldSending.offer(*oldSender, 30);
        world.listener.network->fence(epoch - 1, [&](Link&) -> Receiver& { return oldExpecting; });
        EXPECT_EQ(old->state(), LinkState::Fenced);
        const uint64_t atFence = oldExpecting.received;
        oldSending.offer(*oldSender, 30);
        EXPECT_EQ(old->poll(oldExpecting, 1000), 0u);
        Sending sending(kPayloadMax);
        Expecting expecting(kPayloadMax);
        Link* fresh = world.listener.link;
        ASSERT_TRUE(world.until([&] {
            sending.offer(*world.connector.link, std::min<uint64_t>(10, 200 - sending.sent));
            fresh->poll(expecting, 100);
            return expecting.received == 200;
        }));
        EXPECT_EQ(oldExpecting.received, atFence);
        EXPECT_EQ(oldExpecting.wrong + expecting.wrong, 0u);
        // The fenced sender learns of it; a set-up of the old epoch is refused.
        const size_t refused = world.connector.refusals.size();
        world.connector.network->connect(world.listener.network->boundAddress(*world.listenId), "",
                                         epoch - 1, monotonicNow());
        ASSERT_TRUE(world.until([&] { return world.connector.refusals.size() > refused; }));
        EXPECT_EQ(world.connector.refusals.back().code(), StatusCode::StaleEpoch);
    }
}

// A sender in a thread of its own writes as fast as it can; again and again the receiver fences.
TEST_P(Conformance, AfterFenceHasReturnedNothingIsDelivered) {
    const int rounds = isVerbs() ? 12 : 60;
    for (int round = 0; round < rounds; ++round) {
        World world(GetParam());
        ASSERT_TRUE(world.connect());
        std::atomic<bool> stop = false;
        std::atomic<uint64_t> sent = 0;
        std::thread sender([&] {
            Sending sending(kPayloadMax);
            while (!stop) {
                Link* link = world.connector.link;
                if (link == nullptr || link->isOver()) break;
                sending.offer(*link, 8);
                sent = sending.sent;
                world.connector.poll();
                Expecting none(kPayloadMax);
                if (world.connector.link != nullptr) world.connector.link->poll(none, 1);
            }
        });
        Expecting expecting(kPayloadMax);
        Link* link = world.listener.link;
        while (expecting.received < uint64_t(100 * (round % 7))) {
            world.listener.poll();
            link->poll(expecting, 16);
        }
        link->fence(expecting);
        const uint64_t atFence = expecting.received;
        EXPECT_EQ(link->state(), LinkState::Fenced);
        for (int look = 0; look < 1000; ++look) EXPECT_EQ(link->poll(expecting, 16), 0u);
        EXPECT_EQ(expecting.received, atFence);
        EXPECT_EQ(expecting.wrong, 0u) << "round " << round;
        stop = true;
        sender.join();
        EXPECT_LE(atFence, sent + 8);
    }
}

// Whoever takes messages may end the link by one of them.
TEST_P(Conformance, AReceiverMayFenceOrCloseFromInsideADelivery) {
    struct Ending final : Receiver {
        Link* link;
        Receiver* rest;
        bool fences;
        uint64_t received = 0;
        void onMessage(const Message&) override {
            if (++received != 5) return;
            if (fences) link->fence(*rest);
            else link->close();
        }
    };
    struct Counting final : Receiver {
        uint64_t received = 0;
        void onMessage(const Message&) override { ++received; }
    };
    for (const bool fences : {true, false}) {
        World world(GetParam());
        ASSERT_TRUE(world.connect());
        Sending sending(kPayloadMax);
        sending.offer(*world.connector.link, 20);
        Counting rest;
        Ending ending;
        ending.link = world.listener.link;
        ending.rest = &rest;
        ending.fences = fences;
        Link* link = world.listener.link;
        ASSERT_TRUE(world.until([&] {
            if (ending.received < 5) link->poll(ending, 100);
            return ending.received >= 5;
        }));
        EXPECT_EQ(ending.received, 5u);
        EXPECT_LE(rest.received, 15u);
        EXPECT_NE(link->state(), LinkState::Open);
        sending.offer(*world.connector.link, 20);
        EXPECT_EQ(link->poll(ending, 100), 0u);
        EXPECT_EQ(ending.received, 5u);
    }
}

TEST_P(Conformance, ASleeperIsWoken) {
    if (GetParam().transport == TransportKind::Memory) GTEST_SKIP() << "the simulator never sleeps";
    World world(GetParam());
    ASSERT_TRUE(world.connect());
    std::atomic<bool> stop = false;
    std::thread echo([&] {
        Sending sending(kPayloadMax);
        Expecting expecting(kPayloadMax);
        while (!stop && world.listener.link != nullptr) {
            world.listener.poll();
            if (world.listener.link == nullptr) break;
            world.listener.link->poll(expecting, 16);
            sending.offer(*world.listener.link, expecting.received - sending.sent);
            if (sending.sent == expecting.received) world.listener.network->wait(kLongWait);
        }
        EXPECT_EQ(expecting.wrong, 0u);
    });
    Sending sending(kPayloadMax);
    Expecting expecting(kPayloadMax);
    const Nanoseconds begun = monotonicNow();
    for (uint64_t round = 1; round <= 40; ++round) {
        if (round % 4 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(3));
        while (sending.sent < round) {
            sending.offer(*world.connector.link, 1);
            world.connector.poll();
        }
        while (expecting.received < round) {
            world.connector.poll();
            world.connector.link->poll(expecting, 16);
            if (expecting.received < round) world.connector.network->wait(kLongWait);
        }
    }
    // A wake that was lost would have cost all of that.
    EXPECT_LT(monotonicNow() - begun, kLongWait);
    EXPECT_EQ(expecting.wrong, 0u);
    stop = true;
    world.listener.network->wake();
    echo.join();
}

// Two threads, batches of all sizes, four million frames (a tenth on verbs, which is emulated);
// VERBEX_SOAK_FRAMES says how many otherwise: npm run test:long sends more.
TEST_P(Conformance, Soak) {
    World world(GetParam(), 1u << 18, kPayloadMax);
    ASSERT_TRUE(world.connect());
    const char* wanted = std::getenv("VERBEX_SOAK_FRAMES");
    const uint64_t frames = wanted != nullptr ? std::strtoull(wanted, nullptr, 10) : scaled(4'000'000);
    std::thread sender([&] {
        Sending sending(kPayloadMax);
        while (sending.sent < frames && world.connector.link != nullptr) {
            sending.offer(*world.connector.link, std::min<uint64_t>(64, frames - sending.sent));
            world.connector.poll();
            Expecting none(kPayloadMax);
            if (world.connector.link != nullptr) world.connector.link->poll(none, 1);
        }
        while (world.connector.link != nullptr && world.connector.link->unconsumed() > 0) {
            world.connector.link->flush();
            world.connector.poll();
        }
    });
    Expecting expecting(kPayloadMax);
    while (expecting.received < frames && world.listener.link != nullptr) {
        world.listener.poll();
        if (world.listener.link != nullptr) world.listener.link->poll(expecting, 256);
    }
    sender.join();
    EXPECT_EQ(expecting.received, frames);
    EXPECT_EQ(expecting.wrong, 0u);
}

}  // namespace
}  // namespace verbex::transport::conformance
