#include "replication/snapshot_transfer.h"

#include <algorithm>
#include <cstring>

#include "base/crc32c.h"

namespace verbex::replication {

namespace {

// Whoever has not asked for so long is offered the newest one.
constexpr uint64_t kGivingNs = 3'000'000'000;
// Where the head of the content has the result: member_state.cpp.
constexpr size_t kResultOffset = 32;

}  // namespace

SnapshotTransfer::Given* SnapshotTransfer::give(MemberId to, uint64_t nowNs) {
    Given& given = given_[to];
    if (given.reader != nullptr && nowNs - given.wantedAt < kGivingNs) return &given;
    Result<std::unique_ptr<journal::SnapshotReader>> newest = snapshots_.openNewest();
    if (!newest.isOk()) {
        given_.erase(to);
        return nullptr;
    }
    const bool same = given.reader != nullptr &&
                      given.reader->facts().position == newest.value()->facts().position;
    if (!same) given.offeredAt = 0;
    given.reader = newest.take();
    return &given;
}

SnapshotTransfer::Given* SnapshotTransfer::given(MemberId to, Position position) {
    const auto found = given_.find(to);
    if (found == given_.end() || found->second.reader == nullptr) return nullptr;
    return found->second.reader->facts().position == position ? &found->second : nullptr;
}

Result<std::span<const std::byte>> SnapshotTransfer::read(journal::SnapshotReader& reader,
                                                          uint64_t offset) const {
    Result<std::span<const std::byte>> block = reader.block(offset / journal::kSnapshotBlockBytes);
    if (!block.isOk()) return block;
    const size_t within = offset % journal::kSnapshotBlockBytes;
    const size_t bytes = std::min<size_t>(partBytes(), block.value().size() - within);
    return block.value().subspan(within, bytes);
}

Result<Digest128> SnapshotTransfer::resultOf(journal::SnapshotReader& reader) {
    Result<std::span<const std::byte>> head = reader.block(0);
    if (!head.isOk()) return head.status();
    Digest128 result;
    if (head.value().size() < kResultOffset + sizeof(result)) {
        return Status(StatusCode::SnapshotDamaged, "a member's snapshot is too short");
    }
    std::memcpy(&result, head.value().data() + kResultOffset, sizeof(result));
    return result;
}

Status SnapshotTransfer::begin(MemberId from, const OfferFrame& offer, uint64_t nowNs) {
    drop();
    journal::SnapshotFacts facts;
    facts.position = offer.position;
    facts.epoch = offer.positionEpoch;
    Result<std::unique_ptr<journal::SnapshotWriter>> writer = snapshots_.beginInstall(facts);
    if (!writer.isOk()) return writer.status();
    getting_.emplace();
    getting_->from = from;
    getting_->offer = offer;
    getting_->cameAt = nowNs;
    getting_->writer = writer.take();
    return {};
}

bool SnapshotTransfer::take(const PartFrame& part, std::span<const std::byte> bytes,
                            uint64_t nowNs) {
    if (!getting_ || part.position != getting_->offer.position || part.offset != getting_->got) {
        return false;
    }
    if (part.bytes != bytes.size() || bytes.empty() ||
        bytes.size() > getting_->offer.contentBytes - getting_->got ||
        part.crc != crc32c(bytes.data(), bytes.size())) {
        return false;
    }
    if (!getting_->writer->write(bytes).isOk()) {
        drop();
        return false;
    }
    getting_->hash.update(bytes.data(), bytes.size());
    getting_->got += bytes.size();
    getting_->parts++;
    getting_->cameAt = nowNs;
    return true;
}

void SnapshotTransfer::drop() {
    if (!getting_) return;
    if (getting_->writer != nullptr) snapshots_.dropInstall(std::move(getting_->writer));
    getting_.reset();
}

Result<MemberState> SnapshotTransfer::install(Outputs& outputs, bool& undone) {
    undone = true;
    Getting got = std::move(*getting_);
    getting_.reset();
    if (got.hash.digest() != got.offer.contentDigest) {
        snapshots_.dropInstall(std::move(got.writer));
        return Status(StatusCode::SnapshotDamaged,
                      "the snapshot that came is not the one that was offered");
    }
    Result<MemberState> state = snapshots_.install(
        std::move(got.writer), got.offer.stateHash, got.offer.contentDigest, outputs, undone);
    if (state.isOk()) installs_++;
    return state;
}

}  // namespace verbex::replication
