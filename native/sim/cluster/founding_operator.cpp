#include "sim/cluster/founding_operator.h"

#include <algorithm>

#include "replication/durable_note.h"

namespace verbex::sim {

using replication::Member;
using replication::Role;

namespace {

// A word that a crash has taken away is said again after so long.
constexpr uint64_t kSayFoundAgainNs = 2 * kSeconds;
// Two seconds after their first record those who have nothing do without a member that does not answer.
constexpr uint64_t kOthersNsMax = 1200 * kMillis;

// Of a member's folder: what a recovery would make of it.
bool isRecovered(const std::string& name) {
    return name.starts_with("/journal/") || name.starts_with("/snapshots/");
}

}  // namespace

void FoundingOperator::act() {
    if (founder_ != 0) {
        found();
        return;
    }
    if (plan_.burnAtNs == 0 || founded_ != 0) return;
    const uint64_t now = timeline_.now();
    if (copy_.of == 0 && now >= plan_.copyAtNs) takeCopy();
    if (random_.below(50) == 0) err();
    if (copy_.of != 0 && now >= plan_.burnAtNs && control_.record().epoch != 0) burn();
}

void FoundingOperator::takeCopy() {
    SimulatedMember& member = *members_[random_.below(members_.size())];
    if (!member.isUp() || member.isPaused() || member.wantsRestart()) return;
    if (member.member().replica().role() == Role::Halted || member.member().log().written() == 0) return;
    const SimulatedDisk::Image image = member.disk().image();
    Copy copy{member.id(), member.id() <= plan_.hot && random_.coin(), {}};
    for (const auto& [path, contents] : image) {
        const std::string name = path.substr(path.find('/'));
        for (const char* note : {replication::kInstallingNote, replication::kDistrustedNote}) {
            if (name.starts_with(std::string("/") + note)) return;  // another time
        }
        if (copy.whole || isRecovered(name)) copy.image[name] = contents;
    }
    copy_ = std::move(copy);
}

// The word to a cluster that is well.
void FoundingOperator::err() {
    SimulatedMember& member = *members_[random_.below(members_.size())];
    if (!member.isUp() || member.isPaused() || member.wantsRestart()) return;
    if (control_.revision() == 0) return;
    bool isTaken = false;
    member.call([&isTaken](Member& real) { isTaken = real.found().isOk(); });
    if (isTaken) {
        problem("member " + std::to_string(member.id()) + " begins a cluster where there is one");
    }
}

void FoundingOperator::burn() {
    // The member that answers to the others' first record, did it take part: so they wait for it, and nobody leads.
    founder_ = copy_.whole ? copy_.of : static_cast<MemberId>(random_.between(1, plan_.hot));
    for (const auto& member : members_) member->replace();
    control_.forget();
    oracle_.onBurnt();
    nemesis_.spare(founder_);
    putBack();
}

void FoundingOperator::begin(MemberId founder, SimulatedDisk::Image folder) {
    copy_ = {founder, false, std::move(folder)};
    founder_ = founder;
    nemesis_.spare(founder_);
    putBack();
}

void FoundingOperator::putBack() {
    SimulatedMember& founder = *members_[founder_ - 1];
    SimulatedDisk::Image image;
    for (const auto& [name, contents] : copy_.image) {
        image["member-" + std::to_string(founder_) + name] = contents;
    }
    founder.disk().load(image);
    ends_.clear();
    saidAt_ = 0;
    othersAt_ = 0;
    saysFrom_ = timeline_.now() + random_.below(400 * kMillis);
    founder.start();
    if (random_.coin()) startTooEarly();
}

void FoundingOperator::startTooEarly() {
    SimulatedMember& member = *members_[random_.below(members_.size())];
    if (member.id() == founder_) return;
    timeline_.after(random_.below(30 * kMillis), [this, &member, life = member.life()] {
        if (founder_ != 0 && member.life() == life) member.start();
    });
}

bool FoundingOperator::isFounders(const Configuration& record) const {
    return record.sync.size() == 1 && record.sync[0].id == founder_;
}

void FoundingOperator::found() {
    SimulatedMember& founder = *members_[founder_ - 1];
    if (!founder.isUp()) {
        founder.start();
        return;
    }
    founder.resume();
    if (founder.wantsRestart()) return;
    const Configuration& record = control_.record();
    if (founder.member().replica().leads() || record.leader == founder_) {
        startOthers();
        return;
    }
    lookAtCopy(founder);
    const bool isDue = saidAt_ == 0 || timeline_.now() - saidAt_ > kSayFoundAgainNs;
    if (record.sync.empty()) {
        if (isDue && timeline_.now() >= saysFrom_) say();
    } else if (!isFounders(record)) {
        undo();
    } else if (founder.held().incarnation != record.sync[0].incarnation && isDue) {
        // A word that it had forgotten came true when it had said another one: only force is left.
        disruption_.onPromote(founder_);
        oracle_.onForced(founder);
        founder.call([](Member& real) { (void)real.force(); });
        saidAt_ = timeline_.now();
    }
}

void FoundingOperator::lookAtCopy(SimulatedMember& founder) {
    const std::vector<replication::EpochEnd>& ends = founder.member().log().ends();
    if (ends_.empty()) {
        ends_ = ends;
    } else if (ends != ends_) {
        problem("the log of member " + std::to_string(founder_) +
                " is in no record, and is not what was put there any more");
    }
}

void FoundingOperator::say() {
    SimulatedMember& founder = *members_[founder_ - 1];
    disruption_.onPromote(founder_);
    oracle_.onForced(founder);
    bool isTaken = false;
    founder.call([&isTaken](Member& real) { isTaken = real.found().isOk(); });
    if (!isTaken) return;
    saidAt_ = timeline_.now();
    if (random_.coin()) return;
    timeline_.after(random_.below(20 * kMillis), [this, &founder, life = founder.life()] {
        if (life != founder.life() || founder_ == 0) return;
        founder.kill(RestartMode::ProcessCrash);
        // Now and then it is said again before what was asked for first can have come true.
        saidAt_ = random_.coin() ? 0 : saidAt_;
    });
}

// Somebody was first: it must be told so. Then everything is stopped, what they have written is removed, and it begins
// once more.
void FoundingOperator::undo() {
    SimulatedMember& founder = *members_[founder_ - 1];
    const uint64_t now = timeline_.now();
    if (othersAt_ == 0) {
        othersAt_ = now;
        bearsNs_ = random_.below(kOthersNsMax);
    }
    // Those who have nothing wait for the founder, but not for ever.
    if (now - othersAt_ < bearsNs_) return;
    if (founder.member().replica().revision() != 0) {
        StatusCode code = StatusCode::Ok;
        founder.call([&code](Member& real) { code = real.found().code(); });
        if (code != StatusCode::ClusterExists) {
            problem("member " + std::to_string(founder_) +
                    " does not say that others have begun a cluster, but " +
                    std::string(statusCodeName(code)));
            return;
        }
    } else if (now - othersAt_ < kOthersNsMax) {
        return;
    }
    undone_++;
    for (const auto& member : members_) {
        if (member->id() != founder_) member->replace();
    }
    founder.kill(RestartMode::ProcessCrash);
    control_.forget();
    saidAt_ = 0;
    othersAt_ = 0;
}

void FoundingOperator::startOthers() {
    founded_++;
    founder_ = 0;
    nemesis_.spare(0);
    for (const auto& member : members_) {
        if (!member->isUp()) member->start();
    }
}

}  // namespace verbex::sim
