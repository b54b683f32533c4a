// Two sites and a bridge in one run: one trades, the other follows, until an operator switches.
//
//      clients ──▶ site 1 ──entries──▶ Bridge ──entries──▶ site 2 (standby)      then: fence 1, activate 2, go on there
//
// Purpose: the bridge's own code between two clusters of members, each with faults of its own, and between them
// a line that is cut for long and a bridge that dies. Now and then the second site begins with a copy of the first.
// Looked at after each step: what site 2 lets out is word for word what site 1 has let out; after the switch it goes on
// without a gap, and site 1 lets out nothing more.
// Owner: pure functions.
// Thread safety: runs share nothing.
// Invariants:
//   1. The same options give the same report.
// Requires: nothing.
#pragma once

#include "sim/cluster/cluster.h"

namespace verbex::sim {

// These seeds of a campaign have two sites.
[[nodiscard]] constexpr bool hasTwoSites(uint64_t seed) { return seed % 8 == 7; }

// Of these the second site begins with a copy of the first one.
[[nodiscard]] bool isFounded(uint64_t seed);

[[nodiscard]] ClusterRunReport runTwoSites(const ClusterRunOptions& options);

}  // namespace verbex::sim
