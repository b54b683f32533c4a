// The way to a peer, as streams see it: one link while there is one.
//
// Purpose: sending in one call, and deciding when what was sent is flushed. A first message after a
// quiet round goes out at once, since somebody may be waiting for it; those behind it go together,
// at the end of the round or every kFlushEvery of them.
// Owner: a peer.
// Thread safety: none.
// Invariants: sends nothing without a link, nor after the link is to be given up.
// Requires: endRound() at the end of every poll.
#pragma once

#include "bus/message_kinds.h"
#include "transport/link.h"

namespace verbex::bus {

class Channel {
public:
    static constexpr uint32_t kFlushEvery = 64;

    [[nodiscard]] bool isUp() const { return link_ != nullptr && !givenUp_; }
    [[nodiscard]] transport::Link* link() const { return link_; }
    [[nodiscard]] uint32_t payloadMax() const { return link_->info().payloadMax; }

    // False: no room now, or no link.
    bool send(MessageKind kind, uint16_t stream, Position position,
              std::span<const std::byte> payload, uint8_t flags = 0) {
        if (!isUp()) return false;
        const transport::Message message{stream, static_cast<uint8_t>(kind), flags, position,
                                         payload};
        if (link_->offer(message) != transport::Answer::Accepted) [[unlikely]] {
            blocked_ = true;
            if (unflushed_ > 0) flush();  // so that the peer can make room
            return false;
        }
        if (unflushed_++ == 0 ? quiet_ : unflushed_ >= kFlushEvery) flush();
        return true;
    }

    bool send(MessageKind kind, uint16_t stream, Position position) {
        return send(kind, stream, position, {});
    }

    void flush() {
        if (link_ == nullptr) return;
        link_->flush();
        unflushed_ = 0;
        quiet_ = false;
    }

    // Between these two everything sent is flushed by endRound.
    void beginRound() {
        quiet_ = false;
        blocked_ = false;
    }
    void endRound() {
        if (unflushed_ > 0) flush();
        quiet_ = true;
    }

    [[nodiscard]] bool hasUnflushed() const { return unflushed_ > 0; }
    // Whether the link had no room since the round began: something waits to be sent.
    [[nodiscard]] bool wasBlocked() const { return blocked_; }

    void attach(transport::Link& link) {
        link_ = &link;
        givenUp_ = false;
        unflushed_ = 0;
    }
    void detach() { link_ = nullptr; }
    // Nothing is sent any more; the link goes as soon as nobody stands on it.
    void giveUp() { givenUp_ = true; }
    [[nodiscard]] bool isGivenUp() const { return link_ != nullptr && givenUp_; }

private:
    transport::Link* link_ = nullptr;
    bool givenUp_ = false;
    bool quiet_ = true;
    bool blocked_ = false;
    uint32_t unflushed_ = 0;
};

}  // namespace verbex::bus
