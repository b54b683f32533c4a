// The ways between two processes, by the numbers and names they have everywhere.
//
// Purpose: one enumeration for set-up, links, counters and options; the bits are those of HELLO.
// Owner: nobody. Thread safety: pure.
// Invariants: numbers and spellings never change once released.
// Requires: nothing.
#pragma once

#include <cstdint>
#include <string_view>

namespace verbex::transport {

// Memory is inside one process, never offered to a peer: it has no bit.
enum class TransportKind : uint8_t { Memory = 0, Tcp = 1, Shm = 2, Verbs = 4 };

inline constexpr uint8_t kAllTransports = 7;

constexpr uint8_t bitOf(TransportKind kind) {
    return static_cast<uint8_t>(kind);
}
constexpr std::string_view transportName(TransportKind kind) {
    switch (kind) {
        case TransportKind::Memory: return "memory";
        case TransportKind::Tcp: return "tcp";
        case TransportKind::Shm: return "shm";
        case TransportKind::Verbs: return "verbs";
    }
    return "unknown";
}

}  // namespace verbex::transport
