// A world of roles: who is there, what becomes of it, and one step of time.
#include "roles/role_world.h"

namespace verbex::roles::test {

namespace {

constexpr uint64_t kSilenceNs = 4000 * kStepNs;
constexpr size_t kWireFrames = 64;
constexpr char kDirectory[] = "/data";
constexpr char kStates[] = "/data/state";
constexpr char kSnapshots[] = "/snapshots";
constexpr uint64_t kLetGoNs = 1000 * kStepNs;

}  // namespace

World::World(const WorldOptions& options)
    : options_(options), random_(options.seed * 7919 + 17), market_(options.seed) {
    for (uint32_t i = 0; i < options.riskShards + options.matchingShards; i++) {
        places_.emplace_back();
        if (i < options.disks.size()) places_.back().disk->load(options.disks[i]);
        make(i);
        places_.back().backAt = now_ + below(50) * kStepNs;
    }
    for (size_t i = 0; i < options.sequencers; i++) {
        nodes_.push_back(std::make_unique<Node>(*this, i));
        (void)store_.add();
        if (i >= options.states.size()) continue;
        (void)nodes_[i]->disk.createDirectory(kDirectory);
        (void)nodes_[i]->disk.createDirectory(kStates);
        for (const auto& [path, contents] : options.states[i]) {
            nodes_[i]->disk.place(path, contents);
        }
    }
}

World::~World() = default;

std::vector<sim::SimulatedDisk::Image> World::disks() const {
    std::vector<sim::SimulatedDisk::Image> images;
    for (const Place& at : places_) images.push_back(at.disk->image());
    return images;
}

void World::make(size_t place) {
    Place& at = places_[place];
    RoleProcessOptions options;
    options.limits = options_.limits;
    options.riskShards = options_.riskShards;
    options.matchingShards = options_.matchingShards;
    options.mutant = options_.mutant;
    const bool risk = place < options_.riskShards;
    options.shard = static_cast<uint32_t>(risk ? place : place - options_.riskShards);
    at.process.reset();
    at.joined = false;
    if (risk) {
        at.process = std::make_unique<RiskProcess>(options);
    } else {
        at.process = std::make_unique<MatchingProcess>(options);
    }
    if (options_.snapshotEvery == 0) return;
    RoleSnapshotOptions snapshots;
    snapshots.whose = {"world", at.process->kind(), options.shard, options.riskShards,
                       options.matchingShards, options.limits, options.mutant};
    snapshots.directory = kSnapshots;
    snapshots.everyCommands = options_.snapshotEvery;
    auto opened = RoleSnapshots::open(*at.disk, snapshots);
    if (!opened.isOk()) {
        wrong_ = opened.status().toString();
        return;
    }
    at.snapshots = opened.take();
    at.process->keep(*at.snapshots);
}

void World::endOf(Place& at) {
    at.process.reset();
    if (at.snapshots == nullptr) return;
    const RoleSnapshotStatus status = at.snapshots->status();
    seen_.taken += status.taken;
    seen_.putAside += status.refused;
    at.snapshots.reset();
    if (at.disk->crashed()) seen_.torn++;
    const auto mode = below(2) == 0 ? sim::RestartMode::ProcessCrash : sim::RestartMode::PowerCut;
    at.disk->restart(mode, random_());
    if (options_.damageSnapshots && below(2) == 0) damage(*at.disk, kSnapshots);
}

void World::damage(sim::SimulatedDisk& disk, const std::string& folder) {
    const sim::SimulatedDisk::Image image = disk.image();
    for (auto each = image.rbegin(); each != image.rend(); ++each) {
        if (!each->first.starts_with(folder + "/") || !each->first.ends_with(".snapshot")) continue;
        if (below(2) == 0) {
            disk.flipBit(each->first, random_() % (each->second.size() * 8));
        } else {
            disk.truncate(each->first, random_() % each->second.size());
        }
        return;
    }
}

std::vector<sim::SimulatedDisk::Image> World::states() const {
    std::vector<sim::SimulatedDisk::Image> images;
    for (const auto& node : nodes_) {
        images.push_back(node->disk.image());
        std::erase_if(images.back(), [](const auto& file) {
            return !file.first.starts_with(std::string(kStates) + "/");
        });
    }
    return images;
}

// What another thread does.
void World::workFor(Place& at) {
    if (at.snapshots == nullptr || !at.snapshots->isWanted()) return;
    if (options_.damageSnapshots && below(400) == 0) {
        const auto moment = sim::CrashMoment(below(4));
        at.disk->crashAt(at.disk->calls() + 1 + below(6), moment, below(40));
    }
    at.snapshots->workNow();
    // What may be taken back is in no shadow, and so in no snapshot that was taken here.
    if (options_.disks.empty() && at.snapshots->status().shadow > collected_ && wrong_.empty()) {
        wrong_ = "a shadow holds position " + std::to_string(at.snapshots->status().shadow) +
                 ", released is " + std::to_string(collected_);
    }
}

// What the other thread of a sequencer does. A disk that stops takes its process with it.
void World::workFor(Node& node) {
    if (node.member == nullptr || !node.member->shadow().isWanted()) return;
    const bool stops = options_.damageStates && below(60) == 0;
    if (stops) {
        node.disk.crashAt(node.disk.calls() + 1 + below(6), sim::CrashMoment(below(4)), below(40));
    }
    node.member->shadow().workNow();
    checkShadow(node);
    if (!stops) return;
    const bool stopped = node.disk.crashed();
    node.disk.crashAt(0, sim::CrashMoment::Before);
    if (!stopped) return;
    seen_.statesTorn++;
    killSequencer(node);
}

// What may be cut is in no shadow, and so in no snapshot.
void World::checkShadow(Node& node) {
    const SequencerShadowStatus shadow = node.member->shadow().status();
    if (!shadow.here || shadow.position <= committed_ || !wrong_.empty()) return;
    wrong_ = "the shadow of sequencer " + std::to_string(node.index) + " holds position " +
             std::to_string(shadow.position) + ", committed is " + std::to_string(committed_);
}

// What it began with has all that replaying its whole log would have given.
void World::checkBeginning(Sequencer& sequencer) {
    const Position base = sequencer.status().base;
    if (options_.seed % 2 == 1 && sequencer.outputs().oldest() != 1) {
        wrong_ = "a sequencer that began with position " + std::to_string(base) +
                 " keeps events from position " + std::to_string(sequencer.outputs().oldest()) + " on only";
    }
    if (base == 0) return;
    seen_.warm++;
    seen_.whole += sequencer.last();
    seen_.tail += sequencer.last() - base;
}

void World::countStates(Node& node) {
    const SequencerShadowStatus shadow = node.member->shadow().status();
    seen_.states += shadow.taken;
    seen_.statesAside += shadow.refused;
}

std::string World::openSequencer(Node& node) {
    SequencerMemberOptions options;
    SequencerOptions& sequencer = options.sequencer;
    sequencer.limits = options_.limits;
    sequencer.riskShards = options_.riskShards;
    sequencer.matchingShards = options_.matchingShards;
    sequencer.window = 1 + below(300);
    sequencer.batchMax = 1 + below(64);
    sequencer.silenceNs = kSilenceNs;
    sequencer.attachNs = 5000 * kStepNs;
    sequencer.pingNs = 100 * kStepNs;
    sequencer.mutant = options_.mutant;
    sequencer.markEvery = 1u << (options_.seed % 6);
    // Where nothing recent is kept, marks alone have to do.
    if (options_.seed % 2 == 0) sequencer.outputEvents = 4096;
    options.letGoNs = kLetGoNs;
    options.snapshotEvery = options_.stateEvery;
    replication::MemberOptions& member = options.member;
    member.id = static_cast<replication::MemberId>(node.index + 1);
    member.data = kDirectory;
    member.boot = "the machine never starts again";
    member.segmentBytes = 256u << 10;
    replication::ReplicaOptions& replica = member.replica;
    for (const auto& each : nodes_) {
        replica.members.push_back({static_cast<replication::MemberId>(each->index + 1), false});
    }
    replica.hotWanted = static_cast<uint32_t>(nodes_.size());
    replica.heartbeatNs = 20 * kStepNs;
    replica.suspectNs = 250 * kStepNs;
    replica.staggerNs = 100 * kStepNs;
    replica.silentNs = 300 * kStepNs;
    replica.controlNs = 200 * kStepNs;
    auto opened =
        SequencerMember::open(options, node.disk, node, node, store_.of(node.index), {now_, now_});
    if (!opened.isOk()) return opened.status().toString();
    node.member = opened.take();
    return {};
}

Sequencer* World::sequencerOf(Node& node) {
    return node.member == nullptr ? nullptr : node.member->sequencer();
}

Sequencer* World::leading() {
    Sequencer* found = nullptr;
    for (const auto& node : nodes_) {
        Sequencer* const sequencer = sequencerOf(*node);
        if (sequencer == nullptr) continue;
        if (found != nullptr) return nullptr;
        found = sequencer;
    }
    return found;
}

bool World::sendRole(LinkId to, std::span<const std::byte> frame) {
    const auto found = wires_.find(to);
    if (found == wires_.end() || found->second.down.size() >= kWireFrames) return false;
    found->second.down.emplace_back(frame.begin(), frame.end());
    return true;
}

bool World::sendPeer(size_t from, size_t to, std::span<const std::byte> frame) {
    std::deque<PeerFrame>& queue = peers_[{from, to}];
    if (to >= nodes_.size() || queue.size() >= kWireFrames) return false;
    const uint64_t ahead = queue.empty() ? 0 : queue.back().at;
    queue.push_back({std::max(ahead, now_ + below(8) * kStepNs), {frame.begin(), frame.end()}});
    return true;
}

void World::deliverPeers() {
    for (auto& [way, queue] : peers_) {
        Node& from = *nodes_[way.first];
        Node& to = *nodes_[way.second];
        const bool gone = from.cutPeers || to.cutPeers || to.member == nullptr;
        while (!queue.empty() && (gone || queue.front().at <= now_)) {
            const PeerFrame frame = std::move(queue.front());
            queue.pop_front();
            if (gone) continue;
            to.member->onPeer(static_cast<replication::MemberId>(from.index + 1), frame.bytes,
                              {now_, now_});
        }
    }
}

void World::close(LinkId link) {
    const auto found = wires_.find(link);
    if (found != wires_.end()) found->second.closed = true;
}

void World::connect(size_t place) {
    Place& at = places_[place];
    at.backAt = now_ + (1 + below(20)) * kStepNs;
    Node& node = *nodes_[at.next++ % nodes_.size()];
    if (node.member == nullptr || node.cutRoles || !at.process->ready()) return;
    at.backAt = 0;
    at.joined = false;
    at.link = nextLink_++;
    wires_[at.link].place = place;
    wires_[at.link].node = node.index;
    at.process->attach();
    node.member->onAttached(at.link);
}

// The process is gone with all it knew; another one comes in its place some time later.
void World::kill(size_t place) {
    Place& at = places_[place];
    if (at.link == 0) return;
    Wire& wire = wires_[at.link];
    wire.cut = true;
    wire.down.clear();
    while (!wire.up.empty() && below(3) == 0) wire.up.pop_back();  // a tail is lost
    at.link = 0;
    if (options_.mutant != RoleMutant::SettlementSkipped) {
        endOf(at);
        make(place);
    }
    at.backAt = now_ + (1 + below(800)) * kStepNs;
    seen_.losses++;
}

// Its process is gone, and every link with it.
void World::killSequencer(Node& node) {
    if (node.member == nullptr) return;
    if (const Sequencer* const sequencer = sequencerOf(node)) {
        seen_.refused += sequencer->status().refused;
    }
    countStates(node);
    node.member.reset();
    node.counted = nullptr;
    store_.endOf(node.index);
    std::erase_if(wires_, [&node](const auto& wire) { return wire.second.node == node.index; });
    for (Place& at : places_) {
        if (at.link == 0 || wires_.contains(at.link)) continue;
        at.link = 0;
        at.backAt = now_ + (1 + below(200)) * kStepNs;
    }
    for (auto& [way, queue] : peers_) {
        if (way.first == node.index || way.second == node.index) queue.clear();
    }
    node.disk.restart(sim::RestartMode::ProcessCrash, random_());
    if (options_.damageStates && below(2) == 0) damage(node.disk, kStates);
    node.backAt = now_ + (1 + below(nodes_.size() == 1 ? 2 : 2000)) * kStepNs;
    seen_.restarts++;
}

// Whom it does not reach, it does not know of.
void World::cut(Node& node) {
    if (node.member == nullptr || node.healAt != 0) return;
    const uint32_t what = 1 + below(7);
    node.cutPeers = (what & 1) != 0;
    store_.of(node.index).cut = (what & 2) != 0;
    node.cutRoles = (what & 4) != 0;
    node.healAt = now_ + (1 + below(3000)) * kStepNs;
    seen_.cuts++;
    if (!node.cutRoles) return;
    for (auto& [link, wire] : wires_) {
        if (wire.node != node.index || places_[wire.place].link != link) continue;
        wire.cut = true;
        wire.down.clear();
        while (!wire.up.empty() && below(3) == 0) wire.up.pop_back();
        places_[wire.place].link = 0;
        places_[wire.place].backAt = now_ + (1 + below(400)) * kStepNs;
    }
}

void World::heal(Node& node) {
    node.healAt = 0;
    node.cutPeers = node.cutRoles = store_.of(node.index).cut = false;
}

void World::fault() {
    const uint32_t risk = options_.riskShards;
    switch (below(5)) {
        case 0:
            if (options_.killRisk) kill(below(risk));
            break;
        case 1:
            if (options_.killMatching) kill(risk + below(options_.matchingShards));
            break;
        case 2:
            if (options_.stallRisk) {
                Place& at = places_[below(risk)];
                if (at.link == 0) break;
                wires_[at.link].held = true;
                seen_.losses++;
            }
            break;
        case 3: {
            if (!options_.cutSequencer) break;
            cut(*nodes_[below(static_cast<uint32_t>(nodes_.size()))]);
            break;
        }
        default: {
            if (!options_.killSequencer) break;
            Node* chosen = nodes_[below(static_cast<uint32_t>(nodes_.size()))].get();
            for (const auto& node : nodes_) {
                if (sequencerOf(*node) != nullptr && below(2) == 0) chosen = node.get();
            }
            killSequencer(*chosen);
            break;
        }
    }
}

void World::deliverUp(Wire& wire, LinkId link) {
    if (wire.held || wire.up.empty()) return;
    const std::vector<std::byte> frame = std::move(wire.up.front());
    wire.up.pop_front();
    nodes_[wire.node]->member->onRole(link, frame);
}

void World::deliverDown(Wire& wire, LinkId link) {
    if (wire.held || wire.down.empty()) return;
    Place& at = places_[wire.place];
    const std::vector<std::byte> frame = std::move(wire.down.front());
    wire.down.pop_front();
    if (at.link != link) return;
    const Status status = at.process->onFrame(frame);
    if (!at.joined && at.process->joined()) {
        at.joined = true;
        if (at.process->base() != 0) seen_.begun++;
    }
    // A snapshot that is not confirmed: it goes, and comes again with what it has beside.
    if (status.code() == StatusCode::PositionLost) {
        seen_.unconfirmed++;
        wire.cut = true;
        wire.down.clear();
        wire.up.clear();
        at.link = 0;
        at.backAt = now_ + (1 + below(20)) * kStepNs;
        return;
    }
    if (!status.isOk() && wrong_.empty()) {
        wrong_ = "process " + std::to_string(wire.place) + ": " + status.toString();
    }
}

void World::stepNode(Node& node) {
    if (Sequencer* const sequencer = sequencerOf(node)) {
        while (offered_ < options_.commands && below(3) != 0) {
            if (!next_) next_ = market_.next();
            if (!sequencer->offer(*next_)) break;
            next_.reset();
            offered_++;
        }
    }
    const Sequencer* const before = sequencerOf(node);
    const uint64_t refused = before == nullptr ? 0 : before->status().refused;
    (void)node.member->step({now_, now_});
    committed_ = std::max(committed_, node.member->member().outputs().released());
    checkShadow(node);
    replication::MemberLog& log = node.member->member().log();
    if (nodes_.size() > 1 && log.syncWanted() && below(20) == 0) {
        if (const Status status = log.syncNow(); !status.isOk()) wrong_ = status.toString();
    }
    if (node.member->member().failed()) wrong_ = node.member->member().failure().toString();
    if (!node.member->member().replica().halted().empty()) {
        wrong_ = "sequencer " + std::to_string(node.index) + " is halted: " +
                 node.member->member().replica().halted();
    }
    Sequencer* const sequencer = sequencerOf(node);
    if (before != nullptr && sequencer != before) seen_.refused += refused;
    if (sequencer == nullptr) return;
    if (node.counted != sequencer || before == nullptr) {
        node.counted = sequencer;
        node.markersTo = 0;
        node.markers.clear();
        checkBeginning(*sequencer);
        seen_.takeovers++;
        if (sequencer->outputs().released() < sequencer->last()) seen_.forsaken++;
    }
    collect(node, *sequencer);
}

void World::stepOnce() {
    now_ += kStepNs;
    for (size_t i = 0; i < places_.size(); i++) {
        if (places_[i].backAt != 0 && now_ >= places_[i].backAt) connect(i);
    }
    for (const auto& node : nodes_) {
        if (node->healAt != 0 && now_ >= node->healAt) heal(*node);
        if (node->backAt == 0 || now_ < node->backAt) continue;
        node->backAt = 0;
        wrong_ = openSequencer(*node);
        if (!wrong_.empty()) return;
    }
    store_.step();
    deliverPeers();
    const bool faults = options_.cutSequencer || options_.killRisk || options_.killMatching || options_.killSequencer ||
                        options_.stallRisk;
    if (faults && offered_ < options_.commands && below(options_.killEvery) == 0) {
        fault();
        if (!wrong_.empty()) return;
    }
    for (const auto& node : nodes_) {
        if (node->member == nullptr || below(3) != 0) continue;
        stepNode(*node);
        if (!wrong_.empty()) return;
    }
    workFor(*nodes_[below(static_cast<uint32_t>(nodes_.size()))]);
    if (!wrong_.empty()) return;
    if (options_.snapshotEvery != 0) {
        workFor(places_[below(static_cast<uint32_t>(places_.size()))]);
        if (!wrong_.empty()) return;
    }
    if (wires_.empty()) return;
    auto chosen = wires_.begin();
    std::advance(chosen, below(static_cast<uint32_t>(wires_.size())));
    const LinkId link = chosen->first;
    Wire& wire = chosen->second;
    Place& at = places_[wire.place];
    const bool connected = at.link == link;
    if (connected && !wire.closed && !wire.held && below(2) == 0) {
        at.process->report();
        (void)at.process->channel().flush([&wire](std::span<const std::byte> frame) {
            if (wire.up.size() >= kWireFrames) return false;
            wire.up.emplace_back(frame.begin(), frame.end());
            return true;
        });
    }
    for (uint32_t i = below(8); i != 0; i--) deliverDown(wire, link);
    for (uint32_t i = below(8); i != 0; i--) deliverUp(wire, link);
    // A held link that was given up: what had been said comes after all, then nothing.
    if (wire.closed && wire.held) {
        wire.held = false;
        while (!wire.up.empty()) deliverUp(wire, link);
    }
    if (wire.closed && (wire.up.empty() || below(4) == 0)) {
        if (connected) {
            at.link = 0;
            at.backAt = now_ + (1 + below(nodes_.size() == 1 ? 400 : 40)) * kStepNs;
        }
        wires_.erase(link);
    } else if (wire.cut && wire.up.empty()) {
        const size_t node = wire.node;
        wires_.erase(link);
        nodes_[node]->member->onRoleClosed(link);
    }
}

}  // namespace verbex::roles::test
