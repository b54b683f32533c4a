// ClientIds: which ids each account has used, and what the answer was.
//
// Purpose: a client's id is unique in its account and idempotent: the same order again gets the first
// answer. Also the way from an id to its open order, and each account's open orders in order of entry.
//
//   index (hash → entry)        entries, in order of arrival
//   ┌──────────┐                ┌───┬───┬───┬───┬───┬──
//   │ tag │ 17 │───────────────▶│ 1 │ 2 │ … │17 │   │        an entry never moves until a day ends
//   └──────────┘                └───┴───┴───┴───┴───┴──
//
// Owner: the core's risk. One instance for orders in each risk shard, one for transactions.
// Thread safety: none, but for an entry's answer: matching may set the slot (setSlot) and read it while the
// shard looks ids up and adds others.
// Invariants:
//   1. Entry 0 is none. Entries lie in order of arrival; so a walk over them is the same on every host.
//   2. A live entry says what order it is, and its slot once it rests; a closed one remembers the answer.
//   3. The index grows a little with every insertion, never all at once.
#pragma once

#include <cstdint>

#include "base/flat_map.h"
#include "wire/command.h"
#include "wire/reject.h"

namespace verbex {

// What risk knows of an open order without a look at the book, which other threads may be changing.
struct LiveOrder {
    OrderSlot slot;           // 0: it has not come to rest yet
    InstrumentId instrument;  // below kInstrumentsMax
    uint8_t schedule;         // fee schedule
    bool sell;
    bool plain;  // a limit order: its hold follows from price and quantity alone
};

struct ClientIdEntry {
    static constexpr uint32_t kInstrumentsMax = 1u << 20;

    ClientId id;
    AccountId account;
    uint32_t fingerprint;  // of the command that used the id
    uint32_t next, prev;   // the account's open orders, by order id; 0 ends the list
    // live: bit 63, sell 62, plain 61, schedule in 57..60, instrument in 32..51, slot below. closed: day in
    // bits 60..61, reject code in 48..59, order id (of an accepted order) or position (of a rejected one)
    // below. Written by the account's risk shard, but for the slot, which matching adds when the order comes
    // to rest; hence read and written as a whole. Use ClientIds.
    uint64_t answer;

    [[nodiscard]] uint64_t word() const { return __atomic_load_n(&answer, __ATOMIC_RELAXED); }
    [[nodiscard]] bool live() const { return (word() >> 63) != 0; }
    [[nodiscard]] LiveOrder order() const {
        const uint64_t now = word();
        return LiveOrder{static_cast<OrderSlot>(now),
                         static_cast<InstrumentId>(now >> 32) & (kInstrumentsMax - 1),
                         static_cast<uint8_t>(now >> 57 & 15), (now >> 62 & 1) != 0,
                         (now >> 61 & 1) != 0};
    }
    [[nodiscard]] OrderSlot slot() const { return static_cast<OrderSlot>(word()); }
    [[nodiscard]] Reject reject() const { return Reject((word() >> 48) & 0xfff); }
    [[nodiscard]] uint64_t orderId() const { return word() & ((1ULL << 48) - 1); }
    [[nodiscard]] uint8_t day() const { return (word() >> 60) & 3; }
};
static_assert(sizeof(ClientIdEntry) == 40);

class ClientIds {
public:
    // The entries are preallocated (the kernel gives memory as it is touched); warm: the index too, and all
    // memory is touched at once. dated: each entry keeps the position of its command, by which tables of
    // several shards are put in one order.
    explicit ClientIds(uint32_t capacity, bool warm = false, bool dated = false);

    [[nodiscard]] bool full() const { return used_ >= capacity_; }
    [[nodiscard]] uint32_t size() const { return used_; }
    [[nodiscard]] ClientIdEntry& operator[](uint32_t entry) { return entries_[entry]; }
    [[nodiscard]] const ClientIdEntry& operator[](uint32_t entry) const { return entries_[entry]; }

    // The entry of this id, 0 if it is not remembered.
    [[nodiscard]] uint32_t find(AccountId account, const ClientId& id) const {
        return find(account, id, hashOf(account, id));
    }
    // Requires: !full(), find() == 0.
    uint32_t add(AccountId account, const ClientId& id, uint32_t fingerprint) {
        return add(account, id, fingerprint, hashOf(account, id));
    }
    // The same with the hash at hand, for callers that look up and then add.
    [[nodiscard]] static uint32_t hashOf(AccountId account, const ClientId& id) {
        return static_cast<uint32_t>(
            mixBits((id.lo ^ (uint64_t{account} * 0x9e3779b97f4a7c15ULL)) +
                    id.hi * 0xc2b2ae3d27d4eb4fULL) >>
            32);
    }
    [[nodiscard]] uint32_t find(AccountId account, const ClientId& id, uint32_t hash) const {
        const uint32_t entry = probe(index_.get(), mask_, account, id, hash);
        if (entry != 0 || oldIndex_ == nullptr) return entry;
        return probe(oldIndex_.get(), oldMask_, account, id, hash);
    }
    uint32_t add(AccountId account, const ClientId& id, uint32_t fingerprint, uint32_t hash);

    void setLive(uint32_t entry, const LiveOrder& order) {
        setWord(entry, kLive | uint64_t{order.sell} << 62 | uint64_t{order.plain} << 61 |
                           uint64_t{order.schedule} << 57 | uint64_t{order.instrument} << 32 |
                           order.slot);
    }
    // Called by the matching side: the order rests in this slot now.
    void setSlot(uint32_t entry, OrderSlot slot) {
        setWord(entry, (entries_[entry].word() & ~uint64_t{UINT32_MAX}) | slot);
    }
    void close(uint32_t entry, uint64_t orderId, Reject reject) {
        setWord(entry, uint64_t{day_} << 60 | uint64_t{static_cast<uint16_t>(reject)} << 48 |
                           (orderId & ((1ULL << 48) - 1)));
    }

    // Dated tables only: the position of the command that used the id (after a load: its rank).
    [[nodiscard]] uint64_t date(uint32_t entry) const { return dates_[entry]; }
    void setDate(uint32_t entry, uint64_t date) {
        if (dates_ != nullptr) dates_[entry] = date;
    }

    // Forgets what was closed before this day, and begins the next one. moved(from, to) tells where a live
    // entry went.
    template <typename Moved>
    void endDay(Moved moved) {
        uint32_t kept = 0;
        for (uint32_t entry = 1; entry <= used_; ++entry) {
            const ClientIdEntry& old = entries_[entry];
            if (!old.live() && old.day() != day_) continue;
            ++kept;
            if (kept == entry) continue;
            entries_[kept] = old;
            if (dates_ != nullptr) dates_[kept] = dates_[entry];
            if (old.live()) moved(entry, kept);
        }
        day_ = (day_ + 1) & 3;
        used_ = kept;
        rebuild();
    }

    [[nodiscard]] uint8_t day() const { return day_; }
    void restoreDay(uint8_t day) { day_ = day & 3; }

    // Brings the id's place in the index close, before find().
    void warm(AccountId account, const ClientId& id) const {
        touch(&index_[hashOf(account, id) & mask_]);
    }
    // After warm(): the entry that the id most likely has, brought close; 0 if it seems to be new.
    [[nodiscard]] uint32_t warmEntry(AccountId account, const ClientId& id) const {
        const uint32_t hash = hashOf(account, id);
        for (uint32_t i = hash & mask_, tries = 0; tries < 4; i = (i + 1) & mask_, ++tries) {
            const Slot slot = index_[i];
            if (slot.entry == 0) return 0;
            if (slot.hash != hash) continue;
            touch(&entries_[slot.entry]);
            return slot.entry;
        }
        return 0;
    }

private:
    struct Slot {
        uint32_t hash;
        uint32_t entry;  // 0: free
    };
    static constexpr uint64_t kLive = 1ULL << 63;

    [[nodiscard]] uint32_t probe(const Slot* index, uint32_t mask, AccountId account,
                                 const ClientId& id, uint32_t hash) const {
        for (uint32_t i = hash & mask;; i = (i + 1) & mask) {
            const Slot slot = index[i];
            if (slot.entry == 0) return 0;
            if (slot.hash != hash) continue;
            const ClientIdEntry& entry = entries_[slot.entry];
            if (entry.id == id && entry.account == account) return slot.entry;
        }
    }
    void setWord(uint32_t entry, uint64_t word) {
        __atomic_store_n(&entries_[entry].answer, word, __ATOMIC_RELAXED);
    }
    void insert(Slot slot);
    void moveSome();
    void rebuild();

    ZeroedArray<ClientIdEntry> entries_;
    ZeroedArray<uint64_t> dates_;  // null: the order of the entries says it all
    ZeroedArray<Slot> index_;
    uint32_t mask_;
    ZeroedArray<Slot> oldIndex_;  // while the index grows: what is not moved yet is found here
    uint32_t oldMask_ = 0;
    uint32_t moved_ = 0;  // slots of the old index that have been carried over
    uint32_t capacity_;
    uint32_t used_ = 0;
    uint8_t day_ = 0;
};

}  // namespace verbex
