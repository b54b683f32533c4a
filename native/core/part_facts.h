// PartFacts: the counts that a part of a core is told, since others keep what they count.
//
// Purpose: what a command asks that no one process knows: capacities, fee schedules in use, open value.
// Owner: core/part.h hands it in; core/state.h reads it in the place of its own counts.
// Thread safety: a plain value.
#pragma once

#include <cstdint>

#include "base/amount.h"

namespace verbex {

struct PartFacts {
    uint32_t liveOrders = 0;   // of all matching shards
    uint32_t rememberedIds = 0;  // of all risk shards
    uint32_t schedules = 0;    // ChangeInstrument: fee schedules that open orders use, a bit for each
    Amount openValue = 0;      // SetLimit: of the subtree's open orders
    bool valueOverflows = false;
};

}  // namespace verbex
