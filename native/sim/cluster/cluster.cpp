#include "sim/cluster/cluster.h"

#include <algorithm>
#include <cstring>

#include "sim/cluster/nemesis.h"
#include "sim/cluster/simulated_client.h"

namespace verbex::sim {

using replication::Member;
using replication::MemberOptions;
using replication::Mutant;
using replication::Role;

namespace {

// Everything is healed: so long may it take until everybody is answered and in step.
constexpr uint64_t kHealedNs = 20 * kSeconds;
// … and so long until a bit that has flipped is found.
constexpr uint64_t kFoundNs = 5 * kSeconds;
// A cluster that has lost too many copies stands still for so long before that is believed.
constexpr uint64_t kBlockedNs = 4 * kSeconds;
// Clients send orders for a while after everything is healed.
constexpr uint64_t kClientsNs = 300 * kMillis;
// With one member down the others have to answer everybody within this time.
constexpr uint64_t kServedNs = 10 * kSeconds;
constexpr uint64_t kOperatorNs = 10 * kMillis;

Name nameOf(const std::string& text) {
    Name name{};
    std::memcpy(static_cast<void*>(&name), text.data(), std::min(text.size(), sizeof(name)));
    return name;
}

// Two assets, one instrument with fees, accounts 1 … traders with plenty of both.
std::vector<Command> market(uint32_t traders) {
    std::vector<Command> commands;
    const auto add = [&commands](CommandType type, const std::string& name) -> Command& {
        Command& command = commands.emplace_back(Command{});
        command.type = static_cast<uint8_t>(type);
        command.id = nameOf(name);
        return command;
    };
    add(CommandType::AddAsset, "BASE");
    add(CommandType::AddAsset, "QUOTE");
    Command& instrument = add(CommandType::AddInstrument, "STOCK");
    instrument.flags = kCommandExtended;
    instrument.base = 1;
    instrument.quote = 2;
    instrument.price = instrument.quantity = 100;
    instrument.priceMin = instrument.quantityMin = 1;
    instrument.priceMax = instrument.quantityMax = 1'000'000;
    instrument.makerFee = -100;
    instrument.takerFee = 700;
    for (uint32_t i = 1; i <= traders; i++) {
        add(CommandType::AddAccount, "U" + std::to_string(i));
        for (AssetId asset = 1; asset <= 2; asset++) {
            Command& deposit = add(CommandType::Deposit, "d" + std::to_string(asset));
            deposit.account = i;
            deposit.instrument = asset;
            deposit.amount = Amount{1} << 40;
        }
    }
    return commands;
}

class ClusterRun {
public:
    explicit ClusterRun(const ClusterRunOptions& options)
        : options_(options), plan_(ClusterPlan::draw(options.seed, options.commands, options.mutant)),
          random_(options.seed), network_(timeline_, random_.fork(2), plan_),
          control_(timeline_, random_.fork(3), plan_, network_),
          oracle_(limits(), members_, control_, [this](const std::string& text) { problem(text); }),
          nemesis_(timeline_, random_.fork(4), plan_, network_, control_, members_) {
        makeMembers();
        makeClients();
        connect();
    }

    ClusterRunReport run() {
        for (const auto& member : members_) {
            timeline_.after(random_.below(20 * kMillis), [&member] { member->start(); });
        }
        clients_[0]->start();
        nemesis_.start();
        operate();
        const uint64_t healAt = plan_.faultsForNs;
        while (good() && !blocked_ && timeline_.runNext(healAt)) {
        }
        if (good() && !blocked_) heal();
        const uint64_t end = healAt + kHealedNs;
        while (good() && !settled_ && !blocked_ && timeline_.runNext(end)) {
        }
        if (good() && !settled_ && !blocked_) problem("no progress after everything was healed: " + standing());
        if (settled_) lookAtEnd();
        return report();
    }

private:
    static CoreLimits limits() { return {1u << 12, 16, 4, 1u << 13}; }
    [[nodiscard]] bool good() const { return report_.ok; }
    void problem(const std::string& text) {
        if (!report_.ok) return;
        report_.ok = false;
        report_.problem = text + " (after " + std::to_string(timeline_.now() / kMicros) + " us)";
    }

    void makeMembers() {
        for (uint32_t id = 1; id <= plan_.members; id++) {
            MemberOptions options;
            options.id = id;
            options.data = "member-" + std::to_string(id);
            options.limits = limits();
            options.segmentBytes = plan_.segmentBytes;
            options.tailBytes = plan_.tailBytes;
            options.snapshots.everyCommands = plan_.snapshotEvery;
            options.snapshots.historyBytes = plan_.historyBytes;
            options.snapshots.partBytes = plan_.partBytes;
            options.outputEvents = 1u << 18;
            options.clients.framesPerStep = 16;
            replication::ReplicaOptions& replica = options.replica;
            for (uint32_t other = 1; other <= plan_.members; other++) {
                replica.members.push_back({other, other > plan_.hot});
            }
            replica.hotWanted = plan_.hot;
            replica.durable = plan_.durable;
            replica.minSync = plan_.minSync;
            replica.windowCommands = plan_.windowCommands;
            replica.batchBytes = plan_.batchBytes;
            replica.sendAheadBytes = plan_.sendAheadBytes;
            replica.executor.scrubNs = 200 * kMillis;
            replica.mutant = options_.mutant;
            members_.push_back(std::make_unique<SimulatedMember>(
                timeline_, random_.fork(100 + id), plan_, network_, control_, options));
            setClock(*members_.back());
            seen_.emplace_back();
        }
    }

    // An hour off, ten years off, or standing still.
    void setClock(SimulatedMember& member) {
        if (!plan_.clocksDiffer) return;
        const int64_t hour = 3600ll * static_cast<int64_t>(kSeconds);
        const int64_t far[] = {0, hour, -hour, 87'600 * hour, -87'600 * hour};
        member.wall.offsetNs = far[random_.below(5)];
        member.wall.frozenAt = member.moment().wallNs;
        member.wall.frozen = random_.below(5) == 0;
    }

    void addClient(ClientPlan plan) {
        plan.id = static_cast<uint32_t>(clients_.size());
        clients_.push_back(std::make_unique<SimulatedClient>(
            plan, plan_.members, timeline_, random_.fork(200 + plan.id), network_, oracle_,
            [this](MemberId id) { return members_[id - 1]->isUp(); },
            [this](const std::string& text) { problem(text); }));
    }

    void makeClients() {
        ClientPlan setup;
        setup.prepared = market(plan_.traders);
        setup.window = static_cast<uint32_t>(setup.prepared.size());
        addClient(setup);
        for (uint32_t i = 1; i <= plan_.traders; i++) {
            ClientPlan trader;
            trader.account = i;
            trader.filtered = random_.coin();
            trader.commands = plan_.commands / plan_.traders;
            trader.window = static_cast<uint32_t>(random_.between(1, 8));
            trader.paceNs = plan_.faultsForNs / (trader.commands + 1);
            trader.patienceNs = random_.between(100, 400) * kMillis;
            addClient(trader);
        }
        for (uint32_t i = 0; i < plan_.watchers; i++) {
            ClientPlan watcher;
            watcher.entries = i == 0;
            watcher.patienceNs = random_.between(100, 400) * kMillis;
            addClient(watcher);
        }
    }

    void connect() {
        network_.handle({
            [this](NodeId to, NodeId from, const Network::Frame& frame) {
                if (good()) members_[to - 1]->onFrame(from, frame);
            },
            [this](NodeId member, NodeId client) { members_[member - 1]->onClosed(client); },
            [this](uint32_t client, NodeId connection, const Network::Frame& frame) {
                if (good()) clients_[client]->onFrame(connection, frame);
            },
            [this](uint32_t client, NodeId connection) { clients_[client]->onClosed(connection); },
        });
        control_.watch(
            [this](const Configuration& before, const Configuration& after) {
                report_.counters.swaps++;
                oracle_.onChange(before, after);
            },
            [this](const std::string& text) { problem(text); });
        control_.wakes([this](MemberId member) { members_[member - 1]->wake(); });
        for (const auto& member : members_) {
            member->watch([this](SimulatedMember& called) { onCalled(called); },
                          [this](const std::string& text) { problem(text); });
        }
    }

    void onCalled(SimulatedMember& member) {
        // A single member that computes wrong has nobody to be compared with: nothing can be said then.
        const Configuration& record = control_.record();
        if (member.flipped && record.sync.size() == 1 && record.sync[0].id == member.id()) {
            blocked_ = true;
            return;
        }
        oracle_.look(member);
        const replication::Replica& replica = member.member().replica();
        timeline_.fold(static_cast<uint64_t>(replica.role()) << 56 | member.member().log().last());
        timeline_.fold(member.member().outputs().released());
        Seen& seen = seen_[member.id() - 1];
        if (seen.life != member.life()) seen = {member.life(), {}, {}};
        const replication::Replica::Counters now = replica.counters();
        const replication::Replica::Counters before = std::exchange(seen.counters, now);
        report_.counters.takeovers += now.takeovers - before.takeovers;
        report_.counters.truncations += now.truncations - before.truncations;
        report_.counters.evictions += now.evictions - before.evictions;
        const Made made{member.member().snapshots().taken(), member.member().transfer().installs(),
                        member.member().log().first()};
        const Made was = std::exchange(seen.made, made);
        report_.counters.snapshots += made.snapshots - was.snapshots;
        report_.counters.installs += made.installs - was.installs;
        if (made.installs == was.installs && made.first > was.first && was.first != 0) {
            report_.counters.prunings++;
        }
        if (made.installs != was.installs) member.flipped = false;
        // Its state has been made anew from its log.
        if (now.truncations != before.truncations) member.flipped = false;
        if (now.takeovers != before.takeovers) nemesis_.onLeader(member);
    }

    // ---- whoever looks after the cluster

    void operate() {
        if (!good()) return;
        if (clients_[0]->isDone() && !clients_[1]->hasStarted()) {
            for (size_t i = 1; i < clients_.size(); i++) clients_[i]->start();
        }
        if (healedAt_ != 0) {
            bringUp();
            readmit();
            if (timeline_.now() > clientsStopAt_) {
                for (const auto& client : clients_) client->enough();
            }
            if (timeline_.now() - healedAt_ > kFoundNs && nemesis_.flipped() != 0) {
                problem("member " + std::to_string(nemesis_.flipped()) +
                        " computes something else, and nobody finds out: " + standing());
            }
            lookWhetherBlocked();
            lookWhetherSettled();
        } else if (random_.below(50) == 0) {
            readmit();
        }
        timeline_.after(kOperatorNs, [this] { operate(); });
    }

    // Everybody but one, perhaps, who is not needed: the others must serve without it.
    void bringUp() {
        if (keptDown_ != 0) {
            bool served = clientsStopAt_ < timeline_.now();
            for (const auto& client : clients_) served &= client->isDone();
            if (!served && timeline_.now() - healedAt_ > kServedNs && !needed(keptDown_)) {
                problem("member " + std::to_string(keptDown_) + " is down, all is healed, and nobody serves: " +
                        standing());
            }
            if (served || needed(keptDown_) || timeline_.now() - healedAt_ > kServedNs) keptDown_ = 0;
        }
        for (const auto& member : members_) {
            if (!member->isUp() && member->id() != keptDown_) member->start();
            member->resume();
        }
    }

    // Without it no takeover can be sure of what was committed, or there are too few for minSync.
    [[nodiscard]] bool needed(MemberId id) const {
        const Configuration& record = control_.record();
        uint32_t vouching = 0;
        for (const replication::SyncMember& sync : record.sync) {
            const SimulatedMember& member = *members_[sync.id - 1];
            if (sync.id == id || member.held().lost) continue;
            if (member.held().incarnation == sync.incarnation) vouching++;
        }
        return record.sync.empty() || vouching < record.fenceCount() || !record.evicted.empty() ||
               plan_.members <= plan_.minSync;
    }

    void readmit() {
        for (const replication::Evicted& evicted : control_.record().evicted) {
            // One that has been put out for what it computed comes back when it has been looked at.
            SimulatedMember& out = *members_[evicted.id - 1];
            if (out.isUp() && out.member().replica().role() != Role::Halted) continue;
            out.flipped = false;
            for (const auto& member : members_) {
                if (!member->isUp() || member->member().replica().role() != Role::Leader) continue;
                const MemberId id = evicted.id;
                member->call([id](Member& real) { (void)real.readmit(id); });
                return;
            }
        }
        if (healedAt_ == 0) return;
        for (const auto& member : members_) {
            // Halted for another reason: started again.
            if (!member->isUp() || member->member().replica().role() != Role::Halted) continue;
            if (control_.record().evictedMember(member->id()) != nullptr || member->wantsRestart()) continue;
            if (timeline_.now() - healedAt_ < kSeconds) continue;
            member->kill(RestartMode::ProcessCrash);
            member->start();
        }
    }

    void heal() {
        healedAt_ = blockedSince_ = timeline_.now();
        nemesis_.stop();
        network_.heal();
        control_.heal();
        for (const auto& member : members_) {
            member->disk().failAt(0, DiskFault::IoError);
            member->disk().crashAt(0, CrashMoment::Before);
            member->slowUntil = 0;
        }
        clientsStopAt_ = healedAt_ + kClientsNs;
        const auto down = static_cast<MemberId>(random_.between(1, plan_.members));
        if (random_.coin() || nemesis_.flipped() != 0 || needed(down)) return;
        keptDown_ = down;
        members_[down - 1]->kill(RestartMode::ProcessCrash);
    }

    [[nodiscard]] bool hasLeader() const {
        return std::any_of(members_.begin(), members_.end(), [](const auto& member) {
            return member->isUp() && member->member().replica().role() == Role::Leader;
        });
    }

    // Too many members have lost what they vouched for: only an operator's word helps, as it should be.
    void lookWhetherBlocked() {
        const Configuration& record = control_.record();
        uint32_t vouching = 0;
        for (const replication::SyncMember& sync : record.sync) {
            const SimulatedMember& member = *members_[sync.id - 1];
            if ((!member.isUp() && sync.id != keptDown_) || member.held().incarnation == sync.incarnation) vouching++;
        }
        if (hasLeader() || record.sync.empty() || vouching >= record.fenceCount()) {
            blockedSince_ = timeline_.now();
        } else if (timeline_.now() - blockedSince_ > kBlockedNs) {
            blocked_ = true;
        }
    }

    void lookWhetherSettled() {
        for (const auto& client : clients_) {
            if (!client->isDone()) return;
        }
        if (nemesis_.flipped() != 0 || !control_.record().evicted.empty()) return;
        for (const auto& member : members_) {
            if (!member->isUp() || member->wantsRestart()) return;
            Member& real = member->member();
            if (real.log().last() != oracle_.released() || real.outputs().released() != oracle_.released() ||
                real.log().lastEpoch() != control_.record().epoch) {
                return;
            }
        }
        settled_ = hasLeader();
    }

    [[nodiscard]] std::string standing() const {
        std::string text = "record of epoch " + std::to_string(control_.record().epoch) + ", leader " +
                           std::to_string(control_.record().leader) + ", reserved " +
                           std::to_string(control_.record().reservedEpoch) + " by " +
                           std::to_string(control_.record().candidate) + ", sync";
        for (const auto& sync : control_.record().sync) {
            text += " " + std::to_string(sync.id) + "/" + std::to_string(sync.incarnation);
        }
        for (const auto& member : members_) {
            text += "; " + std::to_string(member->id()) + ": ";
            if (!member->isUp()) {
                text += "down";
                continue;
            }
            const replication::MemberStatus status = member->member().status();
            text += "role " + std::to_string(static_cast<int>(status.role)) + ", incarnation " +
                    std::to_string(status.incarnation) + ", promised " + std::to_string(status.promised) +
                    ", log to " + std::to_string(status.lastEpoch) + "/" + std::to_string(status.position) +
                    ", committed " + std::to_string(status.commit) + ", released " +
                    std::to_string(status.released) + ", time " +
                    std::to_string(member->member().executor().time()) + " of " +
                    std::to_string(member->moment().wallNs);
            if (!status.halted.empty()) text += ", halted: " + status.halted;
        }
        for (const auto& client : clients_) {
            if (client->isDone()) continue;
            text += "; client " + std::to_string(client->plan().id) + " waits for " +
                    std::to_string(client->open()) + ", told up to " + std::to_string(client->next() - 1);
        }
        return text;
    }

    void lookAtEnd() {
        for (const auto& member : members_) oracle_.lookAtEnd(*member);
        for (const auto& client : clients_) client->lookAtEnd();
    }

    ClusterRunReport report() {
        ClusterCounters& counters = report_.counters;
        for (const auto& client : clients_) {
            counters.commands += client->sent();
            counters.resent += client->resent() - std::min(client->resent(), client->sent());
        }
        counters.released = oracle_.released();
        for (const auto& member : members_) {
            counters.crashes += member->crashes;
            counters.damages += member->damages;
        }
        const auto sum = [this](std::initializer_list<Fault> faults) {
            uint64_t count = 0;
            for (const Fault fault : faults) count += nemesis_.count(fault);
            return count;
        };
        counters.powerCuts = sum({Fault::PowerCut, Fault::PowerCutAll, Fault::Replace});
        counters.pauses = sum({Fault::Pause});
        counters.cuts = sum({Fault::Isolate, Fault::IsolateLeader, Fault::CutOneWay, Fault::Split,
                             Fault::Bridge, Fault::Flap, Fault::StoreAway, Fault::StoreAwayFrom});
        counters.flips = sum({Fault::FlipState, Fault::FlipResult});
        counters.diskFaults = sum({Fault::DiskFails, Fault::DiskStops, Fault::SlowDisk});
        counters.blocked = blocked_ ? 1 : 0;
        counters.actions = timeline_.actions();
        report_.traceHash = timeline_.trace();
        report_.simulatedNs = timeline_.now();
        report_.plan = plan_.text();
        return report_;
    }

    struct Made {
        uint64_t snapshots = 0;
        uint64_t installs = 0;
        Position first = 0;
    };
    struct Seen {
        uint64_t life = 0;
        replication::Replica::Counters counters;
        Made made;
    };

    const ClusterRunOptions options_;
    const ClusterPlan plan_;
    Timeline timeline_;
    Random random_;
    Network network_;
    ControlService control_;
    Oracle::Members members_;
    Oracle oracle_;
    Nemesis nemesis_;
    std::vector<std::unique_ptr<SimulatedClient>> clients_;
    std::vector<Seen> seen_;
    ClusterRunReport report_;
    uint64_t healedAt_ = 0;
    uint64_t clientsStopAt_ = UINT64_MAX;
    MemberId keptDown_ = 0;
    uint64_t blockedSince_ = 0;
    bool settled_ = false;
    bool blocked_ = false;
};

}  // namespace

ClusterRunReport runCluster(const ClusterRunOptions& options) { return ClusterRun(options).run(); }

}  // namespace verbex::sim
