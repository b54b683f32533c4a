// From a workload's steps to the commands that a core or a node takes: first the market, then the orders.
//
// Purpose: the benches of core, node and scale run the same workload with risk on.
// Every instrument has a base asset of its own and the common quote asset 1; every account holds 2^60 units of
// each asset, so that no order is refused for want of money.
// Owner: the benchmarks. Thread safety: pure.
#pragma once

#include <vector>

#include "wire/command.h"
#include "workload.h"

namespace verbex::bench {

inline constexpr Amount kDeposit = Amount{1} << 60;

inline Command commandOf(CommandType type, uint64_t id) {
    Command command{};
    command.type = static_cast<uint8_t>(type);
    command.id = ClientId{id, 0};
    return command;
}

inline Command depositOf(AccountId account, AssetId asset) {
    Command command = commandOf(CommandType::Deposit, asset);
    command.account = account;
    command.instrument = asset;
    command.amount = kDeposit;
    return command;
}

// Prices and quantities in smallest units; maker 100 and taker 200 millionths.
inline Command instrumentOf(uint64_t name, AssetId base, AssetId quote, int64_t priceMin,
                            int64_t priceMax) {
    Command command = commandOf(CommandType::AddInstrument, name);
    command.flags = kCommandExtended;
    command.price = command.quantity = 1;
    command.priceMin = priceMin;
    command.priceMax = priceMax;
    command.quantityMin = 1;
    command.quantityMax = 1 << 20;
    command.makerFee = 100;
    command.takerFee = 200;
    command.base = base;
    command.quote = quote;
    return command;
}

// Hands every command of the market to take(command), in order.
template <typename Take>
void makeMarket(const Workload& work, Take take) {
    for (uint32_t i = 0; i <= work.symbols; ++i) take(commandOf(CommandType::AddAsset, i + 1));
    for (uint32_t i = 0; i < work.symbols; ++i) {
        take(instrumentOf(i + 1, i + 2, 1, work.priceMin, work.priceMax));
    }
    for (AccountId account = 1; account <= work.accounts; ++account) {
        take(commandOf(CommandType::AddAccount, account));
        for (AssetId asset = 1; asset <= work.symbols + 1; ++asset) {
            take(depositOf(account, asset));
        }
    }
}

inline Command commandOf(const Step& step) {
    Command command{};
    command.account = step.account;
    command.instrument = step.symbol + 1u;
    command.id = ClientId{uint64_t{step.order} + 1, 0};
    switch (step.kind) {
        case StepKind::New:
        case StepKind::Ioc:
        case StepKind::Fok:
            command.type = static_cast<uint8_t>(CommandType::NewOrder);
            command.side = step.sell ? 2 : 1;
            command.orderType = static_cast<uint8_t>(OrderType::Limit);
            command.timeInForce = static_cast<uint8_t>(step.kind == StepKind::New   ? TimeInForce::Gtc
                                                       : step.kind == StepKind::Ioc ? TimeInForce::Ioc
                                                                                    : TimeInForce::Fok);
            command.price = step.price;
            command.quantity = step.quantity;
            break;
        case StepKind::Cancel: command.type = static_cast<uint8_t>(CommandType::CancelOrder); break;
        case StepKind::Reduce:
            command.type = static_cast<uint8_t>(CommandType::ReduceOrder);
            command.quantity = step.quantity;
            break;
        case StepKind::Move:
            command.type = static_cast<uint8_t>(CommandType::ReplaceOrder);
            command.price = step.price;
            command.quantity = step.quantity;
            break;
    }
    return command;
}

inline std::vector<Command> commandsOf(const std::vector<Step>& steps) {
    std::vector<Command> commands;
    commands.reserve(steps.size());
    for (const Step& step : steps) commands.push_back(commandOf(step));
    return commands;
}

}  // namespace verbex::bench
