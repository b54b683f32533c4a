#include "transport/verbs/verbs_queue.h"

#include <algorithm>
#include <poll.h>
#include <random>
#include <vector>

#include "transport/verbs_fixture.h"

namespace verbex::transport {
namespace {

class VerbsQueueOnDevice : public VerbsDeviceTest {
protected:
    End here_{kBytes};
    End there_{kBytes};
};

bool isReadable(int descriptor, int timeoutMs) {
    pollfd waited = {descriptor, POLLIN, 0};
    return ::poll(&waited, 1, timeoutMs) == 1;
}

TEST_F(VerbsQueueOnDevice, AWriteLandsWhereItWasSentAndNowhereElse) {
    connect(here_, there_, options());
    here_.send.setWord(128, 0x1122334455667788);
    here_.send.setWord(136, 42);
    ASSERT_TRUE(here_.queue->postWrite(128, 4096, 16));
    EXPECT_EQ(here_.queue->counters().doorbells, 0u) << "appended, not handed over";
    here_.queue->ring(VerbsReport::Everything);
    ASSERT_TRUE(pollUntil(*here_.queue, [&] { return here_.queue->completedWrites() == 1; }))
        << here_.queue->status().toString();
    EXPECT_EQ(here_.queue->completedBytes(), 16u);
    EXPECT_EQ(there_.receive.word(4096), 0x1122334455667788u);
    EXPECT_EQ(there_.receive.word(4104), 42u);
    const std::byte* bytes = there_.receive.data();
    EXPECT_EQ(std::count(bytes, bytes + kBytes, std::byte{0}), static_cast<long>(kBytes) - 9);
    EXPECT_TRUE(here_.queue->status().isOk());
}

TEST_F(VerbsQueueOnDevice, WhatItChoseIsWhatItTellsThePeer) {
    connect(here_, there_, options());
    const VerbsChoice& choice = here_.queue->choice();
    const VerbsEndpoint local = here_.queue->local();
    EXPECT_TRUE(checkVerbsEndpoint(local).isOk());
    EXPECT_EQ(local.gid, choice.gid);
    EXPECT_EQ(local.mtu, choice.mtu);
    EXPECT_EQ(local.address, reinterpret_cast<uintptr_t>(here_.receive.data()));
    EXPECT_EQ(local.size, kBytes);
    EXPECT_NE(local.queuePair, there_.queue->local().queuePair);
    EXPECT_NE(local.rkey, there_.queue->local().rkey);
    EXPECT_NE(local.firstPacket, there_.queue->local().firstPacket);
    EXPECT_EQ(here_.queue->mtu(), choice.mtu);

    VerbsOptions named = options();
    named.device = choice.device;
    named.port = choice.port;
    named.gidIndex = static_cast<int>(choice.gidIndex);
    named.mtu = 256;
    End again(kBytes);
    ASSERT_EQ(again.open(named).toString(), "OK");
    EXPECT_EQ(again.queue->local().mtu, 256u);
    named.device = "no-such-device";
    EXPECT_EQ(End(kBytes).open(named).code(), StatusCode::NotFound);
}

TEST_F(VerbsQueueOnDevice, TheSmallerMtuCountsAndLongWritesArriveWhole) {
    VerbsOptions small = options();
    small.mtu = 256;
    ASSERT_EQ(here_.open(options()).toString(), "OK");
    ASSERT_EQ(there_.open(small).toString(), "OK");
    ASSERT_EQ(here_.queue->connect(there_.queue->local()).toString(), "OK");
    ASSERT_EQ(there_.queue->connect(here_.queue->local()).toString(), "OK");
    EXPECT_EQ(here_.queue->mtu(), 256u);
    EXPECT_EQ(there_.queue->mtu(), 256u);
    for (size_t i = 0; i < kBytes; i += 8) here_.send.setWord(i, i * 0x9e3779b97f4a7c15);
    ASSERT_TRUE(here_.queue->postWrite(0, 0, kBytes));
    here_.queue->ring();
    ASSERT_TRUE(pollUntil(*here_.queue, [&] { return here_.queue->completedWrites() == 1; }))
        << "a write of a quarter of the staging region reports by itself";
    EXPECT_EQ(std::memcmp(there_.receive.data(), here_.send.data(), kBytes), 0);
}

TEST_F(VerbsQueueOnDevice, ManyWritesOfAllSizesGoRoundBothRingsInOrder) {
    connect(here_, there_, options());
    std::mt19937_64 random(11);
    std::vector<std::byte> image(kBytes);
    struct Sent {
        size_t bytes;  // of staging, with what was left over at the ring's end
    };
    std::vector<Sent> sent;
    uint64_t head = 0;    // staging position
    uint64_t tail = 0;    // staging freed
    size_t freed = 0;     // writes freed
    uint64_t target = 0;  // position in the peer's ring
    const auto freeStaging = [&] {
        for (; freed < here_.queue->completedWrites(); ++freed) tail += sent[freed].bytes;
    };
    uint64_t total = 0;
    while (sent.size() < 3000) {
        const size_t length = random() % 8 == 0 ? 1 + random() % 5000 : 1 + random() % 300;
        size_t skip = 0;
        if (head % kBytes + length > kBytes) skip = kBytes - head % kBytes;
        ASSERT_TRUE(pollUntil(*here_.queue,
                              [&] {
                                  freeStaging();
                                  if (head + skip + length - tail <= kBytes) return true;
                                  here_.queue->ring();
                                  return false;
                              }))
            << here_.queue->status().toString() << " after " << sent.size();
        const size_t from = (head + skip) % kBytes;
        for (size_t i = 0; i < length; ++i)
            here_.send.data()[from + i] = static_cast<std::byte>(random());
        if (target % kBytes + length > kBytes) target += kBytes - target % kBytes;
        ASSERT_TRUE(pollUntil(*here_.queue, [&] {
            if (here_.queue->postWrite(from, target % kBytes, length)) return true;
            here_.queue->ring();
            return false;
        }));
        std::memcpy(&image[target % kBytes], here_.send.data() + from, length);
        target += length;
        head += skip + length;
        sent.push_back({skip + length});
        total += length;
        if (random() % 16 == 0) here_.queue->ring();
    }
    here_.queue->ring(VerbsReport::Everything);
    ASSERT_TRUE(
        pollUntil(*here_.queue, [&] { return here_.queue->completedWrites() == sent.size(); }));
    EXPECT_EQ(here_.queue->completedBytes(), total);
    EXPECT_EQ(std::memcmp(there_.receive.data(), image.data(), kBytes), 0);
    const VerbsCounters& counters = here_.queue->counters();
    EXPECT_EQ(counters.writes, sent.size());
    EXPECT_EQ(counters.bytes, total);
    EXPECT_GT(counters.inlineWrites, 0u);
    EXPECT_LT(counters.inlineWrites, sent.size());
    EXPECT_LT(counters.signalled, sent.size() / 4);
    EXPECT_EQ(counters.completions, counters.signalled);
}

TEST_F(VerbsQueueOnDevice, OneWriteIn64ReportsAndTheTailWhenAsked) {
    connect(here_, there_, options());
    VerbsQueue& queue = *here_.queue;
    for (size_t i = 0; i < 200; ++i) ASSERT_TRUE(queue.postWrite(i * 8, i * 8, 8));
    queue.ring();
    EXPECT_EQ(queue.counters().doorbells, 1u);
    EXPECT_EQ(queue.counters().signalled, 3u);
    ASSERT_TRUE(pollUntil(queue, [&] { return queue.completedWrites() == 192; }));
    EXPECT_EQ(queue.completedBytes(), 192u * 8);
    queue.ring();
    EXPECT_EQ(queue.counters().doorbells, 1u) << "nothing to hand over";
    queue.ring(VerbsReport::Everything);
    ASSERT_TRUE(pollUntil(queue, [&] { return queue.completedWrites() == 200; }));
    EXPECT_EQ(queue.counters().signalled, 4u);
    EXPECT_EQ(queue.counters().completions, 4u);
    EXPECT_EQ(queue.counters().writes, 200u) << "the empty write behind them is not one";
    queue.ring(VerbsReport::Everything);
    EXPECT_EQ(queue.counters().doorbells, 2u) << "all is reported already";
    ASSERT_TRUE(queue.postWrite(0, 0, 8));
    queue.ring(VerbsReport::Everything);
    EXPECT_EQ(queue.counters().doorbells, 3u) << "the last of the batch reports itself";
    ASSERT_TRUE(pollUntil(queue, [&] { return queue.completedWrites() == 201; }));
    EXPECT_EQ(queue.completedBytes(), 201u * 8);
}

TEST_F(VerbsQueueOnDevice, AFullSendQueueAnswersFalseAndRecovers) {
    VerbsOptions few = options();
    few.sendEntries = 8;
    connect(here_, there_, few);
    VerbsQueue& queue = *here_.queue;
    for (uint64_t round = 1; round <= 50; ++round) {
        size_t posted = 0;
        while (queue.postWrite(posted * 8, posted * 8, 8)) ++posted;
        EXPECT_EQ(posted, 8u);
        EXPECT_FALSE(queue.postWake());
        EXPECT_EQ(queue.counters().queueFull, round * 2);
        EXPECT_EQ(queue.counters().signalled, round * 2) << "half of the queue is the longest run";
        queue.ring();
        ASSERT_TRUE(pollUntil(queue, [&] { return queue.completedWrites() == round * 8; }))
            << queue.status().toString();
    }
    EXPECT_TRUE(queue.status().isOk());
}

TEST_F(VerbsQueueOnDevice, TheTailIsReportedThoughTheQueueWasFullWhenItWasAskedFor) {
    VerbsOptions few = options();
    few.sendEntries = 7;
    connect(here_, there_, few);
    VerbsQueue& queue = *here_.queue;
    for (size_t i = 0; i < 7; ++i) ASSERT_TRUE(queue.postWrite(i * 8, i * 8, 8));
    queue.ring();
    queue.ring(VerbsReport::Everything);
    EXPECT_EQ(queue.counters().signalled, 2u) << "no entry was left for the report";
    ASSERT_TRUE(pollUntil(queue, [&] { return queue.completedWrites() == 7; }))
        << queue.completedWrites();
}

TEST_F(VerbsQueueOnDevice, AWakeMakesThePeersDescriptorReadable) {
    connect(here_, there_, options());
    ASSERT_EQ(there_.queue->armWake().toString(), "OK");
    EXPECT_FALSE(isReadable(there_.queue->wakeDescriptor(), 0));
    here_.send.setWord(0, 77);
    ASSERT_TRUE(here_.queue->postWrite(0, 64, 8));
    here_.queue->ring(VerbsReport::Everything);
    ASSERT_TRUE(pollUntil(*here_.queue, [&] { return here_.queue->completedWrites() == 1; }));
    EXPECT_FALSE(isReadable(there_.queue->wakeDescriptor(), 0)) << "a write alone wakes nobody";

    for (uint64_t round = 1; round <= 20; ++round) {
        here_.send.setWord(0, round);
        ASSERT_TRUE(here_.queue->postWrite(0, 64, 8));
        ASSERT_TRUE(here_.queue->postWake());
        here_.queue->ring(VerbsReport::Everything);
        ASSERT_TRUE(isReadable(there_.queue->wakeDescriptor(), 30000));
        EXPECT_EQ(there_.receive.word(64), round) << "what was written before the wake is there";
        EXPECT_EQ(there_.queue->drainWakes(), 1u);
        EXPECT_FALSE(isReadable(there_.queue->wakeDescriptor(), 0));
        ASSERT_EQ(there_.queue->armWake().toString(), "OK");
        ASSERT_TRUE(
            pollUntil(*here_.queue, [&] { return here_.queue->completedWrites() == round + 1; }));
    }
    EXPECT_EQ(here_.queue->counters().wakesSent, 20u);
    EXPECT_EQ(there_.queue->counters().wakesReceived, 20u);
}

TEST_F(VerbsQueueOnDevice, MoreWakesThanThereIsRoomForWaitAndNoneIsLost) {
    VerbsOptions few = options();
    few.wakeEntries = 4;
    connect(here_, there_, few);
    for (int i = 0; i < 40; ++i) ASSERT_TRUE(here_.queue->postWake());
    here_.queue->ring(VerbsReport::Everything);
    uint64_t woken = 0;
    ASSERT_TRUE(waitFor([&] {
        here_.queue->poll();
        there_.queue->poll();  // makes room, and must not swallow what is to be told
        woken += there_.queue->drainWakes();
        return woken >= 40;
    })) << woken
        << " " << here_.queue->status().toString();
    EXPECT_EQ(woken, 40u);
    EXPECT_TRUE(here_.queue->status().isOk());
}

TEST_F(VerbsQueueOnDevice, BothDirectionsAtOnce) {
    connect(here_, there_, options());
    for (uint64_t round = 1; round <= 500; ++round) {
        here_.send.setWord(0, round);
        while (!here_.queue->postWrite(0, 0, 8)) here_.queue->poll();
        here_.queue->ring();
        ASSERT_TRUE(waitFor([&] {
            here_.queue->poll();
            return there_.receive.word(0) == round;
        }));
        there_.send.setWord(0, round);
        while (!there_.queue->postWrite(0, 0, 8)) there_.queue->poll();
        there_.queue->ring();
        ASSERT_TRUE(waitFor([&] {
            there_.queue->poll();
            return here_.receive.word(0) == round;
        }));
    }
}

TEST_F(VerbsQueueOnDevice, IsConnectedOnceAndOnlyToWhatItCanReach) {
    ASSERT_EQ(here_.open(options()).toString(), "OK");
    ASSERT_EQ(there_.open(options()).toString(), "OK");
    EXPECT_FALSE(here_.queue->postWrite(0, 0, 8)) << "nobody to write to yet";
    EXPECT_FALSE(here_.queue->postWake());
    here_.queue->ring(VerbsReport::Everything);
    here_.queue->poll();
    EXPECT_TRUE(here_.queue->status().isOk());

    VerbsEndpoint wrong = there_.queue->local();
    wrong.mtu = 1000;
    EXPECT_EQ(here_.queue->connect(wrong).code(), StatusCode::InvalidArgument);
    wrong = there_.queue->local();
    wrong.linkLayer = wrong.linkLayer == VerbsLinkLayer::Ethernet ? VerbsLinkLayer::Infiniband
                                                                  : VerbsLinkLayer::Ethernet;
    wrong.lid = 1;
    wrong.gid[15] = 1;
    EXPECT_EQ(here_.queue->connect(wrong).code(), StatusCode::InvalidArgument);

    ASSERT_EQ(here_.queue->connect(there_.queue->local()).toString(), "OK");
    const Status again = here_.queue->connect(there_.queue->local());
    EXPECT_EQ(again.code(), StatusCode::InvalidArgument);
    EXPECT_NE(again.message().find("once"), std::string::npos);
    EXPECT_TRUE(here_.queue->postWrite(0, 0, 8));
}

TEST_F(VerbsQueueOnDevice, AfterDestroyEverythingIsClosed) {
    connect(here_, there_, options());
    ASSERT_TRUE(here_.queue->postWrite(0, 0, 8));
    ASSERT_EQ(here_.queue->destroy().toString(), "OK");
    ASSERT_EQ(here_.queue->destroy().toString(), "OK") << "twice is once";
    EXPECT_EQ(here_.queue->status().code(), StatusCode::Closed);
    EXPECT_EQ(here_.queue->armWake().code(), StatusCode::Closed);
    EXPECT_EQ(here_.queue->connect(there_.queue->local()).code(), StatusCode::Closed);
    EXPECT_FALSE(here_.queue->postWrite(0, 0, 8));
    EXPECT_FALSE(here_.queue->postWake());
    EXPECT_EQ(here_.queue->wakeDescriptor(), -1);
    EXPECT_EQ(here_.queue->drainWakes(), 0u);
    here_.queue->ring(VerbsReport::Everything);
    here_.queue->poll();
    EXPECT_EQ(here_.queue->completedWrites(), 0u);
    EXPECT_EQ(here_.queue->failure(), VerbsFailure::None);
}

}  // namespace
}  // namespace verbex::transport
