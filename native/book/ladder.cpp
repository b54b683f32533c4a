#include "book/ladder.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace verbex {

namespace {

// Moving the window visits every word of its bitmap and every level; it is paid for by as many joins
// that had to go through the map. An empty window moves sooner, but must still pay for the map: otherwise
// one order, cancelled and placed far away again and again, would have every level carried each time.
constexpr uint64_t kJoinsBeforeMove = 4096;

uint64_t windowTicks(int64_t priceMin, int64_t priceMax) {
    const uint64_t band = static_cast<uint64_t>(priceMax - priceMin) + 1;
    if (band >= Ladder::kWindowTicksMax) return Ladder::kWindowTicksMax;
    return std::max<uint64_t>(64, std::bit_ceil(band));
}

}  // namespace

Ladder::Ladder(int64_t priceMin, int64_t priceMax)
    : base_(priceMin),
      size_(windowTicks(priceMin, priceMax)),
      levels_(zeroedArray<Level>(size_)),
      storey0_(zeroedArray<uint64_t>(std::max<uint64_t>(1, size_ >> 6))),
      storey1_(zeroedArray<uint64_t>(64)) {}

Level& Ladder::joinOutside(int64_t price) {
    const uint64_t window = storey2_ == 0 ? 0 : kJoinsBeforeMove;
    if (++joinsOutside_ > window + outside_.size()) {
        moveWindow(price);
        return join(price);
    }
    return outside_[price];
}

void Ladder::moveWindow(int64_t centre) {
    std::vector<std::pair<int64_t, Level>> occupiedLevels(outside_.begin(), outside_.end());
    for (int64_t price = aboveInWindow(base_ - 1); price != kNone; price = aboveInWindow(price)) {
        occupiedLevels.emplace_back(price, at(price));
    }
    for (const auto& [price, level] : occupiedLevels) vacate(price);
    outside_.clear();
    base_ = std::max<int64_t>(1, centre - static_cast<int64_t>(size_ / 2));
    joinsOutside_ = 0;
    for (const auto& [price, level] : occupiedLevels) {
        const uint64_t index = indexOf(price);
        if (index < size_) {
            setBit(index);
            levels_[index] = level;
        } else {
            outside_[price] = level;
        }
    }
}

int64_t Ladder::aboveAnywhere(int64_t price) const {
    const int64_t inside = aboveInWindow(price);
    const auto found = outside_.upper_bound(price);
    if (found == outside_.end()) return inside;
    return inside == kNone ? found->first : std::min(inside, found->first);
}

int64_t Ladder::belowAnywhere(int64_t price) const {
    const int64_t inside = belowInWindow(price);
    auto found = outside_.lower_bound(price);
    if (found == outside_.begin()) return inside;
    --found;
    return std::max(inside, found->first);
}

}  // namespace verbex
