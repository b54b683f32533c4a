// What a publication and its subscriptions promise, one promise a test, over a network without
// faults or with one that the test chooses.
#include "bus_fixture.h"

namespace verbex::bus {
namespace {

constexpr size_t kLengthMax = 200;

class StreamsTest : public testing::Test {
protected:
    World world;
    World::Node* here = nullptr;   // publishes
    World::Node* there = nullptr;  // subscribes
    PeerId peer = 0;
    PublicationOptions options{.stream = "trades", .historyBytes = 1u << 16, .payloadMax = 1024};

    void meet(uint32_t batchOfPublisher = 256) {
        world.options.batchMax = batchOfPublisher;
        here = &world.add("here");
        world.options.batchMax = 256;
        there = &world.add("there");
        auto address = here->bus->listen({"127.0.0.1", 0});
        ASSERT_TRUE(address.isOk());
        peer = there->bus->connect(address.value());
        ASSERT_TRUE(world.runUntil([&] { return there->bus->peers()[0].connected; }));
    }
    Source publish(Store* store = nullptr) {
        options.store = store;
        auto made = here->bus->publish(options);
        EXPECT_TRUE(made.isOk()) << made.status().toString();
        return {options.stream, kLengthMax, made.value()};
    }
    Subscription* subscribe(StreamReceiver& receiver, SubscriptionOptions subscription = {}) {
        if (subscription.stream.empty()) subscription.stream = options.stream;
        subscription.bufferBytes = 1u << 16;
        auto made = there->bus->subscribe(peer, subscription);
        EXPECT_TRUE(made.isOk()) << made.status().toString();
        made.value()->setReceiver(&receiver);
        return made.value();
    }
    bool live(Subscription* subscription) {
        return world.runUntil([&] { return subscription->state() == SubscriptionState::Live; });
    }
    // Offers until `count` more are in, running the world while the publication pushes back.
    void offerAll(Source& source, uint64_t count) {
        const Position end = source.next + count;
        ASSERT_TRUE(world.runUntil([&] {
            while (source.next < end && source.offer()) {
            }
            return source.next == end;
        }));
    }
};

TEST_F(StreamsTest, DeliversEveryPositionOnceAndInOrder) {
    meet();
    Source source = publish();
    Checker checker("trades", kLengthMax);
    Subscription* subscription = subscribe(checker);
    EXPECT_EQ(source.publication->offer({}), kNotConnected);
    ASSERT_TRUE(live(subscription));
    offerAll(source, 10'000);
    EXPECT_TRUE(world.runUntil([&] { return checker.next == 10'001; }));
    EXPECT_EQ(subscription->resumeFrom(), 10'001u);
    EXPECT_TRUE(world.runUntil([&] { return source.publication->consumedByAll() == 10'000; }));
    EXPECT_EQ(there->bus->counters().gaps + there->bus->counters().duplicates, 0u);
    EXPECT_EQ(here->bus->counters().cutOff, 0u);
}

TEST_F(StreamsTest, AnOfferIsSentWithoutWaitingForTheNextRound) {
    meet();
    Source source = publish();
    Checker checker("trades", kLengthMax);
    ASSERT_TRUE(live(subscribe(checker)));
    source.offer(3);
    there->bus->poll(world.now);
    EXPECT_EQ(checker.taken, 3u);
}

TEST_F(StreamsTest, OffersThatCannotBeTakenSayWhy) {
    meet();
    Source source = publish();
    EXPECT_EQ(source.publication->offer(std::vector<std::byte>(1025)), kTooLarge);
    EXPECT_EQ(source.publication->offer({}), kNotConnected);
    EXPECT_EQ(here->bus->counters().notConnected, 1u);
    source.publication->close();
    EXPECT_EQ(source.publication->offer({}), kClosed);
}

TEST_F(StreamsTest, APublicationThatRetainsKeepsWhatNobodyHearsYet) {
    meet();
    options.retain = true;
    Source source = publish();
    source.offer(100);
    Checker checker("trades", kLengthMax);
    subscribe(checker, {.from = From::Oldest});
    EXPECT_TRUE(world.runUntil([&] { return checker.next == 101; }));
    EXPECT_EQ(checker.taken, 100u);
}

TEST_F(StreamsTest, AReceiverThatTakesNothingIsPushedBackOnWithinItsWindow) {
    meet();
    Source source = publish();
    Checker checker("trades", kLengthMax);
    bool open = false;
    checker.takes = [&](Position) { return open; };
    ASSERT_TRUE(live(subscribe(checker)));
    world.runUntil([&] { return !source.offer(); });
    EXPECT_EQ(here->bus->counters().backPressured, 1u);
    const Position stuckAt = source.next;
    world.runFor(100 * kMillisecond);
    EXPECT_FALSE(source.offer());
    EXPECT_EQ(checker.taken, 0u);
    // Half of the history, in messages of about 150 bytes.
    EXPECT_GT(stuckAt, 150u);
    EXPECT_LT(stuckAt, 500u);
    open = true;
    offerAll(source, 1'000);
    EXPECT_TRUE(world.runUntil([&] { return checker.next == source.next; }));
}

TEST_F(StreamsTest, AStuckStreamHoldsUpNeitherOthersNorHeartbeats) {
    meet();
    Source source = publish();
    options.stream = "quotes";
    Source other = publish();
    Checker stuck("trades", kLengthMax);
    Checker checker("quotes", kLengthMax);
    stuck.takes = [](Position) { return false; };
    ASSERT_TRUE(live(subscribe(stuck, {.stream = "trades"})));
    ASSERT_TRUE(live(subscribe(checker)));
    world.runUntil([&] { return !source.offer(); });
    offerAll(other, 5'000);
    EXPECT_TRUE(world.runUntil([&] { return checker.next == 5'001; }));
    world.runFor(1'000 * kMillisecond);
    EXPECT_EQ(there->bus->counters().peersLost, 0u);
    EXPECT_EQ(stuck.taken, 0u);
}

TEST_F(StreamsTest, WhoIsSlowIsCutOffAndResumesFromTheStore) {
    meet();
    WholeStore store(kLengthMax);
    Source source = publish(&store);
    source.store = &store;
    Checker fast("trades", kLengthMax);
    Checker slow("trades", kLengthMax);
    slow.flagsToo = false;
    bool open = false;
    slow.takes = [&](Position) { return open; };
    Subscription* quick = subscribe(fast);
    Subscription* late = subscribe(slow);
    ASSERT_TRUE(live(quick) && live(late));
    offerAll(source, 3'000);
    EXPECT_TRUE(world.runUntil([&] { return fast.next == 3'001; }));
    ASSERT_EQ(here->heard.cutOff.size(), 1u);
    EXPECT_EQ(here->bus->counters().cutOff, 1u);
    const Position from = here->heard.cutOff[0].second;
    open = true;
    ASSERT_TRUE(world.runUntil([&] { return late->state() == SubscriptionState::CutOff; }));
    EXPECT_EQ(late->resumeFrom(), from);  // it was given what had arrived before
    EXPECT_EQ(slow.next, from);
    Subscription* again = subscribe(slow, {.from = From::Position, .position = from});
    EXPECT_TRUE(world.runUntil([&] { return slow.next == 3'001; }));
    EXPECT_GT(here->bus->counters().storeReads, 1'000u);
    // And then live: from the history, without the store.
    const uint64_t reads = here->bus->counters().storeReads;
    offerAll(source, 2'000);
    EXPECT_TRUE(world.runUntil([&] { return slow.next == 5'001 && fast.next == 5'001; }));
    EXPECT_EQ(here->bus->counters().storeReads, reads);
    EXPECT_EQ(again->state(), SubscriptionState::Live);
    EXPECT_EQ(here->bus->counters().cutOff, 1u);
}

TEST_F(StreamsTest, WhoReplaysIsNotCutOffAtTheEdgeOfTheHistory) {
    meet(64);
    WholeStore store(kLengthMax);
    Source source = publish(&store);
    source.store = &store;
    Checker fast("trades", kLengthMax);
    Checker late("trades", kLengthMax);
    late.flagsToo = false;
    ASSERT_TRUE(live(subscribe(fast)));
    offerAll(source, 3'000);
    subscribe(late, {.from = From::Oldest});
    // It gains on the publisher by a few messages a round.
    for (int round = 0; round < 1'000; ++round) {
        source.offer(50);
        world.round();
    }
    EXPECT_EQ(here->bus->counters().cutOff, 0u);
    EXPECT_TRUE(world.runUntil([&] { return late.next == source.next; }));
    EXPECT_EQ(late.taken, source.next - 1);
    EXPECT_GT(source.next, 30'000u);
}

TEST_F(StreamsTest, APositionThatIsGoneIsRefusedWithWhatThereIs) {
    meet();
    options.retain = true;
    Source source = publish();
    source.offer(3'000);
    Checker checker("trades", kLengthMax);
    Subscription* lost = subscribe(checker, {.from = From::Position, .position = 1});
    ASSERT_TRUE(world.runUntil([&] { return lost->state() == SubscriptionState::Refused; }));
    EXPECT_EQ(lost->failure().code(), StatusCode::PositionLost);
    EXPECT_NE(lost->failure().message().find(std::to_string(source.publication->oldest())),
              std::string::npos)
        << lost->failure().message();
    Subscription* ahead = subscribe(checker, {.from = From::Position, .position = 3'002});
    Subscription* unknown = subscribe(checker, {.stream = "nothing"});
    ASSERT_TRUE(world.runUntil([&] { return unknown->state() == SubscriptionState::Refused; }));
    EXPECT_EQ(ahead->failure().code(), StatusCode::PositionLost);
    EXPECT_EQ(unknown->failure().code(), StatusCode::NotFound);
}

TEST_F(StreamsTest, AClosedPublicationEndsWhenEverythingIsDelivered) {
    meet();
    Source source = publish();
    Checker checker("trades", kLengthMax);
    bool open = false;
    checker.takes = [&](Position) { return open; };
    Subscription* subscription = subscribe(checker);
    ASSERT_TRUE(live(subscription));
    source.offer(100);
    source.publication->close();
    world.runFor(100 * kMillisecond);
    EXPECT_EQ(subscription->state(), SubscriptionState::Live);
    open = true;
    EXPECT_TRUE(world.runUntil([&] { return subscription->state() == SubscriptionState::Ended; }));
    EXPECT_EQ(checker.taken, 100u);
    world.runFor(100 * kMillisecond);
    auto again = here->bus->publish(options);
    EXPECT_TRUE(again.isOk());
}

TEST_F(StreamsTest, ResumesAfterACutWithoutGapOrRepetition) {
    meet();
    Source source = publish();
    Checker checker("trades", kLengthMax);
    Subscription* subscription = subscribe(checker);
    ASSERT_TRUE(live(subscription));
    for (int cut = 0; cut < 5; ++cut) {
        source.offer(50);
        world.round();
        source.offer(20);
        here->faulty.cutAll();
        ASSERT_TRUE(
            world.runUntil([&] { return subscription->state() == SubscriptionState::Connecting; }));
        ASSERT_TRUE(live(subscription));
    }
    offerAll(source, 10);
    EXPECT_TRUE(world.runUntil([&] { return checker.next == source.next; }));
    EXPECT_EQ(there->bus->counters().resumed, 5u);
    EXPECT_EQ(there->bus->peers()[0].id, peer);
    EXPECT_EQ(here->bus->peers().size(), 1u);  // the same peer came back
}

TEST_F(StreamsTest, WithoutResumeASubscriptionEndsWithItsLink) {
    meet();
    publish();
    Checker checker("trades", kLengthMax);
    Subscription* subscription = subscribe(checker, {.resume = false});
    ASSERT_TRUE(live(subscription));
    there->faulty.cutAll();
    ASSERT_TRUE(world.runUntil([&] { return subscription->state() == SubscriptionState::Closed; }));
    EXPECT_EQ(subscription->failure().code(), StatusCode::PeerLost);
}

TEST_F(StreamsTest, ASilentPeerIsGivenUpWithinTheBound) {
    meet();
    publish();
    Checker checker("trades", kLengthMax);
    Subscription* subscription = subscribe(checker);
    ASSERT_TRUE(live(subscription));
    world.runFor(300 * kMillisecond);
    EXPECT_EQ(there->bus->counters().silent, 0u);
    here->stopped = true;
    const Nanoseconds since = world.now;
    ASSERT_TRUE(world.runUntil([&] { return there->bus->counters().silent == 1; }));
    const Nanoseconds noticed = world.now - since;
    EXPECT_GT(noticed, world.options.livenessNs - 2 * world.options.heartbeatNs);
    EXPECT_LE(noticed, world.options.livenessNs + world.options.heartbeatNs);
    EXPECT_EQ(there->bus->counters().peersLost, 1u);
    EXPECT_EQ(subscription->state(), SubscriptionState::Connecting);
    EXPECT_EQ(there->heard.peers.back().failure.code(), StatusCode::TimedOut);
    here->stopped = false;
    EXPECT_TRUE(live(subscription));
}

TEST_F(StreamsTest, HeartbeatsMeasureTheRoundTrip) {
    meet();
    world.runFor(100 * kMillisecond);
    const Nanoseconds trip = there->bus->peers()[0].roundTripNs;
    EXPECT_GE(trip, world.step);
    EXPECT_LE(trip, 3 * world.step);
}

TEST_F(StreamsTest, ClosingFromWithinACallbackIsSafe) {
    meet();
    Source source = publish();
    Checker checker("trades", kLengthMax);
    Subscription* subscription = subscribe(checker);
    checker.takes = [&](Position position) {
        if (position == 5) subscription->close();
        return true;
    };
    ASSERT_TRUE(live(subscription));
    source.offer(20);
    world.runFor(50 * kMillisecond);
    EXPECT_EQ(checker.taken, 5u);
    EXPECT_EQ(source.publication->subscribers(), 0u);
    Checker other("trades", kLengthMax);
    other.takes = [&](Position) {
        there->bus->disconnect(peer);
        return true;
    };
    ASSERT_TRUE(live(subscribe(other)));
    source.offer(20);
    world.runFor(50 * kMillisecond);
    EXPECT_EQ(other.taken, 1u);
    EXPECT_FALSE(there->bus->peers()[0].connected);
    EXPECT_FALSE(here->bus->peers()[0].connected);
}

TEST_F(StreamsTest, BothSidesPublishOverOneLink) {
    meet();
    Source out = publish();
    auto made = there->bus->publish(options);
    ASSERT_TRUE(made.isOk());
    Source back{"trades", kLengthMax, made.value()};
    Checker forward("trades", kLengthMax);
    Checker backward("trades", kLengthMax);
    ASSERT_TRUE(live(subscribe(forward)));
    auto inbound = here->bus->subscribe(here->bus->peers()[0].id, {.stream = "trades"});
    ASSERT_TRUE(inbound.isOk());
    inbound.value()->setReceiver(&backward);
    ASSERT_TRUE(live(inbound.value()));
    for (int i = 0; i < 200; ++i) {
        out.offer(20);
        back.offer(20);
        world.round();
    }
    EXPECT_TRUE(
        world.runUntil([&] { return forward.next == out.next && backward.next == back.next; }));
    EXPECT_GT(out.next, 1'000u);
    EXPECT_GT(back.next, 1'000u);
}

TEST_F(StreamsTest, NothingOfAFencedEpochIsDelivered) {
    meet();
    Source source = publish();
    Checker checker("trades", kLengthMax);
    bool open = false;
    checker.takes = [&](Position) { return open; };
    Subscription* subscription = subscribe(checker);
    ASSERT_TRUE(live(subscription));
    source.offer(30);
    world.round();
    there->bus->fence(1);
    EXPECT_EQ(subscription->state(), SubscriptionState::Connecting);
    open = true;
    world.runFor(200 * kMillisecond);
    EXPECT_EQ(checker.taken, 0u);  // neither what waited nor what was under way
    // Of the next epoch all of it comes.
    here->bus->setEpoch(2);
    there->bus->setEpoch(2);
    EXPECT_TRUE(world.runUntil([&] { return checker.next == 31; }));
    EXPECT_EQ(checker.taken, 30u);
    EXPECT_EQ(there->bus->peers()[0].epoch, 2u);
}

TEST_F(StreamsTest, AFenceFromWithinACallbackLetsNothingMoreThrough) {
    meet();
    Source source = publish();
    Checker checker("trades", kLengthMax);
    checker.takes = [&](Position position) {
        if (position == 7) there->bus->fence(1);
        return true;
    };
    ASSERT_TRUE(live(subscribe(checker)));
    source.offer(30);
    world.runFor(100 * kMillisecond);
    EXPECT_EQ(checker.taken, 7u);
}

TEST_F(StreamsTest, ArgumentsThatMakeNoSenseAreRefusedWithWhatToDo) {
    meet();
    const auto refused = [](const auto& result) {
        return !result.isOk() && result.status().code() == StatusCode::InvalidArgument;
    };
    EXPECT_TRUE(refused(here->bus->publish({.stream = ""})));
    EXPECT_TRUE(refused(here->bus->publish({.stream = std::string(65, 'x')})));
    EXPECT_TRUE(refused(here->bus->publish({.stream = "x", .historyBytes = 5000})));
    EXPECT_TRUE(
        refused(here->bus->publish({.stream = "x", .historyBytes = 4096, .payloadMax = 600})));
    EXPECT_TRUE(refused(here->bus->publish({.stream = "x", .first = 0})));
    EXPECT_TRUE(refused(there->bus->subscribe(peer, {.stream = "x", .bufferBytes = 1000})));
    EXPECT_TRUE(refused(there->bus->subscribe(peer, {.stream = "x", .from = From::Position})));
    EXPECT_FALSE(there->bus->subscribe(99, {.stream = "x"}).isOk());
    publish();
    EXPECT_EQ(here->bus->publish(options).status().code(), StatusCode::AlreadyExists);
}

}  // namespace
}  // namespace verbex::bus
