// Cells handed over between threads: each once, whole, in order. VERBEX_HANDOFFS=<n> hands over
// that many in each soak (a billion before a release); a core of its own for each thread makes it
// quick, but any number will do.
#include <atomic>
#include <memory>

#include "pipeline/barrier.h"
#include "pipeline/ring.h"
#include "pipeline_fixture.h"

namespace verbex::pipeline {
namespace {

#if defined(__SANITIZE_THREAD__)
constexpr uint64_t kHandOffs = 1'000'000;
#else
constexpr uint64_t kHandOffs = 20'000'000;
#endif

uint64_t handOffs(uint64_t usual = kHandOffs) {
    const char* wanted = std::getenv("VERBEX_HANDOFFS");
    return wanted == nullptr ? usual : std::strtoull(wanted, nullptr, 10);
}

// What a consumer found wrong first; the threads go on, so that all of them end.
class Verdict {
public:
    void expect(bool right, const char* what, uint64_t at) {
        if (right || wrong_.exchange(true)) return;
        what_ = what;
        at_ = at;
    }
    void report() const { EXPECT_FALSE(wrong_.load()) << what_ << " at " << at_; }

private:
    std::atomic<bool> wrong_{false};
    const char* what_ = "";
    uint64_t at_ = 0;
};

// Fills and releases `count` cells as producer `from`, in batches of up to `batchMax`.
template <typename AnyRing>
void produce(AnyRing& ring, uint64_t from, uint64_t count, uint64_t batchMax) {
    Random random(from + 1);
    uint64_t number = 0;
    while (number < count) {
        const auto wanted =
            static_cast<uint32_t>(std::min(1 + random.below(batchMax), count - number));
        Claim claim;
        spinUntil([&] {
            claim = ring.claim(wanted);
            return claim.count != 0;
        });
        for (uint64_t at = claim.first; at < claim.end(); at++) ring.at(at).fill(from, number++);
        ring.release(claim);
    }
}

// 1 → 1
void handOver(uint32_t cells, uint64_t count, uint64_t batchMax) {
    SingleProducerRing<TestCell> ring(cells);
    Verdict verdict;
    std::thread producer([&] { produce(ring, 3, count, batchMax); });
    uint64_t next = 0;
    while (next < count) {
        uint64_t end = next;
        spinUntil([&] {
            end = ring.available(next);
            return end != next;
        });
        verdict.expect(end <= count && end - next <= cells, "more than was produced", end);
        for (; next < end; next++) {
            const TestCell& cell = ring.at(next);
            verdict.expect(cell.whole() && cell.producer == 3, "a broken cell", next);
            verdict.expect(cell.number == next, "a cell out of order", next);
        }
        ring.free(next);
    }
    producer.join();
    verdict.report();
    EXPECT_EQ(ring.available(next), next);
    EXPECT_EQ(ring.size(), 0u);
}

TEST(HandOff, OneProducerToOneConsumer) {
    handOver(1024, handOffs(), 64);
}

TEST(HandOff, OneProducerToOneConsumerThroughTheSmallestRings) {
    for (const uint32_t cells : {1u, 2u, 4u}) handOver(cells, 50'000, 3);
}

// N → 1
void handOverFromMany(uint32_t cells, uint64_t producers, uint64_t count, uint64_t batchMax) {
    MultiProducerRing<TestCell> ring(cells);
    Verdict verdict;
    std::vector<std::thread> threads;
    for (uint64_t i = 0; i < producers; i++) {
        threads.emplace_back([&, i] { produce(ring, i, count / producers, batchMax); });
    }
    const uint64_t total = count / producers * producers;
    std::vector<uint64_t> numbers(producers, 0);
    uint64_t next = 0;
    while (next < total) {
        uint64_t end = next;
        spinUntil([&] {
            end = ring.available(next, 256);
            return end != next;
        });
        verdict.expect(end - next <= 256, "more than was asked for", end);
        for (; next < end; next++) {
            const TestCell& cell = ring.at(next);
            const bool whole = cell.whole() && cell.producer < producers;
            verdict.expect(whole, "a broken cell", next);
            if (whole) {
                verdict.expect(cell.number == numbers[cell.producer], "lost or doubled", next);
                numbers[cell.producer] = cell.number + 1;
            }
        }
        ring.free(next);
    }
    for (std::thread& thread : threads) thread.join();
    verdict.report();
    for (const uint64_t number : numbers) EXPECT_EQ(number, count / producers);
    EXPECT_EQ(ring.available(next), next);
}

TEST(HandOff, ThreeProducersToOneConsumer) {
    handOverFromMany(1024, 3, handOffs(), 64);
}

TEST(HandOff, ManyProducersThroughTheSmallestRings) {
    for (const uint32_t cells : {1u, 2u, 8u}) handOverFromMany(cells, 5, 50'000, 3);
}

// 1 → a chain of three, and N → a chain: every stage sees a cell only after the one before.
template <typename AnyRing>
void handThroughChain(AnyRing& ring, uint64_t producers, uint64_t count) {
    Verdict verdict;
    Cursor first;
    Cursor second;
    const uint64_t total = count / producers * producers;
    std::vector<std::thread> threads;
    for (uint64_t i = 0; i < producers; i++) {
        threads.emplace_back([&, i] { produce(ring, i, count / producers, 32); });
    }
    // Each stage writes its mark into the cells and finds the one of the stage before.
    const auto follow = [&](auto&& available, uint64_t stage, auto&& done) {
        uint64_t next = 0;
        while (next < total) {
            uint64_t end = next;
            spinUntil([&] {
                end = available(next);
                return end != next;
            });
            for (; next < end; next++) {
                TestCell& cell = ring.at(next);
                verdict.expect(cell.whole(), "a broken cell", next);
                if (stage > 0) {
                    verdict.expect(cell.filler[stage - 1] == next * 4 + stage - 1,
                                   "ahead of the stage before", next);
                }
                cell.filler[stage] = next * 4 + stage;
            }
            done(next);
        }
    };
    threads.emplace_back([&] {
        follow([&](uint64_t next) { return ring.available(next); }, 0,
               [&](uint64_t end) { first.set(end); });
    });
    threads.emplace_back([&] {
        Barrier barrier({&first});
        follow([&](uint64_t next) { return barrier.available(next); }, 1,
               [&](uint64_t end) { second.set(end); });
    });
    Barrier barrier({&second});
    follow([&](uint64_t next) { return barrier.available(next); }, 2,
           [&](uint64_t end) { ring.free(end); });
    for (std::thread& thread : threads) thread.join();
    verdict.report();
    EXPECT_EQ(ring.size(), 0u);
}

TEST(HandOff, OneProducerThroughAChainOfThree) {
    SingleProducerRing<TestCell> ring(512);
    handThroughChain(ring, 1, handOffs(kHandOffs / 10));
}

TEST(HandOff, TwoProducersThroughAChainOfThree) {
    MultiProducerRing<TestCell> ring(512);
    handThroughChain(ring, 2, handOffs(kHandOffs / 10));
}

// 1 → two side by side → 1 behind a barrier, which alone frees; and without it, both free.
TEST(HandOff, AStageBehindTwoSideBySideWaitsForBoth) {
    constexpr uint64_t kCount = 400'000;
    SingleProducerRing<TestCell> ring(64);
    Verdict verdict;
    Cursor left;
    Cursor right;
    const auto mark = [&](Cursor& done, uint64_t slot) {
        for (uint64_t next = 0; next < kCount;) {
            uint64_t end = next;
            spinUntil([&] { return (end = ring.available(next)) != next; });
            for (; next < end; next++) ring.at(next).filler[slot] = next + slot;
            done.set(next);
        }
    };
    std::thread producer([&] { produce(ring, 0, kCount, 16); });
    std::thread one([&] { mark(left, 1); });
    std::thread other([&] { mark(right, 9); });
    Barrier barrier({&left, &right});
    for (uint64_t next = 0; next < kCount;) {
        uint64_t end = next;
        spinUntil([&] { return (end = barrier.available(next)) != next; });
        for (; next < end; next++) {
            const TestCell& cell = ring.at(next);
            verdict.expect(cell.filler[1] == next + 1 && cell.filler[9] == next + 9,
                           "ahead of one of the two", next);
        }
        ring.free(next);
    }
    producer.join();
    one.join();
    other.join();
    verdict.report();
}

TEST(HandOff, CellsStayUntilBothLastStagesHavePassed) {
    constexpr uint64_t kCount = 400'000;
    SingleProducerRing<TestCell> ring(64);
    Verdict verdict;
    Cursor last[2];
    ring.freedBy({&last[0], &last[1]});
    const auto read = [&](Cursor& done) {
        for (uint64_t next = 0; next < kCount;) {
            uint64_t end = next;
            spinUntil([&] { return (end = ring.available(next)) != next; });
            for (; next < end; next++) {
                verdict.expect(ring.at(next).whole() && ring.at(next).number == next,
                               "overwritten too early", next);
            }
            done.set(next);
        }
    };
    std::thread producer([&] { produce(ring, 0, kCount, 16); });
    std::thread other([&] { read(last[1]); });
    read(last[0]);
    producer.join();
    other.join();
    verdict.report();
    EXPECT_EQ(ring.freed(), kCount);
}

// The point of a conditional claim: a clock read inside of it never runs against the cells' order.
TEST(HandOff, AClockReadInsideTheClaimFollowsTheOrderOfTheCells) {
    constexpr uint64_t kEach = 300'000;
    constexpr uint64_t kProducers = 3;
    MultiProducerRing<TestCell> ring(256);
    Verdict verdict;
    // Every reading is later than the one before, as with a real clock; but here even by the
    // smallest step, so that no inversion hides behind a coarse one.
    std::atomic<uint64_t> clock{0};
    std::atomic<uint64_t> askedAgain{0};
    std::vector<std::thread> threads;
    for (uint64_t i = 0; i < kProducers; i++) {
        threads.emplace_back([&, i] {
            uint64_t again = 0;
            for (uint64_t done = 0; done < kEach;) {
                uint64_t time = 0;
                int asked = 0;
                Claim claim;
                spinUntil([&] {
                    claim = ring.claim(3, [&](uint64_t, uint32_t most) {
                        time = clock.fetch_add(1) + 1;
                        // Between the reading and the claim is where an overtaker would come in.
                        if (time % 64 == 0) std::this_thread::yield();
                        again += asked++ == 0 ? 0 : 1;
                        return std::min<uint32_t>(most, 1 + time % 3);
                    });
                    return claim.count != 0;
                });
                for (uint64_t at = claim.first; at < claim.end(); at++) ring.at(at).fill(i, time);
                ring.release(claim);
                done += claim.count;
            }
            askedAgain += again;
            const Claim end = [&] {
                Claim claim;
                spinUntil([&] { return (claim = ring.claim(1)).count != 0; });
                return claim;
            }();
            ring.at(end.first).fill(kProducers, 0);
            ring.release(end);
        });
    }
    uint64_t ended = 0;
    uint64_t latest = 0;
    for (uint64_t next = 0; ended < kProducers;) {
        uint64_t end = next;
        spinUntil([&] { return (end = ring.available(next)) != next; });
        for (; next < end; next++) {
            const TestCell& cell = ring.at(next);
            verdict.expect(cell.whole(), "a broken cell", next);
            if (cell.producer == kProducers) {
                ended++;
            } else {
                verdict.expect(cell.number >= latest, "time runs back", next);
                latest = std::max(latest, cell.number);
            }
        }
        ring.free(next);
    }
    for (std::thread& thread : threads) thread.join();
    verdict.report();
    std::printf("prepare() was asked again %llu times\n",
                static_cast<unsigned long long>(askedAgain.load()));
}

}  // namespace
}  // namespace verbex::pipeline
