// FeedBuilder: the engine's events become ITCH messages.
//
// Purpose: decides what of an order everybody may see, gives references, and writes what a reader needs to keep
// the same book. docs/itch.md says which event becomes which message.
// Owner: the market feed.
// Thread safety: none.
// Invariants:
//   1. A reader that applied every message up to the last event of a position has the engine's visible book
//      of that position, order by order, in queue order.
//   2. References are 1, 2, 3 … in the order in which orders are shown: within a price, by rank.
//   3. Nothing of an event but side, price, visible quantity, instrument and trade number is written.
// Requires: begin() once, then every event behind its position, in order.
#pragma once

#include <cstdint>
#include <vector>

#include "feed/feed_history.h"
#include "feed/itch.h"
#include "feed/shown_orders.h"
#include "wire/event.h"
#include "wire/market_state.h"

namespace verbex::feed {

// An order that would take more messages than this is not shown.
inline constexpr uint64_t kPartsMax = 1024;

struct BuilderCounters {
    uint64_t ordersLeftOut = 0;       // price or quantity beyond what a message can say, since the start
    uint64_t instrumentsLeftOut = 0;  // numbers above 65,535
};

class FeedBuilder {
public:
    explicit FeedBuilder(FeedHistory& history) : history_(history) {}

    void begin(const MarketState& state);
    void take(const Event& event);
    void end();

    [[nodiscard]] ShownOrders& shown() { return shown_; }
    [[nodiscard]] const ShownOrders& shown() const { return shown_; }
    [[nodiscard]] const BuilderCounters& counters() const { return counters_; }

    // What a snapshot begins with: the directory and the trading states. write(message).
    template <typename Write>
    void writeDirectory(Write&& write) const {
        for (size_t id = 1; id < listed_.size(); ++id) {
            if (listed_[id].symbol != 0) write(directoryOf(static_cast<uint16_t>(id)));
        }
        for (size_t id = 1; id < listed_.size(); ++id) {
            if (listed_[id].symbol != 0) write(stateOf(static_cast<uint16_t>(id)));
        }
    }
    // The messages that show so much of an order, one a part. write(message).
    template <typename Write>
    void writeShown(const ShownOrder& order, int64_t visible, Write&& write) const {
        itch::Message add = header(itch::Type::Add, order.locate);
        add.reference = ShownOrder::frontReference(order.reference, visible);
        add.code = order.side == Side::Buy ? itch::kBuy : itch::kSell;
        add.shares = ShownOrder::frontOf(visible);
        add.symbol = listed_[order.locate].symbol;
        add.price = order.price;
        for (; add.reference <= order.reference; ++add.reference) {
            write(add);
            add.shares = UINT32_MAX;
        }
    }
    [[nodiscard]] size_t listed() const { return listed_.size(); }
    [[nodiscard]] uint64_t timeOfDay() const { return timeOfDay_; }  // nanoseconds

private:
    struct Listed {
        Symbol symbol = 0;  // 0: not listed
        TradingState state = TradingState::None;
    };

    [[nodiscard]] itch::Message header(itch::Type type, uint16_t locate) const {
        itch::Message message;
        message.type = type;
        message.locate = locate;
        message.tracking = static_cast<uint16_t>(history_.next());
        message.timeNs = timeOfDay_;
        return message;
    }
    [[nodiscard]] itch::Message directoryOf(uint16_t locate) const;
    [[nodiscard]] itch::Message stateOf(uint16_t locate) const;

    void setTime(uint64_t timeNs);
    void system(itch::SystemCode code);
    void list(InstrumentId instrument, const Name& name, TradingState state);
    void changeState(InstrumentId instrument, TradingState state);

    void show(OrderId order, InstrumentId instrument, Side side, int64_t price, int64_t visible);
    void execute(const Event& trade);
    void reduceTo(ShownOrder& order, int64_t visible);
    void hide(ShownOrder& order);
    void replace(const Event& event);

    FeedHistory& history_;
    ShownOrders shown_;
    std::vector<Listed> listed_;  // by instrument
    uint64_t timeOfDay_ = 0;
    uint64_t nextReference_ = 1;
    BuilderCounters counters_;
};

}  // namespace verbex::feed
