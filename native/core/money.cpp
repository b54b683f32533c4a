// Deposits, withdrawals, transfers (docs/rules.md section 4), idempotent by transaction id.
#include "core/state.h"

namespace verbex {

namespace {

uint32_t transactionFingerprint(const Command& command) {
    const bool transfer = command.type == static_cast<uint8_t>(CommandType::Transfer);
    return Fingerprint()
        .add(command.type)
        .add(command.instrument)
        .add(static_cast<uint64_t>(static_cast<UnsignedAmount>(command.amount)))
        .add(static_cast<uint64_t>(static_cast<UnsignedAmount>(command.amount) >> 64))
        .add(transfer ? command.toAccount : 0)
        .value();
}

}  // namespace

// What all three ask before the id rule.
Reject Core::State::checkTransaction(const Command& command) const {
    if (!accounts.exists(command.account)) return Reject::UNKNOWN_ACCOUNT;
    if (command.account == 0) return Reject::ACCOUNT_CANNOT_TRADE;
    if (!knowsAsset(command.instrument)) return Reject::UNKNOWN_ASSET;
    if (command.type == static_cast<uint8_t>(CommandType::Transfer)) {
        if (command.toAccount >= accounts.count()) return Reject::UNKNOWN_ACCOUNT;
        if (command.toAccount == 0) return Reject::ACCOUNT_CANNOT_TRADE;
        if (command.toAccount == command.account) return Reject::SAME_ACCOUNT;
    }
    if (command.id.none()) return Reject::INVALID_CLIENT_ORDER_ID;
    return Reject::NONE;
}

// Has this id been used? Then the answer is given, and true.
bool Core::State::answerTransactionAgain(const Command& command, uint32_t fingerprint,
                                         const CommandContext& context) {
    const uint32_t known = transactionIds.find(command.account, command.id);
    if (known == 0) return false;
    if (transactionIds[known].fingerprint != fingerprint) {
        reject(command, Reject::DUPLICATE_TRANSACTION, context);
        return true;
    }
    Event& event = context.emit(EventType::BalanceChanged, command.instrument);
    event.flags = kEventDuplicate;
    event.kind = command.type;
    event.account = command.account;
    event.id = command.id;
    event.orderId = transactionIds[known].orderId();
    if (command.type == static_cast<uint8_t>(CommandType::Transfer)) {
        event.account2 = static_cast<AccountId>(command.toAccount);
    }
    return true;
}

void Core::State::rememberTransaction(const Command& command, uint32_t fingerprint) {
    const uint32_t entry = transactionIds.add(command.account, command.id, fingerprint);
    transactionIds.close(entry, position, Reject::NONE);
}

void Core::State::changeBalance(const Command& command, AccountId account, AccountId other,
                                Amount change, const CommandContext& context) {
    Balance& balance = riskOf(account).ledger.balance(account, command.instrument);
    balance.total += change;
    Event& event = context.emit(EventType::BalanceChanged, command.instrument);
    event.kind = command.type;
    event.account = account;
    event.account2 = other;
    event.id = command.id;
    event.price = static_cast<int64_t>(change);  // low half, then high half
    event.quantity = static_cast<int64_t>(change >> 64);
    event.amount = balance.total;
}

void Core::State::deposit(const Command& command, const CommandContext& context) {
    const Reject code = checkTransaction(command);
    if (code != Reject::NONE) return reject(command, code, context);
    const uint32_t fingerprint = transactionFingerprint(command);
    if (answerTransactionAgain(command, fingerprint, context)) return;
    if (command.amount < 1 || command.amount > kAmountMax) {
        return reject(command, Reject::INVALID_AMOUNT, context);
    }
    Asset& asset = assets[command.instrument];
    Amount issued;
    if (!checkedAdd(asset.issued, command.amount, &issued)) {
        return reject(command, Reject::VALUE_OVERFLOW, context);
    }
    if (transactionIds.full()) return reject(command, Reject::CAPACITY_CLIENT_IDS, context);
    asset.issued = issued;
    rememberTransaction(command, fingerprint);
    changeBalance(command, command.account, 0, command.amount, context);
}

void Core::State::withdraw(const Command& command, const CommandContext& context) {
    const Reject code = checkTransaction(command);
    if (code != Reject::NONE) return reject(command, code, context);
    const uint32_t fingerprint = transactionFingerprint(command);
    if (answerTransactionAgain(command, fingerprint, context)) return;
    if (command.amount < 1 || command.amount > kAmountMax) {
        return reject(command, Reject::INVALID_AMOUNT, context);
    }
    if (riskOf(command.account).ledger.available(command.account, command.instrument) <
        command.amount) {
        return reject(command, Reject::INSUFFICIENT_FUNDS, context);
    }
    if (transactionIds.full()) return reject(command, Reject::CAPACITY_CLIENT_IDS, context);
    assets[command.instrument].issued -= command.amount;
    rememberTransaction(command, fingerprint);
    changeBalance(command, command.account, 0, -command.amount, context);
}

void Core::State::transfer(const Command& command, const CommandContext& context) {
    const Reject code = checkTransaction(command);
    if (code != Reject::NONE) return reject(command, code, context);
    const uint32_t fingerprint = transactionFingerprint(command);
    if (answerTransactionAgain(command, fingerprint, context)) return;
    if (command.amount < 1 || command.amount > kAmountMax) {
        return reject(command, Reject::INVALID_AMOUNT, context);
    }
    if (riskOf(command.account).ledger.available(command.account, command.instrument) <
        command.amount) {
        return reject(command, Reject::INSUFFICIENT_FUNDS, context);
    }
    if (transactionIds.full()) return reject(command, Reject::CAPACITY_CLIENT_IDS, context);
    const auto receiver = static_cast<AccountId>(command.toAccount);
    rememberTransaction(command, fingerprint);
    changeBalance(command, command.account, receiver, -command.amount, context);
    changeBalance(command, receiver, command.account, command.amount, context);
}

}  // namespace verbex
