#include "transport/sockets/tcp_link.h"

#include <gtest/gtest.h>
#include <random>
#include <sys/socket.h>
#include <unistd.h>

#include "host_network_fixture.h"

namespace verbex::transport {
namespace {

std::vector<std::byte> payloadOf(uint64_t number, size_t size) {
    std::vector<std::byte> payload(size);
    std::mt19937_64 random(number);
    for (std::byte& byte : payload) byte = static_cast<std::byte>(random());
    return payload;
}

// Every message says by its position how long it is and what is in it.
size_t sizeOf(uint64_t position, size_t most) {
    return std::mt19937_64(position * 77)() % (most + 1);
}

Answer offerNumbered(Link& link, uint64_t position) {
    const auto payload = payloadOf(position, sizeOf(position, link.info().payloadMax));
    return link.offer({.stream = static_cast<uint16_t>(position % 5),
                       .kind = static_cast<uint8_t>(position % 250),
                       .flags = static_cast<uint8_t>(position % 64),
                       .position = position,
                       .payload = payload});
}

// Counts what comes, and holds each message against what it must be.
struct NumberedReceiver final : Receiver {
    uint64_t next = 1;
    size_t most;
    explicit NumberedReceiver(size_t most) : most(most) {}
    void onMessage(const Message& m) override {
        ASSERT_EQ(m.position, next);
        ASSERT_EQ(m.stream, next % 5);
        ASSERT_EQ(m.kind, next % 250);
        ASSERT_EQ(m.flags, next % 64);
        const auto expected = payloadOf(next, sizeOf(next, most));
        ASSERT_TRUE(std::equal(m.payload.begin(), m.payload.end(), expected.begin(),
                               expected.end()));
        ++next;
    }
};

void exchangeBothWays(const NetworkOptions& options, uint64_t count) {
    HostPair pair(options);
    ASSERT_NE(pair.atConnector, nullptr);
    const size_t most = pair.atConnector->info().payloadMax;
    NumberedReceiver atListener(most);
    NumberedReceiver atConnector(most);
    uint64_t toListener = 1;
    uint64_t toConnector = 1;
    std::mt19937_64 random(1);
    ASSERT_TRUE(pair.drive([&] {
        for (int i = 0; i < 20 && toListener <= count; ++i) {
            if (offerNumbered(*pair.atConnector, toListener) != Answer::Accepted) break;
            ++toListener;
        }
        for (int i = 0; i < 20 && toConnector <= count; ++i) {
            if (offerNumbered(*pair.atListener, toConnector) != Answer::Accepted) break;
            ++toConnector;
        }
        pair.atConnector->flush();
        pair.atListener->flush();
        pair.atListener->poll(atListener, random() % 30);
        pair.atConnector->poll(atConnector, random() % 30);
        return atListener.next > count && atConnector.next > count;
    }));
    EXPECT_EQ(pair.atListener->counters().framesReceived, count);
    EXPECT_EQ(pair.atConnector->counters().framesSent, count);
    EXPECT_EQ(pair.atListener->state(), LinkState::Open);
}

TEST(TcpLink, CarriesRandomSizesBothWaysThroughTinyRings) {
    exchangeBothWays(optionsOf("one"), 3000);
}

TEST(TcpLink, CarriesThemUnderAMac) {
    NetworkOptions options = optionsOf("one");
    options.key = keyBytes('k');
    exchangeBothWays(options, 1000);
}

TEST(TcpLink, CarriesThemWithoutAskingEpoll) {
    NetworkOptions options = optionsOf("one");
    options.spin = true;
    exchangeBothWays(options, 1000);
}


TEST(TcpLink, SaysWhatItIs) {
    NetworkOptions options = optionsOf("one");
    options.key = keyBytes('k');
    NetworkOptions other = optionsOf("two");
    other.key = keyBytes('k');
    other.ringBytes = 8192;
    other.payloadMax = 2048;
    const HostPair pair(options, other);
    const LinkInfo& info = pair.atListener->info();
    EXPECT_EQ(info.transport, TransportKind::Tcp);
    EXPECT_EQ(info.epoch, 1u);
    EXPECT_EQ(info.ringBytes, 4096u);
    EXPECT_EQ(info.payloadMax, 1024u);
    EXPECT_TRUE(info.authenticated && info.mac && !info.encrypted);
    EXPECT_EQ(info.peer, "two");
    EXPECT_EQ(info.service, "orders");
    EXPECT_EQ(info.reason,
              "tcp: the listening side offers no shm, the listening side offers no verbs");
    EXPECT_EQ(pair.atConnector->info().peer, "one");
}

TEST(TcpLink, RefusesWhatIsTooLargeAndGoesOn) {
    HostPair pair;
    const std::vector<std::byte> payload(1025);
    EXPECT_EQ(pair.atConnector->offer({.payload = payload}), Answer::TooLarge);
    EXPECT_EQ(pair.atConnector->offer({.payload = std::span(payload).first(1024)}),
              Answer::Accepted);
    pair.atConnector->flush();
    MessageLog inbox;
    ASSERT_TRUE(pair.drive([&] { return pair.atListener->poll(inbox, 10) == 1; }));
    EXPECT_EQ(inbox.messages.at(0).payload.size(), 1024u);
}

TEST(TcpLink, PushesBackWhileNobodyReadsAndRecovers) {
    HostPair pair;
    uint64_t accepted = 0;
    // The kernel's buffers are bounded too.
    while (pair.atConnector->counters().backPressured < 1000) {
        if (offerNumbered(*pair.atConnector, accepted + 1) == Answer::Accepted) ++accepted;
        pair.connector.poll();
        ASSERT_LT(accepted, 1'000'000u);
    }
    EXPECT_GT(pair.atConnector->unconsumed(), 0u);
    EXPECT_LE(pair.atConnector->unconsumed(), 4096u);
    NumberedReceiver inbox(pair.atListener->info().payloadMax);
    ASSERT_TRUE(pair.drive([&] {
        pair.atListener->poll(inbox, 100);
        return inbox.next > accepted;
    }));
    EXPECT_EQ(pair.atConnector->unconsumed(), 0u);
    ASSERT_EQ(offerNumbered(*pair.atConnector, accepted + 1), Answer::Accepted);
    pair.atConnector->flush();
    ASSERT_TRUE(pair.drive([&] {
        pair.atListener->poll(inbox, 100);
        return inbox.next == accepted + 2;
    }));
}

TEST(TcpLink, DeliversAllBeforeACleanClose) {
    HostPair pair;
    NumberedReceiver inbox(pair.atListener->info().payloadMax);
    uint64_t accepted = 0;
    while (offerNumbered(*pair.atConnector, accepted + 1) == Answer::Accepted) ++accepted;
    pair.atConnector->close();
    EXPECT_EQ(pair.atConnector->offer({}), Answer::Closed);
    ASSERT_TRUE(pair.drive([&] {
        pair.atListener->poll(inbox, 3);
        return !pair.listener.over.empty() && !pair.connector.over.empty();
    }));
    EXPECT_EQ(inbox.next, accepted + 1);
    EXPECT_EQ(pair.atListener->state(), LinkState::Closed);
    EXPECT_EQ(pair.atConnector->state(), LinkState::Closed);
    EXPECT_EQ(pair.atListener->offer({}), Answer::Closed);
    EXPECT_EQ(pair.atListener->poll(inbox, 10), 0u);
    pair.listener.network->drop(*pair.atListener);
    pair.connector.network->drop(*pair.atConnector);
    pair.listener.poll();
    EXPECT_EQ(pair.listener.network->counters().links, 0u);
    EXPECT_EQ(pair.listener.over.size(), 1u);
}

// What the peer still sends is thrown away, and does not cost it what was sent to it before.
TEST(TcpLink, ClosesWhileThePeerSends) {
    for (int round = 0; round < 20; ++round) {
        HostPair pair;
        NumberedReceiver atListener(pair.atListener->info().payloadMax);
        uint64_t accepted = 0;
        uint64_t back = 0;
        ASSERT_TRUE(pair.drive([&] {
            for (int i = 0; i < 10; ++i) {
                if (offerNumbered(*pair.atListener, back + 1) == Answer::Accepted) ++back;
                if (offerNumbered(*pair.atConnector, accepted + 1) == Answer::Accepted) ++accepted;
            }
            pair.atListener->flush();
            pair.atConnector->flush();
            if (accepted > 50) pair.atConnector->close();
            pair.atListener->poll(atListener, 3);
            return !pair.listener.over.empty() && !pair.connector.over.empty();
        }));
        EXPECT_EQ(atListener.next, accepted + 1);
        EXPECT_EQ(pair.atListener->state(), LinkState::Closed);
        EXPECT_EQ(pair.atConnector->state(), LinkState::Closed);
    }
}

TEST(TcpLink, BothMayCloseAtOnce) {
    HostPair pair;
    pair.atListener->close();
    pair.atConnector->close();
    ASSERT_TRUE(pair.drive(
        [&] { return !pair.listener.over.empty() && !pair.connector.over.empty(); }));
    EXPECT_EQ(pair.atListener->state(), LinkState::Closed);
    EXPECT_EQ(pair.atConnector->state(), LinkState::Closed);
}

TEST(TcpLink, ClosingIsBoundedWhereThePeerReadsNothing) {
    HostPair pair;
    while (pair.atConnector->counters().backPressured < 10) {
        offerNumbered(*pair.atConnector, 1);
        pair.atConnector->flush();
    }
    pair.atConnector->close();
    pair.connector.poll();
    EXPECT_EQ(pair.atConnector->state(), LinkState::Closing);
    pair.connector.now += 2'000'000'000;
    pair.connector.poll();
    EXPECT_EQ(pair.atConnector->state(), LinkState::Closed);
    EXPECT_EQ(pair.connector.over.size(), 1u);
}

TEST(TcpLink, AReceiverMayCloseOrFenceWhileItIsCalled) {
    struct Fencing final : Receiver {
        Link* link = nullptr;
        MessageLog rest;
        size_t before = 0;
        void onMessage(const Message& m) override {
            const std::vector<std::byte> copy(m.payload.begin(), m.payload.end());
            ++before;
            link->fence(rest);
            // What is being looked at stays where it is.
            EXPECT_TRUE(std::equal(m.payload.begin(), m.payload.end(), copy.begin()));
        }
    };
    HostPair pair;
    uint64_t accepted = 0;
    while (accepted < 200) {
        if (offerNumbered(*pair.atConnector, accepted + 1) == Answer::Accepted) ++accepted;
        pair.atConnector->flush();
    }
    Fencing receiver;
    receiver.link = pair.atListener;
    ASSERT_TRUE(pair.drive([&] { return pair.atListener->poll(receiver, 1000) > 0; }));
    EXPECT_EQ(receiver.before, 1u);
    EXPECT_EQ(pair.atListener->state(), LinkState::Fenced);
    ASSERT_GT(receiver.rest.messages.size(), 0u);
    for (size_t i = 0; i < receiver.rest.messages.size(); ++i) {
        const LoggedMessage& got = receiver.rest.messages[i];
        EXPECT_EQ(got.position, i + 2);
        EXPECT_EQ(got.payload, payloadOf(i + 2, sizeOf(i + 2, 1024)));
    }
}

// A peer that is through with its set-up and then writes what it likes.
class TcpLinkAttack : public testing::Test {
protected:
    TcpLinkAttack() {
        session_.epoch = 1;
        session_.ringBytes = 4096;
        session_.payloadMax = 1024;
        session_.peerName = "mallory";
        session_.sendSalt = 11;
        session_.receiveSalt = 12;
    }
    void SetUp() override {
        ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sockets_), 0);
        stream_ = std::make_unique<ByteStream>(Descriptor(sockets_[0]), nullptr);
        link_ = std::make_unique<TcpLink>(optionsOf("one"), session_, *stream_);
        ASSERT_TRUE(link_->prepare({}).isOk());
        ASSERT_TRUE(link_->establish({}).isOk());
    }
    void TearDown() override { ::close(sockets_[1]); }

    std::vector<std::byte> frame(uint64_t sequence, size_t size, uint32_t epoch = 1) const {
        FrameSeal seal{.epoch = epoch, .salt = session_.receiveSalt, .mac = {}};
        if (session_.mac) seal.mac.emplace(session_.receiveKey);
        std::vector<std::byte> bytes(seal.overhead() + size);
        const auto payload = payloadOf(sequence, size);
        const uint32_t whole =
            sealFrame(bytes.data(), {.position = sequence, .payload = payload}, sequence, seal);
        std::memcpy(bytes.data(), &whole, sizeof whole);
        return bytes;
    }
    void write(std::span<const std::byte> bytes) {
        ASSERT_EQ(::send(sockets_[1], bytes.data(), bytes.size(), MSG_NOSIGNAL),
                  static_cast<ssize_t>(bytes.size()));
        link_->onEvents(true, false, false);
    }
    void expectFailure(StatusCode code) {
        MessageLog inbox;
        link_->poll(inbox, 100);
        EXPECT_EQ(inbox.messages.size(), 0u);
        EXPECT_EQ(link_->state(), LinkState::Failed);
        EXPECT_EQ(link_->failure().code(), code) << link_->failure().toString();
        EXPECT_EQ(link_->offer({}), Answer::Closed);
        char byte;
        EXPECT_EQ(::recv(sockets_[1], &byte, 1, 0), 0) << "the peer is left hanging";
    }

    Session session_;
    int sockets_[2] = {-1, -1};
    std::unique_ptr<ByteStream> stream_;
    std::unique_ptr<TcpLink> link_;
};

TEST_F(TcpLinkAttack, FramesMayArriveByteByByte) {
    MessageLog inbox;
    for (const std::byte byte : frame(1, 100)) {
        EXPECT_EQ(link_->poll(inbox, 10), 0u);
        write(std::span(&byte, 1));
    }
    EXPECT_EQ(link_->poll(inbox, 10), 1u);
    EXPECT_EQ(inbox.messages.at(0).payload, payloadOf(1, 100));
}

TEST_F(TcpLinkAttack, EveryFlippedBitIsFound) {
    const auto whole = frame(1, 40);
    for (size_t bit = 0; bit < whole.size() * 8; ++bit) {
        if (bit > 0) {
            TearDown();
            SetUp();
        }
        auto bytes = whole;
        bytes[bit / 8] ^= static_cast<std::byte>(1u << (bit % 8));
        write(bytes);
        MessageLog inbox;
        EXPECT_EQ(link_->poll(inbox, 10), 0u) << bit;
        // A larger size only means that more is to come; then nothing comes.
        EXPECT_TRUE(link_->isOver() || bit < 32);
    }
}

TEST_F(TcpLinkAttack, AnOversizedFrameIsRefusedOnItsFirstFourBytes) {
    const uint32_t size = 1024 + kFrameHeaderBytes + 1;
    write(std::as_bytes(std::span(&size, 1)));
    expectFailure(StatusCode::ProtocolViolation);
    EXPECT_EQ(link_->counters().oversized, 1u);
}

TEST_F(TcpLinkAttack, AFrameSmallerThanItsHeaderIsRefused) {
    const uint32_t size = 31;
    write(std::as_bytes(std::span(&size, 1)));
    expectFailure(StatusCode::ProtocolViolation);
}

TEST_F(TcpLinkAttack, AReplayedFrameIsRefused) {
    MessageLog inbox;
    write(frame(1, 10));
    EXPECT_EQ(link_->poll(inbox, 10), 1u);
    write(frame(1, 10));
    expectFailure(StatusCode::ProtocolViolation);
    EXPECT_EQ(link_->counters().replayed, 1u);
}

TEST_F(TcpLinkAttack, AnotherEpochIsRefused) {
    write(frame(1, 10, 2));
    expectFailure(StatusCode::StaleEpoch);
    EXPECT_EQ(link_->counters().staleEpoch, 1u);
}

TEST_F(TcpLinkAttack, WithoutTheKeyNothingPasses) {
    const auto forged = frame(1, 10);
    TearDown();
    session_.mac = true;
    session_.receiveKey.fill(std::byte{7});
    SetUp();
    write(forged);
    expectFailure(StatusCode::ProtocolViolation);  // too small for one with a MAC
    TearDown();
    SetUp();
    auto changed = frame(1, 100);
    changed[60] ^= std::byte{1};
    const uint32_t checksum = frameChecksum(changed.data(), changed.size(), session_.receiveSalt);
    std::memcpy(changed.data() + offsetof(FrameHeader, checksum), &checksum, sizeof checksum);
    write(changed);
    expectFailure(StatusCode::AuthenticationFailed);
    EXPECT_EQ(link_->counters().badMac, 1u);
}

TEST_F(TcpLinkAttack, AnEndWithoutAGoodbyeIsALossBehindWhatWasWhole) {
    write(frame(1, 10));
    const auto half = frame(2, 100);
    write(std::span(half).first(70));
    ::shutdown(sockets_[1], SHUT_WR);
    link_->onEvents(true, false, true);
    MessageLog inbox;
    EXPECT_EQ(link_->poll(inbox, 1), 1u);
    EXPECT_FALSE(link_->isOver());
    EXPECT_EQ(link_->poll(inbox, 1), 0u);
    EXPECT_EQ(link_->failure().code(), StatusCode::PeerLost);
    EXPECT_EQ(inbox.messages.size(), 1u);
}

// While what had arrived is delivered the peer is cut off already.
TEST_F(TcpLinkAttack, AFenceCutsBeforeItDelivers) {
    struct Writing final : Receiver {
        int socket = -1;
        size_t delivered = 0;
        std::vector<std::byte> late;
        void onMessage(const Message&) override {
            ++delivered;
            EXPECT_LT(::send(socket, late.data(), late.size(), MSG_NOSIGNAL), 0);
        }
    };
    write(frame(1, 10));
    Writing receiver;
    receiver.socket = sockets_[1];
    receiver.late = frame(2, 10);
    link_->fence(receiver);
    EXPECT_EQ(receiver.delivered, 1u);
    EXPECT_EQ(link_->state(), LinkState::Fenced);
}

TEST_F(TcpLinkAttack, WhatComesBehindAGoodbyeIsNotDelivered) {
    // The goodbye of another link with the same seals.
    Session mirrored = session_;
    std::swap(mirrored.sendSalt, mirrored.receiveSalt);
    int other[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, other), 0);
    ByteStream stream(Descriptor(other[0]), nullptr);
    TcpLink closing(optionsOf("two"), mirrored, stream);
    ASSERT_TRUE(closing.prepare({}).isOk());
    closing.close();
    std::byte goodbye[64];
    const ssize_t size = ::recv(other[1], goodbye, sizeof goodbye, 0);
    ::close(other[1]);
    ASSERT_EQ(size, 32);
    write(std::span(goodbye).first(32));
    write(frame(2, 10));
    MessageLog inbox;
    EXPECT_EQ(link_->poll(inbox, 10), 0u);
    EXPECT_EQ(link_->state(), LinkState::Closed);
    EXPECT_EQ(link_->poll(inbox, 10), 0u);
}

}  // namespace
}  // namespace verbex::transport
