#include "core/core.h"

#include <algorithm>

#include "core/state.h"

namespace verbex {

Core::State::State(const CoreLimits& coreLimits)
    : capacity(coreLimits),
      slab(coreLimits.maxOrders, coreLimits.warm),
      assets(1),
      instruments(1),
      books(1),
      accounts(coreLimits.maxAccounts),
      orderIds(coreLimits.maxClientIds, coreLimits.warm),
      transactionIds(kTransactionIdsMax),
      assetNames(coreLimits.maxInstruments),
      instrumentNames(coreLimits.maxInstruments),
      accountNames(coreLimits.maxAccounts) {}

Core::Core(const CoreLimits& limits) : state_(std::make_unique<State>(limits)) {}
Core::~Core() = default;

Position Core::position() const { return state_->position; }
uint64_t Core::time() const { return state_->time; }

void Core::State::reject(const Command& command, Reject code, const CommandContext& context) {
    Event& event = context.emit(EventType::Rejected, command.instrument);
    event.kind = command.type;
    event.code = static_cast<uint16_t>(code);
    event.account = command.account;
    event.id = command.id;
}

void Core::apply(const Command& command, EventWriter& events) {
    State& state = *state_;
    const CommandContext context{events, ++state.position, command.token};
    state.begin(events);
    switch (CommandType(command.type)) {
        case CommandType::NewOrder: state.newOrder(command, context); break;
        case CommandType::CancelOrder: state.cancelOrder(command, context); break;
        case CommandType::ReduceOrder: state.reduceOrder(command, context); break;
        case CommandType::ReplaceOrder: state.replaceOrder(command, context); break;
        case CommandType::MassCancel: state.massCancel(command, context); break;
        case CommandType::KillSwitch: state.killSwitch(command, context); break;
        case CommandType::Deposit: state.deposit(command, context); break;
        case CommandType::Withdraw: state.withdraw(command, context); break;
        case CommandType::Transfer: state.transfer(command, context); break;
        case CommandType::AddAsset: state.addAsset(command, context); break;
        case CommandType::AddInstrument: state.addInstrument(command, context); break;
        case CommandType::ChangeInstrument: state.changeInstrument(command, context); break;
        case CommandType::SetTradingState: state.setTradingState(command, context); break;
        case CommandType::AddAccount: state.addAccount(command, context); break;
        case CommandType::SetRights: state.setRights(command, context); break;
        case CommandType::SetInstrumentRight: state.setInstrumentRight(command, context); break;
        case CommandType::SetLimit: state.setLimit(command, context); break;
        case CommandType::AdvanceTime: state.advanceTime(command, context); break;
        case CommandType::DayEnd: state.dayEnd(context); break;
        case CommandType::None:
        default: state.reject(command, Reject::UNKNOWN_COMMAND, context); break;
    }
    // The last event is still in the region: a drain happens only when a further cell is claimed.
    events.cursor()[-1].flags |= kEventLast;
}

namespace {

// Below so many, a table lies in the second-level cache anyway and warming it costs more than it saves.
constexpr uint32_t kWarmFromOrders = 8192;  // 512 KiB of orders
constexpr uint32_t kWarmFromIds = 8192;
constexpr size_t kWarmFromBalances = 8192;

bool names(const Command& command) {
    return command.type >= static_cast<uint8_t>(CommandType::CancelOrder) &&
           command.type <= static_cast<uint8_t>(CommandType::ReplaceOrder);
}

bool enters(const Command& command) {
    return command.type == static_cast<uint8_t>(CommandType::NewOrder);
}

}  // namespace

void Core::warm(const Command* const* commands, size_t count) const {
    const State& state = *state_;
    count = std::min(count, kWarmMax);
    if (state.orderIds.size() < kWarmFromIds) return;
    // Rounds over the batch, each asking for what the round before has brought: index → entry → order →
    // its surroundings. Within a round all loads are independent, so that they overlap.
    for (size_t i = 0; i < count; ++i) {
        if (enters(*commands[i]) || names(*commands[i])) {
            state.orderIds.warm(commands[i]->account, commands[i]->id);
        }
    }
    const bool manyOrders = state.slab.live() >= kWarmFromOrders;
    const bool manyBalances = state.ledger.balances().size() >= kWarmFromBalances;
    if (manyOrders || manyBalances) {
        for (size_t i = 0; i < count; ++i) {
            const Command& command = *commands[i];
            if (!enters(command) || !state.knows(command.instrument)) continue;
            const Instrument& instrument = state.instruments[command.instrument];
            state.accounts.warm(command.account);
            state.ledger.warm(command.account,
                              command.side == 2 ? instrument.base : instrument.quote,
                              command.instrument);
            state.books[command.instrument]->warm(command.price);
        }
    }
    uint32_t entries[kWarmMax];
    for (size_t i = 0; i < count; ++i) {
        entries[i] = names(*commands[i])
                         ? state.orderIds.warmEntry(commands[i]->account, commands[i]->id)
                         : 0;
    }
    if (!manyOrders) return;
    OrderSlot slots[kWarmMax];
    for (size_t i = 0; i < count; ++i) {
        const bool open = entries[i] != 0 && state.orderIds[entries[i]].live();
        slots[i] = open ? state.orderIds[entries[i]].slot() : 0;
        touch(&state.slab[slots[i]]);
    }
    for (size_t i = 0; i < count; ++i) {
        if (slots[i] == 0) continue;
        const Order& order = state.slab[slots[i]];
        const Instrument& instrument = state.instruments[order.instrument];
        const Book& book = *state.books[order.instrument];
        book.warmAround(order);
        if (manyBalances) {
            state.ledger.warm(order.account, order.sell() ? instrument.base : instrument.quote,
                              order.instrument);
        }
        if (commands[i]->type == static_cast<uint8_t>(CommandType::ReplaceOrder)) {
            book.warm(commands[i]->price);
        }
    }
}

}  // namespace verbex
