#include "pipeline/thread_plan.h"

#include "pipeline_fixture.h"

namespace verbex::pipeline {
namespace {

std::string parsed(std::string_view text, uint32_t cores = 4) {
    ThreadPlan plan;
    return parsePlan(text, cores, &plan) ? plan.name() : "no plan";
}

TEST(ThreadPlan, EveryNameThatAPlanHasIsReadAsThatPlan) {
    EXPECT_EQ(parsed("serial"), "serial");
    EXPECT_EQ(parsed("pipelined"), "pipelined");
    EXPECT_EQ(parsed("sharded"), "sharded:2x2");
    for (uint32_t risk = 1; risk <= kShardsMax; risk++) {
        for (uint32_t matching = 1; matching <= kShardsMax; matching++) {
            ThreadPlan plan;
            plan.kind = PlanKind::Sharded;
            plan.riskShards = risk;
            plan.matchingShards = matching;
            ThreadPlan read;
            ASSERT_TRUE(parsePlan(plan.name(), 64, &read)) << plan.name();
            EXPECT_EQ(read.riskShards, risk);
            EXPECT_EQ(read.matchingShards, matching);
            EXPECT_EQ(read.threads(), 2 + risk + matching);
            EXPECT_EQ(read.name(), plan.name());
        }
    }
}

TEST(ThreadPlan, RefusesWhatIsNoPlanAndLeavesTheOneThereIs) {
    for (const char* text : {"",
                             " ",
                             "serial ",
                             "Serial",
                             "serial:1x1",
                             "pipelined:2x2",
                             "sharded:",
                             "sharded:x",
                             "sharded:2",
                             "sharded:2x",
                             "sharded:x2",
                             "sharded:0x1",
                             "sharded:1x0",
                             "sharded:17x1",
                             "sharded:1x17",
                             "sharded:-1x1",
                             "sharded:+1x1",
                             "sharded: 1x1",
                             "sharded:1x1 ",
                             "sharded:1x1x1",
                             "sharded:1X1",
                             "sharded2x2",
                             "shardedx",
                             "sharded:4294967297x1",
                             "sharded:99999999999999999999x1",
                             "auto:2",
                             "autos"}) {
        ThreadPlan plan;
        plan.riskShards = 9;
        EXPECT_FALSE(parsePlan(text, 4, &plan)) << "\"" << text << "\"";
        EXPECT_EQ(plan.riskShards, 9u) << "\"" << text << "\"";
    }
}

// Texts that are nearly plans: whatever is read as a plan has a name that is read as the same one.
TEST(ThreadPlan, WhateverIsReadHasANameThatIsReadAgain) {
    const std::string parts[] = {"sharded", ":",      "x",         "1",    "2", "16", "17",
                                 "0",       "serial", "pipelined", "auto", " ", "-"};
    uint64_t plans = 0;
    for (const uint64_t seed : seedsUpTo(20'000)) {
        Random random(seed);
        std::string text;
        if (random.below(2) == 0) text = "sharded:";
        for (uint64_t i = 1 + random.below(4); i > 0; i--) text += parts[random.below(13)];
        const auto cores = static_cast<uint32_t>(1 + random.below(64));
        ThreadPlan plan;
        if (!parsePlan(text, cores, &plan)) continue;
        plans++;
        ASSERT_GE(plan.riskShards, 1u) << text << " " << rerun(seed);
        ASSERT_LE(plan.riskShards, kShardsMax) << text << " " << rerun(seed);
        ASSERT_GE(plan.matchingShards, 1u) << text << " " << rerun(seed);
        ASSERT_LE(plan.matchingShards, kShardsMax) << text << " " << rerun(seed);
        ThreadPlan again;
        ASSERT_TRUE(parsePlan(plan.name(), cores, &again)) << text << " " << rerun(seed);
        ASSERT_EQ(again.name(), plan.name()) << rerun(seed);
        ASSERT_EQ(again.spinNs, plan.spinNs) << rerun(seed);
        ASSERT_EQ(plan.spinNs, automaticSpinNs(plan, cores)) << rerun(seed);
    }
    EXPECT_TRUE(plans > 100 || std::getenv("VERBEX_SEED") != nullptr) << plans;
}

TEST(ThreadPlan, AutoNeverAsksForMoreThreadsThanThereAreCores) {
    EXPECT_EQ(parsed("auto", 1), "serial");
    EXPECT_EQ(parsed("auto", 5), "serial");
    EXPECT_EQ(parsed("auto", 6), "pipelined");
    EXPECT_EQ(parsed("auto", 9), "pipelined");
    EXPECT_EQ(parsed("auto", 10), "sharded:2x2");
    for (uint32_t cores = 1; cores <= 256; cores++) {
        const ThreadPlan plan = automaticPlan(cores);
        EXPECT_LE(plan.threads(), cores);
        EXPECT_EQ(plan.spinNs, cores == 1 ? kSpinLaptopNs : kSpinServerNs) << cores;
    }
}

TEST(ThreadPlan, ThisProcessMayUseACore) {
    EXPECT_GE(usableCores(), 1u);
}

}  // namespace
}  // namespace verbex::pipeline
