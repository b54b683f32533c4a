// What replication costs: 1, 2 and 3 members, memory and durable acknowledgement, over each transport.
//
//   client ──Submit──▶ leader ──Append──▶ member 2, member 3     every member: journal, risk, matching, result hash
//      ◀──Events──  THE PUBLISH BARRIER ◀──Ack, hash──
//
// Members are threads of this process with links between them as between processes; the client is one more.
// An order is counted when the last event of its command is back at the client: stored, executed, committed
// by a majority, and voted. Cases take turns; a figure is the median of the runs. After the load the leader
// is stopped where it stands: takeoverMs is the longest time without an answer then, recoveryMs what it takes
// to open its directory again. Then the same log is opened, and joined by a member with an empty directory, once
// with all of it and once with snapshots and what they leave of it. --rate 0: the saturated load only.
//
//   cluster_bench [--orders N] [--rate N] [--window N] [--runs N] [--members N]
//                 [--acknowledge memory|durable|all] [--transport tcp|shm|verbs|all] [--dir DIR] [--json]
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <memory>
#include <thread>

#include "journal/posix_storage.h"
#include "load/cluster_load.h"
#include "measuring.h"
#include "node/file_control.h"
#include "node/member_host.h"

namespace verbex::bench {
namespace {

using replication::MemberId;

struct Settings {
    uint32_t orders = 1'500'000;
    uint32_t rate = 20'000;
    uint32_t window = 32'768;
    uint32_t runs = 3;
    std::string transport = "all";
    std::string acknowledge = "all";
    uint32_t members = 0;  // 0: 1, 2 and 3
    std::string dir;
};

struct Case {
    uint32_t members = 1;
    bool durable = false;
    transport::TransportWish transport = transport::TransportWish::Tcp;

    [[nodiscard]] std::string transportName() const {
        switch (transport) {
            case transport::TransportWish::Shm: return "shm";
            case transport::TransportWish::Verbs: return "verbs";
            default: return "tcp";
        }
    }
    [[nodiscard]] std::string name() const {
        return std::to_string(members) + (members == 1 ? " member, " : " members, ") +
               (durable ? "durable, " : "memory, ") + transportName();
    }
};

struct Measured {
    double ordersPerSecond = 0;
    double p50Us = 0, p99Us = 0, maxUs = 0;             // at --rate
    double takeoverMs = 0;
    double recoveryMs = 0;
    double recoveredCommands = 0;
    double logCommands = 0;         // of a log that is recovered and joined by all of it, and by a snapshot
    double logRecoveryMs = 0;
    double logJoinMs = 0;
    double snapshotRecoveryMs = 0;
    double snapshotJoinMs = 0;
};

// Tables that hold what a run leaves in them, and no more: a member that starts touches them all.
CoreLimits limits(const Settings& settings) {
    const uint32_t ids = std::clamp(settings.orders * 4, 1u << 16, 1u << 23);
    return {1u << 18, 1u << 12, 1u << 8, ids, true};
}

class Cluster {
public:
    Cluster(const Case& shape, const Settings& settings, const std::string& name,
            const replication::SnapshotOptions& snapshots = {})
        : shape_(shape), settings_(settings), dir_(settings.dir + "/" + name), snapshots_(snapshots) {
        std::filesystem::remove_all(dir_);
        std::filesystem::create_directories(dir_);
        // Ports of their own for each cluster: the last one's may linger.
        static uint16_t next = static_cast<uint16_t>(20'000 + getpid() % 10'000);
        for (MemberId id = 1; id <= shape.members; ++id) {
            addresses_.push_back({id, {"127.0.0.1", next++}});
        }
        hosts_.resize(shape.members);
        controls_.resize(shape.members);
        for (MemberId id = 1; id <= shape.members; ++id) start(id);
    }
    ~Cluster() {
        hosts_.clear();
        std::filesystem::remove_all(dir_);
    }

    void start(MemberId id) {
        node::MemberHostOptions options;
        options.peers = addresses_;
        options.listen = addresses_[id - 1].address;
        options.network.node = "member-" + std::to_string(id);
        options.network.transport = shape_.transport;
        options.member.id = id;
        options.member.data = dir_ + "/" + std::to_string(id);
        options.member.boot = "bench";
        options.member.limits = limits(settings_);
        options.member.journalId = {id, 1};
        options.member.snapshots = snapshots_;
        // So that there is something to prune.
        options.member.segmentBytes = settings_.orders < 100'000 ? 128u << 10 : 4u << 20;
        options.member.replica.hotWanted = shape_.members;
        options.member.replica.durable = shape_.durable;
        for (MemberId member = 1; member <= shape_.members; ++member) {
            options.member.replica.members.push_back({member, false});
        }
        controls_[id - 1] = std::make_unique<node::FileControl>(dir_ + "/control");
        auto opened = node::MemberHost::open(options, storage_, *controls_[id - 1]);
        if (!opened.isOk()) stopWith(opened.status().toString());
        hosts_[id - 1] = opened.take();
    }
    void stop(MemberId id) { hosts_[id - 1].reset(); }
    void wipe(MemberId id) { std::filesystem::remove_all(dir_ + "/" + std::to_string(id)); }
    [[nodiscard]] replication::MemberStatus status(MemberId id) { return hosts_[id - 1]->status(); }
    [[nodiscard]] MemberId leader() {
        for (MemberId id = 1; id <= shape_.members; ++id) {
            if (hosts_[id - 1] != nullptr && hosts_[id - 1]->status().role == replication::Role::Leader) {
                return id;
            }
        }
        return 0;
    }
    [[nodiscard]] uint64_t position(MemberId id) { return hosts_[id - 1]->status().position; }

    [[nodiscard]] load::ClusterLoadOptions loadOptions(const Settings& settings) const {
        load::ClusterLoadOptions options;
        options.cluster.members = addresses_;
        options.network.node = "load";
        options.network.transport = shape_.transport;
        options.network.setUpTimeoutMs = 300;
        options.window = settings.window;
        options.batch = 512;
        options.limits = limits(settings);
        options.resendNs = 2'000'000'000;
        options.keepsBatches = false;
        return options;
    }

private:
    const Case shape_;
    const Settings settings_;
    const std::string dir_;
    const replication::SnapshotOptions snapshots_;
    std::vector<replication::MemberAddress> addresses_;
    journal::PosixStorage storage_;
    std::vector<std::unique_ptr<node::FileControl>> controls_;
    std::vector<std::unique_ptr<node::MemberHost>> hosts_;
};

void awaitLeader(Cluster& cluster) {
    const uint64_t deadline = nowNs() + 20'000'000'000;
    while (cluster.leader() == 0) {
        if (nowNs() > deadline) stopWith("nobody leads");
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
}

load::ClusterLoadResult runLoad(load::ClusterLoad& load) {
    pthread_setname_np(pthread_self(), "vbx-client");  // for a profiler
    auto result = load.run();
    pthread_setname_np(pthread_self(), "cluster_bench");
    if (!result.isOk()) stopWith(result.status().toString());
    return result.take();
}

// From an empty directory to all that the others have. 0: there are no others.
double joinMs(Cluster& cluster, const Case& shape, bool bySnapshot) {
    if (shape.members == 1) return 0;
    awaitLeader(cluster);
    const MemberId joins = cluster.leader() % shape.members + 1;
    cluster.stop(joins);
    cluster.wipe(joins);
    const uint64_t began = nowNs();
    cluster.start(joins);
    for (;;) {
        const MemberId leader = cluster.leader();
        if (leader != 0 && leader != joins) {
            const replication::MemberStatus its = cluster.status(joins);
            const bool asWanted = (its.installs != 0) == bySnapshot;
            if (asWanted && its.configuration.member(joins) != nullptr &&
                its.released + 1'000 > cluster.status(leader).released) {
                break;
            }
        }
        if (nowNs() - began > 120'000'000'000ull) stopWith("a member does not join");
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return ms(nowNs() - began);
}

// A log of --orders orders, recovered and joined by all of it, and by a snapshot and what came after it.
void measureLog(const Case& shape, const Settings& settings, bool bySnapshot, Measured& figures) {
    replication::SnapshotOptions snapshots;
    if (bySnapshot) {
        snapshots.everyCommands = std::max(1'000u, settings.orders / 8);
        snapshots.historyBytes = 0;
    }
    Cluster cluster(shape, settings, "log", snapshots);
    awaitLeader(cluster);
    load::ClusterLoadOptions options = cluster.loadOptions(settings);
    options.window = settings.window;
    options.orders = settings.orders;
    {
        load::ClusterLoad load(options);
        (void)runLoad(load);
    }
    awaitLeader(cluster);
    // A log goes behind the older of two snapshots: some more orders until every member has those.
    const uint64_t ended = nowNs();
    const auto isPruned = [&] {
        for (MemberId id = 1; id <= shape.members; ++id) {
            if (cluster.status(id).first == 1) return false;
        }
        return true;
    };
    if (bySnapshot) {
        // Whatever becomes of these orders, they are in the log.
        options.ordersPerSecond = settings.rate;
        options.orders = 0;
        options.resendNs = 100'000'000;
        load::ClusterLoad load(options);
        std::thread running([&load] { (void)runLoad(load); });
        while (!isPruned()) {
            if (nowNs() - ended > 60'000'000'000ull) stopWith("the log is not pruned");
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        }
        load.stop();
        running.join();
    }
    const MemberId leader = cluster.leader();
    figures.logCommands = static_cast<double>(cluster.position(leader));
    cluster.stop(leader);
    const uint64_t began = nowNs();
    cluster.start(leader);
    (bySnapshot ? figures.snapshotRecoveryMs : figures.logRecoveryMs) = ms(nowNs() - began);
    (bySnapshot ? figures.snapshotJoinMs : figures.logJoinMs) = joinMs(cluster, shape, bySnapshot);
}

Measured runOnce(const Case& shape, const Settings& settings) {
    Measured figures;
    {
        Cluster cluster(shape, settings, "load");
        awaitLeader(cluster);
        load::ClusterLoadOptions options = cluster.loadOptions(settings);
        options.orders = settings.orders;
        // The first orders touch the memory of tables and rings for the first time.
        options.warmUpOrders = settings.orders / 4;
        load::ClusterLoad load(options);
        const load::ClusterLoadResult result = runLoad(load);
        if (result.measuredNs != 0) {
            figures.ordersPerSecond =
                static_cast<double>(result.measured) / seconds(result.measuredNs);
        }
    }
    if (settings.rate == 0) return figures;
    Cluster cluster(shape, settings, "rate");
    awaitLeader(cluster);
    load::ClusterLoadOptions options = cluster.loadOptions(settings);
    options.ordersPerSecond = settings.rate;
    options.orders = settings.rate * 2;
    options.warmUpNs = 300'000'000;
    {
        load::ClusterLoad load(options);
        const load::ClusterLoadResult result = runLoad(load);
        figures.p50Us = us(result.latency.at(500'000));
        figures.p99Us = us(result.latency.at(990'000));
        figures.maxUs = us(result.latency.max());
    }
    // The leader stops where it stands, under a light load. Orders that the first client sent answer again.
    const MemberId leader = cluster.leader();
    const uint64_t position = cluster.position(leader);
    options.ordersPerSecond = 2'000;
    options.orders = 0;
    options.resendNs = 100'000'000;
    load::ClusterLoad load(options);
    if (shape.members > 1) {
        std::thread running([&load] { (void)runLoad(load); });
        std::this_thread::sleep_for(std::chrono::milliseconds(400));
        (void)load.gap();
        cluster.stop(leader);
        std::this_thread::sleep_for(std::chrono::milliseconds(1500));
        figures.takeoverMs = ms(load.gap());
        load.stop();
        running.join();
    } else {
        cluster.stop(leader);
    }
    const uint64_t began = nowNs();
    cluster.start(leader);
    figures.recoveryMs = ms(nowNs() - began);
    figures.recoveredCommands = static_cast<double>(position);
    for (const bool bySnapshot : {false, true}) measureLog(shape, settings, bySnapshot, figures);
    return figures;
}

double medianOf(const std::vector<Measured>& runs, double Measured::*figure) {
    std::vector<double> values;
    for (const Measured& run : runs) values.push_back(run.*figure);
    return median(std::move(values));
}

int run(int count, char** arguments) {
    Settings settings;
    Options options("cluster_bench");
    options.count("orders", &settings.orders, 1000)
        .count("rate", &settings.rate, 0)
        .count("window", &settings.window)
        .count("runs", &settings.runs)
        .count("members", &settings.members)
        .choice("transport", {"tcp", "shm", "verbs", "all"}, &settings.transport)
        .choice("acknowledge", {"memory", "durable", "all"}, &settings.acknowledge)
        .text("dir", "DIR", &settings.dir);
    options.read(count, arguments);
    std::string made;
    if (settings.dir.empty()) {
        made = (std::filesystem::temp_directory_path() / "verbex-bench-XXXXXX").string();
        if (mkdtemp(made.data()) == nullptr) stopWith("no directory for the journals");
        settings.dir = made;
    }
    std::vector<Case> cases;
    const auto add = [&](const char* name, transport::TransportWish wish) {
        if (settings.transport != name && !(settings.transport == "all" && strcmp(name, "verbs") != 0)) {
            return;
        }
        for (const bool durable : {false, true}) {
            if (settings.acknowledge == (durable ? "memory" : "durable")) continue;
            for (uint32_t members = 1; members <= 3; ++members) {
                if (settings.members == 0 || settings.members == members) {
                    cases.push_back({members, durable, wish});
                }
            }
        }
    };
    add("tcp", transport::TransportWish::Tcp);
    add("shm", transport::TransportWish::Shm);
    add("verbs", transport::TransportWish::Verbs);
    Answers answers(options);
    std::vector<std::vector<Measured>> found(cases.size());
    for (uint32_t i = 0; i < settings.runs; ++i) {
        for (size_t at = 0; at < cases.size(); ++at) {
            answers.say("run " + std::to_string(i + 1) + ", " + cases[at].name());
            found[at].push_back(runOnce(cases[at], settings));
        }
    }
    if (!made.empty()) std::filesystem::remove_all(made);
    double alone = 0;
    for (size_t at = 0; at < cases.size(); ++at) {
        const Case& shape = cases[at];
        const double perSecond = medianOf(found[at], &Measured::ordersPerSecond);
        if (shape.members == 1) alone = perSecond;
        const auto figure = [&](double Measured::*member) { return medianOf(found[at], member); };
        Figures figures;
        figures.add("name", shape.name())
            .add("members", shape.members)
            .add("acknowledge", shape.durable ? "durable" : "memory")
            .add("transport", shape.transportName())
            .add("ordersPerSecond", perSecond)
            .add("ofOneMember", alone == 0 ? 0 : perSecond / alone, 2)
            .add("p50Us", figure(&Measured::p50Us), 1)
            .add("p99Us", figure(&Measured::p99Us), 1)
            .add("maxUs", figure(&Measured::maxUs), 1)
            .add("takeoverMs", figure(&Measured::takeoverMs), 1)
            .add("recoveryMs", figure(&Measured::recoveryMs), 1)
            .add("recoveredCommands", figure(&Measured::recoveredCommands))
            .add("logCommands", figure(&Measured::logCommands))
            .add("logRecoveryMs", figure(&Measured::logRecoveryMs), 1)
            .add("logJoinMs", figure(&Measured::logJoinMs), 1)
            .add("snapshotRecoveryMs", figure(&Measured::snapshotRecoveryMs), 1)
            .add("snapshotJoinMs", figure(&Measured::snapshotJoinMs), 1);
        answers.add(figures);
    }
    Figures facts;
    facts.add("orders", settings.orders)
        .add("rate", settings.rate)
        .add("window", settings.window)
        .add("runs", settings.runs);
    answers.end(facts);
    return 0;
}

}  // namespace
}  // namespace verbex::bench

int main(int count, char** arguments) { return verbex::bench::run(count, arguments); }
