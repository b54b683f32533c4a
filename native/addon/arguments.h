// What comes in from JavaScript, checked.
//
// Purpose: every function of the addon reads its arguments through this class, so that garbage ends
// as a JavaScript error and never as a wild read. Exceptions live in this room only: they unwind to
// guarded().
// Owner: one call.
// Thread safety: the JS thread of its environment.
// Invariants:
//   1. A getter either answers a value of the asked kind and range, or throws.
//   2. Native objects are recognised by their type tag before they are unwrapped: a method that is
//      called on another class's object throws.
//   3. Pointers into JS memory (bytes()) are taken last: reading a property may run code that
//      detaches them.
// Requires: a current handle scope.
#pragma once

#include <node_api.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <utility>

#include "node/failure.h"

namespace verbex::addon {

// Becomes a JavaScript Error with `.code` (and `.place` where a journal is damaged).
struct ThrownFailure {
    node::Failure failure;
    bool argument = false;  // a TypeError: the caller's mistake
};
// Something threw in JavaScript already; it goes on from here.
struct PendingException {};

[[noreturn]] inline void throwArgument(const std::string& message) {
    throw ThrownFailure{node::Failure("INVALID_ARGUMENT", message), true};
}

// Throws where a call into Node-API failed.
void check(napi_env env, napi_status status);

napi_value makeText(napi_env env, const std::string& text);
napi_value makeError(napi_env env, const ThrownFailure& thrown);

class Arguments {
public:
    static constexpr size_t kArgumentsMax = 6;

    Arguments(napi_env env, napi_callback_info info) : env_(env) {
        check(env, napi_get_cb_info(env, info, &count_, values_, &self_, nullptr));
        check(env, napi_get_new_target(env, info, &newTarget_));
    }

    [[nodiscard]] napi_env env() const { return env_; }
    [[nodiscard]] napi_value self() const { return self_; }
    [[nodiscard]] bool constructing() const { return newTarget_ != nullptr; }
    [[nodiscard]] napi_value at(size_t index) const {
        if (index < count_ && index < kArgumentsMax) return values_[index];
        napi_value undefined;
        check(env_, napi_get_undefined(env_, &undefined));
        return undefined;
    }

    [[nodiscard]] uint64_t number(size_t index, const char* name, uint64_t least,
                                  uint64_t most) const {
        return toNumber(at(index), name, least, most);
    }
    [[nodiscard]] uint64_t bigint(size_t index, const char* name) const;
    [[nodiscard]] std::string text(size_t index, const char* name, size_t bytesMax) const {
        return toText(at(index), name, bytesMax);
    }
    [[nodiscard]] napi_value function(size_t index, const char* name) const;
    [[nodiscard]] napi_value object(size_t index, const char* name) const;
    [[nodiscard]] bool isNullish(size_t index) const;
    // The bytes of a Uint8Array; valid until the next call into JavaScript.
    [[nodiscard]] std::span<const std::byte> bytes(size_t index, const char* name) const {
        return toBytes(at(index), name);
    }
    [[nodiscard]] std::span<const std::byte> toBytes(napi_value value, const char* name) const;

    // Properties of an argument object. An absent one (undefined) is `otherwise`.
    [[nodiscard]] uint64_t numberOf(napi_value object, const char* name, uint64_t least,
                                    uint64_t most, uint64_t otherwise) const;
    [[nodiscard]] bool flagOf(napi_value object, const char* name, bool otherwise) const;
    // nullptr where it is absent.
    [[nodiscard]] napi_value objectOf(napi_value object, const char* name) const;
    [[nodiscard]] std::string textOf(napi_value object, const char* name, size_t bytesMax) const;
    [[nodiscard]] std::string textOf(napi_value object, const char* name, size_t bytesMax,
                                     const char* otherwise) const;

    // The native object behind `this`.
    template <typename Native>
    [[nodiscard]] Native& unwrap() const {
        bool mine = false;
        napi_valuetype type;
        check(env_, napi_typeof(env_, self_, &type));
        if (type == napi_object) {
            check(env_, napi_check_object_type_tag(env_, self_, &Native::kTypeTag, &mine));
        }
        if (!mine) throwArgument(std::string("this is not a ") + Native::kClassName);
        void* native = nullptr;
        check(env_, napi_unwrap(env_, self_, &native));
        return *static_cast<Native*>(native);
    }

    // From a constructor: `this` holds the object from now on, and answers unwrap(). When JavaScript has
    // no more use for it, Gone is called and the object deleted.
    template <typename Native, void (*Gone)(napi_env, Native&) = nullptr>
    napi_value wrap(std::unique_ptr<Native> object) const {
        check(env_, napi_type_tag_object(env_, self_, &Native::kTypeTag));
        check(env_, napi_wrap(
                        env_, self_, object.get(),
                        [](napi_env env, void* data, void*) {
                            const std::unique_ptr<Native> gone(static_cast<Native*>(data));
                            if constexpr (Gone != nullptr) Gone(env, *gone);
                        },
                        nullptr, nullptr));
        (void)object.release();
        return self_;
    }

private:
    [[nodiscard]] uint64_t toNumber(napi_value value, const char* name, uint64_t least,
                                    uint64_t most) const;
    [[nodiscard]] std::string toText(napi_value value, const char* name, size_t bytesMax) const;
    [[nodiscard]] napi_value property(napi_value object, const char* name,
                                      napi_valuetype& type) const;

    napi_env env_;
    size_t count_ = kArgumentsMax;
    napi_value values_[kArgumentsMax] = {};
    napi_value self_ = nullptr;
    napi_value newTarget_ = nullptr;
};

void throwInto(napi_env env, const ThrownFailure& thrown);

// The frame of every function that JavaScript calls: nothing that is thrown leaves it.
template <typename Body>
napi_value guarded(napi_env env, Body&& body) {
    try {
        return body();
    } catch (const ThrownFailure& thrown) {
        throwInto(env, thrown);
    } catch (const PendingException&) {
        // JavaScript's own exception is pending and goes on when this returns.
    } catch (const std::bad_alloc&) {
        throwInto(env, {node::Failure("OUT_OF_MEMORY", "not enough memory"), false});
    }
    return nullptr;
}

template <napi_value (*Body)(const Arguments&)>
napi_value entry(napi_env env, napi_callback_info info) {
    return guarded(env, [&] { return Body(Arguments(env, info)); });
}

}  // namespace verbex::addon
