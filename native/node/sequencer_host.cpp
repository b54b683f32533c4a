// The sequencer on a real machine: its thread, its disk's thread, the links of roles and clients.
#include <pthread.h>

#include <algorithm>
#include <chrono>

#include "node/role_host.h"

namespace verbex::node {

using replication::kClientService;
using replication::kFirstClient;
using replication::NodeId;
using transport::Link;

namespace {

constexpr size_t kMessagesPerPoll = 256;
constexpr uint64_t kStatusEveryNs = 5'000'000;

roles::RoleMoment momentNow() {
    using std::chrono::duration_cast;
    using std::chrono::nanoseconds;
    const auto steady =
        duration_cast<nanoseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
    const auto wall =
        duration_cast<nanoseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
    return {static_cast<uint64_t>(steady), wall < 0 ? 0 : static_cast<uint64_t>(wall)};
}

}  // namespace

// Every link has a number; roles and clients are told apart by what they asked for.
class SequencerHost::Links final : public roles::RoleLinks,
                                   public replication::Wires,
                                   private transport::NetworkEvents,
                                   private transport::Receiver {
public:
    Links(transport::Network& network, std::string name)
        : network_(network), name_(std::move(name)) {}

    void serve(roles::Sequencer& sequencer, roles::SequencerClients& clients) {
        sequencer_ = &sequencer;
        clients_ = &clients;
    }
    Status listen(const transport::Address& address) {
        Result<transport::ListenId> listening = network_.listen(address, 0);
        if (!listening.isOk()) return listening.status();
        listener_ = listening.value();
        return {};
    }
    [[nodiscard]] uint16_t port() const { return network_.boundAddress(listener_).port; }

    bool poll(uint64_t nowNs) {
        network_.poll(nowNs, *this);
        size_t received = 0;
        // A link may go while its messages are seen to.
        for (auto at = links_.begin(); at != links_.end();) {
            receiving_ = at->first;
            received += at->second.link->poll(*this, kMessagesPerPoll);
            at = links_.upper_bound(receiving_);
        }
        receiving_ = 0;
        return received != 0;
    }
    void flush() {
        for (auto& [id, tie] : links_) tie.link->flush();
    }

    bool send(uint32_t to, std::span<const std::byte> frame) override {
        const auto found = links_.find(to);
        if (found == links_.end()) return false;
        transport::Message message;
        message.kind = replication::kFrameMessage;
        message.payload = frame;
        return found->second.link->offer(message) == transport::Answer::Accepted;
    }
    void fence(uint64_t) override {}
    void close(uint32_t id) override {
        const auto found = links_.find(id);
        if (found == links_.end()) return;
        found->second.link->close();
        links_.erase(found);
    }

private:
    struct Tie {
        Link* link = nullptr;
        bool role = false;
    };
    void onAccepted(transport::ListenId, Link& link) override {
        const std::string& service = link.info().service;
        const bool role = service == std::string(kRoleService) + name_;
        if (!role && service != std::string(kClientService) + name_) return link.close();
        const uint32_t id = next_++;
        links_[id] = {&link, role};
        if (role) sequencer_->onAttached(id);
    }
    void onConnected(transport::ConnectId, Link& link) override { link.close(); }
    void onRefused(transport::ConnectId, const Status&) override {}
    void onOver(Link& link) override {
        for (auto at = links_.begin(); at != links_.end(); at++) {
            if (at->second.link != &link) continue;
            const uint32_t id = at->first;
            const bool role = at->second.role;
            links_.erase(at);
            if (role) {
                sequencer_->onClosed(id);
            } else {
                clients_->onClosed(id);
            }
            break;
        }
        network_.drop(link);
    }
    void onMessage(const transport::Message& message) override {
        const auto found = links_.find(receiving_);
        if (found == links_.end() || message.kind != replication::kFrameMessage) return;
        if (found->second.role) {
            sequencer_->onFrame(receiving_, message.payload);
        } else {
            clients_->onFrame(receiving_, message.payload);
        }
    }

    transport::Network& network_;
    const std::string name_;
    roles::Sequencer* sequencer_ = nullptr;
    roles::SequencerClients* clients_ = nullptr;
    transport::ListenId listener_ = 0;
    std::map<uint32_t, Tie> links_;
    uint32_t next_ = kFirstClient;
    uint32_t receiving_ = 0;
};

SequencerHost::SequencerHost() = default;

Result<std::unique_ptr<SequencerHost>> SequencerHost::open(const SequencerHostOptions& options,
                                                           journal::Storage& storage) {
    std::unique_ptr<SequencerHost> host(new SequencerHost());
    host->options_ = options;
    transport::NetworkOptions network = options.network;
    network.ringBytes = std::max(network.ringBytes, 1u << 22);
    network.payloadMax = std::max(network.payloadMax, replication::kFrameBytesMax);
    Result<std::unique_ptr<transport::HostNetwork>> opened =
        transport::HostNetwork::open(std::move(network));
    if (!opened.isOk()) return opened.status();
    host->network_ = opened.take();
    host->links_ = std::make_unique<Links>(*host->network_, options.name);
    // First the port: whoever has it taken already leaves the data alone.
    if (Status listening = host->links_->listen(options.listen); !listening.isOk()) {
        return listening;
    }
    host->port_ = host->links_->port();
    const std::string& directory = options.sequencer.log.directory;
    if (Status made = storage.createDirectory(directory); !made.isOk()) return made;
    Result<std::unique_ptr<journal::DirectoryLock>> lock = storage.lockDirectory(directory);
    if (!lock.isOk()) return lock.status();
    host->lock_ = lock.take();
    Result<std::unique_ptr<roles::Sequencer>> sequencer = roles::Sequencer::open(
        options.sequencer, storage, *host->lock_, *host->links_, momentNow());
    if (!sequencer.isOk()) return sequencer.status();
    host->sequencer_ = sequencer.take();
    host->clients_ =
        std::make_unique<roles::SequencerClients>(*host->sequencer_, *host->links_);
    host->links_->serve(*host->sequencer_, *host->clients_);
    host->status_ = host->sequencer_->status();
    SequencerHost* const self = host.get();
    host->thread_ = std::thread([self] { self->run(); });
    pthread_setname_np(host->thread_.native_handle(), "vbx-sequencer");
    host->disk_ = std::thread([self] { self->runDisk(); });
    pthread_setname_np(host->disk_.native_handle(), "vbx-disk");
    return host;
}

SequencerHost::~SequencerHost() { stop(); }

void SequencerHost::run() {
    uint64_t statusAt = 0;
    while (!stop_.load(std::memory_order_acquire)) {
        const roles::RoleMoment now = momentNow();
        bool worked = links_->poll(now.steadyNs);
        if (diskFailed_.load(std::memory_order_acquire)) sequencer_->fail(diskFailure_);
        worked |= sequencer_->step(now);
        worked |= clients_->step();
        links_->flush();
        kickDisk(now.steadyNs);
        if (now.steadyNs - statusAt >= kStatusEveryNs) {
            statusAt = now.steadyNs;
            roles::SequencerStatus status = sequencer_->status();
            const std::lock_guard guard(mutex_);
            status_ = std::move(status);
        }
        if (worked) continue;
        const uint64_t next = sequencer_->nextTimer();
        const uint64_t after = momentNow().steadyNs;
        if (next > after) network_->wait(std::min(next - after, kStatusEveryNs));
    }
}

void SequencerHost::kickDisk(uint64_t nowNs) {
    const bool sync =
        sequencer_->log().syncWanted() &&
        (options_.sequencer.durable || nowNs - syncedAt_ >= options_.syncEveryNs);
    if (!sync && !sequencer_->log().prepareWanted()) return;
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
        Status status = sequencer_->log().syncNow();
        // No room for the next segment is no failure yet: the current one has its own.
        if (status.isOk() && sequencer_->log().prepareWanted()) {
            status = sequencer_->log().prepareNow();
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

roles::SequencerStatus SequencerHost::status() const {
    const std::lock_guard guard(mutex_);
    return status_;
}

void SequencerHost::stop() {
    if (stopped_) return;
    stopped_ = true;
    {
        const std::lock_guard guard(diskMutex_);
        stop_.store(true, std::memory_order_release);
        diskWork_.notify_one();
    }
    network_->wake();
    if (thread_.joinable()) thread_.join();
    if (disk_.joinable()) disk_.join();
}

Status SequencerHost::close() {
    if (stopped_) return {};
    stop();
    return sequencer_->close();
}

}  // namespace verbex::node
