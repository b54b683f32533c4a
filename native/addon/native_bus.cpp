// NativeBus: a bus and its agent, its streams as rings, its answers as promises.
//
//   JS thread                                   agent
//   offer(), offerBatch()        ─► ByteRing ─►  Publication
//   next()                       ◄─ ByteRing ◄─  Subscription
//   listen(), connect(), …       ─► queue    ─►  Bus ─► Delivery ─► threadsafe function ─► promise
//   onNews()                     ◄─ the same threadsafe function, at most one call under way, and
//                                   only where somebody said that it waits, or for events
//
// An open bus keeps its JS object and the event loop alive until close() has been answered. An
// environment that goes away with an open bus stops it as a dying process would.
#include <memory>
#include <system_error>

#include "addon/bus_handle.h"
#include "addon/bus_options.h"

namespace verbex::addon {

namespace {

constexpr size_t kAddressBytesMax = 300;

void onEnvironmentExit(void* data) {
    auto* handle = static_cast<BusHandle*>(data);
    handle->deliveries.cut();
    handle->hooked = false;
    if (handle->agent != nullptr) handle->agent->stop();
}

napi_value makePeer(napi_env env, const bus::PeerView& peer) {
    const napi_value object = makeRecord(env);
    setProperty(env, object, "id", makeNumber(env, peer.id));
    setProperty(env, object, "name", makeText(env, peer.name));
    setProperty(env, object, "inbound", makeFlag(env, peer.inbound));
    setProperty(env, object, "connected", makeFlag(env, peer.connected));
    setProperty(env, object, "transport",
                makeText(env, std::string(transport::transportName(peer.transport))));
    setProperty(env, object, "epoch", makeNumber(env, peer.epoch));
    setProperty(env, object, "why", makeText(env, peer.reason));
    setProperty(
        env, object, "code",
        makeText(env, peer.failure.isOk() ? "" : std::string(statusCodeName(peer.failure.code()))));
    setProperty(env, object, "message", makeText(env, peer.failure.message()));
    setProperty(env, object, "roundTripNs", makeNumber(env, peer.roundTripNs));
    return object;
}

template <typename Value, typename Make>
napi_value makeArray(napi_env env, const std::vector<Value>& values, Make make) {
    napi_value array;
    check(env, napi_create_array_with_length(env, values.size(), &array));
    for (size_t i = 0; i < values.size(); i++) {
        check(env, napi_set_element(env, array, static_cast<uint32_t>(i), make(env, values[i])));
    }
    return array;
}

// ---- making one -----------------------------------------------------------------------------

// Only open() constructs one.
napi_value construct(const Arguments& arguments) {
    const napi_env env = arguments.env();
    AddonState& state = stateOf(env);
    if (!arguments.constructing() || state.constructing == nullptr) {
        throwArgument("a NativeBus is made by NativeBus.open()");
    }
    auto object = std::make_unique<BusObject>();
    object->handle = *static_cast<std::shared_ptr<BusHandle>*>(state.constructing);
    state.constructing = nullptr;
    BusHandle& handle = *object->handle;
    const napi_value self = arguments.wrap(std::move(object));
    check(env, napi_create_reference(env, self, 1, &handle.self));
    return self;
}

napi_value makeObject(napi_env env, std::shared_ptr<BusHandle> handle) {
    AddonState& state = stateOf(env);
    napi_value constructor;
    check(env, napi_get_reference_value(env, state.busConstructor, &constructor));
    napi_value made = nullptr;
    state.constructing = &handle;
    const napi_status status = napi_new_instance(env, constructor, 0, nullptr, &made);
    state.constructing = nullptr;
    check(env, status);
    return made;
}

// On libuv's pool: certificates are read, libraries looked for.
node::Failure openInto(const std::shared_ptr<BusHandle>& handle, const BusThreadOptions& options) {
    try {
        // The handle waits for the agent's thread before it goes, so a plain pointer will do.
        auto agent = BusThread::open(options, [raw = handle.get()] { raw->deliveries.tell(); });
        if (!agent.isOk()) return agent.status();
        handle->agent = agent.take();
        return {};
    } catch (const std::bad_alloc&) {
        return {"OUT_OF_MEMORY", "not enough memory for a bus"};
    } catch (const std::system_error& error) {
        return {"OUT_OF_THREADS", error.what()};
    }
}

// open(options, onNews, key | null)
napi_value open(const Arguments& arguments) {
    const napi_env env = arguments.env();
    BusThreadOptions options = busOptionsOf(arguments, arguments.object(0, "options"));
    const napi_value onNews = arguments.function(1, "onNews");
    if (!arguments.isNullish(2)) {
        const std::span<const std::byte> key = arguments.bytes(2, "key");
        options.network.key.assign(key.begin(), key.end());
    }

    auto handle = std::make_shared<BusHandle>();
    handle->deliveries.open(env, onNews, "verbex.bus", handle);
    // Behind the threadsafe function's own hook, so that it runs before it.
    check(env, napi_add_env_cleanup_hook(env, onEnvironmentExit, handle.get()));
    handle->hooked = true;
    return runWork(env, "verbex.openBus", [handle, options]() -> WorkOutcome {
        const node::Failure failure = openInto(handle, options);
        return {{}, [handle, failure](napi_env on) {
                    if (!failure.isOk()) {
                        handle->end(on);
                        throw ThrownFailure{failure, false};
                    }
                    try {
                        return makeObject(on, handle);
                    } catch (...) {
                        handle->end(on);  // nobody will ever hold it, so nobody could close it
                        throw;
                    }
                }};
    });
}

// ---- peers ----------------------------------------------------------------------------------

transport::Address addressOf(const Arguments& arguments) {
    Result<transport::Address> address =
        transport::Address::parse(arguments.text(0, "address", kAddressBytesMax));
    if (!address.isOk()) throwArgument("address: " + address.status().message());
    return address.take();
}

napi_value listen(const Arguments& arguments) {
    const auto handle = handleOf(arguments);
    const transport::Address address = addressOf(arguments);
    const Promised promised(arguments.env());
    handle->agent->listen(
        address, answering<transport::Address>(handle, promised.deferred,
                                               [](napi_env env, transport::Address& bound) {
                                                   return makeText(env, bound.toString());
                                               }));
    return promised.promise;
}

napi_value connect(const Arguments& arguments) {
    const auto handle = handleOf(arguments);
    const Nanoseconds within = nanosecondsAt(arguments, 1, "withinMs");
    const transport::Address address = addressOf(arguments);
    const Promised promised(arguments.env());
    handle->agent->connect(
        address, within,
        answering<bus::PeerId>(handle, promised.deferred, [](napi_env env, bus::PeerId& peer) {
            return makeNumber(env, peer);
        }));
    return promised.promise;
}

napi_value disconnect(const Arguments& arguments) {
    const auto handle = handleOf(arguments);
    const bus::PeerId peer = peerAt(arguments, 0);
    const Promised promised(arguments.env());
    handle->agent->disconnect(peer, completing(handle, promised.deferred));
    return promised.promise;
}

napi_value peers(const Arguments& arguments) {
    const auto handle = handleOf(arguments);
    const Promised promised(arguments.env());
    using Views = std::vector<bus::PeerView>;
    handle->agent->peers(answering<Views>(
        handle, promised.deferred,
        [](napi_env env, Views& views) { return makeArray(env, views, makePeer); }));
    return promised.promise;
}

napi_value events(const Arguments& arguments) {
    return makeArray(arguments.env(), handleOf(arguments)->agent->takeEvents(),
                     [](napi_env env, const BusThreadEvent& event) {
                         const napi_value object = makeRecord(env);
                         const char* kind = event.kind == BusThreadEvent::Kind::Peer ? "peer"
                                            : event.kind == BusThreadEvent::Kind::Subscriber
                                                ? "subscriber"
                                                : "cut-off";
                         setProperty(env, object, "kind", makeText(env, kind));
                         setProperty(env, object, "peer", makePeer(env, event.peer));
                         setProperty(env, object, "stream", makeText(env, event.stream));
                         setProperty(env, object, "position", makeBigint(env, event.position));
                         return object;
                     });
}

napi_value counters(const Arguments& arguments) {
    const auto handle = handleOf(arguments);
    const Promised promised(arguments.env());
    handle->agent->counters(answering<BusThreadCounters>(
        handle, promised.deferred, [](napi_env env, BusThreadCounters& all) {
            const napi_value object = makeRecord(env);
            const auto set = [&](const char* name, uint64_t value) {
                setProperty(env, object, name, makeNumber(env, value));
            };
            set("published", all.bus.published);
            set("publishedBytes", all.bus.publishedBytes);
            set("delivered", all.bus.delivered);
            set("deliveredBytes", all.bus.deliveredBytes);
            set("backPressured", all.bus.backPressured);
            set("notConnected", all.bus.notConnected);
            set("cutOff", all.bus.cutOff);
            set("gaps", all.bus.gaps);
            set("duplicates", all.bus.duplicates);
            set("resumed", all.bus.resumed);
            set("peersLost", all.bus.peersLost);
            set("silent", all.bus.silent);
            set("malformed", all.bus.malformed);
            set("accepted", all.network.accepted);
            set("established", all.network.established);
            set("refused", all.network.refused);
            set("wrongKey", all.network.wrongKey);
            set("staleEpoch", all.network.staleEpoch);
            set("malformedSetUps", all.network.malformed);
            set("timedOut", all.network.timedOut);
            set("tooMany", all.network.tooMany);
            set("halfOpen", all.network.halfOpen);
            set("links", all.network.links);
            set("sleeps", all.sleeps);
            set("eventsDropped", all.eventsDropped);
            return object;
        }));
    return promised.promise;
}

uint32_t epochAt(const Arguments& arguments) {
    return static_cast<uint32_t>(arguments.number(0, "epoch", 0, UINT32_MAX));
}

napi_value fence(const Arguments& arguments) {
    const auto handle = handleOf(arguments);
    const uint32_t epoch = epochAt(arguments);
    const Promised promised(arguments.env());
    handle->agent->fence(epoch, completing(handle, promised.deferred));
    return promised.promise;
}

napi_value setEpoch(const Arguments& arguments) {
    const auto handle = handleOf(arguments);
    const uint32_t epoch = epochAt(arguments);
    const Promised promised(arguments.env());
    handle->agent->setEpoch(epoch, completing(handle, promised.deferred));
    return promised.promise;
}

// ---- the end --------------------------------------------------------------------------------

napi_value close(const Arguments& arguments) {
    const auto handle = handleOf(arguments);
    const Nanoseconds within = nanosecondsAt(arguments, 0, "withinMs");
    const Promised promised(arguments.env());
    if (handle->ended) {
        check(arguments.env(), napi_resolve_deferred(arguments.env(), promised.deferred,
                                                     makeFlag(arguments.env(), true)));
        return promised.promise;
    }
    handle->agent->close(within, [handle, deferred = promised.deferred](const Status&) {
        handle->deliveries.deliver([handle, deferred](napi_env env) {
            handle->end(env);
            resolve(env, deferred, [](napi_env on) { return makeFlag(on, true); });
        });
    });
    return promised.promise;
}

}  // namespace

void BusHandle::end(napi_env env) {
    if (ended) return;
    ended = true;
    if (agent != nullptr) agent->stop();
    if (hooked) (void)napi_remove_env_cleanup_hook(env, onEnvironmentExit, this);
    hooked = false;
    if (self != nullptr) (void)napi_delete_reference(env, self);
    self = nullptr;
    deliveries.end(env);
}

void defineNativeBus(napi_env env, napi_value exports) {
    std::vector<Method> methods = {{"open", entry<open>, true},   {"listen", entry<listen>},
                                   {"connect", entry<connect>},   {"disconnect", entry<disconnect>},
                                   {"peers", entry<peers>},       {"events", entry<events>},
                                   {"counters", entry<counters>}, {"fence", entry<fence>},
                                   {"setEpoch", entry<setEpoch>}, {"close", entry<close>}};
    addBusStreamMethods(methods);
    const napi_value made = defineClass(env, BusObject::kClassName, entry<construct>, methods);
    check(env, napi_create_reference(env, made, 1, &stateOf(env).busConstructor));
    setProperty(env, exports, BusObject::kClassName, made);
}

}  // namespace verbex::addon
