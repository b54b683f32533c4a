#include "bus/peer.h"

#include <algorithm>

namespace verbex::bus {

Peer::Peer(Context& context, Publications& publications, PeerId id)
    : context_(context), publications_(publications) {
    view.id = id;
}

void Peer::attach(transport::Link& link) {
    channel_.attach(link);
    const transport::LinkInfo& info = link.info();
    view.connected = true;
    view.name = info.peer;
    view.transport = info.transport;
    view.epoch = info.epoch;
    view.reason = info.reason;
    view.failure = Status();
    view.roundTripNs = 0;
    failures = 0;
    fault_ = Status();
    incoming_.assign(1, {});
    lastHandle_ = 0;
    beatAt_ = 0;
    heard();
}

void Peer::detach(const Status& why, bool fenced) {
    channel_.detach();
    view.connected = false;
    view.failure = why;
    leftAt = context_.now;
    for (const std::unique_ptr<Cursor>& cursor : outgoing_) {
        if (cursor && cursor->publication != nullptr) {
            cursor->publication->remove(*cursor, cursor->consumed);
        }
    }
    outgoing_.clear();
    incoming_.clear();
    cursors_ = 0;
    for (size_t i = 0; i < subscriptions_.size(); ++i) {
        subscriptions_[i]->onLinkLost(why, fenced);
    }
}

void Peer::giveUp(Status why) {
    if (channel_.isGivenUp()) return;
    fault_ = std::move(why);
    channel_.giveUp();
}

void Peer::malformed(std::string_view what) {
    ++context_.counters.malformed;
    giveUp(
        Status(StatusCode::ProtocolViolation, "peer " + view.name + " sent " + std::string(what)));
}

void Peer::remove(StreamSubscription& subscription) {
    std::erase(subscriptions_, &subscription);
}

void Peer::onMessage(const transport::Message& message) {
    if (channel_.isGivenUp()) return;
    if (message.kind == static_cast<uint8_t>(MessageKind::Data)) [[likely]] {
        if (message.stream < incoming_.size()) [[likely]] {
            const Incoming& slot = incoming_[message.stream];
            if (slot.use == Incoming::Use::Taken) [[likely]] {
                if (!slot.subscription->onData(message)) {
                    malformed("more of a stream than its window");
                }
                return;
            }
        }
        onStray(message.stream);
        return;
    }
    if (!take(message)) {
        malformed("a message of kind " + std::to_string(message.kind) + " that makes no sense");
    }
}

bool Peer::take(const transport::Message& message) {
    const auto kind = static_cast<MessageKind>(message.kind);
    switch (kind) {
        case MessageKind::Heartbeat: return onHeartbeat(message, false);
        case MessageKind::Echo: return onHeartbeat(message, true);
        case MessageKind::Subscribe: return onSubscribe(message);
        case MessageKind::Consumed: return onConsumed(message);
        case MessageKind::Unsubscribe:
            if (!message.payload.empty()) return false;
            onUnsubscribe(message);
            return true;
        case MessageKind::Unsubscribed:
            if (!message.payload.empty()) return false;
            if (message.stream < incoming_.size() &&
                incoming_[message.stream].use == Incoming::Use::Leaving) {
                incoming_[message.stream] = {};
            }
            return true;
        case MessageKind::Data:
        case MessageKind::Subscribed:
        case MessageKind::Refused:
        case MessageKind::Sent:
        case MessageKind::CutOff:
        case MessageKind::Ended:
        case MessageKind::Unknown: {
            if (message.stream >= incoming_.size()) return true;  // of a handle long forgotten
            const Incoming& slot = incoming_[message.stream];
            if (slot.use != Incoming::Use::Taken) return true;
            return fromPublisher(message, *slot.subscription);
        }
    }
    return false;
}

bool Peer::fromPublisher(const transport::Message& message, StreamSubscription& subscription) {
    const auto kind = static_cast<MessageKind>(message.kind);
    if (kind == MessageKind::Subscribed) {
        const auto body = decodeSubscribed(message.position, message.payload);
        return body && subscription.onSubscribed(message.position, *body);
    }
    if (kind == MessageKind::Refused) {
        const auto refusal = decodeRefused(message.position, message.payload);
        if (refusal) subscription.onRefused(*refusal);
        return refusal.has_value();
    }
    if (!message.payload.empty() || message.position > kPositionMax) return false;
    if (kind == MessageKind::Sent) subscription.onSent(message.position);
    if (kind == MessageKind::Unknown) subscription.onUnknown();
    if (kind == MessageKind::CutOff) return subscription.onCutOff(message.position);
    if (kind == MessageKind::Ended) return subscription.onEnded(message.position);
    return true;
}

bool Peer::onSubscribe(const transport::Message& message) {
    const auto request = decodeSubscribe(message.position, message.payload);
    if (!request || message.stream == 0) return false;
    const uint16_t handle = message.stream;
    if (handle < outgoing_.size() && outgoing_[handle]) {
        sendSubscribed(*outgoing_[handle]);  // the answer was lost, or it was asked twice
        return true;
    }
    StreamPublication* publication = publications_.find(request->stream);
    if (publication == nullptr) {
        refuse(handle, 0,
               Status(StatusCode::NotFound,
                      "no stream " + std::string(request->stream) + " is published here"));
        return true;
    }
    if (cursors_ >= kStreamsMax) {
        refuse(handle, 0,
               Status(StatusCode::Refused, "this peer has " + std::to_string(kStreamsMax) +
                                               " subscriptions already: close some"));
        return true;
    }
    auto cursor = std::make_unique<Cursor>();
    cursor->channel = &channel_;
    cursor->peer = view.id;
    cursor->handle = handle;
    const Status admitted =
        publication->admit(*cursor, request->from, request->position, request->window);
    if (!admitted.isOk()) {
        refuse(handle, publication->oldest(), admitted);
        return true;
    }
    const Position first = cursor->first;
    sendSubscribed(*cursor);
    if (handle >= outgoing_.size()) outgoing_.resize(handle + size_t{1});
    outgoing_[handle] = std::move(cursor);
    ++cursors_;
    if (context_.events != nullptr) {
        context_.events->onSubscriber(publication->stream(), view.id, first);
    }
    return true;
}

void Peer::sendSubscribed(const Cursor& cursor) {
    if (cursor.publication == nullptr) return;
    const SubscribedBody body{cursor.window, cursor.publication->payloadMax()};
    channel_.send(MessageKind::Subscribed, cursor.handle, cursor.first, bytesOf(body));
}

void Peer::refuse(uint16_t handle, Position oldest, const Status& why) {
    ControlBuffer buffer;
    const Refusal refusal{why.code(), oldest, why.message()};
    channel_.send(MessageKind::Refused, handle, oldest, encodeRefused(refusal, buffer));
}

bool Peer::onConsumed(const transport::Message& message) {
    const auto body = decodeBody<ConsumedBody>(message.payload);
    if (!body || message.position > kPositionMax) return false;
    Cursor* cursor = message.stream < outgoing_.size() ? outgoing_[message.stream].get() : nullptr;
    if (cursor == nullptr) {
        channel_.send(MessageKind::Unknown, message.stream, 0);
        return true;
    }
    if (cursor->state != Cursor::State::Live) StreamPublication::tellEnd(*cursor);
    if (cursor->publication == nullptr) return true;
    return cursor->publication->onConsumed(*cursor, message.position, body->cost);
}

void Peer::onUnsubscribe(const transport::Message& message) {
    if (message.stream < outgoing_.size() && outgoing_[message.stream]) {
        Cursor& cursor = *outgoing_[message.stream];
        if (cursor.publication != nullptr) cursor.publication->remove(cursor, message.position);
        outgoing_[message.stream].reset();
        --cursors_;
    }
    channel_.send(MessageKind::Unsubscribed, message.stream, 0);
}

bool Peer::onHeartbeat(const transport::Message& message, bool echo) {
    const auto body = decodeBody<HeartbeatBody>(message.payload);
    if (!body || message.stream != 0) return false;
    if (!echo) {
        channel_.send(MessageKind::Echo, 0, 0, message.payload);
    } else if (body->sentAtNs == beatAt_ && beatAt_ != 0) {
        view.roundTripNs = std::max<Nanoseconds>(context_.now - beatAt_, 1);
    }
    return true;
}

// Messages on their way to a handle that was given up are no fault. If they do not stop, the
// Unsubscribe was lost, or came before a Subscribe that was late.
void Peer::onStray(uint16_t handle) {
    if (handle < incoming_.size() && incoming_[handle].use == Incoming::Use::Leaving) return;
    if (context_.now < strayAt_) return;
    strayAt_ = context_.now + context_.options.heartbeatNs;
    channel_.send(MessageKind::Unsubscribe, handle, 0);
}

void Peer::release(StreamSubscription& subscription) {
    const uint16_t handle = subscription.handle();
    const Position arrived = subscription.arrived();
    incoming_[handle] = {Incoming::Use::Leaving, nullptr, arrived};
    channel_.send(MessageKind::Unsubscribe, handle, arrived);
    subscription.released();
}

// Handles go round, so that one is not used again soon; 0: all of them are taken.
uint16_t Peer::freeHandle() {
    for (uint32_t tries = 0; tries < UINT16_MAX; ++tries) {
        lastHandle_ = lastHandle_ == UINT16_MAX ? 1 : lastHandle_ + 1;
        if (lastHandle_ >= incoming_.size()) incoming_.resize(lastHandle_ + size_t{1});
        if (incoming_[lastHandle_].use == Incoming::Use::Free) return lastHandle_;
    }
    return 0;
}

size_t Peer::serve(size_t limit) {
    size_t count = 0;
    for (size_t i = 0; i < subscriptions_.size(); ++i) {
        StreamSubscription& subscription = *subscriptions_[i];
        if (subscription.hasWaiting()) count += subscription.deliver(limit);
        if (!channel_.isUp()) continue;
        if (subscription.wantsRelease()) release(subscription);
        if (!subscription.wantsHandle()) continue;
        const uint16_t handle = freeHandle();
        if (handle == 0) continue;
        incoming_[handle] = {Incoming::Use::Taken, &subscription, 0};
        subscription.ask(channel_, handle);
    }
    return count;
}

void Peer::tick(bool heartbeat) {
    if (!channel_.isUp()) return;
    for (size_t i = 0; i < subscriptions_.size(); ++i) subscriptions_[i]->onTick(heartbeat);
    if (!heartbeat) return;
    for (size_t handle = 0; handle < incoming_.size(); ++handle) {
        const Incoming& slot = incoming_[handle];
        if (slot.use != Incoming::Use::Leaving) continue;
        channel_.send(MessageKind::Unsubscribe, static_cast<uint16_t>(handle), slot.arrived);
    }
    const HeartbeatBody body{context_.now};
    if (channel_.send(MessageKind::Heartbeat, 0, 0, bytesOf(body))) beatAt_ = context_.now;
}

}  // namespace verbex::bus
