// The records of a saved state, byte for byte (docs/state-format.md). Versions 1 and 2.
//
// Purpose: one place for what save.cpp writes and load.cpp reads. Head, then so many records of each kind as
// the head says, in the order of the head's counts; little-endian, no gaps.
// Thread safety: plain values.
// Invariants: no padding (static_asserted where they are written).
#pragma once

#include <cstdint>
#include <utility>

#include "base/amount.h"
#include "wire/command.h"

namespace verbex {

inline constexpr uint64_t kStateMagic = 0x4554415453584256ULL;  // "VBXSTATE"
inline constexpr uint32_t kStateVersion = 1;
// The head is followed by SavedAvailability; written exactly where risk processes are declared.
inline constexpr uint32_t kStateVersionWithProcesses = 2;

struct SavedHead {
    uint64_t magic;
    uint32_t version;
    uint32_t assets;
    uint64_t position;
    uint64_t time;
    uint32_t instruments;
    uint32_t accounts;  // the venue too
    uint32_t rights;
    uint32_t limits;
    uint64_t balances;
    uint64_t exposures;
    uint64_t orderIds;
    uint64_t transactionIds;
    uint64_t orders;
};
static_assert(sizeof(SavedHead) == 88);

struct SavedAvailability {
    uint32_t processes;  // of risk, 1 to 16
    uint32_t away;       // a bit for each that is
};
static_assert(sizeof(SavedAvailability) == 8);

struct SavedAsset {
    Amount issued;
    Amount fees;
    Name name;
    uint64_t decimals;
    uint64_t reserved;
};
static_assert(sizeof(SavedAsset) == 64);

struct SavedInstrument {
    Name name;
    AssetId base, quote;
    int64_t lotBase, lotQuote;
    int64_t priceMin, priceMax;
    int64_t quantityMin, quantityMax;
    int32_t collar, makerFee, takerFee;
    uint32_t state;
    int64_t lastPrice;
    uint64_t trades;
};
static_assert(sizeof(SavedInstrument) == 104);

struct SavedAccount {
    Name name;
    AccountId parent;
    uint8_t killed;
    uint8_t orderTypes;
    uint8_t instrumentsDenied;
    uint8_t reserved;
};
static_assert(sizeof(SavedAccount) == 24);

struct SavedRight {  // by account, instrument
    AccountId account;
    InstrumentId instrument;
    uint32_t right;

    [[nodiscard]] auto key() const { return std::pair{account, instrument}; }
};
static_assert(sizeof(SavedRight) == 12);

struct SavedLimit {  // by account, kind, subject
    Amount limit;
    Amount current;
    Amount openBuy, openSell;
    AccountId account;
    uint32_t kind;
    uint32_t subject;
    uint32_t reserved;

    [[nodiscard]] auto key() const {
        return std::pair{uint64_t{account} << 32 | kind, subject};
    }
};
static_assert(sizeof(SavedLimit) == 80);

struct SavedBalance {  // by account, asset
    uint64_t pair;     // account << 32 | asset
    uint64_t reserved;
    Amount total, held;

    [[nodiscard]] uint64_t key() const { return pair; }
};
static_assert(sizeof(SavedBalance) == 48);

struct SavedExposure {  // by account, instrument
    uint64_t pair;      // account << 32 | instrument
    int64_t position, openBuy, openSell;

    [[nodiscard]] uint64_t key() const { return pair; }
};
static_assert(sizeof(SavedExposure) == 32);

struct SavedId {  // in order of arrival
    ClientId id;
    AccountId account;
    uint32_t fingerprint;
    uint64_t orderId;  // position of the answer
    uint32_t live;     // the order is open
    uint16_t reject;   // the first answer was this code
    uint16_t daysAgo;  // closed today 0, on the day before 1
};
static_assert(sizeof(SavedId) == 40);

struct SavedOrder {  // a book after the other: bids, asks, buy stops, sell stops, best first, first come first
    int64_t price, open, visible;
    OrderId orderId;
    AccountId account;
    InstrumentId instrument;
    uint32_t entry;  // its place among the saved order ids, from 1
    uint32_t flags;  // book/order.h, without the schedule
    int32_t makerFee, takerFee;
    int64_t display, stopPrice;
    uint64_t expiry;
};
static_assert(sizeof(SavedOrder) == 80);

}  // namespace verbex
