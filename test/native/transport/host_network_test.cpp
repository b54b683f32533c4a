#include "transport/host/host_network.h"

#include <atomic>
#include <csignal>
#include <gtest/gtest.h>
#include <random>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "certificates.h"
#include "host_network_fixture.h"
#include "transport/host/host_id.h"
#include "transport/sockets/socket_address.h"

namespace verbex::transport {
namespace {

constexpr Nanoseconds kSecond = 1'000'000'000;

// A peer of ours that says what the test wants it to say.
Descriptor rawConnection(const Address& address) {
    auto target = resolve(address);
    EXPECT_TRUE(target.isOk());
    Descriptor socket(::socket(AF_INET, SOCK_STREAM, 0));
    EXPECT_EQ(::connect(socket.number(), target.value().get(), target.value().bytes), 0);
    return socket;
}

// Whether the other end has closed, without waiting.
bool isClosed(const Descriptor& socket) {
    char bytes[512];
    for (;;) {
        const ssize_t got = ::recv(socket.number(), bytes, sizeof bytes, MSG_DONTWAIT);
        if (got == 0) return true;
        if (got < 0) return errno != EAGAIN;
    }
}

Status refusalBetween(HostSide& listener, HostSide& connector, uint32_t listenEpoch = 1,
                      uint32_t connectEpoch = 1) {
    const Address address = listener.listen(listenEpoch);
    const ConnectId id = connector.connect(address, connectEpoch);
    EXPECT_TRUE(driveUntil({&listener, &connector}, [&] {
        return connector.refused.count(id) + connector.connected.count(id) > 0 &&
               listener.network->counters().halfOpen == 0;
    }));
    return connector.refused.count(id) != 0 ? connector.refused.at(id) : Status();
}

TEST(HostNetworkAddress, IsReadAndWritten) {
    for (const char* text : {"127.0.0.1:80", "localhost:0", "[::1]:65535", "a-b.example:1"}) {
        const auto address = Address::parse(text);
        ASSERT_TRUE(address.isOk()) << address.status().toString();
        EXPECT_EQ(address.value().toString(), text);
    }
    for (const char* text : {"", "host", ":80", "host:", "host:65536", "host:-1", "host:1x",
                             "::1:80", "[::1]80", "[host]:80", "[::1:80", "a]:80"}) {
        EXPECT_EQ(Address::parse(text).status().code(), StatusCode::InvalidArgument) << text;
    }
}

TEST(HostNetworkHostId, IsOfThisBootAndNamespacesOrUnknown) {
    EXPECT_NE(thisHostId(), HostId{});
    EXPECT_EQ(thisHostId(), thisHostId());
    EXPECT_EQ(thisHostId("/nowhere"), HostId{});
}

TEST(HostNetwork, RefusesOptionsThatCannotWork) {
    const auto codeOf = [](const std::function<void(NetworkOptions&)>& change) {
        NetworkOptions options = optionsOf("one");
        change(options);
        return HostNetwork::open(options).status().code();
    };
    const StatusCode invalid = StatusCode::InvalidArgument;
    EXPECT_EQ(codeOf([](auto&) {}), StatusCode::Ok);
    EXPECT_EQ(codeOf([](auto& o) { o.node = ""; }), invalid);
    EXPECT_EQ(codeOf([](auto& o) { o.ringBytes = 5000; }), invalid);
    EXPECT_EQ(codeOf([](auto& o) { o.payloadMax = 1025; }), invalid);
    EXPECT_EQ(codeOf([](auto& o) { o.key = std::vector<std::byte>(3); }), invalid);
    EXPECT_EQ(codeOf([](auto& o) { o.halfOpenMax = 0; }), invalid);
    EXPECT_NE(codeOf([](auto& o) { o.tls.certificateFile = "/nowhere.pem"; }), StatusCode::Ok);
}

TEST(HostNetwork, MakesTwoHundredLinksAndEndsThem) {
    HostSide listener(optionsOf("listener"));
    HostSide connector(optionsOf("connector"));
    const Address address = listener.listen();
    for (int i = 0; i < 200; ++i) connector.connect(address);
    ASSERT_TRUE(driveUntil({&listener, &connector}, [&] {
        return listener.accepted.size() + connector.refused.size() == 200 &&
               connector.connected.size() + connector.refused.size() == 200;
    }));
    // More at once than the listener takes half-open are told so.
    for (const auto& [id, why] : connector.refused) {
        EXPECT_EQ(why.code(), StatusCode::Refused) << why.toString();
    }
    while (connector.connected.size() < 200) {
        const size_t before = connector.connected.size();
        connector.connect(address);
        ASSERT_TRUE(driveUntil({&listener, &connector}, [&] {
            return connector.connected.size() > before && listener.accepted.size() > before;
        }));
    }
    for (const auto& [id, link] : connector.connected) {
        const auto bytes = std::as_bytes(std::span(&id, 1));
        ASSERT_EQ(link->offer({.position = id, .payload = bytes}), Answer::Accepted);
        link->flush();
    }
    size_t received = 0;
    ASSERT_TRUE(driveUntil({&listener, &connector}, [&] {
        for (Link* link : listener.accepted) {
            MessageLog inbox;
            received += link->poll(inbox, 10);
        }
        return received == 200;
    }));
    EXPECT_EQ(listener.network->counters().links, 200u);
    for (const auto& [id, link] : connector.connected) connector.network->drop(*link);
    MessageLog inbox;
    ASSERT_TRUE(driveUntil({&listener}, [&] {
        for (Link* link : listener.accepted) link->poll(inbox, 10);
        return listener.over.size() == 200;
    }));
    for (Link* link : listener.over) {
        // Dropped without having been closed: the peer has not said goodbye.
        EXPECT_EQ(link->failure().code(), StatusCode::PeerLost) << link->failure().toString();
        listener.network->drop(*link);
    }
    listener.poll();
    EXPECT_EQ(listener.network->counters().links, 0u);
    EXPECT_EQ(listener.network->counters().established, 200u);
}

TEST(HostNetwork, ConnectingToNobodyIsRefused) {
    HostSide connector(optionsOf("one"));
    Address address;
    {
        HostSide gone(optionsOf("gone"));
        address = gone.listen();
    }
    const ConnectId id = connector.connect(address);
    ASSERT_TRUE(driveUntil({&connector}, [&] { return connector.refused.count(id) != 0; }));
    EXPECT_EQ(connector.refused.at(id).code(), StatusCode::Refused);
    EXPECT_NE(connector.refused.at(id).message().find("nobody listens"), std::string::npos);
}

TEST(HostNetwork, AWishThatCannotBeGrantedSaysWhatToDo) {
    NetworkOptions options = optionsOf("one");
    options.transport = TransportWish::Verbs;
    HostSide side(options);
    if (side.network->listen({}, 1).isOk()) GTEST_SKIP() << "there is an RDMA device";
    const ConnectId id = side.connect({.host = "127.0.0.1", .port = 1});
    side.poll();
    ASSERT_EQ(side.refused.count(id), 1u);
    EXPECT_EQ(side.refused.at(id).code(), StatusCode::TransportUnavailable);
    EXPECT_NE(side.refused.at(id).message().find("verbs is wanted"), std::string::npos);
}

TEST(HostNetwork, AnotherKeyIsRefusedAndCounted) {
    NetworkOptions listening = optionsOf("listener");
    NetworkOptions connecting = optionsOf("connector");
    listening.key = keyBytes('a');
    connecting.key = keyBytes('b');
    HostSide listener(listening);
    HostSide connector(connecting);
    EXPECT_EQ(refusalBetween(listener, connector).code(), StatusCode::AuthenticationFailed);
    EXPECT_EQ(connector.network->counters().wrongKey, 1u);
    EXPECT_EQ(listener.network->counters().refused, 1u);
    EXPECT_EQ(listener.network->counters().established, 0u);
}

TEST(HostNetwork, NoKeyAgainstAKeyIsRefused) {
    NetworkOptions keyed = optionsOf("keyed");
    keyed.key = keyBytes('a');
    HostSide listener(keyed);
    HostSide connector(optionsOf("open"));
    EXPECT_EQ(refusalBetween(listener, connector).code(), StatusCode::AuthenticationFailed);
    EXPECT_EQ(listener.network->counters().wrongKey, 1u);
    HostSide openListener(optionsOf("open"));
    HostSide keyedConnector(keyed);
    EXPECT_EQ(refusalBetween(openListener, keyedConnector).code(),
              StatusCode::AuthenticationFailed);
}

TEST(HostNetwork, AnEpochThatWasFencedIsRefused) {
    HostSide listener(optionsOf("listener"));
    HostSide connector(optionsOf("connector"));
    MessageLog inbox;
    listener.network->fence(4, [&](Link&) -> Receiver& { return inbox; });
    EXPECT_EQ(refusalBetween(listener, connector, 5, 4).code(), StatusCode::StaleEpoch);
    EXPECT_EQ(listener.network->counters().staleEpoch, 1u);
    EXPECT_TRUE(refusalBetween(listener, connector, 5, 5).isOk());
    // The other way round: this side knows that the epoch is over.
    const ConnectId id = listener.connect({.host = "127.0.0.1", .port = 1}, 4);
    listener.poll();
    EXPECT_EQ(listener.refused.at(id).code(), StatusCode::StaleEpoch);
}

TEST(HostNetwork, FencingFailsSetUpsThatAreUnderWay) {
    HostSide listener(optionsOf("listener"));
    const Address address = listener.listen();
    for (int steps = 0; steps < 12; ++steps) {
        HostSide connector(optionsOf("connector"));
        HostSide fenced(optionsOf("fenced"));
        const Address there = fenced.listen(1);
        connector.connect(there, 1);
        for (int i = 0; i < steps; ++i) (i % 2 == 0 ? connector : fenced).poll();
        MessageLog inbox;
        fenced.network->fence(1, [&](Link&) -> Receiver& { return inbox; });
        for (Link* link : fenced.accepted) EXPECT_TRUE(link->isOver());
        const size_t before = fenced.accepted.size();
        ASSERT_TRUE(driveUntil({&connector, &fenced}, [&] {
            for (const auto& [id, link] : connector.connected) link->poll(inbox, 1);
            return connector.refused.size() + connector.over.size() == 1;
        }));
        EXPECT_EQ(fenced.accepted.size(), before) << steps;
    }
}

// One thread sends as fast as it can; the other fences in the middle of it.
TEST(HostNetwork, NothingIsDeliveredAfterAFence) {
    for (int round = 0; round < 10; ++round) {
        HostSide listener(optionsOf("listener"));
        const Address address = listener.listen();
        std::atomic<bool> stop{false};
        std::thread sending([&] {
            HostSide connector(optionsOf("connector"));
            const ConnectId id = connector.connect(address);
            uint64_t position = 0;
            while (!stop) {
                connector.poll();
                if (connector.connected.count(id) == 0) continue;
                Link& link = *connector.connected.at(id);
                for (int i = 0; i < 10; ++i) {
                    const Message message{.position = position + 1, .payload = {}};
                    if (link.offer(message) == Answer::Accepted) ++position;
                }
                link.flush();
                MessageLog ignored;
                link.poll(ignored, 1);
            }
        });
        MessageLog inbox;
        EXPECT_TRUE(driveUntil({&listener}, [&] {
            for (Link* link : listener.accepted) link->poll(inbox, 50);
            return inbox.messages.size() > 1000;
        }));
        listener.network->fence(1, [&](Link&) -> Receiver& { return inbox; });
        const size_t delivered = inbox.messages.size();
        Link& link = *listener.accepted.at(0);
        EXPECT_EQ(link.state(), LinkState::Fenced);
        for (int i = 0; i < 1000; ++i) {
            listener.poll();
            EXPECT_EQ(link.poll(inbox, 100), 0u);
        }
        EXPECT_EQ(inbox.messages.size(), delivered);
        for (size_t i = 0; i < delivered; ++i) ASSERT_EQ(inbox.messages[i].position, i + 1);
        EXPECT_EQ(listener.over.size(), 1u);
        stop = true;
        sending.join();
    }
}

TEST(HostNetwork, GarbageIsRefusedAndCounted) {
    HostSide listener(optionsOf("listener"));
    const Address address = listener.listen();
    std::mt19937_64 random(3);
    for (uint64_t i = 1; i <= 50; ++i) {
        const Descriptor socket = rawConnection(address);
        std::vector<char> bytes(1 + random() % 3000);
        for (char& byte : bytes) byte = static_cast<char>(random());
        bytes[0] = 'Q';
        ASSERT_GT(::send(socket.number(), bytes.data(), bytes.size(), MSG_NOSIGNAL), 0);
        ASSERT_TRUE(driveUntil(
            {&listener}, [&] { return listener.network->counters().malformed == i; }));
        EXPECT_TRUE(driveUntil({&listener}, [&] { return isClosed(socket); }));
    }
    EXPECT_EQ(listener.network->counters().halfOpen, 0u);
    EXPECT_TRUE(listener.accepted.empty());
}

TEST(HostNetwork, WhoSaysNothingIsTimedOutAndTooManyAreTurnedAway) {
    NetworkOptions options = optionsOf("listener");
    options.halfOpenMax = 8;
    HostSide listener(options);
    const Address address = listener.listen();
    std::vector<Descriptor> sockets;
    for (int i = 0; i < 20; ++i) sockets.push_back(rawConnection(address));
    ASSERT_TRUE(
        driveUntil({&listener}, [&] { return listener.network->counters().accepted == 20; }));
    EXPECT_EQ(listener.network->counters().halfOpen, 8u);
    EXPECT_EQ(listener.network->counters().tooMany, 12u);
    // An honest peer is told so too, with what to do.
    HostSide connector(optionsOf("connector"));
    const ConnectId id = connector.connect(address);
    ASSERT_TRUE(driveUntil({&listener, &connector},
                           [&] { return connector.refused.count(id) != 0; }));
    EXPECT_NE(connector.refused.at(id).message().find("takes no more connections"),
              std::string::npos)
        << connector.refused.at(id).toString();
    listener.now += 3 * kSecond;
    listener.poll();
    EXPECT_EQ(listener.network->counters().timedOut, 8u);
    EXPECT_EQ(listener.network->counters().halfOpen, 0u);
    for (const Descriptor& socket : sockets) EXPECT_TRUE(isClosed(socket));
    EXPECT_NE(connector.connect(address), 0u);
    ASSERT_TRUE(driveUntil({&listener, &connector},
                           [&] { return connector.connected.size() == 1; }));
}

TEST(HostNetwork, AListenerThatSaysNothingIsTimedOut) {
    const auto listening = listenOn({.host = "127.0.0.1", .port = 0});
    ASSERT_TRUE(listening.isOk());
    HostSide connector(optionsOf("connector"));
    const ConnectId id =
        connector.connect(boundAddressOf(listening.value().number()).value());
    for (int i = 0; i < 10; ++i) connector.poll();
    EXPECT_TRUE(connector.refused.empty());
    connector.now += 3 * kSecond;
    connector.poll();
    EXPECT_EQ(connector.refused.at(id).code(), StatusCode::TimedOut);
    EXPECT_EQ(connector.network->counters().timedOut, 1u);
}

TEST(HostNetwork, LinksAreBounded) {
    NetworkOptions options = optionsOf("listener");
    options.linksMax = 2;
    HostSide listener(options);
    HostSide connector(optionsOf("connector"));
    const Address address = listener.listen();
    for (size_t i = 0; i < 3; ++i) {
        connector.connect(address);
        ASSERT_TRUE(driveUntil({&listener, &connector}, [&] {
            return connector.connected.size() + connector.refused.size() == i + 1;
        }));
    }
    EXPECT_EQ(connector.refused.size(), 1u);
    const ConnectId id = listener.connect(address);
    listener.poll();
    EXPECT_NE(listener.refused.at(id).message().find("linksMax"), std::string::npos);
}

TEST(HostNetwork, StoppingToListenEndsSetUpsAndKeepsLinks) {
    HostSide listener(optionsOf("listener"));
    HostSide connector(optionsOf("connector"));
    auto id = listener.network->listen({}, 1);
    ASSERT_TRUE(id.isOk());
    const Address address = listener.network->boundAddress(id.value());
    connector.connect(address);
    ASSERT_TRUE(driveUntil({&listener, &connector}, [&] {
        return connector.connected.size() == 1 && listener.accepted.size() == 1;
    }));
    const Descriptor halfOpen = rawConnection(address);
    ASSERT_TRUE(
        driveUntil({&listener}, [&] { return listener.network->counters().halfOpen == 1; }));
    listener.network->stopListening(id.value());
    listener.poll();
    EXPECT_TRUE(isClosed(halfOpen));
    EXPECT_EQ(listener.network->counters().halfOpen, 0u);
    EXPECT_EQ(listener.accepted.at(0)->state(), LinkState::Open);
    const ConnectId late = connector.connect(address);
    ASSERT_TRUE(
        driveUntil({&listener, &connector}, [&] { return connector.refused.count(late) != 0; }));
}

TEST(HostNetwork, AKilledPeerIsLostBehindWhatItHadSent) {
    HostSide listener(optionsOf("listener"));
    const Address address = listener.listen();
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        HostSide connector(optionsOf("connector"));
        const ConnectId id = connector.connect(address);
        while (connector.connected.count(id) == 0) connector.poll();
        Link& link = *connector.connected.at(id);
        for (uint64_t position = 1; position <= 20; ++position) {
            link.offer({.position = position, .payload = {}});
        }
        link.flush();
        for (;;) ::pause();
    }
    MessageLog inbox;
    EXPECT_TRUE(driveUntil({&listener}, [&] {
        return !listener.accepted.empty() && listener.accepted[0]->poll(inbox, 1) == 1;
    }));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    EXPECT_TRUE(driveUntil({&listener}, [&] {
        listener.accepted[0]->poll(inbox, 1);
        return !listener.over.empty();
    }));
    EXPECT_EQ(inbox.messages.size(), 20u);
    EXPECT_EQ(listener.accepted[0]->state(), LinkState::Failed);
    EXPECT_EQ(listener.accepted[0]->failure().code(), StatusCode::PeerLost);
    EXPECT_NE(listener.accepted[0]->failure().message().find("connector"), std::string::npos);
}

// What epoll reports of a connection is about its open description, which lives as long as anybody has a copy: a
// process that has just forked has one of everything. A link that was dropped meanwhile is nobody's.
TEST(HostNetwork, AReportOfADroppedLinkThatAChildStillHoldsIsNobodys) {
    HostPair pair;
    ASSERT_NE(pair.atConnector, nullptr);
    const pid_t child = ::fork();
    if (child == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        ::pause();
        ::_exit(0);
    }
    ASSERT_GT(child, 0);
    pair.connector.network->drop(*pair.atConnector);
    // The listener does not know it yet, and what it says arrives at the child's copy of the socket.
    const std::vector<std::byte> word(8);
    EXPECT_EQ(pair.atListener->offer({.payload = word}), Answer::Accepted);
    pair.atListener->flush();
    pair.listener.poll();
    for (int i = 0; i < 100; ++i) {
        pair.connector.poll();
        pair.connector.network->wait(100'000);
    }
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    EXPECT_EQ(pair.connector.network->counters().links, 0u);
    // And goes on.
    const Address address = pair.listener.listen();
    const ConnectId id = pair.connector.connect(address);
    EXPECT_TRUE(pair.drive([&] { return pair.connector.connected.count(id) != 0; }));
}

TEST(HostNetwork, AnEndIsReportedEvenIfNobodyPollsTheLink) {
    HostPair pair;
    pair.connector.network.reset();
    ASSERT_TRUE(driveUntil({&pair.listener}, [&] { return !pair.listener.over.empty(); }));
    EXPECT_EQ(pair.atListener->failure().code(), StatusCode::PeerLost);
}

TEST(HostNetwork, ALinkMayBeDroppedWhereItsEndIsReported) {
    HostPair pair;
    pair.listener.whenOver = [&](Link& link) { pair.listener.network->drop(link); };
    pair.atConnector->close();
    MessageLog inbox;
    ASSERT_TRUE(pair.drive([&] {
        if (pair.listener.over.empty()) pair.atListener->poll(inbox, 1);
        return !pair.listener.over.empty() && !pair.connector.over.empty();
    }));
    pair.listener.poll();
    EXPECT_EQ(pair.listener.network->counters().links, 0u);
}

TEST(HostNetwork, AWakeOfAnotherThreadEndsAWait) {
    HostSide side(optionsOf("one"));
    for (int i = 0; i < 20; ++i) {
        std::atomic<bool> done{false};
        std::thread waking([&] {
            done = true;
            side.network->wake();
        });
        // The wake may come first: it is remembered, also by a poll in between.
        if (i % 2 == 0) side.poll();
        side.network->wait(3600 * kSecond);
        EXPECT_TRUE(done);
        waking.join();
    }
}

TEST(HostNetwork, AWakeThatAPollSawIsNotLost) {
    HostSide side(optionsOf("one"));
    side.network->wake();
    side.poll();
    side.network->wait(3600 * kSecond);
    SUCCEED();
}

TEST(HostNetwork, TrafficEndsAWait) {
    HostPair pair;
    MessageLog inbox;
    // Everything that the set-up left behind is seen to.
    for (int i = 0; i < 3; ++i) {
        pair.listener.poll();
        pair.atListener->poll(inbox, 10);
    }
    std::thread sending([&] {
        pair.atConnector->offer({.position = 7, .payload = {}});
        pair.atConnector->flush();
    });
    while (inbox.messages.empty()) {
        pair.listener.network->wait(3600 * kSecond);
        pair.listener.poll();
        pair.atListener->poll(inbox, 10);
    }
    sending.join();
    EXPECT_EQ(inbox.messages.at(0).position, 7u);
}

TEST(HostNetwork, WhatALimitLeftEndsAWaitAtOnce) {
    HostPair pair;
    for (uint64_t position = 1; position <= 3; ++position) {
        ASSERT_EQ(pair.atConnector->offer({.position = position, .payload = {}}),
                  Answer::Accepted);
    }
    pair.atConnector->flush();
    MessageLog inbox;
    while (inbox.messages.size() < 3) {
        pair.listener.network->wait(3600 * kSecond);
        pair.listener.poll();
        pair.atListener->poll(inbox, 1);
    }
    SUCCEED();
}

TEST(HostNetwork, WithoutTrafficAWaitSleeps) {
    HostPair pair;
    MessageLog inbox;
    for (int i = 0; i < 3; ++i) {
        pair.listener.poll();
        pair.atListener->poll(inbox, 10);
    }
    // Each of them is over by its time alone; the sum would be less if one returned early.
    const Nanoseconds from = clockNow();
    for (int i = 0; i < 5; ++i) {
        pair.listener.network->wait(20'000'000);
        pair.listener.poll();
        pair.atListener->poll(inbox, 10);
    }
    EXPECT_GE(clockNow() - from, 100'000'000u);
}

class HostNetworkTls : public testing::Test {
protected:
    static void SetUpTestSuite() { certificates_ = new Certificates(); }
    static void TearDownTestSuite() { delete certificates_; }
    void SetUp() override {
        if (!certificates_->complete()) {
            GTEST_SKIP() << "no openssl program (3.0 or later) that makes certificates";
        }
    }
    static NetworkOptions secured(const std::string& who) {
        NetworkOptions options = optionsOf(who);
        options.tls = certificates_->options(who);
        return options;
    }
    static Certificates* certificates_;
};
Certificates* HostNetworkTls::certificates_ = nullptr;

TEST_F(HostNetworkTls, CarriesFramesBothWaysAndClosesCleanly) {
    NetworkOptions listening = secured("node");
    NetworkOptions connecting = secured("other");
    listening.key = connecting.key = keyBytes('k');
    HostPair pair(listening, connecting);
    ASSERT_NE(pair.atListener, nullptr);
    EXPECT_TRUE(pair.atListener->info().encrypted && pair.atConnector->info().encrypted);
    MessageLog atListener;
    MessageLog atConnector;
    const std::vector<std::byte> payload(1000, std::byte{0x5a});
    uint64_t sent = 0;
    ASSERT_TRUE(pair.drive([&] {
        for (int i = 0; i < 10 && sent < 2000; ++i) {
            if (pair.atConnector->offer({.position = sent + 1, .payload = payload}) !=
                Answer::Accepted) {
                break;
            }
            ++sent;
        }
        pair.atConnector->flush();
        const size_t before = atListener.messages.size();
        pair.atListener->poll(atListener, 7);
        // Echoed as far as there is room; what is not is counted below.
        for (size_t i = before; i < atListener.messages.size(); ++i) {
            pair.atListener->offer({.position = atListener.messages[i].position, .payload = {}});
        }
        pair.atListener->flush();
        pair.atConnector->poll(atConnector, 100);
        return atListener.messages.size() == 2000;
    }));
    for (size_t i = 0; i < 2000; ++i) {
        ASSERT_EQ(atListener.messages[i].position, i + 1);
        ASSERT_EQ(atListener.messages[i].payload, payload);
    }
    pair.atConnector->close();
    ASSERT_TRUE(pair.drive([&] {
        pair.atListener->poll(atListener, 7);
        pair.atConnector->poll(atConnector, 100);
        return !pair.listener.over.empty() && !pair.connector.over.empty();
    }));
    EXPECT_EQ(pair.atListener->state(), LinkState::Closed);
    EXPECT_EQ(pair.atConnector->state(), LinkState::Closed);
    EXPECT_EQ(atConnector.messages.size(), pair.atListener->counters().framesSent);
}

TEST_F(HostNetworkTls, PushesBackAndRecovers) {
    HostPair pair(secured("node"), secured("other"));
    const std::vector<std::byte> payload(1000, std::byte{0x5a});
    uint64_t accepted = 0;
    while (pair.atConnector->counters().backPressured < 100) {
        if (pair.atConnector->offer({.position = accepted + 1, .payload = payload}) ==
            Answer::Accepted) {
            ++accepted;
        }
        pair.connector.poll();
    }
    MessageLog inbox;
    ASSERT_TRUE(pair.drive([&] {
        pair.atListener->poll(inbox, 100);
        return inbox.messages.size() == accepted;
    }));
    for (size_t i = 0; i < accepted; ++i) ASSERT_EQ(inbox.messages[i].position, i + 1);
}

TEST_F(HostNetworkTls, AStrangersCertificateIsRefused) {
    HostSide listener(secured("node"));
    NetworkOptions stranger = optionsOf("stranger");
    stranger.tls = certificates_->options("stranger");
    HostSide connector(stranger);
    EXPECT_EQ(refusalBetween(listener, connector).code(), StatusCode::AuthenticationFailed);
    EXPECT_EQ(listener.network->counters().established, 0u);
}

TEST_F(HostNetworkTls, OneSideWithoutTlsIsRefused) {
    HostSide listener(secured("node"));
    HostSide connector(optionsOf("other"));
    EXPECT_FALSE(refusalBetween(listener, connector).isOk());
    HostSide openListener(optionsOf("node"));
    HostSide securedConnector(secured("other"));
    EXPECT_FALSE(refusalBetween(openListener, securedConnector).isOk());
}

}  // namespace
}  // namespace verbex::transport
