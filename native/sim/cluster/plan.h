// ClusterPlan: what one simulated run is like: how large, how bad, which faults there are at all.
//
// Purpose: drawn from the seed, so that runs differ from one another far more than one set of rates would
// make them ("swarm testing": Groce, Zhang, Eide, Chen, Regehr, 2012): a fault that is off lets others
// show what it would hide.
// Owner: a value.
// Thread safety: a value.
// Invariants:
//   1. Follows from seed, number of commands and mutant only.
// Requires: nothing.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "replication/mutants.h"

namespace verbex::sim {

enum class Fault : uint8_t {
    Crash,          // a process ends; what it wrote stays
    CrashLeader,    // the one that leads, at any time
    CrashNewLeader, // soon after it has begun to lead
    PowerCut,       // a machine stops: what was not synced may be lost
    PowerCutAll,    // all of them, as when a building's power fails
    Pause,          // SIGSTOP: frames pile up and are delivered late
    Isolate,        // a member from all others, not from the control store
    IsolateLeader,  // the leader, from members, perhaps from the control store
    CutOneWay,      // frames from one to another, not back
    Split,          // two halves
    Bridge,         // two halves and one member that hears both
    Flap,           // a link that comes and goes
    StoreAway,      // the control store answers nobody
    StoreAwayFrom,  // … or not one member
    SlowDisk,
    DiskFails,      // EIO or ENOSPC at one of the next calls
    DiskStops,      // the process or machine stops in the midst of one of the next calls
    Replace,        // the machine is gone: another one with an empty disk under the same id
    Restart,        // in order: closed and opened
    Promote,        // an operator hands leadership over
    ClockJump,
    Disconnect,     // a client's connection breaks
    FlipState,      // a bit in the state of one member
    FlipResult,     // a bit in one of its events
    StoreOnly,      // a member that follows reaches the control store and nobody else, for long
    HearsFew,       // … hears some of the others only, and they it
    LeaderDeaf,     // the leader is heard, and hears nobody, perhaps not the control store
    LeaderUnheard,  // … hears everybody, and is heard by nobody
    LoseQuorum,     // so many copies at once that nobody can take over: an operator has to force somebody
};
inline constexpr size_t kFaults = 29;
[[nodiscard]] const char* faultName(Fault fault);

struct ClusterPlan {
    uint32_t members = 3;
    uint32_t hot = 2;
    bool durable = false;
    uint32_t minSync = 1;
    uint32_t traders = 3;
    uint32_t watchers = 1;
    uint32_t commands = 200;
    uint64_t faultsForNs = 0;  // then everything is healed

    // Delays are drawn from [least, least + spread]; rates are so many in a million.
    uint64_t delayNs = 0;
    uint64_t delaySpreadNs = 0;
    uint32_t lossRate = 0;
    uint32_t doubleRate = 0;
    uint32_t lateRate = 0;     // overtaken by others
    uint32_t flipRate = 0;     // a bit of an entry's payload
    uint32_t noRoomRate = 0;   // send() says no
    bool wiresFence = false;   // Wires::fence() loses what is under way; else the protocol has to bear it
    uint32_t clientWindow = 0;  // frames under way to one client

    uint64_t syncNs = 0;
    uint64_t syncSpreadNs = 0;
    uint64_t storeNs = 0;
    uint64_t storeSpreadNs = 0;
    uint32_t storeLostRate = 0;   // an answer is Unknown
    uint32_t storeLateRate = 0;   // … and the request takes effect after that
    uint32_t storeDeafRate = 0;   // a change is not told

    uint64_t earlier = 0;  // a bit a member, by its id: of a release that does not ask before it reserves

    // How long nobody can take over until an operator forces a member; 0: nobody does, and the run ends there.
    uint64_t forceAfterNs = 0;

    // When everything burns but a copy of one member, and when that was made; 0: nothing does.
    uint64_t burnAtNs = 0;
    uint64_t copyAtNs = 0;

    bool clocksDiffer = false;
    uint32_t batchBytes = 0;
    uint32_t windowCommands = 0;
    uint32_t sendAheadBytes = 0;
    uint64_t segmentBytes = 0;
    uint64_t tailBytes = 0;
    uint32_t snapshotEvery = 0;  // commands; 0: none is due by them
    uint64_t snapshotBytes = 0;  // of the log; 0: none is due by them
    uint64_t historyBytes = 0;   // that stay of the log
    uint32_t partBytes = 0;      // of one that another member is given
    bool damagesSnapshots = false;  // the newest one, while the process is down and there is another
    uint64_t snapshotNs = 0;     // until one that is wanted is taken

    std::array<uint64_t, kFaults> everyNs = {};  // on average; 0: never

    [[nodiscard]] uint64_t& every(Fault fault) { return everyNs[static_cast<size_t>(fault)]; }
    [[nodiscard]] bool has(Fault fault) const { return everyNs[static_cast<size_t>(fault)] != 0; }

    static ClusterPlan draw(uint64_t seed, uint32_t commands, replication::Mutant mutant);
    [[nodiscard]] std::string text() const;
};

}  // namespace verbex::sim
