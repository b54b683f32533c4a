// ClockTicker: when an AdvanceTime command is put among the others.
//
// Purpose: time moves in whole milliseconds, in front of the first command that comes in a new one;
// with nothing to do it moves once a second, and in the millisecond in which a GTD order that
// passed by expires.
// Owner: the engine.
// Thread safety: engine thread only, but for passed(), which whoever offers commands asks.
// Invariants:
//   1. Never asks for a time at or before the last one.
//   2. Without commands, at most one tick a second and one for each remembered expiry.
//   3. What is not remembered (kExpiriesMax are; none survives a restart) expires with the next
//      tick: at most a second late, and never after a later command.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "node/clock.h"
#include "wire/command.h"

namespace verbex::node {

class ClockTicker {
public:
    static constexpr uint64_t kResolutionNs = 1'000'000;
    static constexpr uint64_t kIdleTickNs = 1'000'000'000;
    static constexpr size_t kExpiriesMax = 4096;

    explicit ClockTicker(Clock& clock) : clock_(clock) { expiries_.reserve(kExpiriesMax); }

    // The time to move to where commands arrive: 0 within a millisecond of the last tick. Any thread.
    [[nodiscard]] uint64_t passed(uint64_t lastTick) const {
        const uint64_t now = clock_.now() / kResolutionNs * kResolutionNs;
        return now <= lastTick ? 0 : now;
    }
    // The time to move to with nothing to do, or 0 for not now.
    [[nodiscard]] uint64_t due(uint64_t lastTick) {
        const uint64_t now = passed(lastTick);
        if (now == 0) return 0;
        const bool expires = !expiries_.empty() && expiries_.front() <= now;
        if (!expires && now - lastTick < kIdleTickNs) return 0;
        while (!expiries_.empty() && expiries_.front() <= now) popExpiry();
        return now;
    }

    // How long the engine may sleep before due() must be asked again.
    [[nodiscard]] uint64_t sleepNs(uint64_t lastTick) {
        const uint64_t now = clock_.now();
        uint64_t next = std::max(now, lastTick) + kIdleTickNs;
        if (now >= lastTick) next = lastTick + kIdleTickNs;
        if (!expiries_.empty()) next = std::min(next, expiries_.front() + kResolutionNs);
        return next <= now ? kResolutionNs : std::min(next - now, kIdleTickNs);
    }

    void observe(const Command& command) {
        if (command.type != static_cast<uint8_t>(CommandType::NewOrder) ||
            command.timeInForce != static_cast<uint8_t>(TimeInForce::Gtd) ||
            expiries_.size() == kExpiriesMax || command.expiry > UINT64_MAX - kIdleTickNs) {
            return;
        }
        // Rounded up, for that is the first tick at which the order is due.
        expiries_.push_back((command.expiry + kResolutionNs - 1) / kResolutionNs * kResolutionNs);
        std::push_heap(expiries_.begin(), expiries_.end(), std::greater<>());
    }

private:
    void popExpiry() {
        std::pop_heap(expiries_.begin(), expiries_.end(), std::greater<>());
        expiries_.pop_back();
    }

    Clock& clock_;
    std::vector<uint64_t> expiries_;  // a heap, earliest first
};

}  // namespace verbex::node
