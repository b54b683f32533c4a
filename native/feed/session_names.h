// Session names of the feed: the same ten characters in SoupBinTCP and MoldUDP64.
//
// Purpose: one place for how a name is padded, and which log-in means it.
// Owner: nobody. Thread safety: pure.
// Invariants: none.
// Requires: nothing.
#pragma once

#include <string>
#include <string_view>

#include "session/soup.h"

namespace verbex::feed {

// Blanks to the left, as SoupBinTCP has it.
[[nodiscard]] inline session::SessionName sessionNameOf(std::string_view text) {
    session::SessionName name;
    name.fill(' ');
    const size_t length = text.size() < name.size() ? text.size() : name.size();
    for (size_t i = 0; i < length; ++i) name[name.size() - length + i] = text[i];
    return name;
}

// Clients pad on either side.
[[nodiscard]] inline bool asksFor(const session::LoginRequest& request,
                                  const session::SessionName& session) {
    if (request.anySession) return true;
    const auto trimmed = [](const session::SessionName& name) {
        std::string_view text(name.data(), name.size());
        while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
        while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
        return text;
    };
    return trimmed(request.session) == trimmed(session);
}

}  // namespace verbex::feed
