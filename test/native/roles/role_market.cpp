// The market of a world of roles: what is set up, and random commands behind that.
#include "roles/role_world.h"

namespace verbex::roles::test {

namespace {

constexpr uint32_t kFirms = 6;
constexpr uint32_t kInstruments = 3;

}  // namespace

Market::Market(uint64_t seed) : random_(seed) {
    for (uint32_t i = 0; i < 29; i++) (void)random_.next();  // its own world is not wanted
}

Command Market::setUp(uint32_t step) {
    Command command{};
    if (step < 4) {
        command.type = static_cast<uint8_t>(CommandType::AddAsset);
        command.id = ClientId{step + 1, 0};
    } else if (step < 4 + kInstruments) {
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
        command.base = step - 2;
        command.quote = 1;
    } else if (step < 4 + kInstruments + 2 * kFirms) {
        const uint32_t account = step - 4 - kInstruments;
        command.type = static_cast<uint8_t>(CommandType::AddAccount);
        command.account = account < kFirms ? 0 : account - kFirms + 1;
        command.id = ClientId{step, 9};
    } else {
        const uint32_t deposit = step - 4 - kInstruments - 2 * kFirms;
        command.type = static_cast<uint8_t>(CommandType::Deposit);
        command.account = 1 + deposit / 4;
        command.instrument = 1 + deposit % 4;
        command.id = ClientId{step, 7};
        command.amount = 20000;
    }
    return command;
}

Command Market::next() {
    constexpr uint32_t kSetUp = 4 + kInstruments + 2 * kFirms + 2 * kFirms * 4;
    if (step_ < kSetUp) return setUp(step_++);
    Command command = random_.next();
    const auto type = CommandType(command.type);
    // What only the sequencer may say, nobody offers.
    if (type == CommandType::SetAvailability) command.type = 0;
    if (command.account != 0 && command.account < 7) command.account = 1 + random_.below(2 * kFirms);
    if (type == CommandType::NewOrder && command.instrument <= 2) {
        command.instrument = 1 + random_.below(kInstruments);
    }
    // What stops trading for good is seldom enough that there is some.
    if (random_.below(4) != 0) {
        if (type == CommandType::KillSwitch) command.side = 2;
        if (type == CommandType::SetLimit) command.amount = -1;
        if (type == CommandType::SetTradingState) command.orderType = 1;
        if (type == CommandType::SetInstrumentRight) command.side = 0;
        if (type == CommandType::SetRights) command.rights = 62 | uint64_t{1} << 32;
    }
    if (type == CommandType::Transfer) command.toAccount = random_.below(2 * kFirms + 1);
    return command;
}

}  // namespace verbex::roles::test
