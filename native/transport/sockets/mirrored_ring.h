// A ring of bytes whose memory is mapped twice, one copy behind the other.
//
// Purpose: what lies in it, and the room that is left, are always one contiguous span: a frame
// never wraps, and one system call moves everything.
// Owner: a tcp link, one a direction.
// Thread safety: none.
// Invariants:
//   1. content and room together are the capacity.
//   2. An emptied ring begins again at its start, so that a quiet link stays within few pages.
// Requires: allocate() before anything else.
#pragma once

#include <cstddef>
#include <span>

#include "base/status.h"

namespace verbex::transport {

class MirroredRing {
public:
    MirroredRing() = default;
    MirroredRing(const MirroredRing&) = delete;
    MirroredRing& operator=(const MirroredRing&) = delete;
    ~MirroredRing();

    // A power of two; at least a page is taken.
    Status allocate(size_t bytes);

    [[nodiscard]] std::span<std::byte> room() {
        return {base_ + (produced_ & mask_), mask_ + 1 - size()};
    }
    void produce(size_t bytes) { produced_ += bytes; }
    [[nodiscard]] std::span<const std::byte> content() const {
        return {base_ + (consumed_ & mask_), size()};
    }
    void consume(size_t bytes) {
        consumed_ += bytes;
        if (consumed_ == produced_) consumed_ = produced_ = 0;
    }
    [[nodiscard]] size_t size() const { return produced_ - consumed_; }
    [[nodiscard]] bool isEmpty() const { return produced_ == consumed_; }

private:
    std::byte* base_ = nullptr;
    size_t mask_ = 0;
    size_t produced_ = 0;
    size_t consumed_ = 0;
};

}  // namespace verbex::transport
