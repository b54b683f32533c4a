// Which edges of the core ran: the feedback of the coverage-guided differential fuzzer.
//
// The build marks every edge of the rooms under test with a call of __sanitizer_cov_trace_pc
// (-fsanitize-coverage= trace-pc). An edge is the pair of the previous and this return address,
// hashed into a 64 KiB map of hit counts that JavaScript sees as an ArrayBuffer. Without
// VERBEX_COVERAGE none of this exists.
#include "addon/addon.h"

#ifdef VERBEX_COVERAGE

#include <cstring>

namespace {

constexpr size_t kMapBytes = 1u << 16;

// One map a process: fuzzing runs in one thread, and others only add noise.
uint8_t map[kMapBytes];
thread_local uintptr_t previous = 0;
// Addresses relative to this function, so that a map means the same wherever the addon is loaded.
uintptr_t base() { return reinterpret_cast<uintptr_t>(&base); }

}  // namespace

extern "C" __attribute__((visibility("default"))) void
__sanitizer_cov_trace_pc() {
    const uintptr_t here =
        (reinterpret_cast<uintptr_t>(__builtin_return_address(0)) - base()) * 0x9e3779b97f4a7c15;
    uint8_t& hits = map[(here >> 40 ^ previous) % kMapBytes];
    if (hits != UINT8_MAX) hits++;
    previous = here >> 41;
}

#endif

namespace verbex::addon {

#ifdef VERBEX_COVERAGE

namespace {

// The same Uint8Array each time, live.
napi_value coverageMap(const Arguments& arguments) {
    napi_value array;
    check(arguments.env(), napi_get_reference_value(arguments.env(),
                                                    stateOf(arguments.env()).coverageMap, &array));
    return array;
}

napi_value resetCoverage(const Arguments&) {
    std::memset(map, 0, sizeof(map));
    previous = 0;
    return nullptr;
}

}  // namespace

// Static methods of NativeCore, for it is the core that is traced.
void defineCoverage(napi_env env, napi_value exports) {
    setProperty(env, exports, "coverage", makeFlag(env, true));
    napi_value buffer;
    check(env, napi_create_external_arraybuffer(env, map, sizeof(map), nullptr, nullptr, &buffer));
    napi_value array;
    check(env, napi_create_typedarray(env, napi_uint8_array, sizeof(map), buffer, 0, &array));
    check(env, napi_create_reference(env, array, 1, &stateOf(env).coverageMap));
    napi_value core;
    check(env, napi_get_reference_value(env, stateOf(env).coreConstructor, &core));
    defineFunction(env, core, "coverage", entry<coverageMap>);
    defineFunction(env, core, "resetCoverage", entry<resetCoverage>);
}

#else

void defineCoverage(napi_env env, napi_value exports) {
    setProperty(env, exports, "coverage", makeFlag(env, false));
}

#endif

}  // namespace verbex::addon
