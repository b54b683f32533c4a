// ZeroedArray: a fixed block of zeroed memory that costs nothing until it is touched.
//
// Purpose: the core preallocates for the limits it was given (a million orders, millions of ids) without
// using the memory before it needs it. Large blocks ask the kernel for huge pages: with 4 KiB pages one
// new order in a hundred would take a page fault, and every lookup in a large table a miss of the TLB.
// Owner: whoever made it; memory is given back when it goes.
// Thread safety: none.
// Invariants:
//   1. All bytes are zero at first. Running out of address space stops the process at start, not later.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <type_traits>

#include "base/check.h"

namespace verbex {

inline constexpr size_t kHugeBlockBytes = size_t{4} << 20;

struct FreeZeroed {
    size_t bytes = 0;
    void operator()(void* memory) const {
        if (bytes >= kHugeBlockBytes) {
            munmap(memory, bytes);
        } else {
            std::free(memory);
        }
    }
};

template <typename T>
using ZeroedArray = std::unique_ptr<T[], FreeZeroed>;

template <typename T>
[[nodiscard]] ZeroedArray<T> zeroedArray(size_t count) {
    static_assert(std::is_trivially_copyable_v<T> && alignof(T) <= 64);
    const size_t bytes = (count * sizeof(T) + 63) / 64 * 64;
    void* memory;
    if (bytes >= kHugeBlockBytes) {
        memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        CHECK(memory != MAP_FAILED);
        (void)madvise(memory, bytes, MADV_HUGEPAGE);  // a wish: small pages work as well
    } else if (alignof(T) > alignof(std::max_align_t)) {
        memory = std::aligned_alloc(64, bytes);
        CHECK(memory != nullptr);
        __builtin_memset(memory, 0, bytes);
    } else {
        memory = std::calloc(1, bytes);
        CHECK(memory != nullptr);
    }
    return ZeroedArray<T>(static_cast<T*>(memory), FreeZeroed{bytes});
}

// Writes to every page of the first `count`, so that no later access takes a page fault.
template <typename T>
void touchPages(ZeroedArray<T>& array, size_t count = SIZE_MAX) {
    const size_t whole = array.get_deleter().bytes;
    const size_t bytes = count < whole / sizeof(T) ? count * sizeof(T) : whole;
    auto* at = reinterpret_cast<volatile unsigned char*>(array.get());
    for (size_t i = 0; i < bytes; i += 4096) at[i] = at[i];
}

}  // namespace verbex
