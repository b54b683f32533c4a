// Big-endian numbers in messages.
//
// Purpose: ITCH and MoldUDP64 write numbers high byte first, at any address.
// Thread safety: pure.
// Invariants: none but that what was put is got.
// Requires: so many bytes behind the pointer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace verbex::feed {

inline void put16(std::byte* to, uint16_t value) {
    value = __builtin_bswap16(value);
    std::memcpy(to, &value, sizeof(value));
}
inline void put32(std::byte* to, uint32_t value) {
    value = __builtin_bswap32(value);
    std::memcpy(to, &value, sizeof(value));
}
inline void put64(std::byte* to, uint64_t value) {
    value = __builtin_bswap64(value);
    std::memcpy(to, &value, sizeof(value));
}
// The low 48 bits.
inline void put48(std::byte* to, uint64_t value) {
    put16(to, static_cast<uint16_t>(value >> 32));
    put32(to + 2, static_cast<uint32_t>(value));
}

[[nodiscard]] inline uint16_t get16(const std::byte* from) {
    uint16_t value;
    std::memcpy(&value, from, sizeof(value));
    return __builtin_bswap16(value);
}
[[nodiscard]] inline uint32_t get32(const std::byte* from) {
    uint32_t value;
    std::memcpy(&value, from, sizeof(value));
    return __builtin_bswap32(value);
}
[[nodiscard]] inline uint64_t get64(const std::byte* from) {
    uint64_t value;
    std::memcpy(&value, from, sizeof(value));
    return __builtin_bswap64(value);
}
[[nodiscard]] inline uint64_t get48(const std::byte* from) {
    return uint64_t{get16(from)} << 32 | get32(from + 2);
}

}  // namespace verbex::feed
