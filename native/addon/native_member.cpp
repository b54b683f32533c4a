// NativeMember: a member of a cluster, its control store's work handed to JavaScript.
//
//   JS thread                                        member's thread
//   open(), operator(), close()   ─► libuv's pool ─►  MemberHost
//   takeControlRequests()         ◄─ ControlBridge ◄─  read, compare-and-swap
//   answerControl()               ─► ControlBridge ─►
//   onControl()                   ◄─ threadsafe function, one call for any number of requests
//
// With `controlDirectory` the requests are answered by FileControl and JavaScript hears of none.
// An environment that goes away with an open member stops it as a dying process would.
#include <algorithm>
#include <memory>
#include <mutex>
#include <sstream>
#include <system_error>

#include "addon/addon.h"
#include "addon/control_requests.h"
#include "addon/deliveries.h"
#include "addon/member_list.h"
#include "base/json_string.h"
#include "journal/posix_storage.h"
#include "node/control_bridge.h"
#include "node/file_control.h"
#include "node/member_host.h"
#include "replication/floating_environment.h"

namespace verbex::addon {

namespace {

constexpr size_t kTextBytesMax = 4096;
constexpr uint64_t kNsPerMs = 1'000'000;
constexpr uint64_t kMillisecondsMax = 600'000;

using replication::ControlAnswer;
using replication::Member;
using replication::MemberStatus;

struct MemberHandle {
    node::MemberHostOptions options;
    std::string controlDirectory;
    journal::PosixStorage storage;
    std::unique_ptr<node::FileControl> file;
    std::unique_ptr<node::ControlBridge> bridge;
    std::mutex mutex;  // host: opened and closed on libuv's threads
    std::unique_ptr<node::MemberHost> host;
    Deliveries deliveries;
    bool hooked = false;
    bool opened = false;
};

struct MemberObject {
    static constexpr const char* kClassName = "NativeMember";
    static constexpr napi_type_tag kTypeTag = {0x766572626578'0005, 0x7d30a9e15b4c6f02};
    std::shared_ptr<MemberHandle> handle;
};

void onEnvironmentExit(void* data) {
    auto* handle = static_cast<MemberHandle*>(data);
    handle->hooked = false;
    handle->deliveries.cut();
    node::MemberHost* host = nullptr;
    {
        const std::lock_guard guard(handle->mutex);
        host = handle->host.get();
    }
    // Not under the lock: the host's thread takes it, and is waited for.
    if (host != nullptr) host->stop();
}

void readOptions(const Arguments& arguments, napi_value object, MemberHandle& handle) {
    node::MemberHostOptions& options = handle.options;
    const auto number = [&](const char* name, uint64_t least, uint64_t most, uint64_t otherwise) {
        return arguments.numberOf(object, name, least, most, otherwise);
    };
    const auto ms = [&](const char* name, uint64_t otherwiseNs) {
        return number(name, 1, kMillisecondsMax, otherwiseNs / kNsPerMs) * kNsPerMs;
    };
    replication::ReplicaOptions& replica = options.member.replica;
    options.member.id = static_cast<uint32_t>(number("id", 1, replication::kMembersMax, 0));
    options.member.data = arguments.textOf(object, "data", kTextBytesMax);
    options.member.cluster = arguments.textOf(object, "cluster", 32);
    options.member.boot = arguments.textOf(object, "boot", 128, "");
    options.member.limits = withDefaults(limitsOf(arguments, object));
    options.member.segmentBytes =
        number("segmentBytes", journal::kSegmentBytesMin, 1ull << 40, options.member.segmentBytes);
    options.member.snapshots.everyCommands = number("snapshotEvery", 0, 1ull << 52, 0);
    options.member.snapshots.everyBytes = number("snapshotBytes", 0, 1ull << 52, 0);
    options.member.snapshots.historyBytes =
        number("historyBytes", 0, 1ull << 52, options.member.snapshots.historyBytes);
    options.member.journalId = {number("journalIdLow", 0, (1ull << 53) - 1, 0),
                                number("journalIdHigh", 0, (1ull << 53) - 1, 0)};
    const std::string members = arguments.textOf(object, "members", kMemberListBytesMax);
    options.peers = membersIn(members);
    const std::vector<replication::MemberId> warm = warmIn(members);
    for (const replication::MemberAddress& member : options.peers) {
        const bool isWarm = std::find(warm.begin(), warm.end(), member.id) != warm.end();
        replica.members.push_back({member.id, isWarm});
    }
    replica.hotWanted =
        static_cast<uint32_t>(number("replicas", 1, replication::kMembersMax, replica.hotWanted));
    replica.durable = arguments.flagOf(object, "durable", false);
    replica.minSync =
        static_cast<uint32_t>(number("minSync", 1, replication::kMembersMax, replica.minSync));
    replica.standby = arguments.flagOf(object, "standby", false);
    replica.heartbeatNs = ms("heartbeatMs", replica.heartbeatNs);
    replica.suspectNs = ms("suspectMs", replica.suspectNs);
    replica.staggerNs = ms("staggerMs", replica.staggerNs);
    replica.silentNs = ms("silentMs", replica.silentNs);
    replica.executor.scrubNs = ms("scrubMs", replica.executor.scrubNs);
    options.network.node = "member-" + std::to_string(options.member.id);
    options.network.transport = transportIn(arguments.textOf(object, "transport", 8, "auto"));
    options.network.setUpTimeoutMs = 500;
    options.network.tls.certificateFile = arguments.textOf(object, "certificateFile", kTextBytesMax, "");
    options.network.tls.keyFile = arguments.textOf(object, "keyFile", kTextBytesMax, "");
    options.network.tls.authorityFile = arguments.textOf(object, "authorityFile", kTextBytesMax, "");
    Result<transport::Address> listen =
        transport::Address::parse(arguments.textOf(object, "listen", 300));
    if (!listen.isOk()) throwArgument("listen: " + listen.status().message());
    options.listen = listen.take();
    options.network.key = keyIn(arguments.textOf(object, "key", 1024, ""));
    handle.controlDirectory = arguments.textOf(object, "controlDirectory", kTextBytesMax, "");
}

MemberHandle& handleOf(const Arguments& arguments) {
    return *arguments.unwrap<MemberObject>().handle;
}

napi_value construct(const Arguments& arguments) {
    const napi_env env = arguments.env();
    if (!arguments.constructing()) throwArgument("NativeMember needs new");
    auto object = std::make_unique<MemberObject>();
    object->handle = std::make_shared<MemberHandle>();
    MemberHandle& handle = *object->handle;
    readOptions(arguments, arguments.object(0, "options"), handle);
    const napi_value onControl = arguments.function(1, "onControl");
    if (handle.controlDirectory.empty()) {
        handle.bridge = std::make_unique<node::ControlBridge>([&handle] { handle.deliveries.tell(); }, [&handle] {
            const std::lock_guard guard(handle.mutex);
            if (handle.host != nullptr) handle.host->wake();
        });
    } else {
        handle.file = std::make_unique<node::FileControl>(handle.controlDirectory);
    }
    handle.deliveries.open(env, onControl, "verbex.member", object->handle);
    check(env, napi_add_env_cleanup_hook(env, onEnvironmentExit, &handle));
    handle.hooked = true;
    return arguments.wrap(std::move(object));
}

// Recovers and starts; answers the port that was taken.
napi_value open(const Arguments& arguments) {
    const std::shared_ptr<MemberHandle> handle = arguments.unwrap<MemberObject>().handle;
    if (handle->opened) throwArgument("a member is opened once");
    handle->opened = true;
    return runWork(arguments.env(), "verbex.member.open", [handle]() -> WorkOutcome {
        replication::ControlStore* control = handle->file.get();
        if (control == nullptr) control = handle->bridge.get();
        try {
            Result<std::unique_ptr<node::MemberHost>> host =
                node::MemberHost::open(handle->options, handle->storage, *control);
            if (!host.isOk()) return {node::Failure(host.status()), {}};
            const std::lock_guard guard(handle->mutex);
            handle->host = host.take();
        } catch (const std::system_error& error) {
            return {node::Failure("OUT_OF_THREADS", error.what()), {}};
        }
        const uint16_t port = handle->host->port();
        return {{}, [port](napi_env env) { return makeNumber(env, port); }};
    });
}

napi_value takeControlRequests(const Arguments& arguments) {
    MemberHandle& handle = handleOf(arguments);
    if (handle.bridge != nullptr) return takeRequests(arguments.env(), *handle.bridge);
    napi_value none;
    check(arguments.env(), napi_create_array(arguments.env(), &none));
    return none;
}

napi_value answerControl(const Arguments& arguments) {
    MemberHandle& handle = handleOf(arguments);
    ControlAnswer answer = controlAnswerIn(arguments);
    if (handle.bridge != nullptr) handle.bridge->answer(std::move(answer));
    return nullptr;
}

// ---- status

const char* roleName(replication::Role role) {
    switch (role) {
        case replication::Role::Follower: return "follower";
        case replication::Role::Reserving: return "reserving";
        case replication::Role::Fencing: return "fencing";
        case replication::Role::Adopting: return "adopting";
        case replication::Role::Activating: return "activating";
        case replication::Role::Leader: return "leader";
        case replication::Role::Halted: return "halted";
    }
    return "unknown";
}

// Numbers of 64 bits are strings of digits: JSON's own numbers would round them.
std::string statusText(const MemberStatus& status, const Status& failure) {
    std::ostringstream out;
    const auto number = [&out](const char* name, uint64_t value) {
        out << ",\"" << name << "\":\"" << value << "\"";
    };
    out << "{\"id\":" << status.id << ",\"role\":\"" << roleName(status.role)
        << "\",\"halted\":" << jsonString(status.halted)
        << ",\"failure\":" << jsonString(failure.isOk() ? "" : failure.toString());
    number("incarnation", status.incarnation);
    number("revision", status.revision);
    number("epoch", status.configuration.epoch);
    out << ",\"leader\":" << status.configuration.leader << ",\"sync\":[";
    for (size_t i = 0; i < status.configuration.sync.size(); i++) {
        out << (i == 0 ? "" : ",") << status.configuration.sync[i].id;
    }
    out << "],\"evicted\":[";
    for (size_t i = 0; i < status.configuration.evicted.size(); i++) {
        const replication::Evicted& each = status.configuration.evicted[i];
        out << (i == 0 ? "" : ",") << "{\"id\":" << each.id << ",\"position\":\"" << each.position
            << "\",\"expected\":\"" << each.expected.hex() << "\",\"found\":\"" << each.found.hex()
            << "\"}";
    }
    out << "],\"site\":\"" << replication::nameOf(status.configuration.site) << "\"";
    number("dataLossEpochs", status.configuration.dataLossEpochs);
    number("reservedEpoch", status.configuration.reservedEpoch);
    number("promised", status.promised);
    number("lastEpoch", status.lastEpoch);
    number("position", status.position);
    number("acknowledged", status.acknowledged);
    number("durable", status.durable);
    number("commit", status.commit);
    number("released", status.released);
    out << ",\"resultHash\":\"" << status.resultHash.hex() << "\",\"degraded\":"
        << (status.degraded ? "true" : "false");
    number("commands", status.commands);
    number("repeats", status.repeats);
    number("takeovers", status.takeovers);
    number("truncations", status.truncations);
    number("scrubs", status.scrubs);
    number("scrubLongestNs", status.scrubLongestNs);
    number("first", status.first);
    number("snapshot", status.snapshot);
    number("snapshots", status.snapshots);
    number("installs", status.installs);
    number("snapshotMarkNs", status.snapshotHolds.mark);
    number("snapshotGiveNs", status.snapshotHolds.give);
    number("snapshotInstallNs", status.snapshotHolds.install);
    out << ",\"snapshotTrouble\":" << jsonString(status.snapshotTrouble)
        << ",\"refusedSnapshots\":[";
    for (size_t i = 0; i < status.refusedSnapshots.size(); i++) {
        out << (i == 0 ? "" : ",") << jsonString(status.refusedSnapshots[i]);
    }
    out << "]";
    out << ",\"clients\":" << status.clients << ",\"peers\":[";
    for (size_t i = 0; i < status.peers.size(); i++) {
        const MemberStatus::Peer& peer = status.peers[i];
        out << (i == 0 ? "" : ",") << "{\"id\":" << peer.id << ",\"heard\":"
            << (peer.heard ? "true" : "false") << ",\"acknowledged\":\"" << peer.acknowledged
            << "\",\"matched\":\"" << peer.matched << "\"}";
    }
    out << "]}";
    return out.str();
}

node::MemberHost& hostOf(MemberHandle& handle) {
    if (handle.host == nullptr) throw ThrownFailure{node::Failure("CLOSED", "the member is not open")};
    return *handle.host;
}

napi_value status(const Arguments& arguments) {
    node::MemberHost& host = hostOf(handleOf(arguments));
    return makeText(arguments.env(), statusText(host.status(), host.failure()));
}

// operator(word, member)
napi_value operatorWord(const Arguments& arguments) {
    const std::shared_ptr<MemberHandle> handle = arguments.unwrap<MemberObject>().handle;
    (void)hostOf(*handle);
    const std::string word = arguments.text(0, "word", 32);
    const auto id = static_cast<uint32_t>(arguments.number(1, "member", 0, replication::kMembersMax));
    std::function<Status(Member&)> run;
    if (word == "evict") run = [id](Member& member) { return member.evict(id); };
    if (word == "readmit") run = [id](Member& member) { return member.readmit(id); };
    if (word == "promote") run = [id](Member& member) { return member.promote(id); };
    if (word == "force") run = [](Member& member) { return member.force(); };
    if (word == "found") run = [](Member& member) { return member.found(); };
    if (word == "fenceSite") run = [](Member& member) { return member.fenceSite(); };
    if (word == "standbySite") run = [](Member& member) { return member.standbySite(); };
    if (word == "activateSite") run = [](Member& member) { return member.activateSite(); };
    // For drills: memory that flips.
    if (word == "damageState") {
        run = [id](Member& member) {
            return member.executor().damageState(id)
                       ? Status()
                       : Status(StatusCode::Refused, "there is no state to damage yet");
        };
    }
    if (word == "damageResult") {
        run = [](Member& member) {
            member.executor().damageResult();
            return Status();
        };
    }
    if (word == "damageRounding") {
        run = [](Member&) {
            replication::damageFloatingEnvironment();
            return Status();
        };
    }
    if (!run) throwArgument("word is not one that a member knows");
    return runWork(arguments.env(), "verbex.member.word", [handle, run]() -> WorkOutcome {
        const Status answer = handle->host->ask(run).get();
        if (!answer.isOk()) return {node::Failure(answer), {}};
        return textOutcome("");
    });
}

napi_value close(const Arguments& arguments) {
    const std::shared_ptr<MemberHandle> handle = arguments.unwrap<MemberObject>().handle;
    if (handle->hooked) {
        (void)napi_remove_env_cleanup_hook(arguments.env(), onEnvironmentExit, handle.get());
        handle->hooked = false;
    }
    handle->deliveries.end(arguments.env());
    return runWork(arguments.env(), "verbex.member.close", [handle]() -> WorkOutcome {
        if (handle->host != nullptr) {
            if (Status closed = handle->host->close(); !closed.isOk()) {
                return {node::Failure(closed), {}};
            }
        }
        return textOutcome("");
    });
}

}  // namespace

void defineNativeMember(napi_env env, napi_value exports) {
    const napi_value made = defineClass(env, MemberObject::kClassName, entry<construct>,
                                        {{"open", entry<open>},
                                         {"status", entry<status>},
                                         {"takeControlRequests", entry<takeControlRequests>},
                                         {"answerControl", entry<answerControl>},
                                         {"operator", entry<operatorWord>},
                                         {"close", entry<close>}});
    setProperty(env, exports, MemberObject::kClassName, made);
}

}  // namespace verbex::addon
