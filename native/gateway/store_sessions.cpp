#include "gateway/store_sessions.h"

#include <algorithm>

namespace verbex::gateway::store {

void IndexPool::fill(size_t blocks) {
    while (count_ < blocks) {
        memory_.push_back(std::make_unique<IndexBlock[]>(kGrowth));
        for (size_t i = 0; i < kGrowth; ++i) {
            memory_.back()[i].next = free_;
            free_ = &memory_.back()[i];
        }
        count_ += kGrowth;
    }
}

IndexBlock* IndexPool::take() {
    CHECK(free_ != nullptr);
    IndexBlock* block = free_;
    free_ = block->next;
    block->next = nullptr;
    --count_;
    return block;
}

void IndexPool::giveBack(IndexBlock* first) {
    while (first != nullptr) {
        IndexBlock* next = first->next;
        first->next = free_;
        free_ = first;
        ++count_;
        first = next;
    }
}

void StoredSession::append(RecordHeader* record, RecordId place) {
    if (RecordHeader* before = last_ == 0 ? nullptr : log_.at(last_)) before->next = place;
    if (first_ == 0) {
        first_ = place;
        firstSequence_ = count_ + 1;
    }
    if (count_ == 0) dayFirst_ = place;
    last_ = place;
    lastFrame_ = frameBytes(record);
    bytes_ += lastFrame_;
    if (count_++ % kIndexEvery != 0 || count_ == 1) return;
    if (indexed_ % IndexBlock::kPlaces == 0) {
        IndexBlock* block = pool_.take();
        (index_ == nullptr ? index_ : indexTail_->next) = block;
        indexTail_ = block;
    }
    indexTail_->places[indexed_++ % IndexBlock::kPlaces] = place;
}

void StoredSession::forget(const RecordHeader* record, RecordId place) {
    if (place != first_) return;  // of an earlier day
    forgotten_ = place;
    forgottenFrame_ = frameBytes(record);
    first_ = record->next;
    ++firstSequence_;
}

void StoredSession::beginDay() {
    pool_.giveBack(index_);
    index_ = indexTail_ = nullptr;
    indexed_ = count_ = lastFrame_ = forgottenFrame_ = 0;
    first_ = last_ = forgotten_ = dayFirst_ = 0;
    firstSequence_ = 1;
    bytes_ = 0;
}

bool StoredSession::isGone(const session::OutboundCursor& cursor) const {
    if (cursor.record == 0) return forgotten_ != 0;
    if (log_.at(cursor.record) != nullptr) return false;
    return cursor.record != forgotten_ || cursor.offset != forgottenFrame_;
}

RecordId StoredSession::resume(const session::OutboundCursor& cursor, uint32_t& offset) const {
    offset = 0;
    if (isGone(cursor)) return 0;
    if (cursor.record == 0 || cursor.record == forgotten_) return first_;
    const RecordHeader* record = log_.at(cursor.record);
    if (cursor.offset >= frameBytes(record)) return record->next;
    offset = cursor.offset;
    return cursor.record;
}

size_t StoredSession::gather(const session::OutboundCursor& cursor, std::span<iovec> into) {
    uint32_t offset = 0;
    size_t count = 0;
    for (RecordId at = resume(cursor, offset); at != 0 && count < into.size(); ++count) {
        RecordHeader* record = log_.at(at);
        into[count] = {record->frame + offset, frameBytes(record) - offset};
        offset = 0;
        at = record->next;
    }
    return count;
}

void StoredSession::advance(session::OutboundCursor& cursor, size_t bytes) {
    uint32_t offset = 0;
    RecordId at = resume(cursor, offset);
    while (bytes > 0) {
        CHECK(at != 0);
        const RecordHeader* record = log_.at(at);
        const auto sent =
            static_cast<uint32_t>(std::min<size_t>(bytes, frameBytes(record) - offset));
        cursor = {at, offset + sent};
        bytes -= sent;
        offset = 0;
        at = record->next;
    }
}

uint64_t StoredSession::lag(const session::OutboundCursor& cursor) const {
    if (isGone(cursor)) return UINT64_MAX;
    if (cursor.record == 0) return bytes_;
    if (cursor.record == forgotten_) return first_ == 0 ? 0 : bytes_ - log_.at(first_)->before;
    const RecordHeader* record = log_.at(cursor.record);
    if (dayFirst_ != 0 && cursor.record >= dayFirst_) {
        return bytes_ - record->before - cursor.offset;
    }
    // Of an earlier day: its session is over, and this message is all that is known to be due.
    return frameBytes(record) - cursor.offset + (record->next != 0 ? 1 : 0);
}

bool StoredSession::seek(uint32_t sequence, session::OutboundCursor& cursor) const {
    if (sequence == 0 || sequence > uint64_t{count_} + 1) return false;
    if (sequence == count_ + 1) {
        cursor = {last_, lastFrame_};
        return true;
    }
    if (sequence < firstSequence_ || first_ == 0) return false;
    RecordId at = first_;
    uint32_t atSequence = firstSequence_;
    if (const uint32_t entry = (sequence - 1) / kIndexEvery; entry > 0) {
        const IndexBlock* block = index_;
        for (uint32_t i = (entry - 1) / IndexBlock::kPlaces; i > 0; --i) block = block->next;
        const RecordId place = block->places[(entry - 1) % IndexBlock::kPlaces];
        if (place >= first_) {
            at = place;
            atSequence = entry * kIndexEvery + 1;
        }
    }
    for (; atSequence < sequence; ++atSequence) at = log_.at(at)->next;
    cursor = {at, 0};
    return true;
}

}  // namespace verbex::gateway::store
