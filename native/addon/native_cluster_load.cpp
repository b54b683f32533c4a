// NativeClusterLoad: orders into a cluster, and a ledger of what became of them.
#include <memory>
#include <sstream>

#include "addon/addon.h"
#include "addon/member_list.h"
#include "load/cluster_load.h"

namespace verbex::addon {

namespace {

constexpr uint64_t kNsPerMs = 1'000'000;

load::ClusterLoadOptions optionsOf(const Arguments& arguments, napi_value object) {
    load::ClusterLoadOptions options;
    options.cluster.members = membersIn(arguments.textOf(object, "members", kMemberListBytesMax));
    options.cluster.cluster = arguments.textOf(object, "cluster", 32);
    options.network.transport = transportIn(arguments.textOf(object, "transport", 8, "auto"));
    options.network.node = "load";
    options.network.setUpTimeoutMs = 300;
    options.network.key = keyIn(arguments.textOf(object, "key", 1024, ""));
    options.network.tls.certificateFile = arguments.textOf(object, "certificateFile", 4096, "");
    options.network.tls.keyFile = arguments.textOf(object, "keyFile", 4096, "");
    options.network.tls.authorityFile = arguments.textOf(object, "authorityFile", 4096, "");
    const auto word = [&](const char* name, uint64_t least, uint64_t most, uint64_t otherwise) {
        return static_cast<uint32_t>(arguments.numberOf(object, name, least, most, otherwise));
    };
    options.ordersPerSecond = word("ordersPerSecond", 0, 100'000'000, 0);
    options.window = word("window", 1, 1u << 16, options.window);
    options.batch = word("batch", 1, 1024, options.batch);
    options.accounts = word("accounts", 1, 1u << 20, options.accounts);
    options.instruments = word("instruments", 1, 1u << 12, options.instruments);
    options.orders = arguments.numberOf(object, "orders", 0, 1ull << 40, 0);
    options.idsBehind = arguments.numberOf(object, "idsBehind", 0, 1ull << 40, 0);
    options.warmUpNs = kNsPerMs * word("warmUpMs", 0, 86'400'000, 0);
    options.limits = withDefaults(limitsOf(arguments, object));
    return options;
}

struct ClusterLoadHandle {
    static constexpr const char* kClassName = "NativeClusterLoad";
    static constexpr napi_type_tag kTypeTag = {0x766572626578'0006, 0x1e7ac40b95d3f862};
    std::shared_ptr<load::ClusterLoad> load;
    int stage = 0;  // 0 made, 1 ran
};

void stopLoad(napi_env, ClusterLoadHandle& handle) { handle.load->stop(); }

napi_value construct(const Arguments& arguments) {
    if (!arguments.constructing()) throwArgument("NativeClusterLoad needs new");
    auto handle = std::make_unique<ClusterLoadHandle>();
    handle->load =
        std::make_shared<load::ClusterLoad>(optionsOf(arguments, arguments.object(0, "options")));
    return arguments.wrap<ClusterLoadHandle, stopLoad>(std::move(handle));
}

void writeCounts(std::ostringstream& out, const load::ClusterLoadProgress& counts) {
    out << "\"sent\":" << counts.sent << ",\"acknowledged\":" << counts.acknowledged
        << ",\"accepted\":" << counts.accepted << ",\"trades\":" << counts.trades
        << ",\"acceptedTwice\":" << counts.acceptedTwice << ",\"tradesTwice\":" << counts.tradesTwice
        << ",\"resent\":" << counts.resent << ",\"connects\":" << counts.connects
        << ",\"endedSubscriptions\":" << counts.endedSubscriptions << ",\"position\":" << counts.position;
}

// On a thread of libuv's pool, until stop() and the last answer.
napi_value run(const Arguments& arguments) {
    auto& handle = arguments.unwrap<ClusterLoadHandle>();
    if (handle.stage != 0) throwArgument("a load runs once");
    handle.stage = 1;
    return runWork(arguments.env(), "verbex.cluster.load", [load = handle.load]() -> WorkOutcome {
        Result<load::ClusterLoadResult> result = load->run();
        if (!result.isOk()) return {node::Failure(result.status()), {}};
        const load::ClusterLoadResult& found = result.value();
        std::ostringstream out;
        const auto us = [](uint64_t ns) { return static_cast<double>(ns) / 1000; };
        out << "{";
        writeCounts(out, found.counts);
        out << ",\"unanswered\":" << found.unanswered << ",\"measured\":" << found.measured
            << ",\"measuredNs\":" << found.measuredNs << ",\"p50Us\":" << us(found.latency.at(500'000))
            << ",\"p99Us\":" << us(found.latency.at(990'000))
            << ",\"p999Us\":" << us(found.latency.at(999'000)) << ",\"maxUs\":" << us(found.latency.max())
            << "}";
        return textOutcome(out.str());
    });
}

napi_value verify(const Arguments& arguments) {
    auto& handle = arguments.unwrap<ClusterLoadHandle>();
    return runWork(arguments.env(), "verbex.cluster.verify", [load = handle.load]() -> WorkOutcome {
        Result<load::ClusterVerdict> result = load->verify();
        if (!result.isOk()) return {node::Failure(result.status()), {}};
        const load::ClusterVerdict& found = result.value();
        std::ostringstream out;
        out << "{\"batches\":" << found.batches << ",\"acknowledgedLost\":" << found.acknowledgedLost
            << ",\"appliedTwice\":" << found.appliedTwice << ",\"position\":" << found.position
            << ",\"stateHash\":\"" << found.stateHash.hex() << "\"}";
        return textOutcome(out.str());
    });
}

napi_value progress(const Arguments& arguments) {
    std::ostringstream out;
    out << "{";
    writeCounts(out, arguments.unwrap<ClusterLoadHandle>().load->progress());
    out << "}";
    return makeText(arguments.env(), out.str());
}

// Milliseconds.
napi_value gap(const Arguments& arguments) {
    const uint64_t ns = arguments.unwrap<ClusterLoadHandle>().load->gap();
    return makeDouble(arguments.env(), static_cast<double>(ns) / 1e6);
}

napi_value stop(const Arguments& arguments) {
    arguments.unwrap<ClusterLoadHandle>().load->stop();
    return nullptr;
}

}  // namespace

void defineNativeClusterLoad(napi_env env, napi_value exports) {
    const napi_value made = defineClass(env, ClusterLoadHandle::kClassName, entry<construct>,
                                        {{"run", entry<run>},
                                         {"verify", entry<verify>},
                                         {"progress", entry<progress>},
                                         {"gap", entry<gap>},
                                         {"stop", entry<stop>}});
    setProperty(env, exports, ClusterLoadHandle::kClassName, made);
}

}  // namespace verbex::addon
