// The 32 bytes before every payload, and how a frame is sealed and checked.
//
// Purpose: a frame proves by itself that it is whole, meant for this link, of this epoch and the one
// that is due. Nothing else may be trusted on memory that a remote adapter writes: no specification
// promises that its bytes land in order, and a write that is being revoked tears.
// Owner: the link; a seal is made from the session that the handshake agreed on, one a direction.
// Thread safety: pure, apart from the seal's owner.
// Invariants:
//   1. The checksum covers everything behind itself and the size, and starts from the link's salt,
//      so the bytes of a payload can never pass for a frame by themselves.
//   2. With a key the MAC covers the size and everything from the epoch to the payload's last byte.
//   3. Checking reads a private copy, never the ring: what was checked is what is delivered.
// Requires: a little-endian host (asserted); 8-byte alignment where a size word is polled.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>

#include "base/crc32c.h"
#include "transport/security/frame_mac.h"
#include "transport/link.h"

namespace verbex::transport {

static_assert(std::endian::native == std::endian::little, "frames are little-endian in place");

struct FrameHeader {
    uint32_t size;      // header, payload and MAC, in bytes; 0 where no frame is
    uint32_t checksum;  // CRC-32C from the epoch to the frame's end, begun with salt ^ size
    uint32_t epoch;
    uint16_t stream;
    uint8_t kind;
    uint8_t flags;
    uint64_t sequence;  // of the frames of this link and direction: 1, 2, 3 …
    uint64_t position;
};
static_assert(sizeof(FrameHeader) == 32);
static_assert(offsetof(FrameHeader, epoch) == 8);
static_assert(offsetof(FrameHeader, stream) == 12);
static_assert(offsetof(FrameHeader, sequence) == 16);
static_assert(offsetof(FrameHeader, position) == 24);

inline constexpr size_t kFrameHeaderBytes = sizeof(FrameHeader);
inline constexpr size_t kFrameMacBytes = kMacTagBytes;
inline constexpr size_t kFrameOverheadMax = kFrameHeaderBytes + kFrameMacBytes;
// In a ring a frame begins on a cache line: sender and receiver never share one between two frames.
inline constexpr size_t kFrameAlignment = 64;

// The upper flags belong to the frame, the lower ones to whoever sends.
inline constexpr uint8_t kFrameFlagMask = 0x3f;
inline constexpr uint8_t kFrameFlagPad = 0x80;  // nothing but the way to the ring's end
inline constexpr uint8_t kFrameFlagMac = 0x40;

constexpr size_t slotOf(size_t frameBytes) {
    return (frameBytes + kFrameAlignment - 1) / kFrameAlignment * kFrameAlignment;
}

// What both ends of one direction know and nobody else: fixed for the link's life.
struct FrameSeal {
    uint32_t epoch = 0;
    uint32_t salt = 0;
    std::optional<FrameMac> mac;

    [[nodiscard]] size_t overhead() const { return kFrameHeaderBytes + (mac ? kFrameMacBytes : 0); }
};

// Why a frame was not taken.
enum class FrameFault : uint8_t { None, Checksum, Mac, Epoch, Sequence, Size };

inline uint32_t frameChecksum(const std::byte* frame, size_t size, uint32_t salt) {
    constexpr size_t from = offsetof(FrameHeader, epoch);
    return crc32c(frame + from, size - from, salt ^ static_cast<uint32_t>(size));
}

// A pad has no bytes of its own behind its header, however far it reaches.
inline uint32_t padChecksum(const FrameHeader& header, uint32_t salt) {
    constexpr size_t from = offsetof(FrameHeader, epoch);
    return crc32c(reinterpret_cast<const std::byte*>(&header) + from, sizeof header - from,
                  ~salt ^ header.size);
}

// Writes the frame at `to`, all but its size word, which is left 0 and returned: on shared memory
// the caller publishes it last. `to` has room for the payload and overhead().
inline uint32_t sealFrame(std::byte* to, const Message& message, uint64_t sequence,
                          const FrameSeal& seal) {
    const size_t payload = message.payload.size();
    const auto size = static_cast<uint32_t>(seal.overhead() + payload);
    FrameHeader header{
        .size = 0,
        .checksum = 0,
        .epoch = seal.epoch,
        .stream = message.stream,
        .kind = message.kind,
        .flags = static_cast<uint8_t>((message.flags & kFrameFlagMask) | (seal.mac ? kFrameFlagMac : 0)),
        .sequence = sequence,
        .position = message.position,
    };
    std::memcpy(to, &header, sizeof header);
    if (payload > 0) std::memcpy(to + kFrameHeaderBytes, message.payload.data(), payload);
    if (seal.mac) {
        header.size = size;
        const MacTag tag =
            seal.mac->compute(std::as_bytes(std::span(&header, 1)), message.payload);
        std::memcpy(to + kFrameHeaderBytes + payload, &tag, sizeof tag);
    }
    const uint32_t checksum = frameChecksum(to, size, seal.salt);
    std::memcpy(to + offsetof(FrameHeader, checksum), &checksum, sizeof checksum);
    return size;
}

// Checks a private copy of `size` bytes. Sequence and epoch are judged after the checksum, the MAC
// before them: what an unauthenticated frame says of itself is nobody's business.
FrameFault checkFrame(const std::byte* frame, size_t size, uint64_t sequence, const FrameSeal& seal);

// The message in a frame that checkFrame passed.
inline Message messageOf(const std::byte* frame, const FrameSeal& seal) {
    FrameHeader header;
    std::memcpy(&header, frame, sizeof header);
    return {
        .stream = header.stream,
        .kind = header.kind,
        .flags = static_cast<uint8_t>(header.flags & kFrameFlagMask),
        .position = header.position,
        .payload = {frame + kFrameHeaderBytes, header.size - seal.overhead()},
    };
}

// Counts a fault where it belongs.
void count(FrameFault fault, LinkCounters& counters);

// What the fault is to a person, with its stable code.
Status faultStatus(FrameFault fault);

}  // namespace verbex::transport
