// What the functions of a NativeBus share: its handle, and how promises are settled.
//
// Purpose: the object's own functions (native_bus.cpp) and those of its streams
// (bus_stream_functions.cpp) see one handle.
// Owner: the JS object, the threadsafe function and every answer that is on its way.
// Thread safety: deliveries from any thread, the rest on the JS thread.
// Invariants: the agent's thread never holds the last reference, so it never waits for itself: the
// threadsafe function holds one until the thread has ended.
// Requires: a handle scope.
#pragma once

#include <functional>
#include <memory>
#include <unordered_map>
#include <vector>

#include "addon/addon.h"
#include "addon/bus_thread.h"
#include "addon/deliveries.h"

namespace verbex::addon {

// Shared by the JS object, the threadsafe function and the environment's cleanup.
struct BusHandle {
    std::unique_ptr<BusThread> agent;

    Deliveries deliveries;

    // The JS thread's. Streams are known by number; a number is not used again.
    std::unordered_map<uint32_t, std::shared_ptr<Outbound>> outbounds;
    std::unordered_map<uint32_t, std::shared_ptr<Inbound>> inbounds;
    uint32_t nextStream = 1;
    napi_ref self = nullptr;  // keeps the JS object while the bus is open
    bool hooked = false;
    bool ended = false;

    // JS thread. Waits for the agent's thread and lets the event loop go.
    void end(napi_env env);
};

// What the JS object wraps.
struct BusObject {
    static constexpr const char* kClassName = "NativeBus";
    static constexpr napi_type_tag kTypeTag = {0x766572626578'0003, 0x1c7fd0a86be24935};
    std::shared_ptr<BusHandle> handle;
};

inline std::shared_ptr<BusHandle> handleOf(const Arguments& arguments) {
    return arguments.unwrap<BusObject>().handle;
}

struct Promised {
    napi_deferred deferred = nullptr;
    napi_value promise = nullptr;
    explicit Promised(napi_env env) { check(env, napi_create_promise(env, &deferred, &promise)); }
};

// Settles the promise with what `make` makes of the value.
template <typename Value>
BusThread::Answer<Value> answering(const std::shared_ptr<BusHandle>& handle, napi_deferred deferred,
                                   std::function<napi_value(napi_env, Value&)> make) {
    return [handle, deferred, make = std::move(make)](Result<Value> result) {
        handle->deliveries.deliver([deferred, make, result = std::move(result)](napi_env env) mutable {
            if (!result.isOk()) return reject(env, deferred, result.status());
            resolve(env, deferred, [&](napi_env on) { return make(on, result.value()); });
        });
    };
}

inline BusThread::Done completing(const std::shared_ptr<BusHandle>& handle,
                                  napi_deferred deferred) {
    return [handle, deferred](const Status& status) {
        handle->deliveries.deliver([deferred, status](napi_env env) {
            if (!status.isOk()) return reject(env, deferred, status);
            resolve(env, deferred, [](napi_env on) {
                napi_value undefined;
                check(on, napi_get_undefined(on, &undefined));
                return undefined;
            });
        });
    };
}

inline napi_value makeRecord(napi_env env) {
    napi_value object;
    check(env, napi_create_object(env, &object));
    return object;
}

inline constexpr uint64_t kBusMillisecondsMax = 3'600'000;

inline Nanoseconds nanosecondsAt(const Arguments& arguments, size_t index, const char* name) {
    return 1'000'000 * arguments.number(index, name, 0, kBusMillisecondsMax);
}

inline bus::PeerId peerAt(const Arguments& arguments, size_t index) {
    return static_cast<bus::PeerId>(arguments.number(index, "peer", 0, UINT32_MAX));
}

// publish, offer, subscribe, next …
void addBusStreamMethods(std::vector<Method>& methods);

}  // namespace verbex::addon
