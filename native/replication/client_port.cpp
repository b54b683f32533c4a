#include "replication/client_port.h"

#include <algorithm>

namespace verbex::replication {

namespace {

constexpr uint32_t kEventsPerFrame = 1024;
static_assert(sizeof(EventsFrame) + kEventsPerFrame * sizeof(Event) <= kFrameBytesMax);
static_assert(sizeof(EntriesFrame) + kBatchBytesMax <= kFrameBytesMax);

}  // namespace

ClientPort::ClientPort(const ClientPortOptions& options, Replica& replica, MemberLog& log,
                       Outputs& outputs, MemberSnapshots& snapshots, Wires& wires)
    : options_(options), replica_(replica), log_(log), outputs_(outputs), wires_(wires),
      desk_(options.snapshots, snapshots, wires) {}

FrameHeader ClientPort::header() const {
    FrameHeader header;
    header.from = replica_.facts().id;
    header.epoch = replica_.facts().promised;
    return header;
}

void ClientPort::onFrame(NodeId client, std::span<const std::byte> frame) {
    std::span<const std::byte> payload;
    switch (kindOf(frame)) {
        case FrameKind::Submit:
            if (SubmitFrame head; readHead(frame, head, payload)) submit(client, head, payload);
            break;
        case FrameKind::Subscribe:
            if (SubscribeFrame head; readFrame(frame, head)) subscribe(client, head);
            break;
        case FrameKind::Want:
            if (WantFrame head; readFrame(frame, head) &&
                                !desk_.want(client, head, log_.first(), header())) {
                (void)refuse(client, Answered::Busy, 0);
            }
            break;
        default:
            (void)refuse(client, Answered::Malformed, 0);
            wires_.close(client);
            break;
    }
}

void ClientPort::onClosed(NodeId client) {
    subscribers_.erase(client);
    desk_.onClosed(client);
}

void ClientPort::submit(NodeId client, const SubmitFrame& frame,
                        std::span<const std::byte> payload) {
    SubmittedFrame answer;
    answer.header.from = replica_.facts().id;
    answer.header.epoch = replica_.facts().promised;
    answer.sequence = frame.sequence;
    answer.leader = replica_.leader();
    if (frame.payloadBytes != payload.size()) {
        answer.answer = Answered::Malformed;
    } else if ((frame.header.flags & kSubmitEntry) == 0) {
        answer.answer = replica_.submit(payload, frame.count, answer.taken);
    } else {
        EntryHeader entry;
        Digest128 result;
        const bool hasResult = (frame.header.flags & kSubmitResult) != 0;
        const size_t ahead = sizeof(entry) + (hasResult ? sizeof(result) : 0);
        if (payload.size() >= ahead) {
            std::memcpy(static_cast<void*>(&entry), payload.data(), sizeof(entry));
            if (hasResult) std::memcpy(&result, payload.data() + sizeof(entry), sizeof(result));
            payload = payload.subspan(ahead);
        }
        answer.answer = replica_.ingest(entry, payload, result);
        if (answer.answer == Answered::Taken) answer.taken = entry.count;
    }
    answer.next = replica_.last() + 1;
    (void)wires_.send(client, buffer_.make(answer));
}

void ClientPort::subscribe(NodeId client, const SubscribeFrame& frame) {
    if (!subscribers_.contains(client) && subscribers_.size() >= options_.clientsMax) {
        (void)refuse(client, Answered::Busy, frame.from);
        return;
    }
    Subscriber subscriber;
    subscriber.next = frame.from != 0 ? frame.from : outputs_.released() + 1;
    subscriber.entries = (frame.header.flags & kSubscribeEntries) != 0;
    subscriber.greeting = subscriber.entries;
    subscriber.number = frame.header.reserved;
    subscriber.accountFirst = frame.accountFirst;
    subscriber.accountLast = frame.accountLast;
    subscribers_[client] = subscriber;
}

bool ClientPort::refuse(NodeId client, Answered why, Position resume) {
    RefusedFrame frame;
    frame.header.from = replica_.facts().id;
    frame.header.epoch = replica_.facts().promised;
    frame.resume = resume;
    frame.why = why;
    frame.leader = replica_.leader();
    return wires_.send(client, buffer_.make(frame));
}

bool ClientPort::step(uint64_t nowNs) {
    bool sent = desk_.step(nowNs, header());
    for (auto at = subscribers_.begin(); at != subscribers_.end();) {
        bool ended = false;
        sent |= serve(at->first, at->second, ended);
        at = ended ? subscribers_.erase(at) : std::next(at);
    }
    return sent;
}

bool ClientPort::isIdle() const {
    return std::all_of(subscribers_.begin(), subscribers_.end(), [this](const auto& each) {
        return each.second.next > outputs_.released() && !each.second.greeting;
    });
}

void ClientPort::endAll(Answered why) {
    for (const auto& [client, subscriber] : subscribers_) (void)refuse(client, why, subscriber.next);
    subscribers_.clear();
}

bool ClientPort::serve(NodeId client, Subscriber& subscriber, bool& ended) {
    bool sent = false;
    if (subscriber.greeting) {
        if (!sendGreeting(client, subscriber)) return false;
        subscriber.greeting = false;
        sent = true;
    }
    for (uint32_t i = 0; i < options_.framesPerStep && !ended; i++) {
        if (subscriber.next > outputs_.released()) break;
        const OutputBatch* batch = outputs_.find(subscriber.next);
        if (subscriber.entries) {
            if (!sendEntry(client, subscriber, batch, ended)) break;
        } else if (batch == nullptr) {
            // Whoever has no room for this word now hears it later: it would wait for ever.
            if (!refuse(client, Answered::PositionLost, outputs_.oldest())) break;
            ended = true;
        } else if (!sendEvents(client, subscriber, *batch)) {
            break;
        }
        sent = true;
    }
    return sent;
}

// The next part of the batch; false: not taken, again later.
bool ClientPort::sendEvents(NodeId client, Subscriber& subscriber, const OutputBatch& batch) {
    const bool all = subscriber.accountFirst == 0 && subscriber.accountLast == 0;
    const auto concerns = [&](AccountId account) {
        return account >= subscriber.accountFirst && account <= subscriber.accountLast;
    };
    EventsFrame frame;
    frame.header.from = replica_.facts().id;
    frame.header.epoch = batch.entry.epoch;
    frame.first = batch.entry.first;
    frame.last = batch.entry.last();
    chosen_.clear();
    uint32_t index = 0;
    uint32_t end = subscriber.index;
    for (const OutputBatch::Piece& piece : batch.pieces) {
        if (chosen_.size() == kEventsPerFrame) break;
        uint32_t within = subscriber.index > index ? subscriber.index - index : 0;
        for (; within < piece.count && chosen_.size() < kEventsPerFrame; within++) {
            const Event& event = piece.events[within];
            end = index + within + 1;
            if (event.position < subscriber.next) continue;
            if (!all && !concerns(event.account) && !concerns(event.account2)) continue;
            if (chosen_.empty()) frame.index = end - 1;
            chosen_.push_back(event);
        }
        index += piece.count;
    }
    const bool more = end < batch.count;
    if (!chosen_.empty() || (!more && (all || subscriber.index != 0))) {
        frame.count = static_cast<uint32_t>(chosen_.size());
        frame.header.flags = more ? kEventsMore : 0;
        if (!wires_.send(client, buffer_.make(frame, std::as_bytes(std::span(chosen_))))) {
            return false;
        }
    }
    if (more) {
        subscriber.index = end;
    } else {
        subscriber.index = 0;
        subscriber.next = batch.entry.last() + 1;
    }
    return true;
}

// An entry with its result; from the store where its events are no longer kept: then without the result.
// So that who wants all that there is knows when it has it.
bool ClientPort::sendGreeting(NodeId client, const Subscriber& subscriber) {
    EntriesFrame frame;
    frame.header.from = replica_.facts().id;
    frame.header.epoch = replica_.facts().promised;
    frame.header.reserved = subscriber.number;
    frame.entry.first = outputs_.released() + 1;
    return wires_.send(client, buffer_.make(frame));
}

bool ClientPort::sendEntry(NodeId client, Subscriber& subscriber, const OutputBatch* batch,
                           bool& ended) {
    LogEntry entry;
    const Position first = batch != nullptr ? batch->entry.first : subscriber.next;
    if (!log_.readHolding(first, entry).isOk()) {
        ended = refuse(client, Answered::PositionLost, std::max(log_.first(), subscriber.next));
        return ended;
    }
    EntriesFrame frame;
    frame.header.from = replica_.facts().id;
    frame.header.epoch = entry.header.epoch;
    frame.entry = entry.header;
    if (batch != nullptr) {
        frame.hash = batch->hash;
        frame.ofEvents = batch->ofEvents;
    }
    if (!wires_.send(client, buffer_.make(frame, entry.payload))) return false;
    subscriber.next = entry.header.last() + 1;
    return true;
}

}  // namespace verbex::replication
