// New orders, cancels and reduces (docs/rules.md sections 5 and 8).
#include "core/state.h"

namespace verbex {

namespace {

// The optional second line of a NewOrder.
struct SecondLine {
    int64_t stopPrice, displayQuantity, minQuantity;
};

SecondLine secondLineOf(const Command& command) {
    if (!command.extended()) return SecondLine{0, 0, 0};
    return SecondLine{command.stopPrice, command.displayQuantity, command.minQuantity};
}

uint32_t fingerprintOf(const Command& command) {
    const SecondLine second = secondLineOf(command);
    Fingerprint fingerprint;
    fingerprint
        .add(uint64_t{command.type} | uint64_t{command.side} << 8 |
             uint64_t{command.orderType} << 16 | uint64_t{command.timeInForce} << 24 |
             uint64_t{command.selfTrade} << 32 | uint64_t{command.flags} << 40)
        .add(command.instrument)
        .add(static_cast<uint64_t>(command.price))
        .add(static_cast<uint64_t>(command.quantity))
        .add(command.expiry);
    if (command.extended()) {
        fingerprint.add(static_cast<uint64_t>(second.stopPrice))
            .add(static_cast<uint64_t>(second.displayQuantity))
            .add(static_cast<uint64_t>(second.minQuantity));
    }
    return fingerprint.value();
}

// A limit order without extras, and nothing wrong with it: by far the most frequent case, in few branches.
bool plainAndGood(const Command& command, const InstrumentTerms& terms) {
    const auto timeInForce = TimeInForce(command.timeInForce);
    return command.orderType == 1 && (command.side == 1 || command.side == 2) && command.flags == 0 &&
           command.selfTrade <= 4 && command.timeInForce >= 1 && command.timeInForce <= 5 &&
           timeInForce != TimeInForce::Gtd && command.expiry == 0 &&
           command.quantity >= terms.quantityMin && command.quantity <= terms.quantityMax &&
           command.price >= terms.priceMin && command.price <= terms.priceMax;
}

// Checks 7 to 14: what can be said of the command and the instrument's terms alone.
Reject checkFields(const Command& command, const SecondLine& second, const InstrumentTerms& terms,
                   uint64_t time) {
    constexpr uint16_t kPostOnly = kCommandPostOnlyReject | kCommandPostOnlyReprice;
    if (command.side != 1 && command.side != 2) return Reject::INVALID_SIDE;
    if (command.orderType < 1 || command.orderType > 4) return Reject::INVALID_ORDER_TYPE;
    if (command.selfTrade > 4) return Reject::INVALID_SELF_TRADE;
    const auto type = OrderType(command.orderType);
    const auto timeInForce = TimeInForce(command.timeInForce);
    const bool rests = timeInForce == TimeInForce::Gtc || timeInForce == TimeInForce::Day ||
                       timeInForce == TimeInForce::Gtd;
    const uint16_t postOnly = command.flags & kPostOnly;
    if (command.flags > kCommandFlagsMax || postOnly == kPostOnly ||
        (postOnly != 0 && !(type == OrderType::Limit && rests))) {
        return Reject::INVALID_FLAGS;
    }

    const bool immediate = timeInForce == TimeInForce::Ioc || timeInForce == TimeInForce::Fok;
    const bool possible = type == OrderType::Limit    ? rests || immediate
                          : type == OrderType::Market ? immediate
                                                      : rests;
    if (!possible) return Reject::INVALID_TIME_IN_FORCE;

    if (command.quantity <= 0) return Reject::INVALID_QUANTITY;
    if (command.quantity < terms.quantityMin) return Reject::QUANTITY_BELOW_MINIMUM;
    if (command.quantity > terms.quantityMax) return Reject::QUANTITY_ABOVE_MAXIMUM;

    const bool limited = type == OrderType::Limit || type == OrderType::StopLimit;
    if (limited ? command.price <= 0 : command.price != 0) return Reject::INVALID_PRICE;
    const bool stop = type == OrderType::Stop || type == OrderType::StopLimit;
    if (stop ? second.stopPrice <= 0 : second.stopPrice != 0) return Reject::INVALID_STOP_PRICE;

    if (second.displayQuantity != 0) {
        const int64_t display = second.displayQuantity;
        if (type != OrderType::Limit || !rests || display < terms.quantityMin ||
            display > command.quantity || !displayCovers(display, command.quantity)) {
            return Reject::INVALID_DISPLAY_QUANTITY;
        }
    }
    if (second.minQuantity != 0) {
        if (stop || postOnly != 0 || timeInForce == TimeInForce::Fok || second.minQuantity < 1 ||
            second.minQuantity > command.quantity) {
            return Reject::INVALID_MIN_QUANTITY;
        }
    }
    if (timeInForce == TimeInForce::Gtd ? command.expiry <= time : command.expiry != 0) {
        return Reject::INVALID_EXPIRY;
    }
    if (limited && (command.price < terms.priceMin || command.price > terms.priceMax)) {
        return Reject::PRICE_OUT_OF_BAND;
    }
    if (stop && (second.stopPrice < terms.priceMin || second.stopPrice > terms.priceMax)) {
        return Reject::PRICE_OUT_OF_BAND;
    }
    return Reject::NONE;
}

uint32_t orderFlags(const Command& command, uint8_t schedule) {
    uint32_t flags = (command.side == static_cast<uint8_t>(Side::Sell) ? kOrderSell : 0) |
                     uint32_t{command.orderType} << kOrderTypeShift |
                     uint32_t{command.timeInForce} << kOrderTimeInForceShift |
                     uint32_t{command.selfTrade} << kOrderSelfTradeShift |
                     uint32_t{schedule} << kOrderScheduleShift;
    if (command.timeInForce >= static_cast<uint8_t>(TimeInForce::Ioc)) flags |= kOrderImmediate;
    if ((command.flags & kCommandPostOnlyReject) != 0) flags |= kOrderPostOnlyReject;
    if ((command.flags & kCommandPostOnlyReprice) != 0) flags |= kOrderPostOnlyReprice;
    if ((command.flags & kCommandSelfTradeFirm) != 0) flags |= kOrderSelfTradeFirm;
    return flags;
}

}  // namespace

// Checks 5 to 20. Changes nothing; fills the draft, whose pointers are good until the ledger grows.
Reject Core::State::validate(const Command& command, NewOrderDraft& draft) {
    const Account& account = accounts[command.account];
    const Instrument& instrument = instruments[command.instrument];
    const Book& book = *books[command.instrument];
    const SecondLine second = secondLineOf(command);

    if (account.killedInForce) return Reject::KILLED;
    if (instrument.state != TradingState::Open) return Reject::INSTRUMENT_NOT_OPEN;
    if (!plainAndGood(command, instrument.terms)) {
        const Reject fields = checkFields(command, second, instrument.terms, time);
        if (fields != Reject::NONE) return fields;
    }

    uint32_t rights = 1u << command.orderType;
    if (second.displayQuantity != 0) rights |= kRightIceberg;
    if ((rights & ~uint32_t{account.orderTypesInForce}) != 0) return Reject::ORDER_TYPE_NOT_ALLOWED;
    if (account.instrumentRightsInForce &&
        !accounts.instrumentAllowed(command.account, command.instrument)) {
        return Reject::INSTRUMENT_NOT_ALLOWED;
    }

    const bool sell = command.side == static_cast<uint8_t>(Side::Sell);
    const auto type = OrderType(command.orderType);
    int64_t price = command.price;
    if (type == OrderType::Market) {
        const int64_t best = book.bestOpposite(sell);
        if (best == Ladder::kNone) return Reject::NO_LIQUIDITY;
        price = instrument.collarPrice(sell, best);
    } else if (type == OrderType::Stop) {
        price = instrument.collarPrice(sell, second.stopPrice);
    }

    if (!instrument.valuePossible(price, command.quantity)) return Reject::VALUE_OVERFLOW;
    draft.value = instrument.value(price, command.quantity);
    if (account.limitsInForce) {
        const LimitChange change{command.instrument, instrument.quote,  sell,       1,
                                 command.quantity,   0,                 draft.value};
        const Reject limit = limits.check(
            accounts, command.account,
            LimitRequest{command.quantity, draft.value, true, true, true, change});
        if (limit != Reject::NONE) return limit;
    }

    draft.hold = instrument.hold(sell, price, command.quantity, instrument.schedule);
    const AssetId asset = sell ? instrument.base : instrument.quote;
    draft.balance = ledger.findBalance(command.account, asset);
    if (draft.balance == nullptr || draft.balance->available() < draft.hold) {
        return Reject::INSUFFICIENT_FUNDS;
    }
    draft.exposure = ledger.findExposure(command.account, command.instrument);
    if (draft.exposure != nullptr) {
        const int64_t position =
            draft.exposure->position < 0 ? -draft.exposure->position : draft.exposure->position;
        const int64_t open = draft.exposure->open(sell);
        if (open > kExposureMax - position - command.quantity) return Reject::VALUE_OVERFLOW;
    }
    if (slab.full()) return Reject::CAPACITY_ORDERS;

    draft.repriced = false;
    if ((command.flags & (kCommandPostOnlyReject | kCommandPostOnlyReprice)) != 0 &&
        book.reaches(sell, price)) {
        if ((command.flags & kCommandPostOnlyReject) != 0) return Reject::POST_ONLY_WOULD_CROSS;
        price = book.bestOpposite(sell) + (sell ? 1 : -1);
        if (price < instrument.terms.priceMin || price > instrument.terms.priceMax) {
            return Reject::POST_ONLY_WOULD_CROSS;
        }
        draft.repriced = true;
        draft.value = instrument.value(price, command.quantity);
        draft.hold = instrument.hold(sell, price, command.quantity, instrument.schedule);
    }

    draft.price = price;
    return Reject::NONE;
}

void Core::State::answerAgain(const Command& command, const ClientIdEntry& entry,
                              const CommandContext& context) {
    const bool accepted = entry.live() || entry.reject() == Reject::NONE;
    Event& event = context.emit(accepted ? EventType::Accepted : EventType::Rejected,
                                command.instrument);
    event.flags = kEventDuplicate;
    event.account = command.account;
    event.id = command.id;
    event.orderId = entry.live() ? slab[entry.slot()].orderId : entry.orderId();
    if (accepted) {
        event.side = command.side;
        event.kind = command.orderType;
    } else {
        event.kind = command.type;
        event.code = static_cast<uint16_t>(entry.reject());
    }
}

void Core::State::newOrder(const Command& command, const CommandContext& context) {
    if (!accounts.exists(command.account)) return reject(command, Reject::UNKNOWN_ACCOUNT, context);
    if (command.account == 0) return reject(command, Reject::ACCOUNT_CANNOT_TRADE, context);
    if (command.id.none()) return reject(command, Reject::INVALID_CLIENT_ORDER_ID, context);
    if (!knows(command.instrument)) return reject(command, Reject::UNKNOWN_INSTRUMENT, context);
    const uint32_t fingerprint = fingerprintOf(command);
    const uint32_t hash = ClientIds::hashOf(command.account, command.id);
    if (const uint32_t known = orderIds.find(command.account, command.id, hash)) {
        if (orderIds[known].fingerprint == fingerprint) {
            return answerAgain(command, orderIds[known], context);
        }
        return reject(command, Reject::DUPLICATE_CLIENT_ORDER_ID, context);
    }
    if (orderIds.full()) return reject(command, Reject::CAPACITY_CLIENT_IDS, context);

    NewOrderDraft draft;
    const Reject code = validate(command, draft);
    const uint32_t entry = orderIds.add(command.account, command.id, fingerprint, hash);
    if (code != Reject::NONE) {
        orderIds.close(entry, position, code);
        return reject(command, code, context);
    }

    Instrument& instrument = instruments[command.instrument];
    const bool sell = command.side == static_cast<uint8_t>(Side::Sell);
    draft.balance->held += draft.hold;
    if (draft.exposure == nullptr) {
        draft.exposure = &ledger.exposure(command.account, command.instrument);
    }
    draft.exposure->open(sell) += command.quantity;
    ++instrument.scheduleOrders[instrument.schedule];
    const Account& account = accounts[command.account];
    if (account.limitsInForce) {
        limits.apply(accounts, command.account,
                     LimitChange{command.instrument, instrument.quote, sell, 1, command.quantity, 0,
                                 draft.value});
    }

    // In its slot from the start: what rests is not copied, and what doesn't gives the slot back.
    const OrderSlot slot = slab.claim();
    Order& order = slab[slot];
    order.price = draft.price;
    order.open = command.quantity;
    order.visible = 0;
    order.next = order.prev = 0;
    order.orderId = position;
    order.account = command.account;
    order.firm = account.firm;
    order.instrument = command.instrument;
    order.entry = entry;
    order.flags = orderFlags(command, instrument.schedule);
    order.extra = 0;
    const SecondLine second = secondLineOf(command);
    if ((second.stopPrice | second.displayQuantity) != 0 || command.expiry != 0) {
        slab.needExtra(order) = OrderExtra{second.displayQuantity, second.stopPrice, command.expiry, 0};
    }

    Book& book = *books[command.instrument];
    Event& accepted = context.emit(EventType::Accepted, command.instrument);
    describeOrder(accepted, order);
    accepted.quantity = accepted.leaves = command.quantity;
    if (draft.repriced) accepted.flags |= kEventRepriced;
    if (second.stopPrice != 0) {
        accepted.flags |= kEventStop;
        accepted.account2 = slot;
        book.wait(slot);
    } else {
        (void)book.enter(slot, second.minQuantity, accepted, context);
    }
    book.runStops(context);
    settle();
}

// The entry of the open order that the command names.
Reject Core::State::findOrder(const Command& command, uint32_t* entry) const {
    *entry = orderIds.find(command.account, command.id);
    if (*entry == 0) return Reject::UNKNOWN_ORDER;
    const ClientIdEntry& found = orderIds[*entry];
    if (found.live()) return Reject::NONE;
    return found.reject() == Reject::NONE ? Reject::ORDER_CLOSED : Reject::UNKNOWN_ORDER;
}

namespace {

bool frozen(TradingState state) {
    return state == TradingState::Halted || state == TradingState::Closed;
}

}  // namespace

void Core::State::cancelOrder(const Command& command, const CommandContext& context) {
    if (!accounts.exists(command.account)) return reject(command, Reject::UNKNOWN_ACCOUNT, context);
    if (command.id.none()) return reject(command, Reject::INVALID_CLIENT_ORDER_ID, context);
    uint32_t entry;
    const Reject code = findOrder(command, &entry);
    if (code != Reject::NONE) return reject(command, code, context);
    const OrderSlot slot = orderIds[entry].slot();
    const InstrumentId instrument = slab[slot].instrument;
    if (frozen(instruments[instrument].state)) {
        return reject(command, Reject::INSTRUMENT_FROZEN, context);
    }
    books[instrument]->cancel(slot, Cause::Requested, context);
    settle();
}

void Core::State::reduceOrder(const Command& command, const CommandContext& context) {
    if (!accounts.exists(command.account)) return reject(command, Reject::UNKNOWN_ACCOUNT, context);
    if (command.id.none()) return reject(command, Reject::INVALID_CLIENT_ORDER_ID, context);
    uint32_t entry;
    const Reject code = findOrder(command, &entry);
    if (code != Reject::NONE) return reject(command, code, context);
    if (command.quantity <= 0) return reject(command, Reject::INVALID_QUANTITY, context);
    const OrderSlot slot = orderIds[entry].slot();
    const Order& order = slab[slot];
    if (frozen(instruments[order.instrument].state)) {
        return reject(command, Reject::INSTRUMENT_FROZEN, context);
    }
    Book& book = *books[order.instrument];
    if (command.quantity >= order.open) {
        book.cancel(slot, Cause::Requested, context);
    } else {
        book.reduce(slot, command.quantity, Cause::Requested, context);
    }
    settle();
}

}  // namespace verbex
