// Names of files that are named after a position: segments and snapshots.
//
// Purpose: one spelling, so that bytewise order of names is order of positions.
// Owner: pure functions.
// Thread safety: pure.
// Invariants:
//   1. A position has twenty digits, with zeros before it.
//   2. Nothing but what positionFileName() makes is parsed as one.
// Requires: nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace verbex::journal {

inline constexpr size_t kPositionDigits = 20;  // 2^64 has twenty

[[nodiscard]] std::string positionFileName(uint64_t position, std::string_view suffix);
[[nodiscard]] std::optional<uint64_t> parsePositionFileName(std::string_view name,
                                                            std::string_view suffix);

}  // namespace verbex::journal
