#include "sim/cluster/plan.h"

#include <algorithm>

#include "sim/cluster/random.h"
#include "sim/cluster/timeline.h"
#include "wire/command_codec.h"

namespace verbex::sim {

namespace {

using replication::Mutant;

constexpr const char* kFaultNames[kFaults] = {
    "crash",      "crashLeader", "crashNewLeader", "powerCut",      "powerCutAll", "pause",
    "isolate",    "isolateLeader", "cutOneWay",    "split",         "bridge",      "flap",
    "storeAway",  "storeAwayFrom", "slowDisk",     "diskFails",     "diskStops",   "replace",
    "restart",    "promote",     "clockJump",      "disconnect",    "flipState",   "flipResult",
    "storeOnly",  "hearsFew",    "leaderDeaf",     "leaderUnheard", "loseQuorum",
};

void drawNetwork(ClusterPlan& plan, Random& random) {
    plan.delayNs = random.coin() ? random.between(20, 100) * kMicros : random.between(200, 2000) * kMicros;
    plan.delaySpreadNs = random.between(0, 3) * plan.delayNs;
    const auto rate = [&random](uint64_t most) {
        return random.coin() ? 0 : static_cast<uint32_t>(random.between(1, most));
    };
    plan.lossRate = rate(random.below(4) == 0 ? 100'000 : 10'000);
    plan.doubleRate = rate(30'000);
    plan.lateRate = rate(50'000);
    plan.flipRate = rate(20'000);
    plan.noRoomRate = rate(50'000);
    plan.wiresFence = random.coin();
    plan.clientWindow = static_cast<uint32_t>(random.coin() ? random.between(1, 4) : 64);
}

void drawServers(ClusterPlan& plan, Random& random) {
    plan.syncNs = random.between(50, 3000) * kMicros;
    plan.syncSpreadNs = random.between(0, 4) * plan.syncNs;
    plan.storeNs = random.between(200, 5000) * kMicros;
    plan.storeSpreadNs = random.between(0, 4) * plan.storeNs;
    if (random.coin()) {
        plan.storeLostRate = static_cast<uint32_t>(random.between(0, 100'000));
        plan.storeLateRate = static_cast<uint32_t>(random.between(0, 100'000));
        plan.storeDeafRate = static_cast<uint32_t>(random.between(0, 500'000));
    }
    plan.clocksDiffer = random.below(3) == 0;
    plan.batchBytes = random.coin() ? 128u << random.below(5) : 64u << 10;
    plan.windowCommands = 8u << random.below(8);
    plan.sendAheadBytes = 4096u << random.below(6);
    plan.segmentBytes = (plan.batchBytes > 16384 ? 128u << 10 : 24u << 10);
    plan.tailBytes = random.coin() ? 4096 : 1u << 20;
}

// Small enough that logs are pruned while a run lasts. Of their own chance: the rest of a plan is what it was.
void drawSnapshots(ClusterPlan& plan, Random random) {
    plan.snapshotEvery =
        random.below(8) == 0 ? 0 : static_cast<uint32_t>(random.between(5, 80));
    if (random.below(4) != 0) {
        plan.batchBytes = std::min(plan.batchBytes, 2048u);
        plan.segmentBytes = 8u << 10;
    }
    plan.historyBytes = random.coin() ? 0 : random.between(1, 3) * plan.segmentBytes;
    plan.snapshotNs = random.between(0, 30) * kMillis;
    plan.partBytes = static_cast<uint32_t>(64u << random.below(6));
    plan.damagesSnapshots = random.coin();
    // Machines with empty disks, and members that miss more than is kept.
    if (random.coin()) plan.every(Fault::Replace) = random.between(300, 900) * kMillis;
    if (random.coin()) plan.every(Fault::DiskStops) = random.between(100, 500) * kMillis;
    // Due by bytes too in a half of the runs, and in a quarter by them alone.
    const uint64_t by = random.below(4);
    if (by < 2) plan.snapshotBytes = random.between(5, 80) * kCommandLineBytes;
    if (by == 0) plan.snapshotEvery = 0;
}

void drawFaults(ClusterPlan& plan, Random& random) {
    for (size_t i = 0; i <= static_cast<size_t>(Fault::FlipResult); i++) {
        if (random.below(3) != 0) continue;
        plan.everyNs[i] = random.between(150, 1500) * kMillis;
    }
    // A quarter of the runs have none of the faults that end processes, another quarter no cuts.
    const uint64_t kind = random.below(4);
    const auto off = [&plan](Fault from, Fault to) {
        for (auto i = static_cast<size_t>(from); i <= static_cast<size_t>(to); i++) plan.everyNs[i] = 0;
    };
    if (kind == 0) off(Fault::Crash, Fault::PowerCutAll);
    if (kind == 1) off(Fault::Isolate, Fault::Flap);
    if (plan.has(Fault::CrashNewLeader)) plan.every(Fault::CrashNewLeader) = random.between(10, 60);
    // Wrong results are found by comparing, and hidden ones when the log's time passes.
    if (plan.clocksDiffer || plan.hot < 3) {
        plan.every(Fault::FlipState) = plan.every(Fault::FlipResult) = 0;
    }
    if (plan.clocksDiffer) return;
    plan.every(Fault::ClockJump) = 0;
}

// Cuts that leave the control store within reach. Of their own chance too.
void drawLopsided(ClusterPlan& plan, Random random) {
    for (const Fault fault :
         {Fault::StoreOnly, Fault::HearsFew, Fault::LeaderDeaf, Fault::LeaderUnheard}) {
        if (random.below(5) == 0) plan.every(fault) = random.between(300, 1500) * kMillis;
    }
}

// Asking keeps members from taking over where it would be in vain, and so from much that the other rules have to
// bear: those are held, and broken, where nobody asks.
void drawAsking(ClusterPlan& plan, Random random, Mutant mutant) {
    constexpr uint64_t kAll = ~uint64_t{0};
    if (mutant != Mutant::None) {
        const bool isOfAsking = mutant >= Mutant::AskNobody && mutant <= Mutant::NeverMute;
        plan.earlier = isOfAsking ? 0 : kAll;
        return;
    }
    drawLopsided(plan, random.fork(1));
    const uint64_t kind = random.below(4);
    plan.earlier = kind == 0 ? kAll : kind == 1 ? random.next() : 0;
}

// In a sixth of the runs more is lost than a cluster can bear, and an operator decides. Of its own chance too.
void drawForcing(ClusterPlan& plan, Random random, Mutant mutant) {
    const bool isOfForcing = mutant >= Mutant::ForceSameEpoch && mutant <= Mutant::ForceByCommit;
    if (!isOfForcing && (mutant != Mutant::None || random.below(6) != 0)) return;
    plan.forceAfterNs = random.between(50, 500) * kMillis;
    plan.every(Fault::LoseQuorum) = random.between(300, 1200) * kMillis;
}

// In an eighth of the others all of it burns, and an operator begins anew with a copy. Of its own chance too.
void drawFounding(ClusterPlan& plan, Random random, Mutant mutant) {
    const bool isOfFounding = mutant >= Mutant::FoundOverRecord && mutant <= Mutant::FollowOrphaned;
    const bool isDrawn = mutant == Mutant::None && plan.forceAfterNs == 0 && random.below(8) == 0;
    if (!isOfFounding && !isDrawn) return;
    plan.burnAtNs = plan.faultsForNs * random.between(40, 90) / 100;
    plan.copyAtNs = plan.burnAtNs * random.between(30, 100) / 100;
}

void favourSnapshots(ClusterPlan& plan, Random& random) {
    plan.snapshotBytes = 0;
    plan.snapshotEvery = static_cast<uint32_t>(random.between(4, 20));
    plan.batchBytes = std::min(plan.batchBytes, 512u);
    plan.segmentBytes = 8u << 10;
    plan.historyBytes = 0;
    plan.damagesSnapshots = false;
}

// What makes one broken rule matter: more of what it needs, less of what hides it.
void favour(ClusterPlan& plan, Random& random, Mutant mutant) {
    const auto often = [&plan, &random](Fault fault, uint64_t least, uint64_t most) {
        plan.every(fault) = random.between(least, most) * kMillis;
    };
    if (mutant == Mutant::None) return;
    // So that what is found is the broken rule.
    plan.every(Fault::FlipState) = plan.every(Fault::FlipResult) = 0;
    switch (mutant) {
        case Mutant::None:
        case Mutant::DuplicateApplied: return;
        case Mutant::CommitOldEpoch:
            plan.hot = 3;
            plan.members = 3;
            plan.minSync = 1;
            plan.storeLostRate = plan.storeLateRate = 0;
            often(Fault::CrashLeader, 200, 500);
            plan.every(Fault::CrashNewLeader) = 80;
            break;
        case Mutant::AdoptShorterLog:
            plan.hot = 3;
            often(Fault::IsolateLeader, 150, 400);
            plan.every(Fault::CrashNewLeader) = 50;
            break;
        case Mutant::FenceBeforeDead:
            // A candidate that does not hear the leader, and a third one that hears both.
            plan.hot = 3;
            plan.wiresFence = false;
            often(Fault::CutOneWay, 50, 200);
            often(Fault::Bridge, 150, 400);
            often(Fault::Flap, 150, 400);
            break;
        case Mutant::ShrinkWithoutSwap:
        case Mutant::FenceTooFew:
            plan.hot = mutant == Mutant::FenceTooFew ? 3 : plan.hot;
            often(Fault::IsolateLeader, 200, 500);
            often(Fault::Isolate, 200, 500);
            often(Fault::Pause, 200, 500);
            plan.wiresFence = false;
            break;
        case Mutant::TruncateByCommit:
            plan.hot = 3;
            often(Fault::CrashLeader, 200, 500);
            often(Fault::IsolateLeader, 200, 500);
            break;
        case Mutant::AckBeforeStore:
            plan.durable = true;
            plan.syncNs = 5 * kMillis;
            often(Fault::PowerCutAll, 300, 600);
            often(Fault::PowerCut, 200, 500);
            break;
        case Mutant::VouchAfterRestart:
            plan.durable = false;
            plan.syncNs = 10 * kMillis;
            often(Fault::PowerCut, 150, 300);
            often(Fault::CrashLeader, 200, 500);
            break;
        case Mutant::GrowBeforeAck:
            plan.hot = 2;
            often(Fault::Crash, 200, 500);
            often(Fault::CrashLeader, 200, 500);
            often(Fault::Replace, 300, 600);
            break;
        case Mutant::VoteSkipped:
            plan.hot = 3;
            often(Fault::FlipResult, 200, 500);
            break;
        case Mutant::ActivateBeforeSync:
            // With three, whoever is fenced meets every quorum, so a quorum has it already.
            plan.hot = 4;
            plan.minSync = 1;
            plan.noRoomRate = 100'000;
            plan.every(Fault::CrashNewLeader) = 40;
            often(Fault::IsolateLeader, 200, 500);
            often(Fault::Isolate, 200, 500);
            often(Fault::CrashLeader, 200, 500);
            break;
        case Mutant::AckUnverified:
        case Mutant::AlignTooEarly:
            plan.hot = 3;
            often(Fault::IsolateLeader, 150, 400);
            often(Fault::CrashLeader, 200, 500);
            break;
        case Mutant::TruncateStale:
            plan.hot = 3;
            plan.lateRate = 200'000;
            plan.doubleRate = 300'000;
            plan.every(Fault::CrashNewLeader) = 50;
            plan.wiresFence = false;
            often(Fault::IsolateLeader, 150, 400);
            often(Fault::CrashLeader, 200, 500);
            break;
        case Mutant::ChangeByCommitOnly:
            plan.hot = 2;
            plan.minSync = 1;
            plan.durable = false;
            plan.noRoomRate = 300'000;
            often(Fault::CrashLeader, 200, 400);
            often(Fault::PowerCut, 150, 300);
            often(Fault::Isolate, 150, 400);
            often(Fault::Promote, 100, 300);
            break;
        case Mutant::IgnoreChecksum: plan.flipRate = 50'000; break;
        case Mutant::SnapshotUncommitted:
            // Much that is in a log and not committed: a leader that nobody hears, which others depose.
            plan.hot = 3;
            favourSnapshots(plan, random);
            plan.snapshotNs = 0;
            often(Fault::IsolateLeader, 150, 400);
            often(Fault::CrashLeader, 200, 500);
            break;
        case Mutant::SnapshotForgetsEnds:
        case Mutant::SnapshotForgetsResult:
            favourSnapshots(plan, random);
            often(Fault::Crash, 150, 400);
            often(Fault::CrashLeader, 200, 500);
            break;
        case Mutant::PruneEarly:
            favourSnapshots(plan, random);
            often(Fault::DiskStops, 50, 150);
            break;
        case Mutant::AskNobody:
            plan.hot = 3;
            plan.delaySpreadNs = 0;
            often(Fault::StoreOnly, 300, 600);
            often(Fault::HearsFew, 300, 600);
            break;
        case Mutant::FollowNobody: plan.hot = 3; break;
        case Mutant::FollowAnybody:
            plan.hot = 3;
            // A leader that is well for long enough to be missed by one member only, and by nobody's fault else.
            plan.members = 3;
            plan.delayNs = 50 * kMicros;
            plan.delaySpreadNs = 0;
            plan.storeNs = 500 * kMicros;
            plan.storeSpreadNs = 0;
            plan.everyNs = {};
            often(Fault::HearsFew, 600, 900);
            break;
        case Mutant::NeverMute: break;  // a test of its own has the cut that it takes
        case Mutant::ForceSameEpoch:
        case Mutant::ForceUncounted:
        case Mutant::ForceByCommit:
            plan.hot = 3;
            plan.every(Fault::LoseQuorum) = random.between(200, 500) * kMillis;
            break;
        case Mutant::FoundOverRecord:
        case Mutant::FoundAtLogEpoch:
        case Mutant::FoundByCommit:
        case Mutant::FollowOrphaned: break;  // see drawFounding()
        case Mutant::InstallUnasked:
            // Words that come late and twice, to members that have missed much.
            plan.hot = 3;
            favourSnapshots(plan, random);
            plan.lateRate = 200'000;
            plan.doubleRate = 300'000;
            plan.wiresFence = false;
            often(Fault::Replace, 150, 400);
            often(Fault::Isolate, 150, 400);
            break;
    }
    plan.members = std::max(plan.members, plan.hot);
}

}  // namespace

const char* faultName(Fault fault) { return kFaultNames[static_cast<size_t>(fault)]; }

ClusterPlan ClusterPlan::draw(uint64_t seed, uint32_t commands, replication::Mutant mutant) {
    Random random = Random(seed).fork(1);
    ClusterPlan plan;
    plan.members = static_cast<uint32_t>(random.between(3, 5));
    plan.hot = static_cast<uint32_t>(random.between(2, 3));
    plan.durable = random.below(3) == 0;
    plan.minSync = random.below(8) == 0 ? 2 : 1;
    plan.traders = static_cast<uint32_t>(random.between(2, 4));
    plan.watchers = static_cast<uint32_t>(random.between(1, 2));
    plan.commands = commands;
    plan.faultsForNs = random.between(800, 2500) * kMillis;
    drawNetwork(plan, random);
    drawServers(plan, random);
    drawFaults(plan, random);
    // Rules that have nothing to do with snapshots are broken without them: nothing hides what is looked for.
    if (mutant == Mutant::None ||
        (mutant >= Mutant::SnapshotUncommitted && mutant <= Mutant::InstallUnasked)) {
        drawSnapshots(plan, Random(seed).fork(2));
    }
    drawAsking(plan, Random(seed).fork(3), mutant);
    drawForcing(plan, Random(seed).fork(4), mutant);
    drawFounding(plan, Random(seed).fork(5), mutant);
    favour(plan, random, mutant);
    return plan;
}

std::string ClusterPlan::text() const {
    std::string text = std::to_string(members) + " members, " + std::to_string(hot) + " hot, " +
                       (durable ? "durable" : "memory") + ", faults for " +
                       std::to_string(faultsForNs / kMillis) + " ms:";
    if (burnAtNs != 0) text += " burns at " + std::to_string(burnAtNs / kMillis) + " ms;";
    if (earlier != 0) text += ~earlier == 0 ? " nobody asks;" : " some do not ask;";
    for (size_t i = 0; i < kFaults; i++) {
        if (everyNs[i] != 0) text += std::string(" ") + kFaultNames[i];
    }
    return text;
}

}  // namespace verbex::sim
