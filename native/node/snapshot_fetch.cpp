#include "node/snapshot_fetch.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <span>

#include "base/crc32c.h"
#include "base/hash128.h"
#include "journal/snapshots.h"
#include "pipeline/steady_clock.h"
#include "replication/snapshot_transfer.h"
#include "transport/host/host_network.h"

namespace verbex::node {

using pipeline::steadyNs;

namespace {

constexpr uint64_t kFetchWaitNs = 1'000'000;
constexpr uint32_t kFetchRingBytes = 1u << 22;
// Without the parts that were asked for they are asked for again.
constexpr uint64_t kAgainNs = 500'000'000;

class SnapshotFetch final : private replication::ClusterClientEvents {
public:
    SnapshotFetch(const SnapshotFetchOptions& options, std::unique_ptr<journal::SnapshotStore> store)
        : options_(options), store_(std::move(store)) {}
    ~SnapshotFetch() { drop(); }

    Result<Position> run() {
        transport::NetworkOptions network = options_.network;
        network.ringBytes = std::max(network.ringBytes, kFetchRingBytes);
        network.payloadMax = std::max(network.payloadMax, replication::kFrameBytesMax);
        Result<std::unique_ptr<transport::HostNetwork>> opened =
            transport::HostNetwork::open(std::move(network));
        if (!opened.isOk()) return opened.status();
        const std::unique_ptr<transport::HostNetwork> net = opened.take();
        replication::ClusterClientOptions cluster = options_.cluster;
        cluster.anyMember = true;
        cluster.silentNs = options_.giveUpNs;
        replication::ClusterClientEvents& events = *this;
        client_ = std::make_unique<replication::ClusterClient>(*net, std::move(cluster), events);
        heardAt_ = steadyNs();
        while (!done_.has_value() && failure_.isOk()) {
            now_ = steadyNs();
            (void)client_->poll(now_);
            if (!done_.has_value() && failure_.isOk()) ask();
            client_->flush();
            if (now_ - heardAt_ > options_.patienceNs + (getting_ ? options_.giveUpNs : 0)) {
                failure_ = Status(StatusCode::TimedOut, "no member of cluster " + options_.cluster.cluster +
                                                            " gives a snapshot (" +
                                                            client_->trouble() + ")");
            }
            if (!done_.has_value()) net->wait(kFetchWaitNs);
        }
        client_.reset();
        if (!done_.has_value()) return failure_;
        return *done_;
    }

private:
    struct Getting {
        replication::OfferFrame offer;
        std::unique_ptr<journal::SnapshotWriter> writer;
        Hash128 hash{journal::kSnapshotChainSeed};
        uint64_t got = 0;
        uint32_t parts = 0;  // that have come of those asked for
        uint64_t cameAt = 0;
    };

    void ask() {
        if (!client_->connected()) return;
        const bool late = now_ - askedAt_ > kAgainNs;
        if (!getting_) {
            const uint8_t flags = options_.oldest ? replication::kWantOldest : 0;
            if (late && client_->want(0, options_.needed, flags)) askedAt_ = now_;
            return;
        }
        if (now_ - getting_->cameAt > options_.giveUpNs) {
            client_->tryNext("its snapshot does not come");
            return;
        }
        if (getting_->parts < replication::kPartsPerWant && !late) return;
        if (!client_->want(getting_->offer.position, getting_->got)) return;
        getting_->parts = 0;
        askedAt_ = now_;
    }

    void onOffer(const replication::OfferFrame& offer) override {
        heardAt_ = now_;
        if (getting_ || done_.has_value()) return;
        if (offer.position == 0) {
            done_ = 0;
            return;
        }
        journal::SnapshotFacts facts;
        facts.position = offer.position;
        facts.epoch = offer.positionEpoch;
        Result<std::unique_ptr<journal::SnapshotWriter>> writer = store_->begin(facts);
        if (!writer.isOk()) {
            failure_ = writer.status();
            return;
        }
        getting_ = std::make_unique<Getting>();
        getting_->offer = offer;
        getting_->writer = writer.take();
        getting_->cameAt = now_;
        getting_->parts = replication::kPartsPerWant;
    }

    void onPart(const replication::PartFrame& part, std::span<const std::byte> bytes) override {
        if (!getting_ || part.position != getting_->offer.position || part.offset != getting_->got ||
            part.bytes != bytes.size() || bytes.empty() ||
            bytes.size() > getting_->offer.contentBytes - getting_->got ||
            part.crc != crc32c(bytes.data(), bytes.size())) {
            return;
        }
        heardAt_ = now_;
        if (Status written = getting_->writer->write(bytes); !written.isOk()) {
            failure_ = written;
            return;
        }
        getting_->hash.update(bytes.data(), bytes.size());
        getting_->got += bytes.size();
        getting_->parts++;
        getting_->cameAt = now_;
        if (getting_->got == getting_->offer.contentBytes) finish();
    }

    void finish() {
        const std::unique_ptr<Getting> got = std::move(getting_);
        Status status;
        if (got->hash.digest() != got->offer.contentDigest) {
            status = Status(StatusCode::SnapshotDamaged,
                            "the snapshot that came is not the one that was offered");
        }
        if (status.isOk() && options_.beforePublish) status = options_.beforePublish();
        if (!status.isOk()) {
            (void)store_->discard(std::move(got->writer));  // the first failure is the answer
            failure_ = status;
            return;
        }
        status = store_->publish(std::move(got->writer), got->offer.stateHash);
        if (status.isOk()) {
            done_ = got->offer.position;
        } else {
            failure_ = status;
        }
    }

    // Whoever offers it and does not give it has it damaged, where parts of it have come, or is slow beyond all
    // measure: told by its offering it again.
    void noteStall() {
        if (getting_ == nullptr || now_ - getting_->cameAt < options_.giveUpNs) return;
        if (++stalls_ < options_.stallsMax || options_.stallsMax == 0) return;
        failure_ = Status(StatusCode::SnapshotDamaged,
                          "the snapshot at position " + std::to_string(getting_->offer.position) +
                              " comes up to byte " + std::to_string(getting_->got) + " of " +
                              std::to_string(getting_->offer.contentBytes) +
                              " only, however often: it is damaged where it lies");
    }

    void drop() {
        if (getting_ == nullptr) return;
        (void)store_->discard(std::move(getting_->writer));  // what is left goes at the next start
        getting_.reset();
    }

    void onEvents(const replication::EventsFrame&, std::span<const Event>) override {}
    void onEntry(const replication::EntriesFrame&, std::span<const std::byte>) override {}
    void onSubmitted(const replication::SubmittedFrame&) override {}
    void onConnected(replication::MemberId) override { askedAt_ = 0; }
    void onDisconnected(const std::string&) override {
        noteStall();
        // Whoever is dialled now has all the patience again.
        if (getting_ != nullptr) heardAt_ = now_;
        drop();
    }
    void onEnded(replication::Answered, Position) override {}

    const SnapshotFetchOptions& options_;
    const std::unique_ptr<journal::SnapshotStore> store_;
    std::unique_ptr<replication::ClusterClient> client_;
    std::unique_ptr<Getting> getting_;
    std::optional<Position> done_;
    Status failure_;
    uint64_t now_ = 0;
    uint64_t askedAt_ = 0;
    uint64_t heardAt_ = 0;
    uint32_t stalls_ = 0;
};

}  // namespace

Result<Position> fetchSnapshot(journal::Storage& storage, const journal::DirectoryLock& lock,
                               const SnapshotFetchOptions& options) {
    Result<std::unique_ptr<journal::SnapshotStore>> store =
        journal::SnapshotStore::open(storage, lock, options.directory);
    if (!store.isOk()) return store.status();
    return SnapshotFetch(options, store.take()).run();
}

}  // namespace verbex::node
