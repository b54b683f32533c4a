// Channel: messages between two roles over one link, in order, whole, or the link is over.
//
//   put(kind, position, payload) ─▶ frame ─flush─▶ link ─▶ receive(frame) ─▶ its messages, one after the other
//
// Purpose: packs messages into frames, as many as there are at a flush, numbers and checks the frames, keeps what the
// link does not take yet. A header, a checksum and an offer are a frame's: they cost little where there is much to say.
// Owner: a role, one for each link; a new link gets a new channel.
// Thread safety: none.
// Invariants:
//   1. Frames are received with numbers 1, 2, 3 … and right checksums; anything else ends the channel.
//   2. A message is handed on once, when all of it is in. Only one that fits no frame is in several.
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
        seal();
        bool sent = false;
        while (!queue_.empty() && send(std::span<const std::byte>(queue_.front()))) {
            queuedBytes_ -= queue_.front().size();
            if (spare_.size() < kSpareMax) spare_.push_back(std::move(queue_.front()));
            queue_.pop_front();
            sent = true;
        }
        return sent;
    }
    [[nodiscard]] uint64_t queuedBytes() const { return queuedBytes_; }

    // Hands the frame's messages to `sink`, which answers whether to go on: after false the rest of the frame is
    // nobody's, and the channel may be gone. Protocol: the frame is not the one that is due, or not made of
    // messages. Then nothing further may be received.
    template <typename Sink>
    Status receive(std::span<const std::byte> frame, Sink sink) {
        VERBEX_RETURN_IF_FAILED(open(frame));
        do {
            RoleMessage message;
            bool whole = false;
            VERBEX_RETURN_IF_FAILED(next(frame, message, whole));
            if (whole && !sink(message)) return {};
        } while (!frame.empty());
        return {};
    }

private:
    static constexpr size_t kSpareMax = 16;
    // What is put from now on is in another frame.
    void seal();
    // Leaves the frame's messages of it; and the next message, what is behind it.
    Status open(std::span<const std::byte>& frame);
    Status next(std::span<const std::byte>& frame, RoleMessage& message, bool& whole);

    std::deque<std::vector<std::byte>> queue_;  // the last one is not sealed while open_
    bool open_ = false;
    std::vector<std::vector<std::byte>> spare_;
    uint64_t queuedBytes_ = 0;
    uint64_t sent_ = 0;
    uint64_t received_ = 0;
    std::vector<std::byte> parts_;  // of the message that is coming in
    MessageKind partsKind_ = MessageKind::None;
    uint64_t partsPosition_ = 0;
};

}  // namespace verbex::roles
