// Requests: may this user do that, and which command is it?
//
// Purpose: the rules of who may do what, apart from sessions and streams.
// Owner: nobody; functions over the directory and a user's rights.
// Thread safety: the gateway's thread.
// Invariants:
//   1. A command comes out only where every account that it names lies in the user's subtree.
//   2. An account outside is refused as one that does not exist is: nothing is told about it.
//   3. What the core would decide is left to the core; names that it could not be told are refused here.
// Requires: nothing.
#pragma once

#include <cstdint>
#include <string_view>

#include "gateway/clearing/clearing.h"
#include "gateway/directory.h"
#include "wire/command.h"

namespace verbex::gateway::clearing {

inline constexpr uint32_t kNoAccount = UINT32_MAX;

// What a session may touch.
struct Authority {
    uint32_t root = kNoAccount;  // kNoAccount: its account does not exist yet
    bool mayAdminister = false;
};

// 0, or the reason for which it is refused. `command` is all zeros before; its token is the caller's.
uint16_t toCommand(const Directory&, const Authority&, const Deposit&, Command& command);
uint16_t toCommand(const Directory&, const Authority&, const Withdraw&, Command& command);
uint16_t toCommand(const Directory&, const Authority&, const Transfer&, Command& command);
uint16_t toCommand(const Directory&, const Authority&, const SetLimit&, Command& command);
uint16_t toCommand(const Directory&, const Authority&, const SetRights&, Command& command);
uint16_t toCommand(const Directory&, const Authority&, const SetInstrumentRight&, Command& command);
uint16_t toCommand(const Directory&, const Authority&, const KillSwitch&, Command& command);
uint16_t toCommand(const Directory&, const Authority&, const MassCancel&, Command& command);

// The account of this name, where the authority reaches it; kNoAccount otherwise.
[[nodiscard]] uint32_t accountWithin(const Directory&, const Authority&, const Name& name);

// Of a limit: instrument, asset or none, as the kind says.
[[nodiscard]] Name subjectName(const Directory&, LimitKind kind, uint32_t subject);

}  // namespace verbex::gateway::clearing
