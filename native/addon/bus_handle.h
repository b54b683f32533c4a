// What the functions of a NativeBus share: its handle, and how promises are settled.
//
// Purpose: the object's own functions (native_bus.cpp) and those of its streams
// (bus_stream_functions.cpp) see one handle.
// Owner: the JS object, the threadsafe function and every answer that is on its way.
// Thread safety: deliver() and tell() from any thread, the rest on the JS thread.
// Invariants: the agent's thread never holds the last reference, so it never waits for itself: the
// threadsafe function holds one until the thread has ended.
// Requires: a handle scope.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "addon/addon.h"
#include "addon/bus_thread.h"

namespace verbex::addon {

// Runs on the JS thread.
using Delivery = std::function<void(napi_env)>;

// Shared by the JS object, the threadsafe function and the environment's cleanup.
struct BusHandle {
    std::unique_ptr<BusThread> agent;

    std::mutex mutex;  // guards the next three while the agent runs
    napi_threadsafe_function deliveries = nullptr;
    bool environmentGone = false;
    napi_env afterwards =
        nullptr;  // once the agent has ended: only the JS thread is left to answer
    std::atomic<bool> told{false};  // an onNews call is under way

    // The JS thread's. Streams are known by number; a number is not used again.
    std::unordered_map<uint32_t, std::shared_ptr<Outbound>> outbounds;
    std::unordered_map<uint32_t, std::shared_ptr<Inbound>> inbounds;
    uint32_t nextStream = 1;
    napi_ref self = nullptr;  // keeps the JS object while the bus is open
    bool hooked = false;
    bool ended = false;

    // Any thread. Dropped where the environment is going away: nobody waits there any more.
    void deliver(Delivery delivery) {
        napi_env env = nullptr;
        {
            const std::lock_guard guard(mutex);
            env = afterwards;
        }
        if (env != nullptr) {
            delivery(env);
            return;
        }
        auto boxed = std::make_unique<Delivery>(std::move(delivery));
        if (call(boxed.get())) (void)boxed.release();
    }
    void tell() {
        if (told.exchange(true)) return;  // it will look after this
        (void)call(nullptr);
    }
    // JS thread. Waits for the agent's thread and lets the event loop go.
    void end(napi_env env);

private:
    bool call(void* data) {
        const std::lock_guard guard(mutex);
        if (environmentGone || deliveries == nullptr) return false;
        return napi_call_threadsafe_function(deliveries, data, napi_tsfn_nonblocking) == napi_ok;
    }
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
        handle->deliver([deferred, make, result = std::move(result)](napi_env env) mutable {
            if (!result.isOk()) return reject(env, deferred, result.status());
            resolve(env, deferred, [&](napi_env on) { return make(on, result.value()); });
        });
    };
}

inline BusThread::Done completing(const std::shared_ptr<BusHandle>& handle,
                                  napi_deferred deferred) {
    return [handle, deferred](const Status& status) {
        handle->deliver([deferred, status](napi_env env) {
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
