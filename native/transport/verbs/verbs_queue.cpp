#include "transport/verbs/verbs_queue.h"

#include <mutex>
#include <optional>
#include <string>
#include <unistd.h>

#include "transport/verbs/verbs_calls.h"
#include "transport/verbs/verbs_library.h"
#include "transport/verbs/verbs_queue_pair.h"

namespace verbex::transport {

namespace {

Status checkRegion(const VerbsRegion& region, const char* name) {
    const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
    const auto begin = reinterpret_cast<uintptr_t>(region.data);
    const auto wrong = [name](const char* text) {
        return Status(StatusCode::InvalidArgument, std::string(name) + " region: " + text);
    };
    if (begin == 0 || begin % page != 0)
        return wrong("must begin on a page of its own: map it with mmap");
    if (region.size == 0 || region.size % kVerbsRegionUnit != 0)
        return wrong("its size must be a multiple of 64 bytes, and not 0");
    return {};
}

Status checkRegions(const VerbsRegion& receive, const VerbsRegion& send) {
    VERBEX_RETURN_IF_FAILED(checkRegion(receive, "receive"));
    VERBEX_RETURN_IF_FAILED(checkRegion(send, "send"));
    const auto first = reinterpret_cast<uintptr_t>(receive.data);
    const auto second = reinterpret_cast<uintptr_t>(send.data);
    if (first < second + send.size && second < first + receive.size)
        return Status(StatusCode::InvalidArgument,
                      "receive and send regions overlap: the peer could change what is sent");
    return {};
}

#if defined(VERBEX_HAVE_VERBS)

// Choosing looks at every GID of every port, a system call or a file each, and an Ethernet port may
// have a thousand of them. What was chosen last is taken again while it is there: the queue pair looks
// at that one GID when it is opened.
class RememberedChoice {
public:
    std::optional<VerbsChoice> of(const VerbsOptions& options) {
        const std::lock_guard guard(mutex_);
        return isFor(options) ? choice_ : std::nullopt;
    }
    void keep(const VerbsOptions& options, VerbsChoice choice) {
        const std::lock_guard guard(mutex_);
        options_ = options;
        choice_ = std::move(choice);
    }

private:
    // What selectVerbs() looks at.
    [[nodiscard]] bool isFor(const VerbsOptions& other) const {
        return options_.device == other.device && options_.port == other.port &&
               options_.gidIndex == other.gidIndex && options_.mtu == other.mtu &&
               options_.preferIpv6 == other.preferIpv6;
    }

    std::mutex mutex_;
    VerbsOptions options_;
    std::optional<VerbsChoice> choice_;
};

#endif

}  // namespace

Result<std::unique_ptr<VerbsQueue>> VerbsQueue::open(const VerbsOptions& options,
                                                     VerbsRegion receive, VerbsRegion send) {
    VERBEX_RETURN_IF_FAILED(checkVerbsOptions(options));
    VERBEX_RETURN_IF_FAILED(checkRegions(receive, send));
    const Result<const VerbsLibrary*> library = verbsLibrary();
    if (!library.isOk()) return library.status();
#if defined(VERBEX_HAVE_VERBS)
    static RememberedChoice remembered;
    if (std::optional<VerbsChoice> last = remembered.of(options); last.has_value()) {
        auto queue = std::make_unique<VerbsQueuePair>(*library.value(), options, std::move(*last));
        if (queue->open(receive, send).isOk()) return std::unique_ptr<VerbsQueue>(std::move(queue));
        // It is there no more, or something else is wrong: that is said of what there is now.
    }
    Result<VerbsChoice> choice = chooseVerbs(options, systemVerbsSurroundings());
    if (!choice.isOk()) return choice.status();
    auto queue = std::make_unique<VerbsQueuePair>(*library.value(), options, choice.value());
    VERBEX_RETURN_IF_FAILED(queue->open(receive, send));
    remembered.keep(options, choice.take());
    return std::unique_ptr<VerbsQueue>(std::move(queue));
#else
    return verbsObstacleStatus(VerbsObstacle::BuiltWithoutHeaders, "");
#endif
}

}  // namespace verbex::transport
