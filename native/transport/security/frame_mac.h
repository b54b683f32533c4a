// The MAC of a frame: SipHash-2-4 with 128 bits of output.
//
// Purpose: tells frames of the peer from forged ones. It is written here, other than the rest of
// our cryptography, since it lies on the hot path. The algorithm is that of Jean-Philippe Aumasson and Daniel J. Bernstein, "SipHash: a fast short-input
// PRF" (INDOCRYPT 2012), in the variant with doubled output of its authors' reference code.
// Owner: a value; one for each direction of a session.
// Thread safety: immutable; compute() is pure.
// Invariants:
//   1. The tag is that of header ‖ payload, however the bytes are split between the two: what frames
//      them (the header's fixed size, the payload's length) must lie in the header.
//   2. compute() neither allocates nor branches on the key or the data's values.
// Requires: a key that is secret and used for one direction of one session.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/hash128.h"

namespace verbex::transport {

inline constexpr size_t kMacKeyBytes = 16;
inline constexpr size_t kMacTagBytes = 16;

using MacKey = std::array<std::byte, kMacKeyBytes>;

// In memory and on the wire: low first, both little-endian, which is the order of the published
// vectors.
struct MacTag {
    uint64_t low = 0;
    uint64_t high = 0;

    // Compares without a branch that depends on where the two differ.
    friend bool operator==(const MacTag& left, const MacTag& right) {
        return ((left.low ^ right.low) | (left.high ^ right.high)) == 0;
    }
};
static_assert(sizeof(MacTag) == kMacTagBytes && offsetof(MacTag, low) == 0 &&
              offsetof(MacTag, high) == 8);

class FrameMac {
public:
    explicit FrameMac(const MacKey& key);

    [[nodiscard]] MacTag compute(std::span<const std::byte> header,
                                 std::span<const std::byte> payload) const;

private:
    uint64_t key0_;
    uint64_t key1_;
};

}  // namespace verbex::transport
