// Risk processes that are away, in a deployment in roles (docs/roles.md): what the log says of them, and which
// commands are rejected meanwhile. The rule is the core's, so that one process that is fed the log answers alike.
#include "core/state.h"

namespace verbex {

void Core::State::setAvailability(const Command& command, const CommandContext& context) {
    const uint32_t processes = command.orderType;
    const uint32_t process = command.instrument;
    const bool possible = processes >= 1 && processes <= CoreShards::kMax && process < processes &&
                          (command.side == 1 || command.side == 2) &&
                          (riskProcesses == 0 || riskProcesses == processes) &&
                          (processes == 1 || accounts[0].limits == 0);
    if (!possible) return reject(command, Reject::INVALID_AVAILABILITY, context);
    riskProcesses = processes;
    const uint32_t bit = 1u << process;
    riskProcessesAway = command.side == 1 ? riskProcessesAway | bit : riskProcessesAway & ~bit;
    Event& event = context.emit(EventType::AvailabilitySet, process);
    event.side = command.side;
    event.kind = command.orderType;
    event.quantity = command.quantity;
}

bool Core::State::needsWhoIsAway(const Command& command) const {
    // A firm lies whole in one process. What is said to the venue itself concerns all of them.
    const auto away = [this](uint64_t account) {
        if (account >= accounts.count()) return false;  // rejected for what it is
        if (account == 0) return true;
        const AccountId firm = accounts[static_cast<AccountId>(account)].firm;
        return (riskProcessesAway >> (firm % riskProcesses) & 1) != 0;
    };
    switch (CommandType(command.type)) {
        case CommandType::NewOrder:
        case CommandType::CancelOrder:
        case CommandType::ReduceOrder:
        case CommandType::ReplaceOrder:
        case CommandType::MassCancel:
        case CommandType::KillSwitch:
        case CommandType::Deposit:
        case CommandType::Withdraw:
        case CommandType::SetLimit: return away(command.account);
        case CommandType::Transfer: return away(command.account) || away(command.toAccount);
        case CommandType::DayEnd: return true;
        default: return false;  // configuration and time
    }
}

}  // namespace verbex
