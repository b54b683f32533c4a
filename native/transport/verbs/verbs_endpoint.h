// What one end of a queue pair tells the other, as it travels over the connection set-up.
//
// Purpose: everything a peer needs to reach this end's queue pair and to write into its ring.
// Owner: a plain value.
// Thread safety: a value.
// Invariants: 56 bytes, little-endian, every byte accounted for; what decode() accepts can be used
// without another look, and encode() of it gives the same bytes.
// Requires: to travel only over an authenticated exchange: who has it may write into the ring.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/status.h"
#include "transport/verbs/verbs_device.h"

namespace verbex::transport {

struct VerbsEndpoint {
    uint64_t address = 0;      // of the region that the peer may write into
    uint64_t size = 0;         // of that region
    uint32_t rkey = 0;         // its key
    uint32_t queuePair = 0;    // 24 bits
    uint32_t firstPacket = 0;  // 24 bits, random
    uint32_t mtu = 0;
    VerbsGid gid{};
    uint16_t lid = 0;
    VerbsLinkLayer linkLayer = VerbsLinkLayer::Ethernet;
    uint8_t reserved[5] = {};

    bool operator==(const VerbsEndpoint&) const = default;
};

inline constexpr size_t kVerbsEndpointBytes = 56;
// Both ends of a region lie on cache lines.
inline constexpr size_t kVerbsRegionUnit = 64;

static_assert(sizeof(VerbsEndpoint) == kVerbsEndpointBytes);
static_assert(offsetof(VerbsEndpoint, address) == 0 && offsetof(VerbsEndpoint, size) == 8);
static_assert(offsetof(VerbsEndpoint, rkey) == 16 && offsetof(VerbsEndpoint, queuePair) == 20);
static_assert(offsetof(VerbsEndpoint, firstPacket) == 24 && offsetof(VerbsEndpoint, mtu) == 28);
static_assert(offsetof(VerbsEndpoint, gid) == 32 && offsetof(VerbsEndpoint, lid) == 48);
static_assert(offsetof(VerbsEndpoint, linkLayer) == 50 && offsetof(VerbsEndpoint, reserved) == 51);

// Whether the values make sense together; the text says which one does not.
Status checkVerbsEndpoint(const VerbsEndpoint& endpoint);

std::array<std::byte, kVerbsEndpointBytes> encodeVerbsEndpoint(const VerbsEndpoint& endpoint);
Result<VerbsEndpoint> decodeVerbsEndpoint(std::span<const std::byte> bytes);

}  // namespace verbex::transport
