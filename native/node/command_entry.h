// CommandEntry: where commands that are born beside the engine are written, in place.
//
// Purpose: a gateway enters its commands the same way, whether the engine of its process gives them their
// positions or a cluster's leader does.
// Owner: Engine, or ClusterFeed.
// Thread safety: any number of threads.
// Invariants: a claimed cell is zeroed, and entered at once: whoever reads the ring waits at it.
#pragma once

#include "pipeline/ring.h"
#include "wire/command.h"

namespace verbex::node {

class CommandEntry {
public:
    struct CellClaim {
        Command* command = nullptr;  // nullptr: no room, or never again (takesCommands())
        pipeline::Claim claim;
    };
    [[nodiscard]] virtual CellClaim claimCell() = 0;
    virtual void enterCell(const CellClaim& cell) = 0;
    // Whoever reads the ring may sleep on until this.
    virtual void flushCells() = 0;
    [[nodiscard]] virtual bool takesCommands() const = 0;

protected:
    ~CommandEntry() = default;
};

}  // namespace verbex::node
