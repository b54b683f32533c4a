// libibverbs, found at run time, and what stands in the way where it cannot be used.
//
// Purpose: one binary that loads on every machine. Where the library, the kernel's support, a
// device or the permission is missing, the answer says which and what to do about it, and another
// transport is used: none of these is a fault of the program.
// Owner: the process; the library is loaded once and never unloaded, because its providers stay
// registered inside it.
// Thread safety: every function from any thread.
// Invariants:
//   1. This header needs no RDMA header and the binary is linked against no RDMA library.
//   2. Every entry point is asked for by name and version: libibverbs carries the functions of its
//      first interface under the same names, and a plain dlsym may return those.
//   3. ibv_fork_init has been called before anything can be registered, since Node starts child
//      processes; where it failed, no queue is opened.
// Requires: verbs_calls.h to call anything in it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace verbex::transport {

// The functions that were found; only verbs_calls.h knows what is in it.
struct VerbsLibrary;

enum class VerbsObstacle : uint8_t {
    None = 0,
    BuiltWithoutHeaders = 1,
    LibraryMissing = 2,
    NoKernelSupport = 3,
    NoDevice = 4,
    NoPermission = 5,
};

// The stable spelling that reports and the doctor use.
constexpr std::string_view verbsObstacleName(VerbsObstacle obstacle) {
    switch (obstacle) {
        case VerbsObstacle::None: return "NONE";
        case VerbsObstacle::BuiltWithoutHeaders: return "BUILT_WITHOUT_HEADERS";
        case VerbsObstacle::LibraryMissing: return "LIBRARY_MISSING";
        case VerbsObstacle::NoKernelSupport: return "NO_KERNEL_SUPPORT";
        case VerbsObstacle::NoDevice: return "NO_DEVICE";
        case VerbsObstacle::NoPermission: return "NO_PERMISSION";
    }
    return "UNKNOWN";
}

// What is in the way and what to do about it, with what the system said in between.
Status verbsObstacleStatus(VerbsObstacle obstacle, std::string_view detail);

struct VerbsAvailability {
    VerbsObstacle obstacle = VerbsObstacle::None;
    Status status;                     // ok exactly where there is no obstacle
    std::vector<std::string> devices;  // that can be opened, in the system's order
};

inline constexpr const char* kVerbsLibraryName = "libibverbs.so.1";

// Whether this binary was compiled with the RDMA headers.
bool builtWithVerbs();

// Loads the library at the first call; every later call gives the same answer.
Result<const VerbsLibrary*> verbsLibrary();

// Loads another file than the system's library: its answer is not remembered.
Result<const VerbsLibrary*> openVerbsLibrary(const std::string& fileName);

// Looks at the devices now, so a device that was added meanwhile is found.
VerbsAvailability verbsAvailability();
VerbsAvailability verbsAvailability(const Result<const VerbsLibrary*>& library);

}  // namespace verbex::transport
