// Events over the bus to a gateway elsewhere: in order, once, whoever is slow or starts again.
#include "gateway/bus_outlet.h"

#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <vector>

#include "bus/bus_fixture.h"

namespace verbex::gateway::bus_outlet_test {
namespace {

using bus::kMillisecond;

Event eventAt(const EventPlace& place) {
    Event event{};
    event.type = static_cast<uint8_t>(EventType::Accepted);
    event.position = place.position;
    event.token = place.position * 1000 + place.index;
    event.quantity = static_cast<int64_t>(place.index) + 7;
    return event;
}

// The events of one gateway: places with gaps, as a router leaves them.
std::vector<EventPlace> places(size_t count, uint64_t seed) {
    std::mt19937_64 random(seed);
    std::vector<EventPlace> made;
    EventPlace place{1, 0};
    while (made.size() < count) {
        place = random() % 2 == 0
                    ? EventPlace{place.position, place.index + 1 + uint32_t(random() % 3)}
                    : EventPlace{place.position + 1 + random() % 5, uint32_t(random() % 3)};
        made.push_back(place);
    }
    return made;
}

// A gateway that remembers what it was handed, as its store would.
struct Gateway final : Outlet {
    void deliver(const Event& event, const EventPlace& place) override {
        const Event expected = eventAt(place);
        EXPECT_EQ(std::memcmp(&event, &expected, sizeof(event)), 0);
        got.push_back(place);
    }
    [[nodiscard]] EventPlace delivered() const { return got.empty() ? EventPlace{} : got.back(); }
    std::vector<EventPlace> got;
};

class Relay {
public:
    explicit Relay(uint32_t historyBytes, uint32_t pendingMax = 4096) : engine_(world_.add("engine")) {
        bus::PublicationOptions options;
        options.stream = "gateway-1";
        options.historyBytes = historyBytes;
        options.payloadMax = sizeof(RelayedEvent);
        options.retain = true;
        address_ = engine_.bus->listen({"127.0.0.1", 0}).take();
        publication_ = engine_.bus->publish(options).take();
        outlet = std::make_unique<BusOutlet>(*publication_, EventPlace{}, pendingMax);
    }

    // A gateway's process; what its store has survives it.
    void startGateway() {
        const std::string name = "gateway" + std::to_string(++started_);
        node_ = &world_.add(name);
        const bus::PeerId peer = node_->bus->connect(address_);
        bus::SubscriptionOptions options;
        options.stream = "gateway-1";
        options.from = bus::From::Oldest;
        options.bufferBytes = 1u << 13;
        subscription_ = node_->bus->subscribe(peer, options).take();
        inlet = std::make_unique<BusInlet>(gateway, gateway.delivered());
        subscription_->setReceiver(inlet.get());
    }
    void stopGateway() {
        subscription_->close();
        round();
        node_->stopped = true;
        node_ = nullptr;
    }
    void hang(bool hangs) { node_->stopped = hangs; }
    [[nodiscard]] bool runs() const { return node_ != nullptr; }

    void round() {
        world_.round();
        outlet->work();
    }
    bool runUntil(const std::function<bool()>& come) {
        return world_.runUntil([&] {
            outlet->work();
            return come();
        });
    }
    void runFor(bus::Nanoseconds time) { world_.runFor(time); }

    Gateway gateway;
    std::unique_ptr<BusOutlet> outlet;
    std::unique_ptr<BusInlet> inlet;

private:
    bus::World world_;
    bus::World::Node& engine_;
    bus::World::Node* node_ = nullptr;
    bus::Address address_;
    bus::Publication* publication_ = nullptr;
    bus::Subscription* subscription_ = nullptr;
    int started_ = 0;
};

TEST(BusOutlet, EverythingArrivesInOrderAndOnce) {
    Relay relay(1u << 16);
    const std::vector<EventPlace> all = places(3000, 1);
    relay.startGateway();
    size_t next = 0;
    ASSERT_TRUE(relay.runUntil([&] {
        for (int i = 0; i < 5 && next < all.size(); ++i, ++next) {
            relay.outlet->deliver(eventAt(all[next]), all[next]);
        }
        return relay.gateway.got.size() == all.size();
    }));
    EXPECT_TRUE(relay.gateway.got == all);
    EXPECT_EQ(relay.inlet->state(), InletState::Live);
    EXPECT_FALSE(relay.outlet->isCutOff());
}

TEST(BusOutlet, ASlowGatewayNeverHoldsUpTheEngineAndIsBroughtBackFromThePlace) {
    Relay relay(1u << 14, 100);
    const std::vector<EventPlace> all = places(2000, 2);
    relay.startGateway();
    ASSERT_TRUE(relay.runUntil([&] {
        if (relay.gateway.got.empty()) relay.outlet->deliver(eventAt(all[0]), all[0]);
        return !relay.gateway.got.empty();
    }));
    relay.hang(true);
    for (size_t i = 1; i < all.size(); ++i) relay.outlet->deliver(eventAt(all[i]), all[i]);
    ASSERT_TRUE(relay.outlet->isCutOff());
    const EventPlace missing = relay.outlet->resumeFrom();
    EXPECT_EQ(relay.outlet->counters().events + relay.outlet->counters().dropped, all.size());
    relay.hang(false);
    ASSERT_TRUE(relay.runUntil([&] { return relay.inlet->state() == InletState::CutOff; }));
    EXPECT_LT(relay.gateway.delivered(), missing);
    // The same again, from well before the place, until nothing is missing.
    ASSERT_TRUE(relay.runUntil([&] {
        if (relay.outlet->isCutOff()) {
            relay.outlet->resume();
            for (const EventPlace& place : all) relay.outlet->deliver(eventAt(place), place);
        }
        return relay.gateway.got.size() >= all.size();
    }));
    EXPECT_TRUE(relay.gateway.got == all);
    EXPECT_EQ(relay.inlet->state(), InletState::Live);
}

TEST(BusOutlet, ARestartedGatewayGetsWhatItMissedFromTheHistory) {
    std::mt19937_64 random(3);
    Relay relay(1u << 18);
    const std::vector<EventPlace> all = places(3000, 3);
    relay.startGateway();
    size_t next = 0;
    ASSERT_TRUE(relay.runUntil([&] {
        for (uint64_t i = random() % 6; i > 0 && next < all.size(); --i, ++next) {
            relay.outlet->deliver(eventAt(all[next]), all[next]);
        }
        if (relay.runs() && random() % 100 == 0) {
            relay.stopGateway();
        } else if (!relay.runs() && random() % 20 == 0) {
            relay.startGateway();
        }
        return relay.gateway.got.size() == all.size();
    }));
    EXPECT_TRUE(relay.gateway.got == all);
    EXPECT_GT(relay.inlet->known(), 0u);
    EXPECT_GT(relay.outlet->counters().waited, 0u);
}

TEST(BusOutlet, AHistoryThatWentByIsNoticed) {
    Relay relay(1u << 13);
    const std::vector<EventPlace> all = places(500, 4);
    for (const EventPlace& place : all) relay.outlet->deliver(eventAt(place), place);
    relay.startGateway();
    ASSERT_TRUE(relay.runUntil([&] { return relay.inlet->state() == InletState::Lost; }));
    EXPECT_TRUE(relay.gateway.got.empty());
    EXPECT_EQ(relay.inlet->place(), EventPlace{});
}

TEST(BusInlet, AnythingButAnOutletsMessageStopsIt) {
    Gateway gateway;
    RelayedEvent good{};
    good.kind = RelayKind::Event;
    good.position = 5;
    good.previousPosition = 4;
    const Event event = eventAt({5, 0});
    std::memcpy(good.event, &event, sizeof(event));
    const auto stateAfter = [&](const RelayedEvent& message, size_t bytes) {
        BusInlet inlet(gateway, {4, 0});
        std::vector<std::byte> payload(bytes);
        std::memcpy(payload.data(), &message, std::min(bytes, sizeof(message)));
        EXPECT_TRUE(inlet.onMessage({1, 0, payload}));
        return inlet.state();
    };
    EXPECT_EQ(stateAfter(good, sizeof(good)), InletState::Live);
    EXPECT_EQ(stateAfter(good, sizeof(good) - 1), InletState::Invalid);
    EXPECT_EQ(stateAfter(good, sizeof(good) + 1), InletState::Invalid);
    RelayedEvent wrong = good;
    wrong.kind = static_cast<RelayKind>(3);
    EXPECT_EQ(stateAfter(wrong, sizeof(wrong)), InletState::Invalid);
    wrong = good;
    wrong.previousPosition = 5;
    EXPECT_EQ(stateAfter(wrong, sizeof(wrong)), InletState::Invalid);
    EXPECT_EQ(gateway.got.size(), 1u);
}

}  // namespace
}  // namespace verbex::gateway::bus_outlet_test
