#include "roles/sequencer_clients.h"

#include <algorithm>

#include "wire/command_codec.h"
#include "wire/log_facts.h"

namespace verbex::roles {

using replication::Answered;
using replication::EntriesFrame;
using replication::EventsFrame;
using replication::FrameKind;
using replication::NodeId;
using replication::OutputBatch;
using replication::RefusedFrame;
using replication::SubmitFrame;
using replication::SubmittedFrame;
using replication::SubscribeFrame;

namespace {

constexpr uint32_t kClientsMax = 1024;
constexpr uint32_t kFramesPerStep = 64;
constexpr uint32_t kEventsPerFrame = 1024;
static_assert(sizeof(EventsFrame) + kEventsPerFrame * sizeof(Event) <=
              replication::kFrameBytesMax);

}  // namespace

void SequencerClients::onFrame(NodeId client, std::span<const std::byte> frame) {
    std::span<const std::byte> payload;
    switch (replication::kindOf(frame)) {
        case FrameKind::Submit: {
            SubmitFrame head;
            if (!replication::readHead(frame, head, payload)) break;
            submit(client, head, payload);
            return;
        }
        case FrameKind::Subscribe: {
            SubscribeFrame head;
            if (!replication::readFrame(frame, head)) break;
            subscribe(client, head);
            return;
        }
        default: break;
    }
    refuse(client, Answered::Malformed, 0);
    wires_.close(client);
}

void SequencerClients::submit(NodeId client, const SubmitFrame& frame,
                              std::span<const std::byte> payload) {
    auto answer = headed<SubmittedFrame>();
    answer.sequence = frame.sequence;
    answer.leader = member_;
    const bool entry = (frame.header.flags & replication::kSubmitEntry) != 0;
    if (!sequencer_.failure().isOk()) {
        answer.answer = Answered::Halted;
    } else if (entry || frame.payloadBytes != payload.size() ||
               !decodeBatch(payload, frame.count, commands_) ||
               std::any_of(commands_.begin(), commands_.end(),
                           [](const Command& command) { return isLogFact(command.type); })) {
        answer.answer = Answered::Malformed;
    } else {
        for (const Command& command : commands_) {
            if (!sequencer_.offer(command)) break;
            answer.taken++;
        }
        answer.answer = answer.taken == frame.count ? Answered::Taken : Answered::Busy;
    }
    answer.next = sequencer_.last() + 1;
    (void)wires_.send(client, buffer_.make(answer));
}

void SequencerClients::subscribe(NodeId client, const SubscribeFrame& frame) {
    if (!subscribers_.contains(client) && subscribers_.size() >= kClientsMax) {
        return refuse(client, Answered::Busy, frame.from);
    }
    Subscriber subscriber;
    subscriber.next = frame.from != 0 ? frame.from : sequencer_.outputs().released() + 1;
    subscriber.entries = (frame.header.flags & replication::kSubscribeEntries) != 0;
    subscriber.greeting = subscriber.entries;
    subscriber.number = frame.header.reserved;
    subscriber.accountFirst = frame.accountFirst;
    subscriber.accountLast = frame.accountLast;
    subscribers_[client] = subscriber;
}

void SequencerClients::refuse(NodeId client, Answered why, Position resume) {
    auto frame = headed<RefusedFrame>();
    frame.resume = resume;
    frame.why = why;
    frame.leader = member_;
    (void)wires_.send(client, buffer_.make(frame));
}

bool SequencerClients::step() {
    bool sent = false;
    for (auto at = subscribers_.begin(); at != subscribers_.end();) {
        bool ended = false;
        sent |= serve(at->first, at->second, ended);
        at = ended ? subscribers_.erase(at) : std::next(at);
    }
    return sent;
}

bool SequencerClients::serve(NodeId client, Subscriber& subscriber, bool& ended) {
    if (subscriber.greeting) {
        if (!greet(client, subscriber)) return false;
        subscriber.greeting = false;
    }
    bool sent = false;
    const Position released = sequencer_.outputs().released();
    for (uint32_t i = 0; i < kFramesPerStep && !ended && subscriber.next <= released; i++) {
        if (subscriber.entries) {
            if (!sendEntry(client, subscriber, ended)) break;
        } else if (const OutputBatch* batch = sequencer_.outputs().find(subscriber.next)) {
            if (!sendEvents(client, subscriber, *batch)) break;
        } else {
            refuse(client, Answered::PositionLost, sequencer_.outputs().oldest());
            ended = true;
        }
        sent = true;
    }
    return sent;
}

// Up to where there are entries, so that who wants them all knows when it has them.
bool SequencerClients::greet(NodeId client, const Subscriber& subscriber) {
    auto frame = headed<EntriesFrame>();
    frame.header.reserved = subscriber.number;
    frame.entry.first = sequencer_.outputs().released() + 1;
    return wires_.send(client, buffer_.make(frame));
}

bool SequencerClients::sendEntry(NodeId client, Subscriber& subscriber, bool& ended) {
    const OutputBatch* batch = sequencer_.outputs().find(subscriber.next);
    const Position first = batch != nullptr ? batch->entry.first : subscriber.next;
    replication::LogEntry entry;
    if (!sequencer_.log().readHolding(first, entry).isOk()) {
        refuse(client, Answered::PositionLost, sequencer_.outputs().oldest());
        ended = true;
        return true;
    }
    auto frame = headed<EntriesFrame>();
    frame.entry = entry.header;
    if (batch != nullptr) {
        frame.hash = batch->hash;
        frame.ofEvents = batch->ofEvents;
    }
    if (!wires_.send(client, buffer_.make(frame, entry.payload))) return false;
    subscriber.next = entry.header.last() + 1;
    return true;
}

// The next part of the batch; false: not taken, again later.
bool SequencerClients::sendEvents(NodeId client, Subscriber& subscriber, const OutputBatch& batch) {
    const bool all = subscriber.accountFirst == 0 && subscriber.accountLast == 0;
    const auto wanted = [&](AccountId account) {
        return account >= subscriber.accountFirst && account <= subscriber.accountLast;
    };
    auto frame = headed<EventsFrame>();
    frame.first = batch.entry.first;
    frame.last = batch.entry.last();
    chosen_.clear();
    uint32_t before = 0;  // events of the batch ahead of the piece
    uint32_t end = subscriber.index;
    for (const OutputBatch::Piece& piece : batch.pieces) {
        for (uint32_t i = end > before ? end - before : 0;
             i < piece.count && chosen_.size() < kEventsPerFrame; i++) {
            const Event& event = piece.events[i];
            end = before + i + 1;
            if (event.position < subscriber.next) continue;
            if (!all && !wanted(event.account) && !wanted(event.account2)) continue;
            if (chosen_.empty()) frame.index = end - 1;
            chosen_.push_back(event);
        }
        before += piece.count;
        if (chosen_.size() == kEventsPerFrame) break;
    }
    const bool more = end < batch.count;
    if (!chosen_.empty() || (!more && (all || subscriber.index != 0))) {
        frame.count = static_cast<uint32_t>(chosen_.size());
        frame.header.flags = more ? replication::kEventsMore : 0;
        if (!wires_.send(client, buffer_.make(frame, std::as_bytes(std::span(chosen_))))) {
            return false;
        }
    }
    subscriber.index = more ? end : 0;
    if (!more) subscriber.next = batch.entry.last() + 1;
    return true;
}

}  // namespace verbex::roles
