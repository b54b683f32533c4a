// A real core beside a feed builder: what the feed's whole-stack tests share.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "core/core.h"
#include "feed/feed_builder.h"
#include "feed/itch_reader.h"

namespace verbex::node::itch_world {

// What a gateway would be given of this core: names as the tests gave them, resting orders from its books.
inline MarketState marketState(const Core& core, InstrumentId instruments,
                               const std::function<Name(InstrumentId)>& nameOf) {
    MarketState state;
    state.position = core.position();
    state.time = core.time();
    for (InstrumentId id = 1; id <= instruments; ++id) {
        std::string json;
        core.explainOrders(id, UINT32_MAX, json);
        if (json == "null") break;
        const size_t at = json.find("\"state\":") + 8;
        state.instruments.push_back({id, nameOf(id), TradingState(json[at] - '0')});
        for (const bool asks : {false, true}) {
            for (const feed::test::CoreOrder& order : feed::test::ordersOf(json, asks)) {
                const auto visible = static_cast<int64_t>(order.visible);
                state.resting.push_back({order.orderId, id, 0, {}, asks ? Side::Sell : Side::Buy,
                                         static_cast<int64_t>(order.price), visible, visible});
            }
        }
    }
    return state;
}

// Applies commands to a core and hands every event on.
class World final : public EventWriter {
public:
    explicit World(const CoreLimits& limits) : core(limits) { reset(); }

    void apply(const Command& command) {
        core.apply(command, *this);
        drain();
    }

    Core core;
    std::function<void(const Event&)> deliver;

private:
    static constexpr size_t kCells = 64;
    void reset() { setRegion(cells_.get(), cells_.get() + kCells); }
    void drain() override {
        for (const Event* event = begin(); event != cursor(); ++event) deliver(*event);
        reset();
    }
    std::unique_ptr<Event[]> cells_{new Event[kCells]()};
};

// Reads on in a history; false with a test failure where it contradicts the reader's book.
inline bool readOn(const feed::FeedHistory& history, feed::FeedHistory::Reader& from,
                   feed::test::ItchReader& reader) {
    for (;;) {
        const auto message = history.peek(from);
        if (message.empty()) break;
        if (!reader.take(message)) {
            ADD_FAILURE() << reader.wrong();
            return false;
        }
        history.skip(from);
    }
    return from.sequence() == history.next();
}

// The reader's book against the core's: every order of so many levels, in queue order.
inline bool sameAsCore(const feed::test::ItchReader& reader, const Core& core, InstrumentId instrument,
                       uint32_t levels = UINT32_MAX) {
    std::string json;
    core.explainOrders(instrument, levels, json);
    if (json == "null") return true;
    for (const bool asks : {false, true}) {
        const auto expected = feed::test::levelsOf(json, asks);
        const auto shown = reader.levels(static_cast<uint16_t>(instrument), asks, levels);
        if (expected != shown) {
            ADD_FAILURE() << "position " << core.position() << " instrument " << instrument
                          << (asks ? " asks" : " bids") << ": " << json;
            return false;
        }
    }
    return true;
}

}  // namespace verbex::node::itch_world
