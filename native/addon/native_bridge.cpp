// NativeBridge: a bridge between two sites, as a thread that is asked how far it is.
#include <memory>
#include <sstream>

#include "addon/addon.h"
#include "addon/member_list.h"
#include "base/json_string.h"
#include "node/bridge_host.h"

namespace verbex::addon {

namespace {

struct BridgeHandle {
    static constexpr const char* kClassName = "NativeBridge";
    static constexpr napi_type_tag kTypeTag = {0x766572626578'0007, 0x3ac81f60d279e5b4};
    std::unique_ptr<node::BridgeHost> host;
};

void readSide(const Arguments& arguments, napi_value object, replication::ClusterClientOptions& client,
              transport::NetworkOptions& network) {
    client.members = membersIn(arguments.textOf(object, "members", kMemberListBytesMax));
    client.cluster = arguments.textOf(object, "cluster", 32);
    network.node = "bridge";
    network.setUpTimeoutMs = 1000;
    network.transport = transportIn(arguments.textOf(object, "transport", 8, "tcp"));
    network.key = keyIn(arguments.textOf(object, "key", 1024, ""));
    network.tls.certificateFile = arguments.textOf(object, "certificateFile", 4096, "");
    network.tls.keyFile = arguments.textOf(object, "keyFile", 4096, "");
    network.tls.authorityFile = arguments.textOf(object, "authorityFile", 4096, "");
}

napi_value sideOf(const Arguments& arguments, napi_value options, const char* name) {
    const napi_value side = arguments.objectOf(options, name);
    if (side == nullptr) throwArgument(std::string(name) + " must be an object");
    return side;
}

napi_value construct(const Arguments& arguments) {
    if (!arguments.constructing()) throwArgument("NativeBridge needs new");
    const napi_value given = arguments.object(0, "options");
    node::BridgeHostOptions options;
    readSide(arguments, sideOf(arguments, given, "source"), options.bridge.source, options.source);
    readSide(arguments, sideOf(arguments, given, "target"), options.bridge.target, options.target);
    options.bridge.source.anyMember = true;
    options.bridge.comparesResults =
        arguments.flagOf(sideOf(arguments, given, "source"), "scrubs", true);
    auto handle = std::make_unique<BridgeHandle>();
    Result<std::unique_ptr<node::BridgeHost>> host = node::BridgeHost::open(options);
    if (!host.isOk()) throw ThrownFailure{node::Failure(host.status()), false};
    handle->host = host.take();
    return arguments.wrap(std::move(handle));
}

// JSON; positions are strings of digits.
napi_value progress(const Arguments& arguments) {
    BridgeHandle& handle = arguments.unwrap<BridgeHandle>();
    const replication::BridgeProgress now = handle.host->progress();
    std::ostringstream out;
    out << "{\"relayed\":\"" << now.relayed << "\",\"source\":\"" << now.source << "\",\"entries\":\""
        << now.entries << "\",\"probes\":\"" << now.probes << "\",\"sourceConnected\":"
        << (now.sourceConnected ? "true" : "false") << ",\"targetConnected\":"
        << (now.targetConnected ? "true" : "false") << ",\"trouble\":" << jsonString(now.trouble)
        << "}";
    return makeText(arguments.env(), out.str());
}

napi_value stop(const Arguments& arguments) {
    arguments.unwrap<BridgeHandle>().host->stop();
    return nullptr;
}

}  // namespace

void defineNativeBridge(napi_env env, napi_value exports) {
    const napi_value made = defineClass(env, BridgeHandle::kClassName, entry<construct>,
                                        {{"progress", entry<progress>}, {"stop", entry<stop>}});
    setProperty(env, exports, BridgeHandle::kClassName, made);
}

}  // namespace verbex::addon
