// What never reaches the feed, and how what reaches it looks.
#include "feed/feed_builder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "feed/itch_reader.h"

namespace verbex::feed::feed_builder_test {
namespace {

constexpr AccountId kAccount = 0xdeadbeef, kOther = 0xcafef00d;
constexpr ClientId kId{0xa1a2a3a4a5a6a7a8, 0xb1b2b3b4b5b6b7b8};
constexpr ClientId kOtherId{0xc1c2c3c4c5c6c7c8, 0xd1d2d3d4d5d6d7d8};
constexpr uint64_t kToken = 0xe1e2e3e4e5e6e7e8;
constexpr OrderId kOrder = 0x0f1f2f3f4f5f6f7f;
constexpr int64_t kHidden = 0x71727374;  // what an iceberg has open: the clip is 5

Event event(EventType type, uint8_t flags = 0) {
    Event event{};
    event.type = static_cast<uint8_t>(type);
    event.flags = flags;
    event.side = static_cast<uint8_t>(Side::Sell);
    event.kind = static_cast<uint8_t>(OrderType::Limit);
    event.position = kOrder + 1;
    event.account = kAccount;
    event.instrument = 1;
    event.orderId = kOrder;
    event.price = 100;
    event.quantity = event.leaves = kHidden;
    event.token = kToken;
    event.id = kId;
    event.id2 = kOtherId;
    event.account2 = kOther;
    return event;
}

class Feed : public testing::Test {
protected:
    Feed() {
        MarketState state;
        state.time = 86'400'000'000'000 * 3 + 5;
        Name name{};
        std::memcpy(static_cast<void*>(&name), "BTC-USD", 7);
        state.instruments.push_back({1, name, TradingState::Open});
        state.instruments.push_back({70'000, name, TradingState::Open});
        builder_.begin(state);
    }
    void take(const Event& event) {
        builder_.take(event);
        for (auto message = history_.peek(at_); !message.empty(); message = history_.peek(at_)) {
            all_.emplace_back(message.begin(), message.end());
            types_ += static_cast<char>(message[0]);
            ASSERT_TRUE(reader_.take(message)) << reader_.wrong();
            history_.skip(at_);
        }
    }
    template <typename Value>
    [[nodiscard]] bool anywhere(Value value) const {
        std::byte bytes[sizeof(Value)], swapped[sizeof(Value)];
        std::memcpy(bytes, &value, sizeof(value));
        for (size_t i = 0; i < sizeof(Value); ++i) swapped[i] = bytes[sizeof(Value) - 1 - i];
        for (const std::vector<std::byte>& message : all_) {
            for (const std::byte* pattern : {bytes, swapped}) {
                if (std::search(message.begin(), message.end(), pattern, pattern + sizeof(Value)) != message.end())
                    return true;
            }
        }
        return false;
    }

    FeedHistory history_{FeedHistory::kBytesMin};
    FeedBuilder builder_{history_};
    FeedHistory::Reader at_;
    test::ItchReader reader_;
    std::vector<std::vector<std::byte>> all_;
    std::string types_;
};

Event accepted(int64_t visible) {
    Event accepted = event(EventType::Accepted, kEventBooked);
    accepted.leaves2 = visible;
    return accepted;
}

Event trade(int64_t quantity, int64_t makerLeaves) {
    Event trade = event(EventType::Trade);
    trade.orderId2 = kOrder;
    trade.orderId = kOrder + 9;
    trade.quantity = quantity;
    trade.leaves2 = makerLeaves;
    trade.tradeId = 77;
    trade.fee = 0x61626364;
    trade.fee2 = 0x65666768;
    return trade;
}

TEST_F(Feed, HiddenQuantityIdsAndAccountsAreInNoByte) {
    take(accepted(5));
    take(trade(5, kHidden - 5));
    Event reload = event(EventType::Booked, kEventReload);
    reload.quantity = reload.leaves2 = 5;
    reload.leaves = kHidden - 5;
    take(reload);
    Event reduced = event(EventType::Reduced);
    reduced.leaves = kHidden - 7;
    reduced.leaves2 = 5;
    take(reduced);  // only of what is hidden
    reduced.leaves = 3;
    reduced.leaves2 = 3;
    take(reduced);
    Event replaced = event(EventType::Replaced, kEventBooked);
    replaced.price = 101;
    replaced.leaves2 = 4;
    take(replaced);
    take(event(EventType::Cancelled));
    EXPECT_EQ(types_, "SSRHSAEAXUD");
    EXPECT_EQ(reader_.orders(), 0u);
    EXPECT_EQ(reader_.traded, 5u);
    EXPECT_FALSE(anywhere(kAccount) || anywhere(kOther));
    EXPECT_FALSE(anywhere(kId.lo) || anywhere(kId.hi) || anywhere(kOtherId.lo) || anywhere(kOtherId.hi));
    EXPECT_FALSE(anywhere(kToken) || anywhere(kOrder) || anywhere(kOrder + 1) || anywhere(kOrder + 9));
    EXPECT_FALSE(anywhere(0x61626364) || anywhere(0x65666768));
    for (int32_t less = 0; less < 10; ++less) EXPECT_FALSE(anywhere(static_cast<int32_t>(kHidden) - less));
    EXPECT_TRUE(anywhere(uint32_t{101}));  // the search does find
}

TEST_F(Feed, WaitingStopsAndTakersAreNotShown) {
    take(event(EventType::Accepted, kEventStop));
    take(event(EventType::Replaced, kEventStop | kEventKeptPriority));
    take(event(EventType::Replaced, kEventStop));
    take(event(EventType::Reduced));
    take(event(EventType::Cancelled));
    take(event(EventType::Accepted));
    take(event(EventType::Triggered));
    take(event(EventType::Cancelled));
    take(event(EventType::Accepted, kEventDuplicate | kEventBooked));
    take(event(EventType::Rejected));
    EXPECT_EQ(types_, "SSRHS");
    Event triggered = event(EventType::Triggered, kEventBooked);
    triggered.leaves2 = 9;
    take(triggered);
    EXPECT_EQ(types_, "SSRHSA");
    EXPECT_EQ(reader_.levels(1, true), (test::Levels{{100, {9}}}));
}

TEST_F(Feed, TheTimeIsTheCoresSinceMidnight) {
    take(accepted(5));
    EXPECT_EQ(reader_.lastTimeNs, 5u);
    Event time = event(EventType::TimeAdvanced);
    time.orderId = 86'400'000'000'000 * 4 + 123;
    take(time);
    take(trade(1, 4));
    EXPECT_EQ(reader_.lastTimeNs, 123u);
}

TEST_F(Feed, TradingStatesDaysAndNewInstruments) {
    Event state = event(EventType::TradingStateSet);
    for (const auto& [set, shown] : {std::pair{TradingState::CancelOnly, "PCNCL"},
                                     {TradingState::Halted, "HHALT"},
                                     {TradingState::Closed, "HCLSD"},
                                     {TradingState::Open, "T    "}}) {
        state.kind = static_cast<uint8_t>(set);
        take(state);
        EXPECT_EQ(reader_.states[1], shown);
    }
    Event added = event(EventType::InstrumentAdded);
    added.instrument = 2;
    added.kind = static_cast<uint8_t>(TradingState::Halted);
    std::memset(static_cast<void*>(&added.id), 0, sizeof(added.id));
    std::memcpy(static_cast<void*>(&added.id), "ETH-USD", 7);
    take(added);
    EXPECT_EQ(reader_.states[2], "HHALT");
    EXPECT_EQ(reader_.systemCodes, "OSQ");
    take(event(EventType::DayEnded));
    EXPECT_EQ(reader_.systemCodes, "OSQMQ");
    builder_.end();
    take(event(EventType::Rejected));
    EXPECT_EQ(reader_.systemCodes, "OSQMQMEC");
}

// What does not fit is left out, counted, and heard of no more.
TEST_F(Feed, WhatAMessageCanNotSayIsLeftOut) {
    EXPECT_EQ(builder_.counters().instrumentsLeftOut, 1u);
    Event far = accepted(5);
    far.price = int64_t{1} << 32;
    take(far);
    take(trade(2, 3));
    take(event(EventType::Cancelled));
    Event elsewhere = accepted(5);
    elsewhere.instrument = 70'000;
    take(elsewhere);
    take(accepted(kPartMax * static_cast<int64_t>(kPartsMax) + 1));
    EXPECT_EQ(types_, "SSRHS");
    EXPECT_EQ(builder_.counters().ordersLeftOut, 3u);
    // A replace brings it back.
    Event replaced = event(EventType::Replaced, kEventBooked);
    replaced.leaves2 = 4;
    take(replaced);
    EXPECT_EQ(types_, "SSRHSA");
}

TEST_F(Feed, AnOrderAboveAMessagesRangeIsShownAsSeveral) {
    take(accepted(2 * kPartMax + 10));
    EXPECT_EQ(types_, "SSRHSAAA");
    EXPECT_EQ(reader_.levels(1, true), (test::Levels{{100, {10, UINT32_MAX, UINT32_MAX}}}));
    take(trade(10 + 5, 2 * kPartMax - 5));
    EXPECT_EQ(types_, "SSRHSAAAEE");
    EXPECT_EQ(reader_.levels(1, true), (test::Levels{{100, {UINT32_MAX - 5, UINT32_MAX}}}));
    Event reduced = event(EventType::Reduced);
    reduced.leaves = reduced.leaves2 = kPartMax - 1;
    take(reduced);
    EXPECT_EQ(types_, "SSRHSAAAEEDX");
    EXPECT_EQ(reader_.levels(1, true), (test::Levels{{100, {UINT32_MAX - 1}}}));
    EXPECT_EQ(builder_.shown().parts(), 1u);
}

}  // namespace
}  // namespace verbex::feed::feed_builder_test
