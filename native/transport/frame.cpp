#include "transport/frame.h"

namespace verbex::transport {

FrameFault checkFrame(const std::byte* frame, size_t size, uint64_t sequence,
                      const FrameSeal& seal) {
    FrameHeader header;
    std::memcpy(&header, frame, sizeof header);
    if (header.size != size) return FrameFault::Size;
    if (header.checksum != frameChecksum(frame, size, seal.salt)) return FrameFault::Checksum;
    const bool carriesMac = (header.flags & kFrameFlagMac) != 0;
    if (carriesMac != seal.mac.has_value()) return FrameFault::Mac;
    if (seal.mac) {
        const size_t payload = size - seal.overhead();
        MacTag carried;
        std::memcpy(&carried, frame + kFrameHeaderBytes + payload, sizeof carried);
        // The MAC was made before the checksum was known.
        header.checksum = 0;
        const MacTag tag = seal.mac->compute(std::as_bytes(std::span(&header, 1)),
                                             {frame + kFrameHeaderBytes, payload});
        if (!(tag == carried)) return FrameFault::Mac;
    }
    if (header.epoch != seal.epoch) return FrameFault::Epoch;
    if (header.sequence != sequence) return FrameFault::Sequence;
    return FrameFault::None;
}

void count(FrameFault fault, LinkCounters& counters) {
    switch (fault) {
        case FrameFault::None: break;
        case FrameFault::Checksum: ++counters.badChecksum; break;
        case FrameFault::Mac: ++counters.badMac; break;
        case FrameFault::Epoch: ++counters.staleEpoch; break;
        case FrameFault::Sequence: ++counters.replayed; break;
        case FrameFault::Size: ++counters.oversized; break;
    }
}

Status faultStatus(FrameFault fault) {
    const auto violation = [](const char* what) {
        return Status(StatusCode::ProtocolViolation, what);
    };
    switch (fault) {
        case FrameFault::None: return {};
        case FrameFault::Checksum: return violation("a frame whose checksum does not hold");
        case FrameFault::Mac:
            return Status(StatusCode::AuthenticationFailed, "a frame that the key did not seal");
        case FrameFault::Epoch: return Status(StatusCode::StaleEpoch, "a frame of another epoch");
        case FrameFault::Sequence: return violation("a frame that is not the next one");
        case FrameFault::Size: return violation("a frame larger than agreed, or too small");
    }
    return {};
}

}  // namespace verbex::transport
