// A member that leads: makes entries, streams the log, counts acknowledgements, commits, releases.
#include <algorithm>
#include <array>
#include <bit>

#include "base/crc32c.h"
#include "replication/replica.h"
#include "wire/command_codec.h"
#include "wire/log_facts.h"

namespace verbex::replication {

namespace {

// Entries that somebody far behind gets in one step: others come first.
constexpr uint32_t kEntriesPerStepMax = 16;

// The commands of a submission as they will be journaled, one by one. False: they are not commands.
bool checkCommands(std::span<const std::byte> bytes, uint32_t count, std::vector<uint32_t>& ends) {
    ends.clear();
    size_t at = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (bytes.size() - at < kCommandLineBytes) return false;
        uint16_t flags;
        std::memcpy(&flags, bytes.data() + at + offsetof(Command, flags), sizeof(flags));
        const auto type = static_cast<uint8_t>(bytes[at]);
        if (isLogFact(type)) return false;
        at += (flags & kCommandExtended) != 0 ? kCommandBytesMax : kCommandLineBytes;
        if (at > bytes.size()) return false;
        ends.push_back(static_cast<uint32_t>(at));
    }
    return at == bytes.size();
}

// A log that came from a deployment in roles may say that risk processes are away. Here is one core, and it has all of
// them: without this the accounts of those that were away on the other site would be refused for ever.
void callBackWhoIsAway(const Core& core, std::vector<std::byte>& payload, EntryHeader& header) {
    for (uint32_t away = core.riskProcessesAway(); away != 0; away &= away - 1) {
        const auto process = static_cast<uint32_t>(std::countr_zero(away));
        const Command up =
            availabilityOf(core.riskProcesses(), process, false, header.first + header.count);
        const size_t at = payload.size();
        payload.resize(at + up.size());
        encodeCommand(up, payload.data() + at);
        header.count++;
    }
}

// The last position of a log that ends its epochs so.
Position lastPositionOf(std::span<const std::byte> ends) {
    EpochEnd last;
    std::memcpy(&last, ends.data() + ends.size() - sizeof(last), sizeof(last));
    return last.last;
}

// Of a later incarnation nothing is known but that it is there.
Replica::Progress reborn(const Replica::Progress& before, Incarnation incarnation) {
    Replica::Progress progress;
    progress.incarnation = incarnation;
    progress.heartbeatAt = before.heartbeatAt;
    return progress;
}

}  // namespace

// ---- the term begins

void Replica::lead() {
    // The record names this log now.
    if (orphaned_ && !claim()) return;
    role_ = Role::Leader;
    // The adopted log is here now, and what was known of it holds for it.
    commit_ = std::max(commit_, std::min(adoptedCommit_, with_.log.last()));
    adoptedCommit_ = 0;
    counters_.takeovers++;
    heardLeader_ = facts_.id;
    quorumAt_ = now_.steadyNs;
    for (auto& [id, peer] : progress_) peer.heardAt = now_.steadyNs;
    // A standby site's log is the other site's, word for word: it adds nothing of its own.
    if (known_.site != Site::Standby) (void)makeEntry(true);
}

// ---- entries

Answered Replica::submit(std::span<const std::byte> commands, uint32_t count, uint32_t& taken) {
    taken = 0;
    if (role_ == Role::Halted || known_.site == Site::Fenced) return Answered::Halted;
    if (role_ != Role::Leader || options_.executor.logOnly) return Answered::NotLeader;
    if (known_.site == Site::Standby) return Answered::Standby;
    if (known_.sync.size() < options_.minSync) return Answered::Halted;
    const bool closing = changing_.has_value() && changing_->site != Site::Active;
    if (yieldTo_ != 0 || closing) return Answered::Busy;
    static thread_local std::vector<uint32_t> ends;
    if (!checkCommands(commands, count, ends)) return Answered::Malformed;
    const uint64_t inFlight = with_.log.last() - with_.outputs.released() + pendingCount_;
    const uint64_t room =
        inFlight >= options_.windowCommands ? 0 : options_.windowCommands - inFlight;
    taken = static_cast<uint32_t>(std::min<uint64_t>(count, room));
    if (taken == 0) return count == 0 ? Answered::Taken : Answered::Busy;
    pending_.insert(pending_.end(), commands.begin(), commands.begin() + ends[taken - 1]);
    pendingCount_ += taken;
    counters_.commands += taken;
    return taken == count ? Answered::Taken : Answered::Busy;
}

Answered Replica::ingest(const EntryHeader& header, std::span<const std::byte> payload,
                         const Digest128& result) {
    if (role_ == Role::Halted) return Answered::Halted;
    if (role_ != Role::Leader) return Answered::NotLeader;
    if (known_.site != Site::Standby || changing_.has_value()) return Answered::Busy;
    if (header.count == 0) return Answered::Taken;
    if (header.first <= with_.log.last()) return compareEntry(header, payload, result);
    if (header.first != with_.log.last() + 1) return Answered::PositionLost;
    if (header.payloadBytes != payload.size() || payload.size() > kBatchBytesMax ||
        header.payloadCrc != crc32c(payload.data(), payload.size())) {
        return Answered::Malformed;
    }
    // What is left of an older epoch is committed by an entry of this one, so there is always room for the first.
    const bool isFull = with_.log.last() - with_.outputs.released() >= options_.windowCommands;
    if (isFull && with_.log.lastEpoch() == term_) return Answered::Busy;
    EntryHeader own = header;
    own.epoch = term_;  // epochs are this site's
    return appendEntry(own, payload) ? Answered::Taken : Answered::Halted;
}

// What is here already has to be what the other site has there, to the last byte and in what came of it. What is kept
// of neither cannot be compared.
Answered Replica::compareEntry(const EntryHeader& header, std::span<const std::byte> payload,
                               const Digest128& result) {
    if (header.last() > with_.log.last()) return Answered::Differs;
    if (header.first >= with_.log.first()) {
        LogEntry own;
        const Status read = with_.log.read(header.first, own);
        if (!read.isOk() && read.code() != StatusCode::NotFound) return Answered::Busy;
        if (!read.isOk() || own.header.count != header.count ||
            !std::ranges::equal(own.payload, payload)) {
            return Answered::Differs;
        }
    }
    Digest128 own;
    const bool isKnown = !(result == Digest128{}) && hashAt(header.last(), own);
    return isKnown && !(own == result) ? Answered::Differs : Answered::Taken;
}

bool Replica::makeEntries() {
    if (options_.executor.logOnly) return false;  // see append()
    if (yieldTo_ != 0 && now_.steadyNs > yieldUntil_) yieldTo_ = 0;
    const uint64_t time = with_.executor->time();
    const uint64_t passed = now_.wallNs > time ? now_.wallNs - time : 0;
    const bool idle = pendingCount_ == 0;
    const bool closing = changing_.has_value() && changing_->site != Site::Active;
    if (idle && (closing || known_.site != Site::Active)) return false;
    if (idle && (passed < options_.idleTickNs || yieldTo_ != 0)) return false;
    // The window bounds what waits for its commit; the clock's commands wait too.
    if (idle && with_.log.last() - with_.outputs.released() >= options_.windowCommands) return false;
    do {
        if (!makeEntry(false)) return true;
    } while (pendingCount_ != 0);
    return true;
}

bool Replica::append(std::span<const std::byte> payload, uint32_t count, EntryHeader& header) {
    if (role_ != Role::Leader || known_.site != Site::Active || count == 0) return false;
    CHECK(options_.executor.logOnly && payload.size() <= kBatchBytesMax);
    header = EntryHeader{};
    header.epoch = term_;
    header.first = with_.log.last() + 1;
    header.count = count;
    header.payloadBytes = static_cast<uint32_t>(payload.size());
    header.payloadCrc = crc32c(payload.data(), payload.size());
    return appendEntry(header, payload);
}

bool Replica::hearsQuorum(uint64_t withinNs) const {
    size_t heard = 0;
    for (const SyncMember& member : known_.sync) {
        const auto found = progress_.find(member.id);
        heard += member.id == facts_.id ||
                 (found != progress_.end() && found->second.heardAt + withinNs >= now_.steadyNs);
    }
    return heard >= known_.quorum();
}

// One entry of what waits, with the time ahead of it where it has moved on.
bool Replica::makeEntry(bool isStart) {
    EntryHeader header;
    header.epoch = term_;
    header.first = with_.log.last() + 1;
    const uint64_t time = with_.executor->time();
    const bool ticks = isStart || now_.wallNs >= time + options_.tickNs ||
                       (pendingCount_ == 0 && now_.wallNs > time);
    std::vector<std::byte> payload;
    payload.reserve(std::min<size_t>(options_.batchBytes, pending_.size() - pendingFrom_ + kCommandBytesMax));
    if (ticks) {
        Command tick{};
        tick.type = static_cast<uint8_t>(CommandType::AdvanceTime);
        // Where the log is made elsewhere, so is its time: then the entry that starts an epoch changes nothing.
        tick.expiry = options_.executor.logOnly ? time : std::max(time, now_.wallNs);
        tick.token = isStart ? term_ : 0;
        payload.resize(tick.size());
        encodeCommand(tick, payload.data());
        header.count = 1;
    }
    if (!options_.executor.logOnly) callBackWhoIsAway(with_.executor->core(), payload, header);
    size_t used = 0;
    while (!isStart && pendingCount_ != 0) {
        uint16_t flags;
        std::memcpy(&flags, pending_.data() + pendingFrom_ + used + offsetof(Command, flags), sizeof(flags));
        const size_t size = (flags & kCommandExtended) != 0 ? kCommandBytesMax : kCommandLineBytes;
        if (payload.size() + used + size > options_.batchBytes) break;
        used += size;
        header.count++;
        pendingCount_--;
    }
    const auto from = pending_.begin() + static_cast<ptrdiff_t>(pendingFrom_);
    payload.insert(payload.end(), from, from + static_cast<ptrdiff_t>(used));
    pendingFrom_ += used;
    if (pendingCount_ == 0) {
        pending_.clear();
        pendingFrom_ = 0;
    }
    if (header.count == 0) return false;
    header.payloadBytes = static_cast<uint32_t>(payload.size());
    header.payloadCrc = crc32c(payload.data(), payload.size());
    return appendEntry(header, payload);
}

// ---- sending

bool Replica::serve() {
    const bool sent = stream();
    if (role_ == Role::Leader) {
        commitAndRelease();
        if (role_ == Role::Leader) reconfigure();
    } else if (role_ == Role::Adopting) {
        activateWhenSynced();
    }
    return sent;
}

bool Replica::stream() {
    if (!isComplete() || isMute()) return false;
    bool sent = false;
    for (const MemberPlace& place : options_.members) {
        if (place.id == facts_.id) continue;
        if (role_ != Role::Leader && !gathered_.contains(place.id)) continue;
        Progress& peer = progress_[place.id];
        if (peer.answered && peer.next < with_.log.first()) {
            offer(place.id, peer.next, 0);
        } else {
            sent |= streamTo(place.id, peer);
        }
        if (now_.steadyNs - peer.heartbeatAt >= options_.heartbeatNs) heartbeat(place.id, peer);
    }
    keepForGetters();
    return sent;
}

bool Replica::streamTo(MemberId to, Progress& peer) {
    if (!peer.answered) return false;
    bool sent = false;
    LogEntry entry;
    for (uint32_t i = 0; i < kEntriesPerStepMax && peer.next <= with_.log.last(); i++) {
        if ((peer.next - peer.acknowledged) * kCommandLineBytes > options_.sendAheadBytes) break;
        if (!with_.log.read(peer.next, entry).isOk()) break;
        AppendFrame frame;
        frame.revision = revision_;
        frame.previousEpoch = with_.log.epochAt(peer.next - 1);
        frame.entry = entry.header;
        frame.commit = commit_;
        frame.released = with_.outputs.released();
        if (!hashAt(frame.released, frame.releasedHash)) frame.released = 0;
        if (!sendTo(to, frame, entry.payload)) break;
        peer.next = entry.header.last() + 1;
        peer.heartbeatAt = now_.steadyNs;
        sent = true;
    }
    return sent;
}

void Replica::heartbeat(MemberId to, Progress& peer) {
    peer.heartbeatAt = now_.steadyNs;
    AppendFrame frame;
    if (yieldTo_ != 0) {
        frame.header.flags = kAppendYield;
        frame.header.reserved = static_cast<uint16_t>(yieldTo_);
    }
    frame.revision = revision_;
    frame.entry.first = peer.answered ? peer.next : with_.log.last() + 1;
    frame.previousEpoch = with_.log.epochAt(frame.entry.first - 1);
    frame.commit = commit_;
    frame.released = with_.outputs.released();
    if (!hashAt(frame.released, frame.releasedHash)) frame.released = 0;
    (void)sendTo(to, frame);
}

// ---- hearing

void Replica::onAck(MemberId from, const AckFrame& frame) {
    if (frame.header.epoch > facts_.promised) readWanted_ = true;
    if (!isComplete() || frame.header.epoch != term_) return;
    Progress& peer = progress_[from];
    peer.heardAt = now_.steadyNs;
    if (peer.incarnation != frame.incarnation) {
        // A later one of another incarnation: nothing that it acknowledged before holds for this one.
        if (isBefore(frame.incarnation, peer.incarnation)) return;
        peer = reborn(peer, frame.incarnation);
        peer.heardAt = now_.steadyNs;
    }
    if (!peer.answered) {
        peer.answered = true;
        peer.next = frame.last + 1;
    }
    if (frame.position > with_.log.last()) return;
    if ((frame.header.flags & kAckResultOnly) == 0) {
        peer.acknowledged = std::max(peer.acknowledged, frame.position);
    }
    compare(peer, frame.position, frame.hash);
}

void Replica::onState(MemberId from, const StateFrame& frame, std::span<const std::byte> payload) {
    if (payload.size() != size_t{frame.ends} * sizeof(EpochEnd) || frame.ends > kEpochEndsMax) return;
    if (role_ != Role::Fencing && !sends()) return;
    if ((frame.header.flags & kStateOrphaned) != 0) {
        answerOrphan(from, frame);
        return;
    }
    if (frame.header.epoch > term_) {
        // Somebody has reserved a later epoch: this one is over, or soon will be.
        readWanted_ = true;
        if (frame.header.epoch > facts_.promised && !promise(frame.header.epoch)) return;
        stepDown();
        return;
    }
    if (frame.header.epoch != term_) {
        if (role_ == Role::Fencing) return;
        // It has not heard of this term yet; what its log is, is true all the same.
    }
    Progress& peer = progress_[from];
    if (isBefore(frame.incarnation, peer.incarnation)) return;
    const Position theirs = frame.ends == 0 ? 0 : lastPositionOf(payload);
    if (peer.incarnation != frame.incarnation || theirs < peer.acknowledged) {
        // Also where its log has not got what it has acknowledged: then that counts for nothing.
        peer = reborn(peer, frame.incarnation);
    }
    peer.heardAt = now_.steadyNs;
    peer.ends.resize(frame.ends);
    if (!payload.empty()) std::memcpy(peer.ends.data(), payload.data(), payload.size());
    peer.commit = frame.commit;
    if ((frame.header.flags & kStateFenced) != 0 && frame.header.epoch == term_) peer.fenced = true;
    if (isComplete()) align(from, peer);
}

// Brings what the peer has and what is sent next together.
void Replica::align(MemberId from, Progress& peer) {
    const Position theirs = peer.ends.empty() ? 0 : peer.ends.back().last;
    const Position same = with_.log.common(peer.ends);
    if (theirs > same) {
        peer.answered = false;
        TruncateFrame frame;
        frame.to = same;
        frame.toEpoch = with_.log.epochAt(same);
        frame.nextEpoch = with_.log.epochAt(same + 1);
        (void)sendTo(from, frame);
        return;
    }
    peer.answered = true;
    peer.next = theirs + 1;
}

// Of two results at one position one is wrong, or they are equal up to there.
void Replica::compare(Progress& peer, Position position, const Digest128& hash) {
    if (position >= peer.said) {
        peer.said = position;
        peer.saidHash = hash;
    }
    Digest128 own;
    if (position <= peer.matched || peer.differs != 0) return;
    if (position <= with_.log.last() && hashAt(position, own)) {
        if (own == hash) {
            peer.matched = position;
        } else {
            peer.differs = position;
            peer.differsFound = hash;
        }
        return;
    }
}

// ---- commit and release

Position Replica::acknowledgedBy(MemberId id) const {
    if (id == facts_.id) return acknowledgedPosition();
    const auto found = progress_.find(id);
    return found == progress_.end() ? 0 : found->second.acknowledged;
}

Position Replica::matchedBy(MemberId id) const {
    if (id == facts_.id) return with_.executor->position();
    const auto found = progress_.find(id);
    return found == progress_.end() ? 0 : found->second.matched;
}

// The W-th highest of what the sync set's members have said.
Position Replica::agreed(const Configuration& configuration, Acknowledged by) const {
    // At every step: no allocation.
    std::array<Position, kMembersMax> all;
    size_t count = 0;
    const auto say = [&](Position position) { all[count++] = position; };
    size_t needed = configuration.quorum();
    for (const SyncMember& member : configuration.sync) {
        if (member.id == facts_.id) {
            say(member.incarnation == facts_.incarnation ? (this->*by)(member.id) : 0);
            continue;
        }
        const auto found = progress_.find(member.id);
        const bool holds =
            found != progress_.end() && found->second.incarnation == member.incarnation;
        if (options_.mutant == Mutant::ShrinkWithoutSwap &&
            (!holds || now_.steadyNs - found->second.heardAt > options_.silentNs)) {
            needed = std::max<size_t>(1, needed - 1);
            continue;
        }
        say(holds ? (this->*by)(member.id) : 0);
    }
    std::sort(all.begin(), all.begin() + static_cast<ptrdiff_t>(count), std::greater<>());
    return needed == 0 || count < needed ? 0 : all[needed - 1];
}

void Replica::commitAndRelease() {
    Position committed = agreed(known_, &Replica::acknowledgedBy);
    Position matched = agreed(known_, &Replica::matchedBy);
    if (changing_.has_value() && options_.mutant != Mutant::GrowBeforeAck) {
        committed = std::min(committed, agreed(*changing_, &Replica::acknowledgedBy));
        matched = std::min(matched, agreed(*changing_, &Replica::matchedBy));
    }
    // An entry of an older epoch is committed by one of this epoch behind it, never by its own count: a
    // member that is not among those counted may have a later epoch's entry in its place.
    const bool own = with_.log.epochAt(committed) == term_;
    if (own || options_.mutant == Mutant::CommitOldEpoch) commit_ = std::max(commit_, committed);
    const bool voted = options_.mutant != Mutant::VoteSkipped;
    with_.outputs.release(voted ? std::min(commit_, matched) : commit_);
}

}  // namespace verbex::replication
