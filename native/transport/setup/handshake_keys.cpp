#include "transport/setup/handshake_keys.h"

#include <cstring>

#include "base/check.h"
#include "base/hash128.h"

namespace verbex::transport {
namespace {

constexpr size_t kLabelBytesMax = 40;
constexpr size_t kDataBytesMax = kHelloBytesMax + kChallengeBytesMax;
static_assert(kDataBytesMax >= kOfferBytesMax);

constexpr std::string_view pick(Role role, std::string_view connector, std::string_view listener) {
    return role == Role::Connector ? connector : listener;
}

}  // namespace

Hmac HandshakeKeys::labelled(std::span<const std::byte> key, std::string_view label,
                             std::span<const std::byte> data) const {
    if (!keyed()) return {};
    std::byte text[kLabelBytesMax + kDataBytesMax];
    CHECK(label.size() <= kLabelBytesMax && data.size() <= kDataBytesMax);
    std::memcpy(text, label.data(), label.size());
    if (!data.empty()) std::memcpy(text + label.size(), data.data(), data.size());
    return library_->hmacSha256(key, std::span(text).first(label.size() + data.size()));
}

Hmac HandshakeKeys::proof(Role prover, std::span<const std::byte> transcript) const {
    if (!keyed()) return {};
    return labelled(shared_->bytes(), pick(prover, "verbex connector", "verbex listener"),
                    transcript);
}

void HandshakeKeys::startSession(std::span<const std::byte> transcript) {
    if (keyed()) session_ = labelled(shared_->bytes(), "verbex session", transcript);
}

Hmac HandshakeKeys::offerMac(Role offering, std::span<const std::byte> offer) const {
    return labelled(session_, pick(offering, "verbex connector offer", "verbex listener offer"),
                    offer);
}

Hmac HandshakeKeys::readyMac(Role ready, const Hmac& connectorOffer,
                             const Hmac& listenerOffer) const {
    std::byte both[2 * kHmacBytes];
    std::memcpy(both, connectorOffer.data(), kHmacBytes);
    std::memcpy(both + kHmacBytes, listenerOffer.data(), kHmacBytes);
    return labelled(session_, pick(ready, "verbex connector ready", "verbex listener ready"), both);
}

FrameKeys HandshakeKeys::frameKeys(Role sender, const Nonce& connector, const Nonce& listener,
                                   uint32_t epoch) const {
    std::byte seed[2 * sizeof(Nonce) + sizeof(epoch)];
    std::memcpy(seed, connector.data(), sizeof(Nonce));
    std::memcpy(seed + sizeof(Nonce), listener.data(), sizeof(Nonce));
    std::memcpy(seed + 2 * sizeof(Nonce), &epoch, sizeof(epoch));
    FrameKeys keys;
    if (!keyed()) {
        // No secret: the salt only keeps what an earlier session left in a ring from being taken
        // for this session's.
        Hash128 hash(static_cast<uint64_t>(sender));
        hash.update(seed, sizeof(seed));
        keys.salt = static_cast<uint32_t>(hash.digest().lo);
        return keys;
    }
    Hmac derived =
        labelled(session_,
                 pick(sender, "verbex frames from connector", "verbex frames from listener"), seed);
    std::memcpy(keys.mac.data(), derived.data(), sizeof(keys.mac));
    std::memcpy(&keys.salt, derived.data() + sizeof(keys.mac), sizeof(keys.salt));
    wipeBytes(derived);
    return keys;
}

}  // namespace verbex::transport
