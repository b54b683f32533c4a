// Deliveries: how threads of a host reach JavaScript.
//
//   a host's thread                                JS thread
//   deliver(what) ─► threadsafe function, queued ─►  what(env)
//   tell()        ─► the same, one under way     ─►  onNews()
//
// Purpose: the objects that hold a host (a node, a bus, a member) answer promises and say that there
// is something to fetch. Both go through one threadsafe function; this is it.
// Owner: the object's handle, which the threadsafe function holds in turn until it is gone.
// Thread safety: deliver() and tell() from any thread; the rest on the JS thread.
// Invariants:
//   1. At most one call of onNews is under way, whatever number of times it was told.
//   2. After cut() nothing is handed over: the environment goes away, nobody waits there any more.
//   3. What was queued before end() is still delivered; what is delivered after it (by the JS thread,
//      the host's own have ended) happens at once.
// Requires: a handle scope.
#pragma once

#include <node_api.h>

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>

namespace verbex::addon {

// Runs on the JS thread.
using Delivery = std::function<void(napi_env)>;

class Deliveries {
public:
    // `owner` is what this is a part of.
    void open(napi_env env, napi_value onNews, const char* name, std::shared_ptr<void> owner);
    void deliver(Delivery delivery);
    void tell();
    void cut();
    void end(napi_env env);

private:
    static void callJs(napi_env env, napi_value onNews, void* context, void* data);
    bool call(void* data);

    std::mutex mutex_;  // guards the next three
    napi_threadsafe_function function_ = nullptr;
    bool cut_ = false;
    napi_env afterwards_ = nullptr;  // since end()
    std::atomic<bool> told_{false};  // an onNews call is under way
};

}  // namespace verbex::addon
