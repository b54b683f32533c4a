// ClientPort: submissions and subscriptions of clients, edges and bridges, whatever carries them.
//
// Purpose: takes commands where this member leads, and lets released events or entries out, in order, from
// the position that each subscriber names. Exactly once is the core's: a client that does not know what
// became of a command sends it again under the same client id, here or at the next leader.
// Owner: Member.
// Thread safety: the member's thread.
// Invariants:
//   1. Only released batches leave, each whole (in parts that say so), in order, without gaps.
//   2. A subscriber that does not take what there is is passed over; what it misses stays in Outputs, and
//      what is no longer there ends its subscription with the position (PositionLost).
// Requires: Replica outlives it.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "replication/frames.h"
#include "replication/outputs.h"
#include "replication/replica.h"
#include "replication/snapshot_desk.h"
#include "replication/wires.h"

namespace verbex::replication {

struct ClientPortOptions {
    uint32_t clientsMax = 1024;
    uint32_t framesPerStep = 64;  // to one subscriber, so that others get their turn
    SnapshotDeskOptions snapshots;
};

class ClientPort {
public:
    ClientPort(const ClientPortOptions& options, Replica& replica, MemberLog& log, Outputs& outputs,
               MemberSnapshots& snapshots, Wires& wires);

    void onFrame(NodeId client, std::span<const std::byte> frame);
    void onClosed(NodeId client);
    // Sends what has been released; false: nothing was to send, or nobody takes it.
    bool step(uint64_t nowNs);
    // Everything released is on its way to every subscriber.
    [[nodiscard]] bool isIdle() const;
    // The member halts or is replaced: all subscriptions end.
    void endAll(Answered why);
    [[nodiscard]] uint32_t clients() const { return static_cast<uint32_t>(subscribers_.size()); }

private:
    struct Subscriber {
        Position next = 0;
        uint32_t index = 0;  // events of the batch at `next` that are sent
        bool entries = false;
        bool greeting = false;  // it has not been told yet how far the output is released
        uint16_t number = 0;    // the client's, of this subscription
        uint32_t accountFirst = 0;
        uint32_t accountLast = 0;
    };
    void submit(NodeId client, const SubmitFrame& frame, std::span<const std::byte> payload);
    void subscribe(NodeId client, const SubscribeFrame& frame);
    [[nodiscard]] FrameHeader header() const;
    bool refuse(NodeId client, Answered why, Position resume);
    bool serve(NodeId client, Subscriber& subscriber, bool& ended);
    bool sendEvents(NodeId client, Subscriber& subscriber, const OutputBatch& batch);
    bool sendGreeting(NodeId client, const Subscriber& subscriber);
    bool sendEntry(NodeId client, Subscriber& subscriber, const OutputBatch* batch, bool& ended);

    const ClientPortOptions options_;
    Replica& replica_;
    MemberLog& log_;
    Outputs& outputs_;
    Wires& wires_;
    SnapshotDesk desk_;
    FrameBuffer buffer_;
    std::vector<Event> chosen_;
    std::map<NodeId, Subscriber> subscribers_;
};

}  // namespace verbex::replication
