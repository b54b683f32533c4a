// Accounts: the tree venue → firm → account → client, with rights and kill switches on every level.
//
// Purpose: answers, for one order, what every level above its account says, in one look: what is in force is
// worked out when a level changes (rare), not when an order comes (often).
// Owner: the core's risk.
// Thread safety: none.
// Invariants:
//   1. Account 0 is the venue; a parent's id is lower than its children's.
//   2. An account lies in the same risk shard as its whole firm, so that a limit on any level but the venue's
//      counts what one shard knows.
//   3. killedInForce, orderTypesInForce, limitsInForce, instrumentRightsInForce of an account combine its own
//      setting with its parent's.
#pragma once

#include <cstdint>

#include "base/flat_map.h"
#include "wire/command.h"

namespace verbex {

inline constexpr uint8_t kAccountLevelMax = 3;

struct Account {
    Name name;
    AccountId parent;
    AccountId firm;  // the ancestor on level 1; 0 for the venue
    uint8_t level;
    bool killed;
    bool killedInForce;
    bool instrumentsDenied;  // default for instruments without an entry of their own
    uint8_t orderTypes;      // rights, one bit a type
    uint8_t orderTypesInForce;
    bool instrumentRights;  // has an entry, or denies by default
    bool instrumentRightsInForce;
    uint32_t limits;         // how many of its own: two for each instrument and asset, and one
    bool limitsInForce;      // it or a level above has limits
    bool hasChildren;
    uint8_t shard;           // the risk shard that owns it: a firm is never divided
    uint32_t rightEntries;   // instruments with an entry of their own
    uint32_t openOrders;     // its own, not its subtree's
    uint32_t firstOrder;     // entries of the client id table, by order id
    uint32_t lastOrder;
};
static_assert(sizeof(Account) == 56);

class Accounts {
public:
    // Firms are dealt out to `shards` risk shards, by their ids.
    explicit Accounts(uint32_t capacity, uint32_t shards = 1);

    [[nodiscard]] bool exists(AccountId id) const { return id < count_; }
    [[nodiscard]] bool full() const { return count_ > capacity_; }  // the venue doesn't count
    // One past the highest id.
    [[nodiscard]] AccountId count() const { return count_; }
    [[nodiscard]] Account& operator[](AccountId id) { return accounts_[id]; }
    [[nodiscard]] const Account& operator[](AccountId id) const { return accounts_[id]; }
    void warm(AccountId id) const { touch(&accounts_[id < count_ ? id : 0]); }

    // Requires: !full(), the parent exists on a level below kAccountLevelMax.
    AccountId add(AccountId parent, const Name& name);

    [[nodiscard]] bool inSubtree(AccountId id, AccountId root) const {
        while (id > root) id = accounts_[id].parent;
        return id == root;
    }
    // One past the last account that can be in the subtree of `root`.
    [[nodiscard]] AccountId subtreeEnd(AccountId root) const {
        return accounts_[root].hasChildren ? count_ : root + 1;
    }

    // May this account and all above it trade the instrument?
    [[nodiscard]] bool instrumentAllowed(AccountId id, InstrumentId instrument) const;
    // 0: by default, 1: allowed, 2: denied.
    void setInstrumentRight(AccountId id, InstrumentId instrument, uint8_t right);
    // The same without settingChanged(): whoever restores many calls that once.
    void restoreInstrumentRight(AccountId id, InstrumentId instrument, uint8_t right);
    // visit(account, instrument, right) in no particular order.
    template <typename Visit>
    void forEachRight(Visit visit) const {
        rights_.forEach([&visit](uint64_t key, uint8_t right) {
            visit(static_cast<AccountId>(key >> 32), static_cast<InstrumentId>(key), right);
        });
    }
    [[nodiscard]] uint8_t instrumentRight(AccountId id, InstrumentId instrument) const {
        const uint8_t* right = rights_.find(pairKey(id, instrument));
        return right == nullptr ? 0 : *right;
    }

    // To be called after a setting of `id` changed: works out what is in force in its subtree.
    void settingChanged(AccountId id);

private:
    void combine(AccountId id);

    ZeroedArray<Account> accounts_;
    FlatMap<uint8_t> rights_;  // (account, instrument) → 1 allow, 2 deny
    uint32_t capacity_;
    uint32_t shards_;
    AccountId count_ = 0;
};

}  // namespace verbex
