// Random lives of a node: random operations, random crashes, judged by the ledger after each.
// A failure prints its seed; VERBEX_SEED=<seed> runs that one alone.
#include <gtest/gtest.h>

#include <cstdlib>

#include "workload.h"

namespace verbex::journal::test {
namespace {

using sim::CrashMoment;
using sim::RestartMode;

constexpr uint64_t kSeeds = 500;
constexpr int kLives = 8;

std::string livesOf(uint64_t seed) {
    Random random(seed);
    SimulatedDisk disk;
    Ledger ledger;
    for (int life = 0; life < kLives; ++life) {
        WorkloadOptions options;
        options.durability = random.below(2) == 0 ? Durability::Durable : Durability::Async;
        options.seed = random.next();
        options.operations = static_cast<unsigned>(5 + random.below(80));
        options.segmentBytes = kBlockBytes * (2 + random.below(4));
        options.closeAtEnd = random.below(2) == 0;
        options.payloadBytesLimit = 1 + random.below(3500);
        const auto moment = static_cast<CrashMoment>(random.below(4));
        disk.crashAt(disk.calls() + 1 + random.below(90), moment, random.below(12));
        const std::string at = "life " + std::to_string(life) + ": ";

        const Status status = runWorkload(disk, options, ledger);
        if (!status.isOk() && !disk.crashed()) return at + status.toString();
        const RestartMode mode =
            random.below(2) == 0 ? RestartMode::ProcessCrash : RestartMode::PowerCut;
        disk.restart(mode, random.next());
        const uint64_t mustReach =
            mode == RestartMode::ProcessCrash ? ledger.written : ledger.durable;
        RecoveryReport report;
        const std::string wrong = judge(disk, ledger, mustReach, &report);
        if (!wrong.empty()) return at + wrong;
        if (ledger.closed && !disk.crashed() && !report.cleanlyClosed) {
            return at + "the clean close was not seen";
        }
        ledger.resume(report.end.nextPosition - 1);
    }
    return {};
}

TEST(Property, RandomLivesLoseNothingAcknowledged) {
    if (const char* chosen = std::getenv("VERBEX_SEED")) {
        const uint64_t seed = std::strtoull(chosen, nullptr, 10);
        ASSERT_EQ(livesOf(seed), "") << "VERBEX_SEED=" << seed;
        return;
    }
    for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
        ASSERT_EQ(livesOf(seed), "") << "rerun with VERBEX_SEED=" << seed;
    }
}

}  // namespace
}  // namespace verbex::journal::test
