// Risk processes that are away: what the log's marker says, what is rejected meanwhile, and that a saved state
// carries it.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/core.h"
#include "wire/reject.h"

namespace verbex::availability_test {
namespace {

class One final : public EventWriter {
public:
    One() { setRegion(cells_, cells_ + 64); }
    Event of(Core& core, const Command& command) {
        setRegion(cells_, cells_ + 64);
        core.apply(command, *this);
        return cursor()[-1];
    }

private:
    void drain() override { setRegion(cells_, cells_ + 64); }
    Event cells_[64];
};

class Bytes final : public ByteSink, public ByteSource {
public:
    void write(const void* bytes, size_t size) override {
        data.append(static_cast<const char*>(bytes), size);
    }
    bool read(void* bytes, size_t size) override {
        if (data.size() - at < size) return false;
        data.copy(static_cast<char*>(bytes), size, at);
        at += size;
        return true;
    }
    std::string data;
    size_t at = 0;
};

constexpr CoreLimits kSmall{1000, 100, 16, 100000};

Command command(CommandType type, AccountId account = 0) {
    Command made{};
    made.type = static_cast<uint8_t>(type);
    made.account = account;
    return made;
}

Command marker(uint32_t processes, uint32_t process, bool down) {
    Command made = command(CommandType::SetAvailability);
    made.orderType = static_cast<uint8_t>(processes);
    made.instrument = process;
    made.side = down ? 1 : 2;
    return made;
}

Command order(AccountId account, uint64_t id) {
    Command made = command(CommandType::NewOrder, account);
    made.instrument = 1;
    made.id = ClientId{id, 0};
    made.side = made.orderType = made.timeInForce = 1;
    made.price = 10;
    made.quantity = 1;
    return made;
}

// Firms 1 and 2 with money, one instrument.
void setUp(Core& core, One& events) {
    for (uint64_t i = 1; i <= 2; i++) {
        Command made = command(CommandType::AddAsset);
        made.id = ClientId{i, 0};
        (void)events.of(core, made);
        made = command(CommandType::AddAccount);
        made.id = ClientId{i, 0};
        (void)events.of(core, made);
    }
    Command made = command(CommandType::AddInstrument);
    made.flags = kCommandExtended;
    made.id = ClientId{1, 0};
    made.price = made.quantity = made.priceMin = made.quantityMin = 1;
    made.priceMax = made.quantityMax = 1000;
    made.base = 1;
    made.quote = 2;
    (void)events.of(core, made);
    for (AccountId account = 1; account <= 2; account++) {
        made = command(CommandType::Deposit, account);
        made.instrument = 2;
        made.id = ClientId{account, 0};
        made.amount = 1000;
        (void)events.of(core, made);
    }
}

Reject rejected(const Event& event) {
    return EventType(event.type) == EventType::Rejected ? Reject(event.code) : Reject::NONE;
}

TEST(Availability, WhatNeedsTheProcessIsRejectedAndLeavesNoTrace) {
    Core core(kSmall);
    One events;
    setUp(core, events);
    EXPECT_EQ(rejected(events.of(core, marker(2, 1, false))), Reject::NONE);
    EXPECT_EQ(rejected(events.of(core, order(1, 1))), Reject::NONE);
    EXPECT_EQ(rejected(events.of(core, marker(2, 1, true))), Reject::NONE);
    EXPECT_EQ(core.riskProcessesAway(), 2u);

    EXPECT_EQ(rejected(events.of(core, order(1, 2))), Reject::RISK_UNAVAILABLE);
    EXPECT_EQ(rejected(events.of(core, order(2, 2))), Reject::NONE);
    Command cancel = command(CommandType::CancelOrder, 1);
    cancel.id = ClientId{1, 0};
    EXPECT_EQ(rejected(events.of(core, cancel)), Reject::RISK_UNAVAILABLE);
    Command transfer = command(CommandType::Transfer, 2);
    transfer.toAccount = 1;
    EXPECT_EQ(rejected(events.of(core, transfer)), Reject::RISK_UNAVAILABLE);
    for (const CommandType all : {CommandType::DayEnd, CommandType::MassCancel}) {
        EXPECT_EQ(rejected(events.of(core, command(all))), Reject::RISK_UNAVAILABLE);
    }
    // Time and configuration go on; an order of an account that is not there is what it always is.
    EXPECT_EQ(rejected(events.of(core, command(CommandType::AdvanceTime))), Reject::NONE);
    EXPECT_EQ(rejected(events.of(core, order(7, 1))), Reject::UNKNOWN_ACCOUNT);

    EXPECT_EQ(rejected(events.of(core, marker(2, 1, false))), Reject::NONE);
    EXPECT_EQ(rejected(events.of(core, order(1, 2))), Reject::NONE);  // the id was not used
    EXPECT_EQ(rejected(events.of(core, cancel)), Reject::NONE);
}

TEST(Availability, RefusedCommandsDoNothing) {
    Core core(kSmall);
    One events;
    setUp(core, events);
    Command refused = order(1, 1);
    refused.type |= kCommandRefused;
    const Event event = events.of(core, refused);
    EXPECT_EQ(rejected(event), Reject::RISK_UNAVAILABLE);
    EXPECT_EQ(event.kind, static_cast<uint8_t>(CommandType::NewOrder));
    EXPECT_EQ(rejected(events.of(core, order(1, 1))), Reject::NONE);
    refused.type = 0xff;
    EXPECT_EQ(rejected(events.of(core, refused)), Reject::UNKNOWN_COMMAND);
}

TEST(Availability, ImpossibleMarkersAreRejected) {
    Core core(kSmall);
    One events;
    setUp(core, events);
    for (const Command& wrong : {marker(0, 0, true), marker(17, 0, true), marker(2, 2, true)}) {
        EXPECT_EQ(rejected(events.of(core, wrong)), Reject::INVALID_AVAILABILITY);
    }
    Command limit = command(CommandType::SetLimit);
    limit.orderType = static_cast<uint8_t>(LimitKind::OpenOrders);
    limit.amount = 5;
    EXPECT_EQ(rejected(events.of(core, limit)), Reject::NONE);
    EXPECT_EQ(rejected(events.of(core, marker(2, 0, false))), Reject::INVALID_AVAILABILITY);
    limit.amount = -1;
    EXPECT_EQ(rejected(events.of(core, limit)), Reject::NONE);
    EXPECT_EQ(rejected(events.of(core, marker(2, 0, false))), Reject::NONE);
    EXPECT_EQ(rejected(events.of(core, marker(3, 0, false))), Reject::INVALID_AVAILABILITY);
    limit.amount = 5;
    EXPECT_EQ(rejected(events.of(core, limit)), Reject::VENUE_LIMIT_NOT_POSSIBLE);
}

TEST(Availability, ASavedStateCarriesIt) {
    Core core(kSmall), again(kSmall);
    One events;
    setUp(core, events);
    const Digest128 before = core.hash();
    (void)events.of(core, marker(2, 1, false));
    const Digest128 declared = core.hash();
    (void)events.of(core, marker(2, 1, true));
    EXPECT_NE(before, declared);
    EXPECT_NE(declared, core.hash());
    Bytes bytes;
    core.save(bytes);
    ASSERT_TRUE(again.load(bytes));
    EXPECT_EQ(again.hash(), core.hash());
    EXPECT_EQ(again.riskProcesses(), 2u);
    EXPECT_EQ(rejected(events.of(again, order(1, 1))), Reject::RISK_UNAVAILABLE);
    // A bit of a process that there is not.
    bytes.at = 0;
    bytes.data[88 + 4] = 4;
    Core wrong(kSmall);
    EXPECT_FALSE(wrong.load(bytes));
}

}  // namespace
}  // namespace verbex::availability_test
