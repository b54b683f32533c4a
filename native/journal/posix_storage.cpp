#include "journal/posix_storage.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/check.h"
#include "journal/aligned_buffer.h"

namespace verbex::journal {

namespace {

constexpr uint64_t kZeroBytes = 1u << 20;
constexpr mode_t kFileMode = 0640;
constexpr mode_t kDirectoryMode = 0750;

Status failure(int error, const char* call, const std::string& path) {
    StatusCode code = StatusCode::IoError;
    if (error == ENOSPC || error == EDQUOT) code = StatusCode::NoSpace;
    if (error == ENOENT) code = StatusCode::NotFound;
    if (error == EEXIST) code = StatusCode::AlreadyExists;
    char text[128] = {};
    const char* reason = strerror_r(error, text, sizeof(text));
    return Status(code, std::string(call) + " " + path + ": " + reason);
}

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

class PosixFile final : public File {
public:
    PosixFile(int number, std::string path, FileMode mode, bool direct)
        : descriptor_(number), path_(std::move(path)), mode_(mode), direct_(direct) {}

    Status pwrite(uint64_t offset, std::span<const std::byte> bytes) override {
        CHECK(mode_ != FileMode::Read);
        while (!bytes.empty()) {
            const ssize_t written = ::pwrite(descriptor_.number(), bytes.data(), bytes.size(),
                                             static_cast<off_t>(offset));
            if (written < 0) {
                if (errno == EINTR) continue;
                return failure(errno, "pwrite", path_);
            }
            if (written == 0) return failure(EIO, "pwrite", path_);
            offset += static_cast<uint64_t>(written);
            bytes = bytes.subspan(static_cast<size_t>(written));
        }
        return {};
    }

    Result<size_t> pread(uint64_t offset, std::span<std::byte> into) override {
        size_t filled = 0;
        while (filled < into.size()) {
            const ssize_t read =
                ::pread(descriptor_.number(), into.data() + filled, into.size() - filled,
                        static_cast<off_t>(offset + filled));
            if (read < 0) {
                if (errno == EINTR) continue;
                return failure(errno, "pread", path_);
            }
            if (read == 0) break;
            filled += static_cast<size_t>(read);
        }
        return filled;
    }

    Status preallocate(uint64_t bytes) override {
        // Reserving first answers ENOSPC before anything is written; file systems that cannot
        // reserve are found out by the writing.
        if (::fallocate(descriptor_.number(), 0, 0, static_cast<off_t>(bytes)) != 0 &&
            errno != EOPNOTSUPP && errno != ENOSYS) {
            return failure(errno, "fallocate", path_);
        }
        // Written, not only reserved: else each later write would also have to mark its extent as
        // written, a second durable write for the file system.
        AlignedBuffer zeros(std::min(kZeroBytes, bytes));
        for (uint64_t at = 0; at < bytes;) {
            const uint64_t size = std::min(zeros.size(), bytes - at);
            VERBEX_RETURN_IF_FAILED(pwrite(at, zeros.bytes().first(size)));
            at += size;
        }
        if (::fsync(descriptor_.number()) != 0) return failure(errno, "fsync", path_);
        return {};
    }

    Status sync() override {
        if (::fdatasync(descriptor_.number()) != 0) return failure(errno, "fdatasync", path_);
        return {};
    }

    Result<uint64_t> size() override {
        struct stat facts = {};
        if (::fstat(descriptor_.number(), &facts) != 0) return failure(errno, "fstat", path_);
        return static_cast<uint64_t>(facts.st_size);
    }

    bool durableWrites() const override { return mode_ == FileMode::Durable; }
    bool direct() const override { return direct_; }

private:
    const Descriptor descriptor_;
    const std::string path_;
    const FileMode mode_;
    const bool direct_;
};

class PosixLock final : public DirectoryLock {
public:
    explicit PosixLock(int number) : descriptor_(number) {}

private:
    const Descriptor descriptor_;
};

Result<std::unique_ptr<File>> openWith(const std::string& path, FileMode mode, int extra) {
    const int access = mode == FileMode::Read ? O_RDONLY : O_RDWR;
    const int common = access | extra | O_CLOEXEC;
    if (mode == FileMode::Durable) {
        const int number = ::open(path.c_str(), common | O_DSYNC | O_DIRECT, kFileMode);
        if (number >= 0) {
            return std::unique_ptr<File>(new PosixFile(number, path, mode, true));
        }
        if (errno != EINVAL) return failure(errno, "open", path);
        // A file system without O_DIRECT may have created the file before it refused.
        const int buffered = ::open(path.c_str(), (common & ~O_EXCL) | O_DSYNC, kFileMode);
        if (buffered < 0) return failure(errno, "open", path);
        return std::unique_ptr<File>(new PosixFile(buffered, path, mode, false));
    }
    const int number = ::open(path.c_str(), common, kFileMode);
    if (number < 0) return failure(errno, "open", path);
    return std::unique_ptr<File>(new PosixFile(number, path, mode, false));
}

}  // namespace

Result<std::unique_ptr<File>> PosixStorage::create(const std::string& path, FileMode mode) {
    CHECK(mode != FileMode::Read);
    return openWith(path, mode, O_CREAT | O_EXCL);
}

Result<std::unique_ptr<File>> PosixStorage::open(const std::string& path, FileMode mode) {
    return openWith(path, mode, 0);
}

Status PosixStorage::rename(const std::string& from, const std::string& to) {
    if (::rename(from.c_str(), to.c_str()) != 0) return failure(errno, "rename", from);
    return {};
}

Status PosixStorage::remove(const std::string& path) {
    if (::unlink(path.c_str()) != 0) return failure(errno, "unlink", path);
    return {};
}

Status PosixStorage::createDirectory(const std::string& directory) {
    // Each level is made durable in the one above it, else a power cut could take the whole tree.
    for (size_t slash = directory.find('/', 1);; slash = directory.find('/', slash + 1)) {
        const std::string level = directory.substr(0, slash);
        if (::mkdir(level.c_str(), kDirectoryMode) == 0) {
            const size_t above = level.rfind('/');
            const std::string parent = above == std::string::npos ? "." : level.substr(0, above);
            VERBEX_RETURN_IF_FAILED(syncDirectory(parent.empty() ? "/" : parent));
        } else if (errno != EEXIST) {
            return failure(errno, "mkdir", level);
        }
        if (slash == std::string::npos) break;
    }
    struct stat facts = {};
    if (::stat(directory.c_str(), &facts) != 0) return failure(errno, "stat", directory);
    if (!S_ISDIR(facts.st_mode)) return failure(ENOTDIR, "mkdir", directory);
    return {};
}

Status PosixStorage::syncDirectory(const std::string& directory) {
    const Descriptor opened(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (opened.number() < 0) return failure(errno, "open", directory);
    if (::fsync(opened.number()) != 0) return failure(errno, "fsync", directory);
    return {};
}

Result<std::vector<std::string>> PosixStorage::list(const std::string& directory) {
    DIR* opened = ::opendir(directory.c_str());
    if (opened == nullptr) return failure(errno, "opendir", directory);
    std::vector<std::string> names;
    int error = 0;
    for (;;) {
        errno = 0;
        const dirent* entry = ::readdir(opened);
        if (entry == nullptr) {
            error = errno;
            break;
        }
        struct stat facts = {};
        if (::fstatat(::dirfd(opened), entry->d_name, &facts, AT_SYMLINK_NOFOLLOW) != 0) {
            if (errno == ENOENT) continue;  // removed meanwhile
            error = errno;
            break;
        }
        if (S_ISREG(facts.st_mode)) names.emplace_back(entry->d_name);
    }
    ::closedir(opened);
    if (error != 0) return failure(error, "readdir", directory);
    std::sort(names.begin(), names.end());
    return names;
}

Result<std::unique_ptr<DirectoryLock>> PosixStorage::lockDirectory(const std::string& directory) {
    VERBEX_RETURN_IF_FAILED(createDirectory(directory));
    const std::string path = joinPath(directory, "lock");
    const int number = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, kFileMode);
    if (number < 0) return failure(errno, "open", path);
    auto lock = std::make_unique<PosixLock>(number);
    while (::flock(number, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EINTR) continue;
        if (errno != EWOULDBLOCK) return failure(errno, "flock", path);
        char holder[32] = {};
        const ssize_t read = ::pread(number, holder, sizeof(holder) - 1, 0);
        std::string by = read > 0 ? "process " + std::string(holder) : "another process";
        while (by.ends_with('\n')) by.pop_back();
        return Status(StatusCode::DataDirectoryInUse,
                      by + " writes to the data directory " + directory);
    }
    // For whoever is refused; the lock itself does not depend on it.
    const std::string holder = std::to_string(::getpid()) + "\n";
    if (::ftruncate(number, 0) != 0) return failure(errno, "ftruncate", path);
    if (::pwrite(number, holder.data(), holder.size(), 0) < 0) {
        return failure(errno, "pwrite", path);
    }
    return std::unique_ptr<DirectoryLock>(std::move(lock));
}

}  // namespace verbex::journal
