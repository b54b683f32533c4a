#include "core/numbers.h"

#include <algorithm>
#include <span>

#include "core/state.h"

namespace verbex {

namespace {

constexpr uint64_t kNumbersMagic = 0x31304d554e584256;  // "VBXNUM01" in file order

struct NumbersHead {
    uint64_t magic = kNumbersMagic;
    uint32_t instruments = 0;
    uint32_t lanes = 0;
    uint32_t shards = 0;
    uint32_t assets = 0;  // fees of a shard, [0] too
    uint64_t orders = 0;
};
static_assert(sizeof(NumbersHead) == 32);
static_assert(sizeof(FeeSchedule) == 8 && sizeof(CoreNumbers::OfOrder) == 8);

struct LaneHead {
    uint32_t next = 0;
    uint32_t free = 0;
};

template <typename Row>
void put(ByteSink& sink, std::span<const Row> rows) {
    static_assert(std::has_unique_object_representations_v<Row>, "no padding may be saved");
    if (!rows.empty()) sink.write(rows.data(), rows.size_bytes());
}
template <typename Row>
void put(ByteSink& sink, const Row& row) {
    put(sink, std::span(&row, 1));
}

// A piece at a time: what a head says is believed only as far as there is content.
template <typename Row>
bool get(ByteSource& source, uint64_t count, std::vector<Row>& rows) {
    constexpr uint64_t kPiece = 65536;
    while (rows.size() < count) {
        const size_t before = rows.size();
        rows.resize(before + std::min<uint64_t>(kPiece, count - before));
        if (!source.read(&rows[before], (rows.size() - before) * sizeof(Row))) return false;
    }
    return true;
}
template <typename Row>
bool get(ByteSource& source, Row& row) {
    return source.read(&row, sizeof(Row));
}

}  // namespace

CoreNumbers numbersOf(const Core::State& state) {
    CoreNumbers numbers;
    for (size_t i = 1; i < state.instruments.size(); ++i) {
        const Instrument& instrument = state.instruments[i];
        numbers.instruments.push_back({instrument.schedule, instrument.schedules});
    }
    for (const auto& slab : state.slabs) {
        CoreNumbers::OfLane& lane = numbers.lanes.emplace_back();
        lane.next = slab->neverUsed();
        slab->forEachFree([&lane](OrderSlot slot) { lane.free.push_back(slot); });
    }
    for (const auto& shard : state.shards) {
        numbers.shards.push_back({shard->orderIds.day(), shard->fees});
    }
    forEachResting(state, [&](OrderSlot slot) {
        numbers.orders.push_back({slot, state.slab[slot].schedule()});
    });
    return numbers;
}

void saveNumbers(const CoreNumbers& numbers, ByteSink& sink) {
    NumbersHead head;
    head.instruments = static_cast<uint32_t>(numbers.instruments.size());
    head.lanes = static_cast<uint32_t>(numbers.lanes.size());
    head.shards = static_cast<uint32_t>(numbers.shards.size());
    head.assets = static_cast<uint32_t>(numbers.shards[0].fees.size());
    head.orders = numbers.orders.size();
    put(sink, head);
    for (const auto& each : numbers.instruments) {
        put(sink, each.schedule);
        put(sink, std::span<const FeeSchedule>(each.schedules));
    }
    for (const auto& each : numbers.lanes) {
        put(sink, LaneHead{each.next, static_cast<uint32_t>(each.free.size())});
        put(sink, std::span<const OrderSlot>(each.free));
    }
    for (const auto& each : numbers.shards) {
        put(sink, each.day);
        CHECK(each.fees.size() == head.assets);
        put(sink, std::span<const Amount>(each.fees));
    }
    put(sink, std::span<const CoreNumbers::OfOrder>(numbers.orders));
}

bool loadNumbers(ByteSource& source, const Core::State& state, CoreNumbers& numbers) {
    NumbersHead head;
    const uint32_t assetsMax = state.capacity.maxInstruments;
    if (!get(source, head) || head.magic != kNumbersMagic ||
        head.instruments > state.capacity.maxInstruments || head.lanes != state.slabs.size() ||
        head.shards != state.shards.size() || head.assets < 1 || head.assets - 1 > assetsMax ||
        head.orders > state.capacity.maxOrders) {
        return false;
    }
    for (uint32_t i = 0; i < head.instruments; ++i) {
        CoreNumbers::OfInstrument& each = numbers.instruments.emplace_back();
        if (!get(source, each.schedule) || each.schedule >= Instrument::kSchedules ||
            !get(source, each.schedules)) {
            return false;
        }
    }
    for (uint32_t i = 0; i < head.lanes; ++i) {
        LaneHead lane;
        CoreNumbers::OfLane& each = numbers.lanes.emplace_back();
        if (!get(source, lane) || !get(source, lane.free, each.free)) return false;
        each.next = lane.next;
    }
    for (uint32_t i = 0; i < head.shards; ++i) {
        CoreNumbers::OfShard& each = numbers.shards.emplace_back();
        if (!get(source, each.day) || each.day > 3 || !get(source, head.assets, each.fees)) {
            return false;
        }
        if (!std::ranges::all_of(each.fees, amountInRange)) return false;
    }
    return get(source, head.orders, numbers.orders) &&
           std::ranges::all_of(numbers.orders, [](const CoreNumbers::OfOrder& order) {
               return order.schedule < Instrument::kSchedules;
           });
}

}  // namespace verbex
