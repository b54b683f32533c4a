// What a warm member costs the hot path: it is there, it is stopped, it comes back, under load, in turns.
//
//   client ──Submit──▶ leader ──Append──▶ hot member      their acknowledgements count
//      ◀──Events──        │
//                         └────Append──▶ warm member      never counted: here, away, coming back
//
// Members are threads of this process with links between them as between processes. Phases take turns, so that what else
// the machine does falls on all kinds alike; a figure is the median of the phases of its kind. The last phase of a turn
// is the first one again: how far these two are apart is what cannot be told from nothing. In the end the hot member that
// does not lead is stopped where it stands, and the warm one takes its place.
//
// Processors are kept awake meanwhile, unless they may be sleepy: the less a machine does, the deeper they sleep, and
// a member less would seem to make the others slower.
//
//   warm_bench [--rate N] [--seconds N] [--runs N] [--processors awake|sleepy] [--dir DIR] [--json]
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <memory>
#include <thread>

#include "awake_processors.h"
#include "journal/posix_storage.h"
#include "load/cluster_load.h"
#include "measuring.h"
#include "node/file_control.h"
#include "node/member_host.h"

namespace verbex::bench {
namespace {

using replication::MemberId;

constexpr MemberId kMembers = 3;
constexpr MemberId kWarm = 3;
constexpr uint64_t kSettleNs = 500'000'000;
constexpr uint64_t kPatientNs = 5'000'000'000;

struct Settings {
    uint32_t rate = 10'000;
    uint32_t seconds = 2;
    uint32_t runs = 5;
    std::string processors = "awake";
    std::string dir;
};

enum Kind : size_t { kHere = 0, kAway = 1, kComingBack = 2, kAgain = 3 };
constexpr Kind kKinds[] = {kHere, kAway, kComingBack, kAgain};
constexpr const char* kNames[] = {"warm member here", "warm member stopped", "warm member coming back",
                                  "warm member here again"};

struct Phase {
    double ordersPerSecond = 0;
    double p50Us = 0, p99Us = 0, maxUs = 0;
    double load = 0;
};

class Cluster {
public:
    // `patient`: nobody is left out of the sync set for a pause of this machine, or the warm one would be hot.
    Cluster(const Settings& settings, bool patient)
        : dir_(settings.dir + "/cluster"), patient_(patient) {
        std::filesystem::create_directories(dir_);
        // Every order of every phase is remembered by its id, and some more are sent in the end.
        const uint64_t phases = std::size(kKinds) * settings.runs;
        const uint64_t ids = settings.rate * ((settings.seconds + 1) * phases + 60);
        limits_ = {1u << 18, 1u << 12, 1u << 8, 1u << 20, false};
        while (limits_.maxClientIds < ids && limits_.maxClientIds < 1u << 30) limits_.maxClientIds *= 2;
        for (MemberId id = 1; id <= kMembers; ++id) {
            const auto port = static_cast<uint16_t>(20'000 + (getpid() + id) % 10'000);
            addresses_.push_back({id, {"127.0.0.1", port}});
        }
        hosts_.resize(kMembers);
        controls_.resize(kMembers);
        for (MemberId id = 1; id <= kMembers; ++id) start(id);
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
        options.network.transport = transport::TransportWish::Tcp;
        options.member.id = id;
        options.member.data = dir_ + "/" + std::to_string(id);
        options.member.boot = "bench";
        options.member.limits = limits_;
        options.member.journalId = {id, 1};
        options.member.replica.hotWanted = 2;
        if (patient_) options.member.replica.silentNs = options.member.replica.suspectNs = kPatientNs;
        for (MemberId member = 1; member <= kMembers; ++member) {
            options.member.replica.members.push_back({member, member == kWarm});
        }
        controls_[id - 1] = std::make_unique<node::FileControl>(dir_ + "/control");
        auto opened = node::MemberHost::open(options, storage_, *controls_[id - 1]);
        if (!opened.isOk()) stopWith(opened.status().toString());
        hosts_[id - 1] = opened.take();
    }
    void stop(MemberId id) { hosts_[id - 1].reset(); }
    [[nodiscard]] replication::MemberStatus status(MemberId id) { return hosts_[id - 1]->status(); }
    [[nodiscard]] MemberId leader() {
        for (MemberId id = 1; id <= kMembers; ++id) {
            if (hosts_[id - 1] != nullptr && status(id).role == replication::Role::Leader) return id;
        }
        return 0;
    }
    // The two hot ones are the sync set, and the warm one is not far behind.
    [[nodiscard]] bool isWhole() {
        const MemberId leads = leader();
        if (leads == 0 || hosts_[kWarm - 1] == nullptr) return false;
        const replication::MemberStatus said = status(leads);
        return said.configuration.sync.size() == 2 && said.configuration.member(kWarm) == nullptr &&
               status(kWarm).position + 1000 >= said.position;
    }

    [[nodiscard]] load::ClusterLoadOptions loadOptions(uint64_t idsBehind) const {
        load::ClusterLoadOptions options;
        options.cluster.members = addresses_;
        options.network.node = "load";
        options.network.transport = transport::TransportWish::Tcp;
        options.network.setUpTimeoutMs = 300;
        options.limits = limits_;
        options.keepsBatches = false;
        options.idsBehind = idsBehind;
        return options;
    }

private:
    const std::string dir_;
    const bool patient_;
    CoreLimits limits_;
    std::vector<replication::MemberAddress> addresses_;
    journal::PosixStorage storage_;
    std::vector<std::unique_ptr<node::FileControl>> controls_;
    std::vector<std::unique_ptr<node::MemberHost>> hosts_;
};

template <typename Is>
void await(const char* what, Is is) {
    const uint64_t deadline = nowNs() + 60'000'000'000;
    while (!is()) {
        if (nowNs() > deadline) stopWith(what);
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
}

load::ClusterLoadResult runLoad(load::ClusterLoad& load) {
    auto result = load.run();
    if (!result.isOk()) stopWith(result.status().toString());
    return result.take();
}

double loadAverage() {
    double average = 0;
    return getloadavg(&average, 1) == 1 ? average : 0;
}

Phase runPhase(Cluster& cluster, Kind kind, const Settings& settings, uint64_t& sent) {
    if (kind == kAway) cluster.stop(kWarm);
    if (kind == kHere || kind == kAgain) {
        await("the warm member does not come level", [&] { return cluster.isWhole(); });
    }
    load::ClusterLoadOptions options = cluster.loadOptions(sent);
    options.ordersPerSecond = settings.rate;
    // What the change of the phase itself costs, in a process that all members share, is not looked at; but
    // for coming back: that is the phase.
    options.warmUpNs = kind == kComingBack ? 0 : kSettleNs;
    options.orders = uint64_t{settings.rate} * settings.seconds + settings.rate * kSettleNs / 1'000'000'000;
    load::ClusterLoad load(options);
    if (kind == kComingBack) cluster.start(kWarm);
    const load::ClusterLoadResult result = runLoad(load);
    sent += options.orders;
    Phase phase;
    if (result.measuredNs != 0) {
        phase.ordersPerSecond = static_cast<double>(result.measured) / seconds(result.measuredNs);
    }
    phase.p50Us = us(result.latency.at(500'000));
    phase.p99Us = us(result.latency.at(990'000));
    phase.maxUs = us(result.latency.max());
    phase.load = loadAverage();
    return phase;
}

// The hot member that does not lead ends where it stands.
void replace(const Settings& settings, Figures& figures) {
    Cluster cluster(settings, false);
    await("the warm member does not come level", [&] { return cluster.isWhole(); });
    load::ClusterLoadOptions options = cluster.loadOptions(0);
    options.ordersPerSecond = settings.rate;
    load::ClusterLoad load(options);
    std::thread running([&load] { (void)runLoad(load); });
    await("no order is answered", [&] { return load.progress().acknowledged > settings.rate / 4; });
    const MemberId leader = cluster.leader();
    (void)load.gap();
    const uint64_t began = nowNs();
    cluster.stop(leader == 1 ? 2 : 1);
    await("the warm member does not take its place", [&] {
        const MemberId leads = cluster.leader();
        return leads != 0 && cluster.status(leads).configuration.member(kWarm) != nullptr;
    });
    figures.add("replacedMs", ms(nowNs() - began), 1).add("silentMs", ms(load.gap()), 1);
    load.stop();
    running.join();
}

int run(int count, char** arguments) {
    Settings settings;
    Options options("warm_bench");
    options.count("rate", &settings.rate)
        .count("seconds", &settings.seconds)
        .count("runs", &settings.runs)
        .choice("processors", {"awake", "sleepy"}, &settings.processors)
        .text("dir", "DIR", &settings.dir);
    options.read(count, arguments);
    std::string made;
    if (settings.dir.empty()) {
        made = (std::filesystem::temp_directory_path() / "verbex-bench-XXXXXX").string();
        if (mkdtemp(made.data()) == nullptr) stopWith("no directory for the journals");
        settings.dir = made;
    }
    Answers answers(options);
    const AwakeProcessors awake(settings.processors == "awake");
    Figures facts;
    {
        Cluster cluster(settings, true);
        std::vector<Phase> found[std::size(kKinds)];
        uint64_t sent = 0;
        for (uint32_t i = 0; i < settings.runs; ++i) {
            for (const Kind kind : kKinds) {
                answers.say("run " + std::to_string(i + 1) + ", " + kNames[kind]);
                found[kind].push_back(runPhase(cluster, kind, settings, sent));
            }
        }
        for (const Kind kind : kKinds) {
            const auto figure = [&](double Phase::*member) {
                std::vector<double> values;
                for (const Phase& phase : found[kind]) values.push_back(phase.*member);
                return median(std::move(values));
            };
            // By turns: what the machine does in one of them falls on both phases.
            const auto ofHere = [&](double Phase::*member) {
                std::vector<double> ratios;
                for (size_t i = 0; i < found[kind].size(); ++i) {
                    ratios.push_back(found[kind][i].*member / std::max(found[kHere][i].*member, 1e-3));
                }
                return median(std::move(ratios));
            };
            Figures figures;
            figures.add("name", kNames[kind])
                .add("ordersPerSecond", figure(&Phase::ordersPerSecond))
                .add("p50Us", figure(&Phase::p50Us), 1)
                .add("p99Us", figure(&Phase::p99Us), 1)
                .add("maxUs", figure(&Phase::maxUs), 1)
                .add("p50OfHere", ofHere(&Phase::p50Us), 2)
                .add("p99OfHere", ofHere(&Phase::p99Us), 2)
                .add("load", figure(&Phase::load), 2);
            answers.add(figures);
        }
    }
    facts.add("rate", settings.rate).add("seconds", settings.seconds).add("runs", settings.runs);
    facts.add("processors", settings.processors);
    answers.say("a hot member stops");
    replace(settings, facts);
    if (!made.empty()) std::filesystem::remove_all(made);
    answers.end(facts);
    return 0;
}

}  // namespace
}  // namespace verbex::bench

int main(int count, char** arguments) { return verbex::bench::run(count, arguments); }
