// What all parts of one bus share.
//
// Purpose: options, counters, the time of this round and whom to tell, in one place instead of in
// every constructor.
// Owner: the agent; it outlives everything that holds a reference.
// Thread safety: none.
// Invariants: now never goes backward.
// Requires: nothing.
#pragma once

#include "bus/bus.h"

namespace verbex::bus {

struct Context {
    BusOptions options;
    BusEvents* events;
    BusCounters counters;
    Nanoseconds now = 0;
};

}  // namespace verbex::bus
