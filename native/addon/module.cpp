// The addon's only door: everything that JavaScript sees is defined here, once per environment.
#include "addon/addon.h"

namespace verbex::addon {

namespace {

constexpr const char* kVersion = "0.1.0";  // that of package.json; a test holds the two equal

constexpr const char* kCompiler =
#if defined(__clang__)
    "clang " __clang_version__;
#else
    "gcc " __VERSION__;
#endif

napi_value define(napi_env env, napi_value exports) {
    check(env, napi_set_instance_data(
                   env, new AddonState(),
                   [](napi_env, void* data, void*) { delete static_cast<AddonState*>(data); },
                   nullptr));
    defineNativeCore(env, exports);
    defineNativeNode(env, exports);
    defineNativeBus(env, exports);
    defineNativeLoad(env, exports);
    defineNativeMember(env, exports);
    defineNativeBridge(env, exports);
    defineNativeRole(env, exports);
    defineNativeClusterLoad(env, exports);
    defineSimulatorFunctions(env, exports);
    defineHostFunctions(env, exports);
    defineJournalFunctions(env, exports);
    defineLayout(env, exports);
    defineCoverage(env, exports);
    setProperty(env, exports, "version", makeText(env, kVersion));
    setProperty(env, exports, "compiler", makeText(env, kCompiler));
    return exports;
}

}  // namespace

}  // namespace verbex::addon

NAPI_MODULE_INIT() {
    return verbex::addon::guarded(env, [&] { return verbex::addon::define(env, exports); });
}
