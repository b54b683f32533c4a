#include "sim/small_market.h"

#include <algorithm>
#include <cstring>

namespace verbex::sim {

namespace {

Name nameOf(const std::string& text) {
    Name name{};
    std::memcpy(static_cast<void*>(&name), text.data(), std::min(text.size(), sizeof(name)));
    return name;
}

}  // namespace

std::vector<Command> smallMarket(const SmallMarket& market) {
    std::vector<Command> commands;
    const auto add = [&commands](CommandType type, const std::string& name) -> Command& {
        Command& command = commands.emplace_back(Command{});
        command.type = static_cast<uint8_t>(type);
        command.id = nameOf(name);
        return command;
    };
    add(CommandType::AddAsset, "BASE");
    add(CommandType::AddAsset, "QUOTE");
    Command& instrument = add(CommandType::AddInstrument, market.symbol);
    instrument.flags = kCommandExtended;
    instrument.base = 1;
    instrument.quote = 2;
    instrument.price = market.lotBase;
    instrument.quantity = market.lotQuote;
    instrument.priceMin = instrument.quantityMin = 1;
    instrument.priceMax = instrument.quantityMax = 1'000'000;
    instrument.makerFee = market.makerFee;
    instrument.takerFee = market.takerFee;
    for (uint32_t i = 1; i <= market.accounts; i++) {
        add(CommandType::AddAccount, market.accountName(i));
        for (AssetId asset = 1; asset <= 2; asset++) {
            Command& deposit = add(CommandType::Deposit, "d" + std::to_string(asset));
            deposit.account = i;
            deposit.instrument = asset;
            deposit.amount = market.deposit;
        }
    }
    return commands;
}

}  // namespace verbex::sim
