// The clearing gateway alone, against a port, questions and a store that the test holds in its hand.
#include <gtest/gtest.h>

#include <random>

#include "gateway/clearing_fixture.h"

namespace verbex::gateway::clearing_test {
namespace {

using namespace clearing;
using clearing::KillSwitch;
using session::CloseReason;
using session::ConnectionId;
using session::Taken;

//     VENUE (boss)                     accounts by id: 1 acme, 2 bolt, 3 desk, 4 cora
//     ├── acme (ann, acme's admin adam)
//     │   └── desk (dora)
//     │       └── cora
//     └── bolt (bob)
class Clearing : public testing::Test {
protected:
    static Users makeUsers() {
        return Users::from({user("boss", 1, "VENUE", true), user("ann", 2, "acme", false),
                            user("adam", 3, "acme", true), user("dora", 4, "desk", false),
                            user("bob", 5, "bolt", true), user("late", 6, "later", true),
                            user("trader", 7, "acme", false, false)})
            .take();
    }
    static MarketState market() {
        MarketState state;
        state.time = 90'000ull * 1'000'000'000;  // 25 hours: one o'clock
        state.assets = {{1, idOf("BTC"), 8}, {2, idOf("USD"), 2}};
        state.instruments = {{1, idOf("BTC-USD"), TradingState::Open}};
        state.accounts = {{1, 0, idOf("acme"), false}, {2, 0, idOf("bolt"), false},
                          {3, 1, idOf("desk"), false}, {4, 3, idOf("cora"), false}};
        return state;
    }

    Clearing() { start(std::make_unique<Store>()); }
    void start(std::unique_ptr<Store> store) {
        const ClearingGatewayOptions options;
        gateway.reset();
        store_ = std::move(store);
        router = EventRouter();
        directory.begin(market());
        gateway = ClearingGateway::create(options, port, questions, *store_, directory, router, users);
        router.setOutlet(options.outlet, gateway.get());
        store_->visitDay([this](const StoredRecord& record) { gateway->restore(record); });
        gateway->begin();
        server = std::make_unique<Server>(*gateway);
        gateway->attach(*server);
    }
    ConnectionId login(const char* name) {
        const ConnectionId connection{nextSlot++, 1};
        EXPECT_EQ(gateway->login(connection, loginOf(name, "pw")).rejected,
                  session::LoginReject::None);
        return connection;
    }
    template <typename Message>
    Taken give(ConnectionId connection, const Message& message) {
        return gateway->received(connection, bytesOf(message));
    }
    // The newest message of a user's stream.
    template <typename Message>
    Message newest(uint16_t session) {
        const auto stream = store_->stream(session);
        EXPECT_FALSE(stream.empty());
        const auto message = stream.empty() ? std::nullopt : as<Message>(stream.back());
        EXPECT_TRUE(message.has_value()) << "another type";
        return message.value_or(Message{});
    }
    uint16_t reason(uint16_t session) { return newest<Rejected>(session).reason; }
    void deliver(Event event) {
        event.position = ++position;
        event.flags |= kEventLast;
        directory.take(event);
        router.route(event);
        store_->noteDelivered({position, 0});
    }
    Event answerTo(const Command& command, EventType type) {
        Event event{};
        event.type = static_cast<uint8_t>(type);
        event.kind = command.type;
        event.account = command.account;
        event.instrument = command.instrument;
        event.side = command.side;
        event.id = command.id;
        event.token = command.token;
        return event;
    }

    Users users = makeUsers();
    Port port;
    Questions questions;
    Directory directory;
    EventRouter router;
    std::unique_ptr<Store> store_;
    std::unique_ptr<ClearingGateway> gateway;
    std::unique_ptr<Server> server;
    uint32_t nextSlot = 0;
    Position position = 0;
};

Deposit deposit(uint32_t reference, const char* account, Amount amount = 5) {
    return {reference, idOf(account), idOf("USD"), idOf("t" + std::to_string(reference)), amount};
}

TEST_F(Clearing, LogsInWhoMayClearOnly) {
    const auto rejected = [&](const session::LoginRequest& request) {
        return gateway->login({90, 1}, request).rejected;
    };
    using session::LoginReject;
    EXPECT_EQ(rejected(loginOf("ann", "no")), LoginReject::NotAuthorized);
    EXPECT_EQ(rejected(loginOf("zoe", "pw")), LoginReject::NotAuthorized);
    EXPECT_EQ(rejected(loginOf("trader", "pw")), LoginReject::NotAuthorized);
    EXPECT_EQ(rejected(loginOf("ann", "pw", 2)), LoginReject::SessionNotAvailable);
    session::LoginRequest other = loginOf("ann", "pw");
    other.anySession = false;
    other.session.fill('x');
    EXPECT_EQ(rejected(other), LoginReject::SessionNotAvailable);
    EXPECT_EQ(rejected(loginOf("ann", "pw")), LoginReject::None);
}

TEST_F(Clearing, ASecondLoginReplacesTheFirst) {
    const ConnectionId first = login("ann");
    const ConnectionId second = login("ann");
    ASSERT_EQ(server->closed.size(), 1u);
    EXPECT_EQ(server->closed[0].first, first);
    EXPECT_EQ(server->closed[0].second, CloseReason::Replaced);
    EXPECT_EQ(give(first, KillSwitch{1, idOf("acme"), 1}), Taken::Close);
    EXPECT_EQ(give(second, KillSwitch{1, idOf("acme"), 1}), Taken::Yes);
}

TEST_F(Clearing, ACommandIsWhatWasAsked) {
    const ConnectionId adam = login("adam");
    EXPECT_EQ(give(adam, Transfer{1, idOf("desk"), idOf("USD"), idOf("x"), 9, idOf("cora")}),
              Taken::Yes);
    EXPECT_EQ(give(adam, SetLimit{2, idOf("cora"), 5, idOf("BTC-USD"), -1}), Taken::Yes);
    EXPECT_EQ(give(adam, SetRights{3, idOf("desk"), 2, 1}), Taken::Yes);
    EXPECT_EQ(give(adam, SetInstrumentRight{4, idOf("desk"), idOf("BTC-USD"), 2}), Taken::Yes);
    EXPECT_EQ(give(adam, MassCancel{5, idOf("acme"), Name{}, 1}), Taken::Yes);
    ASSERT_EQ(port.entered.size(), 5u);
    EXPECT_EQ(port.unflushed, 0u);
    const Command& transfer = port.entered[0];
    EXPECT_EQ(transfer.type, static_cast<uint8_t>(CommandType::Transfer));
    EXPECT_EQ(transfer.account, 3u);
    EXPECT_EQ(transfer.toAccount, 4u);
    EXPECT_EQ(transfer.instrument, 2u);
    EXPECT_TRUE(transfer.amount == 9);
    EXPECT_EQ(transfer.id, idOf("x"));
    EXPECT_EQ(transfer.token, (GatewayToken{1, 3, 1}.pack()));
    EXPECT_EQ(port.entered[1].orderType, 5);
    EXPECT_EQ(port.entered[1].instrument, 1u);
    EXPECT_TRUE(port.entered[1].amount == -1);
    EXPECT_EQ(port.entered[2].rights, (2 | uint64_t{1} << 32));
    EXPECT_EQ(port.entered[3].side, 2);
    EXPECT_EQ(port.entered[4].account, 1u);
    EXPECT_EQ(port.entered[4].instrument, 0u);
    EXPECT_EQ(port.entered[4].side, 1);
    EXPECT_TRUE(store_->stream(3).empty());
}

TEST_F(Clearing, RefusesWithItsReason) {
    const ConnectionId ann = login("ann"), adam = login("adam"), late = login("late");
    const auto why = [&](ConnectionId connection, uint16_t session, const auto& message) {
        EXPECT_EQ(give(connection, message), Taken::Yes);
        return reason(session);
    };
    EXPECT_EQ(why(ann, 2, deposit(1, "acme")), uint16_t{1002});
    EXPECT_EQ(why(ann, 2, KillSwitch{2, idOf("acme"), 2}), uint16_t{1002});
    EXPECT_EQ(why(ann, 2, KillSwitch{3, idOf("acme"), 3}), uint16_t{1003});
    EXPECT_EQ(why(ann, 2, KillSwitch{4, idOf("bolt"), 1}), uint16_t{1001});
    EXPECT_EQ(why(ann, 2, KillSwitch{5, idOf("nobody"), 1}), uint16_t{1001});
    EXPECT_EQ(why(ann, 2, KillSwitch{6, Name{}, 1}), uint16_t{1001});
    EXPECT_EQ(why(ann, 2, Query{7, idOf("VENUE"), 1, 0}), uint16_t{1001});
    EXPECT_EQ(why(ann, 2, Query{8, idOf("acme"), 6, 0}), uint16_t{1003});
    EXPECT_EQ(why(ann, 2, Transfer{9, idOf("desk"), idOf("USD"), idOf("x"), 9, idOf("bolt")}),
              uint16_t{1001});
    EXPECT_EQ(why(ann, 2, MassCancel{10, idOf("acme"), idOf("nothing"), 0}),
              static_cast<uint16_t>(Reject::UNKNOWN_INSTRUMENT));
    EXPECT_EQ(why(adam, 3, Deposit{1, idOf("acme"), idOf("EUR"), idOf("x"), 1}),
              static_cast<uint16_t>(Reject::UNKNOWN_ASSET));
    EXPECT_EQ(why(adam, 3, SetLimit{2, idOf("acme"), 3, idOf("USD"), 1}),
              static_cast<uint16_t>(Reject::INVALID_LIMIT));
    EXPECT_EQ(why(adam, 3, SetLimit{3, idOf("acme"), 6, Name{}, 1}),
              static_cast<uint16_t>(Reject::INVALID_LIMIT));
    EXPECT_EQ(why(late, 6, KillSwitch{1, idOf("acme"), 1}), uint16_t{1001});
    std::vector<std::byte> bytes = bytesOf(KillSwitch{11, idOf("acme"), 1});
    bytes[6] = std::byte{0};
    EXPECT_EQ(gateway->received(ann, bytes), Taken::Yes);
    EXPECT_EQ(reason(2), uint16_t{1003});
    EXPECT_EQ(newest<Rejected>(2).text, reasonText(1003));
    EXPECT_TRUE(port.entered.empty());
    EXPECT_TRUE(questions.waiting.empty());
    EXPECT_FALSE(directory.isKilled(1) || directory.isKilled(2));
    EXPECT_EQ(gateway->counters().refusedHere, 15u);
}

TEST_F(Clearing, AReferenceIsUsedOnceAlsoOverARestart) {
    ConnectionId adam = login("adam");
    EXPECT_EQ(give(adam, deposit(5, "acme")), Taken::Yes);
    EXPECT_EQ(give(adam, deposit(5, "acme")), Taken::Yes);
    EXPECT_EQ(give(adam, deposit(4, "acme")), Taken::Yes);
    EXPECT_EQ(give(adam, deposit(0, "acme")), Taken::Yes);
    EXPECT_EQ(port.entered.size(), 1u);
    start(std::make_unique<Store>(*store_, store_->records().size()));
    adam = login("adam");
    EXPECT_EQ(give(adam, deposit(5, "acme")), Taken::Yes);
    EXPECT_EQ(port.entered.size(), 1u);
    EXPECT_EQ(give(adam, deposit(6, "acme")), Taken::Yes);
    EXPECT_EQ(port.entered.size(), 2u);
    EXPECT_EQ(gateway->counters().duplicates, 1u);
    EXPECT_EQ(give(adam, ReferenceQuery{77}), Taken::Yes);
    EXPECT_EQ(newest<ReferenceAnswer>(3).tag, 77u);
    EXPECT_EQ(newest<ReferenceAnswer>(3).lastReference, 6u);
}

TEST_F(Clearing, WhatAStopSwallowedIsRejectedAtTheNextLogin) {
    const ConnectionId adam = login("adam");
    give(adam, deposit(1, "acme"));
    give(adam, deposit(2, "acme"));
    give(adam, Query{3, idOf("acme"), 1, 0});
    // The first reached the journal, and its event comes again.
    const Command first = port.entered[0];
    start(std::make_unique<Store>(*store_, store_->records().size()));
    Event event = answerTo(first, EventType::BalanceChanged);
    deliver(event);
    login("boss");
    const auto stream = store_->stream(3);
    std::vector<uint32_t> lost;
    for (const auto& bytes : stream) {
        if (const auto rejected = as<Rejected>(bytes)) {
            EXPECT_EQ(rejected->reason, uint16_t{1005});
            EXPECT_EQ(rejected->position, 0u);
            lost.push_back(rejected->reference);
        }
    }
    EXPECT_EQ(lost, (std::vector<uint32_t>{2, 3}));
    // Once: not at every log-in, and not after another restart.
    login("adam");
    start(std::make_unique<Store>(*store_, store_->records().size()));
    login("adam");
    EXPECT_EQ(store_->stream(3).size(), stream.size());
}

TEST_F(Clearing, AFullPortTakesNothingFromTheSession) {
    const ConnectionId adam = login("adam");
    port.room = 0;
    EXPECT_EQ(give(adam, deposit(1, "acme")), Taken::NotNow);
    EXPECT_TRUE(store_->records().empty());
    port.room = 1;
    EXPECT_EQ(give(adam, deposit(1, "acme")), Taken::Yes);
    EXPECT_EQ(port.entered.size(), 1u);
}

TEST_F(Clearing, AKillIsAheadOfTheQueue) {
    const ConnectionId ann = login("ann"), bob = login("bob");
    port.room = 0;
    EXPECT_EQ(give(ann, KillSwitch{1, idOf("desk"), 1}), Taken::Yes);
    EXPECT_TRUE(directory.isKilled(4)) << "from the moment it was read";
    EXPECT_FALSE(directory.isKilled(1));
    EXPECT_TRUE(gateway->busy());
    // Everything else of the session waits, and what others ask doesn't overtake.
    EXPECT_EQ(give(ann, KillSwitch{2, idOf("acme"), 1}), Taken::NotNow);
    EXPECT_EQ(give(ann, Query{2, idOf("acme"), 1, 0}), Taken::NotNow);
    EXPECT_FALSE(directory.isKilled(1));
    port.room = 100;
    EXPECT_EQ(give(bob, deposit(1, "bolt")), Taken::NotNow);
    EXPECT_EQ(give(bob, KillSwitch{1, idOf("bolt"), 1}), Taken::Yes);
    EXPECT_TRUE(port.entered.empty());
    EXPECT_TRUE(gateway->work(0));
    EXPECT_FALSE(gateway->busy());
    EXPECT_FALSE(gateway->work(0));
    ASSERT_EQ(port.entered.size(), 2u);
    EXPECT_EQ(port.unflushed, 0u);
    EXPECT_EQ(port.entered[0].account, 3u);
    EXPECT_EQ(port.entered[0].side, 1);
    EXPECT_EQ(port.entered[1].account, 2u);
    EXPECT_EQ(give(ann, KillSwitch{2, idOf("acme"), 1}), Taken::Yes);
    EXPECT_EQ(port.entered.size(), 3u);
}

TEST_F(Clearing, AnOlderSwitchOffDoesNotLiftAKillThatIsOnItsWay) {
    const ConnectionId adam = login("adam");
    give(adam, KillSwitch{1, idOf("desk"), 1});
    give(adam, KillSwitch{2, idOf("desk"), 2});
    give(adam, KillSwitch{3, idOf("desk"), 1});
    for (int i = 0; i < 3; ++i) {
        deliver(answerTo(port.entered[static_cast<size_t>(i)], EventType::KillSwitchSet));
        EXPECT_TRUE(directory.isKilled(3)) << i;
    }
    give(adam, KillSwitch{4, idOf("desk"), 2});
    EXPECT_TRUE(directory.isKilled(3)) << "until the engine says so";
    deliver(answerTo(port.entered[3], EventType::KillSwitchSet));
    EXPECT_FALSE(directory.isKilled(3));
}

TEST_F(Clearing, AKillFloodIsBounded) {
    const ConnectionId ann = login("ann");
    for (uint32_t i = 1; i <= 200; ++i) EXPECT_EQ(give(ann, KillSwitch{i, idOf("acme"), 1}), Taken::Yes);
    EXPECT_EQ(port.entered.size(), 64u);
    EXPECT_EQ(reason(2), uint16_t{1004});
}

TEST_F(Clearing, KillsAreToldAboveAndBelow) {
    const ConnectionId adam = login("adam");
    give(adam, KillSwitch{1, idOf("desk"), 1});
    Event event = answerTo(port.entered[0], EventType::KillSwitchSet);
    event.quantity = 3;
    deliver(event);
    for (const uint16_t session : {1, 2, 4}) {
        const auto told = newest<clearing::KillSwitchSet>(session);
        EXPECT_EQ(told.account, idOf("desk"));
        EXPECT_EQ(told.cancelled, 3u);
        EXPECT_EQ(told.time, 3'600'000'000'000u) << "since midnight";
    }
    EXPECT_TRUE(store_->stream(5).empty());
    EXPECT_TRUE(newest<Acknowledged>(3).value == 3);
    event.account = 0;  // the venue's, which stops everybody
    event.token = 0;
    deliver(event);
    for (const uint16_t session : {1, 2, 3, 4, 5})
        EXPECT_EQ(newest<clearing::KillSwitchSet>(session).account, idOf("VENUE"));
}

TEST_F(Clearing, ATradeIsToldOncePerSideAndSessionAndEndsWithItsLastMessage) {
    Event trade{};
    trade.type = static_cast<uint8_t>(EventType::Trade);
    trade.account = 4;   // cora, below desk, below acme
    trade.account2 = 2;  // bolt
    trade.side = 1;
    trade.instrument = 1;
    trade.price = 100;
    trade.quantity = 7;
    trade.fee = 5;
    trade.fee2 = -2;
    trade.leaves = 1;
    trade.leaves2 = 3;
    trade.orderId = 10;
    trade.orderId2 = 20;
    trade.id = idOf("taker");
    trade.id2 = idOf("maker");
    trade.tradeId = 9;
    deliver(trade);
    EXPECT_EQ(store_->stream(1).size(), 2u) << "both sides are the venue's";
    for (const uint16_t session : {2, 3, 4, 5}) EXPECT_EQ(store_->stream(session).size(), 1u);
    EXPECT_TRUE(store_->stream(6).empty());
    const auto taker = newest<Execution>(4);
    EXPECT_EQ(taker.account, idOf("cora"));
    EXPECT_EQ(taker.liquidity, 'R');
    EXPECT_EQ(taker.side, 1);
    EXPECT_EQ(taker.orderId, 10u);
    EXPECT_EQ(taker.clientId, idOf("taker"));
    EXPECT_EQ(taker.fee, 5);
    EXPECT_EQ(taker.leaves, 1);
    EXPECT_TRUE(taker.counterparty.none()) << "another firm's business";
    const auto maker = newest<Execution>(5);
    EXPECT_EQ(maker.account, idOf("bolt"));
    EXPECT_EQ(maker.liquidity, 'A');
    EXPECT_EQ(maker.side, 2);
    EXPECT_EQ(maker.orderId, 20u);
    EXPECT_EQ(maker.clientId, idOf("maker"));
    EXPECT_EQ(maker.fee, -2);
    EXPECT_EQ(maker.leaves, 3);
    EXPECT_EQ(newest<Execution>(1).counterparty, idOf("cora"));
    EXPECT_EQ(gateway->counters().executions, 6u);
    const auto& records = store_->records();
    ASSERT_EQ(records.size(), 6u);
    for (size_t i = 0; i < records.size(); ++i) EXPECT_EQ(records[i].last, i == 5) << i;
}

TEST_F(Clearing, WaitingRequestsAreBounded) {
    const ConnectionId adam = login("adam");
    uint32_t taken = 0;
    while (give(adam, deposit(taken + 1, "acme")) == Taken::Yes) ++taken;
    EXPECT_EQ(taken, 1024u / 8);
    deliver(answerTo(port.entered[0], EventType::BalanceChanged));
    EXPECT_EQ(give(adam, deposit(taken + 1, "acme")), Taken::Yes);
}

TEST_F(Clearing, AnswersComeInPagesAndOnce) {
    const ConnectionId ann = login("ann");
    AccountStatement statement;
    statement.exists = true;
    statement.position = 77;
    statement.openOrders = 2500;
    const auto page = [&](OrderPage asked) {
        statement.orders.clear();
        for (OrderId id = 1; id <= 2500 && statement.orders.size() < asked.count; ++id) {
            if (id * 3 <= asked.after) continue;
            AccountStatement::Order order{};
            order.orderId = id * 3;
            order.instrument = 1;
            statement.orders.push_back(order);
        }
    };
    std::vector<uint64_t> ids;
    uint64_t after = 0;
    uint32_t reference = 0;
    do {
        const size_t before = store_->stream(2).size();
        ASSERT_EQ(give(ann, Query{++reference, idOf("desk"), 4, after}), Taken::Yes);
        ASSERT_EQ(questions.waiting.size(), 1u);
        EXPECT_EQ(store_->stream(2).size(), before);
        EXPECT_EQ(questions.waiting[0].question.account, 3u);
        page(questions.waiting[0].question.orders);
        questions.waiting[0].answer({}, statement);
        questions.waiting.clear();
        const auto stream = store_->stream(2);
        ASSERT_GE(stream.size(), before + 2);
        const auto begin = as<AnswerBegin>(stream[before]);
        ASSERT_TRUE(begin.has_value());
        EXPECT_EQ(begin->position, 77u);
        EXPECT_EQ(begin->rows, stream.size() - before - 2);
        EXPECT_LE(begin->rows, 1000u);
        for (size_t i = before + 1; i + 1 < stream.size(); ++i) {
            const auto row = as<OrderRow>(stream[i]);
            ASSERT_TRUE(row.has_value());
            EXPECT_EQ(row->reference, reference);
            ids.push_back(row->orderId);
        }
        const auto end = newest<AnswerEnd>(2);
        EXPECT_EQ(end.openOrders, 2500u);
        after = end.next;
    } while (after != 0);
    EXPECT_EQ(reference, 3u);
    ASSERT_EQ(ids.size(), 2500u);
    for (size_t i = 0; i < ids.size(); ++i) EXPECT_EQ(ids[i], (i + 1) * 3);
    // Whole or not at all: only the last message of an answer ends it.
    size_t lasts = 0;
    for (const Record& record : store_->records())
        if (record.kind == RecordKind::Out && record.last) ++lasts;
    EXPECT_EQ(lasts, 3u);
}

TEST_F(Clearing, AnAnswerThatFailsOrFindsNoRoomIsRejected) {
    const ConnectionId ann = login("ann");
    questions.room = 1;
    give(ann, Query{1, idOf("desk"), 5, 0});
    give(ann, Query{2, idOf("desk"), 5, 0});
    EXPECT_EQ(reason(2), uint16_t{1004});
    questions.waiting[0].answer(Status(StatusCode::Closed, "over"), {});
    EXPECT_EQ(reason(2), uint16_t{1006});
    EXPECT_EQ(newest<Rejected>(2).reference, 1u);
    questions.waiting.clear();
    give(ann, Query{3, idOf("desk"), 5, 0});
    gateway.reset();  // an answer that finds nobody does no harm
    questions.waiting[0].answer({}, {});
}

TEST_F(Clearing, AnAccountThatComesLaterIsItsUsersFromThenOn) {
    const ConnectionId late = login("late");
    Event added{};
    added.type = static_cast<uint8_t>(EventType::AccountAdded);
    added.account = 5;
    added.account2 = 2;
    added.id = idOf("later");
    deliver(added);
    EXPECT_EQ(give(late, deposit(1, "later")), Taken::Yes);
    ASSERT_EQ(port.entered.size(), 1u);
    added.account = 6;
    added.account2 = 5;
    added.id = idOf("below");
    deliver(added);
    Event changed{};
    changed.type = static_cast<uint8_t>(EventType::BalanceChanged);
    changed.kind = static_cast<uint8_t>(CommandType::Deposit);
    changed.account = 6;
    changed.instrument = 2;
    changed.price = 5;
    changed.amount = 5;
    deliver(changed);
    for (const uint16_t session : {1, 5, 6})
        EXPECT_EQ(newest<clearing::BalanceChanged>(session).account, idOf("below"));
    EXPECT_TRUE(store_->stream(2).empty());
}

TEST_F(Clearing, TheDaysEndBeginsStreamsAndReferencesAgain) {
    const ConnectionId adam = login("adam");
    give(adam, deposit(8, "acme"));
    give(adam, deposit(9, "bolt"));
    EXPECT_EQ(store_->stream(3).size(), 1u);
    Event ended{};
    ended.type = static_cast<uint8_t>(EventType::DayEnded);
    deliver(ended);
    ASSERT_TRUE(store_->beginDay(position).isOk());
    gateway->begin();
    EXPECT_TRUE(store_->stream(3).empty());
    deliver(answerTo(port.entered[0], EventType::BalanceChanged));
    EXPECT_EQ(newest<Acknowledged>(3).reference, 8u) << "asked on the day before";
    give(adam, deposit(1, "acme"));
    EXPECT_EQ(port.entered.size(), 2u);
    start(std::make_unique<Store>(*store_, store_->records().size()));
    give(login("adam"), deposit(2, "acme"));
    EXPECT_EQ(port.entered.size(), 3u);
}

TEST_F(Clearing, TheOtherPortsStreamsAreNotItsOwn) {
    const Status other = store_->appendIn(3, 50, 0, bytesOf(deposit(50, "acme")));
    ASSERT_TRUE(other.isOk());
    start(std::make_unique<Store>(*store_, store_->records().size()));
    const ConnectionId adam = login("adam");
    EXPECT_TRUE(store_->stream(3).empty()) << "nothing was lost that was not asked here";
    give(adam, deposit(10, "acme"));
    EXPECT_EQ(port.entered.size(), 1u);
    for (const Record& record : store_->records()) {
        EXPECT_EQ(record.session, record.sequence == 50 ? 3 : 0x8003);
    }
}

TEST_F(Clearing, AStoreThatFailsTakesNothingMore) {
    const ConnectionId adam = login("adam");
    store_->full = true;
    EXPECT_EQ(give(adam, deposit(1, "acme")), Taken::Close);
    store_->full = false;
    EXPECT_EQ(give(adam, deposit(1, "acme")), Taken::Close);
    EXPECT_TRUE(port.entered.empty());
    EXPECT_EQ(gateway->login({80, 1}, loginOf("ann", "pw")).rejected,
              session::LoginReject::SessionNotAvailable);
}

// What reaches the port is of a known form and of the user's subtree, whatever comes.
TEST_F(Clearing, GarbageNeverReachesThePort) {
    std::mt19937_64 random(11);
    const char types[] = {'D', 'W', 'T', 'L', 'R', 'I', 'K', 'M', 'Q', 'N', 0};
    const size_t lengths[] = {69, 69, 85, 54, 26, 38, 22, 38, 30, 5, 1};
    const ConnectionId dora = login("dora");
    uint64_t closed = 0;
    for (int i = 0; i < 100'000; ++i) {
        const size_t pick = random() % 11;
        size_t length = random() % 4 == 0 ? random() % 100 : lengths[pick];
        std::vector<std::byte> bytes(length);
        for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
        if (length > 0 && random() % 8 != 0) bytes[0] = static_cast<std::byte>(types[pick]);
        const Taken taken = gateway->received(dora, bytes);
        ASSERT_NE(taken, Taken::NotNow);
        closed += taken == Taken::Close ? 1 : 0;
    }
    EXPECT_TRUE(port.entered.empty());
    EXPECT_TRUE(questions.waiting.empty());
    EXPECT_EQ(gateway->counters().malformed, closed);
    EXPECT_GT(closed, 10'000u);
    // Half right: real names, everything else random. Only desk and what is below it may come out.
    const char* names[] = {"VENUE", "acme", "bolt", "desk", "cora", "later", "nobody"};
    const ConnectionId boss = login("boss");
    static_cast<void>(boss);
    start(std::make_unique<Store>());
    const ConnectionId again = login("dora");
    uint32_t reference = 0;
    for (int i = 0; i < 20'000; ++i) {
        const auto name = [&] { return idOf(names[random() % 7]); };
        const auto number = [&] { return static_cast<uint8_t>(random() % 4); };
        ++reference;
        switch (random() % 6) {
            case 0: give(again, Deposit{reference, name(), idOf("USD"), idOf("t"), 1}); break;
            case 1: give(again, Transfer{reference, name(), idOf("USD"), idOf("t"), 1, name()}); break;
            case 2: give(again, KillSwitch{reference, name(), number()}); break;
            case 3: give(again, MassCancel{reference, name(), Name{}, number()}); break;
            case 4: give(again, SetLimit{reference, name(), 3, Name{}, 1}); break;
            default: give(again, Query{reference, name(), number(), 0}); break;
        }
        for (; !port.entered.empty(); port.entered.pop_back()) {
            const Command& command = port.entered.back();
            ASSERT_TRUE(command.account == 3 || command.account == 4);
            ASSERT_TRUE(command.type == static_cast<uint8_t>(CommandType::Transfer) ||
                        command.type == static_cast<uint8_t>(CommandType::KillSwitch) ||
                        command.type == static_cast<uint8_t>(CommandType::MassCancel));
            if (command.type == static_cast<uint8_t>(CommandType::Transfer)) {
                ASSERT_TRUE(command.toAccount == 3 || command.toAccount == 4);
            }
            if (command.type == static_cast<uint8_t>(CommandType::KillSwitch)) {
                ASSERT_EQ(command.side, 1);
            }
            deliver(answerTo(command, command.type == static_cast<uint8_t>(CommandType::KillSwitch)
                                          ? EventType::KillSwitchSet
                                          : EventType::Rejected));
        }
        for (; !questions.waiting.empty(); questions.waiting.pop_back()) {
            ASSERT_TRUE(questions.waiting.back().question.account == 3 ||
                        questions.waiting.back().question.account == 4);
            questions.waiting.back().answer(Status(StatusCode::Closed, "over"), {});
        }
    }
}

}  // namespace
}  // namespace verbex::gateway::clearing_test
