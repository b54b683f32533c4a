// jsonString: a text as JSON has it, quotes included.
//
// Purpose: what is handed on as JSON (statuses, reports, facts about a host) holds texts that
// others wrote: names of files, messages of the system. Whatever they hold, the JSON stays whole and a
// reader gets the text back.
// Owner: nobody; a pure function.
// Thread safety: any thread.
// Invariants: quotes, backslashes and control characters are escaped (RFC 8259, section 7); every
// other byte stays as it is, so UTF-8 stays UTF-8.
// Requires: nothing.
#pragma once

#include <string>
#include <string_view>

namespace verbex {

[[nodiscard]] std::string jsonString(std::string_view text);

}  // namespace verbex
