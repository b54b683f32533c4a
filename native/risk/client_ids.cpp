#include "risk/client_ids.h"

#include <bit>
#include <utility>

namespace verbex {

namespace {
constexpr uint64_t kIndexSlotsMin = 1u << 10;
// Old entries carried over per insertion. The new index is twice the old one, so 2 would be enough.
constexpr uint32_t kMovesPerInsertion = 4;
}  // namespace

ClientIds::ClientIds(uint32_t capacity)
    : entries_(zeroedArray<ClientIdEntry>(size_t{capacity} + 3)),
      index_(zeroedArray<Slot>(kIndexSlotsMin)),
      mask_(kIndexSlotsMin - 1),
      capacity_(capacity) {}

void ClientIds::insert(uint32_t entry, uint64_t hash) {
    uint64_t i = hash & mask_;
    while (index_[i].entry != 0) i = (i + 1) & mask_;
    index_[i] = Slot{tagOf(hash), entry};
}

uint32_t ClientIds::add(AccountId account, const ClientId& id, uint32_t fingerprint) {
    DCHECK(!full());
    if (oldIndex_ != nullptr) moveSome();
    const uint32_t entry = ++used_;
    if (used_ > (mask_ + 1) / 8 * 5 && oldIndex_ == nullptr) {
        oldMask_ = mask_;
        oldIndex_ = std::exchange(index_, zeroedArray<Slot>((mask_ + 1) * 2));
        mask_ = mask_ * 2 + 1;
        moved_ = 0;
        moveUpTo_ = used_ - 1;
    }
    entries_[entry] = ClientIdEntry{id, account, fingerprint, 0, 0, kLive};
    insert(entry, hashOf(account, id));
    return entry;
}

void ClientIds::moveSome() {
    for (uint32_t i = 0; i < kMovesPerInsertion && moved_ < moveUpTo_; ++i) {
        ++moved_;
        insert(moved_, hashOf(entries_[moved_].account, entries_[moved_].id));
    }
    if (moved_ == moveUpTo_) oldIndex_.reset();
}

void ClientIds::rebuild() {
    oldIndex_.reset();
    uint64_t slots = kIndexSlotsMin;
    while (used_ > slots / 8 * 5) slots *= 2;
    index_ = zeroedArray<Slot>(slots);
    mask_ = slots - 1;
    for (uint32_t entry = 1; entry <= used_; ++entry) {
        insert(entry, hashOf(entries_[entry].account, entries_[entry].id));
    }
}

}  // namespace verbex
