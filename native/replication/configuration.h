// Configuration: the one record that the control store keeps for a cluster.
//
// Purpose: who leads, who must acknowledge, who may take over. Members change it by compare-and-swap and
// by nothing else.
// Owner: a value.
// Thread safety: a value.
// Invariants:
//   1. epoch < reservedEpoch where an epoch is reserved, else reservedEpoch is 0.
//   2. The sync set is sorted by id, without doubles, at most kMembersMax; quorum is its majority.
//   3. parse(text()) gives the same record; parse() refuses everything else that is not one.
// Requires: nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash128.h"
#include "base/status.h"

namespace verbex::replication {

using MemberId = uint32_t;  // 1 … kMembersMax; 0: none
inline constexpr uint32_t kMembersMax = 31;
// Names what a member can vouch for: counted up when something acknowledged may be lost (README, Restart).
using Incarnation = uint64_t;
using Epoch = uint64_t;  // 0: before the first leader

struct SyncMember {
    MemberId id = 0;
    Incarnation incarnation = 0;
    friend bool operator==(const SyncMember&, const SyncMember&) = default;
};

// A member that computed something else, or that an operator has put out.
struct Evicted {
    MemberId id = 0;
    uint64_t position = 0;    // where its result was found to differ; 0: by an operator's word
    Digest128 expected;       // the others' result hash there
    Digest128 found;
    friend bool operator==(const Evicted&, const Evicted&) = default;
};

// What this cluster is for the venue, where there are two of them.
enum class Site : uint8_t {
    Active = 0,
    Standby = 1,  // its leader takes entries of the other site from a bridge, and nothing from clients
    Fenced = 2,   // switched off: nobody leads here
};

[[nodiscard]] const char* nameOf(Site site);  // as in the record

struct Configuration {
    Epoch epoch = 0;
    MemberId leader = 0;
    std::vector<SyncMember> sync;
    Epoch reservedEpoch = 0;
    MemberId candidate = 0;
    std::vector<Evicted> evicted;
    uint64_t dataLossEpochs = 0;  // how often an operator has forced a leader
    Site site = Site::Active;
    // Of the last change: lets the one who asked recognise it when the answer was lost.
    MemberId writer = 0;
    uint64_t writerNonce = 0;

    [[nodiscard]] uint32_t quorum() const { return static_cast<uint32_t>(sync.size()) / 2 + 1; }
    // So many must be fenced that no quorum is left without them.
    [[nodiscard]] uint32_t fenceCount() const {
        return static_cast<uint32_t>(sync.size()) - quorum() + 1;
    }
    [[nodiscard]] const SyncMember* member(MemberId id) const;
    [[nodiscard]] bool holds(MemberId id, Incarnation incarnation) const;
    [[nodiscard]] const Evicted* evictedMember(MemberId id) const;

    // A line a fact, for people with etcdctl too; docs/replication.md states it.
    [[nodiscard]] std::string text() const;
    static Result<Configuration> parse(std::string_view text);

    friend bool operator==(const Configuration&, const Configuration&) = default;
};

}  // namespace verbex::replication
