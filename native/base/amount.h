// Amounts of money and goods: signed 128-bit integers in an asset's smallest unit.
//
// Purpose: 10^18 units a coin (18 decimals) times 10^9 coins does not fit into 64 bits. Every add and
// multiply here says whether it overflowed; the caller rejects the command before anything changed.
// Thread safety: pure functions.
#pragma once

#include <cstdint>

#include "base/check.h"

namespace verbex {

__extension__ typedef __int128 Amount;
__extension__ typedef unsigned __int128 UnsignedAmount;

// The largest magnitude that any stored amount may have: 2^120. Sums of a few of them cannot leave
// the 128-bit range, so settlement needs no check that it could not act on.
inline constexpr Amount kAmountMax = Amount{1} << 120;

[[nodiscard]] inline bool amountInRange(Amount value) {
    return value >= -kAmountMax && value <= kAmountMax;
}

// a + b into *result; false where the sum leaves the allowed range.
[[nodiscard]] inline bool checkedAdd(Amount a, Amount b, Amount* result) {
    return !__builtin_add_overflow(a, b, result) && amountInRange(*result);
}

[[nodiscard]] inline bool checkedMultiply(Amount a, Amount b, Amount* result) {
    return !__builtin_mul_overflow(a, b, result) && amountInRange(*result);
}

inline constexpr int64_t kMillion = 1'000'000;

// value × millionths / 10^6, truncated toward zero: what a fee or a collar takes.
// Requires: |value| ≤ kAmountMax, |millionths| ≤ 10^6; the result is never larger than value.
// Truncation is chosen because floor(a + b) ≥ floor(a) + floor(b): the fees of all partial fills
// together never exceed the fee that was held for the whole.
[[nodiscard]] inline Amount millionthsOf(Amount value, int32_t millionths) {
    if (millionths == 0) return 0;
    // 2^43 × 10^6 < 2^63: the common case is one 64-bit multiply and a divide by a constant.
    if (value >= 0 && value < (Amount{1} << 43)) {
        return static_cast<int64_t>(value) * int64_t{millionths} / kMillion;
    }
    // Split so that no product leaves 128 bits: value = q·10^6 + r.
    const Amount quotient = value / kMillion;
    const Amount remainder = value % kMillion;
    return quotient * millionths + remainder * millionths / kMillion;
}

}  // namespace verbex
