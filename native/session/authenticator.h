// Authenticator: may this user log in here?
//
// Purpose: market data ports know no accounts; they ask.
// Owner: whoever wires. Thread safety: the event loop's thread.
// Invariants: the time that it takes does not depend on where a wrong password differs.
// Requires: nothing.
#pragma once

#include <string_view>

namespace verbex::session {

class Authenticator {
public:
    [[nodiscard]] virtual bool mayLogIn(std::string_view user, std::string_view password) const = 0;

protected:
    ~Authenticator() = default;
};

}  // namespace verbex::session
