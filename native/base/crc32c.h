// CRC-32C (Castagnoli, reflected polynomial 0x82F63B78): the checksum of records, frames, blocks.
//
// Purpose: detects every error burst up to 32 bits and every flip of one to three bits in a record.
// Owner: nobody; pure functions.
// Thread safety: any thread; the choice of the fastest way is made once, on first use.
// Invariants:
//   1. crc32c(b, n, crc32c(a, m)) is the checksum of a followed by b.
//   2. Every way that this host can run gives the same answer (crc32c_test compares them all).
// Requires: data != nullptr where size > 0.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace verbex {

using Crc32cFunction = uint32_t (*)(const void* data, size_t size, uint32_t previous);

// The checksum of `data`, continued from `previous` (0 to begin).
[[nodiscard]] uint32_t crc32c(const void* data, size_t size, uint32_t previous = 0);

struct Crc32cWay {
    const char* name;
    Crc32cFunction compute;
};

// Every way that this host can run, fastest first; the last one is the portable table.
[[nodiscard]] std::span<const Crc32cWay> crc32cWays();

}  // namespace verbex
