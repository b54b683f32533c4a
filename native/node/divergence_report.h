// DivergenceReport: what a member writes down when it or another one was found to compute something else.
//
// Purpose: <data>/divergence-<member>-<position>.json, an edge's <data>/divergence-edge-<edge>-<position>.json,
// for the engineers who look at the server afterwards.
// Owner: MemberHost, Node.
// Thread safety: the member's thread, so that its own floating-point environment is in it; the feed's.
// Invariants: a report that is there is not written again.
#pragma once

#include <string>

#include "journal/storage.h"
#include "node/edge_audit.h"
#include "replication/member.h"

namespace verbex::node {

// One for each member that the record says was evicted, and one where this member has halted by itself.
// Answers how many were written.
uint32_t writeDivergenceReports(journal::Storage& storage, const std::string& data,
                                const replication::MemberStatus& status);

// False: it is there already, or the disk does not take it.
bool writeEdgeReport(journal::Storage& storage, const std::string& data, uint32_t edge,
                     const EdgeAudit::Difference& difference);

}  // namespace verbex::node
