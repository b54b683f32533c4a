// MessageStore: every sequenced message of every session, and every message that came in, in one log.
//
//     segment ┌────────┬────────┬────────┬────────┬──────────
//             │ in  s3 │ out s3 │ out s7 │ out s3 │ …             s: session
//             └────────┴───┬────┴────────┴───▲────┴──────────
//                          └── next of s3 ───┘
//
// Purpose: a reconnecting client gets exactly what it missed; a restarted gateway knows what its clients were
// told, up to which event, and what they had sent; an operator can follow a message to its journal position.
// A record is framed as it goes onto the wire, so sending is a writev from here.
// Owner: the gateway.
// Thread safety: the gateway's thread.
// Invariants:
//   1. Sequence numbers of a session's day are 1, 2, 3 … without gaps.
//   2. A record is visible when it is whole: a process killed at any moment leaves a log that ends behind a
//      whole record (mapped memory survives it; checksums find what a power cut tore).
//   3. append() allocates nothing and makes no system call, but once a segment part (kPrefaultBytes).
//   4. After a stop of the machine without close(), what was told to clients may be lost. Then the
//      generation goes up, which changes the session's name: a client can't mistake the new numbers for
//      the old ones.
//   5. Memory is bounded: segments are mapped, the page cache is the kernel's; the index is 8 bytes per
//      kIndexEvery messages.
// Requires: one store per directory.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "base/status.h"
#include "gateway/event_router.h"
#include "session/session_server.h"

namespace verbex::gateway {

enum class RecordKind : uint8_t {
    In = 1,   // a message as it came, once it was entered (or answered by the gateway itself)
    Out = 2,  // a sequenced message
    Day = 3,  // a new day began here: all sessions start again at 1
};

struct StoredRecord {
    RecordKind kind;
    uint16_t session;   // 0 for Day
    uint32_t sequence;  // Out: from 1. In: the reference that its command carries
    EventPlace place;   // Out: the event that caused it; {p, kOwnIndex}: the gateway's own, after position p
                        // In: the last event delivered before it. Day: {the day's position, 0}
    uint64_t timeNs;    // the core's time, since 1970
    std::span<const std::byte> message;  // payload, without the frame
};

// EventPlace::index of messages that no event caused.
inline constexpr uint32_t kOwnIndex = UINT32_MAX;

struct MessageStoreOptions {
    std::string directory;              // "": memory only; ends with the process
    uint64_t segmentBytes = 64u << 20;
    uint64_t keepBytes = 8ull << 30;    // older segments of past days are removed above it; 0: none are
    uint16_t sessionsMax = 4096;        // highest session number
    Position startPosition = 0;         // of a new store: the day began here
    // Several gateways write about one event, each with a last message of its own, so that only a record behind
    // them says that all have: after anything but close() the last event is not delivered(), its messages
    // are dropped, and are made again, the same, when it is delivered again.
    bool eventsShared = false;
    std::string bootId;                 // "": the machine's own; tests say another
    uint64_t salt = 0;                  // of new segments' checksums; 0: drawn; tests say it
};

class MessageStore {
public:
    // Opens or creates; calls `visit` for every record of the current day, in order.
    static Result<std::unique_ptr<MessageStore>> open(
        const MessageStoreOptions& options, const std::function<void(const StoredRecord&)>& visit);
    virtual ~MessageStore() = default;

    // Every record of the current day again, in order.
    virtual void visitDay(const std::function<void(const StoredRecord&)>& visit) const = 0;

    // Room for a payload of so many bytes, zeroed, behind a frame header that the store writes. nullptr: the
    // disk is full or failed (status()); nothing more is taken after that.
    virtual std::byte* claimOut(uint16_t session, size_t payloadBytes, const EventPlace& place,
                                uint64_t timeNs) = 0;
    // Of the last claim. `last`: the last message that its event causes. Recovery drops a tail of messages
    // whose event is not complete: they were never sent, and are made again when it is delivered again.
    virtual void commit(bool last) = 0;
    virtual Status appendIn(uint16_t session, uint32_t reference, uint64_t timeNs,
                            std::span<const std::byte> message) = 0;
    // All sessions begin again at 1.
    virtual Status beginDay(Position position) = 0;

    // A session's messages as the session server sends them; lives as long as the store.
    [[nodiscard]] virtual session::Outbound& outbound(uint16_t session) = 0;
    // The cursor at message `sequence` (1 … next); false where it is not there any more or not yet. A cursor
    // at the end stands behind the last message sent and goes on with what is appended; {0, 0} stands before
    // the day's first message. A cursor belongs to its day: it never goes on into the next one.
    [[nodiscard]] virtual bool seek(uint16_t session, uint32_t sequence,
                                    session::OutboundCursor& cursor) = 0;
    [[nodiscard]] virtual uint32_t nextSequence(uint16_t session) const = 0;
    // The position at which the day began, and the session name made of it: nine hexadecimal digits and a
    // letter for the generation.
    [[nodiscard]] virtual Position dayStart() const = 0;
    [[nodiscard]] virtual session::SessionName sessionName() const = 0;
    // The last event whose messages are stored, all of them: events behind it are to be delivered again. Of a
    // new store: {startPosition, kOwnIndex}. Messages at kOwnIndex don't move it.
    // noteDelivered() moves it where an event caused no message; it is written with the next record.
    [[nodiscard]] virtual EventPlace delivered() const = 0;
    virtual void noteDelivered(const EventPlace& place) = 0;

    // Makes everything durable; not on the hot path.
    virtual Status sync() = 0;
    // Marks a clean end.
    virtual Status close() = 0;
    [[nodiscard]] virtual Status status() const = 0;
    [[nodiscard]] virtual uint64_t bytes() const = 0;  // written in this process
};

}  // namespace verbex::gateway
