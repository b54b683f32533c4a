#include "sim/cluster/simulated_member.h"

#include "journal/snapshots.h"
#include "replication/durable_note.h"

namespace verbex::sim {

using replication::Member;

namespace {

constexpr uint64_t kWallStart = 1'700'000'000ull * kSeconds;

}  // namespace

SimulatedMember::SimulatedMember(Timeline& timeline, Random random, const ClusterPlan& plan,
                                 Network& network, ControlService& control,
                                 const replication::MemberOptions& options)
    : timeline_(timeline), random_(random), plan_(plan), network_(network), control_(control),
      options_(options) {}

SimulatedMember::~SimulatedMember() = default;

Moment SimulatedMember::moment() const {
    const uint64_t now = timeline_.now();
    Moment moment;
    moment.steadyNs = now + steadyOrigin_;
    moment.wallNs = wall.frozen ? wall.frozenAt
                                : kWallStart + now + static_cast<uint64_t>(wall.offsetNs);
    return moment;
}

// ---- the process

void SimulatedMember::start() {
    if (member_ != nullptr) return;
    life_++;
    timeline_.fold(life_ << 16 | id());
    paused_ = false;
    // The steady clock begins anywhere.
    steadyOrigin_ = kSeconds + random_.below(3600 * kSeconds);
    options_.boot = "boot-" + std::to_string(boot_);
    options_.journalId.lo = random_.next() | 1;
    options_.journalId.hi = random_.next();
    Result<std::unique_ptr<Member>> opened =
        Member::open(options_, disk_, *this, control_.of(id()), moment());
    if (!opened.isOk()) {
        // The disk stopped or failed once more, as planned; anything else is a log that can't be read.
        const StatusCode code = opened.status().code();
        if (code != StatusCode::IoError && code != StatusCode::NoSpace) {
            onProblem_("member " + std::to_string(id()) +
                       " does not start again: " + opened.status().toString());
            return;
        }
        const bool machine = machineStops && disk_.crashed();
        disk_.restart(machine ? RestartMode::PowerCut : RestartMode::ProcessCrash, random_.next());
        if (machine) boot_++;
        machineStops = false;
        timeline_.after(kMillis + random_.below(50 * kMillis), [this, life = life_] {
            if (life == life_) start();
        });
        return;
    }
    member_ = opened.take();
    flipped = doomed = false;
    syncing_ = preparing_ = snapshotting_ = false;
    called();
    if (member_ != nullptr) scheduleStep(timeline_.now());
}

void SimulatedMember::kill(RestartMode mode) {
    if (member_ != nullptr) {
        noteHeld();
        crashes++;
    }
    timeline_.fold(life_ << 16 | 0x8000 | id());
    life_++;
    member_.reset();
    piled_.clear();
    closedMeanwhile_.clear();
    paused_ = false;
    control_.endOf(id());
    network_.endOf(id());
    disk_.restart(mode, random_.next());
    if (mode == RestartMode::PowerCut) {
        boot_++;
        held_.stored = std::min(held_.stored, held_.durable);
        if (!held_.vouches) held_.lost = true;
    }
    machineStops = false;
    if (plan_.damagesSnapshots && random_.below(4) == 0) damageSnapshot();
}

// Of two sound ones the newer: the member must name it, and begin from the other.
void SimulatedMember::damageSnapshot() {
    const std::string directory = journal::joinPath(options_.data, "snapshots");
    Result<std::vector<journal::SnapshotListing>> listed = journal::listSnapshots(disk_, directory);
    if (!listed.isOk() || listed.value().size() < 2) return;
    const journal::SnapshotListing& newest = listed.value()[0];
    const bool two = journal::verifySnapshot(disk_, directory, newest.name).isOk() &&
                     journal::verifySnapshot(disk_, directory, listed.value()[1].name).isOk();
    const std::string note = journal::joinPath(options_.data, replication::kInstallingNote);
    if (!two || disk_.open(note, journal::FileMode::Read).isOk()) return;
    damages++;
    disk_.flipBit(journal::joinPath(directory, newest.name), random_.below(newest.bytes * 8));
}

void SimulatedMember::close() {
    if (member_ == nullptr || paused_) return;
    (void)member_->close();
    const bool stopped = disk_.crashed();
    kill(stopped && machineStops ? RestartMode::PowerCut : RestartMode::ProcessCrash);
}

void SimulatedMember::replace() {
    kill(RestartMode::PowerCut);
    disk_.load({});
    held_ = {};
    held_.lost = true;
}

void SimulatedMember::pause() {
    if (member_ != nullptr) paused_ = true;
}

void SimulatedMember::resume() {
    if (!paused_) return;
    paused_ = false;
    const auto piled = std::move(piled_);
    piled_.clear();
    const auto closed = std::move(closedMeanwhile_);
    closedMeanwhile_.clear();
    const uint64_t life = life_;
    // A process that goes on finds its sockets full, or looks at its timers first.
    if (random_.coin()) step();
    for (const auto& [from, frame] : piled) {
        if (life == life_) onFrame(from, frame);
    }
    for (const NodeId client : closed) {
        if (life == life_) onClosed(client);
    }
    if (life == life_ && member_ != nullptr) {
        stepToken_++;
        stepAt_ = 0;
        scheduleStep(timeline_.now());
        scheduleSync();
    }
}

// ---- calls

void SimulatedMember::onFrame(NodeId from, const Network::Frame& frame) {
    if (member_ == nullptr) return;
    if (paused_) {
        piled_.emplace_back(from, frame);
        return;
    }
    member_->onFrame(from, *frame, moment());
    called();
    wake();
}

void SimulatedMember::onClosed(NodeId client) {
    if (member_ == nullptr) return;
    if (paused_) {
        closedMeanwhile_.push_back(client);
        return;
    }
    member_->onClosed(client);
}

void SimulatedMember::wake() {
    if (member_ != nullptr && !paused_) {
        scheduleStep(timeline_.now() + kMicros + random_.below(30 * kMicros));
    }
}

void SimulatedMember::call(const std::function<void(Member&)>& act) {
    if (member_ == nullptr || paused_) return;
    act(*member_);
    called();
    wake();
}

void SimulatedMember::scheduleStep(uint64_t time) {
    if (stepAt_ != 0 && stepAt_ <= time && stepAt_ >= timeline_.now()) return;
    stepAt_ = time;
    const uint64_t token = ++stepToken_;
    timeline_.at(time, [this, token] {
        if (token != stepToken_) return;
        stepAt_ = 0;
        step();
    });
}

void SimulatedMember::step() {
    if (member_ == nullptr || paused_) return;
    const bool more = member_->step(moment());
    called();
    if (member_ == nullptr) return;
    const uint64_t now = timeline_.now();
    uint64_t next = member_->nextTimer();
    next = next > steadyOrigin_ ? next - steadyOrigin_ : 0;
    // A thread is never quite in time.
    next = std::max(next, now + 100 * kMicros) + random_.below(200 * kMicros);
    if (more) next = now + 2 * kMicros + random_.below(20 * kMicros);
    scheduleStep(next);
}

void SimulatedMember::called() {
    if (disk_.crashed()) {
        kill(machineStops ? RestartMode::PowerCut : RestartMode::ProcessCrash);
        timeline_.after(10 * kMillis + random_.below(400 * kMillis), [this, life = life_] {
            if (life == life_) start();
        });
        return;
    }
    noteHeld();
    onCalled_(*this);
    if (member_->failed()) {
        held_.lost = true;  // the next start says so
        timeline_.after(20 * kMillis + random_.below(300 * kMillis), [this, life = life_] {
            if (life != life_ || member_ == nullptr) return;
            kill(RestartMode::ProcessCrash);
            start();
        });
        return;
    }
    scheduleSync();
    scheduleSnapshot();
}

// What another thread does in a server.
void SimulatedMember::scheduleSync() {
    const uint64_t slow = timeline_.now() < slowUntil ? 20 : 1;
    if (!syncing_ && member_->log().syncWanted()) {
        syncing_ = true;
        const uint64_t takes = slow * (plan_.syncNs + random_.below(plan_.syncSpreadNs + 1));
        timeline_.after(takes, [this, life = life_] {
            if (life != life_ || member_ == nullptr) return;
            syncing_ = false;
            if (paused_ || member_->failed()) return;
            const Status status = member_->log().syncNow();
            if (!status.isOk()) member_->replica().fail(status);
            called();
            wake();
        });
    }
    if (!preparing_ && member_->log().prepareWanted()) {
        preparing_ = true;
        timeline_.after(slow * (kMillis + random_.below(5 * kMillis)), [this, life = life_] {
            if (life != life_ || member_ == nullptr) return;
            preparing_ = false;
            if (paused_ || member_->failed()) return;
            // No room for the next segment is no failure yet: the current one has its own.
            const Status status = member_->log().prepareNow();
            if (!status.isOk() && status.code() != StatusCode::NoSpace) member_->replica().fail(status);
            called();
        });
    }
}

void SimulatedMember::scheduleSnapshot() {
    if (snapshotting_ || !member_->snapshots().isWanted()) return;
    snapshotting_ = true;
    timeline_.after(plan_.snapshotNs + random_.below(kMillis), [this, life = life_] {
        if (life != life_ || member_ == nullptr) return;
        snapshotting_ = false;
        if (paused_ || member_->failed()) return;
        member_->snapshots().takeNow();
        called();
    });
}

void SimulatedMember::noteHeld() {
    if (member_->failed()) return;
    held_.lost = false;
    held_.incarnation = member_->replica().facts().incarnation;
    held_.ends = member_->log().ends();
    held_.durable = member_->log().durable();
    held_.stored = plan_.durable ? held_.durable : member_->log().written();
    held_.vouches = member_->replica().facts().durable;
}

// ---- Wires

bool SimulatedMember::send(NodeId to, std::span<const std::byte> frame) {
    // The process has ended in the midst of this call, and does not know.
    if (disk_.crashed()) return false;
    if (to >= replication::kFirstClient) return network_.sendToClient(to, frame);
    return network_.send(id(), to, frame);
}

void SimulatedMember::fence(uint64_t epoch) { network_.fence(id(), epoch); }

void SimulatedMember::close(NodeId client) { network_.closeByMember(client); }

}  // namespace verbex::sim
