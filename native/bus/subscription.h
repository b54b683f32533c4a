// A stream on its subscriber's side: what is due next, and what waits for the receiver.
//
// Purpose: takes messages from the link in order, hands them to the receiver, keeps what it does
// not take, says what was consumed, and asks again after a gap or a lost link.
//
//     link ──▶ expected_ ──▶ [ buffer: what the receiver did not take ] ──▶ due_ ──▶ receiver
//                     └──────────── nothing waits: no copy ────────────────▶
//
// Owner: the agent. The peer that it subscribes at knows it by handle.
// Thread safety: none.
// Invariants:
//   1. The receiver sees due_, due_ + 1, … and nothing else, whatever the link does.
//   2. At most the window waits here; a publisher that sends more breaks the protocol.
//   3. A receiver that does not take a message holds up nothing but its own stream.
// Requires: the peer calls on…() for messages with this subscription's handle.
#pragma once

#include <string>

#include "bus/channel.h"
#include "bus/context.h"
#include "bus/history.h"

namespace verbex::bus {

class StreamSubscription final : public Subscription {
public:
    StreamSubscription(Context& context, PeerId peer, const SubscriptionOptions& options);

    void setReceiver(StreamReceiver* receiver) override { receiver_ = receiver; }
    [[nodiscard]] SubscriptionState state() const override { return state_; }
    [[nodiscard]] const Status& failure() const override { return failure_; }
    [[nodiscard]] Position resumeFrom() const override { return due_; }
    [[nodiscard]] Position oldest() const override { return oldest_; }
    void close() override;

    // What the peer does for it: asks on a fresh handle, releases the one it has.
    [[nodiscard]] bool wantsHandle() const {
        return phase_ == Phase::Away && handle_ == 0 && waitingCost_ == 0 && context_.now >= askAt_;
    }
    [[nodiscard]] bool wantsRelease() const {
        return handle_ != 0 && (phase_ == Phase::Away || phase_ == Phase::Over);
    }
    void ask(Channel& channel, uint16_t handle);
    void released() { handle_ = 0; }
    void onLinkLost(const Status& why, bool fenced);

    [[nodiscard]] PeerId peer() const { return peer_; }
    [[nodiscard]] uint16_t handle() const { return handle_; }
    // The last that has arrived here, taken by the receiver or not.
    [[nodiscard]] Position arrived() const { return expected_ == 0 ? 0 : expected_ - 1; }
    [[nodiscard]] bool isFreed() const { return closed_ && handle_ == 0; }

    // What came from the publisher. False: it makes no sense, the link is to be given up.
    bool onData(const transport::Message& message) {
        if (message.position == expected_ && waitingCost_ == 0 && phase_ == Phase::Live &&
            receiver_ != nullptr) [[likely]] {
            if (receiver_->onMessage({message.position, message.flags, message.payload})) {
                ++expected_;
                consumed(message.payload.size());
                return true;
            }
        }
        return onOtherData(message);
    }
    bool onSubscribed(Position first, const SubscribedBody& body);
    void onRefused(const Refusal& refusal);
    void onSent(Position last);
    bool onEnded(Position last);
    bool onCutOff(Position from);
    void onUnknown();

    // Hands over what waits, at most `limit` messages; how many.
    size_t deliver(size_t limit);
    // Several times a heartbeat: what was consumed is said if it is news, at heartbeats in any
    // case.
    void onTick(bool heartbeat);
    [[nodiscard]] bool hasWaiting() const { return waitingCost_ > 0; }

private:
    enum class Phase : uint8_t { Away, Asking, Live, Ending, CuttingOff, Over };

    void consumed(size_t payloadBytes) {
        ++due_;
        ++context_.counters.delivered;
        context_.counters.deliveredBytes += payloadBytes;
        const uint64_t cost = costOf(payloadBytes);
        consumedCost_ += cost;
        if (consumedCost_ - saidCost_ >= sayEvery_) sayConsumed();
    }
    bool onOtherData(const transport::Message& message);
    void sayConsumed();
    void sendAsk();
    void askAgain(uint64_t missing);
    void finishIfDrained();
    void over(SubscriptionState state, Status why);
    void enter(SubscriptionState state);

    Context& context_;
    SubscriptionOptions options_;
    PeerId peer_;
    StreamReceiver* receiver_ = nullptr;
    Channel* channel_ = nullptr;
    SubscriptionState state_ = SubscriptionState::Connecting;
    Position oldest_ = 0;
    Status failure_;
    Phase phase_ = Phase::Away;
    bool started_ = false;   // a first position is known: from here on it resumes
    bool lostLink_ = false;  // since it was last live
    bool closed_ = false;
    uint16_t handle_ = 0;    // on this link; 0: none
    Position expected_ = 0;  // from the link
    Position due_ = 0;       // to the receiver
    uint32_t payloadMax_ = 0;
    uint64_t window_ = 0;  // what the publisher keeps to
    uint64_t sayEvery_ = 0;
    uint64_t waitingCost_ = 0;
    uint64_t consumedCost_ = 0;  // since Subscribed
    uint64_t saidCost_ = 0;
    Nanoseconds askAt_ = 0;  // not before; while asking, when to ask again
    History buffer_;
};

}  // namespace verbex::bus
