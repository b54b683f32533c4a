#include "transport/sockets/tcp_link.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"

namespace verbex::transport {
namespace {

void storeSize(std::byte* frame, uint32_t size) {
    std::memcpy(frame + offsetof(FrameHeader, size), &size, sizeof size);
}

// A frame without a payload that says that it is the last one.
uint32_t sealGoodbye(std::byte* to, uint64_t sequence, const FrameSeal& seal) {
    const auto size = static_cast<uint32_t>(seal.overhead());
    FrameHeader header{};
    header.size = size;
    header.epoch = seal.epoch;
    header.flags = static_cast<uint8_t>(kFrameFlagPad | (seal.mac ? kFrameFlagMac : 0));
    header.sequence = sequence;
    if (seal.mac) {
        const MacTag tag = seal.mac->compute(std::as_bytes(std::span(&header, 1)), {});
        std::memcpy(to + kFrameHeaderBytes, &tag, sizeof tag);
    }
    std::memcpy(to, &header, sizeof header);
    header.checksum = frameChecksum(to, size, seal.salt);
    std::memcpy(to, &header, sizeof header);
    return size;
}

bool isGoodbye(std::span<const std::byte> frame) {
    const auto flags = static_cast<uint8_t>(frame[offsetof(FrameHeader, flags)]);
    return (flags & kFrameFlagPad) != 0;
}

}  // namespace

TcpLink::TcpLink(const NetworkOptions& options, const Session& session, ByteStream& stream)
    : stream_(stream),
      spin_(options.spin),
      frameMax_(session.payloadMax + kFrameHeaderBytes + (session.mac ? kFrameMacBytes : 0)),
      sendSeal_(sealOf(session, session.sendKey, session.sendSalt)),
      receiveSeal_(sealOf(session, session.receiveKey, session.receiveSalt)) {
    info_ = linkInfoOf(session, stream.isEncrypted());
}

Status TcpLink::prepare(std::span<const std::byte> peerOffer) {
    if (!peerOffer.empty()) {
        return Status(StatusCode::ProtocolViolation, "an offer for tcp, which needs none");
    }
    VERBEX_RETURN_IF_FAILED(sending_.allocate(info_.ringBytes));
    return receiving_.allocate(info_.ringBytes);
}

Status TcpLink::establish(std::span<const std::byte> peerOffer) {
    if (peerOffer.empty()) return {};
    return Status(StatusCode::ProtocolViolation, "an offer for tcp, which needs none");
}

void TcpLink::takeEarly(std::span<const std::byte> bytes) {
    const auto room = receiving_.room();
    CHECK(bytes.size() <= room.size());
    std::copy(bytes.begin(), bytes.end(), room.begin());
    receiving_.produce(bytes.size());
}

Answer TcpLink::offer(const Message& message) noexcept {
    if (state_ != LinkState::Open || sendBroken_) return Answer::Closed;
    if (message.payload.size() > info_.payloadMax) return Answer::TooLarge;
    // The goodbye always finds room.
    const size_t needed = message.payload.size() + 2 * sendSeal_.overhead();
    if (needed > sending_.room().size()) [[unlikely]] {
        flush();
        if (sendBroken_) return Answer::Closed;
        if (needed > sending_.room().size()) {
            ++counters_.backPressured;
            return Answer::BackPressured;
        }
    }
    std::byte* to = sending_.room().data();
    const uint32_t size = sealFrame(to, message, ++sendSequence_, sendSeal_);
    storeSize(to, size);
    sending_.produce(size);
    ++counters_.framesSent;
    counters_.bytesSent += message.payload.size();
    return Answer::Accepted;
}

void TcpLink::flush() noexcept {
    while (!sending_.isEmpty() && !sendBroken_ && (mayWrite_ || spin_) && stream_.isOpen()) {
        const size_t wanted = sending_.size();
        const auto [moved, bytes] = stream_.write(sending_.content());
        if (moved == Moved::NotNow) {
            mayWrite_ = false;
        } else if (moved == Moved::Some) {
            ++counters_.writes;
            sending_.consume(bytes);
            if (!stream_.isEncrypted() && bytes < wanted) mayWrite_ = false;
        } else {
            // What the peer sent before it went can still be read: poll() comes to the end.
            sendBroken_ = true;
            sending_.consume(sending_.size());
            endReported_ = mayRead_ = true;
        }
        if (!mayWrite_) return;
    }
}

bool TcpLink::receive() {
    const auto room = receiving_.room();
    if (streamEnded_ || room.empty() || !stream_.isOpen()) return false;
    const auto [moved, bytes] = stream_.read(room);
    switch (moved) {
        case Moved::Some:
            receiving_.produce(bytes);
            // A short read has emptied the socket: epoll tells when there is more. An end that was
            // told already is not told again.
            if (!stream_.isEncrypted() && bytes < room.size()) mayRead_ = endReported_;
            return true;
        case Moved::NotNow: mayRead_ = false; return false;
        case Moved::Ended:
        case Moved::Failed: break;
    }
    streamEnded_ = true;
    mayRead_ = false;
    return false;
}

void TcpLink::refuse(FrameFault fault) {
    count(fault, counters_);
    end(faultStatus(fault).within("from " + info_.peer));
}

size_t TcpLink::frameAt(std::span<const std::byte> bytes) {
    uint32_t size;
    if (bytes.size() < sizeof size) return 0;
    std::memcpy(&size, bytes.data(), sizeof size);
    if (size < receiveSeal_.overhead() || size > frameMax_) [[unlikely]] {
        refuse(FrameFault::Size);
        return 0;
    }
    if (bytes.size() < size) return 0;
    const FrameFault fault = checkFrame(bytes.data(), size, receiveSequence_, receiveSeal_);
    if (fault != FrameFault::None) [[unlikely]] {
        refuse(fault);
        return 0;
    }
    ++receiveSequence_;
    return size;
}

size_t TcpLink::deliver(Receiver& receiver, size_t limit) {
    size_t delivered = 0;
    // The receiver may fence or close: both leave the rings as they are.
    while (delivered < limit && !isOver() && state_ != LinkState::Closing && !peerSaidGoodbye_) {
        const auto bytes = arrived();
        const size_t size = frameAt(bytes);
        if (size == 0) break;
        const size_t heldOutside = held_;
        held_ += size;
        if (isGoodbye(bytes)) {
            peerSaidGoodbye_ = true;
        } else {
            const Message message = messageOf(bytes.data(), receiveSeal_);
            ++delivered;
            ++counters_.framesReceived;
            counters_.bytesReceived += message.payload.size();
            receiver.onMessage(message);
        }
        if (heldOutside == 0) receiving_.consume(std::exchange(held_, 0));
    }
    return delivered;
}

size_t TcpLink::poll(Receiver& receiver, size_t limit) noexcept {
    size_t delivered = 0;
    hasMore_ = false;
    while (state_ == LinkState::Open) {
        delivered += deliver(receiver, limit - delivered);
        if (state_ != LinkState::Open) break;
        if (delivered == limit && !peerSaidGoodbye_) {
            hasMore_ = !arrived().empty() || streamEnded_;
            break;
        }
        if (peerSaidGoodbye_) {
            end({});
        } else if (streamEnded_) {
            endLost();
            break;
        } else if (!(mayRead_ || spin_) || !receive()) {
            if (!streamEnded_) break;
        }
    }
    return delivered;
}

// Everything whole was delivered; what is left can never become whole.
void TcpLink::endLost() {
    const std::string& why = stream_.failure();
    end(Status(StatusCode::PeerLost, "the connection to " + info_.peer +
                                         " ended without a goodbye" +
                                         (why.empty() ? std::string() : ": " + why) +
                                         "; see whether its process or host has failed"));
}

void TcpLink::end(Status why) {
    if (why.isOk()) {
        state_ = LinkState::Closed;
    } else {
        fail(std::move(why));
    }
    stream_.close();
}

void TcpLink::fence(Receiver& receiver) noexcept {
    if (isOver()) return;
    stream_.cut();
    // The kernel takes nothing more for us; what it holds is bounded, and so is what we take of it.
    size_t left = info_.ringBytes;
    constexpr size_t kAll = SIZE_MAX;
    do {
        deliver(receiver, kAll);
        const size_t before = receiving_.size();
        if (isOver() || peerSaidGoodbye_ || !receive()) break;
        left -= std::min(left, receiving_.size() - before);
    } while (left > 0);
    if (!isOver()) deliver(receiver, kAll);
    if (isOver()) return;
    state_ = LinkState::Fenced;
    stream_.close();
}

void TcpLink::close() noexcept {
    if (state_ != LinkState::Open) return;
    state_ = LinkState::Closing;
    hasMore_ = false;
    if (!sendBroken_) {
        std::byte* to = sending_.room().data();
        sending_.produce(sealGoodbye(to, ++sendSequence_, sendSeal_));
    }
    progress();
}

void TcpLink::onPeerEnded(bool clean) noexcept {
    if (isOver()) return;
    if (clean || state_ == LinkState::Closing) {
        end({});
    } else {
        endLost();
    }
}

void TcpLink::onEvents(bool readable, bool writable, bool ended) noexcept {
    mayRead_ = mayRead_ || readable || ended;
    mayWrite_ = mayWrite_ || writable || ended;
    endReported_ = endReported_ || ended;
    // TLS may have to read in order to write and the other way round.
    if (stream_.isEncrypted()) mayRead_ = mayWrite_ = true;
}

void TcpLink::progress() noexcept {
    if (isOver()) return;
    flush();
    if (state_ == LinkState::Closing) {
        awaitEnd();
        return;
    }
    // An end is found even if nobody polls, unless something lies before it.
    if (endReported_ && receiving_.isEmpty() && !streamEnded_) receive();
    if (streamEnded_ && receiving_.isEmpty()) endLost();
}

// The peer closes when it has our goodbye. Were we to close before, with bytes of it unread, the
// kernel would reset the connection, and what is still on its way could be lost.
void TcpLink::awaitEnd() {
    if (sending_.isEmpty() && !finished_) {
        finished_ = true;
        stream_.finishWriting();
    }
    // Somebody above us may be looking at what lies in front.
    if (held_ == 0) receiving_.consume(receiving_.size());
    if (mayRead_ || spin_) receive();
    if (streamEnded_) end({});
}

}  // namespace verbex::transport
