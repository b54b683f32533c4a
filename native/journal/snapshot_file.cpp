#include "journal/snapshot_file.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "base/crc32c.h"

namespace verbex::journal {

namespace {

constexpr uint64_t kWriteBytes = 192u << 10;
constexpr uint64_t kBlockStride = sizeof(SnapshotBlockHeader) + kSnapshotBlockBytes;
constexpr size_t kHeaderCrcBytes = offsetof(SnapshotHeader, crc);
constexpr size_t kFooterCrcBytes = offsetof(SnapshotFooter, crc);
constexpr size_t kBlockCrcBytes = offsetof(SnapshotBlockHeader, crc);

uint64_t blocksOf(uint64_t contentBytes) {
    return (contentBytes + kSnapshotBlockBytes - 1) / kSnapshotBlockBytes;
}

uint64_t footerOffset(uint64_t contentBytes) {
    return sizeof(SnapshotHeader) + blocksOf(contentBytes) * sizeof(SnapshotBlockHeader) +
           contentBytes;
}

uint32_t blockCrc(const SnapshotBlockHeader& header, const std::byte* content) {
    return crc32c(content, header.bytes, crc32c(&header, kBlockCrcBytes));
}

SnapshotHeader headerOf(const SnapshotFacts& facts) {
    SnapshotHeader header;
    header.journalId = facts.journalId;
    header.position = facts.position;
    header.epoch = facts.epoch;
    header.journalDigest = facts.journalDigest;
    header.stateHash = facts.stateHash;
    header.contentBytes = facts.contentBytes;
    header.crc = crc32c(&header, kHeaderCrcBytes);
    return header;
}

std::span<const std::byte> bytesOf(const auto& object) {
    return std::as_bytes(std::span(&object, 1));
}

// Reads exactly one object; NotFound stands for "the file ends before".
template <typename Object>
Status readObject(File& file, uint64_t offset, Object& object) {
    Result<size_t> read = file.pread(offset, std::as_writable_bytes(std::span(&object, 1)));
    if (!read.isOk()) return read.status();
    if (read.value() == sizeof(object)) return {};
    return Status(StatusCode::NotFound, "the file is too short");
}

}  // namespace

SnapshotWriter::SnapshotWriter(std::unique_ptr<File> file, std::string temporaryName,
                               const SnapshotFacts& facts)
    : file_(std::move(file)), temporaryName_(std::move(temporaryName)), facts_(facts),
      buffer_(kWriteBytes + kBlockStride) {}

Status SnapshotWriter::write(std::span<const std::byte> bytes) {
    VERBEX_RETURN_IF_FAILED(failure_);
    CHECK(!finished_);
    if (contentBytes_ + bytes.size() > kSnapshotContentBytesMax) {
        failure_ = Status(StatusCode::InvalidArgument, "snapshot larger than the format allows");
        return failure_;
    }
    contentHash_.update(bytes.data(), bytes.size());
    contentBytes_ += bytes.size();
    while (!bytes.empty()) {
        const uint64_t size =
            std::min<uint64_t>(bytes.size(), kSnapshotBlockBytes - blockFill_);
        std::memcpy(buffer_.data() + buffered_ + sizeof(SnapshotBlockHeader) + blockFill_,
                    bytes.data(), size);
        blockFill_ += size;
        bytes = bytes.subspan(size);
        if (blockFill_ == kSnapshotBlockBytes) VERBEX_RETURN_IF_FAILED(endBlock());
    }
    return {};
}

Status SnapshotWriter::endBlock() {
    SnapshotBlockHeader header;
    header.index = blocks_;
    header.bytes = static_cast<uint32_t>(blockFill_);
    header.crc = blockCrc(header, buffer_.data() + buffered_ + sizeof(header));
    std::memcpy(buffer_.data() + buffered_, &header, sizeof(header));
    buffered_ += sizeof(header) + blockFill_;
    blockFill_ = 0;
    ++blocks_;
    if (buffered_ + kBlockStride > buffer_.size()) return flush();
    return {};
}

Status SnapshotWriter::flush() {
    if (buffered_ == 0) return {};
    Status status = file_->pwrite(bufferBase_, buffer_.bytes().first(buffered_));
    if (!status.isOk()) {
        failure_ = status;
        return status;
    }
    bufferBase_ += buffered_;
    buffered_ = 0;
    return {};
}

Status SnapshotWriter::finish(const Digest128& stateHash) {
    VERBEX_RETURN_IF_FAILED(failure_);
    CHECK(!finished_);
    finished_ = true;
    if (blockFill_ > 0) VERBEX_RETURN_IF_FAILED(endBlock());
    VERBEX_RETURN_IF_FAILED(flush());
    CHECK(blocks_ == blocksOf(contentBytes_) && bufferBase_ == footerOffset(contentBytes_));

    facts_.stateHash = stateHash;
    facts_.contentBytes = contentBytes_;
    const SnapshotHeader header = headerOf(facts_);
    SnapshotFooter footer;
    footer.blocks = blocks_;
    footer.contentBytes = contentBytes_;
    footer.contentDigest = contentHash_.digest();
    footer.headerCrc = header.crc;
    footer.crc = crc32c(&footer, kFooterCrcBytes);

    Status status = file_->pwrite(bufferBase_, bytesOf(footer));
    if (status.isOk()) status = file_->pwrite(0, bytesOf(header));
    if (status.isOk()) status = file_->sync();
    failure_ = status;
    return status;
}

SnapshotReader::SnapshotReader(std::unique_ptr<File> file, std::string name)
    : file_(std::move(file)), name_(std::move(name)), buffer_(kBlockStride) {}

Result<std::unique_ptr<SnapshotReader>> SnapshotReader::open(std::unique_ptr<File> file,
                                                             std::string name) {
    std::unique_ptr<SnapshotReader> reader(new SnapshotReader(std::move(file), std::move(name)));
    if (Status status = reader->check(); !status.isOk()) return status;
    return reader;
}

Status SnapshotReader::damaged(uint64_t offset, const std::string& what) const {
    return Status(StatusCode::SnapshotDamaged,
                  what + " at " + name_ + "+" + std::to_string(offset));
}

Status SnapshotReader::check() {
    Result<uint64_t> size = file_->size();
    if (!size.isOk()) return size.status();
    SnapshotHeader header;
    Status status = readObject(*file_, 0, header);
    if (status.code() == StatusCode::NotFound) {
        return damaged(size.value(), "snapshot shorter than its header");
    }
    VERBEX_RETURN_IF_FAILED(status);
    if (header.magic != kSnapshotMagic) return damaged(0, "snapshot header without its magic");
    if (header.crc != crc32c(&header, kHeaderCrcBytes)) {
        return damaged(0, "snapshot header checksum");
    }
    if (header.version != kSnapshotVersion) {
        return Status(StatusCode::UnsupportedFormat,
                      damaged(0, "snapshot format version " + std::to_string(header.version) +
                                     "; this program reads version " +
                                     std::to_string(kSnapshotVersion))
                          .message());
    }
    if (header.headerBytes != sizeof(header) || header.blockBytes != kSnapshotBlockBytes ||
        header.contentBytes > kSnapshotContentBytesMax ||
        !isAllZero(std::as_bytes(std::span(header.reserved)))) {
        return damaged(0, "snapshot header fields");
    }
    const uint64_t footerAt = footerOffset(header.contentBytes);
    if (size.value() != footerAt + sizeof(SnapshotFooter)) {
        return damaged(std::min(size.value(), footerAt + sizeof(SnapshotFooter)),
                       "snapshot of " + std::to_string(size.value()) + " bytes instead of " +
                           std::to_string(footerAt + sizeof(SnapshotFooter)));
    }
    status = readObject(*file_, footerAt, footer_);
    if (status.code() == StatusCode::NotFound) return damaged(footerAt, "snapshot footer");
    VERBEX_RETURN_IF_FAILED(status);
    if (footer_.magic != kSnapshotEndMagic || footer_.crc != crc32c(&footer_, kFooterCrcBytes) ||
        footer_.headerCrc != header.crc || footer_.contentBytes != header.contentBytes ||
        footer_.blocks != blocksOf(header.contentBytes)) {
        return damaged(footerAt, "snapshot footer");
    }
    facts_ = {header.journalId,  header.position,     header.epoch,  header.journalDigest,
              header.stateHash, header.contentBytes, header.version};
    return {};
}

Status SnapshotReader::loadBlock() {
    VERBEX_RETURN_IF_FAILED(failure_);
    if (nextBlock_ == footer_.blocks) {
        if (contentHash_.digest() == footer_.contentDigest) return {};
        failure_ = damaged(footerOffset(facts_.contentBytes), "snapshot content digest");
        return failure_;
    }
    Result<std::span<const std::byte>> content = fetchBlock(nextBlock_, buffer_);
    if (!content.isOk()) {
        failure_ = content.status();
        return failure_;
    }
    rest_ = content.value();
    contentHash_.update(rest_.data(), rest_.size());
    ++nextBlock_;
    return {};
}

Result<std::span<const std::byte>> SnapshotReader::fetchBlock(uint64_t index, AlignedBuffer& into) {
    const uint64_t offset = sizeof(SnapshotHeader) + index * kBlockStride;
    const uint64_t before = index * kSnapshotBlockBytes;
    const uint64_t bytes = std::min<uint64_t>(kSnapshotBlockBytes, facts_.contentBytes - before);
    const std::span<std::byte> block = into.bytes().first(sizeof(SnapshotBlockHeader) + bytes);
    Result<size_t> read = file_->pread(offset, block);
    if (!read.isOk()) return read.status();
    SnapshotBlockHeader header;
    std::memcpy(&header, block.data(), sizeof(header));
    if (read.value() != block.size() || header.index != index || header.bytes != bytes ||
        header.crc != blockCrc(header, block.data() + sizeof(header))) {
        return damaged(offset, "snapshot block " + std::to_string(index));
    }
    return std::span<const std::byte>(block.subspan(sizeof(header)));
}

Result<std::span<const std::byte>> SnapshotReader::block(uint64_t index) {
    CHECK(index < footer_.blocks);
    if (single_.size() == 0) single_ = AlignedBuffer(kBlockStride);
    return fetchBlock(index, single_);
}

Result<std::span<const std::byte>> SnapshotReader::next() {
    if (rest_.empty()) {
        if (Status status = loadBlock(); !status.isOk()) return status;
    }
    const std::span<const std::byte> piece = rest_;
    rest_ = {};
    return piece;
}

Result<size_t> SnapshotReader::read(std::span<std::byte> into) {
    size_t filled = 0;
    while (filled < into.size()) {
        if (rest_.empty()) {
            if (Status status = loadBlock(); !status.isOk()) return status;
            if (rest_.empty()) break;
        }
        const size_t size = std::min(into.size() - filled, rest_.size());
        std::memcpy(into.data() + filled, rest_.data(), size);
        rest_ = rest_.subspan(size);
        filled += size;
    }
    return filled;
}

}  // namespace verbex::journal
