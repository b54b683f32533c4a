#include "pipeline/stage_thread.h"

#include <atomic>
#include <chrono>
#include <pthread.h>
#include <sched.h>

#include "pipeline/barrier.h"
#include "pipeline/ring.h"
#include "pipeline_fixture.h"

namespace verbex::pipeline {
namespace {

StageThreadOptions named(const char* name, uint64_t spinNs = kSpinLaptopNs) {
    StageThreadOptions options;
    options.name = name;
    options.spinNs = spinNs;
    options.yields = true;
    return options;
}

// Counts down what it was given.
class Work {
public:
    void give(uint64_t count) { given_.fetch_add(count, std::memory_order_release); }
    bool take() {
        if (!waits()) return false;
        done_.store(done_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
        return true;
    }
    [[nodiscard]] bool waits() const {
        return given_.load(std::memory_order_acquire) != done_.load(std::memory_order_acquire);
    }
    [[nodiscard]] uint64_t done() const { return done_.load(std::memory_order_acquire); }
    [[nodiscard]] LambdaStage stage() {
        return LambdaStage([this] { return take(); }, [this] { return waits(); });
    }

private:
    std::atomic<uint64_t> given_{0};
    std::atomic<uint64_t> done_{0};
};

void sleepMs(int ms) {
    std::this_thread::sleep_for(std::chrono::milliseconds(ms));
}

TEST(BusyTime, AddsUpWhatLiesBetweenBeginAndEnd) {
    // Also where the counter is so high that half of the word is not enough for it.
    for (const uint64_t start : {uint64_t{0}, uint64_t{1} << 40, (uint64_t{1} << 63) - 50}) {
        BusyTime busy;
        EXPECT_EQ(busy.ticks(start), 0u);
        busy.begin(start + 10);
        EXPECT_EQ(busy.ticks(start + 10), 0u);
        EXPECT_EQ(busy.ticks(start + 25), 15u) << "at work, and seen to be";
        busy.end(start + 30);
        EXPECT_EQ(busy.ticks(start + 90), 20u);
        busy.begin(start + 100);
        EXPECT_EQ(busy.ticks(start + 105), 25u);
        busy.end(start + 107);
        EXPECT_EQ(busy.ticks(start + 1000), 27u);
    }
}

TEST(StageThread, DoesWhatItIsGivenAndSleepsBetween) {
    Work work;
    LambdaStage stage = work.stage();
    StageThread thread(named("vbx-test"), {&stage});
    thread.start();
    for (uint64_t round = 1; round <= 20; round++) {
        const uint64_t sleeps = thread.counters().sleeps;
        work.give(100);
        thread.bell().ring();
        spinUntil([&] { return work.done() == round * 100; });
        spinUntil([&] { return thread.counters().sleeps > sleeps; });
    }
    thread.stop();
    thread.join();
    const StageThread::Counters counters = thread.counters();
    EXPECT_EQ(counters.steps, 2000u);
    EXPECT_GE(counters.idleSteps, 1u);
    EXPECT_GE(counters.sleeps, 20u);
    EXPECT_LE(counters.busyNs, counters.elapsedNs);
    EXPECT_GT(counters.busyNs, 0u);
}

TEST(StageThread, RunsAllOfItsStagesInTheirOrder) {
    std::vector<int> order;
    std::atomic<int> rounds{0};
    const auto note = [&](int stage) {
        if (rounds.load() == 3) return false;
        order.push_back(stage);
        if (stage == 2) rounds.fetch_add(1);
        return true;
    };
    const auto ready = [&] { return rounds.load() != 3; };
    LambdaStage first([&] { return note(0); }, ready);
    LambdaStage second([&] { return note(1); }, ready);
    LambdaStage third([&] { return note(2); }, ready);
    StageThread thread(named("vbx-order"), {&first, &second, &third});
    thread.start();
    spinUntil([&] { return rounds.load() == 3; });
    thread.stop();
    thread.join();
    EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 0, 1, 2, 0, 1, 2}));
    EXPECT_EQ(thread.counters().steps, 3u);
}

TEST(StageThread, ALaterStagesWorkKeepsTheThreadAwake) {
    Work nothing;
    Work work;
    LambdaStage idle = nothing.stage();
    LambdaStage busy = work.stage();
    StageThread thread(named("vbx-later", 0), {&idle, &busy});
    thread.start();
    for (uint64_t i = 1; i <= 200; i++) {
        work.give(1);
        thread.bell().ring();
        spinUntil([&] { return work.done() == i; });
    }
    thread.stop();
    thread.join();
    EXPECT_EQ(thread.counters().steps, 200u);
}

TEST(StageThread, StopIsIdempotentAndMayComeFirst) {
    Work work;
    LambdaStage stage = work.stage();
    {
        StageThread never(named("vbx-never"), {&stage});
        never.stop();
        never.stop();
        never.join();
    }
    {
        StageThread stopped(named("vbx-stopped"), {&stage});
        stopped.stop();
        stopped.start();
        stopped.join();
        stopped.join();
        stopped.stop();
        EXPECT_EQ(stopped.counters().steps, 0u);
    }
    {
        // Without a word: the destructor stops and joins.
        StageThread forgotten(named("vbx-forgotten"), {&stage});
        forgotten.start();
    }
    for (const uint64_t spinNs : {uint64_t{0}, kSpinForEver}) {
        StageThread asleep(named("vbx-asleep", spinNs), {&stage});
        asleep.start();
        sleepMs(5);
        std::thread other([&] { asleep.stop(); });
        asleep.stop();
        asleep.join();
        other.join();
    }
}

TEST(StageThread, StopsWithWorkLeft) {
    LambdaStage endless([] { return true; }, [] { return true; });
    StageThread thread(named("vbx-endless"), {&endless});
    thread.start();
    spinUntil([&] { return thread.counters().steps > 10; });
    thread.stop();
    thread.join();
    const StageThread::Counters counters = thread.counters();
    EXPECT_EQ(counters.idleSteps, 0u);
    EXPECT_EQ(counters.sleeps, 0u);
    EXPECT_EQ(counters.steps, thread.counters().steps);
    EXPECT_EQ(counters.elapsedNs, thread.counters().elapsedNs) << "the time stops with the thread";
}

TEST(StageThread, OccupancyOfAThreadAtWorkIsSeenWhileItWorks) {
    LambdaStage endless([] { return true; }, [] { return true; });
    StageThread busy(named("vbx-busy"), {&endless});
    Work nothing;
    LambdaStage idleStage = nothing.stage();
    StageThread idle(named("vbx-idle"), {&idleStage});
    busy.start();
    idle.start();
    spinUntil([&] { return busy.counters().steps > 1000 && idle.counters().sleeps > 0; });
    sleepMs(50);
    const StageThread::Counters one = busy.counters();
    const StageThread::Counters other = idle.counters();
    std::printf("occupancy: at work %.3f, idle %.3f\n", one.occupancy(), other.occupancy());
    EXPECT_GT(one.busyNs, 0u);
    EXPECT_LE(one.occupancy(), 1.0);
    EXPECT_EQ(other.busyNs, 0u) << "it has never done anything";
    uint64_t before = 0;
    for (int i = 0; i < 1000; i++) {
        const uint64_t now = busy.counters().busyNs;
        EXPECT_GE(now, before) << "a counter never goes back";
        before = now;
    }
}

TEST(StageThread, OccupancyStandsStillWhileItSleeps) {
    Work work;
    LambdaStage stage = work.stage();
    StageThread thread(named("vbx-still", 0), {&stage});
    thread.start();
    const uint64_t sleeps = thread.counters().sleeps;
    work.give(10);
    thread.bell().ring();
    spinUntil([&] { return work.done() == 10 && thread.counters().sleeps > sleeps; });
    const uint64_t before = thread.counters().busyNs;
    sleepMs(20);
    // Measured afresh it wavers by a trifle; at work it would have grown by 20 ms at least.
    EXPECT_LT(thread.counters().busyNs - before, 10'000'000u);
}

TEST(StageThread, AClockWakesIt) {
    class Ticking final : public Stage {
    public:
        bool step() override {
            rounds_.fetch_add(1);
            return false;
        }
        bool ready() override { return false; }
        uint64_t sleepNs() override { return 1'000'000; }
        std::atomic<uint64_t> rounds_{0};
    };
    Ticking ticking;
    Work nothing;
    LambdaStage beside = nothing.stage();
    StageThread thread(named("vbx-tick"), {&beside, &ticking});
    thread.start();
    spinUntil([&] { return ticking.rounds_.load() >= 5; });
    thread.stop();
    thread.join();
    EXPECT_GE(thread.counters().sleeps, 3u);
}

TEST(StageThread, CarriesItsNameAndItsCore) {
    std::atomic<int> core{-1};
    std::string seen;
    std::atomic<bool> asked{false};
    LambdaStage stage(
        [&] {
            if (asked.load(std::memory_order_acquire) && core.load() < 0) {
                char name[64] = {};
                pthread_getname_np(pthread_self(), name, sizeof(name));
                seen = name;
                core.store(sched_getcpu());
                return true;
            }
            return false;
        },
        [&] { return asked.load(std::memory_order_acquire) && core.load() < 0; });
    cpu_set_t usable;
    CPU_ZERO(&usable);
    ASSERT_EQ(sched_getaffinity(0, sizeof(usable), &usable), 0);
    uint32_t last = 0;
    for (uint32_t i = 0; i < CPU_SETSIZE; i++) last = CPU_ISSET(i, &usable) ? i : last;
    StageThreadOptions options = named("vbx-fifteen-ch.");
    options.core = last;
    StageThread thread(options, {&stage});
    thread.start();
    EXPECT_TRUE(thread.pinning().isOk()) << thread.pinning().toString();
    asked.store(true, std::memory_order_release);
    thread.bell().ring();
    spinUntil([&] { return core.load() >= 0; });
    EXPECT_EQ(core.load(), static_cast<int>(last));
    EXPECT_EQ(seen, "vbx-fifteen-ch.");
    thread.stop();
    thread.join();
}

TEST(StageThread, ACoreThatIsNotThereIsReportedAndStopsNothing) {
    for (const uint32_t core : {1023u, 1024u, UINT32_MAX}) {
        Work work;
        LambdaStage stage = work.stage();
        StageThreadOptions options = named("vbx-far");
        options.core = core;
        StageThread thread(options, {&stage});
        thread.start();
        EXPECT_EQ(thread.pinning().message(),
                  "pinning vbx-far to core " + std::to_string(core) + ": Invalid argument");
        work.give(1);
        thread.bell().ring();
        spinUntil([&] { return work.done() == 1; });
    }
}

TEST(StageThreadDeath, MisuseIsStoppedWithTheWayOut) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    LambdaStage stage([] { return false; }, [] { return false; });
    EXPECT_DEATH(StageThread(named("vbx-none"), {}), "give it one");
    EXPECT_DEATH(StageThread(named("vbx-sixteen-chrs"), {&stage}), "shorten");
    EXPECT_DEATH(
        {
            StageThread thread(named("vbx-twice"), {&stage});
            thread.start();
            thread.start();
        },
        "make another");
}

// The whole of it: producers → ring → three stages on three threads that sleep whenever they can.
void runPipeline(uint64_t spinNs, uint64_t count) {
    constexpr uint64_t kProducers = 2;
    MultiProducerRing<TestCell> ring(64);
    Cursor firstDone;
    Cursor secondDone;
    Barrier afterFirst({&firstDone});
    Barrier afterSecond({&secondDone});
    uint64_t next[3] = {0, 0, 0};
    std::atomic<uint64_t> wrong{0};
    StageThread* threads[3] = {};
    Doorbell room;  // rung when cells are free again
    const auto advance = [&](int stage, uint64_t end) {
        if (end == next[stage]) return false;
        for (; next[stage] < end; next[stage]++) {
            TestCell& cell = ring.at(next[stage]);
            if (stage > 0 && cell.filler[stage - 1] != next[stage]) wrong.fetch_add(1);
            cell.filler[stage] = next[stage];
        }
        return true;
    };
    LambdaStage first(
        [&] {
            if (!advance(0, ring.available(next[0], 16))) return false;
            firstDone.set(next[0]);
            threads[1]->bell().ring();
            return true;
        },
        [&] { return ring.available(next[0], 1) != next[0]; });
    LambdaStage second(
        [&] {
            if (!advance(1, afterFirst.available(next[1]))) return false;
            secondDone.set(next[1]);
            threads[2]->bell().ring();
            return true;
        },
        [&] { return afterFirst.available(next[1]) != next[1]; });
    LambdaStage third(
        [&] {
            if (!advance(2, afterSecond.available(next[2]))) return false;
            ring.free(next[2]);
            room.ring();
            return true;
        },
        [&] { return afterSecond.available(next[2]) != next[2]; });
    StageThread one(named("vbx-one", spinNs), {&first});
    StageThread two(named("vbx-two", spinNs), {&second});
    StageThread three(named("vbx-three", spinNs), {&third});
    threads[0] = &one;
    threads[1] = &two;
    threads[2] = &three;
    for (StageThread* thread : threads) thread->start();
    std::thread other([&] {
        for (uint64_t i = 0; i < count / kProducers;) {
            const Claim claim = ring.claim(1);
            if (claim.count == 0) {
                std::this_thread::yield();
                continue;
            }
            ring.release(claim);
            one.bell().ring();
            i++;
        }
    });
    Wait wait(spinNs, true);
    for (uint64_t i = 0; i < count / kProducers;) {
        const Claim claim = ring.claim(3);
        if (claim.count == 0) {
            if (wait.sleeps()) {
                wait.until(room, 1'000'000'000, [&] { return ring.size() < ring.cells(); });
            }
            continue;
        }
        ring.release(claim);
        one.bell().ring();
        i += claim.count;
    }
    other.join();
    spinUntil([&] { return ring.size() == 0; });
    EXPECT_EQ(wrong.load(), 0u);
    EXPECT_LE(ring.highWater(), 64u);
    for (StageThread* thread : threads) {
        thread->stop();
        thread->join();
        const StageThread::Counters counters = thread->counters();
        std::printf("%-9s spin %llu ns: %llu steps, %llu idle, %llu sleeps, occupancy %.2f\n",
                    thread->name().c_str(), static_cast<unsigned long long>(spinNs),
                    static_cast<unsigned long long>(counters.steps),
                    static_cast<unsigned long long>(counters.idleSteps),
                    static_cast<unsigned long long>(counters.sleeps), counters.occupancy());
        EXPECT_GE(counters.steps, 1u);
    }
    EXPECT_GE(next[2], count);
    EXPECT_EQ(next[0], next[2]);
}

TEST(StageThread, APipelineOfThreeThreadsLosesNothingHoweverTheyWait) {
    for (const uint64_t spinNs : {uint64_t{0}, kSpinLaptopNs, kSpinForEver}) {
        runPipeline(spinNs, 50'000);
    }
}

}  // namespace
}  // namespace verbex::pipeline
