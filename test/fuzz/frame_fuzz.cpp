// libFuzzer entry: whatever bytes a peer writes into the ring, nothing but its own sound frames is
// delivered, and nothing outside of the ring is touched.
//
// The first byte chooses:
//   even: the ring's bytes are the rest, as it stands. A stranger who does not know the salt gets
//         nothing delivered.
//   odd:  a writer's frames with bytes changed as the rest says. What is delivered is a prefix of
//         what was written, unchanged.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "base/check.h"
#include "base/hash128.h"
#include "transport/rings/ring_reader.h"
#include "transport/rings/ring_writer.h"

namespace {

using namespace verbex;
using namespace verbex::transport;

constexpr size_t kRingBytes = 4096;
constexpr size_t kPayloadMax = 512;
// In front of the ring and behind it: a sanitizer sees what goes beyond, this sees it without one.
constexpr size_t kGuardBytes = 4096;
constexpr std::byte kGuard{0xa5};

class GuardedRing {
public:
    GuardedRing() : memory_(static_cast<std::byte*>(std::aligned_alloc(4096, kAllBytes))) {
        std::memset(memory_, static_cast<int>(kGuard), kAllBytes);
        std::memset(ring(), 0, kRingBytes);
    }
    ~GuardedRing() {
        for (size_t i = 0; i < kGuardBytes; ++i) {
            CHECK(memory_[i] == kGuard && memory_[kAllBytes - 1 - i] == kGuard);
        }
        std::free(memory_);
    }
    [[nodiscard]] std::byte* ring() const { return memory_ + kGuardBytes; }

private:
    static constexpr size_t kAllBytes = kRingBytes + 2 * kGuardBytes;
    std::byte* memory_;
};

// Salt and key come from the whole input, so that what the fuzzer learns from one comparison is
// worth nothing in the next run, as it is worth nothing in another session.
FrameSeal sealOf(bool mac, const uint8_t* data, size_t size) {
    const Digest128 hash = hash128(data, size);
    FrameSeal seal{.epoch = 3, .salt = static_cast<uint32_t>(hash.lo), .mac = {}};
    if (mac) {
        MacKey key;
        std::memcpy(key.data(), &hash, sizeof key);
        seal.mac.emplace(key);
    }
    return seal;
}

// Wants a prefix of what was written.
struct Prefix final : Receiver {
    std::vector<std::vector<std::byte>> written;
    size_t seen = 0;
    void onMessage(const Message& message) override {
        CHECK(seen < written.size() && message.position == seen + 1);
        const auto& expected = written[seen++];
        CHECK(std::equal(expected.begin(), expected.end(), message.payload.begin(),
                         message.payload.end()));
    }
};

void readAll(std::byte* ring, const FrameSeal& seal, Prefix& receiver, uint32_t patience) {
    RingReader reader(ring, kRingBytes, kPayloadMax, seal, patience);
    LinkCounters counters;
    for (uint32_t look = 0; look < patience + 40; ++look) reader.poll(receiver, 8, counters);
    CHECK(reader.consumed() <= kRingBytes * 40);
}

void readForeign(const uint8_t* data, size_t size, uint8_t choice) {
    GuardedRing guarded;
    std::memcpy(guarded.ring(), data, std::min(size, kRingBytes));
    Prefix nothing;
    readAll(guarded.ring(), sealOf((choice & 2) != 0, data, size), nothing, choice % 5);
}

void readDamaged(const uint8_t* data, size_t size, uint8_t choice) {
    GuardedRing guarded;
    const FrameSeal seal = sealOf((choice & 2) != 0, data, size);
    RingWriter writer(guarded.ring(), kRingBytes, seal);
    Prefix prefix;
    size_t at = 0;
    for (uint64_t position = 1; at < size && position < 40; ++position) {
        const size_t length = (data[at++] * 2) % (kPayloadMax + 1);
        std::vector<std::byte> payload(length, static_cast<std::byte>(position));
        if (!writer.write({1, 2, 0, position, payload})) break;
        prefix.written.push_back(std::move(payload));
        if (data[at - 1] % 7 == 0) break;
    }
    for (; at + 3 <= size; at += 3) {
        const size_t where = (data[at] | data[at + 1] << 8) % kRingBytes;
        guarded.ring()[where] ^= static_cast<std::byte>(data[at + 2]);
    }
    readAll(guarded.ring(), seal, prefix, choice % 5);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size < 2) return 0;
    if (data[0] % 2 == 0)
        readForeign(data + 1, size - 1, data[0] / 2);
    else
        readDamaged(data + 1, size - 1, data[0] / 2);
    return 0;
}
