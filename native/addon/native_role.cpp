// NativeRole: a process of a deployment in roles: a sequencer, a risk process or a matching process.
//
//   JS thread                        threads of the host
//   open(), close() ─► libuv's pool ─► SequencerHost or RoleHost
//   status()        ◄─ a copy ◄──────
//
// An environment that goes away with an open role stops it as a dying process would.
#include <memory>
#include <mutex>
#include <sstream>
#include <system_error>

#include "addon/addon.h"
#include "addon/control_requests.h"
#include "addon/member_list.h"
#include "base/json_string.h"
#include "journal/posix_storage.h"
#include "node/control_bridge.h"
#include "node/role_host.h"

namespace verbex::addon {

namespace {

constexpr size_t kTextBytesMax = 4096;
constexpr uint64_t kNsPerMs = 1'000'000;
constexpr uint64_t kMillisecondsMax = 600'000;
constexpr uint32_t kShardsMax = 16;

struct RoleHandle {
    bool isSequencer = false;
    node::SequencerHostOptions sequencerOptions;
    node::RoleHostOptions roleOptions;
    journal::PosixStorage storage;
    std::unique_ptr<node::ControlBridge> bridge;  // of several sequencers, where JavaScript has the store
    std::unique_ptr<node::FileControl> file;      // of several, where it is a folder
    std::mutex mutex;  // hosts: opened and closed on libuv's threads
    std::unique_ptr<node::SequencerHost> sequencer;
    std::unique_ptr<node::RoleHost> role;
    bool opened = false;
    bool hooked = false;
};

struct RoleObject {
    static constexpr const char* kClassName = "NativeRole";
    static constexpr napi_type_tag kTypeTag = {0x766572626578'0008, 0x6b02f9d84ce1a735};
    std::shared_ptr<RoleHandle> handle;
};

void onEnvironmentExit(void* data) {
    auto* handle = static_cast<RoleHandle*>(data);
    handle->hooked = false;
    const std::lock_guard guard(handle->mutex);
    if (handle->sequencer != nullptr) handle->sequencer->stop();
    if (handle->role != nullptr) handle->role->stop();
}

void readOptions(const Arguments& arguments, napi_value object, RoleHandle& handle) {
    const auto number = [&](const char* name, uint64_t least, uint64_t most, uint64_t otherwise) {
        return arguments.numberOf(object, name, least, most, otherwise);
    };
    const auto ms = [&](const char* name, uint64_t otherwiseNs) {
        return number(name, 1, kMillisecondsMax, otherwiseNs / kNsPerMs) * kNsPerMs;
    };
    const std::string kind = arguments.textOf(object, "role", 16);
    if (kind != "sequencer" && kind != "risk" && kind != "matching") {
        throwArgument("role is sequencer, risk or matching, not \"" + kind + "\"");
    }
    handle.isSequencer = kind == "sequencer";
    const std::string name = arguments.textOf(object, "name", 32);
    const CoreLimits limits = withDefaults(limitsOf(arguments, object));
    const auto risk = static_cast<uint32_t>(number("risk", 1, kShardsMax, 1));
    const auto matching = static_cast<uint32_t>(number("matching", 1, kShardsMax, 1));
    const uint32_t shards = kind == "risk"       ? risk
                            : kind == "matching" ? matching
                                                 : replication::kMembersMax;
    const auto shard = static_cast<uint32_t>(number("shard", 0, shards - 1, 0));
    transport::NetworkOptions network;
    network.node = kind + "-" + std::to_string(shard);
    network.transport = transportIn(arguments.textOf(object, "transport", 8, "auto"));
    network.key = keyIn(arguments.textOf(object, "key", 1024, ""));
    network.tls.certificateFile = arguments.textOf(object, "certificateFile", kTextBytesMax, "");
    network.tls.keyFile = arguments.textOf(object, "keyFile", kTextBytesMax, "");
    network.tls.authorityFile = arguments.textOf(object, "authorityFile", kTextBytesMax, "");
    const std::vector<replication::MemberAddress> sequencers =
        membersIn(arguments.textOf(object, "sequencers", kMemberListBytesMax));
    if (sequencers.empty()) throwArgument("sequencers names none");

    if (handle.isSequencer) {
        node::SequencerHostOptions& options = handle.sequencerOptions;
        roles::SequencerOptions& sequencer = options.sequencer;
        sequencer.limits = limits;
        sequencer.riskShards = risk;
        sequencer.matchingShards = matching;
        options.member.data = arguments.textOf(object, "data", kTextBytesMax);
        options.member.cluster = name;
        options.member.segmentBytes = number("segmentBytes", journal::kSegmentBytesMin, 1ull << 40,
                                             options.member.segmentBytes);
        options.member.journalId = {number("journalIdLow", 0, (1ull << 53) - 1, 0),
                                    number("journalIdHigh", 0, (1ull << 53) - 1, 0)};
        options.member.replica.durable = arguments.flagOf(object, "durable", false);
        sequencer.silenceNs = ms("silenceMs", sequencer.silenceNs);
        sequencer.attachNs = ms("attachMs", sequencer.attachNs);
        if (shard >= sequencers.size()) throwArgument("there is no sequencer of this number");
        replication::ReplicaOptions& replica = options.member.replica;
        replica.suspectNs = ms("suspectMs", replica.suspectNs);
        replica.staggerNs = replica.suspectNs / 2;
        replica.silentNs = replica.suspectNs / 4 * 5;
        replica.hotWanted = static_cast<uint32_t>(sequencers.size());
        for (const replication::MemberAddress& each : sequencers) {
            replica.members.push_back({each.id, false});
        }
        options.member.id = sequencers[shard].id;
        options.member.boot = arguments.textOf(object, "boot", 64, "");
        if (sequencers.size() > 1) {
            options.peers = sequencers;
            const std::string folder = arguments.textOf(object, "controlDirectory", kTextBytesMax, "");
            if (folder.empty()) {
                handle.bridge = std::make_unique<node::ControlBridge>([] {}, [&handle] {
                    const std::lock_guard guard(handle.mutex);
                    if (handle.sequencer != nullptr) handle.sequencer->wake();
                });
            } else {
                handle.file = std::make_unique<node::FileControl>(folder);
            }
        }
        options.network = network;
        options.snapshotEvery = number("snapshotEvery", 0, 1ull << 40, options.snapshotEvery);
        options.listen = sequencers[shard].address;
    } else {
        node::RoleHostOptions& options = handle.roleOptions;
        options.kind = kind == "risk" ? PartKind::Risk : PartKind::Matching;
        options.role.limits = limits;
        options.role.riskShards = risk;
        options.role.matchingShards = matching;
        options.role.shard = shard;
        options.name = name;
        options.network = network;
        options.snapshots = arguments.textOf(object, "snapshots", kTextBytesMax, "");
        options.snapshotEvery = number("snapshotEvery", 1, 1ull << 40, options.snapshotEvery);
        for (const auto& each : sequencers) options.sequencers.push_back(each.address);
    }
}

void unhook(napi_env env, RoleObject& object) {
    if (!std::exchange(object.handle->hooked, false)) return;
    (void)napi_remove_env_cleanup_hook(env, onEnvironmentExit, object.handle.get());
}

napi_value construct(const Arguments& arguments) {
    if (!arguments.constructing()) throwArgument("NativeRole needs new");
    auto object = std::make_unique<RoleObject>();
    object->handle = std::make_shared<RoleHandle>();
    const std::shared_ptr<RoleHandle> handle = object->handle;
    readOptions(arguments, arguments.object(0, "options"), *handle);
    const napi_value self = arguments.wrap<RoleObject, unhook>(std::move(object));
    check(arguments.env(),
          napi_add_env_cleanup_hook(arguments.env(), onEnvironmentExit, handle.get()));
    handle->hooked = true;
    return self;
}

// Answers the port that the sequencer listens on; of the others 0.
napi_value open(const Arguments& arguments) {
    const std::shared_ptr<RoleHandle> handle = arguments.unwrap<RoleObject>().handle;
    if (handle->opened) throwArgument("a role is opened once");
    handle->opened = true;
    return runWork(arguments.env(), "verbex.role.open", [handle]() -> WorkOutcome {
        uint16_t port = 0;
        try {
            if (handle->isSequencer) {
                replication::ControlStore* control = handle->file.get();
                if (control == nullptr) control = handle->bridge.get();
                auto host = node::SequencerHost::open(handle->sequencerOptions, handle->storage, control);
                if (!host.isOk()) return {node::Failure(host.status()), {}};
                port = host.value()->port();
                const std::lock_guard guard(handle->mutex);
                handle->sequencer = host.take();
            } else {
                auto host = node::RoleHost::open(handle->roleOptions, handle->storage);
                if (!host.isOk()) return {node::Failure(host.status()), {}};
                const std::lock_guard guard(handle->mutex);
                handle->role = host.take();
            }
        } catch (const std::system_error& error) {
            return {node::Failure("OUT_OF_THREADS", error.what()), {}};
        }
        return {{}, [port](napi_env env) { return makeNumber(env, port); }};
    });
}

const char* flag(bool set) { return set ? "true" : "false"; }

std::string statusText(const roles::SequencerStatus& status) {
    std::ostringstream out;
    const auto number = [&out](const char* name, uint64_t value) {
        out << ",\"" << name << "\":\"" << value << "\"";
    };
    out << "{\"role\":\"sequencer\",\"leads\":" << flag(status.leads)
        << ",\"follows\":" << flag(status.follows) << ",\"leader\":" << status.leader
        << ",\"sync\":[";
    for (size_t i = 0; i < status.sync.size(); i++) out << (i == 0 ? "" : ",") << status.sync[i];
    out << "],\"serving\":" << flag(status.serving)
        << ",\"waitsFor\":" << jsonString(status.waitsFor);
    number("epoch", status.epoch);
    number("sequenced", status.sequenced);
    number("decided", status.decided);
    number("journaled", status.journaled);
    number("settled", status.settled);
    number("released", status.released);
    number("hazards", status.hazards);
    number("alone", status.alone);
    number("refused", status.refused);
    number("base", status.base);
    const roles::SequencerShadowStatus& shadow = status.shadow;
    out << ",\"snapshots\":{\"newest\":\"" << shadow.newest << "\",\"shadow\":\"" << shadow.position
        << "\",\"taken\":\"" << shadow.taken << "\",\"refused\":\"" << shadow.refused
        << "\",\"trouble\":" << jsonString(shadow.trouble) << "}";
    out << ",\"resultHash\":\"" << status.resultHash.hex() << "\",\"seats\":[";
    const char* between = "";
    for (const roles::SeatStatus& seat : status.seats) {
        out << between << "{\"role\":\"" << (seat.kind == PartKind::Risk ? "risk" : "matching")
            << "\",\"shard\":" << seat.shard << ",\"attached\":" << flag(seat.attached)
            << ",\"live\":" << flag(seat.live);
        number("rebuilt", seat.rebuilt);
        number("losses", seat.losses);
        number("base", seat.base);
        number("shadow", seat.shadow);
        number("refused", seat.refused);
        out << "}";
        between = ",";
    }
    out << "]}";
    return out.str();
}

std::string statusText(const node::RoleHostOptions& options, const node::RoleStatus& status) {
    std::ostringstream out;
    out << "{\"role\":\"" << (options.kind == PartKind::Risk ? "risk" : "matching")
        << "\",\"shard\":" << options.role.shard << ",\"connected\":" << flag(status.connected)
        << ",\"joined\":" << flag(status.joined) << ",\"position\":\"" << status.position
        << "\",\"rebuilds\":\"" << status.rebuilds << "\",\"base\":\"" << status.base
        << "\",\"trouble\":" << jsonString(status.trouble);
    if (status.keepsSnapshots) {
        const roles::RoleSnapshotStatus& kept = status.snapshots;
        out << ",\"snapshots\":{\"newest\":\"" << kept.newest << "\",\"shadow\":\"" << kept.shadow
            << "\",\"taken\":\"" << kept.taken << "\",\"refused\":\"" << kept.refused
            << "\",\"trouble\":" << jsonString(kept.trouble) << "}";
    }
    out << "}";
    return out.str();
}

napi_value status(const Arguments& arguments) {
    RoleHandle& handle = *arguments.unwrap<RoleObject>().handle;
    const std::lock_guard guard(handle.mutex);
    if (handle.sequencer != nullptr) {
        return makeText(arguments.env(), statusText(handle.sequencer->status()));
    }
    if (handle.role == nullptr) throwArgument("the role is not open");
    return makeText(arguments.env(), statusText(handle.roleOptions, handle.role->status()));
}

// Of several sequencers whose control store is not a folder. They are asked for in turn: a change of who leads may wait
// for some milliseconds more.
napi_value takeControlRequests(const Arguments& arguments) {
    RoleHandle& handle = *arguments.unwrap<RoleObject>().handle;
    if (handle.bridge != nullptr) return takeRequests(arguments.env(), *handle.bridge);
    napi_value none;
    check(arguments.env(), napi_create_array(arguments.env(), &none));
    return none;
}

napi_value answerControl(const Arguments& arguments) {
    RoleHandle& handle = *arguments.unwrap<RoleObject>().handle;
    replication::ControlAnswer answer = controlAnswerIn(arguments);
    if (handle.bridge != nullptr) handle.bridge->answer(std::move(answer));
    return nullptr;
}

napi_value close(const Arguments& arguments) {
    const std::shared_ptr<RoleHandle> handle = arguments.unwrap<RoleObject>().handle;
    if (handle->hooked) {
        (void)napi_remove_env_cleanup_hook(arguments.env(), onEnvironmentExit, handle.get());
        handle->hooked = false;
    }
    return runWork(arguments.env(), "verbex.role.close", [handle]() -> WorkOutcome {
        const std::lock_guard guard(handle->mutex);
        if (handle->role != nullptr) handle->role->stop();
        if (handle->sequencer != nullptr) {
            if (Status closed = handle->sequencer->close(); !closed.isOk()) {
                return {node::Failure(closed), {}};
            }
        }
        return textOutcome("");
    });
}

}  // namespace

void defineNativeRole(napi_env env, napi_value exports) {
    const napi_value made = defineClass(env, RoleObject::kClassName, entry<construct>,
                                        {{"open", entry<open>},
                                         {"status", entry<status>},
                                         {"takeControlRequests", entry<takeControlRequests>},
                                         {"answerControl", entry<answerControl>},
                                         {"close", entry<close>}});
    setProperty(env, exports, RoleObject::kClassName, made);
}

}  // namespace verbex::addon
