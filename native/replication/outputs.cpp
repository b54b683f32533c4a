#include "replication/outputs.h"

#include <algorithm>

namespace verbex::replication {

namespace {
constexpr uint32_t kChunkEvents = 4096;
constexpr size_t kSpareChunksMax = 16;
}  // namespace

struct Outputs::Chunk {
    std::unique_ptr<Event[]> events{new Event[kChunkEvents]};
    uint32_t batches = 0;  // that have pieces in here
};

Outputs::Outputs(uint32_t keepEvents) : keepEvents_(keepEvents) { openChunk(); }

Outputs::~Outputs() = default;

// ---- writing

void Outputs::openChunk() {
    if (spare_.empty()) {
        chunks_.push_back(std::make_shared<Chunk>());
    } else {
        chunks_.push_back(std::move(spare_.back()));
        spare_.pop_back();
    }
    Chunk& chunk = *chunks_.back();
    chunk.batches = 0;
    setRegion(chunk.events.get(), chunk.events.get() + kChunkEvents);
    from_ = cursor();
}

void Outputs::flush() {
    if (cursor() == from_) return;
    building_.pieces.push_back({from_, static_cast<uint32_t>(cursor() - from_)});
    building_.count += static_cast<uint32_t>(cursor() - from_);
    from_ = cursor();
}

void Outputs::drain() {
    flush();
    openChunk();
}

void Outputs::beginBatch(const EntryHeader& entry) {
    CHECK(batches_.empty() || entry.first == batches_.back().entry.last() + 1);
    building_ = OutputBatch{};
    building_.entry = entry;
    seen_ = 0;
    from_ = cursor();
}

void Outputs::endBatch(const Digest128& hash, const Digest128& ofEvents) {
    flush();
    building_.hash = hash;
    building_.ofEvents = ofEvents;
    events_ += building_.count;
    batches_.push_back(std::move(building_));
    building_ = OutputBatch{};
    if (recovering_) trim();
}

// ---- release, truncation

void Outputs::release(Position position) {
    if (position <= released_) return;
    for (size_t i = indexOf(released_ + 1); i < batches_.size(); i++) {
        if (batches_[i].entry.last() > position) break;
        releasedEvents_ += batches_[i].count;
        released_ = batches_[i].entry.last();
    }
    // Of what came before the first batch here nothing is known but that it is released.
    if (batches_.empty() || batches_.front().entry.first > position) {
        released_ = std::max(released_, position);
    }
    trim();
}

void Outputs::trim() {
    while (!batches_.empty()) {
        const OutputBatch& front = batches_.front();
        const bool released = front.entry.last() <= released_;
        if (!released && !recovering_) break;
        const uint64_t kept = recovering_ ? events_ : releasedEvents_;
        if (kept < uint64_t{keepEvents_} + front.count) break;
        if (released) releasedEvents_ -= front.count;
        events_ -= front.count;
        batches_.pop_front();
    }
    // Chunks ahead of the oldest piece, or of the cursor where there is none.
    const Event* oldest = begin();
    for (const OutputBatch& batch : batches_) {
        if (batch.pieces.empty()) continue;
        oldest = batch.pieces.front().events;
        break;
    }
    while (chunks_.size() > 1) {
        const Event* first = chunks_.front()->events.get();
        if (oldest >= first && oldest < first + kChunkEvents) break;
        if (spare_.size() < kSpareChunksMax) spare_.push_back(chunks_.front());
        chunks_.pop_front();
    }
}

void Outputs::truncate(Position to) {
    CHECK(to >= released_);
    while (!batches_.empty() && batches_.back().entry.last() > to) {
        events_ -= batches_.back().count;
        batches_.pop_back();
    }
}

void Outputs::restart(Position released) {
    batches_.clear();
    events_ = releasedEvents_ = 0;
    released_ = released;
    trim();
}

// ---- reading

size_t Outputs::indexOf(Position position) const {
    const auto found = std::partition_point(
        batches_.begin(), batches_.end(),
        [position](const OutputBatch& batch) { return batch.entry.last() < position; });
    return static_cast<size_t>(found - batches_.begin());
}

const Digest128* Outputs::hashAt(Position position) const {
    const size_t index = indexOf(position);
    if (index == batches_.size() || batches_[index].entry.last() != position) return nullptr;
    return &batches_[index].hash;
}

const OutputBatch* Outputs::find(Position position) const {
    const size_t index = indexOf(position);
    if (index == batches_.size()) return nullptr;
    const OutputBatch& batch = batches_[index];
    return batch.entry.first <= position && batch.entry.last() <= released_ ? &batch : nullptr;
}

Position Outputs::oldest() const {
    if (batches_.empty() || batches_.front().entry.last() > released_) return released_ + 1;
    return batches_.front().entry.first;
}

}  // namespace verbex::replication
