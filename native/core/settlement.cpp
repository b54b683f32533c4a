// Settlement: the second look at a command's events. Matching has written what happened in ticks and lots;
// here the money moves, ids are closed, and the events get what only risk knows (client ids, fees).
#include <algorithm>

#include "core/state.h"

namespace verbex {

void Core::State::begin(const Command& command, EventWriter& events) {
    events_ = &events;
    command_ = &command;
    unsettled_ = events.cursor();
    // A command may give more events than the region has room for: then this runs before they leave.
    events.setCompletion(
        [](void* self) {
            auto* state = static_cast<State*>(self);
            state->settle();
            state->unsettled_ = nullptr;
        },
        this);
}

void Core::State::settle() {
    Event* const from = unsettled_ == nullptr ? events_->begin() : unsettled_;
    Event* const to = events_->cursor();
    unsettled_ = to;
    if (only != nullptr) {
        settleEvents<true>(*only, *command_, from, to);
        return;
    }
    for (const auto& shard : shards) settleEvents<false>(*shard, *command_, from, to);
    for (Event* event = from; event != to; ++event) Core::complete(*event);
}

void Core::State::settle(RiskShard& risk, const Command& command, const Decision& decision,
                         Event* from, Event* to, bool first) {
    if (first && decision.step == Step::Replace && from != to &&
        &riskOf(command.account) == &risk) {
        settleReplace(risk, command, decision, *from);
    }
    if (only != nullptr) {
        settleEvents<true>(risk, command, from, to);
    } else {
        settleEvents<false>(risk, command, from, to);
    }
}

// kAlone: this shard has all accounts. An event of one account is completed by that account's shard; of a
// trade each side by its own.
template <bool kAlone>
void Core::State::settleEvents(RiskShard& risk, const Command& command, Event* from, Event* to) {
    ClientIds& ids = risk.orderIds;
    for (Event* event = from; event != to; ++event) {
        const auto type = EventType(event->type);
        if (type == EventType::Trade) {
            settleTrade<kAlone>(risk, *event);
            if (kAlone) Core::complete(*event);
            continue;
        }
        if (type == EventType::Rejected) continue;  // its account may be anything
        // The head of an order whose trades follow: every shard must know its price.
        const bool head = type == EventType::Accepted || type == EventType::Triggered ||
                          type == EventType::Replaced;
        if (head) risk.takerPrice = event->price;
        if (!kAlone && accounts[event->account].shard != risk.number) continue;
        switch (type) {
            case EventType::Accepted:
            case EventType::Triggered:
            case EventType::Booked: {
                if ((event->flags & kEventDuplicate) != 0) break;
                const auto entry = static_cast<uint32_t>(event->id.lo);
                if ((event->flags & kEventReload) == 0) rested(risk, command, *event, entry);
                event->id = ids[entry].id;
                event->account2 = 0;
                break;
            }
            case EventType::Replaced: {
                if ((event->flags & kEventDuplicate) != 0) break;
                const auto entry = static_cast<uint32_t>(event->id2.lo);
                rested(risk, command, *event, entry);
                event->id = ids[static_cast<uint32_t>(event->id.lo)].id;
                event->id2 = ids[entry].id;
                event->account2 = 0;
                break;
            }
            case EventType::Cancelled: {
                const auto entry = static_cast<uint32_t>(event->id.lo);
                releaseOpen(risk, *event, event->quantity, 0);
                event->id = ids[entry].id;
                finished(risk, entry, event->orderId, event->instrument,
                         static_cast<uint8_t>(event->schedules));
                break;
            }
            case EventType::Reduced: {
                releaseOpen(risk, *event, event->quantity, event->leaves);
                event->id = ids[static_cast<uint32_t>(event->id.lo)].id;
                break;
            }
            default:
                break;  // nothing of an order
        }
        if (kAlone) Core::complete(*event);
    }
}

template <bool kAlone>
void Core::State::settleTrade(RiskShard& risk, Event& event) {
    const bool ownTaker = kAlone || accounts[event.account].shard == risk.number;
    const bool ownMaker = kAlone || accounts[event.account2].shard == risk.number;
    if (!kAlone && !ownTaker && !ownMaker) return;
    const Instrument& instrument = instruments[event.instrument];
    const auto takerSchedule = static_cast<uint8_t>(event.schedules & 0xff);
    const auto makerSchedule = static_cast<uint8_t>(event.schedules >> 8);
    const bool takerSells = event.side == static_cast<uint8_t>(Side::Sell);
    const Amount value = instrument.value(event.price, event.quantity);
    uint32_t taker = 0;
    if (ownTaker) {
        event.fee = instrument.schedules[takerSchedule].taker;
        const Amount fee = millionthsOf(value, event.fee);
        risk.fees[instrument.quote] += fee;
        settleSide(risk, instrument, event.instrument, event.account, takerSells, takerSchedule,
                   risk.takerPrice, event, event.leaves, value, fee);
        taker = static_cast<uint32_t>(event.id.lo);
        event.id = risk.orderIds[taker].id;
    }
    if (ownMaker) {
        event.fee2 = instrument.schedules[makerSchedule].maker;
        const Amount fee = millionthsOf(value, event.fee2);
        risk.fees[instrument.quote] += fee;
        settleSide(risk, instrument, event.instrument, event.account2, !takerSells, makerSchedule,
                   event.price, event, event.leaves2, value, fee);
        const auto maker = static_cast<uint32_t>(event.id2.lo);
        event.id2 = risk.orderIds[maker].id;
        if (event.leaves2 == 0) {
            finished(risk, maker, event.orderId2, event.instrument, makerSchedule);
        }
    }
    if (ownTaker && event.leaves == 0) {
        finished(risk, taker, event.orderId, event.instrument, takerSchedule);
    }
}

void Core::State::settleSide(RiskShard& risk, const Instrument& instrument, InstrumentId id,
                             AccountId account, bool sell, uint8_t schedule, int64_t worstPrice,
                             const Event& trade, int64_t openAfter, Amount value, Amount fee) {
    Ledger& ledger = risk.ledger;
    const Amount goods = Amount{trade.quantity} * instrument.lotBase;
    Exposure& exposure = ledger.exposure(account, id);
    if (sell) {
        exposure.position -= trade.quantity;
        exposure.openSell -= trade.quantity;
        Balance& base = ledger.balance(account, instrument.base);
        base.held -= goods;
        base.total -= goods;
        ledger.balance(account, instrument.quote).total += value - fee;
    } else {
        exposure.position += trade.quantity;
        exposure.openBuy -= trade.quantity;
        const Amount released =
            instrument.hold(false, worstPrice, openAfter + trade.quantity, schedule) -
            (openAfter == 0 ? 0 : instrument.hold(false, worstPrice, openAfter, schedule));
        Balance& quote = ledger.balance(account, instrument.quote);
        quote.held -= released;
        quote.total -= value + fee;
        CHECK(quote.held >= 0 && quote.total >= quote.held);
        ledger.balance(account, instrument.base).total += goods;
    }
    if (accounts[account].limitsInForce) {
        limits.apply(accounts, account,
                     LimitChange{id, instrument.quote, sell, openAfter == 0 ? -1 : 0,
                                 -trade.quantity, sell ? -trade.quantity : trade.quantity,
                                 -instrument.value(worstPrice, trade.quantity)});
    }
}

// The open quantity of an order fell to openAfter without a trade.
void Core::State::releaseOpen(RiskShard& risk, const Event& event, int64_t quantity,
                              int64_t openAfter) {
    Ledger& ledger = risk.ledger;
    const Instrument& instrument = instruments[event.instrument];
    const bool sell = event.side == static_cast<uint8_t>(Side::Sell);
    const auto schedule = static_cast<uint8_t>(event.schedules);
    const Amount kept =
        openAfter == 0 ? 0 : instrument.hold(sell, event.price, openAfter, schedule);
    ledger.release(event.account, sell ? instrument.base : instrument.quote,
                   instrument.hold(sell, event.price, openAfter + quantity, schedule) - kept);
    ledger.exposure(event.account, event.instrument).open(sell) -= quantity;
    if (accounts[event.account].limitsInForce) {
        limits.apply(accounts, event.account,
                     LimitChange{event.instrument, instrument.quote, sell, openAfter == 0 ? -1 : 0,
                                 -quantity, 0, -instrument.value(event.price, quantity)});
    }
}

// The order may have come to rest, in the book or among the stops: its slot is in account2.
void Core::State::rested(RiskShard& risk, const Command& command, const Event& event,
                         uint32_t entry) {
    const OrderSlot slot = event.account2;
    // In a process of its own, risk hears here where matching has put it; and expiry is matching's.
    if (facts != nullptr && slot != 0) risk.orderIds.setSlot(entry, slot);
    if (slot == 0 || !link(risk, entry)) return;  // rested before: its expiry is known
    // The order that a command enters is the first of its events to rest.
    if (facts == nullptr && command.expiry != 0 && event.orderId == event.position) {
        risk.addExpiry(Expiry{command.expiry, event.orderId, slot});
    }
}

void Core::State::finished(RiskShard& risk, uint32_t entry, OrderId orderId,
                           InstrumentId instrument, uint8_t schedule) {
    unlink(risk, entry);
    risk.orderIds.close(entry, orderId, Reject::NONE);
    --risk.scheduleOrders[instrument][schedule];
}

bool Core::State::link(RiskShard& risk, uint32_t entry) {
    ClientIds& ids = risk.orderIds;
    ClientIdEntry& added = ids[entry];
    Account& account = accounts[added.account];
    if (account.firstOrder == entry || added.prev != 0) return false;
    added.prev = account.lastOrder;
    added.next = 0;
    (account.lastOrder != 0 ? ids[account.lastOrder].next : account.firstOrder) = entry;
    account.lastOrder = entry;
    ++account.openOrders;
    return true;
}

void Core::State::unlink(RiskShard& risk, uint32_t entry) {
    ClientIds& ids = risk.orderIds;
    const ClientIdEntry& gone = ids[entry];
    Account& account = accounts[gone.account];
    if (account.firstOrder != entry && gone.prev == 0) return;  // never rested
    (gone.prev != 0 ? ids[gone.prev].next : account.firstOrder) = gone.next;
    (gone.next != 0 ? ids[gone.next].prev : account.lastOrder) = gone.prev;
    ids[entry].next = ids[entry].prev = 0;
    --account.openOrders;
}

}  // namespace verbex
