// FileControl: the control store of a cluster on one machine: a directory of numbered records.
//
//      <directory>/configuration.<revision>   the newest is the record
//
// Purpose: compare-and-swap without a lock that a dead process could hold: a record is written beside, made
// durable, and linked under the next number, which fails where that is taken. `src/cluster` has the
// same in TypeScript; both may be at work in one directory.
// Owner: the surroundings of a member.
// Thread safety: one thread each; any number of processes.
// Invariants:
//   1. A record is whole and durable before its number is there.
//   2. A number is given once, for ever: records are never removed. One that was could be written again
//      by a process that had slept since it read the number before, and that would believe it had won.
// Requires: all on one file system that knows hard links. It is no arbiter between machines.
#pragma once

#include <deque>
#include <string>

#include "base/status.h"
#include "replication/control_store.h"

namespace verbex::node {

class FileControl final : public replication::ControlStore {
public:
    explicit FileControl(std::string directory) : directory_(std::move(directory)) {}

    void read(uint64_t request) override;
    void compareAndSwap(uint64_t request, uint64_t expected, const std::string& text) override;
    bool poll(replication::ControlAnswer& answer) override;

private:
    Status newest(replication::ControlRecord& record);
    Status findHighest();
    Status place(uint64_t revision, const std::string& text, bool& taken);

    const std::string directory_;
    uint64_t highest_ = 0;  // revision, as far as known
    uint64_t synced_ = 0;   // of it, durable
    uint64_t temporaries_ = 0;
    std::deque<replication::ControlAnswer> answers_;
};

}  // namespace verbex::node
