// Replica: the protocol: who may append, what is committed, what is released, who takes over.
//
//      follower ──suspects, asks──▶ reserving ──swapped──▶ fencing ──enough──▶ adopting ──▶ activating ──▶ leader
//         ▲  ▲                                                                                      │
//         │  └──────────────── conflict, older, or a leader of a higher epoch is heard ◀────────────┤
//         └── joins as warm, is added by the leader                          odd one out ──▶ halted ◀┘
//
// A log that is in no record (made from a copy, or its record is gone) is orphaned: the member stands aside, halted,
// takes nothing, whatever record there comes to be, until an operator's word makes the log the cluster's (found() where
// there is no record, force() where there is one), a record names it after all, or a leader shows that its log ends with
// the same result where this one ends. founding.cpp.
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
#include <functional>
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
#include "replication/snapshot_transfer.h"
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
    bool standby = false;               // what the first record says
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
    bool preVotes = true;               // false, for tests: as a member of a release that did not ask
    uint64_t birth = 0;                 // drawn by the surroundings: names a fresh data directory
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
        // Rebuilds executor and outputs from a snapshot and the log; false: the disk has failed.
        std::function<bool()> rebuild;
        SnapshotTransfer& snapshots;
        // What this member has computed counts for nothing: noted, durably.
        std::function<bool()> distrust;
        // Log and state are made anew from what can be trusted; `emptied`: that was nothing.
        std::function<bool(bool& emptied)> startOver;
        // That the log is in no record, or is in one now: noted, durably.
        std::function<bool(bool is)> orphan;
        bool isOrphaned = false;  // noted before
    };

    Replica(const ReplicaOptions& options, const MemberFacts& facts, Surroundings with, Moment now);

    void onFrame(MemberId from, std::span<const std::byte> frame, Moment now);
    bool step(Moment now);
    [[nodiscard]] uint64_t nextTimer() const;

    // ---- who makes the entries, where the executor keeps account of the log only
    // Behind the log's end, in this term; `header`: what it became. False: this member does not lead.
    bool append(std::span<const std::byte> payload, uint32_t count, EntryHeader& header);
    // What this member leads, or has reserved; 0: nothing.
    [[nodiscard]] Epoch term() const { return term_; }
    // Whether as many of the sync set as a commit needs have been heard within so long, itself among them.
    [[nodiscard]] bool hearsQuorum(uint64_t withinNs) const;

    // ---- clients
    // A bridge's: the entry behind the log's end is taken, one that is here already is compared, and `result`, the
    // other site's behind it (0: not known), where it still is here. Where this member leads a standby site.
    Answered ingest(const EntryHeader& header, std::span<const std::byte> payload,
                    const Digest128& result);
    [[nodiscard]] Position last() const { return with_.log.last(); }
    // Takes as many commands as there is room for. Not where this member does not lead.
    Answered submit(std::span<const std::byte> commands, uint32_t count, uint32_t& taken);
    [[nodiscard]] MemberId leader() const;  // as far as known; 0: nobody
    [[nodiscard]] bool leads() const { return role_ == Role::Leader; }

    // What links to other members are made for: the latest epoch that this one has heard of.
    [[nodiscard]] Epoch linkEpoch() const;
    // A peer has refused a link of an old epoch: the record says what the current one is.
    void readSoon() { readWanted_ = true; }

    // ---- operator
    Status evict(MemberId member);
    Status readmit(MemberId member);
    Status force();
    // The first record of a cluster that begins with this log; ClusterExists where there is a record.
    Status found();
    Status become(Site site);
    Status promote(MemberId member);

    // ---- what others look at
    [[nodiscard]] Role role() const { return role_; }
    [[nodiscard]] const std::string& halted() const { return halted_; }
    // Halted, or about to lead, with a log that is in no record.
    [[nodiscard]] bool isOrphaned() const { return orphaned_; }
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
        Position said = 0;           // where its latest result is from
        Digest128 saidHash;
        uint64_t heartbeatAt = 0;    // when something was last sent
        uint64_t probeAt = 0;
        std::vector<EpochEnd> ends;  // of its log, as it last said
        Position commit = 0;
        Position getsFrom = 0;       // it takes a snapshot, and goes on here; 0: it doesn't
        uint64_t getsSince = 0;
        uint64_t reachedAt = 0;      // when it last asked who would follow, or answered that
    };
    [[nodiscard]] const std::map<MemberId, Progress>& progress() const { return progress_; }

private:
    // A request to the control store that has not been answered. One at a time.
    struct Asked {
        uint64_t request = 0;  // 0: none
        bool swap = false;
        uint64_t expected = 0;
        Configuration wanted;
        uint64_t at = 0;
        bool hadLog = false;  // when it was asked: what the store says is no older than that
    };
    // A takeover that is thought of: whether enough would follow.
    struct Asking {
        struct Answer {
            uint64_t question = 0;
            uint64_t at = 0;
            Incarnation incarnation = 0;
            bool yes = false;
        };
        uint64_t since = 0;    // 0: nothing is asked
        uint64_t askedAt = 0;
        uint64_t first = 0;    // the number of its first question
        uint64_t revision = 0;
        bool handed = false;   // the leader itself has asked for it
        std::map<MemberId, Answer> answers;
    };
    // What the leader has heard the cluster agree on at a position.
    using Acknowledged = Position (Replica::*)(MemberId) const;

    // ---- everybody: replica.cpp
    void onControl(const ControlAnswer& answer);
    void onRecord(const ControlRecord& record, bool hadLog);
    void learn(const Configuration& configuration, uint64_t revision);
    void askRead();
    void askSwap(const Configuration& wanted);
    void onSwapped(const Configuration& now);
    void onLost(const ControlRecord& record, bool hadLog);
    bool promise(Epoch epoch);
    [[nodiscard]] bool accepts(Epoch epoch) const;
    void halt(const std::string& why);
    void stepDown();
    [[nodiscard]] bool isSync() const;
    // The log that this member leads or adopts is all here: others may be measured by it.
    [[nodiscard]] bool isComplete() const;
    bool keepWord();
    [[nodiscard]] bool sends() const { return role_ >= Role::Adopting && role_ <= Role::Leader; }
    [[nodiscard]] Position acknowledgedPosition() const;
    [[nodiscard]] bool hashAt(Position position, Digest128& hash) const;
    template <typename Frame>
    bool sendTo(MemberId to, Frame frame, std::span<const std::byte> payload = {}) {
        frame.header.from = facts_.id;
        frame.header.epoch = term_ != 0 ? term_ : facts_.promised;
        return with_.wires.send(to, buffer_.make(frame, payload));
    }
    void sendState(MemberId to, uint8_t flags);
    bool appendEntry(const EntryHeader& header, std::span<const std::byte> payload);
    bool cut(Position to);

    // ---- founding.cpp
    void onNoRecord(bool hadLog);
    void bootstrap();
    [[nodiscard]] Incarnation fresh() const;
    void beBorn();
    void beBornAgain();
    void standAside();
    [[nodiscard]] bool isNamed() const;
    bool claim();
    void comeBack();
    // Asks a leader whether this log is the beginning of its own, and hears that it is.
    void prove(MemberId from, const AppendFrame& frame);
    void answerOrphan(MemberId from, const StateFrame& frame);

    // ---- snapshot_exchange.cpp
    void offer(MemberId to, Position next, uint8_t flags);
    void keepForGetters();
    void onOffer(MemberId from, const OfferFrame& frame, std::span<const std::byte> payload);
    bool takesOffers(MemberId from, const OfferFrame& frame);
    void onWant(MemberId from, const WantFrame& frame);
    void onPart(MemberId from, const PartFrame& frame, std::span<const std::byte> payload);
    void askForParts();
    void install();
    bool startOver();

    // ---- follower.cpp
    void onAppend(MemberId from, const AppendFrame& frame, std::span<const std::byte> payload);
    bool fits(MemberId from, const AppendFrame& frame, bool& isNew);
    void follow(const AppendFrame& frame);
    void onFence(MemberId from, const FenceFrame& frame);
    void onTruncate(MemberId from, const TruncateFrame& frame);
    void onFetch(MemberId from, const FetchFrame& frame);
    void acknowledge();

    // ---- leader.cpp
    void lead();
    bool serve();
    Answered compareEntry(const EntryHeader& header, std::span<const std::byte> payload,
                          const Digest128& result);
    bool makeEntries();
    bool makeEntry(bool isStart);
    bool stream();
    bool streamTo(MemberId to, Progress& peer);
    void heartbeat(MemberId to, Progress& peer);
    void onAck(MemberId from, const AckFrame& frame);
    void onState(MemberId from, const StateFrame& frame, std::span<const std::byte> payload);
    void align(MemberId from, Progress& peer);
    void compare(Progress& peer, Position position, const Digest128& hash);
    [[nodiscard]] Position acknowledgedBy(MemberId id) const;
    [[nodiscard]] Position matchedBy(MemberId id) const;
    [[nodiscard]] Position agreed(const Configuration& configuration, Acknowledged by) const;
    void commitAndRelease();

    // ---- pre_vote.cpp
    void beginAsking(bool handed);
    void keepAsking();
    void sendPreVotes();
    [[nodiscard]] bool enoughWouldFollow() const;
    void onPreVote(MemberId from, const PreVoteFrame& frame);
    void onPreVoted(MemberId from, const PreVotedFrame& frame);
    [[nodiscard]] bool wouldFollow(MemberId who) const;
    // A leader or candidate has spoken.
    void hear(MemberId leader);
    void lookForQuorum();
    [[nodiscard]] bool reachesQuorum() const;
    // It sends nothing, so that those who hear it and whom it does not hear look for another leader.
    [[nodiscard]] bool isMute() const;

    // ---- takeover.cpp
    void considerTakeover();
    void reserve();
    void fence();
    void adopt();
    void onEntry(MemberId from, const EntryFrame& frame, std::span<const std::byte> payload);
    void activateWhenSynced();
    [[nodiscard]] std::set<MemberId> fenced() const;

    // ---- reconfiguration.cpp
    void reconfigure();
    bool change(Configuration wanted);
    bool shrink();
    void confess();
    [[nodiscard]] bool opponentsAgree();
    bool grow();
    bool vote();
    Status command(const char* what, Configuration wanted);

    const ReplicaOptions options_;
    MemberFacts facts_;
    Surroundings with_;
    Moment now_;
    uint64_t steppedAt_ = 0;
    Role role_ = Role::Follower;
    std::string halted_;
    Status failure_;
    Counters counters_;
    FrameBuffer buffer_;

    Configuration known_;
    uint64_t revision_ = 0;
    Asked asked_;
    uint64_t nextRequest_ = 1;
    uint64_t nonce_ = 0;
    bool readWanted_ = true;
    uint64_t readAt_ = 0;
    uint64_t ledSince_ = 0;  // when a leader that has committed something was first heard; 0: not yet
    bool wasEvicted_ = false;
    bool orphaned_ = false;  // see the top
    bool absent_ = false;    // the store has said, since the start, that there is no record
    std::optional<Evicted> diverged_;  // found by itself, and not in the record yet

    // Follower.
    MemberId heardLeader_ = 0;
    uint64_t heardAt_ = 0;        // since when its patience runs; 0: the leader hands over to this member
    uint64_t leaderAt_ = 0;       // when something was last heard of a leader or candidate, or the start
    Asking asking_;
    uint64_t recordAt_ = 0;       // when the record was last read; 0: not since it asks
    // What does not fit is answered with the whole state of the log, but not each time.
    static constexpr uint64_t kStateEveryNs = 2'000'000;
    uint64_t stateSentAt_ = 0;
    // Up to here this log is known to equal that of whoever leads alignedEpoch_.
    Epoch alignedEpoch_ = 0;
    Position alignedTo_ = 0;
    Position ackSent_ = 0;
    bool ackWanted_ = false;
    Position degradedFrom_ = 0;   // up to here it has acknowledged what was only written
    uint64_t laxUntil_ = 0;       // Mutant::FenceBeforeDead
    Epoch laxEpoch_ = 0;

    // Leader and candidate.
    Epoch term_ = 0;              // what this member leads or has reserved
    std::map<MemberId, Progress> progress_;
    std::optional<Configuration> changing_;  // asked for and not known to be refused
    Position commit_ = 0;         // never beyond the log's end: what is heard of another log is no word about this one
    Position adoptedCommit_ = 0;  // a candidate's: of the log that it adopts, as far as others know
    std::vector<std::byte> pending_;  // commands that no entry holds yet
    size_t pendingFrom_ = 0;
    uint32_t pendingCount_ = 0;
    MemberId yieldTo_ = 0;
    uint64_t yieldUntil_ = 0;
    uint64_t quorumAt_ = 0;       // when a quorum was last reached
    uint64_t calledAt_ = 0;       // when a silent leader last asked whether somebody is there

    // Candidate.
    uint64_t activatingAt_ = 0;
    uint64_t termBeganAt_ = 0;
    uint64_t enoughAt_ = 0;
    uint64_t fenceSentAt_ = 0;
    MemberId source_ = 0;         // who has the log that is adopted
    EpochEnd target_;             // where the log that was taken over ends
    uint64_t fetchedAt_ = 0;      // when it was last asked for, or came
    uint64_t adoptedAt_ = 0;      // when the last entry of it came
    std::set<MemberId> gathered_;
};

}  // namespace verbex::replication
