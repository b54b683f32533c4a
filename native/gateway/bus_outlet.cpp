#include "gateway/bus_outlet.h"

#include <cstring>
#include <span>

namespace verbex::gateway {

namespace {

// An offer during a hand-over is to be made again at once; that is over after a few.
constexpr int kOffersMost = 8;

}  // namespace

bool BusOutlet::write(RelayKind kind, const EventPlace& place, const Event* event) {
    RelayedEvent message;
    message.kind = kind;
    message.index = place.index;
    message.position = place.position;
    message.previousPosition = last_.position;
    message.previousIndex = last_.index;
    message.reserved = 0;
    if (event != nullptr) {
        std::memcpy(message.event, event, sizeof(Event));
    } else {
        std::memset(message.event, 0, sizeof(Event));
    }
    if (written_ == queued_ && offer(message)) return true;
    if (queued_ - written_ == pending_.size()) return false;
    pending_[queued_++ % pending_.size()] = message;
    ++counters_.waited;
    return true;
}

bool BusOutlet::offer(const RelayedEvent& message) {
    const auto bytes = std::as_bytes(std::span(&message, 1));
    for (int offers = 0; offers < kOffersMost; ++offers) {
        const int64_t answer = publication_.offer(bytes);
        if (answer >= 0) return true;
        if (answer != bus::kAdminAction) return false;
    }
    return false;
}

void BusOutlet::deliver(const Event& event, const EventPlace& place) {
    if (place <= last_) {
        ++counters_.known;
        return;
    }
    if (cutOff_) {
        ++counters_.dropped;
        return;
    }
    if (!write(RelayKind::Event, place, &event)) {
        cutOff_ = true;
        told_ = false;
        missing_ = place;
        ++counters_.cutOffs;
        ++counters_.dropped;
        return;
    }
    last_ = place;
    ++counters_.events;
}

bool BusOutlet::work() {
    bool did = false;
    while (written_ != queued_ && offer(pending_[written_ % pending_.size()])) {
        ++written_;
        did = true;
    }
    if (!cutOff_ || told_ || !write(RelayKind::CutOff, missing_, nullptr)) return did;
    told_ = true;
    return true;
}

bool BusInlet::onMessage(const bus::StreamMessage& message) {
    if (state_ == InletState::Lost || state_ == InletState::Invalid) return true;
    RelayedEvent relayed;
    if (message.payload.size() != sizeof(relayed)) {
        state_ = InletState::Invalid;
        return true;
    }
    std::memcpy(&relayed, message.payload.data(), sizeof(relayed));
    const EventPlace place = relayed.place();
    if ((relayed.kind != RelayKind::Event && relayed.kind != RelayKind::CutOff) ||
        place <= relayed.previous()) {
        state_ = InletState::Invalid;
        return true;
    }
    if (place <= have_) {
        ++known_;
        return true;
    }
    if (have_ < relayed.previous()) {
        state_ = InletState::Lost;
        return true;
    }
    if (relayed.kind == RelayKind::CutOff) {
        state_ = InletState::CutOff;
        return true;
    }
    Event event;
    std::memcpy(&event, relayed.event, sizeof(event));
    state_ = InletState::Live;
    have_ = place;
    to_.deliver(event, place);
    return true;
}

}  // namespace verbex::gateway
