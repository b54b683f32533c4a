#include "gateway/directory.h"

#include <cstring>

namespace verbex::gateway {

namespace {

constexpr std::string_view kVenue = "VENUE";

uint32_t numberOr(const auto& numbers, std::string_view text, uint32_t otherwise) {
    const Name name = nameOf(text);
    if (name.none()) return otherwise;
    const auto found = numbers.find(name);
    return found == numbers.end() ? otherwise : found->second;
}

}  // namespace

Name nameOf(std::string_view text) {
    Name name{};
    if (text.size() <= sizeof(name)) std::memcpy(&name, text.data(), text.size());
    return name;
}

std::string_view textOf(const Name& name) {
    const auto* text = reinterpret_cast<const char*>(&name);
    return {text, strnlen(text, sizeof(name))};
}

Directory::Directory() { begin(MarketState{}); }

void Directory::begin(const MarketState& state) {
    accounts_.clear();
    instruments_.assign(1, Name{});
    assets_.assign(1, Name{});
    symbols_ = FlatMap<InstrumentId>();
    accountNumbers_.clear();
    instrumentNumbers_.clear();
    assetNumbers_.clear();
    addAccount(0, 0, nameOf(kVenue), state.venueKilled);
    for (const MarketState::Asset& asset : state.assets) addAsset(asset.id, asset.name);
    for (const MarketState::Instrument& instrument : state.instruments) {
        addInstrument(instrument.id, instrument.name);
    }
    for (const MarketState::Account& account : state.accounts) {
        addAccount(account.id, account.parent, account.name, account.killed);
    }
    timeNs_ = state.time;
}

void Directory::take(const Event& event) {
    switch (static_cast<EventType>(event.type)) {
        case EventType::InstrumentAdded: return addInstrument(event.instrument, event.id);
        case EventType::AssetAdded: return addAsset(event.instrument, event.id);
        case EventType::AccountAdded:
            return addAccount(event.account, event.account2, event.id, false);
        case EventType::TimeAdvanced: timeNs_ = event.orderId; return;
        case EventType::KillSwitchSet:
            if (event.account >= accounts_.size()) return;
            accounts_[event.account].killed = event.side == 1;
            if (event.side == 1) accounts_[event.account].asked = false;
            return;
        default: return;
    }
}

void Directory::addInstrument(InstrumentId id, const Name& name) {
    if (id >= instruments_.size()) instruments_.resize(id + 1, Name{});
    instruments_[id] = name;
    instrumentNumbers_[name] = id;
    symbols_.findOrAdd(symbolOf(name, id)) = id;
}

void Directory::addAsset(AssetId id, const Name& name) {
    if (id >= assets_.size()) assets_.resize(id + 1, Name{});
    assets_[id] = name;
    assetNumbers_[name] = id;
}

void Directory::addAccount(AccountId id, AccountId parent, const Name& name, bool killed) {
    CHECK(id == 0 || parent < id);  // so climbing to the venue ends
    if (id >= accounts_.size()) accounts_.resize(id + 1, Account{});
    accounts_[id] = Account{parent, name, killed, false};
    accountNumbers_[name] = id;
}

InstrumentId Directory::instrument(Symbol symbol) const {
    const InstrumentId* found = symbol == 0 ? nullptr : symbols_.find(symbol);
    return found == nullptr ? 0 : *found;
}

Symbol Directory::symbol(InstrumentId instrument) const {
    if (instrument >= instruments_.size() || instruments_[instrument].none()) return 0;
    return symbolOf(instruments_[instrument], instrument);
}

uint32_t Directory::account(std::string_view name) const {
    return numberOr(accountNumbers_, name, UINT32_MAX);
}

std::string_view Directory::accountName(AccountId account) const {
    return account < accounts_.size() ? textOf(accounts_[account].name) : std::string_view();
}

AssetId Directory::asset(std::string_view name) const { return numberOr(assetNumbers_, name, 0); }

std::string_view Directory::assetName(AssetId asset) const {
    return asset < assets_.size() ? textOf(assets_[asset]) : std::string_view();
}

std::string_view Directory::instrumentName(InstrumentId instrument) const {
    return instrument < instruments_.size() ? textOf(instruments_[instrument]) : std::string_view();
}

InstrumentId Directory::instrumentNamed(std::string_view name) const {
    return numberOr(instrumentNumbers_, name, 0);
}

bool Directory::isBelow(AccountId account, AccountId ancestor) const {
    if (account >= accounts_.size() || ancestor >= accounts_.size()) return false;
    while (account > ancestor) account = accounts_[account].parent;
    return account == ancestor;
}

AccountId Directory::firm(AccountId account) const {
    if (account >= accounts_.size()) return 0;
    while (accounts_[account].parent != 0) account = accounts_[account].parent;
    return account;
}

bool Directory::isKilled(AccountId account) const {
    if (account >= accounts_.size()) return false;
    for (;; account = accounts_[account].parent) {
        if (accounts_[account].killed || accounts_[account].asked) return true;
        if (account == 0) return false;
    }
}

void Directory::setKilled(AccountId account, bool killed) {
    if (account >= accounts_.size()) return;
    // Events of earlier commands are still on their way: an older "off" must not lift this one.
    accounts_[account].asked = killed;
    if (!killed) accounts_[account].killed = false;
}

}  // namespace verbex::gateway
