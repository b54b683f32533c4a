// Whether two processes can share memory, as a number that both can send.
//
// Purpose: HELLO carries it; shm is only chosen where both sides' are equal.
// Owner: nobody. Thread safety: any thread.
// Invariants:
//   1. Equal only within one boot of one kernel and one IPC and one mount namespace: containers of
//      one host that see different files are different hosts.
//   2. Where something of it cannot be found out it is all zero, which equals nothing.
// Requires: /proc.
#pragma once

#include <string>

#include "transport/setup/handshake_messages.h"

namespace verbex::transport {

HostId thisHostId(const std::string& proc = "/proc");

}  // namespace verbex::transport
