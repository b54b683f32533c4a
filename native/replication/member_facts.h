// MemberFacts: what a member must not forget: who it is, what it can vouch for, what it has promised.
//
// Purpose: the file <data>/member, 128 bytes, replaced whole.
// Owner: Member.
// Thread safety: the member's thread.
// Invariants:
//   1. What store() answered ok for is what load() finds, whatever happens between.
//   2. A damaged file is an error, never a fresh start: a forgotten promise could split a cluster.
// Requires: the directory exists, and its lock is held.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "base/status.h"
#include "journal/storage.h"
#include "replication/configuration.h"

namespace verbex::replication {

// An incarnation is the record's revision when the directory was new, what the surroundings drew for it, and
// the restarts that it could not vouch over.
inline constexpr uint32_t kBirthRevisionShift = 32;
inline constexpr uint32_t kBirthShift = 10;
inline constexpr uint64_t kBirthMask = (1u << (kBirthRevisionShift - kBirthShift)) - 1;

// Of an incarnation that was there before `known`: a word that comes late.
[[nodiscard]] inline bool isBefore(Incarnation other, Incarnation known) {
    if (other >> kBirthRevisionShift != known >> kBirthRevisionShift) return other < known;
    // Of two directories at one revision nobody can say which was first.
    return other >> kBirthShift == known >> kBirthShift && other < known;
}

struct MemberFacts {
    MemberId id = 0;
    Incarnation incarnation = 1;
    Epoch promised = 0;
    uint64_t cluster = 0;   // hash of its name
    uint64_t boot = 0;      // hash of the machine's start in which it last ran
    bool closed = false;    // in order: the log holds all that was acknowledged
    // What the directory was made for: with others the same log gives other results.
    uint64_t scrubNs = 0;
    std::array<uint32_t, 4> capacities{};  // orders, accounts, instruments, client ids
    bool durable = false;   // acknowledged durable only, ever since the incarnation began
    friend bool operator==(const MemberFacts&, const MemberFacts&) = default;
};

// None where there is no such file yet.
Result<std::optional<MemberFacts>> loadMemberFacts(journal::Storage& storage,
                                                   const std::string& data);
Status storeMemberFacts(journal::Storage& storage, const std::string& data,
                        const MemberFacts& facts);

}  // namespace verbex::replication
