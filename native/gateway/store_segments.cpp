#include "gateway/store_segments.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "base/check.h"
#include "base/crc32c.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

namespace verbex::gateway {

namespace {

constexpr const char* kName = "messages-%012llu.log";

Status systemError(int error, const std::string& doing) {
    const StatusCode code =
        error == ENOSPC || error == EDQUOT ? StatusCode::NoSpace : StatusCode::IoError;
    return Status(code, doing + ": " + std::strerror(error));
}

uint32_t crcOf(const SegmentHeader& header) {
    return crc32c(&header, offsetof(SegmentHeader, crc));
}

}  // namespace

StoreSegments::StoreSegments(std::string directory, uint64_t segmentBytes)
    : directory_(std::move(directory)),
      segmentBytes_((segmentBytes + kPrefaultBytes - 1) / kPrefaultBytes * kPrefaultBytes) {}

StoreSegments::~StoreSegments() {
    for (Segment& segment : segments_) unmap(segment);
}

std::string StoreSegments::path(uint64_t number) const {
    char name[64];
    std::snprintf(name, sizeof(name), kName, static_cast<unsigned long long>(number));
    return directory_ + "/" + name;
}

Result<std::vector<uint64_t>> StoreSegments::list() const {
    std::vector<uint64_t> numbers;
    DIR* const open = opendir(directory_.c_str());
    if (open == nullptr) return systemError(errno, "opening " + directory_);
    while (const dirent* const entry = readdir(open)) {
        unsigned long long number = 0;
        char rest = 0;
        if (std::sscanf(entry->d_name, "messages-%12llu.lo%c", &number, &rest) == 2 &&
            path(number) == directory_ + "/" + entry->d_name) {
            numbers.push_back(number);
        }
    }
    closedir(open);
    std::sort(numbers.begin(), numbers.end());
    return numbers;
}

Status StoreSegments::map(uint64_t number, bool create) {
    Segment segment{number, nullptr, -1, 0};
    void* memory = MAP_FAILED;
    if (directory_.empty()) {
        memory = mmap(nullptr, segmentBytes_, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        segment.reserved = segmentBytes_;
    } else {
        const int flags = O_RDWR | O_CLOEXEC | (create ? O_CREAT | O_EXCL : 0);
        segment.file = ::open(path(number).c_str(), flags, 0640);
        if (segment.file < 0) return systemError(errno, "opening " + path(number));
        if (create) {
            if (ftruncate(segment.file, static_cast<off_t>(segmentBytes_)) != 0) {
                const int error = errno;
                ::close(segment.file);
                return systemError(error, "sizing " + path(number));
            }
        } else {
            struct stat facts {};
            SegmentHeader header{};
            const bool read = fstat(segment.file, &facts) == 0 &&
                              pread(segment.file, &header, sizeof(header), 0) ==
                                  static_cast<ssize_t>(sizeof(header));
            if (!read || header.magic != SegmentHeader::kMagic || header.crc != crcOf(header) ||
                header.number != number ||
                static_cast<uint64_t>(facts.st_size) != header.segmentBytes) {
                ::close(segment.file);
                return Status(StatusCode::JournalDamaged,
                              path(number) + ": not a segment of messages, at offset 0");
            }
            if (segments_.empty()) segmentBytes_ = header.segmentBytes;
            if (header.segmentBytes != segmentBytes_) {
                ::close(segment.file);
                return Status(StatusCode::JournalDamaged,
                              path(number) + ": of another segment size, at offset 16");
            }
        }
        memory = mmap(nullptr, segmentBytes_, PROT_READ | PROT_WRITE, MAP_SHARED, segment.file, 0);
    }
    if (memory == MAP_FAILED) {
        const int error = errno;
        if (segment.file >= 0) ::close(segment.file);
        return systemError(error, "mapping a segment of messages");
    }
    segment.memory = static_cast<std::byte*>(memory);
    segments_.push_back(segment);
    return {};
}

void StoreSegments::unmap(Segment& segment) {
    munmap(segment.memory, segmentBytes_);
    if (segment.file >= 0) ::close(segment.file);
}

Status StoreSegments::openExisting() {
    Result<std::vector<uint64_t>> numbers = list();
    if (!numbers.isOk()) return numbers.status();
    if (numbers.value().empty()) return {};
    // The last one says where its day begins.
    const uint64_t last = numbers.value().back();
    if (Status status = map(last, false); !status.isOk()) return status;
    const uint64_t dayFirst = header(last).dayFirst;
    unmap(segments_.back());
    segments_.clear();
    for (uint64_t number = dayFirst; number <= last; number++) {
        if (Status status = map(number, false); !status.isOk()) return status;
    }
    return {};
}

const SegmentHeader& StoreSegments::header(uint64_t number) const {
    return *reinterpret_cast<const SegmentHeader*>(at(number * segmentBytes_));
}

Status StoreSegments::add(bool newDay, uint64_t dayStart) {
    const uint64_t number = segments_.empty() ? 1 : last() + 1;
    SegmentHeader header{};
    header.magic = SegmentHeader::kMagic;
    header.number = number;
    header.segmentBytes = segmentBytes_;
    header.dayFirst = newDay || segments_.empty() ? number : this->header(last()).dayFirst;
    header.dayStart = newDay || segments_.empty() ? dayStart : this->header(last()).dayStart;
    header.crc = crcOf(header);
    if (Status status = map(number, true); !status.isOk()) return status;
    if (Status status = reserve(number * segmentBytes_ + sizeof(header)); !status.isOk()) {
        ::unlink(path(number).c_str());
        unmap(segments_.back());
        segments_.pop_back();
        return status;
    }
    std::memcpy(segments_.back().memory, &header, sizeof(header));
    if (newDay) {
        // Nobody reads past days through here.
        while (segments_.size() > 1) {
            unmap(segments_.front());
            segments_.pop_front();
        }
    }
    return {};
}

Status StoreSegments::dropBehind(uint64_t number) {
    while (!segments_.empty() && last() > number) {
        const std::string name = path(last());
        unmap(segments_.back());
        segments_.pop_back();
        if (!directory_.empty() && ::unlink(name.c_str()) != 0) {
            return systemError(errno, "removing " + name);
        }
    }
    return {};
}

void StoreSegments::dropFirst() {
    CHECK(directory_.empty() && segments_.size() > 1);
    unmap(segments_.front());
    segments_.pop_front();
}

Status StoreSegments::prune(uint64_t keepBytes) {
    if (directory_.empty()) return {};
    Result<std::vector<uint64_t>> numbers = list();
    if (!numbers.isOk()) return numbers.status();
    uint64_t kept = numbers.value().size() * segmentBytes_;
    for (const uint64_t number : numbers.value()) {
        if (number >= first() || kept <= keepBytes) break;
        if (::unlink(path(number).c_str()) != 0) return systemError(errno, "removing a segment");
        kept -= segmentBytes_;
    }
    return {};
}

void StoreSegments::written(uint64_t place) {
    Segment& segment = segments_.back();
    const uint64_t bytes = place - segment.number * segmentBytes_;
    segment.reserved = std::max(segment.reserved, bytes / kPrefaultBytes * kPrefaultBytes);
}

Status StoreSegments::reserve(uint64_t place) {
    Segment& segment = segments_.back();
    const uint64_t wanted = place - segment.number * segmentBytes_;
    while (segment.reserved < wanted) {
        const uint64_t bytes = std::min(kPrefaultBytes, segmentBytes_ - segment.reserved);
        const int error = posix_fallocate(segment.file, static_cast<off_t>(segment.reserved),
                                          static_cast<off_t>(bytes));
        if (error != 0) return systemError(error, "making room in " + path(segment.number));
        // One call instead of a fault a page; where the kernel does not know it the faults come.
        (void)madvise(segment.memory + segment.reserved, bytes, MADV_POPULATE_WRITE);
        segment.reserved += bytes;
    }
    return {};
}

Status StoreSegments::clear(uint64_t from, uint64_t to) {
    Segment& segment = segments_.back();
    const uint64_t begin = from - segment.number * segmentBytes_;
    const uint64_t end = to - segment.number * segmentBytes_;
    if (begin >= end) return {};
    if (segment.file < 0) {
        std::memset(segment.memory + begin, 0, end - begin);
        return {};
    }
    if (fallocate(segment.file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                  static_cast<off_t>(begin), static_cast<off_t>(end - begin)) != 0) {
        return systemError(errno, "clearing " + path(segment.number));
    }
    segment.reserved = std::min(segment.reserved, begin / kPrefaultBytes * kPrefaultBytes);
    return {};
}

Status StoreSegments::sync() {
    for (const Segment& segment : segments_) {
        if (segment.file < 0) continue;
        if (msync(segment.memory, segmentBytes_, MS_SYNC) != 0) {
            return systemError(errno, "syncing " + path(segment.number));
        }
    }
    return {};
}

}  // namespace verbex::gateway
