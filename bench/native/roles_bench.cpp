// What roles cost: a sequencer with R risk and M matching processes, against one process, over tcp and shm.
//
//   client ──Submit──▶ sequencer ──Validate──▶ risk    ──Match──▶ matching    (one process: a member alone, one core)
//      ◀──Events──                ◀──Decided──         ◀──Matched──
//
// Every role is a thread of this process with links as between processes, or a process of its own: this very program,
// started with the hosts that `verbex role` starts. The client is a thread here. An order is counted when the last
// event of its command is back at the client. Cases take turns; a figure is the median of the runs. On fewer cores than roles it shows what the hops cost, not what the shards win.
//
// With --market so many of a hundred orders are market orders, for each of which the line stands still.
//
//   roles_bench [--orders N] [--window N] [--market PERCENT] [--runs N] [--snapshots EVERY] [--dir DIR] [--json]
#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <thread>

#include "journal/posix_storage.h"
#include "load/cluster_load.h"
#include "measuring.h"
#include "node/file_control.h"
#include "node/member_host.h"
#include "node/role_host.h"

namespace verbex::bench {
namespace {

using transport::TransportWish;

struct Settings {
    uint32_t orders = 200'000;
    uint32_t window = 4096;
    uint32_t runs = 3;
    uint32_t market = 0;  // percent
    uint32_t snapshots = 0;  // every role takes one every so many commands; 0: none
    std::string dir;
};

struct Case {
    uint32_t shards = 0;  // 0: one process
    TransportWish transport = TransportWish::Tcp;
    bool processes = false;  // each role is one

    [[nodiscard]] std::string transportName() const {
        return transport == TransportWish::Shm ? "shm" : "tcp";
    }
    [[nodiscard]] std::string name() const {
        const std::string number = std::to_string(shards);
        return (shards == 0 ? std::string("one process") : "roles " + number + "x" + number) +
               (processes ? ", processes, " : ", ") + transportName();
    }
};

// Tables that hold what a run leaves in them, and no more: everybody who starts touches them all.
CoreLimits limits(const Settings& settings) {
    const uint32_t ids = std::clamp(settings.orders * 4, 1u << 16, 1u << 21);
    return {1u << 18, 1u << 12, 1u << 8, ids, false};
}

constexpr char kChild[] = "VERBEX_ROLES_BENCH_CHILD";

// A role as a process of its own. It says when it is ready, and ends when nobody holds the other end of its input.
class Child {
public:
    explicit Child(const std::string& what) {
        int toChild[2];
        int fromChild[2];
        if (pipe2(toChild, O_CLOEXEC) != 0 || pipe2(fromChild, O_CLOEXEC) != 0) stopWith("no pipe");
        const std::string said = std::string(kChild) + "=" + what;
        child_ = fork();
        if (child_ < 0) stopWith("no process for a role");
        if (child_ == 0) {
            dup2(toChild[0], STDIN_FILENO);
            dup2(fromChild[1], STDOUT_FILENO);
            char program[] = "/proc/self/exe";
            char* arguments[] = {program, nullptr};
            char* surroundings[] = {const_cast<char*>(said.c_str()), nullptr};
            execve(program, arguments, surroundings);
            _exit(127);
        }
        close(toChild[0]);
        close(fromChild[1]);
        input_ = toChild[1];
        output_ = fromChild[0];
    }
    ~Child() {
        close(input_);
        close(output_);
        int status = 0;
        waitpid(child_, &status, 0);
    }
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;
    [[nodiscard]] bool ready() {
        pollfd waited{output_, POLLIN, 0};
        if (ready_ || poll(&waited, 1, 0) == 0) return ready_;
        char byte = 0;
        if (read(output_, &byte, 1) != 1) stopWith("a role's process has ended");
        return ready_ = true;
    }

private:
    pid_t child_ = 0;
    int input_ = -1;
    int output_ = -1;
    bool ready_ = false;
};

// Whoever serves the client, until it is destroyed.
struct Deployment {
    journal::PosixStorage storage;
    std::unique_ptr<node::FileControl> control;
    std::unique_ptr<node::MemberHost> member;
    std::unique_ptr<node::SequencerHost> sequencer;
    std::vector<std::unique_ptr<node::RoleHost>> roles;
    std::vector<std::unique_ptr<Child>> children;  // the first one is the sequencer
    uint16_t port = 0;
};

uint16_t nextPort() {
    static uint16_t next = static_cast<uint16_t>(20'000 + getpid() % 10'000);
    return next++;
}

void openMember(const Case& shape, const Settings& settings, const std::string& dir,
                Deployment& into) {
    into.port = nextPort();
    node::MemberHostOptions options;
    options.peers = {{1, {"127.0.0.1", into.port}}};
    options.listen = {"127.0.0.1", into.port};
    options.network.node = "member";
    options.network.transport = shape.transport;
    options.member.data = dir + "/1";
    options.member.boot = "bench";
    options.member.limits = limits(settings);
    options.member.journalId = {1, 1};
    options.member.replica.hotWanted = 1;
    options.member.replica.members = {{1, false}};
    into.control = std::make_unique<node::FileControl>(dir + "/control");
    auto opened = node::MemberHost::open(options, into.storage, *into.control);
    if (!opened.isOk()) stopWith(opened.status().toString());
    into.member = opened.take();
}

std::unique_ptr<node::SequencerHost> openSequencer(const Case& shape, const Settings& settings,
                                                   const std::string& dir, uint16_t port,
                                                   journal::PosixStorage& storage) {
    node::SequencerHostOptions options;
    options.sequencer.limits = limits(settings);
    options.sequencer.riskShards = options.sequencer.matchingShards = shape.shards;
    options.snapshotEvery = settings.snapshots;
    options.member.data = dir + "/sequencer";
    options.member.journalId = {1, 1};
    options.network.node = "sequencer";
    options.network.transport = shape.transport;
    options.listen = {"127.0.0.1", port};
    auto opened = node::SequencerHost::open(options, storage);
    if (!opened.isOk()) stopWith(opened.status().toString());
    return opened.take();
}

std::unique_ptr<node::RoleHost> openRole(const Case& shape, const Settings& settings,
                                         const std::string& dir, uint16_t port, PartKind kind,
                                         uint32_t shard, journal::PosixStorage& storage) {
    node::RoleHostOptions role;
    role.kind = kind;
    role.role.limits = limits(settings);
    role.role.riskShards = role.role.matchingShards = shape.shards;
    role.role.shard = shard;
    role.network.node = "role";
    role.network.transport = shape.transport;
    role.sequencers = {{"127.0.0.1", port}};
    if (settings.snapshots != 0) {
        role.snapshots = dir + (kind == PartKind::Risk ? "/risk-" : "/matching-") +
                         std::to_string(shard);
        role.snapshotEvery = settings.snapshots;
    }
    auto host = node::RoleHost::open(role, storage);
    if (!host.isOk()) stopWith(host.status().toString());
    return host.take();
}

void openRoles(const Case& shape, const Settings& settings, const std::string& dir,
               Deployment& into) {
    const auto child = [&](PartKind kind, uint32_t shard) {
        char what[512];
        std::snprintf(what, sizeof(what), "%u:%u:%u:%u:%u:%u:%u:%s", static_cast<unsigned>(kind),
                      shard, shape.shards, static_cast<unsigned>(shape.transport), into.port,
                      settings.orders, settings.snapshots, dir.c_str());
        into.children.push_back(std::make_unique<Child>(what));
    };
    if (shape.processes) {
        into.port = nextPort();
        child(PartKind::Centre, 0);
    } else {
        into.sequencer = openSequencer(shape, settings, dir, 0, into.storage);
        into.port = into.sequencer->port();
    }
    for (const PartKind kind : {PartKind::Risk, PartKind::Matching}) {
        for (uint32_t shard = 0; shard < shape.shards; shard++) {
            if (shape.processes) {
                child(kind, shard);
                continue;
            }
            into.roles.push_back(
                openRole(shape, settings, dir, into.port, kind, shard, into.storage));
        }
    }
}

// One role, in this process, until its input ends.
int runChild(const char* said) {
    unsigned kind = 0, shard = 0, shards = 0, transport = 0, port = 0, orders = 0, snapshots = 0;
    char dir[400] = "";
    if (std::sscanf(said, "%u:%u:%u:%u:%u:%u:%u:%399s", &kind, &shard, &shards, &transport, &port,
                    &orders, &snapshots, dir) != 8) {
        return 2;
    }
    Settings settings;
    settings.orders = orders;
    settings.snapshots = snapshots;
    const Case shape{shards, TransportWish(transport), true};
    journal::PosixStorage storage;
    std::unique_ptr<node::SequencerHost> sequencer;
    std::unique_ptr<node::RoleHost> role;
    if (PartKind(kind) == PartKind::Centre) {
        sequencer = openSequencer(shape, settings, dir, static_cast<uint16_t>(port), storage);
    } else {
        role = openRole(shape, settings, dir, static_cast<uint16_t>(port), PartKind(kind), shard,
                        storage);
    }
    bool told = false;
    for (;;) {
        pollfd input{STDIN_FILENO, POLLIN, 0};
        if (poll(&input, 1, told ? -1 : 1) != 0) return 0;
        if (told || (sequencer != nullptr && !sequencer->status().serving)) continue;
        if (write(STDOUT_FILENO, "r", 1) != 1) return 1;
        told = true;
    }
}

bool serves(const Deployment& deployment) {
    if (!deployment.children.empty()) return deployment.children.front()->ready();
    return deployment.member != nullptr
               ? deployment.member->status().role == replication::Role::Leader
               : deployment.sequencer->status().serving;
}

double runOnce(const Case& shape, const Settings& settings) {
    const std::string dir = settings.dir + "/load";
    std::filesystem::remove_all(dir);
    std::filesystem::create_directories(dir);
    double perSecond = 0;
    {
        Deployment deployment;
        if (shape.shards == 0) {
            openMember(shape, settings, dir, deployment);
        } else {
            openRoles(shape, settings, dir, deployment);
        }
        const uint64_t deadline = nowNs() + 60'000'000'000;
        while (!serves(deployment)) {
            if (nowNs() > deadline) stopWith("nobody serves");
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
        load::ClusterLoadOptions options;
        options.cluster.members = {{1, {"127.0.0.1", deployment.port}}};
        options.network.node = "load";
        options.network.transport = shape.transport;
        options.window = settings.window;
        options.batch = 512;
        options.marketPercent = settings.market;
        options.limits = limits(settings);
        // Nobody is lost here: who is slow is waited for.
        options.resendNs = options.cluster.silentNs = 20'000'000'000;
        options.keepsBatches = false;
        options.orders = settings.orders;
        load::ClusterLoad load(options);
        auto result = load.run();
        if (!result.isOk()) stopWith(result.status().toString());
        const load::ClusterLoadResult found = result.take();
        // What is sent again waits for what is ahead of it: the figure would say what repetitions cost.
        if (found.counts.resent != 0) stopWith("orders were sent more than once");
        perSecond = static_cast<double>(found.measured) / seconds(found.measuredNs);
    }
    std::filesystem::remove_all(dir);
    return perSecond;
}

int run(int count, char** arguments) {
    Settings settings;
    Options options("roles_bench");
    options.count("orders", &settings.orders, 1000)
        .count("window", &settings.window)
        .count("runs", &settings.runs)
        .count("market", &settings.market, 0)
        .count("snapshots", &settings.snapshots, 0)
        .text("dir", "DIR", &settings.dir);
    options.read(count, arguments);
    std::string made;
    if (settings.dir.empty()) {
        made = (std::filesystem::temp_directory_path() / "verbex-bench-XXXXXX").string();
        if (mkdtemp(made.data()) == nullptr) stopWith("no directory for the journals");
        settings.dir = made;
    }
    std::vector<Case> cases;
    for (const TransportWish transport : {TransportWish::Tcp, TransportWish::Shm}) {
        for (const uint32_t shards : {0u, 1u, 2u}) cases.push_back({shards, transport});
        for (const uint32_t shards : {1u, 2u}) cases.push_back({shards, transport, true});
    }
    Answers answers(options);
    std::vector<std::vector<double>> found(cases.size());
    for (uint32_t i = 0; i < settings.runs; ++i) {
        for (size_t at = 0; at < cases.size(); ++at) {
            answers.say("run " + std::to_string(i + 1) + ", " + cases[at].name());
            found[at].push_back(runOnce(cases[at], settings));
        }
    }
    if (!made.empty()) std::filesystem::remove_all(made);
    double one = 0;
    for (size_t at = 0; at < cases.size(); ++at) {
        const double perSecond = median(found[at]);
        if (cases[at].shards == 0) one = perSecond;
        Figures figures;
        figures.add("name", cases[at].name())
            .add("shards", cases[at].shards)
            .add("transport", cases[at].transportName())
            .add("processes", uint32_t{cases[at].processes ? 1u : 0u})
            .add("ordersPerSecond", perSecond)
            .add("ofOneProcess", one == 0 ? 0 : perSecond / one, 2);
        answers.add(figures);
    }
    Figures facts;
    facts.add("orders", settings.orders)
        .add("window", settings.window)
        .add("market", settings.market)
        .add("snapshots", settings.snapshots)
        .add("runs", settings.runs);
    answers.end(facts);
    return 0;
}

}  // namespace
}  // namespace verbex::bench

int main(int count, char** arguments) {
    const char* const child = std::getenv(verbex::bench::kChild);
    return child != nullptr ? verbex::bench::runChild(child) : verbex::bench::run(count, arguments);
}
