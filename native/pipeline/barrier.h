// Barrier: how far all of several stages have come.
//
//      journal ──cursor──┐
//      match 1 ──cursor──┼──▶ [ Barrier ] ──▶ publish may go up to the smallest of them
//      match 2 ──cursor──┘
//
// Purpose: a stage that needs the work of several before it waits for the slowest. The cursors are
// read only when the answer of the last time does not suffice: each reading may cost a miss for
// every cursor, and the threads that own them a line taken away.
// Owner: the stage that waits.
// Thread safety: none; every waiting stage has its own.
// Invariants:
//   1. Everything in [0, available(next)) is released by all of its cursors, and is seen.
//   2. The answer never goes back.
// Requires: at least one cursor; the cursors outlive the barrier.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "pipeline/cursor.h"

namespace verbex::pipeline {

class Barrier {
public:
    explicit Barrier(std::vector<const Cursor*> cursors) : cursors_(std::move(cursors)) {
        CHECK(!cursors_.empty() && "a barrier waits for somebody: give it a cursor");
    }

    // The end of what all have released, `next` at least where there is nothing new. Looks at the
    // cursors only when nothing is known beyond `next`.
    [[nodiscard]] uint64_t available(uint64_t next) {
        if (known_ > next) return known_;
        uint64_t least = UINT64_MAX;
        for (const Cursor* cursor : cursors_) least = std::min(least, cursor->get());
        known_ = least;
        return std::max(known_, next);
    }

private:
    const std::vector<const Cursor*> cursors_;
    uint64_t known_ = 0;
};

}  // namespace verbex::pipeline
