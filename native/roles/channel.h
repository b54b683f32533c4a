// Channel: messages between two roles over one link, in order, whole, or the link is over.
//
//   put(kind, position, payload) ─▶ frames queued ─flush─▶ link ─▶ receive(frame) ─▶ message, when its last frame is in
//
// Purpose: splits messages into frames, numbers and checks them, keeps what the link does not take yet.
// Owner: a role, one for each link; a new link gets a new channel.
// Thread safety: none.
// Invariants:
//   1. Frames are received with numbers 1, 2, 3 … and right checksums; anything else ends the channel.
//   2. A message is handed on once, when all of its frames are in.
// Requires: the link delivers in order (transport/link.h); what it loses is a tail.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <span>
#include <vector>

#include "base/status.h"
#include "roles/frames.h"

namespace verbex::roles {

struct RoleMessage {
    MessageKind kind = MessageKind::None;
    uint64_t position = 0;
    std::span<const std::byte> payload;
};

class Channel {
public:
    void put(MessageKind kind, uint64_t position, std::span<const std::byte> payload = {});
    // Offers what is queued until the link takes no more; answers whether anything went.
    template <typename Send>
    bool flush(Send send) {
        bool sent = false;
        while (!queue_.empty() && send(std::span<const std::byte>(queue_.front()))) {
            queuedBytes_ -= queue_.front().size();
            spare_.push_back(std::move(queue_.front()));
            queue_.pop_front();
            sent = true;
        }
        if (spare_.size() > kSpareMax) spare_.resize(kSpareMax);
        return sent;
    }
    [[nodiscard]] uint64_t queuedBytes() const { return queuedBytes_; }

    // Protocol: the frame is not the one that is due. Then nothing further may be received.
    template <typename Sink>
    Status receive(std::span<const std::byte> frame, Sink sink) {
        RoleMessage message;
        bool whole = false;
        Status status = take(frame, message, whole);
        if (status.isOk() && whole) sink(message);
        return status;
    }

private:
    static constexpr size_t kSpareMax = 256;
    Status take(std::span<const std::byte> frame, RoleMessage& message, bool& whole);

    std::deque<std::vector<std::byte>> queue_;
    std::vector<std::vector<std::byte>> spare_;
    uint64_t queuedBytes_ = 0;
    uint64_t sent_ = 0;
    uint64_t received_ = 0;
    std::vector<std::byte> parts_;  // of the message that is coming in
    MessageKind partsKind_ = MessageKind::None;
    uint64_t partsPosition_ = 0;
};

}  // namespace verbex::roles
