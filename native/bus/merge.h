// Several sources made one: the same stream over two lines, or different streams in an agreed
// order.
//
// Purpose: LineArbiter takes each position from whichever line brings it first. OrderedMerge puts
// messages of several sources into the one order that a deciding node has recorded (OrderRecorder)
// and publishes as a stream of its own, so that all replicas see the same.
//
//     A ──▶ ┐                                 source 0 ──▶ [ waits ] ──┐
//           ├ first of each position ──▶      source 1 ──▶ [ waits ] ──┼─▶ the order's next ──▶
//     B ──▶ ┘                                 order  ──▶ [ 0×3, 1×1 … ]┘
//
// Owner: one agent.
// Thread safety: none. No clock: time is an argument.
// Invariants:
//   1. What comes out depends on what the sources and the order contain, never on when it arrived.
//   2. Nothing is ever skipped: what is missing for waitNs is reported, with its position, as long
//      as it is missing; LineArbiter::skipTo is the caller's word.
//   3. Memory is fixed by the options. What has no room is not taken, and is to be pushed again.
// Requires: each source's positions without gap in OrderedMerge (a Subscription gives that).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "bus/bus.h"
#include "bus/history.h"

namespace verbex::bus {

struct LineArbiterOptions {
    Position first = 1;
    uint32_t lines = 2;
    uint32_t ahead = 1024;       // positions that may wait for an earlier one; a power of two
    uint32_t payloadMax = 1024;  // memory: ahead × payloadMax
    Nanoseconds waitNs = 5'000'000;
};

struct Gap {
    Position from;
    Position to;  // inclusive
};

struct LineArbiterCounters {
    std::vector<uint64_t> first;  // by line: positions that it brought first
    uint64_t duplicates = 0;
    uint64_t skipped = 0;
    uint64_t oversized = 0;
};

class LineArbiter {
public:
    LineArbiter(const LineArbiterOptions& options, StreamReceiver& receiver);

    // False: not taken, push it again later: too far ahead, or the receiver does not take it.
    bool push(uint32_t line, const StreamMessage& message, Nanoseconds now);
    // Hands over what has waited. A gap that no line has filled for waitNs.
    std::optional<Gap> poll(Nanoseconds now);
    // The loss is accepted: goes on with this position. Never goes back.
    void skipTo(Position position, Nanoseconds now);

    [[nodiscard]] Position next() const { return next_; }
    [[nodiscard]] const LineArbiterCounters& counters() const { return counters_; }

private:
    struct Slot {
        Position position = 0;  // 0: empty
        uint32_t size = 0;
        uint8_t flags = 0;
    };

    [[nodiscard]] size_t slotOf(Position position) const { return position & (slots_.size() - 1); }
    bool refuse(Position position, Nanoseconds now);
    void advance(Nanoseconds now);
    void drain(Nanoseconds now);

    LineArbiterOptions options_;
    StreamReceiver& receiver_;
    LineArbiterCounters counters_;
    std::vector<Slot> slots_;
    std::unique_ptr<std::byte[]> bytes_;
    Position next_;
    size_t waiting_ = 0;
    Position beyond_ = 0;    // the earliest that was not taken for want of room; 0: none
    Nanoseconds since_ = 0;  // next_ is missing while later ones are there
};

// What the deciding node has seen: `count` messages of one source, then the next entry.
struct OrderEntry {
    uint32_t source;
    uint32_t count;
};
static_assert(sizeof(OrderEntry) == 8 && offsetof(OrderEntry, count) == 4);

// Collects arrivals at the deciding node; a batch is the payload of one message of the order.
class OrderRecorder {
public:
    explicit OrderRecorder(size_t entriesMax = 512);

    // False: the batch is full, publish it first. The message is not to be taken yet.
    bool note(uint32_t source) {
        if (entries_.empty() || entries_.back().source != source ||
            entries_.back().count == UINT32_MAX) {
            if (entries_.size() == entriesMax_) return false;
            entries_.push_back({source, 0});
        }
        ++entries_.back().count;
        return true;
    }
    [[nodiscard]] std::span<const std::byte> batch() const {
        return std::as_bytes(std::span(entries_));
    }
    // It was published.
    void clear() { entries_.clear(); }

private:
    size_t entriesMax_;
    std::vector<OrderEntry> entries_;
};

struct OrderedMergeOptions {
    std::vector<Position> first;      // by source: the position that comes first
    Position merged = 1;              // the first position of what comes out
    uint32_t bufferBytes = 1u << 20;  // a source; half of it can wait. A power of two
    uint32_t payloadMax = 1u << 16;   // at most an eighth of the buffer, less 32
    uint32_t entriesMax = 1u << 12;   // of the order that can wait
    Nanoseconds waitNs = 5'000'000;
};

class MergeReceiver {
public:
    // False: not taken; it is delivered again at the next poll.
    virtual bool onMerged(uint32_t source, Position merged, const StreamMessage& message) = 0;

protected:
    ~MergeReceiver() = default;
};

enum class Pushed : uint8_t {
    Taken,
    Full,     // push it again later
    Refused,  // no such source, not the position that is due, too large, or no entries of an order
};

// What is missing.
struct Stalled {
    static constexpr uint32_t kOrder = UINT32_MAX;
    uint32_t source;    // kOrder: sources wait, and the order does not say whose turn it is
    Position position;  // the source's; for the order, the merged one that it does not name
};

class OrderedMerge {
public:
    OrderedMerge(const OrderedMergeOptions& options, MergeReceiver& receiver);

    // A message of the order: one batch of a recorder, all or nothing.
    Pushed pushOrder(std::span<const std::byte> batch);
    Pushed push(uint32_t source, const StreamMessage& message);
    // Delivers at most `limit` messages; how many.
    size_t poll(Nanoseconds now, size_t limit = SIZE_MAX);
    // As of the last poll: what has been missing for waitNs.
    [[nodiscard]] std::optional<Stalled> stalled() const { return stalled_; }

    [[nodiscard]] Position merged() const { return merged_; }  // the next one's
    // The position of a source that is to be pushed next.
    [[nodiscard]] Position expected(uint32_t source) const { return sources_[source].expected; }

private:
    struct Source {
        History waiting;
        Position due;
        Position expected;
        uint64_t cost = 0;
    };

    [[nodiscard]] std::optional<Stalled> missing() const;
    [[nodiscard]] const OrderEntry& head() const { return order_[orderBegin_ % order_.size()]; }
    bool deliver(uint32_t source, const StreamMessage& message);

    OrderedMergeOptions options_;
    MergeReceiver& receiver_;
    std::vector<Source> sources_;
    std::vector<OrderEntry> order_;  // a ring
    uint64_t orderBegin_ = 0;
    uint64_t orderEnd_ = 0;
    uint32_t doneOfHead_ = 0;
    Position merged_;
    Position missingAt_ = 0;  // merged position for which since_ counts
    Nanoseconds since_ = 0;
    std::optional<Stalled> stalled_;
};

}  // namespace verbex::bus
