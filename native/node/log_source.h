// LogSource: the log of a market, record by record, from wherever it can still be had.
//
// Purpose: recovery from several sources reads a directory and a running member of a cluster alike.
// Owner: source_recovery.cpp, or a test.
// Thread safety: none.
// Invariants:
//   1. Records follow one another without gaps from first() to last(); last() does not change, whatever
//      is written meanwhile.
//   2. A directory is verified as a whole, its snapshots too, before its first record is handed out, and
//      changed never.
//   3. What was fetched of a member is gone when its source is.
// Requires: the storage outlives it; nobody shortens the directory's journal meanwhile.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/hash128.h"
#include "core/core.h"
#include "journal/snapshot_file.h"
#include "journal/storage.h"
#include "node/data_directory.h"
#include "node/failure.h"
#include "replication/member_address.h"
#include "transport/network.h"
#include "wire/command.h"

namespace verbex::node {

struct LogRecord {
    uint64_t epoch = 0;
    Position first = 0;
    uint32_t count = 0;
    std::span<const std::byte> payload;  // valid until the next next()
    [[nodiscard]] Position last() const { return first + count - 1; }
};

// A snapshot beside a log, whose file was read whole and found right.
struct SourceSnapshot {
    Position position = 0;
    uint64_t epoch = 0;
    Digest128 stateHash;
    std::string name;
};

class LogSource {
public:
    virtual ~LogSource() = default;
    // The next record; `got` is false at the end.
    virtual Failure next(LogRecord& into, bool& got) = 0;
    // The state of one of snapshots().
    virtual Result<std::unique_ptr<Core>> load(const SourceSnapshot& snapshot,
                                               const CoreLimits& limits);
    // All that it holds: of a member's, more than the state.
    virtual Status copy(const SourceSnapshot& snapshot, journal::SnapshotWriter& into);

    [[nodiscard]] const std::string& name() const { return name_; }
    [[nodiscard]] Position first() const { return first_; }  // last() + 1 where it is empty
    [[nodiscard]] Position last() const { return last_; }
    [[nodiscard]] uint64_t tornBytes() const { return tornBytes_; }
    // The oldest first. The log may begin behind one of them.
    [[nodiscard]] const std::vector<SourceSnapshot>& snapshots() const { return snapshots_; }
    // One line for each snapshot that is damaged.
    [[nodiscard]] const std::vector<std::string>& refused() const { return refused_; }
    // What the directory was created with, if that is known; a member's snapshots say it too.
    [[nodiscard]] const std::optional<DirectoryFacts>& facts() const { return facts_; }

protected:
    explicit LogSource(std::string name) : name_(std::move(name)) {}

    const std::string name_;
    Position first_ = 1;
    Position last_ = 0;
    uint64_t tornBytes_ = 0;
    std::vector<SourceSnapshot> snapshots_;
    std::vector<std::string> refused_;
    std::optional<DirectoryFacts> facts_;
};

struct OpenedSource {
    Failure failure;
    std::unique_ptr<LogSource> source;
};

// A data directory, of a node or of a member, or a directory of segments.
OpenedSource openDirectorySource(journal::Storage& storage, const std::string& directory);

struct MemberSourceOptions {
    std::string cluster = "verbex";
    std::vector<std::byte> key;  // the cluster's, if it has one
    uint64_t patienceNs = 5'000'000'000;  // without a word of the member
    // Where a snapshot that has to be fetched lies as long as the source lives; the folder itself goes with it.
    // Empty: none is fetched.
    std::string scratch;
};
// What a running member has released. Where its log was pruned: the oldest sound snapshot that it follows on, and it.
// POSITION_LOST: it prunes faster than it is read; SNAPSHOT_DAMAGED, TIMED_OUT: its snapshots do not come.
OpenedSource openMemberSource(journal::Storage& storage, const transport::Address& address,
                              const MemberSourceOptions& options);

}  // namespace verbex::node
