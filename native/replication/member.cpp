#include "replication/member.h"

#include <algorithm>

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

    // Executes the log again, from its beginning. Events that are kept are not written again.
    Status rebuild() {
        outputs.truncate(outputs.released());
        executor = std::make_unique<Executor>(options.replica.executor, outputs);
        const Position kept = std::max(outputs.last(), outputs.released());
        Outputs nowhere(0);
        nowhere.recovering(true);
        if (kept != 0) executor->into(nowhere);
        Status status = log->readRange(1, log->last(), [&](const LogEntry& entry) {
            if (entry.header.first > kept) executor->into(outputs);
            executor->execute(entry);
            return Status();
        });
        executor->into(outputs);
        return status;
    }

    const MemberOptions options;
    journal::Storage& storage;
    std::unique_ptr<journal::DirectoryLock> lock;
    Outputs outputs;
    std::unique_ptr<Executor> executor;
    std::unique_ptr<MemberLog> log;
    std::unique_ptr<Replica> replica;
    std::unique_ptr<ClientPort> port;
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
        if (!vouched && facts.incarnation != 0) facts.incarnation++;
        facts.durable = options.replica.durable && (facts.durable || facts.closed || !vouched);
    }
    facts.boot = boot;
    facts.closed = false;
    VERBEX_RETURN_IF_FAILED(storeMemberFacts(storage, options.data, facts));

    parts->executor = std::make_unique<Executor>(options.replica.executor, parts->outputs);
    parts->outputs.recovering(true);
    MemberLogOptions log;
    log.directory = journal::joinPath(options.data, "journal");
    log.segmentBytes = options.segmentBytes;
    log.tailBytes = options.tailBytes;
    log.journalId = options.journalId;
    Result<std::unique_ptr<MemberLog>> opened =
        MemberLog::open(storage, *parts->lock, log, [&parts](const LogEntry& entry) {
            parts->executor->execute(entry);
            return Status();
        });
    if (!opened.isOk()) return opened.status();
    parts->log = opened.take();
    parts->outputs.recovering(false);

    Parts& all = *parts;
    Replica::Surroundings with{*all.log, all.outputs, all.executor, wires, control, nullptr, nullptr};
    with.store = [&all](const MemberFacts& changed) {
        return storeMemberFacts(all.storage, all.options.data, changed).isOk();
    };
    with.rebuild = [&all] {
        const Status status = all.rebuild();
        if (!status.isOk()) all.replica->fail(status.within("executing the log again"));
        all.ended = false;
        return status.isOk();
    };
    all.replica = std::make_unique<Replica>(options.replica, facts, std::move(with), now);
    all.port = std::make_unique<ClientPort>(options.clients, *all.replica, *all.log, all.outputs, wires);
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
    return parts_->port->step() || done;
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

MemberStatus Member::status() const {
    const Replica& replica = *parts_->replica;
    MemberStatus status;
    status.id = replica.facts().id;
    status.incarnation = replica.facts().incarnation;
    status.role = replica.role();
    status.halted = replica.halted();
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
    status.takeovers = replica.counters().takeovers;
    status.truncations = replica.counters().truncations;
    status.scrubs = parts_->executor->scrubs();
    status.clients = parts_->port->clients();
    for (const auto& [id, peer] : replica.progress()) {
        status.peers.push_back({id, peer.heardAt != 0, peer.acknowledged, peer.matched});
    }
    return status;
}

}  // namespace verbex::replication
