#include "pipeline/barrier.h"

#include "pipeline_fixture.h"

namespace verbex::pipeline {
namespace {

TEST(Cursor, CountsUpAndHasItsLinesToItself) {
    Cursor cursors[2];
    EXPECT_EQ(reinterpret_cast<uintptr_t>(&cursors[1]) - reinterpret_cast<uintptr_t>(&cursors[0]),
              kApartBytes);
    EXPECT_EQ(cursors[0].get(), 0u);
    cursors[0].set(5);
    cursors[0].set(5);
    EXPECT_EQ(cursors[0].get(), 5u);
    EXPECT_EQ(cursors[0].getRelaxed(), 5u);
    EXPECT_EQ(cursors[1].get(), 0u);
}

TEST(CursorDeath, NeverGoesBack) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    Cursor cursor;
    cursor.set(5);
    EXPECT_DEATH(cursor.set(4), "never goes back");
}

TEST(Barrier, IsAsFarAsTheSlowest) {
    Cursor a;
    Cursor b;
    Cursor c;
    Barrier barrier({&a, &b, &c});
    EXPECT_EQ(barrier.available(0), 0u);
    a.set(10);
    b.set(7);
    EXPECT_EQ(barrier.available(0), 0u);
    c.set(9);
    EXPECT_EQ(barrier.available(0), 7u);
}

TEST(Barrier, LooksAgainOnlyWhenItMust) {
    Cursor a;
    Cursor b;
    Barrier barrier({&a, &b});
    a.set(10);
    b.set(5);
    EXPECT_EQ(barrier.available(0), 5u);
    b.set(8);
    EXPECT_EQ(barrier.available(3), 5u)
        << "5 is enough for somebody at 3: the cursors are not read";
    EXPECT_EQ(barrier.available(5), 8u);
    EXPECT_EQ(barrier.available(8), 8u) << "nothing new";
}

TEST(Barrier, OfOneIsThatOne) {
    Cursor only;
    Barrier barrier({&only});
    for (uint64_t i = 1; i < 100; i++) {
        only.set(i);
        EXPECT_EQ(barrier.available(i - 1), i);
        EXPECT_EQ(barrier.available(i), i);
    }
}

TEST(Barrier, AgreesWithTheMinimumWhateverTheOrder) {
    for (const uint64_t seed : seedsUpTo(200)) {
        Random random(seed);
        std::vector<Cursor> cursors(1 + random.below(6));
        std::vector<const Cursor*> pointers;
        for (const Cursor& cursor : cursors) pointers.push_back(&cursor);
        Barrier barrier(pointers);
        uint64_t next = 0;
        for (int i = 0; i < 300; i++) {
            Cursor& moved = cursors[random.below(cursors.size())];
            moved.set(moved.get() + random.below(20));
            uint64_t least = UINT64_MAX;
            for (const Cursor& cursor : cursors) least = std::min(least, cursor.get());
            const uint64_t end = barrier.available(next);
            ASSERT_LE(end, least) << rerun(seed);
            ASSERT_EQ(end > next, least > next) << rerun(seed);
            next += random.below(end - next + 1);
        }
        ASSERT_LE(next, barrier.available(next));
    }
}

TEST(BarrierDeath, WaitsForSomebody) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    EXPECT_DEATH(Barrier({}), "give it a cursor");
}

}  // namespace
}  // namespace verbex::pipeline
