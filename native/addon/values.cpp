#include <algorithm>
#include <cstring>
#include <memory>

#include "addon/addon.h"

namespace verbex::addon {

namespace {

// What a process can be expected to have memory for; the core allocates at once.
constexpr uint64_t kOrdersMax = 1u << 26;
constexpr uint64_t kAccountsMax = 1u << 24;
constexpr uint64_t kInstrumentsMax = 1u << 20;
constexpr uint64_t kClientIdsMax = 1u << 28;
constexpr uint64_t kAnswerRowsMax = 1u << 20;
// An answer of about a megabyte: what an account of thousands of orders asks often.
constexpr uint32_t kAccountOrdersMax = 10'000;

struct Work {
    napi_deferred deferred = nullptr;
    napi_async_work handle = nullptr;
    std::function<WorkOutcome()> work;
    WorkOutcome outcome;
};

void executeWork(napi_env, void* data) {
    auto& work = *static_cast<Work*>(data);
    try {
        work.outcome = work.work();
    } catch (const std::bad_alloc&) {
        work.outcome.failure = node::Failure("OUT_OF_MEMORY", "not enough memory");
    }
}

void completeWork(napi_env env, napi_status status, void* data) {
    const std::unique_ptr<Work> work(static_cast<Work*>(data));
    (void)napi_delete_async_work(env, work->handle);
    node::Failure failure = work->outcome.failure;
    if (status != napi_ok) failure = node::Failure("CLOSED", "the environment is going away");
    if (failure.isOk()) {
        try {
            check(env, napi_resolve_deferred(env, work->deferred, work->outcome.value(env)));
            return;
        } catch (const ThrownFailure& thrown) {
            failure = thrown.failure;
        } catch (const PendingException&) {
            napi_value exception;
            if (napi_get_and_clear_last_exception(env, &exception) == napi_ok) {
                (void)napi_reject_deferred(env, work->deferred, exception);
            }
            return;
        }
    }
    reject(env, work->deferred, failure);
}

}  // namespace

AddonState& stateOf(napi_env env) {
    void* data = nullptr;
    check(env, napi_get_instance_data(env, &data));
    return *static_cast<AddonState*>(data);
}

void setProperty(napi_env env, napi_value target, const char* name, napi_value value) {
    const napi_property_descriptor property = {name,  nullptr,         nullptr, nullptr, nullptr,
                                               value, napi_enumerable, nullptr};
    check(env, napi_define_properties(env, target, 1, &property));
}

void defineFunction(napi_env env, napi_value target, const char* name, napi_callback callback) {
    napi_value function;
    check(env, napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, nullptr, &function));
    setProperty(env, target, name, function);
}

napi_value makeDouble(napi_env env, double number) {
    napi_value made;
    check(env, napi_create_double(env, number, &made));
    return made;
}

napi_value makeNumber(napi_env env, uint64_t number) {
    napi_value value;
    check(env, napi_create_double(env, static_cast<double>(number), &value));
    return value;
}

napi_value makeBigint(napi_env env, uint64_t number) {
    napi_value value;
    check(env, napi_create_bigint_uint64(env, number, &value));
    return value;
}

napi_value makeFlag(napi_env env, bool flag) {
    napi_value value;
    check(env, napi_get_boolean(env, flag, &value));
    return value;
}

napi_value makeBytes(napi_env env, const void* bytes, size_t size) {
    void* memory = nullptr;
    napi_value buffer;
    check(env, napi_create_arraybuffer(env, size, &memory, &buffer));
    if (size != 0) std::memcpy(memory, bytes, size);
    napi_value array;
    check(env, napi_create_typedarray(env, napi_uint8_array, size, buffer, 0, &array));
    return array;
}

napi_value makeBuffer(napi_env env, void* memory, size_t bytes, std::shared_ptr<void> owner) {
    auto boxed = std::make_unique<std::shared_ptr<void>>(std::move(owner));
    napi_value buffer;
    check(env, napi_create_external_arraybuffer(
                   env, memory, bytes,
                   [](napi_env, void*, void* hint) {
                       delete static_cast<std::shared_ptr<void>*>(hint);
                   },
                   boxed.get(), &buffer));
    (void)boxed.release();
    return buffer;
}

napi_value defineClass(napi_env env, const char* name, napi_callback constructor,
                       const std::vector<Method>& methods) {
    std::vector<napi_property_descriptor> properties;
    for (const Method& method : methods) {
        properties.push_back({method.name, nullptr, method.callback, nullptr, nullptr, nullptr,
                              method.onClass ? napi_static : napi_default_method, nullptr});
    }
    napi_value made;
    check(env, napi_define_class(env, name, NAPI_AUTO_LENGTH, constructor, nullptr,
                                 properties.size(), properties.data(), &made));
    return made;
}

CoreLimits limitsOf(const Arguments& arguments, napi_value object) {
    const auto read = [&](const char* name, uint64_t most) {
        return static_cast<uint32_t>(arguments.numberOf(object, name, 0, most, 0));
    };
    CoreLimits limits{};
    limits.maxOrders = read("maxOrders", kOrdersMax);
    limits.maxAccounts = read("maxAccounts", kAccountsMax);
    limits.maxInstruments = read("maxInstruments", kInstrumentsMax);
    limits.maxClientIds = read("maxClientIds", kClientIdsMax);
    return limits;
}

CoreLimits withDefaults(const CoreLimits& limits) {
    const CoreLimits otherwise;
    CoreLimits all = limits;
    if (all.maxOrders == 0) all.maxOrders = otherwise.maxOrders;
    if (all.maxAccounts == 0) all.maxAccounts = otherwise.maxAccounts;
    if (all.maxInstruments == 0) all.maxInstruments = otherwise.maxInstruments;
    if (all.maxClientIds == 0) all.maxClientIds = otherwise.maxClientIds;
    return all;
}

Question questionOf(const Arguments& arguments) {
    const std::string kind = arguments.text(0, "kind", 16);
    const auto a = static_cast<uint32_t>(arguments.number(1, "a", 0, UINT32_MAX));
    const auto b = static_cast<uint32_t>(arguments.number(2, "b", 0, UINT32_MAX));
    const uint32_t rows = b < kAnswerRowsMax ? b : kAnswerRowsMax;
    ClientId id{};
    const bool withId = !arguments.isNullish(3);
    if (withId) {
        const std::span<const std::byte> bytes = arguments.bytes(3, "id");
        if (bytes.size() != sizeof(id)) throwArgument("id must be 16 bytes long");
        std::memcpy(&id, bytes.data(), sizeof(id));
    } else if (kind == "order") {
        throwArgument("id must be a Uint8Array");
    }
    if (kind == "hash") {
        return [](const Core& core) {
            return "{\"position\":" + std::to_string(core.position()) + ",\"stateHash\":\"" +
                   core.hash().hex() + "\"}";
        };
    }
    std::function<void(const Core&, std::string&)> write;
    if (kind == "levels") {
        write = [a, rows](const Core& core, std::string& out) { core.explainLevels(a, rows, out); };
    } else if (kind == "orders") {
        write = [a, rows](const Core& core, std::string& out) { core.explainOrders(a, rows, out); };
    } else if (kind == "account") {
        write = [a](const Core& core, std::string& out) { core.explainAccount(a, out); };
    } else if (kind == "account-orders") {
        const uint32_t orders = std::min(b, kAccountOrdersMax);
        write = [a, orders, id, withId](const Core& core, std::string& out) {
            core.explainAccountOrders(a, withId ? &id : nullptr, orders, out);
        };
    } else if (kind == "order") {
        write = [a, id](const Core& core, std::string& out) { core.explainOrder(a, id, out); };
    } else if (kind == "market") {
        write = [](const Core& core, std::string& out) { core.explainMarket(out); };
    } else if (kind == "accounts") {
        write = [a, rows](const Core& core, std::string& out) {
            core.explainAccounts(a, rows, out);
        };
    } else if (kind == "explain") {
        write = [](const Core& core, std::string& out) { core.explain(out); };
    } else {
        throwArgument(
            "kind must be levels, orders, account, account-orders, order, market, accounts, hash or "
            "explain");
    }
    return [write](const Core& core) {
        std::string out;
        write(core, out);
        return out;
    };
}

napi_value runWork(napi_env env, const char* name, std::function<WorkOutcome()> work) {
    auto made = std::make_unique<Work>();
    made->work = std::move(work);
    napi_value promise;
    check(env, napi_create_promise(env, &made->deferred, &promise));
    check(env, napi_create_async_work(env, nullptr, makeText(env, name), executeWork, completeWork,
                                      made.get(), &made->handle));
    check(env, napi_queue_async_work(env, made->handle));
    (void)made.release();  // completeWork() owns it now
    return promise;
}

WorkOutcome textOutcome(std::string text) {
    return {{}, [text = std::move(text)](napi_env env) { return makeText(env, text); }};
}

void resolve(napi_env env, napi_deferred deferred,
             const std::function<napi_value(napi_env)>& value) {
    try {
        check(env, napi_resolve_deferred(env, deferred, value(env)));
    } catch (const ThrownFailure& thrown) {
        reject(env, deferred, thrown.failure);
    } catch (const PendingException&) {
        // Only in teardown can making a plain value throw; nobody waits there.
    }
}

void reject(napi_env env, napi_deferred deferred, const node::Failure& failure) {
    try {
        check(env, napi_reject_deferred(env, deferred, makeError(env, {failure, false})));
    } catch (const ThrownFailure&) {
        // No JavaScript is left that could wait for it.
    } catch (const PendingException&) {
    }
}

}  // namespace verbex::addon
