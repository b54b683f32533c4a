#include "transport/sockets/peer_channel.h"

#include <array>

namespace verbex::transport {
namespace {

constexpr std::byte kWake{'W'};
constexpr std::byte kGoodbye{'G'};

}  // namespace

void PeerChannel::send() noexcept {
    while (stream_.isOpen() && (owesWake_ || owesGoodbye_)) {
        // A wake goes first, so that a write that is tried again begins with the same byte.
        const std::byte next = owesWake_ ? kWake : kGoodbye;
        if (stream_.write(std::span(&next, 1)).moved != Moved::Some) return;
        (owesWake_ ? owesWake_ : owesGoodbye_) = false;
    }
}

void PeerChannel::wakePeer() noexcept {
    // Behind a goodbye that could not leave yet there is nobody to be woken.
    if (owesGoodbye_) return;
    owesWake_ = true;
    send();
}

void PeerChannel::sayGoodbye() noexcept {
    owesGoodbye_ = true;
    send();
}

bool PeerChannel::take(std::span<const std::byte> bytes) noexcept {
    for (const std::byte byte : bytes) {
        if (byte == kGoodbye) {
            peerSaidGoodbye_ = true;
        } else if (byte != kWake) {
            peerSaidGoodbye_ = false;
            return false;
        }
    }
    return true;
}

bool PeerChannel::advance() noexcept {
    send();
    std::array<std::byte, 256> bytes;
    while (stream_.isOpen()) {
        const auto [moved, count] = stream_.read(bytes);
        if (moved == Moved::NotNow) return true;
        if (moved != Moved::Some || !take(std::span(bytes).first(count))) return false;
    }
    return false;
}

}  // namespace verbex::transport
