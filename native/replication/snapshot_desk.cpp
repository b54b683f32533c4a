#include "replication/snapshot_desk.h"

#include <algorithm>

#include "base/crc32c.h"
#include "replication/snapshot_transfer.h"

namespace verbex::replication {

namespace {

constexpr uint64_t kSecondNs = 1'000'000'000;

}  // namespace

bool SnapshotDesk::want(NodeId client, const WantFrame& frame, Position first,
                        const FrameHeader& header) {
    if (frame.position == 0) return offer(client, frame, first, header);
    const auto found = takers_.find(client);
    if (found == takers_.end() || found->second.reader->facts().position != frame.position) {
        return true;
    }
    Taker& taker = found->second;
    taker.offset = frame.offset;
    taker.parts = kPartsPerWant;
    taker.askedAt = now_;
    return true;
}

bool SnapshotDesk::offer(NodeId client, const WantFrame& frame, Position first,
                         const FrameHeader& header) {
    OfferFrame nothing;
    nothing.header = header;
    const auto none = [&] {
        takers_.erase(client);
        (void)wires_.send(client, buffer_.make(nothing));
        return true;
    };
    if (frame.offset >= first) return none();
    if (!takers_.contains(client) && takers_.size() >= options_.takersMax) {
        const auto idle = std::ranges::find_if(takers_, [this](const auto& each) {
            return now_ - each.second.askedAt > options_.idleNs;
        });
        if (idle == takers_.end()) return false;
        takers_.erase(idle);
    }
    const bool wantsOldest = (frame.header.flags & kWantOldest) != 0;
    Result<std::unique_ptr<journal::SnapshotReader>> reader =
        wantsOldest ? snapshots_.openOldest(first) : snapshots_.openNewest();
    // It has no entry there, and nothing to begin with either: somebody else may.
    if (!reader.isOk()) return false;
    const Result<Digest128> result = SnapshotTransfer::resultOf(*reader.value());
    if (!result.isOk()) return false;
    const journal::SnapshotFacts& facts = reader.value()->facts();
    OfferFrame offered;
    offered.header = header;
    offered.position = facts.position;
    offered.positionEpoch = facts.epoch;
    offered.contentBytes = facts.contentBytes;
    offered.contentDigest = reader.value()->contentDigest();
    offered.stateHash = facts.stateHash;
    offered.hash = result.value();
    if (!wires_.send(client, buffer_.make(offered))) return true;
    Taker& taker = takers_[client];
    taker = {};
    taker.reader = reader.take();
    taker.askedAt = now_;
    return true;
}

bool SnapshotDesk::step(uint64_t nowNs, const FrameHeader& header) {
    const uint64_t passed = now_ == 0 ? 0 : nowNs - now_;
    now_ = nowNs;
    if (takers_.empty()) return false;
    // What was not used in a quiet time is not made up for at once.
    const uint64_t most = uint64_t{kPartsPerWant} * snapshots_.partBytes();
    allowance_ = std::min(most, allowance_ + std::min(passed, kSecondNs) * options_.bytesPerSecond / kSecondNs);
    bool sent = false;
    for (auto& [client, taker] : takers_) {
        if (taker.parts == 0 || allowance_ < snapshots_.partBytes()) continue;
        sent |= sendPart(client, taker, header);
    }
    return sent;
}

bool SnapshotDesk::sendPart(NodeId client, Taker& taker, const FrameHeader& header) {
    const MemberSnapshots::Hold held(snapshots_, snapshots_.holds().give);
    journal::SnapshotReader& reader = *taker.reader;
    if (taker.offset >= reader.facts().contentBytes) {
        taker.parts = 0;
        return false;
    }
    Result<std::span<const std::byte>> block =
        reader.block(taker.offset / journal::kSnapshotBlockBytes);
    if (!block.isOk()) {
        // Damaged where it lies: the client hears nothing more of it, and asks somebody else.
        taker.parts = 0;
        return false;
    }
    const size_t within = taker.offset % journal::kSnapshotBlockBytes;
    const std::span<const std::byte> bytes = block.value().subspan(
        within, std::min<size_t>(snapshots_.partBytes(), block.value().size() - within));
    PartFrame part;
    part.header = header;
    part.position = reader.facts().position;
    part.offset = taker.offset;
    part.bytes = static_cast<uint32_t>(bytes.size());
    part.crc = crc32c(bytes.data(), bytes.size());
    if (!wires_.send(client, buffer_.make(part, bytes))) return false;
    allowance_ -= std::min<uint64_t>(allowance_, bytes.size());
    taker.offset += bytes.size();
    taker.parts--;
    return true;
}

}  // namespace verbex::replication
