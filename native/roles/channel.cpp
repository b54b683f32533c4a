#include "roles/channel.h"

#include <algorithm>

#include "base/crc32c.h"

namespace verbex::roles {

namespace {

uint32_t checksumOf(FrameHeader header, std::span<const std::byte> payload) {
    header.crc = 0;
    return crc32c(payload.data(), payload.size(), crc32c(&header, sizeof(header)));
}

Status wrong(const char* what) {
    return Status(StatusCode::ProtocolViolation, std::string("between roles: ") + what);
}

}  // namespace

void Channel::put(MessageKind kind, uint64_t position, std::span<const std::byte> payload) {
    constexpr size_t kRoom = kFrameBytesMax - sizeof(FrameHeader);
    do {
        const auto part = payload.first(std::min(payload.size(), kRoom));
        payload = payload.subspan(part.size());
        FrameHeader header;
        header.kind = kind;
        header.flags = payload.empty() ? 0 : kFrameMore;
        header.payloadBytes = static_cast<uint32_t>(part.size());
        header.sequence = ++sent_;
        header.position = position;
        header.crc = checksumOf(header, part);
        std::vector<std::byte> frame;
        if (!spare_.empty()) {
            frame = std::move(spare_.back());
            spare_.pop_back();
        }
        frame.resize(sizeof(header) + part.size());
        std::memcpy(frame.data(), &header, sizeof(header));
        if (!part.empty()) std::memcpy(frame.data() + sizeof(header), part.data(), part.size());
        queuedBytes_ += frame.size();
        queue_.push_back(std::move(frame));
    } while (!payload.empty());
}

Status Channel::take(std::span<const std::byte> frame, RoleMessage& message, bool& whole) {
    FrameHeader header;
    if (frame.size() < sizeof(header) || frame.size() > kFrameBytesMax) return wrong("a frame's size");
    std::memcpy(static_cast<void*>(&header), frame.data(), sizeof(header));
    const auto payload = frame.subspan(sizeof(header));
    if (header.version != kRolesVersion) return wrong("another version");
    if (header.payloadBytes != payload.size()) return wrong("a frame's length");
    if (header.crc != checksumOf(header, payload)) return wrong("a checksum");
    if (header.sequence != received_ + 1) return wrong("a frame is missing or came twice");
    received_++;
    const bool more = (header.flags & kFrameMore) != 0;
    if (partsKind_ == MessageKind::None && !more) {
        message = {header.kind, header.position, payload};
        whole = true;
        return {};
    }
    if (partsKind_ == MessageKind::None) {
        parts_.clear();
        partsKind_ = header.kind;
        partsPosition_ = header.position;
    } else if (partsKind_ != header.kind || partsPosition_ != header.position) {
        return wrong("a message broken off");
    }
    if (parts_.size() + payload.size() > kMessageBytesMax) return wrong("a message too large");
    parts_.insert(parts_.end(), payload.begin(), payload.end());
    if (more) return {};
    message = {partsKind_, partsPosition_, parts_};
    partsKind_ = MessageKind::None;
    whole = true;
    return {};
}

}  // namespace verbex::roles
