// ControlStore: where the configuration lies, and who decides which change came first.
//
// Purpose: read and compare-and-swap, asked now and answered later, over etcd, a file, or a simulated store.
// It is never a lock and never a timer. While it is away a cluster goes on serving; it only can't change.
// Owner: the surroundings; a member asks through it.
// Thread safety: the member's thread.
// Invariants:
//   1. Revisions rise with each change; 0 means that there is no record yet.
//   2. A swap takes effect at most once, and only if the record's revision was `expected`.
//   3. Each request is answered at most once; Unknown says that it may or may not have taken effect.
// Requires: poll() until it says false.
#pragma once

#include <cstdint>
#include <string>

namespace verbex::replication {

struct ControlRecord {
    uint64_t revision = 0;
    std::string text;
};

struct ControlAnswer {
    enum class Kind : uint8_t {
        Read,      // record: what there is
        Swapped,   // record: what was written, and its revision
        Conflict,  // record: what there is instead, if known (else revision 0)
        Unknown,   // away, too late, lost
        Changed,   // not asked for: somebody has changed it; record: what there is
    };
    Kind kind = Kind::Unknown;
    uint64_t request = 0;  // 0: not asked for
    ControlRecord record;
};

class ControlStore {
public:
    virtual void read(uint64_t request) = 0;
    virtual void compareAndSwap(uint64_t request, uint64_t expected, const std::string& text) = 0;
    // The next answer; false: none yet.
    virtual bool poll(ControlAnswer& answer) = 0;

protected:
    ~ControlStore() = default;
};

}  // namespace verbex::replication
