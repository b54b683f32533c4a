// The parts of the addon, and what they share per environment.
//
// Purpose: each worker thread of a Node process loads the addon into an environment of its own.
// Nothing here is global: what is shared within an environment hangs on it.
// Owner: the environment (AddonState is its instance data).
// Thread safety: the JS thread of the environment.
// Invariants: none.
// Requires: define…() is called once per environment, by module.cpp.
#pragma once

#include <node_api.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "addon/arguments.h"
#include "core/core.h"

namespace verbex::addon {

struct NodeHandle;

struct AddonState {
    napi_ref coreConstructor = nullptr;
    napi_ref nodeConstructor = nullptr;
    napi_ref busConstructor = nullptr;
    napi_ref coverageMap = nullptr;
    // Handed to the constructor that the addon itself calls; null while JavaScript calls it.
    void* constructing = nullptr;
};

AddonState& stateOf(napi_env env);

void defineNativeCore(napi_env env, napi_value exports);
void defineNativeNode(napi_env env, napi_value exports);
void defineNativeLoad(napi_env env, napi_value exports);
void defineNativeMember(napi_env env, napi_value exports);
void defineNativeBridge(napi_env env, napi_value exports);
void defineNativeRole(napi_env env, napi_value exports);
void defineNativeClusterLoad(napi_env env, napi_value exports);
void defineNativeBus(napi_env env, napi_value exports);
void defineSimulatorFunctions(napi_env env, napi_value exports);
void defineHostFunctions(napi_env env, napi_value exports);
void defineJournalFunctions(napi_env env, napi_value exports);
void defineLayout(napi_env env, napi_value exports);
void defineCoverage(napi_env env, napi_value exports);

void defineFunction(napi_env env, napi_value target, const char* name, napi_callback callback);
void setProperty(napi_env env, napi_value target, const char* name, napi_value value);
napi_value makeNumber(napi_env env, uint64_t number);
napi_value makeDouble(napi_env env, double number);
napi_value makeBigint(napi_env env, uint64_t number);
napi_value makeFlag(napi_env env, bool flag);
// A fresh Uint8Array with a copy of the bytes.
napi_value makeBytes(napi_env env, const void* bytes, size_t size);
// An ArrayBuffer over memory that lives as long as it does, however JavaScript passes that around.
napi_value makeBuffer(napi_env env, void* memory, size_t bytes, std::shared_ptr<void> owner);
// A class of methods on the prototype; answers its constructor.
struct Method {
    const char* name;
    napi_callback callback;
    bool onClass = false;
};
napi_value defineClass(napi_env env, const char* name, napi_callback constructor,
                       const std::vector<Method>& methods);

// The capacities of a core out of an options object. Each 0 or absent one stays 0: default.
CoreLimits limitsOf(const Arguments& arguments, napi_value object);
CoreLimits withDefaults(const CoreLimits& limits);

// A question to a core, as query() takes it: kind, a, b, id.
using Question = std::function<std::string(const Core&)>;
Question questionOf(const Arguments& arguments);

// Runs `work` on libuv's pool and settles the promise that this answers. Work that failed says so;
// otherwise `value` makes the answer, on the JS thread.
struct WorkOutcome {
    node::Failure failure;
    std::function<napi_value(napi_env)> value;
};
napi_value runWork(napi_env env, const char* name, std::function<WorkOutcome()> work);
WorkOutcome textOutcome(std::string text);

// Settle a promise on the JS thread; a failure to do so leaves it unsettled, which happens in
// teardown only.
void resolve(napi_env env, napi_deferred deferred,
             const std::function<napi_value(napi_env)>& value);
void reject(napi_env env, napi_deferred deferred, const node::Failure& failure);

}  // namespace verbex::addon
