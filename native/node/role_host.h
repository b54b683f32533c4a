// SequencerHost and RoleHost: the roles of native/roles on real machines: a thread, links, and the sequencers' disks.
//
//    clients, edges ──dial──▶ ┌── SequencerHost ──┐ ◀──dial── RoleHost (risk 0…R−1), RoleHost (matching 0…M−1)
//                             │ thread · disk ·   │           each a thread, and one for its snapshots, in a process
//                             │ shadow            │           of its own or beside
//                             └────────▲──────────┘
//                                      └── entries ──▶ SequencerHost, which takes over
//
// Purpose: gives roles::SequencerMember and roles::RoleProcess time, frames and storage. The sequencers listen, and dial
// each other; roles and clients dial them, over shm, verbs or tcp, as the network's options say.
// Owner: the addon, a benchmark, a test.
// Thread safety: everything but open() from any thread.
// Invariants:
//   1. A role is touched by its own thread only, but for the log's syncNow() and prepareNow(), and the work of a shadow.
//   2. A role process that loses its link, or hears nothing on it, dials the next sequencer, and begins anew, with what
//      its snapshots have.
//   3. A role's thread touches no disk.
// Requires: storage and control store outlive the hosts.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "journal/storage.h"
#include "node/file_control.h"
#include "node/member_links.h"
#include "replication/control_store.h"
#include "roles/matching_process.h"
#include "roles/risk_process.h"
#include "roles/sequencer_member.h"
#include "transport/host/host_network.h"

namespace verbex::node {

// What a role asks for when it dials, followed by the deployment's name.
inline constexpr std::string_view kRoleService = "role:";

struct SequencerHostOptions {
    roles::SequencerOptions sequencer;
    // Its folder, number, journal and timing as a member; cluster: the deployment's name, others are not let in.
    replication::MemberOptions member;
    std::vector<replication::MemberAddress> peers;  // all sequencers, this one too; empty: it is the only one
    transport::NetworkOptions network;
    transport::Address listen;
    uint64_t letGoNs = 1'000'000'000;   // see roles::SequencerMemberOptions
    uint64_t snapshotEvery = 1u << 20;  // commands; 0: none; likewise
    uint64_t syncEveryNs = 50'000'000;  // where events do not wait for it
};

class SequencerHost {
public:
    // Without a control store it keeps the record in its own folder: that is for one sequencer alone.
    static Result<std::unique_ptr<SequencerHost>> open(const SequencerHostOptions& options,
                                                       journal::Storage& storage,
                                                       replication::ControlStore* control = nullptr);
    ~SequencerHost();
    SequencerHost(const SequencerHost&) = delete;
    SequencerHost& operator=(const SequencerHost&) = delete;

    [[nodiscard]] uint16_t port() const { return port_; }
    // A few milliseconds old at most.
    [[nodiscard]] roles::SequencerStatus status() const;
    // Everything stored; ends the threads. Idempotent.
    Status close();
    // Ends the threads where they stand, as a crash would.
    void stop();
    // The control store has answered.
    void wake() { network_->wake(); }
    // Requires: stopped.
    [[nodiscard]] replication::MemberLog& log() { return sequencer_->member().log(); }

private:
    class Links;
    SequencerHost();
    void run();
    void runDisk();
    void runShadow();
    void kickDisk(uint64_t nowNs);

    SequencerHostOptions options_;
    std::unique_ptr<FileControl> ownControl_;
    std::unique_ptr<transport::HostNetwork> network_;
    std::unique_ptr<Links> links_;
    std::unique_ptr<roles::SequencerMember> sequencer_;
    uint16_t port_ = 0;
    std::thread thread_;
    std::thread disk_;
    std::thread shadow_;
    std::mutex shadowMutex_;
    std::condition_variable shadowWork_;
    std::atomic<bool> stop_{false};
    bool stopped_ = false;

    mutable std::mutex mutex_;
    roles::SequencerStatus status_;

    std::mutex diskMutex_;
    std::condition_variable diskWork_;
    bool diskWanted_ = false;
    std::atomic<bool> diskFailed_{false};
    Status diskFailure_;
    uint64_t syncedAt_ = 0;
};

struct RoleHostOptions {
    PartKind kind = PartKind::Risk;     // Risk or Matching
    roles::RoleProcessOptions role;
    std::string name = "verbex";
    transport::NetworkOptions network;
    std::vector<transport::Address> sequencers;  // one of them leads
    // This process's folder of snapshots; empty: it keeps none, and replays the whole log at every link.
    std::string snapshots;
    uint64_t snapshotEvery = 1u << 20;  // commands
    uint64_t redialNs = 20'000'000;
    uint64_t silentNs = 10'000'000'000;  // a sequencer that says nothing for so long is left for the next
};

struct RoleStatus {
    bool connected = false;
    bool joined = false;
    Position position = 0;
    uint64_t rebuilds = 0;
    std::string trouble;  // why its last link ended, or was not made
    Position base = 0;    // of the core with which its link began; 0: it began with the first position
    bool keepsSnapshots = false;
    roles::RoleSnapshotStatus snapshots;
};

class RoleHost {
public:
    // `storage`: of the snapshots. DataDirectoryInUse: another process has their folder.
    static Result<std::unique_ptr<RoleHost>> open(const RoleHostOptions& options,
                                                  journal::Storage& storage);
    ~RoleHost();
    RoleHost(const RoleHost&) = delete;
    RoleHost& operator=(const RoleHost&) = delete;

    [[nodiscard]] RoleStatus status() const;
    // Ends the threads; the sequencer sees a link that is over. Idempotent.
    void stop();

private:
    class Links;
    RoleHost();
    void run();
    void runShadow();

    RoleHostOptions options_;
    std::unique_ptr<transport::HostNetwork> network_;
    std::unique_ptr<roles::RoleSnapshots> snapshots_;  // null: it keeps none
    std::unique_ptr<roles::RoleProcess> process_;
    std::unique_ptr<Links> links_;
    std::thread thread_;
    std::thread shadow_;
    std::atomic<bool> stop_{false};
    bool stopped_ = false;
    mutable std::mutex mutex_;
    RoleStatus status_;
    std::mutex shadowMutex_;
    std::condition_variable shadowWork_;
};

}  // namespace verbex::node
