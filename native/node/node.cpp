#include "node/node.h"

#include <pthread.h>

#include <algorithm>
#include <bit>

#include "node/data_directory.h"
#include "node/divergence_report.h"
#include "node/event_replay.h"
#include "node/snapshot_fetch.h"
#include "replication/member_log.h"
#include "wire/log_facts.h"

namespace verbex::node {

namespace {

// At saturation a batch is this long: 256 KiB of journal, which a disk takes in about twice the time of a quarter.
constexpr uint32_t kBatchMax = 4096;

bool ringFits(uint32_t cells) {
    return std::has_single_bit(cells) && cells >= kRingCellsMin && cells <= kRingCellsMax;
}

Failure checkOptions(const NodeOptions& options, const NodeSurroundings& surroundings) {
    if (!ringFits(options.ringCells) || !ringFits(options.eventCells)) {
        return Status(StatusCode::InvalidArgument,
                      "ringCells and eventCells must be powers of two from " +
                          std::to_string(kRingCellsMin) + " to " + std::to_string(kRingCellsMax));
    }
    if (!options.data.empty() && surroundings.storage == nullptr) {
        return Status(StatusCode::InvalidArgument, "a data directory needs a storage");
    }
    if (options.segmentBytes < journal::kSegmentBytesMin ||
        options.segmentBytes > journal::kSegmentBytesMax) {
        return Status(StatusCode::InvalidArgument,
                      "segmentBytes must be from " + std::to_string(journal::kSegmentBytesMin) +
                          " to " + std::to_string(journal::kSegmentBytesMax));
    }
    if (options.syncEveryNs > kSyncEveryNsMax) {
        return Status(StatusCode::InvalidArgument,
                      "syncEveryNs must be at most " + std::to_string(kSyncEveryNsMax));
    }
    return {};
}

// A batch is one record, and must fit the smaller of the segment that is open and those to come.
uint32_t batchMaxFor(uint64_t segmentBytes) {
    const uint64_t commands = journal::payloadBytesMax(segmentBytes) / sizeof(Command);
    return static_cast<uint32_t>(std::min<uint64_t>(kBatchMax, commands));
}

}  // namespace

Node::Opened Node::open(const NodeOptions& options, const NodeSurroundings& surroundings) {
    if (Failure wrong = checkOptions(options, surroundings); !wrong.isOk()) {
        return {nullptr, std::move(wrong)};
    }
    std::unique_ptr<Node> node(new Node());
    node->plan_ = options.plan;
    if (node->plan_.spinNs == 0) {
        node->plan_.spinNs = pipeline::automaticSpinNs(node->plan_, pipeline::usableCores());
    }
    const CoreShards shards{node->plan_.riskShards, node->plan_.matchingShards};
    RecoveredState recovered;
    if (options.data.empty()) {
        CoreLimits limits = options.limits;
        if (Failure wrong = settleLimits(std::nullopt, limits); !wrong.isOk()) {
            return {nullptr, std::move(wrong)};
        }
        recovered.core = std::make_unique<Core>(limits, shards);
    } else if (Failure failure = node->recover(options, surroundings, recovered); !failure.isOk()) {
        return {nullptr, std::move(failure)};
    }
    node->opened_.recoveredFrom = recovered.snapshotPosition;
    node->opened_.replayed = recovered.replayed;
    node->opened_.recoveryNs = recovered.elapsedNs;
    node->opened_.tornBytes = recovered.journal.tornBytes;
    node->opened_.refusedSnapshots = std::move(recovered.refusedSnapshots);
    node->opened_.stateHash = recovered.core->hash().hex();
    if (Failure failure = node->start(options, surroundings, std::move(recovered.core));
        !failure.isOk()) {
        return {nullptr, std::move(failure)};
    }
    return {std::move(node), {}};
}

Failure Node::recover(const NodeOptions& options, const NodeSurroundings& surroundings,
                      RecoveredState& recovered) {
    journal::Storage& storage = *surroundings.storage;
    if (Status made = storage.createDirectory(options.data); !made.isOk()) return made;
    Result<std::unique_ptr<journal::DirectoryLock>> lock = storage.lockDirectory(options.data);
    if (!lock.isOk()) return lock.status();
    lock_ = lock.take();

    Result<std::optional<DirectoryFacts>> stored = readFacts(storage, options.data);
    if (!stored.isOk()) return stored.status();
    CoreLimits limits = options.limits;
    if (Failure differ = settleLimits(stored.value(), limits); !differ.isOk()) return differ;
    DirectoryFacts facts;
    if (stored.value().has_value()) {
        facts = *stored.value();
    } else {
        Result<std::vector<journal::SegmentName>> segments =
            journal::listSegments(storage, journalDirectory(options.data));
        if (!segments.isOk()) return segments.status();
        if (!segments.value().empty()) {
            return Status(StatusCode::JournalDamaged,
                          options.data + " holds a journal, but its facts file is missing");
        }
        facts.limits = limits;
        facts.journalId =
            surroundings.journalId.has_value() ? *surroundings.journalId : drawJournalId();
        if (Status written = writeFacts(storage, options.data, facts); !written.isOk()) {
            return written;
        }
    }
    for (const std::string& directory :
         {journalDirectory(options.data), snapshotDirectory(options.data)}) {
        if (Status made = storage.createDirectory(directory); !made.isOk()) return made;
    }
    Result<std::unique_ptr<journal::SnapshotStore>> store =
        journal::SnapshotStore::open(storage, *lock_, snapshotDirectory(options.data));
    if (!store.isOk()) return store.status();
    store_ = store.take();
    Result<std::string> diverged = readDivergence(storage, options.data);
    if (!diverged.isOk()) return diverged.status();
    if (!diverged.value().empty()) {
        opened_.snapshotStatus =
            std::string(kCodeSnapshotDiverged) + " in an earlier session: " + diverged.value();
    }

    if (options.cluster.has_value()) {
        if (Failure failure = beginAtSnapshot(options, storage, facts); !failure.isOk()) return failure;
    }
    recovered = recoverState(storage, lock_.get(), options.data, limits, UINT64_MAX,
                             StateSource::Newest, facts.journalId,
                             CoreShards{plan_.riskShards, plan_.matchingShards});
    if (!recovered.failure.isOk()) return recovered.failure;

    journal::WriterOptions writer;
    writer.durability =
        options.durable ? journal::Durability::Durable : journal::Durability::Async;
    writer.segmentBytes = options.segmentBytes;
    writer.journalId = facts.journalId;
    Result<std::unique_ptr<journal::JournalWriter>> opened = journal::JournalWriter::open(
        storage, *lock_, journalDirectory(options.data), recovered.journal.end, writer);
    if (!opened.isOk()) return opened.status();
    journal_ = opened.take();
    CHECK(journal_->nextPosition() == recovered.core->position() + 1);
    directIo_ = journal_->directIo();
    epoch_ = std::max<uint64_t>(journal_->epoch(), 1);
    const uint64_t segments = options.segmentBytes / journal::kBlockBytes * journal::kBlockBytes;
    batchMax_ = batchMaxFor(std::min(segments, journal_->segmentBytes()));

    SnapshotSettings settings;
    settings.data = options.data;
    settings.limits = limits;
    limits_ = limits;
    settings.limits.warm = false;  // a shadow is in no hurry
    if (!options.durable) settings.syncJournal = [this] { return syncJournal(); };
    settings.prune = options.pruneSegments;
    settings.journalFailed = [this](const Status& why) { engine_->fail(why); };
    snapshots_ = std::make_unique<SnapshotThread>(
        storage, *store_, std::move(settings),
        SnapshotMark{recovered.core->position(), EventDigest().value()},
        recovered.snapshotPosition);
    segments_ = std::make_unique<SegmentThread>(*journal_);
    if (!options.durable && options.syncEveryNs != 0) {
        syncs_ = std::make_unique<SyncThread>([this] { return syncJournal(); },
                                              options.syncEveryNs,
                                              [this](const Status& why) { engine_->fail(why); });
    }
    return {};
}

// An edge that has nothing begins with a member's snapshot where the cluster has pruned its log's first entry. One that
// has anything, be it messages of its gateways, does not: it would pass over what its clients have yet to be told.
Failure Node::beginAtSnapshot(const NodeOptions& options, journal::Storage& storage,
                              const DirectoryFacts& facts) {
    Result<std::vector<journal::SnapshotListing>> snapshots = store_->list();
    if (!snapshots.isOk()) return snapshots.status();
    const std::string journal = journalDirectory(options.data);
    Result<std::vector<journal::SegmentName>> segments = journal::listSegments(storage, journal);
    if (!segments.isOk()) return segments.status();
    Result<std::vector<std::string>> messages = storage.list(gatewayDirectory(options.data));
    if (messages.isOk() && !messages.value().empty()) return {};
    Position position = 0;
    if (!snapshots.value().empty()) {
        // It was stopped between the snapshot and the journal behind it.
        if (!segments.value().empty()) return {};
        position = snapshots.value().front().position;
    } else {
        const journal::RecoveryReport report = journal::verifyJournal(storage, journal);
        // What is damaged is said by the recovery that follows.
        if (!report.status.isOk() || report.end.nextPosition != 1) return {};
        SnapshotFetchOptions fetch;
        fetch.network = options.cluster->network;
        fetch.cluster = options.cluster->cluster;
        fetch.directory = snapshotDirectory(options.data);
        fetch.beforePublish = [&] { return replication::removeJournal(storage, journal); };
        const Result<Position> fetched = fetchSnapshot(storage, *lock_, fetch);
        if (!fetched.isOk()) {
            // Nobody is there yet: it begins with nothing, and follows when somebody is.
            if (fetched.status().code() == StatusCode::TimedOut) return {};
            return fetched.status().within("beginning at a member's snapshot");
        }
        position = fetched.value();
    }
    if (position == 0) return {};
    Result<std::optional<CoreLimits>> members = memberLimits(storage, options.data);
    if (!members.isOk()) return members.status();
    if (members.value().has_value()) {
        CoreLimits asked = facts.limits;
        if (Failure differ = settleLimits(DirectoryFacts{*members.value(), {}}, asked); !differ.isOk()) {
            return differ;
        }
    }
    journal::JournalEnd end;
    end.nextPosition = position + 1;
    journal::WriterOptions writing;
    writing.durability = journal::Durability::Async;
    writing.segmentBytes = options.segmentBytes;
    writing.journalId = facts.journalId;
    Result<std::unique_ptr<journal::JournalWriter>> writer =
        journal::JournalWriter::open(storage, *lock_, journal, end, writing);
    return writer.isOk() ? writer.value()->close() : writer.status();
}

Failure Node::start(const NodeOptions& options, const NodeSurroundings& surroundings,
                    std::unique_ptr<Core> core) {
    EngineOptions engine;
    engine.ringCells = options.ringCells;
    engine.eventCells = options.eventCells;
    engine.durable = options.durable;
    engine.batchMax = batchMax_;
    engine.snapshotEvery = options.snapshotEvery;
    engine.epoch = epoch_;
    engine.plan = plan_;
    EngineSurroundings with;
    with.journal = journal_.get();
    with.snapshots = snapshots_.get();
    with.segments = segments_.get();
    // An edge's time comes with the cluster's log.
    with.clock = options.cluster.has_value() ? nullptr : surroundings.clock;
    with.onEvents = [this, tell = surroundings.onEvents](uint32_t readers) {
        if ((readers & 1u) != 0 && tell) tell();
        if ((readers & 1u << GatewayHost::kReader) != 0) gateways_->wake();
        if ((readers & 1u << ClusterFeed::kReader) != 0) feed_->wake();
    };
    engine.eventReaders = (options.consumer ? 1u : 0u) |
                          (options.cluster.has_value() ? 1u << ClusterFeed::kReader : 0u) |
                          (options.gateways.has_value() ? 1u << GatewayHost::kReader : 0u);
    GatewayStart begin;
    if (options.gateways.has_value()) core->marketState(begin.state);
    with.onStep = surroundings.onStep;
    const Position position = core->position();
    const uint32_t processes = core->riskProcesses();
    const uint32_t away = core->riskProcessesAway();
    engine_ = std::make_unique<Engine>(engine, std::move(core), with);
    if (!options.cluster.has_value()) callBack(processes, away, position + 1);
    if (options.cluster.has_value()) {
        ClusterFeedOptions cluster = *options.cluster;
        if (!options.data.empty()) {
            cluster.onDiverged = [storage = surroundings.storage, data = options.data,
                                  edge = cluster.edge](const EdgeAudit::Difference& difference) {
                (void)writeEdgeReport(*storage, data, edge, difference);
            };
        }
        Result<std::unique_ptr<ClusterFeed>> feed = ClusterFeed::open(cluster, *engine_, position);
        if (!feed.isOk()) return feed.status();
        feed_ = feed.take();
    }
    if (options.gateways.has_value()) {
        Failure failure = openGateways(options, surroundings, std::move(begin));
        if (!failure.isOk()) return failure;
    }
    if (segments_ != nullptr) segments_->start();
    if (syncs_ != nullptr) syncs_->start();
    if (snapshots_ != nullptr) snapshots_->start();
    thread_ = std::thread([this] { engine_->run(); });
    pthread_setname_np(thread_.native_handle(), "vbx-engine");
    if (!plan_.cores.empty()) {
        pinning_ = pipeline::pin(thread_.native_handle(), "vbx-engine", plan_.cores[0]);
    }
    if (gateways_ != nullptr && !gateways_->sharesEngine()) gateways_->start();
    if (feed_ != nullptr) feed_->start();
    return {};
}

// The journal of a deployment in roles may say that risk processes are away. Here is one core, and it has all of them.
// Of an edge the cluster's log says it.
void Node::callBack(uint32_t processes, uint32_t away, Position from) {
    for (; away != 0; away &= away - 1) {
        const auto process = static_cast<uint32_t>(std::countr_zero(away));
        const Command back = availabilityOf(processes, process, false, from);
        CHECK(engine_->offer(&back, 1).taken == 1);  // nobody else offers yet
    }
}

Failure Node::openGateways(const NodeOptions& options, const NodeSurroundings& surroundings,
                           GatewayStart begin) {
    GatewayHostOptions gateways = *options.gateways;
    if (!options.data.empty()) {
        gateways.directory = gatewayDirectory(options.data);
        begin.replay = [storage = surroundings.storage, data = options.data, limits = limits_](
                           Position from, Position to, const GatewayStart::ReplaySink& sink) {
            return replayEvents(*storage, data, limits, from, to, sink);
        };
    }
    CommandEntry* const cluster = feed_.get();
    CommandEntry& entry = cluster != nullptr ? *cluster : *engine_;
    Result<std::unique_ptr<GatewayHost>> host = GatewayHost::open(gateways, *engine_, entry, begin);
    if (!host.isOk()) {
        const Status& why = host.status();
        if (why.code() != StatusCode::AlreadyExists) return why;
        return {kCodeAddressInUse, why.message()};
    }
    gateways_ = host.take();
    if (gateways_->sharesEngine()) {
        if (plan_.kind != pipeline::PlanKind::Serial) {
            return Status(StatusCode::InvalidArgument,
                          "gateways can share the engine's thread under the serial plan only");
        }
        engine_->shareWith(gateways_.get());
    }
    return {};
}

// Of the timer's thread and of the snapshot thread.
Status Node::syncJournal() {
    Status status = journal_->syncWritten();
    const Position durable = journal_->durablePosition();
    Position known = synced_.load(std::memory_order_relaxed);
    while (known < durable && !synced_.compare_exchange_weak(known, durable)) {
    }
    return status;
}

Node::~Node() { stop(); }

void Node::stop() {
    if (feed_ != nullptr) feed_->stop();
    if (engine_ != nullptr) engine_->stop();
    // First this one: the engine may wait for its last snapshot.
    if (snapshots_ != nullptr) snapshots_->stop();
    if (thread_.joinable()) thread_.join();
    // Only now has everything been published that will be.
    if (gateways_ != nullptr) gateways_->stop();
    if (segments_ != nullptr) segments_->stop();
    if (syncs_ != nullptr) syncs_->stop();
    // Nobody writes any more: the directory is free for the next node, however long this object
    // stays.
    journal_.reset();
    store_.reset();
    lock_.reset();
}

NodeStats Node::stats() const {
    NodeStats stats = opened_;
    const EngineCounters& counters = engine_->counters();
    stats.state = engine_->state();
    if (const Failure failure = engine_->failure(); !failure.isOk()) {
        stats.failure = failure.code + ": " + failure.message;
    }
    stats.position = counters.position.load(std::memory_order_acquire);
    stats.durablePosition = std::max(counters.durable.load(std::memory_order_acquire),
                                     synced_.load(std::memory_order_acquire));
    stats.publishedPosition = counters.published.load(std::memory_order_acquire);
    stats.commands = counters.commands.load(std::memory_order_relaxed);
    stats.events = counters.events.load(std::memory_order_relaxed);
    stats.batches = counters.batches.load(std::memory_order_relaxed);
    stats.ticks = counters.ticks.load(std::memory_order_relaxed);
    stats.backPressureWaits = counters.backPressureWaits.load(std::memory_order_relaxed);
    stats.journalBytes = counters.journalBytes.load(std::memory_order_relaxed);
    stats.directIo = directIo_;
    stats.plan = plan_.name();
    stats.spinNs = plan_.spinNs;
    stats.pinning = pinning_.message();
    stats.ringHighWater = engine_->ringHighWater();
    stats.pipeline = engine_->pipelineCounters();
    stats.snapshotStallNsMax = counters.snapshotStallNsMax.load(std::memory_order_relaxed);
    if (snapshots_ != nullptr) {
        stats.snapshots = snapshots_->snapshots();
        stats.snapshotPosition = snapshots_->position();
        if (const std::string status = snapshots_->status(); !status.empty()) {
            stats.snapshotStatus = status;
        }
    }
    return stats;
}

}  // namespace verbex::node
