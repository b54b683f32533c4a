// A saved part is what it was, numbers and all, and goes on as the one that was never saved does.
#include "core/numbers.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <vector>

#include "core/part.h"
#include "core/random_commands.h"

namespace verbex::test {
namespace {

constexpr CoreLimits kLimits{
    .maxOrders = 512, .maxAccounts = 64, .maxInstruments = 16, .maxClientIds = 4096};

class Bytes final : public ByteSink, public ByteSource {
public:
    void write(const void* from, size_t size) override {
        const auto* const first = static_cast<const unsigned char*>(from);
        bytes.insert(bytes.end(), first, first + size);
    }
    bool read(void* into, size_t size) override {
        if (size > bytes.size() - at) return false;
        if (size != 0) std::memcpy(into, &bytes[at], size);
        at += size;
        return true;
    }
    std::vector<unsigned char> bytes;
    size_t at = 0;
};

// Keeps every event of one command.
class Kept final : public EventWriter {
public:
    Kept() { setRegion(room_.data(), room_.data() + room_.size()); }
    std::vector<Event> take() {
        drain();
        return std::move(events_);
    }

private:
    void drain() override {
        events_.insert(events_.end(), begin(), cursor());
        setRegion(room_.data(), room_.data() + room_.size());
    }
    std::array<Event, 64> room_;
    std::vector<Event> events_;
};

void expectSame(const CorePart& a, const CorePart& b, uint32_t risk, uint32_t matching) {
    EXPECT_EQ(a.core().hash(), b.core().hash());
    EXPECT_EQ(a.share(PartKind::Centre, 0), b.share(PartKind::Centre, 0));
    for (uint32_t i = 0; i < risk; i++) {
        EXPECT_EQ(a.share(PartKind::Risk, i), b.share(PartKind::Risk, i)) << "risk " << i;
    }
    for (uint32_t i = 0; i < matching; i++) {
        EXPECT_EQ(a.share(PartKind::Matching, i), b.share(PartKind::Matching, i)) << "matching " << i;
    }
}

TEST(CoreNumbers, ASavedPartIsWhatItWasAndGoesOnAsItWould) {
    uint64_t restored = 0;  // orders
    for (uint64_t seed = 1; seed <= 6; seed++) {
        const auto risk = static_cast<uint32_t>(1 + seed % 3);
        const auto matching = static_cast<uint32_t>(1 + seed / 2 % 3);
        RandomCommands random(seed);
        CorePart whole(kLimits, risk, matching);
        auto other = std::make_unique<CorePart>(kLimits, risk, matching);
        for (uint32_t i = 1; i <= 4000; i++) {
            const Command command = random.next();
            Kept one;
            Kept two;
            whole.replay(command, one);
            other->replay(command, two);
            const std::vector<Event> expected = one.take();
            const std::vector<Event> got = two.take();
            ASSERT_EQ(expected.size(), got.size());
            ASSERT_EQ(std::memcmp(expected.data(), got.data(), got.size() * sizeof(Event)), 0)
                << "seed " << seed << ", command " << i;
            if (i % 250 != 0) continue;
            Bytes bytes;
            other->save(bytes);
            other = std::make_unique<CorePart>(kLimits, risk, matching);
            ASSERT_TRUE(other->load(bytes)) << "seed " << seed << ", command " << i;
            EXPECT_EQ(bytes.at, bytes.bytes.size());
            restored += other->openOrders();
            expectSame(whole, *other, risk, matching);
            if (HasFailure()) FAIL() << "seed " << seed << ", command " << i;
        }
    }
    EXPECT_GT(restored, 100u);
}

TEST(CoreNumbers, WhatCannotBeTheNumbersIsRefusedAndNeverCrashes) {
    RandomCommands random(3);
    CorePart whole(kLimits, 2, 2);
    for (uint32_t i = 0; i < 3000; i++) {
        Kept events;
        whole.replay(random.next(), events);
    }
    Bytes sound;
    whole.save(sound);
    CorePart otherLayout(kLimits, 2, 3);
    EXPECT_FALSE(otherLayout.load(sound));
    size_t refused = 0;
    for (size_t at = 0; at < 2000 && at < sound.bytes.size(); at += 3) {
        Bytes damaged;
        damaged.bytes = sound.bytes;
        damaged.bytes[at] ^= static_cast<unsigned char>(1u << at % 8);
        CorePart part(kLimits, 2, 2);
        refused += part.load(damaged) ? 0 : 1;
    }
    EXPECT_GT(refused, 100u);  // a file's checksums find the rest
    for (size_t size = 0; size < sound.bytes.size(); size += 97) {
        Bytes torn;
        torn.bytes.assign(sound.bytes.begin(), sound.bytes.begin() + static_cast<ptrdiff_t>(size));
        CorePart part(kLimits, 2, 2);
        EXPECT_FALSE(part.load(torn)) << size;
    }
}

// An order in a slot that is free as well: two orders would lie in it later.
TEST(CoreNumbers, ASlotIsFreeOrAnOrdersAndNeverBoth) {
    OrderMemory memory(64, 1, false);
    OrderSlab slab(memory, 0, 64);
    const std::array<OrderSlot, 2> free{3, 1};
    ASSERT_TRUE(slab.restoreSlots(5, free));
    EXPECT_FALSE(slab.claimAt(3));
    EXPECT_FALSE(slab.claimAt(5));
    EXPECT_TRUE(slab.claimAt(2));
    slab[2].orderId = 7;
    EXPECT_FALSE(slab.claimAt(2));
    EXPECT_FALSE(slab.slotsRestored());  // nobody has 4
    EXPECT_TRUE(slab.claimAt(4));
    EXPECT_TRUE(slab.slotsRestored());
    EXPECT_EQ(slab.claim(), 3u);
    EXPECT_EQ(slab.claim(), 1u);
    EXPECT_EQ(slab.claim(), 5u);
    OrderMemory second(64, 1, false);
    OrderSlab twice(second, 0, 64);
    const std::array<OrderSlot, 2> same{1, 1};
    EXPECT_FALSE(twice.restoreSlots(5, same));
}

}  // namespace
}  // namespace verbex::test
