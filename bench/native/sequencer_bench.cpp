// How long nobody trades: after the sequencer of a pair that leads is lost, and when everybody starts anew.
//
//   client ──Submit──▶ sequencer 1 ──▶ risk, matching        filled: a log of so many orders
//                      sequencer 2 (has the log)             takeover: 1 stops where it stands ─▶ 2 takes orders
//                                                            start: all of them are opened again ─▶ one takes orders
//
// Two sequencers, one risk and one matching process, threads of this process with links as between processes, over tcp.
// The log grows from case to case: what a takeover and a start must not cost. `verifiedMs`: of a start, until both
// sequencers have read and checked their journals. `Replayed`: commands of the log, by the sequencer that led then.
//
//   sequencer_bench [--orders N] [--snapshots EVERY] [--runs N] [--dir DIR] [--json]
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <thread>

#include "journal/posix_storage.h"
#include "load/cluster_load.h"
#include "measuring.h"
#include "node/file_control.h"
#include "node/role_host.h"
#include "replication/cluster_client.h"
#include "wire/command_codec.h"

namespace verbex::bench {
namespace {

struct Settings {
    uint32_t orders = 2'000'000;
    uint32_t snapshots = 1u << 18;
    uint32_t runs = 1;
    std::string dir;
};

constexpr uint64_t kPatienceNs = 600'000'000'000;
// A log of a quarter of the orders, of half of them, of all.
constexpr uint32_t kLengths = 3;
// Then the day ends: client ids of two days are remembered, and are most of a snapshot.
constexpr uint32_t kOrdersADay = 250'000;

CoreLimits limits() { return {1u << 18, 1u << 12, 1u << 8, 1u << 21, false}; }

template <typename Done>
void waitFor(const char* what, Done done) {
    const uint64_t deadline = nowNs() + kPatienceNs;
    while (!done()) {
        if (nowNs() > deadline) stopWith(std::string("too long: ") + what);
        std::this_thread::sleep_for(std::chrono::microseconds(500));
    }
}

// Says that the day has ended, to whoever leads.
class DayEnd final : public replication::ClusterClientEvents {
public:
    explicit DayEnd(const std::array<uint16_t, 2>& ports) {
        transport::NetworkOptions network;
        network.node = "day";
        network.transport = transport::TransportWish::Tcp;
        network.ringBytes = 1u << 22;
        network.payloadMax = replication::kFrameBytesMax;
        auto opened = transport::HostNetwork::open(network);
        if (!opened.isOk()) stopWith(opened.status().toString());
        network_ = opened.take();
        replication::ClusterClientOptions options;
        for (uint32_t i = 0; i < 2; i++) options.members.push_back({i + 1, {"127.0.0.1", ports[i]}});
        client_ = std::make_unique<replication::ClusterClient>(*network_, options, *this);
        client_->subscribeEvents(0);
        Command command{};
        command.type = static_cast<uint8_t>(CommandType::DayEnd);
        std::vector<std::byte> payload;
        encodeBatch(std::span(&command, 1), payload);
        waitFor("the end of a day", [&] {
            (void)client_->poll(nowNs());
            if (!submitted_) submitted_ = client_->submit(1, payload, 1);
            client_->flush();
            return ended_;
        });
    }

private:
    void onEvents(const replication::EventsFrame&, std::span<const Event> events) override {
        for (const Event& event : events) ended_ |= EventType(event.type) == EventType::DayEnded;
    }
    void onEntry(const replication::EntriesFrame&, std::span<const std::byte>) override {}
    void onSubmitted(const replication::SubmittedFrame& answer) override {
        submitted_ = answer.taken == 1;
    }
    // What nobody has answered may have reached nobody; a day that ends twice harms nobody here.
    void onConnected(replication::MemberId) override { submitted_ = false; }
    void onDisconnected(const std::string&) override {}
    void onEnded(replication::Answered, Position) override {}

    std::unique_ptr<transport::HostNetwork> network_;
    std::unique_ptr<replication::ClusterClient> client_;
    bool submitted_ = false;
    bool ended_ = false;
};

class Deployment {
public:
    Deployment(const Settings& settings, const std::string& dir) : settings_(settings), dir_(dir) {
        static uint16_t next = static_cast<uint16_t>(20'000 + getpid() % 10'000);
        ports_ = {next, static_cast<uint16_t>(next + 1)};
        next = static_cast<uint16_t>(next + 2);
    }
    ~Deployment() { close(); }

    void open() {
        for (uint32_t i = 0; i < 2; i++) openSequencer(i);
        for (const PartKind kind : {PartKind::Risk, PartKind::Matching}) {
            node::RoleHostOptions role;
            role.kind = kind;
            role.role.limits = limits();
            role.network.node = kind == PartKind::Risk ? "risk" : "matching";
            role.network.transport = transport::TransportWish::Tcp;
            for (const uint16_t port : ports_) role.sequencers.push_back({"127.0.0.1", port});
            if (settings_.snapshots != 0) {
                role.snapshots = dir_ + "/" + role.network.node;
                role.snapshotEvery = settings_.snapshots;
            }
            auto host = node::RoleHost::open(role, storage_);
            if (!host.isOk()) stopWith(host.status().toString());
            roles_.push_back(host.take());
        }
    }
    void close() {
        roles_.clear();
        for (auto& host : sequencers_) {
            if (host != nullptr && !host->close().isOk()) stopWith("a sequencer did not close");
            host.reset();
        }
    }
    [[nodiscard]] bool serves() const {
        return std::ranges::any_of(sequencers_, [](const auto& host) {
            return host != nullptr && host->status().serving;
        });
    }
    // Everything is everywhere.
    [[nodiscard]] bool quiet() const {
        const Position last = sequencers_[0]->status().released;
        for (const auto& host : sequencers_) {
            const roles::SequencerStatus status = host->status();
            if (status.released != last) return false;
            if (status.follows && status.shadow.position != last) return false;
        }
        if (settings_.snapshots == 0) return true;
        return std::ranges::all_of(roles_, [last](const auto& role) {
            return role->status().snapshots.shadow == last;
        });
    }
    // Of the log, by the sequencer that serves, when it began to lead.
    [[nodiscard]] Position replayed() const {
        for (const auto& host : sequencers_) {
            if (host == nullptr || !host->status().serving) continue;
            const roles::SequencerStatus status = host->status();
            return status.released - std::min(status.base, status.released);
        }
        return 0;
    }
    // Of the newest snapshot of a sequencer; 0: there is none.
    [[nodiscard]] uint64_t snapshotBytes() const {
        std::filesystem::path newest;
        std::error_code none;
        for (const auto& each : std::filesystem::directory_iterator(dir_ + "/sequencer-0/state", none)) {
            if (each.path().extension() == ".snapshot") newest = std::max(newest, each.path());
        }
        return newest.empty() ? 0 : std::filesystem::file_size(newest);
    }
    [[nodiscard]] Position last() const { return sequencers_[0]->status().released; }
    void stopLeader() {
        for (auto& host : sequencers_) {
            if (!host->status().leads) continue;
            host->stop();
            host.reset();
            return;
        }
        stopWith("nobody leads");
    }
    void fill(uint32_t from, uint32_t orders) {
        for (uint32_t filled = 0; filled < orders;) {
            const uint32_t next = std::min(orders - filled, kOrdersADay);
            trade(from + filled, next);
            filled += next;
            DayEnd ends(ports_);
        }
    }

private:
    void trade(uint32_t from, uint32_t orders) {
        load::ClusterLoadOptions options;
        for (uint32_t i = 0; i < 2; i++) {
            options.cluster.members.push_back({i + 1, {"127.0.0.1", ports_[i]}});
        }
        options.network.node = "load";
        options.network.transport = transport::TransportWish::Tcp;
        options.window = 8192;
        options.batch = 512;
        options.limits = limits();
        options.resendNs = options.cluster.silentNs = 2'000'000'000;
        options.keepsBatches = false;
        options.orders = orders;
        options.idsBehind = from;
        load::ClusterLoad load(options);
        auto result = load.run();
        if (!result.isOk()) stopWith(result.status().toString());
    }
    void openSequencer(uint32_t index) {
        node::SequencerHostOptions options;
        options.sequencer.limits = limits();
        options.member.id = index + 1;
        options.member.data = dir_ + "/sequencer-" + std::to_string(index);
        options.member.boot = "bench";
        options.member.journalId = {1, index + 1};
        options.member.replica.hotWanted = 2;
        for (uint32_t i = 0; i < 2; i++) {
            options.peers.push_back({i + 1, {"127.0.0.1", ports_[i]}});
            options.member.replica.members.push_back({i + 1, false});
        }
        options.network.node = "sequencer-" + std::to_string(index);
        options.network.transport = transport::TransportWish::Tcp;
        options.listen = {"127.0.0.1", ports_[index]};
        options.snapshotEvery = settings_.snapshots;
        controls_[index] = std::make_unique<node::FileControl>(dir_ + "/control");
        auto opened = node::SequencerHost::open(options, storage_, controls_[index].get());
        if (!opened.isOk()) stopWith(opened.status().toString());
        sequencers_[index] = opened.take();
    }

    const Settings& settings_;
    const std::string dir_;
    std::array<uint16_t, 2> ports_;
    journal::PosixStorage storage_;
    std::array<std::unique_ptr<node::FileControl>, 2> controls_;
    std::array<std::unique_ptr<node::SequencerHost>, 2> sequencers_;
    std::vector<std::unique_ptr<node::RoleHost>> roles_;
};

struct Found {
    std::vector<double> takeoverMs, startMs, verifiedMs;
    std::vector<uint64_t> takeoverReplayed, startReplayed;
    Position commands = 0;
    uint64_t snapshotBytes = 0;
};

void runOnce(const Settings& settings, Answers& answers, std::array<Found, kLengths>& found) {
    const std::string dir = settings.dir + "/sequencers";
    std::filesystem::remove_all(dir);
    std::filesystem::create_directories(dir);
    Deployment deployment(settings, dir);
    uint32_t filled = 0;
    for (uint32_t at = 0; at < kLengths; at++) {
        const uint32_t length = settings.orders >> (kLengths - 1 - at);
        deployment.open();
        waitFor("the beginning", [&] { return deployment.serves(); });
        deployment.fill(filled, length - filled);
        filled = length;
        waitFor("everything everywhere", [&] { return deployment.quiet(); });
        found[at].commands = deployment.last();
        found[at].snapshotBytes = deployment.snapshotBytes();
        answers.say("a log of " + grouped(found[at].commands) + " commands");
        const uint64_t lost = nowNs();
        deployment.stopLeader();
        waitFor("a takeover", [&] { return deployment.serves(); });
        found[at].takeoverMs.push_back(ms(nowNs() - lost));
        found[at].takeoverReplayed.push_back(deployment.replayed());
        deployment.close();
        const uint64_t began = nowNs();
        deployment.open();
        found[at].verifiedMs.push_back(ms(nowNs() - began));
        waitFor("a start", [&] { return deployment.serves(); });
        found[at].startMs.push_back(ms(nowNs() - began));
        found[at].startReplayed.push_back(deployment.replayed());
        deployment.close();
    }
    std::filesystem::remove_all(dir);
}

int run(int count, char** arguments) {
    Settings settings;
    Options options("sequencer_bench");
    options.count("orders", &settings.orders, 1000)
        .count("snapshots", &settings.snapshots, 0)
        .count("runs", &settings.runs)
        .text("dir", "DIR", &settings.dir);
    options.read(count, arguments);
    std::string made;
    if (settings.dir.empty()) {
        made = (std::filesystem::temp_directory_path() / "verbex-bench-XXXXXX").string();
        if (mkdtemp(made.data()) == nullptr) stopWith("no directory for the journals");
        settings.dir = made;
    }
    Answers answers(options);
    std::array<Found, kLengths> found;
    for (uint32_t i = 0; i < settings.runs; i++) runOnce(settings, answers, found);
    if (!made.empty()) std::filesystem::remove_all(made);
    for (const Found& each : found) {
        Figures figures;
        figures.add("name", "a log of " + grouped(each.commands) + " commands")
            .add("commands", each.commands)
            .add("takeoverMs", median(each.takeoverMs), 0)
            .add("takeoverReplayed", median(each.takeoverReplayed))
            .add("startMs", median(each.startMs), 0)
            .add("verifiedMs", median(each.verifiedMs), 0)
            .add("startReplayed", median(each.startReplayed))
            .add("snapshotBytes", each.snapshotBytes);
        answers.add(figures);
    }
    Figures facts;
    facts.add("orders", settings.orders).add("snapshots", settings.snapshots).add("runs", settings.runs);
    answers.end(facts);
    return 0;
}

}  // namespace
}  // namespace verbex::bench

int main(int count, char** arguments) { return verbex::bench::run(count, arguments); }
