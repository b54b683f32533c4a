// ScrubWatch: how long damage to a member's state can have stayed unseen, as it was measured.
//
// Purpose: docs/replication.md gives a bound for what the scrub finds; here is what it came to. Damage right behind one
// scrub is in the result of the next one, and is compared when the entry with that result is released.
// Owner: Member.
// Thread safety: the member's thread.
// Invariants:
//   1. longestNs() is never less than it was: from a scrub that was executed here to the release of the next one.
// Requires: look() after each step, with the steady clock.
#pragma once

#include <algorithm>
#include <cstdint>

#include "replication/frames.h"

namespace verbex::replication {

class ScrubWatch {
public:
    void look(uint64_t scrubs, Position position, Position released, uint64_t nowNs) {
        if (isWaiting_ && released >= position_) {
            isWaiting_ = false;
            longestNs_ = std::max(longestNs_, nowNs - sinceNs_);
        }
        if (scrubs == scrubs_) return;
        // Where one is still to be released, the one behind it is of the next stretch.
        if (!isWaiting_ && isSeen_ && scrubs > scrubs_) {
            isWaiting_ = true;
            position_ = position;
            sinceNs_ = seenNs_;
        }
        scrubs_ = scrubs;
        isSeen_ = true;
        seenNs_ = nowNs;
        if (isWaiting_ && released >= position_) look(scrubs, position, released, nowNs);
    }
    // The state is another one, and was not computed here.
    void restart(uint64_t scrubs) {
        scrubs_ = scrubs;
        isSeen_ = isWaiting_ = false;
    }
    [[nodiscard]] uint64_t longestNs() const { return longestNs_; }

private:
    uint64_t scrubs_ = 0;
    uint64_t seenNs_ = 0;    // when the last one was executed
    uint64_t sinceNs_ = 0;   // and the one before that which waits
    Position position_ = 0;  // of the one that waits for its release
    bool isSeen_ = false;
    bool isWaiting_ = false;
    uint64_t longestNs_ = 0;
};

}  // namespace verbex::replication
