#include "pipeline/thread_plan.h"

#include <sched.h>

#include <charconv>

namespace verbex::pipeline {

namespace {

bool parseShards(std::string_view text, uint32_t* shards) {
    const char* const end = text.data() + text.size();
    const auto [at, error] = std::from_chars(text.data(), end, *shards);
    return error == std::errc() && at == end && *shards >= 1 && *shards <= kShardsMax;
}

}  // namespace

std::string ThreadPlan::name() const {
    switch (kind) {
        case PlanKind::Serial: return "serial";
        case PlanKind::Pipelined: return "pipelined";
        case PlanKind::Sharded: break;
    }
    return "sharded:" + std::to_string(riskShards) + "x" + std::to_string(matchingShards);
}

uint32_t usableCores() {
    cpu_set_t cores;
    CPU_ZERO(&cores);
    // Fails on a machine of more than 1,024 processors: that one has enough of them.
    if (sched_getaffinity(0, sizeof(cores), &cores) != 0) return 1024;
    const int count = CPU_COUNT(&cores);
    return count < 1 ? 1 : static_cast<uint32_t>(count);
}

uint64_t automaticSpinNs(const ThreadPlan& plan, uint32_t cores) {
    // One more for the thread that offers commands and takes events.
    return plan.threads() + 1 <= cores ? kSpinServerNs : kSpinLaptopNs;
}

ThreadPlan automaticPlan(uint32_t cores) {
    constexpr uint32_t kPipelinedFrom = 6;
    constexpr uint32_t kShardedFrom = 10;
    ThreadPlan plan;
    if (cores >= kShardedFrom) {
        plan.kind = PlanKind::Sharded;
        plan.riskShards = plan.matchingShards = 2;
    } else if (cores >= kPipelinedFrom) {
        plan.kind = PlanKind::Pipelined;
    }
    plan.spinNs = automaticSpinNs(plan, cores);
    return plan;
}

bool parsePlan(std::string_view text, uint32_t cores, ThreadPlan* plan) {
    constexpr std::string_view kSharded = "sharded";
    ThreadPlan parsed;
    if (text == "auto") {
        *plan = automaticPlan(cores);
        return true;
    }
    if (text == "pipelined") {
        parsed.kind = PlanKind::Pipelined;
    } else if (text.substr(0, kSharded.size()) == kSharded) {
        parsed.kind = PlanKind::Sharded;
        parsed.riskShards = parsed.matchingShards = 2;
        std::string_view shards = text.substr(kSharded.size());
        if (!shards.empty()) {
            const size_t cross = shards.find('x');
            if (shards[0] != ':' || cross == std::string_view::npos ||
                !parseShards(shards.substr(1, cross - 1), &parsed.riskShards) ||
                !parseShards(shards.substr(cross + 1), &parsed.matchingShards)) {
                return false;
            }
        }
    } else if (text != "serial") {
        return false;
    }
    parsed.spinNs = automaticSpinNs(parsed, cores);
    *plan = parsed;
    return true;
}

}  // namespace verbex::pipeline
