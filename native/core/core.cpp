#include "core/core.h"

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
      transactionIds(coreLimits.maxClientIds),
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

void Core::prefetch(const Command& command) const {
    const State& state = *state_;
    state.accounts.prefetch(command.account);
    switch (CommandType(command.type)) {
        case CommandType::NewOrder:
            state.orderIds.prefetch(command.account, command.id);
            if (state.knows(command.instrument)) {
                const Instrument& instrument = state.instruments[command.instrument];
                state.ledger.prefetch(command.account,
                                      command.side == 2 ? instrument.base : instrument.quote,
                                      command.instrument);
                state.books[command.instrument]->prefetch(command.price);
            }
            break;
        case CommandType::CancelOrder:
        case CommandType::ReduceOrder:
        case CommandType::ReplaceOrder:
            state.orderIds.prefetch(command.account, command.id);
            break;
        default: break;
    }
}

}  // namespace verbex
