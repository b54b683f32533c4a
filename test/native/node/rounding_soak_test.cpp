#include "node/rounding_soak.h"

#include <fenv.h>

#include <gtest/gtest.h>

namespace verbex::node {
namespace {

TEST(RoundingSoak, FindsNothingOnASoundMachineAndInterruptsItselfALot) {
    RoundingSoak soak({.durationNs = 300'000'000});
    const RoundingSoakResult result = soak.run();
    EXPECT_EQ(result.wrong, 0u) << result.first.what << " after " << result.first.after;
    EXPECT_GE(result.threads, 2u);
    EXPECT_GT(result.checks, 10'000u);
    EXPECT_GT(result.signals, 100u);
    EXPECT_GT(result.contextSwitches, 10u);
}

TEST(RoundingSoak, FindsAModeThatIsLostOnceAndNamesIt) {
    const int before = ::fegetround();
    RoundingSoak soak({.durationNs = 500'000'000, .threads = 2, .damage = true});
    const RoundingSoakResult result = soak.run();
    EXPECT_GE(result.wrong, 1u);
    EXPECT_EQ(result.first.thread, 0u);
    EXPECT_EQ(result.first.what, "mode");
    EXPECT_NE(result.first.expected, result.first.found);
    EXPECT_EQ(::fegetround(), before);
}

}  // namespace
}  // namespace verbex::node
