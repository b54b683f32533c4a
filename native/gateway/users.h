// Users: who may log in, for which account, with which rights and throttles.
//
// Purpose: the same client identity on every port. A user is a name and a password of SoupBinTCP, a stable
// session number, and the account it speaks for.
// Owner: the configuration; gateways hold a reference.
// Thread safety: none; the gateway's thread.
// Invariants:
//   1. Names are unique, session numbers too; a number belongs to a name for ever (the store keeps it).
//   2. A password is compared in time that depends on its length only.
// Requires: nothing.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "wire/client_id.h"

namespace verbex::gateway {

// The other half of the numbers are the same users' clearing streams in the store.
inline constexpr uint16_t kSessionMax = 32'767;

struct User {
    std::string name;      // 1 to 6 characters, 0x21 to 0x7e; compared without regard to case, as the protocol says
    std::string password;  // 1 to 10 characters; without regard to case, too
    uint16_t session = 0;  // 1 … kSessionMax
    std::string account;   // by name; it may come to exist later
    bool mayTrade = true;  // order gateway
    bool mayClear = false;  // clearing gateway: own subtree's money, positions, drop copy
    bool mayAdminister = false;  // clearing gateway: deposits, withdrawals, limits, rights of its subtree
    bool mayFeed = true;    // market data over SoupBinTCP
    bool cancelOnDisconnect = false;
    uint32_t ordersPerSecond = 0;  // of this session; 0: no throttle
    uint32_t ordersBurst = 1;
};

struct FirmThrottle {
    std::string firm;  // account name on level 1
    uint32_t ordersPerSecond = 0;
    uint32_t ordersBurst = 1;
};

class Users {
public:
    // InvalidArgument names the first user that is wrong, and why.
    static Result<Users> from(std::vector<User> users);

    // nullptr: no such user or another password.
    [[nodiscard]] const User* authenticate(std::string_view name, std::string_view password) const;
    [[nodiscard]] const User* bySession(uint16_t session) const;
    [[nodiscard]] const std::vector<User>& all() const { return users_; }

private:
    std::vector<User> users_;
    std::vector<uint32_t> bySession_;  // index in users_, from 1; 0: nobody
};

}  // namespace verbex::gateway
