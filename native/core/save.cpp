// The state in canonical form (docs/state-format.md): equal states give equal bytes. What depends on the
// history alone (slots, table places, numbers of fee schedules, shards) is left out or put in an order of facts.
#include <algorithm>
#include <cstring>
#include <vector>

#include "core/numbers.h"
#include "core/state.h"
#include "core/state_format.h"

namespace verbex {

namespace {

// Collects small writes, so that the sink sees blocks.
class StateWriter {
public:
    explicit StateWriter(ByteSink& sink) : sink_(sink) {}
    ~StateWriter() { flush(); }
    StateWriter(const StateWriter&) = delete;
    StateWriter& operator=(const StateWriter&) = delete;

    template <typename T>
    void put(const T& record) {
        static_assert(std::has_unique_object_representations_v<T>, "no padding may be saved");
        if (used_ + sizeof(T) > sizeof(buffer_)) flush();
        std::memcpy(buffer_ + used_, &record, sizeof(T));
        used_ += sizeof(T);
    }

private:
    void flush() {
        if (used_ > 0) sink_.write(buffer_, used_);
        used_ = 0;
    }

    ByteSink& sink_;
    size_t used_ = 0;
    unsigned char buffer_[65536];
};

// The remembered order ids of all shards in order of arrival. One shard's table is that order.
class Arrivals {
public:
    explicit Arrivals(const Core::State& state) : state_(state) {
        if (state.shards.size() == 1) return;
        for (const auto& shard : state.shards) {
            for (uint32_t entry = 1; entry <= shard->orderIds.size(); ++entry) {
                rows_.push_back(Row{shard->orderIds.date(entry), shard->number, entry});
            }
            places_.emplace_back(shard->orderIds.size() + 1);
        }
        std::sort(rows_.begin(), rows_.end(),
                  [](const Row& a, const Row& b) { return a.date < b.date; });
        for (uint32_t i = 0; i < rows_.size(); ++i) {
            places_[rows_[i].shard][rows_[i].entry] = i + 1;
        }
    }

    // The place of an account's entry, from 1.
    [[nodiscard]] uint32_t place(AccountId account, uint32_t entry) const {
        return rows_.empty() ? entry : places_[state_.riskOf(account).number][entry];
    }
    template <typename Visit>
    void forEach(Visit visit) const {
        if (state_.shards.size() == 1) {
            const ClientIds& ids = state_.shards[0]->orderIds;
            for (uint32_t entry = 1; entry <= ids.size(); ++entry) visit(ids, ids[entry]);
        }
        for (const Row& row : rows_) {
            const ClientIds& ids = state_.shards[row.shard]->orderIds;
            visit(ids, ids[row.entry]);
        }
    }

private:
    struct Row {
        uint64_t date;
        uint32_t shard;
        uint32_t entry;
    };
    const Core::State& state_;
    std::vector<Row> rows_;
    std::vector<std::vector<uint32_t>> places_;  // by shard, by entry
};

void saveOrder(StateWriter& out, const Core::State& state, const Arrivals& arrivals,
               OrderSlot slot) {
    const Order& order = state.slab[slot];
    const FeeSchedule& fees = state.instruments[order.instrument].schedules[order.schedule()];
    SavedOrder saved{};
    saved.price = order.price;
    saved.open = order.open;
    saved.visible = order.visible;
    saved.orderId = order.orderId;
    saved.account = order.account;
    saved.instrument = order.instrument;
    saved.entry = arrivals.place(order.account, order.entry);
    saved.flags = order.flags & ~(15u << kOrderScheduleShift);
    saved.makerFee = fees.maker;
    saved.takerFee = fees.taker;
    if (order.extra != 0) {
        const OrderExtra& extra = state.slab.extra(order);
        saved.display = extra.display;
        saved.stopPrice = extra.stopPrice;
        saved.expiry = extra.expiry;
    }
    out.put(saved);
}

template <typename Saved>
void putSorted(StateWriter& out, std::vector<Saved>& rows) {
    std::sort(rows.begin(), rows.end(), [](const Saved& a, const Saved& b) {
        return a.key() < b.key();
    });
    for (const Saved& row : rows) out.put(row);
}

void saveId(StateWriter& out, const Core::State& state, const ClientIds& ids,
            const ClientIdEntry& row) {
    SavedId saved{row.id, row.account, row.fingerprint, 0, 0, 0, 0};
    if (row.live()) {
        saved.live = 1;
        saved.orderId = state.slab[row.slot()].orderId;
    } else {
        saved.orderId = row.orderId();
        saved.reject = static_cast<uint16_t>(row.reject());
        saved.daysAgo = static_cast<uint8_t>((ids.day() - row.day()) & 3);
    }
    out.put(saved);
}

class HashSink final : public ByteSink {
public:
    void write(const void* bytes, size_t size) override { hash_.update(bytes, size); }
    [[nodiscard]] Digest128 digest() const { return hash_.digest(); }

private:
    Hash128 hash_;
};

}  // namespace

void Core::save(ByteSink& sink) const {
    const State& state = *state_;
    StateWriter out(sink);

    std::vector<SavedRight> rights;
    state.accounts.forEachRight([&](AccountId account, InstrumentId instrument, uint8_t right) {
        rights.push_back(SavedRight{account, instrument, right});
    });
    std::vector<SavedLimit> limits;
    state.limits.forEach(
        [&](AccountId account, LimitKind kind, uint32_t subject, const Limit& limit) {
            limits.push_back(SavedLimit{limit.limit, limit.current, limit.openBuy, limit.openSell,
                                        account, static_cast<uint32_t>(kind), subject, 0});
        });
    std::vector<SavedBalance> balances;
    std::vector<SavedExposure> exposures;
    for (const auto& shard : state.shards) {
        shard->ledger.balances().forEach([&](uint64_t key, const Balance& balance) {
            balances.push_back(SavedBalance{key, 0, balance.total, balance.held});
        });
        shard->ledger.exposures().forEach([&](uint64_t key, const Exposure& exposure) {
            exposures.push_back(
                SavedExposure{key, exposure.position, exposure.openBuy, exposure.openSell});
        });
    }
    const Arrivals arrivals(state);

    SavedHead head{};
    head.magic = kStateMagic;
    head.version = state.riskProcesses == 0 ? kStateVersion : kStateVersionWithProcesses;
    head.position = state.position;
    head.time = state.time;
    head.assets = static_cast<uint32_t>(state.assets.size() - 1);
    head.instruments = static_cast<uint32_t>(state.instruments.size() - 1);
    head.accounts = state.accounts.count();
    head.rights = static_cast<uint32_t>(rights.size());
    head.limits = static_cast<uint32_t>(limits.size());
    head.balances = balances.size();
    head.exposures = exposures.size();
    head.orderIds = state.rememberedIds();
    head.transactionIds = state.transactionIds.size();
    head.orders = state.liveOrders();
    out.put(head);
    if (state.riskProcesses != 0) {
        out.put(SavedAvailability{state.riskProcesses, state.riskProcessesAway});
    }

    for (size_t i = 1; i < state.assets.size(); ++i) {
        const Asset& asset = state.assets[i];
        out.put(SavedAsset{asset.issued, state.feesCollected(static_cast<AssetId>(i)), asset.name,
                           asset.decimals, 0});
    }
    for (size_t i = 1; i < state.instruments.size(); ++i) {
        const Instrument& instrument = state.instruments[i];
        const FeeSchedule& fees = instrument.schedules[instrument.schedule];
        SavedInstrument saved{};
        saved.name = instrument.name;
        saved.base = instrument.base;
        saved.quote = instrument.quote;
        saved.lotBase = instrument.lotBase;
        saved.lotQuote = instrument.lotQuote;
        saved.priceMin = instrument.terms.priceMin;
        saved.priceMax = instrument.terms.priceMax;
        saved.quantityMin = instrument.terms.quantityMin;
        saved.quantityMax = instrument.terms.quantityMax;
        saved.collar = instrument.terms.collar;
        saved.makerFee = fees.maker;
        saved.takerFee = fees.taker;
        saved.state = static_cast<uint32_t>(instrument.state);
        saved.lastPrice = state.books[i]->lastPrice();
        saved.trades = state.books[i]->trades();
        out.put(saved);
    }
    for (AccountId id = 0; id < state.accounts.count(); ++id) {
        const Account& account = state.accounts[id];
        out.put(SavedAccount{account.name, account.parent, account.killed, account.orderTypes,
                             account.instrumentsDenied, 0});
    }
    putSorted(out, rights);
    putSorted(out, limits);
    putSorted(out, balances);
    putSorted(out, exposures);
    arrivals.forEach([&](const ClientIds& ids, const ClientIdEntry& entry) {
        saveId(out, state, ids, entry);
    });
    for (uint32_t entry = 1; entry <= state.transactionIds.size(); ++entry) {
        saveId(out, state, state.transactionIds, state.transactionIds[entry]);
    }
    forEachResting(state, [&](OrderSlot slot) { saveOrder(out, state, arrivals, slot); });
}

Digest128 Core::hash() const {
    HashSink sink;
    save(sink);
    return sink.digest();
}

}  // namespace verbex
