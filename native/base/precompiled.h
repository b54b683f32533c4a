// What nearly every source reads of the standard library, parsed once for all: a third of the release build's time.
//
// Purpose: speed alone. Every source still names what it uses: builds under a sanitizer, for fuzzing and for a
// debugger do without this header.
// Owner: scripts/steps/compile.mjs.
// Thread safety: none needed.
// Invariants: none.
// Requires: nothing of ours is included here, or every change of it would compile everything; and nothing that a pure
// room may not use.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>
