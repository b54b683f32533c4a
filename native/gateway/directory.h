// Directory: names, symbols and the account tree, as a gateway needs them.
//
// Purpose: symbol ↔ instrument, account name ↔ account, who is below whom; begins as a MarketState and is kept
// in step by events.
// Owner: the gateway's thread; one for all gateways and the feed's readers of it.
// Thread safety: none.
// Invariants:
//   1. take() is called for every event that names something, in order.
//   2. Views that it gives out are good until begin() or its end.
// Requires: nothing.
#pragma once

#include <cstdint>
#include <deque>
#include <string_view>
#include <unordered_map>

#include "base/flat_map.h"
#include "wire/event.h"
#include "wire/market_state.h"
#include "wire/symbol.h"

namespace verbex::gateway {

// A text that is too long is nobody's name: none.
[[nodiscard]] Name nameOf(std::string_view text);
// As long as the name lives.
[[nodiscard]] std::string_view textOf(const Name& name);

class Directory {
public:
    Directory();
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
        bool killed;  // its own switch, as the engine has it
        bool asked;   // a kill is on its way to the engine
    };
    struct NameHash {
        size_t operator()(const Name& name) const { return mixBits(name.lo) ^ name.hi; }
    };
    using Numbers = std::unordered_map<Name, uint32_t, NameHash>;

    void addInstrument(InstrumentId id, const Name& name);
    void addAccount(AccountId id, AccountId parent, const Name& name, bool killed);
    void addAsset(AssetId id, const Name& name);

    // By id; deques, so that the views given out stay good.
    std::deque<Account> accounts_;  // 0 is the venue
    std::deque<Name> instruments_;  // 0 unused
    std::deque<Name> assets_;       // 0 unused
    FlatMap<InstrumentId> symbols_;
    Numbers accountNumbers_;
    Numbers instrumentNumbers_;
    Numbers assetNumbers_;
    uint64_t timeNs_ = 0;
};

}  // namespace verbex::gateway
