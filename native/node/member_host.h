// MemberHost: a member on a real machine: its thread, its disk, its links.
//
//      links ─▶ ┌──── member's thread ────┐ ─▶ links          disk thread: syncs, the next segment
//   control ─▶  │ poll · step · flush     │ ─▶ control        any thread: status(), operator(), answers
//               └─────────────────────────┘
//
// Purpose: gives replication::Member time, frames, storage and a control store, and a thread.
// Owner: the addon, a benchmark, a test.
// Thread safety: everything but open() from any thread.
// Invariants:
//   1. The member is touched by its own thread only, but for syncNow() and prepareNow().
//   2. After a failed sync the member has failed: it acknowledges nothing more.
// Requires: storage and control store outlive it.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "journal/storage.h"
#include "node/member_links.h"
#include "replication/member.h"
#include "transport/host/host_network.h"

namespace verbex::node {

struct MemberHostOptions {
    replication::MemberOptions member;
    transport::NetworkOptions network;
    transport::Address listen;
    std::vector<replication::MemberAddress> peers;   // all members, this one too
    // Of each link; at least four of the largest frames. Over verbs each link maps and registers two of
    // them on the member's thread, so smaller ones make links sooner.
    uint32_t ringBytes = 1u << 22;
    uint64_t syncEveryNs = 50'000'000;  // where acknowledgements do not wait for it
    uint64_t spinNs = 0;             // looking for work before sleeping; worth it where each member has a core
};

class MemberHost {
public:
    static Result<std::unique_ptr<MemberHost>> open(const MemberHostOptions& options,
                                                    journal::Storage& storage,
                                                    replication::ControlStore& control);
    ~MemberHost();
    MemberHost(const MemberHost&) = delete;
    MemberHost& operator=(const MemberHost&) = delete;

    [[nodiscard]] uint16_t port() const { return port_; }
    // A few milliseconds old at most.
    [[nodiscard]] replication::MemberStatus status() const;
    [[nodiscard]] Status failure() const;
    // Runs on the member's thread; the future holds what it answered.
    std::future<Status> ask(std::function<Status(replication::Member&)> word);
    // The control store has answered.
    void wake() { network_->wake(); }
    // Everything durable and noted; ends the threads. Idempotent.
    Status close();
    // Ends the threads where they stand, as a crash would.
    void stop();

private:
    MemberHost() = default;
    void run();
    void runDisk();
    bool round();
    void kickDisk(uint64_t nowNs);
    void answerWords();
    void publishStatus(uint64_t nowNs, bool now);
    void reportDivergence(const replication::MemberStatus& status);

    struct Word {
        std::function<Status(replication::Member&)> run;
        std::promise<Status> answer;
    };

    MemberHostOptions options_;
    journal::Storage* storage_ = nullptr;
    std::unique_ptr<transport::HostNetwork> network_;
    std::unique_ptr<MemberLinks> links_;
    std::unique_ptr<replication::Member> member_;
    uint16_t port_ = 0;
    std::thread thread_;
    std::thread disk_;
    std::atomic<bool> stop_{false};
    bool stopped_ = false;

    mutable std::mutex mutex_;
    std::deque<Word> words_;
    replication::MemberStatus status_;
    Status failure_;
    std::atomic<bool> hasWords_{false};
    uint64_t statusAt_ = 0;
    size_t evictedReported_ = 0;
    bool haltReported_ = false;

    std::mutex diskMutex_;
    std::condition_variable diskWork_;
    bool diskWanted_ = false;
    std::atomic<bool> diskFailed_{false};
    Status diskFailure_;
    uint64_t syncedAt_ = 0;
};

}  // namespace verbex::node
