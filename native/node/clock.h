// Clock: where the node takes the time from.
//
// Purpose: time is an input. The engine turns what the clock says into AdvanceTime commands, which
// are journaled like any other; the core and every replay know only those.
// Owner: the surroundings; it outlives the node.
// Thread safety: now() may be called from any thread.
// Invariants: none. The clock may stand still or run backwards; the engine never passes that on.
#pragma once

#include <chrono>
#include <cstdint>

namespace verbex::node {

class Clock {
public:
    virtual ~Clock() = default;
    [[nodiscard]] virtual uint64_t now() = 0;  // nanoseconds since 1970
};

class SystemClock final : public Clock {
public:
    [[nodiscard]] uint64_t now() override {
        const auto since = std::chrono::system_clock::now().time_since_epoch();
        const auto count = std::chrono::duration_cast<std::chrono::nanoseconds>(since).count();
        return count < 0 ? 0 : static_cast<uint64_t>(count);
    }
};

}  // namespace verbex::node
