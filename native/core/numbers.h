// CoreNumbers: what of a state depends on its history alone, and yet is said between parts of one core.
//
//      [ head 32 bytes | instruments | lanes, each with its free slots | shards, each with its fees | orders ]
//
// Purpose: the canonical form (state_format.h) leaves out slots, the numbers of fee schedules, the day that ids count
// from, and whose fees are whose: one core may choose them anew. Parts in processes of their own name each other's
// orders by them, so a part that begins with a saved state must have them as they were.
// Owner: CorePart::save() and load().
// Thread safety: plain values.
// Invariants:
//   1. After a load with these numbers every part has the share (CorePart::share) that it had.
//   2. What cannot be the numbers of the state that follows is refused by the load of that state.
// Requires: a core whose matching shards have slots of their own (CoreShards::apart).
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "book/order.h"
#include "core/core.h"
#include "risk/instrument.h"

namespace verbex {

struct CoreNumbers {
    struct OfInstrument {
        uint32_t schedule = 0;  // the one in force
        std::array<FeeSchedule, Instrument::kSchedules> schedules{};
    };
    struct OfLane {
        OrderSlot next = 0;           // from there on no slot was ever used
        std::vector<OrderSlot> free;  // in the order in which they will be used again
    };
    struct OfShard {
        uint32_t day = 0;
        std::vector<Amount> fees;  // by asset; [0] is none
    };
    struct OfOrder {
        OrderSlot slot = 0;
        uint32_t schedule = 0;
    };
    std::vector<OfInstrument> instruments;  // from the first one on
    std::vector<OfLane> lanes;
    std::vector<OfShard> shards;
    std::vector<OfOrder> orders;  // as the canonical form has them
};

[[nodiscard]] CoreNumbers numbersOf(const Core::State& state);
void saveNumbers(const CoreNumbers& numbers, ByteSink& sink);
// False: not such numbers, or more than the limits of `state` allow.
[[nodiscard]] bool loadNumbers(ByteSource& source, const Core::State& state, CoreNumbers& numbers);

// load.cpp: Core::load() with these numbers; null: it chooses them.
[[nodiscard]] bool loadState(ByteSource& source, Core::State& state, const CoreNumbers* numbers);

// Every open order in the order of the canonical form; visit(slot).
template <typename State, typename Visit>
void forEachResting(const State& state, Visit visit) {
    const auto queue = [&](Level level) {
        for (OrderSlot slot = level.head; slot != 0; slot = state.slab[slot].next) visit(slot);
    };
    for (size_t i = 1; i < state.books.size(); ++i) {
        const auto& book = *state.books[i];
        const auto& ladder = book.ladder();
        for (int64_t price = book.bestBid(); price != ladder.kNone; price = ladder.below(price)) {
            queue(ladder.at(price));
        }
        for (int64_t price = book.bestAsk(); price != ladder.kNone; price = ladder.above(price)) {
            queue(ladder.at(price));
        }
        for (const auto& [price, level] : book.buyStops()) queue(level);
        for (auto it = book.sellStops().rbegin(); it != book.sellStops().rend(); ++it) {
            queue(it->second);
        }
    }
}

}  // namespace verbex
