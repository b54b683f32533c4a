// A peer that speaks the transport's language and not the bus's.
#include <random>

#include "bus/message_kinds.h"
#include "bus_fixture.h"

namespace verbex::bus {
namespace {

using transport::Message;

TEST(MessageKindsTest, WhatWasEncodedIsDecoded) {
    ControlBuffer buffer;
    const std::string name(64, 'n');
    const SubscribeRequest request{From::Position, 77, 4096, name};
    const auto decoded = decodeSubscribe(77, encodeSubscribe(request, buffer));
    ASSERT_TRUE(decoded);
    EXPECT_EQ(decoded->from, From::Position);
    EXPECT_EQ(decoded->position, 77u);
    EXPECT_EQ(decoded->window, 4096u);
    EXPECT_EQ(decoded->stream, name);
    const std::string text(300, 't');
    const auto refusal =
        decodeRefused(5, encodeRefused({StatusCode::PositionLost, 5, text}, buffer));
    ASSERT_TRUE(refusal);
    EXPECT_EQ(refusal->code, StatusCode::PositionLost);
    EXPECT_EQ(refusal->oldest, 5u);
    EXPECT_EQ(refusal->text, text.substr(0, kReasonMax));
}

TEST(MessageKindsTest, EveryFieldIsChecked) {
    ControlBuffer buffer;
    const auto good = [&] {
        const auto bytes = encodeSubscribe({From::Next, 0, 4096, "abc"}, buffer);
        return std::vector<std::byte>(bytes.begin(), bytes.end());
    };
    const auto broken = [&](size_t at, uint8_t value) {
        auto bytes = good();
        bytes[at] = std::byte{value};
        return bytes;
    };
    EXPECT_TRUE(decodeSubscribe(0, good()));
    EXPECT_FALSE(decodeSubscribe(1, good()));           // a position that is not asked for
    EXPECT_FALSE(decodeSubscribe(0, broken(0, 3)));     // from
    EXPECT_FALSE(decodeSubscribe(0, broken(1, 2)));     // shorter than what is there
    EXPECT_FALSE(decodeSubscribe(0, broken(1, 4)));     // longer
    EXPECT_FALSE(decodeSubscribe(0, broken(2, 1)));     // reserved
    EXPECT_FALSE(decodeSubscribe(0, broken(9, 0x1f)));  // not printable
    for (size_t size = 0; size < good().size(); ++size) {
        auto bytes = good();
        bytes.resize(size);
        EXPECT_FALSE(decodeSubscribe(0, bytes)) << size;
    }
    EXPECT_FALSE(decodeSubscribe(0, encodeSubscribe({From::Next, 0, 0, "abc"}, buffer)));
    EXPECT_FALSE(decodeSubscribed(1, bytesOf(SubscribedBody{0, 0})));
    EXPECT_FALSE(decodeSubscribed(1, bytesOf(SubscribedBody{1024, 1024})));
    EXPECT_FALSE(decodeSubscribed(kPositionMax + 1, bytesOf(SubscribedBody{1024, 100})));
    EXPECT_TRUE(decodeSubscribed(1, bytesOf(SubscribedBody{1024, 100})));
    EXPECT_FALSE(decodeRefused(0, bytesOf(RefusedBody{0, 0, 0})));
    EXPECT_FALSE(decodeRefused(0, bytesOf(RefusedBody{255, 0, 0})));
    EXPECT_FALSE(decodeRefused(0, bytesOf(RefusedBody{4, 1, 0})));
    EXPECT_FALSE(decodeBody<HeartbeatBody>(std::vector<std::byte>(7)));
    EXPECT_FALSE(decodeBody<HeartbeatBody>(std::vector<std::byte>(9)));
}

transport::NetworkOptions named(const std::string& node) {
    transport::NetworkOptions options;
    options.node = node;
    return options;
}

// Speaks over a bare link, as the connecting side.
class Stranger final : public transport::NetworkEvents, public transport::Receiver {
public:
    Stranger(transport::MemoryHub& hub, const Address& address, Nanoseconds now)
        : network_(hub, named("stranger")) {
        network_.connect(address, "bus", 1, now);
    }
    transport::Link* link = nullptr;
    std::vector<Message> heard;
    bool over = false;

    void step(Nanoseconds now) {
        network_.poll(now, *this);
        if (link != nullptr) link->poll(*this, 1000);
    }
    bool say(MessageKind kind, uint16_t stream, Position position,
             std::span<const std::byte> body) {
        if (link == nullptr) return false;
        const bool said = link->offer({stream, static_cast<uint8_t>(kind), 0, position, body}) ==
                          transport::Answer::Accepted;
        link->flush();
        return said;
    }

private:
    void onAccepted(transport::ListenId, transport::Link&) override {}
    void onConnected(transport::ConnectId, transport::Link& made) override { link = &made; }
    void onRefused(transport::ConnectId, const Status& why) override { FAIL() << why.toString(); }
    void onOver(transport::Link& gone) override {
        network_.drop(gone);
        link = nullptr;
        over = true;
    }
    void onMessage(const Message& message) override {
        heard.push_back({message.stream, message.kind, message.flags, message.position, {}});
    }

    transport::MemoryNetwork network_;
};

class StrangerTest : public testing::Test {
protected:
    transport::MemoryHub hub;
    transport::MemoryNetwork network{hub, named("here")};
    std::unique_ptr<Bus> bus = Bus::make(network, {});
    Address address = bus->listen({"127.0.0.1", 0}).value();
    Publication* publication =
        bus->publish({.stream = "s", .historyBytes = 1u << 14, .payloadMax = 256, .retain = true})
            .value();
    Nanoseconds now = kMillisecond;

    std::unique_ptr<Stranger> meet() {
        auto stranger = std::make_unique<Stranger>(hub, address, now);
        for (int i = 0; i < 3; ++i) step(*stranger);
        EXPECT_NE(stranger->link, nullptr);
        return stranger;
    }
    void step(Stranger& stranger) {
        now += 100'000;
        stranger.step(now);
        bus->poll(now);
    }
    // Whether the bus ended the link over it.
    bool ends(MessageKind kind, uint16_t stream, Position position, std::span<const std::byte> body,
              bool subscribed = false) {
        auto stranger = meet();
        if (subscribed) {
            ControlBuffer buffer;
            stranger->say(MessageKind::Subscribe, 1, 0,
                          encodeSubscribe({From::Next, 0, 8192, "s"}, buffer));
            step(*stranger);
        }
        const uint64_t before = bus->counters().malformed;
        stranger->say(kind, stream, position, body);
        for (int i = 0; i < 3; ++i) step(*stranger);
        EXPECT_EQ(bus->counters().malformed - before, stranger->over ? 1u : 0u);
        return stranger->over;
    }
};

TEST_F(StrangerTest, WhatMakesNoSenseEndsTheLinkAndIsCounted) {
    const std::vector<std::byte> three(3);
    const ConsumedBody beyond{1};
    const ConsumedBody nothing{0};
    EXPECT_TRUE(ends(static_cast<MessageKind>(99), 0, 0, {}));
    EXPECT_TRUE(ends(MessageKind::Subscribe, 1, 0, three));
    ControlBuffer buffer;
    const auto ask = encodeSubscribe({From::Next, 0, 8192, "s"}, buffer);
    EXPECT_TRUE(ends(MessageKind::Subscribe, 0, 0, ask));
    EXPECT_TRUE(ends(MessageKind::Heartbeat, 0, 0, three));
    EXPECT_TRUE(ends(MessageKind::Heartbeat, 1, 0, bytesOf(HeartbeatBody{1})));
    EXPECT_TRUE(ends(MessageKind::Unsubscribe, 1, 0, three));
    EXPECT_TRUE(ends(MessageKind::Consumed, 1, 0, three));
    EXPECT_TRUE(ends(MessageKind::Consumed, 1, 0, bytesOf(beyond), true));   // never sent
    EXPECT_TRUE(ends(MessageKind::Consumed, 1, 1, bytesOf(nothing), true));  // likewise
}

TEST_F(StrangerTest, WhatMayBeLateIsNoFault) {
    EXPECT_FALSE(ends(MessageKind::Heartbeat, 0, 0, bytesOf(HeartbeatBody{1})));
    EXPECT_FALSE(ends(MessageKind::Echo, 0, 0, bytesOf(HeartbeatBody{12345})));
    EXPECT_FALSE(ends(MessageKind::Consumed, 9, 0, bytesOf(ConsumedBody{0})));
    EXPECT_FALSE(ends(MessageKind::Unsubscribe, 9, 0, {}));
    EXPECT_FALSE(ends(MessageKind::Data, 9, 1, {}));
    EXPECT_FALSE(ends(MessageKind::Ended, 9, 1, {}));
}

TEST_F(StrangerTest, ASubscriberThatConsumesNothingCostsAWindowAtMost) {
    auto stranger = meet();
    ControlBuffer buffer;
    stranger->say(MessageKind::Subscribe, 1, 0,
                  encodeSubscribe({From::Next, 0, 0xffffffff, "s"}, buffer));
    step(*stranger);
    const std::vector<std::byte> payload(100);
    uint64_t accepted = 0;
    for (int i = 0; i < 10'000; ++i) {
        if (publication->offer(payload) > 0) ++accepted;
        if (i % 100 == 0) step(*stranger);
    }
    EXPECT_LE(accepted * costOf(100), (1u << 14) / 2);
    EXPECT_GT(accepted, 50u);
}

TEST_F(StrangerTest, APeerHoldsABoundedNumberOfCursors) {
    auto stranger = meet();
    for (uint32_t handle = 1; handle <= 1100; ++handle) {
        ControlBuffer buffer;
        while (!stranger->say(MessageKind::Subscribe, static_cast<uint16_t>(handle), 0,
                              encodeSubscribe({From::Next, 0, 8192, "s"}, buffer))) {
            step(*stranger);
        }
    }
    for (int i = 0; i < 20; ++i) step(*stranger);
    EXPECT_EQ(publication->subscribers(), 1024u);
    uint64_t refused = 0;
    for (const Message& message : stranger->heard) {
        if (message.kind == static_cast<uint8_t>(MessageKind::Refused)) ++refused;
    }
    EXPECT_EQ(refused, 1100u - 1024u);
}

TEST_F(StrangerTest, RandomMessagesNeverDoMoreThanEndTheLink) {
    std::mt19937_64 random(7);
    const MessageKind kinds[] = {
        MessageKind::Data,     MessageKind::Subscribed,   MessageKind::Refused,
        MessageKind::Sent,     MessageKind::CutOff,       MessageKind::Ended,
        MessageKind::Unknown,  MessageKind::Unsubscribed, MessageKind::Subscribe,
        MessageKind::Consumed, MessageKind::Unsubscribe,  MessageKind::Heartbeat,
        MessageKind::Echo,
    };
    Checker checker("s", 100);
    for (int link = 0; link < 300; ++link) {
        auto stranger = meet();
        // A subscription at the stranger, so that the publisher's half of the protocol is met, too.
        PeerId peer = 0;
        for (const PeerView& view : bus->peers()) {
            if (view.connected) peer = view.id;
        }
        auto made = bus->subscribe(peer, {.stream = "s", .bufferBytes = 1u << 14});
        ASSERT_TRUE(made.isOk());
        for (int i = 0; i < 30 && !stranger->over; ++i) {
            std::vector<std::byte> body(random() % 3 == 0 ? random() % 40 : 8 * (random() % 2));
            for (std::byte& byte : body) byte = static_cast<std::byte>(random() % 4);
            if (random() % 4 == 0) {
                ControlBuffer buffer;
                const auto ask = encodeSubscribe({From::Oldest, 0, 8192, "s"}, buffer);
                body.assign(ask.begin(), ask.end());
            }
            if (random() % 4 == 0) {
                const SubscribedBody answer{4096, 64};
                body.assign(bytesOf(answer).begin(), bytesOf(answer).end());
            }
            stranger->say(kinds[random() % std::size(kinds)], random() % 4, random() % 5, body);
            publication->offer(std::vector<std::byte>(random() % 200));
            step(*stranger);
        }
        made.value()->close();
        step(*stranger);
    }
    EXPECT_GT(bus->counters().malformed, 100u);
    EXPECT_LE(bus->peers().size(), 2u + 256u);
}

}  // namespace
}  // namespace verbex::bus
