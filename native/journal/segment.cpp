#include "journal/segment.h"

#include <cstring>

#include "base/check.h"
#include "base/crc32c.h"
#include "journal/position_name.h"

namespace verbex::journal {

namespace {

constexpr size_t kCrcBytes = offsetof(SegmentHeader, crc);

}  // namespace

std::string segmentFileName(uint64_t firstPosition) {
    return positionFileName(firstPosition, kSegmentSuffix);
}

std::optional<uint64_t> parseSegmentFileName(std::string_view name) {
    return parsePositionFileName(name, kSegmentSuffix);
}

void encodeSegmentHeader(SegmentHeader header, std::span<std::byte, kSegmentHeaderBytes> block) {
    CHECK(header.segmentBytes % kBlockBytes == 0 && header.segmentBytes >= kSegmentBytesMin);
    header.crc = crc32c(&header, kCrcBytes);
    std::memset(block.data(), 0, block.size());
    std::memcpy(block.data(), &header, sizeof(header));
}

Result<SegmentHeader> decodeSegmentHeader(std::span<const std::byte, kSegmentHeaderBytes> block) {
    SegmentHeader header;
    std::memcpy(&header, block.data(), sizeof(header));
    const auto damaged = [](const char* what) { return Status(StatusCode::JournalDamaged, what); };
    if (header.magic != kSegmentMagic) return damaged("segment header without its magic");
    if (header.crc != crc32c(&header, kCrcBytes)) return damaged("segment header checksum");
    if (header.version != kSegmentVersion) {
        return Status(StatusCode::UnsupportedFormat,
                      "segment format version " + std::to_string(header.version) +
                          "; this program reads version " + std::to_string(kSegmentVersion));
    }
    if (header.headerBytes != kSegmentHeaderBytes) return damaged("segment header length");
    if (header.segmentBytes % kBlockBytes != 0 || header.segmentBytes < kSegmentBytesMin ||
        header.segmentBytes > kSegmentBytesMax) {
        return damaged("segment length in its header");
    }
    if (header.firstPosition == 0) return damaged("segment that begins at position 0");
    if (!isAllZero(std::as_bytes(std::span(header.reserved))) ||
        !isAllZero(block.subspan(sizeof(header)))) {
        return damaged("bytes behind the segment header");
    }
    return header;
}

Result<std::vector<SegmentName>> listSegments(Storage& storage, const std::string& directory) {
    Result<std::vector<std::string>> names = storage.list(directory);
    std::vector<SegmentName> segments;
    if (!names.isOk()) {
        if (names.status().code() == StatusCode::NotFound) return segments;
        return names.status();
    }
    for (std::string& name : names.value()) {
        // Bytewise order is position order: the names have fixed width.
        if (const std::optional<uint64_t> position = parseSegmentFileName(name)) {
            segments.push_back({*position, std::move(name)});
        }
    }
    return segments;
}

Status removeSegmentsBefore(Storage& storage, const std::string& directory, uint64_t position) {
    Result<std::vector<SegmentName>> segments = listSegments(storage, directory);
    if (!segments.isOk()) return segments.status();
    const std::vector<SegmentName>& found = segments.value();
    for (size_t i = 0; i + 1 < found.size() && found[i + 1].firstPosition <= position; ++i) {
        VERBEX_RETURN_IF_FAILED(storage.remove(joinPath(directory, found[i].name)));
        // One at a time: removals that reach the disk out of order would leave a hole.
        VERBEX_RETURN_IF_FAILED(storage.syncDirectory(directory));
    }
    return {};
}

}  // namespace verbex::journal
