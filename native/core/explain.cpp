// The state as JSON, for people and for the oracle (docs/rules.md section 11).
#include <algorithm>
#include <charconv>
#include <string_view>
#include <vector>

#include "core/state.h"

namespace verbex {

namespace {

template <typename Integer>
void number(std::string& out, Integer value) {
    char digits[24];
    const auto [end, error] = std::to_chars(digits, digits + sizeof(digits), value);
    CHECK(error == std::errc{});
    out.append(digits, end);
}

void amount(std::string& out, Amount value) {
    char digits[48];
    char* at = digits + sizeof(digits);
    UnsignedAmount rest = value < 0 ? -static_cast<UnsignedAmount>(value)
                                    : static_cast<UnsignedAmount>(value);
    *--at = '"';
    do {
        *--at = static_cast<char>('0' + static_cast<int>(rest % 10));
        rest /= 10;
    } while (rest != 0);
    if (value < 0) *--at = '-';
    *--at = '"';
    out.append(at, digits + sizeof(digits));
}

// Text as it is, anything else as hexadecimal digits.
void name(std::string& out, const ClientId& id) {
    unsigned char bytes[16];
    for (int i = 0; i < 8; ++i) {
        bytes[i] = static_cast<unsigned char>(id.lo >> (8 * i));
        bytes[8 + i] = static_cast<unsigned char>(id.hi >> (8 * i));
    }
    size_t length = 16;
    while (length > 0 && bytes[length - 1] == 0) --length;
    const bool text = std::all_of(bytes, bytes + length,
                                  [](unsigned char c) { return c >= 0x21 && c <= 0x7e; });
    out += '"';
    if (text) {
        for (size_t i = 0; i < length; ++i) {
            if (bytes[i] == '"' || bytes[i] == '\\') out += '\\';
            out += static_cast<char>(bytes[i]);
        }
    } else {
        out += "0x";
        for (const unsigned char byte : bytes) {
            out += "0123456789abcdef"[byte >> 4];
            out += "0123456789abcdef"[byte & 15];
        }
    }
    out += '"';
}

template <typename Integer>
void member(std::string& out, std::string_view key, Integer value) {
    out += ",\"";
    out += key;
    out += "\":";
    number(out, value);
}

// Writes items with commas between them: item() before each.
class List {
public:
    explicit List(std::string& out) : out_(out) { out_ += '['; }
    void item() {
        if (!first_) out_ += ',';
        first_ = false;
    }
    void end() { out_ += ']'; }

private:
    std::string& out_;
    bool first_ = true;
};

void queue(std::string& out, const Core::State& state, int64_t price, Level level,
           bool withOpen) {
    out += '[';
    number(out, price);
    out += ',';
    List orders(out);
    for (OrderSlot slot = level.head; slot != 0; slot = state.slab[slot].next) {
        const Order& order = state.slab[slot];
        orders.item();
        out += '[';
        number(out, order.orderId);
        out += ',';
        number(out, order.account);
        out += ',';
        if (withOpen) {
            number(out, order.open);
            out += ',';
        }
        number(out, order.visible);
        out += ']';
    }
    orders.end();
    out += ']';
}

// visit(price, level) for at most `levels` levels of a side, best first.
template <typename Visit>
void eachLevel(const Book& book, bool asks, uint32_t levels, Visit visit) {
    const Ladder& ladder = book.ladder();
    int64_t price = asks ? book.bestAsk() : book.bestBid();
    for (; price != Ladder::kNone && levels > 0; --levels) {
        visit(price, ladder.at(price));
        price = asks ? ladder.above(price) : ladder.below(price);
    }
}

void instrumentHead(std::string& out, const Core::State& state, InstrumentId id) {
    const Instrument& instrument = state.instruments[id];
    const FeeSchedule& fees = instrument.schedules[instrument.schedule];
    out += "{\"id\":";
    number(out, id);
    out += ",\"name\":";
    name(out, instrument.name);
    member(out, "base", instrument.base);
    member(out, "quote", instrument.quote);
    member(out, "lotBase", instrument.lotBase);
    member(out, "lotQuote", instrument.lotQuote);
    member(out, "priceMin", instrument.terms.priceMin);
    member(out, "priceMax", instrument.terms.priceMax);
    member(out, "quantityMin", instrument.terms.quantityMin);
    member(out, "quantityMax", instrument.terms.quantityMax);
    member(out, "makerFee", fees.maker);
    member(out, "takerFee", fees.taker);
    member(out, "collar", instrument.terms.collar);
    member(out, "state", static_cast<uint32_t>(instrument.state));
    member(out, "lastPrice", state.books[id]->lastPrice());
    member(out, "trades", state.books[id]->trades());
}

void wholeInstrument(std::string& out, const Core::State& state, InstrumentId id) {
    const Book& book = *state.books[id];
    instrumentHead(out, state, id);
    for (const bool asks : {false, true}) {
        out += asks ? ",\"asks\":" : ",\"bids\":";
        List levels(out);
        eachLevel(book, asks, UINT32_MAX, [&](int64_t price, Level level) {
            levels.item();
            queue(out, state, price, level, true);
        });
        levels.end();
    }
    out += ",\"buyStops\":";
    List buys(out);
    for (const auto& [price, level] : book.buyStops()) {
        buys.item();
        queue(out, state, price, level, true);
    }
    buys.end();
    out += ",\"sellStops\":";
    List sells(out);
    for (auto it = book.sellStops().rbegin(); it != book.sellStops().rend(); ++it) {
        sells.item();
        queue(out, state, it->first, it->second, true);
    }
    sells.end();
    out += '}';
}

void orderRow(std::string& out, const Core::State& state, const ClientIdEntry& entry) {
    const Order& order = state.slab[entry.slot()];
    const OrderExtra none{};
    const OrderExtra& extra = order.extra == 0 ? none : state.slab.extra(order);
    out += '[';
    number(out, order.orderId);
    out += ',';
    name(out, entry.id);
    for (const int64_t value :
         {static_cast<int64_t>(order.side()), static_cast<int64_t>(order.type()),
          static_cast<int64_t>(order.timeInForce()), order.price, extra.stopPrice, order.open,
          extra.display}) {
        out += ',';
        number(out, value);
    }
    out += ',';
    number(out, extra.expiry);
    out += ']';
}

// {"orderId":…,"instrument":…,"visible":…,"waiting":…,"order":[…]}
void openOrder(std::string& out, const Core::State& state, const ClientIdEntry& entry) {
    const Order& order = state.slab[entry.slot()];
    out += "{\"orderId\":";
    number(out, order.orderId);
    member(out, "instrument", order.instrument);
    member(out, "visible", order.visible);
    member(out, "waiting", order.waiting() ? 1 : 0);
    out += ",\"order\":";
    orderRow(out, state, entry);
    out += '}';
}

// visit(asset, balance) for one account, by asset.
template <typename Visit>
void eachBalance(const Core::State& state, AccountId account, Visit visit) {
    for (AssetId asset = 1; asset < state.assets.size(); ++asset) {
        const Balance* found = state.riskOf(account).ledger.balances().find(pairKey(account, asset));
        if (found != nullptr) visit(asset, *found);
    }
}

// visit(instrument, exposure) for one account, by instrument.
template <typename Visit>
void eachExposure(const Core::State& state, AccountId account, Visit visit) {
    for (InstrumentId id = 1; id < state.instruments.size(); ++id) {
        const Exposure* found = state.riskOf(account).ledger.exposures().find(pairKey(account, id));
        if (found != nullptr) visit(id, *found);
    }
}

void balanceOf(std::string& out, const Balance& balance) {
    out += ',';
    amount(out, balance.total);
    out += ',';
    amount(out, balance.held);
}

void exposureOf(std::string& out, const Exposure& exposure) {
    for (const int64_t lots : {exposure.position, exposure.openBuy, exposure.openSell}) {
        out += ',';
        number(out, lots);
    }
}

// Balances and exposures of every account, sorted, so that one pass over the accounts finds its own.
struct SortedLedger {
    std::vector<std::pair<uint64_t, Balance>> balances;
    std::vector<std::pair<uint64_t, Exposure>> exposures;
    std::vector<std::pair<uint64_t, std::pair<uint32_t, Amount>>> limits;

    // Of one account, or of all.
    SortedLedger(const Core::State& state, AccountId only, bool all) {
        const auto wanted = [only, all](uint64_t key) { return all || key >> 32 == only; };
        if (all) {
            for (const auto& shard : state.shards) {
                shard->ledger.balances().forEach([&](uint64_t key, const Balance& balance) {
                    balances.emplace_back(key, balance);
                });
                shard->ledger.exposures().forEach([&](uint64_t key, const Exposure& exposure) {
                    exposures.emplace_back(key, exposure);
                });
            }
        } else {
            eachBalance(state, only, [&](AssetId asset, const Balance& balance) {
                balances.emplace_back(pairKey(only, asset), balance);
            });
            eachExposure(state, only, [&](InstrumentId id, const Exposure& exposure) {
                exposures.emplace_back(pairKey(only, id), exposure);
            });
        }
        state.limits.forEach(
            [&](AccountId account, LimitKind kind, uint32_t subject, const Limit& limit) {
                const uint64_t key = pairKey(account, static_cast<uint32_t>(kind));
                if (wanted(key)) limits.push_back({key, {subject, limit.limit}});
            });
        const auto byKey = [](const auto& a, const auto& b) { return a.first < b.first; };
        std::sort(balances.begin(), balances.end(), byKey);
        std::sort(exposures.begin(), exposures.end(), byKey);
        std::sort(limits.begin(), limits.end(), [](const auto& a, const auto& b) {
            return std::pair{a.first, a.second.first} < std::pair{b.first, b.second.first};
        });
    }

    template <typename Row, typename Print>
    static void print(std::string& out, const std::vector<Row>& rows, AccountId account,
                      Print item) {
        List list(out);
        auto row = std::lower_bound(rows.begin(), rows.end(), pairKey(account, 0),
                                    [](const Row& a, uint64_t key) { return a.first < key; });
        for (; row != rows.end() && row->first >> 32 == account; ++row) {
            list.item();
            out += '[';
            number(out, static_cast<uint32_t>(row->first));
            item(row->second);
            out += ']';
        }
        list.end();
    }
};

void wholeAccount(std::string& out, const Core::State& state, AccountId id,
                  const SortedLedger& sorted) {
    const Account& account = state.accounts[id];
    out += "{\"id\":";
    number(out, id);
    member(out, "parent", account.parent);
    out += ",\"name\":";
    name(out, account.name);
    member(out, "killed", account.killed ? 1 : 0);
    member(out, "orderTypes", account.orderTypes);
    member(out, "instrumentDefault", account.instrumentsDenied ? 2 : 1);
    out += ",\"instrumentRights\":";
    List rights(out);
    for (InstrumentId i = 1; account.rightEntries > 0 && i < state.instruments.size(); ++i) {
        const uint8_t right = state.accounts.instrumentRight(id, i);
        if (right == 0) continue;
        rights.item();
        out += '[';
        number(out, i);
        out += ',';
        number(out, right);
        out += ']';
    }
    rights.end();
    out += ",\"limits\":";
    SortedLedger::print(out, sorted.limits, id, [&out](const std::pair<uint32_t, Amount>& limit) {
        out += ',';
        number(out, limit.first);
        out += ',';
        amount(out, limit.second);
    });
    out += ",\"balances\":";
    SortedLedger::print(out, sorted.balances, id,
                        [&out](const Balance& balance) { balanceOf(out, balance); });
    out += ",\"exposures\":";
    SortedLedger::print(out, sorted.exposures, id,
                        [&out](const Exposure& exposure) { exposureOf(out, exposure); });
    out += ",\"orders\":";
    List orders(out);
    const ClientIds& orderIds = state.riskOf(id).orderIds;
    for (uint32_t entry = account.firstOrder; entry != 0; entry = orderIds[entry].next) {
        orders.item();
        orderRow(out, state, orderIds[entry]);
    }
    orders.end();
    out += '}';
}

void assetList(std::string& out, const Core::State& state) {
    out += ",\"assets\":";
    List assets(out);
    for (AssetId id = 1; id < state.assets.size(); ++id) {
        const Asset& asset = state.assets[id];
        assets.item();
        out += "{\"id\":";
        number(out, id);
        out += ",\"name\":";
        name(out, asset.name);
        member(out, "decimals", asset.decimals);
        out += ",\"issued\":";
        amount(out, asset.issued);
        out += ",\"fees\":";
        amount(out, state.feesCollected(id));
        out += '}';
    }
    assets.end();
}

void where(std::string& out, const Core::State& state) {
    out += "{\"position\":";
    number(out, state.position);
    member(out, "time", state.time);
    if (state.riskProcesses != 0) {
        member(out, "riskProcesses", state.riskProcesses);
        member(out, "riskProcessesAway", state.riskProcessesAway);
    }
}

// An instrument's book: what is known of it, then item(price, level) for at most so many levels a side.
template <typename Item>
void bothSides(std::string& out, const Core::State& state, InstrumentId id, uint32_t levels,
               Item item) {
    if (!state.knows(id)) {
        out += "null";
        return;
    }
    const Book& book = *state.books[id];
    out += "{\"instrument\":";
    number(out, id);
    member(out, "position", state.position);
    member(out, "lastPrice", book.lastPrice());
    member(out, "trades", book.trades());
    member(out, "state", static_cast<uint32_t>(state.instruments[id].state));
    for (const bool asks : {false, true}) {
        out += asks ? ",\"asks\":" : ",\"bids\":";
        List list(out);
        eachLevel(book, asks, levels, [&](int64_t price, Level level) {
            list.item();
            item(price, level);
        });
        list.end();
    }
    out += '}';
}

}  // namespace

void Core::explain(std::string& out) const {
    const State& state = *state_;
    where(out, state);
    assetList(out, state);
    out += ",\"instruments\":";
    List instruments(out);
    for (InstrumentId id = 1; id < state.instruments.size(); ++id) {
        instruments.item();
        wholeInstrument(out, state, id);
    }
    instruments.end();
    out += ",\"accounts\":";
    const SortedLedger sorted(state, 0, true);
    List accounts(out);
    for (AccountId id = 0; id < state.accounts.count(); ++id) {
        accounts.item();
        wholeAccount(out, state, id, sorted);
    }
    accounts.end();
    out += '}';
}

void Core::explainLevels(InstrumentId instrument, uint32_t levels, std::string& out) const {
    bothSides(out, *state_, instrument, levels, [this, &out](int64_t price, Level level) {
        int64_t quantity = 0;
        uint32_t orders = 0;
        for (OrderSlot slot = level.head; slot != 0; slot = state_->slab[slot].next) {
            quantity += state_->slab[slot].visible;
            ++orders;
        }
        out += '[';
        number(out, price);
        out += ',';
        number(out, quantity);
        out += ',';
        number(out, orders);
        out += ']';
    });
}

void Core::explainOrders(InstrumentId instrument, uint32_t levels, std::string& out) const {
    bothSides(out, *state_, instrument, levels, [this, &out](int64_t price, Level level) {
        queue(out, *state_, price, level, false);
    });
}

void Core::explainAccount(AccountId account, std::string& out) const {
    if (!state_->accounts.exists(account)) {
        out += "null";
        return;
    }
    wholeAccount(out, *state_, account, SortedLedger(*state_, account, false));
}

void Core::explainAccountOrders(AccountId id, const ClientId* after, uint32_t count,
                                std::string& out) const {
    const State& state = *state_;
    if (!state.accounts.exists(id)) {
        out += "null";
        return;
    }
    const Account& account = state.accounts[id];
    out += "{\"position\":";
    number(out, state.position);
    member(out, "id", id);
    member(out, "parent", account.parent);
    out += ",\"name\":";
    name(out, account.name);
    member(out, "killed", account.killed ? 1 : 0);
    const auto row = [&out](List& list, uint32_t subject) {
        list.item();
        out += '[';
        number(out, subject);
    };
    out += ",\"balances\":";
    List balances(out);
    eachBalance(state, id, [&](AssetId asset, const Balance& balance) {
        row(balances, asset);
        balanceOf(out, balance);
        out += ']';
    });
    balances.end();
    out += ",\"exposures\":";
    List exposures(out);
    eachExposure(state, id, [&](InstrumentId instrument, const Exposure& exposure) {
        row(exposures, instrument);
        exposureOf(out, exposure);
        out += ']';
    });
    exposures.end();
    member(out, "openOrders", account.openOrders);
    // The order behind which the page begins is found by its id: no page costs more for being a late one.
    const ClientIds& orderIds = state.riskOf(id).orderIds;
    uint32_t entry = account.firstOrder;
    OrderId behind = 0;
    if (after != nullptr) {
        const uint32_t known = orderIds.find(id, *after);
        if (known == 0 || !orderIds[known].live()) {
            out += ",\"after\":0,\"orders\":null}";
            return;
        }
        behind = state.slab[orderIds[known].slot()].orderId;
        entry = orderIds[known].next;
    }
    member(out, "after", behind);
    out += ",\"orders\":";
    List orders(out);
    for (; entry != 0 && count > 0; entry = orderIds[entry].next, --count) {
        orders.item();
        openOrder(out, state, orderIds[entry]);
    }
    orders.end();
    out += '}';
}

void Core::explainOrder(AccountId account, const ClientId& id, std::string& out) const {
    const State& state = *state_;
    const ClientIds& orderIds = state.riskOf(state.accounts.exists(account) ? account : 0).orderIds;
    const uint32_t entry = orderIds.find(account, id);
    if (entry == 0) {
        out += "null";
        return;
    }
    const ClientIdEntry& found = orderIds[entry];
    if (!found.live()) {
        out += "{\"closed\":";
        number(out, found.orderId());
        member(out, "reject", static_cast<uint32_t>(found.reject()));
        out += '}';
        return;
    }
    openOrder(out, state, found);
}

void Core::explainMarket(std::string& out) const {
    const State& state = *state_;
    where(out, state);
    assetList(out, state);
    out += ",\"instruments\":";
    List instruments(out);
    for (InstrumentId id = 1; id < state.instruments.size(); ++id) {
        instruments.item();
        instrumentHead(out, state, id);
        out += '}';
    }
    instruments.end();
    out += '}';
}

void Core::explainAccounts(AccountId first, uint32_t count, std::string& out) const {
    List accounts(out);
    for (AccountId id = first; id < state_->accounts.count() && count > 0; ++id, --count) {
        const Account& account = state_->accounts[id];
        accounts.item();
        out += "{\"id\":";
        number(out, id);
        member(out, "parent", account.parent);
        out += ",\"name\":";
        name(out, account.name);
        out += '}';
    }
    accounts.end();
}

}  // namespace verbex
