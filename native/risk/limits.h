// Limits: order size, order value, open orders, gross open value and position, on any level of the tree.
//
// Purpose: checks an order against the limits of its account and of every level above. What a limit counts is
// kept only where there is a limit: an exchange without limits pays one look at a flag.
// Owner: the core's risk.
// Thread safety: none.
// Invariants:
//   1. The counts of a limit are those of its account's whole subtree from the moment it is set.
//   2. Counts change by the same amounts as the orders and exposures that they sum up.
#pragma once

#include <cstdint>

#include "base/amount.h"
#include "base/flat_map.h"
#include "risk/accounts.h"
#include "wire/command.h"
#include "wire/reject.h"

namespace verbex {

struct Limit {
    Amount limit;
    Amount current;  // OpenOrders: orders; OpenValue: quote units; Position: lots bought − sold
    Amount openBuy;  // Position: lots of the subtree, which may hold more than one exposure can
    Amount openSell;
};

// What an order adds to what is counted; negative amounts take away.
struct LimitChange {
    InstrumentId instrument;
    AssetId quote;
    bool sell;
    int64_t orders;
    int64_t open;      // lots
    int64_t position;  // lots, signed
    Amount value;      // quote units
};

// What an order asks for.
struct LimitRequest {
    int64_t quantity;  // whole order, lots
    Amount value;      // whole order, quote units
    bool newOrder;     // counts against OpenOrders
    bool valueRises;   // OpenValue is asked
    bool openRises;    // Position is asked
    LimitChange change;
};

class Limits {
public:
    static constexpr AccountId kIdsMax = (1u << 29) - 1;  // of assets and instruments, in a key

    [[nodiscard]] Reject check(const Accounts& accounts, AccountId account,
                               const LimitRequest& request) const;
    // Requires: accounts[account].limitsInForce.
    void apply(const Accounts& accounts, AccountId account, const LimitChange& change);

    [[nodiscard]] Limit* find(AccountId account, LimitKind kind, uint32_t subject) {
        return limits_.find(key(account, kind, subject));
    }
    [[nodiscard]] const Limit* find(AccountId account, LimitKind kind, uint32_t subject) const {
        return limits_.find(key(account, kind, subject));
    }
    // Both keep Account::limits; the caller then calls Accounts::settingChanged().
    void set(Accounts& accounts, AccountId account, LimitKind kind, uint32_t subject,
             const Limit& limit);
    void remove(Accounts& accounts, AccountId account, LimitKind kind, uint32_t subject);

    // visit(account, kind, subject, limit) in no particular order.
    template <typename Visit>
    void forEach(Visit visit) const {
        limits_.forEach([&](uint64_t packed, const Limit& limit) {
            visit(static_cast<AccountId>(packed >> 32), LimitKind((packed >> 29) & 7),
                  static_cast<uint32_t>(packed) & kIdsMax, limit);
        });
    }

private:
    [[nodiscard]] static uint64_t key(AccountId account, LimitKind kind, uint32_t subject) {
        return uint64_t{account} << 32 | uint64_t{static_cast<uint8_t>(kind)} << 29 | subject;
    }

    FlatMap<Limit> limits_;
};

}  // namespace verbex
