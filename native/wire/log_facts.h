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

}  // namespace verbex
