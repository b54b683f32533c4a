#include "base/crc32c.h"

#include <array>
#include <bit>
#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>
#elif defined(__aarch64__)
#include <sys/auxv.h>
#ifndef HWCAP_CRC32
#define HWCAP_CRC32 (1 << 7)
#endif
#endif

namespace verbex {

static_assert(std::endian::native == std::endian::little, "the table way reads words in place");

namespace {

constexpr uint32_t kPolynomial = 0x82f63b78;

using Tables = std::array<std::array<uint32_t, 256>, 8>;

constexpr Tables makeTables() {
    Tables tables{};
    for (uint32_t byte = 0; byte < 256; ++byte) {
        uint32_t crc = byte;
        for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? kPolynomial : 0);
        tables[0][byte] = crc;
    }
    for (size_t slice = 1; slice < tables.size(); ++slice) {
        for (size_t byte = 0; byte < 256; ++byte) {
            const uint32_t previous = tables[slice - 1][byte];
            tables[slice][byte] = (previous >> 8) ^ tables[0][previous & 0xff];
        }
    }
    return tables;
}

constexpr Tables kTables = makeTables();

// Slicing-by-8 (Kounavis and Berry): eight bytes a step, one table for each.
uint32_t crc32cTable(const void* data, size_t size, uint32_t previous) {
    const auto* bytes = static_cast<const unsigned char*>(data);
    uint32_t crc = ~previous;
    for (; size >= 8; bytes += 8, size -= 8) {
        uint64_t word;
        std::memcpy(&word, bytes, sizeof(word));
        word ^= crc;
        crc = kTables[7][word & 0xff] ^ kTables[6][(word >> 8) & 0xff] ^
              kTables[5][(word >> 16) & 0xff] ^ kTables[4][(word >> 24) & 0xff] ^
              kTables[3][(word >> 32) & 0xff] ^ kTables[2][(word >> 40) & 0xff] ^
              kTables[1][(word >> 48) & 0xff] ^ kTables[0][word >> 56];
    }
    for (; size > 0; ++bytes, --size) crc = (crc >> 8) ^ kTables[0][(crc ^ *bytes) & 0xff];
    return ~crc;
}

#if defined(__x86_64__)

// What `kBytes` bytes of zeros make of a register: linear, so one table lookup for each of its bytes.
using Shift = std::array<std::array<uint32_t, 256>, 4>;

template <size_t kBytes>
constexpr Shift makeShift() {
    std::array<uint32_t, 32> ofBit{};
    for (size_t bit = 0; bit < ofBit.size(); ++bit) {
        uint32_t crc = 1u << bit;
        for (size_t i = 0; i < kBytes; ++i) crc = (crc >> 8) ^ kTables[0][crc & 0xff];
        ofBit[bit] = crc;
    }
    Shift shift{};
    for (size_t at = 0; at < shift.size(); ++at) {
        for (size_t byte = 0; byte < 256; ++byte) {
            for (size_t bit = 0; bit < 8; ++bit) {
                if ((byte >> bit & 1) != 0) shift[at][byte] ^= ofBit[at * 8 + bit];
            }
        }
    }
    return shift;
}

template <size_t kBytes>
constexpr Shift kShift = makeShift<kBytes>();

template <size_t kBytes>
uint64_t shifted(uint64_t crc) {
    const Shift& shift = kShift<kBytes>;
    return shift[0][crc & 0xff] ^ shift[1][crc >> 8 & 0xff] ^ shift[2][crc >> 16 & 0xff] ^
           shift[3][crc >> 24 & 0xff];
}

// Three stretches of kBytes at a time: the instruction answers after three cycles and can begin each cycle
// (Gopal et al.: "Fast CRC Computation for iSCSI Polynomial Using CRC32 Instruction", Intel, 2011).
template <size_t kBytes>
__attribute__((target("sse4.2"))) uint64_t threeStretches(const unsigned char*& bytes, size_t& size,
                                                          uint64_t crc) {
    static_assert(kBytes % 8 == 0);
    for (; size >= 3 * kBytes; bytes += 3 * kBytes, size -= 3 * kBytes) {
        uint64_t second = 0;
        uint64_t third = 0;
        for (size_t at = 0; at < kBytes; at += 8) {
            uint64_t words[3];
            std::memcpy(&words[0], bytes + at, 8);
            std::memcpy(&words[1], bytes + kBytes + at, 8);
            std::memcpy(&words[2], bytes + 2 * kBytes + at, 8);
            crc = _mm_crc32_u64(crc, words[0]);
            second = _mm_crc32_u64(second, words[1]);
            third = _mm_crc32_u64(third, words[2]);
        }
        crc = shifted<kBytes>(shifted<kBytes>(crc) ^ second) ^ third;
    }
    return crc;
}

__attribute__((target("sse4.2"))) uint32_t crc32cSse42(const void* data, size_t size,
                                                       uint32_t previous) {
    const auto* bytes = static_cast<const unsigned char*>(data);
    uint64_t crc = ~previous;
    crc = threeStretches<2048>(bytes, size, crc);
    crc = threeStretches<256>(bytes, size, crc);
    for (; size >= 8; bytes += 8, size -= 8) {
        uint64_t word;
        std::memcpy(&word, bytes, sizeof(word));
        crc = _mm_crc32_u64(crc, word);
    }
    auto narrow = static_cast<uint32_t>(crc);
    for (; size > 0; ++bytes, --size) narrow = _mm_crc32_u8(narrow, *bytes);
    return ~narrow;
}

#elif defined(__aarch64__)

// Written as assembly because gcc and clang spell target attribute and intrinsics differently; the
// directive lets the assembler take the instruction whatever level the file is built for.
uint32_t stepArm64(uint32_t crc, uint64_t word) {
    uint32_t next;
    asm(".arch_extension crc\n\tcrc32cx %w0, %w1, %x2" : "=r"(next) : "r"(crc), "r"(word));
    return next;
}

uint32_t stepArm8(uint32_t crc, uint32_t byte) {
    uint32_t next;
    asm(".arch_extension crc\n\tcrc32cb %w0, %w1, %w2" : "=r"(next) : "r"(crc), "r"(byte));
    return next;
}

uint32_t crc32cArm(const void* data, size_t size, uint32_t previous) {
    const auto* bytes = static_cast<const unsigned char*>(data);
    uint32_t crc = ~previous;
    for (; size >= 8; bytes += 8, size -= 8) {
        uint64_t word;
        std::memcpy(&word, bytes, sizeof(word));
        crc = stepArm64(crc, word);
    }
    for (; size > 0; ++bytes, --size) crc = stepArm8(crc, *bytes);
    return ~crc;
}

#endif

struct Ways {
    std::array<Crc32cWay, 2> all{};
    size_t count = 0;
};

Ways findWays() {
    Ways ways;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("sse4.2")) ways.all[ways.count++] = {"sse4.2", crc32cSse42};
#elif defined(__aarch64__)
    if ((getauxval(AT_HWCAP) & HWCAP_CRC32) != 0) ways.all[ways.count++] = {"armv8", crc32cArm};
#endif
    ways.all[ways.count++] = {"table", crc32cTable};
    return ways;
}

const Ways& knownWays() {
    static const Ways ways = findWays();
    return ways;
}

}  // namespace

uint32_t crc32c(const void* data, size_t size, uint32_t previous) {
    static const Crc32cFunction fastest = knownWays().all[0].compute;
    return fastest(data, size, previous);
}

std::span<const Crc32cWay> crc32cWays() {
    const Ways& ways = knownWays();
    return {ways.all.data(), ways.count};
}

}  // namespace verbex
