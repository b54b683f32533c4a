// Replica: the protocol: who may append, what is committed, what is released, who takes over.
//
//      follower ──suspects──▶ reserving ──swapped──▶ fencing ──enough──▶ adopting ──▶ activating ──▶ leader
//         ▲  ▲                                                                                      │
//         │  └──────────────── conflict, older, or a leader of a higher epoch is heard ◀────────────┤
//         └── joins as warm, is added by the leader                          odd one out ──▶ halted ◀┘
//
// Purpose: README has the rules; each is one function here.
// Owner: Member.
// Thread safety: none; one thread.
// Invariants: README, "What may never happen".
// Requires: onFrame() of what peers sent, onControl() of what the store answered, step() at nextTimer().
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "replication/configuration.h"
#include "replication/control_store.h"
#include "replication/executor.h"
#include "replication/frames.h"
#include "replication/member_facts.h"
#include "replication/member_log.h"
#include "replication/mutants.h"
#include "replication/outputs.h"
#include "replication/wires.h"

namespace verbex::replication {

// Steady: for timers, from any origin. Wall: nanoseconds since 1970, for the log's time only.
struct Moment {
    uint64_t steadyNs = 0;
    uint64_t wallNs = 0;
};

struct MemberPlace {
    MemberId id = 0;
    bool warm = false;  // hot only where too few others are
};

struct ReplicaOptions {
    std::vector<MemberPlace> members;   // all of them, this one too
    uint32_t hotWanted = 2;             // the sync set is kept at so many, from warm ones where need be
    bool durable = false;               // acknowledge what is durable, not what is written
    uint32_t minSync = 1;               // fewer, and the leader takes no commands
    uint64_t heartbeatNs = 10'000'000;
    uint64_t suspectNs = 120'000'000;   // without a word of the leader
    uint64_t staggerNs = 60'000'000;    // between those who would take over
    uint64_t graceNs = 15'000'000;      // a takeover waits for more answers than it needs
    uint64_t silentNs = 150'000'000;    // a member is shrunk out
    uint64_t controlNs = 1'000'000'000; // without an answer of the store it is asked again
    uint64_t tickNs = 1'000'000;        // the log's time goes on at least so finely while commands come
    uint64_t idleTickNs = 100'000'000;  // and so finely while none come
    uint32_t windowCommands = 1u << 16; // appended and not released, at most
    uint32_t batchBytes = 64u << 10;    // of an entry's payload, at most; kBatchBytesMax bounds it
    uint32_t sendAheadBytes = 8u << 20; // to a member beyond what it has acknowledged
    ExecutorOptions executor;
    Mutant mutant = Mutant::None;
};

enum class Role : uint8_t {
    Follower = 0,
    Reserving = 1,
    Fencing = 2,
    Adopting = 3,
    Activating = 4,
    Leader = 5,
    Halted = 6,
};

class Replica {
public:
    struct Surroundings {
        MemberLog& log;
        Outputs& outputs;
        std::unique_ptr<Executor>& executor;  // replaced where the state is rebuilt
        Wires& wires;
        ControlStore& control;
        // Makes facts durable; false: the disk has failed.
        std::function<bool(const MemberFacts&)> store;
        // Rebuilds executor and outputs from the log; false: the disk has failed.
        std::function<bool()> rebuild;
    };

    Replica(const ReplicaOptions& options, const MemberFacts& facts, Surroundings with, Moment now);

    void onFrame(MemberId from, std::span<const std::byte> frame, Moment now);
    bool step(Moment now);
    [[nodiscard]] uint64_t nextTimer() const;

    // ---- clients
    // Takes as many commands as there is room for. Not where this member does not lead.
    Answered submit(std::span<const std::byte> commands, uint32_t count, uint32_t& taken);
    [[nodiscard]] MemberId leader() const;  // as far as known; 0: nobody
    [[nodiscard]] bool leads() const { return role_ == Role::Leader; }

    // ---- operator
    Status evict(MemberId member);
    Status readmit(MemberId member);
    Status force();
    Status fenceSite(bool fenced);
    Status promote(MemberId member);

    // ---- what others look at
    [[nodiscard]] Role role() const { return role_; }
    [[nodiscard]] const std::string& halted() const { return halted_; }
    [[nodiscard]] const Configuration& configuration() const { return known_; }
    [[nodiscard]] uint64_t revision() const { return revision_; }
    [[nodiscard]] const MemberFacts& facts() const { return facts_; }
    [[nodiscard]] Position acknowledged() const { return acknowledgedPosition(); }
    [[nodiscard]] Position commit() const { return commit_; }
    [[nodiscard]] bool degraded() const;
    [[nodiscard]] const Status& failure() const { return failure_; }
    void fail(const Status& why);
    struct Counters {
        uint64_t commands = 0;
        uint64_t takeovers = 0;
        uint64_t truncations = 0;
        uint64_t evictions = 0;
    };
    [[nodiscard]] const Counters& counters() const { return counters_; }
    struct Progress {
        uint64_t heardAt = 0;        // 0: never in this term
        bool answered = false;       // its log is known (State)
        bool fenced = false;         // promised this term's epoch
        Incarnation incarnation = 0;
        Position next = 1;           // to send
        Position acknowledged = 0;
        Digest128 hash;
        Position matched = 0;        // its results equal ours up to here
        Position differs = 0;        // the first position where they were seen to differ; 0: nowhere
        Digest128 differsFound;
        uint64_t heartbeatAt = 0;    // when something was last sent
        uint64_t probeAt = 0;
        std::vector<EpochEnd> ends;  // of its log, as it last said
        Position commit = 0;
    };
    [[nodiscard]] const std::map<MemberId, Progress>& progress() const { return progress_; }

private:
    friend class ReplicaTest;
};

}  // namespace verbex::replication
