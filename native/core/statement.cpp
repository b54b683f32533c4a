// One account as plain lists: what explainAccount says, without text.
#include <algorithm>

#include "core/state.h"

namespace verbex {

namespace {

AccountStatement::Order orderOf(const Core::State& state, const ClientIdEntry& entry) {
    const Order& order = state.slab[entry.slot()];
    const OrderExtra none{};
    const OrderExtra& extra = order.extra == 0 ? none : state.slab.extra(order);
    return {order.orderId,        order.instrument, entry.id,      order.side(),
            order.type(),         order.timeInForce(), order.waiting(), order.price,
            extra.stopPrice,      order.open,       order.visible, extra.display,
            static_cast<uint64_t>(extra.expiry)};
}

}  // namespace

void Core::accountStatement(AccountId id, const OrderPage& page, AccountStatement& out) const {
    const State& state = *state_;
    out = AccountStatement{};
    out.position = state.position;
    out.time = state.time;
    out.account = id;
    if (!state.accounts.exists(id)) return;
    out.exists = true;
    const Account& account = state.accounts[id];
    out.parent = account.parent;
    out.name = account.name;
    out.killed = account.killed;
    out.orderTypes = account.orderTypes;
    out.instrumentDefault = account.instrumentsDenied ? 2 : 1;
    const RiskShard& risk = state.riskOf(id);
    for (InstrumentId i = 1; i < state.instruments.size(); ++i) {
        if (account.rightEntries > 0) {
            const uint8_t right = state.accounts.instrumentRight(id, i);
            if (right != 0) out.instrumentRights.push_back({i, right});
        }
        if (const Exposure* found = risk.ledger.exposures().find(pairKey(id, i)))
            out.exposures.push_back({i, found->position, found->openBuy, found->openSell});
    }
    for (AssetId asset = 1; asset < state.assets.size(); ++asset) {
        if (const Balance* found = risk.ledger.balances().find(pairKey(id, asset)))
            out.balances.push_back({asset, found->total, found->held});
    }
    // By account's own keys, not over all limits: the venue may have set a million of them. A limit that
    // nobody set costs a look each, as balances do.
    const auto limit = [&](LimitKind kind, uint32_t subject) {
        if (const Limit* found = state.limits.find(id, kind, subject))
            out.limits.push_back({kind, subject, found->limit});
    };
    if (account.limits > 0) {
        const auto instruments = static_cast<uint32_t>(state.instruments.size());
        const auto assets = static_cast<uint32_t>(state.assets.size());
        for (uint32_t i = 1; i < instruments; ++i) limit(LimitKind::OrderSize, i);
        for (uint32_t a = 1; a < assets; ++a) limit(LimitKind::OrderValue, a);
        limit(LimitKind::OpenOrders, 0);
        for (uint32_t a = 1; a < assets; ++a) limit(LimitKind::OpenValue, a);
        for (uint32_t i = 1; i < instruments; ++i) limit(LimitKind::Position, i);
    }
    out.openOrders = account.openOrders;
    if (page.count == 0) return;
    for (uint32_t at = account.firstOrder; at != 0; at = risk.orderIds[at].next) {
        const ClientIdEntry& entry = risk.orderIds[at];
        if (state.slab[entry.slot()].orderId <= page.after) continue;
        out.orders.push_back(orderOf(state, entry));
        if (out.orders.size() == page.count) break;
    }
}

}  // namespace verbex
