// A member whose log ends before another's begins takes a snapshot: who offers, who takes, what follows.
#include <algorithm>

#include "base/crc32c.h"
#include "replication/replica.h"

namespace verbex::replication {

namespace {

// A getter that hears nothing for so long gives up; the next offer begins anew.
constexpr uint64_t kGettingNs = 5'000'000'000;
// The log is kept for a member that takes a snapshot for so long at most.
constexpr uint64_t kGetterNs = 600'000'000'000;

}  // namespace

// ---- the giver

void Replica::offer(MemberId to, Position next, uint8_t flags) {
    SnapshotTransfer::Given* given = with_.snapshots.give(to, now_.steadyNs);
    if (given == nullptr) return;
    const uint64_t quiet = std::min(now_.steadyNs - given->offeredAt, now_.steadyNs - given->wantedAt);
    if (given->offeredAt != 0 && quiet < options_.heartbeatNs) return;
    const journal::SnapshotFacts& facts = given->reader->facts();
    if (facts.position < next) {
        // It has that one already: the next look offers a newer one.
        with_.snapshots.endGiving(to);
        return;
    }
    if (facts.position > with_.log.last()) return;
    Result<Digest128> result = SnapshotTransfer::resultOf(*given->reader);
    if (!result.isOk()) return;
    given->offeredAt = now_.steadyNs;
    if (Progress& peer = progress_[to]; flags == 0 && peer.getsFrom != facts.position + 1) {
        peer.getsFrom = facts.position + 1;
        peer.getsSince = now_.steadyNs;
    }
    OfferFrame frame;
    frame.header.flags = flags;
    frame.position = facts.position;
    frame.positionEpoch = facts.epoch;
    frame.contentBytes = facts.contentBytes;
    frame.contentDigest = given->reader->contentDigest();
    frame.stateHash = facts.stateHash;
    frame.hash = result.value();
    const std::vector<EpochEnd> ends = endsUpTo(with_.log.ends(), facts.position);
    frame.ends = static_cast<uint32_t>(std::min<size_t>(ends.size(), kEpochEndsMax));
    (void)sendTo(to, frame, std::as_bytes(std::span(ends).last(frame.ends)));
}

// Who takes a snapshot goes on behind it in the log: what it needs then is kept, until it is in step, falls silent,
// or has had its time.
void Replica::keepForGetters() {
    Position from = 0;
    for (auto& [id, peer] : progress_) {
        if (peer.getsFrom == 0) continue;
        const bool inStep = peer.answered && peer.next > with_.log.last();
        const bool silent = now_.steadyNs - peer.heardAt > options_.silentNs;
        if (inStep || silent || now_.steadyNs - peer.getsSince > kGetterNs) {
            peer.getsFrom = 0;
        } else {
            from = from == 0 ? peer.getsFrom : std::min(from, peer.getsFrom);
        }
    }
    with_.snapshots.keepFrom(from);
}

// Whoever was offered it gets it: what is in it is committed, whoever leads now.
void Replica::onWant(MemberId from, const WantFrame& frame) {
    SnapshotTransfer::Given* given = with_.snapshots.given(from, frame.position);
    if (given == nullptr) return;
    given->wantedAt = now_.steadyNs;
    const MemberSnapshots::Hold held = with_.snapshots.holdToGive();
    journal::SnapshotReader& reader = *given->reader;
    uint64_t at = frame.offset;
    for (uint32_t i = 0; i < kPartsPerWant && at < reader.facts().contentBytes; i++) {
        Result<std::span<const std::byte>> bytes = with_.snapshots.read(reader, at);
        if (!bytes.isOk()) {
            // Damaged where it lies: the getter hears nothing more of it.
            given->wantedAt = 0;
            return;
        }
        PartFrame part;
        part.position = frame.position;
        part.offset = at;
        part.bytes = static_cast<uint32_t>(bytes.value().size());
        part.crc = crc32c(bytes.value().data(), bytes.value().size());
        if (!sendTo(from, part, bytes.value())) return;
        at += bytes.value().size();
    }
}

// ---- the getter

// An offer is a word of whoever leads, as an entry is.
bool Replica::takesOffers(MemberId from, const OfferFrame& frame) {
    const Epoch epoch = frame.header.epoch;
    if ((frame.header.flags & kOfferFetched) != 0) {
        return role_ == Role::Adopting && from == source_ && epoch == term_;
    }
    if (!accepts(epoch) && options_.mutant != Mutant::InstallUnasked) {
        sendState(from, 0);
        return false;
    }
    if (sends() || role_ == Role::Fencing) {
        if (epoch <= term_) return false;
        stepDown();
    }
    if (role_ == Role::Reserving) role_ = Role::Follower;
    if (!promise(epoch)) return false;
    hear(from);
    return true;
}

void Replica::onOffer(MemberId from, const OfferFrame& frame, std::span<const std::byte> payload) {
    if (frame.ends == 0 || frame.ends > kEpochEndsMax || frame.contentBytes == 0 ||
        frame.contentBytes > journal::kSnapshotContentBytesMax ||
        payload.size() != size_t{frame.ends} * sizeof(EpochEnd)) {
        return;
    }
    std::vector<EpochEnd> ends(frame.ends);
    std::memcpy(ends.data(), payload.data(), payload.size());
    if (ends.back().last != frame.position || ends.back().epoch != frame.positionEpoch) return;
    if (!takesOffers(from, frame)) return;
    // What it stands for may be here by now: nothing behind it is given up for a word that comes late.
    const bool here = frame.position <= with_.log.last() &&
                      with_.log.epochAt(frame.position) == frame.positionEpoch;
    if (here && options_.mutant != Mutant::InstallUnasked) {
        if (now_.steadyNs - stateSentAt_ >= kStateEveryNs) sendState(from, 0);
        return;
    }
    const Position known = std::max(commit_, with_.outputs.released());
    if (with_.log.common(ends) < std::min(known, frame.position) && frame.ends < kEpochEndsMax) {
        halt("offered a snapshot of position " + std::to_string(frame.position) +
             " that has not got what is committed here, up to position " + std::to_string(known));
        return;
    }
    const SnapshotTransfer::Getting* getting = with_.snapshots.getting();
    const bool same = getting != nullptr && getting->from == from &&
                      getting->offer.header.epoch == frame.header.epoch &&
                      getting->offer.position == frame.position &&
                      getting->offer.contentDigest == frame.contentDigest;
    if (!same && !with_.snapshots.begin(from, frame, now_.steadyNs).isOk()) return;
    askForParts();
}

void Replica::onPart(MemberId from, const PartFrame& frame, std::span<const std::byte> payload) {
    const SnapshotTransfer::Getting* getting = with_.snapshots.getting();
    if (getting == nullptr || getting->from != from) return;
    if (!with_.snapshots.take(frame, payload, now_.steadyNs)) return;
    if (role_ == Role::Adopting) fetchedAt_ = adoptedAt_ = now_.steadyNs;
    if (from == heardLeader_) hear(from);
    if (with_.snapshots.isWhole()) {
        install();
    } else {
        askForParts();
    }
}

// The next parts where all that were asked for are here, or do not come.
void Replica::askForParts() {
    SnapshotTransfer::Getting* getting = with_.snapshots.getting();
    if (getting == nullptr) return;
    const bool over = getting->offer.header.epoch < facts_.promised &&
                      options_.mutant != Mutant::InstallUnasked;
    if (over || now_.steadyNs - getting->cameAt > kGettingNs) {
        with_.snapshots.drop();
        return;
    }
    const bool late = now_.steadyNs - std::max(getting->askedAt, getting->cameAt) >= options_.heartbeatNs;
    if (getting->askedAt != 0 && getting->parts < kPartsPerWant && !late) return;
    getting->askedAt = now_.steadyNs;
    getting->parts = 0;
    WantFrame want;
    want.position = getting->offer.position;
    want.offset = getting->got;
    (void)sendTo(getting->from, want);
}

void Replica::install() {
    const SnapshotTransfer::Getting& getting = *with_.snapshots.getting();
    const MemberId from = getting.from;
    const Position position = getting.offer.position;
    const Epoch epoch = getting.offer.header.epoch;
    const bool over = epoch < facts_.promised && options_.mutant != Mutant::InstallUnasked;
    // What it holds may have come by another way meanwhile.
    const bool here = position <= with_.log.last() &&
                      with_.log.epochAt(position) == getting.offer.positionEpoch &&
                      options_.mutant != Mutant::InstallUnasked;
    if (over || here || sends() != (role_ == Role::Adopting)) {
        with_.snapshots.drop();
        return;
    }
    bool undone = false;
    Result<MemberState> state = with_.snapshots.install(with_.outputs, undone);
    if (!state.isOk()) {
        if (!undone) fail(state.status().within("taking a snapshot of member " + std::to_string(from)));
        return;
    }
    with_.executor = std::move(state.value().executor);
    with_.outputs.restart(position);
    commit_ = std::max(commit_, position);
    alignedEpoch_ = epoch;
    alignedTo_ = position;
    ackSent_ = 0;
    ackWanted_ = true;
    if (role_ == Role::Adopting) {
        fetchedAt_ = 0;
        adoptedAt_ = now_.steadyNs;
        return;
    }
    sendState(from, 0);
}

// ---- one that has computed something else

// Neither its state nor its snapshots are used again. Where the log does not reach back to the first entry, it
// begins with nothing, as another incarnation: others have what it had.
bool Replica::startOver() {
    with_.snapshots.drop();
    MemberFacts another = facts_;
    bool emptied = false;
    if (with_.log.first() > 1) {
        another.incarnation++;
        if (!with_.store(another)) {
            fail(Status(StatusCode::IoError, "another incarnation could not be stored"));
            return false;
        }
        facts_ = another;
    }
    if (!with_.startOver(emptied)) return false;
    if (emptied) commit_ = 0;
    alignedTo_ = 0;
    ackSent_ = 0;
    return true;
}

}  // namespace verbex::replication
