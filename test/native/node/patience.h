// How long the node's tests wait for what must happen.
//
// Longer than anything here takes on a machine that does much else: only a standstill is a failure. Under a
// sanitizer everything takes several times as long.
#pragma once

#include <chrono>

namespace verbex::node {

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
inline constexpr std::chrono::seconds kPatience{300};
#else
inline constexpr std::chrono::seconds kPatience{120};
#endif

}  // namespace verbex::node
