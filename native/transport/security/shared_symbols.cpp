#include "transport/security/shared_symbols.h"

#include <cstring>
#include <dlfcn.h>

namespace verbex::transport {
namespace {

// A library of our own must bind to its own dependencies, not to a namesake that the process
// exports. Sanitizers refuse the flag, since it would bind around their interceptors.
constexpr int kOpenFlags = RTLD_NOW | RTLD_LOCAL
#if defined(RTLD_DEEPBIND) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#if defined(__has_feature)
#if !__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer)
                           | RTLD_DEEPBIND
#endif
#else
                           | RTLD_DEEPBIND
#endif
#endif
    ;

void store(const SymbolSlot& slot, void* address) {
    std::memcpy(slot.slot, &address, sizeof(address));
}

Status fill(std::span<const std::span<const SymbolSlot>> groups, void* library, const char* place) {
    for (const std::span<const SymbolSlot> group : groups) {
        const void* object = nullptr;
        for (const SymbolSlot& slot : group) {
            void* address = ::dlsym(library, slot.name);
            Dl_info found{};
            if (address == nullptr || ::dladdr(address, &found) == 0) {
                return Status(StatusCode::NotFound, std::string(place) + " has no " + slot.name);
            }
            if (object != nullptr && object != found.dli_fbase) {
                return Status(StatusCode::UnsupportedFormat,
                              std::string(place) + " has " + slot.name +
                                  " from another library than its sisters");
            }
            object = found.dli_fbase;
            store(slot, address);
        }
    }
    return {};
}

}  // namespace

Status SharedSymbols::resolve(std::span<const std::span<const SymbolSlot>> groups, const char* file,
                              const Acceptable& acceptable) {
    const auto attempt = [&](void* library, const char* place) {
        Status status = fill(groups, library, place);
        if (status.isOk()) status = acceptable().within(place);
        if (status.isOk()) return status;
        for (const std::span<const SymbolSlot> group : groups) {
            for (const SymbolSlot& slot : group) store(slot, nullptr);
        }
        return status;
    };
    const Status inProcess = attempt(RTLD_DEFAULT, "this process");
    if (inProcess.isOk()) return {};
    void* library = ::dlopen(file, kOpenFlags);
    if (library == nullptr) {
        const char* reason = ::dlerror();
        return Status(StatusCode::NotFound,
                      inProcess.message() + "; " + (reason != nullptr ? reason : "dlopen failed"));
    }
    const Status inFile = attempt(library, file);
    if (inFile.isOk()) return {};
    return Status(inFile.code(), inProcess.message() + "; " + inFile.message());
}

}  // namespace verbex::transport
