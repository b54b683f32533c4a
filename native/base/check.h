// Invariant checks that stay on in every build.
//
// Purpose: CHECK states what must hold; a broken invariant in an exchange core is never survivable,
// since everything after it would be computed from a wrong state. The process stops at once with
// the place and the expression, before anything wrong can be journaled or published.
// DCHECK is the same for conditions too dear for the hot path; it is on in debug and fuzz builds.
//
// Thread safety: none needed; both are pure.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace verbex {

[[noreturn, gnu::cold, gnu::noinline]] inline void checkFailed(const char* expression,
                                                               const char* file, int line) {
    std::fprintf(stderr, "verbex: invariant broken: %s at %s:%d\n", expression, file, line);
    std::abort();
}

}  // namespace verbex

#define CHECK(condition) \
    (__builtin_expect(!!(condition), 1) ? (void)0 : ::verbex::checkFailed(#condition, __FILE__, __LINE__))

#if !defined(NDEBUG) || defined(VERBEX_COVERAGE)
#define DCHECK(condition) CHECK(condition)
#else
#define DCHECK(condition) ((void)sizeof(!(condition)))
#endif
