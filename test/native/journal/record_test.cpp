#include "journal/record.h"

#include <gtest/gtest.h>

#include <bit>
#include <cstring>

#include "workload.h"

namespace verbex::journal::test {
namespace {

struct Encoded {
    std::vector<std::byte> bytes;
    Digest128 digest;
};

Encoded encode(std::span<const std::byte> payload, uint64_t offset) {
    RecordHeader header;
    header.epoch = 3;
    header.position = 17;
    header.count = 2;
    header.durableMark = 16;
    header.previousDigest = {5, 6};
    Encoded encoded;
    encoded.bytes.resize(recordBytes(payload.size()));
    encoded.digest = encodeRecord(header, payload, offset, encoded.bytes);
    return encoded;
}

unsigned bitsOf(std::span<const std::byte> bytes) {
    unsigned bits = 0;
    for (const std::byte byte : bytes) {
        bits += static_cast<unsigned>(std::popcount(static_cast<uint8_t>(byte)));
    }
    return bits;
}

// Invariant 2 of record.h, counted without the code under test.
void expectEverySectorMarked(const Encoded& encoded, size_t payloadBytes, uint64_t offset) {
    const size_t content = sizeof(RecordHeader) + payloadBytes;
    for (size_t at = 0; at < content;) {
        const size_t size =
            std::min<size_t>(kSectorBytes - (offset + at) % kSectorBytes, content - at);
        ASSERT_GE(bitsOf(std::span(encoded.bytes).subspan(at, size)), 2u)
            << "offset " << offset << " payload " << payloadBytes << " at " << at;
        at += size;
    }
}

void expectRoundTrip(std::span<const std::byte> payload, uint64_t offset) {
    Encoded encoded = encode(payload, offset);
    expectEverySectorMarked(encoded, payload.size(), offset);
    ASSERT_TRUE(isRecordHeader(encoded.bytes));
    const RecordHeader header = loadRecordHeader(encoded.bytes);
    ASSERT_EQ(headerFault(header), nullptr);
    ASSERT_EQ(header.payloadBytes, payload.size());
    ASSERT_FALSE(hasUnwrittenSector(
        std::span(encoded.bytes).first(sizeof(RecordHeader) + payload.size()), offset));
    const std::span<std::byte> stored =
        std::span(encoded.bytes).subspan(sizeof(RecordHeader), payload.size());
    restorePayload(header, stored);
    ASSERT_TRUE(std::ranges::equal(stored, payload));
}

TEST(Record, RoundTripsWithEverySectorMarkedForEveryOffsetAndManyLengths) {
    for (uint64_t offset = kBlockBytes; offset < kBlockBytes + kSectorBytes; offset += 64) {
        for (size_t size = 1; size < 1300; size += 1 + size / 40) {
            expectRoundTrip(std::vector<std::byte>(size), offset);
            expectRoundTrip(randomBytes(size, size), offset);
            std::vector<std::byte> sparse(size);
            sparse.back() = std::byte{1};
            expectRoundTrip(sparse, offset);
            if (HasFatalFailure()) return;
        }
    }
}

// The worst payload there is: each sector equals the whitening pattern of another key.
TEST(Record, APayloadBuiltAgainstTheWhiteningIsWhitenedToo) {
    std::vector<std::byte> payload(kPayloadBytesMax);
    const uint64_t offset = kBlockBytes;
    for (size_t at = 0; at < payload.size(); ++at) {
        const uint64_t key =
            (offset + sizeof(RecordHeader) + at) / kSectorBytes - offset / kSectorBytes;
        const uint64_t pattern = (key - 1) * 0x9e3779b97f4a7c15;
        payload[at] = static_cast<std::byte>(pattern >> (8 * (at % 8)));
    }
    expectRoundTrip(payload, offset);
    EXPECT_GT(loadRecordHeader(encode(payload, offset).bytes).flags >> kWhiteningShift, 2000);
}

TEST(Record, OrdinaryPayloadsAreStoredAsTheyAre) {
    const std::vector<std::byte> payload = randomBytes(4, 5000);
    const Encoded encoded = encode(payload, kBlockBytes);
    EXPECT_EQ(loadRecordHeader(encoded.bytes).flags, 0);
    EXPECT_EQ(std::memcmp(encoded.bytes.data() + 64, payload.data(), payload.size()), 0);
}

TEST(Record, ALostSectorIsSeenAndAFlippedBitIsNot) {
    const std::vector<std::byte> payload = randomBytes(9, 2000);
    const uint64_t offset = kBlockBytes + 192;
    const size_t content = sizeof(RecordHeader) + payload.size();
    const Encoded encoded = encode(payload, offset);
    for (size_t bit = 0; bit < content * 8; ++bit) {
        std::vector<std::byte> flipped = encoded.bytes;
        flipped[bit / 8] ^= static_cast<std::byte>(1u << (bit % 8));
        ASSERT_FALSE(hasUnwrittenSector(std::span(flipped).first(content), offset));
    }
    for (size_t at = 0; at < content;) {
        const size_t size =
            std::min<size_t>(kSectorBytes - (offset + at) % kSectorBytes, content - at);
        std::vector<std::byte> torn = encoded.bytes;
        std::memset(torn.data() + at, 0, size);
        ASSERT_TRUE(hasUnwrittenSector(std::span(torn).first(content), offset));
        at += size;
    }
}

TEST(Record, HeaderFaultsAreNamed) {
    RecordHeader good;
    good.position = 5;
    good.count = 1;
    good.payloadBytes = 10;
    good.durableMark = 4;
    EXPECT_EQ(headerFault(good), nullptr);
    const auto faulty = [&](auto change) {
        RecordHeader header = good;
        change(header);
        return headerFault(header) != nullptr;
    };
    EXPECT_TRUE(faulty([](RecordHeader& h) { h.payloadBytes = kPayloadBytesMax + 1; }));
    EXPECT_TRUE(faulty([](RecordHeader& h) { h.flags = 8; }));
    EXPECT_TRUE(faulty([](RecordHeader& h) { h.flags = kFlagOpened | kFlagClosed; }));
    EXPECT_TRUE(faulty([](RecordHeader& h) { h.count = 0; }));
    EXPECT_TRUE(faulty([](RecordHeader& h) { h.payloadBytes = 0; }));
    EXPECT_TRUE(faulty([](RecordHeader& h) { h.flags = kFlagClosed; }));
    EXPECT_TRUE(faulty([](RecordHeader& h) { h.position = 0; }));
    EXPECT_TRUE(faulty([](RecordHeader& h) { h.durableMark = 5; }));
    EXPECT_TRUE(faulty([](RecordHeader& h) { h.position = ~uint64_t{0}; }));
}

}  // namespace
}  // namespace verbex::journal::test
