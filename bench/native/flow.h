// Flow: orders without end on a market that stays about as large as it is: new 50%, cancel 45%, IOC 5%.
//
// Purpose: what snapshots, recovery and the cost of size are measured under. Unlike workload.h's it needs no
// book of its own, so that a million resting orders and more cost nothing to make.
// Accounts and instruments are drawn evenly; all instruments trade asset 1 for asset 2.
// Owner: one benchmark. Thread safety: none.
#pragma once

#include <vector>

#include "wire/command.h"
#include "workload.h"
#include "workload_commands.h"

namespace verbex::bench {

// A market of one instrument, and orders that keep it as large as it is.
class Flow {
public:
    static constexpr uint32_t kLevels = 4096;
    static constexpr int64_t kMiddle = 100'000;

    explicit Flow(uint64_t seed, AccountId accounts = 1000, InstrumentId instruments = 1)
        : random_(seed), accounts_(accounts), instruments_(instruments) {}

    std::vector<Command> market() const {
        std::vector<Command> commands;
        for (uint64_t asset = 1; asset <= 2; ++asset) {
            commands.push_back(commandOf(CommandType::AddAsset, asset));
        }
        for (InstrumentId name = 1; name <= instruments_; ++name) {
            commands.push_back(instrumentOf(name, 1, 2, kMiddle - kLevels, kMiddle + kLevels));
        }
        for (AccountId account = 1; account <= accounts_; ++account) {
            commands.push_back(commandOf(CommandType::AddAccount, account));
            for (AssetId asset = 1; asset <= 2; ++asset) {
                commands.push_back(depositOf(account, asset));
            }
        }
        return commands;
    }

    Command resting() {
        const bool sell = random_.below(2) != 0;
        const auto away = static_cast<int64_t>(1 + random_.below(kLevels));
        Command command = order(sell, sell ? kMiddle + away : kMiddle - away, 1 + random_.below(100));
        live_.push_back({command.account, command.id.lo});
        return command;
    }

    Command next() {
        const uint32_t dice = random_.below(100);
        if (dice < 50 || live_.empty()) return resting();
        if (dice < 95) {
            const size_t at = random_.below(static_cast<uint32_t>(live_.size()));
            Command command{};
            command.type = static_cast<uint8_t>(CommandType::CancelOrder);
            command.account = live_[at].account;
            command.id = ClientId{live_[at].id, 0};
            live_[at] = live_.back();
            live_.pop_back();
            return command;
        }
        const bool sell = random_.below(2) != 0;
        Command command = order(sell, sell ? kMiddle - kLevels : kMiddle + kLevels, 1 + random_.below(50));
        command.timeInForce = static_cast<uint8_t>(TimeInForce::Ioc);
        return command;
    }

    std::vector<Command> take(size_t count) {
        std::vector<Command> commands;
        commands.reserve(count);
        while (commands.size() < count) commands.push_back(next());
        return commands;
    }

private:
    struct Live {
        AccountId account;
        uint64_t id;
    };

    Command order(bool sell, int64_t price, int64_t quantity) {
        Command command{};
        command.type = static_cast<uint8_t>(CommandType::NewOrder);
        command.account = 1 + random_.below(accounts_);
        command.instrument = instruments_ == 1 ? 1 : 1 + random_.below(instruments_);
        command.id = ClientId{++ids_, 0};
        command.side = sell ? 2 : 1;
        command.orderType = static_cast<uint8_t>(OrderType::Limit);
        command.timeInForce = static_cast<uint8_t>(TimeInForce::Gtc);
        command.price = price;
        command.quantity = quantity;
        return command;
    }

    Random random_;
    const AccountId accounts_;
    const InstrumentId instruments_;
    uint64_t ids_ = 0;
    std::vector<Live> live_;
};

}  // namespace verbex::bench
