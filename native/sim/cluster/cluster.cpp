#include "sim/cluster/cluster.h"

#include <algorithm>

#include "sim/cluster/simulated_client.h"
#include "sim/cluster/site.h"
#include "sim/cluster/two_sites.h"

namespace verbex::sim {

namespace {

// Everything is healed: so long may it take until everybody is answered and in step.
constexpr uint64_t kHealedNs = 20 * kSeconds;
// Clients send orders for a while after everything is healed.
constexpr uint64_t kClientsNs = 300 * kMillis;
constexpr uint64_t kOperatorNs = 10 * kMillis;

class ClusterRun {
public:
    explicit ClusterRun(const ClusterRunOptions& options)
        : random_(options.seed),
          site_(SiteOptions{.mutant = options.mutant, .bearsDisruption = options.bearsDisruption},
                ClusterPlan::draw(options.seed, options.commands, options.mutant), timeline_, random_,
                [this](const std::string& text) { problem(text); }) {
        makeClients();
        site_.onLoss([this](Position kept) {
            for (const auto& client : clients_) client->lose(kept);
        });
        site_.connect({
            {}, {},
            [this](uint32_t client, NodeId connection, const Network::Frame& frame) {
                if (good()) clients_[client]->onFrame(connection, frame);
            },
            [this](uint32_t client, NodeId connection) { clients_[client]->onClosed(connection); },
        });
    }

    ClusterRunReport run() {
        site_.start();
        clients_[0]->start();
        operate();
        const uint64_t healAt = site_.plan().faultsForNs;
        while (going() && timeline_.runNext(healAt)) {
        }
        if (going()) {
            clientsStopAt_ = timeline_.now() + kClientsNs;
            site_.heal();
        }
        const uint64_t end = healAt + kHealedNs;
        while (going() && !settled_ && timeline_.runNext(end)) {
        }
        if (going() && !settled_) {
            problem("no progress after everything was healed: " + site_.standing() + standing());
        }
        if (settled_) {
            site_.lookAtEnd();
            for (const auto& client : clients_) client->lookAtEnd();
        }
        return report();
    }

private:
    [[nodiscard]] bool good() const { return report_.ok; }
    [[nodiscard]] bool going() const { return good() && !site_.isBlocked(); }
    void problem(const std::string& text) {
        if (!report_.ok) return;
        report_.ok = false;
        report_.problem = text + " (after " + std::to_string(timeline_.now() / kMicros) + " us)";
    }

    void addClient(ClientPlan plan) {
        plan.id = static_cast<uint32_t>(clients_.size());
        clients_.push_back(std::make_unique<SimulatedClient>(
            plan, site_.plan().members, timeline_, random_.fork(200 + plan.id), site_.network(),
            site_.oracle(), [this](MemberId id) { return site_.isUp(id); },
            [this](const std::string& text) { problem(text); }));
    }

    void makeClients() {
        ClientPlan setup;
        setup.prepared = market(site_.plan().traders);
        setup.window = static_cast<uint32_t>(setup.prepared.size());
        addClient(setup);
        for (uint32_t i = 1; i <= site_.plan().traders; i++) {
            ClientPlan trader;
            trader.account = i;
            trader.filtered = random_.coin();
            trader.commands = site_.plan().commands / site_.plan().traders;
            trader.window = static_cast<uint32_t>(random_.between(1, 8));
            trader.paceNs = site_.plan().faultsForNs / (trader.commands + 1);
            trader.patienceNs = random_.between(100, 400) * kMillis;
            addClient(trader);
        }
        for (uint32_t i = 0; i < site_.plan().watchers; i++) {
            ClientPlan watcher;
            watcher.entries = i == 0;
            watcher.patienceNs = random_.between(100, 400) * kMillis;
            addClient(watcher);
        }
    }

    void operate() {
        if (!good()) return;
        if (clients_[0]->isDone() && !clients_[1]->hasStarted()) {
            for (size_t i = 1; i < clients_.size(); i++) clients_[i]->start();
        }
        const bool enough = timeline_.now() > clientsStopAt_;
        const bool done = areClientsDone();
        site_.lookAfter(enough && done);
        if (enough) {
            for (const auto& client : clients_) client->enough();
        }
        if (site_.isHealed()) settled_ = areClientsDone() && site_.isInStep();
        timeline_.after(kOperatorNs, [this] { operate(); });
    }

    [[nodiscard]] bool areClientsDone() const {
        return std::all_of(clients_.begin(), clients_.end(),
                           [](const auto& client) { return client->isDone(); });
    }

    [[nodiscard]] std::string standing() const {
        std::string text;
        for (const auto& client : clients_) {
            if (client->isDone()) continue;
            text += "; client " + std::to_string(client->plan().id) + " waits for " +
                    std::to_string(client->open()) + ", told up to " + std::to_string(client->next() - 1);
        }
        return text;
    }

    ClusterRunReport report() {
        ClusterCounters& counters = report_.counters;
        for (const auto& client : clients_) {
            counters.commands += client->sent();
            counters.resent += client->resent() - std::min(client->resent(), client->sent());
        }
        site_.count(counters);
        counters.actions = timeline_.actions();
        report_.traceHash = timeline_.trace();
        report_.simulatedNs = timeline_.now();
        report_.plan = site_.plan().text();
        return report_;
    }

    ClusterRunReport report_;
    Timeline timeline_;
    Random random_;
    Site site_;
    std::vector<std::unique_ptr<SimulatedClient>> clients_;
    uint64_t clientsStopAt_ = UINT64_MAX;
    bool settled_ = false;
};

}  // namespace

ClusterRunReport runCluster(const ClusterRunOptions& options) {
    const bool twoSites = options.mutant == replication::Mutant::None && hasTwoSites(options.seed);
    return twoSites ? runTwoSites(options) : ClusterRun(options).run();
}

}  // namespace verbex::sim
