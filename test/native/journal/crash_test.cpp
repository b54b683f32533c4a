// The process or the machine stops at every call of a workload: nothing acknowledged is lost,
// nothing doubled, and the journal opens again and goes on.
#include <gtest/gtest.h>

#include <cstdio>

#include "workload.h"

namespace verbex::journal::test {
namespace {

using sim::CrashMoment;
using sim::DiskCall;
using sim::DiskCallKind;
using sim::RestartMode;

struct CrashPoint {
    uint64_t call;
    CrashMoment moment;
    uint64_t sectors;
    RestartMode mode;
    uint64_t seed;
    bool cutAtOnce;  // the power goes again right after recovery
};

// Runs until the crash, restarts, judges, lives on for a while, and judges again.
std::string crashAndRecover(const WorkloadOptions& options, const CrashPoint& point) {
    SimulatedDisk disk;
    disk.crashAt(point.call, point.moment, point.sectors);
    Ledger ledger;
    if (runWorkload(disk, options, ledger).isOk()) return "the crash did not happen";
    if (!disk.crashed()) return "a failure without a crash";
    disk.restart(point.mode, point.seed);

    const bool cacheKept = point.mode == RestartMode::ProcessCrash;
    RecoveryReport report;
    std::string wrong = judge(disk, ledger, cacheKept ? ledger.written : ledger.durable, &report);
    if (!wrong.empty()) return "after the crash: " + wrong;
    if (point.cutAtOnce) {
        // What recovery handed out must have become durable.
        const uint64_t recovered = report.end.nextPosition - 1;
        disk.restart(RestartMode::PowerCut, point.seed + 1);
        wrong = judge(disk, ledger, recovered);
        if (!wrong.empty()) return "after the second power cut: " + wrong;
    } else {
        disk.restart(RestartMode::ProcessCrash, 0);
    }

    WorkloadOptions after = options;
    after.seed = options.seed + 1;
    after.operations = 12;
    if (Status status = runWorkload(disk, after, ledger); !status.isOk()) {
        return "going on: " + status.toString();
    }
    disk.restart(RestartMode::PowerCut, point.seed + 2);
    wrong = judge(disk, ledger, ledger.lastOffered, &report);
    if (!wrong.empty()) return "after going on: " + wrong;
    return report.cleanlyClosed ? "" : "the clean close was not seen";
}

class CrashTest : public testing::TestWithParam<Durability> {};

TEST_P(CrashTest, EveryCallBeforeAfterAndTornAtEverySector) {
    WorkloadOptions options;
    options.durability = GetParam();
    options.seed = 5;
    options.operations = 150;
    options.segmentBytes = 3 * kBlockBytes;  // so that the tail block also moves on
    SimulatedDisk whole;
    Ledger undisturbed;
    ASSERT_TRUE(runWorkload(whole, options, undisturbed).isOk());
    const std::vector<DiskCall> trace = whole.trace();

    // The workload is worth the name: it has everything in it.
    std::map<DiskCallKind, int> kinds;
    for (const DiskCall& call : trace) ++kinds[call.kind];
    ASSERT_GE(kinds[DiskCallKind::Preallocate], 3);
    ASSERT_GE(kinds[DiskCallKind::Rename], 5);
    ASSERT_GE(kinds[DiskCallKind::Remove], 1);
    ASSERT_GE(kinds[DiskCallKind::Write], 30);
    ASSERT_GE(undisturbed.snapshot, 1u);

    uint64_t points = 0;
    for (uint64_t call = 1; call <= trace.size(); ++call) {
        std::vector<std::pair<CrashMoment, uint64_t>> moments = {{CrashMoment::Before, 0},
                                                                 {CrashMoment::After, 0}};
        for (uint64_t n = 1; n < trace[call - 1].sectors; ++n) {
            moments.emplace_back(CrashMoment::TornHead, n);
            moments.emplace_back(CrashMoment::TornTail, n);
        }
        for (const auto& [moment, sectors] : moments) {
            for (const RestartMode mode : {RestartMode::ProcessCrash, RestartMode::PowerCut}) {
                for (const bool cutAtOnce : {true, false}) {
                    const CrashPoint point{call, moment,    sectors,
                                           mode, call * 1000 + sectors, cutAtOnce};
                    const std::string wrong = crashAndRecover(options, point);
                    ASSERT_EQ(wrong, "")
                        << "call " << call << " of " << trace.size() << " ("
                        << trace[call - 1].path << "), moment " << static_cast<int>(moment)
                        << ", sectors " << sectors << ", mode " << static_cast<int>(mode)
                        << ", cut at once " << cutAtOnce;
                    ++points;
                }
            }
        }
    }
    std::printf("%llu crash points over %zu calls\n", static_cast<unsigned long long>(points),
                trace.size());
}

INSTANTIATE_TEST_SUITE_P(Durabilities, CrashTest,
                         testing::Values(Durability::Durable, Durability::Async),
                         [](const auto& tested) {
                             return tested.param == Durability::Durable ? "Durable" : "Async";
                         });

}  // namespace
}  // namespace verbex::journal::test
