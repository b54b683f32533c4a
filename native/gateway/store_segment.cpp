#include "gateway/store_segment.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace verbex::gateway::store {

namespace {

constexpr mode_t kSegmentFileMode = 0640;
constexpr const char kNamePrefix[] = "messages-";

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23  // Linux 5.14
#endif

// Reading a hole may cost memory (on tmpfs even fail), so a search ends here.
uint64_t endOfData(int file, uint64_t bytes) {
    off_t at = 0;
    for (;;) {
        const off_t data = ::lseek(file, at, SEEK_DATA);
        if (data < 0) return errno == ENXIO ? static_cast<uint64_t>(at) : bytes;
        at = ::lseek(file, data, SEEK_HOLE);
        if (at < 0) return bytes;
    }
}

uint32_t headerCrc(const SegmentHeader& header) {
    return crc32c(&header, offsetof(SegmentHeader, crc));
}

}  // namespace

std::string segmentName(uint32_t number) {
    char name[32];
    std::snprintf(name, sizeof(name), "%s%08x", kNamePrefix, number);
    return name;
}

uint32_t segmentNumber(const std::string& name) {
    unsigned number = 0;
    if (std::sscanf(name.c_str(), "messages-%8x", &number) != 1) return 0;
    return segmentName(number) == name ? number : 0;
}

Status systemFailure(int error, const char* call, const std::string& path) {
    const StatusCode code =
        error == ENOSPC || error == EDQUOT ? StatusCode::NoSpace : StatusCode::IoError;
    char text[128] = {};
    const char* reason = strerror_r(error, text, sizeof(text));
    return Status(code, std::string(call) + " " + path + ": " + reason);
}

Segment::~Segment() {
    if (base_ != nullptr) ::munmap(base_, bytes_);
    if (file_ >= 0) ::close(file_);
}

Segment::Segment(Segment&& other) noexcept { *this = std::move(other); }

Segment& Segment::operator=(Segment&& other) noexcept {
    std::swap(path_, other.path_);
    std::swap(base_, other.base_);
    std::swap(bytes_, other.bytes_);
    std::swap(reserved_, other.reserved_);
    std::swap(dataEnd_, other.dataEnd_);
    std::swap(file_, other.file_);
    return *this;
}

Status Segment::mapFile(uint64_t bytes) {
    if (::ftruncate(file_, static_cast<off_t>(bytes)) != 0) {
        return systemFailure(errno, "ftruncate", path_);
    }
    void* mapped = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file_, 0);
    if (mapped == MAP_FAILED) return systemFailure(errno, "mmap", path_);
    base_ = static_cast<std::byte*>(mapped);
    bytes_ = bytes;
    return {};
}

Result<Segment> Segment::create(const std::string& directory, SegmentHeader header) {
    Segment made;
    if (directory.empty()) {
        void* mapped = ::mmap(nullptr, header.bytes, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (mapped == MAP_FAILED) return systemFailure(errno, "mmap", "memory");
        made.base_ = static_cast<std::byte*>(mapped);
        made.bytes_ = header.bytes;
        made.path_ = "memory";
    } else {
        made.path_ = directory + "/" + segmentName(header.number);
        made.file_ = ::open(made.path_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, kSegmentFileMode);
        if (made.file_ < 0) return systemFailure(errno, "open", made.path_);
        if (Status mapped = made.mapFile(header.bytes); !mapped.isOk()) {
            ::unlink(made.path_.c_str());
            return mapped;
        }
    }
    if (Status backed = made.reserve(sizeof(header)); !backed.isOk()) {
        if (made.file_ >= 0) ::unlink(made.path_.c_str());
        return backed;
    }
    header.magic = kSegmentMagic;
    header.version = kSegmentVersion;
    header.crc = headerCrc(header);
    std::memcpy(made.base_, &header, sizeof(header));
    return made;
}

Result<Segment> Segment::map(const std::string& directory, uint32_t number) {
    Segment made;
    made.path_ = directory + "/" + segmentName(number);
    made.file_ = ::open(made.path_.c_str(), O_RDWR | O_CLOEXEC);
    if (made.file_ < 0) return systemFailure(errno, "open", made.path_);
    struct stat facts = {};
    if (::fstat(made.file_, &facts) != 0) return systemFailure(errno, "fstat", made.path_);
    const auto damaged = [&](const char* why) {
        return Status(StatusCode::JournalDamaged, made.path_ + ", offset 0: " + why);
    };
    const auto bytes = static_cast<uint64_t>(facts.st_size);
    made.dataEnd_ = endOfData(made.file_, bytes);
    SegmentHeader header = {};
    const ssize_t read = ::pread(made.file_, &header, sizeof(header), 0);
    if (read < 0) return systemFailure(errno, "pread", made.path_);
    static constexpr SegmentHeader kNothing = {};
    if (std::memcmp(&header, &kNothing, sizeof(header)) == 0) {
        // Killed right after it was made; anything behind would be a header that was lost.
        if (bytes == 0) return Status(StatusCode::NotFound, made.path_ + " was never begun");
        if (bytes > kSegmentBytesMost) return damaged("the segment's header is missing");
        VERBEX_RETURN_IF_FAILED(made.mapFile(bytes));
        if (std::any_of(made.base_, made.base_ + made.dataEnd_,
                        [](std::byte byte) { return byte != std::byte{0}; })) {
            return damaged("the segment's header is missing");
        }
        return Status(StatusCode::NotFound, made.path_ + " was never begun");
    }
    if (header.magic != kSegmentMagic || header.crc != headerCrc(header)) {
        return damaged("this is no segment's header");
    }
    if (header.version != kSegmentVersion) {
        return Status(StatusCode::UnsupportedFormat,
                      made.path_ + ": version " + std::to_string(header.version));
    }
    if (header.number != number) return damaged("the header is another segment's");
    if (header.bytes < kSegmentBytesLeast || header.bytes > kSegmentBytesMost) {
        return damaged("no segment has this size");
    }
    // A file that was shortened is zero where it lacks something: its records are missed, not invented.
    VERBEX_RETURN_IF_FAILED(made.mapFile(header.bytes));
    return made;
}

Status Segment::reserve(uint64_t upTo) {
    if (upTo <= reserved_) return {};
    const uint64_t end = std::min(bytes_, (upTo + kPrefaultBytes - 1) & ~(kPrefaultBytes - 1));
    CHECK(upTo <= end);
    if (file_ >= 0) {
        // glibc's fallback writes where the file system can't reserve; nobody else writes here.
        const int error = ::posix_fallocate(file_, static_cast<off_t>(reserved_),
                                            static_cast<off_t>(end - reserved_));
        if (error != 0) return systemFailure(error, "posix_fallocate", path_);
    }
    // Ahead of the writer, so that it takes no page faults; where the kernel can't, it takes them.
    ::madvise(base_ + reserved_, end - reserved_, MADV_POPULATE_WRITE);
    reserved_ = end;
    return {};
}

Status Segment::cut(uint64_t end) {
    CHECK(file_ >= 0);
    if (::ftruncate(file_, static_cast<off_t>(end)) != 0 ||
        ::ftruncate(file_, static_cast<off_t>(bytes_)) != 0) {
        return systemFailure(errno, "ftruncate", path_);
    }
    reserved_ = end & ~(kPrefaultBytes - 1);
    return reserve(std::min(bytes_, end + sizeof(RecordHeader)));
}

Status Segment::sync() const {
    if (path_ == "memory") return {};
    if (::msync(base_, bytes_, MS_SYNC) != 0) return systemFailure(errno, "msync", path_);
    return {};
}

void Segment::finish() {
    if (file_ >= 0) ::close(file_);
    file_ = -1;
}

}  // namespace verbex::gateway::store
