// The commands after which a book can be traded: an empty core takes all of them.
#include "sim/small_market.h"

#include <gtest/gtest.h>

#include <cstring>

#include "core/core.h"
#include "wire/reject.h"

namespace verbex::sim {
namespace {

class One final : public EventWriter {
public:
    One() { drain(); }
    // Answers how the command was rejected, if it was.
    Reject code(Core& core, const Command& command) {
        drain();
        core.apply(command, *this);
        const Event& first = *begin();
        return EventType(first.type) == EventType::Rejected ? Reject(first.code) : Reject::NONE;
    }

private:
    void drain() override { setRegion(cells_, cells_ + 64); }
    Event cells_[64];
};

TEST(SmallMarket, AnEmptyCoreTakesAllOfIt) {
    SmallMarket market;
    market.accounts = 40;
    market.symbol = "BTC-USD";
    market.lotBase = 100;
    market.lotQuote = 10;
    market.makerFee = -100;
    market.takerFee = 700;
    const std::vector<Command> commands = smallMarket(market);
    EXPECT_EQ(commands.size(), 3 + 3 * 40u);
    Core core(CoreLimits{.maxOrders = 16, .maxAccounts = 40, .maxInstruments = 2, .maxClientIds = 100});
    One one;
    for (const Command& command : commands) ASSERT_EQ(one.code(core, command), Reject::NONE);

    // And the accounts can pay: the last one buys, the first one sells.
    for (const Side side : {Side::Buy, Side::Sell}) {
        Command order{};
        order.type = static_cast<uint8_t>(CommandType::NewOrder);
        order.orderType = static_cast<uint8_t>(OrderType::Limit);
        order.side = static_cast<uint8_t>(side);
        order.timeInForce = static_cast<uint8_t>(TimeInForce::Gtc);
        order.selfTrade = static_cast<uint8_t>(SelfTrade::CancelOldest);
        order.account = side == Side::Buy ? 40 : 1;
        order.instrument = 1;
        order.id = ClientId{order.account, 0};
        order.price = 1'000'000;
        order.quantity = 1'000'000;
        ASSERT_EQ(one.code(core, order), Reject::NONE);
    }
    EXPECT_EQ(EventType(one.cursor()[-1].type), EventType::Trade);
}

TEST(SmallMarket, SameOptionsSameCommands) {
    SmallMarket market;
    market.accounts = 3;
    market.accountName = [](uint32_t number) { return "client" + std::to_string(number); };
    const std::vector<Command> one = smallMarket(market);
    const std::vector<Command> other = smallMarket(market);
    ASSERT_EQ(one.size(), other.size());
    for (size_t i = 0; i < one.size(); i++) {
        EXPECT_EQ(std::memcmp(&one[i], &other[i], sizeof(Command)), 0) << i;
    }
    EXPECT_EQ(std::memcmp(&one[3].id, "client1\0\0\0\0\0\0\0\0", sizeof(Name)), 0);
}

}  // namespace
}  // namespace verbex::sim
