#include "transport/rings/ring_link.h"

#include <algorithm>

namespace verbex::transport {
namespace {

// A closing link whose frames do not leave within so many polls of the network is given up.
constexpr uint64_t kClosingPollsMax = 1u << 20;

}  // namespace

void RingLink::attach(std::byte* own, std::byte* target, const FrameSeal& sendSeal,
                      const FrameSeal& receiveSeal, uint32_t patience) {
    own_ = own;
    writer_.emplace(target, info_.ringBytes, sendSeal);
    reader_.emplace(own + kCreditBytes, info_.ringBytes, info_.payloadMax, receiveSeal, patience);
    creditStep_ = info_.ringBytes / 8;
}

Answer RingLink::offer(const Message& message) noexcept {
    if (state_ != LinkState::Open) [[unlikely]] return Answer::Closed;
    if (message.payload.size() > info_.payloadMax) [[unlikely]] return Answer::TooLarge;
    if (!writer_->write(message)) {
        if (!refreshCredit()) return Answer::Closed;
        if (!writer_->write(message)) {
            ++counters_.backPressured;
            return Answer::BackPressured;
        }
    }
    counters_.framesSent += 1;
    counters_.bytesSent += message.payload.size();
    return Answer::Accepted;
}

bool RingLink::refreshCredit() noexcept {
    const uint64_t credit = loadWord(ownCredits().consumed);
    if (credit > writer_->produced()) {
        fail(Status(StatusCode::ProtocolViolation,
                    "the peer gives credit for bytes that were never sent"));
        disconnect();
        return false;
    }
    // A credit that a slower way of the transport overtook is no news.
    const uint64_t usable = usableCredit(credit);
    if (usable > writer_->consumed()) CHECK(writer_->takeCredit(usable));
    return true;
}

size_t RingLink::poll(Receiver& receiver, size_t limit) noexcept {
    if (state_ != LinkState::Open) [[unlikely]] return 0;
    const uint64_t before = reader_->consumed();
    const size_t delivered = reader_->poll(receiver, limit, counters_);
    const uint64_t consumed = reader_->consumed();
    if (consumed != creditGiven_ &&
        (delivered < limit || consumed - creditGiven_ >= creditStep_) && state_ == LinkState::Open) {
        creditGiven_ = consumed;
        ++counters_.credits;
        giveCredit(consumed);
    }
    // A pad by itself delivers nothing and is not the end of what lies there.
    if (consumed == before && state_ == LinkState::Open) settleEnd();
    return delivered;
}

void RingLink::settleEnd() noexcept {
    if (reader_->fault() != FrameFault::None) {
        fail(faultStatus(reader_->fault()));
        disconnect();
        return;
    }
    if (peerEnd_ == PeerEnd::None) {
        Status failure = transportFailure();
        if (failure.isOk()) return;
        fail(std::move(failure));
        disconnect();
        return;
    }
    if (state_ != LinkState::Open) return;
    if (peerEnd_ == PeerEnd::Clean) {
        state_ = LinkState::Closed;
    } else {
        fail(Status(StatusCode::PeerLost, "the peer's process or host ended without a goodbye"));
    }
    disconnect();
}

void RingLink::fence(Receiver& receiver) noexcept {
    if (isOver() || !isAttached()) return;
    const bool wasOpen = state_ == LinkState::Open;
    disconnect();
    // What could not be cut off may still write: its ring is not looked at.
    if (state_ == LinkState::Failed) return;
    // A ring holds so many frames and no more.
    if (wasOpen) {
        const size_t framesMax = info_.ringBytes / kFrameAlignment;
        reader_->poll(receiver, framesMax, counters_);
        reader_->stop();
    }
    state_ = LinkState::Fenced;
}

void RingLink::close() noexcept {
    if (state_ != LinkState::Open) return;
    flush();
    reader_->stop();
    state_ = LinkState::Closing;
    progress();
}

void RingLink::progress() noexcept {
    if (state_ == LinkState::Open && isAttached()) wakeIfNeeded();
    if (state_ != LinkState::Closing) return;
    flush();
    if (!hasLeft() && transportFailure().isOk() && peerEnd_ == PeerEnd::None &&
        ++closingPolls_ < kClosingPollsMax) {
        return;
    }
    goodbye();
    disconnect();
    state_ = LinkState::Closed;
}

uint64_t RingLink::unconsumed() const noexcept {
    if (!isAttached()) return 0;
    // The peer's word may be anything.
    return writer_->produced() - std::min(writer_->produced(), loadWord(ownCredits().consumed));
}

void RingLink::onPeerEnded(bool clean) noexcept {
    if (peerEnd_ == PeerEnd::None) peerEnd_ = clean ? PeerEnd::Clean : PeerEnd::Lost;
}

bool RingLink::hasIncoming() const noexcept {
    return state_ == LinkState::Open && (reader_->hasMore() || peerEnd_ != PeerEnd::None);
}

void RingLink::wakeIfNeeded() noexcept {
    CreditBlock& credits = ownCredits();
    if (loadWord(credits.asleep) == 0) [[likely]] return;
    if (writer_->produced() == loadWord(credits.consumed)) return;
    storeWord(credits.asleep, 0);  // once is enough; the peer says so again when it sleeps again
    ++counters_.wakesSent;
    wakePeer();
}

}  // namespace verbex::transport
