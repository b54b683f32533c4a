#include "replication/cluster_client.h"

#include <algorithm>

#include "replication/wires.h"

namespace verbex::replication {

namespace {

constexpr size_t kMessagesPerPoll = 256;

}  // namespace

ClusterClient::ClusterClient(transport::Network& network, ClusterClientOptions options,
                             ClusterClientEvents& events)
    : network_(network), options_(std::move(options)), events_(events) {
    CHECK(!options_.members.empty());
}

ClusterClient::~ClusterClient() {
    dropLeft();
    if (link_ != nullptr) network_.drop(*link_);
}

void ClusterClient::subscribeEvents(Position from, uint32_t accountFirst, uint32_t accountLast) {
    subscribe(from, false, accountFirst, accountLast);
}

void ClusterClient::subscribeEntries(Position from, bool within) {
    within_ = within;
    subscribe(from, true, 0, 0);
}

void ClusterClient::subscribe(Position from, bool entries, uint32_t accountFirst,
                              uint32_t accountLast) {
    // Events say nothing of the subscription that they belong to: one that replaces another begins on a connection
    // of its own.
    if (link_ != nullptr && subscribed_ && !entries) leave("another subscription", member());
    subscribed_ = true;
    entries_ = entries;
    next_ = from;
    index_ = 0;
    accountFirst_ = accountFirst;
    accountLast_ = accountLast;
    if (link_ != nullptr) sendSubscription();
}

void ClusterClient::sendSubscription() {
    SubscribeFrame frame;
    frame.header.flags = entries_ ? kSubscribeEntries : 0;
    // What an earlier subscription of this connection has on its way is not taken for this one's.
    frame.header.reserved = ++subscription_;
    isGreeted_ = !entries_;
    frame.from = next_;
    frame.accountFirst = accountFirst_;
    frame.accountLast = accountLast_;
    transport::Message message;
    message.kind = kFrameMessage;
    message.payload = buffer_.make(frame);
    if (link_->offer(message) != transport::Answer::Accepted) leave("no room to subscribe", 0);
}

bool ClusterClient::submit(uint64_t sequence, std::span<const std::byte> commands,
                           uint32_t count) {
    SubmitFrame frame;
    frame.sequence = sequence;
    frame.count = count;
    return send(frame, commands);
}

bool ClusterClient::submitEntry(uint64_t sequence, std::span<const std::byte> entry,
                                uint8_t flags) {
    SubmitFrame frame;
    frame.header.flags = kSubmitEntry | flags;
    frame.sequence = sequence;
    return send(frame, entry);
}

bool ClusterClient::send(SubmitFrame frame, std::span<const std::byte> payload) {
    if (link_ == nullptr) return false;
    frame.payloadBytes = static_cast<uint32_t>(payload.size());
    transport::Message message;
    message.kind = kFrameMessage;
    message.payload = buffer_.make(frame, payload);
    return link_->offer(message) == transport::Answer::Accepted;
}

bool ClusterClient::want(Position position, uint64_t offset, uint8_t flags) {
    if (link_ == nullptr) return false;
    WantFrame frame;
    frame.header.flags = flags;
    frame.position = position;
    frame.offset = offset;
    transport::Message message;
    message.kind = kFrameMessage;
    message.payload = buffer_.make(frame);
    return link_->offer(message) == transport::Answer::Accepted;
}

void ClusterClient::tryNext(const std::string& why) {
    if (link_ != nullptr) leave(why, 0);
}

void ClusterClient::flush() {
    if (link_ != nullptr) link_->flush();
}

bool ClusterClient::poll(uint64_t nowNs) {
    now_ = nowNs;
    network_.poll(nowNs, *this);
    size_t received = 0;
    if (link_ != nullptr) received = link_->poll(*this, kMessagesPerPoll);
    if (received != 0) heardAt_ = nowNs;
    if (link_ != nullptr && nowNs - heardAt_ > options_.silentNs) leave("it says nothing", 0);
    dropLeft();
    if (link_ == nullptr && dialling_ == 0 && nowNs >= dialAt_) {
        dialAt_ = nowNs + options_.redialNs;
        dialling_ = network_.connect(options_.members[at_].address, std::string(kClientService) + options_.cluster,
                                     kClientEpoch, nowNs);
    }
    return received != 0;
}

// ---- whom to dial

void ClusterClient::goOn(MemberId hint) {
    const auto found = std::find_if(options_.members.begin(), options_.members.end(),
                                    [hint](const MemberAddress& each) { return each.id == hint; });
    const auto said = static_cast<size_t>(found - options_.members.begin());
    at_ = found != options_.members.end() && said != at_ ? said : (at_ + 1) % options_.members.size();
    dialAt_ = now_ + options_.redialNs;
}

void ClusterClient::leave(const std::string& why, MemberId hint) {
    dropLeft();
    left_ = std::exchange(link_, nullptr);
    trouble_ = why;
    events_.onDisconnected(why);
    goOn(hint);
}

void ClusterClient::dropLeft() {
    if (left_ != nullptr) network_.drop(*std::exchange(left_, nullptr));
}

void ClusterClient::onConnected(transport::ConnectId id, transport::Link& link) {
    if (id != dialling_) {
        network_.drop(link);
        return;
    }
    dialling_ = 0;
    link_ = &link;
    heardAt_ = now_;
    if (subscribed_) sendSubscription();
    if (link_ != nullptr) events_.onConnected(member());
}

void ClusterClient::onRefused(transport::ConnectId id, const Status& why) {
    if (id != dialling_) return;
    dialling_ = 0;
    trouble_ = why.toString();
    goOn(0);
}

void ClusterClient::onOver(transport::Link& link) {
    if (&link == left_) left_ = nullptr;
    if (&link == link_) {
        link_ = nullptr;
        trouble_ = "the connection has ended";
        events_.onDisconnected(trouble_);
        goOn(0);
    }
    network_.drop(link);
}

// ---- what comes

void ClusterClient::onMessage(const transport::Message& message) {
    if (link_ == nullptr) return;  // left in the middle of a poll
    switch (kindOf(message.payload)) {
        case FrameKind::Events: onEventsFrame(message.payload); break;
        case FrameKind::Entries: onEntriesFrame(message.payload); break;
        case FrameKind::Submitted:
            if (SubmittedFrame frame; readFrame(message.payload, frame)) {
                events_.onSubmitted(frame);
                if (frame.answer == Answered::NotLeader && !options_.anyMember) {
                    leave("it does not lead", frame.leader);
                } else if (frame.answer == Answered::Halted) {
                    leave("it is halted", 0);
                }
            }
            break;
        case FrameKind::Refused:
            if (RefusedFrame frame; readFrame(message.payload, frame)) {
                if (frame.why == Answered::PositionLost) events_.onEnded(frame.why, frame.resume);
                if (!subscribed_) {
                    leave("it has no place for one more", 0);
                    break;
                }
                // Who leads may have pruned the same: the next one is asked.
                const bool isLost = frame.why == Answered::PositionLost;
                leave("it has ended the subscription", isLost ? 0 : frame.leader);
            }
            break;
        case FrameKind::Offer:
            if (OfferFrame frame; readFrame(message.payload, frame)) events_.onOffer(frame);
            break;
        case FrameKind::Part: {
            PartFrame frame;
            std::span<const std::byte> payload;
            if (readHead(message.payload, frame, payload)) events_.onPart(frame, payload);
            break;
        }
        default: break;
    }
}

void ClusterClient::onEventsFrame(std::span<const std::byte> bytes) {
    EventsFrame frame;
    std::span<const std::byte> payload;
    if (!readHead(bytes, frame, payload) || payload.size() != frame.count * sizeof(Event)) return;
    if (entries_ || frame.last < next_) return;
    const bool filtered = accountFirst_ != 0 || accountLast_ != 0;
    if (next_ == 0) next_ = frame.first;
    if (!filtered && (frame.first > next_ || (frame.first == next_ && frame.index > index_))) {
        events_.onEnded(Answered::PositionLost, frame.first);
        leave("a gap in what it sends", 0);
        return;
    }
    static_assert(alignof(Event) == 64);
    received_.resize(frame.count);
    std::memcpy(static_cast<void*>(received_.data()), payload.data(), payload.size());
    std::span<const Event> fresh(received_);
    if (!filtered && frame.index < index_ && frame.first == next_) {
        // Of a batch that another member had begun to send.
        const uint32_t known = std::min(frame.count, index_ - frame.index);
        fresh = fresh.subspan(known);
        frame.index += known;
    }
    if (!fresh.empty() || frame.count == 0) events_.onEvents(frame, fresh);
    if ((frame.header.flags & kEventsMore) != 0) {
        if (frame.first == next_) {
            index_ = std::max(index_, frame.index + static_cast<uint32_t>(fresh.size()));
        }
        return;
    }
    next_ = frame.last + 1;
    index_ = 0;
}

void ClusterClient::onEntriesFrame(std::span<const std::byte> bytes) {
    EntriesFrame frame;
    std::span<const std::byte> payload;
    if (!readHead(bytes, frame, payload) || payload.size() != frame.entry.payloadBytes) return;
    if (frame.entry.count == 0) isGreeted_ |= frame.header.reserved == subscription_;
    if (!isGreeted_) return;
    if (frame.entry.count == 0) {
        if (frame.entry.first != 0) events_.onReleased(frame.entry.first - 1);
        return;
    }
    if (frame.entry.last() < next_) return;
    if (next_ == 0) next_ = frame.entry.first;
    if (frame.entry.first > next_ || (frame.entry.first < next_ && !within_)) {
        events_.onEnded(Answered::PositionLost, frame.entry.first);
        leave("a gap in what it sends", 0);
        return;
    }
    events_.onEntry(frame, payload);
    next_ = frame.entry.last() + 1;
}

}  // namespace verbex::replication
