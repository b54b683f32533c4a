// Links that are made beside the network's thread, as those over an adapter are: held there for as
// long as a test wants.
#include "transport/host/link_maker.h"

#include <atomic>
#include <chrono>
#include <gtest/gtest.h>
#include <thread>

#include "host_network_fixture.h"

namespace verbex::transport {
namespace {

// Where the making of links is stopped.
struct Gate {
    std::atomic<bool> isHeld{false};
    std::atomic<uint32_t> waiting{0};  // that have come to it while it was closed

    NetworkOptions options() {
        NetworkOptions options = optionsOf("one");
        options.transport = TransportWish::Shm;
        options.setUpTimeoutMs = 60'000;
        options.beforeMaking = [this] {
            if (!isHeld) return;
            ++waiting;
            // The bound is against hanging: who is in the others' way would wait for them here.
            for (int i = 0; isHeld && i < 10'000; ++i) {
                std::this_thread::sleep_for(std::chrono::milliseconds(1));
            }
            isHeld = false;
        };
        return options;
    }
};

// Making a link over an adapter takes up to tenths of a second, in which heartbeats must go on.
TEST(LinkMaker, WhileALinkIsMadeTheOthersCarryOn) {
    Gate gate;
    HostPair pair(gate.options());
    ASSERT_NE(pair.atListener, nullptr);
    HostSide third(gate.options());
    const Address address = pair.listener.listen();
    gate.isHeld = true;
    const ConnectId id = third.connect(address);
    const std::vector<HostSide*> all{&pair.listener, &pair.connector, &third};
    ASSERT_TRUE(driveUntil(all, [&] { return gate.waiting != 0; }));
    MessageLog log;
    for (uint64_t position = 1; position <= 100; ++position) {
        ASSERT_EQ(pair.atConnector->offer({.position = position, .payload = {}}), Answer::Accepted);
        pair.atConnector->flush();
        ASSERT_TRUE(driveUntil(all, [&] {
            pair.atListener->poll(log, 10);
            return log.messages.size() == position;
        }));
    }
    EXPECT_TRUE(gate.isHeld) << "the link was made before the others were heard";
    EXPECT_EQ(third.connected.count(id), 0u);
    gate.isHeld = false;
    ASSERT_TRUE(driveUntil(all, [&] {
        return third.connected.count(id) != 0 && pair.listener.accepted.size() == 2;
    }));
    // What nobody waits for any more is not made, and its maker ends with the network.
    gate.isHeld = true;
    third.connect(address);
    ASSERT_TRUE(driveUntil(all, [&] { return gate.waiting != 1; }));
    gate.isHeld = false;
}

// A set-up that is refused while its link is being made leaves nothing behind, whenever it is.
TEST(LinkMaker, AFenceRefusesWhatIsBeingMade) {
    Gate gate;
    gate.isHeld = true;
    HostSide listener(gate.options());
    HostSide connector(gate.options());
    const ConnectId id = connector.connect(listener.listen(4), 4);
    ASSERT_TRUE(driveUntil({&listener, &connector}, [&] { return gate.waiting != 0; }));
    MessageLog nowhere;
    connector.network->fence(4, [&](Link&) -> Receiver& { return nowhere; });
    ASSERT_TRUE(
        driveUntil({&listener, &connector}, [&] { return connector.refused.count(id) != 0; }));
    EXPECT_EQ(connector.refused.at(id).code(), StatusCode::StaleEpoch);
    gate.isHeld = false;
    // And another one is made behind it.
    const ConnectId next = connector.connect(listener.listen(5), 5);
    ASSERT_TRUE(
        driveUntil({&listener, &connector}, [&] { return connector.connected.count(next) != 0; }));
    EXPECT_TRUE(listener.accepted.empty() || listener.accepted[0]->info().epoch == 5);
}

}  // namespace
}  // namespace verbex::transport
