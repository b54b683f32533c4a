// libFuzzer entry: no peer of a set-up, whatever it sends, brings a side down, makes it hold more
// than itself, or is taken for a holder of the key.
//
// The first byte chooses:
//   0 to 3 (mod 6): the rest comes from a stranger, at the listener or the connector, with a key or
//          without. With a key it is never accepted; cut in pieces it gives what it gives whole.
//   4, 5:  an honest pair with a key, and between them somebody who has recorded an earlier session
//          and changes, drops, cuts, repeats, inserts and mixes as the rest says. Who is done has
//          been given exactly the bytes that the other side wrote.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "base/check.h"
#include "transport/setup/handshake.h"

namespace {

using namespace verbex;
using namespace verbex::transport;
using Bytes = std::vector<std::byte>;

constexpr size_t kInputBytesMax = 4096;

Nonce nonceOf(unsigned char fill) {
    Nonce nonce;
    nonce.fill(std::byte{fill});
    return nonce;
}

const CryptoLibrary* library() {
    const auto loaded = CryptoLibrary::load();
    CHECK(loaded.isOk());
    return loaded.value();
}

const SharedKey& sharedKey() {
    static const SharedKey kKey =
        SharedKey::make(std::vector<std::byte>(32, std::byte{0x6b})).take();
    return kKey;
}

LocalNode nodeOf(const char* name, bool keyed) {
    return {.name = name,
            .host = nonceOf(0x40),
            .transports = kAllTransports,
            .key = keyed ? &sharedKey() : nullptr,
            .crypto = library(),
            .macWanted = keyed};
}

struct Pair {
    ConnectorOptions connectorOptions;
    ListenerOptions listenerOptions;
    ConnectorHandshake connector;
    ListenerHandshake listener;

    explicit Pair(bool keyed, unsigned char nonce = 1)
        : connectorOptions{.node = nodeOf("connector", keyed), .service = "orders", .epoch = 3},
          listenerOptions{.node = nodeOf("listener", keyed), .epochFloor = 2},
          connector(connectorOptions, nonceOf(nonce)),
          listener(listenerOptions, nonceOf(static_cast<unsigned char>(nonce + 1))) {}
};

void serve(Handshake& side) {
    static constexpr std::array<std::byte, 20> kOffer{};
    if (side.state() == HandshakeState::NeedOffer) side.provideOffer(kOffer);
    if (side.state() == HandshakeState::NeedConnect) side.connected();
}

Bytes takeOutput(Handshake& side) {
    const Bytes bytes(side.output().begin(), side.output().end());
    side.consumeOutput(bytes.size());
    return bytes;
}

// The fuzzer's bytes, one after the other; zero when there are no more.
class Script {
public:
    explicit Script(std::span<const uint8_t> bytes) : bytes_(bytes) {}

    [[nodiscard]] bool atEnd() const { return bytes_.empty(); }
    uint8_t next() {
        if (bytes_.empty()) return 0;
        const uint8_t byte = bytes_.front();
        bytes_ = bytes_.subspan(1);
        return byte;
    }

private:
    std::span<const uint8_t> bytes_;
};

void hearStranger(std::span<const uint8_t> data, bool atListener, bool keyed) {
    const auto bytes = std::as_bytes(data);
    Pair whole(keyed);
    Pair pieces(keyed);
    Pair served(keyed);
    const auto sideOf = [&](Pair& pair) -> Handshake& {
        return atListener ? static_cast<Handshake&>(pair.listener) : pair.connector;
    };
    sideOf(whole).receive(bytes);
    for (size_t at = 0; at < bytes.size();) {
        const size_t size =
            std::min<size_t>(1 + std::to_integer<size_t>(bytes[at]) % 50, bytes.size() - at);
        sideOf(pieces).receive(bytes.subspan(at, size));
        sideOf(served).receive(bytes.subspan(at, size));
        serve(sideOf(served));
        at += size;
    }
    CHECK(sideOf(whole).state() == sideOf(pieces).state());
    CHECK(sideOf(whole).refusal() == sideOf(pieces).refusal());
    CHECK(takeOutput(sideOf(whole)) == takeOutput(sideOf(pieces)));
    if (sideOf(served).state() == HandshakeState::Failed) {
        CHECK(!sideOf(served).failureText().empty());
    }
    if (keyed) {
        CHECK(sideOf(served).state() == HandshakeState::AwaitPeer ||
              sideOf(served).state() == HandshakeState::Failed);
    }
    CHECK(keyed || !sideOf(served).session().authenticated);
}

struct Recording {
    std::vector<Bytes> toListener;
    std::vector<Bytes> toConnector;
};

Recording record() {
    Pair pair(true, 0x70);
    Recording recording;
    for (int i = 0; i < 10; ++i) {
        serve(pair.connector);
        recording.toListener.push_back(takeOutput(pair.connector));
        pair.listener.receive(recording.toListener.back());
        serve(pair.listener);
        recording.toConnector.push_back(takeOutput(pair.listener));
        pair.connector.receive(recording.toConnector.back());
    }
    CHECK(pair.connector.state() == HandshakeState::Done);
    CHECK(pair.listener.state() == HandshakeState::Done);
    return recording;
}

// One direction between two honest sides.
struct Wire {
    Handshake& from;
    Handshake& to;
    const std::vector<Bytes>& recorded;
    Bytes sent;       // by the honest side, all of it
    Bytes delivered;  // what the other side took

    bool carry(Script& script, const Wire& other) {
        serve(from);
        Bytes bytes = takeOutput(from);
        if (bytes.empty() && script.atEnd()) return false;
        sent.insert(sent.end(), bytes.begin(), bytes.end());
        interfere(bytes, script, other);
        const size_t size = script.atEnd() ? bytes.size() : 1 + script.next();
        for (size_t at = 0; at < bytes.size(); at += size) {
            const auto piece = std::span(bytes).subspan(at, std::min(size, bytes.size() - at));
            const bool open = to.state() != HandshakeState::Failed;
            const size_t taken = to.receive(piece);
            if (open) {
                delivered.insert(delivered.end(), piece.begin(),
                                 piece.begin() + static_cast<ptrdiff_t>(taken));
            }
            serve(to);
        }
        if (to.state() == HandshakeState::Done) {
            CHECK(delivered.size() <= sent.size());
            CHECK(std::equal(delivered.begin(), delivered.end(), sent.begin()));
        }
        return true;
    }

    static void interfere(Bytes& bytes, Script& script, const Wire& other) {
        const auto place = [&] {
            return static_cast<ptrdiff_t>(bytes.empty() ? 0 : script.next() % bytes.size());
        };
        switch (script.next() % 16) {
            case 1:
                if (!bytes.empty()) {
                    bytes[static_cast<size_t>(place())] ^= static_cast<std::byte>(script.next());
                }
                break;
            case 2: bytes.resize(static_cast<size_t>(place())); break;
            case 3: bytes.clear(); break;
            case 4: {
                const Bytes twice = bytes;
                bytes.insert(bytes.end(), twice.begin(), twice.end());
                break;
            }
            case 5:
                bytes.insert(bytes.begin() + place(), static_cast<std::byte>(script.next()));
                break;
            case 6:
                if (!bytes.empty()) bytes.erase(bytes.begin() + place());
                break;
            case 7: bytes = other.recorded[script.next() % other.recorded.size()]; break;
            case 8: bytes = other.sent; break;
            default: break;
        }
    }
};

void interfereWithHonestPair(std::span<const uint8_t> data, bool replayOwnDirection) {
    static const Recording kRecording = record();
    Script script(data);
    Pair pair(true);
    Wire up{pair.connector, pair.listener, kRecording.toListener, {}, {}};
    Wire down{pair.listener, pair.connector, kRecording.toConnector, {}, {}};
    bool moved = true;
    while (moved) {
        moved = up.carry(script, replayOwnDirection ? up : down);
        moved = down.carry(script, replayOwnDirection ? down : up) || moved;
    }
    if (data.empty()) {
        CHECK(pair.connector.state() == HandshakeState::Done);
        CHECK(pair.listener.state() == HandshakeState::Done);
    }
    if (pair.connector.state() != HandshakeState::Done ||
        pair.listener.state() != HandshakeState::Done) {
        return;
    }
    const Session& one = pair.connector.session();
    const Session& two = pair.listener.session();
    CHECK(one.authenticated && two.authenticated && one.mac && two.mac);
    CHECK(one.sendKey == two.receiveKey && one.receiveKey == two.sendKey);
    CHECK(one.sendSalt == two.receiveSalt && one.receiveSalt == two.sendSalt);
    CHECK(one.transport == two.transport && one.epoch == two.epoch);
    CHECK(one.ringBytes == two.ringBytes && one.payloadMax == two.payloadMax);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0 || size > kInputBytesMax) return 0;
    const unsigned choice = data[0] % 6;
    const std::span<const uint8_t> rest(data + 1, size - 1);
    if (choice < 4) {
        hearStranger(rest, choice % 2 == 0, choice / 2 == 0);
    } else {
        interfereWithHonestPair(rest, choice == 4);
    }
    return 0;
}
