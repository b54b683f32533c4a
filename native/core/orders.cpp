// New orders, cancels and reduces (docs/rules.md sections 5 and 8): their validation, which is a risk shard's, and
// their matching, which is a matching shard's.
#include <algorithm>

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

uint32_t orderFingerprint(const Command& command) {
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

// Does the decision about it look at the book, which matching may be changing?
bool looksAtBook(const Command& command) {
    return command.orderType == static_cast<uint8_t>(OrderType::Market) ||
           (command.flags & (kCommandPostOnlyReject | kCommandPostOnlyReprice)) != 0;
}

// Can what is still in flight turn this no into a yes?
bool mayPass(Reject code) {
    switch (code) {
        case Reject::INSUFFICIENT_FUNDS:
        case Reject::VALUE_OVERFLOW:
        case Reject::ORDER_SIZE_LIMIT:
        case Reject::ORDER_VALUE_LIMIT:
        case Reject::OPEN_ORDERS_LIMIT:
        case Reject::OPEN_VALUE_LIMIT:
        case Reject::POSITION_LIMIT: return true;
        default: return false;
    }
}

bool frozen(TradingState state) {
    return state == TradingState::Halted || state == TradingState::Closed;
}

}  // namespace

// What validation has found out about a new order.
struct Core::State::Draft {
    int64_t price;  // the worst one
    Amount hold;
    Amount value;
    Balance* balance;    // where the hold will be
    Exposure* exposure;  // nullptr: the account's first order in the instrument
    bool repriced;
};

// ---- validation

bool Core::State::validate(RiskShard& risk, const Command& command, Position at,
                           Certainty certainty, Decision& decision) {
    decision.step = Step::Reject;
    decision.lane = 0;
    if (refuses(command)) [[unlikely]] {
        decision.code = static_cast<uint16_t>(Reject::RISK_UNAVAILABLE);
        return true;
    }
    switch (CommandType(command.type)) {
        case CommandType::NewOrder:
            return validateNewOrder(risk, command, at, certainty, decision);
        case CommandType::CancelOrder:
        case CommandType::ReduceOrder: return validateNamed(risk, command, decision);
        case CommandType::ReplaceOrder:
            return validateReplace(risk, command, at, certainty, decision);
        default: CHECK(false);  // runs alone
    }
}

namespace {

bool refuse(Decision& decision, Reject code) {
    decision.code = static_cast<uint16_t>(code);
    return true;
}

}  // namespace

bool Core::State::validateNewOrder(RiskShard& risk, const Command& command, Position at,
                                   Certainty certainty, Decision& decision) {
    if (!accounts.exists(command.account)) return refuse(decision, Reject::UNKNOWN_ACCOUNT);
    if (command.account == 0) return refuse(decision, Reject::ACCOUNT_CANNOT_TRADE);
    if (command.id.none()) return refuse(decision, Reject::INVALID_CLIENT_ORDER_ID);
    if (!knows(command.instrument)) return refuse(decision, Reject::UNKNOWN_INSTRUMENT);
    ClientIds& ids = risk.orderIds;
    const uint32_t fingerprint = orderFingerprint(command);
    const uint32_t hash = ClientIds::hashOf(command.account, command.id);
    if (const uint32_t known = ids.find(command.account, command.id, hash)) {
        const ClientIdEntry& first = ids[known];
        if (first.fingerprint != fingerprint) {
            return refuse(decision, Reject::DUPLICATE_CLIENT_ORDER_ID);
        }
        const bool live = first.live();
        // An open order's id is written in the order.
        if (live && certainty == Certainty::Ahead) return false;
        decision.step = Step::AnswerAgain;
        decision.code = live ? 0 : static_cast<uint16_t>(first.reject());
        decision.orderId = live ? slab[first.slot()].orderId : first.orderId();
        return true;
    }
    // What threads have in flight at once was counted against the room beforehand (orderRoom).
    if (certainty == Certainty::Whole && rememberedIds() >= capacity.maxClientIds) {
        return refuse(decision, Reject::CAPACITY_CLIENT_IDS);
    }
    if (certainty == Certainty::Ahead && looksAtBook(command) &&
        mutant != HazardMutant::CapturedBook) {
        return false;
    }
    if (risk.expiries.size() >= risk.expiriesMax && command.expiry != 0) [[unlikely]] {
        if (certainty == Certainty::Ahead) return false;
        dropGoneExpiries(risk);
    }

    Draft draft;
    const Reject code = checkNewOrder(risk, command, certainty, draft);
    if (certainty == Certainty::Ahead && mayPass(code) &&
        !(mutant == HazardMutant::RejectWithoutFunds && code == Reject::INSUFFICIENT_FUNDS)) {
        return false;
    }
    const uint32_t entry = ids.add(command.account, command.id, fingerprint, hash);
    ids.setDate(entry, at);
    decision.lane = laneOf(command.instrument);
    if (code != Reject::NONE) {
        ids.close(entry, at, code);
        return refuse(decision, code);
    }

    // Nothing can fail from here on.
    const Instrument& instrument = instruments[command.instrument];
    const bool sell = command.side == static_cast<uint8_t>(Side::Sell);
    ids.setLive(entry,
                LiveOrder{0, command.instrument, instrument.schedule, sell,
                          command.orderType == static_cast<uint8_t>(OrderType::Limit)});
    draft.balance->held += draft.hold;
    if (draft.exposure == nullptr) {
        draft.exposure = &risk.ledger.exposure(command.account, command.instrument);
    }
    draft.exposure->open(sell) += command.quantity;
    ++risk.scheduleOrders[command.instrument][instrument.schedule];
    if (accounts[command.account].limitsInForce) {
        limits.apply(accounts, command.account,
                     LimitChange{command.instrument, instrument.quote, sell, 1, command.quantity, 0,
                                 draft.value});
    }
    decision.step = Step::Enter;
    decision.schedule = instrument.schedule;
    decision.repriced = draft.repriced;
    decision.entry = entry;
    decision.price = draft.price;
    return true;
}

// Checks 5 to 20. Changes nothing; fills the draft, whose pointers are good until the ledger grows.
Reject Core::State::checkNewOrder(RiskShard& risk, const Command& command, Certainty certainty,
                                  Draft& draft) {
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
    draft.balance = risk.ledger.findBalance(command.account, asset);
    if (draft.balance == nullptr || draft.balance->available() < draft.hold) {
        return Reject::INSUFFICIENT_FUNDS;
    }
    draft.exposure = risk.ledger.findExposure(command.account, command.instrument);
    if (draft.exposure != nullptr) {
        const int64_t position =
            draft.exposure->position < 0 ? -draft.exposure->position : draft.exposure->position;
        // A trade in flight moves lots from open to the position, on either side: with both sides counted the
        // sum can only fall.
        const int64_t other = certainty == Certainty::Ahead ? draft.exposure->open(!sell) : 0;
        const int64_t open = draft.exposure->open(sell);
        if (other > kExposureMax - position ||
            open > kExposureMax - position - other - command.quantity) {
            return Reject::VALUE_OVERFLOW;
        }
    }
    if (certainty == Certainty::Whole && liveOrders() >= capacity.maxOrders) {
        return Reject::CAPACITY_ORDERS;
    }

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

// The entry of the order that the command names, if it was accepted and is not known to be closed.
Reject Core::State::findOrder(const RiskShard& risk, const Command& command,
                              uint32_t* entry) const {
    *entry = risk.orderIds.find(command.account, command.id);
    if (*entry == 0) return Reject::UNKNOWN_ORDER;
    const ClientIdEntry& found = risk.orderIds[*entry];
    if (found.live()) return Reject::NONE;
    return found.reject() == Reject::NONE ? Reject::ORDER_CLOSED : Reject::UNKNOWN_ORDER;
}

// Cancel and reduce: whether the order is still open, only matching knows.
bool Core::State::validateNamed(RiskShard& risk, const Command& command, Decision& decision) {
    if (!accounts.exists(command.account)) return refuse(decision, Reject::UNKNOWN_ACCOUNT);
    if (command.id.none()) return refuse(decision, Reject::INVALID_CLIENT_ORDER_ID);
    uint32_t entry;
    const Reject code = findOrder(risk, command, &entry);
    if (code != Reject::NONE) return refuse(decision, code);
    decision.step = command.type == static_cast<uint8_t>(CommandType::CancelOrder) ? Step::Cancel
                                                                                    : Step::Reduce;
    decision.entry = entry;
    decision.lane = laneOf(risk.orderIds[entry].order().instrument);
    return true;
}

void Core::State::dropGoneExpiries(RiskShard& risk) {
    std::erase_if(risk.expiries, [this](const Expiry& expiry) {
        return slab[expiry.slot].orderId != expiry.orderId;
    });
    std::make_heap(risk.expiries.begin(), risk.expiries.end());
    risk.expiriesMax = 2 * risk.expiries.size() + 1024;
}

// ---- matching

void Core::State::match(const Command& command, Decision& decision,
                        const CommandContext& context) {
    switch (decision.step) {
        case Step::Enter: enter(command, decision, context); break;
        case Step::Cancel: cancel(command, decision, context); break;
        case Step::Reduce: reduce(command, decision, context); break;
        case Step::Replace:
        case Step::ReplaceKnown: replace(command, decision, context); break;
        case Step::Reject: reject(command, Reject(decision.code), context); break;
        case Step::AnswerAgain: answerAgain(command, decision, context); break;
        case Step::None:
        case Step::Alone: CHECK(false);
    }
}

void Core::State::answerAgain(const Command& command, const Decision& decision,
                              const CommandContext& context) {
    if (command.type == static_cast<uint8_t>(CommandType::ReplaceOrder)) {
        Event& again = context.emit(EventType::Replaced, 0);
        again.flags = kEventDuplicate;
        again.account = command.account;
        again.id = command.id;
        again.id2 = command.newId;
        again.orderId = decision.orderId;
        return;
    }
    const bool accepted = decision.code == static_cast<uint16_t>(Reject::NONE);
    Event& event = context.emit(accepted ? EventType::Accepted : EventType::Rejected,
                                command.instrument);
    event.flags = kEventDuplicate;
    event.account = command.account;
    event.id = command.id;
    event.orderId = decision.orderId;
    if (accepted) {
        event.side = command.side;
        event.kind = command.orderType;
    } else {
        event.kind = command.type;
        event.code = decision.code;
    }
}

void Core::State::enter(const Command& command, const Decision& decision,
                        const CommandContext& context) {
    Book& book = *books[command.instrument];
    // In its slot from the start: what rests is not copied, and what doesn't gives the slot back.
    OrderSlab& own = book.slab();
    const OrderSlot slot = own.claim();
    Order& order = own[slot];
    order.price = decision.price;
    order.open = command.quantity;
    order.visible = 0;
    order.next = order.prev = 0;
    order.orderId = context.position;
    order.account = command.account;
    order.firm = accounts[command.account].firm;
    order.instrument = command.instrument;
    order.entry = decision.entry;
    order.flags = orderFlags(command, decision.schedule);
    order.extra = 0;
    const SecondLine second = secondLineOf(command);
    if ((second.stopPrice | second.displayQuantity) != 0 || command.expiry != 0) {
        own.needExtra(order) = OrderExtra{second.displayQuantity, second.stopPrice, command.expiry, 0};
    }

    Event& accepted = context.emit(EventType::Accepted, command.instrument);
    describeOrder(accepted, order);
    accepted.quantity = accepted.leaves = command.quantity;
    if (decision.repriced) accepted.flags |= kEventRepriced;
    bool rests = true;
    if (second.stopPrice != 0) {
        accepted.flags |= kEventStop;
        accepted.account2 = slot;
        book.wait(slot);
    } else {
        rests = book.enter(slot, second.minQuantity, accepted, context);
    }
    if (rests) riskOf(command.account).orderIds.setSlot(decision.entry, slot);
    book.runStops(context);
}

OrderSlot Core::State::openSlot(AccountId account, uint32_t entry) const {
    const uint64_t answer = riskOf(account).orderIds[entry].word();
    // Closed since it was validated: what is there is no slot.
    if ((answer >> 63) == 0) return 0;
    const auto slot = static_cast<OrderSlot>(answer);
    const Order& order = slab[slot];
    // The slot may have gone to another order since, or the order never came to rest (slot 0).
    const bool same = order.orderId != 0 && order.entry == entry && order.account == account;
    return same ? slot : 0;
}

void Core::State::cancel(const Command& command, const Decision& decision,
                         const CommandContext& context) {
    const OrderSlot slot = openSlot(command.account, decision.entry);
    if (slot == 0) return reject(command, Reject::ORDER_CLOSED, context);
    const InstrumentId instrument = slab[slot].instrument;
    if (frozen(instruments[instrument].state)) {
        return reject(command, Reject::INSTRUMENT_FROZEN, context);
    }
    books[instrument]->cancel(slot, Cause::Requested, context);
}

void Core::State::reduce(const Command& command, const Decision& decision,
                         const CommandContext& context) {
    const OrderSlot slot = openSlot(command.account, decision.entry);
    if (slot == 0) return reject(command, Reject::ORDER_CLOSED, context);
    if (command.quantity <= 0) return reject(command, Reject::INVALID_QUANTITY, context);
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
}

}  // namespace verbex
