#include "bus/history.h"

#include <bit>

namespace verbex::bus {

namespace {

// Messages of 16 bytes and more fill the bytes first; smaller ones, the index.
constexpr uint64_t kBytesPerIndexEntry = 32;

}  // namespace

History::History(uint32_t capacity, Position first)
    : mask_(capacity - 1),
      indexMask_(capacity / kBytesPerIndexEntry - 1),
      // Zeroed, so that every page is there before the first message: a fault costs microseconds.
      bytes_(std::make_unique<std::byte[]>(capacity)),
      index_(std::make_unique<uint64_t[]>(capacity / kBytesPerIndexEntry)),
      oldest_(first),
      next_(first) {
    CHECK(std::has_single_bit(capacity) && capacity >= 1024);
}

void History::restart(Position first) {
    oldest_ = next_ = first;
    begin_ = end_;
}

void History::forget(uint64_t cost) {
    while (oldest_ < next_ && (end_ + cost - begin_ > mask_ + 1 || next_ - oldest_ > indexMask_)) {
        ++oldest_;
        begin_ = oldest_ == next_ ? end_ : index_[oldest_ & indexMask_];
    }
    if (oldest_ == next_) begin_ = end_;
}

}  // namespace verbex::bus
