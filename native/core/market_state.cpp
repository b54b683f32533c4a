// What gateways and feeds begin with: see wire/market_state.h.
#include "core/state.h"

namespace verbex {

namespace {

void restingSide(const Core::State& state, InstrumentId id, bool asks, MarketState& out) {
    const Book& book = *state.books[id];
    const Ladder& ladder = book.ladder();
    int64_t price = asks ? book.bestAsk() : book.bestBid();
    for (; price != Ladder::kNone; price = asks ? ladder.above(price) : ladder.below(price)) {
        for (OrderSlot slot = ladder.at(price).head; slot != 0; slot = state.slab[slot].next) {
            const Order& order = state.slab[slot];
            const ClientIdEntry& entry = state.riskOf(order.account).orderIds[order.entry];
            out.resting.push_back({order.orderId, id, order.account, entry.id, order.side(), price,
                                   order.open, order.visible});
        }
    }
}

}  // namespace

void Core::marketState(MarketState& out) const {
    const State& state = *state_;
    out = MarketState{};
    out.position = state.position;
    out.time = state.time;
    for (AssetId id = 1; id < state.assets.size(); id++) {
        out.assets.push_back({id, state.assets[id].name, state.assets[id].decimals});
    }
    for (AccountId id = 1; id < state.accounts.count(); id++) {
        const Account& account = state.accounts[id];
        out.accounts.push_back({id, account.parent, account.name, account.killed});
    }
    for (InstrumentId id = 1; id < state.instruments.size(); id++) {
        const Instrument& instrument = state.instruments[id];
        out.instruments.push_back({id, instrument.name, instrument.state});
        restingSide(state, id, false, out);
        restingSide(state, id, true, out);
    }
    out.venueKilled = state.accounts[0].killed;
}

}  // namespace verbex
