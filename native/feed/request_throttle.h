// RequestThrottle: how often an address may ask, in bounded memory.
//
// Purpose: one reader that asks without end does not take the others' share of a round.
// Owner: the retransmission server.
// Thread safety: none.
// Invariants:
//   1. Memory is fixed. Addresses beyond it push out the one of their set that asked least recently, which
//      then begins anew; a round's work is bounded apart from this (MoldRequests).
// Requires: nowNs never goes back.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "base/flat_map.h"
#include "session/token_bucket.h"

namespace verbex::feed {

class RequestThrottle {
public:
    static constexpr size_t kSets = 256;
    static constexpr size_t kWays = 4;

    // 0: never refuses.
    explicit RequestThrottle(uint32_t perSecond)
        : fresh_(perSecond, std::max<uint32_t>(perSecond / 4, 1)), sets_(kSets) {}

    // `address`: not 0.
    [[nodiscard]] bool take(uint64_t address, uint64_t nowNs) {
        auto& set = sets_[mixBits(address) % kSets];
        Entry* found = &set[0];
        for (Entry& entry : set) {
            if (entry.address == address) {
                found = &entry;
                break;
            }
            if (entry.lastNs < found->lastNs) found = &entry;
        }
        if (found->address != address) *found = {address, 0, fresh_};
        found->lastNs = nowNs;
        return found->bucket.take(nowNs);
    }

private:
    struct Entry {
        uint64_t address = 0;
        uint64_t lastNs = 0;
        session::TokenBucket bucket;
    };
    session::TokenBucket fresh_;
    std::vector<std::array<Entry, kWays>> sets_;
};

}  // namespace verbex::feed
