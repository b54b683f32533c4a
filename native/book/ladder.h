// Ladder: the price levels of one book, both sides, by tick.
//
// Purpose: finding a level is an index, finding the next occupied one a few bit operations. A window of up
// to 2^18 ticks lies in an array with a bitmap of three storeys on top; prices outside it lie in an ordered
// map. When trading has moved out of the window, the window moves after it.
// One array serves both sides: a book that is not crossed has at most one side at any price.
// Owner: a Book.
// Thread safety: none.
// Invariants:
//   1. A bit is set exactly where the level's head is not 0; the map holds no empty level.
//   2. Where the window lies is no fact of the state: answers do not depend on it.
//
//   storey 2            [ 1 word ]
//   storey 1        [ 64 words ........ ]       a bit: some bit is set in the word below
//   storey 0   [ 4096 words ............... ]   a bit: the level is occupied
//   levels     [ 262,144 × {head, tail} ......... ]   tick = base + index
#pragma once

#include <bit>
#include <cstdint>
#include <map>

#include "base/check.h"
#include "base/touch.h"
#include "base/zeroed_array.h"
#include "book/order.h"

namespace verbex {

class Ladder {
public:
    static constexpr int64_t kNone = 0;  // no price: ticks begin with 1
    static constexpr uint32_t kWindowTicksMax = 1u << 18;

    // The band is a hint for the window's size and place.
    Ladder(int64_t priceMin, int64_t priceMax);

    // The level at this price; an empty one outside the window reads as {0, 0}.
    [[nodiscard]] Level at(int64_t price) const {
        const uint64_t index = indexOf(price);
        if (__builtin_expect(index < size_, 1)) return levels_[index];
        const auto found = outside_.find(price);
        return found == outside_.end() ? Level{0, 0} : found->second;
    }

    // The level at this price, to be changed. Requires: occupied(price).
    [[nodiscard]] Level& occupied(int64_t price) {
        const uint64_t index = indexOf(price);
        if (__builtin_expect(index < size_, 1)) return levels_[index];
        const auto found = outside_.find(price);
        CHECK(found != outside_.end());
        return found->second;
    }

    // The level at this price for an order that will join it at once.
    [[nodiscard]] Level& join(int64_t price) {
        const uint64_t index = indexOf(price);
        if (__builtin_expect(index < size_, 1)) {
            if (levels_[index].head == 0) setBit(index);
            return levels_[index];
        }
        return joinOutside(price);
    }

    // The last order has left this level.
    void vacate(int64_t price) {
        const uint64_t index = indexOf(price);
        if (__builtin_expect(index < size_, 1)) {
            levels_[index] = Level{0, 0};
            clearBit(index);
        } else {
            outside_.erase(price);
        }
    }

    // The nearest occupied price strictly above or below, kNone if there is none.
    [[nodiscard]] int64_t above(int64_t price) const {
        if (__builtin_expect(!outside_.empty(), 0)) return aboveAnywhere(price);
        return aboveInWindow(price);
    }
    [[nodiscard]] int64_t below(int64_t price) const {
        if (__builtin_expect(!outside_.empty(), 0)) return belowAnywhere(price);
        return belowInWindow(price);
    }

    void warm(int64_t price) const {
        const uint64_t index = indexOf(price);
        if (index < size_) touch(&levels_[index]);
    }

private:
    [[nodiscard]] uint64_t indexOf(int64_t price) const {
        return static_cast<uint64_t>(price) - static_cast<uint64_t>(base_);
    }

    void setBit(uint64_t index) {
        storey0_[index >> 6] |= 1ULL << (index & 63);
        storey1_[index >> 12] |= 1ULL << ((index >> 6) & 63);
        storey2_ |= 1ULL << (index >> 12);
    }
    void clearBit(uint64_t index) {
        if ((storey0_[index >> 6] &= ~(1ULL << (index & 63))) != 0) return;
        if ((storey1_[index >> 12] &= ~(1ULL << ((index >> 6) & 63))) != 0) return;
        storey2_ &= ~(1ULL << (index >> 12));
    }

    [[nodiscard]] int64_t aboveInWindow(int64_t price) const {
        const uint64_t index = indexOf(price) + 1;
        if (price < base_) return firstFrom(0);
        if (index >= size_) return kNone;
        return firstFrom(index);
    }
    [[nodiscard]] int64_t belowInWindow(int64_t price) const {
        if (price <= base_) return kNone;
        const uint64_t index = indexOf(price) - 1;
        return lastUpTo(index < size_ ? index : size_ - 1);
    }

    [[nodiscard]] int64_t firstFrom(uint64_t index) const {
        uint64_t bits = storey0_[index >> 6] >> (index & 63);
        if (bits != 0) return base_ + static_cast<int64_t>(index) + std::countr_zero(bits);
        uint64_t word = index >> 6;
        bits = (word & 63) == 63 ? 0 : storey1_[word >> 6] >> ((word & 63) + 1);
        if (bits != 0) {
            word += 1 + static_cast<uint64_t>(std::countr_zero(bits));
        } else {
            uint64_t top = word >> 6;
            bits = top == 63 ? 0 : storey2_ >> (top + 1);
            if (bits == 0) return kNone;
            top += 1 + static_cast<uint64_t>(std::countr_zero(bits));
            word = top * 64 + static_cast<uint64_t>(std::countr_zero(storey1_[top]));
        }
        return base_ + static_cast<int64_t>(word * 64) + std::countr_zero(storey0_[word]);
    }
    [[nodiscard]] int64_t lastUpTo(uint64_t index) const {
        uint64_t bits = storey0_[index >> 6] << (63 - (index & 63));
        if (bits != 0) return base_ + static_cast<int64_t>(index) - std::countl_zero(bits);
        uint64_t word = index >> 6;
        bits = (word & 63) == 0 ? 0 : storey1_[word >> 6] << (64 - (word & 63));
        if (bits != 0) {
            word -= 1 + static_cast<uint64_t>(std::countl_zero(bits));
        } else {
            uint64_t top = word >> 6;
            bits = top == 0 ? 0 : storey2_ << (64 - top);
            if (bits == 0) return kNone;
            top -= 1 + static_cast<uint64_t>(std::countl_zero(bits));
            word = top * 64 + 63 - static_cast<uint64_t>(std::countl_zero(storey1_[top]));
        }
        return base_ + static_cast<int64_t>(word * 64) + 63 - std::countl_zero(storey0_[word]);
    }

    [[nodiscard]] Level& joinOutside(int64_t price);
    [[nodiscard]] int64_t aboveAnywhere(int64_t price) const;
    [[nodiscard]] int64_t belowAnywhere(int64_t price) const;
    void moveWindow(int64_t centre);

    int64_t base_;
    uint64_t size_;
    ZeroedArray<Level> levels_;
    ZeroedArray<uint64_t> storey0_;
    ZeroedArray<uint64_t> storey1_;
    uint64_t storey2_ = 0;
    std::map<int64_t, Level> outside_;
    uint64_t joinsOutside_ = 0;  // since the window last moved
};

}  // namespace verbex
