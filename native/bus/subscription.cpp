#include "bus/subscription.h"

namespace verbex::bus {

namespace {

// A subscription says what it has consumed so many times per window.
constexpr uint64_t kSaidPerWindow = 8;

}  // namespace

StreamSubscription::StreamSubscription(Context& context, PeerId peer,
                                       const SubscriptionOptions& options)
    : context_(context), options_(options), peer_(peer), buffer_(options.bufferBytes, 1) {
    if (options.from != From::Position) return;
    started_ = true;
    expected_ = due_ = options.position;
}

void StreamSubscription::close() {
    closed_ = true;
    if (phase_ == Phase::Over) return;
    phase_ = Phase::Over;
    waitingCost_ = 0;
    state_ = SubscriptionState::Closed;
}

void StreamSubscription::ask(Channel& channel, uint16_t handle) {
    channel_ = &channel;
    handle_ = handle;
    phase_ = Phase::Asking;
    sendAsk();
}

void StreamSubscription::sendAsk() {
    ControlBuffer buffer;
    const SubscribeRequest request{
        .from = started_ ? From::Position : options_.from,
        .position = started_ ? expected_ : 0,
        .window = static_cast<uint32_t>(buffer_.capacity() / 2),
        .stream = options_.stream,
    };
    askAt_ = context_.now + 2 * context_.options.heartbeatNs;
    channel_->send(MessageKind::Subscribe, handle_, request.position,
                   encodeSubscribe(request, buffer));
}

bool StreamSubscription::onSubscribed(Position first, const SubscribedBody& body) {
    if (phase_ != Phase::Asking) return true;  // the answer to an ask that was repeated
    if (body.window > buffer_.capacity() / 2 || costOf(body.payloadMax) > body.window / 4) {
        return false;
    }
    if (first == 0 || (started_ && first != expected_)) return false;
    if (!started_) expected_ = due_ = first;
    if (lostLink_) ++context_.counters.resumed;
    started_ = true;
    lostLink_ = false;
    payloadMax_ = body.payloadMax;
    window_ = body.window;
    sayEvery_ = window_ / kSaidPerWindow;
    consumedCost_ = saidCost_ = 0;
    phase_ = Phase::Live;
    failure_ = Status();
    enter(SubscriptionState::Live);
    return true;
}

void StreamSubscription::onRefused(const Refusal& refusal) {
    if (phase_ != Phase::Asking) return;
    Status why(refusal.code, std::string(refusal.text));
    if (refusal.code == StatusCode::NotFound && lostLink_) {
        // The publisher is back, its publication not yet.
        failure_ = std::move(why);
        phase_ = Phase::Away;
        askAt_ = context_.now + context_.options.reconnectNs;
        return;
    }
    if (refusal.code == StatusCode::PositionLost) oldest_ = refusal.oldest;
    over(SubscriptionState::Refused, std::move(why));
}

bool StreamSubscription::onOtherData(const transport::Message& message) {
    if (phase_ != Phase::Live) return true;  // on its way while the handle was given up
    if (message.position < expected_) {
        ++context_.counters.duplicates;
        return true;
    }
    if (message.position > expected_) {
        askAgain(message.position - expected_);
        return true;
    }
    const uint64_t cost = costOf(message.payload.size());
    if (message.payload.size() > payloadMax_ || waitingCost_ + cost > window_) return false;
    if (waitingCost_ == 0) buffer_.restart(expected_);
    buffer_.append(message.payload, message.flags);
    waitingCost_ += cost;
    ++expected_;
    return true;
}

void StreamSubscription::onSent(Position last) {
    if (phase_ == Phase::Live && last >= expected_) askAgain(last + 1 - expected_);
}

bool StreamSubscription::onEnded(Position last) {
    if (phase_ != Phase::Live) return true;
    if (last >= expected_) {
        askAgain(last + 1 - expected_);
        return true;
    }
    if (last + 1 != expected_) return false;
    phase_ = Phase::Ending;
    finishIfDrained();
    return true;
}

bool StreamSubscription::onCutOff(Position from) {
    if (phase_ != Phase::Live) return true;
    if (from > expected_) {
        askAgain(from - expected_);
        return true;
    }
    if (from != expected_) return false;
    phase_ = Phase::CuttingOff;
    finishIfDrained();
    return true;
}

void StreamSubscription::onUnknown() {
    if (phase_ == Phase::Live) askAgain(0);
}

// What waits is handed over first: it is asked for again when the buffer is empty, so that a window
// of messages at most is ever here.
void StreamSubscription::askAgain(uint64_t missing) {
    context_.counters.gaps += missing;
    phase_ = Phase::Away;
}

void StreamSubscription::onLinkLost(const Status& why, bool fenced) {
    channel_ = nullptr;
    handle_ = 0;
    if (fenced && waitingCost_ > 0 && phase_ != Phase::Over) {
        expected_ = due_;
        waitingCost_ = 0;
        phase_ = Phase::Live;
    }
    if (phase_ != Phase::Away && phase_ != Phase::Asking && phase_ != Phase::Live) return;
    if (!options_.resume) {
        over(SubscriptionState::Closed, why);
        return;
    }
    phase_ = Phase::Away;
    askAt_ = 0;
    lostLink_ = lostLink_ || state_ == SubscriptionState::Live;
    failure_ = why;
    enter(SubscriptionState::Connecting);
}

size_t StreamSubscription::deliver(size_t limit) {
    size_t count = 0;
    while (waitingCost_ > 0 && count < limit && receiver_ != nullptr) {
        const History::Entry entry = buffer_.at(due_);
        if (!receiver_->onMessage({due_, entry.flags, entry.payload})) break;
        if (phase_ == Phase::Over) return count + 1;  // closed by the receiver
        waitingCost_ -= costOf(entry.payload.size());
        ++count;
        consumed(entry.payload.size());
    }
    finishIfDrained();
    return count;
}

void StreamSubscription::finishIfDrained() {
    if (waitingCost_ > 0) return;
    if (phase_ == Phase::Ending) over(SubscriptionState::Ended, Status());
    if (phase_ == Phase::CuttingOff) {
        over(SubscriptionState::CutOff,
             Status(StatusCode::PositionLost, "too slow for stream " + options_.stream +
                                                  ": subscribe again from position " +
                                                  std::to_string(due_)));
    }
}

void StreamSubscription::sayConsumed() {
    if (handle_ == 0 || (phase_ != Phase::Live && phase_ != Phase::Ending)) return;
    const ConsumedBody body{consumedCost_};
    if (channel_->send(MessageKind::Consumed, handle_, due_ - 1, bytesOf(body))) {
        saidCost_ = consumedCost_;
    }
}

void StreamSubscription::onTick(bool heartbeat) {
    if (phase_ == Phase::Asking && context_.now >= askAt_) sendAsk();
    if (heartbeat || consumedCost_ != saidCost_) sayConsumed();
}

void StreamSubscription::over(SubscriptionState state, Status why) {
    phase_ = Phase::Over;
    failure_ = std::move(why);
    enter(state);
}

void StreamSubscription::enter(SubscriptionState state) {
    if (state == state_) return;
    state_ = state;
    if (context_.events != nullptr) context_.events->onSubscription(*this);
}

}  // namespace verbex::bus
