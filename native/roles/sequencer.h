// Sequencer: gives positions, asks risk, has matching match, keeps the log, and lets events out.
//
//              ┌ window: commands under way, by position ─────────────────────────────────────────────────┐
//   intake ──▶ │ sequenced ─▶ decided ─▶ dispatched ─▶ settled (matched, all ahead too) ─▶ released         │
//              │              └─▶ in the log ───────────────────────────────────────────────▲              │
//              └──────────────────────────────────────────────────────────────────────────────────────────┘
//
// Purpose: the dispatcher of an exchange in roles. It holds what belongs to no account and no book
// (CorePart::Centre), drives the stages of core.h by frames, and folds the same chain of result hashes as
// replication::Executor does over the same log. It begins with what is known of the log (log_replay.h), and replays the rest
// of it, some of it a step.
// Owner: SequencerMember, for as long as that member leads.
// Thread safety: none.
// Invariants:
//   1. Every cursor above moves over positions without gaps; each is behind the one to its left.
//   2. A command enters the log when it is decided, with what was decided where that is not the core's own
//      doing (kCommandRefused); its events are released when it is stored, and where a risk process was lost,
//      when the marker that says so is stored too: also where the one before it did not come to write that marker.
//   3. After a loss nothing that comes from the lost link is used.
//   4. Commands that run alone find nothing ahead of them under way, and nothing behind them begun.
//   5. Shadows of roles are fed what is released, and nothing else; what they offer to begin with is believed where
//      the log has the same result there.
// Requires: log and links outlive it, and all that is in the log at the beginning is stored; step() often, and at nextTimer() at the latest.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "core/part.h"
#include "journal/storage.h"
#include "replication/member_log.h"
#include "replication/outputs.h"
#include "roles/channel.h"
#include "roles/log_replay.h"
#include "roles/mutants.h"
#include "roles/sequencer_shadow.h"
#include "wire/event_digest.h"

namespace verbex::roles {

// One connection of a role, as the surroundings number them; never twice the same.
using LinkId = uint32_t;

class RoleLinks {
public:
    // False: no room now, or no such link.
    virtual bool send(LinkId to, std::span<const std::byte> frame) = 0;
    virtual void close(LinkId link) = 0;

protected:
    ~RoleLinks() = default;
};

// Where what is decided goes, and where it is read again.
class SequencerLog {
public:
    // Behind the log's end; `header`: the entry that it has become. False: it is no longer this sequencer's log.
    virtual bool append(std::span<const std::byte> payload, uint32_t count,
                        replication::EntryHeader& header) = 0;
    // Up to here nothing is lost whoever is.
    [[nodiscard]] virtual Position stored() const = 0;
    [[nodiscard]] virtual replication::MemberLog& entries() = 0;

protected:
    ~SequencerLog() = default;
};

struct SequencerOptions {
    CoreLimits limits;
    uint32_t riskShards = 1;      // 1 to 16
    uint32_t matchingShards = 1;  // 1 to 16
    uint32_t window = 4096;       // commands under way
    uint32_t batchMax = 1024;     // commands in an entry of the log
    uint64_t pingNs = 100'000'000;
    uint64_t silenceNs = 2'000'000'000;  // a role that says nothing for so long is lost
    uint64_t attachNs = 10'000'000'000;  // at the start: risk processes are waited for so long
    uint64_t tickNs = 0;                 // the log's time follows the wall clock in such steps; 0: not
    uint32_t outputEvents = 1u << 18;    // released events that are kept for who resumes
    // The result is remembered at the end of the first entry that reaches into each next so many positions: snapshots
    // of roles are verified by that. Of all sequencers the same.
    uint32_t markEvery = 4096;
    RoleMutant mutant = RoleMutant::None;

    [[nodiscard]] LogReplayOptions replay() const {
        return {limits, riskShards, matchingShards, outputEvents, markEvery, mutant};
    }
};

struct RoleMoment {
    uint64_t steadyNs = 0;
    uint64_t wallNs = 0;
};

struct SeatStatus {
    PartKind kind = PartKind::Whole;
    uint32_t shard = 0;
    bool attached = false;   // a process is connected and says it is this one
    bool live = false;       // it takes part
    Position rebuilt = 0;    // while it is not
    uint64_t losses = 0;
    Position base = 0;       // of the core with which its link began: the log was sent from there on
    Position shadow = 0;     // executed for its next snapshot
    uint64_t refused = 0;    // hashes that it offered, and that were not those of the log
};

struct SequencerStatus {
    bool serving = false;
    std::string waitsFor;    // why it takes no commands; empty: it does
    Position sequenced = 0;
    Position decided = 0;
    Position journaled = 0;
    Position settled = 0;
    Position released = 0;
    Digest128 resultHash;    // at settled
    uint64_t hazards = 0;
    uint64_t alone = 0;
    uint64_t refused = 0;    // under way when their risk process was lost
    Position base = 0;       // up to here its log had been replayed when it began
    std::vector<SeatStatus> seats;

    // ---- what the member says whose log it is
    bool leads = false;
    bool follows = false;    // another one
    replication::Epoch epoch = 0;
    replication::MemberId leader = 0;             // as the record says; 0: nobody yet
    std::vector<replication::MemberId> sync;      // who must have an entry before its events leave
    SequencerShadowStatus shadow;
};

class Sequencer {
public:
    // `past`: of this log, as far as it is replayed.
    Sequencer(const SequencerOptions& options, std::unique_ptr<LogReplay> past, SequencerLog& log,
              RoleLinks& links, RoleMoment now);
    ~Sequencer();
    Sequencer(const Sequencer&) = delete;
    Sequencer& operator=(const Sequencer&) = delete;

    // The log is replayed: it may take part. What is wrong with the log failure() says: Refused where it was made
    // for another number of risk processes.
    [[nodiscard]] bool ready() const { return centre_ != nullptr; }

    // ---- roles. Requires: ready().
    void onAttached(LinkId link);
    void onFrame(LinkId link, std::span<const std::byte> frame);
    void onClosed(LinkId link);
    // False: nothing was to do.
    bool step(RoleMoment now);
    [[nodiscard]] uint64_t nextTimer() const { return nextTimer_; }

    // ---- whoever has commands. False: no room now.
    [[nodiscard]] bool offer(const Command& command);
    [[nodiscard]] size_t room() const;

    // ---- whoever wants events
    [[nodiscard]] replication::Outputs& outputs() { return outputs_; }
    [[nodiscard]] replication::MemberLog& log() { return log_.entries(); }
    [[nodiscard]] Position last() const { return sequenced_; }

    [[nodiscard]] SequencerStatus status() const;
    [[nodiscard]] const CorePart& centre() const { return *centre_; }
    [[nodiscard]] bool serving() const;
    // Everything that was offered is released.
    [[nodiscard]] bool idle() const;
    // The log takes nothing more: nothing is released any more.
    [[nodiscard]] const Status& failure() const { return failure_; }
    void fail(const Status& why);

private:
    enum class Phase : uint8_t { Sent, Hazard, Decided };
    struct Cell {
        Command command;
        Decision decision;
        Phase phase;
        bool alone;
        bool whole;      // decided with nothing else under way: capacities count
        bool matched;
        bool refused;
        uint32_t shard;  // who decides; kNobody: the sequencer itself
        WantsBody wants;  // Phase::Hazard
        MatchedEvents out;         // as settlement needs them; when that is done, as they leave
        Digest128 chain;           // behind it
    };
    static constexpr uint32_t kNobody = UINT32_MAX;

    struct Seat {
        PartKind kind = PartKind::Risk;
        uint32_t shard = 0;
        LinkId link = 0;                   // 0: nobody is connected
        std::unique_ptr<Channel> channel;
        bool live = false;                 // takes part: messages after Join follow in order
        bool joinDue = false;              // intake stands still until it has joined
        bool markerQueued = false;         // the marker that it is back waits for its position
        bool numbersOwed = false;          // it was lost while entries got new numbers
        Position sent = 0;                 // of the log, while it is rebuilt
        Position rebuilt = 0;
        uint64_t heardAt = 0;
        uint64_t pingedAt = 0;
        uint32_t ids = 0;                  // risk
        uint32_t orders = 0;               // matching
        uint64_t losses = 0;
        Position base = 0;                 // what it has offered and was confirmed
        bool follows = false;              // its shadow is fed
        Position fed = 0;
        Position followed = 0;
        uint64_t fedAt = 0;
        uint64_t disagreed = 0;
    };

    struct Alone {
        enum class Stage : uint8_t { None, Gather, Sweep, Numbers };
        Stage stage = Stage::None;
        Position at = 0;
        uint32_t waitsRisk = 0;      // a bit for each that has not answered
        uint32_t waitsMatching = 0;
        uint32_t askedMatching = 0;
        GatheredBody facts;
        std::vector<Event> events;   // of the command itself
        struct Swept {
            SweepKey key;
            Event event;
            EventIds ids;
        };
        std::vector<Swept> swept;
    };

    struct Resolving {
        enum class Stage : uint8_t { None, Asked, Looking, Looked, Deciding };
        Stage stage = Stage::None;
        Position at = 0;
        WantsBody wants;
        BookLook look;
    };

    // ---- sequencer_replay.cpp
    bool replay();
    void begin();

    // ---- sequencer.cpp
    bool intake();
    void place(const Command& command, bool whole);
    Cell& append(const Command& command);
    [[nodiscard]] Cell& cell(Position at) { return *window_[at - released_ - 1]; }
    [[nodiscard]] bool underWay(Position at) const { return at > released_ && at <= sequenced_; }
    bool tick();
    bool journal();
    bool release();

    // ---- sequencer_orders.cpp
    bool decide();
    bool dispatch();
    void sendMatch(Position at);
    bool settle();
    bool resolve();
    void onDecided(Seat& seat, const RoleMessage& message);
    void onHazard(Seat& seat, const RoleMessage& message);
    void onWants(Seat& seat, const RoleMessage& message);
    void look();
    void onLooked(const RoleMessage& message);
    void onMatched(Seat& seat, const RoleMessage& message);
    void sendLook();
    void sendDecide();
    [[nodiscard]] uint64_t liveOrders() const;
    [[nodiscard]] uint64_t rememberedIds() const;
    [[nodiscard]] bool roomForOrder() const;

    // ---- sequencer_alone.cpp
    void beginAlone(const Command& command);
    void gather();
    void goOnAlone();
    void sweep();
    void finishAlone();
    void carry(const Cell& done);
    void onGathered(Seat& seat, const RoleMessage& message);
    void onSwept(Seat& seat, const RoleMessage& message);
    void onCarried(Seat& seat, const RoleMessage& message);
    void renumber(Seat& seat, std::span<const NumberedOrder> orders);
    void aloneWithoutRisk(uint32_t shard);
    void aloneAgain(Seat& matching);

    // ---- sequencer_seats.cpp
    [[nodiscard]] Seat* seatOf(LinkId link);
    void onHello(LinkId link, const RoleMessage& message);
    void onMessage(Seat& seat, const RoleMessage& message);
    void onJoined(Seat& seat, const RoleMessage& message);
    bool attend();
    bool rebuild(Seat& seat);
    bool sendLog(Seat& seat, Position to);
    bool join(Seat& seat);
    void lose(Seat& seat);
    void loseRisk(Seat& seat);
    void mark(uint32_t shard, bool down, Position from);
    [[nodiscard]] bool away(uint32_t shard) const;
    [[nodiscard]] std::string waitsFor() const;
    void violate(Seat& seat);
    void useDead(std::span<const std::byte> frame);
    bool flush();

    // ---- sequencer_snapshots.cpp
    // What the result was at a position that ends an entry; null: not known, or not released.
    [[nodiscard]] const Digest128* hashOf(Position at) const;
    void remember(const replication::EntryHeader& entry, const Digest128& chain);
    // Where the log that it is sent begins behind: at what it offers, if that is so, or at 0.
    [[nodiscard]] Position agree(Seat& seat, const HelloBody& hello);
    void onFollowed(Seat& seat, const RoleMessage& message);
    bool feed(Seat& seat);

    const SequencerOptions options_;
    SequencerLog& log_;
    RoleLinks& links_;
    RoleMoment now_;
    uint64_t openedAt_ = 0;
    uint64_t nextTimer_ = 0;
    Status failure_;

    std::unique_ptr<LogReplay> past_;
    const Position base_;
    std::unique_ptr<CorePart> centre_;
    replication::Outputs& outputs_;  // what was known of the log has them, and they go on
    EventDigest chain_;  // of all that is settled
    std::vector<ResultMark> marks_;  // every options_.markEvery positions of the log

    std::deque<Command> pending_;
    std::deque<Command> markers_;  // ahead of all that is pending
    std::deque<std::unique_ptr<Cell>> window_;  // from released_ + 1 on
    std::vector<std::unique_ptr<Cell>> spare_;
    Position sequenced_ = 0;
    Position decided_ = 0;
    Position journaled_ = 0;
    Position dispatched_ = 0;
    Position settled_ = 0;
    Position released_ = 0;  // where the window begins; what is held back from before it, outputs_ knows
    std::deque<replication::EntryHeader> entries_;  // in the log, not released
    Position gateFrom_ = 0;    // events from here on wait for a marker; 0: none do
    Position gateMarker_ = 0;  // that marker; 0: it has no position yet

    std::vector<Seat> risk_;
    std::vector<Seat> matching_;
    struct Stranger {
        std::unique_ptr<Channel> channel;
        uint64_t since = 0;
    };
    std::map<LinkId, Stranger> strangers_;  // have not said who they are
    std::map<LinkId, uint32_t> givenUp_;                    // RoleMutant::DeadDecisionUsed
    Alone alone_;
    Resolving resolving_;

    PayloadWriter writer_;
    std::vector<std::byte> payload_;
    std::vector<Command> commands_;
    std::vector<Event> events_;
    std::vector<EventIds> ids_;
    std::vector<SweepKey> keys_;
    std::vector<NumberedOrder> numbers_;
    uint64_t hazards_ = 0;
    uint64_t alones_ = 0;
    uint64_t refusals_ = 0;
};

}  // namespace verbex::roles
