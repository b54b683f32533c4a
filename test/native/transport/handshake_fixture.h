// Two sides of a set-up and what lies between them, for the tests.
#pragma once

#include <cstring>
#include <functional>
#include <gtest/gtest.h>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "transport/setup/handshake.h"

namespace verbex::transport {

using Bytes = std::vector<std::byte>;

inline Bytes bytesOf(std::string_view text) {
    const auto bytes = std::as_bytes(std::span(text.data(), text.size()));
    return {bytes.begin(), bytes.end()};
}

inline const CryptoLibrary& crypto() {
    const auto library = CryptoLibrary::load();
    CHECK(library.isOk());
    return *library.value();
}

inline const SharedKey& keyOf(char fill) {
    static std::array<std::unique_ptr<SharedKey>, 128> keys;
    auto& key = keys[static_cast<size_t>(fill)];
    if (key == nullptr) {
        key = std::make_unique<SharedKey>(SharedKey::make(bytesOf(std::string(32, fill))).take());
    }
    return *key;
}

inline Nonce nonceOf(unsigned char fill) {
    Nonce nonce;
    nonce.fill(std::byte{fill});
    return nonce;
}

inline HostId hostOf(unsigned char fill) {
    return nonceOf(fill);
}

struct World {
    ConnectorOptions connector;
    ListenerOptions listener;
    Nonce connectorNonce = nonceOf(0xc1);
    Nonce listenerNonce = nonceOf(0x15);
    Bytes connectorOffer = bytesOf("the connector's ring is at 4711");
    Bytes listenerOffer = bytesOf("the listener's ring is at 815");

    World() {
        connector.node.name = "connector-1";
        listener.node.name = "listener-1";
        connector.service = "orders";
        connector.epoch = 7;
        listener.epoch = 5;
        connector.node.host = listener.node.host = hostOf(0x40);
        connector.node.transports = listener.node.transports = kAllTransports;
        listener.node.ringBytes = 1u << 18;
        listener.node.payloadMax = 1u << 12;
        connector.node.crypto = listener.node.crypto = &crypto();
    }

    static World keyed() {
        World world;
        world.connector.node.key = world.listener.node.key = &keyOf('k');
        world.connector.node.macWanted = true;
        return world;
    }
};

enum class Direction { ToListener, ToConnector };

// Carries bytes between two sides until neither has anything to say. What happens on the way is for
// `carry` to decide: it is given what one side sent and answers what arrives, in pieces.
class Exchange {
public:
    using Carry = std::function<std::vector<Bytes>(Direction, const Bytes&)>;

    explicit Exchange(const World& world)
        : world_(world),
          connector(world_.connector, world_.connectorNonce),
          listener(world_.listener, world_.listenerNonce) {}

    void run(const Carry& carry = [](Direction, const Bytes& sent) {
        return std::vector<Bytes>{sent};
    }) {
        bool moved = true;
        while (moved) {
            moved = step(connector, listener, Direction::ToListener, carry);
            moved = step(listener, connector, Direction::ToConnector, carry) || moved;
        }
    }

    // What a driver does: prepares the transport and connects it.
    void serve(Handshake& side) {
        if (side.state() == HandshakeState::NeedOffer) {
            side.provideOffer(&side == &connector ? world_.connectorOffer : world_.listenerOffer);
        }
        if (side.state() == HandshakeState::NeedConnect) {
            const Bytes offer(side.peerOffer().begin(), side.peerOffer().end());
            (&side == &connector ? offerSeenByConnector : offerSeenByListener) = offer;
            side.connected();
        }
    }

    [[nodiscard]] bool bothDone() const {
        return connector.state() == HandshakeState::Done &&
               listener.state() == HandshakeState::Done;
    }

private:
    const World world_;

public:
    ConnectorHandshake connector;
    ListenerHandshake listener;
    Bytes toListener;  // as sent
    Bytes toConnector;
    Bytes offerSeenByConnector;
    Bytes offerSeenByListener;
    Bytes behind;  // what was not taken since the receiver was done

private:
    bool step(Handshake& from, Handshake& to, Direction direction, const Carry& carry) {
        serve(from);
        if (from.output().empty()) return false;
        const Bytes sent(from.output().begin(), from.output().end());
        from.consumeOutput(sent.size());
        Bytes& all = direction == Direction::ToListener ? toListener : toConnector;
        all.insert(all.end(), sent.begin(), sent.end());
        for (const Bytes& piece : carry(direction, sent)) {
            const size_t taken = to.receive(piece);
            behind.insert(behind.end(), piece.begin() + static_cast<ptrdiff_t>(taken), piece.end());
            serve(to);
        }
        return true;
    }
};

inline Bytes takeOutput(Handshake& side) {
    const Bytes bytes(side.output().begin(), side.output().end());
    side.consumeOutput(bytes.size());
    return bytes;
}

template <typename Message>
Bytes encoded(const Message& message) {
    Bytes bytes(kMessageBytesMax);
    bytes.resize(encode(message, bytes));
    return bytes;
}

// A message's fields, from its bytes.
template <typename Message>
Message decoded(std::span<const std::byte> bytes) {
    Message message;
    EXPECT_EQ(inspectFront(bytes).verdict, MessageFront::Verdict::Whole);
    EXPECT_TRUE(decode(bytes.first(inspectFront(bytes).bytes), message));
    return message;
}

inline void expectFailed(const Handshake& side, RefusalCode code, bool byPeer) {
    ASSERT_EQ(side.state(), HandshakeState::Failed);
    EXPECT_EQ(refusalName(side.refusal()), refusalName(code));
    EXPECT_EQ(side.refusedByPeer(), byPeer);
}

// The refusal that waits to be sent says its code and nothing else.
inline void expectBareRefusal(const Handshake& side, RefusalCode code) {
    ASSERT_EQ(side.output().size(), sizeof(RefuseFixed));
    EXPECT_EQ(decoded<Refuse>(side.output()).code, code);
}

}  // namespace verbex::transport
