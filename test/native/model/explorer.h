// Explorer: visits every state of a World, nearest first.
//
// Purpose: all there is within the world's bounds, or the shortest way to something wrong.
// Owner: a value; one exploration each.
// Thread safety: none.
// Invariants: a state is known by 64 bits of hash; the chance that two of n states share them, so
// that one is not visited, is about n² / 2⁶⁵: one in a million at six million states.
// Requires: nothing.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "model/world.h"

namespace verbex::model {

struct Explored {
    uint64_t states = 0;
    uint32_t depth = 0;
    bool complete = false;               // nothing was left out
    std::string wrong;                   // empty: nothing is
    std::vector<std::string> way;        // to it
    std::array<uint64_t, kActs> acts{};  // how often each was possible
    uint8_t committed = 0;               // entries, at most
    uint8_t epochs = 0;                  // the highest that was led
};

// Stops at the first wrong state, or beyond so many.
Explored explore(const WorldOptions& options, uint64_t statesMax);

}  // namespace verbex::model
