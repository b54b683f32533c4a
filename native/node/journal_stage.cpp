#include "node/stages.h"
#include "wire/command_codec.h"

namespace verbex::node {

JournalStage::JournalStage(CommandRing& ring, Position base, journal::JournalWriter& journal,
                           SegmentThread* segments, const JournalStageOptions& options,
                           std::function<void(const Status&)> onFailure)
    : ring_(ring), base_(base), journal_(journal), segments_(segments), options_(options),
      onFailure_(std::move(onFailure)), payload_(size_t{options.batchMax} * kCommandBytesMax) {}

bool JournalStage::ready() {
    const uint64_t from = stored_.getRelaxed();
    return !failed_ && ring_.available(from, 1) != from;
}

bool JournalStage::step() {
    if (failed_) return false;
    const uint64_t from = stored_.getRelaxed();
    const uint64_t to = ring_.available(from, options_.batchMax);
    if (from == to) return false;
    size_t bytes = 0;
    for (uint64_t sequence = from; sequence != to; sequence++) {
        bytes += encodeCommand(ring_.at(sequence).command, payload_.data() + bytes);
    }
    Status status = journal_.append(options_.epoch, base_ + from + 1,
                                    static_cast<uint32_t>(to - from), {payload_.data(), bytes});
    if (status.isOk()) {
        if (segments_ != nullptr) segments_->look();
        status = journal_.commit();
    }
    if (!status.isOk()) {
        failed_ = true;
        onFailure_(status);
        return true;
    }
    bytes_.store(bytes_.load(std::memory_order_relaxed) + journal::recordBytes(bytes),
                 std::memory_order_relaxed);
    CHECK((options_.durable ? journal_.durablePosition() : journal_.writtenPosition()) ==
          base_ + to);
    stored_.set(to);
    bells.ring();
    return true;
}

}  // namespace verbex::node
