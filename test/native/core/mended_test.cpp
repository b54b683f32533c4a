// One test for each fault that was found in the core by reading it, and mended. The oracle holds the rules;
// these hold what random streams hardly ever reach: changed bands, mixed fee schedules, sums of many accounts.
#include <gtest/gtest.h>

#include <vector>

#include "core/core.h"
#include "wire/reject.h"

namespace verbex::mended_test {
namespace {

constexpr int64_t kLotsMax = int64_t{1} << 53;

// A core with two assets, driven by the command.
class World final : public EventWriter {
public:
    explicit World(uint32_t maxClientIds = 1'000'000)
        : core_(CoreLimits{10'000, 100, 16, maxClientIds}), cells_(4096) {
        setRegion(cells_.data(), cells_.data() + cells_.size());
        for (int i = 0; i < 2; ++i) {
            Command asset = of(CommandType::AddAsset);
            asset.id = freshId();
            EXPECT_EQ(run(asset), Reject::NONE);
        }
    }

    static Command of(CommandType type) {
        Command command{};
        command.type = static_cast<uint8_t>(type);
        return command;
    }
    ClientId freshId() { return ClientId{++ids_ | uint64_t{1} << 40, 0}; }

    // Answers how the command was rejected, if it was.
    Reject run(const Command& command) {
        drain();
        core_.apply(command, *this);
        const Event& first = *begin();
        return EventType(first.type) == EventType::Rejected ? Reject(first.code) : Reject::NONE;
    }

    Command instrument(int64_t lotQuote, int64_t priceMax, int64_t quantityMax, int32_t maker = 0,
                       int32_t taker = 0) {
        Command command = of(CommandType::AddInstrument);
        command.flags = kCommandExtended;
        command.id = freshId();
        command.price = 1;
        command.quantity = lotQuote;
        command.priceMin = command.quantityMin = 1;
        command.priceMax = priceMax;
        command.quantityMax = quantityMax;
        command.makerFee = maker;
        command.takerFee = taker;
        command.base = 1;
        command.quote = 2;
        return command;
    }
    static Command change(const Command& terms) {
        Command instrument = terms;
        instrument.type = static_cast<uint8_t>(CommandType::ChangeInstrument);
        instrument.instrument = 1;
        return instrument;
    }
    void account(AccountId parent, Amount base, Amount quote) {
        Command command = of(CommandType::AddAccount);
        command.account = parent;
        command.id = freshId();
        ASSERT_EQ(run(command), Reject::NONE);
        ++accounts_;
        for (const AssetId asset : {1u, 2u}) {
            Command deposit = of(CommandType::Deposit);
            deposit.account = accounts_;
            deposit.instrument = asset;
            deposit.id = freshId();
            deposit.amount = asset == 1 ? base : quote;
            if (deposit.amount == 0) continue;
            ASSERT_EQ(run(deposit), Reject::NONE);
        }
    }
    Command order(AccountId account, Side side, int64_t price, int64_t quantity) {
        Command command = of(CommandType::NewOrder);
        command.account = account;
        command.instrument = 1;
        command.side = static_cast<uint8_t>(side);
        command.orderType = command.timeInForce = 1;
        command.price = price;
        command.quantity = quantity;
        command.id = freshId();
        return command;
    }

    // The stages of one command, as threads do them.
    Decision validate(const Command& command, Position at, bool settled) {
        Decision decision{};
        EXPECT_TRUE(core_.validate(command, at, settled, decision));
        return decision;
    }
    void match(const Command& command, Position at, Decision& decision) {
        drain();
        core_.match(command, at, decision, *this);
    }
    void settle(const Command& command, const Decision& decision) {
        core_.settle(0, command, decision, begin(), cursor(), true);
    }
    void goTo(Position at) { core_.reached(at); }

private:
    void drain() override { setRegion(cells_.data(), cells_.data() + cells_.size()); }

    Core core_;
    std::vector<Event> cells_;
    uint64_t ids_ = 0;
    AccountId accounts_ = 0;
};

TEST(Mended, AMarketOrderAgainstAPriceOutsideAChangedBandCannotWrapItsValue) {
    World world;
    ASSERT_EQ(world.run(world.instrument(int64_t{1} << 22, kLotsMax, 1)), Reject::NONE);
    world.account(0, 1000, 0);
    world.account(0, 0, 1000);
    ASSERT_EQ(world.run(world.order(1, Side::Sell, kLotsMax, 1)), Reject::NONE);
    ASSERT_EQ(world.run(World::change(world.instrument(1, 1, kLotsMax))), Reject::NONE);
    Command market = world.order(2, Side::Buy, 0, kLotsMax);
    market.orderType = static_cast<uint8_t>(OrderType::Market);
    market.timeInForce = static_cast<uint8_t>(TimeInForce::Ioc);
    EXPECT_EQ(world.run(market), Reject::VALUE_OVERFLOW);
}

TEST(Mended, AStopReplacedAfterTheBandChangedCannotWrapItsValue) {
    World world;
    ASSERT_EQ(world.run(world.instrument(int64_t{1} << 22, kLotsMax, 1)), Reject::NONE);
    world.account(0, 0, Amount{1} << 80);
    Command stop = world.order(1, Side::Buy, 0, 1);
    stop.orderType = static_cast<uint8_t>(OrderType::Stop);
    stop.flags = kCommandExtended;
    stop.stopPrice = kLotsMax;
    ASSERT_EQ(world.run(stop), Reject::NONE);
    ASSERT_EQ(world.run(World::change(world.instrument(1, 1, kLotsMax))), Reject::NONE);
    Command replace = World::of(CommandType::ReplaceOrder);
    replace.account = 1;
    replace.id = stop.id;
    replace.quantity = kLotsMax;
    EXPECT_EQ(world.run(replace), Reject::VALUE_OVERFLOW);
}

// Its id's entry holds the order's number by then, which was taken for a place in the table of orders: far beyond it,
// where orders are numbered in milliards.
TEST(Mended, ACancelBehindTheTradeThatFillsItsOrderLooksForNone) {
    constexpr Position kFar = 3'000'000'000;
    World world;
    ASSERT_EQ(world.run(world.instrument(1, 1000, 10)), Reject::NONE);
    world.account(0, 10, 0);
    world.account(0, 0, 10'000);
    world.goTo(kFar);
    const Command resting = world.order(1, Side::Sell, 100, 1);
    ASSERT_EQ(world.run(resting), Reject::NONE);
    const Command taking = world.order(2, Side::Buy, 100, 1);
    Command cancel = World::of(CommandType::CancelOrder);
    cancel.account = 1;
    cancel.id = resting.id;
    // Both are validated before either is matched; the trade is settled before the cancel is.
    Decision trade = world.validate(taking, kFar + 2, true);
    Decision ended = world.validate(cancel, kFar + 3, false);
    world.match(taking, kFar + 2, trade);
    world.settle(taking, trade);
    world.match(cancel, kFar + 3, ended);
    EXPECT_EQ(EventType(world.begin()->type), EventType::Rejected);
    EXPECT_EQ(Reject(world.begin()->code), Reject::ORDER_CLOSED);
}

TEST(Mended, ManyReplacesOfOneGtdOrderLeaveOneExpiry) {
    World world;
    ASSERT_EQ(world.run(world.instrument(1, 1000, 10)), Reject::NONE);
    world.account(0, 0, Amount{1} << 60);
    Command gtd = world.order(1, Side::Buy, 100, 1);
    gtd.timeInForce = static_cast<uint8_t>(TimeInForce::Gtd);
    gtd.expiry = 1000;
    ASSERT_EQ(world.run(gtd), Reject::NONE);
    Command replace = World::of(CommandType::ReplaceOrder);
    replace.account = 1;
    replace.id = gtd.id;
    replace.quantity = 1;
    for (int i = 0; i < 100'000; ++i) {
        replace.price = 101 + (i & 1);
        ASSERT_EQ(world.run(replace), Reject::NONE);
    }
    Command time = World::of(CommandType::AdvanceTime);
    time.expiry = 1000;
    ASSERT_EQ(world.run(time), Reject::NONE);
    EXPECT_EQ(EventType(world.begin()[0].type), EventType::Cancelled);
    EXPECT_EQ(world.begin()[1].quantity, 1);
}

TEST(Mended, APositionLimitCountsMoreThanOneExposureCanHold) {
    World world;
    ASSERT_EQ(world.run(world.instrument(1, 1, kLotsMax)), Reject::NONE);
    world.account(0, 0, 0);
    for (int i = 0; i < 3; ++i) world.account(1, 0, Amount{1} << 70);
    Command limit = World::of(CommandType::SetLimit);
    limit.account = 1;
    limit.orderType = static_cast<uint8_t>(LimitKind::Position);
    limit.instrument = 1;
    limit.amount = Amount{1} << 63;
    ASSERT_EQ(world.run(limit), Reject::NONE);
    int accepted = 0;
    Reject last = Reject::NONE;
    for (AccountId account = 2; account < 5; ++account) {
        for (int i = 0; i < 512; ++i) {
            last = world.run(world.order(account, Side::Buy, 1, kLotsMax));
            if (last != Reject::NONE) break;
            ++accepted;
        }
    }
    EXPECT_EQ(accepted, 1024);  // 2^63 lots, in two accounts
    EXPECT_EQ(last, Reject::POSITION_LIMIT);
}

TEST(Mended, FeesOfOpenOrdersAndNewOnesTogetherNeverCostTheVenue) {
    World world;
    ASSERT_EQ(world.run(world.instrument(1, 10, 1000, -1000, 1000)), Reject::NONE);
    world.account(0, 1000, 1000);
    const Command rests = world.order(1, Side::Sell, 10, 1);
    ASSERT_EQ(world.run(rests), Reject::NONE);
    EXPECT_EQ(world.run(World::change(world.instrument(1, 10, 1000, 0, 0))),
              Reject::FEES_BELOW_REBATES);
    Command cancel = World::of(CommandType::CancelOrder);
    cancel.account = 1;
    cancel.id = rests.id;
    ASSERT_EQ(world.run(cancel), Reject::NONE);
    EXPECT_EQ(world.run(World::change(world.instrument(1, 10, 1000, 0, 0))), Reject::NONE);
}

TEST(Mended, TransactionsAreNotCountedAgainstOrderIds) {
    World world(4);
    ASSERT_EQ(world.run(world.instrument(1, 10, 1000)), Reject::NONE);
    world.account(0, 0, 0);
    Command deposit = World::of(CommandType::Deposit);
    deposit.account = deposit.instrument = 1;
    deposit.amount = 1;
    for (int i = 0; i < 100; ++i) {
        deposit.id = world.freshId();
        ASSERT_EQ(world.run(deposit), Reject::NONE);
    }
}

}  // namespace
}  // namespace verbex::mended_test
