#include "core/part.h"

#include <algorithm>
#include <tuple>

#include "core/numbers.h"
#include "core/state.h"

namespace verbex {

// Keeps every event of a command, however many.
class CorePart::Collector final : public EventWriter {
public:
    Collector() : room_(256) { rewind(); }
    void rewind() {
        kept_.clear();
        setRegion(room_.data(), room_.data() + room_.size());
    }
    std::vector<Event>& take() {
        kept_.insert(kept_.end(), begin(), cursor());
        setRegion(room_.data(), room_.data() + room_.size());
        return kept_;
    }

private:
    // The last one stays within reach: its flags may still change.
    void drain() override {
        kept_.insert(kept_.end(), begin(), cursor());
        setRegion(room_.data(), room_.data() + room_.size());
    }
    std::vector<Event> room_;
    std::vector<Event> kept_;
};

// Orders of this part's books that will end by themselves.
struct CorePart::Expiring {
    std::vector<Expiry> heap;
    size_t max = 1024;
    void add(const Expiry& expiry) {
        heap.push_back(expiry);
        std::push_heap(heap.begin(), heap.end());
    }
};

CorePart::CorePart(const CoreLimits& limits, uint32_t riskShards, uint32_t matchingShards)
    : core_(limits, CoreShards{riskShards, matchingShards, true}),
      state_(*core_.state_),
      facts_(std::make_unique<PartFacts>()),
      collector_(std::make_unique<Collector>()),
      expiring_(std::make_unique<Expiring>()) {}

CorePart::~CorePart() = default;

void CorePart::replay(const Command& command, EventWriter& events) {
    CHECK(kind_ == PartKind::Whole);
    core_.apply(command, events);
}

void CorePart::save(ByteSink& sink) const {
    CHECK(kind_ == PartKind::Whole);
    saveNumbers(numbersOf(state_), sink);
    core_.save(sink);
}

bool CorePart::load(ByteSource& source) {
    CHECK(kind_ == PartKind::Whole);
    CoreNumbers numbers;
    return loadNumbers(source, state_, numbers) && loadState(source, state_, &numbers);
}

void CorePart::become(PartKind kind, uint32_t shard) {
    CHECK(kind_ == PartKind::Whole && kind != PartKind::Whole);
    kind_ = kind;
    shard_ = shard;
    state_.facts = facts_.get();
    // Who is away only the centre is told, and rejects what that concerns.
    if (kind != PartKind::Centre) state_.riskProcessesAway = 0;
    // The memory of what others have is given back.
    for (uint32_t i = 0; i < state_.shards.size(); i++) {
        RiskShard& old = *state_.shards[i];
        if (kind == PartKind::Risk && i == shard) {
            old.expiries = {};
            continue;
        }
        if (kind == PartKind::Matching) {
            old.ledger = Ledger{};
            old.expiries = {};
            continue;
        }
        auto fresh = std::make_unique<RiskShard>(
            old.number, kind == PartKind::Centre ? 1 : state_.capacity.maxClientIds, false, false);
        fresh->fees = std::vector<Amount>(old.fees.size());
        fresh->scheduleOrders.resize(old.scheduleOrders.size());
        *state_.shards[i] = std::move(*fresh);
    }
    for (AccountId id = 0; id < state_.accounts.count(); id++) {
        Account& account = state_.accounts[id];
        if (kind == PartKind::Risk && account.shard == shard) continue;
        account.openOrders = account.firstOrder = account.lastOrder = 0;
    }
    if (kind != PartKind::Matching) return;
    state_.slabs[shard]->forEach([this](OrderSlot slot, const Order& order) {
        if (order.extra == 0) return;
        const uint64_t expiry = state_.slab.extra(order).expiry;
        if (expiry != 0) expiring_->add(Expiry{expiry, order.orderId, slot});
    });
}

void CorePart::carry(const Command& command, Position at, const PartFacts& facts) {
    *facts_ = facts;
    switch (CommandType(command.type)) {
        case CommandType::MassCancel: break;
        case CommandType::KillSwitch:
            state_.accounts[command.account].killed = command.side == 1;
            state_.accounts.settingChanged(command.account);
            break;
        case CommandType::AdvanceTime: state_.time = command.expiry; break;
        case CommandType::DayEnd:
            if (kind_ == PartKind::Risk) {
                RiskShard& risk = *state_.shards[shard_];
                ClientIds& ids = risk.orderIds;
                ids.endDay([this, &ids](uint32_t, uint32_t to) {
                    const ClientIdEntry& entry = ids[to];
                    Account& account = state_.accounts[entry.account];
                    (entry.prev != 0 ? ids[entry.prev].next : account.firstOrder) = to;
                    (entry.next != 0 ? ids[entry.next].prev : account.lastOrder) = to;
                });
            }
            break;
        default:
            collector_->rewind();
            state_.position = at - 1;
            core_.apply(command, *collector_);
            break;
    }
    state_.position = at;
}

// ---- centre

bool CorePart::exists(AccountId account) const { return state_.accounts.exists(account); }
uint32_t CorePart::shardOf(AccountId account) const { return state_.accounts[account].shard; }
uint32_t CorePart::laneOf(InstrumentId instrument) const { return state_.laneOf(instrument); }
bool CorePart::knows(InstrumentId instrument) const { return state_.knows(instrument); }
bool CorePart::refuses(const Command& command) const { return state_.refuses(command); }

void CorePart::answer(const Command& command, Position at, Decision& decision,
                      std::vector<Event>& events) {
    CHECK(decision.step == Step::Reject || decision.step == Step::AnswerAgain);
    collector_->rewind();
    core_.match(command, at, decision, *collector_);
    events = collector_->take();
}

void CorePart::applyAlone(const Command& command, Position at, const PartFacts& facts,
                          std::span<const PartBalance> balances,
                          std::vector<Event>& events) {
    *facts_ = facts;
    const AccountId accounts[2] = {command.account, static_cast<AccountId>(command.toAccount)};
    for (size_t i = 0; i < balances.size(); i++) {
        if (balances[i].known == 0) continue;
        state_.riskOf(accounts[i]).ledger.balance(accounts[i], command.instrument) =
            Balance{balances[i].total, balances[i].held};
    }
    collector_->rewind();
    state_.position = at - 1;
    core_.apply(command, *collector_);
    events = collector_->take();
    for (size_t i = 0; i < balances.size(); i++) {
        if (balances[i].known == 0) continue;
        state_.riskOf(accounts[i]).ledger.balances().erase(
            pairKey(accounts[i], command.instrument));
    }
}

void CorePart::complete(Event& event, const EventIds& ids) const {
    const auto type = EventType(event.type);
    const bool again = (event.flags & kEventDuplicate) != 0;
    switch (type) {
        case EventType::Trade: {
            const Instrument& instrument = state_.instruments[event.instrument];
            event.fee = instrument.schedules[event.schedules & 0xff].taker;
            event.fee2 = instrument.schedules[event.schedules >> 8].maker;
            event.id = ids.id;
            event.id2 = ids.id2;
            break;
        }
        case EventType::Accepted:
        case EventType::Triggered:
        case EventType::Booked:
            if (again) break;
            event.id = ids.id;
            event.account2 = 0;
            break;
        case EventType::Replaced:
            if (again) break;
            event.id = ids.id;
            event.id2 = ids.id2;
            event.account2 = 0;
            break;
        case EventType::Cancelled:
        case EventType::Reduced: event.id = ids.id; break;
        default: break;
    }
    Core::complete(event);
}

uint32_t CorePart::concerned(const Command& command, const Decision& decision,
                             std::span<const Event> events) const {
    uint32_t shards = 0;
    if (decision.step == Step::Replace) shards |= 1u << shardOf(command.account);
    for (const Event& event : events) {
        switch (EventType(event.type)) {
            case EventType::Trade:
                shards |= 1u << shardOf(event.account) | 1u << shardOf(event.account2);
                break;
            case EventType::Accepted:
            case EventType::Booked:
            case EventType::Triggered:
            case EventType::Replaced:
            case EventType::Cancelled:
            case EventType::Reduced:
            case EventType::BalanceChanged:
                if ((event.flags & kEventDuplicate) == 0) shards |= 1u << shardOf(event.account);
                break;
            default: break;
        }
    }
    return shards;
}

// ---- risk

bool CorePart::validate(const Command& command, Position at, Decision& decision) {
    return state_.validate(*state_.shards[shard_], command, at, Certainty::Ahead, decision);
}

void CorePart::decide(const Command& command, Position at, const BookLook& look, bool whole,
                      const PartFacts& facts, Decision& decision) {
    *facts_ = facts;
    if (look.instrument != 0) {
        state_.books[look.instrument]->plant(look.bestBid, look.bestAsk);
        if (look.slot != 0) state_.slab.plant(look.slot, look.order, look.extra);
    }
    CHECK(state_.validate(*state_.shards[shard_], command, at,
                          whole ? Certainty::Whole : Certainty::Settled, decision));
}

bool CorePart::wants(const Command& command, InstrumentId& instrument, OrderSlot& slot) const {
    const ClientIds& ids = state_.shards[shard_]->orderIds;
    instrument = 0;
    slot = 0;
    const auto order = [&](uint32_t entry) {
        if (entry == 0 || !ids[entry].live()) return false;
        const LiveOrder live = ids[entry].order();
        instrument = live.instrument;
        slot = live.slot;
        return true;
    };
    const bool replace = CommandType(command.type) == CommandType::ReplaceOrder;
    if (replace && command.extended() && !command.newId.none() && command.newId != command.id &&
        order(ids.find(command.account, command.newId))) {
        return slot != 0;
    }
    if (order(ids.find(command.account, command.id))) return slot != 0;
    if (!replace && state_.knows(command.instrument)) instrument = command.instrument;
    return true;
}

void CorePart::settle(const Command& command, const Decision& decision, std::span<Event> events) {
    RiskShard& risk = *state_.shards[shard_];
    state_.settle(risk, command, decision, events.data(), events.data() + events.size(), true);
    for (const Event& event : events) {
        if (EventType(event.type) != EventType::BalanceChanged ||
            (event.flags & kEventDuplicate) != 0 ||
            state_.accounts[event.account].shard != shard_) {
            continue;
        }
        risk.ledger.balance(event.account, event.instrument).total = event.amount;
    }
}

PartBalance CorePart::balance(AccountId account, AssetId asset) const {
    if (account == 0 || !state_.knowsAsset(asset)) return {};  // no such thing
    const Balance* found = state_.shards[shard_]->ledger.findBalance(account, asset);
    return found == nullptr ? PartBalance{} : PartBalance{found->total, found->held, 1, 0};
}

uint32_t CorePart::rememberedIds(uint32_t riskShard) const {
    return state_.shards[riskShard]->orderIds.size();
}

void CorePart::numbered(std::vector<NumberedOrder>& orders) const {
    const ClientIds& ids = state_.shards[shard_]->orderIds;
    orders.clear();
    for (uint32_t entry = 1; entry <= ids.size(); entry++) {
        if (ids[entry].live()) orders.push_back({ids[entry].slot(), entry});
    }
}

// ---- matching

void CorePart::match(const Command& command, Position at, Decision& decision, MatchedEvents& out) {
    ClientIds& ids = state_.riskOf(command.account).orderIds;
    const auto name = [&](uint32_t entry, const ClientId& id, const LiveOrder& live) {
        ids[entry].id = id;
        ids[entry].account = command.account;
        ids.setLive(entry, live);
    };
    if (decision.step == Step::Enter) {
        name(decision.entry, command.id,
             LiveOrder{0, command.instrument, decision.schedule,
                       command.side == static_cast<uint8_t>(Side::Sell), false});
    } else if (decision.step == Step::ReplaceKnown && decision.newEntry != decision.entry) {
        const LiveOrder live = ids[decision.entry].order();
        name(decision.newEntry, command.newId, live);
        state_.slab[live.slot].entry = decision.newEntry;
    }
    collector_->rewind();
    core_.match(command, at, decision, *collector_);
    out.events = collector_->take();
    noteExpiry(command, out.events);
    idsOf(out.events, out.ids);
}

void CorePart::noteExpiry(const Command& command, std::span<const Event> events) {
    if (CommandType(command.type) != CommandType::NewOrder || command.expiry == 0) return;
    for (const Event& event : events) {
        const auto type = EventType(event.type);
        if (event.orderId != event.position || event.account2 == 0 ||
            (type != EventType::Accepted && type != EventType::Booked)) {
            continue;
        }
        Expiring& expiring = *expiring_;
        if (expiring.heap.size() >= expiring.max) {
            std::erase_if(expiring.heap, [this](const Expiry& each) {
                return state_.slab[each.slot].orderId != each.orderId;
            });
            std::make_heap(expiring.heap.begin(), expiring.heap.end());
            expiring.max = 2 * expiring.heap.size() + 1024;
        }
        expiring.add(Expiry{command.expiry, event.orderId, event.account2});
        return;
    }
}

void CorePart::idsOf(const std::vector<Event>& events, std::vector<EventIds>& ids) const {
    ids.assign(events.size(), EventIds{});
    const auto named = [this](AccountId account, const ClientId& entry) {
        return state_.riskOf(account).orderIds[static_cast<uint32_t>(entry.lo)].id;
    };
    for (size_t i = 0; i < events.size(); i++) {
        const Event& event = events[i];
        switch (EventType(event.type)) {
            case EventType::Trade:
                ids[i].id2 = named(event.account2, event.id2);
                [[fallthrough]];
            case EventType::Accepted:
            case EventType::Triggered:
            case EventType::Booked:
            case EventType::Cancelled:
            case EventType::Reduced: ids[i].id = named(event.account, event.id); break;
            case EventType::Replaced:
                ids[i].id = named(event.account, event.id);
                ids[i].id2 = named(event.account, event.id2);
                break;
            default: break;  // rejected by matching: nothing to look up
        }
    }
}

void CorePart::look(InstrumentId instrument, OrderSlot slot, BookLook& look) const {
    look = BookLook{};
    if (!state_.knows(instrument)) return;
    const Book& book = *state_.books[instrument];
    look.instrument = instrument;
    look.bestBid = book.bestBid();
    look.bestAsk = book.bestAsk();
    look.slot = slot;
    if (slot == 0) return;
    look.order = state_.slab[slot];
    if (look.order.extra != 0) look.extra = state_.slab.extra(look.order);
}

void CorePart::sweep(const Command& command, Position at, MatchedEvents& out,
                     std::vector<SweepKey>& keys) {
    out.clear();
    keys.clear();
    collector_->rewind();
    const CommandContext context{*collector_, at, command.token};
    const auto type = CommandType(command.type);
    if (type == CommandType::AdvanceTime) {
        std::vector<Expiry>& heap = expiring_->heap;
        while (!heap.empty() && heap.front().time <= command.expiry) {
            const Expiry expiry = heap.front();
            std::pop_heap(heap.begin(), heap.end());
            heap.pop_back();
            const Order& order = state_.slab[expiry.slot];
            if (order.orderId != expiry.orderId) continue;  // ended before
            keys.push_back({expiry.time, expiry.orderId});
            state_.books[order.instrument]->cancel(expiry.slot, Cause::Expired, context);
        }
    } else {
        struct Found {
            SweepKey key;
            OrderSlot slot;
        };
        std::vector<Found> found;
        state_.slabs[shard_]->forEach([&](OrderSlot slot, const Order& order) {
            const bool fits =
                type == CommandType::DayEnd
                    ? order.timeInForce() == TimeInForce::Day
                    : state_.accounts.inSubtree(order.account, command.account) &&
                          (type == CommandType::KillSwitch ||
                           ((command.instrument == 0 || order.instrument == command.instrument) &&
                            (command.side == 0 || order.side() == Side(command.side))));
            if (fits) found.push_back({{order.account, order.orderId}, slot});
        });
        std::sort(found.begin(), found.end(),
                  [](const Found& a, const Found& b) { return a.key < b.key; });
        const Cause cause = type == CommandType::DayEnd      ? Cause::DayEnd
                            : type == CommandType::KillSwitch ? Cause::KillSwitch
                                                              : Cause::MassCancel;
        for (const Found& each : found) {
            keys.push_back(each.key);
            state_.books[state_.slab[each.slot].instrument]->cancel(each.slot, cause, context);
        }
    }
    out.events = collector_->take();
    CHECK(out.events.size() == keys.size());
    idsOf(out.events, out.ids);
}

uint32_t CorePart::schedulesInUse(InstrumentId instrument) const {
    uint32_t inUse = 0;
    state_.slabs[shard_]->forEach([&](OrderSlot, const Order& order) {
        if (order.instrument == instrument) inUse |= 1u << order.schedule();
    });
    return inUse;
}

bool CorePart::openValue(AccountId root, AssetId quote, Amount& value) const {
    bool inRange = true;
    value = 0;
    state_.slabs[shard_]->forEach([&](OrderSlot, const Order& order) {
        const Instrument& instrument = state_.instruments[order.instrument];
        if (instrument.quote != quote || !state_.accounts.inSubtree(order.account, root)) return;
        inRange = inRange && checkedAdd(value, instrument.value(order.price, order.open), &value);
    });
    return inRange;
}

void CorePart::renumber(uint32_t riskShard, std::span<const NumberedOrder> orders) {
    ClientIds& ids = state_.shards[riskShard]->orderIds;
    // Entries only ever move down, in order: none is written over before it was read.
    for (const NumberedOrder& each : orders) {
        if (!state_.slabs[shard_]->owns(each.slot)) continue;
        Order& order = state_.slab[each.slot];
        if (order.orderId == 0 || order.entry == each.entry) continue;
        CHECK(each.entry < order.entry);
        ids[each.entry].id = ids[order.entry].id;
        ids[each.entry].account = order.account;
        ids.setLive(each.entry, ids[order.entry].order());
        order.entry = each.entry;
    }
}

uint32_t CorePart::openOrders() const { return state_.slabs[shard_]->live(); }

// ---- what the parts can be compared by

namespace {

class ShareHash {
public:
    template <typename... Values>
    void add(const Values&... values) {
        (hash_.update(&values, sizeof(values)), ...);
    }
    [[nodiscard]] Digest128 digest() const { return hash_.digest(); }

private:
    Hash128 hash_;
};

template <typename Value>
std::vector<std::pair<uint64_t, Value>> sorted(const FlatMap<Value>& map) {
    std::vector<std::pair<uint64_t, Value>> rows;
    map.forEach([&rows](uint64_t key, const Value& value) { rows.emplace_back(key, value); });
    std::sort(rows.begin(), rows.end(),
              [](const auto& a, const auto& b) { return a.first < b.first; });
    return rows;
}

void hashTerms(const Core::State& state, ShareHash& hash) {
    hash.add(state.time);
    for (const Instrument& instrument : state.instruments) {
        hash.add(instrument.name.lo, instrument.name.hi, instrument.base, instrument.quote,
                 static_cast<uint8_t>(instrument.state), instrument.lotBase, instrument.lotQuote,
                 instrument.terms.priceMin, instrument.terms.priceMax, instrument.terms.quantityMin,
                 instrument.terms.quantityMax, instrument.schedule);
        for (const FeeSchedule& fees : instrument.schedules) hash.add(fees.maker, fees.taker);
    }
    for (AccountId id = 0; id < state.accounts.count(); id++) {
        const Account& account = state.accounts[id];
        hash.add(account.name.lo, account.name.hi, account.parent, account.killed,
                 account.killedInForce, account.orderTypesInForce,
                 account.instrumentRightsInForce);
    }
}

void hashRisk(const Core::State& state, uint32_t shard, ShareHash& hash) {
    const RiskShard& risk = *state.shards[shard];
    for (const auto& [key, balance] : sorted(risk.ledger.balances())) {
        hash.add(key, balance.total, balance.held);
    }
    for (const auto& [key, exposure] : sorted(risk.ledger.exposures())) {
        hash.add(key, exposure.position, exposure.openBuy, exposure.openSell);
    }
    for (const Amount& fees : risk.fees) hash.add(fees);
    for (const auto& slots : risk.scheduleOrders) hash.add(slots);
    for (uint32_t entry = 1; entry <= risk.orderIds.size(); entry++) {
        const ClientIdEntry& row = risk.orderIds[entry];
        hash.add(row.id.lo, row.id.hi, row.account, row.fingerprint, row.next, row.prev,
                 row.answer);
    }
    std::vector<std::tuple<AccountId, uint8_t, uint32_t, Limit>> limits;
    state.limits.forEach(
        [&](AccountId account, LimitKind kind, uint32_t subject, const Limit& limit) {
            if (state.accounts[account].shard != shard) return;
            limits.emplace_back(account, static_cast<uint8_t>(kind), subject, limit);
        });
    std::sort(limits.begin(), limits.end(), [](const auto& a, const auto& b) {
        return std::tie(std::get<0>(a), std::get<1>(a), std::get<2>(a)) <
               std::tie(std::get<0>(b), std::get<1>(b), std::get<2>(b));
    });
    for (const auto& [account, kind, subject, limit] : limits) {
        hash.add(account, kind, subject, limit.limit, limit.current, limit.openBuy,
                 limit.openSell);
    }
    for (AccountId id = 0; id < state.accounts.count(); id++) {
        const Account& account = state.accounts[id];
        if (account.shard != shard) continue;
        hash.add(account.limits, account.limitsInForce, account.openOrders, account.firstOrder,
                 account.lastOrder);
    }
}

void hashQueue(const Core::State& state, Level level, ShareHash& hash) {
    for (OrderSlot slot = level.head; slot != 0; slot = state.slab[slot].next) {
        const Order& order = state.slab[slot];
        hash.add(slot, order.price, order.open, order.visible, order.orderId, order.account,
                 order.firm, order.instrument, order.entry, order.flags);
        if (order.extra == 0) continue;
        const OrderExtra& extra = state.slab.extra(order);
        hash.add(extra.display, extra.stopPrice, extra.expiry);
    }
}

void hashMatching(const Core::State& state, uint32_t shard, ShareHash& hash) {
    for (size_t i = 1; i < state.books.size(); i++) {
        if (state.laneOf(static_cast<InstrumentId>(i)) != shard) continue;
        const Book& book = *state.books[i];
        hash.add(book.bestBid(), book.bestAsk(), book.lastPrice(), book.trades());
        const Ladder& ladder = book.ladder();
        for (int64_t price = book.bestBid(); price != Ladder::kNone; price = ladder.below(price)) {
            hashQueue(state, ladder.at(price), hash);
        }
        for (int64_t price = book.bestAsk(); price != Ladder::kNone; price = ladder.above(price)) {
            hashQueue(state, ladder.at(price), hash);
        }
        for (const auto& [price, level] : book.buyStops()) hashQueue(state, level, hash);
        for (const auto& [price, level] : book.sellStops()) hashQueue(state, level, hash);
    }
}

}  // namespace

Digest128 CorePart::share(PartKind kind, uint32_t shard) const {
    ShareHash hash;
    hashTerms(state_, hash);
    switch (kind) {
        case PartKind::Risk: hashRisk(state_, shard, hash); break;
        case PartKind::Matching: hashMatching(state_, shard, hash); break;
        case PartKind::Whole:
        case PartKind::Centre:
            hash.add(state_.riskProcesses, state_.riskProcessesAway);
            for (const Asset& asset : state_.assets) {
                hash.add(asset.issued, asset.name.lo, asset.name.hi, asset.decimals);
            }
            for (uint32_t i = 1; i <= state_.transactionIds.size(); i++) {
                const ClientIdEntry& row = state_.transactionIds[i];
                hash.add(row.id.lo, row.id.hi, row.account, row.fingerprint, row.answer);
            }
            break;
    }
    return hash.digest();
}

}  // namespace verbex
