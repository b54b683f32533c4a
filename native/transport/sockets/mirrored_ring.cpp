#include "transport/sockets/mirrored_ring.h"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <sys/mman.h>
#include <unistd.h>

#include "base/check.h"
#include "transport/sockets/descriptor.h"

namespace verbex::transport {
namespace {

Status noMemory(size_t bytes, int error) {
    return Status(StatusCode::NoSpace, "a ring of " + std::to_string(bytes) +
                                           " bytes: " + std::strerror(error) +
                                           "; smaller rings or fewer links need less");
}

}  // namespace

MirroredRing::~MirroredRing() {
    if (base_ != nullptr) ::munmap(base_, 2 * (mask_ + 1));
}

Status MirroredRing::allocate(size_t bytes) {
    CHECK(base_ == nullptr && std::has_single_bit(bytes));
    bytes = std::max(bytes, static_cast<size_t>(::sysconf(_SC_PAGESIZE)));
    const Descriptor memory(::memfd_create("verbex-ring", MFD_CLOEXEC));
    if (!memory.isOpen() || ::ftruncate(memory.number(), static_cast<off_t>(bytes)) != 0) {
        return noMemory(bytes, errno);
    }
    // The place for both is taken first, so that nothing else can come to lie between them.
    void* place = ::mmap(nullptr, 2 * bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (place == MAP_FAILED) return noMemory(bytes, errno);
    auto* base = static_cast<std::byte*>(place);
    for (std::byte* half : {base, base + bytes}) {
        if (::mmap(half, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, memory.number(),
                   0) == MAP_FAILED) {
            const int error = errno;
            ::munmap(base, 2 * bytes);
            return noMemory(bytes, error);
        }
    }
    base_ = base;
    mask_ = bytes - 1;
    return {};
}

}  // namespace verbex::transport
