// Settlement: the second look at a command's events. Matching has written what happened in ticks and lots;
// here the money moves, ids are closed, and the events get what only risk knows (client ids, fees).
#include <algorithm>

#include "core/state.h"

namespace verbex {

void Core::State::begin(EventWriter& events) {
    events_ = &events;
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
    Event* event = unsettled_ == nullptr ? events_->begin() : unsettled_;
    Event* const end = events_->cursor();
    for (; event != end; ++event) {
        switch (EventType(event->type)) {
            case EventType::Accepted:
                if ((event->flags & kEventDuplicate) != 0) break;
                [[fallthrough]];
            case EventType::Triggered: {
                const auto entry = static_cast<uint32_t>(event->id.lo);
                takerPrice_ = event->price;
                rested(*event, entry);
                event->id = orderIds[entry].id;
                event->account2 = 0;
                event->schedules = 0;
                break;
            }
            case EventType::Replaced: {
                if ((event->flags & kEventDuplicate) != 0) break;
                const auto entry = static_cast<uint32_t>(event->id2.lo);
                takerPrice_ = event->price;
                rested(*event, entry);
                event->id = orderIds[static_cast<uint32_t>(event->id.lo)].id;
                event->id2 = orderIds[entry].id;
                event->account2 = 0;
                event->schedules = 0;
                break;
            }
            case EventType::Booked: {
                const auto entry = static_cast<uint32_t>(event->id.lo);
                if ((event->flags & kEventReload) == 0) rested(*event, entry);
                event->id = orderIds[entry].id;
                event->account2 = 0;
                event->schedules = 0;
                break;
            }
            case EventType::Trade:
                settleTrade(*event);
                break;
            case EventType::Cancelled: {
                const auto entry = static_cast<uint32_t>(event->id.lo);
                const auto schedule = static_cast<uint8_t>(event->schedules);
                releaseOpen(*event, event->quantity, 0);
                event->id = orderIds[entry].id;
                event->schedules = 0;
                finished(entry, event->orderId, event->instrument, schedule);
                break;
            }
            case EventType::Reduced: {
                releaseOpen(*event, event->quantity, event->leaves);
                event->id = orderIds[static_cast<uint32_t>(event->id.lo)].id;
                event->schedules = 0;
                break;
            }
            default:
                break;  // nothing of an order
        }
    }
    unsettled_ = end;
}

void Core::State::settleTrade(Event& event) {
    Instrument& instrument = instruments[event.instrument];
    const auto takerSchedule = static_cast<uint8_t>(event.schedules & 0xff);
    const auto makerSchedule = static_cast<uint8_t>(event.schedules >> 8);
    const bool takerSells = event.side == static_cast<uint8_t>(Side::Sell);
    event.fee = instrument.schedules[takerSchedule].taker;
    event.fee2 = instrument.schedules[makerSchedule].maker;
    event.schedules = 0;

    const Amount value = instrument.value(event.price, event.quantity);
    const Amount takerFee = millionthsOf(value, event.fee);
    const Amount makerFee = millionthsOf(value, event.fee2);
    assets[instrument.quote].fees += takerFee + makerFee;
    settleSide(instrument, event.instrument, event.account, takerSells, takerSchedule, takerPrice_,
               event, event.leaves, value, takerFee);
    settleSide(instrument, event.instrument, event.account2, !takerSells, makerSchedule, event.price,
               event, event.leaves2, value, makerFee);

    const auto taker = static_cast<uint32_t>(event.id.lo);
    const auto maker = static_cast<uint32_t>(event.id2.lo);
    event.id = orderIds[taker].id;
    event.id2 = orderIds[maker].id;
    if (event.leaves2 == 0) finished(maker, event.orderId2, event.instrument, makerSchedule);
    if (event.leaves == 0) finished(taker, event.orderId, event.instrument, takerSchedule);
}

void Core::State::settleSide(const Instrument& instrument, InstrumentId id, AccountId account,
                             bool sell, uint8_t schedule, int64_t worstPrice, const Event& trade,
                             int64_t openAfter, Amount value, Amount fee) {
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
        DCHECK(quote.held >= 0 && quote.total >= quote.held);
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
void Core::State::releaseOpen(const Event& event, int64_t quantity, int64_t openAfter) {
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
void Core::State::rested(const Event& event, uint32_t entry) {
    const OrderSlot slot = event.account2;
    if (slot == 0) return;
    orderIds.setLive(entry, slot);
    if (!link(entry)) return;  // rested before: its expiry is known
    const Order& order = slab[slot];
    // A stop that was triggered at once may have left this slot to somebody else already.
    if (order.extra == 0 || order.orderId != event.orderId) return;
    const OrderExtra& extra = slab.extra(order);
    if (extra.expiry == 0) return;
    if (expiries.size() > 2 * size_t{slab.live()} + 1024) {
        std::erase_if(expiries, [this](const Expiry& expiry) {
            return slab[expiry.slot].orderId != expiry.orderId;
        });
        std::make_heap(expiries.begin(), expiries.end());
    }
    expiries.push_back(Expiry{extra.expiry, order.orderId, slot});
    std::push_heap(expiries.begin(), expiries.end());
}

void Core::State::finished(uint32_t entry, OrderId orderId, InstrumentId instrument,
                           uint8_t schedule) {
    unlink(entry);
    orderIds.close(entry, orderId, Reject::NONE);
    --instruments[instrument].scheduleOrders[schedule];
}

bool Core::State::link(uint32_t entry) {
    ClientIdEntry& added = orderIds[entry];
    Account& account = accounts[added.account];
    if (account.firstOrder == entry || added.prev != 0) return false;
    added.prev = account.lastOrder;
    added.next = 0;
    (account.lastOrder != 0 ? orderIds[account.lastOrder].next : account.firstOrder) = entry;
    account.lastOrder = entry;
    ++account.openOrders;
    return true;
}

void Core::State::unlink(uint32_t entry) {
    const ClientIdEntry& gone = orderIds[entry];
    Account& account = accounts[gone.account];
    if (account.firstOrder != entry && gone.prev == 0) return;  // never rested
    (gone.prev != 0 ? orderIds[gone.prev].next : account.firstOrder) = gone.next;
    (gone.next != 0 ? orderIds[gone.next].prev : account.lastOrder) = gone.prev;
    orderIds[entry].next = orderIds[entry].prev = 0;
    --account.openOrders;
}

}  // namespace verbex
