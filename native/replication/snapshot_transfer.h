// SnapshotTransfer: a snapshot on its way from one member to another: what is given, what is got.
//
//      giver                                              getter
//        │── Offer: position, size, digests, epochs ─────────▶│  begins a file
//        │◀──────────────── Want: offset ─────────────────────┤
//        │── Part × kPartsPerWant, each checked ─────────────▶│  writes; when they are here, the next Want
//        │                                                    │  all here, digest right: installs, says State
//
// Purpose: the state of both sides; snapshot_exchange.cpp decides who may give and who takes.
// Owner: Member.
// Thread safety: the member's thread.
// Invariants:
//   1. What complete() hands out has the digest that was offered; until then nothing but a temporary file changes.
//   2. A giver keeps the file that it has offered open, so that a newer one need not end the transfer.
// Requires: MemberSnapshots outlives it.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>

#include "base/hash128.h"
#include "replication/frames.h"
#include "replication/member_snapshots.h"

namespace verbex::replication {

inline constexpr uint32_t kPartsPerWant = 4;
static_assert(sizeof(PartFrame) + journal::kSnapshotBlockBytes <= kFrameBytesMax);

class SnapshotTransfer {
public:
    explicit SnapshotTransfer(MemberSnapshots& snapshots) : snapshots_(snapshots) {}

    // ---- giving
    struct Given {
        std::unique_ptr<journal::SnapshotReader> reader;
        uint64_t offeredAt = 0;
        uint64_t wantedAt = 0;
    };
    // What `to` is given: what it was offered, while it takes that, else the newest. Null: there is none.
    Given* give(MemberId to, uint64_t nowNs);
    // What it was offered; null: not that.
    Given* given(MemberId to, Position position);
    void endGiving() { given_.clear(); }
    void endGiving(MemberId to) { given_.erase(to); }
    void keepFrom(Position from) { snapshots_.keepFrom(from); }
    // Up to partBytes() of the content from `offset` on, as one block holds them. Valid until the next call.
    Result<std::span<const std::byte>> read(journal::SnapshotReader& reader, uint64_t offset) const;
    // The result that the content tells; read from it.
    static Result<Digest128> resultOf(journal::SnapshotReader& reader);

    // ---- getting
    struct Getting {
        MemberId from = 0;
        OfferFrame offer;
        uint64_t got = 0;       // bytes
        uint32_t parts = 0;     // that have come of those asked for
        uint64_t askedAt = 0;
        uint64_t cameAt = 0;
        std::unique_ptr<journal::SnapshotWriter> writer;
        Hash128 hash{journal::kSnapshotChainSeed};
    };
    [[nodiscard]] Getting* getting() { return getting_ ? &*getting_ : nullptr; }
    Status begin(MemberId from, const OfferFrame& offer, uint64_t nowNs);
    // The next part; false: not that, or it could not be kept.
    bool take(const PartFrame& part, std::span<const std::byte> bytes, uint64_t nowNs);
    [[nodiscard]] bool isWhole() const { return getting_ && getting_->got == getting_->offer.contentBytes; }
    void drop();
    // The log is that snapshot's from now on. Requires: isWhole(). `undone`: the old log is as it was.
    Result<MemberState> install(Outputs& outputs, bool& undone);
    [[nodiscard]] MemberSnapshots::Hold holdToGive() {
        return MemberSnapshots::Hold(snapshots_, snapshots_.holds().give);
    }
    [[nodiscard]] uint32_t partBytes() const { return snapshots_.partBytes(); }
    [[nodiscard]] bool isDistrusted() const { return snapshots_.isDistrusted(); }
    [[nodiscard]] uint64_t installs() const { return installs_; }

private:
    MemberSnapshots& snapshots_;
    std::map<MemberId, Given> given_;
    std::optional<Getting> getting_;
    uint64_t installs_ = 0;
};

}  // namespace verbex::replication
