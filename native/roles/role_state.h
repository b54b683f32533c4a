// RoleState: what a snapshot of a risk or matching process holds: all that replaying the log would give.
//
//      [ head 128 bytes | numbers (core/numbers.h) | state of the core (docs/state-format.md) ]
//
// Purpose: the content of a snapshot's container (docs/snapshot-container.md): where, whose, the chain of results there,
// and a whole core.
// Owner: pure functions.
// Thread safety: pure.
// Invariants:
//   1. What readRoleState() hands out was checked whole: container, head, numbers, the state's hash.
//   2. What another deployment, another process or one of another layout has written is refused, by name.
// Requires: the core at the end of an entry.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "journal/snapshot_file.h"
#include "roles/mutants.h"
#include "roles/rebuild.h"

namespace verbex::roles {

inline constexpr size_t kDeploymentBytesMax = 32;

// Whose it is.
struct RoleIdentity {
    std::string deployment;  // its name, at most kDeploymentBytesMax bytes
    PartKind kind = PartKind::Risk;
    uint32_t shard = 0;
    uint32_t riskShards = 1;
    uint32_t matchingShards = 1;
    CoreLimits limits;
    RoleMutant mutant = RoleMutant::None;
};

// Closed: `giveUp` has answered true meanwhile.
Status writeRoleState(journal::SnapshotWriter& writer, const Rebuild& core, const RoleIdentity& whose,
                      const std::function<bool()>& giveUp);
// SnapshotDamaged, UnsupportedFormat: it is of no use here, and why. Others are the disk's.
Result<std::unique_ptr<Rebuild>> readRoleState(journal::SnapshotReader& reader,
                                               const RoleIdentity& whose);

}  // namespace verbex::roles
