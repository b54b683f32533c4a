// FloatingEnvironment: the rounding and exception bits of this thread's processor.
//
// Purpose: the core uses no floating point, so a flipped rounding bit shows in no result; but it shows that
// this server's state can't be trusted, as it did in the exchange that this project learned from. So every
// entry looks, and a bit that is not as it should be becomes part of the result that is voted on.
// Owner: a value. Thread safety: each thread has its own.
// Source: Intel SDM vol. 1, 10.2.3 (MXCSR); Arm ARM, FPCR.
#pragma once

#include <cstdint>

namespace verbex::replication {

// The control bits; status bits (what has happened) are left out. 0: as every program starts.
[[nodiscard]] inline uint64_t floatingEnvironment() {
#if defined(__x86_64__)
    uint32_t mxcsr;
    __asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
    return (mxcsr & 0xffc0) ^ 0x1f80;
#elif defined(__aarch64__)
    uint64_t fpcr;
    __asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
    return fpcr & 0x07c09f00;
#else
    return 0;
#endif
}

// For tests and drills: rounds towards zero from now on, on this thread.
inline void damageFloatingEnvironment() {
#if defined(__x86_64__)
    uint32_t mxcsr;
    __asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
    mxcsr |= 0x6000;
    __asm__ volatile("ldmxcsr %0" : : "m"(mxcsr));
#elif defined(__aarch64__)
    uint64_t fpcr;
    __asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
    fpcr |= uint64_t{3} << 22;
    __asm__ volatile("msr fpcr, %0" : : "r"(fpcr));
#endif
}

}  // namespace verbex::replication
