// Directory: names, symbols and the account tree, as a gateway needs them.
//
// Purpose: symbol ↔ instrument, account name ↔ account, who is below whom; begins as a MarketState and is kept
// in step by events.
// Owner: the gateway's thread; one for all gateways and the feed's readers of it.
// Thread safety: none.
// Invariants:
//   1. take() is called for every event that names something, in order.
// Requires: nothing.
#pragma once

#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/flat_map.h"
#include "wire/event.h"
#include "wire/market_state.h"
#include "wire/symbol.h"

namespace verbex::gateway {

class Directory {
public:
    void begin(const MarketState& state);
    void take(const Event& event);  // InstrumentAdded, AccountAdded, AssetAdded, KillSwitchSet, TimeAdvanced

    [[nodiscard]] InstrumentId instrument(Symbol symbol) const;  // 0: none
    [[nodiscard]] Symbol symbol(InstrumentId instrument) const;  // 0: none
    [[nodiscard]] uint32_t account(std::string_view name) const;  // UINT32_MAX: none; "VENUE" is 0
    [[nodiscard]] std::string_view accountName(AccountId account) const;  // "" : none
    [[nodiscard]] AssetId asset(std::string_view name) const;    // 0: none
    [[nodiscard]] std::string_view assetName(AssetId asset) const;
    [[nodiscard]] std::string_view instrumentName(InstrumentId instrument) const;
    [[nodiscard]] InstrumentId instrumentNamed(std::string_view name) const;
    [[nodiscard]] bool isBelow(AccountId account, AccountId ancestor) const;  // or the same
    [[nodiscard]] AccountId firm(AccountId account) const;
    // Requires: the account exists. The venue's is the venue.
    [[nodiscard]] AccountId parent(AccountId account) const { return accounts_[account].parent; }
    [[nodiscard]] bool isKilled(AccountId account) const;  // by its own or an ancestor's switch
    // Ahead of the queue: from the moment a kill is asked for, not only once the engine has answered.
    void setKilled(AccountId account, bool killed);
    [[nodiscard]] uint64_t timeNs() const { return timeNs_; }  // the core's, since 1970
    [[nodiscard]] uint32_t accounts() const { return static_cast<uint32_t>(accounts_.size()); }

private:
    struct Account {
        AccountId parent;
        Name name;
        bool killed;
    };
    std::vector<Account> accounts_;      // by id; 0 is the venue
    std::vector<Name> instruments_;      // by id; 0 unused
    std::vector<Name> assets_;           // by id; 0 unused
    FlatMap<InstrumentId> symbols_;
    std::unordered_map<std::string_view, uint32_t> accountsByName_;
    uint64_t timeNs_ = 0;
};

}  // namespace verbex::gateway
