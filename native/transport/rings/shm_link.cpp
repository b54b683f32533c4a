#include "transport/rings/shm_link.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace verbex::transport {
namespace {

constexpr std::string_view kFolder = "/dev/shm/";
constexpr std::string_view kPrefix = "verbex-link-";

std::string pathOf(const ShmOffer& offer) {
    return std::string(kFolder) + offer.name.data();
}

Status fileFailure(const char* doing, const std::string& path) {
    const int error = errno;
    const StatusCode code = error == ENOSPC ? StatusCode::NoSpace : StatusCode::IoError;
    const char* advice =
        error == ENOSPC ? ": /dev/shm is full; enlarge it (mount -o remount,size=) or the rings less"
                        : "";
    return Status(code, std::string(doing) + ' ' + path + ": " + std::strerror(error) + advice);
}

bool isOurKindOfName(const ShmOffer& offer) {
    const std::string_view all(offer.name.data(), offer.name.size());
    const size_t end = all.find('\0');
    if (end == std::string_view::npos) return false;
    const std::string_view name = all.substr(0, end);
    return name.starts_with(kPrefix) && name.find_first_not_of("0123456789abcdef-",
                                                               kPrefix.size()) == name.npos;
}

// A connecting side that died before its peer had mapped the file left it behind. A file that is mapped
// has no name any more, so at worst a set-up that is under way in another pid namespace is disturbed.
void removeAbandoned() {
    DIR* folder = opendir(kFolder.data());
    if (folder == nullptr) return;
    while (const dirent* entry = readdir(folder)) {
        const std::string_view name = entry->d_name;
        if (!name.starts_with(kPrefix)) continue;
        const int pid = std::atoi(name.data() + kPrefix.size());
        const bool isGone = pid > 0 && kill(pid, 0) != 0 && errno == ESRCH;
        if (isGone) unlinkat(dirfd(folder), entry->d_name, 0);
    }
    closedir(folder);
}

}  // namespace

ShmLink::ShmLink(const NetworkOptions&, const Session& session, bool connecting,
                 SetUpConnection& connection)
    : connection_(connection), connecting_(connecting) {
    info_ = linkInfoOf(session, false);
    sendSeal_ = {.epoch = session.epoch, .salt = session.sendSalt, .mac = {}};
    receiveSeal_ = {.epoch = session.epoch, .salt = session.receiveSalt, .mac = {}};
    if (session.mac) {
        sendSeal_.mac.emplace(session.sendKey);
        receiveSeal_.mac.emplace(session.receiveKey);
    }
}

ShmLink::~ShmLink() {
    if (named_) unlink(pathOf(offer_).c_str());
    if (mapping_ != nullptr) munmap(mapping_, 2 * regionStride(info_.ringBytes));
}

Status ShmLink::prepare(std::span<const std::byte> peerOffer) {
    return connecting_ ? create() : open(peerOffer);
}

Status ShmLink::create() {
    removeAbandoned();
    uint64_t random = 0;
    VERBEX_RETURN_IF_FAILED(randomBytes(std::as_writable_bytes(std::span(&random, 1))));
    std::snprintf(offer_.name.data(), offer_.name.size(), "%s%d-%016llx", kPrefix.data(), getpid(),
                  static_cast<unsigned long long>(random));
    offer_.bytes = 2 * regionStride(info_.ringBytes);
    const std::string path = pathOf(offer_);
    const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file < 0) return fileFailure("making", path);
    named_ = true;
    if (const int error = posix_fallocate(file, 0, static_cast<off_t>(offer_.bytes)); error != 0) {
        errno = error;
        Status why = fileFailure("filling", path);
        ::close(file);
        return why;
    }
    return map(file);
}

Status ShmLink::open(std::span<const std::byte> peerOffer) {
    if (peerOffer.size() != sizeof offer_)
        return Status(StatusCode::ProtocolViolation, "an shm offer of another length");
    std::memcpy(&offer_, peerOffer.data(), sizeof offer_);
    if (!isOurKindOfName(offer_))
        return Status(StatusCode::ProtocolViolation, "an shm offer with a name of another kind");
    const std::string path = pathOf(offer_);
    const int file = ::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (file < 0) return fileFailure("opening", path);
    struct stat facts {};
    const auto bytes = static_cast<off_t>(2 * regionStride(info_.ringBytes));
    if (fstat(file, &facts) != 0 || !S_ISREG(facts.st_mode) || facts.st_size != bytes ||
        offer_.bytes != static_cast<uint64_t>(bytes) || (facts.st_mode & 0077) != 0) {
        ::close(file);
        return Status(StatusCode::ProtocolViolation, path + " is not the file that was agreed on");
    }
    // From here on only the two mappings keep it.
    unlink(path.c_str());
    return map(file);
}

Status ShmLink::map(int file) {
    const size_t stride = regionStride(info_.ringBytes);
    void* mapped =
        mmap(nullptr, 2 * stride, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, file, 0);
    Status failure = mapped == MAP_FAILED ? fileFailure("mapping", pathOf(offer_)) : Status();
    ::close(file);
    if (!failure.isOk()) return failure;
    mapping_ = static_cast<std::byte*>(mapped);
    std::byte* connectors = mapping_;
    std::byte* listeners = mapping_ + stride;
    std::byte* own = connecting_ ? connectors : listeners;
    std::byte* peers = connecting_ ? listeners : connectors;
    attach(own, peers + kCreditBytes, sendSeal_, receiveSeal_, 0);
    return {};
}

std::span<const std::byte> ShmLink::ownOffer() const {
    if (!connecting_) return {};
    return std::as_bytes(std::span(&offer_, 1));
}

Status ShmLink::establish(std::span<const std::byte>) {
    // The listener has mapped it before it answered.
    named_ = false;
    return {};
}

CreditBlock& ShmLink::peerCredits() const {
    const size_t stride = regionStride(info_.ringBytes);
    return *reinterpret_cast<CreditBlock*>(connecting_ ? mapping_ + stride : mapping_);
}

void ShmLink::setAsleep(bool asleep) noexcept {
    if (isOver()) return;
    storeWord(peerCredits().asleep, asleep ? 1 : 0);
    if (!asleep) return;
    std::atomic_thread_fence(std::memory_order_seq_cst);
    wakeIfNeeded();
}

void ShmLink::flush() noexcept {
    if (state_ == LinkState::Open) wakeIfNeeded();
}

void ShmLink::giveCredit(uint64_t consumed) noexcept {
    storeWord(peerCredits().consumed, consumed);
}

// Another process's mapping cannot be taken away; from here on nobody reads what it writes, and
// nothing of ours reaches it.
void ShmLink::disconnect() noexcept {
    disconnected_ = true;
}

void ShmLink::goodbye() noexcept {
    connection_.sayGoodbye();
}

void ShmLink::wakePeer() noexcept {
    if (!disconnected_) connection_.wakePeer();
}

std::unique_ptr<HostLink> makeShmLink(const NetworkOptions& options, const Session& session,
                                      bool connecting, SetUpConnection& connection) {
    return std::make_unique<ShmLink>(options, session, connecting, connection);
}

}  // namespace verbex::transport
