#include "node/member_host.h"

#include <pthread.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>

#include "node/divergence_report.h"
#include "pipeline/steady_clock.h"

namespace verbex::node {

using pipeline::steadyNs;
using replication::Member;
using replication::MemberStatus;
using replication::Moment;
using replication::NodeId;

namespace {

constexpr uint64_t kStatusEveryNs = 5'000'000;
constexpr int kSnapshotNiceness = 10;

Moment momentNow() {
    const auto wall = std::chrono::duration_cast<std::chrono::nanoseconds>(
                          std::chrono::system_clock::now().time_since_epoch())
                          .count();
    return {steadyNs(), wall < 0 ? 0 : static_cast<uint64_t>(wall)};
}

}  // namespace

Result<std::unique_ptr<MemberHost>> MemberHost::open(const MemberHostOptions& options,
                                                     journal::Storage& storage,
                                                     replication::ControlStore& control) {
    std::unique_ptr<MemberHost> host(new MemberHost());
    host->options_ = options;
    host->storage_ = &storage;
    transport::NetworkOptions network = options.network;
    network.ringBytes = std::max(network.ringBytes, options.ringBytes);
    network.payloadMax = std::max(network.payloadMax, replication::kFrameBytesMax);
    Result<std::unique_ptr<transport::HostNetwork>> opened =
        transport::HostNetwork::open(std::move(network));
    if (!opened.isOk()) return opened.status();
    host->network_ = opened.take();
    MemberHost* const self = host.get();
    MemberLinks::Surroundings with;
    with.onFrame = [self](NodeId from, std::span<const std::byte> frame) {
        self->member_->onFrame(from, frame, momentNow());
    };
    with.onClosed = [self](NodeId client) { self->member_->onClosed(client); };
    with.onStale = [self] { self->member_->replica().readSoon(); };
    with.epoch = [self] { return self->member_->replica().linkEpoch(); };
    host->links_ = std::make_unique<MemberLinks>(*host->network_, options.member.cluster,
                                                 options.member.id, options.peers, std::move(with));
    // First the port: whoever has it taken already leaves the data alone.
    if (Status listening = host->links_->listen(options.listen); !listening.isOk()) return listening;
    host->port_ = host->links_->address().port;
    replication::MemberOptions its = options.member;
    its.clockNs = steadyNs;
    Result<std::unique_ptr<Member>> member =
        Member::open(its, storage, *host->links_, control, momentNow());
    if (!member.isOk()) return member.status();
    host->member_ = member.take();
    host->publishStatus(steadyNs(), true);
    host->thread_ = std::thread([self] { self->run(); });
    pthread_setname_np(host->thread_.native_handle(), "vbx-member");
    host->disk_ = std::thread([self] { self->runDisk(); });
    pthread_setname_np(host->disk_.native_handle(), "vbx-disk");
    host->snapshots_ = std::thread([self] { self->runSnapshots(); });
    pthread_setname_np(host->snapshots_.native_handle(), "vbx-snapshot");
    return host;
}

MemberHost::~MemberHost() { stop(); }

// ---- the member's thread

void MemberHost::run() {
    uint64_t workedAt = steadyNs();
    while (!stop_.load(std::memory_order_acquire)) {
        const bool worked = round();
        const uint64_t now = steadyNs();
        publishStatus(now, false);
        if (worked) {
            workedAt = now;
            continue;
        }
        if (now - workedAt < options_.spinNs) continue;
        const uint64_t next = member_->nextTimer();
        if (next > now) network_->wait(next - now);
    }
}

bool MemberHost::round() {
    const uint64_t now = steadyNs();
    bool worked = links_->poll(now);
    if (hasWords_.load(std::memory_order_acquire)) {
        answerWords();
        worked = true;
    }
    if (diskFailed_.load(std::memory_order_acquire)) member_->replica().fail(diskFailure_);
    worked |= member_->step(momentNow());
    links_->flush();
    kickDisk(now);
    return worked;
}

void MemberHost::answerWords() {
    std::deque<Word> words;
    {
        const std::lock_guard guard(mutex_);
        words.swap(words_);
        hasWords_.store(false, std::memory_order_release);
    }
    for (Word& word : words) word.answer.set_value(word.run(*member_));
}

void MemberHost::publishStatus(uint64_t nowNs, bool now) {
    if (!now && nowNs - statusAt_ < kStatusEveryNs) return;
    statusAt_ = nowNs;
    MemberStatus status = member_->status();
    reportDivergence(status);
    const std::lock_guard guard(mutex_);
    status_ = std::move(status);
    failure_ = member_->failure();
}

void MemberHost::reportDivergence(const MemberStatus& status) {
    // One that stands aside has computed nothing wrong.
    const bool halted = status.role == replication::Role::Halted && !status.orphaned;
    const size_t evicted = status.configuration.evicted.size();
    if (evicted == evictedReported_ && halted == haltReported_) return;
    evictedReported_ = evicted;
    haltReported_ = halted;
    if (evicted != 0 || halted) {
        (void)writeDivergenceReports(*storage_, options_.member.data, status);
    }
}

// ---- the disk's thread

void MemberHost::kickDisk(uint64_t nowNs) {
    if (member_->snapshots().isWanted()) {
        const std::lock_guard guard(diskMutex_);
        if (!snapshotWanted_) {
            snapshotWanted_ = true;
            snapshotWork_.notify_one();
        }
    }
    const bool waits = options_.member.replica.durable || member_->replica().degraded();
    const bool sync =
        member_->log().syncWanted() && (waits || nowNs - syncedAt_ >= options_.syncEveryNs);
    if (!sync && !member_->log().prepareDue()) return;
    if (sync) syncedAt_ = nowNs;
    const std::lock_guard guard(diskMutex_);
    if (diskWanted_) return;
    diskWanted_ = true;
    diskWork_.notify_one();
}

void MemberHost::runDisk() {
    std::unique_lock lock(diskMutex_);
    while (!stop_.load(std::memory_order_acquire)) {
        if (!diskWanted_) {
            diskWork_.wait(lock);
            continue;
        }
        diskWanted_ = false;
        lock.unlock();
        Status status = member_->log().syncNow();
        // No room for the next segment is no failure yet: the current one has its own.
        if (status.isOk() && member_->log().prepareDue()) {
            status = member_->log().prepareNow();
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

void MemberHost::runSnapshots() {
    // A niceness of this thread alone; a refusal costs speed only.
    (void)setpriority(PRIO_PROCESS, static_cast<id_t>(syscall(SYS_gettid)), kSnapshotNiceness);
    std::unique_lock lock(diskMutex_);
    while (!stop_.load(std::memory_order_acquire)) {
        if (!snapshotWanted_) {
            snapshotWork_.wait(lock);
            continue;
        }
        lock.unlock();
        member_->snapshots().takeNow();
        lock.lock();
        snapshotWanted_ = false;
    }
}

// ---- any thread

MemberStatus MemberHost::status() const {
    const std::lock_guard guard(mutex_);
    return status_;
}

Status MemberHost::failure() const {
    const std::lock_guard guard(mutex_);
    return failure_;
}

std::future<Status> MemberHost::ask(std::function<Status(Member&)> word) {
    Word asked{std::move(word), {}};
    std::future<Status> answer = asked.answer.get_future();
    {
        const std::lock_guard guard(mutex_);
        if (stop_.load(std::memory_order_acquire)) {
            asked.answer.set_value(Status(StatusCode::Closed, "the member is closed"));
            return answer;
        }
        words_.push_back(std::move(asked));
        hasWords_.store(true, std::memory_order_release);
    }
    network_->wake();
    return answer;
}

void MemberHost::stop() {
    if (stopped_) return;
    stopped_ = true;
    {
        const std::lock_guard guard(diskMutex_);
        stop_.store(true, std::memory_order_release);
        diskWork_.notify_one();
        snapshotWork_.notify_one();
    }
    if (member_ != nullptr) member_->snapshots().stop();
    network_->wake();
    if (thread_.joinable()) thread_.join();
    if (disk_.joinable()) disk_.join();
    if (snapshots_.joinable()) snapshots_.join();
    const std::lock_guard guard(mutex_);
    for (Word& word : words_) {
        word.answer.set_value(Status(StatusCode::Closed, "the member is closed"));
    }
    words_.clear();
}

Status MemberHost::close() {
    if (stopped_) return {};
    stop();
    return member_->close();
}

}  // namespace verbex::node
