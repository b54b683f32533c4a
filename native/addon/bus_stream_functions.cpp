// The functions of NativeBus that streams have: what is offered and read, without a word to the agent.
#include "addon/bus_handle.h"
#include "addon/bus_options.h"

namespace verbex::addon {

namespace {

// ---- publications ---------------------------------------------------------------------------

// publish(options, first)
napi_value publish(const Arguments& arguments) {
    const auto handle = handleOf(arguments);
    const napi_value object = arguments.object(0, "options");
    bus::PublicationOptions options = publicationOptionsOf(arguments, object);
    const size_t ringBytes = bufferBytesOf(arguments, object, options.payloadMax);
    options.first = arguments.bigint(1, "first");
    if (options.first == 0 || options.first > kPositionMax) {
        throwArgument("first must be a position from 1 to 2^62");
    }
    const Promised promised(arguments.env());
    using Made = std::shared_ptr<Outbound>;
    handle->agent->publish(
        std::move(options), ringBytes,
        answering<Made>(handle, promised.deferred, [handle](napi_env env, Made& outbound) {
            const uint32_t number = handle->nextStream++;
            handle->outbounds.emplace(number, outbound);
            return makeNumber(env, number);
        }));
    return promised.promise;
}

template <typename Streams>
auto& streamIn(const Streams& streams, const Arguments& arguments, const char* what) {
    const auto number = static_cast<uint32_t>(arguments.number(0, what, 0, UINT32_MAX));
    const auto found = streams.find(number);
    if (found == streams.end()) throwArgument(std::string(what) + ": there is none of that number");
    return *found->second;
}

Outbound& outboundOf(const BusHandle& handle, const Arguments& arguments) {
    return streamIn(handle.outbounds, arguments, "publication");
}

napi_value makeOffered(napi_env env, int64_t answer) {
    napi_value value;
    check(env, napi_create_bigint_int64(env, answer, &value));
    return value;
}

// offer(publication, bytes): a position, or a code below zero.
napi_value offer(const Arguments& arguments) {
    const BusHandle& handle = *arguments.unwrap<BusObject>().handle;
    Outbound& outbound = outboundOf(handle, arguments);
    const int64_t answer = outbound.offer(arguments.bytes(1, "bytes"));
    if (answer > 0) handle.agent->ring();
    return makeOffered(arguments.env(), answer);
}

// offerBatch(publication, messages, from): how many from `from` on were taken. What stopped it is
// what offer() would answer for the next one.
napi_value offerBatch(const Arguments& arguments) {
    const napi_env env = arguments.env();
    const std::shared_ptr<BusHandle> handle = handleOf(arguments);
    bool array = false;
    check(env, napi_is_array(env, arguments.at(1), &array));
    if (!array) throwArgument("messages must be an array of Uint8Arrays");
    uint32_t length = 0;
    check(env, napi_get_array_length(env, arguments.at(1), &length));
    const auto from = static_cast<uint32_t>(arguments.number(2, "from", 0, length));
    Outbound& outbound = outboundOf(*handle, arguments);
    uint32_t taken = 0;
    try {
        for (uint32_t index = from; index < length; ++index, ++taken) {
            napi_handle_scope scope;
            check(env, napi_open_handle_scope(env, &scope));
            napi_value message;
            std::span<const std::byte> bytes;
            try {
                check(env, napi_get_element(env, arguments.at(1), index, &message));
                bytes = arguments.toBytes(message, "each of messages");
            } catch (...) {
                (void)napi_close_handle_scope(env, scope);
                throw;
            }
            const int64_t answer = outbound.offer(bytes);
            (void)napi_close_handle_scope(env, scope);
            if (answer < 0) break;
        }
    } catch (...) {
        if (taken > 0) handle->agent->ring();
        throw;
    }
    if (taken > 0) handle->agent->ring();
    return makeNumber(env, taken);
}

// The next change of this publication calls onNews, once.
napi_value awaitPublication(const Arguments& arguments) {
    const BusHandle& handle = *arguments.unwrap<BusObject>().handle;
    (void)outboundOf(handle, arguments).wanted.exchange(true, std::memory_order_acq_rel);
    return nullptr;
}

napi_value publicationState(const Arguments& arguments) {
    const napi_env env = arguments.env();
    const Outbound& outbound = outboundOf(*arguments.unwrap<BusObject>().handle, arguments);
    const napi_value object = makeRecord(env);
    setProperty(env, object, "subscribers",
                makeNumber(env, outbound.subscribers.load(std::memory_order_acquire)));
    setProperty(env, object, "accepted", makeBigint(env, outbound.next - 1));
    setProperty(env, object, "sent",
                makeBigint(env, outbound.sent.load(std::memory_order_relaxed)));
    setProperty(env, object, "oldest",
                makeBigint(env, outbound.oldest.load(std::memory_order_relaxed)));
    setProperty(env, object, "consumedByAll",
                makeBigint(env, outbound.consumedByAll.load(std::memory_order_relaxed)));
    setProperty(env, object, "closed",
                makeFlag(env, outbound.closed.load(std::memory_order_acquire)));
    return object;
}

napi_value closePublication(const Arguments& arguments) {
    const auto handle = handleOf(arguments);
    const Nanoseconds within = nanosecondsAt(arguments, 1, "withinMs");
    (void)outboundOf(*handle, arguments);
    const auto number = static_cast<uint32_t>(arguments.number(0, "publication", 0, UINT32_MAX));
    const Promised promised(arguments.env());
    handle->agent->closePublication(handle->outbounds.at(number), within,
                                    completing(handle, promised.deferred));
    return promised.promise;
}

napi_value forgetPublication(const Arguments& arguments) {
    const auto handle = handleOf(arguments);
    const Outbound& outbound = outboundOf(*handle, arguments);
    if (!outbound.closed.load(std::memory_order_acquire)) {
        throwArgument("publication: it is not closed");
    }
    handle->outbounds.erase(
        static_cast<uint32_t>(arguments.number(0, "publication", 0, UINT32_MAX)));
    return nullptr;
}

// ---- subscriptions --------------------------------------------------------------------------

// subscribe(peer, options, position, payloadMax)
napi_value subscribe(const Arguments& arguments) {
    const auto handle = handleOf(arguments);
    const bus::PeerId peer = peerAt(arguments, 0);
    const napi_value object = arguments.object(1, "options");
    bus::SubscriptionOptions options = subscriptionOptionsOf(arguments, object);
    const size_t payloadMax = arguments.numberOf(object, "payloadMax", 1, kBusPayloadMax, 1u << 16);
    const size_t ringBytes = bufferBytesOf(arguments, object, 2 * (payloadMax + kBusRecordBytes));
    options.bufferBytes = static_cast<uint32_t>(ringBytes);
    const bool waits = arguments.flagOf(object, "wait", true);
    options.position = arguments.bigint(2, "position");
    const Promised promised(arguments.env());
    using Made = std::shared_ptr<Inbound>;
    handle->agent->subscribe(
        peer, std::move(options), waits, ringBytes,
        answering<Made>(handle, promised.deferred, [handle](napi_env env, Made& inbound) {
            const uint32_t number = handle->nextStream++;
            handle->inbounds.emplace(number, inbound);
            const napi_value made = makeRecord(env);
            setProperty(env, made, "subscription", makeNumber(env, number));
            setProperty(env, made, "memory",
                        makeBuffer(env, inbound->ring.memory().get(), inbound->ring.bytes(),
                                   inbound->ring.memory()));
            return made;
        }));
    return promised.promise;
}

Inbound& inboundOf(const BusHandle& handle, const Arguments& arguments) {
    return streamIn(handle.inbounds, arguments, "subscription");
}

// next(subscription, released): gives bytes back, answers how many are ready behind them, up to the
// ring's end.
napi_value next(const Arguments& arguments) {
    const BusHandle& handle = *arguments.unwrap<BusObject>().handle;
    Inbound& inbound = inboundOf(handle, arguments);
    const uint64_t released = arguments.number(1, "released", 0, UINT32_MAX);
    if (released > 0) {
        if (!inbound.ring.release(released)) throwArgument("released is not what was ready");
        handle.agent->ring();
    }
    return makeNumber(arguments.env(), inbound.ring.run());
}

// The next change of this subscription calls onNews, once. Answers as next() does: what has come
// before the wish calls nobody.
napi_value awaitSubscription(const Arguments& arguments) {
    Inbound& inbound = inboundOf(*arguments.unwrap<BusObject>().handle, arguments);
    (void)inbound.wanted.exchange(true, std::memory_order_acq_rel);
    return makeNumber(arguments.env(), inbound.ring.run());
}

const char* stateName(bus::SubscriptionState state) {
    switch (state) {
        case bus::SubscriptionState::Connecting: return "connecting";
        case bus::SubscriptionState::Live: return "live";
        case bus::SubscriptionState::CutOff: return "cut-off";
        case bus::SubscriptionState::Refused: return "refused";
        case bus::SubscriptionState::Ended: return "ended";
        case bus::SubscriptionState::Closed: return "closed";
    }
    return "";
}

napi_value subscriptionState(const Arguments& arguments) {
    const napi_env env = arguments.env();
    Inbound& inbound = inboundOf(*arguments.unwrap<BusObject>().handle, arguments);
    const std::lock_guard guard(inbound.mutex);
    const napi_value object = makeRecord(env);
    setProperty(env, object, "state", makeText(env, stateName(inbound.state)));
    setProperty(env, object, "resumeFrom", makeBigint(env, inbound.resumeFrom));
    setProperty(env, object, "oldest", makeBigint(env, inbound.oldest));
    setProperty(env, object, "code",
                makeText(env, inbound.failure.isOk()
                                  ? ""
                                  : std::string(statusCodeName(inbound.failure.code()))));
    setProperty(env, object, "message", makeText(env, inbound.failure.message()));
    return object;
}

napi_value closeSubscription(const Arguments& arguments) {
    const auto handle = handleOf(arguments);
    (void)inboundOf(*handle, arguments);
    const auto number = static_cast<uint32_t>(arguments.number(0, "subscription", 0, UINT32_MAX));
    const std::shared_ptr<Inbound> inbound = handle->inbounds.at(number);
    handle->inbounds.erase(number);
    const Promised promised(arguments.env());
    handle->agent->closeSubscription(inbound, completing(handle, promised.deferred));
    return promised.promise;
}

}  // namespace

void addBusStreamMethods(std::vector<Method>& methods) {
    const Method own[] = {
        {"publish", entry<publish>},
        {"offer", entry<offer>},
        {"offerBatch", entry<offerBatch>},
        {"awaitPublication", entry<awaitPublication>},
        {"publicationState", entry<publicationState>},
        {"closePublication", entry<closePublication>},
        {"forgetPublication", entry<forgetPublication>},
        {"subscribe", entry<subscribe>},
        {"next", entry<next>},
        {"awaitSubscription", entry<awaitSubscription>},
        {"subscriptionState", entry<subscriptionState>},
        {"closeSubscription", entry<closeSubscription>},
    };
    methods.insert(methods.end(), std::begin(own), std::end(own));
}

}  // namespace verbex::addon
