// Memory that direct I/O accepts: begins at a multiple of kBlockBytes, zeroed.
//
// Purpose: staging and read buffers.
// Owner: whoever holds it.
// Thread safety: none.
// Invariants: data() is aligned; size() is what was asked for, rounded up to whole blocks.
// Requires: memory; a process that cannot have its buffers at start stops there.
#pragma once

#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>

#include "base/check.h"
#include "journal/storage.h"

namespace verbex::journal {

class AlignedBuffer {
public:
    AlignedBuffer() = default;
    explicit AlignedBuffer(uint64_t bytes)
        : size_((bytes + kBlockBytes - 1) / kBlockBytes * kBlockBytes),
          data_(static_cast<std::byte*>(std::aligned_alloc(kBlockBytes, size_))) {
        CHECK(data_ != nullptr);
        std::memset(data_.get(), 0, size_);
    }

    [[nodiscard]] std::byte* data() { return data_.get(); }
    [[nodiscard]] uint64_t size() const { return size_; }
    [[nodiscard]] std::span<std::byte> bytes() { return {data_.get(), size_}; }

private:
    struct Release {
        void operator()(std::byte* memory) const { std::free(memory); }
    };
    uint64_t size_ = 0;
    std::unique_ptr<std::byte, Release> data_;
};

}  // namespace verbex::journal
