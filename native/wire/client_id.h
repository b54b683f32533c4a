// A client's own name for an order or a transaction: 16 bytes, compared bit for bit.
//
// Purpose: text of 1–16 printable ASCII characters lies here as it is, padded with zeros; a UUID
// (RFC 9562) lies here as its 16 bytes. The two never collide: byte 8 of such a UUID has its top bit
// set, which no ASCII character has. All zeros means "none".
// Thread safety: a value. Trivial, so that it may lie in unions and cells: write ClientId{} for none.
#pragma once

#include <cstdint>

namespace verbex {

struct ClientId {
    uint64_t lo;
    uint64_t hi;

    [[nodiscard]] bool none() const { return (lo | hi) == 0; }
    friend bool operator==(const ClientId&, const ClientId&) = default;
};
static_assert(sizeof(ClientId) == 16);

// Names of assets, instruments and accounts have the same shape and rules (text only).
using Name = ClientId;

}  // namespace verbex
