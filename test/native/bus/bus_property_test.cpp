// Random publishers and subscribers under random faults: whatever happens, everybody gets exactly
// the positions from where it began, or is told where to go on.
#include <random>

#include "bus_fixture.h"

namespace verbex::bus {
namespace {

constexpr size_t kLengthMax = 180;
constexpr uint32_t kSmallRing = 1u << 14;

// One subscriber that never gives up: cut off or refused it subscribes again from where it stands.
struct Follower {
    World::Node* node;
    PeerId peer;
    std::unique_ptr<Checker> checker;
    Subscription* subscription = nullptr;
    uint64_t cutOff = 0;

    void follow(const std::string& stream) {
        if (subscription != nullptr) {
            const SubscriptionState state = subscription->state();
            if (state < SubscriptionState::CutOff || state == SubscriptionState::Ended) return;
            if (state == SubscriptionState::CutOff) ++cutOff;
            if (state == SubscriptionState::CutOff) {
                EXPECT_EQ(subscription->resumeFrom(), checker->next);
            } else {
                EXPECT_EQ(state, SubscriptionState::Closed) << subscription->failure().toString();
            }
            subscription->close();
        }
        SubscriptionOptions options{.stream = stream, .bufferBytes = 1u << 14};
        options.from = checker->next == 0 ? From::Next : From::Position;
        options.position = checker->next;
        auto made = node->bus->subscribe(peer, options);
        ASSERT_TRUE(made.isOk());
        subscription = made.value();
        subscription->setReceiver(checker.get());
    }
};

struct Plan {
    transport::Faults faults;
    uint32_t cutAllPerMille = 0;  // a round
    uint32_t closePerMille = 0;
    uint32_t slowPerMille = 0;  // that a subscriber takes nothing for a while
    bool single = false;
};

struct Totals {
    uint64_t gaps = 0;
    uint64_t duplicates = 0;
    uint64_t resumed = 0;
    uint64_t cutOff = 0;
    uint64_t malformed = 0;
    uint64_t messages = 0;
};

void runSeed(uint64_t seed, const Plan& plan, Totals& totals) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed);
    World world;
    world.step = 200'000;
    world.network.ringBytes = kSmallRing;
    world.network.payloadMax = 1024;
    World::Node& publisher = world.add("publisher", seed);
    const Address address = publisher.bus->listen({"127.0.0.1", 0}).value();
    const std::vector<std::string> streams = {"a", "b"};
    std::vector<std::unique_ptr<WholeStore>> stores;
    std::vector<Source> sources;
    for (const std::string& stream : streams) {
        stores.push_back(std::make_unique<WholeStore>(kLengthMax));
        auto made = publisher.bus->publish({.stream = stream,
                                            .historyBytes = 1u << 14,
                                            .payloadMax = 256,
                                            .retain = true,
                                            .store = stores.back().get()});
        ASSERT_TRUE(made.isOk());
        sources.push_back({stream, kLengthMax, made.value(), stores.back().get()});
    }
    std::vector<std::pair<Follower, size_t>> followers;
    for (size_t i = 0; i < 2 + seed % 2; ++i) {
        World::Node& node = world.add("subscriber" + std::to_string(i), seed * 31 + i);
        const PeerId peer = node.bus->connect(address);
        for (size_t stream = 0; stream < streams.size(); ++stream) {
            auto checker = std::make_unique<Checker>(streams[stream], kLengthMax);
            checker->flagsToo = false;
            followers.push_back({Follower{&node, peer, std::move(checker)}, stream});
        }
    }
    publisher.faulty.setFaults(plan.faults);
    for (auto& [follower, stream] : followers) follower.node->faulty.setFaults(plan.faults);

    const auto chance = [&](uint32_t perMille) { return random() % 1000 < perMille; };
    for (int round = 0; round < 1500; ++round) {
        for (auto& [follower, stream] : followers) {
            follower.follow(streams[stream]);
            if (chance(plan.closePerMille)) {
                follower.subscription->close();
                follower.subscription = nullptr;  // freed by the next round
            }
            if (chance(plan.slowPerMille)) {
                const Nanoseconds until = world.now + random() % (60 * kMillisecond);
                follower.checker->takes = [&world, until](Position) { return world.now >= until; };
            }
            if (chance(plan.cutAllPerMille)) follower.node->faulty.cutAll();
        }
        for (Source& source : sources) source.offer(random() % 12);
        world.round();
    }
    // Calm: everybody catches up.
    publisher.faulty.setFaults({});
    for (auto& [follower, stream] : followers) {
        follower.node->faulty.setFaults({});
        follower.checker->takes = [](Position) { return true; };
    }
    for (Source& source : sources) {
        ASSERT_TRUE(world.runUntil([&] { return source.offer(); }));
    }
    const bool caughtUp = world.runUntil(
        [&] {
            for (auto& [follower, stream] : followers) {
                follower.follow(streams[stream]);
                if (follower.checker->next != sources[stream].next) return false;
            }
            return true;
        },
        5'000 * kMillisecond);
    for (auto& [follower, stream] : followers) {
        EXPECT_EQ(follower.checker->next, sources[stream].next)
            << follower.node->bus->peers()[0].name << " " << streams[stream] << " state "
            << static_cast<int>(follower.subscription->state()) << " "
            << follower.subscription->failure().toString();
        totals.cutOff += follower.cutOff;
        totals.messages += follower.checker->taken;
    }
    ASSERT_TRUE(caughtUp);
    // A node has two followers, and one set of counters.
    for (size_t i = 0; i < followers.size(); i += streams.size()) {
        const BusCounters& counters = followers[i].first.node->bus->counters();
        totals.gaps += counters.gaps;
        totals.duplicates += counters.duplicates;
        totals.resumed += counters.resumed;
        totals.malformed += counters.malformed;
    }
    totals.malformed += publisher.bus->counters().malformed;
}

Totals runSeeds(const Plan& plan, uint64_t seeds) {
    Totals totals;
    for (uint64_t seed = 1; seed <= seeds && !testing::Test::HasFailure(); ++seed) {
        runSeed(seed, plan, totals);
    }
    return totals;
}

TEST(BusPropertyTest, OnASoundNetworkNothingIsAskedForTwice) {
    const Totals totals = runSeeds({.faults = {}, .closePerMille = 2}, 10);
    EXPECT_EQ(totals.gaps + totals.duplicates + totals.malformed, 0u);
    EXPECT_GT(totals.messages, 50'000u);
}

TEST(BusPropertyTest, SlowSubscribersAreCutOffAndComeBack) {
    const Totals totals = runSeeds({.faults = {}, .slowPerMille = 3}, 15);
    EXPECT_EQ(totals.gaps + totals.duplicates + totals.malformed, 0u);
    EXPECT_GT(totals.cutOff, 10u);
}

TEST(BusPropertyTest, CutLinksAreResumed) {
    const Totals totals = runSeeds({.faults = {.delay = 20'000, .cut = 500, .stall = 200},
                                    .cutAllPerMille = 3,
                                    .closePerMille = 1,
                                    .slowPerMille = 1},
                                   20);
    EXPECT_GT(totals.resumed, 50u);
}

TEST(BusPropertyTest, LossRepetitionAndDisorderAreMended) {
    const Totals totals = runSeeds(
        {.faults =
             {.lose = 3'000, .duplicate = 10'000, .reorder = 10'000, .delay = 5'000, .stall = 100},
         .cutAllPerMille = 1,
         .closePerMille = 1,
         .slowPerMille = 1},
        20);
    EXPECT_GT(totals.gaps, 1'000u);
    EXPECT_GT(totals.duplicates, 200u);
}

}  // namespace
}  // namespace verbex::bus
