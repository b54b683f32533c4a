// steadyNs: the clock that threads measure spans with.
//
// Purpose: one place in which a running system asks how long something takes: how long to look for
// work, when a peer was last heard, how long a recovery took. It only runs forwards; what day it is
// (node/clock.h) is another question.
// Owner: nobody.
// Thread safety: any thread.
// Invariants: never less than an earlier answer to the same thread. Counts from a moment of this
// machine's own, so the number means nothing to another machine or in a file.
// Requires: nothing. Rooms that must be a function of their inputs do not know this one: they are
// handed their moments.
#pragma once

#include <chrono>
#include <cstdint>

namespace verbex::pipeline {

inline uint64_t steadyNs() {
    const auto since = std::chrono::steady_clock::now().time_since_epoch();
    return static_cast<uint64_t>(
        std::chrono::duration_cast<std::chrono::nanoseconds>(since).count());
}

}  // namespace verbex::pipeline
