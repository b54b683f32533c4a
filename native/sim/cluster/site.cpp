#include "sim/cluster/site.h"

#include <algorithm>

#include "sim/small_market.h"

namespace verbex::sim {

using replication::Member;
using replication::MemberOptions;
using replication::Role;

namespace {

// Everything is healed: so long until a bit that has flipped is found.
constexpr uint64_t kFoundNs = 5 * kSeconds;
// A cluster that has lost too many copies stands still for so long before that is believed.
constexpr uint64_t kBlockedNs = 4 * kSeconds;
// With one member down the others have to answer everybody within this time.
constexpr uint64_t kServedNs = 10 * kSeconds;

}  // namespace

std::vector<Command> market(uint32_t traders) {
    SmallMarket market;
    market.accounts = traders;
    market.lotBase = market.lotQuote = 100;
    market.makerFee = -100;
    market.takerFee = 700;
    market.deposit = Amount{1} << 40;
    return smallMarket(market);
}

Site::Site(const SiteOptions& options, const ClusterPlan& plan, Timeline& timeline, Random& random,
           OnProblem onProblem)
    : plan_(plan), timeline_(timeline), random_(random), onProblem_(std::move(onProblem)),
      network_(timeline_, random_.fork(2), plan_),
      control_(timeline_, random_.fork(3), plan_, network_),
      oracle_(limits(), members_, control_, [this](const std::string& text) { problem(text); }),
      disruption_(timeline_, plan_, network_,
                  [this, bears = options.bearsDisruption](const std::string& text) {
                      if (!bears) problem(text);
                  }),
      nemesis_(timeline_, random_.fork(4), plan_, network_, control_, members_),
      forcing_(timeline_, random_.fork(6), plan_, control_, members_, oracle_, disruption_),
      founding_(timeline_, random_.fork(7), plan_, control_, members_, oracle_, disruption_, nemesis_,
                [this](const std::string& text) { problem(text); }) {
    nemesis_.onPromote([this](MemberId to) { disruption_.onPromote(to); });
    makeMembers(options);
    control_.watch(
        [this](const Configuration& before, const Configuration& after) {
            counters_.swaps++;
            oracle_.onChange(before, after);
        },
        [this](const std::string& text) { problem(text); });
    control_.wakes([this](MemberId member) { members_[member - 1]->wake(); });
    for (const auto& member : members_) {
        member->watch([this](SimulatedMember& called) { onCalled(called); },
                      [this](const std::string& text) { problem(text); });
    }
}

void Site::makeMembers(const SiteOptions& site) {
    for (uint32_t id = 1; id <= plan_.members; id++) {
        MemberOptions options;
        options.id = id;
        options.cluster = site.name;
        options.data = "member-" + std::to_string(id);
        options.limits = limits();
        options.segmentBytes = plan_.segmentBytes;
        options.tailBytes = plan_.tailBytes;
        options.snapshots.everyCommands = plan_.snapshotEvery;
        options.snapshots.everyBytes = plan_.snapshotBytes;
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
        replica.mutant = site.mutant;
        replica.standby = site.standby;
        replica.preVotes = ((plan_.earlier >> id) & 1) == 0;
        members_.push_back(std::make_unique<SimulatedMember>(
            timeline_, random_.fork(100 + id), plan_, network_, control_, options));
        setClock(*members_.back());
        seen_.emplace_back();
    }
}

// An hour off, ten years off, or standing still.
void Site::setClock(SimulatedMember& member) {
    if (!plan_.clocksDiffer) return;
    const int64_t hour = 3600ll * static_cast<int64_t>(kSeconds);
    const int64_t far[] = {0, hour, -hour, 87'600 * hour, -87'600 * hour};
    member.wall.offsetNs = far[random_.below(5)];
    member.wall.frozenAt = member.moment().wallNs;
    member.wall.frozen = random_.below(5) == 0;
}

void Site::onCalled(SimulatedMember& member) {
    // A single member that computes wrong has nobody to be compared with: nothing can be said then.
    const Configuration& record = control_.record();
    if (member.flipped && record.sync.size() == 1 && record.sync[0].id == member.id()) {
        blocked_ = true;
        return;
    }
    oracle_.look(member);
    disruption_.look(member);
    forcing_.look(member);
    const replication::Replica& replica = member.member().replica();
    timeline_.fold(static_cast<uint64_t>(replica.role()) << 56 | member.member().log().last());
    timeline_.fold(member.member().outputs().released());
    Seen& seen = seen_[member.id() - 1];
    if (seen.life != member.life()) seen = {member.life(), {}, {}};
    const replication::Replica::Counters now = replica.counters();
    const replication::Replica::Counters before = std::exchange(seen.counters, now);
    counters_.takeovers += now.takeovers - before.takeovers;
    counters_.truncations += now.truncations - before.truncations;
    counters_.evictions += now.evictions - before.evictions;
    const Made made{member.member().snapshots().taken(), member.member().transfer().installs(),
                    member.member().log().first()};
    const Made was = std::exchange(seen.made, made);
    counters_.snapshots += made.snapshots - was.snapshots;
    counters_.installs += made.installs - was.installs;
    if (made.installs == was.installs && made.first > was.first && was.first != 0) {
        counters_.prunings++;
    }
    if (made.installs != was.installs) member.flipped = false;
    // Its state has been made anew from its log.
    if (now.truncations != before.truncations) member.flipped = false;
    if (now.takeovers != before.takeovers) nemesis_.onLeader(member);
}

void Site::connect(Network::Handlers clients) {
    clients.toMember = [this](NodeId to, NodeId from, const Network::Frame& frame) {
        members_[to - 1]->onFrame(from, frame);
    };
    clients.closedAtMember = [this](NodeId member, NodeId client) {
        members_[member - 1]->onClosed(client);
    };
    network_.handle(std::move(clients));
}

void Site::start() {
    // In some runs one of them is not there when the others begin.
    Random late = random_.fork(5);
    const MemberId missing = late.below(4) == 0 ? static_cast<MemberId>(late.between(1, size())) : 0;
    for (const auto& member : members_) {
        const uint64_t delay =
            random_.below(20 * kMillis) + (member->id() == missing ? late.below(3 * kSeconds) : 0);
        timeline_.after(delay, [&member] {
            if (member->life() == 0) member->start();
        });
    }
    nemesis_.start();
}

void Site::startFounded(MemberId founder, SimulatedDisk::Image folder, const Oracle& other,
                        Position upTo) {
    oracle_.adopt(other, upTo);
    nemesis_.start();
    founding_.begin(founder, std::move(folder));
}

// ---- whoever looks after the cluster

void Site::lookAfter(bool served) {
    forcing_.act();
    founding_.act();
    if (healedAt_ == 0) {
        if (random_.below(50) == 0) readmit();
        return;
    }
    bringUp(served);
    readmit();
    if (timeline_.now() - healedAt_ > kFoundNs && nemesis_.flipped() != 0) {
        problem("member " + std::to_string(nemesis_.flipped()) +
                " computes something else, and nobody finds out: " + standing());
    }
    lookWhetherBlocked();
}

// Everybody but one, perhaps, who is not needed: the others must serve without it.
void Site::bringUp(bool served) {
    if (keptDown_ != 0) {
        if (!served && timeline_.now() - healedAt_ > kServedNs && !needed(keptDown_)) {
            problem("member " + std::to_string(keptDown_) + " is down, all is healed, and nobody serves: " +
                    standing());
        }
        if (served || needed(keptDown_) || timeline_.now() - healedAt_ > kServedNs) keptDown_ = 0;
    }
    for (const auto& member : members_) {
        if (forcing_.keepsDown(member->id()) || founding_.keepsDown(member->id())) continue;
        if (!member->isUp() && member->id() != keptDown_) member->start();
        member->resume();
    }
}

// Without it no takeover can be sure of what was committed, or there are too few for minSync.
bool Site::needed(MemberId id) const {
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

void Site::readmit() {
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
        if (member->member().replica().isOrphaned()) continue;  // it waits for a word
        if (timeline_.now() - healedAt_ < kSeconds) continue;
        member->kill(RestartMode::ProcessCrash);
        member->start();
    }
}

void Site::heal() {
    healedAt_ = blockedSince_ = timeline_.now();
    nemesis_.stop();
    network_.heal();
    control_.heal();
    for (const auto& member : members_) {
        member->disk().failAt(0, DiskFault::IoError);
        member->disk().crashAt(0, CrashMoment::Before);
        member->slowUntil = 0;
    }
    const auto down = static_cast<MemberId>(random_.between(1, plan_.members));
    if (random_.coin() || nemesis_.flipped() != 0 || needed(down)) return;
    keptDown_ = down;
    members_[down - 1]->kill(RestartMode::ProcessCrash);
}

void Site::lookWhetherBlocked() {
    const Configuration& record = control_.record();
    uint32_t vouching = 0;
    for (const replication::SyncMember& sync : record.sync) {
        const SimulatedMember& member = *members_[sync.id - 1];
        if ((!member.isUp() && sync.id != keptDown_) || member.held().incarnation == sync.incarnation) vouching++;
    }
    if (hasLeader() || record.sync.empty() || vouching >= record.fenceCount()) {
        blockedSince_ = timeline_.now();
    } else if (plan_.forceAfterNs == 0 && timeline_.now() - blockedSince_ > kBlockedNs) {
        blocked_ = true;
    }
}

bool Site::hasLeader() const {
    return std::any_of(members_.begin(), members_.end(), [](const auto& member) {
        return member->isUp() && member->member().replica().role() == Role::Leader;
    });
}

std::string Site::standing() const {
    std::string text = "record of epoch " + std::to_string(control_.record().epoch) + ", leader " +
                       std::to_string(control_.record().leader) + ", reserved " +
                       std::to_string(control_.record().reservedEpoch) + " by " +
                       std::to_string(control_.record().candidate) + ", sync";
    for (const auto& sync : control_.record().sync) {
        text += " " + std::to_string(sync.id) + "/" + std::to_string(sync.incarnation);
    }
    for (const replication::Evicted& evicted : control_.record().evicted) {
        text += ", evicted " + std::to_string(evicted.id);
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
    return text;
}

bool Site::isInStep() const {
    if (nemesis_.flipped() != 0 || !control_.record().evicted.empty()) return false;
    const bool isOff = control_.record().site == replication::Site::Fenced;
    for (const auto& member : members_) {
        if (!member->isUp() || member->wantsRestart()) return false;
        Member& real = member->member();
        if (real.log().last() != oracle_.released() || real.outputs().released() != oracle_.released()) {
            return false;
        }
        if (!isOff && real.log().lastEpoch() != control_.record().epoch) return false;
    }
    return isOff || hasLeader();
}

bool Site::tellLeader(const std::function<void(Member&)>& word) {
    for (const auto& member : members_) {
        if (!member->isUp() || member->member().replica().role() != Role::Leader) continue;
        member->call(word);
        return true;
    }
    return false;
}

bool Site::promote(MemberId to) {
    disruption_.onPromote(to);
    return tellLeader([to](Member& real) { (void)real.promote(to); });
}

void Site::lookAtEnd() {
    for (const auto& member : members_) oracle_.lookAtEnd(*member);
}

void Site::count(ClusterCounters& counters) const {
    ClusterCounters mine = counters_;
    mine.released = oracle_.released();
    for (const auto& member : members_) {
        mine.crashes += member->crashes;
        mine.damages += member->damages;
    }
    const auto sum = [this](std::initializer_list<Fault> faults) {
        uint64_t count = 0;
        for (const Fault fault : faults) count += nemesis_.count(fault);
        return count;
    };
    mine.powerCuts = sum({Fault::PowerCut, Fault::PowerCutAll, Fault::Replace, Fault::LoseQuorum});
    mine.pauses = sum({Fault::Pause});
    mine.cuts = sum({Fault::Isolate, Fault::IsolateLeader, Fault::CutOneWay, Fault::Split,
                     Fault::Bridge, Fault::Flap, Fault::StoreAway, Fault::StoreAwayFrom,
                     Fault::StoreOnly, Fault::HearsFew, Fault::LeaderDeaf, Fault::LeaderUnheard});
    mine.flips = sum({Fault::FlipState, Fault::FlipResult});
    mine.diskFaults = sum({Fault::DiskFails, Fault::DiskStops, Fault::SlowDisk});
    mine.blocked = blocked_ ? 1 : 0;
    mine.forced = forcing_.forced();
    mine.founded = founding_.founded();
    mine.undone = founding_.undone();
    mine.lost = oracle_.lost();
    counters.add(mine);
}

}  // namespace verbex::sim
