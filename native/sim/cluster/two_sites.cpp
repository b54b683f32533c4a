#include "sim/cluster/two_sites.h"

#include <algorithm>

#include "journal/segment.h"
#include "journal/snapshots.h"
#include "replication/bridge.h"
#include "sim/cluster/agent_network.h"
#include "sim/cluster/simulated_client.h"
#include "sim/cluster/site.h"

namespace verbex::sim {

using replication::Bridge;
using replication::BridgeOptions;
using replication::Member;
using SiteState = replication::Site;

namespace {

constexpr uint64_t kBothHealedNs = 40 * kSeconds;  // two clusters settle, one after the other
constexpr uint64_t kTradersNs = 300 * kMillis;
constexpr uint64_t kSitesOperatorNs = 10 * kMillis;
constexpr uint64_t kBridgeNs = 2 * kMillis;
// The bridge's number among the clients of either site; others are counted from 0.
constexpr uint32_t kBridgeClient = 1000;
// Clients of the second site, whose orders have other names than those of the first.
constexpr uint32_t kSecondSite = 100;
constexpr uint32_t kOrdersAfterSwitch = 20;

// The first site keeps all of its log: a second one that is further behind than that is for an operator.
ClusterPlan firstPlan(const ClusterRunOptions& options) {
    ClusterPlan plan = ClusterPlan::draw(options.seed, options.commands, options.mutant);
    plan.historyBytes = UINT64_MAX;
    // What a site that has been forced lets out is another log than the one that the bridge has carried.
    plan.forceAfterNs = plan.every(Fault::LoseQuorum) = 0;
    plan.burnAtNs = 0;
    return plan;
}

ClusterPlan secondPlan(const ClusterRunOptions& options, const ClusterPlan& first) {
    ClusterPlan plan = ClusterPlan::draw(options.seed * 0x9e3779b97f4a7c15 + 2, options.commands,
                                         options.mutant);
    // Entries come in the first site's sizes.
    plan.batchBytes = first.batchBytes;
    plan.segmentBytes = first.segmentBytes;
    plan.faultsForNs = first.faultsForNs;
    // The scrub goes by the log's time, which stands still while the clocks of the site that writes are behind it.
    plan.forceAfterNs = plan.every(Fault::LoseQuorum) = 0;
    plan.burnAtNs = 0;
    if (first.clocksDiffer || plan.clocksDiffer) plan.every(Fault::FlipState) = 0;
    return plan;
}

class TwoSitesRun {
public:
    explicit TwoSitesRun(const ClusterRunOptions& options)
        : random_(options.seed), second_(random_.fork(20)), agents_(random_.fork(21)),
          founding_(random_.fork(22)),
          one_(SiteOptions{.mutant = options.mutant},
               firstPlan(options), timeline_, random_,
               [this](const std::string& text) { problem("site 1: " + text); }),
          two_(SiteOptions{.name = "site-2", .standby = true, .mutant = options.mutant},
               secondPlan(options, one_.plan()), timeline_, second_,
               [this](const std::string& text) { problem("site 2: " + text); }),
          fromOne_(one_.network(), kBridgeClient, agents_.fork(1), one_.plan(),
                   [this](NodeId id) { return one_.isUp(id); }),
          toTwo_(two_.network(), kBridgeClient, agents_.fork(2), two_.plan(),
                 [this](NodeId id) { return two_.isUp(id); }) {
        if (isFounded(options.seed)) {
            copyAtNs_ = one_.plan().faultsForNs * founding_.between(20, 80) / 100;
        }
        makeClients();
        connect(one_, fromOne_);
        connect(two_, toTwo_);
    }

    ClusterRunReport run() {
        one_.start();
        if (copyAtNs_ == 0) two_.start();
        clients_.at(0)->start();
        clients_.at(kSecondSite)->start();
        operate();
        startBridge();
        disturbBridge();
        const uint64_t healAt = one_.plan().faultsForNs;
        while (going() && timeline_.runNext(healAt)) {
        }
        if (going()) {
            healed_ = true;
            clientsStopAt_ = timeline_.now() + kTradersNs;
            toTwo_.mend();
            fromOne_.mend();
            one_.heal();
            two_.heal();
        }
        const uint64_t end = healAt + kBothHealedNs;
        while (going() && !settled_ && timeline_.runNext(end)) {
        }
        if (going() && !settled_) problem("no progress after everything was healed: " + standing());
        if (settled_) lookAtEnd();
        return report();
    }

private:
    [[nodiscard]] bool going() const {
        return report_.ok && !one_.isBlocked() && !two_.isBlocked();
    }
    void problem(const std::string& text) {
        if (!report_.ok) return;
        report_.ok = false;
        report_.problem = text + " (after " + std::to_string(timeline_.now() / kMicros) + " us)";
    }

    // ---- who takes part

    void connect(Site& site, AgentNetwork& agent) {
        site.connect({
            {}, {},
            [this, &agent](uint32_t client, NodeId connection, const Network::Frame& frame) {
                if (!report_.ok) return;
                if (client == kBridgeClient) {
                    agent.onFrame(connection, frame);
                } else {
                    clients_.at(client)->onFrame(connection, frame);
                }
            },
            [this, &agent](uint32_t client, NodeId connection) {
                if (client == kBridgeClient) {
                    agent.onClosed(connection);
                } else {
                    clients_.at(client)->onClosed(connection);
                }
            },
        });
    }

    void addClient(Site& site, uint32_t id, ClientPlan plan) {
        plan.id = id;
        plan.patienceNs = random_.between(100, 400) * kMillis;
        clients_[id] = std::make_unique<SimulatedClient>(
            plan, site.plan().members, timeline_, random_.fork(200 + id), site.network(), site.oracle(),
            [&site](MemberId member) { return site.isUp(member); },
            [this](const std::string& text) { problem(text); });
    }

    void makeClients() {
        const ClusterPlan& plan = one_.plan();
        ClientPlan setup;
        setup.prepared = market(plan.traders);
        setup.window = static_cast<uint32_t>(setup.prepared.size());
        addClient(one_, 0, setup);
        ClientPlan watcher;
        watcher.entries = random_.coin();
        addClient(two_, kSecondSite, watcher);
        for (uint32_t i = 1; i <= plan.traders; i++) {
            ClientPlan trader;
            trader.account = i;
            trader.window = static_cast<uint32_t>(random_.between(1, 8));
            trader.commands = kOrdersAfterSwitch;
            addClient(two_, kSecondSite + i, trader);
            trader.commands = plan.commands / plan.traders;
            trader.paceNs = plan.faultsForNs / (trader.commands + 1);
            addClient(one_, i, trader);
        }
    }

    // ---- the bridge, which keeps nothing and may end at any time

    void startBridge() {
        BridgeOptions options;
        for (const auto& [site, client] : {std::pair{&one_, &options.source}, {&two_, &options.target}}) {
            for (MemberId id = 1; id <= site->size(); id++) {
                client->members.push_back({id, {"member", static_cast<uint16_t>(id)}});
            }
        }
        options.source.anyMember = true;
        options.window = static_cast<uint32_t>(agents_.between(1, 32));
        bridge_ = std::make_unique<Bridge>(fromOne_, toTwo_, options);
        const uint64_t life = ++bridgeLife_;
        timeline_.after(kBridgeNs, [this, life] { pollBridge(life); });
    }

    void pollBridge(uint64_t life) {
        if (life != bridgeLife_ || !report_.ok) return;
        bridge_->poll(timeline_.now());
        timeline_.after(kBridgeNs, [this, life] { pollBridge(life); });
    }

    void disturbBridge() {
        timeline_.after(agents_.between(50, 600) * kMillis, [this] {
            if (healed_) return;
            switch (agents_.below(3)) {
                case 0:
                    bridge_.reset();
                    startBridge();
                    report_.counters.crashes++;
                    break;
                case 1:
                    fromOne_.cut();
                    report_.counters.cuts++;
                    timeline_.after(agents_.below(2000) * kMillis, [this] { fromOne_.mend(); });
                    break;
                default:
                    toTwo_.cut();
                    report_.counters.cuts++;
                    timeline_.after(agents_.below(2000) * kMillis, [this] { toTwo_.mend(); });
                    break;
            }
            disturbBridge();
        });
    }

    // ---- the operator

    void operate() {
        if (!report_.ok) return;
        compare();
        const uint64_t now = timeline_.now();
        if (clients_.at(0)->isDone() && !clients_.at(1)->hasStarted()) startTraders(0);
        const bool enough = now > clientsStopAt_;
        if (enough) {
            for (uint32_t i = 0; i <= one_.plan().traders; i++) clients_.at(i)->enough();
        }
        const bool served = enough && areDone(0);
        one_.lookAfter(served);
        if (copyAtNs_ != 0 && !copied_ && now >= copyAtNs_) foundSecond();
        if (copyAtNs_ == 0 || copied_) two_.lookAfter(!switched_ || areDone(kSecondSite));
        if (healed_ && served) switchSites();
        timeline_.after(kSitesOperatorNs, [this] { operate(); });
    }

    // The second site begins with what a member of the first one has released: as `verbex journal recover` and `verbex
    // cluster found` do.
    void foundSecond() {
        for (MemberId id = 1; id <= one_.size() && !copied_; id++) {
            SimulatedMember& from = one_.member(id);
            if (!from.isUp() || from.isPaused() || from.wantsRestart()) continue;
            Member& member = from.member();
            const Position last = member.log().last();
            if (member.replica().role() == replication::Role::Halted || last == 0) continue;
            if (member.outputs().released() != last || member.log().durable() != last) continue;
            const auto founder = static_cast<MemberId>(founding_.between(1, two_.plan().hot));
            two_.startFounded(founder, recovered(from), one_.oracle(), last);
            copied_ = true;
        }
    }

    // The journal and the snapshots; now and then behind the oldest sound one only, as of a member that has pruned.
    SimulatedDisk::Image recovered(SimulatedMember& from) {
        SimulatedDisk disk;
        disk.load(from.disk().image());
        const std::string folder = "member-" + std::to_string(from.id());
        const std::string snapshots = journal::joinPath(folder, "snapshots");
        const std::string log = journal::joinPath(folder, "journal");
        Position begin = 0;
        for (const auto& listed : journal::listSnapshots(disk, snapshots).take()) {
            const bool isSound = journal::verifySnapshot(disk, snapshots, listed.name).isOk();
            if (isSound) begin = listed.position;
        }
        if (begin != 0 && founding_.coin()) {
            (void)journal::removeSegmentsBefore(disk, log, begin + 1);
        }
        SimulatedDisk::Image image;
        for (const auto& [path, contents] : disk.image()) {
            if (path.starts_with(log) || path.starts_with(snapshots)) {
                image[path.substr(folder.size())] = contents;
            }
        }
        return image;
    }

    void startTraders(uint32_t from) {
        for (uint32_t i = 1; i <= one_.plan().traders; i++) clients_.at(from + i)->start();
    }

    [[nodiscard]] bool areDone(uint32_t from) const {
        for (uint32_t i = from == 0 ? 0 : 1; i <= one_.plan().traders; i++) {
            if (!clients_.at(from + i)->isDone()) return false;
        }
        return true;
    }

    // Off with the first, when all of it is over there on with the second: as `verbex site switch` does.
    void switchSites() {
        if (one_.control().record().site != SiteState::Fenced) {
            if (one_.isInStep()) (void)one_.tellLeader([](Member& leader) { (void)leader.fenceSite(); });
            return;
        }
        if (!one_.isInStep()) return;
        if (!switched_) {
            end_ = one_.oracle().released();
            Position there = 0;
            bool active = false;
            (void)two_.tellLeader([&](Member& leader) {
                there = leader.log().last();
                active = leader.replica().configuration().site == SiteState::Active;
                if (!active && there == end_) (void)leader.activateSite();
            });
            if (!active) return;
            switched_ = true;
            startTraders(kSecondSite);
            return;
        }
        settled_ = areDone(kSecondSite) && two_.isInStep();
    }

    // ---- what may never happen

    void compare() {
        const std::vector<ReleasedBatch>& theirs = two_.oracle().batches();
        if (switched_ && one_.oracle().released() != end_) {
            problem("site 1 is switched off and lets out position " +
                    std::to_string(one_.oracle().released()));
        }
        for (; compared_ < theirs.size(); compared_++) {
            const ReleasedBatch& batch = theirs[compared_];
            const std::string where = "position " + std::to_string(batch.entry.first);
            if (switched_ && batch.entry.first > end_) continue;
            const ReleasedBatch* known = one_.oracle().batchAt(batch.entry.first);
            if (known == nullptr) {
                // The operator's word has been taken, and is not known of here yet.
                if (two_.control().record().site == SiteState::Active &&
                    batch.entry.first > one_.oracle().released()) {
                    return;
                }
                problem("site 2 lets out " + where + ", which site 1 has not");
                return;
            }
            if (known->entry.first != batch.entry.first || known->entry.last() != batch.entry.last() ||
                known->payload != batch.payload || known->result != batch.result) {
                problem("the sites let out different entries or results at " + where);
                return;
            }
        }
    }

    void lookAtEnd() {
        compare();
        const Oracle& theirs = two_.oracle();
        const ReleasedBatch* first = theirs.batchAt(end_ + 1);
        if (first == nullptr || first->entry.first != end_ + 1) {
            problem("site 2 does not go on where site 1 has ended, at position " + std::to_string(end_));
        }
        one_.lookAtEnd();
        two_.lookAtEnd();
        for (const auto& [id, client] : clients_) client->lookAtEnd();
    }

    [[nodiscard]] std::string standing() const {
        const replication::BridgeProgress& bridge = bridge_->progress();
        return "site 1: " + one_.standing() + ", site 2: " + two_.standing() + ", bridge: relayed " +
               std::to_string(bridge.relayed) + ", source " + std::to_string(bridge.source) + ", " +
               bridge.trouble + (switched_ ? ", switched at " + std::to_string(end_) : "");
    }

    ClusterRunReport report() {
        ClusterCounters& counters = report_.counters;
        for (const auto& [id, client] : clients_) {
            counters.commands += client->sent();
            counters.resent += client->resent() - std::min(client->resent(), client->sent());
        }
        one_.count(counters);
        two_.count(counters);
        counters.blocked = std::min<uint64_t>(counters.blocked, 1);
        counters.actions = timeline_.actions();
        report_.traceHash = timeline_.trace();
        report_.simulatedNs = timeline_.now();
        report_.plan = copyAtNs_ != 0 ? "two sites, the second one founded; " : "two sites; ";
        report_.plan += one_.plan().text() + "; site 2: " + two_.plan().text();
        return report_;
    }

    ClusterRunReport report_;
    Timeline timeline_;
    Random random_;
    Random second_;
    Random agents_;
    Random founding_;
    Site one_;
    Site two_;
    std::map<uint32_t, std::unique_ptr<SimulatedClient>> clients_;
    AgentNetwork fromOne_;
    AgentNetwork toTwo_;
    std::unique_ptr<Bridge> bridge_;
    uint64_t bridgeLife_ = 0;
    uint64_t clientsStopAt_ = UINT64_MAX;
    size_t compared_ = 0;  // batches of the second site
    Position end_ = 0;     // of the first site's log
    uint64_t copyAtNs_ = 0;  // from when on the second site is founded with a copy; 0: it begins with nothing
    bool copied_ = false;
    bool healed_ = false;
    bool switched_ = false;
    bool settled_ = false;
};

}  // namespace

bool isFounded(uint64_t seed) { return Random(seed).fork(34).below(4) == 0; }

ClusterRunReport runTwoSites(const ClusterRunOptions& options) { return TwoSitesRun(options).run(); }

}  // namespace verbex::sim
