// What members say to each other, and to clients and edges: fixed headers, little endian, then a payload.
//
// Purpose: the bytes, and nothing else. docs/replication.md states them for others.
// Owner: pure functions over the caller's memory.
// Thread safety: pure.
// Invariants:
//   1. read() takes exactly what write() made: kind, size and payload length agree, or it answers false.
//   2. Every frame between members carries the sender's epoch: what it leads, or has promised.
// Requires: frames of at most kFrameBytesMax.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>
#include <vector>

#include "base/hash128.h"
#include "replication/configuration.h"
#include "wire/command.h"

namespace verbex::replication {

inline constexpr uint32_t kFrameBytesMax = 192u << 10;
// Of an entry, or of a part of a batch's events.
inline constexpr uint32_t kBatchBytesMax = 128u << 10;
inline constexpr uint32_t kEpochEndsMax = 4096;

enum class FrameKind : uint8_t {
    None = 0,
    Append = 1,    // leader or candidate → member: an entry, or none (heartbeat)
    Ack = 2,       // member → leader or candidate
    State = 3,     // member → leader or candidate: its log; the answer to Fence, and to what does not fit
    Fence = 4,     // candidate → member
    Truncate = 5,  // leader or candidate → member
    Fetch = 6,     // candidate → the member with the longest log
    Entry = 7,     // its answer
    Offer = 8,     // leader or candidate → a member whose log ends before the sender's begins; answers Fetch too
    Want = 9,      // its answer: parts of the snapshot
    Part = 10,     // its answer
    PreVote = 11,  // who would take over → member of the sync set: would you follow me?
    PreVoted = 12,  // its answer
    Submit = 16,     // client → leader: commands
    Submitted = 17,  // its answer
    Subscribe = 18,  // client → member: from a position on
    Events = 19,     // member → client: events of a batch, or a part of them
    Entries = 20,    // member → edge: a released entry and the result hash behind it
    Refused = 21,    // member → client: the subscription ends
};

struct FrameHeader {
    FrameKind kind = FrameKind::None;
    uint8_t flags = 0;
    uint16_t reserved = 0;
    MemberId from = 0;  // a client: 0
    Epoch epoch = 0;
};
static_assert(sizeof(FrameHeader) == 16);

// An entry as it travels; its payload follows the frame's header.
struct EntryHeader {
    Epoch epoch = 0;          // the entry's own
    Position first = 0;
    uint32_t count = 0;       // 0: none
    uint32_t payloadBytes = 0;
    uint32_t payloadCrc = 0;
    uint32_t reserved = 0;
    [[nodiscard]] Position last() const { return first + count - 1; }
};
static_assert(sizeof(EntryHeader) == 32);

// The leader wants `header.reserved` to take over at once.
inline constexpr uint8_t kAppendYield = 1;
struct AppendFrame {
    static constexpr FrameKind kKind = FrameKind::Append;
    FrameHeader header;
    uint64_t revision = 0;     // of the configuration that the leader knows
    Epoch previousEpoch = 0;   // of the entry that ends at entry.first - 1; 0 at the log's beginning
    EntryHeader entry;         // heartbeat: first is the position behind the last one sent
    Position commit = 0;
    Position released = 0;
    Digest128 releasedHash;    // the voted result there
};
static_assert(sizeof(AppendFrame) == 96);

// Says what the member's result is; the position may not be stored.
inline constexpr uint8_t kAckResultOnly = 1;
struct AckFrame {
    static constexpr FrameKind kKind = FrameKind::Ack;
    FrameHeader header;
    Incarnation incarnation = 0;
    Position position = 0;  // stored and executed
    Digest128 hash;         // the result there
    Position last = 0;      // taken, perhaps not stored
};
static_assert(sizeof(AckFrame) == 56);

// Where an epoch's entries end in a log.
struct EpochEnd {
    Epoch epoch = 0;
    Position last = 0;
    friend bool operator==(const EpochEnd&, const EpochEnd&) = default;
};

inline constexpr uint8_t kStateFenced = 1;  // answers Fence: promised, and nothing older is taken
// Its log is in no record that it knows: a leader that has released the position with that result says so, by a
// heartbeat that ends there.
inline constexpr uint8_t kStateOrphaned = 2;
struct StateFrame {                          // payload: ends × EpochEnd, rising
    static constexpr FrameKind kKind = FrameKind::State;
    FrameHeader header;  // epoch: promised
    Incarnation incarnation = 0;
    Position acknowledged = 0;
    Digest128 hash;      // the result there
    Position commit = 0;
    uint32_t ends = 0;
    uint32_t reserved = 0;
};
static_assert(sizeof(StateFrame) == 64);

struct FenceFrame {
    static constexpr FrameKind kKind = FrameKind::Fence;
    FrameHeader header;
    uint64_t revision = 0;
};
static_assert(sizeof(FenceFrame) == 24);

struct TruncateFrame {
    static constexpr FrameKind kKind = FrameKind::Truncate;
    FrameHeader header;
    Position to = 0;      // the last one that stays
    Epoch toEpoch = 0;
    Epoch nextEpoch = 0;  // of the sender's entry behind it; 0: there is none
};
static_assert(sizeof(TruncateFrame) == 40);

struct FetchFrame {
    static constexpr FrameKind kKind = FrameKind::Fetch;
    FrameHeader header;
    Position from = 0;
};
static_assert(sizeof(FetchFrame) == 24);

struct EntryFrame {  // payload: the entry's
    static constexpr FrameKind kKind = FrameKind::Entry;
    FrameHeader header;
    Epoch previousEpoch = 0;
    EntryHeader entry;
};
static_assert(sizeof(EntryFrame) == 56);

// Answers a candidate's Fetch of what the sender's log does not keep.
inline constexpr uint8_t kOfferFetched = 1;
struct OfferFrame {  // payload: ends × EpochEnd, rising, up to the position
    static constexpr FrameKind kKind = FrameKind::Offer;
    FrameHeader header;
    Position position = 0;        // of the snapshot
    Epoch positionEpoch = 0;      // of the entry that ends there
    uint64_t contentBytes = 0;
    Digest128 contentDigest;
    Digest128 stateHash;          // of the core
    Digest128 hash;               // the result there
    uint32_t ends = 0;
    uint32_t reserved = 0;
};
static_assert(sizeof(OfferFrame) == 96);

// Flag of a Want of position 0: the oldest snapshot that the log follows on, not the newest.
inline constexpr uint8_t kWantOldest = 1;
struct WantFrame {
    static constexpr FrameKind kKind = FrameKind::Want;
    FrameHeader header;
    Position position = 0;
    uint64_t offset = 0;          // of the content; all before it is here
};
static_assert(sizeof(WantFrame) == 32);

struct PartFrame {  // payload: bytes of the content
    static constexpr FrameKind kKind = FrameKind::Part;
    FrameHeader header;
    Position position = 0;
    uint64_t offset = 0;
    uint32_t bytes = 0;
    uint32_t crc = 0;             // of the payload
};
static_assert(sizeof(PartFrame) == 40);

// Asked before an epoch is reserved, which would depose a leader. The answer promises nothing.
struct PreVoteFrame {
    static constexpr FrameKind kKind = FrameKind::PreVote;
    FrameHeader header;
    uint64_t question = 0;  // names it; later ones are higher
    uint64_t revision = 0;  // of the configuration that the asker knows
};
static_assert(sizeof(PreVoteFrame) == 32);

inline constexpr uint8_t kPreVotedYes = 1;
struct PreVotedFrame {
    static constexpr FrameKind kKind = FrameKind::PreVoted;
    FrameHeader header;
    uint64_t question = 0;
    uint64_t revision = 0;  // of the configuration that this member knows
    Incarnation incarnation = 0;
};
static_assert(sizeof(PreVotedFrame) == 40);

// A bridge's: the payload is an EntryHeader and the entry's payload, or nothing, to hear what is next.
inline constexpr uint8_t kSubmitEntry = 1;
// Between the two: the result behind the entry at the other site, 16 bytes; 0 where it is not known.
inline constexpr uint8_t kSubmitResult = 2;
struct SubmitFrame {  // payload: count commands, as in the journal
    static constexpr FrameKind kKind = FrameKind::Submit;
    FrameHeader header;
    uint64_t sequence = 0;  // the client's, echoed
    uint32_t count = 0;
    uint32_t payloadBytes = 0;
};
static_assert(sizeof(SubmitFrame) == 32);

// Why a member does not take what a client wants.
enum class Answered : uint8_t {
    Taken = 0,
    NotLeader = 1,      // ask `leader`, if it is not 0
    Busy = 2,           // no room now: again later
    Malformed = 3,
    PositionLost = 4,   // not kept any more, or not there yet
    Halted = 5,         // diverged, below minSync, or the site is switched off
    Standby = 7,        // the other site is the active one; 6 is not used
    Differs = 8,        // a bridge's entry, or the result behind it, is not what this log has there
};

struct SubmittedFrame {
    static constexpr FrameKind kKind = FrameKind::Submitted;
    FrameHeader header;
    uint64_t sequence = 0;
    uint32_t taken = 0;  // the first so many commands will be in the log if this leader stays
    Answered answer = Answered::Taken;
    uint8_t reserved[3] = {};
    MemberId leader = 0;
    uint32_t reserved2 = 0;
    Position next = 0;   // behind the end of the log
};
static_assert(sizeof(SubmittedFrame) == 48);

inline constexpr uint8_t kSubscribeEntries = 1;  // Entries instead of Events
struct SubscribeFrame {
    static constexpr FrameKind kKind = FrameKind::Subscribe;
    FrameHeader header;
    Position from = 0;        // the first wanted; 0: from what comes next
    uint32_t accountFirst = 0;  // only events that concern one of these accounts; 0, 0: all
    uint32_t accountLast = 0;
};
static_assert(sizeof(SubscribeFrame) == 32);

inline constexpr uint8_t kEventsMore = 1;  // the batch goes on in the next frame
struct EventsFrame {  // payload: count events
    static constexpr FrameKind kKind = FrameKind::Events;
    FrameHeader header;  // epoch: the entry's
    Position first = 0;
    Position last = 0;
    uint32_t count = 0;
    uint32_t index = 0;  // of the first event of this frame within the batch, unfiltered
};
static_assert(sizeof(EventsFrame) == 40);

// The first one of a subscription has no entry: its `first` is the position behind what is released, its
// `header.reserved` that of the Subscribe frame. What comes before it is an earlier subscription's.
struct EntriesFrame {  // payload: the entry's
    static constexpr FrameKind kKind = FrameKind::Entries;
    FrameHeader header;
    EntryHeader entry;
    Digest128 hash;      // the voted result behind it
    Digest128 ofEvents;  // the same before the state's hash was folded in (the scrub)
};
static_assert(sizeof(EntriesFrame) == 80);

struct RefusedFrame {
    static constexpr FrameKind kKind = FrameKind::Refused;
    FrameHeader header;
    Position resume = 0;  // where the subscription may go on
    Answered why = Answered::NotLeader;
    uint8_t reserved[3] = {};
    MemberId leader = 0;
};
static_assert(sizeof(RefusedFrame) == 32);

[[nodiscard]] FrameKind kindOf(std::span<const std::byte> frame);

// Frames without a payload, and the heads of those with one.
template <typename Frame>
[[nodiscard]] bool readHead(std::span<const std::byte> bytes, Frame& into,
                            std::span<const std::byte>& payload) {
    static_assert(std::is_trivially_copyable_v<Frame>);
    if (bytes.size() < sizeof(Frame)) return false;
    std::memcpy(static_cast<void*>(&into), bytes.data(), sizeof(Frame));
    payload = bytes.subspan(sizeof(Frame));
    return into.header.kind == Frame::kKind;
}

template <typename Frame>
[[nodiscard]] bool readFrame(std::span<const std::byte> bytes, Frame& into) {
    std::span<const std::byte> rest;
    return readHead(bytes, into, rest) && rest.empty();
}

// A frame's bytes, in memory that is used again and again.
class FrameBuffer {
public:
    template <typename Frame>
    std::span<const std::byte> make(Frame frame, std::span<const std::byte> payload = {}) {
        frame.header.kind = Frame::kKind;
        bytes_.resize(sizeof(Frame) + payload.size());
        std::memcpy(bytes_.data(), static_cast<const void*>(&frame), sizeof(Frame));
        if (!payload.empty()) {
            std::memcpy(bytes_.data() + sizeof(Frame), payload.data(), payload.size());
        }
        return bytes_;
    }

private:
    std::vector<std::byte> bytes_;
};

}  // namespace verbex::replication
