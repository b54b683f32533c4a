#include "node/log_source.h"

#include <algorithm>
#include <cstring>
#include <deque>
#include <filesystem>
#include <vector>

#include "base/crc32c.h"
#include "journal/reader.h"
#include "journal/recovery.h"
#include "journal/segment.h"
#include "journal/snapshots.h"
#include "node/snapshot_fetch.h"
#include "node/state_recovery.h"
#include "pipeline/steady_clock.h"
#include "replication/cluster_client.h"
#include "transport/host/host_network.h"
#include "wire/command_codec.h"

namespace verbex::node {

using pipeline::steadyNs;

namespace {

using replication::Answered;
using replication::ClusterClient;

// Records, their payloads one behind the other in memory that is used again.
class RecordStore {
public:
    void clear() {
        bytes_.clear();
        records_.clear();
        at_ = 0;
    }
    void add(uint64_t epoch, Position first, uint32_t count, std::span<const std::byte> payload) {
        records_.push_back({epoch, first, count, bytes_.size(), payload.size()});
        bytes_.insert(bytes_.end(), payload.begin(), payload.end());
    }
    [[nodiscard]] bool isEmpty() const { return at_ == records_.size(); }
    LogRecord take() {
        const Kept& kept = records_[at_++];
        return {kept.epoch, kept.first, kept.count, {bytes_.data() + kept.offset, kept.size}};
    }

private:
    struct Kept {
        uint64_t epoch;
        Position first;
        uint32_t count;
        size_t offset;
        size_t size;
    };
    std::vector<std::byte> bytes_;
    std::vector<Kept> records_;
    size_t at_ = 0;
};

Status copySnapshot(journal::Storage& storage, const std::string& data,
                    const SourceSnapshot& snapshot, journal::SnapshotWriter& into) {
    Result<std::unique_ptr<journal::File>> file = storage.open(
        journal::joinPath(snapshotDirectory(data), snapshot.name), journal::FileMode::Read);
    if (!file.isOk()) return file.status();
    Result<std::unique_ptr<journal::SnapshotReader>> reader =
        journal::SnapshotReader::open(file.take(), snapshot.name);
    if (!reader.isOk()) return reader.status();
    for (;;) {
        Result<std::span<const std::byte>> piece = reader.value()->next();
        if (!piece.isOk()) return piece.status();
        if (piece.value().empty()) return {};
        VERBEX_RETURN_IF_FAILED(into.write(piece.value()));
    }
}

// ---- a directory

// The largest record fits: positions that are read at a time.
constexpr Position kReadAhead = journal::kPayloadBytesMax / kCommandLineBytes;

class DirectorySource final : public LogSource {
public:
    DirectorySource(journal::Storage& storage, const std::string& directory)
        : LogSource(directory), storage_(storage) {}

    Failure open() {
        const std::string within = journalDirectory(name_);
        Result<std::vector<journal::SegmentName>> segments =
            journal::listSegments(storage_, within);
        if (!segments.isOk()) return segments.status();
        journal::RecoveryOptions options{.fromPosition = 0};
        if (!segments.value().empty()) {
            journal_ = within;
            if (Failure wrong = readSurroundings(options); !wrong.isOk()) return wrong;
        } else {
            journal_ = name_;
            segments = journal::listSegments(storage_, name_);
            if (!segments.isOk()) return segments.status();
            if (segments.value().empty()) {
                return Status(StatusCode::NotFound, "there is no journal in " + name_);
            }
        }
        const journal::RecoveryReport report = journal::verifyJournal(
            storage_, journal_, options,
            [this](const journal::RecordView& record) { return comparedWith(record); });
        if (!report.status.isOk()) {
            Failure failure(report.status);
            failure.place = report.damage;
            return failure;
        }
        tornBytes_ = report.tornBytes;
        first_ = next_ = report.commands == 0 ? report.end.nextPosition : report.firstPosition;
        last_ = report.end.nextPosition - 1;
        if (report.commands == 0) return {};
        Result<std::unique_ptr<journal::JournalReader>> reader =
            journal::JournalReader::open(storage_, journal_, first_);
        if (!reader.isOk()) return reader.status();
        reader_ = reader.take();
        return {};
    }

    Failure next(LogRecord& into, bool& got) override {
        got = false;
        if (records_.isEmpty() && next_ <= last_ && reader_ != nullptr) {
            records_.clear();
            const Position to = std::min(last_, next_ + kReadAhead - 1);
            Status status = reader_->readUpTo(to, [this](const journal::RecordView& record) {
                records_.add(record.epoch, record.position, record.count, record.payload);
                return Status();
            });
            if (!status.isOk()) return status.within("reading " + name_);
            next_ = reader_->nextPosition();
        }
        if (records_.isEmpty()) return {};
        into = records_.take();
        got = true;
        return {};
    }

    Result<std::unique_ptr<Core>> load(const SourceSnapshot& snapshot,
                                       const CoreLimits& limits) override {
        journal::SnapshotFacts facts;
        return loadSnapshot(storage_, name_, snapshot.name, limits, facts);
    }
    Status copy(const SourceSnapshot& snapshot, journal::SnapshotWriter& into) override {
        return copySnapshot(storage_, name_, snapshot, into);
    }

private:
    // What else in a data directory says something about its journal.
    Failure readSurroundings(journal::RecoveryOptions& options) {
        Result<std::optional<DirectoryFacts>> facts = readFacts(storage_, name_);
        if (!facts.isOk()) return facts.status();
        facts_ = facts.value();
        if (facts_.has_value()) options.journalId = facts_->journalId;
        Result<std::vector<journal::SnapshotListing>> snapshots =
            journal::listSnapshots(storage_, snapshotDirectory(name_));
        if (!snapshots.isOk()) {
            if (snapshots.status().code() == StatusCode::NotFound) return {};
            return snapshots.status();
        }
        // The newest first: the journal must reach that far.
        if (!snapshots.value().empty()) {
            options.minimumPosition = snapshots.value().front().position;
        }
        return readSnapshots(snapshots.value());
    }
    Failure readSnapshots(const std::vector<journal::SnapshotListing>& listed) {
        for (auto each = listed.rbegin(); each != listed.rend(); ++each) {
            Result<journal::SnapshotFacts> facts =
                journal::verifySnapshot(storage_, snapshotDirectory(name_), each->name);
            if (facts.isOk()) {
                const journal::SnapshotFacts& its = facts.value();
                snapshots_.push_back({its.position, its.epoch, its.stateHash, each->name});
                snapshotFacts_.push_back(its);
            } else if (facts.status().code() == StatusCode::SnapshotDamaged ||
                       facts.status().code() == StatusCode::UnsupportedFormat) {
                refused_.push_back(facts.status().toString());
            } else {
                return facts.status().within("reading " + name_);
            }
        }
        if (facts_.has_value()) return {};
        Result<std::optional<CoreLimits>> limits = memberLimits(storage_, name_);
        if (!limits.isOk()) return limits.status();
        if (limits.value().has_value()) facts_ = DirectoryFacts{*limits.value(), {}};
        return {};
    }
    // A record that ends where a snapshot was taken says whether it is of this log.
    Status comparedWith(const journal::RecordView& record) const {
        if (record.count == 0) return {};
        for (const journal::SnapshotFacts& its : snapshotFacts_) {
            if (record.lastPosition() != its.position) continue;
            const bool same = isAnothers(its) ? record.epoch == its.epoch
                                              : record.digest == its.journalDigest;
            if (same) continue;
            return Status(StatusCode::SnapshotDamaged,
                          "the snapshot at position " + std::to_string(its.position) + " in " +
                              name_ + " was taken from another history than the journal holds");
        }
        return {};
    }

    journal::Storage& storage_;
    std::vector<journal::SnapshotFacts> snapshotFacts_;
    std::string journal_;
    std::unique_ptr<journal::JournalReader> reader_;
    RecordStore records_;
    Position next_ = 1;
};

// ---- a member

constexpr uint64_t kWaitNs = 1'000'000;
constexpr uint32_t kRingBytes = 1u << 22;
// A member that stops giving a snapshot twice, and offers it again, will not give it.
constexpr uint32_t kStallsMax = 2;

class MemberSource final : public LogSource, private replication::ClusterClientEvents {
public:
    MemberSource(journal::Storage& storage, const transport::Address& address,
                 const MemberSourceOptions& options)
        : LogSource(address.toString()), storage_(storage), address_(address), options_(options) {}
    ~MemberSource() override { leaveNothing(); }

    Failure open() {
        Failure failure = follow(1);
        if (failure.isOk() || !isLost_ || options_.scratch.empty()) return failure;
        // The member goes on: while the oldest one comes, the log behind it may be pruned too.
        for (const bool oldest : {true, false}) {
            const Result<Position> fetched = fetch(oldest);
            if (!fetched.isOk()) {
                failure = fetched.status().within("fetching a snapshot of " + name_);
                if (!oldest || fetched.status().code() != StatusCode::SnapshotDamaged) return failure;
                refused_.push_back(fetched.status().toString());
                continue;
            }
            failure = follow(fetched.value() + 1);
            if (failure.isOk()) return fetched.value() == 0 ? Failure() : noteSnapshot();
            if (!isLost_) return failure;
        }
        return failure;
    }

    Failure next(LogRecord& into, bool& got) override {
        got = false;
        if (taken_ == last_) return {};
        if (records_.isEmpty()) {
            records_.clear();
            Failure failure = pollUntil([this] { return !records_.isEmpty(); });
            if (!failure.isOk()) return failure;
        }
        into = records_.take();
        // The position that was released lies at the end of an entry.
        if (into.first != taken_ + 1 || into.last() > last_) {
            return Status(StatusCode::ProtocolViolation,
                          name_ + " has sent positions " + std::to_string(into.first) + " to " +
                              std::to_string(into.last()) + " behind " + std::to_string(taken_) +
                              ", though it has released up to " + std::to_string(last_));
        }
        taken_ = into.last();
        got = true;
        return {};
    }

    Result<std::unique_ptr<Core>> load(const SourceSnapshot& snapshot,
                                       const CoreLimits& limits) override {
        journal::SnapshotFacts facts;
        return loadSnapshot(storage_, options_.scratch, snapshot.name, limits, facts);
    }
    Status copy(const SourceSnapshot& snapshot, journal::SnapshotWriter& into) override {
        return copySnapshot(storage_, options_.scratch, snapshot, into);
    }

private:
    [[nodiscard]] transport::NetworkOptions networkOptions() const {
        transport::NetworkOptions network;
        network.node = "recovery";
        network.ringBytes = kRingBytes;
        network.payloadMax = replication::kFrameBytesMax;
        network.key = options_.key;
        return network;
    }
    [[nodiscard]] replication::ClusterClientOptions clientOptions() const {
        replication::ClusterClientOptions client;
        client.cluster = options_.cluster;
        client.members = {{1, address_}};
        client.anyMember = true;
        client.silentNs = options_.patienceNs;
        return client;
    }

    // Its log from `from` on. isLost_: it has not got that any more.
    Failure follow(Position from) {
        client_.reset();
        network_.reset();
        records_.clear();
        released_.reset();
        isLost_ = false;
        failure_ = {};
        first_ = from;
        taken_ = from - 1;
        Result<std::unique_ptr<transport::HostNetwork>> opened =
            transport::HostNetwork::open(networkOptions());
        if (!opened.isOk()) return opened.status();
        network_ = opened.take();
        replication::ClusterClientEvents& events = *this;
        client_ = std::make_unique<ClusterClient>(*network_, clientOptions(), events);
        client_->subscribeEntries(from);
        // It says how far it has released before it finds out whether it has the first of these entries.
        Failure failure = pollUntil([&] {
            return released_.has_value() && (*released_ < from || !records_.isEmpty());
        });
        // What is in a snapshot is released, whether the member has heard so again or not.
        if (failure.isOk()) last_ = std::max(*released_, from - 1);
        return failure;
    }

    Result<Position> fetch(bool oldest) {
        client_.reset();
        network_.reset();
        if (scratchLock_ == nullptr) {
            Result<std::unique_ptr<journal::DirectoryLock>> lock =
                storage_.lockDirectory(options_.scratch);
            if (!lock.isOk()) return lock.status();
            scratchLock_ = lock.take();
        }
        VERBEX_RETURN_IF_FAILED(removeSnapshots());
        SnapshotFetchOptions fetch;
        fetch.network = networkOptions();
        fetch.cluster = clientOptions();
        fetch.directory = snapshotDirectory(options_.scratch);
        fetch.oldest = oldest;
        fetch.giveUpNs = options_.patienceNs;
        fetch.patienceNs = 2 * options_.patienceNs;
        fetch.stallsMax = kStallsMax;
        return fetchSnapshot(storage_, *scratchLock_, fetch);
    }

    Failure noteSnapshot() {
        const std::string directory = snapshotDirectory(options_.scratch);
        Result<std::vector<journal::SnapshotListing>> listed =
            journal::listSnapshots(storage_, directory);
        if (!listed.isOk()) return listed.status();
        for (const journal::SnapshotListing& each : listed.value()) {
            Result<journal::SnapshotFacts> facts =
                journal::verifySnapshot(storage_, directory, each.name);
            if (!facts.isOk()) return facts.status();
            snapshots_.push_back({facts.value().position, facts.value().epoch,
                                  facts.value().stateHash, each.name});
        }
        Result<std::optional<CoreLimits>> limits = memberLimits(storage_, options_.scratch);
        if (!limits.isOk()) return limits.status();
        if (limits.value().has_value()) facts_ = DirectoryFacts{*limits.value(), {}};
        return {};
    }

    Status removeSnapshots() {
        const std::string directory = snapshotDirectory(options_.scratch);
        Result<std::vector<std::string>> names = storage_.list(directory);
        if (!names.isOk()) {
            return names.status().code() == StatusCode::NotFound ? Status() : names.status();
        }
        for (const std::string& name : names.value()) {
            VERBEX_RETURN_IF_FAILED(storage_.remove(journal::joinPath(directory, name)));
        }
        return {};
    }

    // What cannot be removed now is cleared by the next recovery into the same folder.
    void leaveNothing() {
        if (scratchLock_ == nullptr) return;
        (void)removeSnapshots();
        scratchLock_.reset();
        (void)storage_.remove(journal::joinPath(options_.scratch, "lock"));
        std::error_code stays;
        std::filesystem::remove(snapshotDirectory(options_.scratch), stays);
        std::filesystem::remove(options_.scratch, stays);
    }

    template <typename Is>
    Failure pollUntil(const Is& is) {
        uint64_t heardAt = steadyNs();
        while (!is()) {
            if (!failure_.isOk()) return failure_;
            const uint64_t now = steadyNs();
            if (client_->poll(now)) heardAt = now;
            client_->flush();
            if (is() || !failure_.isOk()) continue;
            if (now - heardAt > options_.patienceNs) {
                const std::string& why = client_->trouble();
                return Status(StatusCode::TimedOut,
                              "no member of cluster " + options_.cluster + " answers at " + name_ +
                                  (why.empty() ? "" : " (" + why + ")"));
            }
            network_->wait(kWaitNs);
        }
        return failure_;
    }

    void onEvents(const replication::EventsFrame&, std::span<const Event>) override {}
    void onEntry(const replication::EntriesFrame& frame,
                 std::span<const std::byte> payload) override {
        const replication::EntryHeader& entry = frame.entry;
        if (crc32c(payload.data(), payload.size()) != entry.payloadCrc) {
            failure_ = Status(StatusCode::ProtocolViolation,
                              name_ + " has sent the entry at position " +
                                  std::to_string(entry.first) + " with a wrong checksum");
            return;
        }
        records_.add(entry.epoch, entry.first, entry.count, payload);
    }
    void onReleased(Position position) override {
        // After a lost connection too, but the end stays where it was.
        if (!released_.has_value()) released_ = position;
    }
    void onSubmitted(const replication::SubmittedFrame&) override {}
    void onConnected(replication::MemberId) override {}
    void onDisconnected(const std::string&) override {}
    void onEnded(Answered, Position oldest) override {
        isLost_ = true;
        failure_ = Status(StatusCode::PositionLost,
                          name_ + " has no entry at position " +
                              std::to_string(client_->next()) + " any more, or not yet; the oldest "
                              "that it keeps is at " + std::to_string(oldest) +
                              ". Where it prunes its log faster than it can be read from here, copy its "
                              "folder on its machine with verbex backup, and recover from the copy");
    }

    journal::Storage& storage_;
    const transport::Address address_;
    const MemberSourceOptions options_;
    std::unique_ptr<journal::DirectoryLock> scratchLock_;  // once something was fetched
    std::unique_ptr<transport::HostNetwork> network_;
    std::unique_ptr<ClusterClient> client_;
    RecordStore records_;
    std::optional<Position> released_;
    Position taken_ = 0;
    bool isLost_ = false;
    Failure failure_;
};

template <typename Source>
OpenedSource opened(std::unique_ptr<Source> source) {
    Failure failure = source->open();
    if (!failure.isOk()) return {std::move(failure), nullptr};
    return {{}, std::move(source)};
}

}  // namespace

Result<std::unique_ptr<Core>> LogSource::load(const SourceSnapshot&, const CoreLimits&) {
    return Status(StatusCode::NotFound, name_ + " gives no snapshots");
}

Status LogSource::copy(const SourceSnapshot&, journal::SnapshotWriter&) {
    return Status(StatusCode::NotFound, name_ + " gives no snapshots");
}

OpenedSource openDirectorySource(journal::Storage& storage, const std::string& directory) {
    return opened(std::make_unique<DirectorySource>(storage, directory));
}

OpenedSource openMemberSource(journal::Storage& storage, const transport::Address& address,
                              const MemberSourceOptions& options) {
    return opened(std::make_unique<MemberSource>(storage, address, options));
}

}  // namespace verbex::node
