// AnswerRows: a statement as the rows of an answer, in one order with one number each.
//
// Purpose: pages. A row's number rises and stays with what it says, so an answer goes on behind the last row that
// was sent, whatever has come or gone since.
// Owner: nobody.
// Thread safety: pure.
// Invariants:
//   1. Numbers rise strictly within an answer; none is 0.
//   2. The number of an asset, an instrument, a limit, an order is the same in every answer of a kind.
// Requires: nothing.
#pragma once

#include <cstdint>

#include "gateway/clearing/clearing.h"
#include "gateway/clearing/requests.h"
#include "wire/account_statement.h"

namespace verbex::gateway::clearing {

inline constexpr uint32_t kAnswerRowsMax = 1000;

// Which orders a question of this kind has to ask for: one more than fit, to know whether there are any.
[[nodiscard]] inline OrderPage ordersOf(QueryKind kind, uint64_t after) {
    if (kind != QueryKind::OpenOrders) return {};
    return {after, kAnswerRowsMax + 1};
}

// visit(number, row) for every row of the answer; rows have neither time nor reference yet.
template <typename Visit>
void eachRow(const AccountStatement& s, QueryKind kind, const Directory& directory, Visit visit) {
    const auto number = [](uint64_t section, uint64_t within) { return section << 56 | within; };
    const bool all = kind == QueryKind::Statement;
    if (all || kind == QueryKind::Balances) {
        for (const auto& b : s.balances)
            visit(number(1, b.asset),
                  BalanceRow{0, 0, nameOf(directory.assetName(b.asset)), b.total, b.held});
    }
    if (all || kind == QueryKind::Positions) {
        for (const auto& e : s.exposures)
            visit(number(2, e.instrument),
                  PositionRow{0, 0, nameOf(directory.instrumentName(e.instrument)), e.position,
                              e.openBuy, e.openSell});
    }
    if (kind == QueryKind::LimitsAndRights) {
        visit(number(3, 0),
              RightsRow{0, 0, s.orderTypes, s.instrumentDefault, uint8_t{s.killed}});
        for (const auto& r : s.instrumentRights)
            visit(number(4, r.instrument),
                  InstrumentRightRow{0, 0, nameOf(directory.instrumentName(r.instrument)), r.right});
        for (const auto& l : s.limits)
            visit(number(5, static_cast<uint64_t>(l.kind) << 32 | l.subject),
                  LimitRow{0, 0, static_cast<uint8_t>(l.kind),
                           subjectName(directory, l.kind, l.subject), l.limit});
    }
    if (kind == QueryKind::OpenOrders) {
        for (const auto& o : s.orders)
            visit(o.orderId,
                  OrderRow{0, 0, o.orderId, nameOf(directory.instrumentName(o.instrument)), o.id,
                           static_cast<uint8_t>(o.side), static_cast<uint8_t>(o.type),
                           static_cast<uint8_t>(o.timeInForce), uint8_t{o.waiting}, o.price,
                           o.stopPrice, o.open, o.visible, o.display, o.expiry});
    }
}

}  // namespace verbex::gateway::clearing
