#include "replication/frames.h"

namespace verbex::replication {

FrameKind kindOf(std::span<const std::byte> frame) {
    if (frame.size() < sizeof(FrameHeader)) return FrameKind::None;
    return static_cast<FrameKind>(frame[0]);
}

}  // namespace verbex::replication
