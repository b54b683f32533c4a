#include "transport/verbs/verbs_library.h"

#include <cerrno>
#include <cstring>
#include <dlfcn.h>
#include <filesystem>
#include <memory>
#include <unistd.h>

#include "transport/verbs/verbs_calls.h"

namespace verbex::transport {

namespace {

std::string_view whatToDo(VerbsObstacle obstacle) {
    switch (obstacle) {
        case VerbsObstacle::None: return "";
        case VerbsObstacle::BuiltWithoutHeaders:
            return "built without verbs: install the headers (Debian: libibverbs-dev) and build "
                   "again";
        case VerbsObstacle::LibraryMissing:
            return "libibverbs cannot be loaded: install it with its providers (Debian: "
                   "libibverbs1 ibverbs-providers)";
        case VerbsObstacle::NoKernelSupport:
            return "the kernel offers no RDMA to programs: load its module (modprobe ib_uverbs), "
                   "or use another transport";
        case VerbsObstacle::NoDevice:
            return "there is no RDMA device: load the adapter's driver, or add a software device "
                   "(modprobe rdma_rxe; rdma link add rxe0 type rxe netdev <interface>)";
        case VerbsObstacle::NoPermission:
            return "no RDMA device may be opened: give this user read and write access to "
                   "/dev/infiniband/uverbs* (group rdma), and a container the devices themselves "
                   "(--device /dev/infiniband)";
    }
    return "";
}

}  // namespace

Status verbsObstacleStatus(VerbsObstacle obstacle, std::string_view detail) {
    if (obstacle == VerbsObstacle::None) return {};
    const bool refused = obstacle == VerbsObstacle::NoPermission;
    std::string text(whatToDo(obstacle));
    if (!detail.empty()) text += " (" + std::string(detail) + ")";
    return Status(refused ? StatusCode::IoError : StatusCode::NotFound, std::move(text));
}

VerbsAvailability verbsAvailability() {
    return verbsAvailability(verbsLibrary());
}

#if defined(VERBEX_HAVE_VERBS)

namespace {

// Finds functions one after the other and remembers the first that is missing.
class Symbols {
public:
    explicit Symbols(void* handle) : handle_(handle) {}

    template <typename Function>
    void find(const char* name, Function& into, const char* version = "IBVERBS_1.1") {
        void* address = ::dlvsym(handle_, name, version);
        if (address == nullptr && missing_.empty()) missing_ = std::string(name) + "@" + version;
        into = reinterpret_cast<Function>(address);
    }

    [[nodiscard]] const std::string& missing() const { return missing_; }

private:
    void* const handle_;
    std::string missing_;
};

// The library's answer where it gave no list: everything else was refused by the kernel.
VerbsObstacle obstacleOf(int error) {
    return error == EPERM || error == EACCES ? VerbsObstacle::NoPermission
                                             : VerbsObstacle::NoKernelSupport;
}

// The devices that the kernel has. The library leaves out those that have no device file.
std::string devicesInKernel() {
    std::string names;
    std::error_code ignored;
    std::filesystem::directory_iterator entry("/sys/class/infiniband", ignored);
    for (; entry != std::filesystem::directory_iterator{}; entry.increment(ignored))
        names += (names.empty() ? "" : ", ") + entry->path().filename().string() +
                 ": no device file in /dev/infiniband";
    return names;
}

}  // namespace

std::string verbsRefusal(const ibv_device& device, int error) {
    const std::string file = std::string("/dev/infiniband/") + device.dev_name;
    if (::access(file.c_str(), R_OK | W_OK) != 0) return file + ": " + std::strerror(errno);
    return std::string("ibv_open_device: ") + std::strerror(error);
}

bool builtWithVerbs() {
    return true;
}

Result<const VerbsLibrary*> openVerbsLibrary(const std::string& fileName) {
    void* handle = ::dlopen(fileName.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle == nullptr) {
        const char* reason = ::dlerror();
        return verbsObstacleStatus(VerbsObstacle::LibraryMissing,
                                   reason == nullptr ? fileName : std::string(reason));
    }
    auto library = std::make_unique<VerbsLibrary>();
    Symbols symbols(handle);
    symbols.find("ibv_fork_init", library->forkInit);
    symbols.find("ibv_get_device_list", library->getDeviceList);
    symbols.find("ibv_free_device_list", library->freeDeviceList);
    symbols.find("ibv_get_device_name", library->getDeviceName);
    symbols.find("ibv_open_device", library->openDevice);
    symbols.find("ibv_close_device", library->closeDevice);
    symbols.find("ibv_query_device", library->queryDevice);
    symbols.find("ibv_query_port", library->queryPortShort);
    symbols.find("ibv_query_gid", library->queryGid);
    symbols.find("ibv_alloc_pd", library->allocateDomain);
    symbols.find("ibv_dealloc_pd", library->freeDomain);
    symbols.find("ibv_reg_mr", library->registerMemory);
    symbols.find("ibv_dereg_mr", library->deregisterMemory);
    // These two never changed, so they carry the first version still.
    symbols.find("ibv_create_comp_channel", library->createChannel, "IBVERBS_1.0");
    symbols.find("ibv_destroy_comp_channel", library->destroyChannel, "IBVERBS_1.0");
    symbols.find("ibv_create_cq", library->createCompletions);
    symbols.find("ibv_destroy_cq", library->destroyCompletions);
    symbols.find("ibv_get_cq_event", library->getCompletionEvent);
    symbols.find("ibv_ack_cq_events", library->acknowledgeCompletionEvents);
    symbols.find("ibv_create_qp", library->createQueuePair);
    symbols.find("ibv_modify_qp", library->modifyQueuePair);
    symbols.find("ibv_destroy_qp", library->destroyQueuePair);
    symbols.find("ibv_get_async_event", library->getAsyncEvent);
    symbols.find("ibv_ack_async_event", library->acknowledgeAsyncEvent);
    symbols.find("ibv_wc_status_str", library->completionText);
    if (!symbols.missing().empty()) {
        ::dlclose(handle);
        return verbsObstacleStatus(VerbsObstacle::LibraryMissing,
                                   fileName + " has no " + symbols.missing());
    }
    library->forkError = library->forkInit();
    return static_cast<const VerbsLibrary*>(library.release());
}

Result<const VerbsLibrary*> verbsLibrary() {
    static const Result<const VerbsLibrary*> loaded = openVerbsLibrary(kVerbsLibraryName);
    return loaded;
}

ibv_context* VerbsLibrary::openDeviceNamed(const char* name) const {
    int count = 0;
    ibv_device** list = getDeviceList(&count);
    if (list == nullptr) return nullptr;
    ibv_context* context = nullptr;
    int error = ENODEV;
    for (int i = 0; i < count; ++i) {
        if (std::strcmp(getDeviceName(list[i]), name) != 0) continue;
        errno = 0;
        context = openDevice(list[i]);
        error = errno != 0 ? errno : EIO;
        break;
    }
    freeDeviceList(list);
    errno = error;
    return context;
}

VerbsAvailability verbsAvailability(const Result<const VerbsLibrary*>& loaded) {
    VerbsAvailability answer;
    if (!loaded.isOk()) {
        answer.obstacle = VerbsObstacle::LibraryMissing;
        answer.status = loaded.status();
        return answer;
    }
    const VerbsLibrary& library = *loaded.value();
    int count = 0;
    errno = 0;
    ibv_device** list = library.getDeviceList(&count);
    std::string detail;
    if (list == nullptr) {
        answer.obstacle = obstacleOf(errno);
        detail = std::strerror(errno);
    } else {
        for (int i = 0; i < count; ++i) {
            const char* name = library.getDeviceName(list[i]);
            errno = 0;
            if (ibv_context* context = library.openDevice(list[i]); context != nullptr) {
                answer.devices.emplace_back(name);
                library.closeDevice(context);
            } else {
                if (!detail.empty()) detail += ", ";
                detail += std::string(name) + ": " + verbsRefusal(*list[i], errno);
            }
        }
        library.freeDeviceList(list);
        if (count == 0) detail = devicesInKernel();
        if (answer.devices.empty())
            answer.obstacle =
                detail.empty() ? VerbsObstacle::NoDevice : VerbsObstacle::NoPermission;
    }
    answer.status = verbsObstacleStatus(answer.obstacle, detail);
    return answer;
}

#else

bool builtWithVerbs() {
    return false;
}

Result<const VerbsLibrary*> openVerbsLibrary(const std::string&) {
    return verbsObstacleStatus(VerbsObstacle::BuiltWithoutHeaders, "");
}

Result<const VerbsLibrary*> verbsLibrary() {
    return openVerbsLibrary(kVerbsLibraryName);
}

VerbsAvailability verbsAvailability(const Result<const VerbsLibrary*>& loaded) {
    return {VerbsObstacle::BuiltWithoutHeaders, loaded.status(), {}};
}

#endif

}  // namespace verbex::transport
