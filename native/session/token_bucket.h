// TokenBucket: so many a second, so many at once.
//
// Purpose: throttles of a session and of a firm. Integer arithmetic, no allocation, no clock of its own.
// Owner: whoever throttles.
// Thread safety: none.
// Invariants: never more than burst + perSecond × t taken in any stretch of t seconds.
// Requires: nowNs never goes back.
#pragma once

#include <algorithm>
#include <cstdint>

namespace verbex::session {

class TokenBucket {
public:
    // perSecond 0: never refuses. burst ≥ 1.
    TokenBucket() = default;
    TokenBucket(uint64_t perSecond, uint64_t burst)
        : intervalNs_(perSecond == 0 ? 0 : 1'000'000'000 / perSecond), burst_(burst) {}

    [[nodiscard]] bool wouldTake(uint64_t nowNs) const {
        return intervalNs_ == 0 || due_ <= nowNs || due_ - nowNs <= intervalNs_ * (burst_ - 1);
    }
    [[nodiscard]] bool take(uint64_t nowNs) {
        if (intervalNs_ == 0) return true;
        // The virtual scheduling form of the generic cell rate algorithm (ITU-T I.371): `due_` is when the
        // next one would come if they came evenly.
        const uint64_t due = std::max(due_, nowNs);
        if (due - nowNs > intervalNs_ * (burst_ - 1)) return false;
        due_ = due + intervalNs_;
        return true;
    }

private:
    uint64_t intervalNs_ = 0;
    uint64_t burst_ = 1;
    uint64_t due_ = 0;
};

}  // namespace verbex::session
