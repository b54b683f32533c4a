// Outputs: the events of a member, batch by batch, until they may leave and for who resumes.
//
//      executor ──▶ [ batch | batch | batch | batch ] 
//                   ^ oldest kept    ^ released  ^ executed
//
// Purpose: an executor writes events here long before they are committed; nothing may leave before that.
// Released ones are kept for a while, by position, so that a client goes on where it was, here or at the
// next leader, which has computed the same.
// Owner: Member.
// Thread safety: none.
// Invariants:
//   1. find() hands out released batches only.
//   2. Unreleased batches are never dropped but by truncate(), and while recovering; of the others the
//      newest `keepEvents` events stay at least.
// Requires: batches in order of positions.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "base/hash128.h"
#include "replication/frames.h"
#include "wire/event_writer.h"

namespace verbex::replication {

// The events of one entry of the log.
struct OutputBatch {
    EntryHeader entry;             // without its payload
    Digest128 hash;                // the result behind it
    Digest128 ofEvents;            // the same before the state's hash was folded in
    struct Piece {
        const Event* events = nullptr;
        uint32_t count = 0;
    };
    std::vector<Piece> pieces;     // in order
    uint32_t count = 0;            // of all of them
};

class Outputs final : public EventWriter {
public:
    explicit Outputs(uint32_t keepEvents);
    ~Outputs();

    // ---- executor: beginBatch(), events by claim(), endBatch().
    void beginBatch(const EntryHeader& entry);
    // The events since beginBatch() or the last call, for the digest; stretches(first, count).
    template <typename Visit>
    void fresh(Visit visit) {
        flush();
        for (; seen_ != building_.pieces.size(); seen_++) {
            visit(building_.pieces[seen_].events, size_t{building_.pieces[seen_].count});
        }
    }
    void endBatch(const Digest128& hash, const Digest128& ofEvents);
    // While a log is executed again after a restart: what is old need not wait for its release to be let go.
    void recovering(bool on) { recovering_ = on; }

    // ---- protocol
    void release(Position position);
    [[nodiscard]] Position released() const { return released_; }
    // The result hash behind the batch that ends at `position`. Null: none ends there, or not kept.
    [[nodiscard]] const Digest128* hashAt(Position position) const;
    // Drops what lies behind; never what was released.
    void truncate(Position to);
    // Drops everything: what comes next follows on `released`, up to which all was released elsewhere.
    void restart(Position released);

    // ---- readers
    // The released batch that holds `position`; null where it is not released or not kept any more.
    [[nodiscard]] const OutputBatch* find(Position position) const;
    // Last position of the newest batch, released or not; 0: none is kept.
    [[nodiscard]] Position last() const {
        return batches_.empty() ? 0 : batches_.back().entry.last();
    }
    // First position that find() knows; released() + 1 where it knows none.
    [[nodiscard]] Position oldest() const;
    [[nodiscard]] uint64_t eventsKept() const { return events_; }

private:
    struct Chunk;
    void drain() override;
    void flush();
    void openChunk();
    void trim();
    [[nodiscard]] size_t indexOf(Position position) const;

    const uint32_t keepEvents_;
    std::deque<OutputBatch> batches_;
    std::deque<std::shared_ptr<Chunk>> chunks_;
    std::vector<std::shared_ptr<Chunk>> spare_;
    OutputBatch building_;
    size_t seen_ = 0;
    Event* from_ = nullptr;  // of the piece under way
    uint64_t events_ = 0;
    uint64_t releasedEvents_ = 0;
    Position released_ = 0;
    bool recovering_ = false;
};

}  // namespace verbex::replication
