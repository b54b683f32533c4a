// HostFacts: what an engineer asks about a server that computed something else.
//
// Purpose: every report of a divergence names processor, microcode, kernel and floating-point environment.
// Owner: a value.
// Thread safety: pure reads; the floating-point environment is that of the thread that asks.
// Requires: Linux; what cannot be read is "unknown".
#pragma once

#include <cstdint>
#include <string>

namespace verbex::node {

struct HostFacts {
    std::string processor;
    std::string microcode;
    std::string kernel;
    std::string host;
    uint64_t floatingEnvironment = 0;  // 0: as every program starts

    // {"processor":…,"microcode":…,"kernel":…,"host":…,"floatingEnvironment":"0x…"}
    [[nodiscard]] std::string json() const;
};

[[nodiscard]] HostFacts hostFacts();

}  // namespace verbex::node
