// What a sequencer has to do with the snapshots of roles: what it confirms, and what it feeds their shadows.
#include <algorithm>

#include "roles/sequencer.h"

namespace verbex::roles {

using replication::EntryHeader;
using replication::LogEntry;

namespace {

// A message's worth: one that is cut into frames is put together again at the other end.
constexpr size_t kFeedBytes = kFrameBytesMax - 8192;
constexpr Position kFeedCommands = 512;
constexpr uint64_t kFeedQueuedBytes = 128u << 10;  // what trades goes first
// What is fed and not executed; a process that lags no further keeps up.
constexpr Position kFeedAhead = 1u << 16;

}  // namespace

const Digest128* Sequencer::hashOf(Position at) const {
    if (at > outputs_.released()) return nullptr;
    if (const Digest128* const kept = outputs_.hashAt(at)) return kept;
    const auto found = std::ranges::lower_bound(marks_, at, {}, &ResultMark::at);
    return found != marks_.end() && found->at == at ? &found->hash : nullptr;
}

void Sequencer::remember(const EntryHeader& entry, const Digest128& chain) {
    if (isMark(entry, options_.markEvery)) marks_.push_back({entry.last(), chain});
}

Position Sequencer::agree(Seat& seat, const HelloBody& hello) {
    seat.follows = false;
    seat.fed = seat.followed = 0;
    if (hello.position == 0) return 0;
    const Digest128* const here = hashOf(hello.position);
    const bool same = here != nullptr && *here == hello.hash;
    if (same || options_.mutant == RoleMutant::SnapshotUnverified) return hello.position;
    seat.disagreed++;
    return 0;
}

// Its first word says from where on its shadow is to be fed, every further one how far it has come.
void Sequencer::onFollowed(Seat& seat, const RoleMessage& message) {
    PayloadReader reader(message.payload);
    FollowedBody body;
    const bool fits = seat.live && reader.get(body) && reader.done() &&
                      (!seat.follows || (message.position >= seat.followed &&
                                         message.position <= seat.fed));
    if (!fits) return violate(seat);
    const Digest128* const here = hashOf(message.position);
    // On its way it may be where nothing is remembered any more; where it begins, it must be known.
    const bool begins = !seat.follows && message.position != 0;
    const bool same = here == nullptr ? !begins : message.position == 0 || *here == body.hash;
    if (!same && options_.mutant != RoleMutant::SnapshotUnverified) {
        seat.follows = false;
        seat.disagreed++;
        seat.channel->put(MessageKind::Disagree, message.position);
        return;
    }
    if (!seat.follows) seat.fed = message.position;
    seat.follows = true;
    seat.followed = message.position;
}

// Whole entries, as many as fit a message, none behind a mark.
bool Sequencer::feed(Seat& seat) {
    if (!seat.follows) return false;
    const Position to =
        options_.mutant == RoleMutant::SnapshotUncommitted ? journaled_ : outputs_.released();
    if (seat.fed >= to) return false;
    const bool due = to - seat.fed >= kFeedCommands || now_.steadyNs - seat.fedAt >= options_.pingNs;
    if (!due) return false;
    bool worked = false;
    while (seat.fed < to && seat.fed - seat.followed < kFeedAhead &&
           seat.channel->queuedBytes() < kFeedQueuedBytes) {
        const Position first = seat.fed + 1;
        FollowBody body;
        payload_.clear();
        while (seat.fed < to && body.mark == 0 && payload_.size() < kFeedBytes) {
            LogEntry entry;
            if (Status status = log_.entries().read(seat.fed + 1, entry); !status.isOk()) {
                fail(status.within("the log for a process's snapshots"));
                return true;
            }
            if (!payload_.empty() && payload_.size() + entry.payload.size() > kFeedBytes) break;
            payload_.insert(payload_.end(), entry.payload.begin(), entry.payload.end());
            body.count += entry.header.count;
            body.mark = isMark(entry.header, options_.markEvery) ? 1 : 0;
            seat.fed = entry.header.last();
        }
        writer_.clear().put(body).rows(std::span<const std::byte>(payload_));
        seat.channel->put(MessageKind::Follow, first, writer_.bytes());
        worked = true;
    }
    seat.fedAt = now_.steadyNs;
    return worked;
}

}  // namespace verbex::roles
