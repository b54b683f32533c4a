// ReplaceOrder (docs/rules.md section 8): new price or quantity for an open order, all or nothing.
#include "core/state.h"

namespace verbex {

namespace {

uint32_t fingerprintOf(const Command& command, int64_t stopPrice) {
    return Fingerprint()
        .add(command.type)
        .add(command.id.lo)
        .add(command.id.hi)
        .add(static_cast<uint64_t>(command.price))
        .add(static_cast<uint64_t>(command.quantity))
        .add(static_cast<uint64_t>(stopPrice))
        .value();
}

}  // namespace

void Core::State::replaceOrder(const Command& command, const CommandContext& context) {
    if (!accounts.exists(command.account)) return reject(command, Reject::UNKNOWN_ACCOUNT, context);
    if (command.id.none()) return reject(command, Reject::INVALID_CLIENT_ORDER_ID, context);
    const int64_t stopAsked = command.extended() ? command.stopPrice : 0;
    const ClientId newId = command.extended() ? command.newId : ClientId{};
    const bool renames = !newId.none() && newId != command.id;
    const uint32_t fingerprint = fingerprintOf(command, stopAsked);
    if (renames) {
        if (const uint32_t known = orderIds.find(command.account, newId)) {
            const ClientIdEntry& first = orderIds[known];
            if (first.fingerprint != fingerprint) {
                return reject(command, Reject::DUPLICATE_CLIENT_ORDER_ID, context);
            }
            Event& again = context.emit(EventType::Replaced, 0);
            again.flags = kEventDuplicate;
            again.account = command.account;
            again.id = command.id;
            again.id2 = newId;
            again.orderId = first.live() ? slab[first.slot()].orderId : first.orderId();
            return;
        }
    }
    uint32_t entry;
    const Reject unknown = findOrder(command, &entry);
    if (unknown != Reject::NONE) return reject(command, unknown, context);
    if (renames && orderIds.full()) return reject(command, Reject::CAPACITY_CLIENT_IDS, context);

    const OrderSlot slot = orderIds[entry].slot();
    Order& order = slab[slot];
    const InstrumentId instrumentId = order.instrument;
    const Instrument& instrument = instruments[instrumentId];
    const InstrumentTerms& terms = instrument.terms;
    const Account& account = accounts[command.account];
    Book& book = *books[instrumentId];
    const bool sell = order.sell();
    const bool waiting = order.waiting();
    const int64_t stopNow = order.extra == 0 ? 0 : slab.extra(order).stopPrice;
    const int64_t display = order.extra == 0 ? 0 : slab.extra(order).display;
    const bool limited = order.type() != OrderType::Stop;
    const int64_t quantity = command.quantity;

    if (account.killedInForce) return reject(command, Reject::KILLED, context);
    if (instrument.state != TradingState::Open) {
        return reject(command, Reject::INSTRUMENT_NOT_OPEN, context);
    }
    if (quantity <= 0) return reject(command, Reject::INVALID_QUANTITY, context);
    if (quantity < terms.quantityMin) {
        return reject(command, Reject::QUANTITY_BELOW_MINIMUM, context);
    }
    if (quantity > terms.quantityMax) {
        return reject(command, Reject::QUANTITY_ABOVE_MAXIMUM, context);
    }
    if (limited ? command.price <= 0 : command.price != 0) {
        return reject(command, Reject::INVALID_PRICE, context);
    }
    if (waiting ? stopAsked < 0 : stopAsked != 0) {
        return reject(command, Reject::INVALID_STOP_PRICE, context);
    }
    if (display != 0 && !displayCovers(display, quantity)) {
        return reject(command, Reject::INVALID_DISPLAY_QUANTITY, context);
    }
    const auto outside = [&terms](int64_t price) {
        return price != 0 && (price < terms.priceMin || price > terms.priceMax);
    };
    if (outside(command.price) || outside(stopAsked)) {
        return reject(command, Reject::PRICE_OUT_OF_BAND, context);
    }
    const OrderType actsAs =
        order.type() == OrderType::StopLimit && !waiting ? OrderType::Limit : order.type();
    uint32_t rights = 1u << static_cast<uint8_t>(actsAs);
    if (display != 0) rights |= kRightIceberg;
    if ((rights & ~uint32_t{account.orderTypesInForce}) != 0) {
        return reject(command, Reject::ORDER_TYPE_NOT_ALLOWED, context);
    }
    if (account.instrumentRightsInForce &&
        !accounts.instrumentAllowed(command.account, instrumentId)) {
        return reject(command, Reject::INSTRUMENT_NOT_ALLOWED, context);
    }

    const int64_t stop = waiting && stopAsked != 0 ? stopAsked : stopNow;
    int64_t price = command.price;
    if (!limited) price = stop == stopNow ? order.price : instrument.collarPrice(sell, stop);
    const bool placeKept = quantity <= order.open && (!waiting || stop == stopNow) &&
                           (!limited || price == order.price);

    if (!instrument.valuePossible(price, quantity)) {
        return reject(command, Reject::VALUE_OVERFLOW, context);
    }
    const Amount valueNow = instrument.value(order.price, order.open);
    const Amount holdNow = instrument.hold(sell, order.price, order.open, order.schedule());
    LimitChange change{instrumentId,          instrument.quote, sell, 0, quantity - order.open, 0,
                       instrument.value(price, quantity) - valueNow};
    if (account.limitsInForce) {
        const Reject limit = limits.check(
            accounts, command.account,
            LimitRequest{quantity, valueNow + change.value, false, change.value > 0,
                         change.open > 0, change});
        if (limit != Reject::NONE) return reject(command, limit, context);
    }
    Amount hold = instrument.hold(sell, price, quantity, order.schedule());
    const AssetId asset = sell ? instrument.base : instrument.quote;
    Balance& balance = ledger.balance(command.account, asset);
    if (hold - holdNow > balance.available()) {
        return reject(command, Reject::INSUFFICIENT_FUNDS, context);
    }
    Exposure& exposure = ledger.exposure(command.account, instrumentId);
    const int64_t position = exposure.position < 0 ? -exposure.position : exposure.position;
    if (change.open > 0 && exposure.open(sell) > kExposureMax - position - change.open) {
        return reject(command, Reject::VALUE_OVERFLOW, context);
    }
    bool repriced = false;
    const bool postOnly = (order.flags & (kOrderPostOnlyReject | kOrderPostOnlyReprice)) != 0;
    if (postOnly && !placeKept && book.reaches(sell, price)) {
        if ((order.flags & kOrderPostOnlyReject) != 0) {
            return reject(command, Reject::POST_ONLY_WOULD_CROSS, context);
        }
        price = book.bestOpposite(sell) + (sell ? 1 : -1);
        if (outside(price) || price == 0) {
            return reject(command, Reject::POST_ONLY_WOULD_CROSS, context);
        }
        repriced = true;
        hold = instrument.hold(sell, price, quantity, order.schedule());
        change.value = instrument.value(price, quantity) - valueNow;
    }

    // Nothing can fail from here on.
    balance.held += hold - holdNow;
    exposure.open(sell) += change.open;
    if (account.limitsInForce) limits.apply(accounts, command.account, change);
    uint32_t newEntry = entry;
    if (renames) {
        newEntry = orderIds.add(command.account, newId, fingerprint);
        takeOver(entry, newEntry);
        orderIds.setLive(newEntry, slot);
        orderIds.close(entry, order.orderId, Reject::NONE);
        order.entry = newEntry;
    }

    if (placeKept) {
        book.lower(slot, quantity);
        Event& replaced = context.emit(EventType::Replaced, instrumentId);
        describeOrder(replaced, order);
        replaced.id.lo = entry;
        replaced.id2.lo = newEntry;
        replaced.quantity = replaced.leaves = quantity;
        replaced.leaves2 = order.visible;
        replaced.flags = waiting ? kEventKeptPriority | kEventStop
                                 : kEventKeptPriority | kEventBooked;
        settle();
        return;
    }
    book.withdraw(slot);
    order.price = price;
    order.open = quantity;
    if (waiting) slab.needExtra(order).stopPrice = stop;
    Event& replaced = context.emit(EventType::Replaced, instrumentId);
    describeOrder(replaced, order);
    replaced.id.lo = entry;
    replaced.id2.lo = newEntry;
    replaced.quantity = replaced.leaves = quantity;
    if (repriced) replaced.flags |= kEventRepriced;
    if (waiting) {
        replaced.flags |= kEventStop;
        replaced.account2 = slot;
        book.wait(slot);
    } else {
        (void)book.enter(slot, 0, replaced, context);
    }
    book.runStops(context);
    settle();
}

// The order of `entry` goes on under `newEntry`, in the same place of its account's open orders.
void Core::State::takeOver(uint32_t entry, uint32_t newEntry) {
    ClientIdEntry& old = orderIds[entry];
    ClientIdEntry& taking = orderIds[newEntry];
    Account& account = accounts[old.account];
    taking.next = old.next;
    taking.prev = old.prev;
    (old.prev != 0 ? orderIds[old.prev].next : account.firstOrder) = newEntry;
    (old.next != 0 ? orderIds[old.next].prev : account.lastOrder) = newEntry;
    old.next = old.prev = 0;
}

}  // namespace verbex
