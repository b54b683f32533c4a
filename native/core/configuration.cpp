// Assets, instruments, accounts, rights and limits (docs/rules.md section 3).
#include "core/state.h"

namespace verbex {

void Core::State::addAsset(const Command& command, const CommandContext& context) {
    if (command.id.none()) return reject(command, Reject::INVALID_NAME, context);
    if (assetNames.find(0, command.id) != 0) return reject(command, Reject::NAME_EXISTS, context);
    if (command.orderType > 18) return reject(command, Reject::INVALID_DECIMALS, context);
    if (assetNames.full()) return reject(command, Reject::CAPACITY_INSTRUMENTS, context);
    const AssetId id = assetNames.add(0, command.id, 0);
    CHECK(id == assets.size());
    makeAsset(Asset{0, command.id, command.orderType});
    Event& event = context.emit(EventType::AssetAdded, id);
    event.id = command.id;
}

namespace {

InstrumentTerms termsOf(const Command& command) {
    if (!command.extended()) return InstrumentTerms{};
    return InstrumentTerms{command.priceMin, command.priceMax, command.quantityMin,
                           command.quantityMax, command.collar};
}

FeeSchedule feesOf(const Command& command) {
    if (!command.extended()) return FeeSchedule{};
    return FeeSchedule{command.makerFee, command.takerFee};
}

}  // namespace

void Core::State::addInstrument(const Command& command, const CommandContext& context) {
    if (command.id.none()) return reject(command, Reject::INVALID_NAME, context);
    if (instrumentNames.find(0, command.id) != 0) {
        return reject(command, Reject::NAME_EXISTS, context);
    }
    const AssetId base = command.extended() ? command.base : 0;
    const AssetId quote = command.extended() ? command.quote : 0;
    if (!knowsAsset(base) || !knowsAsset(quote)) {
        return reject(command, Reject::UNKNOWN_ASSET, context);
    }
    if (command.orderType > 4) return reject(command, Reject::INVALID_TRADING_STATE, context);
    const InstrumentTerms terms = termsOf(command);
    const FeeSchedule fees = feesOf(command);
    if (base == quote || !termsPossible(terms, fees, command.price, command.quantity)) {
        return reject(command, Reject::INVALID_INSTRUMENT, context);
    }
    if (instrumentNames.full()) return reject(command, Reject::CAPACITY_INSTRUMENTS, context);

    const InstrumentId id = instrumentNames.add(0, command.id, 0);
    CHECK(id == instruments.size());
    Instrument instrument{};
    instrument.name = command.id;
    instrument.base = base;
    instrument.quote = quote;
    instrument.state = command.orderType == 0 ? TradingState::Open : TradingState(command.orderType);
    instrument.lotBase = command.price;
    instrument.lotQuote = command.quantity;
    instrument.terms = terms;
    instrument.schedules[0] = fees;
    makeInstrument(instrument);
    Event& event = context.emit(EventType::InstrumentAdded, id);
    event.id = command.id;
    event.kind = static_cast<uint8_t>(instrument.state);
}

void Core::State::changeInstrument(const Command& command, const CommandContext& context) {
    if (!knows(command.instrument)) return reject(command, Reject::UNKNOWN_INSTRUMENT, context);
    Instrument& instrument = instruments[command.instrument];
    const InstrumentTerms terms = termsOf(command);
    const FeeSchedule fees = feesOf(command);
    if (!termsPossible(terms, fees, instrument.lotBase, instrument.lotQuote)) {
        return reject(command, Reject::INVALID_INSTRUMENT, context);
    }
    const uint32_t inUse = schedulesInUse(command.instrument);
    if (!instrument.coversRebates(fees, inUse)) {
        return reject(command, Reject::FEES_BELOW_REBATES, context);
    }
    const uint8_t slot = instrument.slotFor(fees, true, inUse);
    if (slot == Instrument::kSchedules) {
        return reject(command, Reject::CAPACITY_FEE_SCHEDULES, context);
    }
    instrument.terms = terms;
    instrument.schedules[slot] = fees;
    instrument.schedule = slot;
    (void)context.emit(EventType::InstrumentChanged, command.instrument);
}

void Core::State::setTradingState(const Command& command, const CommandContext& context) {
    if (!knows(command.instrument)) return reject(command, Reject::UNKNOWN_INSTRUMENT, context);
    if (command.orderType < 1 || command.orderType > 4) {
        return reject(command, Reject::INVALID_TRADING_STATE, context);
    }
    instruments[command.instrument].state = TradingState(command.orderType);
    Event& event = context.emit(EventType::TradingStateSet, command.instrument);
    event.kind = command.orderType;
}

void Core::State::addAccount(const Command& command, const CommandContext& context) {
    if (!accounts.exists(command.account)) return reject(command, Reject::UNKNOWN_ACCOUNT, context);
    if (command.id.none()) return reject(command, Reject::INVALID_NAME, context);
    if (accountNames.find(0, command.id) != 0 || command.id == accounts[0].name) {
        return reject(command, Reject::NAME_EXISTS, context);
    }
    if (accounts[command.account].level >= kAccountLevelMax) {
        return reject(command, Reject::INVALID_PARENT, context);
    }
    if (accounts.full()) return reject(command, Reject::CAPACITY_ACCOUNTS, context);
    const AccountId id = accounts.add(command.account, command.id);
    CHECK(accountNames.add(0, command.id, 0) == id);
    Event& event = context.emit(EventType::AccountAdded, 0);
    event.account = id;
    event.account2 = command.account;
    event.id = command.id;
}

void Core::State::setRights(const Command& command, const CommandContext& context) {
    if (!accounts.exists(command.account)) return reject(command, Reject::UNKNOWN_ACCOUNT, context);
    const auto types = static_cast<uint32_t>(command.rights);
    const auto byDefault = static_cast<uint32_t>(command.rights >> 32);
    if ((types & ~kRightsAll) != 0 || byDefault < 1 || byDefault > 2) {
        return reject(command, Reject::INVALID_RIGHTS, context);
    }
    Account& account = accounts[command.account];
    account.orderTypes = static_cast<uint8_t>(types);
    account.instrumentsDenied = byDefault == 2;
    accounts.settingChanged(command.account);
    Event& event = context.emit(EventType::RightsSet, 0);
    event.account = command.account;
}

void Core::State::setInstrumentRight(const Command& command, const CommandContext& context) {
    if (!accounts.exists(command.account)) return reject(command, Reject::UNKNOWN_ACCOUNT, context);
    if (!knows(command.instrument)) return reject(command, Reject::UNKNOWN_INSTRUMENT, context);
    if (command.side > 2) return reject(command, Reject::INVALID_RIGHTS, context);
    accounts.setInstrumentRight(command.account, command.instrument, command.side);
    Event& event = context.emit(EventType::InstrumentRightSet, command.instrument);
    event.account = command.account;
    event.side = command.side;
}

namespace {

// A fresh limit with what its account's subtree has now; false if that is out of range.
bool countNow(const Core::State& state, AccountId root, LimitKind kind, uint32_t subject,
              Limit* limit) {
    if (state.facts != nullptr && kind == LimitKind::OpenValue) {
        limit->current = state.facts->openValue;
        return !state.facts->valueOverflows;
    }
    const AccountId end = state.accounts.subtreeEnd(root);
    for (AccountId id = root; id < end; ++id) {
        if (!state.accounts.inSubtree(id, root)) continue;
        if (kind == LimitKind::Position) {
            const Ledger& ledger = state.riskOf(id).ledger;
            if (const Exposure* exposure = ledger.findExposure(id, subject)) {
                limit->current += exposure->position;
                limit->openBuy += exposure->openBuy;
                limit->openSell += exposure->openSell;
            }
        } else if (kind == LimitKind::OpenOrders) {
            limit->current += state.accounts[id].openOrders;
        } else if (kind == LimitKind::OpenValue) {
            const ClientIds& orderIds = state.riskOf(id).orderIds;
            for (uint32_t entry = state.accounts[id].firstOrder; entry != 0;
                 entry = orderIds[entry].next) {
                const Order& order = state.slab[orderIds[entry].slot()];
                const Instrument& instrument = state.instruments[order.instrument];
                if (instrument.quote == subject &&
                    !checkedAdd(limit->current, instrument.value(order.price, order.open),
                                &limit->current)) {
                    return false;
                }
            }
        }
    }
    return true;
}

}  // namespace

void Core::State::setLimit(const Command& command, const CommandContext& context) {
    if (!accounts.exists(command.account)) return reject(command, Reject::UNKNOWN_ACCOUNT, context);
    if (command.orderType < 1 || command.orderType > kLimitKindMax || command.amount < -1 ||
        command.amount > kAmountMax) {
        return reject(command, Reject::INVALID_LIMIT, context);
    }
    const auto kind = LimitKind(command.orderType);
    const uint32_t subject = command.instrument;
    if (kind == LimitKind::OrderSize || kind == LimitKind::Position) {
        if (!knows(subject)) return reject(command, Reject::UNKNOWN_INSTRUMENT, context);
    } else if (kind == LimitKind::OrderValue || kind == LimitKind::OpenValue) {
        if (!knowsAsset(subject)) return reject(command, Reject::UNKNOWN_ASSET, context);
    } else if (subject != 0) {
        return reject(command, Reject::INVALID_LIMIT, context);
    }
    if (command.account == 0 && riskProcesses > 1 && command.amount != -1) {
        return reject(command, Reject::VENUE_LIMIT_NOT_POSSIBLE, context);
    }
    if (command.amount == -1) {
        limits.remove(accounts, command.account, kind, subject);
    } else {
        Limit limit{};
        if (!countNow(*this, command.account, kind, subject, &limit)) {
            return reject(command, Reject::VALUE_OVERFLOW, context);
        }
        limit.limit = command.amount;
        limits.set(accounts, command.account, kind, subject, limit);
    }
    accounts.settingChanged(command.account);
    Event& event = context.emit(EventType::LimitSet, subject);
    event.kind = command.orderType;
    event.account = command.account;
    event.amount = command.amount;
}

}  // namespace verbex
