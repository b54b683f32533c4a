// Random command streams for the native tests: a small world, every command type, many nonsense values.
#pragma once

#include <cstdint>
#include <cstring>
#include <random>

#include "wire/command.h"

namespace verbex::test {

class RandomCommands {
public:
    explicit RandomCommands(uint64_t seed) : random_(seed) {}

    Command next() {
        if (setup_ < kSetup) return setUp(setup_++);
        Command command{};
        const uint32_t draw = below(100);
        command.account = 1 + below(6);
        command.instrument = 1 + below(2);
        command.id = ClientId{1 + below(400), 0};
        command.token = random_();
        if (draw < 50) {
            newOrder(command);
        } else if (draw < 60) {
            command.type = static_cast<uint8_t>(CommandType::CancelOrder);
        } else if (draw < 68) {
            command.type = static_cast<uint8_t>(CommandType::ReduceOrder);
            command.quantity = 1 + below(8);
        } else if (draw < 84) {
            command.type = static_cast<uint8_t>(CommandType::ReplaceOrder);
            command.price = 90 + below(20);
            command.quantity = 1 + below(20);
            if (below(2) == 0) {
                command.flags = kCommandExtended;
                command.newId = ClientId{1 + below(400), 0};
                if (below(3) == 0) command.stopPrice = 90 + below(20);
            }
        } else if (draw < 90) {
            command.type = static_cast<uint8_t>(CommandType::Deposit) + static_cast<uint8_t>(below(3));
            command.instrument = 1 + below(3);
            command.id = ClientId{1 + below(1000), 7};
            command.amount = 1 + below(2000);
            command.toAccount = 1 + below(6);
        } else if (draw < 98) {
            rare(command);
        } else {
            garbage(command);
        }
        return command;
    }

    uint32_t below(uint32_t n) { return static_cast<uint32_t>(random_() % n); }

private:
    static constexpr uint32_t kSetup = 3 + 2 + 6 + 18;

    Command setUp(uint32_t step) {
        Command command{};
        if (step < 3) {
            command.type = static_cast<uint8_t>(CommandType::AddAsset);
            command.id = ClientId{step + 1, 0};
        } else if (step < 5) {
            command.type = static_cast<uint8_t>(CommandType::AddInstrument);
            command.flags = kCommandExtended;
            command.id = ClientId{step, 0};
            command.price = 3;
            command.quantity = 2;
            command.priceMin = 80;
            command.priceMax = 120;
            command.quantityMin = 1;
            command.quantityMax = 1000;
            command.makerFee = -1000;
            command.takerFee = 30000;
            command.collar = 20000;
            command.base = step - 1;
            command.quote = 1;
        } else if (step < 11) {
            command.type = static_cast<uint8_t>(CommandType::AddAccount);
            command.account = step < 7 ? 0 : step < 9 ? 1 : 3;
            command.id = ClientId{step, 9};
        } else {
            command.type = static_cast<uint8_t>(CommandType::Deposit);
            command.account = 1 + (step - 11) / 3;
            command.instrument = 1 + (step - 11) % 3;
            command.id = ClientId{step, 7};
            command.amount = 20000;
        }
        return command;
    }

    void newOrder(Command& command) {
        command.type = static_cast<uint8_t>(CommandType::NewOrder);
        command.side = static_cast<uint8_t>(1 + below(2));
        command.orderType = static_cast<uint8_t>(below(3) == 0 ? 1 + below(4) : 1);
        command.timeInForce = static_cast<uint8_t>(1 + below(5));
        command.selfTrade = static_cast<uint8_t>(below(2) == 0 ? below(5) : 0);
        command.quantity = 1 + below(20);
        if (command.orderType == 1 || command.orderType == 4) command.price = 90 + below(20);
        if (command.orderType == 2 && below(8) != 0) command.timeInForce = static_cast<uint8_t>(4 + below(2));
        if (command.timeInForce == 3) command.expiry = time_ + below(50);
        if (below(6) == 0) command.flags |= static_cast<uint16_t>(below(16)) & ~kCommandExtended;
        if (command.orderType >= 3 || below(4) == 0) {
            command.flags |= kCommandExtended;
            if (command.orderType >= 3) command.stopPrice = 90 + below(20);
            if (below(2) == 0) command.displayQuantity = 1 + below(6);
            if (below(4) == 0) command.minQuantity = 1 + below(10);
            if (command.orderType >= 3) command.displayQuantity = command.minQuantity = 0;
        }
    }

    void rare(Command& command) {
        switch (below(9)) {
            case 0:
                command.type = static_cast<uint8_t>(CommandType::MassCancel);
                command.instrument = below(3);
                command.side = static_cast<uint8_t>(below(3));
                break;
            case 1:
                command.type = static_cast<uint8_t>(CommandType::KillSwitch);
                command.side = static_cast<uint8_t>(below(4) == 0 ? 1 : 2);
                break;
            case 2:
                command.type = static_cast<uint8_t>(CommandType::AdvanceTime);
                command.expiry = time_ += below(20);
                break;
            case 3: command.type = static_cast<uint8_t>(below(4) == 0 ? CommandType::DayEnd : CommandType::None); break;
            case 4:
                command.type = static_cast<uint8_t>(CommandType::SetLimit);
                command.account = below(7);
                command.orderType = static_cast<uint8_t>(1 + below(5));
                command.instrument = command.orderType == 3 ? 0 : 1 + below(2);
                command.amount = below(3) == 0 ? Amount{-1} : Amount{below(5000)};
                break;
            case 5:
                command.type = static_cast<uint8_t>(CommandType::SetInstrumentRight);
                command.side = static_cast<uint8_t>(below(3));
                break;
            case 6:
                command.type = static_cast<uint8_t>(CommandType::SetRights);
                command.rights = (below(4) == 0 ? below(64) & 62 : 62) | uint64_t{1} << 32;
                break;
            case 7:
                command.type = static_cast<uint8_t>(CommandType::ChangeInstrument);
                command.flags = kCommandExtended;
                command.priceMin = 80;
                command.priceMax = 110 + below(20);
                command.quantityMin = 1;
                command.quantityMax = 1000;
                command.makerFee = static_cast<int32_t>(below(100)) - 50;
                command.takerFee = 50 + static_cast<int32_t>(below(100));
                command.collar = static_cast<int32_t>(below(100000));
                break;
            default:
                command.type = static_cast<uint8_t>(CommandType::SetTradingState);
                command.orderType = static_cast<uint8_t>(below(3) == 0 ? 1 + below(4) : 1);
                break;
        }
    }

    void garbage(Command& command) {
        uint64_t words[16];
        for (uint64_t& word : words) word = below(3) == 0 ? random_() : below(4);
        std::memcpy(static_cast<void*>(&command), words, sizeof(command));
        command.type = static_cast<uint8_t>(below(24));
    }

    std::mt19937_64 random_;
    uint32_t setup_ = 0;
    uint64_t time_ = 0;
};

}  // namespace verbex::test
