// smallMarket: the commands after which a book can be traded.
//
// Purpose: what a simulated cluster, a test of real processes and a bench of the gateways begin with: two
// assets, one book of them, accounts 1 … n with plenty of both. Who needs a market of another shape (many
// books, firms with clients, poor accounts) makes its own.
// Owner: whoever applies them.
// Thread safety: none needed; a pure function.
// Invariants:
//   1. The same options give the same commands in the same order: seeds of simulated runs depend on it.
//   2. An empty core accepts every one of them.
// Requires: the core holds so many accounts, and two assets; names of at most 16 bytes.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "wire/command.h"

namespace verbex::sim {

struct SmallMarket {
    uint32_t accounts = 1;
    std::string symbol = "STOCK";
    int64_t lotBase = 1;   // units of BASE a lot
    int64_t lotQuote = 1;  // units of QUOTE that a lot costs at one tick
    int32_t makerFee = 0;  // millionths
    int32_t takerFee = 0;
    Amount deposit = Amount{1} << 60;  // of either asset, on every account
    // The name of account 1 … accounts.
    std::function<std::string(uint32_t)> accountName = [](uint32_t number) {
        return "U" + std::to_string(number);
    };
};

[[nodiscard]] std::vector<Command> smallMarket(const SmallMarket& market);

}  // namespace verbex::sim
