// RiskShard: what one risk thread owns: the money, exposures, client order ids and expiries of its accounts.
//
// Purpose: accounts are dealt out to risk shards a firm at a time, so that each shard decides alone about its
// own. One shard holds everybody where one thread does. What is summed over all accounts (fees, orders on a fee
// schedule) is counted in each shard and added up where somebody asks (core/state.h), while the shards rest.
// Owner: the core's state.
// Thread safety: one thread at a time; ClientIds says what matching may touch meanwhile.
// Invariants:
//   1. Every account of the core is in exactly one shard (Account::shard), with all that is said here of it.
//   2. Nothing in a shard depends on how many shards there are, but for where it lies.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "risk/client_ids.h"
#include "risk/instrument.h"
#include "risk/ledger.h"
#include "wire/command.h"

namespace verbex {

// An order that will end by itself, if it still is what it was.
struct Expiry {
    uint64_t time;  // nanoseconds since 1970
    OrderId orderId;
    OrderSlot slot;

    // Turned round: the standard heap keeps its largest on top.
    friend bool operator<(const Expiry& a, const Expiry& b) {
        return a.time != b.time ? a.time > b.time : a.orderId > b.orderId;
    }
};

struct RiskShard {
    // dated: several shards' ids must be brought into one order.
    RiskShard(uint8_t shard, uint32_t maxClientIds, bool warm, bool dated)
        : number(shard), orderIds(maxClientIds, warm, dated) {}

    uint8_t number;
    Ledger ledger;
    ClientIds orderIds;
    std::vector<Amount> fees{0};  // by quote asset: collected from this shard's sides of trades
    // By instrument: open orders of this shard's accounts on each fee schedule.
    std::vector<std::array<uint32_t, Instrument::kSchedules>> scheduleOrders{{}};
    std::vector<Expiry> expiries;  // a heap; entries whose order has gone are skipped
    size_t expiriesMax = 1024;     // so many, and those that are gone are to be dropped
    int64_t takerPrice = 0;        // worst price of the order whose trades are being settled

    void addExpiry(const Expiry& expiry) {
        expiries.push_back(expiry);
        std::push_heap(expiries.begin(), expiries.end());
    }
};

}  // namespace verbex
