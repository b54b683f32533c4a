// One snapshot file: header, content in checksummed blocks, footer; streamed both ways.
//
// Purpose: state of any size passes through one buffer; see docs/snapshot-container.md.
// Owner: SnapshotStore creates both; the caller streams.
// Thread safety: one thread per object.
// Invariants:
//   1. Every byte of the file lies under a checksum, and the length follows from the header.
//   2. The header is written last (it holds the content's length and the state hash), before sync.
//   3. SnapshotReader::read hands out a byte only after its block was found right.
// Requires: write() content in order; nothing after finish().
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/hash128.h"
#include "base/status.h"
#include "journal/aligned_buffer.h"
#include "journal/record.h"
#include "journal/storage.h"

namespace verbex::journal {

inline constexpr uint64_t kSnapshotMagic = 0x3130504e53584256;  // "VBXSNP01" in file order
inline constexpr uint64_t kSnapshotEndMagic = 0x3130444e45584256;  // "VBXEND01" in file order
inline constexpr uint32_t kSnapshotVersion = 1;
inline constexpr uint32_t kSnapshotBlockBytes = 64u << 10;
inline constexpr uint64_t kSnapshotContentBytesMax = uint64_t{1} << 42;
inline constexpr uint64_t kSnapshotChainSeed = 0x766572626578'0002;

struct SnapshotHeader {
    uint64_t magic = kSnapshotMagic;
    uint32_t version = kSnapshotVersion;
    uint32_t headerBytes = 128;
    JournalId journalId;
    uint64_t position = 0;        // the state is that after this position
    uint64_t epoch = 0;           // of the command at that position
    Digest128 journalDigest;      // of the record that ends at that position
    Digest128 stateHash;
    uint64_t contentBytes = 0;
    uint32_t blockBytes = kSnapshotBlockBytes;
    uint8_t reserved[32] = {};
    uint32_t crc = 0;             // over the 124 bytes before it
};
static_assert(sizeof(SnapshotHeader) == 128 && offsetof(SnapshotHeader, journalId) == 16);
static_assert(offsetof(SnapshotHeader, position) == 32 && offsetof(SnapshotHeader, epoch) == 40);
static_assert(offsetof(SnapshotHeader, journalDigest) == 48);
static_assert(offsetof(SnapshotHeader, stateHash) == 64);
static_assert(offsetof(SnapshotHeader, contentBytes) == 80);
static_assert(offsetof(SnapshotHeader, blockBytes) == 88 && offsetof(SnapshotHeader, crc) == 124);

// Before each block's content.
struct SnapshotBlockHeader {
    uint64_t index = 0;
    uint32_t bytes = 0;  // kSnapshotBlockBytes except in the last block
    uint32_t crc = 0;    // over index, bytes and the content
};
static_assert(sizeof(SnapshotBlockHeader) == 16 && offsetof(SnapshotBlockHeader, crc) == 12);

struct SnapshotFooter {
    uint64_t magic = kSnapshotEndMagic;
    uint64_t blocks = 0;
    uint64_t contentBytes = 0;
    Digest128 contentDigest;  // Hash128 over all content
    uint32_t headerCrc = 0;   // the header's, so that header and footer belong together
    uint32_t crc = 0;         // over the 44 bytes before it
};
static_assert(sizeof(SnapshotFooter) == 48 && offsetof(SnapshotFooter, contentDigest) == 24);
static_assert(offsetof(SnapshotFooter, headerCrc) == 40 && offsetof(SnapshotFooter, crc) == 44);

struct SnapshotFacts {
    JournalId journalId = {};
    uint64_t position = 0;
    uint64_t epoch = 0;
    Digest128 journalDigest = {};
    Digest128 stateHash = {};   // set by publish(); ignored by begin()
    uint64_t contentBytes = 0;  // likewise
    uint32_t version = kSnapshotVersion;
};

class SnapshotWriter {
public:
    SnapshotWriter(std::unique_ptr<File> file, std::string temporaryName,
                   const SnapshotFacts& facts);

    Status write(std::span<const std::byte> bytes);
    // Writes what is left, footer and header, and syncs. SnapshotStore::publish calls it.
    Status finish(const Digest128& stateHash);

    [[nodiscard]] const std::string& temporaryName() const { return temporaryName_; }
    [[nodiscard]] const SnapshotFacts& facts() const { return facts_; }
    [[nodiscard]] uint64_t contentBytes() const { return contentBytes_; }

private:
    Status endBlock();
    Status flush();

    std::unique_ptr<File> file_;
    std::string temporaryName_;
    SnapshotFacts facts_;
    AlignedBuffer buffer_;
    uint64_t bufferBase_ = sizeof(SnapshotHeader);  // file offset of buffer_[0]
    uint64_t buffered_ = 0;    // complete blocks in the buffer
    uint64_t blockFill_ = 0;   // content bytes of the block being filled, behind `buffered_`
    uint64_t blocks_ = 0;
    uint64_t contentBytes_ = 0;
    Hash128 contentHash_{kSnapshotChainSeed};
    bool finished_ = false;
    Status failure_;
};

class SnapshotReader {
public:
    // Checks header, footer and length; content is checked as it is read.
    static Result<std::unique_ptr<SnapshotReader>> open(std::unique_ptr<File> file,
                                                        std::string name);

    [[nodiscard]] const SnapshotFacts& facts() const { return facts_; }
    // Fills `into`; fewer bytes only at the end of the content (0: nothing is left, and the digest
    // over all content was right).
    Result<size_t> read(std::span<std::byte> into);
    // The next checked piece without a copy, valid until the next call; empty at the end.
    Result<std::span<const std::byte>> next();
    // One block's content, checked, by its number; in any order, and of no influence on read() and next().
    // Valid until the next call of any function here. Requires: index < blocks().
    Result<std::span<const std::byte>> block(uint64_t index);
    [[nodiscard]] uint64_t blocks() const { return footer_.blocks; }
    // Over all content, as the footer says.
    [[nodiscard]] const Digest128& contentDigest() const { return footer_.contentDigest; }

private:
    SnapshotReader(std::unique_ptr<File> file, std::string name);
    Status check();
    Status loadBlock();
    Result<std::span<const std::byte>> fetchBlock(uint64_t index, AlignedBuffer& into);
    Status damaged(uint64_t offset, const std::string& what) const;

    std::unique_ptr<File> file_;
    std::string name_;
    SnapshotFacts facts_;
    SnapshotFooter footer_;
    AlignedBuffer buffer_;
    AlignedBuffer single_;             // of block(), made when it is first asked for
    std::span<const std::byte> rest_;  // of the current block
    uint64_t nextBlock_ = 0;
    Hash128 contentHash_{kSnapshotChainSeed};
    Status failure_;
};

}  // namespace verbex::journal
