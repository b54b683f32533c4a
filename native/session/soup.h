// SoupBinTCP 3.0: frames and log-ins, as bytes.
//
// Purpose: one place that knows the session layer's bytes, for servers, clients, tests and fuzzers.
// Source: "SoupBinTCP", version 3.00, Nasdaq (nasdaqtrader.com, Trading Services, Specifications).
// Owner: nobody; pure functions over spans.
// Thread safety: pure.
// Invariants:
//   1. readFrame() looks at no byte behind `bytes`, and allocates nothing.
//   2. A frame longer than `most`, of length 0, or of a type that this side may not send is Malformed
//      as soon as its first three bytes are there.
// Requires: nothing.
//
//     0      2      3                       2 + length
//     ┌──────┬──────┬───────────────────────┐
//     │length│ type │ payload, length − 1   │      length: big-endian, type and payload
//     └──────┴──────┴───────────────────────┘
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace verbex::session {

inline constexpr size_t kFrameHeaderBytes = 3;   // length and type
inline constexpr size_t kLoginRequestBytes = 46;  // user 6, password 10, session 10, sequence 20
inline constexpr size_t kLoginAcceptedBytes = 30;  // session 10, sequence 20
inline constexpr size_t kUserBytes = 6;
inline constexpr size_t kPasswordBytes = 10;
inline constexpr size_t kSessionBytes = 10;
inline constexpr size_t kSequenceBytes = 20;

enum class Packet : uint8_t {
    Debug = '+',           // both ways; ignored
    LoginAccepted = 'A',   // server
    LoginRejected = 'J',   // server
    Sequenced = 'S',       // server
    ServerHeartbeat = 'H',  // server
    EndOfSession = 'Z',    // server
    LoginRequest = 'L',    // client
    Unsequenced = 'U',     // client
    ClientHeartbeat = 'R',  // client
    LogoutRequest = 'O',   // client
};

enum class LoginReject : uint8_t {
    None = 0,
    NotAuthorized = 'A',        // user or password
    SessionNotAvailable = 'S',  // the session asked for is not there, or the sequence is not in it
};

// Ten characters, left-padded with blanks on the wire; all blank: whichever is current.
using SessionName = std::array<char, kSessionBytes>;

struct LoginRequest {
    std::string_view user;      // trailing blanks removed; case is kept
    std::string_view password;  // likewise
    SessionName session{};      // as it was sent
    bool anySession = true;     // all blank
    uint64_t sequence = 0;      // the next one wanted, from 1; 0: only what comes from now on
};

enum class FrameState : uint8_t { Partial, Whole, Malformed };

struct Frame {
    FrameState state = FrameState::Partial;
    Packet type = Packet::Debug;
    std::span<const std::byte> payload;
    size_t bytes = 0;  // of the whole frame, header included
};

// `most`: payload bytes that are allowed. From the client's packets or the server's.
enum class Sender : uint8_t { Client, Server };
[[nodiscard]] Frame readFrame(std::span<const std::byte> bytes, size_t most, Sender sender);

// False where the payload is no login request: a wrong length, a sequence that is no number.
[[nodiscard]] bool readLogin(std::span<const std::byte> payload, LoginRequest& login);
[[nodiscard]] bool readLoginAccepted(std::span<const std::byte> payload, SessionName& session,
                                     uint64_t& sequence);

// Each writes a whole frame and answers its length.
size_t writeLogin(std::byte* to, const LoginRequest& login);
size_t writeLoginAccepted(std::byte* to, const SessionName& session, uint64_t sequence);
size_t writeLoginRejected(std::byte* to, LoginReject why);
// Heartbeats, EndOfSession, LogoutRequest.
size_t writeBare(std::byte* to, Packet type);
// The three bytes before a payload that lies behind them already.
void writeFrameHeader(std::byte* to, Packet type, size_t payloadBytes);

}  // namespace verbex::session
