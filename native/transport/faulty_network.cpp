#include "transport/faulty_network.h"

#include <algorithm>
#include <deque>

namespace verbex::transport {

// Faults happen to what is received; what is offered goes through as it is. So each direction of a
// pair meets the faults of the side that receives.
class FaultyLink final : public Link, private Receiver {
public:
    FaultyLink(FaultyNetwork& network, Link& behind) : network_(network), behind_(&behind) {
        info_ = behind.info();
    }

    Answer offer(const Message& message) noexcept override {
        if (state_ != LinkState::Open) return Answer::Closed;
        // What a silent network takes is lost.
        const Answer answer = network_.silent_ ? Answer::Accepted : behind_->offer(message);
        if (answer == Answer::Accepted) ++counters_.framesSent;
        return answer;
    }
    void flush() noexcept override {
        if (!isOver() && !network_.silent_) behind_->flush();
    }
    size_t poll(Receiver& receiver, size_t limit) noexcept override {
        if (state_ != LinkState::Open) return 0;
        room_ = limit;
        receiver_ = &receiver;
        if (!isStalled()) {
            release();
            if (room_ > 0) behind_->poll(*this, room_);
        }
        receiver_ = nullptr;
        if (cutDue_) cut();
        else followBehind();
        return limit - room_;
    }
    void fence(Receiver& receiver) noexcept override {
        if (isOver()) return;
        receiver_ = &receiver;
        room_ = SIZE_MAX;
        for (const Held& held : held_) deliver(held);
        held_.clear();
        behind_->fence(*this);
        receiver_ = nullptr;
        state_ = LinkState::Fenced;
    }
    void close() noexcept override {
        if (isOver()) return;
        behind_->close();
        if (state_ == LinkState::Open) state_ = LinkState::Closing;
    }
    [[nodiscard]] uint64_t unconsumed() const noexcept override { 
        return behind_ == nullptr ? 0 : behind_->unconsumed();
    }

    bool isReported = false;  // to whoever polls the network
    [[nodiscard]] Link* behind() const { return behind_; }
    // The link behind is over; what is held back still comes first.
    void followBehind() {
        if (behind_ == nullptr || !behind_->isOver()) return;
        if (held_.empty() || state_ == LinkState::Closing) takeEnd();
    }
    // The peer sees this side die.
    void cut() {
        if (behind_ == nullptr) return;
        held_.clear();
        fail(Status(StatusCode::PeerLost, "the wire was cut"));
        network_.behind_.drop(*behind_);
        behind_ = nullptr;
    }

private:
    struct Held {
        uint16_t stream;
        uint8_t kind;
        uint8_t flags;
        uint64_t position;
        std::vector<std::byte> payload;
        Nanoseconds until;
        uint64_t afterMessage;
    };

    [[nodiscard]] bool isStalled() const {
        return network_.silent_ || network_.now_ < stalledUntil_;
    }

    void onMessage(const Message& message) override {
        const Faults& faults = network_.faults_;
        ++seen_;
        if (network_.silent_ || isOver() || network_.happens(faults.lose)) return;
        if (network_.happens(faults.cut)) cutDue_ = true;  // once this poll has returned
        if (cutDue_) return;
        const bool roomToHold = held_.size() < faults.heldMax;
        if (roomToHold && network_.happens(faults.delay)) {
            hold(message, network_.now_ + network_.draw() % (faults.delayMaxNs + 1), 0);
            return;
        }
        if (roomToHold && network_.happens(faults.reorder)) {
            hold(message, 0, seen_ + 1 + network_.draw() % 4);
            return;
        }
        pass(message);
        if (network_.happens(faults.duplicate)) {
            if (roomToHold && network_.draw() % 2 == 0) hold(message, 0, seen_ + network_.draw() % 4);
            else pass(message);
        }
        if (network_.happens(faults.stall)) stalledUntil_ = network_.now_ + faults.stallNs;
    }

    void takeEnd() {
        if (isOver()) return;
        if (behind_->state() == LinkState::Failed) fail(behind_->failure());
        else state_ = behind_->state();
    }

    void hold(const Message& message, Nanoseconds until, uint64_t afterMessage) {
        held_.push_back({message.stream, message.kind, message.flags, message.position,
                         {message.payload.begin(), message.payload.end()}, until, afterMessage});
    }
    void pass(const Message& message) {
        if (room_ > 0) --room_;
        ++counters_.framesReceived;
        receiver_->onMessage(message);
    }
    void deliver(const Held& held) {
        pass({held.stream, held.kind, held.flags, held.position, held.payload});
    }
    // What was held back and is due. Nothing new comes while nothing follows, so time frees it too.
    void release() {
        std::deque<Held> due;
        for (auto at = held_.begin(); at != held_.end() && due.size() < room_;) {
            const bool isDue = at->until != 0 ? network_.now_ >= at->until
                                              : seen_ >= at->afterMessage || behind_->isOver() ||
                                                    quietPolls_ > 8;
            if (isDue) {
                due.push_back(std::move(*at));
                at = held_.erase(at);
            } else {
                ++at;
            }
        }
        quietPolls_ = seen_ == seenBefore_ ? quietPolls_ + 1 : 0;
        seenBefore_ = seen_;
        for (const Held& held : due) deliver(held);
    }

    FaultyNetwork& network_;
    Link* behind_;
    bool cutDue_ = false;
    Receiver* receiver_ = nullptr;
    size_t room_ = 0;
    std::deque<Held> held_;
    uint64_t seen_ = 0;
    uint64_t seenBefore_ = 0;
    uint32_t quietPolls_ = 0;
    Nanoseconds stalledUntil_ = 0;
};

FaultyNetwork::FaultyNetwork(Network& behind, const Faults& faults, uint64_t seed)
    : behind_(behind), faults_(faults), random_(seed * 2 + 1) {}

FaultyNetwork::~FaultyNetwork() = default;

uint64_t FaultyNetwork::draw() {
    random_ ^= random_ >> 12;
    random_ ^= random_ << 25;
    random_ ^= random_ >> 27;
    return random_ * 0x2545F4914F6CDD1DULL >> 16;
}

bool FaultyNetwork::happens(uint32_t partsPerMillion) {
    return partsPerMillion > 0 && draw() % 1'000'000 < partsPerMillion;
}

void FaultyNetwork::setFaults(const Faults& faults) {
    faults_ = faults;
}

void FaultyNetwork::setSilent(bool silent) {
    silent_ = silent;
}

void FaultyNetwork::cutAll() {
    for (const auto& link : links_) link->cut();
}

Result<ListenId> FaultyNetwork::listen(const Address& address, uint32_t epoch) {
    return behind_.listen(address, epoch);
}

Address FaultyNetwork::boundAddress(ListenId id) const {
    return behind_.boundAddress(id);
}

void FaultyNetwork::stopListening(ListenId id) {
    behind_.stopListening(id);
}

ConnectId FaultyNetwork::connect(const Address& address, const std::string& service,
                                 uint32_t epoch, Nanoseconds now) {
    return behind_.connect(address, service, epoch, now);
}

void FaultyNetwork::poll(Nanoseconds now, NetworkEvents& events) {
    now_ = now;
    events_ = &events;
    if (!silent_) behind_.poll(now, *this);
    std::vector<FaultyLink*> over;
    for (const auto& link : links_) {
        link->followBehind();
        if (link->isOver() && !link->isReported) over.push_back(link.get());
    }
    for (FaultyLink* link : over) {
        link->isReported = true;
        events.onOver(*link);
    }
    events_ = nullptr;
}

void FaultyNetwork::wait(Nanoseconds atMost) {
    behind_.wait(atMost);
}

void FaultyNetwork::fence(uint32_t epoch, const std::function<Receiver&(Link&)>& receiver) {
    for (const auto& link : links_) {
        if (link->info().epoch <= epoch && !link->isOver()) link->fence(receiver(*link));
    }
    // Raises the floor; the links are fenced already.
    behind_.fence(epoch, [&](Link& behind) -> Receiver& { return receiver(*faceOf(behind)); });
}

void FaultyNetwork::drop(Link& link) {
    const auto found = std::ranges::find_if(
        links_, [&](const auto& held) { return held.get() == &link; });
    CHECK(found != links_.end());
    if ((*found)->behind() != nullptr) behind_.drop(*(*found)->behind());
    links_.erase(found);
}

FaultyLink& FaultyNetwork::wrap(Link& link) {
    links_.push_back(std::make_unique<FaultyLink>(*this, link));
    return *links_.back();
}

FaultyLink* FaultyNetwork::faceOf(Link& behind) {
    const auto found = std::ranges::find_if(
        links_, [&](const auto& held) { return held->behind() == &behind; });
    return found == links_.end() ? nullptr : found->get();
}

void FaultyNetwork::onAccepted(ListenId listener, Link& link) {
    events_->onAccepted(listener, wrap(link));
}

void FaultyNetwork::onConnected(ConnectId id, Link& link) {
    events_->onConnected(id, wrap(link));
}

void FaultyNetwork::onRefused(ConnectId id, const Status& why) {
    events_->onRefused(id, why);
}

// Its face is reported when what is held back has been delivered.
void FaultyNetwork::onOver(Link&) {}

}  // namespace verbex::transport
