// MoldUDP64: datagrams as bytes.
//
// Purpose: datagrams downstream, and requests for what got lost, in one place for both ends.
// Source: "MoldUDP64 Protocol Specification", version 1.00, Nasdaq (nasdaqtrader.com).
// Owner: nobody.
// Thread safety: pure.
// Invariants:
//   1. A datagram holds whole messages, in order, and never more bytes than it was given room for.
//   2. Nothing is read behind a span; a datagram is taken whole or not at all.
// Requires: nothing.
//
//     0         10          18      20
//     ┌─────────┬───────────┬───────┬────────┬─────────┬────────┬──
//     │ session │ sequence  │ count │ length │ message │ length │ …      count 0: heartbeat
//     └─────────┴───────────┴───────┴────────┴─────────┴────────┴──      count 65,535: end of session
//
// A request is the first twenty bytes: from which sequence number on, and how many.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "feed/feed_history.h"
#include "session/soup.h"

namespace verbex::feed {

inline constexpr size_t kMoldHeaderBytes = 20;
inline constexpr uint16_t kMoldEndOfSession = 0xffff;

struct MoldHeader {
    session::SessionName session{};
    uint64_t sequence = 0;  // of the first message; heartbeat, end of session: of the next one
    uint16_t count = 0;

    friend bool operator==(const MoldHeader&, const MoldHeader&) = default;
};

void writeMoldHeader(std::byte* to, const MoldHeader& header);
// False: shorter than a header.
[[nodiscard]] bool readMoldHeader(std::span<const std::byte> bytes, MoldHeader& header);

// Checks that so many whole messages, and nothing else, stand behind the header.
[[nodiscard]] bool isWholeDatagram(std::span<const std::byte> bytes, const MoldHeader& header);
// visit(sequence, message) for each message of a whole datagram.
template <typename Visit>
void eachMessage(std::span<const std::byte> bytes, const MoldHeader& header, Visit&& visit) {
    if (header.count == kMoldEndOfSession) return;
    size_t at = kMoldHeaderBytes;
    for (uint16_t i = 0; i < header.count; ++i) {
        const size_t length = get16(&bytes[at]);
        visit(header.sequence + i, bytes.subspan(at + 2, length));
        at += 2 + length;
    }
}

// Fills a datagram with what comes next, at most `most` messages, and moves the reader behind it. Answers its
// length; 0: nothing there.
size_t fillDatagram(const FeedHistory& history, FeedHistory::Reader& reader,
                    const session::SessionName& session, uint64_t most, std::span<std::byte> room);

// The answer to a request, one datagram of what fits. 0: refused, because it is no request, of another
// session, for nothing, or for what is not there (any more or yet).
size_t answerRequest(const FeedHistory& history, const session::SessionName& session,
                     std::span<const std::byte> request, std::span<std::byte> room);

}  // namespace verbex::feed
