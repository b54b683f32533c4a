// FlatMap: a small open-addressing hash table from a 64-bit key to a plain value.
//
// Purpose: balances, exposures, limits and rights are looked up on every order; key and value lie side by
// side, so a hit costs one cache line. Linear probing, a power of two of slots, doubled at 3/4 full,
// removal by shifting back (Knuth, TAOCP 3, 6.4, algorithm R), so there are no tombstones.
// Owner: one part of the core's state.
// Thread safety: none.
// Invariants:
//   1. Key 0 marks an empty slot and is never stored.
//   2. Iteration order depends on the history, so nothing that leaves the core may follow it: sort first.
//   3. A pointer to a value is good until the next insertion or removal.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "base/check.h"
#include "base/touch.h"
#include "base/zeroed_array.h"

namespace verbex {

// The finaliser of MurmurHash3 (Appleby, public domain): every bit of the key moves every bit of the slot.
[[nodiscard]] inline uint64_t mixBits(uint64_t key) {
    key ^= key >> 33;
    key *= 0xff51afd7ed558ccdULL;
    key ^= key >> 33;
    key *= 0xc4ceb9fe1a85ec53ULL;
    key ^= key >> 33;
    return key;
}

template <typename Value>
class FlatMap {
    static_assert(std::is_trivially_copyable_v<Value>);

public:
    explicit FlatMap(size_t slots = 64)
        : slots_(zeroedArray<Slot>(slots)),
          mask_(slots - 1),
          shift_(static_cast<uint32_t>(std::countl_zero(slots)) + 1) {
        CHECK(slots >= 2 && std::has_single_bit(slots));
    }

    [[nodiscard]] size_t size() const { return size_; }
    [[nodiscard]] size_t bytes() const { return (mask_ + 1) * sizeof(Slot); }

    [[nodiscard]] Value* find(uint64_t key) {
        for (size_t i = home(key);; i = (i + 1) & mask_) {
            if (slots_[i].key == key) return &slots_[i].value;
            if (slots_[i].key == 0) return nullptr;
        }
    }
    [[nodiscard]] const Value* find(uint64_t key) const {
        return const_cast<FlatMap*>(this)->find(key);
    }

    // The value of this key, a zeroed one if it is new.
    [[nodiscard]] Value& findOrAdd(uint64_t key) {
        CHECK(key != 0);
        for (size_t i = home(key);; i = (i + 1) & mask_) {
            if (slots_[i].key == key) return slots_[i].value;
            if (slots_[i].key == 0) {
                if (size_ + 1 > (mask_ + 1) / 4 * 3) {
                    grow();
                    return findOrAdd(key);
                }
                ++size_;
                slots_[i].key = key;
                return slots_[i].value;
            }
        }
    }

    void erase(uint64_t key) {
        size_t hole = home(key);
        while (slots_[hole].key != key) {
            if (slots_[hole].key == 0) return;
            hole = (hole + 1) & mask_;
        }
        for (size_t i = hole;;) {
            i = (i + 1) & mask_;
            if (slots_[i].key == 0) break;
            if (((i - home(slots_[i].key)) & mask_) >= ((i - hole) & mask_)) {
                slots_[hole] = slots_[i];
                hole = i;
            }
        }
        slots_[hole] = Slot{};
        --size_;
    }

    // Brings the key's home close, before find().
    void warm(uint64_t key) const { touch(&slots_[home(key)]); }

    // visit(key, value) in no particular order.
    template <typename Visit>
    void forEach(Visit visit) const {
        for (size_t i = 0; i <= mask_; ++i) {
            if (slots_[i].key != 0) visit(slots_[i].key, slots_[i].value);
        }
    }

private:
    // No slot straddles two cache lines: a lookup that misses waits once.
    static constexpr size_t kPayload = sizeof(uint64_t) + sizeof(Value);
    struct alignas(kPayload > 32 ? 64 : alignof(Value) > 8 ? alignof(Value) : 8) Slot {
        uint64_t key;
        Value value;
    };

    // Fibonacci hashing (Knuth, TAOCP 3, 6.4): one multiplication, the top bits. Keys are pairs of dense
    // ids, which it spreads well.
    [[nodiscard]] size_t home(uint64_t key) const {
        return (key * 0x9e3779b97f4a7c15ULL) >> shift_;
    }

    [[gnu::noinline]] void grow() {
        const size_t old = mask_ + 1;
        ZeroedArray<Slot> slots = zeroedArray<Slot>(old * 2);
        slots.swap(slots_);
        mask_ = old * 2 - 1;
        --shift_;
        for (size_t i = 0; i < old; ++i) {
            if (slots[i].key == 0) continue;
            size_t at = home(slots[i].key);
            while (slots_[at].key != 0) at = (at + 1) & mask_;
            slots_[at] = slots[i];
        }
    }

    ZeroedArray<Slot> slots_;
    size_t mask_;
    uint32_t shift_;
    size_t size_ = 0;
};

// The key of a pair of ids; never 0 when the second is ≥ 1.
[[nodiscard]] inline uint64_t pairKey(uint32_t first, uint32_t second) {
    return uint64_t{first} << 32 | second;
}

}  // namespace verbex
