#include "journal/segment_stream.h"

#include <algorithm>
#include <cstring>

namespace verbex::journal {

SegmentStream::SegmentStream(std::unique_ptr<File> file, uint64_t fileBytes)
    : file_(std::move(file)),
      // One window beside a block of slack, twice, so that most windows need no refill.
      buffer_(std::min<uint64_t>(2 * (kWindowBytesMax + kBlockBytes),
                                 std::max<uint64_t>(fileBytes, 1) + kBlockBytes)) {}

Result<std::span<std::byte>> SegmentStream::window(uint64_t offset, uint64_t size) {
    CHECK(size <= kWindowBytesMax);
    if (offset < start_ || offset + size > start_ + filled_) {
        const uint64_t start = blockFloor(offset);
        uint64_t kept = 0;
        if (start >= start_ && start < start_ + filled_) {
            kept = start_ + filled_ - start;
            std::memmove(buffer_.data(), buffer_.data() + (start - start_), kept);
        }
        start_ = start;
        filled_ = kept;
        Result<size_t> read = file_->pread(start_ + filled_, buffer_.bytes().subspan(filled_));
        if (!read.isOk()) {
            filled_ = 0;
            return read.status();
        }
        filled_ += read.value();
    }
    const uint64_t end = std::min(offset + size, start_ + filled_);
    const uint64_t begin = std::min(offset, end);
    return std::span<std::byte>(buffer_.data() + (begin - start_), end - begin);
}

void SegmentStream::forget(uint64_t offset) {
    filled_ = offset <= start_ ? 0 : std::min(filled_, offset - start_);
}

Result<uint64_t> SegmentStream::endOfContent(uint64_t from, uint64_t to) {
    uint64_t end = from;
    for (uint64_t at = from; at < to;) {
        const uint64_t step = std::min<uint64_t>(to - at, buffer_.size() / 2);
        Result<std::span<std::byte>> read = window(at, std::min(step, kWindowBytesMax));
        if (!read.isOk()) return read.status();
        const std::span<std::byte> bytes = read.value();
        if (bytes.empty()) break;
        if (!isAllZero(bytes)) {
            uint64_t last = bytes.size();
            while (bytes[last - 1] == std::byte{0}) --last;
            end = at + last;
        }
        at += bytes.size();
    }
    return end;
}

}  // namespace verbex::journal
