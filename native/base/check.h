// Invariant checks that stay on in every build.
//
// Purpose: CHECK states what must hold; a broken invariant in an exchange core is never survivable,
// since everything after it would be computed from a wrong state. The process stops at once with
// the place and the expression, before anything wrong can be journaled or published.
// So the condition has to be cheap enough for the hot path: what tests run with is what ships.
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
