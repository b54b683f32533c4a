#include "risk/accounts.h"

namespace verbex {

namespace {
// "VENUE" as a name lies in memory on a little-endian host.
constexpr Name kVenueName{0x45554e4556ULL, 0};
}  // namespace

Accounts::Accounts(uint32_t capacity, uint32_t shards)
    : accounts_(zeroedArray<Account>(size_t{capacity} + 1)), capacity_(capacity), shards_(shards) {
    Account& venue = accounts_[0];
    venue.name = kVenueName;
    venue.orderTypes = kRightsAll;
    count_ = 1;
    combine(0);
}

AccountId Accounts::add(AccountId parent, const Name& name) {
    CHECK(!full() && exists(parent) && accounts_[parent].level < kAccountLevelMax);
    const AccountId id = count_++;
    Account& account = accounts_[id];
    account = Account{};
    account.name = name;
    account.parent = parent;
    account.level = static_cast<uint8_t>(accounts_[parent].level + 1);
    account.firm = account.level == 1 ? id : accounts_[parent].firm;
    account.shard = static_cast<uint8_t>(account.firm % shards_);
    account.orderTypes = kRightsAll;
    accounts_[parent].hasChildren = true;
    combine(id);
    return id;
}

void Accounts::combine(AccountId id) {
    Account& account = accounts_[id];
    account.instrumentRights = account.instrumentsDenied || account.rightEntries > 0;
    account.killedInForce = account.killed;
    account.orderTypesInForce = account.orderTypes;
    account.limitsInForce = account.limits > 0;
    account.instrumentRightsInForce = account.instrumentRights;
    if (id == 0) return;
    const Account& parent = accounts_[account.parent];
    account.killedInForce |= parent.killedInForce;
    account.orderTypesInForce &= parent.orderTypesInForce;
    account.limitsInForce |= parent.limitsInForce;
    account.instrumentRightsInForce |= parent.instrumentRightsInForce;
}

void Accounts::settingChanged(AccountId id) {
    combine(id);
    // Parents come before children, so one pass reaches the whole subtree; accounts outside it are
    // combined to what they were.
    const AccountId end = subtreeEnd(id);
    for (AccountId below = id + 1; below < end; ++below) combine(below);
}

bool Accounts::instrumentAllowed(AccountId id, InstrumentId instrument) const {
    if (!accounts_[id].instrumentRightsInForce) return true;
    for (;; id = accounts_[id].parent) {
        const Account& account = accounts_[id];
        if (account.instrumentRights) {
            const uint8_t right = instrumentRight(id, instrument);
            if (right == 2 || (right == 0 && account.instrumentsDenied)) return false;
        }
        if (id == 0) return true;
    }
}

void Accounts::setInstrumentRight(AccountId id, InstrumentId instrument, uint8_t right) {
    restoreInstrumentRight(id, instrument, right);
    settingChanged(id);
}

void Accounts::restoreInstrumentRight(AccountId id, InstrumentId instrument, uint8_t right) {
    const uint64_t key = pairKey(id, instrument);
    const bool had = rights_.find(key) != nullptr;
    if (right == 0) {
        rights_.erase(key);
    } else {
        rights_.findOrAdd(key) = right;
    }
    accounts_[id].rightEntries += static_cast<uint32_t>(right != 0) - static_cast<uint32_t>(had);
}

}  // namespace verbex
