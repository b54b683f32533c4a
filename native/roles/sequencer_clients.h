// SequencerClients: submissions and subscriptions of clients, edges and bridges, in the frames of a cluster's members.
//
// Purpose: whoever attaches to a cluster (replication/cluster_client.h) attaches to a sequencer the same way:
// it submits, and follows events or entries from a position that it names.
// Exactly once is the core's: what nobody knows the fate of is sent again under the same client id.
// Owner: SequencerMember, as long as the sequencer.
// Thread safety: the sequencer's thread.
// Invariants:
//   1. Only released batches leave, each whole, in order, without gaps.
//   2. What only the sequencer may say (time, availability, refusals), nobody submits.
//   3. Who does not take what there is is passed over; what is no longer kept ends its subscription.
// Requires: the sequencer and the wires outlive it.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "replication/frames.h"
#include "replication/wires.h"
#include "roles/sequencer.h"

namespace verbex::roles {

class SequencerClients {
public:
    SequencerClients(Sequencer& sequencer, replication::Wires& wires, replication::MemberId member,
                     replication::Epoch epoch)
        : sequencer_(sequencer), wires_(wires), member_(member), epoch_(epoch) {}

    void onFrame(replication::NodeId client, std::span<const std::byte> frame);
    void onClosed(replication::NodeId client) { subscribers_.erase(client); }
    // Sends what has been released; false: nothing was to send, or nobody takes it.
    bool step();

private:
    struct Subscriber {
        Position next = 0;
        uint32_t index = 0;  // events of the batch at `next` that are sent
        bool entries = false;
        bool greeting = false;  // it has not been told yet how far there are entries
        uint16_t number = 0;    // the client's, of this subscription
        uint32_t accountFirst = 0;
        uint32_t accountLast = 0;
    };
    void submit(replication::NodeId client, const replication::SubmitFrame& frame,
                std::span<const std::byte> payload);
    void subscribe(replication::NodeId client, const replication::SubscribeFrame& frame);
    void refuse(replication::NodeId client, replication::Answered why, Position resume);
    bool serve(replication::NodeId client, Subscriber& subscriber, bool& ended);
    bool sendEvents(replication::NodeId client, Subscriber& subscriber,
                    const replication::OutputBatch& batch);
    bool sendEntry(replication::NodeId client, Subscriber& subscriber, bool& ended);
    bool greet(replication::NodeId client, const Subscriber& subscriber);

    template <typename Frame>
    [[nodiscard]] Frame headed() const {
        Frame frame;
        frame.header.from = member_;
        frame.header.epoch = epoch_;
        return frame;
    }

    Sequencer& sequencer_;
    replication::Wires& wires_;
    const replication::MemberId member_;
    const replication::Epoch epoch_;
    replication::FrameBuffer buffer_;
    std::vector<Command> commands_;
    std::vector<Event> chosen_;
    std::map<replication::NodeId, Subscriber> subscribers_;
};

}  // namespace verbex::roles
