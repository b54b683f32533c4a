// Symbol: an instrument's name in protocols that have eight characters for it.
//
// Purpose: one rule for OUCH, ITCH and the TypeScript clients: the name, padded with blanks, where it has at
// most eight characters; otherwise "#" and the instrument's number ("#17").
// Thread safety: a value.
// Invariants: two instruments never share a symbol: a name that begins with "#" is never used as it is.
// Requires: a name of 1 to 16 characters.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstring>

#include "wire/client_id.h"
#include "wire/command.h"

namespace verbex {

using Symbol = uint64_t;  // eight characters as they lie in a message, read as a native word

[[nodiscard]] inline Symbol symbolOf(const Name& name, InstrumentId instrument) {
    char text[17] = {};
    std::memcpy(text, &name, sizeof(name));
    char symbol[16];
    if (std::strlen(text) > 8 || text[0] == '#') {
        std::snprintf(symbol, sizeof(symbol), "#%-7u", instrument);
    } else {
        std::snprintf(symbol, sizeof(symbol), "%-8s", text);
    }
    Symbol word;
    std::memcpy(&word, symbol, sizeof(word));
    return word;
}

}  // namespace verbex
