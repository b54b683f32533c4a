// Names, symbols and the account tree: begun from a state or grown by events, it is the same.
#include "gateway/directory.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <string>

namespace verbex::gateway {
namespace {

Symbol symbolText(const char* eight) {
    Symbol symbol;
    std::memcpy(&symbol, eight, sizeof(symbol));
    return symbol;
}

Event event(EventType type) {
    Event made{};
    made.type = static_cast<uint8_t>(type);
    return made;
}

Event kill(AccountId account, bool on) {
    Event made = event(EventType::KillSwitchSet);
    made.account = account;
    made.side = on ? 1 : 2;
    return made;
}

// VENUE ─ FIRM(1) ─ DESK(2) ─ CLIENT(3), and FIRM2(4).
MarketState smallState() {
    MarketState state;
    state.time = 77;
    state.assets = {{1, nameOf("BTC"), 8}, {2, nameOf("USD"), 2}};
    state.instruments = {{1, nameOf("BTC-USD"), TradingState::Open},
                         {2, nameOf("ALONGERNAME-USD1"), TradingState::Open},
                         {3, nameOf("#1"), TradingState::Open}};
    state.accounts = {{1, 0, nameOf("FIRM"), false},
                      {2, 1, nameOf("DESK"), false},
                      {3, 2, nameOf("CLIENT"), false},
                      {4, 0, nameOf("FIRM2"), true}};
    return state;
}

TEST(Directory, KnowsNamesSymbolsAndTheTree) {
    Directory directory;
    directory.begin(smallState());
    EXPECT_EQ(directory.instrument(symbolText("BTC-USD ")), 1u);
    EXPECT_EQ(directory.instrument(symbolText("#2      ")), 2u);
    EXPECT_EQ(directory.instrument(symbolText("#3      ")), 3u);
    EXPECT_EQ(directory.instrument(symbolText("#1      ")), 0u);
    EXPECT_EQ(directory.instrument(0), 0u);
    EXPECT_EQ(directory.symbol(2), symbolText("#2      "));
    EXPECT_EQ(directory.symbol(0), 0u);
    EXPECT_EQ(directory.symbol(4), 0u);
    EXPECT_EQ(directory.instrumentName(2), "ALONGERNAME-USD1");
    EXPECT_EQ(directory.instrumentNamed("ALONGERNAME-USD1"), 2u);
    EXPECT_EQ(directory.instrumentNamed("ALONGERNAME-USD12"), 0u);
    EXPECT_EQ(directory.asset("USD"), 2u);
    EXPECT_EQ(directory.asset(""), 0u);
    EXPECT_EQ(directory.assetName(1), "BTC");
    EXPECT_EQ(directory.assetName(3), "");
    EXPECT_EQ(directory.account("VENUE"), 0u);
    EXPECT_EQ(directory.account("CLIENT"), 3u);
    EXPECT_EQ(directory.account("NOBODY"), UINT32_MAX);
    EXPECT_EQ(directory.account(""), UINT32_MAX);
    EXPECT_EQ(directory.accountName(0), "VENUE");
    EXPECT_EQ(directory.accountName(5), "");
    EXPECT_EQ(directory.accounts(), 5u);
    EXPECT_EQ(directory.timeNs(), 77u);
    EXPECT_TRUE(directory.isBelow(3, 1));
    EXPECT_TRUE(directory.isBelow(3, 0));
    EXPECT_TRUE(directory.isBelow(2, 2));
    EXPECT_FALSE(directory.isBelow(1, 2));
    EXPECT_FALSE(directory.isBelow(4, 1));
    EXPECT_FALSE(directory.isBelow(9, 0));
    EXPECT_EQ(directory.firm(3), 1u);
    EXPECT_EQ(directory.firm(4), 4u);
    EXPECT_EQ(directory.firm(0), 0u);
    EXPECT_TRUE(directory.isKilled(4));
    EXPECT_FALSE(directory.isKilled(3));
}

TEST(Directory, AKillHoldsFromTheMomentItIsAskedFor) {
    Directory directory;
    directory.begin(smallState());
    directory.setKilled(1, true);
    EXPECT_TRUE(directory.isKilled(3));
    directory.take(kill(1, false));  // of an earlier command
    EXPECT_TRUE(directory.isKilled(3));
    directory.take(kill(1, true));
    EXPECT_TRUE(directory.isKilled(3));
    directory.take(kill(1, false));
    EXPECT_FALSE(directory.isKilled(3));
    directory.setKilled(2, true);
    directory.setKilled(2, false);  // the engine refused it
    EXPECT_FALSE(directory.isKilled(3));
    directory.take(kill(0, true));
    EXPECT_TRUE(directory.isKilled(3));
}

TEST(Directory, GrownByEventsItEqualsOneBegunFromTheState) {
    std::mt19937_64 random(5);
    MarketState state;
    Directory grown;
    std::vector<std::string_view> views;
    for (int step = 0; step < 3000; ++step) {
        Event made = event(EventType::TimeAdvanced);
        made.orderId = state.time += random() % 10;
        grown.take(made);
        switch (random() % 4) {
            case 0: {
                const auto id = static_cast<AccountId>(state.accounts.size() + 1);
                made = event(EventType::AccountAdded);
                made.account = id;
                made.account2 = static_cast<AccountId>(random() % id);
                made.id = nameOf("A" + std::to_string(random()).substr(0, 14) + "x");
                state.accounts.push_back({id, made.account2, made.id, false});
                break;
            }
            case 1: {
                const auto id = static_cast<InstrumentId>(state.instruments.size() + 1);
                made = event(EventType::InstrumentAdded);
                made.instrument = id;
                made.id = nameOf((random() % 2 == 0 ? "#" : "I") + std::to_string(id * 3));
                state.instruments.push_back({id, made.id, TradingState::Open});
                break;
            }
            case 2: {
                const auto id = static_cast<AssetId>(state.assets.size() + 1);
                made = event(EventType::AssetAdded);
                made.instrument = id;
                made.id = nameOf("Q" + std::to_string(id));
                state.assets.push_back({id, made.id, 2});
                break;
            }
            default:
                if (state.accounts.empty()) continue;
                MarketState::Account& account = state.accounts[random() % state.accounts.size()];
                account.killed = random() % 8 == 0;
                made = kill(account.id, account.killed);
        }
        grown.take(made);
        if (made.account != 0) views.push_back(grown.accountName(made.account));
    }
    Directory begun;
    begun.begin(state);
    ASSERT_EQ(begun.accounts(), grown.accounts());
    EXPECT_EQ(begun.timeNs(), grown.timeNs());
    for (AccountId id = 0; id < begun.accounts(); ++id) {
        EXPECT_EQ(begun.accountName(id), grown.accountName(id));
        EXPECT_EQ(begun.account(grown.accountName(id)), grown.account(begun.accountName(id)));
        EXPECT_EQ(begun.isKilled(id), grown.isKilled(id));
        EXPECT_EQ(begun.firm(id), grown.firm(id));
        const auto other = static_cast<AccountId>(random() % begun.accounts());
        bool below = false;
        for (AccountId at = id;; at = state.accounts[at - 1].parent) {
            below = below || at == other;
            if (at == 0) break;
        }
        EXPECT_EQ(grown.isBelow(id, other), below) << id << " below " << other;
    }
    for (const MarketState::Instrument& instrument : state.instruments) {
        EXPECT_EQ(grown.instrument(grown.symbol(instrument.id)), instrument.id);
        EXPECT_EQ(begun.symbol(instrument.id), grown.symbol(instrument.id));
        EXPECT_EQ(grown.instrumentNamed(begun.instrumentName(instrument.id)), instrument.id);
    }
    for (const MarketState::Asset& asset : state.assets) {
        EXPECT_EQ(grown.asset(begun.assetName(asset.id)), asset.id);
    }
    for (const std::string_view view : views) EXPECT_NE(grown.account(view), UINT32_MAX);
}

}  // namespace
}  // namespace verbex::gateway
