// simulateCluster(): seeds of the cluster simulator, for `verbex sim`.
#include <sstream>
#include <string>

#include "addon/addon.h"
#include "base/json_string.h"
#include "sim/cluster/cluster.h"

namespace verbex::addon {

namespace {

constexpr uint64_t kSeedsMax = 1'000'000'000;
constexpr uint64_t kThreadsMax = 256;
constexpr uint64_t kCommandsMax = 100'000;

std::string jsonOf(const sim::ClusterCampaignReport& report) {
    const sim::ClusterCounters& counters = report.counters;
    std::ostringstream out;
    // As text: more than a JavaScript number holds.
    out << "{\"seeds\":" << report.seeds << ",\"failed\":" << report.failures.size()
        << ",\"traceHash\":\"" << report.traceHash << "\",\"failures\":[";
    for (size_t i = 0; i < report.failures.size(); i++) {
        const auto& failure = report.failures[i];
        out << (i == 0 ? "" : ",") << "{\"seed\":" << failure.seed
            << ",\"problem\":" << jsonString(failure.problem)
            << ",\"plan\":" << jsonString(failure.plan)
            << "}";
    }
    out << "],\"counters\":{\"commands\":" << counters.commands << ",\"resent\":" << counters.resent
        << ",\"released\":" << counters.released << ",\"takeovers\":" << counters.takeovers
        << ",\"truncations\":" << counters.truncations << ",\"evictions\":" << counters.evictions
        << ",\"snapshots\":" << counters.snapshots << ",\"installs\":" << counters.installs
        << ",\"prunings\":" << counters.prunings << ",\"damages\":" << counters.damages
        << ",\"crashes\":" << counters.crashes << ",\"powerCuts\":" << counters.powerCuts
        << ",\"pauses\":" << counters.pauses << ",\"cuts\":" << counters.cuts
        << ",\"flips\":" << counters.flips << ",\"diskFaults\":" << counters.diskFaults
        << ",\"swaps\":" << counters.swaps << ",\"blocked\":" << counters.blocked
        << ",\"forced\":" << counters.forced << ",\"founded\":" << counters.founded
        << ",\"undone\":" << counters.undone << ",\"lost\":" << counters.lost << "}}";
    return out.str();
}

napi_value simulateCluster(const Arguments& arguments) {
    napi_value object = arguments.object(0, "options");
    sim::ClusterCampaignOptions options;
    options.firstSeed = arguments.numberOf(object, "firstSeed", 0, uint64_t{1} << 52, 1);
    options.seeds = arguments.numberOf(object, "seeds", 1, kSeedsMax, 1);
    options.threads = static_cast<uint32_t>(arguments.numberOf(object, "threads", 1, kThreadsMax, 1));
    options.commands =
        static_cast<uint32_t>(arguments.numberOf(object, "commands", 1, kCommandsMax, 200));
    if (!sim::mutantNamed(arguments.textOf(object, "mutant", 64, "none"), options.mutant)) {
        throwArgument("there is no such mutant");
    }
    return runWork(arguments.env(), "verbex.sim",
                   [options] { return textOutcome(jsonOf(sim::runClusters(options))); });
}

// The names that simulateCluster() takes as its mutant.
napi_value clusterMutants(const Arguments& arguments) {
    const napi_env env = arguments.env();
    std::string names;
    for (uint32_t i = 1; i <= replication::kMutantMax; i++) {
        names += (i == 1 ? "" : ",") +
                 std::string(sim::mutantName(static_cast<replication::Mutant>(i)));
    }
    return makeText(env, names);
}

}  // namespace

void defineSimulatorFunctions(napi_env env, napi_value exports) {
    defineFunction(env, exports, "simulateCluster", entry<simulateCluster>);
    defineFunction(env, exports, "clusterMutants", entry<clusterMutants>);
}

}  // namespace verbex::addon
