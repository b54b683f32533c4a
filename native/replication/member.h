// Member: one server's share in a cluster; what a simulator and a server hold alike.
//
// Purpose: opens (recovers) a data directory and brings log, core, protocol and clients' port together.
// Owner: the surroundings: a thread in production (node/member_host.h), a simulated node there.
// Thread safety: none but where said: one thread calls everything, except log().syncNow(),
// log().prepareNow() and snapshots().takeNow(), which others may.
// Invariants: README, "What may never happen".
//   1. Nothing in here reads a clock, a random number or a file but through what it was given.
//   2. After failed() the member acknowledges, answers and releases nothing any more.
// Requires: storage, wires and control store outlive the member; step() often, and at nextTimer() at the
// latest; onFrame() only with frames of at most kFrameBytesMax.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/core.h"
#include "journal/storage.h"
#include "replication/client_port.h"
#include "replication/configuration.h"
#include "replication/control_store.h"
#include "replication/executor.h"
#include "replication/member_facts.h"
#include "replication/member_log.h"
#include "replication/member_snapshots.h"
#include "replication/mutants.h"
#include "replication/outputs.h"
#include "replication/replica.h"
#include "replication/wires.h"

namespace verbex::replication {

struct MemberOptions {
    MemberId id = 1;
    std::string data;               // a directory of this member alone
    std::string cluster = "verbex";  // name of the cluster; a directory of another one is refused
    // Names the machine's start (Linux: boot_id): what was written before a restart of the process is
    // still there after it if this has not changed.
    std::string boot;
    ReplicaOptions replica;
    CoreLimits limits;
    uint64_t segmentBytes = journal::kSegmentBytesDefault;
    uint32_t outputEvents = 1u << 18;   // released events that are kept for who resumes
    uint64_t tailBytes = 64u << 20;     // of the log's end that are kept in memory
    ClientPortOptions clients;
    SnapshotOptions snapshots;
    std::function<uint64_t()> clockNs;  // steady, to say how long something took; none: it is not said
    journal::JournalId journalId;       // of a new journal; the surroundings draw it
};

struct MemberStatus {
    MemberId id = 0;
    Incarnation incarnation = 0;
    Role role = Role::Follower;
    std::string halted;              // why it takes no part; empty: it does
    bool orphaned = false;           // because its log is in no record
    Configuration configuration;     // as last known
    uint64_t revision = 0;
    Epoch promised = 0;
    Epoch lastEpoch = 0;
    Position position = 0;           // of the last entry taken
    Position acknowledged = 0;
    Position durable = 0;
    Position commit = 0;
    Position released = 0;
    Digest128 resultHash;            // at position
    bool degraded = false;           // leads alone: acknowledges durable only
    uint64_t commands = 0;           // taken from clients as a leader
    uint64_t repeats = 0;            // executed since the state was last made anew, and answered again only
    uint64_t takeovers = 0;
    uint64_t truncations = 0;
    uint64_t scrubs = 0;
    uint64_t scrubLongestNs = 0;     // from one scrub to the release of the next: so long was damage unseen at most
    uint32_t clients = 0;
    Position first = 1;              // that the log still has
    Position snapshot = 0;           // the newest one; 0: there is none
    uint64_t snapshots = 0;          // taken since the start
    uint64_t installs = 0;           // snapshots of others that took the log's place
    SnapshotHolds snapshotHolds;
    std::string snapshotTrouble;     // why the last one came to nothing; empty: it did not
    std::vector<std::string> refusedSnapshots;  // that were damaged when the member started
    struct Peer {
        MemberId id = 0;
        bool heard = false;
        Position acknowledged = 0;
        Position matched = 0;        // up to here its results equal the leader's
    };
    std::vector<Peer> peers;         // as the leader sees them
};

class Member {
public:
    // Recovers; does not step yet. Errors: what recovery and storage say; Refused where the directory
    // belongs to another cluster or member.
    static Result<std::unique_ptr<Member>> open(const MemberOptions& options,
                                                journal::Storage& storage, Wires& wires,
                                                ControlStore& control, Moment now);
    ~Member();
    Member(const Member&) = delete;
    Member& operator=(const Member&) = delete;

    void onFrame(NodeId from, std::span<const std::byte> frame, Moment now);
    // The connection of a client has ended; its subscription goes.
    void onClosed(NodeId client);
    // Control answers, timers, batches, acknowledgements, subscriptions; false: nothing was to do.
    bool step(Moment now);
    // Steady time at which step() has something to do even if nothing comes in.
    [[nodiscard]] uint64_t nextTimer() const;
    // Everything stored durably and noted, so that the next start vouches for it. Then nothing but
    // destruction may follow.
    Status close();

    // ---- an operator's words; answered by what status() shows afterwards. Errors: Refused with a reason.
    Status evict(MemberId member);
    Status readmit(MemberId member);
    // Leads from this member's log alone, whatever others have: acknowledged commands may be lost.
    Status force();
    // Where there is no record: the cluster begins with this member's log, and this member alone. Errors:
    // ClusterExists where there is one; nothing is changed then.
    Status found();
    // Nobody leads in this cluster any more until activateSite().
    Status fenceSite();
    Status activateSite();
    // The leader takes entries of another site from a bridge from now on, and nothing from clients.
    Status standbySite();
    // Hands leadership to another member of the sync set.
    Status promote(MemberId member);

    [[nodiscard]] MemberStatus status() const;
    [[nodiscard]] bool failed() const;
    [[nodiscard]] Status failure() const;

    [[nodiscard]] MemberLog& log();
    [[nodiscard]] Outputs& outputs();
    [[nodiscard]] Executor& executor();
    [[nodiscard]] Replica& replica();
    [[nodiscard]] MemberSnapshots& snapshots();
    [[nodiscard]] const SnapshotTransfer& transfer() const;

private:
    struct Parts;
    explicit Member(std::unique_ptr<Parts> parts);
    std::unique_ptr<Parts> parts_;
};

}  // namespace verbex::replication
