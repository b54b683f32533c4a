// Rebuilds a core from what lies on disk: a snapshot and the journal behind it, or the journal
// alone.
//
// Purpose: one path for the start of a node, for the shadow that verifies snapshots beside a
// running one (so that each snapshot is a rehearsed recovery), and for the offline commands.
// Owner: the caller owns the result.
// Thread safety: one call at a time per core; Storage may be shared.
// Invariants:
//   1. A state is handed out only when its snapshot's bytes, the state hash inside it, the
//      journal's chain and the digest that ties the two together were all found right.
//   2. A damaged snapshot is passed over for the one before it, never in silence
//      (refusedSnapshots).
// Requires: see each function.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/core.h"
#include "journal/recovery.h"
#include "journal/snapshot_file.h"
#include "journal/storage.h"
#include "node/failure.h"
#include "wire/event_digest.h"

namespace verbex::node {

// Runs journaled commands through a core; what they say goes nowhere but through a digest.
class Replay {
public:
    explicit Replay(Core& core, Position upTo = UINT64_MAX,
                    const std::atomic<bool>* abandon = nullptr);

    // The core is this snapshot's: a record that ends under it must carry its digest. Answers where the journal is
    // to be read from, so that this record comes by where there is one of this journal.
    Position follow(const journal::SnapshotFacts& facts);
    // Events of commands behind `position` pass the digest, which begins as `from`.
    void digestAfter(Position position, const Digest128& from);

    // Hands out the events of commands behind `position`, each with its index within its position.
    using EventSink = std::function<void(const Event& event, uint32_t index)>;
    void tellAfter(Position position, EventSink sink);

    // Applies the record's commands that lie behind the core's position, up to upTo.
    Status take(const journal::RecordView& record);

    [[nodiscard]] Digest128 digest() const { return events_.digest.value(); }
    [[nodiscard]] uint64_t applied() const { return applied_; }

private:
    class Events final : public EventWriter {
    public:
        Events();
        ~Events() = default;
        void flush();
        EventDigest digest;
        bool digesting = false;
        EventSink sink;
        bool telling = false;
        uint32_t index = 0;  // of the next event within its position

    private:
        static constexpr size_t kCells = 64;
        void drain() override { flush(); }
        std::unique_ptr<Event[]> cells_;
    };

    Core& core_;
    const Position upTo_;
    const std::atomic<bool>* abandon_;
    Events events_;
    // Brings close what the next of commands_ will touch.
    void warmFrom(size_t first);

    std::vector<Command> commands_;
    Position digestAfter_ = UINT64_MAX;
    Position tellAfter_ = UINT64_MAX;
    Position expectedPosition_ = 0;
    Digest128 expectedDigest_;
    uint64_t applied_ = 0;
};

struct SnapshotState {
    std::unique_ptr<Core> core;          // a fresh one where there was no snapshot to use
    journal::SnapshotFacts facts;        // position 0 then
    Position newestListed = 0;           // damaged ones too: the journal must reach that far
    std::vector<std::string> refused;    // one line for each damaged snapshot that was passed over
};

// It names no journal: taken by somebody else, or behind what was had from elsewhere. The journal here begins behind
// it, or goes over it later.
[[nodiscard]] inline bool isAnothers(const journal::SnapshotFacts& facts) {
    return facts.position != 0 && facts.journalId == journal::JournalId{};
}

// Loads one snapshot into a core and checks everything about it.
Result<std::unique_ptr<Core>> loadSnapshot(journal::Storage& storage, const std::string& data,
                                           const std::string& name, const CoreLimits& limits,
                                           journal::SnapshotFacts& facts,
                                           const CoreShards& shards = {});

// The newest good snapshot at or before `upTo`. Needs no lock.
Result<SnapshotState> loadNewestState(journal::Storage& storage, const std::string& data,
                                      const CoreLimits& limits, Position upTo,
                                      const CoreShards& shards = {});

// The limits that the snapshots of a member name: its directory has no facts. None: there are no such snapshots.
Result<std::optional<CoreLimits>> memberLimits(journal::Storage& storage, const std::string& data);

// Oldest: as far back as the directory reaches: from the first command where the journal begins there, else from the
// oldest good snapshot that the journal follows on.
enum class StateSource : uint8_t { Newest, Genesis, Oldest };

struct RecoveredState {
    Failure failure;
    std::unique_ptr<Core> core;
    Position snapshotPosition = 0;
    uint64_t replayed = 0;
    uint64_t elapsedNs = 0;
    journal::RecoveryReport journal;
    std::vector<std::string> refusedSnapshots;
};

// With the lock of the data directory: as at the start of a node, a torn tail is cut off. Without
// (nullptr): reads only, and no node may run meanwhile.
RecoveredState recoverState(journal::Storage& storage, const journal::DirectoryLock* lock,
                            const std::string& data, const CoreLimits& limits, Position upTo,
                            StateSource source,
                            std::optional<journal::JournalId> journalId = std::nullopt,
                            const CoreShards& shards = {});

}  // namespace verbex::node
