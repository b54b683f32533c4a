// MarketState: what gateways and feeds have to know of the engine's state when they begin.
//
// Purpose: names, the account tree and the open orders at one position, as plain lists; from there on
// events alone keep the reader in step.
// Owner: the reader, a copy.
// Thread safety: a value.
// Invariants: everything holds at `position`; lists are by id, resting orders of an instrument in the order
// in which they would trade, best price first, bids before asks.
// Requires: nothing.
#pragma once

#include <cstdint>
#include <vector>

#include "wire/command.h"

namespace verbex {

struct MarketState {
    struct Asset {
        AssetId id;
        Name name;
        uint8_t decimals;
    };
    struct Instrument {
        InstrumentId id;
        Name name;
        TradingState state;
    };
    struct Account {
        AccountId id;
        AccountId parent;
        Name name;
        bool killed;  // its own switch
    };
    // An order that rests in the book now; waiting stops are not in it.
    struct RestingOrder {
        OrderId orderId;
        InstrumentId instrument;
        AccountId account;
        ClientId id;
        Side side;
        int64_t price;    // ticks
        int64_t open;     // lots
        int64_t visible;  // lots
    };

    Position position = 0;
    uint64_t time = 0;  // nanoseconds since 1970
    bool venueKilled = false;
    std::vector<Asset> assets;
    std::vector<Instrument> instruments;
    std::vector<Account> accounts;  // without the venue
    std::vector<RestingOrder> resting;
};

}  // namespace verbex
