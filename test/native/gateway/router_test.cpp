// Every event goes to exactly the outlets that it concerns: compared with asking every one of them.
#include <gtest/gtest.h>

#include <random>
#include <set>

#include "gateway/event_router.h"
#include "wire/session_order_id.h"

namespace verbex::gateway {
namespace {

struct Seen {
    Event event;
    EventPlace place;
};

class Recorder final : public Outlet {
public:
    void deliver(const Event& event, const EventPlace& place) override {
        seen.push_back({event, place});
    }
    std::vector<Seen> seen;
};

// What one outlet wants to know, said without tables.
struct Wants {
    std::set<uint16_t> sessions;
    std::set<AccountId> accounts;
};

bool isOrderEvent(EventType type) {
    return type >= EventType::Accepted && type <= EventType::Replaced;
}

bool concerns(const Event& event, uint8_t outlet, const Wants& wants) {
    const auto type = static_cast<EventType>(event.type);
    switch (type) {
        case EventType::KillSwitchSet:
        case EventType::AssetAdded:
        case EventType::InstrumentAdded:
        case EventType::InstrumentChanged:
        case EventType::TradingStateSet:
        case EventType::AccountAdded:
        case EventType::TimeAdvanced:
        case EventType::DayEnded: return true;
        default: break;
    }
    if (event.token >> 63 == 1 && (event.token >> 48 & 0xff) == outlet) return true;
    if (isOrderEvent(type)) {
        if (wants.sessions.contains(readSessionOrderId(event.id).session)) return true;
        if (type == EventType::Trade || type == EventType::Replaced) {
            if (wants.sessions.contains(readSessionOrderId(event.id2).session)) return true;
        }
    }
    if (wants.accounts.contains(event.account)) return true;
    const bool two = type == EventType::Trade || type == EventType::BalanceChanged;
    return two && wants.accounts.contains(event.account2);
}

class Market {
public:
    explicit Market(uint64_t seed) : random_(seed) {}

    Event next() {
        if (left_ == 0) {
            position_ += 1 + random_() % 2;
            left_ = 1 + random_() % 4;
            token_ = token();
        }
        Event event{};
        event.type = static_cast<uint8_t>(1 + random_() % 21);
        event.position = position_;
        event.token = token_;
        event.account = static_cast<AccountId>(random_() % 40);
        event.account2 = static_cast<AccountId>(random_() % 40);
        if (random_() % 16 == 0) event.account = 0xffff'fff0;  // as a client gave it
        event.id = id();
        event.id2 = id();
        event.flags = --left_ == 0 ? kEventLast : 0;
        return event;
    }

private:
    uint64_t token() {
        if (random_() % 3 == 0) return random_() >> 1;
        return GatewayToken{static_cast<uint8_t>(random_() % 40), 1, 2}.pack();
    }
    ClientId id() {
        if (random_() % 3 == 0) return {random_() & 0x7f7f'7f7f'7f7f'7f7f, random_() & 0x7f7f};
        return writeSessionOrderId({static_cast<uint16_t>(1 + random_() % 300),
                                    static_cast<uint32_t>(random_()), 7});
    }

    std::mt19937_64 random_;
    uint64_t token_ = 0;
    Position position_ = 0;
    uint64_t left_ = 0;
};

TEST(EventRouter, HandsEveryEventToExactlyWhomItConcerns) {
    for (uint8_t outlets = 1; outlets <= kOutletsMax; ++outlets) {
        std::mt19937_64 random(outlets);
        EventRouter router;
        std::vector<Recorder> recorders(outlets);
        std::vector<Wants> wants(outlets);
        for (uint8_t i = 0; i < outlets; ++i) router.setOutlet(i, &recorders[i]);
        for (uint16_t session = 1; session < 250; ++session) {
            const auto outlet = static_cast<uint8_t>(random() % outlets);
            router.assignSession(session, outlet);
            wants[outlet].sessions.insert(session);
        }
        // Half of the worlds watch no account at all.
        for (int i = 0; outlets % 2 == 0 && i < 30; ++i) {
            const auto account = static_cast<AccountId>(1 + random() % 39);
            const auto outlet = static_cast<uint8_t>(random() % outlets);
            router.watchAccount(account, outlet);
            wants[outlet].accounts.insert(account);
        }
        Market market(outlets);
        std::vector<std::vector<Seen>> expected(outlets);
        EventPlace place;
        for (int i = 0; i < 2000; ++i) {
            const Event event = market.next();
            place = event.position == place.position ? EventPlace{place.position, place.index + 1}
                                                     : EventPlace{event.position, 0};
            router.route(event);
            for (uint8_t o = 0; o < outlets; ++o) {
                const bool is = concerns(event, o, wants[o]);
                ASSERT_EQ(router.concerned(event) >> o & 1, is ? 1u : 0u);
                if (is) expected[o].push_back({event, place});
            }
        }
        for (uint8_t o = 0; o < outlets; ++o) {
            ASSERT_EQ(recorders[o].seen.size(), expected[o].size());
            for (size_t i = 0; i < expected[o].size(); ++i) {
                ASSERT_EQ(recorders[o].seen[i].place, expected[o][i].place);
                ASSERT_EQ(std::memcmp(&recorders[o].seen[i].event, &expected[o][i].event,
                                      sizeof(Event)), 0);
            }
        }
    }
}

TEST(EventRouter, AnOutletThatWasTakenOutHearsNothing) {
    EventRouter router;
    Recorder first;
    Recorder second;
    router.setOutlet(3, &first);
    router.setOutlet(31, &second);
    Event event{};
    event.type = static_cast<uint8_t>(EventType::DayEnded);
    event.position = 1;
    router.route(event);
    router.setOutlet(3, nullptr);
    event.position = 2;
    router.route(event);
    EXPECT_EQ(first.seen.size(), 1u);
    EXPECT_EQ(second.seen.size(), 2u);
}

// The work of an order is the deliveries that it causes; idle outlets are not among them.
TEST(EventRouter, MoreOutletsDoNotMakeAnOrderDearer) {
    uint64_t before = 0;
    for (const uint8_t outlets : {1, 2, 4, 8, 16, 32}) {
        EventRouter router;
        std::vector<Recorder> recorders(outlets);
        for (uint8_t i = 0; i < outlets; ++i) router.setOutlet(i, &recorders[i]);
        for (uint16_t session = 1; session <= 64; ++session) {
            router.assignSession(session, static_cast<uint8_t>(session % outlets));
        }
        for (Position position = 1; position <= 6400; ++position) {
            const auto session = static_cast<uint16_t>(1 + position % 64);
            Event event{};
            event.type = static_cast<uint8_t>(EventType::Accepted);
            event.position = position;
            event.id = writeSessionOrderId({session, 1, static_cast<uint32_t>(position)});
            event.token = GatewayToken{static_cast<uint8_t>(session % outlets), session, 1}.pack();
            router.route(event);
        }
        uint64_t deliveries = 0;
        for (const Recorder& recorder : recorders) deliveries += recorder.seen.size();
        EXPECT_EQ(deliveries, 6400u);
        EXPECT_TRUE(before == 0 || before == deliveries);
        before = deliveries;
    }
}

}  // namespace
}  // namespace verbex::gateway
