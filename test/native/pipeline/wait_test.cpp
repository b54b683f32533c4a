// Doorbell and Wait: no wake-up is lost, idle threads sleep, and looking has its bounds. Times are
// printed and never judged: a busy machine may make anything late.
#include "pipeline/wait.h"

#include <atomic>
#include <chrono>
#include <sys/resource.h>

#include "pipeline_fixture.h"

namespace verbex::pipeline {
namespace {

using Clock = std::chrono::steady_clock;

uint64_t nsSince(Clock::time_point started) {
    return static_cast<uint64_t>(
        std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - started).count());
}

uint64_t threadCpuNs() {
    rusage usage{};
    getrusage(RUSAGE_THREAD, &usage);
    const auto ns = [](const timeval& time) {
        return static_cast<uint64_t>(time.tv_sec) * 1'000'000'000 +
               static_cast<uint64_t>(time.tv_usec) * 1000;
    };
    return ns(usage.ru_utime) + ns(usage.ru_stime);
}

// A lost wake-up would last for ever; so long is taken as that.
constexpr uint64_t kLostNs = 20'000'000'000;

// Two threads that pass a ball, each asleep whenever the other has it. A lost wake-up stops the
// game until the time is over.
void playBall(uint64_t rounds, uint64_t spinNs, bool yields) {
    Doorbell bells[2];
    std::atomic<uint64_t> ball{0};
    std::atomic<bool> lost{false};
    const auto play = [&](uint64_t parity) {
        Wait wait(spinNs, yields);
        for (;;) {
            const uint64_t at = ball.load(std::memory_order_acquire);
            if (at >= rounds || lost.load(std::memory_order_relaxed)) break;
            if (at % 2 == parity) {
                ball.store(at + 1, std::memory_order_release);
                bells[1 - parity].ring();
                continue;
            }
            const Clock::time_point started = Clock::now();
            wait.until(bells[parity], kLostNs, [&] {
                const uint64_t now = ball.load(std::memory_order_acquire);
                return now % 2 == parity || now >= rounds;
            });
            if (nsSince(started) >= kLostNs) lost.store(true);
        }
        bells[1 - parity].ring();
    };
    std::thread opponent([&] { play(1); });
    play(0);
    opponent.join();
    EXPECT_FALSE(lost.load()) << "a wake-up was lost at " << ball.load();
    EXPECT_GE(ball.load(), rounds);
}

TEST(Doorbell, APingPongNeverSleepsThroughARing) {
    playBall(30'000, 0, false);
}

TEST(Doorbell, APingPongThatLooksFirstNeverDoesEither) {
    playBall(30'000, 1'000, false);
    playBall(30'000, 20'000, true);
}

// The narrowest place: one side answers at once, just when the other lies down. A ring() that only
// looks whether somebody sleeps loses a wake-up here now and then.
TEST(Doorbell, AnAnswerThatMeetsTheSleeperLyingDownWakesIt) {
    constexpr uint64_t kRounds = 200'000;
    Doorbell bell;
    Cursor question;
    Cursor answer;
    std::atomic<bool> lost{false};
    std::thread answering([&] {
        for (uint64_t i = 1; i <= kRounds && !lost.load(); i++) {
            spinUntil([&] { return question.get() == i || lost.load(); });
            answer.set(i);
            bell.ring();
        }
    });
    Random random(1);
    for (uint64_t i = 1; i <= kRounds && !lost.load(); i++) {
        question.set(i);
        // Anywhere from before the answer to after it.
        for (uint64_t pauses = random.below(24); pauses > 0; pauses--) relax();
        const Clock::time_point started = Clock::now();
        while (answer.get() != i) bell.sleep(kLostNs, [&] { return answer.get() == i; });
        if (nsSince(started) >= kLostNs) {
            lost.store(true);
            EXPECT_LT(nsSince(started), kLostNs) << "a wake-up was lost at " << i;
        }
    }
    answering.join();
    std::printf("slept %llu times of %llu\n", static_cast<unsigned long long>(bell.sleeps()),
                static_cast<unsigned long long>(kRounds));
}

// Many ring for one sleeper, each after work of its own: all work is seen.
TEST(Doorbell, ManyRingersLoseNothing) {
    constexpr uint64_t kEach = 20'000;
    constexpr size_t kRingers = 3;
    Doorbell bell;
    Cursor done[kRingers];
    std::atomic<bool> lost{false};
    std::vector<std::thread> ringers;
    for (size_t i = 0; i < kRingers; i++) {
        ringers.emplace_back([&, i] {
            Random random(i + 1);
            for (uint64_t n = 1; n <= kEach; n++) {
                done[i].set(n);
                bell.ring();
                if (random.below(8) == 0) std::this_thread::yield();
            }
        });
    }
    const auto sum = [&] {
        uint64_t total = 0;
        for (const Cursor& cursor : done) total += cursor.get();
        return total;
    };
    uint64_t seen = 0;
    while (seen < kEach * kRingers && !lost.load()) {
        const Clock::time_point started = Clock::now();
        bell.sleep(kLostNs, [&] { return sum() != seen; });
        if (nsSince(started) >= kLostNs) lost.store(true);
        seen = sum();
    }
    for (std::thread& ringer : ringers) ringer.join();
    EXPECT_FALSE(lost.load()) << "a wake-up was lost at " << seen;
    EXPECT_EQ(seen, kEach * kRingers);
}

TEST(Doorbell, DoesNotSleepWhereThereIsWork) {
    Doorbell bell;
    bell.sleep(1'000'000, [] { return true; });
    EXPECT_EQ(bell.sleeps(), 0u);
    bell.sleep(1, [] { return false; });
    EXPECT_EQ(bell.sleeps(), 1u);
}

// The exchange that makes a wake-up safe also means that a bell rung too early is no answer: the
// second look is.
TEST(Doorbell, ARingBeforeTheSleepIsFoundByTheLook) {
    Doorbell bell;
    std::atomic<bool> work{false};
    work.store(true, std::memory_order_release);
    bell.ring();
    bell.sleep(1'000'000, [&] { return work.load(std::memory_order_acquire); });
    EXPECT_EQ(bell.sleeps(), 0u);
}

TEST(DoorbellDeath, OfAThreadThatNeverSleepsIsNotSleptOn) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    Doorbell bell(false);
    bell.ring();
    EXPECT_DEATH(bell.sleep(1, [] { return false; }), "Doorbell\\(true\\)");
}

TEST(Wait, FindsWhatIsThereWithoutSleeping) {
    Doorbell bell;
    Wait wait(0);
    wait.until(bell, Doorbell::kForEver, [] { return true; });
    int looks = 0;
    wait.until(bell, Doorbell::kForEver, [&] { return ++looks == Wait::kLooks; });
    EXPECT_EQ(bell.sleeps(), 0u);
    EXPECT_EQ(wait.spins(), 0u);
    EXPECT_EQ(looks, Wait::kLooks);
}

TEST(Wait, LooksForSoLongAndThenSleeps) {
    Doorbell bell;
    Wait wait(200'000);
    const Clock::time_point started = Clock::now();
    // Again where the machine was so busy that the time was over before the looking.
    for (uint64_t i = 1; bell.sleeps() == 0; i++) {
        wait.until(bell, 2'000'000, [] { return false; });
        EXPECT_GE(wait.spins(), i);
        EXPECT_GE(nsSince(started), i * 2'000'000) << "nobody rang";
    }
}

TEST(Wait, SleepsAtOnceBehindASleepThatOnlyEnded) {
    Doorbell bell;
    Wait wait(200'000);
    wait.until(bell, 1'000'000, [] { return false; });
    const uint64_t spins = wait.spins();
    const uint64_t sleeps = bell.sleeps();
    for (int i = 0; i < 5; i++) wait.until(bell, 1'000'000, [] { return false; });
    EXPECT_EQ(wait.spins(), spins + 5) << "one round of looks each, no more";
    EXPECT_EQ(bell.sleeps(), sleeps + 5);
    // Work came: now it is worth looking for more.
    wait.until(bell, 1'000'000, [] { return true; });
    wait.until(bell, 1'000'000, [] { return false; });
    EXPECT_GT(wait.spins(), spins + 6);
}

TEST(Wait, ReturnsWhenTheTimeIsOverHoweverItWaits) {
    for (const bool yields : {false, true}) {
        for (const uint64_t spinNs :
             {uint64_t{0}, uint64_t{100'000}, kSpinServerNs, kSpinForEver}) {
            Doorbell bell(spinNs != kSpinForEver);
            Wait wait(spinNs, yields);
            EXPECT_EQ(wait.sleeps(), spinNs != kSpinForEver);
            for (const uint64_t forNs : {uint64_t{0}, uint64_t{1}, uint64_t{300'000}}) {
                wait.until(bell, forNs, [] { return false; });
            }
        }
    }
}

TEST(Wait, ForEverNeverSleepsAndIsWokenByTheWorkAlone) {
    Doorbell bell(false);
    Wait wait(kSpinForEver, true);
    std::atomic<bool> work{false};
    std::thread other([&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        work.store(true, std::memory_order_release);
        bell.ring();
    });
    wait.until(bell, Doorbell::kForEver, [&] { return work.load(std::memory_order_acquire); });
    other.join();
    EXPECT_TRUE(work.load());
    EXPECT_EQ(bell.sleeps(), 0u);
}

TEST(Wait, OfAPlanYieldsWhereThreadsOutnumberCores) {
    ThreadPlan plan;
    plan.spinNs = kSpinForEver;
    EXPECT_FALSE(Wait(plan, 2).yields());
    EXPECT_TRUE(Wait(plan, 1).yields());
    plan.kind = PlanKind::Pipelined;
    EXPECT_FALSE(Wait(plan, 5).yields());
    EXPECT_TRUE(Wait(plan, 4).yields());
    EXPECT_FALSE(Wait(plan, 4).sleeps());
}

TEST(Wait, AnIdleThreadSleeps) {
    Doorbell bell;
    std::atomic<bool> stop{false};
    std::atomic<uint64_t> cpuNs{0};
    std::thread idle([&] {
        Wait wait(kSpinLaptopNs);
        const uint64_t before = threadCpuNs();
        while (!stop.load(std::memory_order_acquire)) {
            wait.until(bell, Doorbell::kForEver,
                       [&] { return stop.load(std::memory_order_acquire); });
        }
        cpuNs = threadCpuNs() - before;
    });
    const Clock::time_point started = Clock::now();
    std::this_thread::sleep_for(std::chrono::seconds(1));
    stop.store(true, std::memory_order_release);
    bell.ring();
    idle.join();
    const double share = static_cast<double>(cpuNs) / static_cast<double>(nsSince(started));
    std::printf("idle for a second: %.3f%% of a core\n", share * 100);
    EXPECT_GE(bell.sleeps(), 1u);
}

}  // namespace
}  // namespace verbex::pipeline
