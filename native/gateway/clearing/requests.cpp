#include "gateway/clearing/requests.h"

#include <algorithm>
#include <cstring>

namespace verbex::gateway::clearing {

namespace {

constexpr uint16_t code(Reason reason) { return static_cast<uint16_t>(reason); }
constexpr uint16_t code(Reject reject) { return static_cast<uint16_t>(reject); }

// The account of a request, where the user reaches it and has the right.
uint16_t begin(const Directory& directory, const Authority& authority, const Name& account,
               bool administers, CommandType type, Command& command) {
    const uint32_t found = accountWithin(directory, authority, account);
    if (found == kNoAccount) return code(Reason::NOT_BELOW_YOUR_ACCOUNT);
    if (administers && !authority.mayAdminister) return code(Reason::NOT_AUTHORIZED);
    command.type = static_cast<uint8_t>(type);
    command.account = found;
    return 0;
}

template <typename Money>
uint16_t money(const Directory& directory, const Authority& authority, const Money& request,
               bool administers, CommandType type, Command& command) {
    if (const uint16_t why = begin(directory, authority, request.account, administers, type, command))
        return why;
    command.instrument = directory.asset(textOf(request.asset));
    if (command.instrument == 0) return code(Reject::UNKNOWN_ASSET);
    command.id = request.transaction;
    command.amount = request.amount;
    return 0;
}

}  // namespace

Name subjectName(const Directory& directory, LimitKind kind, uint32_t subject) {
    switch (kind) {
        case LimitKind::OrderSize:
        case LimitKind::Position: return nameOf(directory.instrumentName(subject));
        case LimitKind::OrderValue:
        case LimitKind::OpenValue: return nameOf(directory.assetName(subject));
        case LimitKind::OpenOrders:
        case LimitKind::None: break;
    }
    return Name{};
}

uint32_t accountWithin(const Directory& directory, const Authority& authority, const Name& name) {
    if (authority.root == kNoAccount || name.none()) return kNoAccount;
    const uint32_t account = directory.account(textOf(name));
    if (account == kNoAccount || !directory.isBelow(account, authority.root)) return kNoAccount;
    return account;
}

uint16_t toCommand(const Directory& directory, const Authority& authority, const Deposit& request,
                   Command& command) {
    return money(directory, authority, request, true, CommandType::Deposit, command);
}

uint16_t toCommand(const Directory& directory, const Authority& authority, const Withdraw& request,
                   Command& command) {
    return money(directory, authority, request, true, CommandType::Withdraw, command);
}

uint16_t toCommand(const Directory& directory, const Authority& authority, const Transfer& request,
                   Command& command) {
    const uint32_t receiver = accountWithin(directory, authority, request.receiver);
    if (receiver == kNoAccount) return code(Reason::NOT_BELOW_YOUR_ACCOUNT);
    command.toAccount = receiver;
    return money(directory, authority, request, false, CommandType::Transfer, command);
}

uint16_t toCommand(const Directory& directory, const Authority& authority, const SetLimit& request,
                   Command& command) {
    if (const uint16_t why = begin(directory, authority, request.account, true,
                                   CommandType::SetLimit, command))
        return why;
    switch (static_cast<LimitKind>(request.kind)) {
        case LimitKind::OrderSize:
        case LimitKind::Position:
            command.instrument = directory.instrumentNamed(textOf(request.subject));
            if (command.instrument == 0) return code(Reject::UNKNOWN_INSTRUMENT);
            break;
        case LimitKind::OrderValue:
        case LimitKind::OpenValue:
            command.instrument = directory.asset(textOf(request.subject));
            if (command.instrument == 0) return code(Reject::UNKNOWN_ASSET);
            break;
        case LimitKind::OpenOrders:
            if (!request.subject.none()) return code(Reject::INVALID_LIMIT);
            break;
        default: return code(Reject::INVALID_LIMIT);
    }
    command.orderType = request.kind;
    command.amount = request.limit;
    return 0;
}

uint16_t toCommand(const Directory& directory, const Authority& authority,
                   const SetRights& request, Command& command) {
    command.rights = request.orderTypes | uint64_t{request.instrumentDefault} << 32;
    return begin(directory, authority, request.account, true, CommandType::SetRights, command);
}

uint16_t toCommand(const Directory& directory, const Authority& authority,
                   const SetInstrumentRight& request, Command& command) {
    if (const uint16_t why = begin(directory, authority, request.account, true,
                                   CommandType::SetInstrumentRight, command))
        return why;
    command.instrument = directory.instrumentNamed(textOf(request.instrument));
    if (command.instrument == 0) return code(Reject::UNKNOWN_INSTRUMENT);
    command.side = request.right;
    return 0;
}

// Anybody may stop; who starts again needs the right to.
uint16_t toCommand(const Directory& directory, const Authority& authority,
                   const KillSwitch& request, Command& command) {
    if (request.state != 1 && request.state != 2) return code(Reason::MALFORMED_FIELD);
    command.side = request.state;
    return begin(directory, authority, request.account, request.state == 2,
                 CommandType::KillSwitch, command);
}

uint16_t toCommand(const Directory& directory, const Authority& authority,
                   const MassCancel& request, Command& command) {
    if (const uint16_t why = begin(directory, authority, request.account, false,
                                   CommandType::MassCancel, command))
        return why;
    if (!request.instrument.none()) {
        command.instrument = directory.instrumentNamed(textOf(request.instrument));
        if (command.instrument == 0) return code(Reject::UNKNOWN_INSTRUMENT);
    }
    command.side = request.side;
    return 0;
}

}  // namespace verbex::gateway::clearing
