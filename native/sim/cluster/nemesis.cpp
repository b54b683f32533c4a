#include "sim/cluster/nemesis.h"

namespace verbex::sim {

using replication::Member;
using replication::Role;

void Nemesis::start() {
    for (size_t i = 0; i < kFaults; i++) {
        const auto fault = static_cast<Fault>(i);
        if (plan_.has(fault) && fault != Fault::CrashNewLeader) schedule(fault);
    }
}

void Nemesis::schedule(Fault fault) {
    const uint64_t every = plan_.everyNs[static_cast<size_t>(fault)];
    timeline_.after(every / 4 + random_.below(every * 3 / 2), [this, fault] {
        if (stopped_) return;
        strike(fault);
        schedule(fault);
    });
}

SimulatedMember& Nemesis::any() { return *members_[random_.below(members_.size())]; }

SimulatedMember* Nemesis::leader() {
    for (const auto& member : members_) {
        if (member->isUp() && member->member().replica().role() == Role::Leader) return member.get();
    }
    return nullptr;
}

MemberId Nemesis::flipped() const {
    for (const auto& member : members_) {
        if (member->flipped && member->isUp() &&
            control_.record().evictedMember(member->id()) == nullptr) {
            return member->id();
        }
    }
    return 0;
}

bool Nemesis::mayLose(const SimulatedMember& member) const {
    if (member.id() == spared_) return false;
    const Configuration& record = control_.record();
    if (!record.holds(member.id(), member.held().incarnation) || member.held().lost) return true;
    uint32_t left = 0;
    for (const replication::SyncMember& sync : record.sync) {
        const SimulatedMember& other = *members_[sync.id - 1];
        if (sync.id == member.id() || other.held().lost || other.doomed) continue;
        if (other.held().incarnation == sync.incarnation) left++;
    }
    // One more than needed: the sync set may be about to change.
    return left >= record.fenceCount() && (left > record.fenceCount() || record.reservedEpoch == 0);
}

void Nemesis::startLater(SimulatedMember& member) {
    const uint64_t life = member.life();
    timeline_.after(aWhile(), [&member, life] {
        if (member.life() == life) member.start();
    });
}

void Nemesis::crash(SimulatedMember& member, RestartMode mode) {
    member.kill(mode);
    startLater(member);
}

void Nemesis::onLeader(SimulatedMember& member) {
    if (stopped_ || !plan_.has(Fault::CrashNewLeader)) return;
    // Its interval is taken as a rate here: one in so many takeovers.
    if (random_.below(100) >= plan_.everyNs[static_cast<size_t>(Fault::CrashNewLeader)]) return;
    const uint64_t life = member.life();
    // At once, before its first frames are out, or a little later.
    const uint64_t longest[] = {0, 500 * kMicros, 10 * kMillis};
    timeline_.after(random_.below(longest[random_.below(3)] + 1), [this, &member, life] {
        if (stopped_ || member.life() != life || !member.isUp() || flipped() != 0) return;
        counted(Fault::CrashNewLeader);
        crash(member, RestartMode::ProcessCrash);
    });
}

void Nemesis::cutFor(NodeId from, NodeId to, uint64_t time) {
    if (from == to || network_.isCut(from, to)) return;
    network_.cut(from, to);
    timeline_.after(time, [this, from, to] { network_.mend(from, to); });
}

void Nemesis::isolate(MemberId member, bool fromStore, uint64_t time) {
    for (const auto& other : members_) {
        cutFor(member, other->id(), time);
        cutFor(other->id(), member, time);
    }
    if (fromStore) cutFor(member, kStoreNode, time);
}

// Longer than all that a takeover waits for.
void Nemesis::lopside(Fault fault) {
    const SimulatedMember* leads = leader();
    if (leads == nullptr) return;
    const uint64_t time = random_.between(300 * kMillis, 1500 * kMillis);
    SimulatedMember& one = any();
    if (fault == Fault::LeaderDeaf && random_.coin()) cutFor(leads->id(), kStoreNode, time);
    for (const auto& other : members_) {
        const MemberId id = other->id();
        if (fault == Fault::LeaderDeaf) cutFor(id, leads->id(), time);
        if (fault == Fault::LeaderUnheard) cutFor(leads->id(), id, time);
        if (fault == Fault::LeaderDeaf || fault == Fault::LeaderUnheard || &one == leads) continue;
        if (fault == Fault::HearsFew && id != leads->id() && random_.coin()) continue;
        cutFor(one.id(), id, time);
        cutFor(id, one.id(), time);
    }
}

void Nemesis::split(bool bridge, uint64_t time) {
    const uint64_t sides = random_.next();
    const MemberId both = bridge ? any().id() : 0;
    for (const auto& a : members_) {
        for (const auto& b : members_) {
            if (a->id() == both || b->id() == both) continue;
            if (((sides >> a->id()) & 1) != ((sides >> b->id()) & 1)) cutFor(a->id(), b->id(), time);
        }
    }
}

void Nemesis::flap(NodeId from, NodeId to, uint32_t times) {
    if (stopped_ || times == 0) return;
    const uint64_t time = random_.between(kMillis, 40 * kMillis);
    cutFor(from, to, time);
    if (random_.coin()) cutFor(to, from, time);
    timeline_.after(time + random_.between(kMillis, 40 * kMillis),
                    [this, from, to, times] { flap(from, to, times - 1); });
}

void Nemesis::storeAway(uint64_t time) {
    control_.away(true);
    timeline_.after(time, [this] {
        if (!stopped_) control_.away(false);
    });
}

// The leader's copy and as many more as it takes: their disks are empty, or hold what was synced.
bool Nemesis::loseQuorum() {
    const Configuration record = control_.record();
    std::vector<SimulatedMember*> vouching;
    for (const replication::SyncMember& sync : record.sync) {
        SimulatedMember& member = *members_[sync.id - 1];
        if (member.held().lost || member.held().incarnation != sync.incarnation) continue;
        vouching.push_back(&member);
        if (sync.id == record.leader) std::swap(vouching.front(), vouching.back());
    }
    // What is lost already is lost: an operator is at work, or about to be.
    if (record.epoch == 0 || vouching.size() < record.fenceCount()) return false;
    for (size_t left = vouching.size(); left >= record.fenceCount(); left--) {
        SimulatedMember& member = *vouching[vouching.size() - left];
        if (member.held().vouches || random_.coin()) {
            member.replace();
        } else {
            member.kill(RestartMode::PowerCut);
        }
        startLater(member);
    }
    return true;
}

bool Nemesis::flip(Fault fault, SimulatedMember& member) {
    // A wrong result is found by comparing: somebody to compare with must be there.
    const Configuration& record = control_.record();
    if (plan_.burnAtNs != 0) return false;  // who was wrong, and what was lost, burns with the rest
    if (flipped() != 0 || !member.isUp() || member.isPaused() || member.wantsRestart()) return false;
    if (record.evictedMember(member.id()) != nullptr) return false;
    if (member.member().replica().role() == Role::Halted) return false;
    uint32_t others = 0;
    for (const replication::SyncMember& sync : record.sync) {
        const SimulatedMember& other = *members_[sync.id - 1];
        if (sync.id != member.id() && other.isUp() && !other.isPaused()) others++;
    }
    if (others < 2) return false;
    bool flipped = true;
    member.call([&](Member& real) {
        if (fault == Fault::FlipState) {
            // A cell that is part of the state, not one that nobody uses.
            const Digest128 before = real.executor().core().hash();
            flipped = real.executor().damageState(random_.next()) &&
                      real.executor().core().hash() != before;
        } else {
            real.executor().damageResult();
        }
    });
    member.flipped = flipped;
    member.flips += flipped ? 1 : 0;
    return flipped;
}

void Nemesis::strike(Fault fault) {
    SimulatedMember& member = any();
    // Until it is found who computes wrong, nobody who computes right is taken away.
    if (flipped() != 0) return;
    const bool up = member.isUp();
    switch (fault) {
        case Fault::Crash:
            if (!up) return;
            crash(member, RestartMode::ProcessCrash);
            break;
        case Fault::CrashLeader: {
            SimulatedMember* leads = leader();
            if (leads == nullptr) return;
            crash(*leads, RestartMode::ProcessCrash);
            break;
        }
        case Fault::CrashNewLeader: return;
        case Fault::PowerCut:
            if (!up || (!member.held().vouches && !mayLose(member))) return;
            crash(member, RestartMode::PowerCut);
            break;
        case Fault::PowerCutAll:
            for (const auto& each : members_) {
                if (!each->held().vouches || each->doomed) return;
            }
            for (const auto& each : members_) crash(*each, RestartMode::PowerCut);
            break;
        case Fault::Pause:
            if (!up || member.isPaused()) return;
            member.pause();
            timeline_.after(aWhile(), [&member, life = member.life()] {
                if (member.life() == life) member.resume();
            });
            break;
        case Fault::Isolate: isolate(member.id(), random_.below(4) == 0, aWhile()); break;
        case Fault::IsolateLeader: {
            SimulatedMember* leads = leader();
            if (leads == nullptr) return;
            isolate(leads->id(), random_.coin(), aWhile());
            break;
        }
        case Fault::CutOneWay: cutFor(member.id(), any().id(), aWhile()); break;
        case Fault::Split: split(false, aWhile()); break;
        case Fault::Bridge: split(true, aWhile()); break;
        case Fault::Flap:
            flap(member.id(), any().id(), static_cast<uint32_t>(random_.between(2, 12)));
            break;
        case Fault::StoreAway: storeAway(aWhile()); break;
        case Fault::StoreAwayFrom:
            cutFor(member.id(), kStoreNode, aWhile());
            break;
        case Fault::SlowDisk: member.slowUntil = timeline_.now() + aWhile(); break;
        case Fault::DiskFails:
            if (!up || !mayLose(member)) return;
            member.doomed = true;
            member.disk().failAt(member.disk().calls() + 1 + random_.below(30),
                                 random_.coin() ? DiskFault::IoError : DiskFault::NoSpace);
            break;
        case Fault::DiskStops: {
            if (!up) return;
            const bool machine = (member.held().vouches || mayLose(member)) && random_.coin();
            member.doomed |= machine && !member.held().vouches;
            member.machineStops = machine;
            member.disk().crashAt(member.disk().calls() + 1 + random_.below(30),
                                  static_cast<CrashMoment>(random_.below(4)), random_.below(9));
            break;
        }
        case Fault::Replace:
            if (!mayLose(member)) return;
            member.replace();
            startLater(member);
            break;
        case Fault::Restart:
            if (!up || member.isPaused()) return;
            member.close();
            startLater(member);
            break;
        case Fault::Promote: {
            SimulatedMember* leads = leader();
            if (leads == nullptr) return;
            const MemberId to = member.id();
            if (told_) told_(to);
            leads->call([to](Member& real) { (void)real.promote(to); });
            break;
        }
        case Fault::ClockJump:
            member.wall.frozen = random_.below(4) == 0;
            member.wall.frozenAt = member.moment().wallNs;
            member.wall.offsetNs = static_cast<int64_t>(random_.below(2 * 3600 * kSeconds)) -
                                   static_cast<int64_t>(3600 * kSeconds);
            break;
        case Fault::Disconnect: {
            const std::vector<NodeId> all = network_.connections();
            if (all.empty()) return;
            network_.breakConnection(all[random_.below(all.size())]);
            break;
        }
        case Fault::StoreOnly:
        case Fault::HearsFew:
        case Fault::LeaderDeaf:
        case Fault::LeaderUnheard: lopside(fault); break;
        case Fault::LoseQuorum:
            if (!loseQuorum()) return;
            break;
        case Fault::FlipState:
        case Fault::FlipResult:
            if (!flip(fault, member)) return;
            break;
    }
    timeline_.fold(static_cast<uint64_t>(fault) << 32 | member.id());
    counted(fault);
}

}  // namespace verbex::sim
