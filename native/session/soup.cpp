#include "session/soup.h"

#include <algorithm>
#include <charconv>
#include <cstring>

namespace verbex::session {

namespace {

uint16_t readLength(const std::byte* at) {
    return static_cast<uint16_t>(std::to_integer<unsigned>(at[0]) << 8 |
                                 std::to_integer<unsigned>(at[1]));
}

bool mayCome(uint8_t type, Sender sender) {
    switch (static_cast<Packet>(type)) {
        case Packet::Debug: return true;
        case Packet::LoginAccepted:
        case Packet::LoginRejected:
        case Packet::Sequenced:
        case Packet::ServerHeartbeat:
        case Packet::EndOfSession: return sender == Sender::Server;
        case Packet::LoginRequest:
        case Packet::Unsequenced:
        case Packet::ClientHeartbeat:
        case Packet::LogoutRequest: return sender == Sender::Client;
    }
    return false;
}

std::string_view textOf(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string_view withoutBlanksBehind(std::string_view text) {
    const size_t last = text.find_last_not_of(' ');
    return last == std::string_view::npos ? std::string_view() : text.substr(0, last + 1);
}

// Numbers stand at the right, with blanks or zeros before them.
bool readSequence(std::string_view text, uint64_t& sequence) {
    const size_t first = text.find_first_not_of(' ');
    if (first == std::string_view::npos) {
        sequence = 0;
        return true;
    }
    const char* const end = text.data() + text.size();
    const auto [stopped, error] = std::from_chars(text.data() + first, end, sequence);
    if (error != std::errc() || stopped == text.data() + first) return false;
    // Some clients fill up behind the number.
    return std::all_of(stopped, end, [](char c) { return c == ' '; });
}

void writeSequence(std::byte* to, uint64_t sequence) {
    char digits[kSequenceBytes];
    const auto [end, error] = std::to_chars(digits, digits + sizeof(digits), sequence);
    const auto length = static_cast<size_t>(end - digits);  // 2^64 has twenty digits: it fits
    std::memset(to, ' ', kSequenceBytes);
    std::memcpy(to + kSequenceBytes - length, digits, length);
}

void writeText(std::byte* to, size_t bytes, std::string_view text) {
    std::memset(to, ' ', bytes);
    std::memcpy(to, text.data(), std::min(bytes, text.size()));
}

}  // namespace

Frame readFrame(std::span<const std::byte> bytes, size_t most, Sender sender) {
    Frame frame;
    if (bytes.size() < kFrameHeaderBytes) {
        // Two bytes are enough to refuse a length that is never right.
        if (bytes.size() == 2) {
            const uint16_t length = readLength(bytes.data());
            if (length == 0 || length - 1u > most) frame.state = FrameState::Malformed;
        }
        return frame;
    }
    const uint16_t length = readLength(bytes.data());
    const auto type = std::to_integer<uint8_t>(bytes[2]);
    if (length == 0 || length - 1u > most || !mayCome(type, sender)) {
        frame.state = FrameState::Malformed;
        return frame;
    }
    frame.type = static_cast<Packet>(type);
    frame.bytes = size_t{length} + 2;
    if (bytes.size() < frame.bytes) return frame;
    frame.state = FrameState::Whole;
    frame.payload = bytes.subspan(kFrameHeaderBytes, length - 1u);
    return frame;
}

bool readLogin(std::span<const std::byte> payload, LoginRequest& login) {
    if (payload.size() != kLoginRequestBytes) return false;
    login.user = withoutBlanksBehind(textOf(payload.first(kUserBytes)));
    login.password = withoutBlanksBehind(textOf(payload.subspan(kUserBytes, kPasswordBytes)));
    const auto session = payload.subspan(kUserBytes + kPasswordBytes, kSessionBytes);
    std::memcpy(login.session.data(), session.data(), kSessionBytes);
    login.anySession = std::all_of(login.session.begin(), login.session.end(),
                                   [](char c) { return c == ' '; });
    return readSequence(textOf(payload.last(kSequenceBytes)), login.sequence);
}

bool readLoginAccepted(std::span<const std::byte> payload, SessionName& session,
                       uint64_t& sequence) {
    if (payload.size() != kLoginAcceptedBytes) return false;
    std::memcpy(session.data(), payload.data(), kSessionBytes);
    return readSequence(textOf(payload.last(kSequenceBytes)), sequence);
}

void writeFrameHeader(std::byte* to, Packet type, size_t payloadBytes) {
    const size_t length = payloadBytes + 1;
    to[0] = static_cast<std::byte>(length >> 8);
    to[1] = static_cast<std::byte>(length);
    to[2] = static_cast<std::byte>(type);
}

size_t writeLogin(std::byte* to, const LoginRequest& login) {
    writeFrameHeader(to, Packet::LoginRequest, kLoginRequestBytes);
    std::byte* at = to + kFrameHeaderBytes;
    writeText(at, kUserBytes, login.user);
    at += kUserBytes;
    writeText(at, kPasswordBytes, login.password);
    at += kPasswordBytes;
    if (login.anySession) {
        std::memset(at, ' ', kSessionBytes);
    } else {
        std::memcpy(at, login.session.data(), kSessionBytes);
    }
    writeSequence(at + kSessionBytes, login.sequence);
    return kFrameHeaderBytes + kLoginRequestBytes;
}

size_t writeLoginAccepted(std::byte* to, const SessionName& session, uint64_t sequence) {
    writeFrameHeader(to, Packet::LoginAccepted, kLoginAcceptedBytes);
    std::memcpy(to + kFrameHeaderBytes, session.data(), kSessionBytes);
    writeSequence(to + kFrameHeaderBytes + kSessionBytes, sequence);
    return kFrameHeaderBytes + kLoginAcceptedBytes;
}

size_t writeLoginRejected(std::byte* to, LoginReject why) {
    writeFrameHeader(to, Packet::LoginRejected, 1);
    to[kFrameHeaderBytes] = static_cast<std::byte>(why);
    return kFrameHeaderBytes + 1;
}

size_t writeBare(std::byte* to, Packet type) {
    writeFrameHeader(to, type, 0);
    return kFrameHeaderBytes;
}

}  // namespace verbex::session
