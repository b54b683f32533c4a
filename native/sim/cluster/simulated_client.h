// SimulatedClient: somebody who trades, or watches, and writes down what they were told.
//
// Purpose: behaves as clients behave that want each order done exactly once: what is not answered is sent
// again under the same client id, at whoever seems to lead; output is resumed by position.
// Owner: the run.
// Thread safety: none.
// Invariants:
//   1. What it is told is what one core alone says, in order, without gaps or repeats.
//   2. An order of its takes effect once at most.
// Requires: the oracle has seen what is sent to it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "replication/frames.h"
#include "sim/cluster/network.h"
#include "sim/cluster/oracle.h"

namespace verbex::sim {

struct ClientPlan {
    uint32_t id = 0;             // 0, 1, 2 …
    AccountId account = 0;       // trades for it; 0: sets the market up, or watches
    bool filtered = false;       // hears of its account only
    bool entries = false;        // reads the log instead of events
    uint32_t commands = 0;       // to send; 0: watches, at any member
    uint32_t window = 1;         // orders that wait for their answer, at most
    uint64_t paceNs = 10 * kMillis;
    uint64_t patienceNs = 200 * kMillis;
    std::vector<Command> prepared;  // instead of random orders; sent in this order, all at once
};

class SimulatedClient {
public:
    using Accepts = std::function<bool(MemberId)>;

    SimulatedClient(const ClientPlan& plan, uint32_t members, Timeline& timeline, Random random,
                    Network& network, const Oracle& oracle, Accepts accepts,
                    Oracle::OnProblem onProblem);

    void start();
    // Sends no new orders any more.
    void enough() { enough_ = true; }
    void onFrame(NodeId connection, const Network::Frame& frame);
    void onClosed(NodeId connection);
    // An operator has said that what was released behind this position is lost: it forgets what it was told of it. What
    // it has been answered there it does not send again; what has taken effect before must not do so twice.
    void lose(Position kept);

    // Everything that it has sent is answered, and it has sent what it was to send.
    [[nodiscard]] bool isDone() const;
    [[nodiscard]] bool hasStarted() const { return started_; }
    [[nodiscard]] size_t open() const { return waiting_.size(); }
    [[nodiscard]] uint64_t sent() const { return sent_; }
    [[nodiscard]] uint64_t resent() const { return resent_; }
    [[nodiscard]] Position next() const { return next_; }
    // Its executions are those that the cluster has let out.
    void lookAtEnd();
    [[nodiscard]] const ClientPlan& plan() const { return plan_; }

private:
    struct Waiting {
        Command command;
        uint64_t sentAt = 0;  // 0: not over this connection
    };
    void tick();
    void connect(MemberId member);
    void leave(MemberId next);
    void sendWaiting();
    Command order();
    void onSubmitted(const replication::SubmittedFrame& frame);
    void onEvents(const replication::EventsFrame& frame, std::span<const std::byte> payload);
    void onEntries(const replication::EntriesFrame& frame, std::span<const std::byte> payload);
    void take(const Event& event);
    void batchEnds();
    void lost(Position resume);
    [[nodiscard]] bool concerns(const Event& event) const;
    [[nodiscard]] const Event* expected();
    void problem(const std::string& text);

    const ClientPlan plan_;
    const uint32_t members_;
    Timeline& timeline_;
    Random random_;
    Network& network_;
    const Oracle& oracle_;
    const Accepts accepts_;
    const Oracle::OnProblem onProblem_;

    bool started_ = false;
    bool enough_ = false;
    MemberId target_ = 1;
    NodeId connection_ = 0;
    uint64_t connectAt_ = 0;
    uint64_t heardAt_ = 0;
    uint64_t againAt_ = 0;  // 0: nothing has been refused for want of room
    uint64_t sequence_ = 0;

    // What it has been told: everything before `next_`, and some events of the batch that begins there.
    Position next_ = 1;
    Position cursorBatch_ = 1;  // where expected() looks
    size_t cursorEvent_ = 0;
    Position partOf_ = 0;       // the batch that `part_` belongs to; 0: none
    Position partLast_ = 0;
    std::vector<Event> part_;
    uint32_t refusals_ = 0;     // of what is not kept, since something came
    std::vector<std::pair<Position, Position>> gaps_;  // from, up to and without

    std::map<uint64_t, Waiting> waiting_;  // by token
    std::map<uint64_t, Position> effects_;  // where, by token
    std::vector<ClientId> ids_;
    uint64_t sent_ = 0;
    uint64_t resent_ = 0;
    uint64_t fills_ = 0;
    int64_t bought_ = 0;
    int64_t sold_ = 0;
};

}  // namespace verbex::sim
