// EventReplay: events that were published before, once more.
//
// Purpose: whoever keeps a place in the engine's output (a gateway's store, a consumer that was away) gets
// what it missed: the core is a pure function of its log, so a second core that is fed the journal gives
// the same events.
// Owner: the caller.
// Thread safety: one call at a time; the storage may be shared. The journal must hold what is asked for.
// Invariants:
//   1. Events come in order, each once, those of the positions (from, to] and no others, each with its
//      index within its position.
//   2. It begins at the newest good snapshot at or before `from`, so it costs what lies behind that.
// Errors: NotFound where the journal does not reach from that snapshot to `to`; what recovery says of damage.
// Requires: from ≤ to, and `to` ends a record of the journal: where a node recovered to, or was closed.
#pragma once

#include <functional>
#include <string>

#include "core/core.h"
#include "journal/storage.h"
#include "node/state_recovery.h"

namespace verbex::node {

// timeNs: the core's, as of the event.
using ReplayedEvents = std::function<void(const Event& event, uint32_t index, uint64_t timeNs)>;

Status replayEvents(journal::Storage& storage, const std::string& data, const CoreLimits& limits,
                    Position from, Position to, const ReplayedEvents& sink);

}  // namespace verbex::node
