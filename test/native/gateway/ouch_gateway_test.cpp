// The order gateway against an engine that is an array: what is refused and why, numbers, room, throttles,
// days, what is lost with a process.
#include <gtest/gtest.h>
#include <malloc.h>

#include <algorithm>
#include <random>
#include <set>

#include "gateway/ouch/reasons.h"
#include "gateway/ouch_fixture.h"

namespace verbex::gateway::ouch_gateway_test {
namespace {

using namespace verbex::gateway::ouch;
using namespace verbex::gateway::ouch_test;
using session::LoginReject;
using session::Taken;

constexpr uint64_t kNsPerSecond = 1'000'000'000;
constexpr uint64_t kTime = 1'700'000'000 * kNsPerSecond;

MarketState market() {
    MarketState state;
    state.position = 10;
    state.time = kTime;
    state.assets = {{1, nameOf("BTC"), 8}, {2, nameOf("USD"), 2}};
    state.instruments = {{1, nameOf("BTC-USD"), TradingState::Open},
                         {2, nameOf("AVERYLONGNAME"), TradingState::Open}};
    state.accounts = {{1, 0, nameOf("FIRM"), false}, {2, 1, nameOf("ONE"), false}};
    return state;
}

class OuchGateway : public ::testing::Test {
protected:
    OuchGateway() : OuchGateway(users(), {}) {}
    OuchGateway(std::vector<User> users, OrderGatewayOptions options)
        : gateway(std::move(users), std::move(options)), client(gateway, "A", 1), other(gateway, "B", 2) {
        gateway.kill();
        gateway.start(market(), {});
    }
    static std::vector<User> users() {
        std::vector<User> users = {userOf("A", 1, "ONE"), userOf("B", 2, "ONE"), userOf("N", 3, "ONE"),
                                   userOf("X", 4, "NOBODY")};
        users[1].cancelOnDisconnect = true;
        users[2].mayTrade = false;
        return users;
    }
    void logIn() {
        ASSERT_EQ(client.login(), LoginReject::None);
        ASSERT_EQ(client.types(), "S");
    }
    // The engine's answer to the oldest command.
    Event answer(EventType type) {
        Event event{};
        const Command command = gateway.port.entered.front();
        gateway.port.entered.pop_front();
        event.type = uint8_t(type);
        event.flags = kEventLast;
        event.position = ++position;
        event.token = command.token;
        event.account = command.account;
        event.instrument = command.instrument == 0 ? 1 : command.instrument;
        event.id = command.id;
        event.orderId = position;
        event.side = command.side;
        event.price = command.price;
        event.quantity = event.leaves = command.quantity;
        return event;
    }
    void deliver(const Event& event) {
        events.emplace_back(event, EventPlace{event.position, 0});
        gateway.deliver(event, events.back().second);
    }
    void accept() { deliver(answer(EventType::Accepted)); }
    void reject(Reject code) {
        const uint8_t kind = gateway.port.entered.front().type;
        Event event = answer(EventType::Rejected);
        event.kind = kind;
        event.code = uint16_t(code);
        deliver(event);
    }
    Reason reason() {
        EXPECT_EQ(client.types(), "J");
        return static_cast<Reason>(uint16_t{client.last.at(0).as<Rejected>().reason});
    }
    ClientId idOf(uint32_t reference, uint16_t session = 1) {
        return writeSessionOrderId({session, static_cast<uint32_t>(gateway.store->dayStart()), reference});
    }

    Gateway gateway;
    Client client;
    Client other;
    Gateway::Events events;
    Position position = 10;
    uint64_t allocated = 0;
};

TEST_F(OuchGateway, LogsInWhoMayTrade) {
    Client nobody(gateway, "Z", 9), mayNot(gateway, "N", 3), without(gateway, "X", 4);
    EXPECT_EQ(nobody.login(), LoginReject::NotAuthorized);
    EXPECT_EQ(mayNot.login(), LoginReject::NotAuthorized);
    EXPECT_EQ(without.login(), LoginReject::NotAuthorized);
    EXPECT_EQ(client.login(3), LoginReject::SessionNotAvailable);  // next is 2: the day's start is told
    EXPECT_EQ(client.login(2), LoginReject::None);
    EXPECT_EQ(client.types(), "");
    EXPECT_EQ(client.login(1), LoginReject::None);
    EXPECT_EQ(client.types(), "S");
    EXPECT_EQ(gateway.server->closes, std::vector{session::CloseReason::Replaced});
    EXPECT_EQ(client.login(0), LoginReject::None);
    EXPECT_EQ(client.types(), "");
}

TEST_F(OuchGateway, AnOrderBecomesACommandFieldByField) {
    logIn();
    Draft<EnterOrder> order;
    order->userRefNum = 5;
    order->side = kSell;
    order->quantity = 100;
    order->price = 7;
    order->symbol = symbolOf(nameOf("AVERYLONGNAME"), 2);
    order->timeInForce = kGoodTillTime;
    order.options.set(Tag::ExpireTime, 60);
    order.options.set(Tag::MaxFloor, 10);
    order.options.set(Tag::MinQty, 3);
    order.options.set(Tag::AiqStrategy, 'O');
    order.options.set(Tag::UserRefIdx, 0);
    ASSERT_EQ(client.send(order.bytes()), Taken::Yes);
    ASSERT_EQ(gateway.port.entered.size(), 1u);
    const Command& command = gateway.port.entered.front();
    EXPECT_EQ(command.type, uint8_t(CommandType::NewOrder));
    EXPECT_EQ(command.account, 2u);
    EXPECT_EQ(command.instrument, 2u);
    EXPECT_EQ(command.side, uint8_t(Side::Sell));
    EXPECT_EQ(command.orderType, uint8_t(OrderType::Limit));
    EXPECT_EQ(command.timeInForce, uint8_t(TimeInForce::Gtd));
    EXPECT_EQ(command.expiry, kTime + 60 * kNsPerSecond);
    EXPECT_EQ(command.selfTrade, uint8_t(SelfTrade::CancelOldest));
    EXPECT_EQ(command.flags, kCommandExtended | kCommandSelfTradeFirm);
    EXPECT_EQ(command.price, 7);
    EXPECT_EQ(command.quantity, 100);
    EXPECT_EQ(command.displayQuantity, 10);
    EXPECT_EQ(command.minQuantity, 3);
    EXPECT_EQ(command.id, idOf(5));
    EXPECT_EQ(command.token, (GatewayToken{0, 1, 5}.pack()));
    accept();
    ASSERT_EQ(client.types(), "A");
    const auto& accepted = client.last[0].as<Accepted>();
    EXPECT_EQ(accepted.userRefNum, 5u);
    EXPECT_EQ(accepted.orderReference, 11u);
    EXPECT_EQ(accepted.timestamp, nsOfDay(kTime));
    EXPECT_EQ(accepted.clOrdId, clOrdIdOf(7));
    EXPECT_EQ(accepted.symbol, symbolOf(nameOf("AVERYLONGNAME"), 2));
}

TEST_F(OuchGateway, OtherOrders) {
    logIn();
    const auto enter = [&](uint32_t reference, auto&& change) {
        Draft<EnterOrder> order;
        order->userRefNum = reference;
        change(order);
        EXPECT_EQ(client.send(order.bytes()), Taken::Yes);
        EXPECT_EQ(client.types(), "");
        return gateway.port.entered.back();
    };
    Command command = enter(1, [](auto& order) {
        order->price = kMarketPrice;
        order->timeInForce = kImmediate;
    });
    EXPECT_EQ(command.orderType, uint8_t(OrderType::Market));
    EXPECT_EQ(command.price, 0);
    EXPECT_EQ(command.timeInForce, uint8_t(TimeInForce::Ioc));
    command = enter(2, [](auto& order) {
        order->timeInForce = kImmediate;
        order.options.set(Tag::MinQty, 10);
    });
    EXPECT_EQ(command.timeInForce, uint8_t(TimeInForce::Fok));
    EXPECT_EQ(command.minQuantity, 0);
    command = enter(3, [](auto& order) { order.options.set(Tag::PostOnly, 'P'); });
    EXPECT_EQ(command.flags, kCommandPostOnlyReject);
    command = enter(4, [](auto& order) { order->display = kAttributable; });
    EXPECT_EQ(command.flags, 0);
    const std::pair<char, SelfTrade> modes[] = {{'N', SelfTrade::None},         {'Y', SelfTrade::Decrement},
                                                {'y', SelfTrade::Decrement},    {'o', SelfTrade::CancelOldest},
                                                {'W', SelfTrade::CancelNewest}, {'w', SelfTrade::CancelNewest}};
    uint32_t reference = 5;
    for (const auto& [letter, mode] : modes) {
        command = enter(reference++, [&](auto& order) {
            order.options.set(Tag::AiqStrategy, static_cast<uint8_t>(letter));
        });
        EXPECT_EQ(command.selfTrade, uint8_t(mode)) << letter;
        const bool firm = letter == 'Y' || letter == 'W';
        EXPECT_EQ((command.flags & kCommandSelfTradeFirm) != 0, firm) << letter;
    }
}

TEST_F(OuchGateway, WhatIsNotOfferedIsRefusedWithItsReason) {
    logIn();
    uint32_t reference = 1;
    const auto refused = [&](auto&& change) {
        Draft<EnterOrder> order;
        order->userRefNum = reference++;
        change(order);
        EXPECT_EQ(client.send(order.bytes()), Taken::Yes);
        EXPECT_EQ(gateway.port.entered.size(), 0u);
        return reason();
    };
    const auto field = [&](auto&& set) { return refused([&](auto& order) { set(order.fields()); }); };
    EXPECT_EQ(field([](auto& o) { o.side = kSellShort; }), Reason::RiskShortSellNotAllowed);
    EXPECT_EQ(field([](auto& o) { o.side = kSellShortExempt; }), Reason::RiskShortSellNotAllowed);
    EXPECT_EQ(field([](auto& o) { o.side = 'x'; }), Reason::InvalidSide);
    EXPECT_EQ(field([](auto& o) { o.quantity = 0; }), Reason::InvalidQuantity);
    EXPECT_EQ(field([](auto& o) { o.symbol = symbolOf(nameOf("NONE"), 3); }), Reason::InvalidSymbol);
    EXPECT_EQ(field([](auto& o) { o.symbol = Symbol{0}; }), Reason::InvalidSymbol);
    EXPECT_EQ(field([](auto& o) { o.price = 0; }), Reason::InvalidPrice);
    EXPECT_EQ(field([](auto& o) { o.price = (uint64_t{1} << 53) + 1; }), Reason::InvalidPrice);
    EXPECT_EQ(field([](auto& o) { o.price = UINT64_MAX; }), Reason::InvalidPrice);
    EXPECT_EQ(field([](auto& o) { o.price = kMarketPrice; }), Reason::InvalidPrice);  // not immediate
    for (const char timeInForce : {kExtendedHours, kAfterHours, '1', '\0'}) {
        EXPECT_EQ(field([&](auto& o) { o.timeInForce = timeInForce; }), Reason::Other);
    }
    EXPECT_EQ(field([](auto& o) { o.timeInForce = kGoodTillTime; }), Reason::Other);  // till when?
    for (const char display : {kHidden, 'Z', ' '}) {
        EXPECT_EQ(field([&](auto& o) { o.display = display; }), Reason::InvalidDisplay);
    }
    EXPECT_EQ(field([](auto& o) { o.capacity = 'x'; }), Reason::Other);
    EXPECT_EQ(field([](auto& o) { o.sweep = 'Y'; }), Reason::SweepNotAllowed);
    for (const char cross : {'O', 'C', 'H', 'S', 'R', 'E', 'A', ' '}) {
        EXPECT_EQ(field([&](auto& o) { o.crossType = cross; }), Reason::InvalidCrossOrder);
    }
    const auto option = [&](Tag tag, uint64_t value) {
        return refused([&](auto& order) { order.options.set(tag, value); });
    };
    EXPECT_EQ(option(Tag::Firm, 0x41424344), Reason::FirmNotAuthorized);
    EXPECT_EQ(option(Tag::CustomerType, 'R'), Reason::RetailNotAllowed);
    for (const Tag tag : {Tag::PriceType, Tag::PegOffset, Tag::DiscretionPrice, Tag::DiscretionPriceType,
                          Tag::DiscretionPegOffset}) {
        EXPECT_EQ(option(tag, 1), Reason::PeggingNotAllowed);
    }
    EXPECT_EQ(option(Tag::Route, 1), Reason::RoutingNotAllowed);
    for (const Tag tag : {Tag::SecondaryOrdRefNum, Tag::RandomReserves, Tag::TradeNow, Tag::HandleInst,
                          Tag::BboWeightIndicator, Tag::DisplayQuantity, Tag::DisplayPrice, Tag::GroupId,
                          Tag::SharesLocated, Tag::LocateBroker, Tag::Side, Tag::UserRefIdx}) {
        EXPECT_EQ(option(tag, 1), Reason::Other) << int(tag);
    }
    EXPECT_EQ(option(Tag::AiqGroupId, 1), Reason::InvalidAiq);
    for (const char strategy : std::string_view("*DdRrZEPXS01245 ")) {
        EXPECT_EQ(option(Tag::AiqStrategy, static_cast<uint8_t>(strategy)), Reason::InvalidAiq);
    }
    EXPECT_EQ(option(Tag::PostOnly, 'x'), Reason::Other);
    EXPECT_EQ(option(Tag::MinQty, 11), Reason::InvalidMinQuantity);
    EXPECT_EQ(option(Tag::MaxFloor, 11), Reason::InvalidMaxFloor);
    EXPECT_EQ(option(Tag::ExpireTime, 5), Reason::Other);  // of a day order
    EXPECT_EQ(refused([](auto& order) {
                  order->timeInForce = kGoodTillTime;
                  order.options.set(Tag::ExpireTime, 86'400);
              }),
              Reason::Other);
    EXPECT_EQ(gateway.gateway->counters().rejectedHere, reference - 1);
    EXPECT_EQ(gateway.gateway->counters().openOrders, 0u);
}

TEST_F(OuchGateway, OptionsAreRefusedOnEveryMessage) {
    logIn();
    const auto sent = [&](auto draft) {
        draft.options.set(Tag::GroupId, 1);
        EXPECT_EQ(client.send(draft.bytes()), Taken::Yes);
        EXPECT_EQ(gateway.port.entered.size(), 0u);
        return client.types();
    };
    ASSERT_EQ(client.send(enterOf(1, kBuy, 10, 100)), Taken::Yes);
    accept();
    (void)client.read();
    Draft<CancelOrder> cancel;
    cancel->userRefNum = 1;
    EXPECT_EQ(sent(cancel), "I");
    Draft<ModifyOrder> modify;
    modify->userRefNum = 1;
    modify->side = kBuy;
    modify->quantity = 5;
    EXPECT_EQ(sent(modify), "I");
    Draft<ReplaceOrder> replace;
    replace->origUserRefNum = 1;
    replace->userRefNum = 2;
    EXPECT_EQ(sent(replace), "J");
    Draft<MassCancel> mass;
    mass->userRefNum = 3;
    EXPECT_EQ(sent(mass), "J");
    Draft<DisableEntry> disable;
    disable->userRefNum = 4;
    EXPECT_EQ(sent(disable), "J");
    Draft<EnableEntry> enable;
    enable->userRefNum = 5;
    EXPECT_EQ(sent(enable), "J");
    EXPECT_EQ(sent(Draft<AccountQuery>()), "J");
    EXPECT_EQ(client.send(enterOf(6, kBuy, 10, 100)), Taken::Yes) << "D did nothing";
    EXPECT_EQ(gateway.port.entered.size(), 1u);
}

TEST_F(OuchGateway, NumbersRiseAndAreUsedOnce) {
    logIn();
    EXPECT_EQ(client.send(enterOf(0, kBuy, 10, 100)), Taken::Yes);
    EXPECT_EQ(client.send(enterOf(5, kBuy, 10, 100)), Taken::Yes);
    for (uint32_t reference : {5u, 4u, 1u}) {
        EXPECT_EQ(client.send(enterOf(reference, kBuy, 10, 100)), Taken::Yes);
        EXPECT_EQ(client.send(replaceOf(5, reference, 10, 100)), Taken::Yes);
    }
    EXPECT_EQ(gateway.port.entered.size(), 1u);
    EXPECT_EQ(gateway.gateway->counters().duplicates, 7u);
    const auto next = [&] {
        EXPECT_EQ(client.send(Draft<AccountQuery>().bytes()), Taken::Yes);
        EXPECT_EQ(client.types(), "Q");
        return uint32_t{client.last.at(0).as<AccountQueryResponse>().nextUserRefNum};
    };
    EXPECT_EQ(next(), 6u);
    EXPECT_EQ(client.send(enterOf(UINT32_MAX, kBuy, 10, 100)), Taken::Yes);
    EXPECT_EQ(next(), UINT32_MAX);
    EXPECT_EQ(client.send(enterOf(UINT32_MAX, kBuy, 10, 100)), Taken::Yes);
    EXPECT_EQ(client.send(enterOf(7, kBuy, 10, 100)), Taken::Yes);
    EXPECT_EQ(gateway.port.entered.size(), 2u) << "behind the last number comes none";
}

TEST_F(OuchGateway, WithoutRoomNothingChanges) {
    logIn();
    ASSERT_EQ(client.send(enterOf(1, kBuy, 10, 100)), Taken::Yes);
    accept();
    (void)client.read();
    gateway.port.room = 0;
    Draft<MassCancel> mass;
    mass->userRefNum = 2;
    const std::vector<Bytes> messages = {enterOf(2, kBuy, 10, 100), replaceOf(1, 2, 10, 100), cancelOf(1, 0),
                                         cancelOf(1, 5), modifyOf(1, kBuy, 5), mass.bytes()};
    const uint64_t bytes = gateway.store->bytes();
    for (const Bytes& message : messages) EXPECT_EQ(client.send(message), Taken::NotNow);
    EXPECT_EQ(gateway.store->bytes(), bytes);
    EXPECT_EQ(gateway.gateway->counters().waits, messages.size());
    gateway.port.room = SIZE_MAX;
    EXPECT_EQ(client.send(cancelOf(1, 4)), Taken::Yes);
    EXPECT_EQ(gateway.port.entered.back().quantity, 6);
    EXPECT_EQ(client.send(enterOf(2, kBuy, 10, 100)), Taken::Yes);
    EXPECT_EQ(gateway.port.entered.size(), 2u);
}

TEST_F(OuchGateway, CancelsOfWhatIsNotOpenAreRefused) {
    logIn();
    EXPECT_EQ(client.send(cancelOf(1, 0)), Taken::Yes);
    EXPECT_EQ(client.types(), "I");
    ASSERT_EQ(client.send(enterOf(1, kBuy, 10, 100)), Taken::Yes);
    accept();
    EXPECT_EQ(client.types(), "A");
    for (const Bytes& bytes : {cancelOf(1, 10), cancelOf(1, 11), modifyOf(1, kSell, 5), modifyOf(1, kBuy, 10)}) {
        EXPECT_EQ(client.send(bytes), Taken::Yes);
        EXPECT_EQ(client.types(), "I");
    }
    EXPECT_EQ(client.send(cancelOf(1, 0)), Taken::Yes);
    reject(Reject::INSTRUMENT_FROZEN);
    EXPECT_EQ(client.types(), "I");
    EXPECT_EQ(client.send(cancelOf(1, 4)), Taken::Yes);
    EXPECT_EQ(client.send(cancelOf(1, 3)), Taken::NotNow) << "before the answer nobody knows by how much";
    reject(Reject::INSTRUMENT_FROZEN);
    EXPECT_EQ(client.types(), "I");
    EXPECT_EQ(client.send(cancelOf(1, 3)), Taken::Yes);
    EXPECT_EQ(gateway.port.entered.front().quantity, 7);
}

TEST_F(OuchGateway, AReplacementSaysWhatItWasReckonedFrom) {
    logIn();
    ASSERT_EQ(client.send(enterOf(1, kBuy, 10, 100)), Taken::Yes);
    accept();
    Event trade{};
    trade.type = uint8_t(EventType::Trade);
    trade.position = ++position;
    trade.instrument = 1;
    trade.id2 = idOf(1);
    trade.quantity = 4;
    trade.price = 100;
    trade.tradeId = 9;
    deliver(trade);
    ASSERT_EQ(client.types(), "AE");
    const auto& executed = client.last[1].as<Executed>();
    EXPECT_EQ(executed.matchNumber, uint64_t{1} << 32 | 9);
    EXPECT_EQ(executed.liquidity, kAdded);
    EXPECT_EQ(client.send(replaceOf(1, 2, 4, 100)), Taken::Yes);
    EXPECT_EQ(reason(), Reason::InvalidQuantity) << "all of it is executed";
    EXPECT_EQ(client.send(replaceOf(1, 3, 15, 101)), Taken::Yes);
    const Command& command = gateway.port.entered.front();
    EXPECT_EQ(command.quantity, 11);
    EXPECT_EQ(command.minQuantity, 6);
    EXPECT_EQ(command.newId, idOf(3));
    reject(Reject::ORDER_CLOSED);
    EXPECT_EQ(reason(), Reason::ReplaceNotAllowed);
    EXPECT_EQ(gateway.gateway->counters().openOrders, 1u) << "the order is as it was";
}

TEST_F(OuchGateway, TheClientsOwnSwitchOutlivesTheProcess) {
    logIn();
    Draft<DisableEntry> disable;
    disable->userRefNum = 1;
    EXPECT_EQ(client.send(disable.bytes()), Taken::Yes);
    EXPECT_EQ(client.types(), "G");
    gateway.kill();
    gateway.start(market(), events);
    ASSERT_EQ(client.login(0), LoginReject::None);
    EXPECT_EQ(client.send(enterOf(2, kBuy, 10, 100)), Taken::Yes);
    EXPECT_EQ(reason(), Reason::FirmNotAuthorized);
    Draft<EnableEntry> enable;
    enable->userRefNum = 3;
    EXPECT_EQ(client.send(enable.bytes()), Taken::Yes);
    EXPECT_EQ(client.types(), "K");
    EXPECT_EQ(client.send(enterOf(4, kBuy, 10, 100)), Taken::Yes);
    EXPECT_EQ(gateway.port.entered.size(), 1u);
}

TEST_F(OuchGateway, NoOrderOfAKilledAccount) {
    logIn();
    gateway.directory.setKilled(1, true);  // the firm above it
    EXPECT_EQ(client.send(enterOf(1, kBuy, 10, 100)), Taken::Yes);
    EXPECT_EQ(reason(), Reason::FirmNotAuthorized);
    EXPECT_EQ(gateway.port.entered.size(), 0u);
}

TEST_F(OuchGateway, WhatIsLostWithTheProcessIsAnswered) {
    logIn();
    ASSERT_EQ(client.send(enterOf(1, kBuy, 10, 100)), Taken::Yes);
    accept();
    ASSERT_EQ(client.send(enterOf(2, kBuy, 10, 100)), Taken::Yes);  // in the store, not in the journal
    ASSERT_EQ(client.send(replaceOf(1, 3, 20, 100)), Taken::Yes);
    Draft<MassCancel> mass;
    mass->userRefNum = 4;
    ASSERT_EQ(client.send(mass.bytes()), Taken::Yes);
    ASSERT_EQ(client.send(cancelOf(1, 5)), Taken::Yes);
    EXPECT_EQ(client.types(), "A");
    const ClientId id1 = idOf(1);
    gateway.kill();
    MarketState state = market();
    state.resting = {{11, 1, 2, id1, Side::Buy, 100, 10, 10}};
    gateway.start(state, events);
    ASSERT_EQ(client.login(3), LoginReject::None);
    ASSERT_EQ(client.types(), "JJJ");
    std::vector<uint32_t> lost;
    for (const Received& received : client.last) {
        lost.push_back(received.as<Rejected>().userRefNum);
        EXPECT_EQ(received.as<Rejected>().reason, uint16_t(Reason::ProcessingError));
    }
    std::sort(lost.begin(), lost.end());
    EXPECT_EQ(lost, (std::vector<uint32_t>{2, 3, 4}));
    EXPECT_EQ(client.send(enterOf(2, kBuy, 10, 100)), Taken::Yes);
    EXPECT_EQ(gateway.port.entered.size(), 0u) << "sent again it does nothing";
    EXPECT_EQ(client.send(cancelOf(1, 5)), Taken::Yes);
    EXPECT_EQ(gateway.port.entered.back().quantity, 5) << "the lost cancel took nothing off";
}

TEST_F(OuchGateway, AnEventBehindTheStoreIsToldOnceAfterAKill) {
    logIn();
    ASSERT_EQ(client.send(enterOf(1, kBuy, 10, 100)), Taken::Yes);
    const Event accepted = answer(EventType::Accepted);
    events.emplace_back(accepted, EventPlace{accepted.position, 0});
    const ClientId id1 = idOf(1);
    for (int times = 0; times < 2; ++times) {
        gateway.kill();
        MarketState state = market();
        state.resting = {{11, 1, 2, id1, Side::Buy, 100, 10, 10}};
        gateway.start(state, events);
        ASSERT_EQ(client.login(1), LoginReject::None);
        EXPECT_EQ(client.types(), "SA");
    }
}

TEST_F(OuchGateway, OrdersOfWhoIsGoneAreCancelledAlsoOnceTheyCanBe) {
    ASSERT_EQ(other.login(), LoginReject::None);
    for (uint32_t reference = 1; reference <= 600; ++reference) {
        ASSERT_EQ(other.send(enterOf(reference, kBuy, 10, 100)), Taken::Yes);
        accept();
    }
    gateway.port.room = 100;
    other.drop();
    ASSERT_EQ(other.login(0), LoginReject::None);
    EXPECT_EQ(other.send(enterOf(601, kBuy, 10, 100)), Taken::NotNow) << "first the cancels";
    std::set<uint32_t> asked;
    Event frozen{};
    for (int round = 0; round < 40; ++round) {
        (void)gateway.gateway->work(0);
        while (!gateway.port.entered.empty()) {
            const Command command = gateway.port.entered.front();
            ASSERT_EQ(command.type, uint8_t(CommandType::CancelOrder));
            ASSERT_TRUE(asked.insert(readSessionOrderId(command.id).reference).second) << "asked twice";
            if (asked.size() == 1) {
                reject(Reject::INSTRUMENT_FROZEN);
            } else {
                Event event = answer(EventType::Cancelled);
                event.quantity = 10;
                event.code = uint16_t(Cause::Requested);
                deliver(event);
            }
        }
    }
    EXPECT_EQ(asked.size(), 600u);
    EXPECT_EQ(gateway.gateway->counters().openOrders, 1u);
    EXPECT_FALSE(gateway.gateway->busy());
    frozen.type = uint8_t(EventType::TradingStateSet);
    frozen.position = ++position;
    deliver(frozen);
    (void)gateway.gateway->work(0);
    EXPECT_EQ(gateway.port.entered.size(), 1u) << "it is tried again when the state changes";
    EXPECT_EQ(gateway.gateway->counters().cancelsOnDisconnect, 601u);
}

TEST_F(OuchGateway, ADayBeginsAtOneBehindWhatIsStillOpen) {
    logIn();
    ASSERT_EQ(client.send(enterOf(1, kBuy, 10, 100, kGoodTillTime)), Taken::Yes);  // refused: no time
    Draft<EnterOrder> order;
    order->userRefNum = 7;
    order->timeInForce = kGoodTillTime;
    order.options.set(Tag::ExpireTime, 80'000);
    ASSERT_EQ(client.send(order.bytes()), Taken::Yes);
    const ClientId old = idOf(7);
    accept();
    EXPECT_EQ(client.types(), "JA");
    Event ended{};
    ended.type = uint8_t(EventType::DayEnded);
    ended.position = ++position;
    gateway.atDayEnd = [&] {
        EXPECT_EQ(client.types(), "S");
        EXPECT_EQ(client.last.at(0).as<SystemEvent>().event, kEndOfDay);
        client.drop();
    };
    deliver(ended);
    ASSERT_EQ(client.login(), LoginReject::None);
    EXPECT_EQ(client.types(), "S");
    EXPECT_EQ(client.send(enterOf(8, kBuy, 10, 100)), Taken::NotNow) << "first what is left is cancelled";
    (void)gateway.gateway->work(0);
    ASSERT_EQ(gateway.port.entered.size(), 1u);
    EXPECT_EQ(gateway.port.entered.front().id, old);
    EXPECT_EQ(client.send(enterOf(7, kBuy, 10, 100)), Taken::Yes);
    EXPECT_EQ(gateway.gateway->counters().duplicates, 1u);
    // The process is killed before the cancel was heard: it is known again from the engine's state.
    gateway.kill();
    MarketState state = market();
    state.resting = {{11, 1, 2, old, Side::Buy, 100, 10, 10}};
    gateway.start(state, events);
    (void)gateway.gateway->work(0);
    ASSERT_EQ(gateway.port.entered.size(), 1u);
    Event cancelled = answer(EventType::Cancelled);
    cancelled.quantity = 10;
    deliver(cancelled);
    ASSERT_EQ(client.login(), LoginReject::None);
    EXPECT_EQ(client.types(), "SC");
    EXPECT_EQ(client.send(enterOf(8, kBuy, 10, 100)), Taken::Yes);
    EXPECT_EQ(gateway.port.entered.size(), 1u);
}

class Throttled : public OuchGateway {
protected:
    Throttled() : OuchGateway(slow(), options()) {}
    static std::vector<User> slow() {
        std::vector<User> all = users();
        all[0].ordersPerSecond = 10;
        all[0].ordersBurst = 3;
        return all;
    }
    static OrderGatewayOptions options() {
        OrderGatewayOptions options;
        options.throttleRejectsMax = 5;
        options.firms = {{"FIRM", 10, 5}};
        return options;
    }
};

TEST_F(Throttled, RejectsThenLogsOut) {
    logIn();
    (void)gateway.gateway->work(kNsPerSecond);
    uint32_t reference = 1;
    for (int i = 0; i < 3; ++i) EXPECT_EQ(client.send(enterOf(reference++, kBuy, 10, 100)), Taken::Yes);
    EXPECT_EQ(gateway.port.entered.size(), 3u);
    EXPECT_EQ(client.send(enterOf(reference++, kBuy, 10, 100)), Taken::Yes);
    EXPECT_EQ(reason(), Reason::RiskPortMessageRate);
    EXPECT_EQ(client.send(cancelOf(1, 0)), Taken::Yes) << "cancels are never throttled";
    // The firm's other session: two are left of the firm's five.
    ASSERT_EQ(other.login(), LoginReject::None);
    for (uint32_t i = 1; i <= 3; ++i) EXPECT_EQ(other.send(enterOf(i, kBuy, 10, 100)), Taken::Yes);
    EXPECT_EQ(gateway.port.entered.size(), 3u + 1 + 2);
    for (int i = 0; i < 4; ++i) EXPECT_EQ(client.send(enterOf(reference++, kBuy, 10, 100)), Taken::Yes);
    EXPECT_EQ(client.send(enterOf(reference++, kBuy, 10, 100)), Taken::Close);
    (void)gateway.gateway->work(3 * kNsPerSecond);
    // What is wrong costs as much as what is right.
    (void)client.read();
    for (int i = 0; i < 3; ++i) EXPECT_EQ(client.send(enterOf(reference++, 'x', 10, 100)), Taken::Yes);
    EXPECT_EQ(client.send(enterOf(reference++, kBuy, 10, 100)), Taken::Yes);
    EXPECT_EQ(client.types(), "JJJJ");
    EXPECT_EQ(client.last[3].as<Rejected>().reason, uint16_t(Reason::RiskPortMessageRate));
}

TEST_F(OuchGateway, GarbageReachesNoEngine) {
    logIn();
    std::mt19937_64 random(3);
    const std::string letters = "OUXMCDEQ";
    uint64_t closed = 0, refused = 0;
    for (int i = 0; i < 150'000; ++i) {
        Bytes bytes(random() % 64);
        for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
        if (!bytes.empty() && random() % 4 != 0) bytes[0] = static_cast<std::byte>(letters[random() % 8]);
        const Taken taken = client.send(bytes);
        ASSERT_NE(taken, Taken::NotNow);
        ++(taken == Taken::Close ? closed : refused);
    }
    EXPECT_EQ(gateway.port.entered.size(), 0u);
    EXPECT_EQ(gateway.gateway->counters().malformed, closed);
    EXPECT_GT(refused, 300u);
    for (const Received& received : client.read()) {
        ASSERT_TRUE(received.type() == 'J' || received.type() == 'I' || received.type() == 'Q' ||
                    received.type() == 'G' || received.type() == 'K');
    }
}

TEST_F(OuchGateway, AnOrderAllocatesNothing) {
    logIn();
    uint32_t reference = 1;
    const auto flow = [&](int orders) {
        for (int i = 0; i < orders; ++i, ++reference) {
            // Drafts and the fake's queue allocate, the gateway does not: it is measured alone.
            const Bytes bytes = enterOf(reference, kBuy, 10, 100);
            const size_t before = mallinfo2().uordblks;
            const Taken taken = client.send(bytes);
            Event accepted{};
            accepted.type = uint8_t(EventType::Accepted);
            accepted.position = ++position;
            accepted.id = idOf(reference);
            accepted.instrument = 1;
            accepted.quantity = 10;
            gateway.gateway->deliver(accepted, {position, 0});
            Event cancelled = accepted;
            cancelled.type = uint8_t(EventType::Cancelled);
            cancelled.position = ++position;
            gateway.gateway->deliver(cancelled, {position, 0});
            gateway.port.entered.clear();
            ASSERT_EQ(taken, Taken::Yes);
            if (i > 100) allocated += mallinfo2().uordblks != before;
        }
    };
    flow(2000);
    // The store's index of messages and its segments grow now and then.
    EXPECT_LE(allocated, 20u);
}

TEST(OuchReasons, EveryRejectHasOne) {
    for (uint16_t code = 1; code <= kRejectMax; ++code) {
        EXPECT_NE(reasonOf(static_cast<verbex::Reject>(code)), Reason::None) << code;
    }
}

}  // namespace
}  // namespace verbex::gateway::ouch_gateway_test
