// Rings by themselves: wrap, credits, and every byte that may lie wrong.
#include "transport/rings/ring_reader.h"
#include "transport/rings/ring_writer.h"

#include <gtest/gtest.h>

#include <random>
#include <thread>
#include <vector>

namespace verbex::transport {
namespace {

constexpr size_t kRing = 4096;
constexpr size_t kPayloadMax = RingWriter::payloadMaxOf(kRing);

FrameSeal sealWith(bool mac) {
    FrameSeal seal{.epoch = 7, .salt = 0x1234, .mac = {}};
    if (mac) seal.mac.emplace(MacKey{std::byte{1}, std::byte{2}});
    return seal;
}

std::vector<std::byte> payloadOf(uint64_t number, size_t size) {
    std::vector<std::byte> bytes(size);
    for (size_t at = 0; at < size; ++at) bytes[at] = static_cast<std::byte>(number * 31 + at);
    return bytes;
}

struct Collector final : Receiver {
    std::vector<std::pair<uint64_t, std::vector<std::byte>>> got;
    void onMessage(const Message& message) override {
        got.emplace_back(message.position,
                         std::vector(message.payload.begin(), message.payload.end()));
    }
};

struct Ring {
    explicit Ring(bool mac = false, uint32_t patience = 0)
        : seal(sealWith(mac)),
          writer(bytes, kRing, seal),
          reader(bytes, kRing, kPayloadMax, seal, patience) {}
    alignas(64) std::byte bytes[kRing] = {};
    FrameSeal seal;
    RingWriter writer;
    RingReader reader;
    LinkCounters counters;
};

class RingWithMac : public testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(Mac, RingWithMac, testing::Bool());

TEST_P(RingWithMac, GivesBackWhatWasWrittenWhateverTheSizes) {
    for (uint64_t seed = 1; seed <= 20; ++seed) {
        Ring ring(GetParam());
        std::mt19937_64 random(seed);
        uint64_t written = 0;
        uint64_t read = 0;
        Collector collector;
        while (read < 3000) {
            for (size_t burst = random() % 20; burst > 0; --burst) {
                const auto payload = payloadOf(written + 1, (written * 37) % (kPayloadMax + 1));
                if (!ring.writer.write({.position = written + 1, .payload = payload})) break;
                ++written;
            }
            ring.reader.poll(collector, random() % 20, ring.counters);
            ASSERT_EQ(ring.reader.fault(), FrameFault::None) << "seed " << seed;
            for (const auto& [position, payload] : collector.got) {
                ASSERT_EQ(position, ++read) << "seed " << seed;
                ASSERT_EQ(payload, payloadOf(read, ((read - 1) * 37) % (kPayloadMax + 1)));
            }
            collector.got.clear();
            if (random() % 3 == 0) {
                ASSERT_TRUE(ring.writer.takeCredit(ring.reader.consumed()));
            }
        }
    }
}

TEST(Ring, NeverWritesWhatWasNotGivenBack) {
    Ring ring;
    const auto payload = payloadOf(1, 100);
    size_t accepted = 0;
    while (ring.writer.write({.position = 1, .payload = payload})) ++accepted;
    EXPECT_EQ(accepted, kRing / 192);
    Collector collector;
    ring.reader.poll(collector, 1, ring.counters);
    EXPECT_FALSE(ring.writer.write({.position = 2, .payload = payload}));  // no credit yet
    ASSERT_TRUE(ring.writer.takeCredit(ring.reader.consumed()));
    EXPECT_FALSE(ring.writer.takeCredit(ring.writer.produced() + 1));
    EXPECT_FALSE(ring.writer.takeCredit(0));
}

TEST(Ring, TheLargestPayloadAlwaysFindsRoomInAnEmptyRing) {
    for (size_t before = 0; before < 80; ++before) {
        Ring ring;
        Collector collector;
        for (size_t at = 0; at < before; ++at) {
            ASSERT_TRUE(ring.writer.write({.position = 1, .payload = {}}));
            ring.reader.poll(collector, 10, ring.counters);
            ASSERT_TRUE(ring.writer.takeCredit(ring.reader.consumed()));
        }
        ASSERT_TRUE(ring.writer.write({.position = 1, .payload = payloadOf(1, kPayloadMax)}));
    }
}

// Whatever a peer changes in a frame is seen, and nothing is delivered from there on.
TEST_P(RingWithMac, EveryFlippedBitIsSeen) {
    const auto payload = payloadOf(3, 50);
    const size_t frameBytes = sealWith(GetParam()).overhead() + payload.size();
    for (size_t bit = 0; bit < frameBytes * 8; ++bit) {
        Ring ring(GetParam());
        ASSERT_TRUE(ring.writer.write({.stream = 1, .kind = 2, .position = 3, .payload = payload}));
        ASSERT_TRUE(ring.writer.write({.position = 4, .payload = payload}));
        ring.bytes[bit / 8] ^= static_cast<std::byte>(1 << bit % 8);
        Collector collector;
        ring.reader.poll(collector, 10, ring.counters);
        EXPECT_TRUE(collector.got.empty()) << "bit " << bit;
        EXPECT_NE(ring.reader.fault(), FrameFault::None) << "bit " << bit;
    }
}

TEST(Ring, AFrameThatIsStillBeingWrittenIsWaitedFor) {
    Ring ring(false, 5);
    const auto payload = payloadOf(1, 200);
    ASSERT_TRUE(ring.writer.write({.position = 1, .payload = payload}));
    std::byte late[64];
    std::memcpy(late, ring.bytes + 128, sizeof late);
    std::memset(ring.bytes + 128, 0, sizeof late);
    Collector collector;
    for (int look = 0; look < 5; ++look) EXPECT_EQ(ring.reader.poll(collector, 9, ring.counters), 0u);
    EXPECT_EQ(ring.reader.fault(), FrameFault::None);
    std::memcpy(ring.bytes + 128, late, sizeof late);
    EXPECT_EQ(ring.reader.poll(collector, 9, ring.counters), 1u);
    EXPECT_EQ(ring.counters.tornReads, 5u);
    EXPECT_EQ(ring.counters.badChecksum, 0u);
}

TEST(Ring, StaleReplayedForgedAndOversizedFramesAreRefusedAndCounted) {
    const auto payload = payloadOf(1, 40);
    const Message message{.position = 1, .payload = payload};
    const auto deliverOne = [&](Ring& ring, const FrameSeal& seal, uint64_t sequence) {
        const uint32_t size = sealFrame(ring.bytes, message, sequence, seal);
        std::memcpy(ring.bytes, &size, sizeof size);
        Collector collector;
        ring.reader.poll(collector, 10, ring.counters);
        EXPECT_TRUE(collector.got.empty());
    };
    {
        Ring ring;
        FrameSeal stale = ring.seal;
        stale.epoch = 6;
        deliverOne(ring, stale, 1);
        EXPECT_EQ(ring.counters.staleEpoch, 1u);
        EXPECT_EQ(faultStatus(ring.reader.fault()).code(), StatusCode::StaleEpoch);
    }
    {
        Ring ring;
        deliverOne(ring, ring.seal, 2);
        EXPECT_EQ(ring.counters.replayed, 1u);
    }
    {
        Ring ring;
        FrameSeal other = ring.seal;
        other.salt ^= 1;
        deliverOne(ring, other, 1);
        EXPECT_EQ(ring.counters.badChecksum, 1u);
    }
    {
        Ring ring(true);
        FrameSeal forged = ring.seal;
        forged.mac.emplace(MacKey{std::byte{9}});
        deliverOne(ring, forged, 1);
        EXPECT_EQ(ring.counters.badMac, 1u);
        EXPECT_EQ(faultStatus(ring.reader.fault()).code(), StatusCode::AuthenticationFailed);
    }
    {
        Ring ring(true);
        FrameSeal without = ring.seal;
        without.mac.reset();
        deliverOne(ring, without, 1);
        EXPECT_EQ(ring.counters.badMac, 1u);
    }
    for (const uint32_t size : {1u, 31u, uint32_t(kPayloadMax + 33), 4096u, 4097u, 0xffffffffu}) {
        Ring ring;
        std::memcpy(ring.bytes, &size, sizeof size);
        Collector collector;
        ring.reader.poll(collector, 10, ring.counters);
        EXPECT_TRUE(collector.got.empty());
        EXPECT_NE(ring.reader.fault(), FrameFault::None) << size;
    }
}

// Forged frames: random bytes over valid ones.
TEST_P(RingWithMac, RandomBytesNeverPass) {
    std::mt19937_64 random(42);
    Collector collector;
    for (int round = 0; round < 20'000; ++round) {
        Ring ring(GetParam());
        const auto payload = payloadOf(round, random() % 100);
        ASSERT_TRUE(ring.writer.write({.position = 1, .payload = payload}));
        const size_t changes = 1 + random() % 8;
        std::byte before[256];
        std::memcpy(before, ring.bytes, sizeof before);
        for (size_t change = 0; change < changes; ++change) {
            ring.bytes[random() % (32 + payload.size())] = static_cast<std::byte>(random());
        }
        if (std::memcmp(before, ring.bytes, sizeof before) == 0) continue;
        ring.reader.poll(collector, 10, ring.counters);
        ASSERT_TRUE(collector.got.empty()) << "round " << round;
    }
}

TEST(Ring, APayloadThatLooksLikeFramesStaysAPayload) {
    // What an author of payloads can do: frames sealed with everything right but the salt.
    Ring ring;
    FrameSeal guess = ring.seal;
    guess.salt = 0;
    std::vector<std::byte> payload(64 * 8);
    for (size_t at = 32; at + 64 <= payload.size(); at += 64) {
        const uint32_t size = sealFrame(payload.data() + at, {.position = 9, .payload = {}}, 2, guess);
        std::memcpy(payload.data() + at, &size, sizeof size);
    }
    Collector collector;
    for (uint64_t round = 1; round <= 100; ++round) {
        ASSERT_TRUE(ring.writer.write({.position = round, .payload = payload}));
        ASSERT_EQ(ring.reader.poll(collector, 10, ring.counters), 1u);
        ASSERT_TRUE(ring.writer.takeCredit(ring.reader.consumed()));
    }
    ASSERT_EQ(ring.reader.fault(), FrameFault::None);
    EXPECT_EQ(collector.got.size(), 100u);
}

TEST(Ring, TwoThreadsHandOverEverything) {
    Ring ring;
    std::atomic<uint64_t> credit = 0;
    constexpr uint64_t kMessages = 300'000;
    std::thread sender([&] {
        for (uint64_t position = 1; position <= kMessages;) {
            const auto payload = payloadOf(position, position % 200);
            if (ring.writer.write({.position = position, .payload = payload})) ++position;
            else CHECK(ring.writer.takeCredit(credit.load(std::memory_order_acquire)));
        }
    });
    struct Checker final : Receiver {
        uint64_t next = 1;
        uint64_t wrong = 0;
        void onMessage(const Message& message) override {
            const auto wanted = payloadOf(next, next % 200);
            if (message.position != next ||
                !std::ranges::equal(message.payload, wanted)) ++wrong;
            ++next;
        }
    } checker;
    while (checker.next <= kMessages && ring.reader.fault() == FrameFault::None) {
        ring.reader.poll(checker, 64, ring.counters);
        credit.store(ring.reader.consumed(), std::memory_order_release);
    }
    sender.join();
    EXPECT_EQ(checker.next, kMessages + 1);
    EXPECT_EQ(checker.wrong, 0u);
}

}  // namespace
}  // namespace verbex::transport
