// What the roles say to each other: fixed layouts, little endian (docs/roles.md states them for others).
//
// Purpose: the bytes, and nothing else. A message is a kind, a position and a payload behind a MessageHeader; a
// link carries as many as there are in a frame of at most kFrameBytesMax, behind a FrameHeader (channel.h).
// Owner: pure functions over the caller's memory.
// Thread safety: pure.
// Invariants:
//   1. PayloadReader takes exactly what PayloadWriter made: whatever is missing or left over makes it answer
//      false.
// Requires: a host of the same byte order, which native/base asserts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>
#include <vector>

#include "base/hash128.h"
#include "core/part.h"
#include "wire/command.h"
#include "wire/event.h"

namespace verbex::roles {

inline constexpr uint16_t kRolesVersion = 3;
inline constexpr uint32_t kFrameBytesMax = 56u << 10;
// Of a message, however many frames it takes: the events of the largest command.
inline constexpr uint64_t kMessageBytesMax = 1ULL << 32;

enum class MessageKind : uint8_t {
    None = 0,
    // ---- whoever attaches
    Hello = 1,    // role → sequencer: who it is
    Rebuild = 2,  // sequencer → role: commands of the log from `position` on
    Rebuilt = 3,  // role → sequencer: replayed up to `position`
    Join = 4,     // sequencer → role: become the part, behind `position`
    Joined = 5,   // role → sequencer
    Ping = 6,
    Pong = 7,
    // ---- snapshots
    Begin = 8,     // sequencer → role: what comes of the log follows on `position`, 0 where the offer is refused
    Follow = 9,    // sequencer → role: commands that are released, for its shadow
    Followed = 10,  // role → sequencer: its shadow is at `position`
    Disagree = 11,  // sequencer → role: not with this hash
    // ---- risk
    Validate = 16,  // sequencer → risk: a command, in the order of positions
    Decided = 17,   // risk → sequencer
    Hazard = 18,    // risk → sequencer: not before all ahead is settled
    Ask = 19,       // sequencer → risk: it is now
    Wants = 20,     // risk → sequencer: what of matching it must see
    Decide = 21,    // sequencer → risk: here it is
    Settle = 22,    // sequencer → risk: a command's events
    // ---- matching
    Match = 32,    // sequencer → matching: a command and its decision
    Matched = 33,  // matching → sequencer: its events
    Look = 34,     // sequencer → matching
    Looked = 35,   // matching → sequencer
    // ---- commands that run alone
    Gather = 48,    // sequencer → risk, matching: what the command depends on
    Gathered = 49,
    Sweep = 50,     // sequencer → matching: end every order that the command ends
    Swept = 51,
    Carry = 52,     // sequencer → all: the command's change of configuration or time
    Carried = 53,   // risk → sequencer, after DayEnd: entries have new numbers
    Renumber = 54,  // sequencer → matching: these
};

struct FrameHeader {
    uint16_t version = kRolesVersion;
    uint16_t reserved = 0;
    uint32_t payloadBytes = 0;  // of this frame: messages, each behind its header
    uint64_t sequence = 0;      // of the frames of this link and direction: 1, 2, 3 …
    uint32_t crc = 0;           // CRC-32C of the header with this field 0, then of the payload
    uint32_t reserved2 = 0;
};
static_assert(sizeof(FrameHeader) == 24);

inline constexpr uint8_t kMessageMore = 1;  // the message goes on in the next frame, which begins with it

struct MessageHeader {
    MessageKind kind = MessageKind::None;
    uint8_t flags = 0;
    uint16_t reserved = 0;
    uint32_t bytes = 0;  // in this frame, behind the header
    uint64_t position = 0;
};
static_assert(sizeof(MessageHeader) == 16);

// ---- payloads

struct HelloBody {
    uint32_t kind = 0;  // PartKind
    uint32_t shard = 0;
    uint32_t riskShards = 0;
    uint32_t matchingShards = 0;
    uint32_t maxOrders = 0;
    uint32_t maxAccounts = 0;
    uint32_t maxInstruments = 0;
    uint32_t maxClientIds = 0;
    uint64_t position = 0;  // where its core is, from which it would begin; 0: from the first position on
    Digest128 hash;         // of every event up to there
};
static_assert(sizeof(HelloBody) == 56);

struct JoinBody {
    Digest128 hash;             // of every event up to the position
    uint32_t wantsNumbers = 0;  // risk: the entries of its open orders are asked for
    uint32_t reserved = 0;
};
static_assert(sizeof(JoinBody) == 24);

struct CountsBody {           // Joined, Carried: then `numbers` × NumberedOrder
    uint32_t ids = 0;         // risk: client order ids that it remembers
    uint32_t orders = 0;      // matching: open orders
    uint32_t numbers = 0;
    uint32_t reserved = 0;
};
static_assert(sizeof(CountsBody) == 16);

struct FollowBody {      // then `count` commands as in the journal
    uint32_t count = 0;
    uint32_t mark = 0;   // a snapshot of where they end can be verified later
};
static_assert(sizeof(FollowBody) == 8);

struct FollowedBody {
    Digest128 hash;  // of every event up to the position
};
static_assert(sizeof(FollowedBody) == 16);

struct DecidedBody {
    Decision decision;
    uint32_t ids = 0;
    uint32_t reserved[15] = {};
};
static_assert(sizeof(DecidedBody) == 128);

struct WantsBody {  // Hazard, Wants, Look
    InstrumentId instrument = 0;
    OrderSlot slot = 0;
    uint32_t certain = 0;  // Hazard: it need not be asked again
    uint32_t reserved = 0;
};
static_assert(sizeof(WantsBody) == 16);

struct DecideBody {
    uint32_t whole = 0;  // nothing behind it is begun: capacities count
    uint32_t liveOrders = 0;
    uint32_t rememberedIds = 0;
    uint32_t reserved = 0;
    BookLook look;
};
static_assert(sizeof(DecideBody) == 136);

struct MatchBody {  // Match: alone; Settle: then `count` events
    Command command;
    Decision decision;
    uint32_t count = 0;
    uint32_t reserved[15] = {};
};
static_assert(sizeof(MatchBody) == 256);

struct MatchedBody {      // then count × Event, count × EventIds; Swept: count × SweepKey behind them
    Decision decision;
    uint32_t count = 0;
    uint32_t orders = 0;  // open ones
    uint32_t reserved[14] = {};
};
static_assert(sizeof(MatchedBody) == 128);

struct GatheredBody {
    Amount openValue = 0;
    uint32_t schedules = 0;
    uint32_t overflows = 0;
    uint64_t reserved = 0;
    PartBalance balances[2];  // of the account, of the account that a transfer goes to
};
static_assert(sizeof(GatheredBody) == 128);

struct CarryBody {
    Command command;
    Amount openValue = 0;
    uint32_t schedules = 0;
    uint32_t overflows = 0;
    uint32_t reserved[10] = {};
};
static_assert(sizeof(CarryBody) == 192);

struct RenumberBody {  // then count × NumberedOrder
    uint32_t riskShard = 0;
    uint32_t count = 0;
};
static_assert(sizeof(RenumberBody) == 8);

// ---- reading and writing them

class PayloadWriter {
public:
    PayloadWriter& clear() {
        bytes_.clear();
        return *this;
    }
    template <typename Body>
    PayloadWriter& put(const Body& body) {
        static_assert(std::is_trivially_copyable_v<Body>);
        append(&body, sizeof(Body));
        return *this;
    }
    template <typename Row>
    PayloadWriter& rows(std::span<const Row> all) {
        static_assert(std::is_trivially_copyable_v<Row>);
        append(all.data(), all.size_bytes());
        return *this;
    }
    [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }

private:
    void append(const void* from, size_t size) {
        const auto* const begin = static_cast<const std::byte*>(from);
        bytes_.insert(bytes_.end(), begin, begin + size);
    }
    std::vector<std::byte> bytes_;
};

class PayloadReader {
public:
    explicit PayloadReader(std::span<const std::byte> bytes) : left_(bytes) {}
    template <typename Body>
    [[nodiscard]] bool get(Body& into) {
        static_assert(std::is_trivially_copyable_v<Body>);
        if (left_.size() < sizeof(Body)) return false;
        std::memcpy(static_cast<void*>(&into), left_.data(), sizeof(Body));
        left_ = left_.subspan(sizeof(Body));
        return true;
    }
    template <typename Row>
    [[nodiscard]] bool rows(uint32_t count, std::vector<Row>& into) {
        static_assert(std::is_trivially_copyable_v<Row>);
        const uint64_t size = uint64_t{count} * sizeof(Row);
        if (left_.size() < size) return false;
        into.resize(count);
        if (count != 0) std::memcpy(static_cast<void*>(into.data()), left_.data(), size);
        left_ = left_.subspan(size);
        return true;
    }
    [[nodiscard]] std::span<const std::byte> rest() const { return left_; }
    [[nodiscard]] bool done() const { return left_.empty(); }

private:
    std::span<const std::byte> left_;
};

}  // namespace verbex::roles
