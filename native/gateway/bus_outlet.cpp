#include "gateway/bus_outlet.h"

#include <cstring>
#include <span>

namespace verbex::gateway {

namespace {

// An offer during a hand-over is to be made again at once; that is over after a few.
constexpr int kOffersMost = 8;

}  // namespace

RelayedEvent* BusOutlet::claim(RelayKind kind, const EventPlace& place) {
    if (queued_ - written_ == pending_.size()) {
        drain();
        if (queued_ - written_ == pending_.size()) return nullptr;
    }
    RelayedEvent& cell = pending_[queued_++ % pending_.size()];
    cell.kind = kind;
    cell.index = place.index;
    cell.position = place.position;
    cell.previousPosition = last_.position;
    cell.previousIndex = last_.index;
    cell.reserved = 0;
    return &cell;
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

bool BusOutlet::drain() {
    const uint64_t before = written_;
    while (written_ != queued_ && offer(pending_[written_ % pending_.size()])) ++written_;
    const bool did = written_ != before;
    // The same few cells again: they are in the cache.
    if (written_ == queued_) {
        written_ = queued_ = 0;
    } else {
        ++counters_.waited;
    }
    return did;
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
    RelayedEvent* cell = claim(RelayKind::Event, place);
    if (cell == nullptr) {
        cutOff_ = true;
        told_ = false;
        missing_ = place;
        ++counters_.cutOffs;
        ++counters_.dropped;
        return;
    }
    std::memcpy(cell->event, &event, sizeof(event));
    last_ = place;
    ++counters_.events;
}

bool BusOutlet::work() {
    bool did = written_ != queued_ && drain();
    if (!cutOff_ || told_) return did;
    RelayedEvent* cell = claim(RelayKind::CutOff, missing_);
    if (cell == nullptr) return did;
    std::memset(cell->event, 0, sizeof(cell->event));
    told_ = true;
    drain();
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
