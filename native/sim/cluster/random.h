// Random: the numbers that a simulated run is made of.
//
// Purpose: everything that a run draws follows from its seed, on every machine and compiler alike.
// Owner: a part of the simulation, each its own, so that one part's draws do not shift another's.
// Thread safety: none.
// Invariants:
//   1. The same seed gives the same numbers, for ever: campaigns name seeds.
// Requires: below(n): n > 0.
#pragma once

#include <cstdint>

#include "base/amount.h"

namespace verbex::sim {

// SplitMix64 (Steele, Lea, Flood).
class Random {
public:
    explicit Random(uint64_t seed) : state_(seed) {}

    uint64_t next() {
        state_ += 0x9e3779b97f4a7c15;
        uint64_t z = state_;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
        z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
        return z ^ (z >> 31);
    }
    uint64_t below(uint64_t n) {
        return static_cast<uint64_t>((UnsignedAmount{next()} * n) >> 64);
    }
    uint64_t between(uint64_t least, uint64_t most) { return least + below(most - least + 1); }
    bool coin() { return (next() >> 63) != 0; }
    // So many times in a million.
    bool chance(uint32_t perMillion) { return perMillion != 0 && below(1'000'000) < perMillion; }
    // Another stream, that this one's further draws do not touch.
    [[nodiscard]] Random fork(uint64_t name) const {
        Random mixed(state_ ^ (name * 0xd1342543de82ef95 + 0x2545f4914f6cdd1d));
        return Random(mixed.next());
    }

private:
    uint64_t state_;
};

}  // namespace verbex::sim
