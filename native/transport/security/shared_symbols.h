// Functions of a shared library that is looked for at run time.
//
// Purpose: one binary loads everywhere. What it would like to call is named here and found when it
// runs: first among what the process exports already (Node carries OpenSSL within itself), then in
// the library's file.
// Owner: whoever holds the slots that are filled. A library once opened is never closed: its own
// exit handlers and threads' leftovers would outlive it.
// Thread safety: resolve() may be called from any thread; the slots belong to the caller.
// Invariants:
//   1. All or nothing: after a failure every slot is null.
//   2. All slots of one call come from one place: from one object of the process, or from the one
//      file. Two copies of a library in one process share no state, and an object made by one
//      must never meet a function of the other.
// Requires: slots of function pointers whose declared types are those of the library.
#pragma once

#include <functional>
#include <span>
#include <string>

#include "base/status.h"

namespace verbex::transport {

struct SymbolSlot {
    const char* name;
    void* slot;  // where the function pointer is stored
};

class SharedSymbols {
public:
    // Asked once the slots are filled, for instance which version this is. A refusal sends the
    // search on to the next place.
    using Acceptable = std::function<Status()>;

    // `groups` are looked up together: each must come from one object, and all from the process or
    // all from `file` (with what that file depends on).
    static Status resolve(std::span<const std::span<const SymbolSlot>> groups, const char* file,
                          const Acceptable& acceptable);
};

}  // namespace verbex::transport
