#include "journal/record.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/check.h"
#include "base/crc32c.h"

namespace verbex::journal {

namespace {

constexpr unsigned kBitsPerSectorMin = 2;  // one flipped bit must not make a sector look unwritten

uint32_t headerCrcOf(RecordHeader header) {
    header.headerCrc = 0;
    return crc32c(&header, sizeof(header));
}

uint64_t whiteningPattern(uint32_t key) {
    // An odd multiplier: distinct keys give patterns that differ in at least one bit, so in a whole
    // sector (64 repeats) they differ in at least 64 bits, and each sector spoils one key at most.
    return key * 0x9e3779b97f4a7c15;
}

// Whether `bytes` XOR `pattern` (which begins at `phase` within its eight bytes) has enough bits.
bool hasEnoughBits(std::span<const std::byte> bytes, uint64_t pattern, unsigned phase) {
    unsigned bits = 0;
    const uint64_t turned = std::rotr(pattern, static_cast<int>(8 * phase));
    size_t at = 0;
    for (; at + 8 <= bytes.size(); at += 8) {
        uint64_t word;
        std::memcpy(&word, bytes.data() + at, sizeof(word));
        bits += static_cast<unsigned>(std::popcount(word ^ turned));
        if (bits >= kBitsPerSectorMin) return true;
    }
    for (unsigned shift = 0; at < bytes.size(); ++at, shift += 8) {
        const auto byte = static_cast<uint8_t>(bytes[at]) ^ static_cast<uint8_t>(turned >> shift);
        bits += static_cast<unsigned>(std::popcount(static_cast<uint8_t>(byte)));
    }
    return bits >= kBitsPerSectorMin;
}

// Calls `visit(portion, offset within bytes)` for the part of each sector that `bytes` covers,
// until it answers false.
template <typename Visit>
bool everySector(std::span<const std::byte> bytes, uint64_t fileOffset, Visit visit) {
    for (uint64_t at = 0; at < bytes.size();) {
        const uint64_t room = kSectorBytes - (fileOffset + at) % kSectorBytes;
        const uint64_t size = std::min<uint64_t>(room, bytes.size() - at);
        if (!visit(bytes.subspan(at, size), at)) return false;
        at += size;
    }
    return true;
}

// Whether the payload, whitened with `key`, satisfies invariant 2. The sector that holds the header
// does so by the magic alone.
bool sectorsAreMarked(std::span<const std::byte> payload, uint64_t payloadOffset, uint32_t key) {
    const uint64_t inHeaderSector =
        (kSectorBytes - payloadOffset % kSectorBytes) % kSectorBytes;
    if (inHeaderSector >= payload.size()) return true;
    const uint64_t pattern = whiteningPattern(key);
    return everySector(payload.subspan(inHeaderSector), payloadOffset + inHeaderSector,
                       [&](std::span<const std::byte> portion, uint64_t at) {
                           return hasEnoughBits(portion, pattern,
                                                static_cast<unsigned>((inHeaderSector + at) % 8));
                       });
}

void whiten(std::span<std::byte> payload, uint32_t key) {
    const uint64_t pattern = whiteningPattern(key);
    size_t at = 0;
    for (; at + 8 <= payload.size(); at += 8) {
        uint64_t word;
        std::memcpy(&word, payload.data() + at, sizeof(word));
        word ^= pattern;
        std::memcpy(payload.data() + at, &word, sizeof(word));
    }
    for (unsigned shift = 0; at < payload.size(); ++at, shift += 8) {
        payload[at] ^= static_cast<std::byte>(pattern >> shift);
    }
}

uint32_t whiteningKeyFor(std::span<const std::byte> payload, uint64_t payloadOffset) {
    for (uint32_t key = 0; key <= kWhiteningKeyMax; ++key) {
        if (sectorsAreMarked(payload, payloadOffset, key)) return key;
    }
    // At most 2047 whole sectors spoil one key each, and the last, partial one a few hundred.
    static_assert(kPayloadBytesMax / kSectorBytes + 1024 < kWhiteningKeyMax);
    CHECK(!"some key marks every sector");
    return 0;
}

}  // namespace

Digest128 chainStart(const JournalId& id) { return hash128(&id, sizeof(id), kChainSeed); }

Digest128 recordDigest(std::span<const std::byte> headerAndPayload) {
    return hash128(headerAndPayload.data(), headerAndPayload.size(), kChainSeed);
}

Digest128 encodeRecord(RecordHeader header, std::span<const std::byte> payload, uint64_t fileOffset,
                       std::span<std::byte> into) {
    CHECK(payload.size() <= kPayloadBytesMax);
    CHECK(into.size() == recordBytes(payload.size()));
    CHECK(fileOffset % kRecordAlignment == 0);
    CHECK((header.flags & ~kFlagKindMask) == 0);

    const std::span<std::byte> stored = into.subspan(sizeof(RecordHeader), payload.size());
    if (!payload.empty()) std::memcpy(stored.data(), payload.data(), payload.size());
    const uint64_t payloadEnd = sizeof(RecordHeader) + payload.size();
    std::memset(into.data() + payloadEnd, 0, into.size() - payloadEnd);

    const uint32_t key = whiteningKeyFor(stored, fileOffset + sizeof(RecordHeader));
    if (key != 0) whiten(stored, key);

    header.magic = kRecordMagic;
    header.version = kRecordVersion;
    header.flags = static_cast<uint16_t>(header.flags | (key << kWhiteningShift));
    header.payloadBytes = static_cast<uint32_t>(payload.size());
    header.payloadCrc = crc32c(stored.data(), stored.size());
    header.headerCrc = headerCrcOf(header);
    std::memcpy(into.data(), &header, sizeof(header));
    return recordDigest(into.first(payloadEnd));
}

bool isAllZero(std::span<const std::byte> bytes) {
    size_t at = 0;
    for (; at + 64 <= bytes.size(); at += 64) {
        uint64_t words[8];
        std::memcpy(words, bytes.data() + at, sizeof(words));
        if ((words[0] | words[1] | words[2] | words[3] | words[4] | words[5] | words[6] |
             words[7]) != 0) {
            return false;
        }
    }
    for (; at < bytes.size(); ++at) {
        if (bytes[at] != std::byte{0}) return false;
    }
    return true;
}

RecordHeader loadRecordHeader(std::span<const std::byte> bytes) {
    CHECK(bytes.size() >= sizeof(RecordHeader));
    RecordHeader header;
    std::memcpy(&header, bytes.data(), sizeof(header));
    return header;
}

bool isRecordHeader(std::span<const std::byte> bytes) {
    if (bytes.size() < sizeof(RecordHeader)) return false;
    const RecordHeader header = loadRecordHeader(bytes);
    return header.magic == kRecordMagic && header.headerCrc == headerCrcOf(header);
}

const char* headerFault(const RecordHeader& header) {
    const unsigned kind = header.flags & kFlagKindMask;
    if (header.payloadBytes > kPayloadBytesMax) return "payload longer than the format allows";
    if (kind != 0 && kind != kFlagOpened && kind != kFlagClosed && kind != kFlagSealed) {
        return "unknown record kind";
    }
    if (kind == 0 && (header.count == 0 || header.payloadBytes == 0)) {
        return "record without commands";
    }
    if (kind != 0 && (header.count != 0 || header.payloadBytes != 0)) {
        return "control record with commands";
    }
    if (kind != 0 && header.flags >> kWhiteningShift != 0) return "control record that is whitened";
    if (header.position == 0) return "position 0";
    if (header.position + header.count < header.position) return "positions overflow";
    if (header.durableMark >= header.position) return "durable mark ahead of its own record";
    return nullptr;
}

bool hasUnwrittenSector(std::span<const std::byte> headerAndPayload, uint64_t fileOffset) {
    return !everySector(
        headerAndPayload, fileOffset,
        [](std::span<const std::byte> portion, uint64_t) { return !isAllZero(portion); });
}

void restorePayload(const RecordHeader& header, std::span<std::byte> payload) {
    const uint32_t key = header.flags >> kWhiteningShift;
    if (key != 0) whiten(payload, key);
}

}  // namespace verbex::journal
