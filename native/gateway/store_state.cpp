#include "gateway/store_state.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cinttypes>
#include <utility>

#include "gateway/store_segment.h"

namespace verbex::gateway::store {

namespace {

constexpr mode_t kStateFileMode = 0640;
constexpr size_t kStateBytesMax = 512;
constexpr char kFirstLine[] = "verbex-messages 1\nboot ";

class Descriptor {
public:
    explicit Descriptor(int number) : number_(number) {}
    ~Descriptor() {
        if (number_ >= 0) ::close(number_);
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    [[nodiscard]] int number() const { return number_; }

private:
    const int number_;
};

std::string statePath(const std::string& directory) { return directory + "/state"; }

std::string withChecksum(const std::string& text) {
    char line[32];
    std::snprintf(line, sizeof(line), "crc %08x\n", crc32c(text.data(), text.size()));
    return text + line;
}

std::string stateText(const StoreState& state) {
    char numbers[96];
    std::snprintf(numbers, sizeof(numbers), "generation %u\nclean %d\nend %" PRIx64 "\n",
                  state.generation, state.clean ? 1 : 0, state.end);
    return withChecksum(kFirstLine + state.boot + "\n" + numbers);
}

}  // namespace

std::string currentBoot() {
    const Descriptor file(::open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC));
    std::array<char, 64> text = {};
    const ssize_t read =
        file.number() < 0 ? 0 : ::read(file.number(), text.data(), text.size() - 1);
    std::string boot(text.data(), read > 0 ? static_cast<size_t>(read) : 0);
    while (!boot.empty() && boot.back() == '\n') boot.pop_back();
    return boot;
}

Result<std::optional<StoreState>> readState(const std::string& directory) {
    const std::string path = statePath(directory);
    const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (file.number() < 0) {
        if (errno == ENOENT) return std::optional<StoreState>();
        return systemFailure(errno, "open", path);
    }
    std::array<char, kStateBytesMax + 1> bytes = {};
    const ssize_t read = ::pread(file.number(), bytes.data(), kStateBytesMax, 0);
    if (read < 0) return systemFailure(errno, "pread", path);
    const std::string text(bytes.data(), static_cast<size_t>(read));
    StoreState state;
    int clean = 0;
    const char* const kRest = "\ngeneration %u\nclean %d\nend %" SCNx64;
    const size_t begin = text.find(kRest[0], sizeof(kFirstLine));
    if (text.starts_with(kFirstLine) && begin != std::string::npos) {
        state.boot = text.substr(sizeof(kFirstLine) - 1, begin - sizeof(kFirstLine) + 1);
        if (std::sscanf(text.c_str() + begin, kRest, &state.generation, &clean, &state.end) != 3) {
            state = {};
        }
    }
    state.clean = clean == 1;
    // What is read must be, byte for byte, what would be written.
    if (stateText(state) != text) {
        return Status(StatusCode::JournalDamaged, path + ": this is not what was written");
    }
    return std::optional<StoreState>(state);
}

Status writeState(const std::string& directory, const StoreState& state) {
    const std::string path = statePath(directory);
    const std::string temporary = path + ".tmp";
    const std::string text = stateText(state);
    {
        const Descriptor file(
            ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, kStateFileMode));
        if (file.number() < 0) return systemFailure(errno, "open", temporary);
        const ssize_t written = ::write(file.number(), text.data(), text.size());
        if (written < 0) return systemFailure(errno, "write", temporary);
        if (static_cast<size_t>(written) != text.size()) {
            return systemFailure(ENOSPC, "write", temporary);
        }
        if (::fsync(file.number()) != 0) return systemFailure(errno, "fsync", temporary);
    }
    if (::rename(temporary.c_str(), path.c_str()) != 0) return systemFailure(errno, "rename", path);
    return syncDirectory(directory);
}

Status syncDirectory(const std::string& directory) {
    const Descriptor file(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (file.number() < 0) return systemFailure(errno, "open", directory);
    if (::fsync(file.number()) != 0) return systemFailure(errno, "fsync", directory);
    return {};
}

Result<StoreLock> StoreLock::take(const std::string& directory) {
    const std::string path = directory + "/lock";
    StoreLock lock;
    lock.file_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, kStateFileMode);
    if (lock.file_ < 0) return systemFailure(errno, "open", path);
    if (::flock(lock.file_, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK) return systemFailure(errno, "flock", path);
        return Status(StatusCode::DataDirectoryInUse,
                      directory + ": another process has this message store open");
    }
    return lock;
}

StoreLock::~StoreLock() {
    if (file_ >= 0) ::close(file_);
}

StoreLock& StoreLock::operator=(StoreLock&& other) noexcept {
    std::swap(file_, other.file_);
    return *this;
}

}  // namespace verbex::gateway::store
