#include "transport/host/host_id.h"

#include <cstring>
#include <fcntl.h>
#include <unistd.h>

#include "base/hash128.h"
#include "transport/sockets/descriptor.h"

namespace verbex::transport {
namespace {

std::string firstBytesOf(const std::string& path) {
    const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    char text[128];
    const ssize_t got = file.isOpen() ? ::read(file.number(), text, sizeof text) : -1;
    return got > 0 ? std::string(text, static_cast<size_t>(got)) : std::string();
}

std::string targetOf(const std::string& link) {
    char text[128];
    const ssize_t got = ::readlink(link.c_str(), text, sizeof text);
    return got > 0 ? std::string(text, static_cast<size_t>(got)) : std::string();
}

}  // namespace

HostId thisHostId(const std::string& proc) {
    const std::string parts[] = {firstBytesOf(proc + "/sys/kernel/random/boot_id"),
                                 targetOf(proc + "/self/ns/ipc"), targetOf(proc + "/self/ns/mnt")};
    Hash128 hash;
    for (const std::string& part : parts) {
        if (part.empty()) return {};
        hash.update(part.data(), part.size());
        hash.update("\n", 1);
    }
    const Digest128 digest = hash.digest();
    HostId id;
    static_assert(sizeof id == sizeof digest);
    std::memcpy(id.data(), &digest, sizeof id);
    return id;
}

}  // namespace verbex::transport
