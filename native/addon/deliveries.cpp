#include "addon/deliveries.h"

#include <utility>

#include "addon/addon.h"

namespace verbex::addon {

void Deliveries::open(napi_env env, napi_value onNews, const char* name,
                      std::shared_ptr<void> owner) {
    auto held = std::make_unique<std::shared_ptr<void>>(std::move(owner));
    check(env, napi_create_threadsafe_function(
                   env, onNews, nullptr, makeText(env, name), 0, 1, held.get(),
                   [](napi_env, void* data, void*) {
                       delete static_cast<std::shared_ptr<void>*>(data);
                   },
                   this, callJs, &function_));
    (void)held.release();
}

void Deliveries::deliver(Delivery delivery) {
    napi_env env = nullptr;
    {
        const std::lock_guard guard(mutex_);
        env = afterwards_;
    }
    if (env != nullptr) {
        delivery(env);
        return;
    }
    auto boxed = std::make_unique<Delivery>(std::move(delivery));
    if (call(boxed.get())) (void)boxed.release();
}

void Deliveries::tell() {
    if (told_.exchange(true)) return;  // it will look after this
    (void)call(nullptr);
}

void Deliveries::cut() {
    const std::lock_guard guard(mutex_);
    cut_ = true;
}

void Deliveries::end(napi_env env) {
    napi_threadsafe_function last = nullptr;
    {
        const std::lock_guard guard(mutex_);
        last = std::exchange(function_, nullptr);
        afterwards_ = env;
    }
    if (last != nullptr) (void)napi_release_threadsafe_function(last, napi_tsfn_release);
}

bool Deliveries::call(void* data) {
    const std::lock_guard guard(mutex_);
    if (cut_ || function_ == nullptr) return false;
    return napi_call_threadsafe_function(function_, data, napi_tsfn_nonblocking) == napi_ok;
}

// Without an environment it only cleans up.
void Deliveries::callJs(napi_env env, napi_value onNews, void* context, void* data) {
    const std::unique_ptr<Delivery> delivery(static_cast<Delivery*>(data));
    if (env == nullptr) return;
    if (delivery != nullptr) {
        (*delivery)(env);
        return;
    }
    // Cleared first: what comes from now on is told again.
    static_cast<Deliveries*>(context)->told_.store(false);
    napi_value undefined;
    if (napi_get_undefined(env, &undefined) != napi_ok) return;
    if (napi_call_function(env, undefined, onNews, 0, nullptr, nullptr) != napi_pending_exception) {
        return;
    }
    napi_value exception;
    if (napi_get_and_clear_last_exception(env, &exception) == napi_ok) {
        (void)napi_fatal_exception(env, exception);
    }
}

}  // namespace verbex::addon
