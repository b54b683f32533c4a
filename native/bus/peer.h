// One peer through all its links: handles, heartbeats, and what arrives.
//
// Purpose: knows which stream a handle means on this link, in each direction, and whether the peer
// is still there.
// Owner: the agent.
// Thread safety: none.
// Invariants:
//   1. A handle that was given up is not used again before the peer has said that nothing follows.
//   2. What makes no sense is counted and ends the link; it changes nothing else.
//   3. A peer holds at most kStreamsMax cursors here.
// Requires: serve() in every round after the link was polled, tick() several times a heartbeat.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "bus/channel.h"
#include "bus/context.h"
#include "bus/publication.h"
#include "bus/subscription.h"

namespace verbex::bus {

// What a peer needs of the agent.
class Publications {
public:
    virtual StreamPublication* find(std::string_view stream) = 0;

protected:
    ~Publications() = default;
};

class Peer final : public transport::Receiver {
public:
    static constexpr size_t kStreamsMax = 1024;

    Peer(Context& context, Publications& publications, PeerId id);

    // The agent's own book about it.
    PeerView view;
    Address address;  // of a peer that is connected to; an inbound one has none
    bool wanted = true;
    bool connecting = false;
    transport::ConnectId attempt = 0;
    Nanoseconds attemptAt = 0;
    uint32_t failures = 0;   // since it was last up
    Nanoseconds leftAt = 0;  // when its last link was over

    [[nodiscard]] Channel& channel() { return channel_; }
    void attach(transport::Link& link);
    // The link is over: cursors are freed, subscriptions told. `fenced`: what waits of it goes,
    // too.
    void detach(const Status& why, bool fenced);

    void add(StreamSubscription& subscription) { subscriptions_.push_back(&subscription); }
    void remove(StreamSubscription& subscription);
    [[nodiscard]] bool hasSubscriptions() const { return !subscriptions_.empty(); }

    void onMessage(const transport::Message& message) override;
    // Hands over what waits; asks for and releases handles. How many messages were handed over.
    size_t serve(size_t limit);
    void tick(bool heartbeat);
    [[nodiscard]] bool isSilent() const {
        return context_.now - heardAt_ > context_.options.livenessNs;
    }
    void heard() { heardAt_ = context_.now; }

    // From now on nothing is sent or delivered; the agent drops the link when nobody stands on it.
    void giveUp(Status why);
    [[nodiscard]] const Status& fault() const { return fault_; }

private:
    struct Incoming {
        enum class Use : uint8_t { Free, Taken, Leaving };
        Use use = Use::Free;
        StreamSubscription* subscription = nullptr;
        Position arrived = 0;  // Leaving: what Unsubscribe says
    };

    bool take(const transport::Message& message);
    bool fromPublisher(const transport::Message& message, StreamSubscription& subscription);
    bool onSubscribe(const transport::Message& message);
    bool onConsumed(const transport::Message& message);
    void onUnsubscribe(const transport::Message& message);
    bool onHeartbeat(const transport::Message& message, bool echo);
    void onStray(uint16_t handle);
    void sendSubscribed(const Cursor& cursor);
    void refuse(uint16_t handle, Position oldest, const Status& why);
    void release(StreamSubscription& subscription);
    uint16_t freeHandle();
    void malformed(std::string_view what);

    Context& context_;
    Publications& publications_;
    Channel channel_;
    std::vector<StreamSubscription*> subscriptions_;
    std::vector<Incoming> incoming_;                 // by our handle
    std::vector<std::unique_ptr<Cursor>> outgoing_;  // by the peer's handle
    size_t cursors_ = 0;
    uint16_t lastHandle_ = 0;
    Nanoseconds heardAt_ = 0;
    Nanoseconds beatAt_ = 0;   // of the last heartbeat that was sent
    Nanoseconds strayAt_ = 0;  // when a message on a dead handle was last answered
    Status fault_;
};

}  // namespace verbex::bus
