// Ledger: who has how much of what, what of it is held, and what each account has traded.
//
// Purpose: balances per (account, asset) and exposures per (account, instrument), each found by one probe.
// Owner: the core's risk.
// Thread safety: none.
// Invariants:
//   1. 0 ≤ held ≤ total. available() is what a new hold or a withdrawal may take.
//   2. For every asset: the sum of totals + fees = issued (deposits − withdrawals).
//   3. openBuy and openSell are the open quantities of the account's open orders in the instrument.
#pragma once

#include <cstdint>

#include "base/amount.h"
#include "base/flat_map.h"
#include "wire/command.h"

namespace verbex {

struct Asset {
    Amount issued;  // deposits − withdrawals
    Name name;
    uint8_t decimals;
};

struct Balance {
    Amount total;
    Amount held;

    [[nodiscard]] Amount available() const { return total - held; }
};

struct Exposure {
    int64_t position;  // lots bought − lots sold
    int64_t openBuy;   // lots
    int64_t openSell;  // lots

    [[nodiscard]] int64_t& open(bool sell) { return sell ? openSell : openBuy; }
};

// No exposure and no sum of open quantities may leave ±2^62.
inline constexpr int64_t kExposureMax = int64_t{1} << 62;

class Ledger {
public:
    [[nodiscard]] Balance& balance(AccountId account, AssetId asset) {
        return balances_.findOrAdd(pairKey(account, asset));
    }
    // nullptr: never touched.
    [[nodiscard]] Balance* findBalance(AccountId account, AssetId asset) {
        return balances_.find(pairKey(account, asset));
    }
    [[nodiscard]] Amount available(AccountId account, AssetId asset) const {
        const Balance* balance = balances_.find(pairKey(account, asset));
        return balance == nullptr ? 0 : balance->available();
    }
    [[nodiscard]] Exposure& exposure(AccountId account, InstrumentId instrument) {
        return exposures_.findOrAdd(pairKey(account, instrument));
    }
    [[nodiscard]] Exposure* findExposure(AccountId account, InstrumentId instrument) {
        return exposures_.find(pairKey(account, instrument));
    }
    [[nodiscard]] const Exposure* findExposure(AccountId account, InstrumentId instrument) const {
        return exposures_.find(pairKey(account, instrument));
    }

    void release(AccountId account, AssetId asset, Amount amount) {
        Balance& entry = balance(account, asset);
        entry.held -= amount;
        CHECK(entry.held >= 0);
    }

    void warm(AccountId account, AssetId asset, InstrumentId instrument) const {
        balances_.warm(pairKey(account, asset));
        exposures_.warm(pairKey(account, instrument));
    }

    [[nodiscard]] const FlatMap<Balance>& balances() const { return balances_; }
    [[nodiscard]] const FlatMap<Exposure>& exposures() const { return exposures_; }
    [[nodiscard]] FlatMap<Balance>& balances() { return balances_; }
    [[nodiscard]] FlatMap<Exposure>& exposures() { return exposures_; }

private:
    FlatMap<Balance> balances_{1024};
    FlatMap<Exposure> exposures_{1024};
};

}  // namespace verbex
