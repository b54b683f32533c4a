// The set-up of a connection, as two state machines: bytes in, bytes out.
//
// Purpose: two nodes find out over a byte stream (TCP, or TLS on it) which transport both have,
// prove to each other that they hold the same key, agree on an epoch, and exchange what the
// transport needs to be connected. No socket, clock or thread is known here: whoever drives a state
// machine carries the bytes and keeps the deadline. docs/bus-protocol.md states the protocol.
// Owner: the driver, one object a connection. Options belong to the driver and outlive it.
// Thread safety: none; an object belongs to one thread.
// Invariants:
//   1. How the bytes of a peer that waits for its turn are cut into calls of receive() changes
//      nothing. One that speaks while this side is still at work is refused.
//   2. Done is reached only if every byte of the peer's messages was well-formed, and with a key
//      only if each of them was written by a holder of that key for this very session.
//   3. Nothing is allocated for a peer before its proof has held; the object itself is all there is
//      (static_assert below), however much the peer sends.
//   4. Before that, a refusal tells the peer its code and nothing else.
//   5. Done and Failed are final. Bytes behind the last message of a set-up are left to the caller:
//      over tcp they are the first frames.
// Requires: check(options) said ok; a nonce fresh from randomBytes() for every object.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "transport/setup/handshake_codec.h"
#include "transport/setup/handshake_keys.h"

namespace verbex::transport {

// What both sides say of themselves.
struct LocalNode {
    std::string name;
    HostId host{};
    // Bits of what may be used. A wish for one transport is to offer only that one.
    uint8_t transports = bitOf(TransportKind::Tcp);
    uint32_t ringBytes = 1u << 20;
    uint32_t payloadMax = 1u << 16;
    const SharedKey* key = nullptr;         // none: nobody is authenticated
    const CryptoLibrary* crypto = nullptr;  // needed where there is a key
    bool macWanted = false;                 // frames shall carry a MAC; either side's wish decides
};

struct ConnectorOptions {
    LocalNode node;
    std::string service;  // what is wanted of the listener; may be empty
    uint32_t epoch = 0;   // the newest that this side knows
};

// Who asks, once its proof has held.
struct PeerRequest {
    std::string_view nodeName;
    std::string_view service;
    uint32_t epoch = 0;
    TransportKind transport = TransportKind::Tcp;
    bool authenticated = false;
};

// Code None: welcome. The text goes to the peer.
struct Admission {
    RefusalCode refusal = RefusalCode::None;
    std::string text;
};

struct ListenerOptions {
    LocalNode node;
    // Best first. What is not named is not taken.
    std::array<TransportKind, 3> preference = {TransportKind::Shm, TransportKind::Verbs,
                                               TransportKind::Tcp};
    uint32_t epoch = 0;  // the newest that this side knows
    // A connector of an earlier one is refused, of this one never. Read when the proof has held: who
    // raises it fails the set-ups of earlier epochs that are under way.
    uint32_t epochFloor = 0;
    std::function<Admission(const PeerRequest&)> admit;  // none: everybody is welcome
};

[[nodiscard]] Status check(const ConnectorOptions& options);
[[nodiscard]] Status check(const ListenerOptions& options);

// What the two have agreed on.
struct Session {
    uint32_t epoch = 0;  // the later one of both sides'
    TransportKind transport = TransportKind::Tcp;
    TransportReasons whyNot = {};  // why none that the listener prefers
    std::string peerName;
    std::string service;
    uint32_t ringBytes = 0;   // the smaller of both sides'
    uint32_t payloadMax = 0;  // likewise
    bool authenticated = false;
    bool mac = false;
    MacKey sendKey{};  // zero without a MAC
    MacKey receiveKey{};
    uint32_t sendSalt = 0;
    uint32_t receiveSalt = 0;
};

struct TransportChoice {
    uint8_t transport = 0;  // a TransportKind's bit; 0: none
    TransportReasons whyNot = {};
    RefusalCode refusal = RefusalCode::None;
};

// The first of the listener's preference that both offer; shm only on one host.
[[nodiscard]] TransportChoice chooseTransport(const ListenerOptions& options, const Hello& hello);

enum class HandshakeState : uint8_t {
    AwaitPeer,    // the peer's turn
    NeedOffer,    // the peer is who it says: prepare the transport, then provideOffer()
    NeedConnect,  // connect the transport to peerOffer(), then connected()
    Done,
    Failed,
};

class Handshake {
public:
    virtual ~Handshake();
    Handshake(const Handshake&) = delete;
    Handshake& operator=(const Handshake&) = delete;

    // Takes bytes of the peer and says how many; the rest belongs to whoever comes after Done.
    size_t receive(std::span<const std::byte> bytes);

    // What waits to be sent, also after Done and Failed; consumeOutput() once it is sent. Send it
    // after every call.
    [[nodiscard]] std::span<const std::byte> output() const;
    void consumeOutput(size_t bytes);

    [[nodiscard]] HandshakeState state() const { return state_; }

    // NeedOffer: what the transport wants to tell the peer, up to kOfferBytesMax.
    void provideOffer(std::span<const std::byte> offer);
    // NeedConnect, and Listener's NeedOffer: what the peer's transport told.
    [[nodiscard]] std::span<const std::byte> peerOffer() const;
    // NeedConnect: the transport is connected.
    void connected();
    // Any state but Done: gives up and tells the peer, once its proof has held also the text.
    void fail(RefusalCode code, std::string_view text = {});
    // Any state but Done: the peer closed the stream. Nothing is sent any more.
    void peerClosed();

    // From NeedOffer on. Keys are for use after Done.
    [[nodiscard]] const Session& session() const { return session_; }

    // Failed: the code, who said it, and a sentence for the log that says what to do.
    [[nodiscard]] RefusalCode refusal() const { return refusal_; }
    [[nodiscard]] bool refusedByPeer() const { return refusedByPeer_; }
    [[nodiscard]] std::string failureText() const;

protected:
    Handshake(Role role, const LocalNode& node);

    // A whole message of another type than REFUSE and READY.
    virtual void take(MessageType type, std::span<const std::byte> message) = 0;

    template <typename Message>
    std::span<const std::byte> send(const Message& message);
    // HELLO and CHALLENGE, one after the other.
    void remember(std::span<const std::byte> message);
    [[nodiscard]] std::span<const std::byte> transcript() const;
    [[nodiscard]] std::span<const std::byte> transcriptWithoutProof() const;
    // Decodes HELLO anew from the transcript, where its names lie.
    [[nodiscard]] Hello rememberedHello() const;

    // The peer's proof has held: session_ and the keys of frames.
    void agree(const Challenge& challenge, const Hello& hello, std::string_view peerName);
    void takePeerOffer(std::span<const std::byte> offer, const Hmac& mac);
    // Sends the own offer in the message that carries it.
    virtual void sendOffer(std::span<const std::byte> offer, const Hmac& mac) = 0;

    const LocalNode& node_;
    HandshakeKeys keys_;
    HandshakeState state_ = HandshakeState::AwaitPeer;
    bool peerProved_ = false;
    bool offerSent_ = false;
    bool offerTaken_ = false;
    Session session_;

private:
    void takeReady(std::span<const std::byte> message);
    void takeRefusal(std::span<const std::byte> message);
    void finishIfBothReady();
    void end(RefusalCode code, std::string_view text, bool byPeer);

    // The most that may be unsent at once: everything that one side ever sends, and a refusal.
    static constexpr size_t kOutputBytesMax =
        kHelloBytesMax + kProofBytesMax + kReadyBytes + kRefuseBytesMax;
    static_assert(kOutputBytesMax >=
                  kChallengeBytesMax + kAcceptBytesMax + kReadyBytes + kRefuseBytesMax);

    const Role role_;
    bool peerReady_ = false;
    bool connected_ = false;
    bool refusedByPeer_ = false;
    RefusalCode refusal_ = RefusalCode::None;
    uint16_t inputBytes_ = 0;
    uint16_t outputBytes_ = 0;
    uint16_t transcriptBytes_ = 0;
    uint16_t peerOfferBytes_ = 0;
    Hmac ownOfferMac_{};
    Hmac peerOfferMac_{};
    std::array<std::byte, kHelloBytesMax + kChallengeBytesMax> transcript_;
    std::array<std::byte, kOfferBytesMax> peerOffer_;
    // The message that is coming in; after a failure the reason's text.
    std::array<std::byte, kLongestMessageBytes> input_;
    std::array<std::byte, kOutputBytesMax> output_;
};

class ConnectorHandshake final : public Handshake {
public:
    ConnectorHandshake(const ConnectorOptions& options, const Nonce& nonce);

private:
    void take(MessageType type, std::span<const std::byte> message) override;
    void takeChallenge(std::span<const std::byte> message);
    void sendOffer(std::span<const std::byte> offer, const Hmac& mac) override;

    bool challenged_ = false;
};

class ListenerHandshake final : public Handshake {
public:
    ListenerHandshake(const ListenerOptions& options, const Nonce& nonce);

private:
    void take(MessageType type, std::span<const std::byte> message) override;
    void takeHello(std::span<const std::byte> message);
    void takeProof(std::span<const std::byte> message);
    void sendOffer(std::span<const std::byte> offer, const Hmac& mac) override;

    const ListenerOptions& options_;
    const Nonce nonce_;
    bool greeted_ = false;
};

// What a peer can make a listener hold by connecting to it and never proving anything.
static_assert(sizeof(ListenerHandshake) <= 2048);

}  // namespace verbex::transport
