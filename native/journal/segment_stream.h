// Looks at a segment file through a sliding buffer.
//
// Purpose: recovery and readers walk segments of any size with a bounded buffer and no copy per
// record.
// Owner: one reader or one recovery.
// Thread safety: none.
// Invariants:
//   1. A window is contiguous and aligned to kRecordAlignment in memory where its offset is.
//   2. forget() drops what was read ahead: a live file has grown meanwhile.
// Requires: windows of at most kWindowBytesMax; a window is valid until the next call.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "base/status.h"
#include "journal/aligned_buffer.h"
#include "journal/segment.h"
#include "journal/storage.h"

namespace verbex::journal {

class SegmentStream {
public:
    static constexpr uint64_t kWindowBytesMax = recordBytes(kPayloadBytesMax);

    // `fileBytes` bounds the buffer: small segments get small ones.
    SegmentStream(std::unique_ptr<File> file, uint64_t fileBytes);

    // The bytes [offset, offset + size) of the file; shorter only at its end.
    Result<std::span<std::byte>> window(uint64_t offset, uint64_t size);
    // Forgets everything read from `offset` on.
    void forget(uint64_t offset);

    // Offset just behind the last byte in [from, to) that is not zero; `from` where all are.
    Result<uint64_t> endOfContent(uint64_t from, uint64_t to);

private:
    std::unique_ptr<File> file_;
    AlignedBuffer buffer_;
    uint64_t start_ = 0;  // file offset of buffer_[0]; a multiple of kBlockBytes
    uint64_t filled_ = 0;
};

}  // namespace verbex::journal
