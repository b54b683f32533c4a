// What a member must not forget: the process or the machine stops at every call of a store, and a damaged
// file is never taken for a fresh start.
#include "replication/member_facts.h"

#include <gtest/gtest.h>

#include "sim/disk.h"

namespace verbex::replication::test {
namespace {

using sim::CrashMoment;
using sim::DiskCall;
using sim::DiskFault;
using sim::RestartMode;
using sim::SimulatedDisk;

const std::string kData = "data";

MemberFacts facts(uint64_t round) {
    MemberFacts made;
    made.id = static_cast<MemberId>(1 + round % kMembersMax);
    made.incarnation = round;
    made.promised = round * 3 + 1;
    made.cluster = ~round;
    made.boot = round << 40;
    made.closed = round % 2 == 0;
    made.durable = round % 3 == 0;
    return made;
}

TEST(MemberFacts, NoneYet) {
    SimulatedDisk disk;
    const auto loaded = loadMemberFacts(disk, kData);
    ASSERT_TRUE(loaded.isOk());
    EXPECT_FALSE(loaded.value().has_value());
}

TEST(MemberFacts, WhatWasStoredIsFound) {
    SimulatedDisk disk;
    for (uint64_t round = 0; round < 40; ++round) {
        ASSERT_TRUE(storeMemberFacts(disk, kData, facts(round)).isOk());
        disk.restart(round % 2 == 0 ? RestartMode::PowerCut : RestartMode::ProcessCrash, round);
        const auto loaded = loadMemberFacts(disk, kData);
        ASSERT_TRUE(loaded.isOk()) << loaded.status().toString();
        ASSERT_EQ(loaded.value(), facts(round));
        ASSERT_EQ(disk.contents("data/member").size(), 128u);
    }
}

// The first store, a later one, and what a crashed one leaves in the next one's way.
TEST(MemberFacts, ACrashAtEveryCallLeavesTheOldOrTheNewOnes) {
    constexpr uint64_t kStores = 4;
    SimulatedDisk whole;
    for (uint64_t round = 0; round < kStores; ++round) {
        ASSERT_TRUE(storeMemberFacts(whole, kData, facts(round)).isOk());
    }
    unsigned points = 0;
    for (uint64_t call = 1; call <= whole.calls(); ++call) {
        for (const CrashMoment moment : {CrashMoment::Before, CrashMoment::After}) {
            for (const RestartMode mode : {RestartMode::ProcessCrash, RestartMode::PowerCut}) {
                for (uint64_t seed = 0; seed < 16; ++seed) {
                    SimulatedDisk disk;
                    disk.crashAt(call, moment);
                    uint64_t stored = 0;
                    while (storeMemberFacts(disk, kData, facts(stored)).isOk()) ++stored;
                    ASSERT_LT(stored, kStores);
                    disk.restart(mode, seed);
                    auto loaded = loadMemberFacts(disk, kData);
                    ASSERT_TRUE(loaded.isOk()) << loaded.status().toString() << " call " << call;
                    std::optional<MemberFacts> before;
                    if (stored > 0) before = facts(stored - 1);
                    const bool newer = loaded.value() == facts(stored);
                    ASSERT_TRUE(newer || loaded.value() == before)
                        << "call " << call << " mode " << static_cast<int>(mode);
                    // What somebody has been told stays, whenever the power goes.
                    disk.restart(RestartMode::PowerCut, seed + 1);
                    ASSERT_EQ(loadMemberFacts(disk, kData).value(), newer ? facts(stored) : before)
                        << "call " << call << " mode " << static_cast<int>(mode);
                    ASSERT_TRUE(storeMemberFacts(disk, kData, facts(90)).isOk());
                    disk.restart(RestartMode::PowerCut, seed + 2);
                    ASSERT_EQ(loadMemberFacts(disk, kData).value(), facts(90));
                    ++points;
                }
            }
        }
    }
    ASSERT_GE(points, kStores * 5 * 4 * 16);
}

TEST(MemberFacts, AFailingCallIsAnsweredAndTheNextStoreCounts) {
    SimulatedDisk whole;
    ASSERT_TRUE(storeMemberFacts(whole, kData, facts(1)).isOk());
    const uint64_t first = whole.calls();
    ASSERT_TRUE(storeMemberFacts(whole, kData, facts(2)).isOk());
    for (uint64_t call = first + 1; call <= whole.calls(); ++call) {
        for (const DiskFault fault : {DiskFault::IoError, DiskFault::NoSpace}) {
            SimulatedDisk disk;
            ASSERT_TRUE(storeMemberFacts(disk, kData, facts(1)).isOk());
            disk.failAt(call, fault);
            const Status status = storeMemberFacts(disk, kData, facts(2));
            ASSERT_EQ(status.code(), fault == DiskFault::NoSpace ? StatusCode::NoSpace
                                                                 : StatusCode::IoError);
            const auto loaded = loadMemberFacts(disk, kData);
            ASSERT_TRUE(loaded.value() == facts(1) || loaded.value() == facts(2));
            ASSERT_TRUE(storeMemberFacts(disk, kData, facts(3)).isOk());
            disk.restart(RestartMode::PowerCut, call);
            ASSERT_EQ(loadMemberFacts(disk, kData).value(), facts(3));
        }
    }
}

TEST(MemberFacts, EveryBitFlippedAndEveryOtherLengthIsAnError) {
    SimulatedDisk disk;
    ASSERT_TRUE(storeMemberFacts(disk, kData, facts(5)).isOk());
    const SimulatedDisk::Contents good = disk.contents("data/member");
    for (uint64_t bit = 0; bit < good.size() * 8; ++bit) {
        disk.flipBit("data/member", bit);
        const auto loaded = loadMemberFacts(disk, kData);
        ASSERT_FALSE(loaded.isOk()) << "bit " << bit;
        ASSERT_EQ(loaded.status().code(), StatusCode::JournalDamaged) << "bit " << bit;
        disk.flipBit("data/member", bit);
    }
    for (uint64_t bytes = 0; bytes < 300; ++bytes) {
        SimulatedDisk::Contents other = good;
        other.resize(bytes);
        disk.place("data/member", other);
        ASSERT_EQ(loadMemberFacts(disk, kData).isOk(), bytes == good.size()) << bytes;
    }
    disk.place("data/member", SimulatedDisk::Contents(good.size()));
    ASSERT_FALSE(loadMemberFacts(disk, kData).isOk());
    disk.place("data/member", good);
    disk.failReadAt(disk.reads() + 1);
    ASSERT_EQ(loadMemberFacts(disk, kData).status().code(), StatusCode::IoError);
    ASSERT_EQ(loadMemberFacts(disk, kData).value(), facts(5));
}

}  // namespace
}  // namespace verbex::replication::test
