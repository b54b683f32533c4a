// The roles that own accounts or books: dial the sequencers until one takes them, and do as it says.
#include "node/role_host.h"

#include <pthread.h>

#include "pipeline/steady_clock.h"

namespace verbex::node {

using pipeline::steadyNs;
using transport::Link;

namespace {

constexpr size_t kRoleMessagesPerPoll = 256;
constexpr uint64_t kRoleStatusEveryNs = 5'000'000;
constexpr uint64_t kIdleNs = 5'000'000;

}  // namespace

// The one link of a role process.
class RoleHost::Links final : private transport::NetworkEvents, private transport::Receiver {
public:
    Links(transport::Network& network, const RoleHostOptions& options, roles::RoleProcess& process)
        : network_(network), options_(options), process_(process) {}

    bool poll(uint64_t nowNs) {
        now_ = nowNs;
        network_.poll(nowNs, *this);
        // What it will begin with is known first: a link that is up wants to be told.
        if (link_ == nullptr && dialling_ == 0 && nowNs >= dialAt_ && process_.ready()) {
            dialAt_ = nowNs + options_.redialNs;
            dialling_ = network_.connect(options_.sequencers[at_++ % options_.sequencers.size()],
                                         std::string(kRoleService) + options_.name,
                                         replication::kClientEpoch, nowNs);
        }
        if (link_ == nullptr) return false;
        const bool received = link_->poll(*this, kRoleMessagesPerPoll) != 0;
        if (received) heardAt_ = nowNs;
        if (nowNs - heardAt_ > options_.silentNs) {
            trouble_ = "the sequencer says nothing";
            leave_ = true;
        }
        if (leave_) {
            leave_ = false;
            network_.drop(*link_);
            link_ = nullptr;
            return true;
        }
        process_.report();
        const bool sent = process_.channel().flush([this](std::span<const std::byte> frame) {
            transport::Message message;
            message.kind = replication::kFrameMessage;
            message.payload = frame;
            return link_->offer(message) == transport::Answer::Accepted;
        });
        link_->flush();
        return received || sent;
    }
    [[nodiscard]] bool connected() const { return link_ != nullptr; }
    [[nodiscard]] const std::string& trouble() const { return trouble_; }

private:
    void onAccepted(transport::ListenId, Link& link) override { link.close(); }
    void onConnected(transport::ConnectId id, Link& link) override {
        if (id != dialling_) return link.close();
        dialling_ = 0;
        link_ = &link;
        heardAt_ = now_;
        process_.attach();
    }
    void onRefused(transport::ConnectId id, const Status& why) override {
        if (id != dialling_) return;
        dialling_ = 0;
        trouble_ = why.toString();
    }
    void onOver(Link& link) override {
        if (&link == link_) {
            link_ = nullptr;
            trouble_ = link.failure().isOk() ? "the sequencer has ended the link"
                                             : link.failure().toString();
        }
        network_.drop(link);
    }
    void onMessage(const transport::Message& message) override {
        if (leave_) return;
        const Status status = process_.onFrame(message.payload);
        if (status.isOk()) return;
        trouble_ = status.toString();
        leave_ = true;
    }

    transport::Network& network_;
    const RoleHostOptions& options_;
    roles::RoleProcess& process_;
    Link* link_ = nullptr;
    transport::ConnectId dialling_ = 0;
    uint64_t dialAt_ = 0;
    size_t at_ = 0;  // whom it dials next
    uint64_t heardAt_ = 0;
    uint64_t now_ = 0;
    bool leave_ = false;
    std::string trouble_;
};

RoleHost::RoleHost() = default;

Result<std::unique_ptr<RoleHost>> RoleHost::open(const RoleHostOptions& options,
                                                 journal::Storage& storage) {
    if (options.sequencers.empty()) {
        return Status(StatusCode::InvalidArgument, "a role has a sequencer to dial");
    }
    std::unique_ptr<RoleHost> host(new RoleHost());
    host->options_ = options;
    transport::NetworkOptions network = options.network;
    network.ringBytes = std::max(network.ringBytes, 1u << 22);
    network.payloadMax = std::max(network.payloadMax, replication::kFrameBytesMax);
    Result<std::unique_ptr<transport::HostNetwork>> opened =
        transport::HostNetwork::open(std::move(network));
    if (!opened.isOk()) return opened.status();
    host->network_ = opened.take();
    if (options.kind == PartKind::Risk) {
        host->process_ = std::make_unique<roles::RiskProcess>(options.role);
    } else if (options.kind == PartKind::Matching) {
        host->process_ = std::make_unique<roles::MatchingProcess>(options.role);
    } else {
        return Status(StatusCode::InvalidArgument, "a role is risk or matching");
    }
    if (!options.snapshots.empty()) {
        roles::RoleSnapshotOptions snapshots;
        snapshots.whose = {options.name, options.kind, options.role.shard, options.role.riskShards,
                           options.role.matchingShards, options.role.limits, options.role.mutant};
        snapshots.directory = options.snapshots;
        snapshots.everyCommands = options.snapshotEvery;
        Result<std::unique_ptr<roles::RoleSnapshots>> kept =
            roles::RoleSnapshots::open(storage, snapshots);
        if (!kept.isOk()) return kept.status();
        host->snapshots_ = kept.take();
        host->process_->keep(*host->snapshots_);
    }
    host->links_ = std::make_unique<Links>(*host->network_, host->options_, *host->process_);
    RoleHost* const self = host.get();
    host->thread_ = std::thread([self] { self->run(); });
    pthread_setname_np(host->thread_.native_handle(),
                       options.kind == PartKind::Risk ? "vbx-risk" : "vbx-matching");
    if (host->snapshots_ != nullptr) {
        host->shadow_ = std::thread([self] { self->runShadow(); });
        pthread_setname_np(host->shadow_.native_handle(), "vbx-shadow");
    }
    return host;
}

RoleHost::~RoleHost() { stop(); }

void RoleHost::run() {
    uint64_t statusAt = 0;
    while (!stop_.load(std::memory_order_acquire)) {
        const uint64_t now = steadyNs();
        const bool worked = links_->poll(now);
        if (snapshots_ != nullptr && snapshots_->isWanted()) {
            const std::lock_guard guard(shadowMutex_);
            shadowWork_.notify_one();
        }
        if (now - statusAt >= kRoleStatusEveryNs) {
            statusAt = now;
            RoleStatus status{links_->connected(), process_->joined(), process_->position(),
                              process_->rebuilds(), links_->trouble(), process_->base(),
                              snapshots_ != nullptr, {}};
            if (snapshots_ != nullptr) status.snapshots = snapshots_->status();
            const std::lock_guard guard(mutex_);
            status_ = std::move(status);
        }
        if (!worked) network_->wait(kIdleNs);
    }
}

// What is executed and written for snapshots: a core's work, and a disk's.
void RoleHost::runShadow() {
    while (!stop_.load(std::memory_order_acquire)) {
        if (snapshots_->isWanted()) {
            snapshots_->workNow();
            network_->wake();  // how far it is, is to be said
            continue;
        }
        std::unique_lock lock(shadowMutex_);
        if (stop_.load(std::memory_order_acquire) || snapshots_->isWanted()) continue;
        shadowWork_.wait(lock);
    }
}

RoleStatus RoleHost::status() const {
    const std::lock_guard guard(mutex_);
    return status_;
}

void RoleHost::stop() {
    if (stopped_) return;
    stopped_ = true;
    if (snapshots_ != nullptr) snapshots_->stop();
    {
        const std::lock_guard guard(shadowMutex_);
        stop_.store(true, std::memory_order_release);
        shadowWork_.notify_one();
    }
    if (network_ != nullptr) network_->wake();
    if (thread_.joinable()) thread_.join();
    if (shadow_.joinable()) shadow_.join();
}

}  // namespace verbex::node
