#include "transport/verbs/verbs_endpoint.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <string>

namespace verbex::transport {

static_assert(std::endian::native == std::endian::little,
              "the structure is its own encoding on little-endian machines, and only there");

namespace {

constexpr uint32_t k24Bits = (1u << 24) - 1;
// Queue pairs 0 and 1 belong to the fabric's management.
constexpr uint32_t kFirstQueuePair = 2;

Status wrong(const char* text) {
    return Status(StatusCode::InvalidArgument, std::string("verbs endpoint: ") + text);
}

}  // namespace

Status checkVerbsEndpoint(const VerbsEndpoint& endpoint) {
    if (endpoint.linkLayer != VerbsLinkLayer::Infiniband &&
        endpoint.linkLayer != VerbsLinkLayer::Ethernet)
        return wrong("unknown link layer");
    if (!isVerbsMtu(endpoint.mtu)) return wrong("MTU is none of 256, 512, 1024, 2048, 4096");
    if (endpoint.queuePair < kFirstQueuePair || endpoint.queuePair > k24Bits)
        return wrong("queue pair number out of range");
    if (endpoint.firstPacket > k24Bits) return wrong("packet number has more than 24 bits");
    if (endpoint.address == 0 || endpoint.address % kVerbsRegionUnit != 0)
        return wrong("region's address is not a multiple of 64");
    if (endpoint.size == 0 || endpoint.size % kVerbsRegionUnit != 0)
        return wrong("region's size is not a multiple of 64");
    if (endpoint.size > UINT64_MAX - endpoint.address)
        return wrong("region ends beyond all memory");
    if (endpoint.linkLayer == VerbsLinkLayer::Ethernet && endpoint.gid == VerbsGid{})
        return wrong("no GID");
    if (endpoint.linkLayer == VerbsLinkLayer::Infiniband && endpoint.lid == 0)
        return wrong("no LID: is a subnet manager running?");
    if (std::any_of(std::begin(endpoint.reserved), std::end(endpoint.reserved),
                    [](uint8_t byte) { return byte != 0; }))
        return wrong("reserved bytes are set: both ends must run one version");
    return {};
}

std::array<std::byte, kVerbsEndpointBytes> encodeVerbsEndpoint(const VerbsEndpoint& endpoint) {
    return std::bit_cast<std::array<std::byte, kVerbsEndpointBytes>>(endpoint);
}

Result<VerbsEndpoint> decodeVerbsEndpoint(std::span<const std::byte> bytes) {
    if (bytes.size() != kVerbsEndpointBytes) return wrong("not 56 bytes");
    VerbsEndpoint endpoint;
    std::memcpy(&endpoint, bytes.data(), bytes.size());
    VERBEX_RETURN_IF_FAILED(checkVerbsEndpoint(endpoint));
    return endpoint;
}

}  // namespace verbex::transport
