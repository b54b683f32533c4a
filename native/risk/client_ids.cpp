#include "risk/client_ids.h"

#include <algorithm>
#include <utility>

namespace verbex {

namespace {
constexpr uint32_t kIndexSlotsMin = 1u << 10;
// Old slots carried over per insertion. The old index is 5/8 full when it is replaced, and the new one
// needs as many insertions again to fill up, so 2 would be enough.
constexpr uint32_t kMovesPerInsertion = 8;

uint32_t slotsFor(uint32_t entries) {
    uint32_t slots = kIndexSlotsMin;
    while (entries > slots / 8 * 5) slots *= 2;
    return slots;
}

}  // namespace

ClientIds::ClientIds(uint32_t capacity, bool warm, bool dated)
    : entries_(zeroedArray<ClientIdEntry>(size_t{capacity} + 3)),
      dates_(dated ? zeroedArray<uint64_t>(size_t{capacity} + 3) : nullptr),
      index_(zeroedArray<Slot>(kIndexSlotsMin)),
      mask_(kIndexSlotsMin - 1),
      capacity_(capacity) {
    CHECK(capacity <= 1u << 30);
    if (!warm) return;
    index_ = zeroedArray<Slot>(slotsFor(capacity));
    mask_ = slotsFor(capacity) - 1;
    touchPages(entries_);
    touchPages(index_);
}

void ClientIds::insert(Slot slot) {
    uint32_t i = slot.hash & mask_;
    while (index_[i].entry != 0) i = (i + 1) & mask_;
    index_[i] = slot;
}

uint32_t ClientIds::add(AccountId account, const ClientId& id, uint32_t fingerprint,
                        uint32_t hash) {
    CHECK(!full());
    if (oldIndex_ != nullptr) moveSome();
    const uint32_t entry = ++used_;
    if (used_ > (mask_ + 1) / 8 * 5 && oldIndex_ == nullptr) {
        oldMask_ = mask_;
        oldIndex_ = std::exchange(index_, zeroedArray<Slot>((size_t{mask_} + 1) * 2));
        mask_ = mask_ * 2 + 1;
        moved_ = 0;
    }
    entries_[entry] = ClientIdEntry{id, account, fingerprint, 0, 0, kLive};
    insert(Slot{hash, entry});
    return entry;
}

void ClientIds::moveSome() {
    for (uint32_t i = 0; i < kMovesPerInsertion && moved_ <= oldMask_; ++i, ++moved_) {
        if (oldIndex_[moved_].entry != 0) insert(oldIndex_[moved_]);
    }
    if (moved_ > oldMask_) oldIndex_.reset();
}

void ClientIds::rebuild() {
    oldIndex_.reset();
    const uint32_t slots = std::max(slotsFor(used_), mask_ + 1);
    index_ = zeroedArray<Slot>(slots);
    mask_ = slots - 1;
    for (uint32_t entry = 1; entry <= used_; ++entry) {
        insert(Slot{hashOf(entries_[entry].account, entries_[entry].id), entry});
    }
}

}  // namespace verbex
