#include "node/snapshot_thread.h"

#include <pthread.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <utility>

#include "journal/reader.h"
#include "journal/segment.h"
#include "node/data_directory.h"
#include "node/state_recovery.h"
#include "replication/core_state.h"

namespace verbex::node {

namespace {

constexpr int kNiceness = 10;
// A snapshot that recovery may fall back to is one of the newest two.
constexpr size_t kMarksMax = 16;

}  // namespace

SnapshotThread::SnapshotThread(journal::Storage& storage, journal::SnapshotStore& store,
                               SnapshotSettings settings, SnapshotMark start, Position newest)
    : storage_(storage), store_(store), settings_(std::move(settings)), marks_{start},
      position_(newest) {}

SnapshotThread::~SnapshotThread() { stop(); }

void SnapshotThread::start() {
    thread_ = std::thread([this] { run(); });
    pthread_setname_np(thread_.native_handle(), "vbx-snapshot");
}

void SnapshotThread::request(const SnapshotMark& mark, SnapshotDone done) {
    bool accepted = false;
    {
        const std::lock_guard guard(mutex_);
        if (!stopped_) {
            waiting_.fetch_add(1, std::memory_order_acq_rel);
            requests_.push_back({mark, std::move(done)});
            accepted = true;
        }
    }
    if (accepted) {
        // Not under the lock: the engine must not wait for the thread that it wakes.
        arrived_.notify_one();
        return;
    }
    if (done) done({Failure(kCodeClosed, "the node stops"), mark.position, {}});
}

void SnapshotThread::stop() {
    std::deque<Request> left;
    {
        const std::lock_guard guard(mutex_);
        stopped_ = true;
        abandon_.store(true, std::memory_order_relaxed);
        left.swap(requests_);
        arrived_.notify_one();
    }
    if (thread_.joinable()) thread_.join();
    for (const Request& request : left) {
        if (request.done) {
            request.done({Failure(kCodeClosed, "the node stops"), request.mark.position, {}});
        }
        waiting_.fetch_sub(1, std::memory_order_acq_rel);
    }
}

std::string SnapshotThread::status() const {
    const std::lock_guard guard(mutex_);
    return status_;
}

void SnapshotThread::run() {
    // A niceness of this thread alone; a refusal costs speed only.
    (void)setpriority(PRIO_PROCESS, static_cast<id_t>(syscall(SYS_gettid)), kNiceness);
    for (;;) {
        Request request;
        {
            std::unique_lock lock(mutex_);
            arrived_.wait(lock, [this] { return stopped_ || !requests_.empty(); });
            if (stopped_) return;
            request = std::move(requests_.front());
            requests_.pop_front();
        }
        const SnapshotOutcome outcome = take(request.mark);
        remember(outcome.failure);
        waiting_.fetch_sub(1, std::memory_order_acq_rel);
        if (request.done) request.done(outcome);
    }
}

void SnapshotThread::remember(const Failure& failure) {
    if (diverged() && failure.code != kCodeSnapshotDiverged) return;
    const std::lock_guard guard(mutex_);
    status_ = failure.isOk() ? "" : failure.code + ": " + failure.message;
}

SnapshotOutcome SnapshotThread::take(const SnapshotMark& mark) {
    if (diverged()) return {Failure(kCodeSnapshotDiverged, status()), mark.position, {}};
    SnapshotOutcome outcome = replayAndWrite(mark);
    outcome.position = mark.position;
    return outcome;
}

SnapshotOutcome SnapshotThread::replayAndWrite(const SnapshotMark& mark) {
    SnapshotOutcome outcome;
    if (mark.position == 0) return outcome;  // nothing happened yet: genesis needs no snapshot

    Result<SnapshotState> loaded =
        loadNewestState(storage_, settings_.data, settings_.limits, mark.position);
    if (!loaded.isOk()) return {loaded.status(), 0, {}};
    SnapshotState base = loaded.take();
    for (const std::string& refused : base.refused) {
        // A file that was read back right is unreadable now: said by status(), repaired by going
        // on.
        remember(Failure("SNAPSHOT_DAMAGED", refused));
    }
    if (base.facts.position == mark.position) {
        outcome.stateHash = base.facts.stateHash;
        return outcome;
    }

    Replay replay(*base.core, mark.position, &abandon_);
    const Position first = replay.follow(base.facts);
    // The last known point of the digest chain that the shadow passes. Before the session's start
    // there is none.
    const auto known = std::find_if(marks_.rbegin(), marks_.rend(), [&](const SnapshotMark& one) {
        return one.position == base.facts.position || &one == &marks_.front();
    });
    replay.digestAfter(known->position, known->events);
    Result<std::unique_ptr<journal::JournalReader>> reader = journal::JournalReader::open(
        storage_, journalDirectory(settings_.data), first);
    if (!reader.isOk()) return {reader.status(), 0, {}};
    Status read = reader.value()->readUpTo(
        mark.position,
        [&replay](const journal::RecordView& record) { return replay.take(record); });
    if (!read.isOk()) return {read, 0, {}};
    if (base.core->position() != mark.position) {
        return {diverge("the journal on disk ends at position " +
                        std::to_string(base.core->position()) + ", the engine was at " +
                        std::to_string(mark.position)),
                0,
                {}};
    }
    if (!(replay.digest() == mark.events)) {
        return {diverge("replaying the journal from position " +
                        std::to_string(base.facts.position) + " to " +
                        std::to_string(mark.position) +
                        " gave other events than the engine published"),
                0,
                {}};
    }
    // The engine's digest up to here is proven, whatever becomes of the file.
    // A later snapshot begins from one of the two that are kept. So what goes is the attempt before
    // this one, if nothing came of it (the base is older), else the oldest.
    marks_.push_back(mark);
    if (marks_.size() > kMarksMax) {
        const auto before = marks_.end() - 2;
        marks_.erase(before->position > base.facts.position ? before : marks_.begin() + 1);
    }
    journal::SnapshotFacts facts;
    facts.journalId = reader.value()->journalId();
    facts.position = mark.position;
    facts.epoch = reader.value()->epoch();
    facts.journalDigest = reader.value()->digest();
    // The snapshot may name nothing that a power cut could take out of the journal again. The mark
    // lies at the end of a written record.
    if (settings_.syncJournal) {
        if (Status durable = settings_.syncJournal(); !durable.isOk()) {
            settings_.journalFailed(durable);
            return {durable, 0, {}};
        }
    }
    outcome.failure = write(*base.core, facts, outcome.stateHash);
    base.core.reset();  // room for the one that is read back
    if (outcome.failure.isOk()) outcome.failure = readBack(mark.position, outcome.stateHash);
    if (!outcome.failure.isOk()) return outcome;
    position_.store(mark.position, std::memory_order_release);
    snapshots_.fetch_add(1, std::memory_order_relaxed);
    if (settings_.prune) {
        Result<std::vector<journal::SnapshotListing>> kept = store_.list();
        Status pruned = kept.status();
        // Not on the word of one snapshot alone: were it lost, nothing would be left to start from.
        if (pruned.isOk() && kept.value().size() >= journal::kSnapshotsKept) {
            pruned = journal::removeSegmentsBefore(storage_, journalDirectory(settings_.data),
                                                   kept.value().back().position);
        }
        if (!pruned.isOk()) outcome.failure = pruned.within("pruning the journal");
    }
    return outcome;
}

Failure SnapshotThread::write(Core& shadow, const journal::SnapshotFacts& facts,
                              Digest128& stateHash) {
    stateHash = shadow.hash();
    Result<std::unique_ptr<journal::SnapshotWriter>> writer = store_.begin(facts);
    if (!writer.isOk()) return writer.status();
    if (Status written = replication::writeCoreState(*writer.value(), shadow); !written.isOk()) {
        const Failure failure = written;
        if (Status dropped = store_.discard(writer.take()); !dropped.isOk()) return dropped;
        return failure;
    }
    return store_.publish(writer.take(), stateHash);
}

Failure SnapshotThread::readBack(Position position, const Digest128& stateHash) {
    Result<std::vector<journal::SnapshotListing>> listed = store_.list();
    if (!listed.isOk()) return listed.status();
    if (listed.value().empty() || listed.value().front().position != position) {
        return Failure("SNAPSHOT_DAMAGED",
                       "the snapshot at position " + std::to_string(position) + " is not listed");
    }
    journal::SnapshotFacts facts;
    // Compares the hash of the loaded core with the file's own.
    const std::string& name = listed.value().front().name;
    Result<std::unique_ptr<Core>> core =
        loadSnapshot(storage_, settings_.data, name, settings_.limits, facts);
    if (!core.isOk()) return core.status();
    if (facts.stateHash == stateHash) return {};
    return diverge("the snapshot at position " + std::to_string(position) +
                   " reads back as another state");
}

Failure SnapshotThread::diverge(const std::string& what) {
    Failure failure(kCodeSnapshotDiverged, what);
    diverged_.store(true, std::memory_order_release);
    if (Status noted = noteDivergence(storage_, settings_.data, what); !noted.isOk()) {
        failure.message += " (and this could not be noted on disk: " + noted.toString() + ")";
    }
    std::fprintf(stderr, "verbex: SNAPSHOT_DIVERGED: %s\n", failure.message.c_str());
    return failure;
}

}  // namespace verbex::node
