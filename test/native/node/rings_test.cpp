#include <atomic>

#include "node/event_ring.h"
#include "node_fixture.h"
#include "pipeline/doorbell.h"

namespace verbex::node {

class NoRoom final : public RoomMaker {
public:
    void makeRoom() override { FAIL() << "there is room"; }
    ~NoRoom() = default;
};

TEST(EventRing, ShowsNothingThatIsNotPublished) {
    EventRing ring(16);
    NoRoom never;
    EventRingWriter writer(ring, never);
    for (uint64_t i = 0; i < 40; i++) {
        Event& event = writer.claim();
        std::memset(reinterpret_cast<char*>(&event), 0, sizeof(event));
        event.position = i;
        EXPECT_EQ(ring.available(), 0u);
        EXPECT_EQ(writer.written(), i + 1);
        EXPECT_TRUE(ring.publish(writer.written())) << "it was told 0, so it must be told now";
        EXPECT_FALSE(ring.publish(writer.written()));
        EXPECT_EQ(ring.available(), 1u);
        EXPECT_EQ(ring.memory()[i % 16].position, i);
        EXPECT_FALSE(ring.release(2));
        EXPECT_TRUE(ring.release(1));
    }
}

TEST(EventRing, HandsOverBetweenThreadsWithoutLosingAWakeUp) {
    constexpr uint64_t kEvents = 200'000;
    EventRing ring(64);
    pipeline::Doorbell room;
    pipeline::Doorbell arrived;
    std::atomic<bool> told{false};

    class Waits final : public RoomMaker {
    public:
        explicit Waits(std::function<void()> wait) : wait_(std::move(wait)) {}
        ~Waits() = default;
        void makeRoom() override { wait_(); }

    private:
        std::function<void()> wait_;
    };
    EventRingWriter* written = nullptr;
    const auto publish = [&] {
        if (ring.publish(written->written())) {
            told.store(true, std::memory_order_release);
            arrived.ring();
        }
    };
    Waits waits([&] {
        publish();
        while (written->freeCells() == 0) {
            room.sleep(5'000'000'000, [&] { return written->freeCells() != 0; });
        }
    });
    EventRingWriter writer(ring, waits);
    written = &writer;

    std::thread engine([&] {
        for (uint64_t i = 0; i < kEvents; i++) {
            Event& event = writer.claim();
            std::memset(reinterpret_cast<char*>(&event), 0, sizeof(event));
            event.position = i;
            if (i % 7 == 0 || i + 1 == kEvents) publish();
        }
    });
    uint64_t seen = 0;
    while (seen < kEvents) {
        const uint64_t ready = ring.available();
        if (ready == 0) {
            const auto before = std::chrono::steady_clock::now();
            arrived.sleep(5'000'000'000, [&] { return told.load(std::memory_order_acquire); });
            ASSERT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(4))
                << "a wake-up was lost at " << seen;
            told.store(false, std::memory_order_release);
            continue;
        }
        for (uint64_t i = 0; i < ready; i++) {
            ASSERT_EQ(ring.memory()[(seen + i) % 64].position, seen + i);
        }
        seen += ready;
        ASSERT_TRUE(ring.release(ready));
        room.ring();
    }
    engine.join();
}

// Two readers, each with its own thread and pace: none loses, doubles or waits for nothing.
TEST(EventRing, EveryReaderSeesEveryEventOnceAndIsWoken) {
    constexpr uint64_t kEvents = 60'000;
    constexpr uint32_t kCells = 64;
    for (const uint32_t readers : {0b01u, 0b10u, 0b11u}) {
        EventRing ring(kCells, readers);
        pipeline::Doorbell room;
        struct Reader {
            pipeline::Doorbell bell;
            std::atomic<bool> told{false};
        };
        Reader parts[EventRing::kReadersMax];
        EventRingWriter* written = nullptr;
        std::atomic<bool> strangerTold{false};
        const auto publish = [&] {
            const uint32_t waiting = ring.publish(written->written());
            if ((waiting & ~readers) != 0) strangerTold.store(true);
            for (uint32_t reader = 0; reader < EventRing::kReadersMax; reader++) {
                if ((waiting & 1u << reader) == 0) continue;
                parts[reader].told.store(true, std::memory_order_release);
                parts[reader].bell.ring();
            }
        };
        class Waits final : public RoomMaker {
        public:
            explicit Waits(std::function<void()> wait) : wait_(std::move(wait)) {}
            ~Waits() = default;
            void makeRoom() override { wait_(); }

        private:
            std::function<void()> wait_;
        };
        Waits waits([&] {
            publish();
            while (written->freeCells() == 0) {
                room.sleep(5'000'000'000, [&] { return written->freeCells() != 0; });
            }
        });
        EventRingWriter writer(ring, waits);
        written = &writer;
        std::vector<std::thread> threads;
        std::atomic<int> wrong{0};
        for (uint32_t reader = 0; reader < EventRing::kReadersMax; reader++) {
            if ((readers & 1u << reader) == 0) continue;
            threads.emplace_back([&, reader] {
                std::mt19937_64 random(reader + 1);
                uint64_t seen = 0;
                while (seen < kEvents) {
                    uint64_t ready = ring.available(reader);
                    if (ready == 0) {
                        const auto before = std::chrono::steady_clock::now();
                        parts[reader].bell.sleep(20'000'000'000, [&] {
                            return parts[reader].told.load(std::memory_order_acquire);
                        });
                        if (std::chrono::steady_clock::now() - before > std::chrono::seconds(15)) {
                            wrong++;
                        }
                        parts[reader].told.store(false, std::memory_order_release);
                        continue;
                    }
                    if (ready > kCells) wrong++;
                    ready = 1 + random() % ready;
                    for (uint64_t i = 0; i < ready; i++) {
                        if (ring.memory()[(seen + i) % kCells].position != seen + i) wrong++;
                    }
                    if (random() % 64 == 0) std::this_thread::yield();
                    seen += ready;
                    if (!ring.release(ready, reader)) wrong++;
                    room.ring();
                }
                if (ring.available(reader) != 0) wrong++;
            });
        }
        std::mt19937_64 random(readers);
        for (uint64_t i = 0; i < kEvents; i++) {
            Event& event = writer.claim();
            std::memset(reinterpret_cast<char*>(&event), 0, sizeof(event));
            event.position = i;
            if (random() % 9 == 0 || i + 1 == kEvents) publish();
        }
        for (std::thread& thread : threads) thread.join();
        EXPECT_EQ(wrong.load(), 0) << "readers " << readers;
        EXPECT_FALSE(strangerTold.load()) << "a reader that is not there was to be told";
        EXPECT_EQ(ring.freed(), kEvents);
    }
}

TEST(EventRing, IsAsFullAsItsSlowestReader) {
    EventRing ring(16, 0b11);
    NoRoom never;
    EventRingWriter writer(ring, never);
    for (int i = 0; i < 10; i++) std::memset(static_cast<void*>(&writer.claim()), 0, sizeof(Event));
    EXPECT_EQ(ring.publish(writer.written()), 0b11u) << "nobody has looked yet: both are told";
    EXPECT_EQ(ring.available(0), 10u);
    EXPECT_TRUE(ring.release(10, 0));
    EXPECT_EQ(writer.freeCells(), 6u);
    EXPECT_TRUE(ring.release(4, 1));
    EXPECT_EQ(writer.freeCells(), 10u);
    EXPECT_EQ(ring.consumed(0), 10u);
    EXPECT_EQ(ring.consumed(1), 4u);
    EXPECT_FALSE(ring.release(7, 1));
    EXPECT_FALSE(ring.release(1, 0));
    // Only who was told 0 is told.
    EXPECT_EQ(ring.available(0), 0u);
    std::memset(static_cast<void*>(&writer.claim()), 0, sizeof(Event));
    EXPECT_EQ(ring.publish(writer.written()), 0b01u);
}

TEST(EventRing, WithoutReadersHoldsNothingUp) {
    EventRing ring(16, 0);
    class Publishes final : public RoomMaker {
    public:
        ~Publishes() = default;
        void makeRoom() override { (void)ring->publish(writer->written()); }
        EventRing* ring = nullptr;
        EventRingWriter* writer = nullptr;
    } publishes;
    EventRingWriter writer(ring, publishes);
    publishes.ring = &ring;
    publishes.writer = &writer;
    for (int i = 0; i < 1000; i++) std::memset(static_cast<void*>(&writer.claim()), 0, sizeof(Event));
    EXPECT_EQ(ring.publish(writer.written()), 0u);
    EXPECT_EQ(ring.freed(), 1000u);
}

}  // namespace verbex::node
