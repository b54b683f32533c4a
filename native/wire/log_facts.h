// What only a log's own sequencer says in it, and no client: its time, and who of the risk processes is there.
//
// Purpose: one rule for everybody who takes commands from clients into a log that several replay.
// Owner: pure functions.
// Thread safety: pure.
// Invariants: none.
// Requires: nothing.
#pragma once

#include "wire/command.h"

namespace verbex {

[[nodiscard]] constexpr bool isLogFact(uint8_t type) {
    return type == static_cast<uint8_t>(CommandType::AdvanceTime) ||
           type == static_cast<uint8_t>(CommandType::SetAvailability) || (type & kCommandRefused) != 0;
}

// One of a deployment's `processes` risk processes is away from position `from` on, or is back there.
[[nodiscard]] inline Command availabilityOf(uint32_t processes, uint32_t process, bool away,
                                            uint64_t from) {
    Command marker{};
    marker.type = static_cast<uint8_t>(CommandType::SetAvailability);
    marker.side = away ? 1 : 2;
    marker.orderType = static_cast<uint8_t>(processes);
    marker.instrument = process;
    marker.quantity = static_cast<int64_t>(from);
    return marker;
}

}  // namespace verbex
