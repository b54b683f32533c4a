// Rules of the roles, broken on purpose, so that tests can show that they would notice.
#pragma once

#include <cstdint>

namespace verbex::roles {

enum class RoleMutant : uint8_t {
    None = 0,
    PublishBeforeMarker = 1,   // events leave before the log says which risk process was lost
    SettlementSkipped = 2,     // who comes back goes on with what it had, without what it missed
    DeadDecisionUsed = 3,      // a decision counts although its process was given up before it came
    MatchOutOfOrder = 4,       // a command is matched before those ahead of it are decided
    RefusalNotJournaled = 5,   // the log does not say which commands the lost process left undecided
    HazardIgnored = 6,         // a decision that looks at the book does not wait for those ahead
    ReleaseBeforeReplicated = 7,  // events leave when the leading sequencer has their entry, whoever else has it
    StaleSequencer = 8,        // who no longer leads keeps its sequencer, and whoever is attached to it
    MarkerForgotten = 9,       // a new leader releases what the last one had refused, and writes no marker
    SnapshotUncommitted = 10,    // a shadow is fed what is in the log, whoever else has it
    SnapshotUnverified = 11,     // whatever a process offers, the sequencer believes
    SnapshotForgetsNumbers = 12,  // a snapshot holds the canonical state, and nothing beside it
    FollowerUncommitted = 13,    // a sequencer that follows replays what is in its log, whoever else has it
    LeaderUncommitted = 14,      // one that leads has its snapshots taken of what is in its log, whoever else has it
    StateUnverified = 15,        // whatever log a sequencer's snapshot is of, it is believed
    StateForgetsEvents = 16,     // a sequencer's snapshot holds none of the events that are kept for clients
};
inline constexpr uint8_t kRoleMutantMax = 6;  // without a pair
inline constexpr uint8_t kPairMutantMax = 9;
inline constexpr uint8_t kSnapshotMutantMax = 12;
inline constexpr uint8_t kStateMutantMax = 16;  // a sequencer's shadow and snapshots

}  // namespace verbex::roles
