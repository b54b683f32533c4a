// ReplaceOrder (docs/rules.md section 8): new price or quantity for an open order, all or nothing.
//
// The decision looks at the order itself, which only matching knows while commands are in flight. So validation
// holds the worst case on top of what the order holds already, matching decides against the order, and settlement
// gives back the one or the other. Where that isn't possible (funds for the worst case, a new id, limits, stops)
// validation waits until all ahead is settled, and then decides everything itself.
#include "core/state.h"

namespace verbex {

namespace {

uint32_t replaceFingerprint(const Command& command, int64_t stopPrice) {
    return Fingerprint()
        .add(command.type)
        .add(command.id.lo)
        .add(command.id.hi)
        .add(static_cast<uint64_t>(command.price))
        .add(static_cast<uint64_t>(command.quantity))
        .add(static_cast<uint64_t>(stopPrice))
        .value();
}

// A sender that counts in totals reckons the new open quantity from the one that it knows. What has traded or
// was taken off since then, it does not want again. Only a change of id may ask for that: it waits until all
// ahead of it is settled, so `open` is known wherever this is looked at.
int64_t quantityAsked(const Command& command, int64_t open) {
    if (!command.extended() || command.newId.none() || command.newId == command.id) {
        return command.quantity;
    }
    const int64_t reckonedFrom = command.minQuantity;
    if (command.quantity <= 0 || reckonedFrom <= open) return command.quantity;
    return command.quantity - (reckonedFrom - open);
}

}  // namespace

// What the order would become.
struct Core::State::ReplaceTerms {
    int64_t price;  // the worst one
    int64_t stop;
    bool waiting;
    bool placeKept;
    bool repriced;
};

bool Core::State::validateReplace(RiskShard& risk, const Command& command, Position at,
                                  Certainty certainty, Decision& decision) {
    const auto refuse = [&decision](Reject code) {
        decision.code = static_cast<uint16_t>(code);
        return true;
    };
    if (!accounts.exists(command.account)) return refuse(Reject::UNKNOWN_ACCOUNT);
    if (command.id.none()) return refuse(Reject::INVALID_CLIENT_ORDER_ID);
    ClientIds& ids = risk.orderIds;
    const ClientId newId = command.extended() ? command.newId : ClientId{};
    const bool renames = !newId.none() && newId != command.id;
    const uint32_t fingerprint =
        replaceFingerprint(command, command.extended() ? command.stopPrice : 0);
    if (renames) {
        if (const uint32_t known = ids.find(command.account, newId)) {
            const ClientIdEntry& first = ids[known];
            if (first.fingerprint != fingerprint) {
                return refuse(Reject::DUPLICATE_CLIENT_ORDER_ID);
            }
            const bool live = first.live();
            if (live && certainty == Certainty::Ahead) return false;
            decision.step = Step::AnswerAgain;
            decision.orderId = live ? slab[first.slot()].orderId : first.orderId();
            return true;
        }
    }
    uint32_t entry;
    const Reject unknown = findOrder(risk, command, &entry);
    if (unknown != Reject::NONE) return refuse(unknown);
    const LiveOrder live = ids[entry].order();
    const Account& account = accounts[command.account];
    decision.entry = decision.newEntry = entry;
    decision.lane = laneOf(live.instrument);
    decision.sell = live.sell;
    decision.schedule = live.schedule;
    if (certainty == Certainty::Ahead) {
        if (renames || account.limitsInForce || !live.plain) return false;
        return reserveReplace(risk, command, decision);
    }
    if (renames && certainty == Certainty::Whole && rememberedIds() >= capacity.maxClientIds) {
        return refuse(Reject::CAPACITY_CLIENT_IDS);
    }

    Order& order = slab[live.slot];
    ReplaceTerms terms;
    const Reject wrong = checkReplaceTerms(command, order, terms);
    if (wrong != Reject::NONE) return refuse(wrong);
    const InstrumentId instrumentId = order.instrument;
    const Instrument& instrument = instruments[instrumentId];
    const bool sell = order.sell();
    const int64_t quantity = quantityAsked(command, order.open);
    const Amount valueNow = instrument.value(order.price, order.open);
    const Amount holdNow = instrument.hold(sell, order.price, order.open, order.schedule());
    LimitChange change{instrumentId,          instrument.quote, sell, 0, quantity - order.open, 0,
                       instrument.value(terms.price, quantity) - valueNow};
    if (account.limitsInForce) {
        const Reject limit = limits.check(
            accounts, command.account,
            LimitRequest{quantity, valueNow + change.value, false, change.value > 0,
                         change.open > 0, change});
        if (limit != Reject::NONE) return refuse(limit);
    }
    Amount hold = instrument.hold(sell, terms.price, quantity, order.schedule());
    const AssetId asset = sell ? instrument.base : instrument.quote;
    Balance& balance = risk.ledger.balance(command.account, asset);
    if (hold - holdNow > balance.available()) return refuse(Reject::INSUFFICIENT_FUNDS);
    Exposure& exposure = risk.ledger.exposure(command.account, instrumentId);
    const int64_t position = exposure.position < 0 ? -exposure.position : exposure.position;
    if (change.open > 0 && exposure.open(sell) > kExposureMax - position - change.open) {
        return refuse(Reject::VALUE_OVERFLOW);
    }
    const Reject crosses = repriceReplace(order, terms);
    if (crosses != Reject::NONE) return refuse(crosses);
    if (terms.repriced) {
        hold = instrument.hold(sell, terms.price, quantity, order.schedule());
        change.value = instrument.value(terms.price, quantity) - valueNow;
    }

    // Nothing can fail from here on.
    balance.held += hold - holdNow;
    exposure.open(sell) += change.open;
    if (account.limitsInForce) limits.apply(accounts, command.account, change);
    if (renames) {
        const uint32_t newEntry = ids.add(command.account, newId, fingerprint);
        ids.setDate(newEntry, at);
        takeOver(risk, entry, newEntry);
        ids.setLive(newEntry, live);
        ids.close(entry, order.orderId, Reject::NONE);
        // Matching waits for this command: its order may be written to.
        order.entry = newEntry;
        decision.newEntry = newEntry;
    }
    decision.step = Step::ReplaceKnown;
    decision.price = terms.price;
    decision.stop = terms.stop;
    decision.waiting = terms.waiting;
    decision.placeKept = terms.placeKept;
    decision.repriced = terms.repriced;
    return true;
}

// Holds what the order could come to need, as if it had nothing yet. False: that is more than there is.
bool Core::State::reserveReplace(RiskShard& risk, const Command& command, Decision& decision) {
    const LiveOrder live = risk.orderIds[decision.entry].order();
    const Instrument& instrument = instruments[live.instrument];
    decision.step = Step::Replace;
    decision.instrument = live.instrument;
    decision.reserved = 0;
    decision.oldPrice = decision.oldOpen = 0;
    // What is outside these, matching will refuse.
    if (command.quantity < 1 || command.quantity > instrument.terms.quantityMax ||
        command.price < 1 || command.price > instrument.terms.priceMax) {
        return true;
    }
    const Amount hold =
        instrument.hold(live.sell, command.price, command.quantity, live.schedule);
    Balance& balance = risk.ledger.balance(command.account,
                                           live.sell ? instrument.base : instrument.quote);
    Exposure& exposure = risk.ledger.exposure(command.account, live.instrument);
    const int64_t position = exposure.position < 0 ? -exposure.position : exposure.position;
    // Both sides, as for new orders (checkNewOrder).
    const bool fits = exposure.openBuy <= kExposureMax - position &&
                      exposure.openSell <= kExposureMax - position - exposure.openBuy -
                                               command.quantity;
    if (balance.available() < hold || !fits) return false;
    if (mutant == HazardMutant::ReplaceWithoutReserve) return true;
    decision.reserved = hold;
    balance.held += hold;
    exposure.open(live.sell) += command.quantity;
    return true;
}

// Checks 2 to 8 but for the limits: what command, order and terms say.
Reject Core::State::checkReplaceTerms(const Command& command, const Order& order,
                                      ReplaceTerms& plan) const {
    const InstrumentId instrumentId = order.instrument;
    const Instrument& instrument = instruments[instrumentId];
    const InstrumentTerms& terms = instrument.terms;
    const Account& account = accounts[command.account];
    const int64_t stopAsked = command.extended() ? command.stopPrice : 0;
    const int64_t stopNow = order.extra == 0 ? 0 : slab.extra(order).stopPrice;
    const int64_t display = order.extra == 0 ? 0 : slab.extra(order).display;
    const bool limited = order.type() != OrderType::Stop;
    const bool waiting = order.waiting();
    const int64_t quantity = quantityAsked(command, order.open);

    if (account.killedInForce) return Reject::KILLED;
    if (instrument.state != TradingState::Open) return Reject::INSTRUMENT_NOT_OPEN;
    if (quantity <= 0) return Reject::INVALID_QUANTITY;
    if (quantity < terms.quantityMin) return Reject::QUANTITY_BELOW_MINIMUM;
    if (quantity > terms.quantityMax) return Reject::QUANTITY_ABOVE_MAXIMUM;
    if (limited ? command.price <= 0 : command.price != 0) return Reject::INVALID_PRICE;
    if (waiting ? stopAsked < 0 : stopAsked != 0) return Reject::INVALID_STOP_PRICE;
    if (display != 0 && !displayCovers(display, quantity)) return Reject::INVALID_DISPLAY_QUANTITY;
    const auto outside = [&terms](int64_t price) {
        return price != 0 && (price < terms.priceMin || price > terms.priceMax);
    };
    if (outside(command.price) || outside(stopAsked)) return Reject::PRICE_OUT_OF_BAND;
    const OrderType actsAs =
        order.type() == OrderType::StopLimit && !waiting ? OrderType::Limit : order.type();
    uint32_t rights = 1u << static_cast<uint8_t>(actsAs);
    if (display != 0) rights |= kRightIceberg;
    if ((rights & ~uint32_t{account.orderTypesInForce}) != 0) return Reject::ORDER_TYPE_NOT_ALLOWED;
    if (account.instrumentRightsInForce &&
        !accounts.instrumentAllowed(command.account, instrumentId)) {
        return Reject::INSTRUMENT_NOT_ALLOWED;
    }

    plan.waiting = waiting;
    plan.repriced = false;
    plan.stop = waiting && stopAsked != 0 ? stopAsked : stopNow;
    plan.price = command.price;
    if (!limited) {
        plan.price =
            plan.stop == stopNow ? order.price : instrument.collarPrice(order.sell(), plan.stop);
    }
    plan.placeKept = quantity <= order.open && (!waiting || plan.stop == stopNow) &&
                     (!limited || plan.price == order.price);
    return instrument.valuePossible(plan.price, quantity) ? Reject::NONE : Reject::VALUE_OVERFLOW;
}

// Check 10: post-only.
Reject Core::State::repriceReplace(const Order& order, ReplaceTerms& terms) const {
    if ((order.flags & (kOrderPostOnlyReject | kOrderPostOnlyReprice)) == 0) return Reject::NONE;
    const Book& book = *books[order.instrument];
    const InstrumentTerms& band = instruments[order.instrument].terms;
    const bool sell = order.sell();
    if (terms.placeKept || !book.reaches(sell, terms.price)) return Reject::NONE;
    if ((order.flags & kOrderPostOnlyReject) != 0) return Reject::POST_ONLY_WOULD_CROSS;
    const int64_t price = book.bestOpposite(sell) + (sell ? 1 : -1);
    if (price == 0 || price < band.priceMin || price > band.priceMax) {
        return Reject::POST_ONLY_WOULD_CROSS;
    }
    terms.price = price;
    terms.repriced = true;
    return Reject::NONE;
}

void Core::State::replace(const Command& command, Decision& decision,
                          const CommandContext& context) {
    // Named by its entry after a change of id, which validation has made already.
    const OrderSlot slot = openSlot(command.account, decision.newEntry);
    if (slot == 0) return reject(command, Reject::ORDER_CLOSED, context);
    Order& order = slab[slot];
    ReplaceTerms terms;
    if (decision.step == Step::ReplaceKnown) {
        terms = {decision.price, decision.stop, decision.waiting, decision.placeKept,
                 decision.repriced};
    } else {
        Reject code = checkReplaceTerms(command, order, terms);
        if (code == Reject::NONE) code = repriceReplace(order, terms);
        if (code != Reject::NONE) return reject(command, code, context);
        decision.oldPrice = order.price;
        decision.oldOpen = order.open;
    }
    Book& book = *books[order.instrument];
    const int64_t quantity = quantityAsked(command, order.open);
    const auto announce = [&]() -> Event& {
        Event& replaced = context.emit(EventType::Replaced, order.instrument);
        describeOrder(replaced, order);
        replaced.id.lo = decision.entry;
        replaced.id2.lo = decision.newEntry;
        replaced.quantity = replaced.leaves = quantity;
        return replaced;
    };
    if (terms.placeKept) {
        book.lower(slot, quantity);
        Event& replaced = announce();
        replaced.leaves2 = order.visible;
        replaced.flags = terms.waiting ? kEventKeptPriority | kEventStop
                                       : kEventKeptPriority | kEventBooked;
        return;
    }
    book.withdraw(slot);
    order.price = terms.price;
    order.open = quantity;
    if (terms.waiting) book.slab().needExtra(order).stopPrice = terms.stop;
    Event& replaced = announce();
    if (terms.repriced) replaced.flags |= kEventRepriced;
    if (terms.waiting) {
        replaced.flags |= kEventStop;
        replaced.account2 = slot;
        book.wait(slot);
    } else {
        (void)book.enter(slot, 0, replaced, context);
    }
    book.runStops(context);
}

// Gives back what was reserved, and holds what matching has found to be due instead.
void Core::State::settleReplace(RiskShard& risk, const Command& command, const Decision& decision,
                                const Event& answer) {
    const Instrument& instrument = instruments[decision.instrument];
    const bool sell = decision.sell;
    Balance& balance = risk.ledger.balance(command.account,
                                           sell ? instrument.base : instrument.quote);
    Exposure& exposure = risk.ledger.exposure(command.account, decision.instrument);
    if (decision.reserved != 0) {
        balance.held -= decision.reserved;
        exposure.open(sell) -= command.quantity;
    }
    if (EventType(answer.type) != EventType::Replaced) return;
    balance.held +=
        instrument.hold(sell, answer.price, answer.quantity, decision.schedule) -
        instrument.hold(sell, decision.oldPrice, decision.oldOpen, decision.schedule);
    exposure.open(sell) += answer.quantity - decision.oldOpen;
}

// The order of `entry` goes on under `newEntry`, in the same place of its account's open orders.
void Core::State::takeOver(RiskShard& risk, uint32_t entry, uint32_t newEntry) {
    ClientIdEntry& old = risk.orderIds[entry];
    ClientIdEntry& taking = risk.orderIds[newEntry];
    Account& account = accounts[old.account];
    taking.next = old.next;
    taking.prev = old.prev;
    (old.prev != 0 ? risk.orderIds[old.prev].next : account.firstOrder) = newEntry;
    (old.next != 0 ? risk.orderIds[old.next].prev : account.lastOrder) = newEntry;
    old.next = old.prev = 0;
}

}  // namespace verbex
