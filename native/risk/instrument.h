// Instrument: what risk must know of a tradable pair, and what an order of it costs in the worst case.
//
// Purpose: terms as AddInstrument and ChangeInstrument set them, fee schedules, and the arithmetic of value,
// hold and fee, in one place.
// Owner: the core's state.
// Thread safety: none; all but the terms' changes is pure.
// Invariants:
//   1. value(priceMax, quantityMax) ≤ 2^119 when the terms were accepted, so no value of an order overflows.
//      (Orders accepted under older terms keep within the older terms' product.)
//   2. A fee schedule's slot is reused only when no open order refers to it and it is not in force. Which
//      are referred to is counted in the risk shards (risk_shard.h): `inUse`, a bit a slot.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "base/amount.h"
#include "wire/command.h"

namespace verbex {

struct FeeSchedule {
    int32_t maker;  // millionths of the value; negative: a rebate
    int32_t taker;
    friend bool operator==(const FeeSchedule&, const FeeSchedule&) = default;

    // What a hold must cover, whichever side of a trade the order will be on.
    [[nodiscard]] int32_t worst() const { return std::max({maker, taker, 0}); }
};

struct InstrumentTerms {
    int64_t priceMin, priceMax;        // ticks
    int64_t quantityMin, quantityMax;  // lots
    int32_t collar;                    // millionths
};

struct Instrument {
    static constexpr uint8_t kSchedules = 16;

    Name name;
    AssetId base, quote;
    TradingState state;
    uint8_t schedule;  // the one in force
    int64_t lotBase;   // base units a lot
    int64_t lotQuote;  // quote units that a lot costs at one tick
    InstrumentTerms terms;
    std::array<FeeSchedule, kSchedules> schedules;

    [[nodiscard]] Amount value(int64_t price, int64_t quantity) const {
        return Amount{price} * quantity * lotQuote;
    }
    // Is an order of this price worth no more than amounts can carry? Always so inside the band; a reference
    // price that rests outside a band that was changed since may be worth too much.
    // Requires: quantity ≤ terms.quantityMax.
    [[nodiscard]] bool valuePossible(int64_t price, int64_t quantity) const {
        if (price <= terms.priceMax) return true;
        Amount worth = Amount{price} * quantity;  // at most 2^106
        return checkedMultiply(worth, lotQuote, &worth) && checkedAdd(worth, worth, &worth);
    }
    // What an order of this open quantity holds: quote units for a buy, base units for a sell.
    [[nodiscard]] Amount hold(bool sell, int64_t price, int64_t open, uint8_t scheduleSlot) const {
        if (sell) return Amount{open} * lotBase;
        const Amount worth = value(price, open);
        return worth + millionthsOf(worth, schedules[scheduleSlot].worst());
    }
    // How far an order without a limit may go from the reference price.
    [[nodiscard]] int64_t collarPrice(bool sell, int64_t reference) const {
        const auto distance = static_cast<int64_t>(millionthsOf(reference, terms.collar));
        return sell ? std::min(reference, std::max(reference - distance, terms.priceMin))
                    : std::max(reference, std::min(reference + distance, terms.priceMax));
    }
    // Could a trade between orders of the schedules in use and of this one cost the venue?
    [[nodiscard]] bool coversRebates(FeeSchedule wanted, uint32_t inUse) const {
        FeeSchedule least = wanted;
        for (uint8_t i = 0; i < kSchedules; ++i) {
            if ((inUse >> i & 1) == 0) continue;
            least.maker = std::min(least.maker, schedules[i].maker);
            least.taker = std::min(least.taker, schedules[i].taker);
        }
        return least.maker + least.taker >= 0;
    }
    // The slot of this schedule, kSchedules if all are taken by open orders. The schedule in force is taken
    // too, unless it is about to be replaced.
    [[nodiscard]] uint8_t slotFor(FeeSchedule wanted, bool replacesInForce, uint32_t inUse) const {
        const auto used = [inUse](uint8_t i) { return (inUse >> i & 1) != 0; };
        for (uint8_t i = 0; i < kSchedules; ++i) {
            if (schedules[i] == wanted && (used(i) || i == schedule)) return i;
        }
        for (uint8_t i = 0; i < kSchedules; ++i) {
            if (!used(i) && (replacesInForce || i != schedule)) return i;
        }
        return kSchedules;
    }
};

// Are these terms of an instrument possible (docs/rules.md section 3)?
[[nodiscard]] inline bool termsPossible(const InstrumentTerms& terms, FeeSchedule fees,
                                        int64_t lotBase, int64_t lotQuote) {
    constexpr int64_t kMax = int64_t{1} << 53;
    if (lotBase < 1 || lotQuote < 1) return false;
    if (terms.priceMin < 1 || terms.priceMax < terms.priceMin || terms.priceMax > kMax) return false;
    if (terms.quantityMin < 1 || terms.quantityMax < terms.quantityMin ||
        terms.quantityMax > kMax) {
        return false;
    }
    if (fees.maker < -kMillion || fees.maker > kMillion || fees.taker < 0 ||
        fees.taker > kMillion || fees.maker + fees.taker < 0) {
        return false;
    }
    if (terms.collar < 0 || terms.collar > kMillion) return false;
    Amount value = Amount{terms.priceMax} * terms.quantityMax;  // at most 2^106
    if (!checkedMultiply(value, lotQuote, &value) || !checkedAdd(value, value, &value)) return false;
    return checkedMultiply(Amount{terms.quantityMax}, lotBase, &value);
}

}  // namespace verbex
