// SessionOrderId: the client order id of an order that came in over a session.
//
// Purpose: a session's UserRefNum, made unique over sessions and days, as a ClientId; so whoever sees an
// event knows which session it concerns, by arithmetic alone.
// Layout: a UUID of version 8 (RFC 9562): bytes 0–1 "OU", 2–3 the session's number, 4–5 and 9–10 the day,
// 6–7 0x80 0x00, 8 0x80, 11 0, 12–15 the UserRefNum, all big-endian.
// Thread safety: pure.
// Invariants: read(write(x)) = x; every other ClientId reads as none.
// Requires: session and reference from 1 on.
#pragma once

#include <cstdint>
#include <cstring>

#include "wire/client_id.h"

namespace verbex {

struct SessionOrderId {
    uint16_t session = 0;    // 0: not of a session
    uint32_t day = 0;        // the low 32 bits of the position at which the session's day began
    uint32_t reference = 0;  // UserRefNum

    [[nodiscard]] bool none() const { return session == 0; }
    friend bool operator==(const SessionOrderId&, const SessionOrderId&) = default;
};

namespace session_order_id {
// As little-endian words, what stands in the bytes.
inline constexpr uint64_t kLoMask = 0xffff'0000'0000'ffffULL;
inline constexpr uint64_t kLoMark = 0x0080'0000'0000'554fULL;  // "OU", …, 0x80 0x00
inline constexpr uint64_t kHiMask = 0x0000'0000'ff00'00ffULL;
inline constexpr uint64_t kHiMark = 0x0000'0000'0000'0080ULL;
}  // namespace session_order_id

[[nodiscard]] inline ClientId writeSessionOrderId(const SessionOrderId& id) {
    using namespace session_order_id;
    return {kLoMark | uint64_t{__builtin_bswap16(id.session)} << 16 |
                uint64_t{__builtin_bswap16(static_cast<uint16_t>(id.day >> 16))} << 32,
            kHiMark | uint64_t{__builtin_bswap16(static_cast<uint16_t>(id.day))} << 8 |
                uint64_t{__builtin_bswap32(id.reference)} << 32};
}

[[nodiscard]] inline SessionOrderId readSessionOrderId(const ClientId& id) {
    using namespace session_order_id;
    if ((id.lo & kLoMask) != kLoMark || (id.hi & kHiMask) != kHiMark) return {};
    const auto high = __builtin_bswap16(static_cast<uint16_t>(id.lo >> 32));
    const auto low = __builtin_bswap16(static_cast<uint16_t>(id.hi >> 8));
    return {__builtin_bswap16(static_cast<uint16_t>(id.lo >> 16)),
            uint32_t{high} << 16 | low, __builtin_bswap32(static_cast<uint32_t>(id.hi >> 32))};
}

}  // namespace verbex
