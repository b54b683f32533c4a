// What the two sides of a set-up prove to each other, and the keys that come of it.
//
// Purpose: every use of the shared key, in one place. Each has a label of its own, none of which
// begins with another, so that no value can serve for something else: a listener's proof is no
// connector's, an offer of one side none of the other's.
// Owner: one for each set-up, within its state machine.
// Thread safety: none needed; one set-up belongs to one thread.
// Invariants:
//   1. Without a shared key nothing is proved: proofs and MACs are zero, and frames have no MAC.
//      Only the salts differ from session to session.
//   2. The session's key is that of one pair of HELLO and CHALLENGE, of which each side drew a
//      nonce: no other session has it.
//   3. The session's key is wiped when the set-up is dropped.
// Requires: what the set-up says of the key is the same on both sides (the state machines see to
// it), and a library where there is a key.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "transport/security/crypto_library.h"
#include "transport/security/frame_mac.h"
#include "transport/setup/handshake_messages.h"

namespace verbex::transport {

enum class Role : uint8_t { Connector, Listener };

constexpr Role otherRole(Role role) {
    return role == Role::Connector ? Role::Listener : Role::Connector;
}

// Of one direction of frames.
struct FrameKeys {
    MacKey mac{};
    uint32_t salt = 0;
};

class HandshakeKeys {
public:
    HandshakeKeys(const CryptoLibrary* library, const SharedKey* shared)
        : library_(library), shared_(shared) {}
    ~HandshakeKeys() { wipeBytes(session_); }
    HandshakeKeys(const HandshakeKeys&) = delete;
    HandshakeKeys& operator=(const HandshakeKeys&) = delete;

    [[nodiscard]] bool keyed() const { return shared_ != nullptr; }

    // The listener proves HELLO and CHALLENGE up to its proof; the connector all of both.
    [[nodiscard]] Hmac proof(Role prover, std::span<const std::byte> transcript) const;

    // From all of HELLO and CHALLENGE. What follows needs it.
    void startSession(std::span<const std::byte> transcript);

    [[nodiscard]] Hmac offerMac(Role offering, std::span<const std::byte> offer) const;
    // Over the MACs of both offers: who says READY has seen the same two.
    [[nodiscard]] Hmac readyMac(Role ready, const Hmac& connectorOffer,
                                const Hmac& listenerOffer) const;
    // Of the frames that `sender` writes.
    [[nodiscard]] FrameKeys frameKeys(Role sender, const Nonce& connector, const Nonce& listener,
                                      uint32_t epoch) const;

private:
    [[nodiscard]] Hmac labelled(std::span<const std::byte> key, std::string_view label,
                                std::span<const std::byte> data) const;

    const CryptoLibrary* library_;
    const SharedKey* shared_;
    Hmac session_{};
};

}  // namespace verbex::transport
