#include "transport/security/frame_mac.h"

#include <bit>
#include <cstring>

namespace verbex::transport {
namespace {

constexpr size_t kWordBytes = 8;

uint64_t loadWord(const std::byte* from) {
    uint64_t word;
    std::memcpy(&word, from, sizeof(word));
    return word;
}

// The four words of state, and the two ways of the paper to stir them.
struct State {
    uint64_t v0, v1, v2, v3;

    void round() {
        v0 += v1;
        v2 += v3;
        v1 = std::rotl(v1, 13) ^ v0;
        v3 = std::rotl(v3, 16) ^ v2;
        v0 = std::rotl(v0, 32);
        v2 += v1;
        v0 += v3;
        v1 = std::rotl(v1, 17) ^ v2;
        v3 = std::rotl(v3, 21) ^ v0;
        v2 = std::rotl(v2, 32);
    }

    void absorb(uint64_t word) {
        v3 ^= word;
        round();
        round();
        v0 ^= word;
    }

    uint64_t squeeze() {
        for (int i = 0; i < 4; ++i) round();
        return v0 ^ v1 ^ v2 ^ v3;
    }
};

// Bytes that do not fill a word yet, first byte lowest.
struct Rest {
    uint64_t word = 0;
    unsigned bytes = 0;

    void append(std::byte next) {
        word |= std::to_integer<uint64_t>(next) << (8 * bytes);
        ++bytes;
    }
};

void absorbAll(State& state, Rest& rest, std::span<const std::byte> data) {
    const std::byte* at = data.data();
    size_t left = data.size();
    while (rest.bytes != 0 && left != 0) {
        rest.append(*at++);
        --left;
        if (rest.bytes == kWordBytes) {
            state.absorb(rest.word);
            rest = {};
        }
    }
    for (; left >= kWordBytes; left -= kWordBytes, at += kWordBytes) state.absorb(loadWord(at));
    for (; left != 0; --left) rest.append(*at++);
}

}  // namespace

FrameMac::FrameMac(const MacKey& key)
    : key0_(loadWord(key.data())), key1_(loadWord(key.data() + kWordBytes)) {}

MacTag FrameMac::compute(std::span<const std::byte> header,
                         std::span<const std::byte> payload) const {
    // "somepseudorandomlygeneratedbytes", as the paper chose; 0xee marks the 128-bit variant.
    State state{key0_ ^ 0x736f6d6570736575, key1_ ^ 0x646f72616e646f6d ^ 0xee,
                key0_ ^ 0x6c7967656e657261, key1_ ^ 0x7465646279746573};
    Rest rest;
    absorbAll(state, rest, header);
    absorbAll(state, rest, payload);
    const uint64_t length = header.size() + payload.size();
    state.absorb(rest.word | length << 56);
    MacTag tag;
    state.v2 ^= 0xee;
    tag.low = state.squeeze();
    state.v1 ^= 0xdd;
    tag.high = state.squeeze();
    return tag;
}

}  // namespace verbex::transport
