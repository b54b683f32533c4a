#include "replication/member.h"

#include <algorithm>
#include <utility>

#include "journal/segment.h"
#include "journal/snapshots.h"
#include "replication/scrub_watch.h"

namespace verbex::replication {

namespace {

uint64_t hashOf(const std::string& text) { return hash128(text.data(), text.size(), 1).lo; }

// Whether the log is known to hold all that was acknowledged from it.
bool vouches(const MemberFacts& facts, uint64_t boot) {
    return facts.closed || facts.durable || (boot != 0 && facts.boot == boot);
}

}  // namespace

struct Member::Parts {
    Parts(const MemberOptions& theOptions, journal::Storage& theStorage)
        : options(theOptions), storage(theStorage), outputs(theOptions.outputEvents) {}

    // Executes the log again, from the newest snapshot or its beginning. Events that are kept are not written
    // again.
    Status rebuild(bool trusted) {
        outputs.truncate(outputs.released());
        Position from = 0;
        {
            const std::unique_lock lock = snapshots->pause();
            Result<MemberState> state =
                snapshots->load(trusted ? std::min(outputs.released(), log->last()) : 0, outputs,
                                refusedSnapshots);
            if (!state.isOk()) return state.status();
            from = state.value().position();
            executor = std::move(state.value().executor);
        }
        const Position kept = std::max(outputs.last(), outputs.released());
        Outputs nowhere(0);
        nowhere.recovering(true);
        if (kept > from) executor->into(nowhere);
        Status status = log->readRange(from + 1, log->last(), [&](const LogEntry& entry) {
            if (entry.header.first > kept) executor->into(outputs);
            executor->execute(entry);
            return Status();
        });
        executor->into(outputs);
        return status;
    }

    // What was computed here is given up: the whole log again, or nothing where that is not kept.
    Status startOver(bool& emptied) {
        {
            const std::unique_lock lock = snapshots->pause();
            VERBEX_RETURN_IF_FAILED(snapshots->forgetAll());
        }
        if (log->first() == 1) {
            VERBEX_RETURN_IF_FAILED(rebuild(false));
        } else {
            const std::unique_lock lock = snapshots->pause();
            VERBEX_RETURN_IF_FAILED(log->restart(0, {}));
            executor = std::make_unique<Executor>(options.replica.executor, outputs);
            outputs.restart(0);
            emptied = true;
        }
        return snapshots->trust();
    }

    // Snapshots, then the log behind the newest sound one.
    Status recover() {
        SnapshotSettings settings;
        settings.options = options.snapshots;
        settings.data = options.data;
        settings.executor = options.replica.executor;
        settings.clockNs = options.clockNs;
        settings.shares = static_cast<uint32_t>(std::max<size_t>(1, options.replica.members.size()));
        for (const MemberPlace& place : options.replica.members) {
            if (place.id == options.id) break;
            settings.share++;
        }
        Result<std::unique_ptr<MemberSnapshots>> opened =
            MemberSnapshots::open(storage, *lock, settings);
        if (!opened.isOk()) return opened.status();
        snapshots = opened.take();
        MemberLogOptions logOptions;
        logOptions.directory = journal::joinPath(options.data, "journal");
        logOptions.segmentBytes = options.segmentBytes;
        logOptions.tailBytes = options.tailBytes;
        logOptions.journalId = options.journalId;
        Result<Position> begins = firstKept(logOptions.directory);
        if (!begins.isOk()) return begins.status();
        const bool distrusted = snapshots->isDistrusted();
        Result<MemberState> loaded = snapshots->load(
            distrusted && begins.value() == 1 ? 0 : UINT64_MAX, outputs, refusedSnapshots);
        if (!loaded.isOk()) return loaded.status();
        MemberState state = loaded.take();
        if (distrusted && begins.value() > state.position() + 1) {
            // It had begun to start over.
            VERBEX_RETURN_IF_FAILED(removeJournal(storage, logOptions.directory));
            VERBEX_RETURN_IF_FAILED(snapshots->forgetAll());
        }
        Result<Position> newest = snapshots->newestListed();
        if (!newest.isOk()) return newest.status();
        logOptions.start.position = state.position();
        logOptions.start.ends = state.ends;
        logOptions.start.recordDigest = state.facts.journalDigest;
        logOptions.start.minimum = snapshots->isInstalling() ? 0 : newest.value();
        executor = std::move(state.executor);
        outputs.release(executor->position());
        outputs.recovering(true);
        Result<std::unique_ptr<MemberLog>> openedLog =
            MemberLog::open(storage, *lock, logOptions, [this](const LogEntry& entry) {
                executor->execute(entry);
                return Status();
            });
        if (!openedLog.isOk()) {
            std::string damaged;
            for (const std::string& each : refusedSnapshots) damaged += "; " + each;
            return Status(openedLog.status().code(), openedLog.status().message() + damaged);
        }
        log = openedLog.take();
        snapshots->attach(*log);
        outputs.recovering(false);
        return snapshots->isInstalling() ? snapshots->installed() : Status();
    }

    // Whether the log is in no record, as noted. What is in a folder that no member has opened yet was put there: a copy.
    Result<bool> isOrphaned(bool isNew) {
        Result<std::optional<DurableNote>> noted = readNote(storage, options.data, kOrphanedNote);
        if (!noted.isOk()) return noted.status();
        if (noted.value().has_value()) return true;
        if (!isNew) return false;
        Result<std::vector<journal::SegmentName>> segments =
            journal::listSegments(storage, journal::joinPath(options.data, "journal"));
        if (!segments.isOk()) return segments.status();
        Result<std::vector<journal::SnapshotListing>> listed =
            journal::listSnapshots(storage, journal::joinPath(options.data, "snapshots"));
        if (!listed.isOk()) return listed.status();
        if (segments.value().empty() && listed.value().empty()) return false;
        VERBEX_RETURN_IF_FAILED(writeNote(storage, options.data, kOrphanedNote, {}));
        return true;
    }

    Result<Position> firstKept(const std::string& directory) {
        Result<std::vector<journal::SegmentName>> segments = journal::listSegments(storage, directory);
        if (!segments.isOk()) return segments.status();
        return segments.value().empty() ? Position{1} : segments.value().front().firstPosition;
    }

    const MemberOptions options;
    journal::Storage& storage;
    std::unique_ptr<journal::DirectoryLock> lock;
    Outputs outputs;
    std::unique_ptr<Executor> executor;
    std::unique_ptr<MemberSnapshots> snapshots;
    std::vector<std::string> refusedSnapshots;
    std::unique_ptr<MemberLog> log;
    std::unique_ptr<SnapshotTransfer> transfer;
    std::unique_ptr<Replica> replica;
    std::unique_ptr<ClientPort> port;
    ScrubWatch scrubWatch;
    uint64_t installs = 0;  // that the watch knows of
    bool ended = false;  // subscribers have been told that this member halts
};

Member::Member(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Member::~Member() = default;

Result<std::unique_ptr<Member>> Member::open(const MemberOptions& given, journal::Storage& storage,
                                             Wires& wires, ControlStore& control, Moment now) {
    MemberOptions options = given;
    options.replica.executor.limits = options.limits;
    options.replica.executor.mutant = options.replica.mutant;
    options.replica.birth = hash128(&options.journalId, sizeof(options.journalId)).lo;
    auto parts = std::make_unique<Parts>(options, storage);
    VERBEX_RETURN_IF_FAILED(storage.createDirectory(options.data));
    Result<std::unique_ptr<journal::DirectoryLock>> lock = storage.lockDirectory(options.data);
    if (!lock.isOk()) return lock.status();
    parts->lock = lock.take();

    Result<std::optional<MemberFacts>> loaded = loadMemberFacts(storage, options.data);
    if (!loaded.isOk()) return loaded.status();
    const uint64_t boot = options.boot.empty() ? 0 : hashOf(options.boot);
    MemberFacts facts;
    facts.id = options.id;
    facts.incarnation = 0;  // not born yet: see Replica::beBorn()
    facts.cluster = hashOf(options.cluster);
    facts.durable = options.replica.durable;
    facts.scrubNs = options.replica.executor.scrubNs;
    facts.capacities = {options.limits.maxOrders, options.limits.maxAccounts,
                        options.limits.maxInstruments, options.limits.maxClientIds};
    if (loaded.value().has_value()) {
        const MemberFacts asked = facts;
        facts = *loaded.value();
        if (facts.scrubNs != asked.scrubNs || facts.capacities != asked.capacities) {
            return Status(StatusCode::Refused,
                          "LIMITS_DIFFER: " + options.data +
                              " was made with other capacities, or another time between scrubs");
        }
        if (facts.cluster != hashOf(options.cluster) || facts.id != options.id) {
            return Status(StatusCode::Refused, options.data + " belongs to another cluster or member");
        }
        // Where there is nobody else, nobody else can have what this log may have lost: a lone member in
        // memory mode goes on with what it has, as its mode says.
        const bool vouched = vouches(facts, boot) || options.replica.members.size() == 1 ||
                             options.replica.mutant == Mutant::VouchAfterRestart;
        // One that has computed something else may be about to give its log up.
        Result<std::optional<DurableNote>> distrusted =
            readNote(storage, options.data, kDistrustedNote);
        if (!distrusted.isOk()) return distrusted.status();
        const bool another = !vouched || distrusted.value().has_value();
        if (another && facts.incarnation != 0) facts.incarnation++;
        facts.durable = options.replica.durable && (facts.durable || facts.closed || !vouched);
    }
    Result<bool> orphaned = parts->isOrphaned(!loaded.value().has_value());
    if (!orphaned.isOk()) return orphaned.status();
    facts.boot = boot;
    facts.closed = false;
    VERBEX_RETURN_IF_FAILED(storeMemberFacts(storage, options.data, facts));

    VERBEX_RETURN_IF_FAILED(parts->recover());
    bool isAside = orphaned.value();
    if (isAside && parts->log->last() == 0) {
        // There is nothing in it that could be lost.
        VERBEX_RETURN_IF_FAILED(removeNote(storage, options.data, kOrphanedNote));
        isAside = false;
    }
    parts->transfer = std::make_unique<SnapshotTransfer>(*parts->snapshots);

    Parts& all = *parts;
    Replica::Surroundings with{*all.log, all.outputs,   all.executor, wires,  control,
                               nullptr,  nullptr,       *all.transfer, nullptr, nullptr,
                               nullptr,  isAside};
    with.store = [&all](const MemberFacts& changed) {
        return storeMemberFacts(all.storage, all.options.data, changed).isOk();
    };
    with.rebuild = [&all] {
        const Status status = all.rebuild(true);
        if (!status.isOk()) all.replica->fail(status.within("executing the log again"));
        all.ended = false;
        return status.isOk();
    };
    with.distrust = [&all] { return all.snapshots->distrust().isOk(); };
    with.startOver = [&all](bool& emptied) {
        const Status status = all.startOver(emptied);
        if (!status.isOk()) all.replica->fail(status.within("starting over"));
        all.ended = false;
        return status.isOk();
    };
    with.orphan = [&all](bool is) {
        return (is ? writeNote(all.storage, all.options.data, kOrphanedNote, {})
                   : removeNote(all.storage, all.options.data, kOrphanedNote))
            .isOk();
    };
    all.replica = std::make_unique<Replica>(options.replica, facts, std::move(with), now);
    all.port = std::make_unique<ClientPort>(options.clients, *all.replica, *all.log, all.outputs,
                                            *all.snapshots, wires);
    return std::unique_ptr<Member>(new Member(std::move(parts)));
}

void Member::onFrame(NodeId from, std::span<const std::byte> frame, Moment now) {
    if (failed()) return;
    if (from >= kFirstClient) {
        parts_->port->onFrame(from, frame);
    } else {
        parts_->replica->onFrame(from, frame, now);
    }
}

void Member::onClosed(NodeId client) { parts_->port->onClosed(client); }

bool Member::step(Moment now) {
    if (failed()) return false;
    bool done = parts_->replica->step(now);
    if (parts_->replica->role() == Role::Halted) {
        if (!parts_->ended) parts_->port->endAll(Answered::Halted);
        parts_->ended = true;
        return done;
    }
    parts_->ended = false;
    if (!failed()) {
        const Executor& executor = *parts_->executor;
        parts_->snapshots->consider(parts_->outputs, executor);
        if (parts_->installs != parts_->transfer->installs()) {
            parts_->installs = parts_->transfer->installs();
            parts_->scrubWatch.restart(executor.scrubs());
        }
        parts_->scrubWatch.look(executor.scrubs(), executor.position(), parts_->outputs.released(),
                                now.steadyNs);
    }
    return parts_->port->step(now.steadyNs) || done;
}

uint64_t Member::nextTimer() const { return parts_->replica->nextTimer(); }

Status Member::close() {
    if (failed()) return failure();
    VERBEX_RETURN_IF_FAILED(parts_->log->write());
    VERBEX_RETURN_IF_FAILED(parts_->log->close());
    MemberFacts facts = parts_->replica->facts();
    facts.closed = true;
    return storeMemberFacts(parts_->storage, parts_->options.data, facts);
}

Status Member::evict(MemberId member) { return parts_->replica->evict(member); }
Status Member::readmit(MemberId member) { return parts_->replica->readmit(member); }
Status Member::force() { return parts_->replica->force(); }
Status Member::found() { return parts_->replica->found(); }
Status Member::fenceSite() { return parts_->replica->become(Site::Fenced); }
Status Member::activateSite() { return parts_->replica->become(Site::Active); }
Status Member::standbySite() { return parts_->replica->become(Site::Standby); }
Status Member::promote(MemberId member) { return parts_->replica->promote(member); }

bool Member::failed() const { return !parts_->replica->failure().isOk(); }
Status Member::failure() const { return parts_->replica->failure(); }
MemberLog& Member::log() { return *parts_->log; }
Outputs& Member::outputs() { return parts_->outputs; }
Executor& Member::executor() { return *parts_->executor; }
Replica& Member::replica() { return *parts_->replica; }
const SnapshotTransfer& Member::transfer() const { return *parts_->transfer; }
MemberSnapshots& Member::snapshots() { return *parts_->snapshots; }

MemberStatus Member::status() const {
    const Replica& replica = *parts_->replica;
    MemberStatus status;
    status.id = replica.facts().id;
    status.incarnation = replica.facts().incarnation;
    status.role = replica.role();
    status.halted = replica.halted();
    status.orphaned = replica.isOrphaned();
    status.configuration = replica.configuration();
    status.revision = replica.revision();
    status.promised = replica.facts().promised;
    status.lastEpoch = parts_->log->lastEpoch();
    status.position = parts_->log->last();
    status.acknowledged = replica.acknowledged();
    status.durable = parts_->log->durable();
    status.commit = replica.commit();
    status.released = parts_->outputs.released();
    status.resultHash = parts_->executor->result();
    status.degraded = replica.degraded();
    status.commands = replica.counters().commands;
    status.repeats = parts_->executor->repeats();
    status.takeovers = replica.counters().takeovers;
    status.truncations = replica.counters().truncations;
    status.scrubs = parts_->executor->scrubs();
    status.scrubLongestNs = parts_->scrubWatch.longestNs();
    status.snapshotHolds = std::as_const(*parts_->snapshots).holds();
    status.clients = parts_->port->clients();
    status.first = parts_->log->first();
    status.snapshot = parts_->snapshots->newest();
    status.snapshots = parts_->snapshots->taken();
    status.installs = parts_->transfer->installs();
    status.snapshotTrouble = parts_->snapshots->trouble();
    status.refusedSnapshots = parts_->refusedSnapshots;
    for (const auto& [id, peer] : replica.progress()) {
        status.peers.push_back({id, peer.heardAt != 0, peer.acknowledged, peer.matched});
    }
    return status;
}

}  // namespace verbex::replication
