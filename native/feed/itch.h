// ITCH 5.0: messages as bytes.
//
// Purpose: one place that knows where each field lies, for the feed, for readers, tests and fuzzers.
// docs/itch.md has the tables and says what each field means here.
// Source: "Nasdaq TotalView-ITCH 5.0", "Nasdaq TotalView-ITCH GLIMPSE 5.0" (nasdaqtrader.com).
// Owner: nobody.
// Thread safety: pure.
// Invariants:
//   1. write() gives bytesOf(type) bytes, and read() of them the same message again.
//   2. read() looks at no byte behind the span and takes a message only at its exact length.
// Requires: kMessageBytesMax bytes of room.
//
//     0      1        3          5            11
//     ┌──────┬────────┬──────────┬────────────┬───────────
//     │ type │ locate │ tracking │ time, 6    │ by type                big-endian
//     └──────┴────────┴──────────┴────────────┴───────────
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "feed/big_endian.h"
#include "wire/symbol.h"

namespace verbex::feed::itch {

// What this feed writes, and P, Q, I, which come to exist with hidden orders and auctions.
enum class Type : uint8_t {
    SystemEvent = 'S',
    Directory = 'R',
    TradingAction = 'H',
    Add = 'A',
    Executed = 'E',
    ExecutedWithPrice = 'C',
    Cancel = 'X',
    Delete = 'D',
    Replace = 'U',
    Trade = 'P',
    EndOfSnapshot = 'G',  // of GLIMPSE: no header, only a sequence number
};

enum class SystemCode : char {
    StartOfMessages = 'O',
    StartOfSystemHours = 'S',
    StartOfMarketHours = 'Q',
    EndOfMarketHours = 'M',
    EndOfSystemHours = 'E',
    EndOfMessages = 'C',
};

inline constexpr size_t kMessageBytesMax = 44;
inline constexpr size_t kHeaderBytes = 11;

// 0: no type of this feed.
[[nodiscard]] constexpr size_t bytesOf(Type type) {
    switch (type) {
        case Type::SystemEvent: return 12;
        case Type::Directory: return 39;
        case Type::TradingAction: return 25;
        case Type::Add: return 36;
        case Type::Executed: return 31;
        case Type::ExecutedWithPrice: return 36;
        case Type::Cancel: return 23;
        case Type::Delete: return 19;
        case Type::Replace: return 35;
        case Type::Trade: return 44;
        case Type::EndOfSnapshot: return 21;
    }
    return 0;
}

// Every field of any message; those that a type does not have are zero.
struct Message {
    Type type = Type::SystemEvent;
    uint16_t locate = 0;    // the instrument's number; 0: none
    uint16_t tracking = 0;
    uint64_t timeNs = 0;    // since midnight
    char code = 0;          // S: SystemCode. H: trading state. A, P: side, B or S. C: printable
    char reason[4] = {};    // H
    Symbol symbol = 0;      // R, H, A, P
    uint64_t reference = 0;     // of the order. U: of the old one
    uint64_t newReference = 0;  // U
    uint32_t shares = 0;
    uint32_t price = 0;
    uint64_t match = 0;     // E, C, P
    uint64_t sequence = 0;  // G

    friend bool operator==(const Message&, const Message&) = default;
};

inline constexpr char kBuy = 'B';
inline constexpr char kSell = 'S';

// Answers how many bytes.
size_t write(std::byte* to, const Message& message);
// False: not a message of this feed, or a field that has no such value.
[[nodiscard]] bool read(std::span<const std::byte> bytes, Message& message);

}  // namespace verbex::feed::itch
