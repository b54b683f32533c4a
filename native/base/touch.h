// touch(): brings a cache line close before it is needed.
//
// Purpose: a core that applies commands one by one waits for memory at every new line: client id table,
// order, balance, level. A batch is known ahead, so its lines can be asked for together, and the waits
// overlap. These are loads, not prefetch hints: under the hypervisors that we measured on, hints had no
// effect at all where the page was not in the TLB (docs/decisions/touch-not-prefetch.md).
// Requires: the address may be read.
#pragma once

namespace verbex {

inline void touch(const void* address) {
    (void)*static_cast<const volatile unsigned char*>(address);
}

}  // namespace verbex
