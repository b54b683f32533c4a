// Reads a saved state back. Everything is checked: files are covered by checksums, but a core that
// starts from a wrong state would compute wrong results for ever.
#include <algorithm>
#include <array>
#include <span>
#include <vector>

#include "core/numbers.h"
#include "core/state.h"
#include "core/state_format.h"

namespace verbex {

namespace {

constexpr int64_t kTicksMax = int64_t{1} << 53;
constexpr int64_t kLotsMax = int64_t{1} << 53;
constexpr uint64_t kIdsAhead = 64;

// Is this what an order can look like that rests or waits?
bool orderPossible(const SavedOrder& saved, const Instrument& instrument) {
    constexpr uint32_t kFlags = (kOrderWaiting << 1) - 1;
    if ((saved.flags & ~kFlags) != 0 || saved.price < 1 || saved.price > kTicksMax ||
        saved.open < 1 || saved.open > kLotsMax) {
        return false;
    }
    Order order{};
    order.flags = saved.flags;
    const OrderType type = order.type();
    const bool stop = type == OrderType::Stop || type == OrderType::StopLimit;
    if (order.waiting() ? !stop : type != OrderType::Limit && type != OrderType::StopLimit) {
        return false;
    }
    if (saved.stopPrice < (stop ? 1 : 0) || saved.stopPrice > (stop ? kTicksMax : 0)) return false;
    const TimeInForce timeInForce = order.timeInForce();
    if (timeInForce < TimeInForce::Gtc || timeInForce > TimeInForce::Gtd ||
        (timeInForce == TimeInForce::Gtd) != (saved.expiry != 0) ||
        order.selfTrade() > SelfTrade::Decrement) {
        return false;
    }
    // An order that shows nothing while it rests would be matched for ever.
    const bool iceberg = saved.display != 0;
    const int64_t most = iceberg ? std::min(saved.display, saved.open) : saved.open;
    const int64_t least = iceberg ? 1 : saved.open;
    if (saved.display < 0 ||
        (order.waiting() ? saved.visible != 0 : saved.visible < least || saved.visible > most)) {
        return false;
    }
    Amount value = Amount{saved.price} * saved.open;  // at most 2^106
    return checkedMultiply(value, instrument.lotQuote, &value) &&
           checkedAdd(value, value, &value) &&
           checkedMultiply(Amount{saved.open}, instrument.lotBase, &value);
}

class StateReader {
public:
    StateReader(ByteSource& source, Core::State& state, const CoreNumbers* numbers)
        : source_(source), state_(state), numbers_(numbers) {}

    bool run() {
        if (!get(&head_) || head_.magic != kStateMagic || !availability()) return false;
        state_.position = head_.position;
        state_.time = head_.time;
        if (numbers_ != nullptr && (numbers_->instruments.size() != head_.instruments ||
                                    numbers_->orders.size() != head_.orders)) {
            return false;
        }
        return assets() && instruments() && accounts() && rights() && limits() && balances() &&
               exposures() && ids(head_.orderIds, true) && ids(head_.transactionIds, false) &&
               slots() && orders() && linkOrders() && consistent();
    }

private:
    template <typename T>
    bool get(T* record) {
        return source_.read(record, sizeof(T));
    }

    bool availability() {
        if (head_.version == kStateVersion) return true;
        SavedAvailability saved;
        if (head_.version != kStateVersionWithProcesses || !get(&saved) || saved.processes < 1 ||
            saved.processes > CoreShards::kMax || saved.away >> saved.processes != 0) {
            return false;
        }
        state_.riskProcesses = saved.processes;
        state_.riskProcessesAway = saved.away;
        return true;
    }

    bool assets() {
        for (uint32_t i = 0; i < head_.assets; ++i) {
            SavedAsset saved;
            if (!get(&saved) || saved.decimals > 18 || saved.name.none() || saved.reserved != 0) {
                return false;
            }
            if (state_.assetNames.full() || state_.assetNames.find(0, saved.name) != 0) return false;
            if (!amountInRange(saved.issued) || !amountInRange(saved.fees)) return false;
            (void)state_.assetNames.add(0, saved.name, 0);
            state_.makeAsset(
                Asset{saved.issued, saved.name, static_cast<uint8_t>(saved.decimals)});
            if (numbers_ != nullptr) {
                if (!sharedFees(i + 1, saved.fees)) return false;
                continue;
            }
            // Fees are a sum over the shards: which of them begins with it is all the same.
            state_.shards[0]->fees.back() = saved.fees;
        }
        return true;
    }

    bool sharedFees(size_t asset, Amount sum) {
        for (size_t i = 0; i < state_.shards.size(); ++i) {
            const std::vector<Amount>& fees = numbers_->shards[i].fees;
            if (fees.size() != size_t{head_.assets} + 1 ||
                __builtin_sub_overflow(sum, fees[asset], &sum)) {
                return false;
            }
            state_.shards[i]->fees.back() = fees[asset];
        }
        return sum == 0;
    }

    bool instruments() {
        for (uint32_t i = 0; i < head_.instruments; ++i) {
            SavedInstrument saved;
            if (!get(&saved) || saved.name.none() || saved.state < 1 || saved.state > 4) return false;
            if (saved.lastPrice < 0 || saved.lastPrice > kTicksMax ||
                (saved.lastPrice == 0) != (saved.trades == 0)) {
                return false;
            }
            if (!state_.knowsAsset(saved.base) || !state_.knowsAsset(saved.quote)) return false;
            const InstrumentTerms terms{saved.priceMin, saved.priceMax, saved.quantityMin,
                                        saved.quantityMax, saved.collar};
            const FeeSchedule fees{saved.makerFee, saved.takerFee};
            if (saved.base == saved.quote ||
                !termsPossible(terms, fees, saved.lotBase, saved.lotQuote)) {
                return false;
            }
            if (state_.instrumentNames.full() ||
                state_.instrumentNames.find(0, saved.name) != 0) {
                return false;
            }
            const InstrumentId id = state_.instrumentNames.add(0, saved.name, 0);
            Instrument instrument{};
            instrument.name = saved.name;
            instrument.base = saved.base;
            instrument.quote = saved.quote;
            instrument.state = TradingState(saved.state);
            instrument.lotBase = saved.lotBase;
            instrument.lotQuote = saved.lotQuote;
            instrument.terms = terms;
            instrument.schedules[0] = fees;
            if (numbers_ != nullptr) {
                const CoreNumbers::OfInstrument& numbers = numbers_->instruments[i];
                instrument.schedules = numbers.schedules;
                instrument.schedule = static_cast<uint8_t>(numbers.schedule);
                if (instrument.schedules[instrument.schedule] != fees) return false;
            }
            CHECK(id == state_.instruments.size());
            state_.makeInstrument(instrument);
            state_.books.back()->restoreTrades(saved.lastPrice, saved.trades);
        }
        return true;
    }

    bool accounts() {
        for (uint32_t i = 0; i < head_.accounts; ++i) {
            SavedAccount saved;
            if (!get(&saved) || (saved.orderTypes & ~kRightsAll) != 0 || saved.killed > 1 ||
                saved.instrumentsDenied > 1 || saved.reserved != 0) {
                return false;
            }
            if (i == 0) {
                if (saved.name != state_.accounts[0].name || saved.parent != 0) return false;
            } else {
                if (saved.parent >= i || saved.name.none() || state_.accounts.full() ||
                    state_.accounts[saved.parent].level >= kAccountLevelMax ||
                    state_.accountNames.find(0, saved.name) != 0) {
                    return false;
                }
                (void)state_.accounts.add(saved.parent, saved.name);
                (void)state_.accountNames.add(0, saved.name, 0);
            }
            Account& account = state_.accounts[i];
            account.killed = saved.killed != 0;
            account.orderTypes = saved.orderTypes;
            account.instrumentsDenied = saved.instrumentsDenied != 0;
        }
        return head_.accounts >= 1;
    }

    bool rights() {
        for (uint32_t i = 0; i < head_.rights; ++i) {
            SavedRight saved;
            if (!get(&saved) || !state_.accounts.exists(saved.account) ||
                !state_.knows(saved.instrument) || saved.right < 1 || saved.right > 2) {
                return false;
            }
            state_.accounts.restoreInstrumentRight(saved.account, saved.instrument,
                                                   static_cast<uint8_t>(saved.right));
        }
        return true;
    }

    bool limits() {
        for (uint32_t i = 0; i < head_.limits; ++i) {
            SavedLimit saved;
            if (!get(&saved) || !state_.accounts.exists(saved.account) || saved.kind < 1 ||
                saved.kind > kLimitKindMax || saved.subject > Limits::kIdsMax || saved.limit < 0 ||
                saved.reserved != 0 || saved.openBuy < 0 || saved.openSell < 0 ||
                !amountInRange(saved.limit) || !amountInRange(saved.current / 2)) {
                return false;
            }
            state_.limits.set(state_.accounts, saved.account, LimitKind(saved.kind), saved.subject,
                              Limit{saved.limit, saved.current, saved.openBuy, saved.openSell});
        }
        state_.accounts.settingChanged(0);  // of everything restored so far
        return true;
    }

    bool balances() {
        for (uint64_t i = 0; i < head_.balances; ++i) {
            SavedBalance saved;
            if (!get(&saved) || saved.reserved != 0) return false;
            const auto account = static_cast<AccountId>(saved.pair >> 32);
            if (account == 0 || !state_.accounts.exists(account) ||
                !state_.knowsAsset(static_cast<AssetId>(saved.pair))) {
                return false;
            }
            if (saved.held < 0 || saved.total < saved.held || !amountInRange(saved.total)) {
                return false;
            }
            state_.riskOf(account).ledger.balance(account, static_cast<AssetId>(saved.pair)) =
                Balance{saved.total, saved.held};
        }
        return true;
    }

    bool exposures() {
        for (uint64_t i = 0; i < head_.exposures; ++i) {
            SavedExposure saved;
            if (!get(&saved)) return false;
            const auto account = static_cast<AccountId>(saved.pair >> 32);
            const auto instrument = static_cast<InstrumentId>(saved.pair);
            if (account == 0 || !state_.accounts.exists(account) || !state_.knows(instrument)) {
                return false;
            }
            if (saved.openBuy < 0 || saved.openSell < 0) return false;
            if (saved.position < -kExposureMax || saved.position > kExposureMax) return false;
            state_.riskOf(account).ledger.exposure(account, instrument) =
                Exposure{saved.position, saved.openBuy, saved.openSell};
        }
        return true;
    }

    bool ids(uint64_t count, bool orderIds) {
        ClientIds& transactions = state_.transactionIds;
        transactions.restoreDay(0);
        for (const auto& shard : state_.shards) shard->orderIds.restoreDay(today(*shard));
        // Some are read ahead, so that their places in the index come closer meanwhile: there may be millions.
        std::array<SavedId, kIdsAhead> ahead;
        for (uint64_t i = 0; i < count; ++i) {
            if (i % kIdsAhead == 0 && !readIds(ahead, std::min(count - i, kIdsAhead), orderIds)) {
                return false;
            }
            const SavedId& saved = ahead[i % kIdsAhead];
            if (saved.id.none() || saved.account == 0 ||
                !state_.accounts.exists(saved.account) || saved.daysAgo > 1 ||
                saved.live > (orderIds ? 1u : 0u) || saved.reject > kRejectMax ||
                saved.orderId == 0 || saved.orderId > state_.position ||
                (saved.live != 0 && (saved.reject != 0 || saved.daysAgo != 0))) {
                return false;
            }
            ClientIds& table = orderIds ? state_.riskOf(saved.account).orderIds : transactions;
            const bool full = orderIds ? state_.rememberedIds() >= state_.capacity.maxClientIds
                                       : table.full();
            if (full || table.find(saved.account, saved.id) != 0) return false;
            const uint32_t entry = table.add(saved.account, saved.id, saved.fingerprint);
            // Ranks come before all positions that are still to come: at most one id a position.
            table.setDate(entry, i + 1);
            if (orderIds) arrived_.push_back(Arrived{saved.orderId, saved.account, entry});
            if (saved.live == 0) {
                const uint8_t today = table.day();
                table.restoreDay(static_cast<uint8_t>(today - saved.daysAgo));
                table.close(entry, saved.orderId, Reject(saved.reject));
                table.restoreDay(today);
            }
        }
        return true;
    }

    bool readIds(std::span<SavedId> into, uint64_t count, bool orderIds) {
        if (!source_.read(into.data(), count * sizeof(SavedId))) return false;
        for (const SavedId& saved : into.first(count)) {
            const bool known =
                orderIds && saved.account != 0 && state_.accounts.exists(saved.account);
            const ClientIds& table =
                known ? state_.riskOf(saved.account).orderIds : state_.transactionIds;
            table.warm(saved.account, saved.id);
        }
        return true;
    }

    [[nodiscard]] uint8_t today(const RiskShard& shard) const {
        return numbers_ == nullptr ? 0 : static_cast<uint8_t>(numbers_->shards[shard.number].day);
    }

    bool slots() {
        if (numbers_ == nullptr) return true;
        for (size_t lane = 0; lane < state_.slabs.size(); ++lane) {
            const CoreNumbers::OfLane& numbers = numbers_->lanes[lane];
            if (!state_.slabs[lane]->restoreSlots(numbers.next, numbers.free)) return false;
        }
        return true;
    }

    bool slotsRestored() {
        if (numbers_ == nullptr) return true;
        return std::ranges::all_of(state_.slabs,
                                   [](const auto& slab) { return slab->slotsRestored(); });
    }

    bool orders() {
        for (uint64_t i = 0; i < head_.orders; ++i) {
            SavedOrder saved;
            if (!get(&saved) || !state_.knows(saved.instrument) ||
                state_.liveOrders() >= state_.capacity.maxOrders) {
                return false;
            }
            if (saved.entry == 0 || saved.entry > arrived_.size()) return false;
            const Arrived& arrived = arrived_[saved.entry - 1];
            if (arrived.account != saved.account || arrived.orderId != saved.orderId) return false;
            RiskShard& risk = state_.riskOf(saved.account);
            const ClientIdEntry& entry = risk.orderIds[arrived.entry];
            if (!entry.live() || entry.slot() != 0) return false;
            Instrument& instrument = state_.instruments[saved.instrument];
            if (saved.orderId == 0 || saved.orderId > state_.position ||
                !orderPossible(saved, instrument)) {
                return false;
            }
            const FeeSchedule fees{saved.makerFee, saved.takerFee};
            const uint8_t schedule =
                numbers_ != nullptr
                    ? static_cast<uint8_t>(numbers_->orders[i].schedule)
                    : instrument.slotFor(fees, false, state_.schedulesInUse(saved.instrument));
            if (schedule == Instrument::kSchedules) return false;
            if (numbers_ != nullptr && instrument.schedules[schedule] != fees) return false;
            instrument.schedules[schedule] = fees;
            ++risk.scheduleOrders[saved.instrument][schedule];

            OrderSlab& slab = state_.books[saved.instrument]->slab();
            OrderSlot slot = 0;
            if (numbers_ == nullptr) {
                slot = slab.claim();
            } else {
                slot = numbers_->orders[i].slot;
                if (!slab.claimAt(slot)) return false;
            }
            Order& order = slab[slot];
            order = Order{};
            order.price = saved.price;
            order.open = saved.open;
            order.orderId = saved.orderId;
            order.account = saved.account;
            order.firm = state_.accounts[saved.account].firm;
            order.instrument = saved.instrument;
            order.entry = arrived.entry;
            order.flags = saved.flags | uint32_t{schedule} << kOrderScheduleShift;
            if ((saved.display | saved.stopPrice) != 0 || saved.expiry != 0) {
                slab.needExtra(order) =
                    OrderExtra{saved.display, saved.stopPrice, saved.expiry, 0};
            }
            if (!state_.books[saved.instrument]->restore(slot, saved.visible)) return false;
            risk.orderIds.setLive(arrived.entry,
                                  LiveOrder{slot, saved.instrument, schedule, order.sell(),
                                            order.type() == OrderType::Limit});
            slots_.push_back(slot);
        }
        return slotsRestored();
    }

    // Each account's open orders, by order id.
    bool linkOrders() {
        std::sort(slots_.begin(), slots_.end(), [this](OrderSlot a, OrderSlot b) {
            return state_.slab[a].orderId < state_.slab[b].orderId;
        });
        for (const OrderSlot slot : slots_) {
            const Order& order = state_.slab[slot];
            RiskShard& risk = state_.riskOf(order.account);
            (void)state_.link(risk, order.entry);
            if (order.extra == 0 || state_.slab.extra(order).expiry == 0) continue;
            risk.addExpiry(Expiry{state_.slab.extra(order).expiry, order.orderId, slot});
        }
        return true;
    }

    // Holds and open quantities must be those of the orders, money must be conserved, live ids must be
    // exactly the open orders.
    bool consistent() {
        FlatMap<Amount> held;
        FlatMap<Exposure> open;
        for (const OrderSlot slot : slots_) {
            const Order& order = state_.slab[slot];
            const Instrument& instrument = state_.instruments[order.instrument];
            Amount& sum = held.findOrAdd(
                pairKey(order.account, order.sell() ? instrument.base : instrument.quote));
            if (!checkedAdd(sum,
                            instrument.hold(order.sell(), order.price, order.open, order.schedule()),
                            &sum)) {
                return false;
            }
            int64_t& lots =
                open.findOrAdd(pairKey(order.account, order.instrument)).open(order.sell());
            if (lots > kExposureMax - order.open) return false;
            lots += order.open;
        }
        bool good = true;
        const auto ledgerOf = [this](uint64_t key) -> const Ledger& {
            return state_.riskOf(static_cast<AccountId>(key >> 32)).ledger;
        };
        held.forEach([&](uint64_t key, const Amount&) {
            if (ledgerOf(key).balances().find(key) == nullptr) good = false;
        });
        open.forEach([&](uint64_t key, const Exposure&) {
            if (ledgerOf(key).exposures().find(key) == nullptr) good = false;
        });
        std::vector<Amount> totals(state_.assets.size());
        const auto balanceGood = [&](uint64_t key, const Balance& balance) {
            const Amount* expected = held.find(key);
            if (balance.held != (expected == nullptr ? 0 : *expected)) good = false;
            Amount& total = totals[static_cast<uint32_t>(key)];
            if (__builtin_add_overflow(total, balance.total, &total)) good = false;
        };
        const auto exposureGood = [&](uint64_t key, const Exposure& exposure) {
            const Exposure* expected = open.find(key);
            const Exposure none{};
            if (expected == nullptr) expected = &none;
            if (exposure.openBuy != expected->openBuy || exposure.openSell != expected->openSell) {
                good = false;
            }
        };
        for (const auto& shard : state_.shards) {
            shard->ledger.balances().forEach(balanceGood);
            shard->ledger.exposures().forEach(exposureGood);
        }
        for (size_t i = 1; i < totals.size(); ++i) {
            const Amount fees = state_.feesCollected(static_cast<AssetId>(i));
            if (totals[i] + fees != state_.assets[i].issued) good = false;
        }
        size_t live = 0;
        for (const auto& shard : state_.shards) {
            for (uint32_t entry = 1; entry <= shard->orderIds.size(); ++entry) {
                live += shard->orderIds[entry].live() ? 1 : 0;
            }
        }
        return good && live == slots_.size();
    }

    ByteSource& source_;
    Core::State& state_;
    const CoreNumbers* const numbers_;  // null: they are chosen here
    SavedHead head_{};
    std::vector<OrderSlot> slots_;
    struct Arrived {
        OrderId orderId;  // or position
        AccountId account;
        uint32_t entry;  // in its shard's table
    };
    std::vector<Arrived> arrived_;  // saved place − 1
};

}  // namespace

bool loadState(ByteSource& source, Core::State& state, const CoreNumbers* numbers) {
    CHECK(state.position == 0);
    return StateReader(source, state, numbers).run();
}

bool Core::load(ByteSource& source) { return loadState(source, *state_, nullptr); }

}  // namespace verbex
