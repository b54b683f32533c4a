// A member that follows: takes entries that fit, promises, cuts, acknowledges.
#include <algorithm>

#include "base/crc32c.h"
#include "replication/replica.h"
#include "wire/command_codec.h"

namespace verbex::replication {

void Replica::onAppend(MemberId from, const AppendFrame& frame,
                       std::span<const std::byte> payload) {
    const Epoch epoch = frame.header.epoch;
    if (!accepts(epoch)) {
        // Of a leader that has been deposed: it is told so.
        sendState(from, 0);
        return;
    }
    if (sends() || role_ == Role::Fencing) {
        if (epoch <= term_) return;
        stepDown();
    }
    if (role_ == Role::Reserving) role_ = Role::Follower;
    if (!promise(epoch)) return;
    hear(from);
    if (frame.revision > revision_) readWanted_ = true;
    if (frame.commit != 0 && ledSince_ == 0) ledSince_ = now_.steadyNs;
    if ((frame.header.flags & kAppendYield) != 0 && frame.header.reserved == facts_.id) {
        heardAt_ = 0;  // see considerTakeover()
    }
    bool isNew = false;
    if (!fits(from, frame, isNew)) return;
    if (isNew) {
        const bool whole = frame.entry.payloadBytes == payload.size() &&
                           (options_.mutant == Mutant::IgnoreChecksum ||
                            frame.entry.payloadCrc == crc32c(payload.data(), payload.size()));
        if (!whole) {
            sendState(from, 0);
            return;
        }
        EntryHeader header = frame.entry;
        if (options_.mutant == Mutant::IgnoreChecksum) {
            header.payloadCrc = crc32c(payload.data(), payload.size());
        }
        if (!appendEntry(header, payload)) return;
    }
    ackWanted_ = true;
    follow(frame);
}

// Does the frame's entry follow on, or is it here already? Else the sender is told what is here.
bool Replica::fits(MemberId from, const AppendFrame& frame, bool& isNew) {
    const Position last = with_.log.last();
    const EntryHeader& entry = frame.entry;
    bool fitting = entry.first != 0 && entry.first - 1 <= last &&
                   with_.log.epochAt(entry.first - 1) == frame.previousEpoch;
    if (entry.count == 0) {
        fitting = fitting && entry.first - 1 == last;
    } else if (entry.first == last + 1) {
        isNew = fitting && entry.count <= kBatchBytesMax / kCommandLineBytes &&
                entry.epoch >= with_.log.lastEpoch() && entry.epoch <= frame.header.epoch;
        fitting = isNew;
    } else {
        fitting = fitting && entry.last() <= last && with_.log.epochAt(entry.last()) == entry.epoch;
    }
    if (!fitting && now_.steadyNs - stateSentAt_ >= kStateEveryNs) sendState(from, 0);
    return fitting;
}

// What the leader says is committed and released, as far as this log is known to equal its own.
void Replica::follow(const AppendFrame& frame) {
    const Position same = frame.entry.first - 1 + frame.entry.count;
    if (alignedEpoch_ != frame.header.epoch) alignedTo_ = 0;
    alignedEpoch_ = frame.header.epoch;
    alignedTo_ = std::max(alignedTo_, same);
    commit_ = std::max(commit_, std::min(frame.commit, same));
    const bool behind = frame.released > with_.log.last();
    with_.outputs.recovering(behind);
    if (behind || frame.released > same || frame.released <= with_.outputs.released()) return;
    Digest128 own;
    if (!hashAt(frame.released, own)) return;
    if (own == frame.releasedHash) {
        with_.outputs.release(frame.released);
        return;
    }
    if (options_.mutant == Mutant::VoteSkipped) return;
    // The leader hears the wrong result once more, before this member falls silent.
    AckFrame ack;
    ack.header.flags = kAckResultOnly;
    ack.incarnation = facts_.incarnation;
    ack.position = frame.released;
    ack.hash = own;
    ack.last = with_.log.last();
    (void)sendTo(heardLeader_, ack);
    diverged_ = Evicted{facts_.id, frame.released, frame.releasedHash, own};
    (void)with_.distrust();  // where the disk does not take it, the record will say so
    halt("its result at position " + std::to_string(frame.released) + " is " + own.hex() +
         ", the cluster's is " + frame.releasedHash.hex());
}

// Only what this leader has compared: the end of this log may be another one's.
void Replica::acknowledge() {
    Position position = acknowledgedPosition();
    if (options_.mutant == Mutant::FenceBeforeDead && now_.steadyNs < laxUntil_ &&
        alignedEpoch_ == laxEpoch_) {
        // The old connection is not dead: it carries acknowledgements too.
        AckFrame ack;
        ack.header.from = facts_.id;
        ack.header.epoch = laxEpoch_;
        ack.incarnation = facts_.incarnation;
        ack.last = with_.log.last();
        position = std::min(position, alignedTo_);
        if (hashAt(position, ack.hash)) ack.position = position;
        (void)with_.wires.send(heardLeader_, buffer_.make(ack));
        ackWanted_ = false;
        return;
    }
    if (options_.mutant != Mutant::AckUnverified) {
        if (alignedEpoch_ != facts_.promised) return;
        position = std::min(position, alignedTo_);
    }
    if (heardLeader_ == 0 || (!ackWanted_ && position <= ackSent_)) return;
    AckFrame ack;
    ack.incarnation = facts_.incarnation;
    ack.last = with_.log.last();
    if (hashAt(position, ack.hash)) ack.position = position;
    if (!sendTo(heardLeader_, ack)) return;
    ackSent_ = std::max(ackSent_, ack.position);
    ackWanted_ = false;
}

// ---- what a candidate asks for

void Replica::onFence(MemberId from, const FenceFrame& frame) {
    const Epoch epoch = frame.header.epoch;
    // An epoch that is reserved under this log's record is above all that the log can have seen: it is a word that comes
    // late, or of another record's.
    if (epoch < facts_.promised || epoch <= with_.log.lastEpoch()) {
        sendState(from, 0);
        return;
    }
    if (role_ != Role::Follower && epoch > term_) stepDown();
    if (options_.mutant == Mutant::FenceBeforeDead && epoch > facts_.promised) {
        laxEpoch_ = facts_.promised;
        laxUntil_ = now_.steadyNs + 50'000'000;
    }
    const bool isNew = epoch > facts_.promised;
    if (!promise(epoch)) return;
    if (options_.mutant == Mutant::TruncateByCommit && isNew && commit_ != 0 && !cut(commit_)) return;
    hear(from);
    if (frame.revision > revision_) readWanted_ = true;
    // What is staged belongs to the log that is reported.
    if (Status status = with_.log.write(); !status.isOk()) {
        fail(status);
        return;
    }
    sendState(from, kStateFenced);
}

void Replica::onTruncate(MemberId from, const TruncateFrame& frame) {
    if (!accepts(frame.header.epoch) || role_ != Role::Follower) return;
    if (!promise(frame.header.epoch)) return;
    hear(from);
    const Position to = frame.to;
    // What is cut must be older than the sender's epoch, and not what the sender has there itself: a word
    // that comes late finds the right entry in the wrong one's place.
    const Epoch cuts = with_.log.epochAt(to + 1);
    const bool isStale = cuts == frame.nextEpoch || cuts >= frame.header.epoch;
    if (to > with_.log.last() || with_.log.epochAt(to) != frame.toEpoch ||
        (isStale && options_.mutant != Mutant::TruncateStale)) {
        sendState(from, 0);
        return;
    }
    if (!cut(to)) return;
    sendState(from, 0);
}

void Replica::onFetch(MemberId from, const FetchFrame& frame) {
    if (frame.header.epoch != facts_.promised) return;
    // As much as the way takes; the candidate asks again from where it got to.
    Position at = frame.from;
    if (at < with_.log.first()) {
        offer(from, at, kOfferFetched);
        return;
    }
    uint64_t bytes = 0;
    LogEntry entry;
    while (at <= with_.log.last() && bytes < options_.sendAheadBytes &&
           with_.log.read(at, entry).isOk()) {
        EntryFrame answer;
        answer.previousEpoch = with_.log.epochAt(at - 1);
        answer.entry = entry.header;
        if (!sendTo(from, answer, entry.payload)) return;
        bytes += entry.payload.size();
        at = entry.header.last() + 1;
    }
}

}  // namespace verbex::replication
