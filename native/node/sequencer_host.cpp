// A sequencer on a real machine: its thread, its disk's thread, the links of roles, clients and other sequencers.
#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <set>

#include "node/role_host.h"

namespace verbex::node {

using replication::NodeId;

namespace {

constexpr uint64_t kSequencerStatusEveryNs = 5'000'000;

roles::RoleMoment roleMomentNow() {
    using std::chrono::duration_cast;
    using std::chrono::nanoseconds;
    const auto steady =
        duration_cast<nanoseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
    const auto wall =
        duration_cast<nanoseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
    return {static_cast<uint64_t>(steady), wall < 0 ? 0 : static_cast<uint64_t>(wall)};
}

}  // namespace

// Links of a member, of which some are roles': told apart by what they have asked for.
class SequencerHost::Links final : public roles::RoleLinks {
public:
    Links(SequencerHost& host, transport::Network& network)
        : host_(host),
          service_(std::string(kRoleService) + host.options_.member.cluster),
          links_(network, host.options_.member.cluster, host.options_.member.id, host.options_.peers,
                 surroundings()) {}

    [[nodiscard]] MemberLinks& wires() { return links_; }
    bool send(roles::LinkId to, std::span<const std::byte> frame) override {
        return links_.send(to, frame);
    }
    void close(roles::LinkId link) override {
        roles_.erase(link);
        links_.close(link);
    }

private:
    MemberLinks::Surroundings surroundings() {
        MemberLinks::Surroundings with;
        with.onFrame = [this](NodeId from, std::span<const std::byte> frame) {
            if (from < replication::kFirstClient) {
                host_.sequencer_->onPeer(from, frame, roleMomentNow());
            } else if (roles_.contains(from)) {
                host_.sequencer_->onRole(from, frame);
            } else {
                host_.sequencer_->onClient(from, frame);
            }
        };
        with.onClosed = [this](NodeId gone) {
            if (roles_.erase(gone) != 0) {
                host_.sequencer_->onRoleClosed(gone);
            } else {
                host_.sequencer_->onClientClosed(gone);
            }
        };
        with.onStale = [this] { host_.sequencer_->member().replica().readSoon(); };
        with.epoch = [this] { return host_.sequencer_->member().replica().linkEpoch(); };
        with.onOther = [this](NodeId from, const std::string& service) {
            if (service != service_) return false;
            roles_.insert(from);
            host_.sequencer_->onAttached(from);
            return true;
        };
        return with;
    }

    SequencerHost& host_;
    const std::string service_;
    std::set<NodeId> roles_;
    MemberLinks links_;
};

SequencerHost::SequencerHost() = default;

Result<std::unique_ptr<SequencerHost>> SequencerHost::open(const SequencerHostOptions& options,
                                                           journal::Storage& storage,
                                                           replication::ControlStore* control) {
    std::unique_ptr<SequencerHost> host(new SequencerHost());
    SequencerHostOptions& own = host->options_;
    own = options;
    if (own.member.replica.members.empty()) own.member.replica.members = {{own.member.id, false}};
    if (control == nullptr) {
        if (own.member.replica.members.size() != 1) {
            return Status(StatusCode::InvalidArgument, "several sequencers need a control store");
        }
        host->ownControl_ = std::make_unique<FileControl>(own.member.data + "/control");
        control = host->ownControl_.get();
    }
    transport::NetworkOptions network = options.network;
    network.ringBytes = std::max(network.ringBytes, 1u << 22);
    network.payloadMax = std::max(network.payloadMax, replication::kFrameBytesMax);
    Result<std::unique_ptr<transport::HostNetwork>> opened =
        transport::HostNetwork::open(std::move(network));
    if (!opened.isOk()) return opened.status();
    host->network_ = opened.take();
    host->links_ = std::make_unique<Links>(*host, *host->network_);
    // First the port: whoever has it taken already leaves the data alone.
    if (Status listening = host->links_->wires().listen(options.listen); !listening.isOk()) {
        return listening;
    }
    host->port_ = host->links_->wires().address().port;
    roles::SequencerMemberOptions member;
    member.sequencer = own.sequencer;
    member.member = own.member;
    member.letGoNs = own.letGoNs;
    member.snapshotEvery = own.snapshotEvery;
    Result<std::unique_ptr<roles::SequencerMember>> sequencer = roles::SequencerMember::open(
        member, storage, *host->links_, host->links_->wires(), *control, roleMomentNow());
    if (!sequencer.isOk()) return sequencer.status();
    host->sequencer_ = sequencer.take();
    host->status_ = host->sequencer_->status();
    SequencerHost* const self = host.get();
    host->thread_ = std::thread([self] { self->run(); });
    pthread_setname_np(host->thread_.native_handle(), "vbx-sequencer");
    host->disk_ = std::thread([self] { self->runDisk(); });
    pthread_setname_np(host->disk_.native_handle(), "vbx-disk");
    host->shadow_ = std::thread([self] { self->runShadow(); });
    pthread_setname_np(host->shadow_.native_handle(), "vbx-shadow");
    return host;
}

SequencerHost::~SequencerHost() { stop(); }

void SequencerHost::run() {
    uint64_t statusAt = 0;
    while (!stop_.load(std::memory_order_acquire)) {
        const roles::RoleMoment now = roleMomentNow();
        bool worked = links_->wires().poll(now.steadyNs);
        if (diskFailed_.load(std::memory_order_acquire)) sequencer_->fail(diskFailure_);
        // Later than what has just been heard.
        worked |= sequencer_->step(roleMomentNow());
        links_->wires().flush();
        kickDisk(now.steadyNs);
        if (sequencer_->shadow().isWanted()) {
            const std::lock_guard guard(shadowMutex_);
            shadowWork_.notify_one();
        }
        if (now.steadyNs - statusAt >= kSequencerStatusEveryNs) {
            statusAt = now.steadyNs;
            roles::SequencerStatus status = sequencer_->status();
            const std::lock_guard guard(mutex_);
            status_ = std::move(status);
        }
        if (worked) continue;
        const uint64_t next = sequencer_->nextTimer();
        const uint64_t after = roleMomentNow().steadyNs;
        if (next > after) network_->wait(std::min(next - after, kSequencerStatusEveryNs));
    }
}

void SequencerHost::kickDisk(uint64_t nowNs) {
    replication::Member& member = sequencer_->member();
    const bool waits = options_.member.replica.durable || member.replica().degraded();
    const bool sync =
        member.log().syncWanted() && (waits || nowNs - syncedAt_ >= options_.syncEveryNs);
    if (!sync && !member.log().prepareDue()) return;
    if (sync) syncedAt_ = nowNs;
    const std::lock_guard guard(diskMutex_);
    if (diskWanted_) return;
    diskWanted_ = true;
    diskWork_.notify_one();
}

void SequencerHost::runDisk() {
    std::unique_lock lock(diskMutex_);
    while (!stop_.load(std::memory_order_acquire)) {
        if (!diskWanted_) {
            diskWork_.wait(lock);
            continue;
        }
        diskWanted_ = false;
        lock.unlock();
        replication::MemberLog& log = sequencer_->member().log();
        Status status = log.syncNow();
        // No room for the next segment is no failure yet: the current one has its own.
        if (status.isOk() && log.prepareDue()) {
            status = log.prepareNow();
            if (status.code() == StatusCode::NoSpace) status = {};
        }
        if (!status.isOk() && !diskFailed_.load(std::memory_order_relaxed)) {
            diskFailure_ = status;
            diskFailed_.store(true, std::memory_order_release);
        }
        network_->wake();
        lock.lock();
    }
}

// What is replayed, and written, beside all that trades.
void SequencerHost::runShadow() {
    roles::SequencerShadow& shadow = sequencer_->shadow();
    while (!stop_.load(std::memory_order_acquire)) {
        if (shadow.isWanted()) {
            shadow.workNow();
            network_->wake();  // it may be what a takeover waits for
            continue;
        }
        std::unique_lock lock(shadowMutex_);
        if (stop_.load(std::memory_order_acquire) || shadow.isWanted()) continue;
        shadowWork_.wait(lock);
    }
}

roles::SequencerStatus SequencerHost::status() const {
    const std::lock_guard guard(mutex_);
    return status_;
}

void SequencerHost::stop() {
    if (stopped_) return;
    stopped_ = true;
    {
        const std::lock_guard guard(diskMutex_);
        const std::lock_guard shadow(shadowMutex_);
        stop_.store(true, std::memory_order_release);
        diskWork_.notify_one();
        shadowWork_.notify_one();
    }
    if (sequencer_ != nullptr) sequencer_->shadow().stop();
    if (network_ != nullptr) network_->wake();
    if (thread_.joinable()) thread_.join();
    if (disk_.joinable()) disk_.join();
    if (shadow_.joinable()) shadow_.join();
}

Status SequencerHost::close() {
    if (stopped_) return {};
    stop();
    return sequencer_->close();
}

}  // namespace verbex::node
