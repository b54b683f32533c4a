// AccountStatement: one account as of one position, as plain lists.
//
// Purpose: what the clearing gateway answers questions with, without text in between.
// Owner: whoever asked, a copy.
// Thread safety: a value.
// Invariants: everything holds at `position`; instrument rights by instrument, limits by (kind, subject),
// balances by asset, exposures by instrument, orders by order id, as docs/rules.md section 11 lists them.
// Requires: nothing.
#pragma once

#include <cstdint>
#include <vector>

#include "wire/command.h"

namespace verbex {

struct AccountStatement {
    struct InstrumentRight {
        InstrumentId instrument;
        uint8_t right;  // 1 allow, 2 deny
    };
    struct Limit {
        LimitKind kind;
        uint32_t subject;  // instrument, asset or 0, as the kind says
        Amount limit;
    };
    struct Balance {
        AssetId asset;
        Amount total;
        Amount held;
    };
    struct Exposure {
        InstrumentId instrument;
        int64_t position;  // lots bought − lots sold
        int64_t openBuy;   // lots
        int64_t openSell;
    };
    // Waiting stops too.
    struct Order {
        OrderId orderId;
        InstrumentId instrument;
        ClientId id;
        Side side;
        OrderType type;  // as entered
        TimeInForce timeInForce;
        bool waiting;      // a stop that is not triggered
        int64_t price;     // worst price
        int64_t stopPrice;
        int64_t open;      // lots
        int64_t visible;
        int64_t display;
        uint64_t expiry;
    };

    Position position = 0;
    uint64_t time = 0;  // nanoseconds since 1970
    bool exists = false;  // false: there is no such account, and nothing below means anything
    AccountId account = 0;
    AccountId parent = 0;
    Name name{};
    bool killed = false;  // its own switch
    uint32_t orderTypes = 0;         // rights, one bit a type
    uint8_t instrumentDefault = 0;   // 1 allow, 2 deny
    std::vector<InstrumentRight> instrumentRights;
    std::vector<Limit> limits;
    std::vector<Balance> balances;
    std::vector<Exposure> exposures;
    uint32_t openOrders = 0;    // all of them
    std::vector<Order> orders;  // a page of them
};

// Which orders a statement lists: at most `count`, by order id, those behind `after`.
struct OrderPage {
    OrderId after = 0;
    uint32_t count = 0;
};

}  // namespace verbex
