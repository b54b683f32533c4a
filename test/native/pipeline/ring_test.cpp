// Rings on one thread: what claim, release, available and free answer. Handing over between threads
// is in hand_off_test.cpp.
#include "pipeline/ring.h"

#include "pipeline_fixture.h"

namespace verbex::pipeline {
namespace {

template <typename T>
class AnyRing : public testing::Test {};
using Rings = testing::Types<SingleProducerRing<TestCell>, MultiProducerRing<TestCell>>;

class RingNames {
public:
    template <typename T>
    static std::string GetName(int index) {
        return index == 0 ? "SingleProducer" : "MultiProducer";
    }
};
TYPED_TEST_SUITE(AnyRing, Rings, RingNames);

TYPED_TEST(AnyRing, GivesWhatFitsAndNeverWaits) {
    TypeParam ring(16);
    EXPECT_EQ(ring.cells(), 16u);
    const Claim ten = ring.claim(10);
    EXPECT_EQ(ten.first, 0u);
    EXPECT_EQ(ten.count, 10u);
    const Claim rest = ring.claim(10);
    EXPECT_EQ(rest.first, 10u);
    EXPECT_EQ(rest.count, 6u) << "as many as are free";
    EXPECT_EQ(ring.claim(1).count, 0u) << "full: an answer, no wait";
    ring.release(ten);
    ring.release(rest);
    EXPECT_EQ(ring.claim(1).count, 0u) << "released is not freed";
    ring.free(3);
    const Claim three = ring.claim(10);
    EXPECT_EQ(three.first, 16u);
    EXPECT_EQ(three.count, 3u) << "exactly the cells that were freed";
    EXPECT_EQ(ring.claim(1).count, 0u);
}

TYPED_TEST(AnyRing, ShowsNothingBeforeItsRelease) {
    TypeParam ring(8);
    for (uint64_t i = 0; i < 50; i++) {
        EXPECT_EQ(ring.available(i), i);
        const Claim claim = ring.claim(1);
        ASSERT_EQ(claim.count, 1u);
        EXPECT_EQ(claim.first, i);
        ring.at(i).fill(0, i);
        EXPECT_EQ(ring.available(i), i) << "claimed, but not released";
        ring.release(claim);
        EXPECT_EQ(ring.available(i), i + 1);
        EXPECT_EQ(ring.at(i).number, i);
        ring.free(i + 1);
    }
}

TYPED_TEST(AnyRing, AvailableIsBoundedByWhatIsAskedFor) {
    TypeParam ring(8);
    ring.release(ring.claim(8));
    EXPECT_EQ(ring.available(0), 8u);
    EXPECT_EQ(ring.available(0, 3), 3u);
    EXPECT_EQ(ring.available(5, 3), 8u);
    EXPECT_EQ(ring.available(5, 2), 7u);
    EXPECT_EQ(ring.available(8), 8u);
}

TYPED_TEST(AnyRing, SizeAndHighWaterSayHowFullItIsAndWas) {
    TypeParam ring(64);
    EXPECT_EQ(ring.size(), 0u);
    EXPECT_EQ(ring.highWater(), 0u);
    // A consumer that keeps up leaves the mark low, lap after lap.
    for (uint64_t i = 0; i < 1000; i++) {
        ring.release(ring.claim(1));
        EXPECT_EQ(ring.size(), 1u);
        ring.free(i + 1);
    }
    EXPECT_GE(ring.highWater(), 1u);
    EXPECT_LE(ring.highWater(), 64u / 8 + 1);
    // One that is 40 behind: known to an eighth of the ring.
    for (uint64_t i = 0; i < 40; i++) ring.release(ring.claim(1));
    EXPECT_EQ(ring.size(), 40u);
    EXPECT_GE(ring.highWater(), 40u - 64u / 8);
    EXPECT_LE(ring.highWater(), 40u);
    // And a full one exactly.
    EXPECT_EQ(ring.claim(64).count, 24u);
    EXPECT_EQ(ring.highWater(), 64u);
    EXPECT_EQ(ring.size(), 64u);
}

TYPED_TEST(AnyRing, SeveralLastStagesFreeTogether) {
    TypeParam ring(8);
    Cursor left;
    Cursor right;
    ring.freedBy({&left, &right});
    ring.release(ring.claim(8));
    left.set(8);
    EXPECT_EQ(ring.freed(), 0u);
    EXPECT_EQ(ring.claim(1).count, 0u) << "the slower one still reads its cells";
    right.set(2);
    EXPECT_EQ(ring.claim(8).count, 2u);
}

TYPED_TEST(AnyRing, CellsLieOnPairsOfLines) {
    for (const uint32_t cells : {1u, 2u, 64u, 1u << 16}) {
        TypeParam ring(cells);
        EXPECT_EQ(reinterpret_cast<uintptr_t>(ring.data()) % 128, 0u);
        EXPECT_EQ(&ring.at(cells), &ring.at(0));
        EXPECT_EQ(&ring.at(cells - 1), ring.data() + cells - 1);
        ring.at(cells - 1).fill(1, 2);  // inside of the block: the sanitizer watches
        ring.touchAll();
        EXPECT_TRUE(ring.at(cells - 1).whole());
    }
}

// Random claims, releases in parts and frees, against a deque.
TYPED_TEST(AnyRing, BehavesLikeAQueueOfBoundedLength) {
    for (const uint64_t seed : seedsUpTo(200)) {
        Random random(seed);
        const uint32_t cells = 1u << random.below(7);
        TypeParam ring(cells);
        std::vector<Claim> claims;
        uint64_t end = 0;
        uint64_t released = 0;
        uint64_t freed = 0;
        for (int i = 0; i < 500; i++) {
            switch (random.below(3)) {
                case 0: {
                    const auto wanted = static_cast<uint32_t>(1 + random.below(cells + 2));
                    const Claim claim = ring.claim(wanted);
                    ASSERT_EQ(claim.first, end) << rerun(seed);
                    ASSERT_EQ(claim.count, std::min<uint64_t>(wanted, freed + cells - end))
                        << rerun(seed);
                    for (uint64_t at = claim.first; at < claim.end(); at++) {
                        ring.at(at).fill(7, at);
                    }
                    end = claim.end();
                    if (claim.count != 0) claims.push_back(claim);
                    break;
                }
                case 1:
                    if (claims.empty()) break;
                    ring.release(claims.front());
                    released = claims.front().end();
                    claims.erase(claims.begin());
                    break;
                default: {
                    ASSERT_EQ(ring.available(freed), released) << rerun(seed);
                    const uint64_t upTo = freed + random.below(released - freed + 1);
                    for (; freed < upTo; freed++) {
                        ASSERT_TRUE(ring.at(freed).whole()) << rerun(seed);
                        ASSERT_EQ(ring.at(freed).number, freed) << rerun(seed);
                    }
                    ring.free(upTo);
                }
            }
            ASSERT_EQ(ring.size(), end - freed) << rerun(seed);
            ASSERT_LE(ring.highWater(), cells) << rerun(seed);
        }
    }
}

TEST(SingleProducerRing, ReleasesPartsOfAClaim) {
    SingleProducerRing<TestCell> ring(16);
    const Claim claim = ring.claim(10);
    ring.release(4);
    EXPECT_EQ(ring.available(0), 4u);
    EXPECT_EQ(ring.published().get(), 4u);
    ring.release(claim.end());
    EXPECT_EQ(ring.available(4), 10u);
}

TEST(MultiProducerRing, ShowsNoGap) {
    MultiProducerRing<TestCell> ring(16);
    for (uint64_t lap = 0; lap < 10; lap++) {
        const uint64_t from = lap * 12;
        const Claim first = ring.claim(4);
        const Claim second = ring.claim(4);
        const Claim third = ring.claim(4);
        ring.release(third);
        EXPECT_EQ(ring.available(from), from);
        ring.release(first);
        EXPECT_EQ(ring.available(from), from + 4) << "the second claim is under way";
        ring.release(second);
        EXPECT_EQ(ring.available(from), from + 12) << "and now the third is seen as well";
        ring.free(from + 12);
    }
}

TEST(MultiProducerRing, PrepareIsToldThePlaceAndMayTakeLess) {
    MultiProducerRing<TestCell> ring(8);
    const Claim five = ring.claim(5, [](uint64_t first, uint32_t most) {
        EXPECT_EQ(first, 0u);
        EXPECT_EQ(most, 5u);
        return most;
    });
    EXPECT_EQ(five.count, 5u);
    const Claim two = ring.claim(5, [](uint64_t first, uint32_t most) {
        EXPECT_EQ(first, 5u);
        EXPECT_EQ(most, 3u) << "what is free";
        return 2u;
    });
    EXPECT_EQ(two.first, 5u);
    EXPECT_EQ(two.count, 2u);
    EXPECT_EQ(ring.claim(5, [](uint64_t, uint32_t) { return 0u; }).count, 0u);
    EXPECT_EQ(ring.size(), 7u);
    EXPECT_EQ(ring.claim(5).count, 1u);
    bool asked = false;
    const Claim none = ring.claim(5, [&](uint64_t, uint32_t) {
        asked = true;
        return 1u;
    });
    EXPECT_EQ(none.count, 0u);
    EXPECT_FALSE(asked) << "there was nothing to take";
}

// Another producer is quicker while prepare() thinks: it is asked again, at the new place.
TEST(MultiProducerRing, PrepareIsAskedAgainWhenOvertaken) {
    MultiProducerRing<TestCell> ring(8);
    std::vector<uint64_t> firsts;
    std::vector<uint32_t> most;
    const Claim claim = ring.claim(4, [&](uint64_t first, uint32_t given) {
        firsts.push_back(first);
        most.push_back(given);
        if (firsts.size() == 1) (void)ring.claim(6);
        return given;
    });
    EXPECT_EQ(claim.first, 6u);
    EXPECT_EQ(claim.count, 2u) << "what is left after the other's claim";
    ASSERT_GE(firsts.size(), 2u);
    EXPECT_EQ(firsts.front(), 0u);
    EXPECT_EQ(firsts.back(), 6u);
    EXPECT_EQ(most.back(), 2u);
}

// The claim cursor that a producer has read may be overtaken by laps before it goes on.
TEST(MultiProducerRing, AProducerThatWasAsleepForLapsFindsItsPlace) {
    MultiProducerRing<TestCell> ring(8);
    bool slept = false;
    const Claim claim = ring.claim(8, [&](uint64_t, uint32_t most) {
        if (!slept) {
            slept = true;
            for (uint64_t i = 0; i < 30; i++) {
                const Claim other = ring.claim(1);
                EXPECT_EQ(other.count, 1u);
                ring.release(other);
                ring.free(other.end());
            }
        }
        return most;
    });
    EXPECT_EQ(claim.first, 30u);
    EXPECT_EQ(claim.count, 8u);
    EXPECT_EQ(ring.claim(1).count, 0u);
}

using RingDeath = testing::Test;

TEST(RingDeath, MisuseIsStoppedWithTheWayOut) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    EXPECT_DEATH(SingleProducerRing<TestCell>(12), "power of two");
    EXPECT_DEATH(MultiProducerRing<TestCell>(0), "power of two");
    {
        SingleProducerRing<TestCell> ring(8);
        const Claim claim = ring.claim(4);
        EXPECT_DEATH(ring.release(5), "release what was claimed");
        ring.release(claim);
        EXPECT_DEATH(ring.release(claim), "in the order of claiming");
        ring.free(2);
        EXPECT_DEATH(ring.free(1), "never less");
        EXPECT_DEATH(ring.freedBy({}), "name a cursor");
    }
    {
        SingleProducerRing<TestCell> ring(8);
        Cursor last;
        ring.freedBy({&last});
        EXPECT_DEATH(ring.free(0), "move those");
    }
    {
        MultiProducerRing<TestCell> ring(8);
        EXPECT_DEATH((void)ring.claim(1, [](uint64_t, uint32_t) { return 2u; }), "up to `most`");
        const Claim claim = ring.claim(4);
        ring.release(claim);
        EXPECT_DEATH(ring.release(claim), "release a claim once");
    }
}

}  // namespace
}  // namespace verbex::pipeline
