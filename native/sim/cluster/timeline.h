// Timeline: virtual time, and what happens next.
//
// Purpose: everything in a simulated run happens at a time, one thing after the other, in one thread. What
// happens is folded into a hash, so that a rerun of a seed proves to be the same run.
// Owner: the run.
// Thread safety: none.
// Invariants:
//   1. Actions run in the order of (time, when they were asked for).
// Requires: nothing.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <vector>

#include "base/amount.h"

namespace verbex::sim {

inline constexpr uint64_t kMicros = 1'000;
inline constexpr uint64_t kMillis = 1'000'000;
inline constexpr uint64_t kSeconds = 1'000'000'000;

class Timeline {
public:
    using Action = std::function<void()>;

    [[nodiscard]] uint64_t now() const { return now_; }
    [[nodiscard]] uint64_t trace() const { return trace_; }
    [[nodiscard]] uint64_t actions() const { return sequence_; }

    void at(uint64_t time, Action action) {
        heap_.push_back({std::max(time, now_), sequence_++, std::move(action)});
        std::push_heap(heap_.begin(), heap_.end(), isLater);
    }
    void after(uint64_t delay, Action action) { at(now_ + delay, std::move(action)); }

    // The next action, if there is one up to `until`.
    bool runNext(uint64_t until) {
        if (heap_.empty() || heap_.front().time > until) {
            now_ = std::max(now_, until);
            return false;
        }
        std::pop_heap(heap_.begin(), heap_.end(), isLater);
        const Item item = std::move(heap_.back());
        heap_.pop_back();
        now_ = item.time;
        fold(item.time);
        item.action();
        return true;
    }

    void fold(uint64_t word) {
        const UnsignedAmount product =
            UnsignedAmount{trace_ ^ word ^ 0xa0761d6478bd642f} * 0xe7037ed1a0b428db;
        trace_ = static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
    }

private:
    struct Item {
        uint64_t time;
        uint64_t sequence;
        Action action;
    };
    static bool isLater(const Item& a, const Item& b) {
        return a.time != b.time ? a.time > b.time : a.sequence > b.sequence;
    }

    std::vector<Item> heap_;
    uint64_t now_ = 0;
    uint64_t sequence_ = 0;
    uint64_t trace_ = 0x766572626578'0006;
};

}  // namespace verbex::sim
