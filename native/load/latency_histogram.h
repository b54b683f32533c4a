// LatencyHistogram: counts of durations, 64 steps to each doubling, within 1.6%; the largest exactly.
//
// Purpose: percentiles of millions of round trips in a few KiB, without allocation.
// Source: the idea of G. Tene's HdrHistogram: linear steps within doublings.
// Owner: the thread that adds. Thread safety: none.
// Invariants: total() is the number of add() calls.
// Requires: nothing.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace verbex::load {

class LatencyHistogram {
public:
    void add(uint64_t ns) {
        counts_[bucket(ns)]++;
        total_++;
        max_ = std::max(max_, ns);
    }
    void clear() { *this = LatencyHistogram(); }
    [[nodiscard]] uint64_t total() const { return total_; }
    [[nodiscard]] uint64_t max() const { return max_; }
    // What `perMillion` of a million do not exceed; 0 where nothing was added.
    [[nodiscard]] uint64_t at(uint32_t perMillion) const {
        const uint64_t wanted = total_ / 1'000'000 * perMillion + total_ % 1'000'000 * perMillion / 1'000'000;
        uint64_t seen = 0;
        for (size_t i = 0; i < counts_.size(); i++) {
            seen += counts_[i];
            if (seen > wanted) return std::min(value(i), max_);
        }
        return max_;
    }

private:
    static constexpr uint32_t kSteps = 64;
    static constexpr uint32_t kDoublings = 58;

    static size_t bucket(uint64_t ns) {
        if (ns < kSteps) return ns;
        const auto shift = static_cast<uint32_t>(std::bit_width(ns)) - std::bit_width(kSteps);
        return size_t{shift + 1} * kSteps + (ns >> shift) % kSteps;
    }
    static uint64_t value(size_t bucket) {
        if (bucket < kSteps) return bucket;
        return (kSteps + bucket % kSteps) << (bucket / kSteps - 1);
    }

    std::array<uint64_t, size_t{kSteps} * (kDoublings + 1)> counts_{};
    uint64_t total_ = 0;
    uint64_t max_ = 0;
};

}  // namespace verbex::load
