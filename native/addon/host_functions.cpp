// What a machine is, and whether it keeps rounding modes: hostFacts(), roundingSoak().
#include <memory>
#include <sstream>
#include <system_error>

#include "addon/addon.h"
#include "node/host_facts.h"
#include "node/rounding_soak.h"

namespace verbex::addon {

namespace {

constexpr uint64_t kMillisecondsMax = 7 * 86'400'000ull;
constexpr uint64_t kThreadsMax = 1024;
constexpr uint64_t kNsPerMs = 1'000'000;

napi_value hostFacts(const Arguments& arguments) {
    return makeText(arguments.env(), node::hostFacts().json());
}

std::string soakText(const node::RoundingSoakResult& result) {
    std::ostringstream out;
    out << "{\"threads\":" << result.threads << ",\"checks\":" << result.checks << ",\"signals\":"
        << result.signals << ",\"contextSwitches\":" << result.contextSwitches << ",\"wrong\":"
        << result.wrong;
    if (result.wrong != 0) {
        const node::RoundingFault& first = result.first;
        out << ",\"first\":{\"thread\":" << first.thread << ",\"core\":" << first.core << ",\"check\":"
            << first.check << ",\"mode\":\"" << first.mode << "\",\"after\":\"" << first.after
            << "\",\"what\":\"" << first.what << "\",\"expected\":\"0x" << std::hex << first.expected
            << "\",\"found\":\"0x" << first.found << std::dec << "\"}";
    }
    out << ",\"host\":" << node::hostFacts().json() << "}";
    return out.str();
}

// roundingSoak(milliseconds, threads)
napi_value roundingSoak(const Arguments& arguments) {
    node::RoundingSoakOptions options;
    options.durationNs = arguments.number(0, "milliseconds", 1, kMillisecondsMax) * kNsPerMs;
    options.threads = static_cast<uint32_t>(arguments.number(1, "threads", 0, kThreadsMax));
    return runWork(arguments.env(), "verbex.host.soak", [options]() -> WorkOutcome {
        try {
            node::RoundingSoak soak(options);
            return textOutcome(soakText(soak.run()));
        } catch (const std::system_error& error) {
            return {node::Failure("OUT_OF_THREADS", error.what()), {}};
        }
    });
}

}  // namespace

void defineHostFunctions(napi_env env, napi_value exports) {
    defineFunction(env, exports, "hostFacts", entry<hostFacts>);
    defineFunction(env, exports, "roundingSoak", entry<roundingSoak>);
}

}  // namespace verbex::addon
