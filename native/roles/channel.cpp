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
    constexpr size_t kRoom = kFrameBytesMax - sizeof(FrameHeader) - sizeof(MessageHeader);
    do {
        const auto part = payload.first(std::min(payload.size(), kRoom));
        payload = payload.subspan(part.size());
        if (open_ && queue_.back().size() + sizeof(MessageHeader) + part.size() > kFrameBytesMax) {
            seal();
        }
        if (!open_) {
            std::vector<std::byte> fresh;
            if (!spare_.empty()) {
                fresh = std::move(spare_.back());
                spare_.pop_back();
            }
            fresh.resize(sizeof(FrameHeader));
            queuedBytes_ += sizeof(FrameHeader);
            queue_.push_back(std::move(fresh));
            open_ = true;
        }
        MessageHeader header;
        header.kind = kind;
        header.flags = payload.empty() ? 0 : kMessageMore;
        header.bytes = static_cast<uint32_t>(part.size());
        header.position = position;
        const auto head = std::as_bytes(std::span(&header, 1));
        std::vector<std::byte>& frame = queue_.back();
        frame.insert(frame.end(), head.begin(), head.end());
        frame.insert(frame.end(), part.begin(), part.end());
        queuedBytes_ += head.size() + part.size();
    } while (!payload.empty());
}

void Channel::seal() {
    if (!open_) return;
    open_ = false;
    const std::span<std::byte> frame(queue_.back());
    FrameHeader header;
    header.payloadBytes = static_cast<uint32_t>(frame.size() - sizeof(header));
    header.sequence = ++sent_;
    header.crc = checksumOf(header, frame.subspan(sizeof(header)));
    std::memcpy(frame.data(), &header, sizeof(header));
}

Status Channel::open(std::span<const std::byte>& frame) {
    FrameHeader header;
    if (frame.size() <= sizeof(header) || frame.size() > kFrameBytesMax) return wrong("a frame's size");
    std::memcpy(static_cast<void*>(&header), frame.data(), sizeof(header));
    frame = frame.subspan(sizeof(header));
    if (header.version != kRolesVersion) return wrong("another version");
    if (header.payloadBytes != frame.size()) return wrong("a frame's length");
    if (header.crc != checksumOf(header, frame)) return wrong("a checksum");
    if (header.sequence != received_ + 1) return wrong("a frame is missing or came twice");
    received_++;
    return {};
}

Status Channel::next(std::span<const std::byte>& frame, RoleMessage& message, bool& whole) {
    MessageHeader header;
    if (frame.size() < sizeof(header)) return wrong("a message's size");
    std::memcpy(static_cast<void*>(&header), frame.data(), sizeof(header));
    frame = frame.subspan(sizeof(header));
    if (header.bytes > frame.size()) return wrong("a message's size");
    const auto payload = frame.first(header.bytes);
    frame = frame.subspan(header.bytes);
    const bool more = (header.flags & kMessageMore) != 0;
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
