// NativeNode: a running node, its rings as ArrayBuffers, its answers as promises.
//
//   JS thread                         engine, snapshot thread
//   offer(), available(), release()   ─ no call between the threads but the rings' cursors
//   query(), snapshot(), close()      ─► Delivery ─► threadsafe function ─► promise
//   onEvents()                        ◄─ the same threadsafe function, at most one call under way
#include <atomic>
#include <cstring>
#include <functional>
#include <memory>

#include "addon/addon.h"
#include "journal/posix_storage.h"
#include "node/node.h"

namespace verbex::addon {

namespace {

constexpr uint32_t kStageCells = 1024;
constexpr uint64_t kSegmentBytesMostUseful = uint64_t{1} << 32;
constexpr size_t kPathBytesMax = 4096;

// Runs on the JS thread.
using Delivery = std::function<void(napi_env)>;

}  // namespace

// Shared by the JS object, the threadsafe function and the environment's cleanup.
struct NodeHandle : std::enable_shared_from_this<NodeHandle> {
    static constexpr const char* kClassName = "NativeNode";
    static constexpr napi_type_tag kTypeTag = {0x766572626578'0002, 0x5be1d2ff93c04e27};

    journal::PosixStorage storage;
    node::SystemClock clock;
    // Outlives every ArrayBuffer over it, however JavaScript passes that around.
    std::shared_ptr<Command[]> stage{new Command[kStageCells]()};
    std::unique_ptr<node::Node> node;
    napi_threadsafe_function deliveries = nullptr;  // null after the end
    std::atomic<bool> told{false};                  // an onEvents call is under way
    bool hooked = false;
    bool ended = false;
    node::CloseResult closed;  // valid where ended

    // Any thread. Dropped where the environment is going away: nobody waits there any more.
    void deliver(Delivery delivery) {
        auto boxed = std::make_unique<Delivery>(std::move(delivery));
        if (napi_call_threadsafe_function(deliveries, boxed.get(), napi_tsfn_nonblocking) ==
            napi_ok) {
            (void)boxed.release();
        }
    }
    // Engine's thread.
    void tellConsumer() {
        if (told.exchange(true)) return;  // it will look after this
        (void)napi_call_threadsafe_function(deliveries, nullptr, napi_tsfn_nonblocking);
    }
    // JS thread: all threads are joined, nothing is delivered any more.
    void end(napi_env env);
};

namespace {

void onEnvironmentExit(void* data) {
    auto* handle = static_cast<NodeHandle*>(data);
    handle->hooked = false;
    if (handle->node != nullptr) handle->node->stop();
}

// The JS side of the threadsafe function. Without an environment it only cleans up.
void callJs(napi_env env, napi_value onEvents, void* context, void* data) {
    const std::unique_ptr<Delivery> delivery(static_cast<Delivery*>(data));
    if (env == nullptr) return;
    if (delivery != nullptr) {
        (*delivery)(env);
        return;
    }
    // Cleared first: what is published from now on is told again.
    static_cast<NodeHandle*>(context)->told.store(false);
    napi_value undefined;
    if (napi_get_undefined(env, &undefined) != napi_ok) return;
    if (napi_call_function(env, undefined, onEvents, 0, nullptr, nullptr) !=
        napi_pending_exception) {
        return;
    }
    napi_value exception;
    if (napi_get_and_clear_last_exception(env, &exception) == napi_ok) {
        (void)napi_fatal_exception(env, exception);
    }
}

void finalizeDeliveries(napi_env, void* data, void*) {
    delete static_cast<std::shared_ptr<NodeHandle>*>(data);
}

NodeHandle& running(const Arguments& arguments) {
    return *arguments.unwrap<std::shared_ptr<NodeHandle>*>()->get();
}

}  // namespace

void NodeHandle::end(napi_env env) {
    if (ended) return;
    ended = true;
    node->stop();
    if (hooked) (void)napi_remove_env_cleanup_hook(env, onEnvironmentExit, this);
    hooked = false;
    napi_threadsafe_function last = deliveries;
    deliveries = nullptr;
    (void)napi_release_threadsafe_function(last, napi_tsfn_release);
}

}  // namespace verbex::addon
