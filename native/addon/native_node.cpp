// NativeNode: a running node, its rings as ArrayBuffers, its answers as promises.
//
//   JS thread                         engine, snapshot thread
//   offer(), available(), release()   ─  nothing passes between the threads but the rings' cursors
//   query(), snapshot(), close()      ─► … ─► Delivery ─► threadsafe function ─► promise
//   onEvents()                        ◄─ the same threadsafe function, at most one call under way
//
// An open node keeps its JS object and the event loop alive until close() has been answered. An
// environment that goes away with an open node (process end, worker terminated) stops it as a crash
// would.
#include <charconv>
#include <functional>
#include <limits>
#include <memory>
#include <mutex>
#include <system_error>

#include "addon/addon.h"
#include "addon/deliveries.h"
#include "addon/gateway_options.h"
#include "addon/member_list.h"
#include "journal/posix_storage.h"
#include "node/node.h"

namespace verbex::addon {

namespace {

constexpr uint32_t kStageCells = 1024;
constexpr size_t kPathBytesMax = 4096;
constexpr uint64_t kSafeIntegerMax = (uint64_t{1} << 53) - 1;

}  // namespace

// Shared by the JS object, the threadsafe function and the environment's cleanup.
struct NodeHandle {
    journal::PosixStorage storage;
    node::SystemClock clock;
    // Outlives every ArrayBuffer over it, however JavaScript passes that around.
    const std::shared_ptr<Command[]> stage{new Command[kStageCells]()};

    std::mutex mutex;  // guards the next one: the node is opened on libuv's threads
    std::unique_ptr<node::Node> node;
    Deliveries deliveries;
    napi_ref self = nullptr;        // keeps the JS object while the node is open
    bool hooked = false;
    bool ended = false;             // JS thread: threads joined, nothing is delivered any more
    node::CloseResult closed;       // valid where ended

    // JS thread. Joins the node's threads and lets the event loop go.
    void end(napi_env env);
};

namespace {

// What the JS object wraps.
struct NodeObject {
    static constexpr const char* kClassName = "NativeNode";
    static constexpr napi_type_tag kTypeTag = {0x766572626578'0002, 0x5be1d2ff93c04e27};
    std::shared_ptr<NodeHandle> handle;
};

void onEnvironmentExit(void* data) {
    auto* handle = static_cast<NodeHandle*>(data);
    handle->deliveries.cut();
    handle->hooked = false;
    // Where open() is still at work there is none yet, and none of its threads will call anybody.
    node::Node* node = nullptr;
    {
        const std::lock_guard guard(handle->mutex);
        node = handle->node.get();
    }
    if (node != nullptr) node->stop();
}

NodeHandle& handleOf(const Arguments& arguments) {
    return *arguments.unwrap<NodeObject>().handle;
}

// Only open() constructs one.
napi_value construct(const Arguments& arguments) {
    const napi_env env = arguments.env();
    AddonState& state = stateOf(env);
    if (!arguments.constructing() || state.constructing == nullptr) {
        throwArgument("a NativeNode is made by NativeNode.open()");
    }
    auto object = std::make_unique<NodeObject>();
    object->handle = *static_cast<std::shared_ptr<NodeHandle>*>(state.constructing);
    state.constructing = nullptr;
    NodeHandle& handle = *object->handle;
    const napi_value self = arguments.wrap(std::move(object));
    node::EventRing& events = handle.node->events();
    setProperty(env, self, "stage",
                makeBuffer(env, handle.stage.get(), kStageCells * sizeof(Command), handle.stage));
    setProperty(env, self, "stageCells", makeNumber(env, kStageCells));
    setProperty(env, self, "cells",
                makeBuffer(env, events.memory().get(), events.cells() * sizeof(Event),
                           events.memory()));
    setProperty(env, self, "eventCells", makeNumber(env, events.cells()));
    check(env, napi_create_reference(env, self, 1, &handle.self));
    return self;
}

napi_value makeObject(napi_env env, std::shared_ptr<NodeHandle> handle) {
    AddonState& state = stateOf(env);
    napi_value constructor;
    check(env, napi_get_reference_value(env, state.nodeConstructor, &constructor));
    napi_value made = nullptr;
    state.constructing = &handle;
    const napi_status status = napi_new_instance(env, constructor, 0, nullptr, &made);
    state.constructing = nullptr;
    check(env, status);
    return made;
}

// "plan": a text; "spin": nanoseconds, 0 for what suits plan and machine, the largest safe integer for ever;
// "cores": numbers with commas between them, "" for none.
pipeline::ThreadPlan planOf(const Arguments& arguments, napi_value object) {
    constexpr size_t kTextMax = 256;
    pipeline::ThreadPlan plan;
    const std::string text = arguments.textOf(object, "plan", kTextMax, "auto");
    if (!pipeline::parsePlan(text, pipeline::usableCores(), &plan)) {
        throwArgument("plan must be serial, pipelined, sharded, sharded:RxM or auto");
    }
    const uint64_t spin = arguments.numberOf(object, "spin", 0, kSafeIntegerMax, 0);
    if (spin != 0) plan.spinNs = spin == kSafeIntegerMax ? pipeline::kSpinForEver : spin;
    const std::string cores = arguments.textOf(object, "cores", kTextMax, "");
    for (const char *at = cores.data(), *end = at + cores.size(); at < end;) {
        uint32_t core = 0;
        const auto [next, error] = std::from_chars(at, end, core);
        if (error != std::errc() || (next != end && *next != ',')) {
            throwArgument("cores must be numbers with commas between them");
        }
        plan.cores.push_back(core);
        at = next + 1;
    }
    if (!plan.cores.empty() && plan.cores.size() != plan.threads()) {
        throwArgument("cores: this plan has " + std::to_string(plan.threads()) + " threads");
    }
    return plan;
}

// threadPlan(text): {"name", "threads", "spinNs", "cores"} as JSON; "" where it is no plan.
napi_value threadPlan(const Arguments& arguments) {
    pipeline::ThreadPlan plan;
    const uint32_t cores = pipeline::usableCores();
    if (!pipeline::parsePlan(arguments.text(0, "plan", 256), cores, &plan)) {
        return makeText(arguments.env(), "");
    }
    return makeText(arguments.env(), "{\"name\":\"" + plan.name() + "\",\"threads\":" +
                                         std::to_string(plan.threads()) + ",\"spinNs\":" +
                                         std::to_string(plan.spinNs) + ",\"cores\":" +
                                         std::to_string(cores) + "}");
}

node::NodeOptions optionsOf(const Arguments& arguments, napi_value object, bool& systemClock) {
    node::NodeOptions options;
    options.limits = limitsOf(arguments, object);
    options.data = arguments.textOf(object, "data", kPathBytesMax);
    options.durable = arguments.flagOf(object, "durable", true);
    // In milliseconds here: JavaScript has no use for finer ones.
    options.syncEveryNs =
        1'000'000 * arguments.numberOf(object, "syncEvery", 0, node::kSyncEveryNsMax / 1'000'000,
                                       options.syncEveryNs / 1'000'000);
    options.segmentBytes = arguments.numberOf(object, "segmentBytes", journal::kSegmentBytesMin,
                                              journal::kSegmentBytesMax, options.segmentBytes);
    options.snapshotEvery =
        arguments.numberOf(object, "snapshotEvery", 0, kSafeIntegerMax, options.snapshotEvery);
    options.ringCells = static_cast<uint32_t>(arguments.numberOf(
        object, "ringCells", node::kRingCellsMin, node::kRingCellsMax, options.ringCells));
    options.eventCells = static_cast<uint32_t>(arguments.numberOf(
        object, "eventCells", node::kRingCellsMin, node::kRingCellsMax, options.eventCells));
    options.pruneSegments = arguments.flagOf(object, "pruneSegments", false);
    systemClock = arguments.flagOf(object, "systemClock", false);
    if ((options.ringCells & (options.ringCells - 1)) != 0 ||
        (options.eventCells & (options.eventCells - 1)) != 0) {
        throwArgument("ringCells and eventCells must be powers of two");
    }
    options.plan = planOf(arguments, object);
    const napi_value gateways = arguments.objectOf(object, "gateways");
    if (gateways != nullptr) options.gateways = gatewayOptionsOf(arguments, gateways);
    const napi_value cluster = arguments.objectOf(object, "cluster");
    if (cluster != nullptr) {
        node::ClusterFeedOptions& feed = options.cluster.emplace();
        feed.cluster.members = membersIn(arguments.textOf(cluster, "members", kMemberListBytesMax));
        feed.cluster.cluster = arguments.textOf(cluster, "name", 32);
        feed.edge = static_cast<uint32_t>(arguments.numberOf(cluster, "edge", 1, 255, 1));
        feed.network.node = "edge-" + std::to_string(feed.edge);
        feed.network.transport = transportIn(arguments.textOf(cluster, "transport", 8, "auto"));
        feed.network.key = keyIn(arguments.textOf(cluster, "key", 1024, ""));
        feed.network.setUpTimeoutMs = 500;
    }
    return options;
}

// On libuv's pool: recovery may take its time.
node::Failure openInto(NodeHandle& handle, const node::NodeOptions& options, bool systemClock) {
    node::NodeSurroundings with;
    with.storage = &handle.storage;
    with.clock = systemClock ? &handle.clock : nullptr;
    with.onEvents = [&handle] { handle.deliveries.tell(); };
    try {
        node::Node::Opened opened = node::Node::open(options, with);
        const std::lock_guard guard(handle.mutex);
        handle.node = std::move(opened.node);
        return std::move(opened.failure);
    } catch (const std::bad_alloc&) {
        return {"OUT_OF_MEMORY", "not enough memory for these limits"};
    } catch (const std::system_error& error) {
        // std::thread's only failure: the system gives no further thread.
        return {"OUT_OF_THREADS", error.what()};
    }
}

napi_value open(const Arguments& arguments) {
    const napi_env env = arguments.env();
    bool systemClock = false;
    const node::NodeOptions options =
        optionsOf(arguments, arguments.object(0, "options"), systemClock);
    const napi_value onEvents = arguments.function(1, "onEvents");

    auto handle = std::make_shared<NodeHandle>();
    handle->deliveries.open(env, onEvents, "verbex.node", handle);
    // Behind the threadsafe function's own hook, so that it runs before it.
    check(env, napi_add_env_cleanup_hook(env, onEnvironmentExit, handle.get()));
    handle->hooked = true;
    return runWork(env, "verbex.open", [handle, options, systemClock]() -> WorkOutcome {
        const node::Failure failure = openInto(*handle, options, systemClock);
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

napi_value offer(const Arguments& arguments) {
    NodeHandle& handle = handleOf(arguments);
    const uint64_t count = arguments.number(0, "count", 0, kStageCells);
    const node::Engine::Offered offered =
        handle.node->offer(handle.stage.get(), static_cast<uint32_t>(count));
    if (!offered.failure.isOk()) throw ThrownFailure{offered.failure, false};
    return makeNumber(arguments.env(), offered.taken);
}

napi_value available(const Arguments& arguments) {
    return makeNumber(arguments.env(), handleOf(arguments).node->available());
}

napi_value release(const Arguments& arguments) {
    NodeHandle& handle = handleOf(arguments);
    const uint64_t count = arguments.number(0, "count", 0, UINT32_MAX);
    if (!handle.node->release(count)) throwArgument("count is more than there is");
    return nullptr;
}

napi_value query(const Arguments& arguments) {
    const napi_env env = arguments.env();
    const std::shared_ptr<NodeHandle> handle = arguments.unwrap<NodeObject>().handle;
    const Question question = questionOf(arguments);
    napi_deferred deferred;
    napi_value promise;
    check(env, napi_create_promise(env, &deferred, &promise));
    const node::Failure refused = handle->node->query(
        [handle, question, deferred](const Core* core, const node::Failure& why) {
            node::Failure failure = why;
            std::string text;
            try {
                if (core != nullptr) text = question(*core);
            } catch (const std::bad_alloc&) {
                failure = node::Failure("OUT_OF_MEMORY", "not enough memory for the answer");
            }
            handle->deliveries.deliver([deferred, failure, text = std::move(text)](napi_env on) {
                if (!failure.isOk()) return reject(on, deferred, failure);
                resolve(on, deferred, [&text](napi_env in) { return makeText(in, text); });
            });
        });
    if (!refused.isOk()) reject(env, deferred, refused);
    return promise;
}

napi_value snapshot(const Arguments& arguments) {
    const napi_env env = arguments.env();
    const std::shared_ptr<NodeHandle> handle = arguments.unwrap<NodeObject>().handle;
    napi_deferred deferred;
    napi_value promise;
    check(env, napi_create_promise(env, &deferred, &promise));
    const node::Failure refused =
        handle->node->snapshot([handle, deferred](const node::SnapshotOutcome& outcome) {
            handle->deliveries.deliver([deferred, outcome](napi_env on) {
                if (!outcome.failure.isOk()) return reject(on, deferred, outcome.failure);
                resolve(on, deferred,
                        [&outcome](napi_env in) { return makeBigint(in, outcome.position); });
            });
        });
    if (!refused.isOk()) reject(env, deferred, refused);
    return promise;
}

void settleClose(napi_env env, napi_deferred deferred, const node::CloseResult& closed) {
    if (!closed.failure.isOk()) return reject(env, deferred, closed.failure);
    resolve(env, deferred, [&closed](napi_env in) {
        napi_value result;
        check(in, napi_create_object(in, &result));
        setProperty(in, result, "position", makeBigint(in, closed.position));
        setProperty(in, result, "stateHash", makeText(in, closed.stateHash.hex()));
        return result;
    });
}

napi_value close(const Arguments& arguments) {
    const napi_env env = arguments.env();
    const std::shared_ptr<NodeHandle> handle = arguments.unwrap<NodeObject>().handle;
    napi_deferred deferred;
    napi_value promise;
    check(env, napi_create_promise(env, &deferred, &promise));
    if (handle->ended) {
        settleClose(env, deferred, handle->closed);
        return promise;
    }
    handle->node->close([handle, deferred](const node::CloseResult& result) {
        handle->deliveries.deliver([handle, deferred, result](napi_env on) {
            if (!handle->ended) {
                handle->closed = result;
                handle->end(on);
            }
            settleClose(on, deferred, result);
        });
    });
    return promise;
}

// Answers undefined where the node has no gateways.
napi_value gatewayAddresses(const Arguments& arguments) {
    const node::GatewayHost* const gateways = handleOf(arguments).node->gateways();
    if (gateways == nullptr) return nullptr;
    return makeGatewayAddresses(arguments.env(), gateways->addresses());
}

napi_value gatewayStats(const Arguments& arguments) {
    const node::GatewayHost* const gateways = handleOf(arguments).node->gateways();
    if (gateways == nullptr) return nullptr;
    return makeGatewayStats(arguments.env(), gateways->stats());
}

const char* stateName(node::EngineState state) {
    switch (state) {
        case node::EngineState::Running: return "running";
        case node::EngineState::Closing: return "closing";
        case node::EngineState::Closed: return "closed";
        case node::EngineState::Failed: return "failed";
        case node::EngineState::Stopped: return "stopped";
    }
    return "";
}

napi_value stats(const Arguments& arguments) {
    const napi_env env = arguments.env();
    const node::NodeStats stats = handleOf(arguments).node->stats();
    napi_value object;
    check(env, napi_create_object(env, &object));
    const auto bigint = [&](const char* name, uint64_t value) {
        setProperty(env, object, name, makeBigint(env, value));
    };
    const auto number = [&](const char* name, uint64_t value) {
        setProperty(env, object, name, makeNumber(env, value));
    };
    const auto text = [&](const char* name, const std::string& value) {
        setProperty(env, object, name, makeText(env, value));
    };
    text("state", stateName(stats.state));
    text("failure", stats.failure);
    bigint("position", stats.position);
    bigint("durablePosition", stats.durablePosition);
    bigint("publishedPosition", stats.publishedPosition);
    number("commands", stats.commands);
    number("events", stats.events);
    number("batches", stats.batches);
    number("ticks", stats.ticks);
    number("backPressureWaits", stats.backPressureWaits);
    number("journalBytes", stats.journalBytes);
    setProperty(env, object, "directIo", makeFlag(env, stats.directIo));
    text("plan", stats.plan);
    setProperty(env, object, "spinNs", makeDouble(env, stats.spinNs == pipeline::kSpinForEver
                                                           ? std::numeric_limits<double>::infinity()
                                                           : static_cast<double>(stats.spinNs)));
    text("pinning", stats.pinning);
    number("ringHighWater", stats.ringHighWater);
    number("hazards", stats.pipeline.hazards);
    number("stalls", stats.pipeline.stalls);
    number("drains", stats.pipeline.drains);
    napi_value stages;
    check(env, napi_create_array(env, &stages));
    for (size_t i = 0; i < stats.pipeline.threads.size(); i++) {
        const node::PipelineCounters::Thread& thread = stats.pipeline.threads[i];
        napi_value row;
        check(env, napi_create_object(env, &row));
        setProperty(env, row, "name", makeText(env, thread.name));
        setProperty(env, row, "occupancy", makeDouble(env, thread.occupancy));
        setProperty(env, row, "sleeps", makeNumber(env, thread.sleeps));
        setProperty(env, row, "pinning", makeText(env, thread.pinning));
        check(env, napi_set_element(env, stages, static_cast<uint32_t>(i), row));
    }
    setProperty(env, object, "stages", stages);
    number("snapshots", stats.snapshots);
    bigint("snapshotPosition", stats.snapshotPosition);
    number("snapshotStallNsMax", stats.snapshotStallNsMax);
    text("snapshotStatus", stats.snapshotStatus);
    bigint("recoveredFrom", stats.recoveredFrom);
    number("replayed", stats.replayed);
    setProperty(env, object, "recoveryMs",
                makeDouble(env, static_cast<double>(stats.recoveryNs) / 1e6));
    number("tornBytes", stats.tornBytes);
    napi_value refused;
    check(env, napi_create_array(env, &refused));
    for (size_t i = 0; i < stats.refusedSnapshots.size(); i++) {
        check(env, napi_set_element(env, refused, static_cast<uint32_t>(i),
                                    makeText(env, stats.refusedSnapshots[i])));
    }
    setProperty(env, object, "refusedSnapshots", refused);
    text("stateHash", stats.stateHash);
    return object;
}

}  // namespace

void NodeHandle::end(napi_env env) {
    if (ended) return;
    ended = true;
    if (node != nullptr) node->stop();
    if (hooked) (void)napi_remove_env_cleanup_hook(env, onEnvironmentExit, this);
    hooked = false;
    if (self != nullptr) (void)napi_delete_reference(env, self);
    self = nullptr;
    deliveries.end(env);
}

void defineNativeNode(napi_env env, napi_value exports) {
    const napi_value made = defineClass(env, NodeObject::kClassName, entry<construct>,
                                        {{"offer", entry<offer>},
                                         {"available", entry<available>},
                                         {"release", entry<release>},
                                         {"query", entry<query>},
                                         {"snapshot", entry<snapshot>},
                                         {"stats", entry<stats>},
                                         {"gatewayAddresses", entry<gatewayAddresses>},
                                         {"gatewayStats", entry<gatewayStats>},
                                         {"close", entry<close>},
                                         {"open", entry<open>, true}});
    check(env, napi_create_reference(env, made, 1, &stateOf(env).nodeConstructor));
    setProperty(env, exports, NodeObject::kClassName, made);
    defineFunction(env, exports, "threadPlan", entry<threadPlan>);
}

}  // namespace verbex::addon
