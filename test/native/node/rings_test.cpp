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

}  // namespace verbex::node
